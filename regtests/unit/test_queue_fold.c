/* Unit tests of queue: recipients that are held, and alerts that are folded into one envelope. The letters are
 * alerts: capitals state changes, small letters check reports; the digit behind each is its server.
 */
#include "queue_steps.h"

struct fold_queue {
	struct queue *q;
	struct queue_ring rings[2];
	struct queue_route *r;
};

static void fold_queue_new(struct fold_queue *f, size_t nrcpt, size_t alerts)
{
	struct queue_ring *rings[] = { &f->rings[0], &f->rings[1] };
	struct queue_limits limits = { .alerts = alerts, .bytes = 64u << 20 };

	f->q = queue_new();
	queue_ring_init(rings[0]);
	queue_ring_init(rings[1]);
	f->r = queue_route_new(f->q, rings, 2, NULL, rcpts, nrcpt, &limits);
	assert_non_null(f->r);
}

static void fold_queue_free(struct fold_queue *f)
{
	assert_empty(f->q, &f->rings[0]);
	assert_empty(f->q, &f->rings[1]);
	queue_free(f->q);
}

/* Adds "A1B2…". */
static size_t adds(struct fold_queue *f, const char *alerts)
{
	size_t dropped = 0;

	for (; *alerts; alerts += 2) {
		char text[2] = { *alerts, '\0' };
		bool check = *alerts >= 'a';

		add_kind(f->q, f->r, (uint64_t)alerts[1], text, check ? ALERT_KIND_CHECK : ALERT_KIND_STATE,
		         &dropped);
	}
	return dropped;
}

static void assert_alerts(const struct queue_envelope *env, const char *texts)
{
	char got[64] = "";
	size_t i;

	for (i = 0; i < env->nalerts; i++)
		strcat(got, env->alerts[i]->text);
	assert_string_equal(got, texts);
	assert_ptr_equal(env->alert, env->alerts[0]);
}

/* Takes the next envelope and folds it for its first recipient. */
static struct queue_envelope *fold(struct fold_queue *f, size_t most_alerts, size_t most_bytes,
                                   const char *texts)
{
	struct queue_envelope *env = queue_take(f->q, &f->rings[0]);

	assert_non_null(env);
	assert_int_equal(queue_fold(f->q, env, 0, most_alerts, most_bytes), MAILERS_OK);
	assert_int_equal(env->nrcpt, 1);
	assert_alerts(env, texts);
	return env;
}

static void hold__middle_then_others__move_up(void **state)
{
	struct fold_queue f;
	struct queue_envelope *env;
	struct queue_route_stats stats;

	(void)state;
	fold_queue_new(&f, 3, 100);
	adds(&f, "A1B1");
	env = take(f.q, &f.rings[0], "A", 0, 3);
	env->verdicts[2].outcome = QUEUE_DONE;
	assert_true(queue_hold(f.q, env, 1, 70));
	assert_int_equal(env->nrcpt, 2);
	assert_string_equal(env->rcpt[0], rcpts[0]);
	assert_string_equal(env->rcpt[1], rcpts[2]);
	assert_int_equal(env->verdicts[0].outcome, QUEUE_RETRY);
	assert_int_equal(env->verdicts[1].outcome, QUEUE_DONE); /* it moved with its recipient */
	assert_true(queue_hold(f.q, env, 0, 60));
	assert_string_equal(env->rcpt[0], rcpts[2]);
	queue_route_stats(f.r, &stats);
	assert_int_equal(stats.in_flight, 1);
	assert_int_equal(queue_deadline(f.q), 60);
	assert_null(queue_take(f.q, &f.rings[0]));
	assert_false(queue_hold(f.q, env, 0, 65));
	queue_route_stats(f.r, &stats);
	assert_int_equal(stats.in_flight, 0);
	assert_int_equal(stats.alerts, 2);
	queue_tick(f.q, 65);
	env = queue_take(f.q, &f.rings[0]);
	assert_int_equal(env->nrcpt, 2); /* a and c */
	assert_int_equal(env->attempts[0] + env->attempts[1], 0);
	settle(f.q, env, QUEUE_DONE, 0);
	queue_tick(f.q, 70);
	env = queue_take(f.q, &f.rings[0]);
	assert_alerts(env, "B");
	assert_int_equal(env->nrcpt, 2);
	settle(f.q, env, QUEUE_DONE, 0);
	deliver(f.q, &f.rings[0], "A", 1, 1);
	deliver(f.q, &f.rings[0], "B", 1, 1);
	fold_queue_free(&f);
}

