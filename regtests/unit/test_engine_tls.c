/* Unit tests of engine: connections with TLS and AUTH, those that cannot have it, and tokens. The TLS is
 * wire_fake's, so that both sides are here.
 */
#include "engine_peer.h"
#include "wire_fake.h"

static struct buffer raw[PEER_SLOTS]; /* what the client sent, not yet a whole record */
static struct tls_context context;

/* A record of the client's. */
static void record(struct peer *p, struct peer_connection *c, const char *address, char type, const struct buffer *text)
{
	const char *how = peer_choose(p, c, address, AT_TLS, "");
	struct buffer out = { 0 };

	if (type == 'D') {
		assert_true(c->in_len + text->len <= sizeof(c->in));
		memcpy(c->in + c->in_len, text->data, text->len);
		c->in_len += text->len;
	} else if (type == 'H' && text->len == 5 && how == PEER_CLOSE) {
		c->closed = true;
	} else if (type == 'H' && text->len == 5 && how == PEER_MUTE) {
		c->mute = true;
	} else if (type == 'H' && text->len == 5) {
		fake_seal_text(&out, how[0] ? 'A' : 'H', how[0] ? how : "ready");
		memcpy(c->out + c->out_len, out.data, out.len);
		c->out_len += out.len;
	} else if (type == 'C') {
		c->closed = true;
	} else if (c->greet) { /* "done" */
		size_t at = c->out_len;

		c->greet = false;
		peer_answer(p, c, address, AT_GREETING, address);
		p->seal(c, at);
	}
	buffer_free(&out);
}

static void receive(struct peer *p, struct peer_connection *c, const char *address, const char *data, size_t n)
{
	struct buffer *in = &raw[c - p->slots];
	char type;

	if (!c->in_len && !c->out_len && n >= 5 && !memcmp(data, "H", 1))
		buffer_clear(in); /* a new connection in this slot */
	buffer_add(in, data, n);
	for (;;) {
		struct buffer text = { 0 };

		type = fake_open(in, &text);
		if (type)
			record(p, c, address, type, &text);
		buffer_free(&text);
		if (!type)
			return;
	}
}

static void seal(struct peer_connection *c, size_t at)
{
	struct buffer out = { 0 };

	if (c->out_len == at)
		return;
	fake_seal(&out, 'D', c->out + at, c->out_len - at);
	assert_true(at + out.len <= sizeof(c->out));
	memcpy(c->out + at, out.data, out.len);
	c->out_len = at + out.len;
	buffer_free(&out);
}

static const struct sasl_credentials password = { .user = "me", .password = "secret" };
static const struct sasl_credentials token = { .user = "me", .token = "old-token" };

static struct peer *secure(enum peer_mode mode, enum smtp_tls tls, const struct sasl_credentials *credentials)
{
	struct peer *p = peer_new(mode);
	size_t i;

	for (i = 0; i < PEER_SLOTS; i++)
		buffer_free(&raw[i]);
	p->receive = receive;
	p->seal = seal;
	p->auth = credentials ? (credentials->token ? "XOAUTH2" : "PLAIN") : NULL;
	p->mailer.tls = tls;
	p->mailer.wire = (struct wire_tls){ .api = &fake_api, .context = &context };
	p->mailer.credentials = credentials;
	return p;
}

static void done(struct peer *p)
{
	size_t i;

	peer_free(p);
	assert_int_equal(context.sessions, 0);
	for (i = 0; i < PEER_SLOTS; i++)
		buffer_free(&raw[i]);
}

