/*
 * smtp_sink - a mail server for tests and benchmarks: takes every mail, or fails exactly as it is told to.
 *
 * Quick, so that a benchmark measures the client; strict, so that a test sees what a client does wrong; scripted, so
 * that every fault of a mail server can be had at every step (sink_rule.h), and changed while it runs (control.h).
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control.h"
#include "sink.h"

#define SINK_BACKLOG    1024
#define SINK_ACCEPT_MAX 64          /* connections taken in one turn of the loop */

static const char usage[] =
	"usage: smtp_sink [OPTION]...\n"
	"  --listen ADDRESS   127.0.0.1:0 (default), [::1]:0, unix:PATH or abns:NAME\n"
	"  --port-file FILE   write the port there once it listens\n"
	"  --background       leave the foreground once it listens; the port is printed\n"
	"  --control PATH     unix socket for sinkctl\n"
	"  --rule RULE        a fault; may be repeated (see sink_rule.h)\n"
	"  --greeting TEXT    220 sink ESMTP\n"
	"  --ehlo LIST        keywords, by comma: PIPELINING,8BITMIME,ENHANCEDSTATUSCODES,SIZE 10485760\n"
	"                     (CHUNKING and AUTH PLAIN LOGIN work too; HELO is always understood)\n"
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
	"  violation          the first breach of SMTP by a client (their number is a counter)\n";

static struct {
	struct sink sink;
	struct tool_address address;
	ev_io accept_io;
	ev_prepare flush;
	const char *listen, *port_file, *control;
	int background, no_accept;
	long lifetime;
} program = {
	.sink.greeting = "220 sink ESMTP",
	.listen = "127.0.0.1:0",
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
	{ NULL, NULL },
};

/* Prepares the answer to EHLO, and notes which of the extensions change what is valid. */
static void ehlo_set(struct sink *sink, const char *list)
{
	struct buffer text = { 0 };
	char *copy = strdup(list);
	char *save = NULL, *word, *next;

	word = copy ? strtok_r(copy, ",", &save) : NULL;
	buffer_printf(&text, "250%csink\r\n", word ? '-' : ' ');
	sink->pipelining = sink->chunking = sink->auth = 0;
	sink->size_max = 0;
	for (; word; word = next) {
		next = strtok_r(NULL, ",", &save);
		buffer_printf(&text, "250%c%s\r\n", next ? '-' : ' ', word);
		sink->pipelining |= !strcasecmp(word, "PIPELINING");
		sink->chunking |= !strcasecmp(word, "CHUNKING");
		sink->auth |= !strncasecmp(word, "AUTH ", 5);
		if (!strncasecmp(word, "SIZE ", 5))
			sink->size_max = strtoull(word + 5, NULL, 10);
	}
	free(copy);
	free(sink->ehlo);
	sink->ehlo = buffer_steal(&text, NULL);
	if (!sink->ehlo)
		tool_die("no memory");
}

static void on_accept(struct ev_loop *loop, ev_io *w, int revents)
{
	int i, fd;

	(void)loop;
	(void)revents;
	for (i = 0; i < SINK_ACCEPT_MAX; i++) {
		fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return;
		sink_session_start(&program.sink, fd);
	}
}

static void on_flush(struct ev_loop *loop, ev_prepare *w, int revents)
{
	(void)loop;
	(void)w;
	(void)revents;
	sink_store_flush(&program.sink);
}

/* Fills the queue of a listener that nobody accepts from, so that the next client's SYN is not answered. */
static void queue_fill(const struct tool_address *address)
{
	int i;

	for (i = 0; i < 16; i++) {
		struct pollfd p = { .events = POLLOUT };

		p.fd = tool_connect(address);
		if (p.fd < 0 && errno == EAGAIN)
			return;       /* a unix socket says so */
		if (p.fd < 0)
			tool_die_errno("cannot fill the listener's queue");
		if (poll(&p, 1, 200) == 0)
			return;       /* this one hangs; it stays, to keep its place */
	}
	tool_die("connections do not hang on this kernel");
}

