#!/bin/bash
# The test driver itself: a tree of small false tests shows that it counts what passed and misses nothing that failed.
# once
. "$(dirname "$0")/../../lib/test.sh"
DRIVER=$(cd "$(dirname "$0")/../.." && pwd)/run

# A tree with the driver, a HAProxy that only has a version, and a Makefile that only copies.
tree_make() {
	mkdir -p "$TMPDIR/tree/regtests/unit"
	cd "$TMPDIR/tree"
	cp "$DRIVER" regtests/run
	printf 'all tools:\n\t@:\nbuild/unit/%%: regtests/unit/%%.c\n\t@mkdir -p build/unit; cp $< $@; chmod +x $@\n' \
		> Makefile
	printf '#!/bin/sh\necho "HAProxy version 9.9.1-x"; echo "Built with Lua version : Lua 5.3.6"\n' > haproxy
	chmod +x haproxy
}

# test_make <path>: a false test from standard input
test_make() {
	mkdir -p "regtests/$(dirname "$1")"
	cat > "regtests/$1"
	chmod +x "regtests/$1"
}

# drive <status> <last line> <argument>...
drive() {
	local status=0

	# The driver under test is another one: it must not take this one's settings.
	env -u T -u MAKEFLAGS HAPROXY_PROGRAM=haproxy TMPDIR="$TMPDIR" "${@:3}" > "$TMPDIR/out" 2>&1 || status=$?
	equal "$2" "$(tail -n 1 "$TMPDIR/out")" 'last line'
	equal "$1" $status status
}

driver__scripts__are_counted_as_they_say() {
	tree_make
	test_make haproxy/good/run.sh <<< $'#!/bin/sh\n# once\necho 2 passed, 0 failed'
	drive 0 '2 passed, 0 failed' regtests/run vtc
	grep -q '^  ok .* haproxy/good/run.sh \[9.9.1, Lua 5.3\] ' "$TMPDIR/out"
	test_make haproxy/skips/run.sh <<< $'#!/bin/sh\necho 0 passed, 0 failed, 2 skipped'
	drive 0 '2 passed, 0 failed, 2 skipped' regtests/run vtc
	test_make other/bad/run.sh <<< $'#!/bin/sh\necho the reason; echo 1 passed, 1 failed; exit 1'
	drive 1 '3 passed, 1 failed, 2 skipped' regtests/run vtc
	grep -q '| the reason' "$TMPDIR/out"
	test_make haproxy/silent/run.sh <<< $'#!/bin/sh\nexit 0'
	drive 1 '3 passed, 2 failed, 2 skipped' regtests/run vtc
	test_make haproxy/liar/run.sh <<< $'#!/bin/sh\necho 1 passed, 0 failed; exit 1'
	drive 1 '4 passed, 3 failed, 2 skipped' regtests/run vtc
	drive 1 '1 passed, 1 failed' T=liar regtests/run vtc
}

driver__a_test_that_hangs__is_ended_with_what_it_started() {
	tree_make
	test_make haproxy/hangs/run.sh <<-END
		#!/bin/bash
		# timeout 1
		exec 9> $TMPDIR/lock
		flock 9
		sleep 600 &
		exec 9>&-
		wait
	END
	drive 1 '0 passed, 1 failed' regtests/run vtc
	grep -q 'killed after 1 s' "$TMPDIR/out"
	# The sleep holds the lock as long as it lives.
	flock -w 20 "$TMPDIR/lock" true
}

driver__what_a_test_left_running__is_ended() {
	tree_make
	test_make haproxy/leaves/run.sh <<-END
		#!/bin/bash
		exec 9> $TMPDIR/lock
		flock 9
		sleep 600 &
		echo 1 passed, 0 failed
	END
	drive 0 '1 passed, 0 failed' regtests/run vtc
	flock -w 20 "$TMPDIR/lock" true
}

driver__unit_tests__are_counted_one_by_one() {
	tree_make
	test_make unit/test_good.c <<-'END'
		#!/bin/sh
		echo '[==========] good: Running 2 test(s).'
		printf '[ RUN      ] %s\n[       OK ] %s\n' a a b b
		echo '[  PASSED  ] 2 test(s).'
	END
	drive 0 '2 passed, 0 failed' regtests/run unit
	test_make unit/test_bad.c <<-'END'
		#!/bin/sh
		echo '[==========] bad: Running 2 test(s).'
		printf '[ RUN      ] a\n[       OK ] a\n[ RUN      ] b\n[  ERROR   ] --- 1 != 2\n[  FAILED  ] b\n'
		printf '[  PASSED  ] 1 test(s).\n[  FAILED  ] bad: 1 test(s), listed below:\n[  FAILED  ] b\n'
		exit 1
	END
	drive 1 '3 passed, 1 failed' regtests/run unit
	test_make unit/test_crash.c <<-'END'
		#!/bin/sh
		echo '[==========] crash: Running 5 test(s).'
		printf '[ RUN      ] a\n[       OK ] a\n[ RUN      ] b\n'
		kill -SEGV $$
	END
	drive 1 '1 passed, 4 failed' T=crash regtests/run unit
	test_make unit/test_empty.c <<< $'#!/bin/sh\nexit 0'
	drive 1 '0 passed, 1 failed' T=empty regtests/run unit
}

driver__what_does_not_build__has_failed() {
	tree_make
	test_make unit/test_x.c <<< $'#!/bin/sh\necho "[==========] x: Running 1 test(s)."; echo "[       OK ] a"'
	drive 0 '1 passed, 0 failed' regtests/run unit
	printf 'build/unit/%%: regtests/unit/%%.c Makefile\n\t@echo no such thing; false\n' > Makefile
	drive 1 '0 passed, 1 failed' regtests/run unit
	grep -q '| no such thing' "$TMPDIR/out"
}

driver__nothing_to_do__is_a_failure() {
	tree_make
	drive 1 '0 passed, 0 failed' regtests/run vtc
	drive 1 '0 passed, 1 failed' HAPROXY_PROGRAM=/bin/true regtests/run vtc
	drive 2 'run: no such stage: frob' regtests/run frob
}

tests_run
