#!/bin/bash
# once
#
# TLS with OpenSSL: the test programs of this folder, as they are and under the sanitizers, with a server in
# their own process. certs.sh makes the certificates for them.
set -u

cd "$(dirname "$0")/../.." || exit 1
: "${B:=build}" "${TMPDIR:=/tmp}"
passed=0 failed=0

certs=$(mktemp -d "$TMPDIR/tls.XXXXXX") || exit 1
trap 'rm -rf "$certs"' EXIT
if ! bash regtests/tls/certs.sh "$certs/made"; then
	echo "0 passed, 1 failed"
	exit 1
fi

for source in regtests/tls/test_*.c; do
	name=$(basename "$source" .c)
	for kind in tls tls-asan; do
		flock "$B/make.lock" ${MAKE:-make} B="$B" "$B/$kind/$name" || { failed=$((failed + 1)); continue; }
		export TLS_CERTS=$certs/$kind-$name # which the test may write to
		cp -rp "$certs/made" "$TLS_CERTS"
		output=$("$B/$kind/$name" 2>&1)
		status=$?
		echo "$output"
		total=$(grep -c '^\[ RUN ' <<< "$output")
		ok=$(grep -c '^\[ *OK ' <<< "$output")
		{ [ $status = 0 ] && [ "$total" != 0 ]; } || [ "$ok" -lt "$total" ] || failed=$((failed + 1))
		passed=$((passed + ok))
		failed=$((failed + total - ok))
	done
done
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed != 0 ]
