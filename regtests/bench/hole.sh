# hole.sh - two mail servers, one of them dead: what the other gets. Sourced by run.sh.
#
# The living one is 20 ms away. A dead one accepts and says nothing ("mute"), or its listener's queue is full, so that SYNs are
# dropped. 500 servers go down, and when that is over (the dead one is known by then) 200 more alerts follow one by one. In mode
# failover the dead one is the first of the order. The settings cut the times, so that the rows take seconds: timeout_connect and
# timeout_mail 2 s instead of 10. In mode failover the storm waits until the dead one is known to be, for `fall` (3) tries of
# that length and the pauses between them.

HOLE_SERVERS=500

hole_settings() {
	cat > "$tmp/settings.lua" <<-END
		return {
			mode = "$1", order = { "smtp1", "smtp2" },
			mailers = { ["*"] = { tls = "none", timeout_connect = "2s", timeout_mail = "2s" } },
		}
	END
	[ "$1" = failover ] || sed -i 's/order = [^}]*}, *//; s/order = .*},$//' "$tmp/settings.lua"
}

# hole_once <all|failover> <none|mute|dropped>: sets rate, storm50, storm99 (ms from the command to the mail), p50, p99, missing
hole_once() {
	local mode=$1 dead=$2 first last

	tool sink smtp_sink --lenient --log "$tmp/sink.log"
	tool line delay_line --to "127.0.0.1:$port" --delay-ms $FAR_DELAY_MS
	local living=$port
	case $dead in
	none) tool dead smtp_sink --lenient --log "$tmp/dead.log" && tool line2 delay_line --to "127.0.0.1:$port" --delay-ms $FAR_DELAY_MS ;;
	mute) tool dead smtp_sink --rule "greeting mute" ;;
	dropped) tool dead smtp_sink --no-accept ;;
	esac
	first=$port
	hole_settings "$mode"
	{
		config_head plugin "$tmp/settings.lua"
		config_mailers m "$first" "$living"
		config_root root
		config_backend storm m $HOLE_SERVERS root/s0
		config_backend be m $PACED
	} > "$tmp/cfg"
	haproxy_start
	storm_raise
	if [ "$mode$dead" = failovernone ]; then
		living=dead
	else
		living=sink
	fi
	sink_wait $living $HOLE_SERVERS
	last=$(tail -n 1 "$tmp/$living.log" | cut -f 3)
	[ "$got" -ge $HOLE_SERVERS ] && rate=$(rate_of $HOLE_SERVERS $((last - start))) || rate=0
	cut -f 3 "$tmp/$living.log" | awk -v start="$start" '{ print $1 - start }' | sort -g > "$tmp/delays"
	storm50=$(percentile 0.5 < "$tmp/delays") storm99=$(percentile 0.99 < "$tmp/delays")
	paced_run $living $((HOLE_SERVERS + PACED))
	haproxy_end
	tool_end dead
	[ $dead != none ] || tool_end line2
	tool_end line
	tool_end sink
	rm -f "$tmp/sink.log" "$tmp/dead.log"
}

hole_row() { printf '%-34s %-12s %12s %12s %12s %12s %12s %12s\n' "$@"; }

hole_table() {
	local mode dead

	hole_row "two mail servers 20 ms away" "mode" "mails/s" "p50" "p99" "then p50" "then p99" "undelivered"
	hole_row "over the living one:" "" "of a storm" "in it" "in it" "one by one" "" "of those"
	for mode in all failover; do
		for dead in none mute dropped; do
			say "two mailers, $mode, dead: $dead"
			hole_once $mode $dead
			hole_row "dead: $dead" "$mode" "$(rate_text "$rate")" "$storm50 ms" "$storm99 ms" "$p50 ms" "$p99 ms" "$missing"
		done
	done
}
