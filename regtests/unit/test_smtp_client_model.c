/*
 * Whole sessions of smtp_client with the server of smtp_model.h, without TLS's bytes between them (test_wire_model.c has
 * them) and without time.
 */
#include "smtp_model.h"

/* --- the host --- */

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
