/*
 * Tests of plugin/settings in a Lua state of its own, with a TLS that only counts: which entries count for whom, what is shared,
 * tokens, and each allocation failing in turn, Lua's and ours.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lauxlib.h>

#include <mailers/address.h>

#include "settings.h"
#include "unit.h"

#define SECRET "hunter2-swordfish"

/* --- a TLS without OpenSSL --- */

struct tls_context {
	struct tls_settings settings;
};

static size_t contexts;         /* that live */
static const char *context_why; /* not NULL: the next one fails */

static struct tls_context *fake_context_new(const struct tls_settings *settings, char *reason)
{
	struct tls_context *ctx = context_why ? NULL : malloc(sizeof(*ctx));

	snprintf(reason, TLS_REASON_SIZE, "%s", context_why ? context_why : ctx ? "" : "out of memory");
	if (!ctx)
		return NULL;
	ctx->settings = *settings;
	contexts++;
	return ctx;
}

static void fake_context_free(struct tls_context *ctx)
{
	contexts -= !!ctx;
	free(ctx);
}

static const struct tls_api fake_tls = {
	.version = TLS_API_VERSION, .context_new = fake_context_new, .context_free = fake_context_free,
};

/* --- a Lua whose memory can end --- */

static long lua_countdown = -1;
static bool lua_failed;

static void *lua_memory(void *arg, void *p, size_t old, size_t size)
{
	(void)arg;
	(void)old;
	if (!size) {
		free(p);
		return NULL;
	}
	if (lua_countdown > 0 && (!p || size > old))
		lua_countdown--;
	if (!lua_countdown && (!p || size > old)) { /* for good: Lua collects garbage and tries again */
		lua_failed = true;
		return NULL;
	}
	return realloc(p, size);
}

/* --- files --- */

static char folder[] = "/tmp/test_settings.XXXXXX";
static char path[64], token[64], password[64];

