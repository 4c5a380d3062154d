/*
 * control - a unix socket through which a test steers a running tool, one line a command, one line back.
 *
 * Every tool understands
 *   stats                   all counters: "OK name=value name=value ..."
 *   get NAME                one counter: "OK value"
 *   wait [NAME] [=]N SECS   answers "OK value" as soon as the counter has reached N (or, with =, is N), or
 *                           "TIMEOUT value" after SECS seconds. Without a name it is the first counter.
 *   quit                    "OK", and the program ends
 * and adds commands of its own. An answer starts with OK, or with ERR and a reason. sinkctl is the client.
 */
#ifndef CONTROL_H
#define CONTROL_H

#include <stdint.h>

#include <ev.h>

struct control_counter {
	const char *name;
	const uint64_t *value;
};

/* Runs one command of the tool, <word> with the rest of the line in <rest> (both may be changed). Writes its
 * answer, one line without the newline, to <answer>.
 */
typedef void control_command_f(void *arg, char *word, char *rest, char *answer, int size);

/* Listens on the unix socket <path>. <counters> ends with a NULL name. Both live as long as the process. Exits on
 * failure. A program that has no socket to offer does not call this.
 */
void control_start(struct ev_loop *loop, const char *path, const struct control_counter *counters,
                   control_command_f *command, void *arg);

#endif
