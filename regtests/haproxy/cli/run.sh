#!/bin/bash
# Commands on HAProxy's command line: the same answers from each thread, in both ways of loading; what changes something is
# off unless the settings allow it, and works when they do.
. "$(dirname "$0")/../../lib/alerts.sh"

WAIT_S=60
THREADS=4

# start SINK...: a HAProxy with a command line for each thread, h1.cli and so on, and a backend of each sink's name; settings
# are $settings.
settings=
start() {
	local i sink port

	printf 'return { %s }\n' "$settings" > "$TMPDIR/settings.lua"
	haproxy_load="$MAILERS_LUA $TMPDIR/settings.lua"
	haproxy_global="nbthread $THREADS"
	for ((i = 1; i <= THREADS; i++)); do
		haproxy_global+=$'\n\t'"stats socket $TMPDIR/h$i.cli level admin thread $i"
	done
	haproxy_start h < <(for sink in "$@"; do port=${sink}_port; proxy_text "$sink" "${!port}"; done)
}

down() { cli h "set server $1/s1 health down"; }

# Answers that differ in nothing but the ages and the room for them.
shape() { sed -E 's/\b[0-9]+(ms|[smhd])\b/AGE/g; s/ +/ /g; s/-+/-/g'; }

# each_mode TEST...: under lua-load and per thread, with one thread and several
each_mode() {
	local directive threads

	for directive in lua-load lua-load-per-thread; do
		for threads in 1 4; do
			haproxy_directive=$directive THREADS=$threads
			"$@"
			haproxy_stop h
			rm -f "$TMPDIR"/h*.cli "$TMPDIR"/h.*
		done
	done
}

# --- show -------------------------------------------------------------------------------------------------

ask_everywhere() {
	local command i

	start s
	down s
	same_within $WAIT_S 1 sent
	for command in 'show mailers' 'show mailers alerts'; do
		cli h "$command" | shape > "$TMPDIR/first"
		equal 2 "$(wc -l < "$TMPDIR/first")" "lines of $command: $(cat "$TMPDIR/first")"
		for ((i = 0; i < 40; i++)); do
			cli h$((i % THREADS + 1)) "$command" | shape | cmp - "$TMPDIR/first" || fail "$haproxy_directive, thread $i: another answer"
		done
	done
	grep -q 's/s1 .* accepted .*Server s/s1 is DOWN' "$TMPDIR/first" || fail "$(cat "$TMPDIR/first")"
	cli h show mailers | grep -q "^m1 .* 127.0.0.1:$s_port .* UP " || fail "$(cli h show mailers)"
}

sent() { cli h show mailers alerts | grep -c accepted; }

show__from_each_thread_in_both_ways_of_loading__is_the_same() {
	sink_start s
	each_mode ask_everywhere
}

# More than one buffer of HAProxy's holds, and the last hundred of them.
show__of_many_alerts__is_whole() {
	local i

	sink_start s
	start s
	for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
		cli h "$(yes 'set server s/s1 health down;set server s/s1 health up;' | head -n 5 | tr -d '\n')"
	done
	sinkctl s wait mails 120 $WAIT_S > "$TMPDIR/waited"
	same_within $WAIT_S 100 sent
	cli h show mailers alerts > "$TMPDIR/answer"
	equal 101 "$(wc -l < "$TMPDIR/answer")" "lines"
	equal 100 "$(grep -c 's/s1 .* accepted .*Server s/s1 is ' "$TMPDIR/answer")" "alerts"
	[ "$(wc -c < "$TMPDIR/answer")" -gt 16384 ]
}

show__of_an_unknown_word__says_how() {
	sink_start s
	start s
	equal 'usage: show mailers [alerts]' "$(cli h show mailers mails)"
}

