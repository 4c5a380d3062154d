#!/bin/bash
# Errors in the plugin's Lua tasks, and tasks that HAProxy ends: sending goes on, no alert is lost, nothing spins, and each
# mail has its one line in the log.
. "$(dirname "$0")/../../lib/proxy.sh"

HERE=$(cd "$(dirname "$0")" && pwd)
WAIT_S=60
mail_timeout=2s

# broken NAME [FAULT]...: a HAProxy with these faults (faults.lua), its mail server, and a backend with servers s1 and s2
broken() {
	local name=$1 port

	shift
	sink_start "$name" --mail-dir "$TMPDIR/$name.mails"
	port=${name}_port
	haproxy_global="nbthread 1
		tune.lua.burst-timeout 100
		lua-load $HERE/faults.lua $*"
	haproxy_start "$name" < <(proxy_text "$name" "${!port}" | sed 's|server s1 .*|&\nserver s2 127.0.0.1:1|')
}

# arrived NAME SERVER: the mail server has the mail of its fall.
arrived() { grep -qs "^Subject: .* Server $1/$2 is DOWN" "$TMPDIR/$1.mails/"*; }

goes_down() { cli "$1" "set server $1/$2 health down"; }

# calls NAME [WHERE]: calls of one of the functions that faults.lua counts, or of all
calls() { cli "$1" show faults | awk -v where="${2:-}" '{ for (i = 1; i < NF; i += 2) if (!where || $i == where) n += $(i + 1) } END { print n + 0 }'; }

lines() { grep -c '^mailers: ' "$TMPDIR/$1.out" || true; }

report() { cli "$1" show faults; tail -n 20 "$TMPDIR/$1.out"; }

# alerts_survive FAULT...: one HAProxy a fault. An alert is raised, and when its mail came, the next; both come.
alerts_survive() {
	local i where first faults=("$@")

	for i in "${!faults[@]}"; do
		broken "h$i" "${faults[i]}"
		goes_down "h$i" s1
	done
	for i in "${!faults[@]}"; do
		until_true $WAIT_S arrived "h$i" s1 || fail "${faults[i]}: no mail: $(report "h$i")"
		goes_down "h$i" s2
	done
	for i in "${!faults[@]}"; do
		until_true $WAIT_S arrived "h$i" s2 || fail "${faults[i]}: no second mail: $(report "h$i")"
		until_true $WAIT_S no_sockets_to "h$i" "$(eval "echo \$h${i}_port")" || fail "${faults[i]}: sockets stay open"
		[ "$(lines "h$i")" -lt 20 ] || fail "${faults[i]}: too many lines: $(report "h$i")"
		[ "$(calls "h$i")" -lt 3000 ] || fail "${faults[i]}: too many calls: $(report "h$i")"
		IFS=: read -r where _ first _ <<< "${faults[i]}"
		[ "$(calls "h$i" "$where")" -ge "$first" ] || fail "${faults[i]}: it never came to that: $(report "h$i")"
		equal 0 "$(sinkctl "h$i" get violations)" "${faults[i]}: $(sinkctl "h$i" violation)"
	done
}

error__at_any_call__loses_no_alert() {
	alerts_survive tcp:raise:1:1 settimeout:raise:1:1 settimeout:late:2:1 connect:raise:1:1 \
		getsockname:raise:1:1 getpeername:raise:1:1 send:raise:1:1 send:raise:3:1 send:late:2:1 \
		receive:raise:1:1 receive:raise:100:1 receive:late:150:1 close:raise:1:1 close:late:1:1 \
		log:raise:1:2 queue:raise:5:1 register_task:raise:4:1 push:raise:1:1 push:raise:2:1 push:raise:3:1 \
		push:raise:4:1 pop_wait:raise:1:5 pop:raise:1:3 msleep:raise:1:3
}

# replaced N: each of the HAProxys h0 to h<N-1> said that it replaced a task
replaced() {
	local i

	for ((i = 0; i < $1; i++)); do
		until_true $WAIT_S grep -q -e "^mailers: a connection's task is gone and was replaced" \
			-e '^mailers: the tasks that send mails are gone' "$TMPDIR/h$i.out" || fail "not replaced: $(report "h$i")"
	done
}

task_that_haproxy_ended__is_replaced__no_alert_lost() {
	haproxy_survives_ended_tasks || return 0
	alerts_survive tcp:burn:1:1 connect:burn:1:1 send:burn:2:1 receive:burn:5:1 receive:burn:150:1 close:burn:1:1 \
		pop_wait:burn:4:1 pop_wait:burn:2:1
	replaced 8
}

holder_that_haproxy_ended__is_replaced__when_there_is_work() {
	local mail_timeout=60s

	haproxy_survives_ended_tasks || return 0
	broken h0 pop_wait:burn:1:1
	sinkctl h0 rule 'ehlo times 1 mute'
	goes_down h0 s1
	until_true $WAIT_S grep -q '^mailers: the task that keeps a stopping process is gone' "$TMPDIR/h0.out" || fail "$(report h0)"
	sinkctl h0 drop
	until_true $WAIT_S arrived h0 s1 || fail "no mail: $(report h0)"
}

task_that_hangs__is_replaced__no_alert_lost() {
	alerts_survive tcp:hang:1:1 send:hang:2:1 receive:hang:5:1 receive:hang:60:1 close:hang:1:1
	replaced 5
}

