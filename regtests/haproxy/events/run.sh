#!/bin/bash
# Every event that HAProxy publishes becomes one mail, also when the server was just added or is just gone; and when
# HAProxy drops events, the mails tell the present state, and the log tells the loss.
. "$(dirname "$0")/../../lib/alerts.sh"

mail_timeout=10s
haproxy_global='tune.bufsize 131072'

# line N TEXT: the commands TEXT for the servers 1 to N, all on one line; & stands for the number.
line() { seq "$1" | sed "s|.*|$2;|" | tr -d '\n'; }

said() { grep -q "$1" "$TMPDIR/h.out"; }

# start THREADS [SERVERS]: a HAProxy with a backend be of these servers that mails to the sink s; $how it is started.
start() {
	sink_start s --log "$TMPDIR/s.log"
	haproxy_global+=$'\n\t'"nbthread $1"
	haproxy_start h ${how:-} <<-END
		$(alerts_backend be m)
		${2:-}
		$(alerts_mailers m "$s_port")
	END
}

# added N: N servers are added, enabled and taken down on one line, then all are brought up.
added() {
	haproxy_tells_state || return 0
	equal "$1" "$(cli h "$(line "$1" 'add server be/d& 127.0.0.1:1;enable server be/d&;set server be/d& health down')" |
		grep -c 'New server registered')" "servers added"
	sinkctl s wait "$1" $WAIT_S > /dev/null
	until_true $WAIT_S said 'many servers were added' || fail "the servers were not gone through"
	cli h "$(line "$1" 'set server be/d& health up')"
	sinkctl s wait "$((2 * $1))" $WAIT_S > /dev/null
	equal "" "$(alerts_of s | alerts_odd 1 "$1")" "alerts of a server"
	equal "$((2 * $1))" "$(sinkctl s get mails)"
}

down_in_the_instant_of_their_birth__120_servers_on_one_thread__are_mailed_once_each() {
	start 1
	added 120
}

down_in_the_instant_of_their_birth__120_servers_on_four_threads__are_mailed_once_each() {
	start 4
	added 120
}

# HAProxy drops many of the SERVER_ADD: their subscription is one of those with more than 100 events to come.
down_in_the_instant_of_their_birth__600_servers_on_four_threads__are_mailed_once_each() {
	start 4
	added 600
}

drained_in_the_instant_of_their_birth__50_servers__are_mailed_once_each() {
	haproxy_tells_state || return 0
	start 4
	cli h "$(line 50 'add server be/d& 127.0.0.1:1;enable server be/d&;set server be/d& state drain')" > /dev/null
	sinkctl s wait 50 $WAIT_S > /dev/null
	cli h "$(line 50 'set server be/d& health down')"
	sinkctl s wait 100 $WAIT_S > /dev/null
	equal 50 "$(in_turn draindown)"
}

# in_turn KINDS: of how many servers the alerts are these, in this order.
in_turn() {
	alerts_of s | awk -v want="$1" '{ kinds[$2] = kinds[$2] $3 } END { for (s in kinds) n += kinds[s] == want; print n + 0 }'
}

# A server that is watched loses nothing when it is deleted, though the event is handled after its end.
deleted_right_after_its_alert__a_server__loses_no_alert() {
	local n=50

	start 4
	cli h "$(line $n 'add server be/d& 127.0.0.1:1;enable server be/d&')" > /dev/null
	until_true $WAIT_S said 'many servers were added' || fail "the servers were not gone through"
	cli h "$(line $n 'set server be/d& health down;set server be/d& health up')"
	sinkctl s wait $((2 * n)) $WAIT_S > /dev/null
	equal $n "$(cli h "$(line $n 'set server be/d& health down;set server be/d& state maint;del server be/d&')" |
		grep -c 'Server deleted')"
	sinkctl s wait $((3 * n)) $WAIT_S > /dev/null
	equal $n "$(in_turn downupdown)"
}

# HAProxy writes a line for each change of a server's state: these are the mails to come.
changes() { grep -c "^.WARNING.*Server be/s1 is $1, changed from CLI" "$TMPDIR/h.out" || true; }

mails() { alerts_of s ops@example.org be/s1 | grep -c "$1" || true; }

# storm FIRST SECOND: four connections set the health of s1 to FIRST and SECOND, 200 times in turn, all at once.
# SECOND is the last state. It ends when the plugin has looked at the server, and said so.
storm() {
	local i pids=()

	looks_before=$(looks)
	for i in 1 2 3 4; do
		cli h "$(line 200 "set server be/s1 health $1;set server be/s1 health $2")" &
		pids+=($!)
	done
	wait "${pids[@]}"
	until_true $WAIT_S more_looks "$looks_before" || fail "the server was not looked at"
	# The drain is the last event: when its mail was accepted those before it were.
	cli h 'set server be/s1 state drain'
	until_true $WAIT_S same "$((++drains))" mails drain || fail "no mail of the drain"
	cli h 'set server be/s1 state ready'
	equal "$2" "$(alerts_of s ops@example.org be/s1 | grep -v drain | tail -n 1 | cut -d ' ' -f 3)" "the last mail"
}

looks() { grep -c 'mailers: .*events of this server' "$TMPDIR/h.out" || true; }
more_looks() { [ "$(looks)" -gt "$1" ]; }

