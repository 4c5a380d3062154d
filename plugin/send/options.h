/*
 * options - the command line of mailers-send.
 */
#ifndef SEND_OPTIONS_H
#define SEND_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include <mailers/engine.h>

#define OPTIONS_TEXTS    64    /* --text at most */
#define OPTIONS_RETRY_MS 30000 /* without --retry */

struct options {
	const char *settings;  /* NULL: none */
	const char *mailer;    /* id; "mailer" without one */
	const char *proxy;     /* whose settings count; "mailers-send" without one */
	const char *address;   /* NULL: that of the settings */
	const char *config;    /* HAProxy's, where `mailer` lines are looked up; NULL: SEND_CONFIG if it is there */
	const char *from;      /* NULL: made of the HELO name */
	const char *helo;      /* NULL: that of the settings, or the host's name */
	char *to;              /* all --to, comma separated; owned */
	const char *texts[OPTIONS_TEXTS]; /* none: a test mail */
	unsigned ntexts;
	uint32_t retry_ms;     /* how long alerts are tried */
	bool quiet;            /* no dialogue */
};

/* Reads the command line. Returns -1 to go on, or the exit status: the help or the version was shown, or what is wrong was
 * said on stderr. Strings are argv's but <to>.
 */
int options_read(struct options *o, int argc, char **argv);
void options_free(struct options *o);

#endif
