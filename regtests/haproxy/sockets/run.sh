#!/bin/bash
# Sockets of HAProxy's and mail servers that hang, drip, babble or do not let go: `timeout mail` cuts them at any step, the
# alert is sent again, HAProxy lives on and keeps no descriptor.
. "$(dirname "$0")/../../lib/proxy.sh"

WAIT_S=60 # for a busy machine: every wait ends with its condition

# server NAME [OPTION]...: a mail server and a backend of that name. The texts of all backends are in <texts>, their
# names and ports in <names> and <ports>.
names=() ports=() texts=
server() {
	local name=$1 port

	shift
	sink_start "$name" "$@"
	port=${name}_port
	names+=("$name")
	ports+=("${!port}")
	texts+=$(proxy_text "$name" "${!port}")$'\n'
}

take_down_all() {
	printf -v commands 'set server %s/s1 health down;' "${names[@]}"
	cli h "${commands%;}"
}

# Each mail server gets its one mail, no socket stays, and HAProxy is the one that was started.
all_is_well() {
	local name

	for name in "${names[@]}"; do
		sinkctl "$name" wait mails 1 $WAIT_S > "$TMPDIR/waited" || fail "$name got no mail: $(cat "$TMPDIR/h.out")"
	done
	until_true $WAIT_S no_sockets_to h "${ports[@]}" || fail "sockets stay open"
	for name in "${names[@]}"; do
		equal 1 "$(sinkctl "$name" get mails)" "mails at $name"
		equal 0 "$(sinkctl "$name" get violations)" "$name: $(sinkctl "$name" violation)"
	done
	equal "$(cat "$TMPDIR/h.pid")" "$(haproxy_pid h)"
}

ended() { ! sinkctl "$1" stats > /dev/null 2>&1; }

# failures PORT: how many failed sessions HAProxy logged of that mail server
failures() { grep -c "^mailers: mailer m1 (.*:$1) failed: " "$TMPDIR/h.out" || true; }

# timeout__at_any_step: a fault on the first connection, and none on the second.
fault__at_each_step__is_cut_and_the_alert_sent_again() {
	local step fault i

	haproxy_tells_timeout || return 0
	for step in greeting ehlo mail rcpt data; do
		for fault in mute half 'drip 300' 'long 20000' 'repeat 300 250-more\r\n'; do
			server "f${#names[@]}" --rule "$step times 1 $fault"
		done
	done
	haproxy_start h <<< "$texts"
	take_down_all
	all_is_well
	for i in "${!names[@]}"; do
		[ "$(sinkctl "${names[i]}" get connections)" -ge 2 ] || fail "${names[i]}: one connection did it"
		[ "$(failures "${ports[i]}")" -ge 1 ] || fail "${names[i]}: no failure"
	done
	haproxy_stop h USR1
}

end_of_a_connection__at_each_step__sends_the_alert_again() {
	local step fault

	for step in connect greeting ehlo mail rcpt data dot; do
		for fault in close reset garbage; do
			server "e${#names[@]}" --rule "$step times 1 $fault"
		done
	done
	haproxy_start h <<< "$texts"
	take_down_all
	all_is_well
	haproxy_stop h USR1
}

# No step is late by itself; and one that is, on a connection that was idle before.
timeout_mail__is_a_total__over_all_steps() {
	local mail_timeout=3s

	haproxy_tells_timeout || return 0
	server total --ehlo 8BITMIME --rule 'any conn 1 delay 900'
	server idle --rule 'ehlo times 1 delay 2000' --rule 'mail times 1 mute'
	server slow --rule 'any conn 1 delay 50'
	haproxy_start h <<< "$texts"
	take_down_all
	all_is_well
	[ "$(failures "$total_port")" -ge 1 ]
	[ "$(failures "$idle_port")" -ge 1 ]
	equal 0 "$(failures "$slow_port")"
	haproxy_stop h USR1
}

