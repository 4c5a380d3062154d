/*
 * Whole sessions of smtp_client on its wire, with the server of smtp_model.h: bytes go in pieces, in TLS or not, time
 * passes at any place, the server may break off or refuse amid a message. Whatever was handed over arrives, and
 * nothing else: the verdicts must agree with it. What wire_need() says must be there.
 */
#include <mailers/wire.h>

#include "smtp_model.h"
#include "wire_fake.h"

struct host {
	struct run r;
	struct smtp_client *client;
	struct wire *wire;
	struct tls_context context;
	struct buffer up, down; /* on the connection */
	bool tls;               /* the server's bytes are records */
	bool rude;              /* it may refuse a message before its end, or say 421 at any time, and closes then */
	unsigned pace;          /* time passes at one step of so many; 0: never */
	uint64_t now;
};

static void host_pass(struct host *h)
{
	static const unsigned steps[] = { 1, 3, 9, 11, 19, 21 }; /* the timeouts are 10, 20 and 5 */

	h->now += DRAW(&h->r, steps);
	smtp_client_tick(h->client, h->now);
}

static void server_is_rude(struct host *h)
{
	static const unsigned codes[] = { 552, 452, 421, 503 };
	struct model *m = &h->r.model;
	bool message = m->in_len && (m->data || !strncmp(m->in, "BDAT ", 5));

	if (m->closed || !h->rude || draw(&h->r, message ? 3 : 200))
		return;
	if (message || draw(&h->r, 2))
		model_reply(m, message ? DRAW(&h->r, codes) : 421);
	m->closed = true;
}

static void server_hear(struct host *h, const char *data, size_t len)
{
	if (len && !h->r.model.closed)
		model_input(&h->r.model, data, len);
}

/* The server takes what came, and says what it has to. */
static void server_run(struct host *h)
{
	struct model *m = &h->r.model;
	struct buffer text = { 0 };
	char type;

	if (!h->tls) {
		server_hear(h, h->up.data, h->up.len);
		buffer_clear(&h->up);
	}
	while (h->tls && (type = fake_open(&h->up, &text))) {
		if (type == 'H' && !memcmp(text.data, "hello", 5))
			fake_seal_text(&h->down, 'H', "ready");
		else if (type == 'H')
			m->secure = true;
		else if (type == 'D')
			server_hear(h, text.data, text.len);
		buffer_clear(&text);
	}
	buffer_free(&text);
	server_is_rude(h);
	if (!h->tls) {
		buffer_add(&h->down, m->out, m->out_len);
		m->out_len = 0;
	}
	while (m->secure && m->out_len) {
		size_t n = 1 + draw(&h->r, (uint32_t)m->out_len);

		fake_seal(&h->down, 'D', m->out, n);
		m->out_len -= n;
		memmove(m->out, m->out + n, m->out_len);
	}
}

static void host_write(struct host *h)
{
	const char *data;
	size_t n = wire_peek(h->wire, &data);

	assert_true(n > 0);
	if (draw(&h->r, 3))
		n = 1 + draw(&h->r, (uint32_t)n);
	h->tls |= wire_encrypted(h->wire);
	buffer_add(&h->up, data, n);
	wire_ack(h->wire, n, h->now);
}

static void host_read(struct host *h)
{
	struct model *m = &h->r.model;
	size_t n = h->down.len, need = wire_need(h->wire);

	if (m->cut && n > m->cut - m->said) {
		n = m->cut - m->said;
		m->closed = true;
	}
	if (!n) {
		assert_true(m->closed); /* else it would wait for ever */
		wire_eof(h->wire, h->now);
		return;
	}
	if (!m->closed)
		assert_in_range(need, 1, n);
	n = draw(&h->r, 2) && need < n ? need : 1 + draw(&h->r, (uint32_t)n);
	m->said += n;
	wire_feed(h->wire, h->down.data, n, h->now);
	buffer_shift(&h->down, n);
}

static void host_submit(struct host *h)
{
	struct mail *mail = &h->r.mails[h->r.next++];
	struct smtp_envelope env = {
		.from = mail->from, .rcpt = mail->rcpts, .nrcpt = mail->nrcpt, .message = mail->message,
		.message_len = strlen(mail->message), .cookie = mail,
	};

	assert_int_equal(smtp_client_submit(h->client, &env, h->now), MAILERS_OK);
	mail->submitted = true;
	h->r.flying++;
}