help__of_haproxy__tells_the_commands() {
	sink_start s
	start s
	cli h help > "$TMPDIR/help"
	for usage in 'show mailers \[alerts\]' 'mailers test <proxy> \[<mailer>\]' 'mailers flush \[<mailer>\]' \
		'mailers pause \[<mailer>\]' 'mailers resume \[<mailer>\]'; do
		grep -q "^  $usage  *: [a-z]" "$TMPDIR/help" || fail "no $usage: $(grep mailer "$TMPDIR/help")"
	done
	cli h show info | grep -q '^Tainted: 0x40' || fail "HAProxy's own show commands: $(cli h show info | head -n 3)"
}

# --- what changes something -------------------------------------------------------------------------------

refuse_all() {
	local command

	start s
	for command in 'mailers test s' 'mailers flush' 'mailers pause' 'mailers resume'; do
		cli h$THREADS "$command" | grep -q '^not allowed here: .*commands = true' || fail "$command: $(cli h "$command")"
	done
	down s
	sinkctl s wait mails $((++mails)) $WAIT_S > "$TMPDIR/waited"
	equal "$mails" "$(sinkctl s get mails)" "mails"
}

commands__that_the_settings_do_not_allow__are_refused() {
	mails=0
	sink_start s
	each_mode refuse_all
}

# The other backend's mail comes, so the paused one's could have come.
pause_and_resume() {
	local thread

	settings='commands = true'
	for ((thread = 1; thread <= THREADS; thread += 3)); do
		start s other
		equal '1 mailer paused' "$(cli h$thread mailers pause s/m1)"
		down s
		down other
		sinkctl other wait mails $((++mails)) $WAIT_S > "$TMPDIR/waited"
		equal $((mails - 1)) "$(sinkctl s get mails)" "mails of the paused mailer"
		equal '1 mailer resumed' "$(cli h$thread mailers resume s/m1)"
		sinkctl s wait mails $mails $WAIT_S > "$TMPDIR/waited"
		[ $thread = $THREADS ] || [ $THREADS = 1 ] || { haproxy_stop h; rm -f "$TMPDIR"/h*.cli "$TMPDIR"/h.*; }
	done
}

pause__holds_what_is_raised__until_resume() {
	mails=0
	sink_start s
	sink_start other
	each_mode pause_and_resume
}

# It is down and would be tried again in an hour.
flush_it() {
	settings='commands = true, mailers = { ["*"] = { fall = 1, inter = "1h" } }'
	sinkctl s rule 'ehlo times 1 reply 421 4.3.2 not now'
	start s
	down s
	until_true $WAIT_S grep -q 'mailers: mailer m1 .* is down after 1 failure' "$TMPDIR/h.out" || fail "not down: $(cat "$TMPDIR/h.out")"
	equal '1 mailer flushed' "$(cli h$THREADS mailers flush m1)"
	sinkctl s wait mails $((++mails)) $WAIT_S > "$TMPDIR/waited"
}

flush__of_a_mailer_that_is_down__has_it_tried_at_once() {
	mails=0
	sink_start s
	each_mode flush_it
}

command__on_a_mailer_that_is_none__says_so() {
	settings='commands = true'
	sink_start s
	start s
	equal 'no such mailer: give the id of a mailer line, or proxy/id; see show mailers' "$(cli h mailers flush m2)"
}

# --- tests of a mailer ------------------------------------------------------------------------------------

# in_order FILE PATTERN...: lines that match, in this order
in_order() {
	local file=$1 line=0 next pattern

	shift
	for pattern in "$@"; do
		next=$(tail -n "+$((line + 1))" "$file" | grep -n -m 1 -e "$pattern" | cut -d : -f 1)
		[ -n "$next" ] || fail "no '$pattern' behind line $line: $(cat "$file")"
		line=$((line + next))
	done
}

# HAProxy 2.8.0 would end by a signal when the client goes away.
haproxy_may_follow() {
	case $("$HAPROXY_PROGRAM" -v) in
	*' version 2.8.0-'*) echo "    not with HAProxy 2.8.0"; return 1 ;;
	esac
}

test__with_an_haproxy_that_may_crash__is_refused() {
	haproxy_may_follow && return 0
	settings='commands = true'
	sink_start s
	start s
	cli h mailers test s | grep -q '^not with this HAProxy, .*update it' || fail "$(cli h mailers test s)"
}

