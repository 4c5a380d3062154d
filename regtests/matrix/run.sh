#!/bin/bash
# The fault matrix: a mail server that fails at each step of a session in each way that there is, and what becomes of
# the alerts. What is to be expected stands in `table`; run.pl plays it, in HAProxy and in mailers-send.
#
# T=ROW or T=ROW.FAULT by hand chooses cells; MATRIX_KEEP=1 keeps the files of all cells.
# once
# alone
# timeout 280
. "$(dirname "$0")/../lib/proxy.sh"

here=$(cd "$(dirname "$0")" && pwd)
cells=${T:-}
[ -z "${MAILERS_TEST_DRIVER:-}" ] || cells=

certificate() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=mail.example.org" \
		-addext "subjectAltName=DNS:mail.example.org" -keyout "$folder/sink.key" -out "$folder/ca.pem" 2> /dev/null &&
		cat "$folder/ca.pem" "$folder/sink.key" > "$folder/sink.pem"
}

# run.pl ends what it started when it is told to; what it left behind after a kill ends by itself.
folder=$(mktemp -d "${TMPDIR:-/tmp}/matrix.XXXXXX") || exit 1
[ -n "${MATRIX_KEEP:-}" ] && echo "files: $folder" || trap 'rm -rf "$folder"' EXIT
certificate || exit 1
export TOOLS B MAILERS_LUA HAPROXY_PROGRAM
perl "$here/run.pl" "$here/table" "$folder" "$cells"
