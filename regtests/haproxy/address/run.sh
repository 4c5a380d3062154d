#!/usr/bin/env bash
# Compares our address parser with HAProxy's, row by row of a table of texts.
#
#   HAPROXY_PROGRAM=<haproxy> regtests/haproxy/address/run.sh [<table>]
#
#   HAPROXY_PROGRAM  the HAProxy to ask (haproxy); it must have Lua
#   ADDRESS_CHECK    a built regtests/tools/address_check; built here with CC when not given
#
# Three verdicts must agree on each row: the table's for this version, HAProxy's (Socket:connect in a task) and the
# parser's. A row that the parser refuses must have a reason. Prints a line per row that differs, then
# "N passed, N failed". Nothing leaves the loopback interface (see the table's head).
set -u

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
haproxy=${HAPROXY_PROGRAM:-haproxy}
export ADDRESS_TABLE=${1:-$here/texts.table}

fail() {
	printf 'address: %s\n' "$*" >&2
	printf '0 passed, 1 failed\n'
	exit 1
}

pid=
tmp=$(mktemp -d) || exit 1
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null; rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

version=$("$haproxy" -v 2>/dev/null | sed -n 's/^HA-\{0,1\}Proxy version \([0-9]*\.[0-9]*\).*/\1/p')
[ -n "$version" ] || fail "$haproxy does not say its version"

check=${ADDRESS_CHECK:-$tmp/address_check}
if [ -z "${ADDRESS_CHECK:-}" ]; then
	${CC:-cc} -std=c11 -D_GNU_SOURCE -I"$root/include" -o "$check" \
		"$root/regtests/tools/address_check.c" "$root/plugin/core/address.c" || fail "address_check does not build"
fi
"$check" "$ADDRESS_TABLE" "$version" >"$tmp/parser" || fail "address_check failed"

# The variables of the table, and no other that its rows name.
while read -r kind name value; do
	[ "$kind" = env ] || continue
	value=${value#\"}
	export "$name=${value%\"}"
done <"$ADDRESS_TABLE"
unset ADDRESS_UNSET

# A frontend that nobody uses, because HAProxy does not start without one.
cat >"$tmp/haproxy.cfg" <<CFG
global
	lua-load $here/connect.lua
defaults
	mode tcp
	timeout connect 5s
	timeout client 5s
	timeout server 5s
frontend unused
	bind unix@$tmp/socket
CFG

# Descriptor 9 for the rows with sockpair@9: a socket that HAProxy inherits and that leads nowhere.
exec 9<>/dev/udp/127.0.0.1/1
coproc HAPROXY { exec timeout 60 "$haproxy" -db -f "$tmp/haproxy.cfg" 2>"$tmp/errors"; }
exec 9>&-
pid=$HAPROXY_PID
while read -r line <&"${HAPROXY[0]}" && [ "$line" != end ]; do
	printf '%s\n' "$line"
done >"$tmp/haproxy"
kill "$pid" 2>/dev/null
wait "$pid" 2>/dev/null
pid=
[ "${line:-}" = end ] || { cat "$tmp/errors" >&2; fail "$haproxy ended before it had tried every row"; }

awk -F '\t' -v table="$ADDRESS_TABLE" -v version="$version" '
	FILENAME == ARGV[1] { haproxy[$1] = $2; message[$1] = $3; next }
	FILENAME == ARGV[2] { expected[$1] = $2; parser[$1] = $3; reason[$1] = $5; next }
	FNR in parser {
		wrong = ""
		if (haproxy[FNR] != expected[FNR])
			wrong = wrong ", the table says " expected[FNR]
		if (parser[FNR] != haproxy[FNR])
			wrong = wrong ", our parser says " parser[FNR] " (" reason[FNR] ")"
		if (parser[FNR] == "refused" && reason[FNR] !~ /; write /)
			wrong = wrong ", our parser does not say what to write (" reason[FNR] ")"
		if (wrong == "") {
			passed++
			next
		}
		failed++
		printf "%s:%d: %s: HAProxy %s says %s (%s)%s\n", table, FNR, $0, version,
			haproxy[FNR] == "" ? "nothing" : haproxy[FNR], message[FNR], wrong
	}
	END {
		if (!passed && !failed)
			failed = 1
		printf "%d passed, %d failed\n", passed, failed
		exit failed != 0
	}' "$tmp/haproxy" "$tmp/parser" "$ADDRESS_TABLE"
