/*
 * Whole sessions of smtp_client with a server that obeys RFC 5321, RFC 2920 and RFC 3030 and says what the
 * addresses ask for: a sender "a-550-354-250@x" has its MAIL refused, "a-250-354-451@x" its message deferred, a
 * recipient "0-550@x" is refused. Whatever happens, the verdicts must agree with what the server has delivered,
 * and to whom in whose name.
 */
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

static uint32_t draw(struct run *r, uint32_t n)
{
	r->seed ^= r->seed << 13;
	r->seed ^= r->seed >> 17;
	r->seed ^= r->seed << 5;
	return r->seed % n;
}

/* The message of mail <i>, each longer than the one before; <dot> starts its lines. */
static size_t write_message(char out[MESSAGE_SIZE], size_t i, const char *dot)
{
	size_t len = (size_t)sprintf(out, "Subject: %zu\r\n\r\n", i), k;

	for (k = 0; k <= 30 * i; k++)
		len += (size_t)sprintf(out + len, "%shello, %zu\r\n", dot, k);
	return len;
}

/* --- the server --- */

static void model_reply(struct model *m, unsigned code)
{
	unsigned i;

	for (i = 1; i < m->lines; i++)
		m->out_len += (size_t)sprintf(m->out + m->out_len, "%u-line %u\r\n", code, i);
	m->out_len += (size_t)sprintf(m->out + m->out_len, m->lines ? "%u text\r\n" : "%u\r\n", code);
	assert_true(m->out_len < MODEL_SIZE / 2);
	if (code == 421)
		m->closed = true;
}

static void model_mail(struct model *m, const char *line)
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

static void model_rcpt(struct model *m, const char *line)
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

static void model_data(struct model *m)
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

static void model_ehlo(struct model *m)
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

static void model_auth(struct model *m, const char *line)
{
	bool login = !strcmp(line, "AUTH LOGIN") || !strcmp(line, "dXNlcg==");

	assert_non_null(m->mechanism);
	assert_true(m->secure || m->tls == SMTP_TLS_NONE);
	m->authenticated = !login;
	m->out_len += (size_t)sprintf(m->out + m->out_len, login ? "334 VXNlcm5hbWU6\r\n" : "235 yes\r\n");
}

/* All of a chunk. A failed one leaves the envelope open: nothing but RSET is said to end it (RFC 3030). */
static void model_chunk(struct model *m, const char *text, size_t len)
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

static void model_line(struct model *m, const char *line)
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
static void model_message(struct model *m, const char *text, size_t len)
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
static size_t model_step(struct model *m)
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

static void model_input(struct model *m, const char *data, size_t len)
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

/* --- the host --- */

static void run_event(struct run *r, const struct smtp_client_event *ev)
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

static void run_submit(struct run *r, struct smtp_client *c)
{
	struct mail *mail = &r->mails[r->next++];
	struct smtp_envelope env = {
		.from = mail->from, .rcpt = mail->rcpts, .nrcpt = mail->nrcpt, .message = mail->message,
		.message_len = strlen(mail->message), .cookie = mail,
	};
	enum mailers_error error = smtp_client_submit(c, &env, 0);

	if (error == MAILERS_ERR_NOMEM) { /* nothing has changed: again */
		r->refused_memory = true;
		error = smtp_client_submit(c, &env, 0);
	}
	assert_int_equal(error, MAILERS_OK);
	mail->submitted = true;
	assert_in_range(++r->flying, 1, SMTP_CLIENT_WINDOW_MAILS);
	if (r->flying > r->most)
		r->most = r->flying;
}

static void run_write(struct run *r, struct smtp_client *c)
{
	char data[MODEL_SIZE];
	const char *peek;
	size_t n = smtp_client_peek(c, &peek);

	assert_in_range(n, 1, sizeof(data) - 1);
	if (r->seed)
		n = 1 + draw(r, (uint32_t)n);
	memcpy(data, peek, n);
	smtp_client_ack(c, n, 0);
	model_input(&r->model, data, n);
}

/* Reads what is needed, or, with a seed, 1 byte up to all that is there. Waiting for what never comes is the
 * error that this looks for.
 */
static void run_read(struct run *r, struct smtp_client *c)
{
	struct model *m = &r->model;
	size_t need = smtp_client_need(c), n = m->out_len;

	if (m->cut && n > m->cut - m->said) {
		n = m->cut - m->said;
		m->closed = true;
	}
	if (!n || (n < need && m->closed && !r->seed)) {
		assert_true(m->closed);
		smtp_client_eof(c, 0);
		return;
	}
	if (!m->closed)
		assert_in_range(need, 1, n);
	if (r->seed)
		n = 1 + draw(r, (uint32_t)n);
	else if (n > need)
		n = need;
	smtp_client_feed(c, m->out, n, 0);
	m->said += n;
	m->out_len -= n;
	memmove(m->out, m->out + n, m->out_len);
}

