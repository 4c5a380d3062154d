/* The engine whose host is asked, at random: answers that make several alerts, none, or nonsense, to more recipients than a
 * proxy has places for, late or never, while mail servers are away, memory fails and the process ends; with limits,
 * summaries, rules and failover. Each alert has its fate once, a server's alerts keep their order for each recipient,
 * and no limit is broken. MODEL_FROM and MODEL_TO choose other seeds than 1 to 40.
 */
#define PEER_BUFFER 65536
#define PEER_LOG    (1 << 22)
#include <mailers/rule.h>

#include "engine_peer.h"
#include "engine_check.h"

enum { PROXIES = 2, SERVERS = 5, WAYS = 2, RCPTS = 130, ALERTS = 3000, STEPS = 600, ANSWERS = 3, UNCHANGED = ANSWERS, KINDS };

/* An alert that was raised, and what the host made of it. */
struct told {
	int proxy, server;
	enum { OPEN = 0, ANSWERED, FAILED } state; /* FAILED: an answer was refused, a part of it may have gone */
	unsigned ways[KINDS];    /* bits */
	bool due[KINDS][RCPTS];
	unsigned char taken[KINDS][WAYS][RCPTS];
};

static struct model {
	struct peer *p;
	struct engine_proxy *proxies[PROXIES];
	struct told told[ALERTS];
	size_t ntold;
	struct { uint64_t id; int number; } asked[ENGINE_ASKED];
	int last[PROXIES][SERVERS][WAYS][RCPTS];
	size_t nmails[WAYS + 1][RCPTS];
	uint64_t ms[WAYS + 1][RCPTS][64]; /* of the last mails */
	unsigned long seed;
	unsigned away, limit;
	uint32_t per_ms;
	bool draining;
} model;

static uint64_t draw(uint64_t n)
{
	struct peer *p = model.p;

	p->random ^= p->random << 13;
	p->random ^= p->random >> 7;
	p->random ^= p->random << 17;
	return p->random % n;
}

static const char *chaos(struct peer *p, const char *address, enum peer_stage at)
{
	(void)p;
	if (at == AT_CONNECT && model.away >> (address[2] - '1') & 1)
		return PEER_CLOSE;
	return at == AT_RCPT && model.away && !draw(8) ? "450 4.3.0 later" : NULL;
}

static const char *rcpt_name(size_t i)
{
	static char name[2][32];
	static unsigned turn;

	turn ^= 1;
	snprintf(name[turn], sizeof(name[turn]), "r%zu@example.com", i);
	return name[turn];
}

/* The flight whose mail this is. */
static const struct flight *find_flight(const struct peer *p, const struct peer_mail *mail)
{
	char id[sizeof(mail->id) + 3];
	size_t i, k, n;

	snprintf(id, sizeof(id), "<%s>", mail->id);
	for (i = 0; i < p->engine->nslots; i++) {
		const struct connection *c = p->engine->slots[i];

		for (k = 0; c && k < CONNECTION_FLIGHTS; k++) {
			const struct flight *f = &c->flights[k];

			if (!f->env || !f->submitted || f->answered || strcmp(c->mailer->settings.address, mail->address))
				continue;
			for (n = 0; n < f->env->nrcpt && strcmp(f->env->rcpt[n], mail->rcpt); n++)
				;
			if (n < f->env->nrcpt && memmem(f->message.data, f->message.len, id, strlen(id)))
				return f;
		}
	}
	fail_msg("a mail %s of which nobody knows", mail->id);
	return NULL;
}

static void check_limit(const struct engine_route *r, size_t ring, size_t rcpt, uint64_t now)
{
	struct model *m = &model;
	uint64_t *ms = m->ms[ring][rcpt];
	size_t n, back;

	if (!r->proxy->limit_mails)
		return;
	n = m->nmails[ring][rcpt]++;
	back = n - m->limit;
	if (n >= m->limit && ms[back % 64] + m->per_ms > now && !m->draining)
		fail_msg("seed %lu: %s got more mails than the limit lets pass", m->seed, rcpt_name(rcpt));
	ms[n % 64] = now;
}

