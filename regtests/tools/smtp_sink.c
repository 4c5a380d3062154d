/*
 * smtp_sink - a mail server for tests and benchmarks: takes every mail, or fails exactly as it is told to.
 *
 * Quick, so that a benchmark measures the client; strict, so that a test sees what a client does wrong; scripted, so
 * that every fault of a mail server can be had at every step (sink_rule.h), and changed while it runs (control.h).
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "control.h"
#include "sink.h"

static const char usage[] =
	"usage: smtp_sink [OPTION]...\n"
	"  --listen ADDRESS   127.0.0.1:0 (default), [::1]:0, unix:PATH or abns:NAME\n"
	"  --port-file FILE   write the port there once it listens\n"
	"  --background       leave the foreground once it listens; the port is printed\n"
	"  --control PATH     unix socket for sinkctl\n"
	"  --rule RULE        a fault; may be repeated (see sink_rule.h)\n"
	"  --greeting TEXT    220 sink ESMTP\n"
	"  --ehlo LIST        keywords, by comma: PIPELINING,8BITMIME,ENHANCEDSTATUSCODES,SIZE 10485760\n"
	"                     (CHUNKING and AUTH with PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256 XOAUTH2 OAUTHBEARER work too;\n"
	"                     HELO is always understood)\n"
	"  --tls-ehlo LIST    the same in TLS, if that is to be another one\n"
	"  --starttls         offer it, with --tls-cert\n"
	"  --tls-implicit     TLS from the first byte on\n"
	"  --tls-cert FILE    PEM: the certificate's chain\n"
	"  --tls-key FILE     PEM: its key, if that does not stand in the same file\n"
	"  --tls-version V    1.2 or 1.3; both without it\n"
	"  --tls-client-ca FILE   PEM: ask for a client certificate of these authorities\n"
	"  --tls-client-required  no handshake without one\n"
	"  --user NAME        who may authenticate; without it everybody, by PLAIN, LOGIN and the two OAuth mechanisms\n"
	"  --password TEXT, --token TEXT\n"
	"  --auth-required    no MAIL without it\n"
	"  --exim-quirk       after a mail whose recipients were refused the next MAIL is a nested one, as in Exim 4.96\n"
	"  --lines N          lines of each answer but those to EHLO and AUTH\n"
	"  --mail-dir DIR     keep each mail as DIR/000001.eml: envelope, empty line, message\n"
	"  --log FILE         a line for each mail: number, connection, ms, bytes, envelope, subject\n"
	"  --transcript FILE  each line of each dialogue\n"
	"  --no-accept        let connections hang: the queue of the listener is full and stays so\n"
	"  --lenient          take a MAIL FROM: or RCPT TO: with a space before the bracket (it counts as a violation)\n"
	"  --lifetime SECS    end by itself (900)\n"
	"control commands (sinkctl PATH ...): stats, get, wait, quit (control.h), and\n"
	"  rule RULE, clear   add a rule in front, forget all rules\n"
	"  close-listener, open-listener\n"
	"                     refuse connections, and take them again at the same address\n"
	"  drop               end all sessions by RST, as a server that dies does\n"
	"  down [MS]          both, until `up`, or for MS\n"
	"  up                 open-listener (the counter `up` is 1 while it listens)\n"
	"  token TEXT         from now on this is the token\n"
	"  violation          the first breach of SMTP by a client (their number is a counter)\n";

static struct {
	struct sink sink;
	struct tool_address address;
	ev_prepare flush;
	struct sink_tls_options tls;
	const char *listen, *port_file, *control, *ehlo, *tls_ehlo;
	int background, no_accept, starttls;
	long lifetime;
	char token[8192];
} program = {
	.sink.greeting = "220 sink ESMTP",
	.listen = "127.0.0.1:0",
	.ehlo = "PIPELINING,8BITMIME,ENHANCEDSTATUSCODES,SIZE 10485760",
	.lifetime = TOOL_LIFETIME_S,
};

static const struct control_counter counters[] = {
	{ "mails", &program.sink.mails },             /* accepted */
	{ "rcpts", &program.sink.rcpts },             /* their recipients */
	{ "bytes", &program.sink.bytes },             /* of their messages */
	{ "refused", &program.sink.refused },         /* replies that began with 4 or 5 */
	{ "violations", &program.sink.violations },
	{ "hits", &program.sink.rules.hits },         /* times that a rule was applied */
	{ "connections", &program.sink.connections },
	{ "open", &program.sink.open },
	{ "peak", &program.sink.peak },               /* most that were open at once */
	{ "quits", &program.sink.quits },
	{ "lost", &program.sink.lost },               /* ended without QUIT */
	{ "handshakes", &program.sink.handshakes },   /* TLS established */
	{ "handshakes_failed", &program.sink.handshakes_failed },
	{ "auths", &program.sink.auths },             /* accepted */
	{ "auths_failed", &program.sink.auths_failed }, /* wrong user, password or token */
	{ "up", &program.sink.up },                   /* 1 while it listens */
	{ NULL, NULL },
};