static void tls__each_kind_with_and_without_auth__mails_go_through_it(void **state)
{
	static const enum smtp_tls kinds[] = { SMTP_TLS_OPPORTUNISTIC, SMTP_TLS_REQUIRED, SMTP_TLS_IMPLICIT };
	enum peer_mode mode;
	size_t i, k;

	(void)state;
	for (i = 0; i < 3; i++) {
		for (mode = 0; mode < PEER_MODES; mode++) {
			struct peer *p = secure(mode, kinds[i], i ? &password : NULL);
			struct engine_proxy *be = peer_proxy(p, "be", "a@example.com, b@example.com");

			p->chunking = mode == PEER_WHOLE;
			p->rules[0] = (struct peer_rule){ NULL, AT_AUTH, "AUTH PLAIN AG1lAHNlY3JldA==", "235 yes", 0 };
			p->rules[1] = (struct peer_rule){ NULL, AT_AUTH, NULL, "535 no", 0 };
			peer_mailer(p, be, "mx1:25");
			for (k = 0; k < 50; k++)
				peer_raise(p, be, k, "x");
			peer_run(p);
			assert_int_equal(p->nmails, 100);
			assert_int_equal(peer_logged(p, "failed"), 0);
			assert_true(p->nopened <= 4 && (i || !p->used[0]));
			done(p);
		}
	}
}

static void tls__encrypted__is_told_to_the_host(void **state)
{
	struct peer *p = secure(PEER_NEED, SMTP_TLS_IMPLICIT, NULL);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");
	int slot;

	(void)state;
	peer_mailer(p, be, "mx1:25");
	peer_raise(p, be, 1, "x");
	assert_false(engine_encrypted(p->engine, 0));
	slot = engine_connect(p->engine, p->now);
	assert_int_equal(slot, 0);
	engine_connected(p->engine, slot, p->now);
	assert_true(engine_encrypted(p->engine, slot));
	assert_int_equal(engine_want(p->engine, slot), ENGINE_WANT_WRITE);
	engine_release(p->engine, slot, p->now);
	peer_finish(p);
	assert_int_equal(p->nmails, 1);
	done(p);
}

/* Ways in which TLS cannot be had. */
static const struct { enum peer_stage at; const char *reply, *logged; uint32_t ms; } broken[] = {
	{ AT_STARTTLS, "454 not now", "at STARTTLS: 454 not now", 0 },
	{ AT_STARTTLS, "500 what", "at STARTTLS: 500 what", 0 },
	{ AT_STARTTLS, PEER_CLOSE, "at STARTTLS", 0 },
	{ AT_TLS, "no", "TLS failure at TLS: the server said: alert", 0 },
	{ AT_TLS, PEER_CLOSE, "TLS failure at TLS", 0 },
	{ AT_TLS, PEER_MUTE, "timeout at TLS", 10000 },
};

static void opportunistic__tls_cannot_be_had__goes_without_and_says_so_once(void **state)
{
	enum peer_mode mode;
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(broken) / sizeof(*broken); i++) {
		for (mode = 0; mode < PEER_MODES; mode++) {
			struct peer *p = secure(mode, SMTP_TLS_OPPORTUNISTIC, NULL);
			struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");
			uint64_t start = p->now;

			p->rules[0] = (struct peer_rule){ NULL, broken[i].at, NULL, broken[i].reply, 0 };
			peer_mailer(p, be, "mx1:25");
			for (k = 0; k < 20; k++)
				peer_raise(p, be, k, "x");
			peer_finish(p);
			assert_int_equal(p->nmails, 20);
			assert_int_equal(p->now, start + broken[i].ms); /* without a pause */
			assert_int_equal(p->nopened, 8);
			assert_int_equal(peer_logged(p, "<4> mailers: mailer mx1:25 (mx1:25) without TLS from here on: "), 1);
			if (!peer_logged(p, broken[i].logged))
				fail_msg("%s: %s", broken[i].logged, p->log);
			assert_int_equal(peer_logged(p, "failed: ") + peer_logged(p, "is down"), 0);
			assert_int_equal(peer_stats(p).deferred, 0);

			peer_raise(p, be, 1, "y");
			peer_finish(p);
			assert_int_equal(p->nopened, 10); /* each connection tries anew */
			assert_int_equal(peer_logged(p, "without TLS"), 1);
			p->now += MAILER_PLAIN_MS;
			peer_raise(p, be, 1, "z");
			peer_finish(p);
			assert_int_equal(peer_logged(p, "without TLS"), 2);
			done(p);
		}
	}
}

