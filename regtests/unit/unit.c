/*
 * unit - the failing allocator behind the allocation sweeps, and the search in freed memory (see unit.h).
 */
#include <malloc.h>

#include "unit.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void __wrap_free(void *p);

static long fail_countdown = -1;
static bool fail_happened;
static const char *watched;
static unsigned leaks;

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

void unit_watch(const char *secret)
{
	watched = secret;
	leaks = 0;
}

unsigned unit_leaks(void)
{
	return leaks;
}

static void look_into(void *p)
{
	if (watched && p && memmem(p, malloc_usable_size(p), watched, strlen(watched)))
		leaks++;
}

void *__wrap_realloc(void *p, size_t size)
{
	if (fail_now())
		return NULL;
	look_into(p);
	return __real_realloc(p, size);
}

void __wrap_free(void *p)
{
	look_into(p);
	__real_free(p);
}