static void taken(struct peer *p, const struct peer_mail *mail, const char *message)
{
	struct model *m = &model;
	const struct flight *f = find_flight(p, mail);
	size_t i, rcpt = strtoul(mail->rcpt + 1, NULL, 10);

	(void)message;
	for (i = 0; i < f->env->nalerts; i++) {
		const struct engine_route *r = queue_route_owner(queue_envelope_route(f->env, i)), *first;
		size_t way = 0;
		int number, kind, *last;
		struct told *t;

		for (first = r->proxy->routes; first != r; first = first->next)
			way++;
		if (!i)
			check_limit(queue_route_owner(f->env->route), r->group ? WAYS : (size_t)(mail->address[2] - '1'), rcpt, p->now);
		assert_int_equal(sscanf(f->env->alerts[i]->text, "alert %d as %d", &number, &kind), 2);
		t = &m->told[number];
		if (!t->due[kind][rcpt] || !(t->ways[kind] >> way & 1))
			fail_msg("%s got alert %d as %d over %s, which is not for it", mail->rcpt, number, kind, mail->address);
		if (t->taken[kind][way][rcpt]++)
			fail_msg("%s got alert %d as %d twice over %s", mail->rcpt, number, kind, mail->address);
		last = &m->last[t->proxy][t->server][way][rcpt];
		if (number < *last)
			fail_msg("%s got alert %d after %d", mail->rcpt, number, *last);
		*last = number;
	}
}

/* --- what is done --- */

static const struct rule rules[] = {
	{ .level = ALERT_LEVEL_DEBUG, .server = { (const char *[]){ "^s1$" }, 1 }, .cc = { (const char *[]){ "r2@example.com" }, 1 },
	  .further = true },
	{ .level = ALERT_LEVEL_DEBUG, .server = { (const char *[]){ "^s2$" }, 1 }, .to = { (const char *[]){ "r3@example.com" }, 1 } },
};

static struct engine_proxy *set_up(struct peer *p, int i)
{
	static const char *const names[PROXIES] = { "p0", "p1" };
	struct engine_proxy *be;

	memset(&p->proxy, 0, sizeof(p->proxy));
	p->proxy.mode = draw(2) ? ENGINE_MODE_FAILOVER : ENGINE_MODE_ALL;
	p->proxy.ask_ms = draw(3) ? (uint32_t)(500 + draw(5000)) : 5 * ENGINE_ASK_WAIT_MS;
	if (draw(2)) {
		p->proxy.limit_mails = model.limit;
		p->proxy.limit_per_ms = model.per_ms;
	}
	if (draw(2)) {
		p->proxy.summary = (struct engine_summary_settings){ .wait_ms = 2000, .max_wait_ms = 9000, .first_now = draw(2),
		                                                     .batch = draw(2) ? "all" : NULL };
		p->proxy.ask_batch = draw(2);
	}
	if (draw(2)) {
		p->proxy.rules = rules;
		p->proxy.nrules = 2;
	}
	be = peer_proxy(p, names[i], "r0@example.com, r1@example.com");
	peer_mailer(p, be, "mx1:25");
	peer_mailer(p, be, "mx2:25");
	peer_ready(p, be);
	return be;
}

static unsigned all_ways(const struct engine_proxy *be)
{
	return be->mode == ENGINE_MODE_FAILOVER ? 1 : 3;
}

static void tell(struct model *m)
{
	int proxy = (int)draw(PROXIES), server = (int)draw(SERVERS), number = (int)++m->ntold;
	struct engine_proxy *be = m->proxies[proxy];
	struct alert_text what = { .level = ALERT_LEVEL_ALERT, .kind = !draw(4), .change = draw(4) };
	struct told *t = &m->told[number];
	char name[32], text[64];
	struct engine_alert alert = {
		.server = (uint64_t)(proxy * SERVERS + server), .name = name, .what = &what, .text = text,
		.date = "Wed, 30 Sep 2026 16:09:04 +0000 (UTC)",
	};

	assert_true(number < ALERTS);
	snprintf(name, sizeof(name), "p%d/s%d", proxy, server);
	alert.text_len = (size_t)snprintf(text, sizeof(text), "alert %d as %d", number, UNCHANGED);
	*t = (struct told){ .proxy = proxy, .server = server };
	t->ways[UNCHANGED] = all_ways(be);
	t->due[UNCHANGED][be->nrules && server == 2 ? 3 : 0] = true;
	t->due[UNCHANGED][be->nrules && server == 2 ? 3 : 1] = true;
	t->due[UNCHANGED][2] = be->nrules && server == 1;
	engine_raise_alert(m->p->engine, be, &alert, m->p->now);
}

