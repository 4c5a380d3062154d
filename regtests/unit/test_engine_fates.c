/* The engine with all that an operator can set, at random: several proxies over servers that fail, failover, limits,
 * summaries, rules, ages and bounds, while mailers are paused, flushed and resumed, servers are away for a while, and
 * the process ends. Each recipient of each alert has one fate, which is said; a lane keeps its order; no limit is broken;
 * and the engine always names the time at which it goes on. MODEL_FROM and MODEL_TO choose other seeds than 1 to 40.
 */
#define PEER_BUFFER 65536
#define PEER_LOG    (1 << 22)
#include <mailers/rule.h>

#include "engine_peer.h"
#include "engine_check.h"

/* LANES: servers, and those of which an alert comes only when all is well again. */
enum { PROXIES = 3, SERVERS = 6, LANES = 8, MAILERS = 3, ALERTS = 8000, RCPTS = 5, LIMITS = 64, STEPS = 400 };

#define LIST(...) { (const char *const[]){ __VA_ARGS__ }, sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *) }
#define ANY_LEVEL .level = ALERT_LEVEL_DEBUG

static const char *const rcpts[RCPTS] = {
	"a@example.com", "b@example.com", "c@example.com", "d@example.com", "e@example.com",
};
static const char *const addresses[MAILERS] = { "mx1:25", "mx2:25", "mx3:25" };

/* An alert for one recipient on one way. */
struct copy {
	bool due;                /* it is for this one */
	bool unsure;             /* a server took it and did not say so */
	size_t mail;             /* in which it was taken last ... */
	char address[24];        /* ... and by whom */
	unsigned taken, said;    /* said: "refused", "given up" or "abandoned" */
};

struct told {
	int proxy, server;
	struct copy copies[MAILERS][RCPTS];
};

/* Mails that were taken under a limit. */
struct window {
	const void *ring;
	char rcpt[40];
	size_t n;
	uint64_t ms[PEER_MAILS / 16];
};

static struct model {
	struct peer *p;
	struct engine_proxy *proxies[PROXIES];
	struct told told[ALERTS];
	size_t ntold;
	int last[PROXIES][MAILERS][RCPTS][LANES]; /* the newest alert that was taken */
	struct window windows[LIMITS];
	size_t nwindows;
	unsigned away;           /* bits of servers that cannot be reached */
	unsigned silent;         /* of those that say nothing to a final dot */
	unsigned bad;            /* one in so many replies is a bad one; 0: none */
	bool draining, slow, memory;
	bool deaf;               /* lines of the log may be missing */
	unsigned limit;
	uint32_t per_ms;
} model;

static uint64_t draw(struct peer *p, uint64_t n)
{
	p->random ^= p->random << 13;
	p->random ^= p->random >> 7;
	p->random ^= p->random << 17;
	return p->random % n;
}

static const char *chaos(struct peer *p, const char *address, enum peer_stage at)
{
	static const char *const replies[] = {
		"450 4.3.0 later", "451 4.7.1 greylisted", "452 4.5.3 enough", "550 5.1.1 no such user",
		"554 5.6.0 no", "530 5.7.0 who are you", "503 5.5.1 what", "421 4.3.2 bye", "garbage", "354 what",
		PEER_CLOSE, PEER_MUTE,
	};

	if (at == AT_CONNECT && model.away >> (address[2] - '1') & 1)
		return draw(p, 3) ? PEER_CLOSE : PEER_MUTE;
	if (at == AT_MESSAGE && model.silent >> (address[2] - '1') & 1 && draw(p, 8))
		return PEER_MUTE;
	if (!model.bad || draw(p, model.bad))
		return NULL;
	if (at == AT_CONNECT)
		return draw(p, 2) ? PEER_CLOSE : PEER_MUTE;
	if (at == AT_MESSAGE && !draw(p, 3))
		return PEER_TAKE_CLOSE;
	return replies[draw(p, sizeof(replies) / sizeof(*replies))];
}

static size_t rcpt_index(const char *rcpt)
{
	size_t i;

	for (i = 0; i < RCPTS && strcmp(rcpts[i], rcpt); i++)
		;
	assert_true(i < RCPTS);
	return i;
}

/* Index of a route in its proxy. */
static size_t way_index(const struct engine_route *way)
{
	const struct engine_route *r;
	size_t i = 0;

	for (r = way->proxy->routes; r != way; r = r->next)
		i++;
	return i;
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
			bool found;

			if (!f->env || !f->submitted || f->answered || strcmp(c->mailer->settings.address, mail->address))
				continue;
			for (n = 0; n < f->env->nrcpt && strcmp(f->env->rcpt[n], mail->rcpt); n++)
				;
			if (n == f->env->nrcpt)
				continue;
			found = memmem(f->message.data, f->message.len, id, strlen(id)) != NULL;
			if (found)
				return f;
		}
	}
	fail_msg("a mail %s of which nobody knows", mail->id);
	return NULL;
}