static void host_events(struct host *h)
{
	struct smtp_client_event ev;

	while (smtp_client_next_event(h->client, &ev))
		run_event(&h->r, &ev);
}

static bool host_step(struct host *h)
{
	host_events(h);
	while (h->r.next < h->r.nmails && smtp_client_accepts(h->client) && draw(&h->r, 4))
		host_submit(h);
	server_run(h);
	if (h->pace && !draw(&h->r, h->pace)) {
		host_pass(h);
		return true;
	}
	switch (wire_want(h->wire)) {
	case SMTP_CLIENT_WANT_WRITE:
		host_write(h);
		return true;
	case SMTP_CLIENT_WANT_READ:
		host_read(h);
		return true;
	case SMTP_CLIENT_WANT_SUBMIT:
		if (h->r.next == h->r.nmails)
			smtp_client_quit(h->client, h->now);
		return true;
	default:
		return false;
	}
}

static void host_session(struct host *h)
{
	static const struct sasl_credentials password = { .user = "user", .password = "pass" };
	struct model *m = &h->r.model;
	struct smtp_client_settings settings = {
		.helo = "me", .timeout_mail_ms = 10, .timeout_final_ms = 20, .timeout_quit_ms = 5, .tls = m->tls,
		.credentials = m->mechanism ? &password : NULL, .mechanisms = SASL_ALL,
		.auth_without_tls = m->tls == SMTP_TLS_NONE,
	};
	struct wire_tls tls = { &fake_api, &h->context, "mx", "mx" };

	h->client = smtp_client_new(&settings, 0);
	h->wire = wire_new(h->client, &tls);
	assert_non_null(h->wire);
	h->tls = m->tls == SMTP_TLS_IMPLICIT;
	m->out_len = (size_t)sprintf(m->out, m->esmtp ? "220 ESMTP\r\n" : "220\r\n");
	wire_connected(h->wire, 0);
	while (host_step(h))
		;
	host_events(h);
	server_run(h); /* what is still on its way arrives */
	wire_free(h->wire);
	smtp_client_free(h->client);
	buffer_free(&h->up);
	buffer_free(&h->down);
	run_check(&h->r);
}

/* How many recipients' verdicts were <outcome>. */
static unsigned host_count(const struct host *h, enum smtp_outcome outcome)
{
	unsigned count = 0;
	size_t i, k;

	for (i = 0; i < h->r.nmails; i++) {
		for (k = 0; h->r.mails[i].submitted && k < h->r.mails[i].nrcpt; k++)
			count += h->r.mails[i].outcome[k] == outcome;
	}
	return count;
}

/* Many mails in flight, in TLS, where the wire holds what the client may take back. */
static void host_crowd(struct host *h)
{
	struct model *m = &h->r.model;

	m->esmtp = m->pipelining = m->chunking = true;
	if (m->tls == SMTP_TLS_NONE)
		m->tls = SMTP_TLS_IMPLICIT;
}

static void wire__any_course_of_a_session__verdicts_agree_with_what_was_delivered(void **state)
{
	unsigned outcomes[SMTP_OUTCOME_UNKNOWN + 1] = { 0 }, i;
	static struct host h;
	uint32_t seed;

	(void)state;
	for (seed = 1; seed < 12000; seed++) {
		memset(&h, 0, sizeof(h));
		run_draw(&h.r, seed);
		if (seed % 2)
			host_crowd(&h);
		h.pace = seed % 4 < 3 ? 8 + draw(&h.r, 60) : 0;
		h.rude = seed % 5 == 1;
		if (seed % 7 == 1)
			h.r.model.cut = 1 + draw(&h.r, 1200);
		if (seed % 11 == 1) {
			h.r.model.limit = 1 + draw(&h.r, 3);
			h.r.model.limit_code = DRAW(&h.r, limit_codes);
		}
		host_session(&h);
		for (i = 0; i <= SMTP_OUTCOME_UNKNOWN; i++)
			outcomes[i] += host_count(&h, (enum smtp_outcome)i);
	}
	for (i = 0; i <= SMTP_OUTCOME_UNKNOWN; i++)
		assert_true(outcomes[i] > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wire__any_course_of_a_session__verdicts_agree_with_what_was_delivered),
	};

	return cmocka_run_group_tests_name("wire_model", tests, NULL, NULL);
}
