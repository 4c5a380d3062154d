/* Unit tests of batch. Items are letters, a group is the digit behind each: "A1B2" are two. */
#include <mailers/batch.h>

#include "unit.h"

static const struct batch_settings plain = { .wait_ms = 100, .max_wait_ms = 1000 };
static const struct batch_settings first_now = { .wait_ms = 100, .max_wait_ms = 1000, .first_now = true };

static char letters[128];

static enum mailers_error add_sized(struct batch_set *s, const struct batch_settings *settings, const char *key,
                                    const char *item, size_t size, uint64_t now_ms)
{
	const char group[2] = { item[1], '\0' };

	letters[(unsigned char)item[0]] = item[0];
	return batch_set_add(s, settings, key, group, &letters[(unsigned char)item[0]], size, now_ms);
}

static void add(struct batch_set *s, const struct batch_settings *settings, const char *key, const char *items,
                uint64_t now_ms)
{
	for (; *items; items += 2)
		assert_int_equal(add_sized(s, settings, key, items, 1, now_ms), MAILERS_OK);
}

/* The items in their order, and by group: "ABC 1:AC 2:B". */
static const char *shape(const struct batch *b)
{
	static char out[1024];
	char *p = out;
	size_t i, g, n;

	for (i = 0; i < b->nitems; i++)
		*p++ = *(char *)b->items[i].data;
	for (g = 0; g < b->ngroups; g++) {
		p += sprintf(p, " %s:", b->groups[g].name);
		for (i = b->groups[g].first, n = 0; i != BATCH_END; i = b->items[i].next, n++) {
			*p++ = *(char *)b->items[i].data;
			assert_int_equal(b->items[i].group, g);
			assert_true(b->items[i].next != BATCH_END || b->groups[g].last == i);
		}
		assert_int_equal(n, b->groups[g].n);
		assert_ptr_equal(batch_find(b, b->groups[g].name), &b->groups[g]);
	}
	*p = '\0';
	return out;
}

static void takes(struct batch_set *s, const char *key, const char *expected, bool alone, uint64_t now_ms)
{
	struct batch *b = batch_set_take(s, now_ms);

	assert_non_null(b);
	assert_string_equal(b->key, key);
	assert_string_equal(shape(b), expected);
	assert_int_equal(b->alone, alone);
	batch_free(b);
}

static void takes_none(struct batch_set *s, uint64_t now_ms)
{
	assert_null(batch_set_take(s, now_ms));
}

static void ends(struct batch_set *s)
{
	assert_int_equal(batch_set_items(s), 0);
	assert_true(batch_set_deadline(s) == UINT64_MAX);
	batch_set_free(s);
}

static void wait__each_item__begins_it_anew(void **state)
{
	struct batch_set *s = batch_set_new();

	(void)state;
	assert_true(batch_set_deadline(s) == UINT64_MAX);
	takes_none(s, 0);
	add(s, &plain, "k", "A1", 1000);
	assert_int_equal(batch_set_deadline(s), 1100);
	add(s, &plain, "k", "B2", 1099);
	assert_int_equal(batch_set_deadline(s), 1199);
	takes_none(s, 1198);
	assert_int_equal(batch_set_items(s), 2);
	takes(s, "k", "AB 1:A 2:B", false, 1199);
	ends(s);
}

static void max_wait__items_without_end__is_kept(void **state)
{
	struct batch_set *s = batch_set_new();
	uint64_t now;

	(void)state;
	for (now = 5000; now < 6000; now += 50) {
		takes_none(s, now);
		add(s, &plain, "k", "A1", now);
	}
	assert_int_equal(batch_set_deadline(s), 6000);
	add(s, &plain, "k", "B1", 5999);
	add(s, &plain, "k", "C1", 6000); /* the first was due, though nobody took it */
	takes(s, "k", "AAAAAAAAAAAAAAAAAAAAB 1:AAAAAAAAAAAAAAAAAAAAB", false, 6000);
	takes_none(s, 6099);
	takes(s, "k", "C 1:C", false, 6100);
	ends(s);
}

static void keys__have_times_of_their_own__earliest_first(void **state)
{
	struct batch_set *s = batch_set_new();

	(void)state;
	add(s, &plain, "a", "A1", 1000);
	add(s, &plain, "b", "B1", 1010);
	add(s, &plain, "c", "C1", 1020);
	add(s, &plain, "a", "D1", 1030);
	takes(s, "b", "B 1:B", false, 1200);
	takes(s, "c", "C 1:C", false, 1200);
	takes(s, "a", "AD 1:AD", false, 1200);
	ends(s);
}