static void check_limit(struct model *m, const struct flight *f, const char *rcpt, uint64_t now)
{
	const struct engine_route *r = queue_route_owner(f->env->route);
	const void *ring = r->group ? (const void *)r->group : (const void *)r->members[0].mailer;
	struct window *w = m->windows;
	size_t n = 0, i;

	if (!r->proxy->limit_mails)
		return;
	while (w < m->windows + m->nwindows && (w->ring != ring || strcmp(w->rcpt, rcpt)))
		w++;
	if (w == m->windows + m->nwindows) {
		assert_true(m->nwindows++ < LIMITS);
		*w = (struct window){ .ring = ring };
		snprintf(w->rcpt, sizeof(w->rcpt), "%s", rcpt);
	}
	w->ms[w->n++] = now;
	assert_true(w->n < sizeof(w->ms) / sizeof(*w->ms));
	for (i = w->n; i-- && w->ms[i] + r->proxy->limit_per_ms > now; )
		n++;
	if (n > r->proxy->limit_mails && !m->draining)
		fail_msg("%s got %zu mails in %u ms, %u are allowed", rcpt, n, r->proxy->limit_per_ms, r->proxy->limit_mails);
}

static void read_log(struct model *m);

static void taken(struct peer *p, const struct peer_mail *mail, const char *message)
{
	struct model *m = &model;
	const struct flight *f = find_flight(p, mail);
	size_t rcpt = rcpt_index(mail->rcpt), i;
	unsigned n;

	if (f->env->nalerts > 1) {
		assert_non_null(strstr(message, "\r\nSubject: "));
		assert_int_equal(sscanf(strstr(message, "\r\nSubject: "), "\r\nSubject: [HAProxy Alert] %u alerts", &n), 1);
		assert_int_equal(n, f->env->nalerts);
	}
	check_limit(m, f, mail->rcpt, p->now);
	for (i = 0; i < f->env->nalerts; i++) {
		const struct queue_alert *a = f->env->alerts[i];
		const struct engine_route *r = queue_route_owner(queue_envelope_route(f->env, i));
		int number, proxy, server, *last;
		struct copy *c;

		assert_int_equal(sscanf(a->text, "%d %d alert %d!", &proxy, &server, &number), 3);
		assert_ptr_equal(m->proxies[proxy], r->proxy);
		c = &m->told[number].copies[way_index(r)][rcpt];
		if (c->taken) {
			peer_logs(p);
			read_log(m);
		}
		last = &m->last[proxy][way_index(r)][rcpt][server];
		if (a->held)
			fail_msg("%s got alert %d, which was to wait for others", mail->rcpt, number);
		if (!c->due)
			fail_msg("%s got alert %d, which is not for it", mail->rcpt, number);
		if (c->said)
			fail_msg("%s got alert %d, which was said to be lost", mail->rcpt, number);
		if (c->taken && !c->unsure && !m->deaf)
			fail_msg("%s got alert %d twice", mail->rcpt, number);
		if (c->taken && strcmp(c->address, mail->address))
			fail_msg("%s got alert %d over %s and %s", mail->rcpt, number, c->address, mail->address);
		if (number < *last && !c->taken)
			fail_msg("%s got alert %d of server %d after %d", mail->rcpt, number, server, *last);
		c->taken++;
		c->unsure = false;
		c->mail = p->nmails;
		snprintf(c->address, sizeof(c->address), "%s", mail->address);
		*last = number > *last ? number : *last;
	}
}

static const struct rule rules[] = {
	{ ANY_LEVEL, .server = LIST("^s1$"), .to = LIST("d@example.com") },
	{ ANY_LEVEL, .server = LIST("^s2$"), .words = LIST("7!"), .drop = true },
	{ ANY_LEVEL, .server = LIST("^s2$"), .words = LIST("3!"), .cc = LIST("e@example.com, a@example.com"), .further = true },
	{ ANY_LEVEL, .words = LIST("5!"), .to = LIST("b@example.com", "e@example.com"), .mailers = LIST("mx2:25") },
	{ ANY_LEVEL, .words = LIST("5!"), .to = LIST("b@example.com", "e@example.com"), .subject = "%{server} %{state}" },
};

