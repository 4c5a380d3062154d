/*
 * engine_peer - what the tests of the engine stand between: a host that moves bytes, and mail servers in
 * memory that do as their rules say. For the test programs that include this; no sockets, no clock.
 *
 * The host does what the driver in HAProxy does: it opens what engine_connect() names, sends all, reads what
 * engine_need() says (or, by its mode, whole, or byte by byte), cuts what engine_expired() names. peer_run()
 * goes on until nobody can, peer_wait() lets the time pass to the engine's next deadline.
 *
 * A server answers as a correct one, except where a rule says otherwise. The first rule that fits holds.
 */
#ifndef ENGINE_PEER_H
#define ENGINE_PEER_H

#include <mailers/engine.h>
#include <mailers/smtp_client.h>

#include "unit.h"

/* Bytes of a message, or on their way; a test may need more. */
#ifndef PEER_BUFFER
#define PEER_BUFFER 16384
#endif
#ifndef PEER_LOG
#define PEER_LOG (1 << 18) /* bytes of the log */
#endif

enum peer_mode { PEER_NEED = 0, PEER_WHOLE, PEER_BYTES, PEER_MODES };

enum peer_stage {
	AT_CONNECT = 0, AT_TLS, AT_GREETING, AT_EHLO, AT_HELO, AT_STARTTLS, AT_AUTH, AT_RSET, AT_MAIL, AT_RCPT, AT_DATA,
	AT_MESSAGE, AT_QUIT,
	PEER_STAGES
};

/* Replies that are none. */
static const char PEER_CLOSE[] = "close";           /* closes; at CONNECT: refuses */
static const char PEER_MUTE[] = "mute";             /* says nothing, for ever */
static const char PEER_TAKE_CLOSE[] = "take+close"; /* MESSAGE: takes the mail, closes before it says so */

struct peer_rule {
	const char *address;    /* of the server; NULL: any */
	enum peer_stage at;
	const char *match;      /* stands in the command, or in the message; NULL: anything */
	const char *reply;      /* lines without the last CRLF; after a 421 the server closes */
	unsigned times;         /* so often; 0: always */
};

enum { PEER_SLOTS = 128, PEER_MAILS = 32768, PEER_RULES = 8, PEER_RCPTS = 100 };

/* A mail that a server took, for one recipient. */
struct peer_mail {
	char address[24], rcpt[40], text[64], id[100];
	uint64_t ms;
};

struct peer_connection {
	bool open, up, mute, closed;     /* closed: by the server, what it said before is still to be read */
	bool secured, greet;             /* TLS runs, or begins; the greeting waits for it */
	char in[PEER_BUFFER], out[PEER_BUFFER];      /* from and to the client */
	size_t in_len, out_len;
	bool mail, data;                 /* an envelope is open; a message comes in */
	char message[PEER_BUFFER];
	size_t message_len, nrcpt;
	size_t bdat;                     /* bytes of a chunk that are still to come */
	char rcpt[PEER_RCPTS][40];
};

struct peer {
	struct engine *engine;
	uint64_t now;
	enum peer_mode mode;
	bool plain;                      /* no PIPELINING */
	bool chunking;                   /* CHUNKING */
	const char *auth;                /* mechanisms that are offered, NULL: no AUTH */
	/* TLS, of the test program that has it: what the client sent, what the server says from <at> on in
	 * out.
	 */
	void (*receive)(struct peer *p, struct peer_connection *c, const char *address, const char *data, size_t n);
	void (*seal)(struct peer_connection *c, size_t at);
	unsigned maxconn;                /* 0: as usual */
	struct engine_proxy_settings proxy; /* of peer_proxy(), where it says nothing else */
	struct mailer_settings mailer;   /* of peer_mailer(), the same */
	struct peer_rule rules[PEER_RULES];
	unsigned used[PEER_RULES];
	const char *(*hook)(struct peer *p, const char *address, enum peer_stage at); /* asked before the rules */
	uint64_t random;                 /* for hooks */
	void (*taken)(struct peer *p, const struct peer_mail *mail, const char *message); /* told of each; NULL: nobody */
	struct peer_connection slots[PEER_SLOTS];
	size_t nmails, nalerts, nopened, nopen, most_open;
	size_t idle;                     /* waits in a row in which no time passed */
	uint64_t opened_ms[64];          /* when the first of them were */
	char last[PEER_BUFFER];              /* the mail that was taken last, whole */
	char log[PEER_LOG];              /* lines "<level> text", each with a '\n' */
	size_t log_len;
	struct peer_mail mails[PEER_MAILS]; /* not cleared, nor is what follows */
	struct peer_mail alerts[PEER_MAILS]; /* the same, but each alert of a fold by itself */
};