static void hold__one_of_several__leaves_each_its_tries(void **state)
{
	struct fold_queue f;
	struct queue_envelope *env;

	(void)state;
	fold_queue_new(&f, 3, 100);
	adds(&f, "A1");
	env = take(f.q, &f.rings[0], "A", 0, 3);
	env->verdicts[2] = (struct queue_verdict){ .outcome = QUEUE_DEFERRED, .until_ms = 10 };
	queue_settle(f.q, env);
	queue_tick(f.q, 10);
	env = take(f.q, &f.rings[0], "A", 0, 3);
	assert_int_equal(env->attempts[2], 1);
	assert_true(queue_hold(f.q, env, 0, 20));
	assert_int_equal(env->attempts[0], 0);
	assert_int_equal(env->attempts[1], 1);
	settle(f.q, env, QUEUE_DONE, 0);
	queue_tick(f.q, 20);
	deliver(f.q, &f.rings[0], "A", 0, 1);
	fold_queue_free(&f);
}

static void hold__fold__waits_whole(void **state)
{
	struct fold_queue f;
	struct queue_envelope *env;

	(void)state;
	fold_queue_new(&f, 1, 100);
	adds(&f, "A1B2C1");
	env = fold(&f, 10, 1000, "ABC");
	assert_false(queue_hold(f.q, env, 0, 500));
	assert_int_equal(f.rings[0].ready, 0);
	queue_tick(f.q, 500);
	assert_int_equal(f.rings[0].ready, 2);
	assert_holds(f.q, &f.rings[0], "ABC");
	fold_queue_free(&f);
}

static void held__verdict__counts_no_try(void **state)
{
	struct fold_queue f;
	struct queue_envelope *env;

	(void)state;
	fold_queue_new(&f, 1, 100);
	adds(&f, "A1");
	settle(f.q, take(f.q, &f.rings[0], "A", 0, 1), QUEUE_DEFERRED, 10);
	queue_tick(f.q, 10);
	settle(f.q, take(f.q, &f.rings[0], "A", 0, 1), QUEUE_HELD, 20);
	assert_null(queue_take(f.q, &f.rings[0]));
	assert_int_equal(queue_deadline(f.q), 20);
	queue_tick(f.q, 20);
	env = take(f.q, &f.rings[0], "A", 0, 1);
	assert_int_equal(env->attempts[0], 1);
	settle(f.q, env, QUEUE_DONE, 0);
	fold_queue_free(&f);
}

