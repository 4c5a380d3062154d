/*
 * options - see options.h. Every mistake is told with its option and the remedy, and ends with EX_USAGE.
 *
 * Called by mailers_send.c once.
 */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include <ev.h>

#include <mailers/setting.h>
#include <mailers/version.h>

#include "../tls/tls_openssl.h"
#include "options.h"

static const char options_help[] =
	"usage: mailers-send --to ADDRESS [--settings FILE] [--mailer ID] [--address HOST:PORT] ...\n"
	"\n"
	"Sends a test mail by the settings of haproxy-mailers and shows what was said.\n"
	"\n"
	"  -s, --settings FILE   the settings file that HAProxy's lua-load line names\n"
	"  -m, --mailer ID       the mailer, by its id there or in HAProxy's mailers section\n"
	"  -p, --proxy NAME      with the settings of this proxy\n"
	"  -a, --address ADDR    of the mail server: HOST:PORT, 192.0.2.25:25, [::1]:25, unix@PATH, abns@NAME;\n"
	"                        needed unless the settings (for `extra` mailers) or --config have it\n"
	"  -c, --config FILE     HAProxy's configuration: the `mailer ID ADDR` line tells the address\n"
	"                        (/etc/haproxy/haproxy.cfg, if it is there)\n"
	"  -t, --to ADDRESS      to whom; may be given several times, or hold a list\n"
	"  -f, --from ADDRESS    from whom (haproxy@ and our host name)\n"
	"  -H, --helo NAME       our name (that of the settings, or the host's)\n"
	"  -T, --text TEXT       an alert with this text in place of the test mail; several are sent in order\n"
	"  -r, --retry TIME      with --text: try again for so long (5m; 30s without it)\n"
	"  -q, --quiet           do not show the dialogue\n"
	"  -h, --help            this text\n"
	"  -V, --version         versions\n"
	"\n"
	"Exit status: 0 accepted, 69 refused, 75 not now, 68 no connection, 77 AUTH failed, 76 TLS or the server's\n"
	"SMTP failed, 78 settings, 64 usage, 71 out of memory.\n";

static const struct option options_long[] = {
	{ "settings", required_argument, NULL, 's' }, { "mailer", required_argument, NULL, 'm' },
	{ "proxy", required_argument, NULL, 'p' },    { "address", required_argument, NULL, 'a' },
	{ "to", required_argument, NULL, 't' },       { "from", required_argument, NULL, 'f' },
	{ "helo", required_argument, NULL, 'H' },     { "text", required_argument, NULL, 'T' },
	{ "retry", required_argument, NULL, 'r' },    { "quiet", no_argument, NULL, 'q' },
	{ "config", required_argument, NULL, 'c' },
	{ "help", no_argument, NULL, 'h' },           { "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static int options_wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));

static int options_wrong(const char *format, ...)
{
	va_list ap;

	fputs("mailers-send: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputs("; mailers-send --help tells more\n", stderr);
	return EX_USAGE;
}

/* Appends to the list of recipients. */
static int options_add_to(struct options *o, const char *to)
{
	size_t have = o->to ? strlen(o->to) : 0, more = strlen(to);
	char *list = realloc(o->to, have + more + 3);

	if (!list)
		return EX_OSERR;
	if (have) {
		memcpy(list + have, ", ", 2);
		have += 2;
	}
	memcpy(list + have, to, more + 1);
	o->to = list;
	return -1;
}

static int options_add_text(struct options *o, const char *text)
{
	if (o->ntexts == OPTIONS_TEXTS)
		return options_wrong("--text: %d are the most", OPTIONS_TEXTS);
	o->texts[o->ntexts++] = text;
	return -1;
}

static int options_set_retry(struct options *o, const char *text)
{
	uint32_t ms;

	if (!setting_time(text, strlen(text), &ms) || !ms)
		return options_wrong("--retry: '%s' is no time; write 30s or 5m", text);
	o->retry_ms = ms;
	return -1;
}

static int options_version(void)
{
	printf("mailers-send " MAILERS_VERSION ", %s, libev %d.%d\n", tls_openssl.library, ev_version_major(),
	       ev_version_minor());
	return 0;
}

static int options_set(struct options *o, int option, const char *value)
{
	switch (option) {
	case 's': o->settings = value; return -1;
	case 'm': o->mailer = value; return -1;
	case 'p': o->proxy = value; return -1;
	case 'a': o->address = value; return -1;
	case 'c': o->config = value; return -1;
	case 'f': o->from = value; return -1;
	case 'H': o->helo = value; return -1;
	case 'q': o->quiet = true; return -1;
	case 't': return options_add_to(o, value);
	case 'T': return options_add_text(o, value);
	case 'r': return options_set_retry(o, value);
	case 'V': return options_version();
	case 'h': fputs(options_help, stdout); return 0;
	default: return EX_USAGE; /* getopt_long() has said why */
	}
}

int options_read(struct options *o, int argc, char **argv)
{
	int option, status = -1;

	*o = (struct options){ 0 };
	while (status < 0 && (option = getopt_long(argc, argv, "s:m:p:a:c:t:f:H:T:r:qhV", options_long, NULL)) != -1)
		status = options_set(o, option, optarg);
	if (status >= 0)
		return status;
	if (optind < argc)
		return options_wrong("'%s' belongs to no option", argv[optind]);
	if (!o->to)
		return options_wrong("--to is missing: to whom is the mail to go?");
	if (!o->address && !o->mailer)
		return options_wrong("no mail server is named: give --mailer ID with --settings or --config, or --address");
	if (o->retry_ms && !o->ntexts)
		return options_wrong("--retry goes with --text only: a test mail is sent once");
	if (!o->retry_ms)
		o->retry_ms = OPTIONS_RETRY_MS;
	return -1;
}

void options_free(struct options *o)
{
	free(o->to);
}