static struct peer peer_one; /* big, and one at a time is enough */

/* --- the servers --- */

static inline const char *peer_extensions(const struct peer *p, const struct peer_connection *c)
{
	static char reply[200];

	snprintf(reply, sizeof(reply), "250-mx\r\n%s%s%s%s%s%s250 8BITMIME", p->plain ? "" : "250-PIPELINING\r\n",
	         p->chunking ? "250-CHUNKING\r\n" : "", p->receive && !c->secured ? "250-STARTTLS\r\n" : "",
	         p->auth ? "250-AUTH " : "", p->auth ? p->auth : "", p->auth ? "\r\n" : "");
	return reply;
}

static inline const char *peer_default(const struct peer *p, const struct peer_connection *c,
                                       enum peer_stage at)
{
	switch (at) {
	case AT_CONNECT:
		return "";
	case AT_GREETING:
		return "220 mx ESMTP";
	case AT_EHLO:
		return peer_extensions(p, c);
	case AT_TLS:
		return "";
	case AT_STARTTLS:
		return "220 go on";
	case AT_AUTH:
		return "235 welcome";
	case AT_MAIL:
		return c->mail ? "503 nested MAIL" : "250 2.1.0 Ok";
	case AT_RCPT:
		return c->mail ? "250 2.1.5 Ok" : "503 need MAIL";
	case AT_DATA:
		return c->nrcpt ? "354 go on" : "503 need RCPT";
	case AT_MESSAGE: /* of a BDAT too */
		return c->nrcpt ? "250 2.0.0 queued" : "503 need RCPT";
	case AT_QUIT:
		return "221 bye";
	default:
		return "250 Ok";
	}
}

static inline const char *peer_choose(struct peer *p, const struct peer_connection *c, const char *address,
                                      enum peer_stage at, const char *what)
{
	const char *reply = p->hook ? p->hook(p, address, at) : NULL;
	size_t i;

	if (reply)
		return reply;
	for (i = 0; i < PEER_RULES && p->rules[i].reply; i++) {
		const struct peer_rule *r = &p->rules[i];

		if (r->at == at && (!r->address || !strcmp(r->address, address)) &&
		    (!r->match || strstr(what, r->match)) && (!r->times || p->used[i] < r->times)) {
			p->used[i]++;
			return r->reply;
		}
	}
	return peer_default(p, c, at);
}

/* Copies what follows <name> in the message, up to <end>. */
static inline void peer_copy_after(char *out, size_t size, const char *message, const char *name, char end)
{
	const char *p = strstr(message, name);
	size_t n;

	assert_non_null(p);
	p += strlen(name);
	n = (size_t)(strchr(p, end) - p);
	assert_true(n < size);
	memcpy(out, p, n);
	out[n] = '\0';
}

