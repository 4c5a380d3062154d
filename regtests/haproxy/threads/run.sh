#!/bin/bash
# Threads and durations: the mails of an outage refer to one id, which is none other's, and a recovery says how long the
# server was down. The threads are those that a mail program makes of the mails that arrived (threads.py).
. "$(dirname "$0")/../../lib/alerts.sh"

WAIT_S=60
LONG_S=2 # outages that are compared with what HAProxy counts last for so long
HERE=$(dirname "$0")

mail_timeout=30s
alert_level=info

# settings: the file of stdin becomes the settings file
settings() {
	cat > "$TMPDIR/settings.lua"
	haproxy_load="$MAILERS_LUA $TMPDIR/settings.lua"
}

both_on() { settings <<< 'return { mailers = { ["*"] = { tls = "none" } }, threads = true, durations = true }'; }

# The mail servers a and b, whose mails stand in folders of their names.
sinks() {
	mkdir "$TMPDIR/a" "$TMPDIR/b"
	sink_start a --mail-dir "$TMPDIR/a"
	sink_start b --mail-dir "$TMPDIR/b"
}

# start NAME [OPTION]... <<END: a HAProxy with the servers of stdin in the backend be, which mails to two people over
# a and b.
start() {
	local name=$1

	shift
	# shellcheck disable=SC2154
	haproxy_start "$name" "$@" < <(
		alerts_backend be m 'ops@example.org, boss@example.org'
		cat
		alerts_mailers m "$a_port" "$b_port"
	)
}

# mails N: waits until both have so many.
mails() {
	sinkctl a wait mails "$1" $WAIT_S > /dev/null
	sinkctl b wait mails "$1" $WAIT_S > /dev/null
	equal "$1 $1" "$(sinkctl a get mails) $(sinkctl b get mails)" mails
}

# tell COUNT COMMAND: the command, and the mail number COUNT that comes of it at either server.
tell() {
	cli h "$2" > /dev/null
	mails "$1"
}

# mail SINK NUMBER: without the envelope that the sink writes before it.
mail() { tr -d '\r' < "$TMPDIR/$1/$(printf %06d "$2").eml" | sed -n '/^From: /,$p'; }

# Its body in one line, "|" for each line's end.
body() { mail "$1" "$2" | sed '1,/^$/d' | tr '\n' '|'; }

# id SINK NUMBER: what that mail refers to; "-" for nothing. Both headers say the same.
id() {
	local references replies

	references=$(mail "$1" "$2" | sed -n '/^$/q; s/^References: //p')
	replies=$(mail "$1" "$2" | sed -n '/^$/q; s/^In-Reply-To: //p')
	equal "$references" "$replies" "mail $2 of $1"
	echo "${references:--}"
}

# ids N: of both servers' mails 1 to N, one a line; they are the same.
ids() {
	local i of_a of_b

	for ((i = 1; i <= $1; i++)); do
		of_a=$(id a "$i")
		of_b=$(id b "$i")
		equal "$of_a" "$of_b" "mail $i"
		echo "$of_a"
	done
}

# threads WANTED: what a mail program makes of the mails, for the folder of either server.
threads() {
	local sink

	for sink in a b; do
		equal "$1" "$(python3 "$HERE/threads.py" "$TMPDIR/$sink")" "threads of $sink"
	done
}

# stat HAPROXY SERVER FIELD: of HAProxy's statistics
stat() {
	cli "$1" 'show stat be 4 -1' | awk -F , -v server="$2" -v field="$3" '
		NR == 1 { for (i = 1; i <= NF; i++) if ($i == field) k = i }
		$2 == server { print $k }'
}

# The seconds for which HAProxy has seen it down, and since its state began.
downtime() { stat "$1" "$2" downtime; }
since() { stat "$1" "$2" lastchg; }

down_for() { [ "$(since "$1" "$2")" -ge "$3" ]; }

# seconds NUMBER: how long the server was down by that mail, which is the same at both servers.
seconds() {
	local said

	said=$(mail a "$1" | sed -n 's/^The server was down for \(.*\)\.$/\1/p')
	equal "$said" "$(mail b "$1" | sed -n 's/^The server was down for \(.*\)\.$/\1/p')"
	case $said in
	'less than a second') echo 0 ;;
	'1 second' | *' seconds') echo "${said% second*}" ;;
	*) fail "mail $1 says '$said': $(mail a "$1")" ;;
	esac
}

# HAProxy subtracts whole seconds, and tells of both ends a moment later: one second more or less.
close_to() { [ $(($1 - $2)) -ge -1 ] && [ $(($1 - $2)) -le 1 ] || fail "the mail says $1 s, HAProxy $2 s"; }

