/*
 * mailers-send - one mail through the engine, from the command line: tests a mail server by the settings that HAProxy will use,
 * before any outage.
 *
 * The second host of the engine, on libev: nothing in plugin/core knows of it. Without --text it runs one test of the engine's
 * (engine_test.c), as `mailers test` on HAProxy's CLI does; with it, it raises alerts as HAProxy's events would.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include <ev.h>
#include <lauxlib.h>
#include <lualib.h>

#include "../settings/settings.h"
#include "../tls/tls_openssl.h"
#include "config.h"
#include "host.h"
#include "options.h"

#define SEND_TOKEN  20 /* letters of a token */
#define SEND_CONFIG "/etc/haproxy/haproxy.cfg" /* where packages have it */

struct send {
	struct options options;
	struct ev_loop *loop;
	lua_State *lua;
	struct settings *settings;
	struct engine *engine;
	struct engine_proxy *proxy;
	struct host *host;
	struct ev_signal interrupt, terminate;
	char *address;  /* of a `mailer` line */
	char helo[256], from[300], token[SEND_TOKEN + 1];
	int test;       /* the engine's number of it; 0: alerts were raised */
	int status;     /* -1 while it goes on */
};

/* What the engine's word on a test is to a shell (sysexits.h). */
static const int send_statuses[] = {
	[ENGINE_TEST_ACCEPTED] = EX_OK,        [ENGINE_TEST_TEMPORARY] = EX_TEMPFAIL,
	[ENGINE_TEST_REFUSED] = EX_UNAVAILABLE, [ENGINE_TEST_FAILED] = EX_PROTOCOL,
	[ENGINE_TEST_AUTH] = EX_NOPERM,        [ENGINE_TEST_TLS] = EX_PROTOCOL,
	[ENGINE_TEST_UNREACHABLE] = EX_NOHOST, [ENGINE_TEST_LOCAL] = EX_OSERR,
};

/* Ends the loop, or, before it began, sees to it that it does not. */
static void send_over(struct send *s, int status)
{
	s->status = status;
	ev_break(s->loop, EVBREAK_ALL);
}

static int send_fail(int status, const char *reason)
{
	fprintf(stderr, "mailers-send: %s\n", reason);
	return status;
}

static void send_log(void *arg, const struct engine_log *line)
{
	const struct send *s = arg;

	if (!s->options.quiet)
		fprintf(stderr, "%s\n", line->text);
}

/* Shows what the test has said since; ends the loop when it is over. */
static void send_test_moved(struct send *s)
{
	enum engine_test_result result;
	struct buffer text = { 0 };
	bool over = engine_test_read(s->engine, s->test, &text, &result);

	if (!s->options.quiet && text.len)
		fwrite(text.data, 1, text.len, stdout);
	fflush(stdout);
	buffer_free(&text);
	if (over)
		send_over(s, send_statuses[result]);
}

/* Ends the loop when all alerts have their fate. */
static void send_alerts_moved(struct send *s)
{
	struct engine_stats stats;

	engine_stats(s->engine, &stats);
	if (engine_busy(s->engine))
		return;
	printf("%llu accepted, %llu refused, %llu given up\n", (unsigned long long)stats.accepted,
	       (unsigned long long)stats.refused, (unsigned long long)stats.given_up);
	if (stats.refused)
		send_over(s, EX_UNAVAILABLE);
	else
		send_over(s, stats.given_up || stats.dropped || !stats.accepted ? EX_TEMPFAIL : EX_OK);
}

static void send_moved(void *arg)
{
	struct send *s = arg;

	if (s->status >= 0)
		return;
	if (s->test)
		send_test_moved(s);
	else
		send_alerts_moved(s);
}

static void send_interrupted(struct ev_loop *loop, struct ev_signal *signal, int events)
{
	struct send *s = signal->data;

	(void)loop;
	(void)events;
	fprintf(stderr, "mailers-send: interrupted\n");
	send_over(s, EX_TEMPFAIL);
}

/* Our name in HELO and in the sender's address: the option, the settings', the host's. */
static void send_names(struct send *s)
{
	char host[200];

	if (s->options.helo) {
		snprintf(s->helo, sizeof(s->helo), "%s", s->options.helo);
	} else {
		if (gethostname(host, sizeof(host)))
			snprintf(host, sizeof(host), "localhost");
		host[sizeof(host) - 1] = '\0';
		snprintf(s->helo, sizeof(s->helo), "%s", host);
	}
	if (!s->options.from) {
		snprintf(s->from, sizeof(s->from), "haproxy@%s", s->helo);
		s->options.from = s->from;
	}
}

static int send_read_settings(struct send *s)
{
	char reason[SETTINGS_REASON_MAX];
	size_t n;

	if (!s->options.settings)
		return -1;
	s->lua = luaL_newstate();
	if (!s->lua)
		return send_fail(EX_OSERR, "out of memory");
	luaL_openlibs(s->lua);
	s->settings = settings_load(s->lua, s->options.settings, 0, reason);
	if (!s->settings)
		return send_fail(EX_CONFIG, reason);
	if (!settings_tls(s->settings, &tls_openssl, reason))
		return send_fail(EX_CONFIG, reason);
	for (n = 0; settings_warning(s->settings, n); n++)
		fprintf(stderr, "mailers-send: warning: %s\n", settings_warning(s->settings, n));
	return -1;
}