static void put(struct buffer *b, const char *name, const char *value)
{
	buffer_add(b, name, strlen(name) + 1);
	buffer_add(b, value, strlen(value) + 1);
}

static void ask(struct model *m)
{
	struct buffer q = { 0 };
	size_t i;

	for (i = 0; i < ENGINE_ASKED && engine_asked(m->p->engine, m->asked[i].id); i++)
		;
	if (i == ENGINE_ASKED)
		return;
	m->asked[i].id = engine_ask(m->p->engine, &q, m->p->now);
	if (m->asked[i].id)
		assert_int_equal(sscanf((const char *)memmem(q.data, q.len, "text\0", 5) + 5, "alert %d", &m->asked[i].number), 1);
	buffer_free(&q);
}

/* Answer <kind> about alert <number>: one to twenty recipients, and some ways. */
static void make(struct model *m, struct buffer *b, int number, int kind)
{
	struct told *t = &m->told[number];
	const struct engine_proxy *be = m->proxies[t->proxy];
	char to[2000] = "", text[64];
	size_t n = draw(4) ? 1 + draw(3) : 1 + draw(20);

	t->ways[kind] = all_ways(be);
	while (n--) {
		size_t rcpt = draw(3) ? draw(RCPTS) : draw(5);

		t->due[kind][rcpt] = true;
		snprintf(to + strlen(to), sizeof(to) - strlen(to), "%sr%zu@%s", *to ? ", " : "", rcpt, draw(4) ? "example.com" : "Example.COM");
	}
	snprintf(text, sizeof(text), "alert %d as %d", number, kind);
	put(b, "text", text);
	put(b, draw(4) ? "to" : "cc", to);
	if (be->mode == ENGINE_MODE_ALL && !draw(4)) {
		t->ways[kind] = 1u << draw(2);
		put(b, "mailer", t->ways[kind] == 1 ? "mx1:25" : "mx2:25");
	}
	if (draw(2))
		put(b, "batch", draw(2) ? "one" : "two");
	if (!draw(3))
		put(b, "header", "X-A: b");
}

static void answer(struct model *m)
{
	size_t i = draw(ENGINE_ASKED), n = draw(8) ? 1 + draw(2) : draw(ANSWERS + 1), k;
	struct buffer b[ANSWERS] = { { 0 } };
	struct told *t = &m->told[m->asked[i].number];
	enum mailers_error error;

	if (!engine_asked(m->p->engine, m->asked[i].id))
		return;
	if (!draw(10)) {
		engine_answer_failed(m->p->engine, m->asked[i].id, "it fails", m->p->now);
		return;
	}
	memset(t->due, 0, UNCHANGED * sizeof(t->due[0])); /* memory may have failed before */
	for (k = 0; k < n; k++)
		make(m, &b[k], m->asked[i].number, (int)k);
	for (k = 0; k < n && !buffer_error(&b[k]); k++)
		;
	if (k == n) {
		if (!draw(12))
			put(&b[0], "level", "none such");
		error = engine_answer(m->p->engine, m->asked[i].id, b, n, m->p->now);
		assert_int_not_equal(error, MAILERS_ERR_STATE);
		t->state = error ? FAILED : ANSWERED;
	}
	for (k = 0; k < ANSWERS; k++)
		buffer_free(&b[k]);
}

static void step(struct model *m)
{
	struct peer *p = m->p;
	uint64_t what;

	if (!draw(20))
		unit_fail_at((long)draw(12));
	what = draw(16);
	if (what < 5)
		tell(m);
	else if (what < 9)
		ask(m);
	else if (what < 12)
		answer(m);
	else if (what == 12)
		m->away = draw(3) ? 0 : (unsigned)draw(4);
	else if (what == 13)
		engine_ask_able(p->engine, draw(8) != 0, p->now);
	else if (what == 14)
		engine_flush(p->engine, NULL, p->now);
	unit_fail_at(-1);
	if (draw(3))
		peer_run(p);
	else
		peer_tick(p, p->now + draw(draw(30) ? 1500 : 2 * ENGINE_ASK_WAIT_MS));
}