static struct engine_proxy *set_up(struct peer *p, int i)
{
	static const char *const names[PROXIES] = { "p0", "p1", "p2" };
	static const char *const to[] = { "a@example.com", "a@example.com, b@example.com", "c@example.com, a@example.com" };
	static const char *const batches[] = { NULL, "all", "all", "%{level}", "%{name}", "%{proxy} %{event}" };
	struct engine_proxy *be;
	size_t k, first = draw(p, MAILERS), n = 1 + draw(p, MAILERS);

	memset(&p->proxy, 0, sizeof(p->proxy));
	p->proxy.mode = draw(p, 2) ? ENGINE_MODE_FAILOVER : ENGINE_MODE_ALL;
	if (!draw(p, 2)) {
		p->proxy.limit_mails = model.limit; /* where they differ, which is broken depends on who comes first */
		p->proxy.limit_per_ms = model.per_ms;
	}
	if (draw(p, 2)) {
		p->proxy.summary.wait_ms = (uint32_t)(500 + draw(p, 20000));
		p->proxy.summary.max_wait_ms = p->proxy.summary.wait_ms + (uint32_t)draw(p, 30000);
		p->proxy.summary.first_now = draw(p, 2);
		p->proxy.summary.batch = batches[draw(p, sizeof(batches) / sizeof(*batches))];
	}
	p->proxy.max_age_ms = draw(p, 2) ? 60000 : 600000;
	if (draw(p, 2)) {
		size_t skip = p->proxy.mode == ENGINE_MODE_FAILOVER || first == 2 ? 4 : draw(p, 4);

		p->proxy.rules = skip == 4 ? rules + 4 * draw(p, 2) : rules + skip;
		p->proxy.nrules = p->proxy.rules == rules ? (skip == 4 ? 3 : 4) : (size_t)(rules + 5 - p->proxy.rules);
		n = MAILERS;
	}
	be = peer_proxy(p, names[i], to[draw(p, 3)]);
	for (k = 0; k < n; k++) {
		p->mailer.backup = !draw(p, 4);
		peer_mailer(p, be, addresses[(first + k) % MAILERS]);
	}
	peer_ready(p, be);
	return be;
}

static void tell(struct model *m, int server)
{
	struct peer *p = m->p;
	int proxy = (int)draw(p, PROXIES), number = (int)++m->ntold;
	struct alert_text what = {
		.level = draw(p, 2) ? ALERT_LEVEL_ALERT : ALERT_LEVEL_NOTICE, .kind = !draw(p, 4), .change = draw(p, 4),
	};
	struct engine_proxy *be = m->proxies[proxy];
	struct told *t = &m->told[number];
	char name[32], text[64];
	struct engine_alert alert = {
		.server = (uint64_t)(proxy * LANES + server), .name = name, .what = &what, .text = text,
		.date = "Wed, 30 Sep 2026 16:09:04 +0000 (UTC)",
	};
	struct engine_decision d;
	const struct engine_route *r;
	size_t i;

	assert_true(m->ntold < ALERTS);
	snprintf(name, sizeof(name), "%s/s%d", engine_proxy_name(be), server);
	snprintf(text, sizeof(text), "%d %d alert %d!", proxy, server, number);
	alert.text_len = strlen(text);
	*t = (struct told){ .proxy = proxy, .server = server };
	engine_rule_decide(be, &alert, &d);
	for (r = be->routes; r && !d.drop; r = r->next) {
		bool over = false;

		for (i = 0; i < r->nmembers; i++)
			over |= d.members >> (size_t)(&r->members[i] - be->members) & 1;
		for (i = 0; over && i < be->nrcpt; i++)
			t->copies[way_index(r)][rcpt_index(be->rcpt[i])].due |= d.wanted[i];
	}
	engine_rule_end(&d);
	engine_raise_alert(p->engine, be, &alert, p->now);
}

/* It is not known whether the mail of this one was accepted. */
static void unsure(struct model *m, size_t way, size_t rcpt, int number)
{
	size_t mail = m->told[number].copies[way][rcpt].mail, n, i;

	for (n = 1; mail && n <= m->ntold; n++) {
		for (i = 0; i < MAILERS; i++)
			m->told[n].copies[i][rcpt].unsure |= m->told[n].copies[i][rcpt].mail == mail;
	}
}

