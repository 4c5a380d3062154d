/*
 * alert: whatever an event and a check's output hold, the text is one line without a control byte, an event
 * that is not mailed leaves nothing, and the limit of the buffer holds. The text goes on into a message.
 *
 * Input: type|old state|new state|old admin|new admin|flags|cur|rise|fall|code|duration|cause|desc|
 *        proxy|server|via proxy|via server|info
 */
#include <mailers/alert.h>

#include "../lib/message_check.h"
#include "fuzz.h"

enum {
	FLAG_ADMIN = 1, FLAG_HAS_CHECK = 2, FLAG_AGENT = 4, FLAG_HAS_CODE = 8, FLAG_BACKUP = 16,
	FLAG_DRAINING = 32, FLAG_STOPPED = 64, FLAG_WEIGHT_ZERO = 128, FLAG_FOUND = 256, FLAG_FOUND_DRAIN = 512,
};

struct input {
	struct alert_event event;
	struct alert_origin origin;
	char *text[5]; /* of origin, ours */
	long flags;
};

static void read_text(struct fuzz_input *in, char *out, size_t size)
{
	char *text = fuzz_field(in);

	snprintf(out, size, "%s", text);
	free(text);
}

static void read_event(struct fuzz_input *in, struct input *input)
{
	struct alert_event *event = &input->event;

	event->type = (enum alert_event_type)(unsigned char)fuzz_number(in);
	event->old_state = (enum server_state)(unsigned char)fuzz_number(in);
	event->new_state = (enum server_state)(unsigned char)fuzz_number(in);
	event->old_admin = (unsigned)fuzz_number(in);
	event->new_admin = (unsigned)fuzz_number(in);
	input->flags = fuzz_number(in);
	event->admin = input->flags & FLAG_ADMIN;
	event->has_check = input->flags & FLAG_HAS_CHECK;
	event->check.agent = input->flags & FLAG_AGENT;
	event->check.has_code = input->flags & FLAG_HAS_CODE;
	event->check.result = (enum check_result)((unsigned)input->flags >> 10 & 7);
	/* HAProxy's are small numbers: their sums do not overflow. */
	event->check.cur = (int16_t)fuzz_number(in);
	event->check.rise = (int16_t)fuzz_number(in);
	event->check.fall = (int16_t)fuzz_number(in);
	event->check.code = (int)fuzz_number(in);
	event->check.duration_ms = fuzz_number(in);
	event->requeued = (unsigned)event->check.cur;
	read_text(in, event->cause, sizeof(event->cause));
	read_text(in, event->check.desc, sizeof(event->check.desc));
}

static void read_origin(struct fuzz_input *in, struct input *input)
{
	struct alert_origin *origin = &input->origin;

	for (size_t i = 0; i < 5; i++)
		input->text[i] = fuzz_field(in);
	origin->proxy = input->text[0];
	origin->server = input->text[1];
	origin->via_proxy = *input->text[2] ? input->text[2] : NULL;
	origin->via_server = *input->text[3] ? input->text[3] : NULL;
	origin->info = *input->text[4] ? input->text[4] : NULL;
	origin->backup = input->flags & FLAG_BACKUP;
	origin->draining = input->flags & FLAG_DRAINING;
	origin->stopped = input->flags & FLAG_STOPPED;
	origin->weight_zero = input->flags & FLAG_WEIGHT_ZERO;
	origin->active_servers = (unsigned)input->event.check.rise;
	origin->backup_servers = (unsigned)input->event.check.fall;
	origin->queued = origin->sessions = (unsigned)input->event.check.code;
}

static bool compose(const struct input *input, struct alert_text *what, struct buffer *out)
{
	if (!(input->flags & FLAG_FOUND))
		return alert_compose(&input->event, &input->origin, what, out);
	alert_compose_found(input->event.new_state, input->flags & FLAG_FOUND_DRAIN, &input->origin, what, out);
	return true;
}

static void check_text(const struct alert_text *what, const char *text)
{
	struct message_fields fields = { .from = "f@x", .to = "t@x", .date = "date", .text = text, .message_id = "id@x" };
	struct buffer message = { 0 };
	const char *wrong;

	FUZZ_CHECK(what->level >= ALERT_LEVEL_ALERT && what->level <= ALERT_LEVEL_INFO);
	FUZZ_CHECK(!strncmp(text, "Server ", 7) || !strncmp(text, "Backup Server ", 14) ||
	           !strncmp(text, "Health check for ", 17) || !strncmp(text, "Agent check for ", 16));
	for (const char *c = text; *c; c++)
		FUZZ_CHECK((unsigned char)*c >= ' ' && *c != 0x7f);
	message_build(&fields, &message);
	FUZZ_CHECK(buffer_error(&message) == MAILERS_OK);
	wrong = message_check(&fields, message.data, message.len);
	if (wrong)
		fuzz_fail(__FILE__, __LINE__, wrong);
	buffer_free(&message);
}

/* The same with too little room: an error, never more bytes. */
static void check_limit(const struct input *input, size_t len)
{
	struct alert_text what = { 0 };
	struct buffer out = { .limit = len - 1 };

	FUZZ_CHECK(compose(input, &what, &out));
	FUZZ_CHECK(buffer_error(&out) == MAILERS_ERR_BOUND && out.len < len);
	buffer_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct alert_text what = { .level = ALERT_LEVEL_DEBUG };
	struct buffer out = { 0 };
	struct input input = { 0 };
	size_t len;
	char *text;

	read_event(&in, &input);
	read_origin(&in, &input);
	if (compose(&input, &what, &out)) {
		text = buffer_steal(&out, &len);
		FUZZ_CHECK(text && strlen(text) == len);
		check_text(&what, text);
		check_limit(&input, len);
		free(text);
	} else {
		FUZZ_CHECK(!out.len && buffer_error(&out) == MAILERS_OK);
	}
	buffer_free(&out);
	for (size_t i = 0; i < 5; i++)
		free(input.text[i]);
	return 0;
}