static void file_write(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static int folder_make(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/s.lua", folder);
	snprintf(token, sizeof(token), "%s/token", folder);
	snprintf(password, sizeof(password), "%s/password", folder);
	file_write(token, "first-" SECRET "\n");
	file_write(password, SECRET "\n");
	return 0;
}

static int folder_remove(void **state)
{
	(void)state;
	unlink(path);
	unlink(token);
	unlink(password);
	return rmdir(folder);
}

/* Loads the settings <text>, in which each '%' stands for the folder. */
static struct settings *load_in(lua_State *L, const char *text, char *reason)
{
	char file[4096];
	size_t n = 0;

	for (; *text; text++) {
		if (*text == '%')
			n += (size_t)snprintf(file + n, sizeof(file) - n, "%s", folder);
		else
			file[n++] = *text;
		assert_true(n < sizeof(file) - sizeof(folder));
	}
	file[n] = '\0';
	file_write(path, file);
	return settings_load(L, path, 0, reason);
}

static struct settings *load(const char *text)
{
	char reason[SETTINGS_REASON_MAX];
	lua_State *L = luaL_newstate();
	struct settings *s;

	assert_non_null(L);
	s = load_in(L, text, reason);
	if (!s)
		fail_msg("%s", reason);
	assert_int_equal(lua_gettop(L), 0);
	assert_string_equal(reason, "");
	lua_close(L); /* nothing of Lua's is kept */
	if (!settings_tls(s, &fake_tls, reason))
		fail_msg("%s", reason);
	return s;
}

static struct mailer_settings line(const char *id)
{
	return (struct mailer_settings){ .name = id, .address = "192.0.2.1:25", .helo = "lb.example.org", .timeout_mail_ms = 3000 };
}

static struct mailer_settings mailer(struct settings *s, const char *proxy, const char *id)
{
	char reason[SETTINGS_REASON_MAX];
	struct mailer_settings m = line(id);

	if (!settings_mailer(s, proxy, id, &m, reason))
		fail_msg("%s", reason);
	return m;
}

/* --- what it fills --- */

static void settings__without_a_file__are_the_defaults(void **state)
{
	struct engine_proxy_settings p = { .name = "p", .from = "f", .level = ALERT_LEVEL_NOTICE };
	struct mailer_settings m = mailer(NULL, "p", "m1");
	char reason[SETTINGS_REASON_MAX];

	(void)state;
	assert_int_equal(m.tls, SMTP_TLS_NONE);
	assert_null(m.wire.api);
	assert_null(m.wire.context);
	assert_null(m.credentials);
	assert_string_equal(m.address, "192.0.2.1:25");
	assert_string_equal(m.helo, "lb.example.org");
	assert_int_equal(m.timeout_mail_ms, 3000);
	assert_int_equal(m.timeout_final_ms, MAILER_TIMEOUT_FINAL_MS);
	assert_int_equal(m.timeout_quit_ms, MAILER_TIMEOUT_QUIT_MS);
	assert_int_equal(m.maxconn, MAILER_MAXCONN);
	assert_int_equal(m.without, 0);
	assert_false(m.backup);
	settings_proxy(NULL, "p", &p);
	assert_int_equal(p.mode, ENGINE_MODE_ALL);
	assert_int_equal(p.limit_mails, 0);
	assert_int_equal(p.max_age_ms, ENGINE_MAX_AGE_MS);
	assert_string_equal(p.from, "f");
	assert_int_equal(p.level, ALERT_LEVEL_NOTICE);
	assert_int_equal(settings_extras(NULL, "p"), 0);
	assert_true(settings_order(NULL, "p", &m, 1, reason));
	assert_int_equal(settings_drain_ms(NULL), 30000);
	assert_false(settings_commands(NULL));
	assert_false(settings_need_tls(NULL));
	assert_null(settings_warning(NULL, 0));
	assert_false(settings_token_read(NULL, NULL, reason, reason));
	settings_finish(NULL);
	settings_free(NULL);
}

static void settings__of_an_empty_file__are_opportunistic(void **state)
{
	struct settings *s = load("return {}");
	struct mailer_settings m = mailer(s, "p", "m1");

	(void)state;
	assert_int_equal(m.tls, SMTP_TLS_OPPORTUNISTIC);
	assert_ptr_equal(m.wire.api, &fake_tls);
	assert_non_null(m.wire.context);
	assert_false(m.wire.context->settings.verify);
	assert_null(m.wire.sni);
	assert_null(m.wire.verifyhost);
	assert_true(settings_need_tls(s));
	settings_free(s);
	assert_int_equal(contexts, 0);
}

static void mailer__of_every_key__has_its_value(void **state)
{
	struct settings *s = load("return { mailers = { m1 = { tls = 'implicit', verifyhost = 'v.example.org', sni = 's.example.org', "
	                          "ca_file = '/ca', crl_file = '/crl', crt = '/crt', ssl_min_ver = 'TLSv1.3', user = 'u', "
	                          "password_file = '%/password', auth = { 'plain', 'login' }, helo = 'h.example.org', maxconn = 7, "
	                          "timeout_connect = '1s', timeout_mail = '2s', timeout_final = '3s', pipelining = false, "
	                          "chunking = false, fall = 5, rise = 6, inter = '7s', backup = true } } }");
	struct mailer_settings m = mailer(s, "p", "m1");

	(void)state;
	assert_int_equal(m.tls, SMTP_TLS_IMPLICIT);
	assert_string_equal(m.wire.verifyhost, "v.example.org");
	assert_string_equal(m.wire.sni, "s.example.org");
	assert_true(m.wire.context->settings.verify);
	assert_string_equal(m.wire.context->settings.ca_file, "/ca");
	assert_string_equal(m.wire.context->settings.crl_file, "/crl");
	assert_string_equal(m.wire.context->settings.crt, "/crt");
	assert_int_equal(m.wire.context->settings.min_version, TLS_VERSION_1_3);
	assert_string_equal(m.credentials->user, "u");
	assert_string_equal(m.credentials->password, SECRET);
	assert_null(m.credentials->token);
	assert_string_equal(m.credentials->host, "v.example.org");
	assert_int_equal(m.credentials->port, 25);
	assert_int_equal(m.mechanisms, SASL_BIT(SASL_PLAIN) | SASL_BIT(SASL_LOGIN));
	assert_string_equal(m.helo, "h.example.org");
	assert_int_equal(m.maxconn, 7);
	assert_int_equal(m.timeout_connect_ms, 1000);
	assert_int_equal(m.timeout_mail_ms, 2000);
	assert_int_equal(m.timeout_final_ms, 3000);
	assert_int_equal(m.without, SMTP_CLIENT_NO_PIPELINING | SMTP_CLIENT_NO_CHUNKING);
	assert_int_equal(m.fall, 5);
	assert_int_equal(m.rise, 6);
	assert_int_equal(m.inter_ms, 7000);
	assert_true(m.backup);
	settings_free(s);
}

static void mailer__of_several_entries__takes_the_most_particular(void **state)
{
	struct settings *s = load("return { mailers = { ['*'] = { maxconn = 1, rise = 1, fall = 1, inter = '1s' }, "
	                          "m1 = { maxconn = 2, rise = 2, fall = 2 }, ['p/m1'] = { maxconn = 3, rise = 3 } }, "
	                          "extra = { x = { address = '192.0.2.9:25', maxconn = 4 }, m1x = { address = '192.0.2.8:25' } } }");
	struct mailer_settings m = mailer(s, "p", "m1");
	char reason[SETTINGS_REASON_MAX];

	(void)state;
	assert_int_equal(m.maxconn * 1000 + m.rise * 100 + m.fall * 10 + m.inter_ms / 1000, 3321);
	m = mailer(s, "q", "m1");
	assert_int_equal(m.maxconn * 1000 + m.rise * 100 + m.fall * 10 + m.inter_ms / 1000, 2221);
	m = mailer(s, "p", "m2");
	assert_int_equal(m.maxconn * 1000 + m.rise * 100 + m.fall * 10 + m.inter_ms / 1000, 1111);
	assert_int_equal(settings_extras(s, "p"), 2);
	assert_true(settings_extra(s, "p", 1, &m, reason));
	assert_string_equal(m.name, "x");
	assert_string_equal(m.address, "192.0.2.9:25");
	assert_int_equal(m.maxconn * 1000 + m.rise * 100 + m.fall * 10 + m.inter_ms / 1000, 4111);
	assert_false(settings_extra(s, "p", 2, &m, reason));
	settings_free(s);
}

static void mailer__of_equal_settings__shares_contexts_and_credentials(void **state)
{
	struct settings *s = load("return { mailers = { ['*'] = { tls = 'required', verifyhost = 'v.example.org', user = 'u', "
	                          "password_file = '%/password' }, m2 = { maxconn = 2, password_file = '%/password' }, "
	                          "m3 = { ca_file = '/other', user = 'w' }, m4 = { tls = 'none', verifyhost = false, user = false, "
	                          "password_file = false } } }");
	struct mailer_settings a = mailer(s, "p", "m1"), b = mailer(s, "q", "m2"), c = mailer(s, "p", "m3");
	struct mailer_settings d = mailer(s, "p", "m4");

	(void)state;
	assert_ptr_equal(a.wire.context, b.wire.context);
	assert_ptr_equal(a.credentials, b.credentials);
	assert_ptr_not_equal(a.wire.context, c.wire.context);
	assert_ptr_not_equal(a.credentials, c.credentials);
	assert_int_equal(contexts, 2);
	assert_int_equal(d.tls, SMTP_TLS_NONE);
	assert_null(d.credentials);
	assert_null(d.wire.context);
	settings_free(s);
	assert_int_equal(contexts, 0);
}

static void mailer__whose_mechanisms_cannot_be__is_refused(void **state)
{
	char reason[SETTINGS_REASON_MAX];
	struct settings *s = load("return { mailers = { m1 = { verify = 'none', user = 'u', password_file = '%/password', "
	                          "auth = 'cram-md5' } } }");
	struct mailer_settings m = line("m1");

	(void)state;
	assert_false(settings_mailer(s, "p", "m1", &m, reason)); /* this TLS has no hashes */
	assert_non_null(strstr(reason, "mailers[\"m1\"]: no mechanism of AUTH can be used, CRAM-MD5: "));
	assert_null(strstr(reason, SECRET));
	settings_free(s);
}

static void need_tls__of_entries__is_told(void **state)
{
	static const struct {
		const char *text;
		bool need;
	} rows[] = {
		{ "return {}", true },
		{ "return { mailers = { ['*'] = { tls = 'none' } } }", false },
		{ "return { mailers = { m1 = { tls = 'none' } } }", true },
		{ "return { mailers = { ['*'] = { tls = 'none' }, m1 = { tls = 'opportunistic' } } }", true },
		{ "return { mailers = { ['*'] = { tls = 'none' }, ['p/m1'] = { tls = 'required', verify = 'none' } } }", true },
		{ "return { mailers = { ['*'] = { tls = 'none' } }, extra = { x = { address = '192.0.2.1:25' } } }", false },
		{ "return { mailers = { ['*'] = { tls = 'none' } }, extra = { x = { address = '192.0.2.1:25', tls = 'implicit', "
		  "verify = 'none' } } }", true },
		{ "return { mailers = { ['*'] = { tls = 'none' } }, proxies = { p = { extra = { x = { address = '192.0.2.1:25', "
		  "tls = 'implicit', verify = 'none' } } } } }", true },
		{ "return { mailers = { ['*'] = { tls = 'none', auth_without_tls = true, user = 'u', password_file = '%/password', "
		  "auth = 'plain' } } }", false },
		{ "return { mailers = { ['*'] = { tls = 'none', auth_without_tls = true, user = 'u', password_file = '%/password' "
		  "} } }", true },
		{ "return { mailers = { ['*'] = { tls = 'none', auth_without_tls = true, user = 'u', token_file = '%/token' } } }",
		  false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct settings *s = load(rows[i].text);

		if (settings_need_tls(s) != rows[i].need)
			fail_msg("%s", rows[i].text);
		settings_finish(s);
		settings_free(s);
	}
}

static void context__that_fails__names_the_entry_that_set_the_key(void **state)
{
	lua_State *L = luaL_newstate();
	char reason[SETTINGS_REASON_MAX], wanted[SETTINGS_REASON_MAX];
	struct settings *s = load_in(L, "return { mailers = { ['*'] = { tls = 'required', ca_file = '/ca' }, "
	                             "m1 = { verifyhost = 'v.example.org', crt = '/c' } } }", reason);

	(void)state;
	assert_non_null(s);
	context_why = "ca_file: cannot read /ca; write another";
	assert_false(settings_tls(s, &fake_tls, reason));
	snprintf(wanted, sizeof(wanted), "%s: mailers[\"*\"].ca_file: cannot read /ca; write another", path);
	assert_string_equal(reason, wanted);
	context_why = "crt: cannot read /c; write another";
	assert_false(settings_tls(s, &fake_tls, reason));
	snprintf(wanted, sizeof(wanted), "%s: mailers[\"m1\"].crt: cannot read /c; write another", path);
	assert_string_equal(reason, wanted);
	context_why = "OpenSSL does not start";
	assert_false(settings_tls(s, &fake_tls, reason));
	snprintf(wanted, sizeof(wanted), "%s: mailers[\"m1\"]: OpenSSL does not start", path);
	assert_string_equal(reason, wanted);
	context_why = NULL;
	settings_free(s);
	lua_close(L);
}

/* --- proxies --- */

static void proxy__of_several_scopes__takes_the_most_particular(void **state)
{
	struct settings *s = load("return { mode = 'failover', max_age = '1h', limit = { mails = 1, per = '1m' }, drain = 0, "
	                          "commands = true, proxies = { ['*'] = { max_age = '2h' }, p = { mode = 'all', limit = false } } }");
	struct engine_proxy_settings p = { 0 }, q = { 0 };

	(void)state;
	settings_proxy(s, "p", &p);
	settings_proxy(s, "q", &q);
	assert_int_equal(p.mode, ENGINE_MODE_ALL);
	assert_int_equal(p.limit_mails, 0);
	assert_int_equal(p.limit_per_ms, 0);
	assert_int_equal(p.max_age_ms, 7200000);
	assert_int_equal(q.mode, ENGINE_MODE_FAILOVER);
	assert_int_equal(q.limit_mails, 1);
	assert_int_equal(q.limit_per_ms, 60000);
	assert_int_equal(q.max_age_ms, 7200000);
	assert_int_equal(settings_drain_ms(s), 0);
	assert_true(settings_commands(s));
	settings_free(s);
}

static void rules_and_templates__of_several_scopes__are_those_of_the_most_particular(void **state)
{
	struct settings *s = load("return { subject = 'top \\37{proxy}', body = 'a\\nb', rules = { { drop = true } }, proxies = { "
	                          "p = { subject = false, rules = { { event = { 'up', 'check' }, proxy = '^p', to = 'a@x.org', "
	                          "continue = true, level = 'notice' }, {} } }, o = { rules = false } } }");
	struct engine_proxy_settings p = { 0 }, q = { 0 }, o = { 0 };

	(void)state;
	settings_proxy(s, "p", &p);
	settings_proxy(s, "q", &q);
	settings_proxy(s, "o", &o);
	assert_null(p.subject);
	assert_string_equal(p.body, "a\nb");
	assert_int_equal(p.nrules, 2);
	assert_int_equal(p.rules[0].event, 1u << ALERT_CHANGE_UP | 1u << ALERT_CHANGE_CHECK);
	assert_int_equal(p.rules[0].level, ALERT_LEVEL_NOTICE);
	assert_int_equal(p.rules[0].proxy.n, 1);
	assert_string_equal(p.rules[0].proxy.id[0], "^p");
	assert_string_equal(p.rules[0].to.id[0], "a@x.org");
	assert_true(p.rules[0].further && !p.rules[0].drop);
	assert_int_equal(p.rules[1].level, ALERT_LEVEL_DEBUG);
	assert_int_equal(p.rules[1].event, 0);
	assert_string_equal(q.subject, "top %{proxy}");
	assert_int_equal(q.nrules, 1);
	assert_true(q.rules[0].drop);
	assert_int_equal(o.nrules, 0);
	settings_proxy(NULL, "p", &p);
	assert_true(!p.subject && !p.body && !p.nrules);
	settings_free(s);
}

static void threads_and_durations__off_unless_a_scope_says_so(void **state)
{
	struct settings *s = load("return { threads = true, proxies = { ['*'] = { durations = true }, "
	                          "p = { threads = false, durations = false } } }");
	struct engine_proxy_settings p = { .threads = true, .durations = true }, q = { 0 }, none = p;

	(void)state;
	settings_proxy(s, "p", &p);
	settings_proxy(s, "q", &q);
	settings_proxy(NULL, "p", &none);
	assert_true(!p.threads && !p.durations);
	assert_true(q.threads && q.durations);
	assert_true(!none.threads && !none.durations);
	settings_free(s);
}

static void extra__of_several_scopes__is_theirs_together(void **state)
{
	struct settings *s = load("return { extra = { a = { address = '192.0.2.1:25' }, b = { address = '192.0.2.2:25' } }, "
	                          "proxies = { ['*'] = { extra = { b = { address = '192.0.2.3:25' } } }, "
	                          "p = { extra = { c = { address = 'unix@/run/c.sock' } } } } }");
	char reason[SETTINGS_REASON_MAX];
	struct mailer_settings m = line("x");

	(void)state;
	assert_int_equal(settings_extras(s, "q"), 2);
	assert_int_equal(settings_extras(s, "p"), 3);
	assert_int_equal(settings_extras(s, "*"), 2);
	assert_true(settings_extra(s, "p", 0, &m, reason));
	assert_string_equal(m.name, "a");
	assert_true(settings_extra(s, "p", 1, &m, reason));
	assert_string_equal(m.name, "b");
	assert_string_equal(m.address, "192.0.2.3:25");
	assert_true(settings_extra(s, "p", 2, &m, reason));
	assert_string_equal(m.name, "c");
	assert_string_equal(m.address, "/run/c.sock");
	settings_free(s);
}

/* A name that everybody can look up. */
static void extra__by_its_name__is_verified_by_that(void **state)
{
	struct settings *s = load("return { extra = { a = { address = 'ipv4@localhost:25', tls = 'required' }, "
	                          "b = { address = 'ipv4@localhost:25', tls = 'required', verifyhost = 'b.example.org' }, "
	                          "c = { address = 'ipv4@localhost:25' } } }");
	char reason[SETTINGS_REASON_MAX];
	struct mailer_settings m = line("x");

	(void)state;
	assert_true(settings_extra(s, "p", 0, &m, reason));
	assert_string_equal(m.address, "127.0.0.1:25");
	assert_string_equal(m.wire.verifyhost, "localhost");
	assert_string_equal(m.wire.sni, "localhost");
	assert_true(settings_extra(s, "p", 1, &m, reason));
	assert_string_equal(m.wire.verifyhost, "b.example.org");
	assert_string_equal(m.wire.sni, "b.example.org");
	assert_true(settings_extra(s, "p", 2, &m, reason));
	assert_null(m.wire.verifyhost);
	assert_string_equal(m.wire.sni, "localhost");
	settings_free(s);
}

/* The names of the mailers of <proxy>, m1 to m4, as they are sorted. */
static const char *sorted(struct settings *s, const char *proxy)
{
	static char names[64];
	char reason[SETTINGS_REASON_MAX];
	struct mailer_settings m[4] = { line("m1"), line("m2"), line("m3"), line("m4") };
	size_t i;

	if (!settings_order(s, proxy, m, 4, reason)) {
		snprintf(names, sizeof(names), "%.60s", strstr(reason, ": ") + 2);
		return names;
	}
	names[0] = '\0';
	for (i = 0; i < 4; i++)
		strcat(strcat(names, i ? " " : ""), m[i].name);
	return names;
}

static void order__of_mailers__is_followed(void **state)
{
	struct settings *s = load("return { order = { 'm9', 'm4' }, proxies = { ['*'] = {}, p = { order = { 'm3', 'm1' } }, "
	                          "q = { order = false }, r = { order = { 'm1', 'm22' } } } }");

	(void)state;
	assert_string_equal(sorted(s, "p"), "m3 m1 m2 m4");
	assert_string_equal(sorted(s, "q"), "m1 m2 m3 m4");
	assert_string_equal(sorted(s, "other"), "m4 m1 m2 m3"); /* m9 is another proxy's */
	assert_string_equal(sorted(s, "r"), "proxies[\"r\"].order: 'm22' is no mailer of proxy r; did you m");
	settings_free(s);
}

/* --- warnings --- */

static bool warned(const struct settings *s, const char *text)
{
	const char *warning;
	size_t n;

	for (n = 0; (warning = settings_warning(s, n)); n++) {
		if (strstr(warning, text))
			return true;
	}
	return false;
}

static void finish__of_entries__warns_of_those_that_nobody_has(void **state)
{
	struct settings *s = load("return { order = { 'm1' }, mailers = { ['*'] = {}, m1 = {}, m2 = {}, ['p/m1'] = {}, ['q/m1'] = {}, "
	                          "x = {}, y = { rise = 1 } }, proxies = { ['*'] = {}, p = { order = { 'm1' } }, q = {} }, "
	                          "extra = { x = { address = '192.0.2.1:25' } } }");
	struct mailer_settings m = mailer(s, "p", "m1");
	struct engine_proxy_settings p = { 0 };
	char reason[SETTINGS_REASON_MAX];
	size_t n = 0;

	(void)state;
	settings_proxy(s, "p", &p);
	assert_true(settings_order(s, "p", &m, 1, reason));
	assert_true(settings_extra(s, "p", 0, &m, reason));
	assert_null(settings_warning(s, 0));
	settings_finish(s);
	assert_true(warned(s, ": mailers[\"m2\"]: no mailer of this name is used"));
	assert_true(warned(s, ": mailers[\"q/m1\"]: no mailer of this name"));
	assert_true(warned(s, ": mailers[\"y\"]: no mailer of this name"));
	assert_true(warned(s, ": proxies[\"q\"]: no proxy of this name mails alerts"));
	while (settings_warning(s, n))
		n++;
	assert_int_equal(n, 4);
	settings_finish(s); /* what was said is not said again */
	assert_null(settings_warning(s, 4));
	settings_free(s);
}

static void warnings__of_very_many__are_cut(void **state)
{
	struct settings *s = load("local m = { ['*'] = { tls = 'none' } } for i = 1, 1000 do m['m' .. i] = { helo = 'lb' } end "
	                          "return { mailers = m }");
	size_t n = 0;

	(void)state;
	settings_finish(s);
	while (settings_warning(s, n))
		n++;
	assert_int_equal(n, 201);
	assert_non_null(strstr(settings_warning(s, 200), "there are more warnings"));
	settings_free(s);
}

/* --- tokens --- */

static void token__that_was_renewed__is_read(void **state)
{
	char reason[SETTINGS_REASON_MAX], out[SASL_TOKEN_MAX + 1], renewed[80];
	struct settings *s = load("return { mailers = { m1 = { verify = 'none', user = 'u', token_file = '%/token' }, "
	                          "m2 = { verify = 'none', user = 'u', password_file = '%/password', auth = 'plain' } } }");
	struct mailer_settings m = mailer(s, "p", "m1"), other = mailer(s, "p", "m2");

	(void)state;
	assert_string_equal(m.credentials->token, "first-" SECRET);
	snprintf(renewed, sizeof(renewed), "%s/renewed", folder);
	file_write(renewed, "second-" SECRET);
	assert_int_equal(rename(renewed, token), 0);
	assert_true(settings_token_read(s, m.credentials, out, reason));
	assert_string_equal(out, "second-" SECRET);
	assert_false(settings_token_read(s, other.credentials, out, reason));
	/* It was taken, AUTH fitted no more, and as no server refused it the file was never read again. */
	file_write(token, "Bearer third-" SECRET "\n");
	assert_false(settings_token_read(s, m.credentials, out, reason));
	assert_non_null(strstr(reason, "holds a byte that none has"));
	assert_null(strstr(reason, SECRET));
	assert_int_equal(chmod(token, 0604), 0);
	assert_false(settings_token_read(s, m.credentials, out, reason));
	assert_non_null(strstr(reason, "world-readable"));
	assert_null(strstr(reason, SECRET));
	unlink(token);
	assert_false(settings_token_read(s, m.credentials, out, reason));
	assert_int_equal(mkfifo(token, 0600), 0); /* nobody writes: must not wait */
	assert_false(settings_token_read(s, m.credentials, out, reason));
	assert_non_null(strstr(reason, "is no regular file"));
	unlink(token);
	file_write(token, "first-" SECRET "\n");
	settings_free(s);
}

/* As Kubernetes mounts a secret: token -> now/token, now -> a folder, which is exchanged. */
static void token__behind_links_in_its_directory__is_read(void **state)
{
	char reason[SETTINGS_REASON_MAX], out[SASL_TOKEN_MAX + 1], names[5][80];
	static const char *const files[] = { "one", "two", "now", "new", "linked" };
	struct mailer_settings m;
	struct settings *s;
	size_t i;

	(void)state;
	for (i = 0; i < 5; i++)
		snprintf(names[i], sizeof(names[i]), "%s/%s", folder, files[i]);
	for (i = 0; i < 2; i++) {
		char name[420];

		assert_int_equal(mkdir(names[i], 0700), 0);
		snprintf(name, sizeof(name), "%s/token", names[i]);
		file_write(name, files[i]);
	}
	assert_int_equal(symlink("one", names[2]), 0);
	assert_int_equal(symlink("now/token", names[4]), 0);
	s = load("return { mailers = { m1 = { verify = 'none', user = 'u', token_file = '%/linked' } } }");
	m = mailer(s, "p", "m1");
	assert_string_equal(m.credentials->token, "one");
	assert_int_equal(symlink("two", names[3]), 0);
	assert_int_equal(rename(names[3], names[2]), 0);
	assert_true(settings_token_read(s, m.credentials, out, reason));
	assert_string_equal(out, "two");
	settings_free(s);
	for (i = 0; i < 2; i++) {
		char name[420];

		snprintf(name, sizeof(name), "%s/token", names[i]);
		unlink(name);
		rmdir(names[i]);
	}
	unlink(names[2]);
	unlink(names[4]);
}

/* --- memory --- */

static const char *const everything =
	"return { mailers = { ['*'] = { maxconn = 2 }, m1 = { verify = 'none', user = 'u', password_file = '%/password', auth = { 'plain' } }, "
	"['p/m1'] = { helo = 'lb' } }, proxies = { p = { mode = 'failover', order = { 'm1' }, limit = { mails = 2, per = '1s' }, summary = { batch = function() end }, "
	"extra = { x = { address = 'ipv4@localhost:465', user = 'u', token_file = '%/token', verify = 'none' } } } }, gone = nil, "
	"extra = { y = { address = 'unix@/run/y.sock' } }, route = function() end, route_timeout = '1s', subject = '\\37{text}', body = 'x\\n', "
	"rules = { { proxy = '^p', to = { 'a@x.org', 'b@x.org' }, event = 'up' }, { words = { 'x' } } } }";

/* Everything that a host does; false when something failed, and then there is a reason. */
static bool whole_life(lua_State *L)
{
	char reason[SETTINGS_REASON_MAX] = "", where[SETTINGS_REASON_MAX] = "";
	struct settings *s = load_in(L, everything, reason);
	struct mailer_settings m[3] = { line("m1"), line("m1"), line("m1") };
	bool ok = s;

	assert_int_equal(lua_gettop(L), 0);
	assert_int_equal(!s, reason[0] != '\0');
	if (ok)
		ok = settings_tls(s, &fake_tls, where) && settings_mailer(s, "p", "m1", &m[0], where) &&
		     settings_extra(s, "p", 0, &m[1], where) && settings_extra(s, "p", 1, &m[2], where) &&
		     settings_order(s, "p", m, 3, where);
	if (s && !ok)
		assert_true(where[0]);
	settings_finish(s);
	settings_free(s);
	assert_int_equal(contexts, 0);
	assert_null(strstr(reason, SECRET));
	assert_null(strstr(where, SECRET));
	return ok;
}

static void memory__of_ours_that_fails__costs_nothing_but_the_start(void **state)
{
	lua_State *L = luaL_newstate();
	bool ok;
	long n;

	(void)state;
	for (n = 0;; n++) {
		unit_fail_at(n);
		ok = whole_life(L);
		if (!unit_failed())
			break;
	}
	assert_true(ok);
	assert_true(n > 30);
	lua_close(L);
}

static void memory__of_luas_that_fails__costs_nothing_but_the_start(void **state)
{
	bool ok = false;
	long n;

	(void)state;
	for (n = 1; !ok; n++) {
		lua_State *L = lua_newstate(lua_memory, NULL);

		assert_non_null(L);
		lua_failed = false;
		lua_countdown = n;
		ok = whole_life(L);
		lua_countdown = -1;
		lua_close(L);
		assert_int_equal(ok, !lua_failed);
	}
	assert_true(n > 30);
}

/* Nothing that was read can be found in freed memory. */
static void memory__of_secrets__is_wiped(void **state)
{
	struct settings *s;

	(void)state;
	unit_watch(SECRET);
	s = load("return { mailers = { m1 = { verify = 'none', user = 'u', token_file = '%/token' }, "
	         "m2 = { verify = 'none', user = 'u', password_file = '%/password' } } }");
	settings_free(s);
	assert_int_equal(unit_leaks(), 0);
	unit_watch(NULL);
}

static void summary__of_all_scopes__narrower_ones_count(void **state)
{
	struct settings *s = load("return { summary = { wait = '1s', batch = 'x' }, proxies = { "
	                          "p = { summary = { first = 'now', group = 'one' } }, q = { summary = false } } }");
	struct engine_proxy_settings p = { 0 }, q = { 0 }, r = { 0 };

	(void)state;
	settings_proxy(s, "p", &p);
	settings_proxy(s, "q", &q);
	settings_proxy(s, "r", &r);
	assert_int_equal(p.summary.wait_ms, 30000);
	assert_int_equal(p.summary.max_wait_ms, 300000);
	assert_true(p.summary.first_now);
	assert_null(p.summary.batch);
	assert_string_equal(p.summary.group, "one");
	assert_int_equal(q.summary.wait_ms, 0);
	assert_int_equal(r.summary.wait_ms, 1000);
	assert_int_equal(r.summary.max_wait_ms, 300000);
	assert_false(r.summary.first_now);
	assert_string_equal(r.summary.batch, "x");
	assert_null(r.summary.group);
	settings_free(s);
}

static void functions__of_all_scopes__are_those_of_the_most_particular(void **state)
{
	lua_State *L = luaL_newstate();
	char reason[SETTINGS_REASON_MAX];
	struct settings *s = load_in(L, "return { route = function() return 1 end, summary = { batch = function() return 2 end }, "
	                             "proxies = { p = { route = function() return 3 end, route_timeout = '20ms', summary = {} }, "
	                             "q = { route = false, summary = { batch = 'text' } }, r = { summary = false } } }", reason);
	struct settings_functions p, q, r, other;
	struct engine_proxy_settings settings = { 0 };

	(void)state;
	settings_functions(s, "p", &p);
	settings_functions(s, "q", &q);
	settings_functions(s, "r", &r);
	settings_functions(s, "other", &other);
	assert_true(p.route && !p.batch && p.timeout_ms == 20);
	assert_true(!q.route && !q.batch);
	assert_true(r.route && !r.batch && r.timeout_ms == 5000);
	assert_true(other.route == r.route && other.batch && other.batch != other.route);
	lua_rawgeti(L, LUA_REGISTRYINDEX, p.route);
	lua_call(L, 0, 1);
	assert_int_equal(lua_tointeger(L, -1), 3);
	lua_rawgeti(L, LUA_REGISTRYINDEX, other.batch);
	lua_call(L, 0, 1);
	assert_int_equal(lua_tointeger(L, -1), 2);
	settings_proxy(s, "other", &settings);
	assert_null(settings.summary.batch);
	settings_functions(NULL, "p", &p);
	assert_true(!p.route && !p.batch);
	settings_free(s);
	lua_close(L);
}

/* The function of two entries was two, so their proxies did not share mails. */
static void functions__the_same_in_two_entries__is_one(void **state)
{
	lua_State *L = luaL_newstate();
	char reason[SETTINGS_REASON_MAX];
	struct settings *s = load_in(L, "local function f() return 1 end return { proxies = { p = { summary = { batch = f } }, "
	                             "q = { summary = { wait = '1s', batch = f }, route = f }, "
	                             "r = { summary = { batch = function() return 1 end } } } }", reason);
	struct settings_functions p, q, r;

	(void)state;
	settings_functions(s, "p", &p);
	settings_functions(s, "q", &q);
	settings_functions(s, "r", &r);
	assert_true(p.batch && p.batch == q.batch && q.route == q.batch && r.batch && r.batch != p.batch);
	lua_rawgeti(L, LUA_REGISTRYINDEX, p.batch);
	lua_call(L, 0, 1);
	assert_int_equal(lua_tointeger(L, -1), 1);
	settings_free(s);
	lua_close(L);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(settings__without_a_file__are_the_defaults),
		cmocka_unit_test(settings__of_an_empty_file__are_opportunistic),
		cmocka_unit_test(mailer__of_every_key__has_its_value),
		cmocka_unit_test(mailer__of_several_entries__takes_the_most_particular),
		cmocka_unit_test(mailer__of_equal_settings__shares_contexts_and_credentials),
		cmocka_unit_test(mailer__whose_mechanisms_cannot_be__is_refused),
		cmocka_unit_test(need_tls__of_entries__is_told),
		cmocka_unit_test(context__that_fails__names_the_entry_that_set_the_key),
		cmocka_unit_test(proxy__of_several_scopes__takes_the_most_particular),
		cmocka_unit_test(rules_and_templates__of_several_scopes__are_those_of_the_most_particular),
		cmocka_unit_test(threads_and_durations__off_unless_a_scope_says_so),
		cmocka_unit_test(extra__of_several_scopes__is_theirs_together),
		cmocka_unit_test(extra__by_its_name__is_verified_by_that),
		cmocka_unit_test(order__of_mailers__is_followed),
		cmocka_unit_test(finish__of_entries__warns_of_those_that_nobody_has),
		cmocka_unit_test(warnings__of_very_many__are_cut),
		cmocka_unit_test(token__that_was_renewed__is_read),
		cmocka_unit_test(token__behind_links_in_its_directory__is_read),
		cmocka_unit_test(memory__of_ours_that_fails__costs_nothing_but_the_start),
		cmocka_unit_test(memory__of_luas_that_fails__costs_nothing_but_the_start),
		cmocka_unit_test(memory__of_secrets__is_wiped),
		cmocka_unit_test(summary__of_all_scopes__narrower_ones_count),
		cmocka_unit_test(functions__of_all_scopes__are_those_of_the_most_particular),
		cmocka_unit_test(functions__the_same_in_two_entries__is_one),
	};

	return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