/* A line about alert <number>, as far as it is about the way <way>. */
static void read_way(struct model *m, const char *line, int number, size_t way)
{
	size_t k;

	for (k = 0; k < RCPTS; k++) {
		struct copy *c = &m->told[number].copies[way][k];
		char mailbox[42];

		snprintf(mailbox, sizeof(mailbox), "<%s>", rcpts[k]);
		if (!strstr(line, mailbox))
			continue;
		if (strstr(line, "unknown whether"))
			unsure(m, way, k, number);
		if (strncmp(line, "<3>", 3))
			continue;
		if (!c->due || c->said || (c->taken && !c->unsure && !m->deaf))
			fail_msg("one end too many: %s", line);
		c->said++;
	}
}

/* <3> is the level of alerts that came to a bad end. */
static void read_line(struct model *m, const char *line)
{
	const char *text = strrchr(line, ':'), *who = strstr(line, " via ");
	const struct engine_route *r;
	int proxy, server, number;
	size_t way = 0;

	if (strstr(line, "lost") && !m->memory)
		fail_msg("%s", line);
	m->deaf |= strstr(line, "log line") != NULL;
	if (!text || !who || sscanf(text, ": %d %d alert %d!", &proxy, &server, &number) != 3)
		return;
	for (r = m->proxies[proxy]->routes; r; r = r->next, way++) {
		if (r->group || !strncmp(who + 5, r->members[0].name, strlen(r->members[0].name)))
			read_way(m, line, number, way);
	}
}

