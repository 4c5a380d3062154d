/*
 * unit - what every unit test includes: cmocka with the headers it needs, and the failing allocator.
 *
 * The programs are linked with --wrap for malloc, calloc and realloc (unit.c), so that a test can make
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

#endif
