#!/bin/bash
# once
#
# SASL with OpenSSL's hashes: the examples of the RFCs (test_vectors.c), under the sanitizers. The unit tests of sasl
# link no OpenSSL.
set -u

cd "$(dirname "$0")/../.." || exit 1
: "${B:=build}"

flock "$B/make.lock" ${MAKE:-make} B="$B" "$B/sasl/test_vectors" || exit 1
output=$("$B/sasl/test_vectors" 2>&1)
status=$?
echo "$output"
total=$(grep -c '^\[ RUN ' <<< "$output")
passed=$(grep -c '^\[ *OK ' <<< "$output")
[ $status = 0 ] || [ "$passed" -lt "$total" ] || passed=$((total - 1))
echo "$passed passed, $((total - passed)) failed"
[ $status = 0 ] && [ "$total" != 0 ] && [ "$passed" = "$total" ]
