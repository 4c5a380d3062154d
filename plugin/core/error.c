/*
 * error - names and classes of the core's result codes; one table, so that a code without a text or
 * a class cannot exist.
 */
#include <mailers/error.h>

static const struct {
	enum mailers_error_class class;
	const char *text;
} error_table[] = {
	[MAILERS_OK]            = { MAILERS_CLASS_NONE,      "no error" },
	[MAILERS_ERR_NOMEM]     = { MAILERS_CLASS_LOCAL,     "out of memory" },
	[MAILERS_ERR_BOUND]     = { MAILERS_CLASS_LOCAL,     "limit reached" },
	[MAILERS_ERR_SYNTAX]    = { MAILERS_CLASS_PERMANENT, "syntax error" },
	[MAILERS_ERR_STATE]     = { MAILERS_CLASS_FATAL,     "call not allowed in this state" },
	[MAILERS_ERR_PROTOCOL]  = { MAILERS_CLASS_PROTOCOL,  "protocol error" },
	[MAILERS_ERR_TIMEOUT]   = { MAILERS_CLASS_TRANSIENT, "timeout" },
	[MAILERS_ERR_CLOSED]    = { MAILERS_CLASS_TRANSIENT, "connection closed" },
	[MAILERS_ERR_TEMPORARY] = { MAILERS_CLASS_TRANSIENT, "temporary failure" },
	[MAILERS_ERR_PERMANENT] = { MAILERS_CLASS_PERMANENT, "permanent failure" },
	[MAILERS_ERR_TLS]       = { MAILERS_CLASS_PROTOCOL,  "TLS failure" },
	[MAILERS_ERR_INTERNAL]  = { MAILERS_CLASS_FATAL,     "internal error" },
};

#define ERROR_COUNT (sizeof(error_table) / sizeof(error_table[0]))

enum mailers_error_class mailers_error_class(enum mailers_error error)
{
	if ((unsigned)error >= ERROR_COUNT)
		return MAILERS_CLASS_FATAL;
	return error_table[error].class;
}

const char *mailers_error_text(enum mailers_error error)
{
	if ((unsigned)error >= ERROR_COUNT)
		return "unknown error";
	return error_table[error].text;
}
