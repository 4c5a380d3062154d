#!/bin/bash
# Stop and reload with alerts queued: the process stays until they are sent, or as long as it may; what it did not deliver
# stands in its log; then it is gone.
#
# Each alert is of a server of its own, so what was raised (HAProxy's own messages), delivered and logged are sets of names.
# timeout 240
. "$(dirname "$0")/../../lib/alerts.sh"

HERE=$(cd "$(dirname "$0")" && pwd)
WAIT_S=60

# settings LINE...: a settings file of these entries, for the HAProxys that are started next
settings() {
	printf 'return { %s }\n' "$*" > "$TMPDIR/settings.lua"
	haproxy_load="$MAILERS_LUA $TMPDIR/settings.lua"
}

# config SERVERS SINK: a backend be with servers s1 and so on
config() {
	local port=${2}_port

	alerts_backend be m
	seq "$1" | sed 's|.*|server s& 127.0.0.1:1|'
	alerts_mailers m "${!port}"
}

# down FIRST LAST, in lines that fit into HAProxy's buffer
down() {
	local lines line

	mapfile -t lines < <(seq "$1" "$2" | awk '{ printf "set server be/s%d health down;%s", $1, NR % 200 ? "" : "\n" }')
	for line in "${lines[@]}"; do
		cli h "$line"
	done
}

# Names of servers, one a line, in the order of sort:
# HAProxy's messages may stand in one line: Debian 13's C library writes them in pieces of 128 bytes, and others' come in between.
raised() { grep -o 'Server be/s[0-9]* is DOWN, changed from CLI\. ' "$TMPDIR/h.heard" | sed 's,.*/\(s[0-9]*\) .*,\1,' | sort -u; }
delivered() { awk -F '\t' '{ print $6 }' "$TMPDIR/$1.log" | sed -n 's/.*Server be\/\(s[0-9]*\) is DOWN.*/\1/p' | sort -u; }
given_up() { sed -n 's/^.*mailers: .*\(given up\|abandoned\).*Server be\/\(s[0-9]*\) is DOWN.*/\2/p' "$TMPDIR/h.heard" | sort -u; }