static bool run_step(struct run *r, struct smtp_client *c)
{
	struct smtp_client_event ev;

	while (smtp_client_next_event(c, &ev))
		run_event(r, &ev);
	while (r->next < r->nmails && smtp_client_accepts(c))
		run_submit(r, c);
	switch (smtp_client_want(c)) {
	case SMTP_CLIENT_WANT_READ:
		run_read(r, c);
		return true;
	case SMTP_CLIENT_WANT_WRITE:
		run_write(r, c);
		return true;
	case SMTP_CLIENT_WANT_TLS:
		assert_int_equal(r->model.out_len, r->model.tls == SMTP_TLS_IMPLICIT ? strlen(r->model.out) : 0);
		assert_int_equal(r->model.in_len, 0);
		r->model.secure = true;
		smtp_client_secured(c, 0);
		return true;
	case SMTP_CLIENT_WANT_SUBMIT:
		assert_int_equal(r->next, r->nmails);
		smtp_client_quit(c, 0);
		return true;
	default:
		return false;
	}
}

/* The verdicts agree with what was delivered. */
static void run_check(struct run *r)
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

/* One session from the greeting to its end. False without the memory to begin. */
static bool run_session(struct run *r)
{
	static const struct sasl_credentials password = { .user = "user", .password = "pass" };
	struct smtp_client_settings settings = {
		.helo = "me", .timeout_mail_ms = 10, .timeout_final_ms = 20, .timeout_quit_ms = 5,
		.tls = r->model.tls, .credentials = r->model.mechanism ? &password : NULL, .mechanisms = SASL_ALL,
		.auth_without_tls = r->model.tls == SMTP_TLS_NONE,
	};
	struct smtp_client *c = smtp_client_new(&settings, 0);

	if (!c)
		return false;
	smtp_client_connected(c, 0);
	r->model.out_len = (size_t)sprintf(r->model.out, r->model.esmtp ? "220 ESMTP\r\n" : "220\r\n");
	while (run_step(r, c))
		;
	r->accepted = smtp_client_accepted(c);
	smtp_client_free(c);
	run_check(r);
	return true;
}

static void run_add(struct run *r, unsigned mail, unsigned data, unsigned final)
{
	struct mail *m = &r->mails[r->nmails];

	snprintf(m->from, sizeof(m->from), "%c-%u-%u-%u@x", 'a' + (int)r->nmails, mail, data, final);
	write_message(m->message, r->nmails, ".");
	r->nmails++;
}

static void run_add_rcpt(struct run *r, unsigned code)
{
	struct mail *m = &r->mails[r->nmails - 1];

	/* Of all lengths, so that the output grows at any of them. */
	snprintf(m->rcpt[m->nrcpt], sizeof(m->rcpt[0]), "%zu-%u@x%0*d", m->nrcpt, code,
	         (int)(12 * (m->nrcpt + 1)), 0);
	m->rcpts[m->nrcpt] = m->rcpt[m->nrcpt];
	m->nrcpt++;
}

/* What the verdict must be when nothing goes wrong but what the codes say. */
static enum smtp_outcome run_expected(const struct run *r, const struct mail *mail, size_t k)
{
	unsigned codes[4], i, rcpt;

	assert_int_equal(sscanf(mail->rcpt[k], "%*u-%u", &rcpt), 1);
	assert_int_equal(sscanf(mail->from, "%*c-%u-%u-%u", &codes[0], &codes[2], &codes[3]), 3);
	codes[1] = rcpt == 552 ? 452 : rcpt;
	if (r->model.chunking)
		codes[2] = 250; /* no DATA */
	for (i = 0; i < 4; i++) {
		if (codes[i] >= 400)
			return codes[i] < 500 ? SMTP_OUTCOME_DEFERRED : SMTP_OUTCOME_REFUSED;
	}
	return SMTP_OUTCOME_ACCEPTED;
}

static const unsigned mail_codes[] = { 250, 250, 250, 250, 250, 450, 550 };
static const unsigned data_codes[] = { 354, 354, 354, 354, 354, 451, 554 };
static const unsigned final_codes[] = { 250, 250, 250, 250, 250, 452, 552 };
static const unsigned rcpt_codes[] = { 250, 250, 250, 251, 252, 450, 550, 552 };
static const unsigned limit_codes[] = { 0, 421, 452, 503 };

#define DRAW(r, codes) codes[draw(r, sizeof(codes) / sizeof(*(codes)))]

static void run_draw(struct run *r, uint32_t seed)
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

static void run_check_expected(struct run *r)
{
	size_t i, k;

	for (i = 0; i < r->nmails; i++) {
		for (k = 0; k < r->mails[i].nrcpt && r->mails[i].submitted; k++)
			assert_int_equal(r->mails[i].outcome[k], run_expected(r, &r->mails[i], k));
	}
	assert_int_equal(r->end, SMTP_EVENT_CLOSED);
}

