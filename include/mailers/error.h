/*
 * error - the result codes that every module of the core returns.
 *
 * A function that can fail returns MAILERS_OK (0) or one of the codes below and nothing else; codes
 * are never negative and never errno values. What the peer said (an SMTP reply) is not an error
 * code: it is kept in full beside it (see smtp_reply.h).
 */
#ifndef MAILERS_ERROR_H
#define MAILERS_ERROR_H

enum mailers_error {
	MAILERS_OK = 0,
	MAILERS_ERR_NOMEM,     /* local: an allocation failed; the call had no effect */
	MAILERS_ERR_BOUND,     /* local: a documented limit is reached; the call had no effect */
	MAILERS_ERR_SYNTAX,    /* permanent: a text does not parse; a reason is given beside it */
	MAILERS_ERR_STATE,     /* fatal: the call is not allowed now; a bug of the caller */
	MAILERS_ERR_PROTOCOL,  /* protocol: the peer's bytes are not SMTP, or not what may come here */
	MAILERS_ERR_TIMEOUT,   /* transient: a deadline passed */
	MAILERS_ERR_CLOSED,    /* transient: the connection ended, or was never there */
	MAILERS_ERR_TEMPORARY, /* transient: the peer said 4xx */
	MAILERS_ERR_PERMANENT, /* permanent: the peer said 5xx */
	MAILERS_ERR_TLS,       /* protocol: no TLS session could be had, or it broke */
	MAILERS_ERR_INTERNAL,  /* fatal: an invariant broke; only the free function may follow */
};

enum mailers_error_class {
	MAILERS_CLASS_NONE = 0,
	MAILERS_CLASS_TRANSIENT,
	MAILERS_CLASS_PERMANENT,
	MAILERS_CLASS_PROTOCOL,
	MAILERS_CLASS_LOCAL,
	MAILERS_CLASS_FATAL,
};

/* The class of <error>; MAILERS_CLASS_FATAL for a value outside of the enum. */
enum mailers_error_class mailers_error_class(enum mailers_error error);

/* A short lower-case English text for <error>, for a log line. Static, never NULL. */
const char *mailers_error_text(enum mailers_error error);

#endif
