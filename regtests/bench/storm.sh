# storm.sh - on loopback: all servers go down at once, and alerts of one backend beside those of another. Sourced by run.sh.

# storm_once <sender> <servers>: sets rate, cpu, peak; rate 0 when not all mails came.
storm_once() {
	local sender=$1 n=$2 last c0

	tool sink smtp_sink --lenient --log "$tmp/sink.log"
	{ config_head "$sender"; config_mailers m "$port"; config_root root; config_backend be m "$n" root/s0; } > "$tmp/cfg"
	haproxy_start
	c0=$(cpu_us)
	storm_raise
	sink_wait sink "$n"
	cpu=$((($(cpu_us) - c0) / n))
	peak=$(peak_mb)
	haproxy_end
	tool_end sink
	last=$(tail -n 1 "$tmp/sink.log" | cut -f 3)
	rm -f "$tmp/sink.log"
	[ "$got" -ge "$n" ] && rate=$(rate_of "$n" $((last - start))) || rate=0
}

storm() {
	local i runs=$1
	local -a rates=() cpus=() peaks=()

	shift
	for i in $(seq "$runs"); do
		say "$*, run $i of $runs"
		storm_once "$@"
		rates+=("$rate") cpus+=("$cpu") peaks+=("$peak")
	done
	rate=$(printf '%s\n' "${rates[@]}" | median)
	cpu=$(printf '%s\n' "${cpus[@]}" | median)
	peak=$(printf '%s\n' "${peaks[@]}" | median)
}

storm_row() { printf '%-34s %-12s %12s %12s %10s %14s %14s\n' "$@"; }

storm_rows() {
	local name=$1 runs=$2 sender script_rate=0 script_cpu=0

	shift 2
	for sender in $SENDERS; do
		storm "$runs" "$sender" "$@"
		[ "$sender" != mailers.lua ] || { script_rate=$rate; script_cpu=$cpu; }
		storm_row "$name" "$sender" "$(rate_text "$rate")" "$cpu us" "$peak MB" \
			"$(ratio "$rate" "$script_rate")" "$(ratio "$cpu" "$script_cpu")"
	done
}

storm_table() {
	storm_row "case" "sender" "mails/s" "CPU/mail" "peak" "rate, to" "CPU, to"
	storm_row "" "" "" "" "" "mailers.lua" "mailers.lua"
	storm_rows "1,000 servers down, loopback" "$RUNS" 1000
	storm_rows "20,000 servers down, loopback" 1 20000
}

PACED=200        # alerts of the other backend, one every PACE_MS
PACE_MS=15
PACED_S=12       # what has not come so long after the last of them counts as undelivered
MUTED=300        # alerts at the mute mailer

# The delay of each paced alert of backend be: from its command to its mail, in ms, sorted; LIMIT_S for one that did not come.
paced_delays() {
	awk -F '\t' -v limit=$((LIMIT_S * 1000)) '
		FNR == NR { split($2, w, /[ \/]/); sent[w[4]] = $1; next }
		match($6, /be\/s[0-9]+/) { came[substr($6, RSTART + 3, RLENGTH - 3)] = $3 }
		END { for (s in sent) print s in came ? came[s] - sent[s] : limit }' "$1" "$2" | sort -g
}

# Takes the servers of backend be down, one after the other; sets p50, p99 and missing. <sink> gets the mails.
paced_run() {
	seq $PACED | sed 's|.*|set server be/s& health down|' | "$tmp/pace" "$tmp/cli" $PACE_MS > "$tmp/times"
	sink_wait "$1" "$2" $PACED_S
	paced_delays "$tmp/times" "$tmp/$1.log" > "$tmp/delays"
	p50=$(percentile 0.5 < "$tmp/delays")
	p99=$(percentile 0.99 < "$tmp/delays")
	missing=$(awk -v limit=$((LIMIT_S * 1000)) '$1 == limit' "$tmp/delays" | wc -l)
}

# paced <sender> <quiet|mute>: p99 of the other backend's alerts, while a storm waits at a mute mailer, or without it.
paced() {
	local sender=$1 mailer=$2 sink_port

	say "$sender, other mailer $mailer"
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
	[ "$mailer" = quiet ] || storm_raise
	touch "$tmp/sink.log"
	paced_run sink $PACED
	haproxy_end
	tool_end mute
	tool_end sink
	rm -f "$tmp/sink.log"
}

paced_row() { printf '%-34s %-12s %12s %12s %12s %14s\n' "$@"; }

paced_ms() { [ "$1" -lt $((LIMIT_S * 1000)) ] && echo "$1 ms" || echo ">$((PACED_S * 1000)) ms"; }

paced_table() {
	local sender mailer quiet=0

	paced_row "delay of another backend's alerts" "sender" "p50" "p99" "undelivered" "p99, to quiet"
	for sender in $SENDERS; do
		for mailer in quiet mute; do
			paced "$sender" "$mailer"
			[ $mailer = mute ] || quiet=$p99
			paced_row "one mailer $mailer" "$sender" "$(paced_ms "$p50")" "$(paced_ms "$p99")" "$missing" \
				"$([ $mailer = quiet ] || [ "$p99" -ge $((LIMIT_S * 1000)) ] && echo - || printf '%+d ms' $((p99 - quiet)))"
		done
	done
}