static void client__correct_server__each_mail_gets_its_verdict(void **state)
{
	static struct run r, again;
	unsigned most = 0;
	uint32_t seed;

	(void)state;
	for (seed = 1; seed < 4000; seed++) {
		run_draw(&r, seed);
		again = r;
		assert_true(run_session(&r));
		run_check_expected(&r);
		assert_int_equal(r.next, r.model.esmtp ? r.nmails : 1);
		again.seed = 0; /* exact reads, whole writes */
		assert_true(run_session(&again));
		run_check_expected(&again);
		assert_int_equal(again.accepted, r.accepted);
		most = r.most > most ? r.most : most;
		if (!r.model.esmtp)
			continue;
		run_draw(&again, seed); /* the same mails, the other way to speak */
		again.model.pipelining = !r.model.pipelining;
		assert_true(run_session(&again));
		run_check_expected(&again);
		assert_int_equal(again.accepted, r.accepted);
	}
	assert_int_equal(most, SMTP_CLIENT_WINDOW_MAILS);
}

static void client__connection_breaks__verdicts_agree_with_what_was_delivered(void **state)
{
	unsigned unknown = 0, lost = 0;
	static struct run r;
	uint32_t seed;
	size_t i, k;

	(void)state;
	for (seed = 1; seed < 6000; seed++) {
		run_draw(&r, seed);
		r.model.cut = 1 + draw(&r, 600);
		assert_true(run_session(&r));
		for (i = 0; i < r.nmails; i++) {
			for (k = 0; k < r.mails[i].nrcpt && r.mails[i].submitted; k++) {
				bool doubt = r.mails[i].outcome[k] == SMTP_OUTCOME_UNKNOWN;

				unknown += doubt;
				lost += doubt && !(r.model.delivered[i] >> k & 1);
			}
		}
	}
	assert_true(unknown > lost && lost > 0); /* else the cuts missed what they are for */
}

static void client__server_has_a_limit__ordinary_end_after_an_accepted_mail(void **state)
{
	static struct run r;
	uint32_t seed;
	size_t i, k;

	(void)state;
	for (seed = 1; seed < 2000; seed++) {
		run_draw(&r, seed);
		r.model.limit = 1 + draw(&r, 3);
		r.model.limit_code = DRAW(&r, limit_codes);
		assert_true(run_session(&r));
		assert_int_equal(r.end, SMTP_EVENT_CLOSED);
		for (i = 0; i < r.nmails; i++) {
			for (k = 0; k < r.mails[i].nrcpt && r.mails[i].submitted; k++) {
				/* Closed without a word, and bodies on their way. */
				if (r.mails[i].outcome[k] == SMTP_OUTCOME_UNKNOWN)
					assert_true(r.model.chunking && !r.model.limit_code);
				else if (r.mails[i].outcome[k] != SMTP_OUTCOME_RETURNED)
					assert_int_equal(r.mails[i].outcome[k], run_expected(&r, &r.mails[i], k));
			}
		}
	}
}

/* Every allocation of a session fails once: each mail is still answered, and the server hears whole commands. */
static void sweep(bool esmtp, bool pipelining, bool chunking)
{
	bool failed = true, refused = false, ended = false;
	static struct run r;
	long n;

	for (n = 0; failed; n++) {
		memset(&r, 0, sizeof(r));
		r.model.esmtp = esmtp;
		r.model.pipelining = pipelining;
		r.model.chunking = chunking;
		r.model.tls = pipelining ? SMTP_TLS_REQUIRED : SMTP_TLS_NONE;
		r.model.mechanism = chunking ? "LOGIN" : NULL;
		run_add(&r, 250, 354, 250);
		run_add_rcpt(&r, 250);
		run_add_rcpt(&r, 550);
		run_add(&r, 250, 354, 250);
		run_add_rcpt(&r, 550);
		run_add(&r, 250, 354, 250);
		while (r.mails[2].nrcpt < RCPTS_MAX)
			run_add_rcpt(&r, 250);
		unit_fail_at(n);
		if (run_session(&r)) {
			assert_int_equal(r.model.in_len, 0);
			if (r.end == SMTP_EVENT_FAILED)
				assert_int_equal(r.error, MAILERS_ERR_NOMEM);
			refused |= r.refused_memory;
			ended |= r.end == SMTP_EVENT_FAILED;
		}
		failed = unit_failed();
	}
	assert_true(n > 3 && refused && ended);
	assert_int_equal(r.end, SMTP_EVENT_CLOSED);
	run_check_expected(&r);
}

static void client__each_allocation_fails__every_mail_is_answered(void **state)
{
	(void)state;
	sweep(false, false, false);
	sweep(true, false, false);
	sweep(true, true, false);
	sweep(true, false, true);
	sweep(true, true, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(client__correct_server__each_mail_gets_its_verdict),
		cmocka_unit_test(client__connection_breaks__verdicts_agree_with_what_was_delivered),
		cmocka_unit_test(client__server_has_a_limit__ordinary_end_after_an_accepted_mail),
		cmocka_unit_test(client__each_allocation_fails__every_mail_is_answered),
	};

	return cmocka_run_group_tests_name("smtp_client_model", tests, NULL, NULL);
}
