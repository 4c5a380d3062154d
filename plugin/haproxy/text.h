/*
 * text - texts that the engine writes, as Lua strings. A text is built under the engine's lock and pushed
 * after it, from a userdata: pushing may raise, and must not leak it.
 */
#ifndef HAPROXY_TEXT_H
#define HAPROXY_TEXT_H

#include <stdbool.h>

#include <mailers/buffer.h>

#include "compat.h"

#define TEXT_MAX (16u << 20)

/* Pushes an empty buffer that is freed with its userdata. */
struct buffer *text_buffer(lua_State *L);
/* Pushes the text of <b> as a string and empties <b>; false, and pushes nil, when it could not be written. */
bool text_push(lua_State *L, struct buffer *b);

#endif
