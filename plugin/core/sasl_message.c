/*
 * sasl_message - the message that an attempt builds, see sasl_internal.h. It has a fixed place, as one that grew
 * would leave copies of secrets in freed memory. What does not fit is counted: whoever uses the message
 * looks at that once, at its end.
 */
#include <string.h>

#include "sasl_internal.h"

/* The place for <len> more bytes; NULL when they do not fit. */
static char *sasl_message_room(struct sasl_message *m, size_t len)
{
	size_t at = m->len;

	m->len += len;
	return m->len <= m->size ? m->data + at : NULL;
}

void sasl_message_add(struct sasl_message *m, const void *data, size_t len)
{
	char *to = len ? sasl_message_room(m, len) : NULL;

	if (to)
		memcpy(to, data, len);
}

void sasl_message_puts(struct sasl_message *m, const char *text)
{
	sasl_message_add(m, text, strlen(text));
}

void sasl_message_name(struct sasl_message *m, const char *text)
{
	for (; *text; text++) {
		if (*text == ',')
			sasl_message_add(m, "=2C", 3);
		else if (*text == '=')
			sasl_message_add(m, "=3D", 3);
		else
			sasl_message_add(m, text, 1);
	}
}

void sasl_message_base64(struct sasl_message *m, const void *data, size_t len)
{
	char *to = sasl_message_room(m, SASL_BASE64_LEN(len));

	if (to)
		sasl_base64_encode(to, data, len);
}