static void fold__table__takes_the_oldest_within_its_bounds(void **state)
{
	static const struct {
		const char *alerts, *fold, *rest;
		size_t most_alerts, most_bytes;
	} table[] = {
		{ "A1", "A", "", 10, 1000 },
		{ "A1B1C1", "ABC", "", 10, 1000 },     /* one lane */
		{ "A1B2C3", "ABC", "", 10, 1000 },     /* one of each */
		{ "A1b2C1d2", "AbCd", "", 10, 1000 },  /* the kinds in the order of raising */
		{ "a1b2C1d2", "abCd", "", 10, 1000 },
		{ "A1B2C1D2", "ABC", "D", 3, 1000 },
		{ "A1B2C1D2", "ABC", "D", 10, 3 },
		{ "A1B2C1D2", "A", "BCD", 1, 1000 },
		{ "A1B2C1D2", "A", "BCD", 0, 1000 },   /* what was taken stays, whatever the bounds */
		{ "A1B2C1D2", "A", "BCD", 10, 0 },
		{ "A1B2C1D2", "ABCD", "", SIZE_MAX, SIZE_MAX },
	};
	static const enum queue_outcome outcomes[] = { QUEUE_DONE, QUEUE_RETRY, QUEUE_DEFERRED, QUEUE_HELD };
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(*table); i++) {
		for (k = 0; k < sizeof(outcomes) / sizeof(*outcomes); k++) {
			struct fold_queue f;
			struct queue_envelope *env;
			struct queue_route_stats stats;

			fold_queue_new(&f, 1, 100);
			adds(&f, table[i].alerts);
			env = fold(&f, table[i].most_alerts, table[i].most_bytes, table[i].fold);
			queue_route_stats(f.r, &stats);
			assert_int_equal(stats.in_flight, strlen(table[i].fold));
			assert_int_equal(stats.alerts, strlen(table[i].alerts) / 2);
			settle(f.q, env, outcomes[k], 100);
			queue_tick(f.q, 100);
			queue_route_stats(f.r, &stats);
			assert_int_equal(stats.in_flight, 0);
			if (outcomes[k] != QUEUE_DONE) { /* whole again, and in order */
				env = queue_take(f.q, &f.rings[0]);
				assert_int_equal(queue_fold(f.q, env, 0, SIZE_MAX, SIZE_MAX), MAILERS_OK);
				assert_int_equal(env->attempts[0], outcomes[k] == QUEUE_DEFERRED);
				assert_int_equal(env->nalerts, strlen(table[i].alerts) / 2);
				settle(f.q, env, QUEUE_DONE, 0);
			} else {
				assert_holds(f.q, &f.rings[0], table[i].rest);
			}
			fold_queue_free(&f);
		}
	}
}

static void fold__older_alerts_behind_a_limit__are_in_it(void **state)
{
	struct fold_queue f;

	(void)state;
	fold_queue_new(&f, 1, 100);
	adds(&f, "A1B2C2");
	settle(f.q, take(f.q, &f.rings[0], "A", 0, 1), QUEUE_HELD, 1000);
	settle(f.q, fold(&f, 10, 1000, "ABC"), QUEUE_DONE, 0); /* "B" was taken, "A" is older */
	fold_queue_free(&f);

	fold_queue_new(&f, 1, 100);
	adds(&f, "A1B2C3");
	settle(f.q, take(f.q, &f.rings[0], "A", 0, 1), QUEUE_HELD, 1000);
	settle(f.q, take(f.q, &f.rings[0], "B", 0, 1), QUEUE_HELD, 1000);
	settle(f.q, fold(&f, 2, 1000, "AC"), QUEUE_DONE, 0); /* the bound leaves a place for what was taken */
	queue_tick(f.q, 1000);
	assert_holds(f.q, &f.rings[0], "B");
	fold_queue_free(&f);
}

static void fold__others_lanes__give_what_they_can(void **state)
{
	struct fold_queue f;
	struct queue_envelope *flying, *env;

	(void)state;
	fold_queue_new(&f, 1, 100);
	adds(&f, "A1B1C2D3E2F4G3H4");
	flying = take(f.q, &f.rings[0], "A", 0, 1);                              /* 1 is in flight */
	settle(f.q, take(f.q, &f.rings[0], "C", 0, 1), QUEUE_DEFERRED, 1000);    /* 2 has its own pause */
	env = take(f.q, &f.rings[0], "D", 0, 1);                                 /* 3 is another mailer's */
	env->verdicts[0].pin = 1;
	queue_settle(f.q, env);
	settle(f.q, fold(&f, 10, 1000, "FH"), QUEUE_DONE, 0);
	settle(f.q, flying, QUEUE_RETRY, 0);
	settle(f.q, fold(&f, 10, 1000, "AB"), QUEUE_DONE, 0);
	assert_null(queue_take(f.q, &f.rings[0]));
	env = take(f.q, &f.rings[1], "D", 0, 1);
	assert_int_equal(queue_fold(f.q, env, 0, 10, 1000), MAILERS_OK);
	assert_alerts(env, "D"); /* "G" behind it is no one's yet */
	settle(f.q, env, QUEUE_DONE, 0);
	queue_wake(f.q, f.r);
	assert_holds(f.q, &f.rings[0], "GCE");
	fold_queue_free(&f);
}

