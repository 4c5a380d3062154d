/* Unit tests of failure and of the pause between the tries of an alert: the tables of whose fault it is. */
#include "../../plugin/core/engine_internal.h"

#include "unit.h"

static const struct sasl_credentials credentials = { .user = "me", .password = "x" };

static void session__each_stage__has_its_blame_and_charge(void **state)
{
	static const struct {
		enum smtp_client_stage stage;
		enum failure_blame before, after; /* READY, with opportunistic TLS */
		bool charges;                     /* after it */
	} table[] = {
		{ SMTP_STAGE_CONNECT, FAILURE_MAILER, FAILURE_MAILER, false },
		{ SMTP_STAGE_GREETING, FAILURE_MAILER, FAILURE_MAILER, false },
		{ SMTP_STAGE_EHLO, FAILURE_MAILER, FAILURE_MAILER, false },
		{ SMTP_STAGE_HELO, FAILURE_MAILER, FAILURE_MAILER, false },
		{ SMTP_STAGE_STARTTLS, FAILURE_TLS, FAILURE_MAILER, false },
		{ SMTP_STAGE_TLS, FAILURE_TLS, FAILURE_MAILER, true },
		{ SMTP_STAGE_AUTH, FAILURE_MAILER, FAILURE_MAILER, false },
		{ SMTP_STAGE_MAIL, FAILURE_MAILER, FAILURE_MAILER, true },
		{ SMTP_STAGE_RCPT, FAILURE_MAILER, FAILURE_MAILER, true },
		{ SMTP_STAGE_DATA, FAILURE_MAILER, FAILURE_MAILER, true },
		{ SMTP_STAGE_MESSAGE, FAILURE_MAILER, FAILURE_MAILER, true },
		{ SMTP_STAGE_IDLE, FAILURE_MAILER, FAILURE_MAILER, false },
		{ SMTP_STAGE_QUIT, FAILURE_MAILER, FAILURE_MAILER, false },
	};
	static const enum mailers_error errors[] = {
		MAILERS_ERR_CLOSED, MAILERS_ERR_TIMEOUT, MAILERS_ERR_TEMPORARY, MAILERS_ERR_PERMANENT,
		MAILERS_ERR_PROTOCOL, MAILERS_ERR_TLS,
	};
	struct mailer_settings settings = { .tls = SMTP_TLS_OPPORTUNISTIC };
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(*table); i++) {
		for (k = 0; k < sizeof(errors) / sizeof(*errors); k++) {
			struct smtp_client_event ev = { .type = SMTP_EVENT_FAILED, .stage = table[i].stage, .error = errors[k] };
			struct failure before = failure_of_session(&ev, &settings, false);
			struct failure after = failure_of_session(&ev, &settings, true);

			assert_int_equal(before.blame, table[i].before);
			assert_false(before.charges);
			assert_int_equal(after.blame, table[i].after);
			assert_int_equal(after.charges, table[i].charges);
			ev.error = MAILERS_ERR_NOMEM;
			assert_int_equal(failure_of_session(&ev, &settings, true).blame, FAILURE_NOBODY);
			assert_false(failure_of_session(&ev, &settings, true).charges);
		}
	}
}

static void session__tls_is_not_to_be_spared__is_the_mailers(void **state)
{
	static const struct { enum smtp_tls tls; bool credentials, plain; enum failure_blame blame; } table[] = {
		{ SMTP_TLS_OPPORTUNISTIC, false, false, FAILURE_TLS }, { SMTP_TLS_OPPORTUNISTIC, false, true, FAILURE_TLS },
		{ SMTP_TLS_OPPORTUNISTIC, true, false, FAILURE_MAILER }, { SMTP_TLS_OPPORTUNISTIC, true, true, FAILURE_TLS },
		{ SMTP_TLS_REQUIRED, false, false, FAILURE_MAILER }, { SMTP_TLS_REQUIRED, true, true, FAILURE_MAILER },
		{ SMTP_TLS_IMPLICIT, false, false, FAILURE_MAILER }, { SMTP_TLS_IMPLICIT, true, true, FAILURE_MAILER },
	};
	const struct smtp_client_event ev = { .stage = SMTP_STAGE_TLS, .error = MAILERS_ERR_TLS };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct mailer_settings settings = {
			.tls = table[i].tls, .credentials = table[i].credentials ? &credentials : NULL,
			.auth_without_tls = table[i].plain,
		};

		assert_int_equal(failure_of_session(&ev, &settings, false).blame, table[i].blame);
	}
}

static void recipient__each_outcome__has_its_place_in_the_queue(void **state)
{
	(void)state;
	assert_int_equal(failure_of_recipient(SMTP_OUTCOME_ACCEPTED), QUEUE_DONE);
	assert_int_equal(failure_of_recipient(SMTP_OUTCOME_DEFERRED), QUEUE_DEFERRED);
	assert_int_equal(failure_of_recipient(SMTP_OUTCOME_REFUSED), QUEUE_DONE);
	assert_int_equal(failure_of_recipient(SMTP_OUTCOME_RETURNED), QUEUE_RETRY);
	assert_int_equal(failure_of_recipient(SMTP_OUTCOME_UNKNOWN), QUEUE_DEFERRED);
}

static void backoff__tries__doubles_within_its_bounds_and_differs(void **state)
{
	static const uint32_t bases[] = { 5000, 5000, 10000, 20000, 40000, 80000, 160000, 320000, 480000, 480000 };
	unsigned n, same = 0;
	uint64_t id;

	(void)state;
	for (n = 0; n < sizeof(bases) / sizeof(*bases); n++) {
		for (id = 1; id < 1000; id++) {
			assert_in_range(flight_backoff(id, n), bases[n], bases[n] + bases[n] / 4);
			assert_int_equal(flight_backoff(id, n), flight_backoff(id, n));
			same += flight_backoff(id, n) == flight_backoff(id + 1, n);
		}
	}
	assert_true(same < 100); /* a thousand alerts do not come back at once */
	assert_in_range(flight_backoff(1, UINT32_MAX), 480000, 600000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(session__each_stage__has_its_blame_and_charge),
		cmocka_unit_test(session__tls_is_not_to_be_spared__is_the_mailers),
		cmocka_unit_test(recipient__each_outcome__has_its_place_in_the_queue),
		cmocka_unit_test(backoff__tries__doubles_within_its_bounds_and_differs),
	};

	return cmocka_run_group_tests_name("failure", tests, NULL, NULL);
}