static void groups__in_order_of_their_first_items(void **state)
{
	struct batch_set *s = batch_set_new();

	(void)state;
	add(s, &plain, "k", "A3B1C3D2E1F3", 1000);
	takes(s, "k", "ABCDEF 3:ACF 1:BE 2:D", false, 1100);
	ends(s);
}

static void bounds__full__is_due_at_once(void **state)
{
	const struct batch_settings items = { 100, 1000, false, 3, 0 }, bytes = { 100, 1000, false, 0, 10 };
	struct batch_set *s = batch_set_new();

	(void)state;
	add(s, &items, "i", "A1B1", 1000);
	takes_none(s, 1000);
	add(s, &items, "i", "C1D1", 1000);
	assert_int_equal(batch_set_deadline(s), 0);
	takes(s, "i", "ABC 1:ABC", false, 1000);
	takes_none(s, 1099);
	takes(s, "i", "D 1:D", false, 1100);

	add_sized(s, &bytes, "b", "A1", 6, 2000);
	add_sized(s, &bytes, "b", "B1", 5, 2000); /* would be 11 */
	takes(s, "b", "A 1:A", false, 2000);
	takes_none(s, 2000);
	add_sized(s, &bytes, "b", "C1", 5, 2000); /* 10 */
	takes(s, "b", "BC 1:BC", false, 2000);
	add_sized(s, &bytes, "b", "D1", 500, 2000);
	takes(s, "b", "D 1:D", false, 2000);
	ends(s);
}

static void first_now__quiet_time__first_is_due_alone(void **state)
{
	struct batch_set *s = batch_set_new();

	(void)state;
	add(s, &first_now, "k", "A1", 1000);
	takes(s, "k", "A 1:A", true, 1000);
	assert_int_equal(batch_set_deadline(s), 1100); /* quiet again */
	add(s, &first_now, "k", "B1", 1099);
	takes_none(s, 1099);
	add(s, &first_now, "k", "C1", 1198);
	takes_none(s, 1297);
	takes(s, "k", "BC 1:BC", false, 1298);
	add(s, &first_now, "k", "D1", 1298); /* none came for 100 ms */
	takes(s, "k", "D 1:D", true, 1298);
	takes_none(s, 1398);
	ends(s);
}

static void first_now__storm_without_a_pause__only_the_first_is_alone(void **state)
{
	struct batch_settings settings = first_now;
	struct batch_set *s = batch_set_new();
	size_t n = 0, alone = 0, items = 0;
	uint64_t now;

	(void)state;
	settings.items = 7;
	for (now = 1000; now < 9000; now += 20) {
		struct batch *b;

		add(s, &settings, "k", "A1", now);
		while ((b = batch_set_take(s, now))) {
			n++;
			alone += b->alone;
			items += b->nitems;
			assert_true(b->alone ? b->nitems == 1 : b->nitems == 7);
			batch_free(b);
		}
	}
	assert_int_equal(alone, 1);
	assert_int_equal(items, 1 + (n - 1) * 7);
	assert_int_equal(n, 1 + 399 / 7);
	assert_int_equal(batch_set_items(s), 399 % 7);
	batch_set_free(s);
}

static void flush__all_are_due_and_quiet(void **state)
{
	struct batch_set *s = batch_set_new();

	(void)state;
	add(s, &plain, "a", "A1B1", 1000);
	add(s, &first_now, "b", "C1D1", 1000);
	batch_set_flush(s);
	assert_int_equal(batch_set_deadline(s), 0);
	add(s, &plain, "a", "E1", 1000);
	takes(s, "b", "C 1:C", true, 1000);
	takes(s, "a", "AB 1:AB", false, 1000);
	takes(s, "b", "D 1:D", false, 1000);
	takes_none(s, 1000);
	add(s, &first_now, "b", "F1", 1001);
	takes(s, "b", "F 1:F", true, 1001);
	batch_set_flush(s);
	takes(s, "a", "E 1:E", false, 1001);
	ends(s);
}