/* The alerts of <mail>, whose lines follow its first one. */
static inline void peer_take_alerts(struct peer *p, const struct peer_mail *mail, const char *message)
{
	const char *line = strstr(strstr(message, "\r\n\r\n") + 4, "\r\n") + 2;
	bool fold = strstr(mail->text, " alerts in one mail: ") != NULL;

	do {
		struct peer_mail *m = &p->alerts[p->nalerts++];

		assert_true(p->nalerts <= PEER_MAILS);
		*m = *mail;
		if (fold) {
			peer_copy_after(m->text, sizeof(m->text), strchr(line, ')'), ": ", '\r');
			line = strstr(line, "\r\n") + 2;
		}
	} while (fold && *line != '\r');
}

static inline void peer_take(struct peer *p, struct peer_connection *c, const char *address)
{
	size_t i;

	snprintf(p->last, sizeof(p->last), "%s", c->message);
	for (i = 0; i < c->nrcpt; i++) {
		struct peer_mail *m = &p->mails[p->nmails++];

		assert_true(p->nmails <= PEER_MAILS);
		snprintf(m->address, sizeof(m->address), "%s", address);
		snprintf(m->rcpt, sizeof(m->rcpt), "%s", c->rcpt[i]);
		peer_copy_after(m->text, sizeof(m->text), c->message, "\r\n\r\n", '\r');
		peer_copy_after(m->id, sizeof(m->id), c->message, "Message-ID: <", '>');
		m->ms = p->now;
		peer_take_alerts(p, m, c->message);
		if (p->taken)
			p->taken(p, m, c->message);
	}
}

/* The server says what its rules make it say, and changes accordingly. */
static inline void peer_answer(struct peer *p, struct peer_connection *c, const char *address,
                               enum peer_stage at, const char *what)
{
	const char *reply = peer_choose(p, c, address, at, what);

	if (reply == PEER_MUTE) {
		c->mute = true;
	} else if (reply == PEER_CLOSE || reply == PEER_TAKE_CLOSE) {
		c->closed = true;
	} else {
		c->out_len += (size_t)snprintf(c->out + c->out_len, sizeof(c->out) - c->out_len, "%s\r\n", reply);
		assert_true(c->out_len < sizeof(c->out));
		c->closed = !strncmp(reply, "421", 3) || at == AT_QUIT;
	}
	if (at == AT_STARTTLS && reply[0] == '2')
		c->secured = true;
	if (at == AT_MAIL && reply[0] == '2')
		c->mail = true;
	if (at == AT_RCPT && reply[0] == '2')
		peer_copy_after(c->rcpt[c->nrcpt++], sizeof(c->rcpt[0]), what, "TO:<", '>');
	if (at == AT_DATA && reply[0] == '3')
		c->data = true;
	if (at == AT_MESSAGE && c->nrcpt && (reply[0] == '2' || reply == PEER_TAKE_CLOSE))
		peer_take(p, c, address);
	if (at == AT_MESSAGE || at == AT_RSET) {
		c->mail = false;
		c->nrcpt = 0;
	}
}

static inline void peer_line(struct peer *p, struct peer_connection *c, const char *address, char *line)
{
	static const struct { const char *verb; enum peer_stage at; } verbs[] = {
		{ "EHLO ", AT_EHLO }, { "HELO ", AT_HELO }, { "STARTTLS", AT_STARTTLS }, { "AUTH ", AT_AUTH },
		{ "RSET", AT_RSET }, { "MAIL FROM:<", AT_MAIL }, { "RCPT TO:<", AT_RCPT }, { "DATA", AT_DATA }, { "QUIT", AT_QUIT },
	};
	size_t i, n;

	if (c->data && !strcmp(line, ".")) {
		c->data = false;
		c->message[c->message_len] = '\0';
		peer_answer(p, c, address, AT_MESSAGE, c->message);
		c->message_len = 0;
	} else if (c->data) {
		line += line[0] == '.';
		n = strlen(line);
		assert_true(c->message_len + n + 2 < sizeof(c->message));
		memcpy(c->message + c->message_len, line, n);
		memcpy(c->message + c->message_len + n, "\r\n", 2);
		c->message_len += n + 2;
	} else if (sscanf(line, "BDAT %zu LAST", &c->bdat) == 1) {
		assert_true(c->bdat && c->bdat < sizeof(c->message));
	} else {
		for (i = 0; strncmp(line, verbs[i].verb, strlen(verbs[i].verb)); i++)
			assert_true(i + 1 < sizeof(verbs) / sizeof(*verbs)); /* the client says nothing else */
		peer_answer(p, c, address, verbs[i].at, line);
	}
}

