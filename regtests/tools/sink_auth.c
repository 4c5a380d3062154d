/*
 * sink_auth - the server's side of AUTH: PLAIN (RFC 4616), LOGIN, CRAM-MD5 (RFC 2195), SCRAM-SHA-256 (RFC 5802,
 * 7677), XOAUTH2 and OAUTHBEARER (RFC 7628).
 *
 * A mechanism is a function that gets the client's next response, decoded (NULL before the first one), and leaves what
 * is to be asked next. It says what the RFC says and takes what the RFC allows: this is what a client is measured by.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "sink.h"

#define AUTH_TEXT_MAX   12288   /* RFC 4954 section 4 */
#define SCRAM_ROUNDS    4096
#define SCRAM_SALT      "sink's salt 1234"
#define HASH            32      /* bytes of SHA-256 */
#define OAUTH_FAILED    "{\"status\":\"invalid_token\",\"schemes\":\"bearer\",\"scope\":\"https://mail.example.org/\"}"

struct sink_auth {
	const struct sink_auth_mechanism *mechanism;
	const struct sink_credentials *credentials;
	int step;
	char user[512];
	char nonce[64];           /* of CRAM-MD5: its whole challenge */
	struct buffer first;      /* of SCRAM: client-first-bare, "," server-first, "," */
	char gs2[512];            /* its header */
};

typedef enum sink_auth_result auth_step_f(struct sink_auth *a, const char *text, size_t len, struct buffer *ask);

struct sink_auth_mechanism {
	const char *name;
	auth_step_f *step;
	int needs_password;       /* cannot do without knowing it */
};

static enum sink_auth_result ask(struct buffer *challenge, const char *text)
{
	buffer_puts(challenge, text);
	return SINK_AUTH_CHALLENGE;
}

static int is_text(const char *wanted, const char *text, size_t len)
{
	return wanted && strlen(wanted) == len && !memcmp(wanted, text, len);
}

static int user_take(struct sink_auth *a, const char *text, size_t len)
{
	if (len >= sizeof(a->user) || memchr(text, '\0', len))
		return 0;
	memcpy(a->user, text, len);
	a->user[len] = '\0';
	return 1;
}

static enum sink_auth_result verdict(const struct sink_auth *a, int right)
{
	const struct sink_credentials *c = a->credentials;

	return !c->user || (right && !strcmp(c->user, a->user)) ? SINK_AUTH_OK : SINK_AUTH_BAD;
}

static enum sink_auth_result step_plain(struct sink_auth *a, const char *text, size_t len, struct buffer *challenge)
{
	const char *user, *password, *end = text + len;

	if (!text)
		return ask(challenge, "");
	user = memchr(text, '\0', len);
	password = user ? memchr(user + 1, '\0', (size_t)(end - user - 1)) : NULL;
	if (!password || !user_take(a, user + 1, (size_t)(password - user - 1)))
		return SINK_AUTH_SYNTAX;
	return verdict(a, is_text(a->credentials->password, password + 1, (size_t)(end - password - 1)));
}

static enum sink_auth_result step_login(struct sink_auth *a, const char *text, size_t len, struct buffer *challenge)
{
	if (!text)
		return ask(challenge, "Username:");
	if (a->step++ == 0)
		return user_take(a, text, len) ? ask(challenge, "Password:") : SINK_AUTH_SYNTAX;
	return verdict(a, is_text(a->credentials->password, text, len));
}

static void hmac(const EVP_MD *md, const void *key, size_t key_len, const void *data, size_t len, unsigned char *out)
{
	if (!HMAC(md, key, (int)key_len, data, len, out, NULL))
		tool_die("no HMAC");
}

static void random_hex(char *out, size_t digits)
{
	unsigned char byte;

	for (; digits; digits--, out++) {
		if (RAND_bytes(&byte, 1) != 1)
			tool_die("no random bytes");
		*out = "0123456789abcdef"[byte & 15];
	}
	*out = '\0';
}