/* With credentials that must not be said in plain text, or when TLS is required. */
static void required__tls_cannot_be_had__is_the_mailers_failure(void **state)
{
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(broken) / sizeof(*broken); i++) {
		for (k = 0; k < 3; k++) {
			struct peer *p = secure(PEER_NEED, k == 1 ? SMTP_TLS_OPPORTUNISTIC : SMTP_TLS_REQUIRED,
			                        k ? &password : NULL);
			struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");

			p->rules[0] = (struct peer_rule){ NULL, broken[i].at, NULL, broken[i].reply, 4 };
			peer_mailer(p, be, "mx1:25");
			peer_raise(p, be, 1, "x");
			while (!p->nmails) {
				peer_run(p);
				assert_true(peer_wait(p));
			}
			peer_run(p);
			assert_int_equal(peer_logged(p, "is down after 3 failures in a row, the last: "), 1);
			assert_int_equal(peer_logged(p, "without TLS"), 0);
			assert_int_equal(peer_stats(p).deferred, 0);
			peer_finish(p);
			done(p);
		}
	}
}

static void opportunistic__auth_in_plain_is_allowed__goes_without_tls(void **state)
{
	struct peer *p = secure(PEER_NEED, SMTP_TLS_OPPORTUNISTIC, &password);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");

	(void)state;
	p->mailer.auth_without_tls = true;
	p->rules[0] = (struct peer_rule){ NULL, AT_STARTTLS, NULL, "454 not now", 0 };
	peer_mailer(p, be, "mx1:25");
	peer_raise(p, be, 1, "x");
	peer_run(p);
	assert_int_equal(p->nmails, 1);
	done(p);
}

/* A probe that cannot have TLS is followed by one without, at once. */
static void opportunistic__probe__is_repeated_without_tls(void **state)
{
	struct peer *p = secure(PEER_NEED, SMTP_TLS_OPPORTUNISTIC, NULL);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");
	uint64_t start;

	(void)state;
	p->rules[0] = (struct peer_rule){ NULL, AT_CONNECT, NULL, PEER_CLOSE, 3 };
	p->rules[1] = (struct peer_rule){ NULL, AT_STARTTLS, NULL, "454 not now", 0 };
	peer_mailer(p, be, "mx1:25");
	peer_raise(p, be, 1, "x");
	peer_run(p);
	start = p->now;
	peer_finish(p);
	assert_int_equal(p->now, start + 12000);
	assert_int_equal(p->nopened, 5);
	assert_int_equal(p->nmails, 1);
	peer_wait(p);
	assert_int_equal(peer_logged(p, "is up again"), 1);
	done(p);
}

static void helo__was_remembered__does_not_spare_required_tls(void **state)
{
	struct peer *p = secure(PEER_NEED, SMTP_TLS_REQUIRED, NULL);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");

	(void)state;
	p->rules[0] = (struct peer_rule){ NULL, AT_EHLO, NULL, "502 what", 1 };
	peer_mailer(p, be, "mx1:25");
	peer_raise(p, be, 1, "x");
	peer_finish(p);
	assert_int_equal(p->nmails, 1);
	assert_int_equal(p->nopened, 2);
	assert_int_equal(peer_logged(p, "at STARTTLS"), 1);
	done(p);
}

/* --- AUTH --- */

static void auth__refused__is_the_mailers_failure_and_no_secret_is_logged(void **state)
{
	struct peer *p = secure(PEER_NEED, SMTP_TLS_REQUIRED, &password);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");

	(void)state;
	p->rules[0] = (struct peer_rule){ NULL, AT_AUTH, NULL, "535 5.7.8 no", 0 };
	peer_mailer(p, be, "mx1:25");
	peer_raise(p, be, 1, "x");
	peer_run(p);
	while (!peer_logged(p, "is down"))
		assert_true(peer_wait(p));
	assert_int_equal(peer_logged(p, "permanent failure at AUTH: 535 5.7.8 no"), 2);
	assert_int_equal(peer_logged(p, "secret") + peer_logged(p, "AG1lAHNlY3JldA"), 0);
	assert_int_equal(engine_token_wanted(p->engine), -1); /* a password, no token */
	p->rules[0].reply = NULL;
	peer_finish(p);
	assert_int_equal(p->nmails, 1);
	done(p);
}

