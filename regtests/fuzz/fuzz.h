/*
 * fuzz - what the fuzz targets share: a check that stops the run, and a reader of the input.
 *
 * A target is a file fuzz_<name>.c with LLVMFuzzerTestOneInput(); its seeds, and every input that once found
 * a fault, are text files in corpus/<name>/. Under clang libFuzzer drives it; replay.c has a main() that
 * runs kept inputs with any compiler. Inputs are text as far as possible, so that a person can write one:
 * fields between '|'.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(condition) \
	do { \
		if (!(condition)) \
			fuzz_fail(__FILE__, __LINE__, #condition); \
	} while (0)

static inline void fuzz_fail(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
	abort();
}

/* What is left of an input. */
struct fuzz_input {
	const uint8_t *data;
	size_t len;
};

/* Takes the bytes up to the next '|', which goes too, or the end, as a C string of its own heap block (so that
 * reading too far is seen); the caller frees it. A NUL ends the string early.
 */
static inline char *fuzz_field(struct fuzz_input *in)
{
	size_t n = 0;
	char *text;

	while (n < in->len && in->data[n] != '|')
		n++;
	text = malloc(n + 1);
	FUZZ_CHECK(text);
	if (n)
		memcpy(text, in->data, n);
	text[n] = '\0';
	n += n < in->len;
	in->data += n;
	in->len -= n;
	return text;
}

/* The same as a decimal number, 0 for anything else. */
static inline long fuzz_number(struct fuzz_input *in)
{
	char *text = fuzz_field(in);
	long number = strtol(text, NULL, 10);

	free(text);
	return number;
}

/* Is <text> printable ASCII? */
static inline bool fuzz_printable(const char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			return false;
	return true;
}

#endif