# settle: compares the mails of the last storm with what HAProxy wrote. Each event is mailed, or the log tells that
# events are missing; a count that it gives is exact.
settle() {
	local down up said told

	down=$(($(changes DOWN) - $(mails down) - missing_down))
	up=$(($(changes UP) - $(mails up) - missing_up))
	missing_down=$((missing_down + down))
	missing_up=$((missing_up + up))
	said=$(grep -o 'mailers: be/s1: .*events of this server.*' "$TMPDIR/h.out" | tail -n +$((looks_before + 1)))
	echo "    missing $down DOWN and $up UP of $(changes DOWN) and $(changes UP) so far; $said"
	case $said in
	*'dropped events of this server'*)
		told=$(sed -n 's/.*, \([0-9]*\) times DOWN among them.*/\1/p' <<< "$said" | awk '{ n += $1 } END { print n }')
		# One that was found by looking was dropped, and is mailed: one a look at most.
		[ -z "$told" ] || [ "$told" = "$down" ] || equal "$told" "$((down + $(wc -l <<< "$said")))" "dropped DOWN"
		;;
	*'may have dropped others'*) ;;
	*) equal "0 0" "$down $up" "missing mails" ;;
	esac
}

# storms TEXT: two storms over the server of that text, the first of which leaves it up, the second down.
storms() {
	local drains=0 missing_down=0 missing_up=0 looks_before

	start 4 "$1"
	storm down up
	settle
	storm up down
	settle
}

storm_of_events__of_a_server_with_checks__mails_the_last_state_and_tells_the_loss() {
	haproxy_tells_state || return 0
	tool_start target tcp_target
	# shellcheck disable=SC2154
	storms "server s1 127.0.0.1:$target_port check inter 1h"
	! said 'may have dropped' || fail "HAProxy's own count was not used"
}

storm_of_events__of_a_server_without_checks__mails_the_last_state_and_tells_the_doubt() {
	haproxy_tells_state || return 0
	storms "server s1 127.0.0.1:1"
	! said 'none was dropped' || fail "there was nothing to know it from"
}

# Four backends with the same server, which goes down, up, and down again.
levels__a_backend__mails_what_its_level_asks_for() {
	local name text=''

	sink_start s --log "$TMPDIR/s.log"
	tool_start target tcp_target
	# shellcheck disable=SC2154
	for name in silent default notice info; do
		text+="backend $name
			option log-health-checks
			server s1 127.0.0.1:$target_port check inter 50ms fall 1 rise 1"$'\n'
		[ $name = silent ] || text+="
			email-alert mailers m
			email-alert from ha@example.org
			email-alert to $name@example.org
			email-alert myhostname lb.example.org"$'\n'
		[ $name = silent ] || [ $name = default ] || text+="email-alert level $name"$'\n'
	done
	haproxy_start h <<-END
		$text
		$(alerts_mailers m "$s_port")
	END
	until_true $WAIT_S same 4 checked UP
	sinkctl target close 1
	until_true $WAIT_S same 4 checked DOWN
	sinkctl target open 1
	until_true $WAIT_S same 4 checked UP
	sinkctl target close 1
	for name in default notice info; do
		until_true $WAIT_S same 2 downs_of $name || fail "$name: $(alerts_of s $name@example.org)"
	done
	equal "down down" "$(kinds default)"
	equal "down up down" "$(kinds notice)"
	equal "down up down" "$(kinds info | sed 's/ *report */ /g; s/^ *//; s/ *$//')"
	[ "$(kinds info | grep -o report | wc -l)" -ge 3 ] || fail "reports: $(kinds info)"
	equal "" "$(alerts_of s '' silent/s1)"
}

checked() { cli h 'show stat -1 4 -1' | cut -d , -f 18 | grep -cx "$1"; }
kinds() { alerts_of s "$1@example.org" "$1/s1" | cut -d ' ' -f 3 | xargs; }
downs_of() { kinds "$1" | grep -ow down | wc -l; }

# once N: each of 20 servers was mailed down and up N times, by whichever process.
once() {
	cli h "$(line 20 'set server be/s& health down')"
	cli h "$(line 20 'set server be/s& health up')"
	sinkctl s wait $((40 * $1)) $WAIT_S > /dev/null
	equal "" "$(alerts_of s | alerts_odd "$1" 20)"
	equal $((40 * $1)) "$(sinkctl s get mails)"
}

# A module that each thread's Lua opens still watches and sends once.
in_every_mode__lua_load_per_thread__mails_once() {
	echo > "$TMPDIR/empty.lua"
	haproxy_global+=$'\n\t'"lua-load-per-thread $haproxy_load"
	haproxy_load=$TMPDIR/empty.lua
	start 4 "$(line 20 'server s& 127.0.0.1:1' | tr ';' '\n')"
	once 1
}

in_every_mode__a_daemon__mails_once() {
	how=-D
	start 4 "$(line 20 'server s& 127.0.0.1:1' | tr ';' '\n')"
	once 1
	haproxy_stop h
}

another_pid() { local pid; pid=$(haproxy_pid h) && [ -n "$pid" ] && [ "$pid" != "$1" ]; }

# Each worker mails its own events, once; up to 3.0 they are forked from a process that ran the init functions.
in_every_mode__workers_of_a_master__mail_once() {
	local i pid

	how=-W
	start 4 "$(line 20 'server s& 127.0.0.1:1' | tr ';' '\n')"
	once 1
	for i in 2 3; do
		pid=$(haproxy_pid h)
		kill -USR2 "$(cat "$TMPDIR/h.first")"
		until_true $WAIT_S another_pid "$pid" || fail "no new worker"
		once $i
	done
	haproxy_is_up h
	haproxy_stop h
}

tests_run
