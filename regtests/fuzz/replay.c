/*
 * replay - runs a fuzz target over files, without libFuzzer: "<target> <file>...". It ends at the first
 * property that does not hold, after naming the input.
 */
#include "fuzz.h"

#define REPLAY_INPUT_MAX (1 << 20)

int main(int argc, char **argv)
{
	static uint8_t space[REPLAY_INPUT_MAX];
	uint8_t *input;
	size_t len;
	FILE *file;

	for (int i = 1; i < argc; i++) {
		file = fopen(argv[i], "rb");
		if (!file) {
			perror(argv[i]);
			return 2;
		}
		len = fread(space, 1, sizeof(space), file);
		fclose(file);
		/* A block of its own size, as libFuzzer gives. */
		input = malloc(len ? len : 1);
		if (!input)
			return 2;
		memcpy(input, space, len);
		fprintf(stderr, "%s\n", argv[i]);
		LLVMFuzzerTestOneInput(input, len);
		free(input);
	}
	printf("%d inputs\n", argc - 1);
	return argc > 1 ? 0 : 2;
}