# No task notices it: the handlers of events do. Here one comes each second.
tasks_that_are_all_gone__with_the_next_events__come_back() {
	local name

	haproxy_survives_ended_tasks || return 0
	broken both pop_wait:burn:2:2
	broken watch msleep:burn:1:1
	sinkctl watch rule 'ehlo times 1 mute'
	goes_down both s1
	goes_down watch s1
	sinkctl watch wait connections 1 $WAIT_S > "$TMPDIR/waited"
	until_true $WAIT_S arrived_with_events both watch || fail "no mail: $(report both) $(report watch)"
	equal 1 "$(revivals both)" "revivals of both"
	[ "$(revivals watch)" -lt 2 ] || fail "revived too often: $(report watch)"
	for name in both watch; do
		[ "$(calls $name)" -lt 10000 ] || fail "$name: too many calls: $(report $name)"
	done
}

revivals() { grep -c '^mailers: the tasks that send mails are gone, new ones are started' "$TMPDIR/$1.out" || true; }

# HAProxy 2.8.0 dies by a signal when a queue is filled for which a task waited that it ended.
haproxy_survives_ended_tasks() {
	[ "$haproxy_version" -ge 300 ] || { echo "    not before HAProxy 3.0, which may not survive it"; return 1; }
}

arrived_with_events() {
	local name gone=0

	for name in "$@"; do
		arrived "$name" s1 && continue
		gone=1
		[ $SECONDS = "${asked:-}" ] || cli "$name" "set server $name/s2 health down; set server $name/s2 health up"
	done
	asked=$SECONDS
	return $gone
}

error__at_every_call__does_not_spin() {
	local i where faults=()

	for where in tcp:1 connect:1 send:1 receive:1 close:1 settimeout:2 log:1 queue:5 register_task:4 push:1 pop_wait:1 \
		pop:1 msleep:1; do
		faults+=("${where%:*}:raise:${where#*:}:1000000")
	done
	for i in "${!faults[@]}"; do
		broken "h$i" "${faults[i]}"
		goes_down "h$i" s1
	done
	for i in "${!faults[@]}"; do
		until_true $WAIT_S failed_twice "h$i" "${faults[i]}" || fail "${faults[i]}: it ended: $(report "h$i")"
		[ "$(lines "h$i")" -lt 40 ] || fail "${faults[i]}: too many lines: $(report "h$i")"
		[ "$(calls "h$i")" -lt 3000 ] || fail "${faults[i]}: too many calls: $(report "h$i")"
	done
	arrived h6 s1 || fail "no mail without a log: $(report h6)"
}

# failed_twice NAME FAULT: raises an event, as some tasks do nothing without one.
failed_twice() {
	local where first

	IFS=: read -r where _ first _ <<< "$2"
	cli "$1" "set server $1/s2 health down; set server $1/s2 health up"
	[ "$(calls "$1" "$where")" -gt "$first" ]
}

# --- the log ----------------------------------------------------------------------------------------------

# A line is told by its facility and level, <134> for local0.info, whatever the release writes between it and the text.
log_lines() { sed -n "s/^<$1>.*\(mailers: .*\)/\1/p" "$TMPDIR/log.log"; }

log__of_each_mail__is_one_line() {
	local port

	syslog_start log
	sink_start s --rule 'dot from 2 times 1 reply 250 2.0.0 \x1b[31mred \xe4 and\x07 \\ queued as 4711' \
		--rule 'dot from 3 times 1 reply 250-2.0.0 first line\r\n250 2.0.0 second line' \
		--rule 'rcpt match nobody@ reply 550 5.1.1 no such user'
	port=$s_port
	haproxy_log="log 127.0.0.1:$log_port local0"
	haproxy_start h < <(
		proxy_text one "$port"
		proxy_text three "$port" '"a@example.org, b@example.org, c@example.org"'
		proxy_text no "$port" '"nobody@example.org, a@example.org"'
	)
	cli h set server one/s1 health down
	sinkctl s wait mails 1 $WAIT_S > "$TMPDIR/waited"
	cli h set server three/s1 health down
	sinkctl s wait mails 2 $WAIT_S > "$TMPDIR/waited"
	cli h set server one/s1 health up
	sinkctl s wait mails 3 $WAIT_S > "$TMPDIR/waited"
	cli h set server no/s1 health down
	sinkctl s wait mails 4 $WAIT_S > "$TMPDIR/waited"
	until_true $WAIT_S log_has 134 4
	haproxy_stop h USR1
	equal 4 "$(log_lines 134 | wc -l)" "lines of mails that were accepted"
	log_lines 134 > "$TMPDIR/lines"
	expect_line 1 "one/s1 via m1 (127.0.0.1:$port): accepted for 1 recipient after DELAY: 250 2.0.0 Ok: taken"
	expect_line 2 "three/s1 via m1 (127.0.0.1:$port): accepted for 3 recipients after DELAY: $(
		printf %s '250 2.0.0 \x1b[31mred \xe4 and\x07 \x5c queued as 4711')"
	expect_line 3 "one/s1 via m1 (127.0.0.1:$port): accepted for 1 recipient after DELAY: 250 2.0.0 first line / 2.0.0 second line"
	expect_line 4 "no/s1 via m1 (127.0.0.1:$port): accepted for 1 recipient after DELAY: 250 2.0.0 Ok: taken"
	equal 1 "$(log_lines 131 | wc -l)" "lines of recipients that were refused"
	log_lines 131 | grep -q "^mailers: no/s1 via m1 (127.0.0.1:$port): refused at RCPT for 1 recipient (<nobody@example.org>) after .*: 550 5.1.1 no such user: "
	equal 5 "$(grep -c mailers: "$TMPDIR/log.log")" "lines of ours"
}

log_has() { [ "$(log_lines "$1" | wc -l)" -ge "$2" ]; }

expect_line() {
	equal "mailers: $2" "$(sed -n "$1s/ after [0-9]*\.[0-9][0-9][0-9]s: / after DELAY: /p" "$TMPDIR/lines")" "line $1"
}

tests_run