static char *text_copy(const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		tool_die("no memory");
	return copy;
}

/* Prepares the answer to EHLO, and notes which of the extensions change what is valid. */
static void offer_set(struct sink_offer *offer, const char *list)
{
	char *copy = text_copy(list), *save = NULL, *word, *next;
	struct buffer text = { 0 };

	word = strtok_r(copy, ",", &save);
	buffer_printf(&text, "250%csink\r\n", word ? '-' : ' ');
	for (; word; word = next) {
		next = strtok_r(NULL, ",", &save);
		buffer_printf(&text, "250%c%s\r\n", next ? '-' : ' ', word);
		offer->pipelining |= !strcasecmp(word, "PIPELINING");
		offer->chunking |= !strcasecmp(word, "CHUNKING");
		offer->starttls |= !strcasecmp(word, "STARTTLS");
		if (!strncasecmp(word, "AUTH ", 5) && !offer->auth)
			offer->auth = text_copy(word + 4);
		if (!strncasecmp(word, "SIZE ", 5))
			offer->size_max = strtoull(word + 5, NULL, 10);
	}
	free(copy);
	buffer_add(&text, "", 1);
	offer->text = buffer_steal(&text, NULL);
	if (!offer->text)
		tool_die("no memory");
}

static void offers_prepare(struct sink *sink)
{
	char plain[1024];

	snprintf(plain, sizeof(plain), "%s%s", program.ehlo, !program.starttls ? "" : *program.ehlo ? ",STARTTLS" : "STARTTLS");
	offer_set(&sink->plain, plain);
	offer_set(&sink->secure, program.tls_ehlo ? program.tls_ehlo : program.ehlo);
}

static void tls_prepare(struct sink *sink)
{
	if (program.tls.cert)
		sink_tls_prepare(sink, &program.tls);
	else if (program.starttls || sink->tls_implicit)
		tool_die("TLS needs --tls-cert");
}

static void token_set(const char *text)
{
	snprintf(program.token, sizeof(program.token), "%s", text);
	program.sink.credentials.token = program.token;
}

static void on_flush(struct ev_loop *loop, ev_prepare *w, int revents)
{
	(void)loop;
	(void)w;
	(void)revents;
	sink_store_flush(&program.sink);
}

static void on_command(void *arg, char *word, char *rest, char *answer, int size)
{
	struct sink *sink = arg;
	struct sink_session *s;
	const char *error;

	if (!strcmp(word, "rule")) {
		error = sink_rules_add(&sink->rules, rest);
		if (error)
			snprintf(answer, (size_t)size, "ERR %s", error);
	} else if (!strcmp(word, "clear")) {
		sink_rules_clear(&sink->rules);
		for (s = sink->sessions; s; s = s->next) {
			memset(s->seen, 0, sizeof(s->seen));
			s->fault.armed = 0;
		}
	} else if (!strcmp(word, "close-listener")) {
		sink_listener_close(sink);
	} else if (!strcmp(word, "open-listener") || !strcmp(word, "up")) {
		if (!sink_listener_open(sink))
			snprintf(answer, (size_t)size, "ERR %s", strerror(errno));
	} else if (!strcmp(word, "down")) {
		sink_listener_die(sink, (unsigned int)strtoul(rest, NULL, 10));
	} else if (!strcmp(word, "token")) {
		token_set(rest);
	} else if (!strcmp(word, "drop")) {
		sink_session_drop_all(sink);
	} else if (!strcmp(word, "violation")) {
		snprintf(answer, (size_t)size, "OK %s", sink->violation);
	} else {
		snprintf(answer, (size_t)size, "ERR no such command");
	}
}

static FILE *log_open(const char *path)
{
	FILE *f = fopen(path, "ae");

	if (!f)
		tool_die_errno("cannot write %s", path);
	return f;
}

static void options_help(void)
{
	fputs(usage, stdout);
	exit(0);
}

static void rule_add(const char *text)
{
	const char *error = sink_rules_add(&program.sink.rules, text);

	if (error)
		tool_die("rule '%s': %s", text, error);
}

static void tls_version_set(const char *text)
{
	if (strcmp(text, "1.2") && strcmp(text, "1.3"))
		tool_die("no such version of TLS: %s", text);
	program.tls.version = 10 + text[2] - '0';
}

