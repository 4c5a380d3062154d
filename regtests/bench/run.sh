#!/bin/bash
# bench/run.sh - measures the plugin beside HAProxy's native sender and the mailers.lua of HAProxy's source, in
# one run on one machine, and prints one table with ratios. `make bench` calls it; it decides nothing, it shows.
#
#   RUNS=3                 runs of the short cases; the median is shown
#   HAPROXY_PROGRAM=/path  another HAProxy (the native sender needs 2.8 to 3.2)
#
# All servers of a storm track one server, so that one CLI command takes all of them down in the same
# instant. The mails go to smtp_sink on loopback, for the round trip through delay_line (10 ms a way). CPU time is that of
# all of HAProxy's threads from the command to the last mail; memory is the peak of the process.
set -u

cd "$(dirname "$0")/../.." || exit 1
TOP=$PWD
TOOLS=$TOP/build/tools
HAPROXY=${HAPROXY_PROGRAM:-$TOP/build/haproxy/3.0-lua5.3/haproxy}
PLUGIN=$TOP/lua/mailers.lua
SCRIPT=$TOP/build/haproxy/source/examples/lua/mailers.lua
RUNS=${RUNS:-3}
LIMIT_S=120      # a case that takes longer is cut
PACED=200        # alerts of the other backend, one every PACE_MS
PACE_MS=20
MUTED=300        # alerts at the mute mailer
tmp=$(mktemp -d "${TMPDIR:-/tmp}/bench.XXXXXX") || exit 1
haproxy_pid=

finish() {
	local ctl

	[ -z "$haproxy_pid" ] || kill "$haproxy_pid" 2>/dev/null
	for ctl in "$tmp"/*.ctl; do
		[ ! -S "$ctl" ] || "$TOOLS/sinkctl" "$ctl" quit >/dev/null 2>&1
	done
	wait
	rm -rf "$tmp"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

say() { printf '%s\n' "$*" >&2; }

# tool <name> <program> [option]...: starts it, its port is in $port
tool() {
	local name=$1 program=$2

	shift 2
	port=$("$TOOLS/$program" --background --control "$tmp/$name.ctl" --lifetime 600 "$@") || exit 1
}

tool_end() { "$TOOLS/sinkctl" "$tmp/$1.ctl" quit >/dev/null; rm -f "$tmp/$1.ctl"; }

cli() { "$tmp/pace" "$tmp/cli" 0; }

# The line that loads a sender into HAProxy.
load_line() {
	case $1 in
	plugin) echo "lua-load $PLUGIN" ;;
	mailers.lua) echo "lua-load $SCRIPT" ;;
	native) ;;
	esac
}

# config_head <sender>, config_backend <name> <mailers> <servers> <tracked>
config_head() {
	cat <<-END
	global
	    stats socket $tmp/cli level admin
	    stats timeout 10m
	    $(load_line "$1")
	defaults
	    mode http
	    timeout connect 5s
	    timeout client 30s
	    timeout server 30s
	END
}

config_mailers() { printf 'mailers %s\n    timeout mail 10s\n    mailer smtp1 127.0.0.1:%s\n' "$1" "$2"; }

config_backend() {
	cat <<-END
	backend $1
	    email-alert mailers $2
	    email-alert from haproxy@example.org
	    email-alert to ops@example.org
	    email-alert myhostname lb1.example.org
	END
	seq "$3" | sed "s|.*|    server s& 127.0.0.1:9 ${4:+track $4}|"
}

# The server that a storm tracks. Its check must pass, or the storm would start by itself.
config_root() { printf 'backend %s\n    server s0 127.0.0.1:%s check inter 1h\n' "$1" "$target"; }

haproxy_start() {
	"$HAPROXY" -db -q -f "$tmp/cfg" > "$tmp/haproxy.log" 2>&1 &
	haproxy_pid=$!
	for _ in $(seq 600); do
		[ -S "$tmp/cli" ] && echo 'show info' | cli >/dev/null 2>&1 && return
		kill -0 $haproxy_pid 2>/dev/null || break
		sleep 0.05
	done
	say "bench: HAProxy did not start:"
	cat "$tmp/haproxy.log" >&2
	exit 1
}

haproxy_end() {
	kill $haproxy_pid 2>/dev/null
	wait $haproxy_pid 2>/dev/null
	haproxy_pid=
	rm -f "$tmp/cli"
}

cpu_us() { cat /proc/$haproxy_pid/task/*/schedstat | awk '{ n += $1 } END { printf "%d", n / 1000 }'; }
peak_mb() { awk '/VmHWM/ { printf "%.0f", $2 / 1024 }' /proc/$haproxy_pid/status; }

# storm <sender> <servers> [delay ms one way]: sets rate, cpu, peak; rate 0 when not all mails came.
storm_once() {
	local sender=$1 n=$2 delay=${3:-} start last c0 got

	tool sink smtp_sink --lenient --log "$tmp/sink.log"
	[ -z "$delay" ] || tool line delay_line --to "127.0.0.1:$port" --delay-ms "$delay"
	{ config_head "$sender"; config_mailers m "$port"; config_root root; config_backend be m "$n" root/s0; } > "$tmp/cfg"
	haproxy_start
	c0=$(cpu_us)
	start=$(echo 'set server root/s0 health down' | cli | cut -f 1)
	got=$("$TOOLS/sinkctl" "$tmp/sink.ctl" wait mails "$n" $LIMIT_S 2>/dev/null) || got=0
	cpu=$((($(cpu_us) - c0) / n))
	peak=$(peak_mb)
	haproxy_end
	[ -z "$delay" ] || tool_end line
	tool_end sink
	last=$(tail -n 1 "$tmp/sink.log" | cut -f 3)
	rm -f "$tmp/sink.log"
	# At least 1 ms, the clock's step; the rate of the short storm is rounded by it.
	rate=$(awk -v n="$n" -v t="$((last - start))" -v got="${got:-0}" 'BEGIN { printf "%.1f", got < n ? 0 : n * 1000 / (t < 1 ? 1 : t) }')
}

median() { sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

storm() {
	local i runs=$1
	local -a rates=() cpus=() peaks=()

	shift
	for i in $(seq "$runs"); do
		say "  $*, run $i of $runs"
		storm_once "$@"
		rates+=("$rate") cpus+=("$cpu") peaks+=("$peak")
	done
	rate=$(printf '%s\n' "${rates[@]}" | median)
	cpu=$(printf '%s\n' "${cpus[@]}" | median)
	peak=$(printf '%s\n' "${peaks[@]}" | median)
}

# The delay of each paced alert: from its command to its mail, in ms, sorted; LIMIT_S for one that did not come.
paced_delays() {
	awk -F '\t' -v limit=$((LIMIT_S * 1000)) '
		FNR == NR { split($2, w, /[ \/]/); sent[w[4]] = $1; next }
		match($6, /be\/s[0-9]+/) { came[substr($6, RSTART + 3, RLENGTH - 3)] = $3 }
		END { for (s in sent) print s in came ? came[s] - sent[s] : limit }' "$1" "$2" | sort -g
}

# paced <sender> <quiet|mute>: p99 of the other backend's alerts, while a storm waits at a mute mailer, or without it.
paced() {
	local sender=$1 mailer=$2 sink_port limit=30

	say "  $sender, other mailer $mailer"
	tool sink smtp_sink --lenient --log "$tmp/sink.log"
	sink_port=$port
	tool mute smtp_sink --rule "greeting mute"
	{
		config_head "$sender"
		config_mailers m "$sink_port"
		config_mailers mute "$port"
		config_root root
		config_backend storm mute $MUTED root/s0
		config_backend be m $PACED
	} > "$tmp/cfg"
	haproxy_start
	[ "$mailer" = quiet ] || echo 'set server root/s0 health down' | cli >/dev/null
	seq $PACED | sed 's|.*|set server be/s& health down|' | "$tmp/pace" "$tmp/cli" $PACE_MS > "$tmp/times"
	"$TOOLS/sinkctl" "$tmp/sink.ctl" wait mails $PACED $limit >/dev/null 2>&1
	haproxy_end
	tool_end mute
	tool_end sink
	touch "$tmp/sink.log"
	paced_delays "$tmp/times" "$tmp/sink.log" > "$tmp/delays"
	rm -f "$tmp/sink.log"
	p50=$(awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }' "$tmp/delays")
	p99=$(awk '{ v[NR] = $1 } END { print v[int(NR * 0.99 + 0.5)] }' "$tmp/delays")
	missing=$(awk -v limit=$((LIMIT_S * 1000)) '$1 == limit' "$tmp/delays" | wc -l)
}

row() { printf '%-34s %-12s %12s %12s %10s %14s %14s\n' "$@"; }

ratio() { awk -v a="$1" -v b="$2" 'BEGIN { if (b > 0 && a > 0) printf "%.1f x", a / b; else printf "-" }'; }

storm_rows() {
	local name=$1 runs=$2 sender script_rate=0 script_cpu=0

	shift 2
	for sender in $SENDERS; do
		storm "$runs" "$sender" "$@"
		[ "$sender" != mailers.lua ] || { script_rate=$rate; script_cpu=$cpu; }
		row "$name" "$sender" "$([ "$rate" = 0.0 ] && echo 'not all' || echo "$rate")" "$cpu us" "$peak MB" \
			"$(ratio "$rate" "$script_rate")" "$(ratio "$cpu" "$script_cpu")"
	done >> "$tmp/table"
}

${CC:-cc} -O2 -o "$tmp/pace" regtests/bench/pace.c || exit 1
SENDERS="mailers.lua native plugin"
"$HAPROXY" -v | head -n 1 | grep -qE ' (2\.[89]|3\.[012])[.-]' || SENDERS="mailers.lua plugin"

tool target tcp_target
target=$port
say "bench: $("$HAPROXY" -v | head -n 1), $(nproc) cores; some minutes"
{
	row "case" "sender" "mails/s" "CPU/mail" "peak" "rate, to" "CPU, to"
	row "" "" "" "" "" "mailers.lua" "mailers.lua"
} > "$tmp/table"
storm_rows "1,000 servers down, loopback" "$RUNS" 1000
storm_rows "20,000 servers down, loopback" 1 20000
storm_rows "200 servers down, 20 ms away" 1 200 10
{
	echo
	printf '%-34s %-12s %12s %12s %12s %14s\n' "delay of another backend's alerts" "sender" "p50" "p99" "undelivered" "p99, to quiet"
} >> "$tmp/table"
for sender in $SENDERS; do
	for mailer in quiet mute; do
		paced "$sender" "$mailer"
		[ $mailer = mute ] || quiet=$p99
		printf '%-34s %-12s %9s ms %9s ms %12s %11s ms\n' "one mailer $mailer" "$sender" "$p50" \
			"$([ "$missing" -gt 1 ] && echo '>30000' || echo "$p99")" "$missing" \
			"$([ $mailer = mute ] && printf '%+d' $((p99 - quiet)) || echo -)" >> "$tmp/table"
	done
done
echo
cat "$tmp/table"
