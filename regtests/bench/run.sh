#!/bin/bash
# bench/run.sh - measures the plugin beside HAProxy's native sender and the mailers.lua of HAProxy's source, in
# one run on one machine, and prints one table with ratios. `make bench` calls it; it decides nothing, it shows.
#
#   RUNS=3                 runs of the short cases; the median is shown. Eight minutes
#   ROWS="storm paced far http hole summary"  which cases (all): storms on loopback; alerts beside those at a mute mail server; a mail server
#                          20 ms away; HTTP beside a storm; one of two mail servers dead; a rack that goes down and comes up,
#                          with a summary and without
#   HAPROXY_PROGRAM=/path  another HAProxy (the native sender needs 2.8 to 3.2)
#
# The mails go to smtp_sink on loopback, for the round trip through delay_line (10 ms a way), and to a real Postfix and Exim. CPU
# time is that of all of HAProxy's threads from the command to the last mail; memory is the peak of the process.
set -u

cd "$(dirname "$0")/../.." || exit 1
TOP=$PWD
B=$TOP/build
TOOLS=$B/tools
HAPROXY=${HAPROXY_PROGRAM:-$B/haproxy/3.0-lua5.3/haproxy}
PLUGIN=$TOP/lua/mailers.lua
SCRIPT=$B/haproxy/source/examples/lua/mailers.lua
RUNS=${RUNS:-3}
ROWS=${ROWS:-storm paced far http hole summary}
LIMIT_S=120      # a case that takes longer is cut
tmp=$(mktemp -d "${TMPDIR:-/tmp}/bench.XXXXXX") || exit 1
haproxy_pid='' spool='' mta=''

finish() {
	local ctl

	[ -z "$haproxy_pid" ] || kill "$haproxy_pid" 2>/dev/null
	for ctl in "$tmp"/*.ctl; do
		[ ! -S "$ctl" ] || "$TOOLS/sinkctl" "$ctl" quit >/dev/null 2>&1
	done
	case $mta in
	*/postfix) postfix_stop "$mta" ;;
	*/exim) exim_stop "$mta" ;;
	esac
	wait
	rm -rf "$tmp" ${spool:+"$spool"}
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

for part in site storm far http hole summary; do
	. "$TOP/regtests/bench/$part.sh"
done

for program in pace http_load; do
	${CC:-cc} -O2 -o "$tmp/$program" "regtests/bench/$program.c" || exit 1
done
SENDERS="mailers.lua native plugin"
"$HAPROXY" -v | head -n 1 | grep -qE ' (2\.[89]|3\.[012])[.-]' || SENDERS="mailers.lua plugin"

tool target tcp_target
target=$port
heading="$("$HAPROXY" -v | head -n 1), $(nproc) cores, load $(cut -d ' ' -f 1 /proc/loadavg) before"
say "bench: $heading; some minutes"
echo "$heading" > "$tmp/table"
for rows in $ROWS; do
	echo >> "$tmp/table"
	"${rows}_table" >> "$tmp/table"
done
cat "$tmp/table"