/* --- what must be true --- */

static void check_asks(const struct engine *e)
{
	const struct engine_proxy *p;
	const struct engine_route *r;
	const struct list *l;
	size_t n = 0, waiting = 0, i, k;

	for (l = e->asks.all.next; l != &e->asks.all; l = l->next)
		n++;
	for (p = e->proxies; p; p = p->next) {
		waiting += p->asks.waiting;
		for (i = 0; i < p->nrcpt; i++) {
			assert_int_equal(engine_rcpt_find(p, p->rcpt[i]), i);
			for (r = p->routes; r; r = r->next)
				assert_true(!r->limits || r->limits[i]);
		}
		for (k = 0, r = p->routes; r; r = r->next, k++)
			assert_true(r->queue->nrcpt == p->nrcpt);
	}
	assert_int_equal(n, e->asks.count);
	assert_int_equal(waiting, n);
	assert_true(n || !e->asks.bytes);
}

static void check_told(const struct told *t, int number, uint64_t *missing)
{
	int kind;
	size_t way, i;

	for (kind = 0; kind < KINDS; kind++) {
		if (kind == UNCHANGED ? t->state == ANSWERED : t->state != ANSWERED)
			continue;
		for (i = 0; i < RCPTS; i++) {
			for (way = 0; t->due[kind][i] && way < WAYS; way++)
				*missing += t->ways[kind] >> way & 1 && !t->taken[kind][way][i];
		}
	}
	for (way = 0; way < WAYS; way++) {
		for (i = 0; i < RCPTS; i++) {
			if (t->state == ANSWERED ? t->taken[UNCHANGED][way][i] : t->state == OPEN && t->taken[0][way][i])
				fail_msg("alert %d went with and without the host", number);
		}
	}
}

static void ask__at_random__each_alert_has_its_fate(void **state)
{
	const char *from = getenv("MODEL_FROM"), *to = getenv("MODEL_TO");
	unsigned long seed = from ? strtoul(from, NULL, 10) : 1, end = to ? strtoul(to, NULL, 10) : 40;
	struct model *m = &model;

	(void)state;
	for (; seed <= end; seed++) {
		uint64_t missing = 0;
		int i;

		memset(m, 0, sizeof(*m));
		m->seed = seed;
		m->p = peer_new(PEER_NEED);
		m->p->random = seed * UINT64_C(0x9E3779B97F4A7C15);
		m->p->hook = chaos;
		m->p->taken = taken;
		m->limit = 1 + (unsigned)draw(5);
		m->per_ms = (uint32_t)(1000 + draw(30000));
		if (!draw(3)) {
			engine_free(m->p->engine);
			m->p->engine = engine_new(&(struct engine_settings){ .token = "t", .limits = { .alerts = 1 + draw(30) } });
		}
		for (i = 0; i < PROXIES; i++)
			m->proxies[i] = set_up(m->p, i);
		for (i = 0; i < STEPS; i++) {
			step(m);
			check_asks(m->p->engine);
			check_engine(m->p->engine, m->p->now);
		}
		m->away = 0;
		if (draw(2)) {
			m->draining = true;
			engine_drain(m->p->engine, m->p->now + 600000, m->p->now);
		}
		peer_finish(m->p);
		for (i = 1; i <= (int)m->ntold; i++)
			check_told(&m->told[i], i, &missing);
		if (missing > peer_stats(m->p).lost)
			fail_msg("seed %lu: %llu are missing, %llu lost", seed, (unsigned long long)missing,
			         (unsigned long long)peer_stats(m->p).lost);
		assert_int_equal(peer_stats(m->p).recipients, peer_stats(m->p).accepted + peer_stats(m->p).lost);
		peer_free(m->p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ask__at_random__each_alert_has_its_fate),
	};

	return cmocka_run_group_tests_name("engine_ask_model", tests, NULL, NULL);
}