/* The last chunk of a message; false while not all of it is there. */
static inline bool peer_chunk(struct peer *p, struct peer_connection *c, const char *address)
{
	size_t n = c->bdat;

	if (c->in_len < n)
		return false;
	memcpy(c->message, c->in, n);
	c->message[n] = '\0';
	c->bdat = 0;
	c->in_len -= n;
	memmove(c->in, c->in + n, c->in_len);
	peer_answer(p, c, address, AT_MESSAGE, c->message);
	return true;
}

/* The server reads what has come. */
static inline void peer_serve(struct peer *p, struct peer_connection *c, const char *address)
{
	char *end;

	while (!c->mute && !c->closed && c->in_len) {
		size_t n;

		if (c->bdat) {
			if (!peer_chunk(p, c, address))
				break;
			continue;
		}
		end = memchr(c->in, '\n', c->in_len);
		if (!end)
			break;
		n = (size_t)(end - c->in) + 1;
		assert_true(n >= 2 && end[-1] == '\r');
		end[-1] = '\0';
		peer_line(p, c, address, c->in);
		c->in_len -= n;
		memmove(c->in, c->in + n, c->in_len);
	}
}

/* --- the host --- */

static inline void peer_logs(struct peer *p)
{
	struct engine_log line;

	while (engine_next_log(p->engine, &line)) {
		if (p->log_len + sizeof(line) > sizeof(p->log))
			p->log_len = 0; /* a long run: only the newest matter */
		p->log_len += (size_t)sprintf(p->log + p->log_len, "<%d> %s\n", (int)line.level, line.text);
	}
}

static inline void peer_open(struct peer *p, int slot)
{
	struct peer_connection *c = &p->slots[slot];
	const char *address = engine_address(p->engine, slot), *reply;

	assert_true(slot < PEER_SLOTS && !c->open);
	memset(c, 0, sizeof(*c));
	c->open = true;
	if (p->nopened < sizeof(p->opened_ms) / sizeof(*p->opened_ms))
		p->opened_ms[p->nopened] = p->now;
	p->nopened++;
	if (++p->nopen > p->most_open)
		p->most_open = p->nopen;
	reply = peer_choose(p, c, address, AT_CONNECT, address);
	if (reply == PEER_MUTE)
		return;
	if (reply == PEER_CLOSE) {
		engine_eof(p->engine, slot, p->now);
		return;
	}
	c->up = true;
	engine_connected(p->engine, slot, p->now);
	c->secured = c->greet = engine_encrypted(p->engine, slot); /* implicit TLS: the greeting comes within it */
	if (!c->greet)
		peer_answer(p, c, address, AT_GREETING, address);
}

static inline void peer_release(struct peer *p, int slot)
{
	engine_release(p->engine, slot, p->now);
	p->slots[slot].open = false;
	p->nopen--;
}

static inline void peer_send(struct peer *p, int slot)
{
	struct peer_connection *c = &p->slots[slot];
	const char *data;
	size_t n = engine_peek(p->engine, slot, &data), before;
	bool secured = c->secured;

	assert_true(n);
	if (p->mode == PEER_BYTES)
		n = 1;
	if (secured) {
		p->receive(p, c, engine_address(p->engine, slot), data, n);
	} else {
		assert_true(c->in_len + n <= sizeof(c->in));
		memcpy(c->in + c->in_len, data, n);
		c->in_len += n;
	}
	engine_ack(p->engine, slot, n, p->now);
	before = c->out_len;
	peer_serve(p, c, engine_address(p->engine, slot));
	if (secured && c->out_len > before)
		p->seal(c, before);
}

