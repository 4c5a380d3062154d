#!/bin/bash
# Nobody's trouble is another's: a mute, slow or dead mailer delays no other mailer, one proxy's alerts delay no
# other's, a deferred recipient delays no other, and what waits for a mute mailer is bounded.
#
# Nothing is measured: a mailer that answers never, or not before it is told to, is still waited for when all that
# others were to get has arrived.
. "$(dirname "$0")/../../lib/alerts.sh"

mail_timeout=60s
haproxy_global=$'tune.bufsize 131072\n\tnbthread 4'

# servers N TEXT: N server lines, s1 and so on; & in TEXT stands for the number.
servers() { seq "$1" | sed "s|.*|server s$2|"; }
# line N TEXT: the commands TEXT for the servers 1 to N, all on one line.
line() { seq "$1" | sed "s|.*|$2;|" | tr -d '\n'; }

flap() { cli h "$(line "$1" 'set server be/s& health down;set server be/s& health up')"; }

# beside RULE: 200 servers go down and up, for a good mailer and for one with that fault.
beside() {
	sink_start bad --log "$TMPDIR/bad.log" --rule "$1"
	sink_start good --log "$TMPDIR/good.log"
	haproxy_start h <<-END
		$(alerts_backend be m)
		$(servers 200 '& 127.0.0.1:1')
		$(alerts_mailers m "$bad_port" "$good_port")
	END
	flap 200
	sinkctl good wait 400 $WAIT_S > /dev/null
	equal "" "$(alerts_of good | alerts_odd 1 200)"
	equal 0 "$(sinkctl bad get mails)" "mails of the bad mailer"
}

# The connections to the bad mailer are the first ones and still there: nobody had to wait for their end.
still_waits() {
	[ "$(sinkctl bad get open)" -ge 1 ] || fail "nothing waits for the bad mailer"
	equal "$(sinkctl bad get connections)" "$(sinkctl bad get open)" "open connections of the bad mailer"
}

a_bad_mailer__that_greets_never__delays_no_other() {
	beside 'greeting mute'
	still_waits
}

a_bad_mailer__that_answers_no_mail__delays_no_other() {
	beside 'dot mute'
	still_waits
}

a_bad_mailer__that_drips__delays_no_other() {
	beside 'ehlo drip 60000'
	still_waits
}

a_bad_mailer__that_defers_everything__delays_no_other() {
	beside 'mail reply 450 4.3.2 not now'
}

a_bad_mailer__that_is_dead__delays_no_other() {
	sink_start dead
	sink_start good --log "$TMPDIR/good.log"
	sinkctl dead close-listener
	haproxy_start h <<-END
		$(alerts_backend be m)
		$(servers 200 '& 127.0.0.1:1')
		$(alerts_mailers m "$dead_port" "$good_port")
	END
	flap 200
	sinkctl good wait 400 $WAIT_S > /dev/null
	equal "" "$(alerts_of good | alerts_odd 1 200)"
}

# 5,000 alerts of one proxy wait for a mailer that is down; the alert of another proxy, raised last, is among the
# first mails that it takes when it is back.
two_proxies_of_one_mailer__five_thousand_alerts_of_one__delay_the_other_by_no_more_than_a_few() {
	local i text='' position

	sink_start s --log "$TMPDIR/s.log"
	sinkctl s close-listener
	haproxy_start h <<-END
		$(alerts_backend many m)
		$(servers 500 '& 127.0.0.1:1 track be/s1')
		$(alerts_backend few m)
		server s1 127.0.0.1:1
		backend be
		server s1 127.0.0.1:1 check inter 1h
		$(alerts_mailers m "$s_port")
	END
	for i in 1 2 3 4 5; do text+='set server be/s1 health down;set server be/s1 health up;'; done
	cli h "$text"
	cli h 'set server few/s1 health down'
	until_true $WAIT_S same 1 downs_seen few
	sinkctl s open-listener
	sinkctl s wait 5001 $WAIT_S > /dev/null
	position=$(alerts_of s | grep -n ' few/s1 ' | cut -d : -f 1)
	echo "    mail $position of $(sinkctl s get mails)"
	[ "$position" -le 16 ] || fail "it came as mail $position"
	equal "" "$(alerts_of s ops@example.org | grep many/ | alerts_odd 5 500)"
}

downs_seen() { grep -c "Server $1/s1 is DOWN" "$TMPDIR/h.out"; }