outages__two_of_one_server_and_one_of_another__are_threads_of_their_own() {
	local before of

	both_on
	sinks
	tool_start target tcp_target
	# shellcheck disable=SC2154
	start h <<< "server s1 127.0.0.1:$target_port check inter 1h
		server s2 127.0.0.1:$target_port check inter 1h"
	tell 1 'set server be/s1 health down'
	tell 2 'set server be/s2 health down'
	until_true $WAIT_S down_for h s1 $LONG_S || fail "HAProxy has no time"
	tell 3 'set server be/s1 health up'
	before=$(downtime h s1)
	close_to "$(seconds 3)" "$before"
	tell 4 'set server be/s1 health down'
	tell 5 'set server be/s2 health up'
	close_to "$(seconds 5)" "$(downtime h s2)"
	tell 6 'set server be/s1 health up'
	close_to "$(seconds 6)" $(($(downtime h s1) - before))
	threads $'be/s1:down be/s1:up\nbe/s2:down be/s2:up\nbe/s1:down be/s1:up'
	ids 6 > "$TMPDIR/ids"
	mapfile -t of < "$TMPDIR/ids"
	equal 3 "$(sort -u "$TMPDIR/ids" | grep -c '^<outage\.[0-9]*\.[0-9]*\.[0-9a-z]*@lb.example.org>$')" "ids"
	equal "${of[0]} ${of[1]} ${of[3]}" "${of[2]} ${of[4]} ${of[5]}"
	! grep -qF "${of[0]}" <(mail a 1 | grep -i '^Message-ID:') || fail "the id of a mail"
	# The subject stays, the paragraph stands behind the text.
	mail a 3 | grep -qx 'Subject: \[HAProxy Alert\] Server be/s1 is UP, changed from CLI\..*in queue'
	body a 3 | grep -q '^Server be/s1 is UP, .* in queue||The server was down for [0-9]* seconds*\.||$'
	body a 1 | grep -q '^Server be/s1 is DOWN, [^|]*||$'
}

without_the_settings__mails__are_the_legacy_ones() {
	settings <<< 'return { mailers = { ["*"] = { tls = "none" } } }'
	sinks
	start h <<< 'server s1 127.0.0.1:1'
	tell 1 'set server be/s1 health down'
	tell 2 'set server be/s1 health up'
	! grep -iE '^(References|In-Reply-To):|was down' "$TMPDIR"/[ab]/*.eml || fail "not off"
	body a 2 | grep -q '^Server be/s1 is UP, changed from CLI\.[^|]*||$'
	equal 'From To Date Subject Message-ID MIME-Version Content-Type Content-Transfer-Encoding Auto-Submitted' \
		"$(mail a 2 | sed '/^$/,$d; s/: .*//' | xargs)"
}

down_now() { cli h 'show stat be 4 -1' | grep -q "^be,$1,.*,DOWN"; }

