/*
 * sasl: whatever the server says, responses are base64 within their bound, SCRAM believes nobody without the right
 * signature, an attempt that failed stays so, and reasons are one printable line without secrets.
 *
 * Input: <mechanism>|<user>|<password>|<token>|<host>|<port>|<the crypto fails at call n, empty: never>|<events>
 * and the events are fields too, by their first character:
 *   ~text   a challenge of this plain text          =text   of this base64
 *   +text   235 with this text                      ^  $    SCRAM's right last message, as a challenge, with 235
 *   <       the initial response is not asked for (only first)
 * The server of SCRAM is that of sasl_peer.h; the client's nonce is AAAAAAAAAAAAAAAAAAAA.
 */
#include <mailers/sasl.h>

#include "fuzz.h"
#include "../lib/sasl_peer.h"

struct play {
	struct sasl *s;
	enum sasl_mechanism mechanism;
	struct sasl_credentials c;
	enum mailers_error error;
	char first[PEER_TEXT_MAX];  /* SCRAM: the client's first message, */
	char offer[PEER_TEXT_MAX];  /* the server's, */
	char final[100];            /* and its last if it is to be believed; "" before */
	bool proved;                /* which came */
	unsigned responses;
};

static void check_reason(const struct play *p)
{
	static const char announced[] = "the server announces: ";
	const char *reason = sasl_reason(p->s);

	FUZZ_CHECK(strlen(reason) < SASL_REASON_SIZE && fuzz_printable(reason));
	if (strncmp(reason, announced, strlen(announced)) || strchr(reason, '\\'))
		return;
	reason += strlen(announced);
	FUZZ_CHECK(!p->c.password || !*p->c.password || !strstr(reason, p->c.password));
	FUZZ_CHECK(!p->c.token || !*p->c.token || !strstr(reason, p->c.token));
}

/* A response, decoded to <text>. */
static void check_response(struct play *p, const struct buffer *out, char *text)
{
	long len, fails = peer_crypto_fails;

	FUZZ_CHECK(!buffer_error(out) && out->len <= SASL_RESPONSE_MAX);
	len = peer_decode(out->data, out->len, text);
	FUZZ_CHECK(len >= 0);
	if (p->mechanism == SASL_PLAIN) {
		FUZZ_CHECK((size_t)len == 2 + strlen(p->c.user) + strlen(p->c.password));
		FUZZ_CHECK(!strcmp(text + 1, p->c.user) && !strcmp(text + 2 + strlen(p->c.user), p->c.password));
	}
	if (p->mechanism == SASL_LOGIN)
		FUZZ_CHECK(!strcmp(text, p->responses ? p->c.password : p->c.user));
	if (p->mechanism == SASL_SCRAM_SHA_256 && !p->responses)
		strcpy(p->first, text);
	peer_crypto_fails = -1; /* the server's does not fail */
	if (p->mechanism == SASL_SCRAM_SHA_256 && p->responses && len)
		FUZZ_CHECK(peer_scram(&peer_crypto, p->c.password, p->first, p->offer, text, p->final));
	peer_crypto_fails = fails;
	p->responses++;
}

static void challenge(struct play *p, const char *base64)
{
	static char text[PEER_TEXT_MAX];
	struct buffer out = { 0 };
	size_t len = strlen(base64);
	enum mailers_error error;

	if (len <= SASL_CHALLENGE_MAX && peer_decode(base64, len, text) >= 0) {
		strcpy(p->offer, text);
		p->proved |= *p->final && !strncmp(text, p->final, strlen(p->final));
	}
	error = sasl_step(p->s, base64, len, &out);
	FUZZ_CHECK(!p->error || error == p->error);
	FUZZ_CHECK(error == MAILERS_OK || error == MAILERS_ERR_PROTOCOL || error == MAILERS_ERR_INTERNAL);
	FUZZ_CHECK(!error || (!out.len && *sasl_reason(p->s)));
	p->error = error;
	if (!error)
		check_response(p, &out, text);
	check_reason(p);
	buffer_free(&out);
}

static void plain_challenge(struct play *p, const char *text)
{
	static char base64[PEER_TEXT_MAX];

	peer_encode(text, strlen(text), base64);
	challenge(p, base64);
}

static void finish(struct play *p, const char *text)
{
	enum mailers_error error = sasl_finish(p->s, text, strlen(text));

	FUZZ_CHECK(!p->error || error == p->error);
	FUZZ_CHECK(error || p->mechanism != SASL_SCRAM_SHA_256 || p->proved);
	FUZZ_CHECK(error || p->responses);
	p->error = error;
	check_reason(p);
}

static void event(struct play *p, const char *text)
{
	char base64[100];

	switch (*text) {
	case '~':
		plain_challenge(p, text + 1);
		break;
	case '=':
		challenge(p, text + 1);
		break;
	case '^':
		plain_challenge(p, p->final);
		break;
	case '$':
		peer_encode(p->final, strlen(p->final), base64);
		p->proved |= *p->final;
		finish(p, base64);
		break;
	case '+':
		/* Coverage may not guess the signature, but repeat it. */
		if (*p->final) {
			peer_encode(p->final, strlen(p->final), base64);
			base64[56] = '\0'; /* without what depends on the bytes behind it */
			p->proved |= !!strstr(text, base64);
		}
		finish(p, text + 1);
		break;
	}
}

static void run(struct play *p, struct fuzz_input *in)
{
	static char text[PEER_TEXT_MAX];
	struct buffer out = { 0 };
	bool skip = in->len && in->data[0] == '<';
	char *field;

	if (!skip && sasl_initial(p->s, &out)) {
		FUZZ_CHECK(out.len + strlen(sasl_mechanism_name(p->mechanism)) + 8 <= SASL_COMMAND_MAX);
		check_response(p, &out, text);
	}
	buffer_free(&out);
	while (in->len) {
		field = fuzz_field(in);
		event(p, field);
		free(field);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct play p;
	struct fuzz_input in = { data, size > 8000 ? 8000 : size };
	char *name = fuzz_field(&in), *fields[4], *fails;

	memset(&p, 0, sizeof(p));
	for (int i = 0; i < 4; i++)
		fields[i] = fuzz_field(&in);
	p.mechanism = sasl_mechanism_find(name, strlen(name));
	p.c = (struct sasl_credentials){ fields[0], fields[1], fields[2], fields[3], (unsigned)fuzz_number(&in) };
	fails = fuzz_field(&in);
	peer_crypto_fails = -1;
	p.s = sasl_new(p.mechanism, &p.c, &peer_crypto);
	FUZZ_CHECK(!p.s == !!sasl_unfit(p.mechanism, &p.c, &peer_crypto));
	FUZZ_CHECK((sasl_choose(SASL_ALL, SASL_BIT(p.mechanism), &p.c, &peer_crypto) != SASL_NONE) == !!p.s);
	if (p.s) {
		peer_crypto_fails = *fails >= '0' && *fails <= '9' ? *fails - '0' : -1;
		run(&p, &in);
		sasl_free(p.s);
	}
	for (int i = 0; i < 4; i++)
		free(fields[i]);
	free(fails);
	free(name);
	return 0;
}
