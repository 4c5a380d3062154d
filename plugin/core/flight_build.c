/*
 * flight_build - the message of a flight: that of its alert, or for a fold one that names all of its
 * alerts.
 *
 * It is built anew for each try: the same alerts give the same bytes, Message-ID included. A fold that was
 * put back may be composed of other alerts the next time; then its Message-ID is another, too, as a hash of
 * the alerts' ids is part of it.
 *
 * Called by flight.c.
 */
#include <mailers/message.h>

#include "engine_internal.h"

static uint64_t flight_hash(const struct queue_envelope *env)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	size_t i, k;

	for (i = 0; i < env->nalerts; i++) {
		for (k = 0; k < 8; k++)
			h = (h ^ (env->alerts[i]->id >> 8 * k & 0xff)) * UINT64_C(0x100000001b3);
	}
	return h;
}

static void flight_message_id(const struct engine *e, const struct flight *f, struct buffer *id)
{
	const struct queue_envelope *env = f->env;
	/* Whoever of a group it goes over. */
	const char *helo = flight_route(f)->members[0].mailer->settings.helo;

	buffer_printf(id, "%llu", (unsigned long long)env->alert->id);
	if (env->nalerts > 1)
		buffer_printf(id, "-%llu.%016llx", (unsigned long long)env->alerts[env->nalerts - 1]->id,
		              (unsigned long long)flight_hash(env));
	buffer_printf(id, ".%s@%s", e->token, helo);
	buffer_add(id, "", 1);
}

/* "25 alerts in one mail: 20 state changes, 5 check reports", and then each. */
static void flight_fold(const struct queue_envelope *env, const struct engine_proxy *proxy, struct buffer *subject,
                        struct buffer *body)
{
	char text[ENGINE_NOTE_SIZE];
	size_t i, checks = 0;

	buffer_printf(subject, "%zu alerts for %.150s", env->nalerts, proxy->name);
	buffer_add(subject, "", 1);
	for (i = 0; i < env->nalerts; i++)
		checks += env->alerts[i]->what.kind == ALERT_KIND_CHECK;
	buffer_printf(body, "%zu alerts in one mail: %zu state changes, %zu check reports", env->nalerts,
	              env->nalerts - checks, checks);
	for (i = 0; i < env->nalerts; i++) {
		const struct queue_alert *a = env->alerts[i];
		const char *note = engine_outage_note(a->owner, &a->outage, text);

		buffer_printf(body, "\n%s, %s: ", a->date, a->name);
		buffer_puts(body, a->text);
		if (note)
			buffer_printf(body, ". %s", note);
	}
	buffer_add(body, "", 1);
}

/* What rules and templates made of an alert; <note> has place for ENGINE_NOTE_SIZE bytes. */
static void flight_mail(const struct queue_alert *a, struct message_fields *fields, char *note)
{
	if (!a->body)
		fields->note = engine_outage_note(a->owner, &a->outage, note);
	fields->subject = a->subject;
	fields->body = a->body;
	fields->cc = a->cc;
	fields->headers = a->headers;
	if (a->to)
		fields->to = a->to;
}

void flight_build(const struct engine *e, struct flight *f)
{
	const struct engine_proxy *proxy = flight_route(f)->proxy;
	const struct queue_envelope *env = f->env;
	struct buffer id = { 0 }, thread = { 0 }, body = { 0 }, subject = { 0 };
	char note[ENGINE_NOTE_SIZE];
	struct message_fields fields = {
		.from = proxy->from, .to = proxy->to, .date = env->alerts[env->nalerts - 1]->date, .text = env->alert->text,
		.encode = proxy->subject || proxy->body || env->alert->subject || env->alert->body,
	};

	flight_message_id(e, f, &id);
	engine_outage_thread(e, env, &thread);
	if (env->nalerts > 1) {
		if (proxy->summary.wait_ms)
			flight_summary(env, &subject, &body);
		else
			flight_fold(env, proxy, &subject, &body);
		if (env->alert->to || env->alert->cc)
			fields.to = env->rcpt[0];
	} else {
		flight_mail(env->alert, &fields, note);
	}
	if (buffer_error(&id) || buffer_error(&thread) || buffer_error(&subject) || buffer_error(&body)) {
		f->message.error = MAILERS_ERR_NOMEM;
	} else {
		if (env->nalerts > 1)
			fields.text = subject.data;
		fields.message_id = id.data;
		fields.thread = thread.data;
		if (body.data)
			fields.body = body.data;
		message_build(&fields, &f->message);
	}
	buffer_free(&id);
	buffer_free(&thread);
	buffer_free(&subject);
	buffer_free(&body);
}