/* False when the host would wait. */
static inline bool peer_receive(struct peer *p, int slot)
{
	struct peer_connection *c = &p->slots[slot];
	size_t need = engine_need(p->engine, slot), n = c->out_len;
	char data[sizeof(c->out)];

	assert_true(need);
	if (p->mode == PEER_BYTES && n > 1)
		n = 1;
	if (p->mode == PEER_NEED && n < need && !c->closed)
		return false;
	if (p->mode == PEER_NEED && n > need)
		n = need;
	if (!n && !c->closed)
		return false;
	memcpy(data, c->out, n);
	c->out_len -= n;
	memmove(c->out, c->out + n, c->out_len);
	if (n)
		engine_feed(p->engine, slot, data, n, p->now);
	else
		engine_eof(p->engine, slot, p->now);
	return true;
}

/* One act of the host on one connection; false when it would wait. */
static inline bool peer_step(struct peer *p, int slot)
{
	enum engine_want want = engine_want(p->engine, slot);

	if (want == ENGINE_WANT_CLOSE)
		peer_release(p, slot);
	else if (!p->slots[slot].up)
		return false;
	else if (want == ENGINE_WANT_WRITE)
		peer_send(p, slot);
	else
		return peer_receive(p, slot);
	return true;
}

/* Opens what there is to open. */
static inline bool peer_connect(struct peer *p)
{
	bool opened = false;
	int slot;

	while ((slot = engine_connect(p->engine, p->now)) >= 0) {
		peer_open(p, slot);
		opened = true;
	}
	return opened;
}

/* Goes on until all wait, one act of each connection after the other's. */
static inline void peer_run(struct peer *p)
{
	bool goes_on = true;
	int slot;

	while (goes_on) {
		goes_on = peer_connect(p);
		for (slot = 0; slot < PEER_SLOTS; slot++)
			goes_on |= p->slots[slot].open && peer_step(p, slot);
		peer_logs(p);
	}
}

/* Ticks at <now>, and cuts what is named. */
static inline void peer_tick(struct peer *p, uint64_t now)
{
	int slot;

	p->now = now;
	engine_tick(p->engine, now);
	while ((slot = engine_expired(p->engine)) >= 0) {
		assert_true(p->slots[slot].open);
		engine_eof(p->engine, slot, now);
		assert_int_equal(engine_want(p->engine, slot), ENGINE_WANT_CLOSE);
		peer_release(p, slot);
	}
	peer_run(p);
}

/* Lets the time pass to the next deadline; false when there is none. */
static inline bool peer_wait(struct peer *p)
{
	uint64_t deadline = engine_deadline(p->engine, p->now);

	if (deadline == UINT64_MAX)
		return false;
	/* It may be past when a release made something possible; but nobody may have to spin. */
	p->idle = deadline > p->now ? 0 : p->idle + 1;
	assert_true(p->idle < 3);
	peer_tick(p, deadline > p->now ? deadline : p->now);
	return true;
}

/* Goes on until nothing is queued or open any more. */
static inline void peer_finish(struct peer *p)
{
	size_t rounds = 0;

	peer_run(p);
	while (engine_busy(p->engine)) {
		assert_true(peer_wait(p));
		assert_true(++rounds < 100000);
	}
}

/* --- a test's own words --- */

static inline struct peer *peer_new(enum peer_mode mode)
{
	struct peer *p = &peer_one;

	memset(p, 0, offsetof(struct peer, mails));
	p->now = 1000000;
	p->mode = mode;
	p->random = 0x9E3779B97F4A7C15;
	p->engine = engine_new(&(struct engine_settings){ .token = "token" });
	return p;
}

