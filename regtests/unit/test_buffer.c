/* Unit tests of buffer: growth, limit, sticky errors, failing allocations. */
#include <mailers/buffer.h>

#include "unit.h"

static void buffer__many_appends__holds_all_bytes(void **state)
{
	struct buffer b = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < 5000; i++)
		buffer_add(&b, &(char){ (char)(i % 251) }, 1);
	assert_int_equal(buffer_error(&b), MAILERS_OK);
	assert_int_equal(b.len, 5000);
	for (i = 0; i < 5000; i++)
		assert_int_equal((unsigned char)b.data[i], i % 251);
	buffer_free(&b);
}

static void buffer__limit__refuses_and_stays_refused(void **state)
{
	struct buffer b = { .limit = 10 };

	(void)state;
	buffer_puts(&b, "0123456789");
	assert_int_equal(buffer_error(&b), MAILERS_OK);
	buffer_puts(&b, "x");
	assert_int_equal(buffer_error(&b), MAILERS_ERR_BOUND);
	buffer_shift(&b, 5);
	buffer_puts(&b, "x");
	assert_int_equal(b.len, 5);
	buffer_clear(&b);
	buffer_printf(&b, "%s-%d", "abc", 7);
	assert_int_equal(b.len, 5);
	assert_memory_equal(b.data, "abc-7", 5);
	buffer_free(&b);
}

static void buffer__shift_and_steal__leave_the_rest(void **state)
{
	struct buffer b = { 0 };
	size_t len;
	char *text;

	(void)state;
	buffer_puts(&b, "hello world");
	buffer_shift(&b, 6);
	text = buffer_steal(&b, &len);
	assert_string_equal(text, "world");
	assert_int_equal(len, 5);
	assert_int_equal(b.len, 0);
	free(text);
	text = buffer_steal(&b, NULL);
	assert_string_equal(text, "");
	free(text);
}

static void buffer__allocation_fails__keeps_what_it_had(void **state)
{
	struct buffer b = { 0 };

	(void)state;
	buffer_puts(&b, "kept");
	unit_fail_at(0);
	for (int i = 0; i < 100; i++)
		buffer_puts(&b, "0123456789");
	assert_true(unit_failed());
	assert_int_equal(buffer_error(&b), MAILERS_ERR_NOMEM);
	assert_memory_equal(b.data, "kept", 4);
	assert_null(buffer_steal(&b, NULL));
	buffer_free(&b);
}

static void error__each_code__has_text_and_class(void **state)
{
	(void)state;
	for (int e = MAILERS_OK; e <= MAILERS_ERR_INTERNAL; e++) {
		assert_string_not_equal(mailers_error_text((enum mailers_error)e), "");
		assert_string_not_equal(mailers_error_text((enum mailers_error)e), "unknown error");
		if (e)
			assert_int_not_equal(mailers_error_class((enum mailers_error)e), MAILERS_CLASS_NONE);
	}
	assert_int_equal(mailers_error_class((enum mailers_error)99), MAILERS_CLASS_FATAL);
	assert_string_equal(mailers_error_text((enum mailers_error)99), "unknown error");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buffer__many_appends__holds_all_bytes),
		cmocka_unit_test(buffer__limit__refuses_and_stays_refused),
		cmocka_unit_test(buffer__shift_and_steal__leave_the_rest),
		cmocka_unit_test(buffer__allocation_fails__keeps_what_it_had),
		cmocka_unit_test(error__each_code__has_text_and_class),
	};

	return cmocka_run_group_tests_name("buffer", tests, NULL, NULL);
}