static void read_log(struct model *m)
{
	struct peer *p = m->p;
	char *line = p->log, *end;

	p->log[p->log_len] = '\0';
	for (; p->log_len && (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		read_line(m, line);
	}
	p->log_len = 0;
}

static void command(struct model *m)
{
	struct peer *p = m->p;
	const char *name = draw(p, 4) ? addresses[draw(p, MAILERS)] : NULL;

	switch (draw(p, 30)) {
	case 0:
		engine_pause(p->engine, name, p->now);
		break;
	case 1:
	case 2:
		engine_resume(p->engine, name, p->now);
		break;
	case 3:
		engine_flush(p->engine, name, p->now);
		break;
	case 4:
		m->away ^= 1u << draw(p, MAILERS);
		break;
	case 5:
		m->silent ^= 1u << draw(p, MAILERS);
		break;
	case 6:
		m->bad = (unsigned)draw(p, 3) * 12;
		break;
	default:
		break;
	}
}

/* A host that is slow: some of what it might do, with time in between. */
static void run_slowly(struct model *m)
{
	struct peer *p = m->p;
	size_t n = draw(p, 60);
	int slot;

	p->idle = 0;
	while (n--) {
		p->now += draw(p, 4) ? 0 : draw(p, 300);
		if (!draw(p, 6) && (slot = engine_connect(p->engine, p->now)) >= 0)
			peer_open(p, slot);
		slot = (int)draw(p, 12);
		if (p->slots[slot].open)
			peer_step(p, slot);
		if (!draw(p, 20)) {
			engine_tick(p->engine, p->now);
			while ((slot = engine_expired(p->engine)) >= 0) {
				engine_eof(p->engine, slot, p->now);
				if (draw(p, 2))
					peer_release(p, slot);
			}
		}
		peer_logs(p);
	}
}

static void step(struct model *m)
{
	struct peer *p = m->p;
	size_t n = draw(p, 3) ? draw(p, 3) : draw(p, 25);

	while (n--)
		tell(m, (int)draw(p, SERVERS));
	command(m);
	if (m->memory && !draw(p, 5))
		unit_fail_at((long)draw(p, 300));
	if (m->slow && draw(p, 3)) {
		run_slowly(m);
		unit_fail_at(-1);
		read_log(m);
		return;
	}
	peer_run(p);
	if (draw(p, 3))
		peer_wait(p);
	else
		peer_tick(p, p->now + draw(p, 3) * draw(p, 8000));
	peer_run(p);
	unit_fail_at(-1);
	read_log(m);
	check_engine(m->p->engine, m->p->now);
}

static void finish_drain(struct model *m)
{
	struct peer *p = m->p;
	uint64_t until = p->now + 30000;

	m->draining = true;
	engine_drain(p->engine, until, p->now);
	peer_run(p);
	check_engine(m->p->engine, m->p->now);
	while (peer_stats(p).connections || (engine_busy(p->engine) && p->now < until)) {
		if (!draw(p, 4))
			tell(m, (int)draw(p, SERVERS));
		peer_run(p);
		read_log(m);
		if (!peer_wait(p))
			peer_tick(p, until);
		read_log(m);
	}
	for (; engine_abandon(p->engine, 10, p->now); read_log(m))
		peer_logs(p);
}

/* All is well again: what comes now arrives, unless it must go out of the way of other alerts. */
static void check_arrived(struct model *m, size_t from)
{
	size_t i, k, n;

	for (n = from; n <= m->ntold; n++) {
		const struct engine_proxy *be = m->proxies[m->told[n].proxy];

		for (i = 0; i < MAILERS && be->max_age_ms == 600000 && !peer_stats(m->p).lost; i++) {
			for (k = 0; k < RCPTS; k++) {
				if (m->told[n].copies[i][k].due && !m->told[n].copies[i][k].taken)
					fail_msg("alert %zu did not come to %s", n, rcpts[k]);
			}
		}
	}
}

static void finish(struct model *m, bool paused)
{
	struct peer *p = m->p;
	uint64_t until = p->now + 3000000; /* max_age, and the time of a mail on its way for each recipient */
	size_t from = m->ntold + 1;

	if (paused) {
		engine_pause(p->engine, addresses[0], p->now);
	} else {
		m->bad = 0;
		m->away = 0;
		m->silent = 0;
		engine_resume(p->engine, NULL, p->now);
		while (m->ntold < from + 10)
			tell(m, SERVERS + (int)draw(p, LANES - SERVERS));
	}
	peer_run(p);
	while (engine_busy(p->engine)) {
		check_engine(m->p->engine, m->p->now);
		assert_true(peer_wait(p));
		read_log(m);
		if (p->now > until)
			fail_msg("it does not end");
	}
	if (!paused)
		check_arrived(m, from);
}

static void check_fates(struct model *m)
{
	struct engine_stats s = peer_stats(m->p);
	size_t n, i, k, due = 0, reached = 0, said = 0, both = 0;

	for (n = 1; n <= m->ntold; n++) {
		for (i = 0; i < MAILERS; i++) {
			for (k = 0; k < RCPTS; k++) {
				const struct copy *c = &m->told[n].copies[i][k];

				due += c->due;
				reached += c->taken > 0;
				said += c->said > 0;
				both += c->taken && c->said;
				if (!c->due || c->taken || c->said || s.lost || m->deaf)
					continue;
				fail_msg("nobody knows of alert %zu for %s over %zu", n, rcpts[k], i);
			}
		}
	}
	assert_int_equal(s.recipients, due);
	assert_int_equal(s.accepted + s.refused + s.given_up + s.abandoned + s.lost, due);
	assert_true(reached >= s.accepted);
	if (m->deaf)
		return;
	assert_int_equal(said, s.refused + s.given_up + s.abandoned);
	assert_true(reached + said - both + s.lost >= due);
}

static void run(uint64_t seed)
{
	static const uint64_t starts[] = { 0, 1000000, UINT32_MAX - 100000, INT64_MAX };
	struct model *m = &model;
	struct peer *p = peer_new(seed % PEER_MODES);
	size_t i;

	memset(m, 0, sizeof(*m));
	m->p = p;
	p->random = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
	p->now = starts[draw(p, sizeof(starts) / sizeof(*starts))];
	engine_free(p->engine);
	p->engine = engine_new(&(struct engine_settings){
		.token = "token", .limits.alerts = draw(p, 3) ? 0 : 1 + draw(p, 40), .max_age_ms = 600000 });
	p->plain = !draw(p, 3);
	p->chunking = draw(p, 2);
	p->hook = chaos;
	p->taken = taken;
	p->mailer.fall = (unsigned)(1 + draw(p, 3));
	p->mailer.rise = (unsigned)(1 + draw(p, 2));
	p->maxconn = (unsigned)(1 + draw(p, 4));
	m->bad = 20;
	m->slow = draw(p, 2);
	m->memory = !draw(p, 3);
	m->limit = (unsigned)(1 + draw(p, 4));
	m->per_ms = (uint32_t)(1000 + draw(p, 30000));
	for (i = 0; i < PROXIES; i++)
		m->proxies[i] = set_up(p, (int)i);
	for (i = 0; i < STEPS; i++)
		step(m);
	if (!draw(p, 3))
		finish_drain(m);
	else
		finish(m, draw(p, 2));
	read_log(m);
	check_fates(m);
	peer_free(p);
}

static void fates__everything_at_random__one_each(void **state)
{
	const char *from = getenv("MODEL_FROM"), *to = getenv("MODEL_TO");
	uint64_t seed, first = from ? strtoull(from, NULL, 10) : 1, last = to ? strtoull(to, NULL, 10) : 40;

	(void)state;
	for (seed = first; seed <= last; seed++) {
		if (from)
			fprintf(stderr, "seed %d\n", (int)seed);
		run(seed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fates__everything_at_random__one_each),
	};

	return cmocka_run_group_tests_name("engine fates", tests, NULL, NULL);
}
