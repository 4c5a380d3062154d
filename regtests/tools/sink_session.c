/*
 * sink_session - see sink.h. Reads in blocks, takes all whole lines of a block, answers with one write.
 *
 * An answer that is late, slow or the last one makes the session wait: <waiting> is set, no further line is taken,
 * and the timer or the end of the writing goes on from there. Every event handler ends with session_flush(), the
 * one place that closes and frees.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sink.h"

#define SINK_BLOCK_SIZE 262144
#define SINK_LINGER_S   5.        /* how long a closed session waits for the client's FIN */

static char block[SINK_BLOCK_SIZE];

static void session_free(struct sink_session *s)
{
	struct sink *sink = s->sink;

	ev_io_stop(sink->loop, &s->in_io);
	ev_io_stop(sink->loop, &s->out_io);
	ev_timer_stop(sink->loop, &s->timer);
	if (s->next)
		s->next->prev = s->prev;
	*s->prev = s->next;
	close(s->fd);
	sink->open--;
	if (!s->quit)
		sink->lost++;
	buffer_free(&s->in);
	buffer_free(&s->out);
	buffer_free(&s->held);
	buffer_free(&s->helo);
	buffer_free(&s->envelope);
	buffer_free(&s->message);
	buffer_free(&s->wire);
	buffer_free(&s->fault.text);
	sink_tls_free(s->tls);
	sink_auth_free(s->auth);
	free(s->user);
	free(s);
}

static void session_reset(struct sink_session *s)
{
	struct linger linger = { .l_onoff = 1 };

	setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	session_free(s);
}

static void session_timer(struct sink_session *s, double seconds)
{
	ev_timer_stop(s->sink->loop, &s->timer);
	ev_timer_set(&s->timer, seconds, 0.);
	ev_timer_start(s->sink->loop, &s->timer);
}

/* FIN, and then the client has its time to leave. A client that was told the end has SINK_LINGER_S. */
static void session_shutdown(struct sink_session *s, int gently)
{
	if (s->closing)
		return;
	/* close() with unread bytes would be a RST, which can overtake the last answer. */
	shutdown(s->fd, SHUT_WR);
	if (gently)
		session_timer(s, SINK_LINGER_S);
	s->closing = 1;
}

/* Everything is sent: does what the last answer wanted after it. The session may be gone afterwards. */
static void session_then(struct sink_session *s)
{
	switch (s->then) {
	case THEN_GO_ON:
	case THEN_MUTE:
		break;
	case THEN_CLOSE:
	case THEN_HALF_CLOSE:
		session_shutdown(s, s->then == THEN_CLOSE);
		break;
	case THEN_DROP:
		session_free(s);
		break;
	case THEN_RESET:
		session_reset(s);
		break;
	case THEN_DIE:
		sink_listener_die(s->sink, s->die_ms);
		break;
	case THEN_TLS:
		if (s->in.len)
			sink_store_violation(s, "bytes between STARTTLS and the handshake");
		buffer_clear(&s->in);
		sink_smtp_restart(s);
		sink_tls_start(s);
		break;
	}
}

/* Sends what can be sent. Returns 0 when the session is gone. */
static int session_send(struct sink_session *s)
{
	struct buffer *out = &s->out;
	ssize_t n = 0;

	if (s->tls) {
		sink_tls_push(s);
		out = &s->wire;
	}
	if (buffer_error(&s->in) || buffer_error(out) || buffer_error(&s->held) || buffer_error(&s->message))
		tool_die("no memory");
	if (out->len)
		n = send(s->fd, out->data, out->len, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		session_free(s);
		return 0;
	}
	buffer_shift(out, n > 0 ? (size_t)n : 0);
	return 1;
}

