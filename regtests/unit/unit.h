/*
 * unit - what every unit test includes: cmocka with the headers it needs, the failing allocator, and the search for
 * secrets in freed memory.
 *
 * The programs are linked with --wrap for malloc, calloc, realloc and free (unit.c), so that a test can make
 * the n-th allocation fail:
 *
 *   for (n = 0; unit_fail_at(n), !run(), unit_failed(); n++) ...
 */
#ifndef UNIT_H
#define UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* From now on allocation number <n> (0 is the next one) fails once; -1 lets all succeed. */
void unit_fail_at(long n);
/* Did an allocation fail since the last unit_fail_at()? Also ends the failing. */
bool unit_failed(void);

/* From now on each block that is given to free() or realloc() is searched for the bytes of <secret>, which stays
 * the caller's: memory that held a secret must be wiped before, and must not grow (a realloc() leaves a copy behind).
 * NULL ends it.
 */
void unit_watch(const char *secret);
/* In how many blocks was it found since the last unit_watch()? */
unsigned unit_leaks(void);

#endif
