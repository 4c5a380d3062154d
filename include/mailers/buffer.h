/*
 * buffer - a growable run of bytes with a limit.
 *
 * Zero-initialised is valid and empty. All sizes are in bytes. A failed append leaves the buffer as
 * it was and makes it "failed": later appends do nothing, so a builder may append many times and
 * look once, with buffer_error(), at the end.
 */
#ifndef MAILERS_BUFFER_H
#define MAILERS_BUFFER_H

#include <stdarg.h>
#include <stddef.h>

#include <mailers/error.h>

struct buffer {
	char *data;               /* owned; NULL while nothing was allocated; not NUL-terminated */
	size_t len;               /* bytes in use */
	size_t size;              /* bytes allocated */
	size_t limit;             /* most bytes <len> may reach; 0 means no limit */
	enum mailers_error error; /* first failure of an append, MAILERS_OK without */
};

/* Appends <len> bytes of <data> (which may not point into <b>). */
void buffer_add(struct buffer *b, const void *data, size_t len);

/* Appends the C string <text> without its NUL. */
void buffer_puts(struct buffer *b, const char *text);

/* Appends what printf would write. */
void buffer_printf(struct buffer *b, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Removes the first <n> bytes; <n> beyond <len> empties the buffer. */
void buffer_shift(struct buffer *b, size_t n);

/* Empties the buffer and forgets a failure; keeps the allocation. */
void buffer_clear(struct buffer *b);

/* MAILERS_OK, or why an append since the last clear failed (NOMEM or BOUND). */
enum mailers_error buffer_error(const struct buffer *b);

/* Returns the bytes as an owned, NUL-terminated string of *<len> bytes (<len> may be NULL) and leaves
 * the buffer empty; NULL after a failed append or without memory. The caller frees it with free().
 */
char *buffer_steal(struct buffer *b, size_t *len);

/* Frees the bytes; <b> is valid and empty after it. */
void buffer_free(struct buffer *b);

#endif
