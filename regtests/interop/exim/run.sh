#!/bin/bash
# The plugin and a real Exim, private and on loopback: what arrives is what was sent, to those to whom it was sent,
# once.
#
# Exim 4.96 answers the next MAIL with 503 when one recipient of the mail before was refused in a pipelined envelope,
# and then takes what follows as if it came from the sender before: the refused recipient below is there for that.
# shellcheck disable=SC2154 # ports are set by name
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../site.sh"
. "$here/../../lib/exim.sh"

if ! exim_get; then
	echo "could not get Exim's packages"
	echo "0 passed, 1 failed"
	exit 1
fi

mta_stop() { [ ! -d "$TMPDIR/exim" ] || exim_stop "$TMPDIR/exim"; }

# start <number of servers> <email-alert to>
start() {
	exim_start "$TMPDIR/exim" ops@example.org second@example.org third@example.org
	box=$TMPDIR/exim/mail
	ops=ops@example.org=$box/ops@example.org/new
	second=second@example.org=$box/second@example.org/new
	third=third@example.org=$box/third@example.org/new
	site_start "$1" "$exim_port" "$2"
}

stop() {
	site_stop
	[ ! -s "$TMPDIR/exim/log/panic" ] || fail "$(cat "$TMPDIR/exim/log/panic")"
	if grep -E 'protocol|syntax|synchronization|unexpected|timeout' "$TMPDIR/exim/log/main"; then
		fail "Exim complained"
	fi
}

exim__an_address_list__reaches_all_of_it() {
	start 1 'Ops <ops@example.org>, \"Fault, Finder\" <second@example.org> (on call); \"Zürich\" <third@example.org>'
	site_servers down
	site_arrive 1 "$ops" "$second" "$third"
	site_said 'www/s1 via mta .*: accepted for 3 recipients after .*: 250 OK id='
	site_servers up
	site_arrive 2 "$ops" "$second" "$third"
	stop
}

exim__an_unknown_recipient__is_refused_alone() {
	start 50 'ops@example.org, ghost@example.org, second@example.org'
	site_servers down
	site_arrive 50 "$ops" "$second"
	site_servers up
	site_arrive 100 "$ops" "$second"
	equal 100 "$(grep -c 'via mta .*: refused at RCPT for 1 recipient (<ghost@example\.org>)' "$TMPDIR/log")" refused
	equal 100 "$(grep -c 'via mta .*: accepted for 2 recipients' "$TMPDIR/log")" accepted
	stop
}

exim__200_servers_at_once__arrive_once() {
	start 200 'ops@example.org, second@example.org'
	site_servers down
	site_arrive 200 "$ops" "$second"
	site_servers up
	site_arrive 400 "$ops" "$second"
	stop
}

tests_run