/* The settings of the mailer: one of the `extra` ones, or what refines a `mailer` line. */
static int send_mailer(struct send *s, struct mailer_settings *m)
{
	char reason[SETTINGS_REASON_MAX];
	size_t n = s->options.mailer ? settings_extras(s->settings, s->options.proxy) : 0, i;

	for (i = 0; i < n && !s->options.address; i++) {
		if (!settings_extra(s->settings, s->options.proxy, i, m, reason))
			return send_fail(EX_CONFIG, reason);
		if (!strcmp(m->name, s->options.mailer))
			return -1;
	}
	if (!s->options.address && !s->options.config && access(SEND_CONFIG, R_OK) == 0)
		s->options.config = SEND_CONFIG;
	if (!s->options.address && s->options.config) {
		s->address = config_mailer(s->options.config, s->options.mailer, reason);
		if (!s->address)
			return send_fail(EX_CONFIG, reason);
		s->options.address = s->address;
	}
	m->name = s->options.mailer ? s->options.mailer : "mailer";
	m->address = s->options.address;
	if (!m->address) {
		snprintf(reason, sizeof(reason), "the address of mailer %.100s is not known; add --address HOST:PORT, or "
		         "--config with HAProxy's configuration", m->name);
		return send_fail(EX_CONFIG, reason);
	}
	return settings_mailer(s->settings, s->options.proxy, m->name, m, reason) ? -1 : send_fail(EX_CONFIG, reason);
}

static int send_engine(struct send *s)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz012345";
	struct engine_settings settings = { .token = s->token };
	struct engine_proxy_settings proxy = {
		.name = s->options.proxy, .from = s->options.from, .to = s->options.to, .level = ALERT_LEVEL_DEBUG,
	};
	struct mailer_settings mailer = { .helo = s->helo };
	char reason[ENGINE_REASON_MAX];
	int status = send_mailer(s, &mailer);
	size_t i;

	if (status >= 0)
		return status;
	if (s->options.helo)
		mailer.helo = s->helo;
	settings_proxy(s->settings, s->options.proxy, &proxy);
	proxy.mode = ENGINE_MODE_ALL;
	proxy.limit_mails = 0;
	proxy.max_age_ms = s->options.retry_ms;
	if (getrandom(s->token, SEND_TOKEN, 0) != SEND_TOKEN)
		return send_fail(EX_OSERR, "no random numbers");
	for (i = 0; i < SEND_TOKEN; i++)
		s->token[i] = letters[(unsigned char)s->token[i] % 32];
	s->engine = engine_new(&settings);
	if (!s->engine)
		return send_fail(EX_OSERR, "out of memory");
	if (engine_proxy_add(s->engine, &proxy, &s->proxy, reason) ||
	    engine_proxy_mailer(s->engine, s->proxy, &mailer, reason) ||
	    engine_proxy_ready(s->engine, s->proxy, reason))
		return send_fail(EX_CONFIG, reason);
	return -1;
}

/* RFC 5322's, of now; "" when it cannot be had. */
static const char *send_date(char *date)
{
	time_t now = time(NULL);
	struct tm tm;

	localtime_r(&now, &tm);
	if (!strftime(date, QUEUE_DATE_MAX, "%a, %d %b %Y %H:%M:%S %z", &tm))
		date[0] = '\0';
	return date;
}

/* Alerts of one server, so that their order shows. */
static int send_raise(struct send *s)
{
	const struct alert_text what = { .level = ALERT_LEVEL_ALERT };
	char date[QUEUE_DATE_MAX];
	unsigned i;

	send_date(date);
	for (i = 0; i < s->options.ntexts; i++) {
		const char *text = s->options.texts[i];

		if (engine_raise(s->engine, s->proxy, 1, s->options.proxy, &what, text, strlen(text), date,
		                 host_now()))
			return send_fail(EX_OSERR, "out of memory, or the text is too long");
	}
	return -1;
}

static int send_begin(struct send *s)
{
	const struct host_calls calls = { .log = send_log, .moved = send_moved, .arg = s };
	char reason[ENGINE_REASON_MAX], date[QUEUE_DATE_MAX];

	s->loop = ev_default_loop(0);
	s->host = s->loop ? host_new(s->loop, s->engine, &calls) : NULL;
	if (!s->host)
		return send_fail(EX_OSERR, "out of memory");
	ev_signal_init(&s->interrupt, send_interrupted, SIGINT);
	ev_signal_init(&s->terminate, send_interrupted, SIGTERM);
	s->interrupt.data = s->terminate.data = s;
	ev_signal_start(s->loop, &s->interrupt);
	ev_signal_start(s->loop, &s->terminate);
	if (s->options.ntexts)
		return send_raise(s);
	s->test = engine_test_begin(s->engine, s->options.proxy, NULL, NULL, NULL, host_now(), reason);
	if (!s->test)
		return send_fail(EX_CONFIG, reason);
	engine_test_date(s->engine, s->test, send_date(date));
	return -1;
}

int main(int argc, char **argv)
{
	struct send s = { .status = -1 };
	int status = options_read(&s.options, argc, argv);

	if (!s.options.proxy)
		s.options.proxy = "mailers-send";
	send_names(&s);
	if (status < 0)
		status = send_read_settings(&s);
	if (status < 0)
		status = send_engine(&s);
	if (status < 0)
		status = send_begin(&s);
	if (status < 0) {
		host_wake(s.host);
		if (s.status < 0)
			ev_run(s.loop, 0);
		status = s.status < 0 ? EX_SOFTWARE : s.status;
	}
	host_free(s.host);
	engine_free(s.engine);
	settings_free(s.settings);
	if (s.lua)
		lua_close(s.lua);
	free(s.address);
	options_free(&s.options);
	return status;
}
