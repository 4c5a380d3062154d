# http.sh - what an HTTP client of the same HAProxy notices of a storm. Sourced by run.sh.
#
# Each request runs a Lua action in the state that the sender is in (lua-load), and is answered by HAProxy itself. They come at a
# constant rate over connections that are kept; what waits behind a halt counts from the time that it should have been sent at.
# Meanwhile 20,000 alerts are raised: by one command that takes 20,000 servers down, which for HAProxy alone is one long piece of work
# of one thread; or of 1,000 servers, by 100 commands that take 200 of them down or up, one each 50 ms.
#
# The plugin twice: loaded by lua-load, as all others, and by lua-load-per-thread, where it has a Lua state without a lock; the action is
# loaded by lua-load in both. Beside them "nothing": a script that subscribes to the events of each server, as every sender in Lua
# must, and does nothing with them. No mail of it tells when its storm is over, so it is seen in the time of all only.
#
# Of each sender two percentiles: of the requests while its own storm lasts, and of those of the same time for all, from the
# command on; a storm that is over soon has fewer requests to be in the way of. But a percentile hides as much as it shows: native halts
# HTTP once, for about 1% of the requests of its storm, so that its p99 is that halt in one run and nothing in the next. So
# those of the time of all that waited for more than HTTP_SLOW_MS are counted too: a number that no storm's length changes.

HTTP_RATE=1000
HTTP_CONNECTIONS=50
HTTP_ALERTS=20000
HTTP_GROUPS=5     # of the second case
HTTP_COMMANDS=100
HTTP_STEP_MS=50
HTTP_BEFORE_S=1   # of requests before the storm
HTTP_LIMIT_S=20   # a mail that did not come by then is lost
HTTP_WINDOW_S=6   # the time of all
HTTP_SLOW_MS=10

http_action() {
	cat > "$tmp/action.lua" <<-END
		core.register_action("bench", { "http-req" }, function(txn)
			local path = txn.sf:path()
			txn:set_var("txn.bench", path:upper() .. #path)
		end)
	END
}

# What the events of all servers cost in any script.
http_nothing() {
	cat > "$tmp/nothing.lua" <<-END
		if core.disable_legacy_mailers then
			core.disable_legacy_mailers()
		end
		if core.use_native_mailers_config then
			core.use_native_mailers_config()
		end
		core.register_init(function()
			for _, px in pairs(core.backends) do
				for _, server in pairs(px.servers) do
					server:event_sub({ "SERVER_STATE", "SERVER_ADMIN" }, function() end)
				end
			end
		end)
	END
}

# http_config <sender> <port> <groups> <servers of each>
http_config() {
	local head i

	head=$(config_head "$1" | sed "s|^global|global\n    lua-load $tmp/action.lua|")
	printf '%s\n' "$head"
	cat <<-END
	frontend http
	    bind unix@$tmp/http
	    http-request lua.bench
	    http-request return status 200 content-type text/plain lf-string "%[var(txn.bench)]"
	END
	config_mailers m "$2"
	for ((i = 1; i <= $3; i++)); do
		config_root "root$i"
		config_backend "be$i" m "$4" "root$i/s0" notice
	done
}

# http_latencies <from ms> <to ms>: of the requests due then, us, sorted; one without an answer as 10 s
http_latencies() {
	awk -v from="$1" -v to="$2" '$1 >= from * 1000 && $1 < to * 1000 { print $2 == "-" ? 10000000 : $2 }' "$tmp/answers" | sort -g
}

# http_commands <groups> <commands>: takes each group down, then each up, and so on
http_commands() {
	seq 0 $(($2 - 1)) | awk -v groups="$1" '{
		printf "set server root%d/s0 health %s\n", $1 % groups + 1, int($1 / groups) % 2 ? "up" : "down"
	}'
}

