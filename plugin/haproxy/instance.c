/*
 * instance - see instance.h. The only mutable static of the module beside the settings (config.c) stands here.
 */
#include <pthread.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

#include "instance.h"

#define INSTANCE_DRAIN_MS 30000

static struct {
	pthread_mutex_t mutex;
	struct engine *engine;
	struct instance_options options;
	struct instance_test tests[INSTANCE_TESTS];
	uint64_t ticked_ms;
	uint64_t drained_ms; /* 0: HAProxy does not stop */
	uint64_t last_key;
	bool claimed;
	bool rung;
	bool called;
} instance = { .mutex = PTHREAD_MUTEX_INITIALIZER, .options.drain_ms = INSTANCE_DRAIN_MS };

bool instance_claim(void)
{
	bool first;

	pthread_mutex_lock(&instance.mutex);
	first = !instance.claimed;
	instance.claimed = true;
	pthread_mutex_unlock(&instance.mutex);
	return first;
}

bool instance_start(void)
{
	struct engine_settings settings = { 0 };
	unsigned char random[10];
	char token[2 * sizeof(random) + 1];
	struct engine *engine;
	size_t i;

	tzset();
	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return false;
	for (i = 0; i < sizeof(random); i++)
		snprintf(token + 2 * i, 3, "%02x", random[i]);
	settings.token = token;
	engine = engine_new(&settings);
	if (!engine)
		return false;
	pthread_mutex_lock(&instance.mutex);
	instance.engine = engine;
	pthread_mutex_unlock(&instance.mutex);
	return true;
}

struct engine *instance_lock(void)
{
	pthread_mutex_lock(&instance.mutex);
	return instance.engine;
}

void instance_unlock(void)
{
	pthread_mutex_unlock(&instance.mutex);
}

bool instance_ring(void)
{
	bool first = !instance.rung;

	instance.rung = true;
	return first;
}

void instance_rung(void)
{
	instance.rung = false;
}

void instance_ticked(uint64_t now_ms)
{
	instance.ticked_ms = now_ms;
}

bool instance_stalled(uint64_t now_ms, uint64_t limit_ms)
{
	/* <now_ms> may be from before the lock, and another thread's tick after it. */
	return instance.engine && engine_busy(instance.engine) && now_ms > instance.ticked_ms + limit_ms;
}

bool instance_has_ticked(void)
{
	return instance.ticked_ms != 0;
}

struct instance_options *instance_options(void)
{
	return &instance.options;
}

void instance_drain(uint64_t now_ms, uint32_t ms)
{
	instance.drained_ms = now_ms + ms;
	engine_drain(instance.engine, instance.drained_ms, now_ms);
}

bool instance_drained(uint64_t now_ms)
{
	return instance.drained_ms && now_ms >= instance.drained_ms;
}

struct instance_test *instance_tests(void)
{
	return instance.tests;
}

void instance_call(void)
{
	instance.called = true;
}

bool instance_called(void)
{
	bool called = instance.called;

	instance.called = false;
	return called;
}

uint64_t instance_key(void)
{
	return ++instance.last_key;
}

uint64_t instance_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}
