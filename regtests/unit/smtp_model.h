/*
 * smtp_model - a server that obeys RFC 5321, RFC 2920 and RFC 3030 and says what the addresses ask for, for the tests that
 * include this: a sender "a-550-354-250@x" has its MAIL refused, "a-250-354-451@x" its message deferred, a recipient
 * "0-550@x" is refused. Whatever happens, the verdicts must agree with what the server has delivered, and to
 * whom in whose name: run_check().
 */
#ifndef SMTP_MODEL_H
#define SMTP_MODEL_H

#include <mailers/smtp_client.h>

#include "unit.h"

#define MODEL_SIZE 16384
#define MAILS_MAX 6
#define RCPTS_MAX 20
#define MESSAGE_SIZE 4096

struct model { /* the server */
	bool esmtp, pipelining, chunking;
	enum smtp_tls tls;             /* STARTTLS is offered, and no mail taken before it; or TLS comes first */
	const char *mechanism;         /* AUTH is needed for a mail: PLAIN or LOGIN; NULL: not */
	bool secure, authenticated;
	bool naive;                    /* DATA without a recipient is answered with 354 */
	bool exim;                     /* 4.96: a MAIL within an envelope gets 503, and what follows it is joined with
	                                * that envelope; else the client may not say such a MAIL */
	unsigned lines;                /* of each reply */
	unsigned limit;                /* mails per connection, and what is said then; 0: none */
	unsigned limit_code;           /* 0: it closes */
	size_t cut;                    /* the connection breaks after so many bytes of its replies, 0: never */

	char in[MODEL_SIZE], out[MODEL_SIZE];
	size_t in_len, out_len, said;
	bool closed;
	unsigned taken;                /* mails */
	bool envelope, data;
	unsigned codes[3];             /* of the sender: MAIL, DATA, message */
	int mail;                      /* index of the mail in the envelope */
	unsigned rcpts;                /* bit set: accepted in this envelope */
	unsigned delivered[MAILS_MAX]; /* bit sets */
};

struct mail {
	char from[32], rcpt[RCPTS_MAX][SMTP_CLIENT_PATH_MAX + 1];
	const char *rcpts[RCPTS_MAX];
	size_t nrcpt;
	char message[MESSAGE_SIZE];
	unsigned answers;
	bool submitted;
	enum smtp_outcome outcome[RCPTS_MAX];
};

struct run {
	struct model model;
	struct mail mails[MAILS_MAX];
	size_t nmails, next;
	uint32_t seed; /* 0: bytes go whole */
	unsigned accepted, flying, most;
	bool over, refused_memory;
	enum smtp_client_event_type end;
	enum mailers_error error;
};

static inline uint32_t draw(struct run *r, uint32_t n)
{
	r->seed ^= r->seed << 13;
	r->seed ^= r->seed >> 17;
	r->seed ^= r->seed << 5;
	return r->seed % n;
}

/* The message of mail <i>, each longer than the one before; <dot> starts its lines. */
static inline size_t write_message(char out[MESSAGE_SIZE], size_t i, const char *dot)
{
	size_t len = (size_t)sprintf(out, "Subject: %zu\r\n\r\n", i), k;

	for (k = 0; k <= 30 * i; k++)
		len += (size_t)sprintf(out + len, "%shello, %zu\r\n", dot, k);
	return len;
}

/* --- the server --- */

static inline void model_reply(struct model *m, unsigned code)
{
	unsigned i;

	for (i = 1; i < m->lines; i++)
		m->out_len += (size_t)sprintf(m->out + m->out_len, "%u-line %u\r\n", code, i);
	m->out_len += (size_t)sprintf(m->out + m->out_len, m->lines ? "%u text\r\n" : "%u\r\n", code);
	assert_true(m->out_len < MODEL_SIZE / 2);
	if (code == 421)
		m->closed = true;
}

static inline void model_mail(struct model *m, const char *line)
{
	char id;

	assert_true(m->secure || m->tls == SMTP_TLS_NONE);
	assert_true(m->authenticated || !m->mechanism);
	if (m->limit && m->taken == m->limit) {
		m->closed = !m->limit_code;
		if (m->limit_code)
			model_reply(m, m->limit_code);
		return;
	}
	assert_int_equal(sscanf(line, "MAIL FROM:<%c-%u-%u-%u@x>", &id, &m->codes[0], &m->codes[1],
	                        &m->codes[2]), 4);
	if (m->envelope) {
		assert_true(m->exim);
		model_reply(m, 503);
		return;
	}
	m->mail = id - 'a';
	m->rcpts = 0;
	m->envelope = m->codes[0] < 300;
	model_reply(m, m->codes[0]);
}

static inline void model_rcpt(struct model *m, const char *line)
{
	unsigned k, code;

	assert_int_equal(sscanf(line, "RCPT TO:<%u-%u@", &k, &code), 2);
	if (!m->envelope) {
		assert_true(m->pipelining); /* else it knows of the refusal */
		model_reply(m, 503);
		return;
	}
	if (code < 300)
		m->rcpts |= 1u << k;
	model_reply(m, code);
}