static void log_set(const char *path)
{
	program.sink.log = log_open(path);
}

static void transcript_set(const char *path)
{
	program.sink.transcript = log_open(path);
}

static void lines_set(const char *text)
{
	program.sink.lines = (int)tool_number("lines", text, 1, 8);
}

static void lifetime_set(const char *text)
{
	program.lifetime = tool_number("lifetime", text, 1, 1000000);
}

/* An option sets one of the three. */
static const struct {
	const char *name;
	const char **text;
	int *flag;
	void (*set)(const char *text);
} fields[] = {
	{ "listen", &program.listen, NULL, NULL },
	{ "port-file", &program.port_file, NULL, NULL },
	{ "background", NULL, &program.background, NULL },
	{ "control", &program.control, NULL, NULL },
	{ "rule", NULL, NULL, rule_add },
	{ "greeting", &program.sink.greeting, NULL, NULL },
	{ "ehlo", &program.ehlo, NULL, NULL },
	{ "tls-ehlo", &program.tls_ehlo, NULL, NULL },
	{ "starttls", NULL, &program.starttls, NULL },
	{ "tls-implicit", NULL, &program.sink.tls_implicit, NULL },
	{ "tls-cert", &program.tls.cert, NULL, NULL },
	{ "tls-key", &program.tls.key, NULL, NULL },
	{ "tls-version", NULL, NULL, tls_version_set },
	{ "tls-client-ca", &program.tls.client_ca, NULL, NULL },
	{ "tls-client-required", NULL, &program.tls.client_required, NULL },
	{ "user", &program.sink.credentials.user, NULL, NULL },
	{ "password", &program.sink.credentials.password, NULL, NULL },
	{ "token", NULL, NULL, token_set },
	{ "auth-required", NULL, &program.sink.auth_required, NULL },
	{ "exim-quirk", NULL, &program.sink.exim_quirk, NULL },
	{ "mail-dir", &program.sink.mail_dir, NULL, NULL },
	{ "log", NULL, NULL, log_set },
	{ "transcript", NULL, NULL, transcript_set },
	{ "no-accept", NULL, &program.no_accept, NULL },
	{ "lines", NULL, NULL, lines_set },
	{ "lenient", NULL, &program.sink.lenient, NULL },
	{ "lifetime", NULL, NULL, lifetime_set },
	{ "help", NULL, NULL, NULL },
};
#define FIELDS (sizeof(fields) / sizeof(fields[0]))

static void options_read(int argc, char **argv)
{
	struct option options[FIELDS + 1] = { { 0 } };
	size_t i;
	int c;

	for (i = 0; i < FIELDS; i++)
		options[i] = (struct option){ fields[i].name, fields[i].text || fields[i].set, NULL, (int)i + 1000 };
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c < 1000)
			exit(1);
		i = (size_t)c - 1000;
		if (fields[i].set)
			fields[i].set(optarg);
		else if (fields[i].text)
			*fields[i].text = optarg;
		else if (fields[i].flag)
			*fields[i].flag = 1;
		else
			options_help();
	}
	if (optind < argc)
		tool_die("unexpected argument '%s'", argv[optind]);
}

int main(int argc, char **argv)
{
	struct sink *sink = &program.sink;
	char text[256];

	options_read(argc, argv);
	offers_prepare(sink);
	tls_prepare(sink);
	if (sink->mail_dir && mkdir(sink->mail_dir, 0777) < 0 && errno != EEXIST)
		tool_die_errno("cannot make %s", sink->mail_dir);
	tool_address_parse(&program.address, program.listen);
	if (program.background)
		tool_background();
	sink->loop = ev_default_loop(0);
	tool_prepare(sink->loop, (double)program.lifetime);
	sink_listener_start(sink, &program.address, program.no_accept);
	if (program.control)
		control_start(sink->loop, program.control, counters, on_command, sink);
	if (sink->log || sink->transcript) {
		/* Before control looks at its waiters: what they are told of can be read. */
		ev_prepare_init(&program.flush, on_flush);
		ev_set_priority(&program.flush, EV_MAXPRI);
		ev_prepare_start(sink->loop, &program.flush);
	}
	if (tool_port(&program.address))
		snprintf(text, sizeof(text), "%u\n", tool_port(&program.address));
	else
		snprintf(text, sizeof(text), "%.200s\n", strchr(program.listen, ':') + 1);
	tool_ready(program.port_file, text);
	ev_run(sink->loop, 0);
	sink_store_flush(sink);
	return 0;
}