static void token__refused__is_wanted_once_and_the_new_one_used_at_once(void **state)
{
	struct peer *p = secure(PEER_NEED, SMTP_TLS_REQUIRED, &token);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com"), *plain = peer_proxy(p, "plain", "b@example.com");
	uint64_t start = p->now;

	(void)state;
	/* "user=me\1auth=Bearer old-token\1\1" and the new one, in base64 */
	p->rules[0] = (struct peer_rule){ NULL, AT_AUTH, "dXNlcj1tZQFhdXRoPUJlYXJlciBvbGQtdG9rZW4BAQ==", "535 5.7.8 expired", 0 };
	p->rules[1] = (struct peer_rule){ NULL, AT_AUTH, "dXNlcj1tZQFhdXRoPUJlYXJlciBuZXctdG9rZW4BAQ==", "235 ok", 0 };
	p->rules[2] = (struct peer_rule){ NULL, AT_AUTH, NULL, "501 what", 0 };
	peer_mailer(p, be, "mx1:25");
	p->mailer.credentials = NULL;
	peer_mailer(p, plain, "mx2:25");
	peer_raise(p, be, 1, "x");
	assert_int_equal(engine_token_wanted(p->engine), -1);
	peer_run(p);
	assert_int_equal(p->nmails, 0);
	assert_int_equal(engine_token_wanted(p->engine), 0);
	assert_int_equal(engine_token_wanted(p->engine), -1);
	assert_ptr_equal(engine_mailer_settings(p->engine, 0)->credentials, &token);
	assert_string_equal(engine_mailer_settings(p->engine, 1)->name, "mx2:25");
	assert_null(engine_mailer_settings(p->engine, 2));
	assert_null(engine_mailer_settings(p->engine, -1));
	assert_int_equal(engine_token_set(p->engine, 1, "x", p->now), MAILERS_ERR_STATE);
	assert_int_equal(engine_token_set(p->engine, 7, "x", p->now), MAILERS_ERR_STATE);

	assert_int_equal(engine_token_set(p->engine, 0, "old-token", p->now), MAILERS_OK); /* not renewed yet */
	peer_run(p);
	assert_int_equal(p->nopened, 1);
	peer_wait(p); /* its pause */
	assert_int_equal(p->now, start + 1000);
	assert_int_equal(p->nopened, 2);
	assert_int_equal(engine_token_wanted(p->engine), 0);
	unit_fail_at(0);
	assert_int_equal(engine_token_set(p->engine, 0, "new-token", p->now), MAILERS_ERR_NOMEM);
	assert_true(unit_failed());
	assert_int_equal(engine_token_set(p->engine, 0, "new-token", p->now), MAILERS_OK);
	peer_run(p);
	assert_int_equal(p->now, start + 1000);
	assert_int_equal(p->nmails, 1);
	assert_int_equal(peer_logged(p, "-token"), 0);
	done(p);
}

static void token__set_while_a_session_uses_the_old_one__both_live(void **state)
{
	struct peer *p = secure(PEER_NEED, SMTP_TLS_NONE, &token);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");

	(void)state;
	p->mailer.auth_without_tls = true;
	peer_mailer(p, be, "mx1:25");
	peer_raise(p, be, 1, "x");
	assert_int_equal(engine_token_set(p->engine, 0, "one", p->now), MAILERS_OK);
	assert_true(peer_connect(p));
	assert_int_equal(engine_token_set(p->engine, 0, "two", p->now), MAILERS_OK);
	peer_finish(p);
	assert_int_equal(p->nmails, 1);
	done(p);
}