static inline void model_data(struct model *m)
{
	unsigned code = m->codes[1];

	assert_true(m->rcpts || m->pipelining);
	if (!m->envelope)
		code = m->naive ? 354 : 503;
	else if (!m->rcpts)
		code = m->naive ? 354 : 554;
	m->data = code == 354;
	model_reply(m, code);
}

static inline void model_ehlo(struct model *m)
{
	bool before = m->tls != SMTP_TLS_NONE && !m->secure; /* what it offers then is not what it has later */

	assert_true(m->esmtp);
	m->out_len += (size_t)sprintf(m->out + m->out_len, "250-x\r\n%s%s%s", before ? "250-STARTTLS\r\n" : "",
	                              m->pipelining != before ? "250-PIPELINING\r\n" : "",
	                              m->chunking != before ? "250-CHUNKING\r\n" : "");
	if (m->mechanism && !before)
		m->out_len += (size_t)sprintf(m->out + m->out_len, "250-AUTH %s\r\n", m->mechanism);
	m->out_len += (size_t)sprintf(m->out + m->out_len, "250 HELP\r\n");
}

static inline void model_auth(struct model *m, const char *line)
{
	bool login = !strcmp(line, "AUTH LOGIN") || !strcmp(line, "dXNlcg==");

	assert_non_null(m->mechanism);
	assert_true(m->secure || m->tls == SMTP_TLS_NONE);
	m->authenticated = !login;
	m->out_len += (size_t)sprintf(m->out + m->out_len, login ? "334 VXNlcm5hbWU6\r\n" : "235 yes\r\n");
}

/* All of a chunk. A failed one leaves the envelope open: nothing but RSET is said to end it (RFC 3030). */
static inline void model_chunk(struct model *m, const char *text, size_t len)
{
	char want[MESSAGE_SIZE];

	assert_true(m->chunking);
	if (!m->envelope || !m->rcpts) {
		model_reply(m, m->naive ? 554 : 503);
		return;
	}
	assert_int_equal(len, write_message(want, (size_t)m->mail, "."));
	assert_memory_equal(text, want, len);
	if (m->codes[2] < 300) {
		m->delivered[m->mail] |= m->rcpts;
		m->taken++;
		m->envelope = false;
	}
	model_reply(m, m->codes[2]);
}

static inline void model_line(struct model *m, const char *line)
{
	if (!strncmp(line, "EHLO ", 5)) {
		model_ehlo(m);
	} else if (!strcmp(line, "STARTTLS")) {
		assert_true(m->tls != SMTP_TLS_NONE && !m->secure);
		model_reply(m, 220);
	} else if (!strcmp(line, "AUTH PLAIN AHVzZXIAcGFzcw==") || !strcmp(line, "AUTH LOGIN") ||
	           !strcmp(line, "dXNlcg==") || !strcmp(line, "cGFzcw==")) {
		model_auth(m, line);
	} else if (!strcmp(line, "*")) {
		assert_non_null(m->mechanism); /* it has no memory for the response */
		model_reply(m, 501);
	} else if (!strncmp(line, "HELO ", 5)) {
		assert_false(m->esmtp);
		model_reply(m, 250);
	} else if (!strncmp(line, "MAIL", 4)) {
		model_mail(m, line);
	} else if (!strncmp(line, "RCPT", 4)) {
		model_rcpt(m, line);
	} else if (!strcmp(line, "DATA")) {
		assert_false(m->chunking);
		model_data(m);
	} else if (!strcmp(line, "RSET")) {
		m->envelope = false;
		model_reply(m, 250);
	} else if (!strcmp(line, "QUIT")) {
		model_reply(m, 221);
		m->closed = true;
	} else {
		fail_msg("the server got \"%s\"", line);
	}
}

/* The end of the message at <len> bytes of <text>. */
static inline void model_message(struct model *m, const char *text, size_t len)
{
	char want[MESSAGE_SIZE];

	m->data = false;
	m->envelope = false;
	if (!m->rcpts) {
		assert_int_equal(len, 0); /* a dot alone: nobody is to get it */
		model_reply(m, 554);
		return;
	}
	assert_int_equal(len, write_message(want, (size_t)m->mail, ".."));
	assert_memory_equal(text, want, len);
	if (m->codes[2] < 300) {
		m->delivered[m->mail] |= m->rcpts;
		m->taken++;
	}
	model_reply(m, m->codes[2]);
}

/* Takes one command or message of <in>. Returns its bytes, 0 when it is not there to its end. */
static inline size_t model_step(struct model *m)
{
	char *end = strstr(m->in, "\r\n");
	size_t used, len;

	if (m->data) {
		end = !strncmp(m->in, ".\r\n", 3) ? m->in : strstr(m->in, "\r\n.\r\n");
		if (!end)
			return 0;
		used = (size_t)(end - m->in) + (end == m->in ? 0 : 2);
		model_message(m, m->in, used);
		return used + 3;
	}
	if (!end)
		return 0;
	used = (size_t)(end - m->in) + 2;
	if (sscanf(m->in, "BDAT %zu LAST", &len) == 1) {
		if (m->in_len < used + len)
			return 0;
		model_chunk(m, m->in + used, len);
		return used + len;
	}
	*end = '\0';
	model_line(m, m->in);
	return used;
}

