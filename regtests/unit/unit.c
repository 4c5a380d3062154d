/*
 * unit - the failing allocator behind the allocation sweeps (see unit.h).
 */
#include "unit.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);

static long fail_countdown = -1;
static bool fail_happened;

void unit_fail_at(long n)
{
	fail_countdown = n;
	fail_happened = false;
}

bool unit_failed(void)
{
	fail_countdown = -1;
	return fail_happened;
}

static bool fail_now(void)
{
	if (fail_countdown < 0 || fail_countdown-- > 0)
		return false;
	fail_happened = true;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return fail_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fail_now() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	return fail_now() ? NULL : __real_realloc(p, size);
}