static void keys__too_many__are_refused(void **state)
{
	struct batch_set *s = batch_set_new();
	char key[16];
	int i;

	(void)state;
	for (i = 0; i < BATCH_KEYS_MAX; i++) {
		sprintf(key, "%d", i);
		assert_int_equal(add_sized(s, &plain, key, "A1", 1, 1000), MAILERS_OK);
	}
	assert_int_equal(add_sized(s, &plain, "more", "A1", 1, 1000), MAILERS_ERR_BOUND);
	assert_int_equal(add_sized(s, &plain, "77", "B1", 1, 1000), MAILERS_OK);
	assert_int_equal(batch_set_items(s), BATCH_KEYS_MAX + 1);
	batch_set_free(s); /* with all that was not taken */
	batch_set_free(NULL);
	batch_free(NULL);
}

static bool run_failing(void)
{
	struct batch_settings settings = first_now;
	struct batch_set *s = batch_set_new();
	size_t added = 0, taken = 0, i;
	bool whole = true;
	struct batch *b;

	if (!s)
		return false;
	settings.items = 20;
	for (i = 0; i < 300; i++) {
		char key[2] = { (char)('a' + i % 17), '\0' }, item[3] = { 'A', (char)('0' + i % 40), '\0' };
		enum mailers_error error = add_sized(s, &settings, key, item, 1, 1000 + i * 3);

		assert_true(!error || error == MAILERS_ERR_NOMEM);
		whole &= !error;
		added += !error;
		while (!(i % 50) && (b = batch_set_take(s, 1000 + i * 3))) {
			taken += b->nitems;
			shape(b);
			batch_free(b);
		}
		assert_int_equal(batch_set_items(s), added - taken);
	}
	batch_set_flush(s);
	while ((b = batch_set_take(s, 0))) {
		taken += b->nitems;
		shape(b);
		batch_free(b);
	}
	assert_int_equal(taken, added);
	ends(s);
	return whole;
}

static void memory__each_allocation_fails_once__what_was_added_is_there(void **state)
{
	bool whole;
	long n;

	(void)state;
	for (n = 0; ; n++) {
		unit_fail_at(n);
		whole = run_failing();
		if (!unit_failed())
			break;
		(void)whole; /* a table that could not grow does without */
	}
	assert_true(whole);
	assert_true(n > 100);
}

/* --- beside a model of a few lines --- */

enum { MODEL_ITEMS = 60000, MODEL_KEYS = 9, MODEL_BATCHES = MODEL_ITEMS };

struct model_batch {
	int key, nitems, first;
	uint64_t first_ms, last_ms;
	size_t bytes;
	bool alone, due, taken;
};

static struct {
	uint64_t random;
	struct batch_settings settings[MODEL_KEYS];
	int key[MODEL_ITEMS], batch[MODEL_ITEMS];
	char marks[MODEL_ITEMS];
	int nitems, nbatches;
	struct model_batch batches[MODEL_BATCHES];
	int open[MODEL_KEYS];          /* index of its open batch; -1 without */
	uint64_t last_ms[MODEL_KEYS];  /* of its last item; UINT64_MAX: it is quiet */
} m;

static unsigned any(unsigned below)
{
	m.random = m.random * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (unsigned)(m.random >> 33) % below;
}

static uint64_t model_due(int key)
{
	const struct model_batch *b = &m.batches[m.open[key]];
	uint64_t wait = b->last_ms + m.settings[key].wait_ms, most = b->first_ms + m.settings[key].max_wait_ms;

	return wait < most ? wait : most;
}

static void model_tick(int key, uint64_t now)
{
	if (m.open[key] >= 0 && model_due(key) <= now) {
		m.batches[m.open[key]].due = true;
		m.open[key] = -1;
	}
}

static void model_add(int key, size_t size, uint64_t now)
{
	const struct batch_settings *settings = &m.settings[key];
	bool quiet = m.last_ms[key] == UINT64_MAX || m.last_ms[key] + settings->wait_ms <= now;
	struct model_batch *b;

	model_tick(key, now);
	if (m.open[key] >= 0 && settings->bytes && m.batches[m.open[key]].bytes + size > settings->bytes) {
		m.batches[m.open[key]].due = true;
		m.open[key] = -1;
	}
	if (m.open[key] < 0) {
		m.open[key] = m.nbatches++;
		m.batches[m.open[key]] = (struct model_batch){
			.key = key, .first = m.nitems, .first_ms = now, .alone = settings->first_now && quiet,
		};
	}
	b = &m.batches[m.open[key]];
	m.key[m.nitems] = key;
	m.batch[m.nitems++] = m.open[key];
	b->nitems++;
	b->bytes += size;
	b->last_ms = now;
	m.last_ms[key] = now;
	if (b->alone || (settings->items && (size_t)b->nitems >= settings->items) ||
	    (settings->bytes && b->bytes >= settings->bytes)) {
		b->due = true;
		m.open[key] = -1;
	}
}