static inline struct engine_proxy *peer_proxy(struct peer *p, const char *name, const char *to)
{
	struct engine_proxy_settings settings = p->proxy;
	char reason[ENGINE_REASON_MAX];
	struct engine_proxy *proxy;

	settings.name = name;
	settings.from = "haproxy@example.org";
	settings.to = to;
	settings.level = ALERT_LEVEL_INFO;
	assert_int_equal(engine_proxy_add(p->engine, &settings, &proxy, reason), MAILERS_OK);
	return proxy;
}

/* Adds the mailer at <address>, which is its name too. */
static inline void peer_mailer(struct peer *p, struct engine_proxy *proxy, const char *address)
{
	struct mailer_settings settings = p->mailer;
	char reason[ENGINE_REASON_MAX];

	settings.name = address;
	settings.address = address;
	settings.helo = "lb1.example.org";
	settings.timeout_mail_ms = MAILER_TIMEOUT_MAIL_MS;
	settings.timeout_final_ms = MAILER_TIMEOUT_FINAL_MS;
	settings.timeout_quit_ms = MAILER_TIMEOUT_QUIT_MS;
	settings.maxconn = p->maxconn ? p->maxconn : MAILER_MAXCONN;
	assert_int_equal(engine_proxy_mailer(p->engine, proxy, &settings, reason), MAILERS_OK);
}

static inline void peer_ready(struct peer *p, struct engine_proxy *proxy)
{
	char reason[ENGINE_REASON_MAX];

	assert_int_equal(engine_proxy_ready(p->engine, proxy, reason), MAILERS_OK);
	assert_string_equal(reason, "");
}

static inline enum mailers_error peer_raise(struct peer *p, struct engine_proxy *proxy, uint64_t server,
                                            const char *text)
{
	struct alert_text what = { .level = ALERT_LEVEL_ALERT, .kind = ALERT_KIND_STATE };
	char name[32];

	snprintf(name, sizeof(name), "be/s%d", (int)server);
	return engine_raise(p->engine, proxy, server, name, &what, text, strlen(text),
	                    "Wed, 30 Sep 2026 16:09:04 +0000 (UTC)", p->now);
}

/* How often does <text> stand in the log? */
static inline size_t peer_logged(const struct peer *p, const char *text)
{
	const char *s = p->log;
	size_t n = 0;

	for (; p->log_len && (s = strstr(s, text)); s += strlen(text))
		n++;
	return n;
}

/* How often was a mail taken? NULL: any. */
static inline size_t peer_took(const struct peer *p, const char *address, const char *rcpt,
                               const char *text)
{
	size_t i, n = 0;

	for (i = 0; i < p->nmails; i++) {
		const struct peer_mail *m = &p->mails[i];

		n += (!address || !strcmp(m->address, address)) && (!rcpt || !strcmp(m->rcpt, rcpt)) &&
		     (!text || !strcmp(m->text, text));
	}
	return n;
}

/* The mails that one recipient got from any server, in the order of their arrival: "one two three". */
static inline const char *peer_order(const struct peer *p, const char *rcpt)
{
	static char order[4096];
	size_t i, n = 0;

	order[0] = '\0';
	for (i = 0; i < p->nmails; i++) {
		if (!strcmp(p->mails[i].rcpt, rcpt))
			n += (size_t)snprintf(order + n, sizeof(order) - n, "%s%s", n ? " " : "", p->mails[i].text);
	}
	return order;
}

static inline struct engine_stats peer_stats(const struct peer *p)
{
	struct engine_stats stats;

	engine_stats(p->engine, &stats);
	return stats;
}

/* Everything is delivered or said to be lost, and closed. */
static inline void peer_free(struct peer *p)
{
	struct engine_stats stats = peer_stats(p);

	assert_false(engine_busy(p->engine));
	assert_int_equal(stats.queued + stats.connections, 0);
	assert_int_equal(p->nopen, 0);
	engine_free(p->engine);
}

#endif