/* BUG: a token file that could not be read was a warning every ten seconds, for as long as the mailer was down. */
static void token__missing_while_down__is_no_warning_again(void **state)
{
	struct peer *p = secure(PEER_NEED, SMTP_TLS_NONE, &token);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");
	int tries;

	(void)state;
	p->mailer.auth_without_tls = true;
	p->rules[0] = (struct peer_rule){ NULL, AT_AUTH, NULL, "535 5.7.8 expired", 0 };
	peer_mailer(p, be, "mx1:25");
	peer_raise(p, be, 1, "x");
	peer_run(p);
	for (tries = 1; tries <= 6; tries++) {
		assert_int_equal(engine_token_wanted(p->engine), 0);
		engine_token_missing(p->engine, 0, "cannot open it");
		peer_run(p);
		assert_int_equal(peer_logged(p, "no new token: cannot open it"), tries);
		peer_wait(p);
	}
	assert_int_equal(p->nmails, 0);
	assert_int_equal(peer_logged(p, "mx1:25 (mx1:25) is down"), 1);
	assert_int_equal(peer_logged(p, "<4> mailers: mailer mx1:25 (mx1:25): no new token"), 2);
	engine_token_missing(p->engine, 7, "nobody"); /* there is no such mailer */
	p->rules[0].reply = "235 ok";
	peer_finish(p);
	assert_int_equal(p->nmails, 1);
	assert_int_equal(peer_logged(p, "nobody"), 0);
	done(p);
}

/* --- test mails --- */

static void test__with_tls__names_version_and_certificate(void **state)
{
	struct peer *p = secure(PEER_NEED, SMTP_TLS_OPPORTUNISTIC, NULL);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");
	char reason[ENGINE_REASON_MAX];
	enum engine_test_result result;
	struct buffer out = { 0 };
	size_t i;

	(void)state;
	p->mailer.wire.verifyhost = "mx.example.org";
	peer_mailer(p, be, "mx1:25");
	for (i = 0; i < 2; i++) {
		int id = engine_test_begin(p->engine, "be", NULL, NULL, NULL, p->now, reason);

		peer_finish(p);
		assert_true(engine_test_read(p->engine, id, &out, &result));
		assert_int_equal(result, ENGINE_TEST_ACCEPTED);
		buffer_add(&out, "", 1);
		assert_non_null(strstr(out.data, i ? "* TLS failure at TLS: the server said: alert\n* tls = \"opportunistic\": "
		                       "once more without TLS\n* mx1:25: connecting to mx1:25\n" : "* TLS established: TLSv1.3, "));
		if (!i)
			assert_non_null(strstr(out.data, "* certificate of nobody, names: mx.example.org\n"));
		buffer_clear(&out);
		engine_test_end(p->engine, id);
		p->rules[0] = (struct peer_rule){ NULL, AT_TLS, NULL, "no", 0 };
	}
	buffer_free(&out);
	assert_int_equal(p->nmails, 2);
	assert_int_equal(p->nopened, 3);
	done(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tls__each_kind_with_and_without_auth__mails_go_through_it),
		cmocka_unit_test(tls__encrypted__is_told_to_the_host),
		cmocka_unit_test(opportunistic__tls_cannot_be_had__goes_without_and_says_so_once),
		cmocka_unit_test(required__tls_cannot_be_had__is_the_mailers_failure),
		cmocka_unit_test(opportunistic__auth_in_plain_is_allowed__goes_without_tls),
		cmocka_unit_test(opportunistic__probe__is_repeated_without_tls),
		cmocka_unit_test(helo__was_remembered__does_not_spare_required_tls),
		cmocka_unit_test(auth__refused__is_the_mailers_failure_and_no_secret_is_logged),
		cmocka_unit_test(token__refused__is_wanted_once_and_the_new_one_used_at_once),
		cmocka_unit_test(token__set_while_a_session_uses_the_old_one__both_live),
		cmocka_unit_test(token__missing_while_down__is_no_warning_again),
		cmocka_unit_test(test__with_tls__names_version_and_certificate),
	};

	return cmocka_run_group_tests_name("engine tls", tests, NULL, NULL);
}
