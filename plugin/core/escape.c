/*
 * escape - see escape.h. What needs no escape is appended in runs.
 *
 * Called by engine_metrics.c and engine_status.c.
 */
#include <stdint.h>
#include <stdio.h>

#include "escape.h"

#define ESCAPE_REPLACEMENT 0xFFFDu

/* Bytes of the character at <s>, and which it is; 0 when there is no valid one. */
static size_t escape_decode(const unsigned char *s, uint32_t *code)
{
	static const struct {
		unsigned char mask, lead;
		uint32_t least;
	} forms[] = { { 0x80, 0x00, 0 }, { 0xe0, 0xc0, 0x80 }, { 0xf0, 0xe0, 0x800 }, { 0xf8, 0xf0, 0x10000 } };
	size_t n = 0, i;

	while (n < 4 && (s[0] & forms[n].mask) != forms[n].lead)
		n++;
	if (n == 4)
		return 0;
	*code = s[0] & (unsigned char)~forms[n].mask;
	for (i = 1; i <= n; i++) { /* the NUL at the end is no continuation */
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (s[i] & 0x3f);
	}
	if (*code < forms[n].least || *code > 0x10ffff || (*code >= 0xd800 && *code <= 0xdfff))
		return 0;
	return n + 1;
}

/* What stands for character <code>, NULL when it stands for itself. <hex>: place for an escape. */
typedef const char *escape_rule(uint32_t code, char *hex);

/* Appends <text>; where there is no valid character, <rule> is asked about the replacement. */
static void escape_text(struct buffer *out, const char *text, escape_rule *rule)
{
	const char *run = text, *instead;
	char hex[8];

	while (*text) {
		uint32_t code = 0;
		size_t n = escape_decode((const unsigned char *)text, &code);

		instead = rule(n ? code : ESCAPE_REPLACEMENT, hex);
		if (!n && !instead)
			instead = "\xef\xbf\xbd";
		if (instead) {
			buffer_add(out, run, (size_t)(text - run));
			buffer_puts(out, instead);
			run = text + (n ? n : 1);
		}
		text += n ? n : 1;
	}
	buffer_add(out, run, (size_t)(text - run));
}

static const char *escape_json_rule(uint32_t code, char *hex)
{
	switch (code) {
	case '"':
		return "\\\"";
	case '\\':
		return "\\\\";
	case '\n':
		return "\\n";
	case '<': case '>': case '&': case 0x7f: case 0x2028: case 0x2029: case ESCAPE_REPLACEMENT:
		break;
	default:
		if (code >= 0x20)
			return NULL;
	}
	snprintf(hex, 8, "\\u%04x", (unsigned)code & 0xffff);
	return hex;
}

void escape_json(struct buffer *out, const char *text)
{
	buffer_puts(out, "\"");
	escape_text(out, text, escape_json_rule);
	buffer_puts(out, "\"");
}

static const char *escape_label_rule(uint32_t code, char *hex)
{
	(void)hex;
	switch (code) {
	case '"':
		return "\\\"";
	case '\\':
		return "\\\\";
	case '\n':
		return "\\n";
	case 0x7f:
		return "\xef\xbf\xbd";
	default:
		return code < 0x20 ? "\xef\xbf\xbd" : NULL;
	}
}

void escape_label(struct buffer *out, const char *text)
{
	escape_text(out, text, escape_label_rule);
}