static enum sink_auth_result step_cram_md5(struct sink_auth *a, const char *text, size_t len, struct buffer *challenge)
{
	const char *password = a->credentials->password;
	unsigned char digest[EVP_MAX_MD_SIZE];
	char hex[33], unique[17];
	const char *space;
	int i;

	if (!text) {
		random_hex(unique, 16);
		snprintf(a->nonce, sizeof(a->nonce), "<%s@sink.example>", unique);
		return ask(challenge, a->nonce);
	}
	space = memrchr(text, ' ', len);
	if (!space || !user_take(a, text, (size_t)(space - text)))
		return SINK_AUTH_SYNTAX;
	hmac(EVP_md5(), password, strlen(password), a->nonce, strlen(a->nonce), digest);
	for (i = 0; i < 16; i++)
		sprintf(hex + 2 * i, "%02x", digest[i]);
	return verdict(a, is_text(hex, space + 1, len - (size_t)(space + 1 - text)));
}

static void base64(struct buffer *out, const void *data, size_t len)
{
	char *text = malloc(len * 4 / 3 + 8);

	if (!text)
		tool_die("no memory");
	EVP_EncodeBlock((unsigned char *)text, data, (int)len);
	buffer_puts(out, text);
	free(text);
}

/* Decodes strictly. Returns the bytes, owned and with a NUL behind them, or NULL. */
static char *base64_decode(const char *text, size_t len, size_t *decoded)
{
	size_t i, pad = 0;
	char *out;

	while (pad < 2 && pad < len && text[len - 1 - pad] == '=')
		pad++;
	for (i = 0; i < len - pad; i++)
		if (!isalnum((unsigned char)text[i]) && text[i] != '+' && text[i] != '/')
			return NULL;
	out = len % 4 ? NULL : calloc(1, len + 4);
	if (out && EVP_DecodeBlock((unsigned char *)out, (const unsigned char *)text, (int)len) < 0) {
		free(out);
		return NULL;
	}
	*decoded = len / 4 * 3 - pad;
	return out;
}

/* The value of the attribute <name> in a text of attributes with commas between them; -1 without it. */
static int attribute(const char *text, size_t len, char name, const char **value)
{
	const char *at = text, *end = text + len, *comma;

	while (at < end) {
		comma = memchr(at, ',', (size_t)(end - at));
		if (!comma)
			comma = end;
		if (comma - at >= 2 && at[0] == name && at[1] == '=') {
			*value = at + 2;
			return (int)(comma - at - 2);
		}
		at = comma + 1;
	}
	return -1;
}

/* "=2C" and "=3D" in a saslname are a comma and an equals sign. */
static int user_take_escaped(struct sink_auth *a, const char *text, int len)
{
	char *in = a->user, *out = a->user;

	if (len < 0 || !user_take(a, text, (size_t)len))
		return 0;
	for (; *in; in++, out++) {
		if (*in != '=') {
			*out = *in;
		} else if (!strncmp(in, "=2C", 3) || !strncmp(in, "=3D", 3)) {
			*out = in[1] == '2' ? ',' : '=';
			in += 2;
		} else {
			return 0;
		}
	}
	*out = '\0';
	return 1;
}

/* gs2-header client-first-bare: "n,,n=user,r=nonce" */
static enum sink_auth_result scram_first(struct sink_auth *a, const char *text, size_t len, struct buffer *challenge)
{
	const char *second = NULL, *comma, *bare, *user, *nonce;
	int user_len, nonce_len;
	char own[33];