# The kernel would try for two minutes, and 3.4 and newer wait for it. Another connection that hangs is none of ours.
connect_that_hangs__is_cut__and_no_other() {
	local check

	haproxy_tells_timeout || return 0
	sink_start other --no-accept
	server hangs --no-accept
	texts+="
		backend other
			timeout connect 60s
			timeout check 60s
			server s1 127.0.0.1:$other_port check inter 60s"
	haproxy_start h <<< "$texts"
	until_true $WAIT_S test -n "$(sockets_to h "$other_port")"
	check=$(sockets_to h "$other_port")
	take_down_all
	until_true $WAIT_S grep -q "^mailers: mailer m1 (.*:$hangs_port) failed: timeout at connect" "$TMPDIR/h.out" ||
		fail "no timeout: $(cat "$TMPDIR/h.out")"
	until_true $WAIT_S no_sockets_to h "$hangs_port" || fail "the socket stays open"
	sinkctl hangs quit
	until_true $WAIT_S ended hangs
	sink_start hangs --listen "127.0.0.1:$hangs_port"
	all_is_well
	equal "$check" "$(sockets_to h "$other_port")" "the socket of a health check"
	sinkctl other quit
	haproxy_stop h USR1
}

mailer__on_ipv6__is_cut_too() {
	grep -q '^0*1 ' /proc/net/if_inet6 || { echo "    no IPv6 loopback here"; return 0; }
	server six --listen '[::1]:0' --rule 'ehlo times 1 mute'
	haproxy_start h <<< "${texts//127.0.0.1:$six_port/[::1]:$six_port}"
	take_down_all
	all_is_well
	[ "$(failures "$six_port")" -ge 1 ]
	grep -q "^mailers: six/s1 via m1 (::1:$six_port): accepted for 1 recipient " "$TMPDIR/h.out"
	haproxy_stop h USR1
}

# A unix socket has no names to be found by; of the four that are open to a server, the mute one is cut.
mailer__on_a_unix_socket__is_cut_too() {
	local name=mailers-test-$$-$RANDOM before

	haproxy_tells_timeout || return 0
	mail_timeout=2s
	sink_start path --listen "unix:$TMPDIR/path.sock" --log "$TMPDIR/path.log" --rule 'mail times 1 repeat 300 250-more\r\n'
	sink_start abns --listen "abns:$name" --log "$TMPDIR/abns.log" --rule 'mail times 1 drip 300'
	server tcp
	cat > "$TMPDIR/settings.lua" <<-END
		return { extra = { path = { address = "unix@$TMPDIR/path.sock" }, abns = { address = "abns@$name" } } }
	END
	haproxy_load="$MAILERS_LUA $TMPDIR/settings.lua"
	haproxy_start h < <(sed 's/server s1 .*/&\nserver s2 127.0.0.1:1\nserver s3 127.0.0.1:1\nserver s4 127.0.0.1:1/' <<< "$texts")
	before=$(find "/proc/$(cat "$TMPDIR/h.pid")/fd" -lname 'socket:*' | wc -l)
	cli h 'set server tcp/s1 health down;set server tcp/s2 health down;set server tcp/s3 health down;set server tcp/s4 health down'
	for name in path abns; do
		sinkctl $name wait mails 4 $WAIT_S > "$TMPDIR/waited" || fail "$name got not all: $(cat "$TMPDIR/h.out")"
		same_within $WAIT_S 0 sinkctl $name get open
		equal 4 "$(cut -f 6 "$TMPDIR/$name.log" | sort -u | wc -l)" "different mails at $name"
		equal 4 "$(sinkctl $name get mails)" "mails at $name"
		equal 1 "$(grep -c "^mailers: mailer $name (.*) failed: timeout " "$TMPDIR/h.out")" "failures of $name"
	done
	until_true $WAIT_S eval '[ $(find "/proc/$(cat "$TMPDIR/h.pid")/fd" -lname "socket:*" | wc -l) -le $before ]' ||
		fail "sockets stay open"
	haproxy_stop h USR1
}

# The mail is accepted: however the rest goes, it is sent once, nobody is blamed, and the descriptor goes.
quit__whatever_comes_of_it__leaves_no_socket() {
	local name mail_timeout=10s

	server good
	server mute --rule 'quit mute'
	server open --rule 'quit reply 221 bye'
	server drip --rule 'quit drip 300'
	server more --rule 'quit repeat 300 221-more\r\n'
	server late --rule 'quit delay 700'
	server refuse --rule 'quit reply 500 no'
	server fin --rule 'quit close'
	server rst --rule 'quit reset'
	server babble --rule 'quit garbage'
	haproxy_start h <<< "$texts"
	take_down_all
	all_is_well
	for name in "${names[@]}"; do
		equal 1 "$(sinkctl "$name" get connections)" "connections to $name"
		equal 1 "$(sinkctl "$name" get quits)" "QUITs at $name"
	done
	if grep failed: "$TMPDIR/h.out"; then fail "it is no failure"; fi
	haproxy_stop h USR1
}

tests_run
