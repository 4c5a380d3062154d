/*
 * template - see template.h. There is no compiled form: a template is a few hundred bytes, to scan it again costs
 * less than to keep a list of its parts for each proxy and rule, and nothing has to be freed.
 *
 * Checked by setting.c when the settings are read, rendered by the engine when an alert is raised, so that all tries of an
 * alert have one text.
 */
#include <stdio.h>
#include <string.h>

#include <mailers/mime.h>
#include <mailers/setting.h>
#include <mailers/template.h>

/* The order of doc/settings.md, too. */
static const char *const template_names[] = {
	[TEMPLATE_PROXY] = "proxy",       [TEMPLATE_SERVER] = "server",     [TEMPLATE_NAME] = "name",
	[TEMPLATE_STATE] = "state",       [TEMPLATE_LEVEL] = "level",       [TEMPLATE_EVENT] = "event",
	[TEMPLATE_TEXT] = "text",         [TEMPLATE_DATE] = "date",         [TEMPLATE_SINCE] = "since",
	[TEMPLATE_DOWNTIME] = "downtime", [TEMPLATE_CAUSE] = "cause",       [TEMPLATE_CHECK] = "check",
	[TEMPLATE_CODE] = "code",         [TEMPLATE_INFO] = "info",         [TEMPLATE_DURATION] = "duration",
	[TEMPLATE_HEALTH] = "health",     [TEMPLATE_VIA] = "via",           [TEMPLATE_ACTIVE] = "active",
	[TEMPLATE_BACKUP] = "backup",     [TEMPLATE_SESSIONS] = "sessions", [TEMPLATE_QUEUED] = "queued",
	[TEMPLATE_REQUEUED] = "requeued",
};

const char *template_field_name(unsigned field)
{
	return field < TEMPLATE_FIELDS ? template_names[field] : NULL;
}

/* The field of this name; TEMPLATE_FIELDS for none. */
static unsigned template_find(const char *name, size_t len)
{
	unsigned i;

	for (i = 0; i < TEMPLATE_FIELDS; i++) {
		if (strlen(template_names[i]) == len && !memcmp(template_names[i], name, len))
			break;
	}
	return i;
}

static bool template_refuse_field(const char *name, size_t len, char *reason)
{
	char quote[SETTING_QUOTE_SIZE], text[SETTING_NAME_MAX];
	struct setting_guess guess = { .text = text };
	size_t n;
	unsigned i;

	snprintf(text, sizeof(text), "%.*s", (int)(len < sizeof(text) ? len : sizeof(text) - 1), name);
	for (i = 0; i < TEMPLATE_FIELDS; i++)
		setting_guess(&guess, template_names[i]);
	setting_quote(quote, name, len);
	if (guess.best)
		n = (size_t)snprintf(reason, TEMPLATE_REASON_SIZE, "unknown field %s; did you mean %%{%s}? Write one of: ",
		                     quote, guess.best);
	else
		n = (size_t)snprintf(reason, TEMPLATE_REASON_SIZE, "unknown field %s; write one of: ", quote);
	for (i = 0; i < TEMPLATE_FIELDS && n < TEMPLATE_REASON_SIZE; i++)
		n += (size_t)snprintf(reason + n, TEMPLATE_REASON_SIZE - n, "%s%s", i ? ", " : "", template_names[i]);
	return false;
}

/* Goes behind what begins with '%' at *<text>. */
static bool template_check_percent(const char **text, char *reason)
{
	const char *name = *text + 2, *end;

	if ((*text)[1] == '%') {
		*text += 2;
		return true;
	}
	if ((*text)[1] != '{') {
		snprintf(reason, TEMPLATE_REASON_SIZE, "a single %%; write %%%% for a percent sign, or a field such as %%{proxy}");
		return false;
	}
	end = strchr(name, '}');
	if (!end) {
		snprintf(reason, TEMPLATE_REASON_SIZE, "a %%{ without its }; write a field such as %%{proxy}");
		return false;
	}
	*text = end + 1;
	return template_find(name, (size_t)(end - name)) < TEMPLATE_FIELDS ||
	       template_refuse_field(name, (size_t)(end - name), reason);
}

static bool template_is_control(char c)
{
	return (unsigned char)c < ' ' || c == 0x7f;
}

bool template_check(const char *text, bool lines, char *reason)
{
	size_t most = lines ? TEMPLATE_BODY_MAX : TEMPLATE_SUBJECT_MAX, n;

	if (strlen(text) > most) {
		snprintf(reason, TEMPLATE_REASON_SIZE, "the text has %zu bytes; write at most %zu", strlen(text), most);
		return false;
	}
	while (*text) {
		if (*text == '%') {
			if (!template_check_percent(&text, reason))
				return false;
			continue;
		}
		n = mime_character(text, strlen(text));
		if (!n || (template_is_control(*text) && !(lines && (*text == '\n' || *text == '\t')))) {
			snprintf(reason, TEMPLATE_REASON_SIZE, "%s; %s", n ? "a control character" : "a byte that is no UTF-8",
			         n ? lines ? "write lines ended by \\n" : "write one line" : "save the file as UTF-8");
			return false;
		}
		text += n;
	}
	reason[0] = '\0';
	return true;
}

uint32_t template_uses(const char *text)
{
	uint32_t fields = 0;

	while ((text = strchr(text, '%'))) {
		const char *end = text[1] == '{' ? strchr(text, '}') : NULL;

		if (end)
			fields |= UINT32_C(1) << template_find(text + 2, (size_t)(end - text) - 2);
		text = end ? end : text + 2;
	}
	return fields;
}

_Static_assert(TEMPLATE_FIELDS < 32, "a bit a field");

/* Appends the character at <text>; false when it is over the bound. */
static bool template_add(const char *text, size_t n, size_t *room, struct buffer *out)
{
	if (n > *room)
		return false;
	*room -= n;
	buffer_add(out, text, n);
	return true;
}

static bool template_add_value(const char *value, size_t *room, struct buffer *out)
{
	size_t n;

	for (; value && *value; value += n) {
		const char *text = value;

		n = mime_character(value, strnlen(value, 4));
		if (!n || template_is_control(*value)) {
			text = n ? " " : "?";
			n = 1;
		}
		if (!template_add(text, n, room, out))
			return false;
	}
	return true;
}

void template_render(const char *text, const struct template_values *values, size_t most, struct buffer *out)
{
	const char *end;
	unsigned field;
	size_t n;

	while (*text) {
		if (text[0] == '%' && text[1] == '{' && (end = strchr(text, '}'))) {
			field = template_find(text + 2, (size_t)(end - text) - 2);
			text = end + 1;
			if (field < TEMPLATE_FIELDS && !template_add_value(values->value[field], &most, out))
				return;
			continue;
		}
		n = mime_character(text, strnlen(text, 4));
		if (!n)
			n = 1;
		if (!template_add(text, n, &most, out))
			return;
		text += text[0] == '%' && text[1] == '%' ? 2 : n;
	}
}