static int listener_open(void)
{
	int fd;

	if (ev_is_active(&program.accept_io))
		return 1;
	fd = tool_listen(&program.address, program.no_accept ? 0 : SINK_BACKLOG);
	if (fd < 0)
		return 0;
	if (program.no_accept) {
		queue_fill(&program.address);
		return 1;
	}
	ev_io_init(&program.accept_io, on_accept, fd, EV_READ);
	ev_io_start(program.sink.loop, &program.accept_io);
	return 1;
}

static void listener_close(void)
{
	if (!ev_is_active(&program.accept_io))
		return;
	ev_io_stop(program.sink.loop, &program.accept_io);
	close(program.accept_io.fd);
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
		for (s = sink->sessions; s; s = s->next)
			memset(s->seen, 0, sizeof(s->seen));
	} else if (!strcmp(word, "close-listener")) {
		listener_close();
	} else if (!strcmp(word, "open-listener")) {
		if (!listener_open())
			snprintf(answer, (size_t)size, "ERR %s", strerror(errno));
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

static void options_read(int argc, char **argv)
{
	enum { LISTEN = 1, PORT_FILE, BACKGROUND, CONTROL, RULE, GREETING, EHLO, MAIL_DIR, LOG, TRANSCRIPT, NO_ACCEPT,
		LENIENT, LIFETIME, HELP };
	static const struct option options[] = {
		{ "listen", 1, NULL, LISTEN }, { "port-file", 1, NULL, PORT_FILE },
		{ "background", 0, NULL, BACKGROUND }, { "control", 1, NULL, CONTROL }, { "rule", 1, NULL, RULE },
		{ "greeting", 1, NULL, GREETING }, { "ehlo", 1, NULL, EHLO }, { "mail-dir", 1, NULL, MAIL_DIR },
		{ "log", 1, NULL, LOG }, { "transcript", 1, NULL, TRANSCRIPT }, { "no-accept", 0, NULL, NO_ACCEPT },
		{ "lenient", 0, NULL, LENIENT }, { "lifetime", 1, NULL, LIFETIME }, { "help", 0, NULL, HELP }, { NULL, 0, NULL, 0 },
	};
	struct sink *sink = &program.sink;
	const char *error;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case LISTEN: program.listen = optarg; break;
		case PORT_FILE: program.port_file = optarg; break;
		case BACKGROUND: program.background = 1; break;
		case CONTROL: program.control = optarg; break;
		case GREETING: sink->greeting = optarg; break;
		case EHLO: ehlo_set(sink, optarg); break;
		case MAIL_DIR: sink->mail_dir = optarg; break;
		case LOG: sink->log = log_open(optarg); break;
		case TRANSCRIPT: sink->transcript = log_open(optarg); break;
		case NO_ACCEPT: program.no_accept = 1; break;
		case LENIENT: sink->lenient = 1; break;
		case LIFETIME: program.lifetime = tool_number("lifetime", optarg, 1, 1000000); break;
		case RULE:
			error = sink_rules_add(&sink->rules, optarg);
			if (error)
				tool_die("rule '%s': %s", optarg, error);
			break;
		case HELP: options_help(); break;
		default: exit(1);
		}
	}
	if (optind < argc)
		tool_die("unexpected argument '%s'", argv[optind]);
}

int main(int argc, char **argv)
{
	struct sink *sink = &program.sink;
	char text[256];

	ehlo_set(sink, "PIPELINING,8BITMIME,ENHANCEDSTATUSCODES,SIZE 10485760");
	options_read(argc, argv);
	if (sink->mail_dir && mkdir(sink->mail_dir, 0777) < 0 && errno != EEXIST)
		tool_die_errno("cannot make %s", sink->mail_dir);
	tool_address_parse(&program.address, program.listen);
	if (program.background)
		tool_background();
	sink->loop = ev_default_loop(0);
	tool_prepare(sink->loop, (double)program.lifetime);
	if (!listener_open())
		tool_die_errno("cannot listen on %s", program.listen);
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