# http_once <sender|nothing|idle> <groups> <commands>: sets storm_ms, lost, p50, p99 and max (us) of the storm; same99, same999 and
# slow (how many) of the common time.
http_once() {
	local sender=$1 groups=$2 commands=$3 last loader
	local -a command=("$tmp/http_load" "$tmp/http" $HTTP_RATE $HTTP_CONNECTIONS $((HTTP_BEFORE_S + HTTP_WINDOW_S)))

	tool sink smtp_sink --lenient --log "$tmp/sink.log"
	http_config "${sender/idle/plugin}" "$port" "$groups" $((HTTP_ALERTS / commands)) > "$tmp/cfg"
	haproxy_start
	"${command[@]}" > "$tmp/answers" &
	loader=$!
	sleep $HTTP_BEFORE_S
	if [ "$sender" = idle ]; then
		start=$(echo 'show version' | cli | cut -f 1)
		got=$HTTP_ALERTS last=$((start + HTTP_WINDOW_S * 1000))
	else
		start=$(http_commands "$groups" "$commands" | "$tmp/pace" "$tmp/cli" $HTTP_STEP_MS | sed -n '1s/\t.*//p')
		got=$HTTP_ALERTS last=$((start + HTTP_WINDOW_S * 1000))
		[ "$sender" = nothing ] || sink_wait sink $HTTP_ALERTS $HTTP_LIMIT_S
	fi
	wait $loader || exit 1
	haproxy_end
	tool_end sink
	[ "$sender" = idle ] || [ "$sender" = nothing ] || last=$(tail -n 1 "$tmp/sink.log" | cut -f 3)
	rm -f "$tmp/sink.log"
	storm_ms=$((last - start)) lost=$((HTTP_ALERTS > got ? HTTP_ALERTS - got : 0))
	http_latencies "$start" "$last" > "$tmp/latencies"
	p50=$(percentile 0.5 < "$tmp/latencies") p99=$(percentile 0.99 < "$tmp/latencies") max=$(tail -n 1 "$tmp/latencies")
	http_latencies "$start" $((start + HTTP_WINDOW_S * 1000)) > "$tmp/latencies"
	same99=$(percentile 0.99 < "$tmp/latencies") same999=$(percentile 0.999 < "$tmp/latencies")
	slow=$(awk -v us=$((HTTP_SLOW_MS * 1000)) '$1 > us' "$tmp/latencies" | wc -l)
}

HTTP_COLUMNS='storm_ms lost p50 p99 max same99 same999 slow'

# Sets the medians of $RUNS runs; one run of those that nothing is compared with.
http_runs() {
	local i name runs=1

	case $1 in
	native | nothing | plugin | per-thread) runs=$RUNS ;;
	esac
	: > "$tmp/runs"
	for i in $(seq "$runs"); do
		say "HTTP beside $1, $3 commands, run $i of $runs"
		http_once "$@"
		for name in $HTTP_COLUMNS; do
			echo "$name ${!name}" >> "$tmp/runs"
		done
	done
	for name in $HTTP_COLUMNS; do
		printf -v "$name" '%s' "$(sed -n "s/^$name //p" "$tmp/runs" | median)"
	done
}

http_row() { printf '%-34s %-12s %10s %8s %11s %11s %11s %11s %11s %8s\n' "$@"; }

http_ms() { awk -v us="$1" 'BEGIN { printf "%.2f ms", us / 1000 }'; }

http_result() {
	local storm="$storm_ms ms"

	case $2 in
	idle | nothing) storm=- lost=- ;;
	esac
	if [ "$2" = nothing ]; then
		http_row "$1" "$2" - - - - - "$(http_ms "$same99")" "$(http_ms "$same999")" "$slow"
	else
		http_row "$1" "$2" "$storm" "$lost" "$(http_ms "$p50")" "$(http_ms "$p99")" "$(http_ms "$max")" \
			"$(http_ms "$same99")" "$(http_ms "$same999")" "$slow"
	fi
}

# http_case <what> <groups> <commands>
http_case() {
	local sender

	for sender in $SENDERS per-thread nothing; do
		http_runs "$sender" "$2" "$3"
		http_result "$1" "$sender"
	done
}

http_table() {
	http_action
	http_nothing
	http_row "HTTP latency, $HTTP_RATE requests/s, while" "sender" "storm" "lost" "p50" "p99" "max" "p99" "p99.9" "over"
	http_row "20,000 alerts leave" "" "" "mails" "in it" "in it" "in it" "in ${HTTP_WINDOW_S} s" "in ${HTTP_WINDOW_S} s" "$HTTP_SLOW_MS ms"
	http_runs idle 1 1
	http_result "" idle
	http_case "20,000 servers at once" 1 1
	http_case "1,000 servers, 200 each 50 ms" $HTTP_GROUPS $HTTP_COMMANDS
}
