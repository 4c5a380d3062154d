/*
 * batch_internal - what batch.c and batch_set.c share; nobody else includes it.
 */
#ifndef CORE_BATCH_INTERNAL_H
#define CORE_BATCH_INTERNAL_H

#include <mailers/batch.h>

/* A copy of <text>; NULL without memory. */
char *batch_copy(const char *text);
size_t batch_hash(const char *text);

#endif
