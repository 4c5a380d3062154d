/*
 * setting_summary - what goes together in a `summary` (see setting.h), told when the file is read.
 *
 * Called by who has walked the table.
 */
#include <mailers/template.h>

#include "setting_internal.h"

#define SUMMARY_WAIT_MS     30000
#define SUMMARY_MAX_WAIT_MS 300000

#define BIT(field) (UINT32_C(1) << TEMPLATE_##field)

/* All alerts of a server must be in one batch, or the order of its mails would be another than that of its events. */
static const uint32_t summary_batch = BIT(PROXY) | BIT(SERVER) | BIT(NAME);
/* What the queue knows of an alert. */
static const uint32_t summary_group = BIT(PROXY) | BIT(SERVER) | BIT(NAME) | BIT(STATE) | BIT(LEVEL) | BIT(EVENT);

/* Is <text> without other <fields>? */
static bool summary_template(const char *key, const char *text, uint32_t fields, char *reason)
{
	uint32_t others = text ? template_uses(text) & ~fields : 0;
	unsigned i;

	for (i = 0; i < TEMPLATE_FIELDS; i++) {
		if (others >> i & 1)
			return setting_refuse(reason, "%s: %%{%s} cannot stand here; write %%{proxy}, %%{server}, %%{name}%s", key,
			                      template_field_name(i), fields == summary_batch ? " alone" : ", %{state}, "
			                      "%{level} or %{event}");
	}
	return true;
}

bool setting_summary_check(struct setting_summary *s, char *reason)
{
	reason[0] = '\0';
	if (!s->wait)
		s->wait = SUMMARY_WAIT_MS;
	if (!s->max_wait)
		s->max_wait = s->wait > SUMMARY_MAX_WAIT_MS ? s->wait : SUMMARY_MAX_WAIT_MS;
	if (s->wait > s->max_wait)
		return setting_refuse(reason, "wait is longer than max_wait, after which a mail leaves anyway; write a shorter "
		                      "wait or a longer max_wait");
	return summary_template("batch", s->batch.text, summary_batch, reason) &&
	       summary_template("group", s->group, summary_group, reason);
}
