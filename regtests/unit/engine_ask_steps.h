/*
 * engine_ask_steps - what the tests of questions and answers share: a proxy whose host is asked, and the host.
 * For the test programs that include this.
 */
#ifndef ENGINE_ASK_STEPS_H
#define ENGINE_ASK_STEPS_H

#include "engine_peer.h"

#define ASK_MS 5000

/* A proxy "be" for a@ and b@ whose host is asked. */
static inline struct engine_proxy *asking(struct peer *p, int mailers)
{
	struct engine_proxy *be;
	int i;

	p->proxy.ask_ms = ASK_MS;
	be = peer_proxy(p, "be", "a@example.com, b@example.com");
	for (i = 0; i < mailers; i++)
		peer_mailer(p, be, (const char *[]){ "mx1:25", "mx2:25" }[i]);
	peer_ready(p, be);
	return be;
}

/* The value of a field of a question; NULL without it. */
static inline const char *field(const struct buffer *b, const char *name)
{
	const char *at = b->data, *value;

	for (; at < b->data + b->len; at = value + strlen(value) + 1) {
		value = at + strlen(at) + 1;
		if (!strcmp(at, name))
			return value;
	}
	return NULL;
}

static inline uint64_t ask(struct peer *p, struct buffer *b)
{
	buffer_clear(b);
	return engine_ask(p->engine, b, p->now);
}

static inline void set(struct buffer *b, const char *name, const char *value)
{
	buffer_add(b, name, strlen(name) + 1);
	buffer_add(b, value, strlen(value) + 1);
}

/* The question <from> with other values of the named fields: "name", "value", ..., NULL; value "": without it. */
static inline void change(struct buffer *b, const struct buffer *from, const char *const *fields)
{
	const char *at = from->data, *value;
	size_t i;

	buffer_clear(b);
	for (; at < from->data + from->len; at = value + strlen(value) + 1) {
		value = at + strlen(at) + 1;
		for (i = 0; fields[i] && strcmp(fields[i], at); i += 2)
			;
		if (!fields[i])
			set(b, at, value);
	}
	for (i = 0; fields[i]; i += 2) {
		if (*fields[i + 1])
			set(b, fields[i], fields[i + 1]);
	}
}

#define FIELDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* Asks, and answers the question with these fields changed. */
static inline enum mailers_error reply(struct peer *p, const char *const *fields)
{
	struct buffer question = { 0 }, answer = { 0 };
	uint64_t id = ask(p, &question);
	enum mailers_error error;

	assert_true(id);
	change(&answer, &question, fields);
	error = engine_answer(p->engine, id, &answer, 1, p->now);
	assert_false(engine_asked(p->engine, id));
	buffer_free(&question);
	buffer_free(&answer);
	return error;
}

#endif