static void fold__pinned__pins_all_of_it(void **state)
{
	struct fold_queue f;
	struct queue_envelope *env;

	(void)state;
	fold_queue_new(&f, 1, 100);
	adds(&f, "A1B1C2");
	env = fold(&f, 10, 1000, "ABC");
	adds(&f, "D1");
	env->verdicts[0] = (struct queue_verdict){ .outcome = QUEUE_DEFERRED, .until_ms = 9, .pin = 1 };
	queue_settle(f.q, env);
	queue_wake(f.q, f.r);
	assert_null(queue_take(f.q, &f.rings[0]));
	env = take(f.q, &f.rings[1], "A", 0, 1);
	assert_int_equal(queue_fold(f.q, env, 0, 10, 1000), MAILERS_OK);
	assert_alerts(env, "ABC");
	settle(f.q, env, QUEUE_DONE, 0);
	deliver(f.q, &f.rings[0], "D", 0, 1);
	fold_queue_free(&f);
}

/* Put back, the oldest lane is the first again; done, the lanes go on in the order of their alerts. */
static void fold__settled__leaves_the_lanes_in_order(void **state)
{
	struct fold_queue f;

	(void)state;
	fold_queue_new(&f, 1, 100);
	adds(&f, "A1B2C3D1E4");
	settle(f.q, fold(&f, 3, 1000, "ABC"), QUEUE_RETRY, 0);
	deliver(f.q, &f.rings[0], "A", 0, 1);
	adds(&f, "F2G3H1");
	settle(f.q, fold(&f, 3, 1000, "BCD"), QUEUE_DONE, 0);
	assert_holds(f.q, &f.rings[0], "EFGH");
	fold_queue_free(&f);
}

static void fold__tries__are_each_alerts_own(void **state)
{
	struct fold_queue f;
	struct queue_envelope *env;

	(void)state;
	fold_queue_new(&f, 1, 100);
	adds(&f, "A1B2");
	settle(f.q, take(f.q, &f.rings[0], "A", 0, 1), QUEUE_DEFERRED, 5);
	settle(f.q, take(f.q, &f.rings[0], "B", 0, 1), QUEUE_HELD, 5);
	queue_tick(f.q, 5);
	env = fold(&f, 10, 1000, "AB");
	assert_int_equal(env->attempts[0], 1);
	settle(f.q, env, QUEUE_DEFERRED, 6);
	queue_tick(f.q, 6);
	env = take(f.q, &f.rings[0], "A", 0, 1);
	assert_int_equal(env->attempts[0], 2);
	settle(f.q, env, QUEUE_DONE, 0);
	env = take(f.q, &f.rings[0], "B", 0, 1);
	assert_int_equal(env->attempts[0], 1);
	settle(f.q, env, QUEUE_DONE, 0);
	fold_queue_free(&f);
}

static void fold__one_of_several_recipients__gives_the_others_back(void **state)
{
	struct fold_queue f;
	struct queue_envelope *env, *others;
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		fold_queue_new(&f, 3, 100);
		adds(&f, "A1B2");
		env = take(f.q, &f.rings[0], "A", 0, 3);
		env->verdicts[i].until_ms = 77;
		assert_int_equal(queue_fold(f.q, env, 3, 10, 1000), MAILERS_ERR_STATE);
		assert_int_equal(queue_fold(f.q, env, i, 10, 1000), MAILERS_OK);
		assert_int_equal(env->nrcpt, 1);
		assert_string_equal(env->rcpt[0], rcpts[i]);
		assert_int_equal(env->verdicts[0].until_ms, 77);
		assert_alerts(env, "AB");
		assert_int_equal(queue_fold(f.q, env, 0, 10, 1000), MAILERS_ERR_STATE);
		assert_int_equal(f.rings[0].ready, 4);
		others = queue_take(f.q, &f.rings[0]); /* first again */
		assert_alerts(others, "A");
		assert_int_equal(others->nrcpt, 2);
		settle(f.q, env, QUEUE_DONE, 0);
		settle(f.q, others, QUEUE_DONE, 0);
		env = queue_take(f.q, &f.rings[0]);
		assert_alerts(env, "B");
		assert_int_equal(env->nrcpt, 2);
		settle(f.q, env, QUEUE_DONE, 0);
		fold_queue_free(&f);
	}
}