/* <b>, just taken, is the oldest of its key that the model has due. */
static void model_check(const struct batch *b, uint64_t now)
{
	int key = b->key[0] - 'a', i, at = (int)((char *)b->items[0].data - m.marks), own = m.batch[at];
	size_t k;

	model_tick(key, now);
	assert_true(m.batches[own].due && !m.batches[own].taken && m.batches[own].key == key);
	for (i = 0; i < own; i++)
		assert_true(m.batches[i].key != key || m.batches[i].taken);
	assert_int_equal(b->nitems, m.batches[own].nitems);
	assert_int_equal(b->bytes, m.batches[own].bytes);
	assert_int_equal(b->alone, m.batches[own].alone);
	for (k = 0, i = m.batches[own].first; k < b->nitems; i++) {
		if (m.batch[i] == own)
			assert_ptr_equal(b->items[k++].data, &m.marks[i]);
	}
	m.batches[own].taken = true;
}

static void model_deadline(const struct batch_set *s, uint64_t now)
{
	uint64_t due = UINT64_MAX, deadline = batch_set_deadline(s);
	int i;

	for (i = 0; i < MODEL_KEYS; i++) {
		if (m.open[i] >= 0 && model_due(i) < due)
			due = model_due(i);
	}
	assert_true(deadline > now && deadline <= due);
	/* Earlier than a batch is due only for a key that is to be forgotten. */
	for (i = 0; deadline != due && i < MODEL_KEYS; i++) {
		if (m.settings[i].first_now && m.last_ms[i] + m.settings[i].wait_ms == deadline)
			due = deadline;
	}
	assert_true(deadline == due);
}

static void random__many_steps__as_the_model_says(void **state)
{
	struct batch_set *s = batch_set_new();
	uint64_t now = 1000;
	struct batch *b;
	int i;

	(void)state;
	memset(&m, 0, sizeof(m));
	m.random = 7;
	for (i = 0; i < MODEL_KEYS; i++) {
		m.settings[i] = (struct batch_settings){
			.wait_ms = 50, .max_wait_ms = 50 + (uint32_t)i * 40, .first_now = i % 2,
			.items = i % 3 ? (size_t)(4 * i) : 0, .bytes = i % 4 ? 300 : 0,
		};
		m.open[i] = -1;
		m.last_ms[i] = UINT64_MAX;
	}
	while (m.nitems < MODEL_ITEMS) {
		char key[2] = "a", group[2] = "0";
		int n = (int)any(MODEL_KEYS);
		size_t size = any(60);

		key[0] = (char)('a' + n);
		group[0] = (char)('0' + any(5));
		assert_int_equal(batch_set_add(s, &m.settings[n], key, group, &m.marks[m.nitems], size, now), MAILERS_OK);
		model_add(n, size, now);
		now += any(4) ? any(8) : any(120);
		if (any(3))
			continue;
		while ((b = batch_set_take(s, now))) {
			model_check(b, now);
			batch_free(b);
		}
		for (i = 0; i < MODEL_KEYS; i++)
			model_tick(i, now);
		for (i = m.nbatches > 200 ? m.nbatches - 200 : 0; i < m.nbatches; i++)
			assert_int_equal(m.batches[i].due, m.batches[i].taken);
		model_deadline(s, now);
	}
	batch_set_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wait__each_item__begins_it_anew),
		cmocka_unit_test(max_wait__items_without_end__is_kept),
		cmocka_unit_test(keys__have_times_of_their_own__earliest_first),
		cmocka_unit_test(groups__in_order_of_their_first_items),
		cmocka_unit_test(bounds__full__is_due_at_once),
		cmocka_unit_test(first_now__quiet_time__first_is_due_alone),
		cmocka_unit_test(first_now__storm_without_a_pause__only_the_first_is_alone),
		cmocka_unit_test(flush__all_are_due_and_quiet),
		cmocka_unit_test(keys__too_many__are_refused),
		cmocka_unit_test(memory__each_allocation_fails_once__what_was_added_is_there),
		cmocka_unit_test(random__many_steps__as_the_model_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