static inline void model_input(struct model *m, const char *data, size_t len)
{
	size_t used;

	/* In lockstep it has been read to the end before it hears more. */
	assert_true(m->pipelining || !m->out_len || m->closed);
	memcpy(m->in + m->in_len, data, len);
	m->in_len += len;
	assert_true(m->in_len < MODEL_SIZE);
	m->in[m->in_len] = '\0';
	while (!m->closed && (used = model_step(m)) > 0) {
		m->in_len -= used;
		memmove(m->in, m->in + used, m->in_len + 1);
	}
}

/* --- the mails --- */

static inline void run_event(struct run *r, const struct smtp_client_event *ev)
{
	struct mail *mail = ev->cookie;
	size_t i;

	assert_false(r->over);
	if (ev->type == SMTP_EVENT_FAILED || ev->type == SMTP_EVENT_CLOSED) {
		r->over = true;
		r->end = ev->type;
		r->error = ev->error;
	}
	if (ev->type != SMTP_EVENT_TRANSACTION)
		return;
	assert_int_equal(mail->answers++, 0);
	r->flying--;
	assert_int_equal(ev->nverdicts, mail->nrcpt);
	for (i = 0; i < ev->nverdicts; i++)
		mail->outcome[i] = ev->verdicts[i].outcome;
}

/* The verdicts agree with what was delivered. */
static inline void run_check(struct run *r)
{
	size_t i, k;

	assert_true(r->over);
	for (i = 0; i < r->nmails; i++) {
		struct mail *mail = &r->mails[i];

		assert_int_equal(mail->answers, mail->submitted);
		for (k = 0; k < mail->nrcpt; k++) {
			bool delivered = r->model.delivered[i] >> k & 1;

			if (!mail->submitted)
				assert_false(delivered);
			else if (mail->outcome[k] != SMTP_OUTCOME_UNKNOWN)
				assert_int_equal(mail->outcome[k] == SMTP_OUTCOME_ACCEPTED, delivered);
		}
	}
	assert_true(r->accepted <= r->model.taken);
}

static inline void run_add(struct run *r, unsigned mail, unsigned data, unsigned final)
{
	struct mail *m = &r->mails[r->nmails];

	snprintf(m->from, sizeof(m->from), "%c-%u-%u-%u@x", 'a' + (int)r->nmails, mail, data, final);
	write_message(m->message, r->nmails, ".");
	r->nmails++;
}

static inline void run_add_rcpt(struct run *r, unsigned code)
{
	struct mail *m = &r->mails[r->nmails - 1];

	/* Of all lengths, so that the output grows at any of them. */
	snprintf(m->rcpt[m->nrcpt], sizeof(m->rcpt[0]), "%zu-%u@x%0*d", m->nrcpt, code,
	         (int)(12 * (m->nrcpt + 1)), 0);
	m->rcpts[m->nrcpt] = m->rcpt[m->nrcpt];
	m->nrcpt++;
}

static const unsigned mail_codes[] = { 250, 250, 250, 250, 250, 450, 550 };
static const unsigned data_codes[] = { 354, 354, 354, 354, 354, 451, 554 };
static const unsigned final_codes[] = { 250, 250, 250, 250, 250, 452, 552 };
static const unsigned rcpt_codes[] = { 250, 250, 250, 251, 252, 450, 550, 552 };
static const unsigned limit_codes[] = { 0, 421, 452, 503 };

#define DRAW(r, codes) codes[draw(r, sizeof(codes) / sizeof(*(codes)))]

static inline void run_draw(struct run *r, uint32_t seed)
{
	unsigned i, n;

	memset(r, 0, sizeof(*r));
	r->seed = seed;
	for (i = 0; i < 8; i++)
		draw(r, 2); /* neighbouring seeds begin alike */
	r->model.esmtp = draw(r, 8);
	r->model.pipelining = r->model.esmtp && draw(r, 3);
	r->model.chunking = r->model.esmtp && draw(r, 2);
	r->model.exim = draw(r, 2);
	r->model.naive = draw(r, 2);
	r->model.tls = r->model.esmtp ? (enum smtp_tls)draw(r, 4) : SMTP_TLS_NONE;
	if (r->model.esmtp && draw(r, 2))
		r->model.mechanism = draw(r, 2) ? "PLAIN" : "LOGIN";
	r->model.lines = draw(r, 4);
	n = 1 + draw(r, MAILS_MAX);
	while (n--) {
		run_add(r, DRAW(r, mail_codes), DRAW(r, data_codes), DRAW(r, final_codes));
		for (i = draw(r, 2) ? 1 : 1 + draw(r, RCPTS_MAX); i; i--)
			run_add_rcpt(r, DRAW(r, rcpt_codes));
	}
}

#endif