static void fold__route_over_its_bound__drops_nothing_in_flight(void **state)
{
	struct fold_queue f;
	struct queue_envelope *env;

	(void)state;
	fold_queue_new(&f, 2, 4);
	adds(&f, "A1b1C2");
	env = fold(&f, 10, 1000, "AbC");
	assert_int_equal(adds(&f, "D1E1"), 1); /* "D" makes room: all others fly, if for one recipient only */
	assert_int_equal(adds(&f, "f2"), 1);   /* a report, itself */
	settle(f.q, env, QUEUE_DONE, 0);
	assert_int_equal(queue_alerts(f.q), 4);
	assert_int_equal(adds(&f, "F3"), 1);   /* "b" is the report, and still waits for the other recipient */
	assert_holds(f.q, &f.rings[0], "ACEF");
	fold_queue_free(&f);
}

static void bound__thousands_in_flight_come_back__drops_the_oldest_again(void **state)
{
	enum { N = 3000 };
	struct fold_queue f;
	struct queue_envelope *env;
	size_t i, dropped = 0;

	(void)state;
	fold_queue_new(&f, 1, N + 1);
	for (i = 0; i < N; i++)
		add(f.q, f.r, i, "A");
	env = queue_take(f.q, &f.rings[0]);
	assert_int_equal(queue_fold(f.q, env, 0, N, SIZE_MAX), MAILERS_OK);
	assert_int_equal(env->nalerts, N);
	for (i = 0; i < N; i++)
		add_kind(f.q, f.r, 1, "B", ALERT_KIND_STATE, &dropped);
	assert_int_equal(dropped, N - 1);
	settle(f.q, env, QUEUE_RETRY, 0);
	for (i = 0; i < N - 1; i++)
		add_kind(f.q, f.r, 1, "C", ALERT_KIND_STATE, &dropped);
	assert_int_equal(dropped, 2 * (N - 1));
	deliver(f.q, &f.rings[0], "B", 0, 1); /* its lane keeps the turn of the "A" before it */
	deliver(f.q, &f.rings[0], "A", 0, 1); /* the newest of the fold */
	for (i = 0; i < N - 1; i++)
		deliver(f.q, &f.rings[0], "C", 0, 1);
	fold_queue_free(&f);
}

/* A fold that fails changes nothing; one that succeeds has all. */
static void fold__allocation_fails__changes_nothing(void **state)
{
	enum { N = 100 };
	long n;

	(void)state;
	for (n = 0; ; n++) {
		struct fold_queue f;
		struct queue_envelope *env;
		struct queue_route_stats stats;
		enum mailers_error error;
		bool failed;
		size_t i;

		fold_queue_new(&f, 2, 1000);
		for (i = 0; i < N; i++)
			add(f.q, f.r, i % 7, "x");
		env = take(f.q, &f.rings[0], "x", 0, 2);
		unit_fail_at(n);
		error = queue_fold(f.q, env, 1, SIZE_MAX, SIZE_MAX);
		failed = unit_failed();
		assert_int_equal(error, failed ? MAILERS_ERR_NOMEM : MAILERS_OK);
		assert_int_equal(env->nrcpt, failed ? 2 : 1);
		assert_int_equal(env->nalerts, failed ? 1 : N);
		queue_route_stats(f.r, &stats);
		assert_int_equal(stats.in_flight, failed ? 2 : N);
		assert_int_equal(f.rings[0].ready, failed ? 12 : 7);
		settle(f.q, env, QUEUE_DONE, 0);
		while ((env = queue_take(f.q, &f.rings[0]))) {
			assert_int_equal(env->nrcpt, failed ? 2 : 1);
			settle(f.q, env, QUEUE_DONE, 0);
		}
		fold_queue_free(&f);
		if (!failed)
			break;
	}
	assert_true(n >= 4);
}