# HAProxy's own message about a server is what was raised; the plugin's lines are the others.
hear_all() { cat "$TMPDIR/h.out" "$TMPDIR"/*.log.udp 2>/dev/null > "$TMPDIR/h.heard" || true; }

# all_told SINK N: each of N alerts was delivered or is in the log as given up, and none is missing
all_told() {
	hear_all
	equal "$2" "$(raised | wc -l)" "alerts raised"
	echo "    raised $2, delivered $(delivered "$1" | wc -l), logged $(given_up | wc -l)"
	equal "" "$(comm -23 <(raised) <(sort -u <(delivered "$1") <(given_up)) | head -n 5)" "neither delivered nor logged"
}

gone() { ! is_alive "$1"; }

stop_and_wait() {
	kill -USR1 "$(cat "$TMPDIR/h.pid")"
	until_true $WAIT_S gone "$(cat "$TMPDIR/h.pid")" || fail "it does not end: $(tail -n 5 "$TMPDIR/h.out")"
}

# The status with which HAProxy ended.
with_status() {
	printf '#!/bin/sh\n"%s" "$@"\necho $? > "%s/status"\n' "$HAPROXY_PROGRAM" "$TMPDIR" > "$TMPDIR/haproxy"
	chmod +x "$TMPDIR/haproxy"
	HAPROXY_PROGRAM=$TMPDIR/haproxy
}

ended_well() {
	until_true $WAIT_S test -s "$TMPDIR/status"
	equal 0 "$(cat "$TMPDIR/status")" "exit status"
}

descriptors() { find "/proc/$(cat "$TMPDIR/h.pid")/fd" -lname 'socket:*' | wc -l; }

no_more_than() { [ "$(descriptors)" -le "$1" ]; }

soft_stop__idle__ends_and_says_nothing() {
	local before

	with_status
	sink_start s
	haproxy_start h < <(config 1 s)
	before=$(descriptors)
	down 1 1
	sinkctl s wait mails 1 $WAIT_S > "$TMPDIR/waited"
	until_true $WAIT_S no_more_than "$before" || fail "an idle process holds sockets"
	stop_and_wait
	ended_well
	! grep 'mailers: HAProxy' "$TMPDIR/h.out" || fail "it had nothing to send"
}

soft_stop__a_slow_mailer__gets_everything() {
	with_status
	sink_start s --log "$TMPDIR/s.log" --ehlo 8BITMIME --rule 'any delay 100'
	haproxy_start h < <(config 20 s)
	down 1 20
	stop_and_wait
	ended_well
	equal 20 "$(delivered s | wc -l)" "alerts delivered"
	all_told s 20
}

# It rests after a failure; the stop ends the rest.
soft_stop__a_mailer_that_comes_back__gets_everything() {
	with_status
	sink_start s --log "$TMPDIR/s.log" --rule 'mail times 3 reply 421 4.3.2 not now'
	haproxy_start h < <(config 20 s)
	down 1 20
	stop_and_wait
	ended_well
	equal 20 "$(delivered s | wc -l)" "alerts delivered"
	all_told s 20
}

soft_stop__a_mailer_that_refuses__logs_everything() {
	local n

	with_status
	sink_start s --log "$TMPDIR/s.log"
	sinkctl s close-listener
	settings 'drain = "2s"'
	haproxy_start h < <(config 300 s)
	down 1 300
	stop_and_wait
	ended_well
	all_told s 300
	equal 300 "$(given_up | wc -l)" "alerts logged"
}

# What waits for an answer that never comes is cut when the time is over.
soft_stop__a_mailer_that_is_mute__logs_everything() {
	local mail_timeout=60s

	with_status
	sink_start s --log "$TMPDIR/s.log" --rule 'dot mute'
	settings 'drain = "2s"'
	haproxy_start h < <(config 30 s)
	down 1 30
	sinkctl s wait connections 4 $WAIT_S > "$TMPDIR/waited"
	stop_and_wait
	ended_well
	all_told s 30
	equal 30 "$(given_up | wc -l)" "alerts logged"
}

hard_stop__with_much_queued__logs_everything() {
	with_status
	sink_start s --log "$TMPDIR/s.log"
	sinkctl s close-listener
	haproxy_global='hard-stop-after 1s'
	haproxy_start h < <(config 1000 s)
	down 1 1000
	stop_and_wait
	ended_well
	all_told s 1000
	equal 1000 "$(given_up | wc -l)" "alerts logged"
}

# No line reaches HAProxy's log, as when there is no time for it: they are on standard error.
hard_stop__when_no_task_comes_to_log__writes_everything_to_standard_error() {
	with_status
	sink_start s --log "$TMPDIR/s.log"
	sinkctl s close-listener
	haproxy_global="hard-stop-after 1s
		lua-load $HERE/../errors/faults.lua log:hang:1:1000000"
	haproxy_start h < <(config 100 s)
	down 1 100
	stop_and_wait
	ended_well
	all_told s 100
	equal 100 "$(given_up | wc -l)" "alerts logged"
	grep -q '^mailers: be/s1 via m1 ' "$TMPDIR/h.out"
}

# down_and_idle INTER SINK_OPTION...: m1 is down, and what was queued has gone over m2
down_and_idle() {
	local inter=$1

	shift
	with_status
	sink_start one "$@"
	sink_start two
	settings 'mode = "failover", order = { "m1", "m2" },
		mailers = { m1 = { tls = "none", fall = 1, inter = "'"$inter"'", timeout_connect = "300ms" }, m2 = { tls = "none" } }'
	# shellcheck disable=SC2154
	haproxy_start h < <(config 1 one; echo "mailer m2 127.0.0.1:$two_port")
	[ $# != 0 ] || sinkctl one close-listener
	down 1 1
	until_true $WAIT_S second_is_all_that_works || fail "$(cli h show mailers)"
}

second_is_all_that_works() {
	cli h show mailers | grep -q '^m1 .* DOWN *0 *0 ' && [ "$(sinkctl two get mails)" = 1 ]
}

# Seconds since the last error, which is that of the last probe.
probed() { cli h show mailers | sed -En 's/^m1 .* ([0-9]+)s (timeout|connection closed) at connect$/\1/p'; }

probed_anew() { [ "$(probed)" -lt "$1" ] 2> /dev/null; }

# A bug: after the first probe with nothing queued the time stood still, and at each one a holder was left behind with its
# socket: the process stayed for a quarter of an hour.
soft_stop__a_mailer_that_is_down_and_nothing_queued__goes_at_once() {
	local i before

	down_and_idle 4s
	before=$(($(descriptors) + 3)) # those of a hold
	for i in 1 2; do # after each a task may be found missing
		until_true $WAIT_S probed_anew 2 || fail "no probe: $(cli h show mailers)"
		same_within $WAIT_S 3 probed
	done
	! grep 'gone and was replaced' "$TMPDIR/h.out" || fail "its task is not gone"
	[ "$(descriptors)" -le $before ] || fail "$(descriptors) sockets, $before are enough"
	WAIT_S=5 stop_and_wait
	ended_well
}

# The same bug: nobody cut a probe of a server that does not answer.
soft_stop__a_mailer_that_is_mute_and_nothing_queued__goes_at_once() {
	local i

	down_and_idle 2s --no-accept
	for i in 1 2; do
		until_true $WAIT_S probed_anew 1 || fail "no probe: $(cli h show mailers)"
		same_within $WAIT_S 1 probed
	done
	# 2.8.0 keeps the socket for as long as a connect may take
	WAIT_S=$((haproxy_version < 300 ? 40 : 5)) stop_and_wait
	ended_well
}

# --- run modes --------------------------------------------------------------------------------------------

# stop_in_mode OPTION...: the log goes over UDP, as a daemon has no other.
stop_in_mode() {
	syslog_start udp
	sink_start s --log "$TMPDIR/s.log"
	sinkctl s close-listener
	settings 'drain = "1s"'
	haproxy_log="log 127.0.0.1:$udp_port local0"
	haproxy_start h "$@" < <(config 20 s | sed 's/^backend be/&\nlog global/')
	down 1 20
	stop_and_wait
	until_true $WAIT_S haproxy_is_gone h
	cp "$TMPDIR/udp.log" "$TMPDIR/x.log.udp"
	until_true $WAIT_S logged_over_udp 20
	all_told s 20
}

logged_over_udp() {
	cp "$TMPDIR/udp.log" "$TMPDIR/x.log.udp"
	hear_all
	[ "$(given_up | wc -l)" -ge "$1" ]
}

soft_stop__as_a_daemon__logs_everything() { stop_in_mode -D; }
soft_stop__with_a_master__logs_everything() { stop_in_mode -W; }
soft_stop__as_a_daemon_with_a_master__logs_everything() { stop_in_mode -W -D; }

soft_stop__per_thread__logs_everything() {
	haproxy_directive=lua-load-per-thread haproxy_global='nbthread 4'
	stop_in_mode -W
}

# --- reloads ----------------------------------------------------------------------------------------------

RELOADS=20 EACH=50 PACE_S=1

# Away for 5 s at a time, as the story says; two seconds there.
come_and_go() {
	while :; do
		sinkctl s close-listener
		sinkctl s drop
		sleep 5
		sinkctl s open-listener
		sleep 2
	done
}

another_serves() {
	local pid

	pid=$(haproxy_pid h) && [ -n "$pid" ] && [ "$pid" != "$(cat "$TMPDIR/h.pid")" ] && echo "$pid" > "$TMPDIR/h.pid"
}

# workers: the processes of the master
workers() { pgrep -P "$(cat "$TMPDIR/h.first")" || true; }

reload_all() {
	local i visitor

	sink_start s --log "$TMPDIR/s.log"
	haproxy_start h -W < <(config $((RELOADS * EACH)) s)
	come_and_go > "$TMPDIR/come_and_go" 2>&1 &
	visitor=$!
	for ((i = 0; i < RELOADS; i++)); do
		down $((i * EACH + 1)) $(((i + 1) * EACH))
		kill -USR2 "$(cat "$TMPDIR/h.first")"
		sleep $PACE_S # the mail server comes and goes meanwhile
		until_true $WAIT_S another_serves || fail "reload $i: no new worker: $(tail -n 5 "$TMPDIR/h.out")"
	done
	until_true $WAIT_S same "$(cat "$TMPDIR/h.pid")" workers || fail "old workers stay: $(workers)"
	kill $visitor
	all_told s $((RELOADS * EACH))
	echo "    mails $(sinkctl s get mails)"
}

reload__twenty_times_with_a_mailer_that_comes_and_goes__loses_nothing() {
	reload_all
	equal $((RELOADS * EACH)) "$(delivered s | wc -l)" "alerts delivered"
}

reload__twenty_times_with_hard_stop_after__loses_nothing() {
	haproxy_global='hard-stop-after 3s'
	reload_all
}

tests_run
