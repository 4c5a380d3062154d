/*
 * event - HAProxy's Lua event tables as the core's alert_event.
 *
 * event_decode() makes no call that can raise or allocate: the names of the fields were made strings
 * before (event_keys()), the fields are read raw.
 */
#ifndef HAPROXY_EVENT_H
#define HAPROXY_EVENT_H

#include <stdbool.h>

#include <mailers/alert.h>

#include "compat.h"

/* Indexes of the field names in the keys table. */
enum event_key {
	EVENT_KEY_STATE = 1, EVENT_KEY_ADMIN, EVENT_KEY_CHECK, EVENT_KEY_CAUSE, EVENT_KEY_OLD_STATE,
	EVENT_KEY_NEW_STATE, EVENT_KEY_REQUEUED, EVENT_KEY_OLD_ADMIN, EVENT_KEY_NEW_ADMIN, EVENT_KEY_AGENT,
	EVENT_KEY_RESULT, EVENT_KEY_DURATION, EVENT_KEY_REASON, EVENT_KEY_DESC, EVENT_KEY_CODE,
	EVENT_KEY_HEALTH, EVENT_KEY_CUR, EVENT_KEY_RISE, EVENT_KEY_FALL, EVENT_KEY_REFERENCE,
	EVENT_KEY_MAINT, EVENT_KEY_FMAINT, EVENT_KEY_IMAINT, EVENT_KEY_RMAINT, EVENT_KEY_CMAINT,
	EVENT_KEY_DRAIN, EVENT_KEY_FDRAIN, EVENT_KEY_IDRAIN,
	EVENT_KEYS
};

/* Pushes the table of field names, made at the first call. May raise. */
void event_keys(lua_State *L);

/* Reads the event <name> with its table at index <data> and its time at <when>; <keys> is the index of the keys table. False when it is none that
 * is known. Leaves the stack as it was; needs 6 free places, which the caller checks.
 */
bool event_decode(lua_State *L, int keys, const char *name, int data, int when, struct alert_event *ev);

/* Pushes data.reference (the Server) or nil. */
void event_reference(lua_State *L, int keys, int data);

#endif