test_it() {
	settings='commands = true'
	start s
	cli h$THREADS mailers test s > "$TMPDIR/said"
	in_order "$TMPDIR/said" "^\* m1: connecting to 127.0.0.1:$s_port\$" '^< 220 ' '^> EHLO ' '^< 250' '^> MAIL FROM:<ha@example.org>' \
		'^> RCPT TO:<ops@example.org>' '^> DATA' '^< 354 ' '^< 250 2.0.0 ' '^\* accepted at message ' '^> QUIT' '^\* m1: accepted' \
		'^test: accepted$'
	equal $((++mails)) "$(sinkctl s get mails)" "mails"
}

test__of_a_mailer__prints_each_step() {
	haproxy_may_follow || return 0
	mails=0
	sink_start s --mail-dir "$TMPDIR/mails"
	each_mode test_it
	grep -qi '^Subject: .*test' "$TMPDIR/mails/"* || fail "it does not say that it is a test: $(head -n 20 "$TMPDIR/mails/"*)"
}

QUIET_S=6 # longer than the tasks may be still while there is work

# A bug: the time without work was taken for a stall, each test said that the tasks were gone and started new ones.
test__after_a_quiet_time__starts_no_tasks() {
	haproxy_may_follow || return 0
	settings='commands = true'
	sink_start s
	start s
	down s
	sinkctl s wait mails 1 $WAIT_S > "$TMPDIR/waited"
	sleep $QUIET_S # no wait for anything: the time is what is tested
	cli h$THREADS mailers test s | grep -q '^test: accepted$' || fail "$(cli h mailers test s)"
	! grep 'tasks .* are gone' "$TMPDIR/h.out" || fail "they are not"
}

test__of_a_mailer_that_refuses__prints_its_answer() {
	haproxy_may_follow || return 0
	settings='commands = true'
	sink_start s --rule 'rcpt reply 550 5.1.1 no such user'
	start s
	cli h mailers test s m1 > "$TMPDIR/said"
	in_order "$TMPDIR/said" ' RCPT TO:<ops@example.org>' ' 550 5.1.1 no such user' '^test: refused$'
}

test__of_a_mailer_that_is_not_there__says_so() {
	haproxy_may_follow || return 0
	settings='commands = true'
	sink_start s
	sinkctl s close-listener
	start s
	cli h mailers test s > "$TMPDIR/said"
	in_order "$TMPDIR/said" 'm1' '^test: unreachable$'
}

test__of_a_mailer_that_hangs__ends_with_its_timeout() {
	settings='commands = true'
	haproxy_tells_timeout || return 0
	sink_start s --rule 'mail mute'
	start s
	cli h mailers test s > "$TMPDIR/said"
	in_order "$TMPDIR/said" ' MAIL FROM:' 'time' '^test: failed$'
	same_within $WAIT_S 0 sinkctl s get open
}

test__whose_client_goes_away__is_ended() {
	haproxy_may_follow || return 0
	settings='commands = true'
	mail_timeout=120s
	sink_start s --rule 'mail mute'
	start s
	perl -MIO::Socket::UNIX -e '
		alarm 20;
		my $s = IO::Socket::UNIX->new(Peer => shift @ARGV) or exit 1;
		print $s "mailers test s\n";
		while (<$s>) { exit 0 if /MAIL FROM/ }
		exit 1;' "$TMPDIR/h.cli" || fail "no dialogue"
	same_within $WAIT_S 0 sinkctl s get open
	sinkctl s clear
	down s
	sinkctl s wait mails 1 $WAIT_S > "$TMPDIR/waited"
}

test__of_a_proxy_that_is_none__says_so() {
	haproxy_may_follow || return 0
	settings='commands = true'
	sink_start s
	start s
	cli h mailers test nope | grep -q nope || fail "$(cli h mailers test nope)"
	equal 'usage: mailers test <proxy> [<mailer>]' "$(cli h mailers test)"
}

tests_run
