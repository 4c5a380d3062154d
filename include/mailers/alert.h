/*
 * alert - HAProxy's server events and the legacy alert texts, byte for byte.
 *
 * An alert_event is what HAProxy published, copied at once; an alert_origin is what is known of the server at that
 * time. alert_compose() turns both into the level and text that HAProxy's native sender (2.8 to 3.2)
 * mailed for it, or says that it mailed none. The table of texts stands in doc/legacy-texts.md.
 */
#ifndef MAILERS_ALERT_H
#define MAILERS_ALERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mailers/buffer.h>
#include <mailers/error.h>

enum alert_level { /* syslog's */
	ALERT_LEVEL_EMERG = 0, ALERT_LEVEL_ALERT, ALERT_LEVEL_CRIT, ALERT_LEVEL_ERR,
	ALERT_LEVEL_WARNING, ALERT_LEVEL_NOTICE, ALERT_LEVEL_INFO, ALERT_LEVEL_DEBUG,
};

enum alert_kind { /* over a bound CHECK goes before STATE */
	ALERT_KIND_STATE = 0, /* UP, DOWN, drain */
	ALERT_KIND_CHECK,     /* a check report of option log-health-checks */
};

enum server_state { /* HAProxy's names; UNKNOWN before the first look */
	SERVER_STATE_UNKNOWN = 0, SERVER_STATE_STOPPED, SERVER_STATE_STARTING,
	SERVER_STATE_RUNNING, SERVER_STATE_STOPPING,
};

/* HAProxy's admin flags as its Lua events name them. MAINT and DRAIN are HAProxy's sums of the others; CMAINT is
 * not part of MAINT: it only says that the configuration had `disabled`, and stays for the server's life.
 */
#define SERVER_ADMIN_MAINT  0x01u
#define SERVER_ADMIN_FMAINT 0x02u
#define SERVER_ADMIN_IMAINT 0x04u
#define SERVER_ADMIN_RMAINT 0x08u
#define SERVER_ADMIN_CMAINT 0x10u
#define SERVER_ADMIN_DRAIN  0x20u
#define SERVER_ADMIN_FDRAIN 0x40u
#define SERVER_ADMIN_IDRAIN 0x80u

enum check_result { CHECK_RESULT_UNKNOWN = 0, CHECK_RESULT_FAILED, CHECK_RESULT_PASSED, CHECK_RESULT_CONDPASS };

enum alert_event_type { ALERT_EVENT_STATE = 0, ALERT_EVENT_ADMIN, ALERT_EVENT_CHECK };

#define ALERT_DESC_MAX  64  /* HAProxy's longest status description is 40 bytes */
#define ALERT_CAUSE_MAX 96
#define ALERT_INFO_MAX  256 /* HAProxy's check->desc holds 128 bytes (HCHK_DESC_LEN) */

struct alert_check {
	bool agent;
	enum check_result result;
	int64_t duration_ms;       /* negative: not measured */
	bool has_code;
	int code;
	int cur, rise, fall;       /* health */
	char desc[ALERT_DESC_MAX]; /* reason.desc */
};

struct alert_event {
	enum alert_event_type type;
	int64_t when;                      /* seconds since the epoch */
	unsigned requeued;                 /* STATE, ADMIN */
	char cause[ALERT_CAUSE_MAX];       /* STATE, ADMIN: HAProxy's text, "" without */
	bool admin;                        /* STATE: because of an administrative change */
	enum server_state old_state, new_state; /* STATE */
	unsigned old_admin, new_admin;     /* ADMIN: SERVER_ADMIN_* */
	bool has_check;                    /* STATE: because of a check; CHECK: always */
	struct alert_check check;
};

struct alert_origin {
	const char *proxy, *server;         /* full names; events cut them at 63 bytes */
	const char *via_proxy, *via_server; /* of the tracked server, both NULL when it tracks none */
	bool backup;                        /* a backup server */
	bool draining;                      /* admin drain before the event (not weight 0) */
	bool stopped;                       /* ADMIN: the server is down at the event */
	bool weight_zero;                   /* CHECK: user weight is 0 */
	unsigned active_servers, backup_servers, sessions, queued;
	const char *info;                   /* raw check output, NULL or "" without; may hold any byte but NUL */
};

enum alert_change { /* what an alert tells */
	ALERT_CHANGE_DOWN = 0, ALERT_CHANGE_UP, ALERT_CHANGE_DRAIN, ALERT_CHANGE_CHECK,
	ALERT_CHANGES
};

struct alert_text {
	enum alert_level level;
	enum alert_kind kind;
	enum alert_change change;
};

/* Composes the legacy text of <event> at <origin> into <out> (appended). Returns true and fills *<what>
 * when the native sender mails this event, false when it does not (nothing appended then). Errors of <out>
 * are sticky there.
 *
 * Control bytes in names and causes are written as HAProxy's asciiencode does (<0A>), so that the text is one line.
 * The caller compares what->level with `email-alert level`, and does not ask for CHECK events without
 * `option log-health-checks`. A text has no upper length of its own: native gives one of 1,024 bytes and more up
 * unsent, here the limit of <out> decides.
 */
bool alert_compose(const struct alert_event *event, const struct alert_origin *origin,
                   struct alert_text *what, struct buffer *out);

/* The text for a state that was found, not told (events were lost, or the server was added in that state):
 * "[Backup ]Server P/S is DOWN|UP" or "enters drain state", with VIA and LEFT/ONLINE (requeued 0) and no cause.
 * STOPPED is DOWN (notice when origin->draining), every other <state> is UP; with <drain> the text is that of a
 * drain, whatever the state. A caller does not ask for a STOPPING server: native mails none.
 */
void alert_compose_found(enum server_state state, bool drain, const struct alert_origin *origin,
                         struct alert_text *what, struct buffer *out);

/* "alert", "notice" …; NULL-safe lookups from HAProxy's names, UNKNOWN for an unknown or NULL name. */
const char *alert_level_name(enum alert_level level);
/* "down", "up", "drain", "check". */
const char *alert_change_name(enum alert_change change);
/* The values of these names; -1 for another. */
int alert_level_from_name(const char *name);
int alert_change_from_name(const char *name);
enum server_state server_state_from_name(const char *name);
enum check_result check_result_from_name(const char *name);

#endif
