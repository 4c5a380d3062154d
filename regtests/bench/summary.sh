# summary.sh - a rack goes down and comes up again: 1,000 servers of 4 proxies, one mail for each alert beside summaries.
# Sourced by run.sh.

RACK=1000
RACK_PROXIES="web db api static"
RACK_WAIT=2s

# summary_settings <kind>: the file's text
summary_settings() {
	case $1 in
	proxy) echo "return { summary = { wait = \"$RACK_WAIT\" } }" ;;
	all) echo "return { summary = { wait = \"$RACK_WAIT\", batch = \"all\" } }" ;;
	*) echo "return {}" ;;
	esac
}

# summary_once <sender> <kind> <mails>: sets mails, bytes, cpu and peak; mails 0 when not all came.
summary_once() {
	local sender=$1 kind=$2 expected=$3 proxy c0

	tool sink smtp_sink --lenient --log "$tmp/sink.log"
	summary_settings "$kind" > "$tmp/summary.lua"
	{
		config_head "$sender" "$([ "$sender" != plugin ] || echo "$tmp/summary.lua")"
		config_mailers m "$port"
		config_root root
		for proxy in $RACK_PROXIES; do config_backend "$proxy" m $((RACK / 4)) root/s0; done |
			sed '/email-alert level/d; /email-alert mailers/a\    email-alert level notice'
	} > "$tmp/cfg"
	haproxy_start
	c0=$(cpu_us)
	storm_raise
	sink_wait sink $((expected / 2))
	echo "set server root/s0 health up" | cli > /dev/null
	sink_wait sink "$expected"
	cpu=$((($(cpu_us) - c0) / 1000))
	peak=$(peak_mb)
	mails=$got
	haproxy_end
	tool_end sink
	bytes=$(awk -F '\t' '{ n += $4 } END { printf "%d", n / 1024 }' "$tmp/sink.log")
	rm -f "$tmp/sink.log"
	[ "$mails" -ge "$expected" ] || mails='not all'
}

summary_row() { printf '%-46s %-12s %10s %14s %12s %10s\n' "$@"; }

# summary_case <name> <sender> <kind> <mails>: the median of the CPU time, the others of the last run
summary_case() {
	local name=$1 i
	local -a cpus=()

	shift
	for i in $(seq "$RUNS"); do
		say "rack outage, $name, $1, run $i of $RUNS"
		summary_once "$@"
		cpus+=("$cpu")
	done
	summary_row "1,000 servers down and up, $name" "$1" "$mails" "$bytes KB" "$(printf '%s\n' "${cpus[@]}" | median) ms" "$peak MB"
}

summary_table() {
	local sender

	summary_row "case" "sender" "mails" "of" "CPU, in all" "peak"
	for sender in $SENDERS; do
		# At level notice, for the recoveries; mailers.lua tells them at level alert.
		summary_case "a mail each" "$sender" none $((2 * RACK))
	done
	summary_case "a summary a proxy" plugin proxy 8
	summary_case "one summary" plugin all 2
}
