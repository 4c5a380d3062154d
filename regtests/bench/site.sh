# site.sh - what the cases of the benchmark share: tools, a HAProxy with its configuration, and arithmetic. Sourced by run.sh.
#
#   tool NAME PROGRAM [OPTION]...  starts one of build/tools; its port is in $port. tool_end NAME, tool_get NAME COUNTER
#   config_head SENDER [SETTINGS]  lines of haproxy.cfg for $tmp/cfg; config_mailers NAME PORT [PORT2], config_backend, config_root
#   haproxy_start, haproxy_end     its log, each line with the time, is $tmp/haproxy.log
#   cpu_us, peak_mb                of the running HAProxy, all its threads
#   median                         of the numbers on standard input
#
# All servers of a storm track one server, so that one command takes all of them down in the same instant (storm_raise).

say() { printf '%4d s  %s\n' $SECONDS "$*" >&2; }

tool() {
	local name=$1 program=$2

	shift 2
	port=$("$TOOLS/$program" --background --control "$tmp/$name.ctl" --lifetime 600 "$@") || exit 1
}

tool_end() { "$TOOLS/sinkctl" "$tmp/$1.ctl" quit >/dev/null; rm -f "$tmp/$1.ctl"; }

tool_get() { "$TOOLS/sinkctl" "$tmp/$1.ctl" get "$2"; }

# Waits for so many mails at a sink; $got is how many came. A mail too many is as wrong as one too few, but it is the tests' to see.
sink_wait() {
	got=$("$TOOLS/sinkctl" "$tmp/$1.ctl" wait mails "$2" "${3:-$LIMIT_S}" 2>/dev/null) || got=$(tool_get "$1" mails)
}

cli() { "$tmp/pace" "$tmp/cli" 0; }

# The line that loads a sender into HAProxy.
load_line() {
	case $1 in
	plugin) echo "lua-load $PLUGIN${2:+ $2}" ;;
	per-thread) echo "lua-load-per-thread $PLUGIN${2:+ $2}" ;;
	mailers.lua) echo "lua-load $SCRIPT" ;;
	nothing) echo "lua-load $tmp/nothing.lua" ;;
	native) ;;
	esac
}

config_head() {
	cat <<-END
	global
	    stats socket $tmp/cli level admin
	    stats timeout 10m
	    log fd@5 format timed local0
	    $(load_line "$@")
	defaults
	    mode http
	    timeout connect 5s
	    timeout client 30s
	    timeout server 30s
	END
}

config_mailers() {
	printf 'mailers %s\n    timeout mail 10s\n    mailer smtp1 127.0.0.1:%s\n' "$1" "$2"
	[ -z "${3:-}" ] || printf '    mailer smtp2 127.0.0.1:%s\n' "$3"
}

# config_backend <name> <mailers> <servers> [tracked [level]]
config_backend() {
	cat <<-END
	backend $1
	    email-alert mailers $2
	    email-alert from haproxy@example.org
	    email-alert to ops@example.org
	    email-alert myhostname lb1.example.org
	    email-alert level ${5:-alert}
	END
	seq "$3" | sed "s|.*|    server s& 127.0.0.1:9 ${4:+track $4}|"
}

# The server that a storm tracks. Its check must pass, or the storm would start by itself.
config_root() { printf 'backend %s\n    server s0 127.0.0.1:%s check inter 1h\n' "$1" "$target"; }

haproxy_start() {
	: > "$tmp/haproxy.log"
	"$HAPROXY" -db -q -f "$tmp/cfg" >> "$tmp/haproxy.log" 2>&1 5>> "$tmp/haproxy.log" &
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

# Soft stop would wait for connections that nobody answers.
haproxy_end() {
	kill -INT $haproxy_pid 2>/dev/null
	wait $haproxy_pid 2>/dev/null
	haproxy_pid=
	rm -f "$tmp/cli"
}

# Sets $start, monotonic ms, and $start_epoch, us.
storm_raise() {
	start_epoch=${EPOCHREALTIME/[.,]/}
	start=$(echo "set server ${1:-root}/s0 health down" | cli | cut -f 1)
}

cpu_us() { cat /proc/$haproxy_pid/task/*/schedstat | awk '{ n += $1 } END { printf "%d", n / 1000 }'; }

peak_mb() { awk '/VmHWM/ { printf "%.0f", $2 / 1024 }' /proc/$haproxy_pid/status; }

median() { sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

# percentile <0 to 1>, of sorted numbers
percentile() { awk -v p="$1" '{ v[NR] = $1 } END { i = int(NR * p + 0.5); print NR ? v[i < 1 ? 1 : i] : "-" }'; }

ratio() { awk -v a="$1" -v b="$2" 'BEGIN { if (b > 0 && a > 0) printf "%.1f x", a / b; else printf "-" }'; }

# Mails a second of <mails> in <ms>: at least 1 ms, the clock's step.
rate_of() { awk -v n="$1" -v t="$2" 'BEGIN { printf "%.1f", n * 1000 / (t < 1 ? 1 : t) }'; }

# "not all" in place of a rate of nothing
rate_text() { [ "$1" = 0 ] && echo 'not all' || echo "$1"; }
