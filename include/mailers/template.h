/*
 * template - subjects and bodies that the operator writes: "%{proxy} is %{state} since %{since}".
 *
 * "%{name}" stands for a field of the alert, "%%" for a percent sign. A template is checked once, at the start,
 * and rendered for each alert from its text.
 */
#ifndef MAILERS_TEMPLATE_H
#define MAILERS_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mailers/alert.h>
#include <mailers/buffer.h>
#include <mailers/outage.h>

#define TEMPLATE_REASON_SIZE 512   /* holds every reason uncut: one printable line */
#define TEMPLATE_SUBJECT_MAX 900   /* bytes of a subject, as a template and rendered */
#define TEMPLATE_BODY_MAX    16384 /* bytes of a body */

enum template_field {
	TEMPLATE_PROXY = 0, TEMPLATE_SERVER, TEMPLATE_NAME, TEMPLATE_STATE, TEMPLATE_LEVEL, TEMPLATE_EVENT,
	TEMPLATE_TEXT, TEMPLATE_DATE, TEMPLATE_SINCE, TEMPLATE_DOWNTIME, TEMPLATE_CAUSE, TEMPLATE_CHECK, TEMPLATE_CODE,
	TEMPLATE_INFO, TEMPLATE_DURATION, TEMPLATE_HEALTH, TEMPLATE_VIA, TEMPLATE_ACTIVE, TEMPLATE_BACKUP,
	TEMPLATE_SESSIONS, TEMPLATE_QUEUED, TEMPLATE_REQUEUED,
	TEMPLATE_FIELDS
};

/* The values of an alert's fields; NULL is "". */
struct template_values {
	const char *value[TEMPLATE_FIELDS];
};

/* The values of an alert, with the memory for those that are no text of its own. It may not be moved. */
struct template_alert {
	struct template_values values;
	char number[8][24];
	char via[300];
	char downtime[OUTAGE_TEXT_SIZE];
};

/* "proxy", ...; NULL beyond the last. */
const char *template_field_name(unsigned field);

/* Is <text> a template? Only with <lines> it may have LF. False with a <reason> (TEMPLATE_REASON_SIZE bytes): what
 * is wrong and, after ';', what to write.
 */
bool template_check(const char *text, bool lines, char *reason);

/* A bit for each field in <text>, which was checked. */
uint32_t template_uses(const char *text);

/* Appends <text>, which was checked, with <values>; at most <most> bytes, cut at the end of a character. Control
 * bytes of a value are a space, bytes that are no UTF-8 a '?': no value can begin a line.
 */
void template_render(const char *text, const struct template_values *values, size_t most, struct buffer *out);

/* Fills <t> with what the arguments say; all must stay as long as <t> is used. <event> NULL: a state that was
 * found. <name> is "proxy/server", <text> the alert's, <since> when its state began, <outage> NULL for none.
 */
void template_alert_fill(struct template_alert *t, const struct alert_event *event, const struct alert_origin *origin,
                         const struct alert_text *what, const char *name, const char *text, const char *date,
                         const char *since, const struct outage_mark *outage);

#endif
