/*
 * message: whatever the fields hold, the headers are ours and in order, no line is too long or ends in less
 * than CRLF, nothing is lost, the end of the mail is where it should be and nowhere else.
 *
 * Input: repeat|from|to|date|message-id|text|thread|note, where <repeat> repetitions of `to` and `text` reach the
 * folding.
 */
#include <mailers/message.h>

#include "../lib/message_check.h"
#include "fuzz.h"

#define REPEAT_BYTES_MAX 8192

/* <n> times <text>, which is freed; fewer when it becomes too long. */
static char *repeated(char *text, long n)
{
	size_t len = strlen(text);
	char *all;

	if (n < 1)
		n = 1;
	if (len && (size_t)n > REPEAT_BYTES_MAX / len)
		n = (long)(REPEAT_BYTES_MAX / len) + 1;
	all = malloc(len * (size_t)n + 1);
	FUZZ_CHECK(all);
	for (long i = 0; len && i < n; i++)
		memcpy(all + (size_t)i * len, text, len);
	all[len * (size_t)n] = '\0';
	free(text);
	return all;
}

/* Dot-stuffing loses nothing and leaves no line that is a dot. */
static void check_stuffed(const char *message, size_t len, const struct buffer *data)
{
	size_t at = 0;
	bool start = true;

	for (size_t i = 0; i < len; i++) {
		if (start && message[i] == '.')
			FUZZ_CHECK(at < data->len && data->data[at++] == '.');
		FUZZ_CHECK(at < data->len && data->data[at++] == message[i]);
		start = message[i] == '\n';
	}
	FUZZ_CHECK(at == data->len);
}

static void check_message(const struct message_fields *fields)
{
	struct buffer message = { 0 }, data = { 0 };
	const char *wrong;

	message_build(fields, &message);
	FUZZ_CHECK(buffer_error(&message) == MAILERS_OK);
	wrong = message_check(fields, message.data, message.len);
	if (wrong)
		fuzz_fail(__FILE__, __LINE__, wrong);
	message_dot_stuff(message.data, message.len, &data);
	check_stuffed(message.data, message.len, &data);
	buffer_puts(&data, ".\r\n");
	FUZZ_CHECK(message_check_sink(data.data, data.len));
	buffer_free(&message);
	buffer_free(&data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct buffer stuffed = { 0 };
	long n = fuzz_number(&in);
	char *from = fuzz_field(&in);
	char *to = repeated(fuzz_field(&in), n);
	char *date = fuzz_field(&in);
	char *message_id = fuzz_field(&in);
	char *text = repeated(fuzz_field(&in), n);
	char *thread = fuzz_field(&in);
	char *note = fuzz_field(&in);
	const struct message_fields fields = {
		.from = from, .to = to, .date = date, .text = text, .message_id = message_id, .thread = thread,
		.note = *note ? note : NULL,
	};

	check_message(&fields);
	message_dot_stuff((const char *)data, size, &stuffed);
	check_stuffed((const char *)data, size, &stuffed);
	buffer_free(&stuffed);
	free(from);
	free(to);
	free(date);
	free(message_id);
	free(text);
	free(thread);
	free(note);
	return 0;
}