static void session_flush(struct sink_session *s)
{
	struct ev_loop *loop = s->sink->loop;

	/* The last word in TLS is close_notify. */
	if (s->tls && s->then == THEN_CLOSE && !s->held.len && !ev_is_active(&s->timer))
		sink_tls_close(s);
	if (!session_send(s))
		return;
	if (s->out.len + s->wire.len) {
		/* A client that does not read is not read either, as with other servers. */
		ev_io_stop(loop, &s->in_io);
		ev_io_start(loop, &s->out_io);
		return;
	}
	ev_io_stop(loop, &s->out_io);
	if (!s->closing && !s->tls && (s->held.len || ev_is_active(&s->timer)))
		ev_io_stop(loop, &s->in_io);
	else
		ev_io_start(loop, &s->in_io);
	if (!s->held.len && !ev_is_active(&s->timer))
		session_then(s);
}

void sink_session_say(struct sink_session *s, const struct sink_answer *a)
{
	size_t now = a->delay_ms || a->pace_ms ? a->at_once : a->len;

	if (a->len && (*a->text == '4' || *a->text == '5'))
		s->sink->refused++;
	if (a->len)
		sink_store_line(s, 'S', a->text, a->len);
	s->then = a->then;
	s->die_ms = a->die_ms;
	s->waiting = a->then != THEN_GO_ON;
	buffer_add(&s->out, a->text, now);
	if (!a->delay_ms && !a->pace_ms)
		return;
	buffer_clear(&s->held);
	buffer_add(&s->held, a->text + now, a->len - now);
	s->pace_ms = a->pace_ms;
	s->endless = a->endless;
	s->waiting = 1;
	session_timer(s, (a->delay_ms ? a->delay_ms : a->pace_ms) / 1000.);
}

/* Lets the rules change <a>, the usual answer to <line>. */
static void session_rules(struct sink_session *s, enum sink_step step, const char *line, size_t len,
                          struct sink_answer *a)
{
	int mail = step == STEP_DOT || step == STEP_BDAT || step == STEP_BODY;
	struct sink_occasion occasion = {
		.step = step, .line = line, .len = len, .connection = s->number, .mails = s->mails, .seen = s->seen,
		.envelope = mail ? &s->envelope : NULL, .message = mail ? &s->message : NULL,
	};

	if (sink_rules_watch(&s->sink->rules, step))
		sink_rules_apply(&s->sink->rules, &occasion, a);
}

/* Makes <lines> lines of a reply of one: "250 2.0.0 Ok" is the last of them. */
static const char *reply_lengthen(const char *text, int lines)
{
	static char longer[1024];
	size_t len = 0;

	for (; lines > 1; lines--)
		len += (size_t)snprintf(longer + len, 64, "%.3s-%d more\r\n", text, lines - 1);
	snprintf(longer + len, sizeof(longer) - len, "%s", text);
	return longer;
}

int sink_session_answer(struct sink_session *s, enum sink_step step, const char *line, size_t len, const char *text,
                        enum sink_then then)
{
	struct sink_answer a = { .then = then };

	if (s->sink->lines > 1 && *text && step != STEP_EHLO && step != STEP_AUTH && step != STEP_AUTHSTEP)
		text = reply_lengthen(text, s->sink->lines);
	a.text = text;
	a.len = strlen(text);
	a.accepts = *text == '2' || *text == '3';
	session_rules(s, step, line, len, &a);
	sink_session_say(s, &a);
	return a.accepts;
}

void sink_session_arm(struct sink_session *s, enum sink_step step)
{
	struct sink_fault *f = &s->fault;

	f->answer = (struct sink_answer){ .text = "", .then = THEN_GO_ON };
	session_rules(s, step, "", 0, &f->answer);
	f->armed = f->answer.fault;
	if (!f->armed)
		return;
	buffer_clear(&f->text);
	buffer_add(&f->text, f->answer.text, f->answer.len);
	f->answer.text = f->text.len ? f->text.data : "";
	if (buffer_error(&f->text))
		tool_die("no memory");
}

void sink_session_fault(struct sink_session *s)
{
	s->fault.armed = 0;
	s->sink->rules.hits++;
	sink_session_say(s, &s->fault.answer);
}

static void session_greet(struct sink_session *s)
{
	char text[1024];

	s->state = SESSION_COMMAND;
	s->alone = 1;
	snprintf(text, sizeof(text), "%s\r\n", s->sink->greeting);
	sink_session_answer(s, STEP_GREETING, "", 0, text, THEN_GO_ON);
}

