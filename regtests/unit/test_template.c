/* Templates: what is refused at the start, and what an alert's fields make of them. */
#include <mailers/template.h>

#include "unit.h"

static const char *render(char *out, const char *text, const struct template_values *v, size_t most)
{
	struct buffer b = { 0 };
	char *steal;

	template_render(text, v, most, &b);
	steal = buffer_steal(&b, NULL);
	strcpy(out, steal);
	free(steal);
	return out;
}

static void template_check__table__names_fault_and_remedy(void **state)
{
	static const struct {
		const char *text;
		bool lines;
		const char *reason; /* its begin; NULL: good */
	} rows[] = {
		{ "%{proxy} is %{state} since %{since}", false, NULL },
		{ "", false, NULL },
		{ "100%% of %{name}}{", false, NULL },
		{ "a\n\tb", true, NULL },
		{ "Gr\303\274\303\237e", false, NULL },
		{ "%{servr}", false, "unknown field 'servr'; did you mean %{server}? Write one of: proxy, server, name" },
		{ "%{}", false, "unknown field ''; write one of: proxy" },
		{ "%{Proxy}", false, "unknown field 'Proxy'; did you mean %{proxy}?" },
		{ "%{proxy", false, "a %{ without its }; write" },
		{ "50%", false, "a single %; write %%" },
		{ "%s", false, "a single %; write %%" },
		{ "a\nb", false, "a control character; write one line" },
		{ "a\rb", true, "a control character; write lines" },
		{ "\377", true, "a byte that is no UTF-8; save" },
	};
	char reason[TEMPLATE_REASON_SIZE];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_int_equal(template_check(rows[i].text, rows[i].lines, reason), !rows[i].reason);
		if (rows[i].reason)
			assert_memory_equal(reason, rows[i].reason, strlen(rows[i].reason));
		else
			assert_string_equal(reason, "");
	}
}

static void template_check__all_fields_and_the_longest_reason__fit(void **state)
{
	char reason[TEMPLATE_REASON_SIZE], text[TEMPLATE_SUBJECT_MAX + 2];
	unsigned i;

	(void)state;
	for (i = 0; template_field_name(i); i++) {
		snprintf(text, sizeof(text), "%%{%s}", template_field_name(i));
		assert_true(template_check(text, false, reason));
	}
	assert_int_equal(i, TEMPLATE_FIELDS);
	memset(text, '\001', 100);
	memcpy(text, "%{", 2);
	strcpy(text + 100, "}");
	assert_false(template_check(text, false, reason));
	assert_non_null(strstr(reason, "requeued"));
	memset(text, 'a', sizeof(text));
	text[TEMPLATE_SUBJECT_MAX + 1] = '\0';
	assert_false(template_check(text, false, reason));
	text[TEMPLATE_SUBJECT_MAX] = '\0';
	assert_true(template_check(text, false, reason));
}

static void template_render__values__are_one_line_of_utf8_and_bounded(void **state)
{
	struct template_values v = { .value = { [TEMPLATE_PROXY] = "db", [TEMPLATE_SERVER] = "a\r\nBcc: x",
	                                        [TEMPLATE_INFO] = "\377\303\274%{proxy}" } };
	char out[200];

	(void)state;
	assert_string_equal(render(out, "%{proxy} 5%% %{server}|%{info}|%{cause}", &v, 99),
	                    "db 5% a  Bcc: x|?\303\274%{proxy}|");
	assert_string_equal(render(out, "%{info}\nx", &v, 99), "?\303\274%{proxy}\nx");
	assert_string_equal(render(out, "%{info}", &v, 2), "?");
	assert_string_equal(render(out, "%{info}", &v, 3), "?\303\274");
	assert_string_equal(render(out, "\303\274\303\274", &v, 3), "\303\274");
}

#define ALL "%{proxy},%{server},%{name},%{state},%{level},%{event},%{date},%{since},%{downtime},%{cause},%{check},%{code},%{info}," \
            "%{duration},%{health},%{via},%{active},%{backup},%{sessions},%{queued},%{requeued},%{text}"

static void template_alert__each_kind__has_its_fields(void **state)
{
	static const struct alert_origin origin = {
		.proxy = "db", .server = "s1", .via_proxy = "px", .via_server = "t1", .active_servers = 1, .backup_servers = 2,
		.sessions = 3, .queued = 4, .info = "refused",
	};
	static const struct {
		bool found;
		struct alert_event event;
		struct alert_text what;
		const char *text;
	} rows[] = {
		{ false, { .type = ALERT_EVENT_STATE, .requeued = 5, .has_check = true,
		           .check = { .duration_ms = 7, .desc = "Layer7 wrong status", .has_code = true, .code = 503, .rise = 2, .fall = 3 } },
		  { .change = ALERT_CHANGE_DOWN, .level = ALERT_LEVEL_ALERT },
		  "db,s1,db/s1,DOWN,alert,down,D,S,,Layer7 wrong status,Layer7 wrong status,503,refused,7,0/2,px/t1,1,2,3,4,5,T" },
		{ false, { .type = ALERT_EVENT_STATE, .cause = "changed from CLI" },
		  { .change = ALERT_CHANGE_UP, .level = ALERT_LEVEL_NOTICE },
		  "db,s1,db/s1,UP,notice,up,D,S,2 minutes 5 seconds,changed from CLI,,,,,,px/t1,1,2,3,4,0,T" },
		{ false, { .type = ALERT_EVENT_CHECK, .check = { .duration_ms = -1, .desc = "d", .cur = 4, .rise = 2, .fall = 3 } },
		  { .change = ALERT_CHANGE_CHECK, .level = ALERT_LEVEL_INFO },
		  "db,s1,db/s1,UP,info,check,D,S,,d,d,,refused,,3/3,px/t1,1,2,3,4,0,T" },
		{ true, { .cause = "" }, { .change = ALERT_CHANGE_DRAIN, .level = ALERT_LEVEL_NOTICE },
		  "db,s1,db/s1,DRAIN,notice,drain,D,S,,,,,,,,px/t1,1,2,3,4,0,T" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct outage_mark outage = { 1, rows[i].what.change == ALERT_CHANGE_UP, 125000 };
		struct template_alert t;
		char out[300];

		template_alert_fill(&t, rows[i].found ? NULL : &rows[i].event, &origin, &rows[i].what, "db/s1", "T", "D", "S",
		                    rows[i].found ? NULL : &outage);
		assert_string_equal(render(out, ALL, &t.values, sizeof(out) - 1), rows[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(template_check__table__names_fault_and_remedy),
		cmocka_unit_test(template_check__all_fields_and_the_longest_reason__fit),
		cmocka_unit_test(template_render__values__are_one_line_of_utf8_and_bounded),
		cmocka_unit_test(template_alert__each_kind__has_its_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