while_it_is_down__drain__belongs_to_the_outage__maintenance_ends_it() {
	local t1

	haproxy_tells_state || return 0
	both_on
	sinks
	tool_start target tcp_target
	# shellcheck disable=SC2154
	start h <<< "server s1 127.0.0.1:$target_port check inter 1h
		server t1 127.0.0.1:$target_port track s1"
	cli h 'set server be/t1 state maint'
	tell 1 'set server be/s1 health down'
	tell 2 'set server be/s1 state drain'
	cli h 'set server be/s1 state ready'
	tell 3 'set server be/s1 health up'
	tell 4 'set server be/s1 state drain' # nothing is down
	cli h 'set server be/s1 state ready'
	tell 5 'set server be/s1 health down'
	cli h 'set server be/s1 state maint'
	cli h 'set server be/s1 state ready' # up, without a mail
	tell 6 'set server be/s1 health down'
	tell 7 'set server be/s1 health up'
	# Out of maintenance t1 is down at once, without a mail, as it tracks a server that is.
	tell 8 'set server be/s1 health down'
	cli h 'set server be/t1 state ready'
	until_true $WAIT_S down_now t1 || fail "t1 is not down"
	cli h 'set server be/s1 health up'
	mails 10
	threads "$(printf '%s\n' 'be/s1:down be/s1:drain be/s1:up' be/s1:drain be/s1:down 'be/s1:down be/s1:up' \
		'be/s1:down be/s1:up' be/t1:up)"
	equal - "$(id a 4)"
	[ "$(id a 5)" != "$(id a 6)" ] || fail "maintenance did not end the outage"
	seconds 7 > /dev/null
	t1=$(grep -l '^Subject: .*Server be/t1 is UP' "$TMPDIR"/a/*.eml)
	grep -q '^References: <outage' "$t1" || fail "$(cat "$t1")"
	grep -q '^The server was down for' "$t1" || fail "$(cat "$t1")"
}

slowstart__two_ups__are_in_the_thread_and_the_first_alone_says_how_long() {
	both_on
	sinks
	tool_start target tcp_target
	# shellcheck disable=SC2154
	start h <<< "server s1 127.0.0.1:$target_port check inter 1h slowstart 2s"
	tell 1 'set server be/s1 health down'
	cli h 'set server be/s1 health up'
	mails 3
	threads 'be/s1:down be/s1:up be/s1:up'
	close_to "$(seconds 2)" "$(downtime h s1)"
	! mail a 3 | grep 'was down' || fail "the second UP says how long it was down"
	# Out of maintenance there is one UP, at the end of slowstart, and no outage before it: a server was counted as down
	# from the first of the two events of that to the second.
	cli h 'set server be/s1 state maint'
	cli h 'set server be/s1 state ready'
	mails 4
	equal - "$(id b 4)"
	! mail a 4 | grep 'was down' || fail "maintenance is no outage"
}

checks__reports_of_a_server_that_is_down__belong_to_the_outage() {
	both_on
	sinks
	tool_start target tcp_target
	# shellcheck disable=SC2154
	start h <<< "option log-health-checks
		server s1 127.0.0.1:$target_port check inter 100ms fall 2 rise 2"
	until_true $WAIT_S same up last || fail "not up"
	sinkctl target close 1
	until_true $WAIT_S same down last || fail "not down"
	sinkctl target open 1
	until_true $WAIT_S same up last || fail "not up again"
	python3 "$HERE/threads.py" "$TMPDIR/a" | grep -x 'be/s1:down be/s1:report.* be/s1:up' > "$TMPDIR/threads" ||
		fail "$(python3 "$HERE/threads.py" "$TMPDIR/a")"
	equal 1 "$(wc -l < "$TMPDIR/threads")"
	python3 "$HERE/threads.py" "$TMPDIR/a" | grep -x 'be/s1:report' > "$TMPDIR/threads"
}

# The last state of s1 that the mails of a tell, "up" before the first: at the start it is.
last() {
	local state

	state=$(grep -hoE '^Subject: .* is (UP|DOWN)' "$TMPDIR"/a/*.eml 2> /dev/null | tail -n 1)
	case $state in
	*DOWN) echo down ;;
	*) echo up ;;
	esac
}

# A server of the same name that is added after the first was deleted, which may have its number (puid) too; both were
# down before anyone could hear of it, so their DOWN comes from a look.
added_and_deleted__a_server_of_the_same_name__has_other_outages() {
	local i

	haproxy_tells_state || return 0
	both_on
	sinks
	start h <<< 'balance roundrobin'
	for i in 0 1; do
		tell $((2 * i + 1)) 'add server be/s1 127.0.0.1:1;enable server be/s1;set server be/s1 health down'
		tell $((2 * i + 2)) 'set server be/s1 health up'
		cli h 'set server be/s1 state maint;del server be/s1' > "$TMPDIR/deleted"
		grep -q 'Server deleted' "$TMPDIR/deleted" || fail "$(cat "$TMPDIR/deleted")"
	done
	threads $'be/s1:down be/s1:up\nbe/s1:down be/s1:up'
	seconds 2 > /dev/null
	seconds 4 > /dev/null
}

# The new process mails DOWN by the state file, and UP follows that; HAProxy has kept since when.
reload__in_an_outage__begins_a_thread_and_tells_the_whole_time() {
	local server

	haproxy_tells_state || return 0
	both_on
	sinks
	tool_start target tcp_target
	haproxy_global="server-state-file $TMPDIR/state"
	# shellcheck disable=SC2154
	server="load-server-state-from-file global
		server s1 127.0.0.1:$target_port check inter 1h"
	start h <<< "$server"
	tell 1 'set server be/s1 health down'
	until_true $WAIT_S down_for h s1 $LONG_S || fail "HAProxy has no time"
	cli h 'show servers state' > "$TMPDIR/state"
	haproxy_stop h
	rm "$TMPDIR/h.cli" "$TMPDIR/h.pid"
	start h <<< "$server"
	mails 2
	mail a 2 | grep -q 'changed from server-state after a reload'
	tell 3 'set server be/s1 health up'
	threads $'be/s1:down\nbe/s1:down be/s1:up'
	[ "$(seconds 3)" -ge $((LONG_S - 1)) ] || fail "$(mail a 3)"
	close_to "$(seconds 3)" "$(downtime h s1)"
}

tests_run