	comma = memchr(text, ',', len);
	if (comma)
		second = memchr(comma + 1, ',', len - (size_t)(comma + 1 - text));
	if (!second || (*text != 'n' && *text != 'y') || comma != text + 1 || (size_t)(second - text) + 2 > sizeof(a->gs2))
		return SINK_AUTH_SYNTAX;
	bare = second + 1;
	memcpy(a->gs2, text, (size_t)(bare - text));
	len -= (size_t)(bare - text);
	user_len = attribute(bare, len, 'n', &user);
	nonce_len = attribute(bare, len, 'r', &nonce);
	if (!user_take_escaped(a, user, user_len) || nonce_len < 1)
		return SINK_AUTH_SYNTAX;
	random_hex(own, 32);
	buffer_printf(challenge, "r=%.*s%s,s=", nonce_len, nonce, own);
	base64(challenge, SCRAM_SALT, strlen(SCRAM_SALT));
	buffer_printf(challenge, ",i=%d", SCRAM_ROUNDS);
	buffer_add(&a->first, bare, len);
	buffer_puts(&a->first, ",");
	buffer_add(&a->first, challenge->data, challenge->len);
	buffer_puts(&a->first, ",");
	return SINK_AUTH_CHALLENGE;
}

/* Does the client's channel binding and nonce repeat what was said before? */
static int scram_repeats(const struct sink_auth *a, const char *text, size_t len)
{
	const char *nonce, *binding, *first = memmem(a->first.data, a->first.len, ",r=", 3);
	int nonce_len = attribute(text, len, 'r', &nonce), binding_len = attribute(text, len, 'c', &binding);
	struct buffer gs2 = { 0 };
	int same;

	/* The nonce of both is the last one of the two in <first>. */
	first = memmem(first + 3, a->first.len - (size_t)(first + 3 - a->first.data), ",r=", 3);
	base64(&gs2, a->gs2, strlen(a->gs2));
	same = binding_len == (int)gs2.len && !memcmp(binding, gs2.data, gs2.len) && nonce_len > 0 && first &&
	       (size_t)nonce_len < a->first.len - (size_t)(first + 3 - a->first.data) &&
	       !memcmp(nonce, first + 3, (size_t)nonce_len) && first[3 + nonce_len] == ',';
	buffer_free(&gs2);
	return same;
}

/* client-final: "c=biws,r=nonce,p=proof" */
static enum sink_auth_result scram_final(struct sink_auth *a, const char *text, size_t len, struct buffer *challenge)
{
	const char *password = a->credentials->password, *proof_text;
	unsigned char salted[HASH], key[HASH], stored[HASH], signature[HASH], server[HASH];
	int i, proof_len = attribute(text, len, 'p', &proof_text), right = 0;
	size_t proof_size = 0;
	char *proof = NULL;

	if (proof_len > 0)
		proof = base64_decode(proof_text, (size_t)proof_len, &proof_size);
	if (!proof || proof_size != HASH || !scram_repeats(a, text, len)) {
		free(proof);
		return SINK_AUTH_SYNTAX;
	}
	buffer_add(&a->first, text, (size_t)(proof_text - text) - 3);
	if (PKCS5_PBKDF2_HMAC(password, (int)strlen(password), (const unsigned char *)SCRAM_SALT,
	                      (int)strlen(SCRAM_SALT), SCRAM_ROUNDS, EVP_sha256(), HASH, salted) != 1)
		tool_die("no PBKDF2");
	hmac(EVP_sha256(), salted, HASH, "Client Key", 10, key);
	EVP_Digest(key, HASH, stored, NULL, EVP_sha256(), NULL);
	hmac(EVP_sha256(), stored, HASH, a->first.data, a->first.len, signature);
	for (i = 0; i < HASH; i++)
		right |= (unsigned char)proof[i] ^ key[i] ^ signature[i];
	free(proof);
	if (verdict(a, !right) != SINK_AUTH_OK)
		return SINK_AUTH_BAD;
	hmac(EVP_sha256(), salted, HASH, "Server Key", 10, key);
	hmac(EVP_sha256(), key, HASH, a->first.data, a->first.len, server);
	buffer_puts(challenge, "v=");
	base64(challenge, server, HASH);
	return SINK_AUTH_CHALLENGE;
}

static enum sink_auth_result step_scram(struct sink_auth *a, const char *text, size_t len, struct buffer *challenge)
{
	if (!text)
		return ask(challenge, "");
	switch (a->step++) {
	case 0: return scram_first(a, text, len, challenge);
	case 1: return scram_final(a, text, len, challenge);
	default: return len ? SINK_AUTH_SYNTAX : SINK_AUTH_OK;
	}
}

