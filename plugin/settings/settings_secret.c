/*
 * settings_secret - passwords and tokens, from files and from the environment, and how private their files must
 * be.
 *
 * A file is opened by its name in a directory that stays open (O_PATH: no right to read the directory is
 * needed), so that a token that was renewed is found in a chroot too, also when the renewal was a rename. What
 * is read never stands in a reason. Not for certificates: TLS reads those itself, and looks at the rights of a
 * private key.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "settings_internal.h"

#define SECRET_LINE_END 2 /* bytes of a line end that may follow the secret */

/* --- files --- */

/* Only a regular file, that others can neither read nor change. */
static bool secret_check_mode(const struct settings *s, int fd, const char *path, const char *where,
                              char *reason)
{
	struct stat st;

	if (fstat(fd, &st))
		return settings_refuse(s, reason, where, "cannot look at %.200s: %s; check the file", path,
		                       strerror(errno));
	if (S_ISDIR(st.st_mode))
		return settings_refuse(s, reason, where, "%.200s is a directory; write the path of a file",
		                       path);
	if (!S_ISREG(st.st_mode))
		return settings_refuse(s, reason, where, "%.200s is no regular file; write the path of one",
		                       path);
	if (st.st_mode & (S_IROTH | S_IWOTH))
		return settings_refuse(s, reason, where, "%.200s is world-%s (mode %04o); chmod o-rw it", path,
		                       st.st_mode & S_IROTH ? "readable" : "writable",
		                       (unsigned)st.st_mode & 07777);
	return true;
}

