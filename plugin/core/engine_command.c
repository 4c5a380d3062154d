/*
 * engine_command - what an operator can change while the engine runs: flush, pause, resume.
 *
 * A mailer is known by the ids that proxies have for it; proxies that share it feel the command too.
 */
#include <string.h>

#include "engine_internal.h"

static bool engine_member_is(const struct engine_proxy *p, const struct engine_member *m, const char *name)
{
	size_t len = strlen(p->name);

	return !name || !strcmp(m->name, name) ||
	       (!strncmp(p->name, name, len) && name[len] == '/' && !strcmp(m->name, name + len + 1));
}

static bool engine_command_means(const struct engine *e, const struct mailer *m, const char *name)
{
	const struct engine_proxy *p;
	size_t i;

	for (p = e->proxies; p; p = p->next) {
		for (i = 0; i < p->nmembers; i++) {
			if (p->members[i].mailer == m && engine_member_is(p, &p->members[i], name))
				return true;
		}
	}
	return false;
}

typedef void engine_command_fn(struct mailer *m);

static void engine_suspend(struct mailer *m)
{
	m->suspended = true;
}

static void engine_unsuspend(struct mailer *m)
{
	m->suspended = false;
}

/* Does <command> to all mailers of <name>. */
static size_t engine_command(struct engine *e, const char *what, const char *name, engine_command_fn *command)
{
	struct mailer *m;
	size_t n = 0;

	for (m = e->mailers; m; m = m->next) {
		if (engine_command_means(e, m, name)) {
			command(m);
			n++;
		}
	}
	engine_group_elect(e);
	engine_log(e, ALERT_LEVEL_NOTICE, "mailers: %s by command: %.100s, %zu mailer%s", what, name ? name : "all", n,
	           n == 1 ? "" : "s");
	return n;
}

/* Does <r> lead to a mailer of <name>? */
static bool engine_route_means(const struct engine_route *r, const char *name)
{
	size_t i;

	for (i = 0; i < r->nmembers; i++) {
		if (engine_member_is(r->proxy, &r->members[i], name))
			return true;
	}
	return false;
}

size_t engine_flush(struct engine *e, const char *name, uint64_t now_ms)
{
	struct engine_proxy *p;
	struct engine_route *r;

	(void)now_ms;
	engine_summary_flush(e);
	for (p = e->proxies; p; p = p->next) {
		for (r = p->routes; r; r = r->next) {
			if (engine_route_means(r, name))
				queue_wake(e->queue, r->queue);
		}
	}
	return engine_command(e, "flushed", name, mailer_hurry);
}

size_t engine_pause(struct engine *e, const char *name, uint64_t now_ms)
{
	(void)now_ms;
	return engine_command(e, "paused", name, engine_suspend);
}

size_t engine_resume(struct engine *e, const char *name, uint64_t now_ms)
{
	(void)now_ms;
	return engine_command(e, "resumed", name, engine_unsuspend);
}