/* "user=U\1auth=Bearer T\1\1", or with "n,a=U,\1" in front and other fields between; a failure is told in a challenge
 * first (RFC 7628 section 3.2.3).
 */
static enum sink_auth_result step_oauth(struct sink_auth *a, const char *text, size_t len, struct buffer *challenge)
{
	const char *token, *end;
	int bearer = !strcmp(a->mechanism->name, "OAUTHBEARER");
	const char *user = bearer ? "n,a=" : "user=";

	if (!text)
		return ask(challenge, "");
	if (a->step++)
		return SINK_AUTH_BAD;
	token = memmem(text, len, "\1auth=Bearer ", 13);
	end = token ? memmem(token + 13, len - (size_t)(token + 13 - text), "\1\1", 2) : NULL;
	if (!end || end + 2 != text + len || len < strlen(user) || memcmp(text, user, strlen(user)))
		return SINK_AUTH_SYNTAX;
	text += strlen(user);
	token += 13;
	if (!user_take_escaped(a, text, (int)strcspn(text, bearer ? "," : "\1")))
		return SINK_AUTH_SYNTAX;
	if (verdict(a, is_text(a->credentials->token, token, (size_t)(end - token))) == SINK_AUTH_OK)
		return SINK_AUTH_OK;
	return ask(challenge, OAUTH_FAILED);
}

static const struct sink_auth_mechanism mechanisms[] = {
	{ "PLAIN", step_plain, 0 },
	{ "LOGIN", step_login, 0 },
	{ "CRAM-MD5", step_cram_md5, 1 },
	{ "SCRAM-SHA-256", step_scram, 1 },
	{ "XOAUTH2", step_oauth, 0 },
	{ "OAUTHBEARER", step_oauth, 0 },
	{ NULL, NULL, 0 },
};

/* Is <name>, with a space in front, among the <offered>? */
static int is_offered(const char *offered, const char *name)
{
	size_t len = strlen(name);
	const char *at = offered;

	while (at && (at = strcasestr(at, name))) {
		if (at[-1] == ' ' && (at[len] == ' ' || !at[len]))
			return 1;
		at += len;
	}
	return 0;
}

struct sink_auth *sink_auth_new(const struct sink_session *s, const char *text, size_t len)
{
	const struct sink_auth_mechanism *m = mechanisms;
	const struct sink_credentials *c = &s->sink->credentials;
	struct sink_auth *a;

	while (m->name && (strlen(m->name) != len || strncasecmp(m->name, text, len)))
		m++;
	if (!m->name || !is_offered(sink_session_offer(s)->auth, m->name) || (m->needs_password && !c->password))
		return NULL;
	a = calloc(1, sizeof(*a));
	if (!a)
		tool_die("no memory");
	a->mechanism = m;
	a->credentials = c;
	return a;
}

void sink_auth_free(struct sink_auth *a)
{
	if (!a)
		return;
	buffer_free(&a->first);
	free(a);
}

enum sink_auth_result sink_auth_step(struct sink_auth *a, const char *text, size_t len, struct buffer *challenge)
{
	struct buffer plain = { 0 };
	enum sink_auth_result result;
	char *data = NULL;
	size_t decoded = 0;

	if (text && len > AUTH_TEXT_MAX)
		return SINK_AUTH_SYNTAX;
	if (text && !(data = base64_decode(text, len, &decoded)))
		return SINK_AUTH_SYNTAX;
	result = a->mechanism->step(a, data, decoded, &plain);
	free(data);
	if (result == SINK_AUTH_CHALLENGE)
		base64(challenge, plain.data ? plain.data : "", plain.len);
	if (buffer_error(&plain) || buffer_error(challenge) || buffer_error(&a->first))
		tool_die("no memory");
	buffer_free(&plain);
	return result;
}

const char *sink_auth_user(const struct sink_auth *a)
{
	return a->user;
}
