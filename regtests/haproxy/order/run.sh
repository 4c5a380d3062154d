#!/bin/bash
# For one server the mails of one recipient are accepted in the order of its events, always: whatever the mailer does
# with the mails of others, and with this one.
. "$(dirname "$0")/../../lib/alerts.sh"

SERVERS=50
FLAPS=20
# Mails of one mailer, a mail for each recipient: each flap is two events, for two recipients.
RCPTS=$((SERVERS * FLAPS * 2 * 2))

mail_timeout=30s
haproxy_global=$'tune.bufsize 131072\n\tnbthread 4'

# flap FROM TO: takes the servers down and up, all of them in turn, on one line of commands.
flap() {
	local i k text=''

	for ((i = 0; i < FLAPS; i++)); do
		for ((k = $1; k <= $2; k++)); do text+="set server be/s$k health down;"; done
		for ((k = $1; k <= $2; k++)); do text+="set server be/s$k health up;"; done
	done
	cli h "$text"
}

# flap_all PORT PORT: 5 connections flap 10 servers each, 20 times, with two recipients at each of the two mailers.
flap_all() {
	local i pids=()

	haproxy_start h <<-END
		$(alerts_backend be m 'ops@example.org, late@example.org')
		$(for ((i = 1; i <= SERVERS; i++)); do echo "server s$i 127.0.0.1:1"; done)
		$(alerts_mailers m "$@")
	END
	for ((i = 1; i <= SERVERS; i += 10)); do
		flap $i $((i + 9)) &
		pids+=($!)
	done
	wait "${pids[@]}"
}

# complete SINK: everything arrived once, and in order.
complete() {
	sinkctl "$1" wait rcpts $RCPTS $WAIT_S > /dev/null
	equal "" "$(alerts_of "$1" | alerts_odd $FLAPS $((2 * SERVERS)))" "$1"
	equal "$RCPTS" "$(alerts_count "$1")" "$1: alerts"
	equal "$((SERVERS * FLAPS * 2))" "$(alerts_count "$1" late@example.org)" "$1: alerts for late@"
	equal 0 "$(sinkctl "$1" get violations)" "$1: $(sinkctl "$1" violation)"
}

in_order() { [ -z "$(alerts_of "$1" | alerts_once | alerts_odd $FLAPS $((2 * SERVERS)))" ]; }

# One mailer is slow, the other one defers a recipient at the start and in the middle, and takes 30 mails a connection.
fifty_flapping_servers__one_slow_mailer_and_one_deferred_recipient__keep_their_order_everywhere() {
	sink_start slow --log "$TMPDIR/slow.log" --rule 'dot delay 4'
	sink_start moody --log "$TMPDIR/moody.log" --rule 'rcpt match late@ times 4 reply 450 4.2.1 later' \
		--rule 'rcpt match late@ from 300 times 4 reply 450 4.2.1 later' --rule 'mail limit 30'
	# shellcheck disable=SC2154
	flap_all "$slow_port" "$moody_port"
	complete slow
	complete moody
	# Not "^mailers": HAProxy writes its warnings in pieces to the same file, and a line of the log may stand amid one.
	equal 8 "$(grep -c 'mailers: be/.* deferred at RCPT for 1 recipient (<late@' "$TMPDIR/h.out")" "deferred mails"
}

# A mail whose acceptance was lost with its connection comes once more, but nothing overtakes it.
fifty_flapping_servers__a_mailer_whose_connections_break__keep_their_order() {
	local done

	sink_start s --log "$TMPDIR/s.log" --rule 'dot delay 2'
	sink_start spare
	# shellcheck disable=SC2154
	flap_all "$s_port" "$spare_port" &
	for done in 400 1600; do
		sinkctl s wait rcpts $done $WAIT_S > /dev/null
		sinkctl s drop
	done
	wait $!
	sinkctl s wait rcpts $RCPTS $WAIT_S > /dev/null
	until_true $WAIT_S in_order s || fail "$(alerts_of s | alerts_once | alerts_odd $FLAPS $((2 * SERVERS)))"
	[ "$(grep -c 'mailers: mailer m1 .* failed: ' "$TMPDIR/h.out")" -ge 2 ] || fail "no connection broke"
}

tests_run
