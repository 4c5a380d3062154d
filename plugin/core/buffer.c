/*
 * buffer - see buffer.h. Grows by doubling, so that building a mail costs a handful of allocations;
 * the sticky error lets the builders append without a test after each line.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mailers/buffer.h>

#define BUFFER_SIZE_MIN 256

/* Makes room for <more> bytes and one NUL. Returns 0 and sets the error when it cannot. */
static int buffer_reserve(struct buffer *b, size_t more)
{
	size_t size = b->size ? b->size : BUFFER_SIZE_MIN;
	size_t need;
	char *data;

	if (b->error)
		return 0;
	if (more >= SIZE_MAX / 4 - b->len || (b->limit && more > b->limit - b->len)) {
		b->error = MAILERS_ERR_BOUND;
		return 0;
	}
	need = b->len + more + 1;
	if (need <= b->size)
		return 1;
	while (size < need)
		size *= 2;
	data = realloc(b->data, size);
	if (!data) {
		b->error = MAILERS_ERR_NOMEM;
		return 0;
	}
	b->data = data;
	b->size = size;
	return 1;
}

void buffer_add(struct buffer *b, const void *data, size_t len)
{
	if (!len || !buffer_reserve(b, len))
		return;
	memcpy(b->data + b->len, data, len);
	b->len += len;
}

void buffer_puts(struct buffer *b, const char *text)
{
	buffer_add(b, text, strlen(text));
}

void buffer_printf(struct buffer *b, const char *format, ...)
{
	va_list ap;
	int len;

	va_start(ap, format);
	len = vsnprintf(NULL, 0, format, ap);
	va_end(ap);
	if (len <= 0 || !buffer_reserve(b, (size_t)len))
		return;
	va_start(ap, format);
	vsnprintf(b->data + b->len, (size_t)len + 1, format, ap);
	va_end(ap);
	b->len += (size_t)len;
}

void buffer_shift(struct buffer *b, size_t n)
{
	if (n >= b->len) {
		b->len = 0;
		return;
	}
	memmove(b->data, b->data + n, b->len - n);
	b->len -= n;
}

void buffer_clear(struct buffer *b)
{
	b->len = 0;
	b->error = MAILERS_OK;
}

enum mailers_error buffer_error(const struct buffer *b)
{
	return b->error;
}

char *buffer_steal(struct buffer *b, size_t *len)
{
	char *data = NULL;

	if (!b->error && buffer_reserve(b, 0)) {
		data = b->data;
		data[b->len] = '\0';
		if (len)
			*len = b->len;
		b->data = NULL;
	}
	buffer_free(b);
	return data;
}

void buffer_free(struct buffer *b)
{
	free(b->data);
	b->data = NULL;
	b->len = 0;
	b->size = 0;
	b->error = MAILERS_OK;
}