/* Adds "A1", held and of <batch>; the caller's reference. */
static struct queue_alert *add_held(struct fold_queue *f, const char *alert, uint64_t batch)
{
	struct alert_text what = { .level = ALERT_LEVEL_ALERT };
	struct queue_alert *a = queue_alert_new(f->q, (uint64_t)alert[1], "be/s", &what, alert, 1, "date", 1000);
	size_t dropped = 0;

	a->batch = batch;
	a->held = true;
	assert_int_equal(queue_add(f->q, f->r, a, &dropped), MAILERS_OK);
	return a;
}

static void unhold(struct fold_queue *f, struct queue_alert *a)
{
	queue_unhold(f->q, f->r, a);
	queue_alert_release(a);
}

static void held__until_unhold__keeps_its_lane_and_no_other(void **state)
{
	struct queue_alert *b, *c;
	struct fold_queue f;

	(void)state;
	fold_queue_new(&f, 2, 100);
	adds(&f, "A1");
	b = add_held(&f, "B1", 0);
	c = add_held(&f, "C2", 0);
	adds(&f, "D2E3");
	deliver(f.q, &f.rings[0], "A", 0, 2);
	deliver(f.q, &f.rings[0], "E", 0, 2);
	assert_null(queue_take(f.q, &f.rings[0]));
	queue_tick(f.q, 1u << 30);
	assert_true(queue_deadline(f.q) == UINT64_MAX);
	assert_null(queue_take(f.q, &f.rings[0]));
	unhold(&f, c);
	deliver(f.q, &f.rings[0], "C", 0, 2);
	deliver(f.q, &f.rings[0], "D", 0, 2);
	unhold(&f, b);
	deliver(f.q, &f.rings[0], "B", 0, 2);
	fold_queue_free(&f);
}

static void held__left_the_queue__unhold_does_nothing(void **state)
{
	struct queue_alert *a;
	struct fold_queue f;

	(void)state;
	fold_queue_new(&f, 1, 100);
	a = add_held(&f, "A1", 7);
	settle(f.q, queue_take_expired(f.q, f.r, UINT64_MAX), QUEUE_DONE, 0);
	adds(&f, "B1");
	unhold(&f, a);
	deliver(f.q, &f.rings[0], "B", 0, 1);
	fold_queue_free(&f);
}

static void batch__fold__takes_those_of_its_own_that_are_not_held(void **state)
{
	struct queue_alert *a[6];
	struct fold_queue f;

	(void)state;
	fold_queue_new(&f, 1, 100);
	a[0] = add_held(&f, "A1", 7);
	a[1] = add_held(&f, "B2", 8);
	a[2] = add_held(&f, "C1", 7);
	a[3] = add_held(&f, "D3", 7);
	a[4] = add_held(&f, "E3", 8);
	a[5] = add_held(&f, "F3", 7);
	unhold(&f, a[0]);
	unhold(&f, a[1]);
	unhold(&f, a[3]);
	unhold(&f, a[4]);
	unhold(&f, a[5]);
	adds(&f, "G4");
	settle(f.q, fold(&f, 100, 100, "AD"), QUEUE_DONE, 0); /* F behind E, in its order */
	settle(f.q, fold(&f, 100, 100, "BE"), QUEUE_DONE, 0);
	settle(f.q, fold(&f, 100, 100, "FG"), QUEUE_DONE, 0); /* of no batch: whatever is ready */
	unhold(&f, a[2]);
	deliver(f.q, &f.rings[0], "C", 0, 1);
	fold_queue_free(&f);
}

