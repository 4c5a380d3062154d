#!/bin/bash
# The .vtc files beside this one, 20 times each: what is decided by the order of threads and tasks shows in some runs only.
set -u

RUNS=${RUNS:-20}
RUN_S=60
here=$(cd "$(dirname "$0")" && pwd)
: "${HAPROXY_PROGRAM:?names the HAProxy to test}"
: "${MAILERS_LUA:=$(cd "$here/../../.." && pwd)/lua/mailers.lua}"
export HAPROXY_PROGRAM
log=$(mktemp "${TMPDIR:-/tmp}/legacy.XXXXXX") || exit 1
trap 'rm -f "$log"' EXIT

vtest=$(command -v vtest || command -v varnishtest) || echo "neither vtest nor varnishtest is installed"
passed=0 failed=0
for file in "$here"/*.vtc; do
	for ((run = 1; run <= RUNS; run++)); do
		if "${vtest:-false}" -v -t $RUN_S -D "mailers_lua=$MAILERS_LUA" "$file" > "$log" 2>&1; then
			passed=$((passed + 1))
		else
			failed=$((failed + 1))
			echo "FAIL ${file##*/}, run $run"
			tail -n 50 "$log"
		fi
	done
	echo "     ${file##*/}: $RUNS runs"
done
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed != 0 ]