/* Takes what is complete of <len> bytes at <data>; returns the bytes used. */
static size_t session_take(struct sink_session *s, const char *data, size_t len)
{
	size_t used = 0, n;

	while (!s->waiting && used < len) {
		n = sink_smtp_feed(s, data + used, len - used);
		if (!n)
			break;
		used += n;
	}
	return used;
}

static void session_go_on(struct sink_session *s)
{
	if (s->state == SESSION_START && !s->waiting && s->sink->tls_implicit && !s->tls)
		sink_tls_start(s);
	if (s->state == SESSION_START && !s->waiting)
		session_greet(s);
	buffer_shift(&s->in, session_take(s, s->in.data, s->in.len));
}

void sink_session_secured(struct sink_session *s)
{
	s->waiting = 0;
	session_go_on(s);
}

static void on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
	struct sink_session *s = w->data;
	ssize_t n = read(s->fd, block, sizeof(block));

	(void)loop;
	(void)revents;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		session_free(s);
		return;
	}
	if (s->closing || s->then == THEN_MUTE)
		return;
	if (s->tls) {
		sink_tls_feed(s, block, (size_t)n);
		buffer_shift(&s->in, session_take(s, s->in.data, s->in.len));
	} else if (s->in.len) {
		buffer_add(&s->in, block, (size_t)n);
		buffer_shift(&s->in, session_take(s, s->in.data, s->in.len));
	} else {
		size_t used = session_take(s, block, (size_t)n);

		buffer_add(&s->in, block + used, (size_t)n - used);
	}
	session_flush(s);
}

static void on_writable(struct ev_loop *loop, ev_io *w, int revents)
{
	(void)loop;
	(void)revents;
	session_flush(w->data);
}

/* The held answer is on its way: whoever talked meanwhile did not wait for it. */
static void session_release(struct sink_session *s)
{
	char c;

	if (s->alone && (s->in.len || (!s->tls && recv(s->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) > 0)))
		sink_store_violation(s, "bytes before the answer that had to be waited for");
	if (s->then != THEN_GO_ON)
		return;
	if (s->tls && sink_tls_drip(s))
		return;
	s->waiting = 0;
	session_go_on(s);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct sink_session *s = w->data;
	size_t n = s->pace_ms && !s->endless && s->held.len ? 1 : s->held.len;

	(void)loop;
	(void)revents;
	if (s->closing) {
		session_free(s);
		return;
	}
	/* An endless answer to a client that does not read is bounded by the socket's buffer. */
	if (!s->endless || !s->out.len)
		buffer_add(&s->out, s->held.data, n);
	if (!s->endless)
		buffer_shift(&s->held, n);
	if (s->held.len)
		session_timer(s, s->pace_ms / 1000.);
	else
		session_release(s);
	session_flush(s);
}

void sink_session_start(struct sink *sink, int fd)
{
	struct sink_session *s = calloc(1, sizeof(*s));

	if (!s)
		tool_die("no memory");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	s->sink = sink;
	s->fd = fd;
	s->number = ++sink->connections;
	if (++sink->open > sink->peak)
		sink->peak = sink->open;
	s->next = sink->sessions;
	s->prev = &sink->sessions;
	if (s->next)
		s->next->prev = &s->next;
	sink->sessions = s;
	ev_io_init(&s->in_io, on_readable, fd, EV_READ);
	ev_io_init(&s->out_io, on_writable, fd, EV_WRITE);
	ev_timer_init(&s->timer, on_timer, 0., 0.);
	s->in_io.data = s;
	s->out_io.data = s;
	s->timer.data = s;
	sink_session_answer(s, STEP_CONNECT, "", 0, "", THEN_GO_ON);
	session_go_on(s);
	session_flush(s);
}

void sink_session_drop_all(struct sink *sink)
{
	struct sink_session *s, *next;

	for (s = sink->sessions; s; s = next) {
		next = s->next;
		session_reset(s);
	}
}
