/*
 * smtp_envelope - is this a mail that can be sent without a byte of it being taken for the dialogue's?
 *
 * Called by smtp_client.c for what the host submits. Whether a path is an address is not looked at: HAProxy's
 * configurations hold bare local parts too.
 */
#include <string.h>

#include "smtp_client_internal.h"

static bool smtp_path_is_control(char c)
{
	return (unsigned char)c < ' ' || c == 0x7f;
}

/* Can <path> stand between < and >? */
static enum mailers_error smtp_path_check(const char *path)
{
	bool quoted = false;
	const char *s;

	for (s = path; *s; s++) {
		if (smtp_path_is_control(*s))
			return MAILERS_ERR_SYNTAX;
		if (quoted && *s == '\\') {
			if (smtp_path_is_control(*++s))
				return MAILERS_ERR_SYNTAX;
		} else if (*s == '"') {
			quoted = !quoted;
		} else if (!quoted && (*s == '<' || *s == '>' || *s == ' ')) {
			return MAILERS_ERR_SYNTAX;
		}
	}
	if (quoted)
		return MAILERS_ERR_SYNTAX;
	return (size_t)(s - path) > SMTP_CLIENT_PATH_MAX ? MAILERS_ERR_BOUND : MAILERS_OK;
}

/* Are its lines such that no server can see the message's end too early? */
static enum mailers_error smtp_message_check(const char *message, size_t len, bool *eightbit)
{
	size_t i, stuffed = 0;

	if (len < 2 || message[len - 2] != '\r' || message[len - 1] != '\n')
		return MAILERS_ERR_SYNTAX;
	if (len > SMTP_CLIENT_MESSAGE_MAX)
		return MAILERS_ERR_BOUND;
	*eightbit = false;
	for (i = 0; i < len; i++) {
		if (message[i] == '\r') {
			if (message[++i] != '\n') /* the last byte is no CR */
				return MAILERS_ERR_SYNTAX;
		} else if (message[i] == '\n' || message[i] == '\0') {
			return MAILERS_ERR_SYNTAX;
		} else if (message[i] == '.' && (!i || message[i - 1] == '\n')) {
			stuffed++;
		} else if ((unsigned char)message[i] > 127) {
			*eightbit = true;
		}
	}
	return stuffed > SMTP_CLIENT_MESSAGE_MAX - len ? MAILERS_ERR_BOUND : MAILERS_OK;
}

enum mailers_error smtp_envelope_check(const struct smtp_envelope *env, bool *eightbit)
{
	enum mailers_error error;
	size_t i;

	if (!env->nrcpt)
		return MAILERS_ERR_SYNTAX;
	if (env->nrcpt > SMTP_CLIENT_RCPT_MAX)
		return MAILERS_ERR_BOUND;
	error = smtp_path_check(env->from);
	for (i = 0; i < env->nrcpt && !error; i++)
		error = env->rcpt[i][0] ? smtp_path_check(env->rcpt[i]) : MAILERS_ERR_SYNTAX;
	return error ? error : smtp_message_check(env->message, env->message_len, eightbit);
}
