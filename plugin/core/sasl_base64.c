/*
 * sasl_base64 - base64 (RFC 4648 section 4), see sasl_internal.h. The decoder takes exactly one text for each run of
 * bytes: what a server sends in another form is not what its mechanism sends.
 */
#include <stdint.h>

#include "sasl_internal.h"

static const char sasl_base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void sasl_base64_encode(char *out, const void *data, size_t len)
{
	const unsigned char *in = data;
	uint32_t group;
	size_t n;

	for (; len; len -= n, in += n) {
		n = len < 3 ? len : 3;
		group = (uint32_t)in[0] << 16 | (n > 1 ? (uint32_t)in[1] << 8 : 0) | (n > 2 ? in[2] : 0);
		*out++ = sasl_base64_digits[group >> 18];
		*out++ = sasl_base64_digits[group >> 12 & 63];
		*out++ = n > 1 ? sasl_base64_digits[group >> 6 & 63] : '=';
		*out++ = n > 2 ? sasl_base64_digits[group & 63] : '=';
	}
}

/* The value of a digit, -1 for any other byte. */
static int sasl_base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool sasl_base64_decode(const char *text, size_t len, void *out, size_t size, size_t *out_len)
{
	unsigned char *to = out;
	size_t digits = len, i, n = 0;
	uint32_t bits = 0;
	int value;

	*out_len = 0;
	if (len % 4)
		return false;
	while (digits && len - digits < 2 && text[digits - 1] == '=')
		digits--;
	if (digits / 4 * 3 + (digits % 4 ? digits % 4 - 1 : 0) > size)
		return false;
	for (i = 0; i < digits; i++) {
		value = sasl_base64_value(text[i]);
		if (value < 0)
			return false;
		bits = bits << 6 | (uint32_t)value;
		if (i % 4)
			to[n++] = (unsigned char)(bits >> (6 - 2 * (i % 4)));
	}
	/* The last digit before "=" has two bits too many, before "==" four. */
	if (bits & ((1u << 2 * (len - digits)) - 1))
		return false;
	*out_len = n;
	return true;
}