/* Routes whose recipients stand in another order, or are others. */
static void joined__batch__is_folded_over_routes_in_order_of_adding(void **state)
{
	static const char *const turned[] = { "b@example.com", "a@example.com" }, *const other[] = { "c@example.com" };
	struct queue_limits limits = { .alerts = 100, .bytes = 1u << 20 };
	struct queue_route *own, *joined, *foreign, *alone;
	struct queue_alert *a[8];
	struct queue_envelope *env;
	struct queue_ring *rings[2];
	struct fold_queue f;
	size_t i;

	(void)state;
	fold_queue_new(&f, 2, 100);
	rings[0] = &f.rings[0];
	rings[1] = &f.rings[1];
	own = f.r;
	joined = queue_route_new(f.q, rings, 2, NULL, turned, 2, &limits);
	foreign = queue_route_new(f.q, rings, 2, NULL, other, 1, &limits);
	alone = queue_route_new(f.q, rings, 2, NULL, rcpts, 2, &limits);
	queue_route_join(joined, own);
	queue_route_join(foreign, own);
	for (i = 0; i < 8; i++) {
		static const char texts[][3] = { "A1", "B2", "C1", "D3", "E4", "F2", "G5", "H6" };

		f.r = i == 4 ? foreign : i == 5 ? alone : i % 2 ? joined : own;
		a[i] = add_held(&f, texts[i], i == 7 ? 8 : 7);
	}
	for (i = 0; i < 8; i++) {
		f.r = i == 4 ? foreign : i == 5 ? alone : i % 2 ? joined : own;
		unhold(&f, a[i]);
	}
	env = fold(&f, 100, 100, "ABCDG");
	assert_string_equal(env->rcpt[0], "a@example.com");
	assert_ptr_equal(env->route, own);
	for (i = 0; i < 5; i++)
		assert_ptr_equal(queue_envelope_route(env, i), i == 1 || i == 3 ? joined : own);
	settle(f.q, env, QUEUE_DEFERRED, 5000);
	env = fold(&f, 100, 100, "ABCDG");
	assert_string_equal(env->rcpt[0], "b@example.com");
	settle(f.q, env, QUEUE_DONE, 0);
	queue_route_free(f.q, joined);
	queue_tick(f.q, 5000);
	while ((env = queue_take(f.q, &f.rings[0])))
		settle(f.q, env, QUEUE_DONE, 0);
	fold_queue_free(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hold__middle_then_others__move_up),
		cmocka_unit_test(hold__one_of_several__leaves_each_its_tries),
		cmocka_unit_test(hold__fold__waits_whole),
		cmocka_unit_test(held__verdict__counts_no_try),
		cmocka_unit_test(fold__table__takes_the_oldest_within_its_bounds),
		cmocka_unit_test(fold__older_alerts_behind_a_limit__are_in_it),
		cmocka_unit_test(fold__others_lanes__give_what_they_can),
		cmocka_unit_test(fold__pinned__pins_all_of_it),
		cmocka_unit_test(fold__settled__leaves_the_lanes_in_order),
		cmocka_unit_test(fold__tries__are_each_alerts_own),
		cmocka_unit_test(fold__one_of_several_recipients__gives_the_others_back),
		cmocka_unit_test(fold__route_over_its_bound__drops_nothing_in_flight),
		cmocka_unit_test(bound__thousands_in_flight_come_back__drops_the_oldest_again),
		cmocka_unit_test(fold__allocation_fails__changes_nothing),
		cmocka_unit_test(held__until_unhold__keeps_its_lane_and_no_other),
		cmocka_unit_test(held__left_the_queue__unhold_does_nothing),
		cmocka_unit_test(batch__fold__takes_those_of_its_own_that_are_not_held),
		cmocka_unit_test(joined__batch__is_folded_over_routes_in_order_of_adding),
	};

	return cmocka_run_group_tests_name("queue fold", tests, NULL, NULL);
}