# The lanes of the deferred recipient wait; as soon as the mailer takes it, it gets everything, in order.
two_recipients__one_of_whom_is_deferred__the_other_has_everything_before() {
	sink_start s --log "$TMPDIR/s.log" --rule 'rcpt match late@ reply 450 4.2.1 later'
	haproxy_start h <<-END
		$(alerts_backend be m 'ops@example.org, late@example.org')
		$(servers 20 '& 127.0.0.1:1')
		$(alerts_mailers m "$s_port")
	END
	flap 20
	flap 20
	sinkctl s wait 80 $WAIT_S > /dev/null
	equal "" "$(alerts_of s ops@example.org | alerts_odd 2 20)"
	equal 0 "$(alerts_count s late@example.org)"
	sinkctl s clear
	sinkctl s wait rcpts 160 $WAIT_S > /dev/null
	equal "" "$(alerts_of s | alerts_odd 2 40)"
}

# A route holds 50,000 alerts. Beyond that check reports go first, then the oldest changes of state; what is dropped is
# told once a burst, and memory does not grow any more.
a_route__over_its_bound__drops_check_reports_first_and_says_how_many() {
	local drop dropped reports

	sink_start s --log "$TMPDIR/s.log" --rule 'greeting mute'
	tool_start target tcp_target
	alert_level=info
	haproxy_global+=$'\n\tmax-spread-checks 1ms'
	# shellcheck disable=SC2154
	haproxy_start h <<-END
		$(alerts_backend many m)
		option log-health-checks
		$(servers 1000 '& 127.0.0.1:1 track be/s1')
		$(seq 20 | sed "s|.*|server c& 127.0.0.1:$target_port check inter 1ms rise 1 fall 100000|")
		backend be
		server s1 127.0.0.1:$target_port check inter 1h
		$(alerts_mailers m "$s_port")
	END
	until_true $WAIT_S checked_up 21 || fail "the servers are not up"
	# Each check that fails from now on is a report: the health of the servers goes down by one.
	sinkctl target close 1
	until_true $WAIT_S reports 2100 || fail "no failed checks"
	cli h "$(line 20 'disable health many/c&')" > /dev/null

	toggle 48
	until_true $WAIT_S same 1 drops || fail "nothing is said about dropped alerts"
	drop=$(last_drop)
	dropped=${drop%% *}
	equal "$dropped dropped, queued 50000: $dropped check reports, 0 state changes" "$drop"
	toggle 30
	until_true $WAIT_S same 2 drops || fail "nothing is said about the second burst"
	drop=$(last_drop)
	reports=$(sed 's/.*: \([0-9]*\) check reports.*/\1/' <<< "$drop")
	equal "30000 dropped, queued 50000: $reports check reports, $((dropped + 30000 - reports)) state changes" "$drop"
	# The first 2,000 places were theirs; what is in flight is not dropped.
	[ $((reports - dropped)) -ge 1990 ] && [ $((reports - dropped)) -le 2000 ] || fail "$reports check reports dropped"

	# What is left are the latest alerts of each server, in their order.
	sinkctl s clear
	sinkctl s drop
	sinkctl s wait 50000 $WAIT_S > /dev/null
	equal 1000 "$(alerts_of s ops@example.org | awk '
		$2 ~ /^many\/s/ && last[$2] != $3 { last[$2] = $3; n[$2]++; total[$2]++; next }
		{ total[$2]++ }
		END { for (s in n) if (n[s] == total[s] && n[s] >= 49 && last[s] == "up") good++; print good }')" "servers in order"
}

# toggle N: takes the server that all others track down and up, N changes of state in all.
toggle() {
	cli h "$(seq "$1" | awk '{ printf "set server be/s1 health %s;", $1 % 2 ? "down" : "up" }')"
}

drops() { grep -c 'mailers: .* alerts dropped, ' "$TMPDIR/h.out"; }
last_drop() {
	sed -n 's/^.*mailers: .*: \([0-9]* \)alerts \(dropped, \).* \(queued [0-9]*\) .* start\(: .*\)/\1\2\3\4/p' "$TMPDIR/h.out" |
		tail -n 1
}
checked_up() { [ "$(cli h 'show stat -1 4 -1' | grep -c ',UP[^,]*,.*,\(. \)*L4OK,')" = "$1" ]; }
# Each of them cost one of 100,000 points of health, "UP 99990/100000".
reports() {
	[ "$(cli h 'show stat -1 4 -1' | awk -F '[,/ ]' '$19 ~ /^[0-9]+$/ && $20 == 100000 { n += $20 - $19 } END { print n + 0 }')" -ge "$1" ]
}

tests_run