/* Reads up to <size> bytes; -1 on failure, with errno. */
static ssize_t secret_read_all(int fd, char *out, size_t size)
{
	size_t len = 0;
	ssize_t got;

	while (len < size) {
		got = read(fd, out + len, size - len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -1 : (ssize_t)len;
		len += (size_t)got;
	}
	return (ssize_t)len;
}

/* <len> bytes of <text> with room for a NUL: cuts one line end, and checks what is left. */
static bool secret_check_text(const struct settings *s, char *text, size_t len, size_t max, const char *from,
                              const char *where, char *reason)
{
	size_t i;

	if (len && text[len - 1] == '\n')
		len--;
	if (len && text[len - 1] == '\r')
		len--;
	text[len] = '\0';
	if (!len)
		return settings_refuse(s, reason, where, "%.200s is empty; write the secret into it", from);
	if (len > max)
		return settings_refuse(s, reason, where,
		                       "%.200s has more than %zu bytes; write the secret alone into it", from,
		                       max);
	for (i = 0; i < len; i++) {
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			return settings_refuse(s, reason, where,
			                       "%.200s has control characters, or more than one line; write "
			                       "the secret alone into it",
			                       from);
	}
	return true;
}

/* Reads file <name> of <directory> to <out>, SASL_TOKEN_MAX + SECRET_LINE_END + 2 bytes. */
static bool secret_read(const struct settings *s, int directory, const char *name, const char *path, size_t max,
                        char *out, const char *where, char *reason)
{
	int fd = openat(directory, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	ssize_t len = -1;
	bool ok;

	if (fd < 0)
		return settings_refuse(s, reason, where, "cannot open %.200s: %s; check path and rights", path,
		                       strerror(errno));
	ok = secret_check_mode(s, fd, path, where, reason);
	if (ok) {
		len = secret_read_all(fd, out, max + SECRET_LINE_END + 1);
		ok = len >= 0 || settings_refuse(s, reason, where, "cannot read %.200s: %s; check the file",
		                                 path, strerror(errno));
	}
	close(fd);
	return ok && secret_check_text(s, out, (size_t)len, max, path, where, reason);
}

/* Opens the directory of secret->file; sets name. */
static bool secret_open_directory(struct settings *s, struct settings_secret *secret, const char *where,
                                  char *reason)
{
	const char *slash = strrchr(secret->file, '/');
	const char *folder = slash ? settings_copy(s, secret->file, (size_t)(slash - secret->file) + 1) : ".";

	secret->name = slash ? slash + 1 : secret->file;
	if (!folder)
		return settings_refuse(s, reason, where, "out of memory; start again");
	if (!*secret->name)
		return settings_refuse(s, reason, where, "%.200s is a directory; write the path of a file",
		                       secret->file);
	secret->directory = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (secret->directory < 0)
		return settings_refuse(s, reason, where, "cannot open %.200s: %s; check path and rights",
		                       secret->file, strerror(errno));
	return true;
}

/* --- loading --- */

static bool secret_load_file(struct settings *s, struct settings_secret *secret, size_t max, bool keep,
                             const char *where, char *reason)
{
	char text[SASL_TOKEN_MAX + SECRET_LINE_END + 2];
	bool ok = secret_open_directory(s, secret, where, reason) &&
	          secret_read(s, secret->directory, secret->name, secret->file, max, text, where, reason);

	if (ok) {
		secret->text = settings_copy(s, text, strlen(text));
		ok = secret->text || settings_refuse(s, reason, where, "out of memory; start again");
	}
	sasl_wipe(text, sizeof(text));
	if (!keep && secret->directory >= 0) {
		close(secret->directory);
		secret->directory = -1;
	}
	return ok;
}

static bool secret_load_variable(struct settings *s, struct settings_secret *secret, size_t max,
                                 const char *where, char *reason)
{
	const char *value = getenv(secret->variable);
	char *copy, from[300];

	snprintf(from, sizeof(from), "environment variable %s", secret->variable);
	if (!value)
		return settings_refuse(s, reason, where, "%s is not set; set it for HAProxy", from);
	if (strlen(value) > max + SECRET_LINE_END)
		return settings_refuse(s, reason, where,
		                       "%s has more than %zu bytes; write the secret alone into it", from, max);
	copy = (char *)settings_copy(s, value, strlen(value));
	if (!copy)
		return settings_refuse(s, reason, where, "out of memory; start again");
	secret->text = copy;
	return secret_check_text(s, copy, strlen(copy), max, from, where, reason);
}

static const struct settings_secret *secret_find(const struct settings *s, const char *file,
                                                 const char *variable, bool token)
{
	const struct settings_secret *secret = s->secrets;

	for (; secret; secret = secret->next) {
		if (secret->token == token && !strcmp(secret->file ? secret->file : "", file ? file : "") &&
		    !strcmp(secret->variable ? secret->variable : "", variable ? variable : ""))
			return secret;
	}
	return NULL;
}

static bool secret_load(struct settings *s, const char *file, const char *variable, bool token,
                        const char *where, const char *key, char *reason)
{
	struct settings_secret *secret;
	char place[SETTINGS_WHERE_MAX + 20];
	size_t max = token ? SASL_TOKEN_MAX : SASL_TEXT_MAX;

	if (secret_find(s, file, variable, token))
		return true;
	snprintf(place, sizeof(place), "%s.%s", where, key);
	secret = settings_alloc(s, sizeof(*secret));
	if (!secret)
		return settings_refuse(s, reason, where, "out of memory; start again");
	secret->directory = -1;
	secret->token = token;
	secret->file = file;
	secret->variable = variable;
	secret->next = s->secrets;
	s->secrets = secret;
	return file ? secret_load_file(s, secret, max, token, place, reason) :
	              secret_load_variable(s, secret, max, place, reason);
}

bool settings_secret_load(struct settings *s, const struct setting_mailer *m, const char *where, char *reason)
{
	const struct {
		const char *key, *file, *variable;
		bool token;
	} rows[] = {
		{ "password_file", m->password_file, NULL, false },
		{ "password_env", NULL, m->password_env, false },
		{ "token_file", m->token_file, NULL, true },
		{ "token_env", NULL, m->token_env, true },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if ((rows[i].file || rows[i].variable) &&
		    !secret_load(s, rows[i].file, rows[i].variable, rows[i].token, where, rows[i].key, reason))
			return false;
	}
	return true;
}

const struct settings_secret *settings_secret_find(const struct settings *s, const struct setting_mailer *m)
{
	if (m->password_file || m->password_env)
		return secret_find(s, m->password_file, m->password_env, false);
	if (m->token_file || m->token_env)
		return secret_find(s, m->token_file, m->token_env, true);
	return NULL;
}

bool settings_secret_again(const struct settings *s, const struct settings_secret *secret, char *out,
                           char *reason)
{
	char text[SASL_TOKEN_MAX + SECRET_LINE_END + 2];
	bool ok = secret_read(s, secret->directory, secret->name, secret->file, SASL_TOKEN_MAX, text,
	                      "token_file", reason);

	if (ok)
		memcpy(out, text, strlen(text) + 1);
	sasl_wipe(text, sizeof(text));
	return ok;
}

void settings_secret_close(struct settings *s)
{
	struct settings_secret *secret;

	for (secret = s->secrets; secret; secret = secret->next) {
		if (secret->directory >= 0)
			close(secret->directory);
	}
}
