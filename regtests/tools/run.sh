#!/bin/bash
# The test programs themselves: what they say is right, what a client does wrong is seen, faults happen as told.
# once
. "$(dirname "$0")/../lib/test.sh"
. "$(dirname "$0")/secure.sh"

# mail RECIPIENT [LINE]...: one mail in lock step
mail() {
	local line

	say 'MAIL FROM:<a@example.org>'; hear 250
	say "RCPT TO:<$1>"; hear 250
	say 'DATA'; hear 354
	shift
	for line in "$@"; do
		say "$line"
	done
	say '.'
}

hello() {
	talk "$1"
	hear 220
	say 'EHLO client.example'
	hear 250
}

sink__a_mail__is_kept_as_it_came() {
	sink_start s --mail-dir "$TMPDIR/mails" --log "$TMPDIR/log"
	hello "$s_port"
	equal $'250-sink\n250-PIPELINING\n250-8BITMIME\n250-ENHANCEDSTATUSCODES\n250 SIZE 10485760\n' "$reply"
	mail b@example.org 'Subject: one' '' '..dots' ' .x'
	hear 250
	say QUIT
	hear 221
	hear_end
	equal 1 "$(sinkctl s wait 1 10)"
	{
		printf 'MAIL FROM:<a@example.org>\nRCPT TO:<b@example.org>\nEHLO client.example\nCONNECTION 1\nTIME\n\n'
		printf 'Subject: one\r\n\r\n.dots\r\n .x\r\n'
	} | cmp - <(sed 's/^TIME [0-9]*$/TIME/' "$TMPDIR/mails/000001.eml")
	equal $'1\t1\t28\tMAIL FROM:<a@example.org> RCPT TO:<b@example.org>\tone' "$(cut -f 1,2,4-6 "$TMPDIR/log")"
	equal 0 "$(sinkctl s get violations)"
}

sink__pipelined_mails__are_answered_in_order() {
	local i

	sink_start s --rule 'rcpt match no@ reply 550 5.1.1 no such user'
	hello "$s_port"
	say_at_once 'MAIL FROM:<a@b>\r\nRCPT TO:<no@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n'
	for i in 250 550 250 354; do hear $i; done
	say_at_once 'x\r\n.\r\nRSET\r\nMAIL FROM:<>\r\nRCPT TO:<no@b>\r\nDATA\r\n'
	for i in 250 250 250 550 554; do hear $i; done
	equal "mails=1 rcpts=1 bytes=3 refused=3 violations=0 hits=2" "$(sinkctl s stats | cut -d ' ' -f 1-6)"
}

sink__helo_only__offers_nothing() {
	sink_start s --greeting '220 Welcome'
	talk "$s_port"
	hear 220
	equal $'220 Welcome\n' "$reply"
	say 'HELO client.example'
	hear 250
	equal $'250 sink\n' "$reply"
	mail b@example.org ''
	hear 250
}

sink__what_a_client_does_wrong__is_counted() {
	local row

	while IFS='|' read -r wanted row; do
		sink_start s --ehlo 8BITMIME
		hello "$s_port"
		say_at_once "$row"
		sinkctl s wait violations 1 20 > /dev/null
		equal "connection 1: $wanted" "$(sinkctl s violation)"
		sinkctl s quit
	done <<-'END'
		MAIL that is no MAIL FROM:<...>|MAIL FROM: <a@b>\r\n
		RCPT that is no RCPT TO:<...>|RCPT TO:a@b\r\n
		pipelining that was not offered|RSET\r\nMAIL FROM:<a@b>\r\n
		bytes after a command that ends a group|NOOP\r\nNOOP\r\n
		a command line that ends in a bare LF|NOOP\n
		a command that does not exist|FROB\r\n
		HELO or EHLO without a name|HELO\r\n
	END
}

sink__a_bare_line_feed_in_a_message__ends_nothing() {
	sink_start s
	hello "$s_port"
	say 'MAIL FROM:<a@b>'; hear 250
	say 'RCPT TO:<c@d>'; hear 250
	say DATA; hear 354
	say_at_once 'x\n.\nMAIL FROM:<evil@x>\r\n.\r\n'
	hear 250
	equal 1 "$(sinkctl s get mails)"
	equal "connection 1: a bare LF in a message" "$(sinkctl s violation)"
}

sink__bytes_before_a_late_greeting__are_a_violation() {
	sink_start s --rule 'greeting delay 300'
	talk "$s_port"
	say 'HELO early'
	hear 220
	hear 250
	equal 1 "$(sinkctl s get violations)"
}

sink__occurrences__are_counted_as_the_rule_says() {
	sink_start s --rule 'noop from 2 times 2 reply 450 busy' --rule 'rset each times 1 reply 451 once'
	hello "$s_port"
	for i in 250 450 450 250; do say NOOP; hear $i; done
	say RSET; hear 451
	say RSET; hear 250
	hello "$s_port"
	say NOOP; hear 250
	say RSET; hear 451
	sinkctl s clear
	say NOOP; hear 250
	sinkctl s rule 'noop conn 2 reply 452 second'
	say NOOP; hear 452
	hello "$s_port"
	say NOOP; hear 250
}

sink__mute_and_half_and_long__keep_the_connection() {
	local text

	sink_start s --rule 'noop mute' --rule 'rset half' --rule 'other long 70000'
	hello "$s_port"; say NOOP
	sinkctl s wait hits 1 20 > /dev/null
	hello "$s_port"; say RSET
	IFS= read -r -t 20 -N 3 text <&"$talk_fd"
	equal abc "$text"
	hello "$s_port"; say OTHER
	IFS= read -r -t 20 -N 70000 text <&"$talk_fd"
	equal 70000 "${#text}"
	equal 3 "$(sinkctl s get open)"
}

sink__slow_answers__arrive_whole() {
	sink_start s --rule 'noop drip 2' --rule 'ehlo drip 1 250-a\r\n250 b' --rule 'rset delay 20 reply 450 late'
	talk "$s_port"
	hear 220
	say 'EHLO x'
	hear 250
	say NOOP
	hear 250
	equal $'250 2.0.0 Ok\n' "$reply"
	say RSET
	hear 450
}

sink__repeat__never_ends() {
	local i

	sink_start s --rule 'ehlo repeat 1 250-more\r\n'
	talk "$s_port"
	hear 220
	say 'EHLO x'
	for i in 1 2 3 4 5 6 7 8; do
		IFS= read -r -t 20 line <&"$talk_fd"
		equal $'250-more\r' "$line"
	done
}

sink__ends_of_a_connection__are_as_told() {
	sink_start s --rule 'noop close' --rule 'rset reset' --rule 'mail reply-then-close 421 bye' --rule 'data limit 1'
	hello "$s_port"; say NOOP; hear_end
	hello "$s_port"; say RSET; hear_end
	hello "$s_port"; say 'MAIL FROM:<a@b>'; hear 421; hear_end
	sinkctl s clear
	sinkctl s rule 'mail limit 1'
	hello "$s_port"
	mail b@example.org ''; hear 250
	say 'MAIL FROM:<a@b>'; hear 421; hear_end
	sinkctl s wait open =0 20 > /dev/null
	equal 4 "$(sinkctl s get lost)"
}

sink__an_accepted_mail_without_an_answer__counts() {
	sink_start s --rule 'dot times 1 accept reset' --rule 'dot from 2 reset'
	hello "$s_port"; mail b@example.org ''
	sinkctl s wait lost 1 20 > /dev/null
	equal 1 "$(sinkctl s get mails)"
	hello "$s_port"; mail b@example.org ''
	sinkctl s wait lost 2 20 > /dev/null
	equal 1 "$(sinkctl s get mails)"
}

sink__the_listener__closes_and_opens_at_one_port() {
	sink_start s
	hello "$s_port"
	sinkctl s close-listener
	if (talk "$s_port") 2>/dev/null; then fail "connected"; fi
	say NOOP; hear 250
	sinkctl s drop
	hear_end
	sinkctl s open-listener
	hello "$s_port"
}

sink__no_accept__lets_a_connection_hang() {
	sink_start s --no-accept
	# Only the clock can tell a connection that hangs; on a busy machine this errs to the side of passing.
	timeout 1 bash -c 'exec 3<>/dev/tcp/127.0.0.1/$1' bash "$s_port" && fail connected
	equal 124 $?
}

sink__ipv6_and_unix_sockets__are_served() {
	sink_start s --listen '[::1]:0'
	exec {talk_fd}<>"/dev/tcp/::1/$s_port"
	talk_out=$talk_fd
	hear 220
	sink_start u --listen "unix:$TMPDIR/u.sock"
	equal "$TMPDIR/u.sock" "$u_port"
	[ -S "$TMPDIR/u.sock" ]
}

sink__other_addresses_and_bad_options__are_refused() {
	local row

	while IFS= read -r row; do
		# shellcheck disable=SC2086
		if eval "'$TOOLS/smtp_sink' --background $row" >"$TMPDIR/out" 2>&1; then
			fail "accepted: $row"
		fi
		grep -q '^smtp_sink: ' "$TMPDIR/out"
	done <<-'END'
		--listen 0.0.0.0:0
		--listen 192.0.2.1:25
		--listen '[::]:0'
		--listen 127.0.0.1:99999
		--listen unix:
		--rule ''
		--rule 'nowhere mute'
		--rule 'rcpt frobnicate'
		--rule 'rcpt times x mute'
		--rule 'rcpt drip'
		--rule 'rcpt mute now'
		--lifetime 0
		extra
	END
}

sink__chunking_and_auth__when_offered() {
	sink_start s --ehlo 'PIPELINING,CHUNKING,AUTH PLAIN LOGIN' --mail-dir "$TMPDIR/mails"
	hello "$s_port"
	say 'AUTH PLAIN AGEAYg=='; hear 235
	say 'AUTH LOGIN'; hear 503
	say_at_once 'MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 5\r\nabc\r\nBDAT 3 LAST\r\n.\r\n'
	for i in 250 250 250 250; do hear $i; done
	say QUIT; hear 221
	sinkctl s wait 1 10 > /dev/null
	printf 'abc\r\n.\r\n' | cmp - <(sed '1,/^$/d' "$TMPDIR/mails/000001.eml")
	equal 0 "$(sinkctl s get violations)"
}

# One mail by BDAT in one piece: bdat SENDER RECIPIENT TEXT
bdat() { printf 'MAIL FROM:<%s>\\r\\nRCPT TO:<%s>\\r\\nBDAT %d LAST\\r\\n%s\\r\\n' "$1" "$2" $((${#3} + 2)) "$3"; }
# When a command is answered, what came before it is in the log.
envelopes() { sinkctl s get mails > /dev/null; cut -f 5 "$TMPDIR/log" | sed 's/MAIL FROM:<\(.*\)> RCPT TO:<\(.*\)>/\1 \2/'; }

# Three transactions on their way at once, of which the second one's recipient is refused.
three_at_once() {
	local i

	sink_start s --ehlo PIPELINING,CHUNKING --log "$TMPDIR/log" --rule 'rcpt match no@ reply 550 5.1.1 no' "$@"
	hello "$s_port"
	say_at_once "$(bdat 1@x a@x one)$between$(bdat 2@x no@x two)$between$(bdat 3@x c@x three)"
	for i in $heard; do hear "$i"; done
}

sink__a_refused_recipient_in_a_pipeline__is_that_mail_alone() {
	between='' heard='250 250 250 250 550 503 250 250 250' three_at_once
	equal $'1@x a@x\n3@x c@x' "$(envelopes)"
}

sink__a_chunk_that_was_refused__is_the_end_of_its_mail() {
	local i

	sink_start s --ehlo PIPELINING,CHUNKING --log "$TMPDIR/log" --rule 'bdat times 1 reply 452 4.3.1 full'
	hello "$s_port"
	say_at_once 'MAIL FROM:<1@x>\r\nRCPT TO:<a@x>\r\nBDAT 3\r\none'
	for i in 250 250 452; do hear $i; done
	say_at_once "BDAT 5 LAST\r\nmore!RSET\r\n$(bdat 2@x b@x two)"
	for i in 503 250 250 250 250; do hear $i; done
	equal '2@x b@x' "$(envelopes)"
}

sink__exim_quirk__takes_the_next_mail_under_the_sender_of_the_refused_one() {
	between='' heard='250 250 250 250 550 503 503 250 250' three_at_once --exim-quirk
	equal $'1@x a@x\n2@x c@x' "$(envelopes)"
}

sink__exim_quirk__is_cured_by_rset() {
	between='RSET\r\n' heard='250 250 250 250 250 550 503 250 250 250 250' three_at_once --exim-quirk
	equal $'1@x a@x\n3@x c@x' "$(envelopes)"
}

sink__a_fault_inside_a_reply__comes_after_the_part_before_it() {
	local text

	sink_start s --rule 'ehlo conn 1 line 2 after 6 close' --rule 'ehlo conn 2 line 3 reply 250 other' \
		--rule 'ehlo conn 3 line 2 drip 1' --rule 'ehlo conn 4 after 3 half' --rule 'noop after 2 reset'
	talk "$s_port"; hear 220; say 'EHLO x'
	IFS= read -r -t 20 text <&"$talk_fd"; equal $'250-sink\r' "$text"
	IFS= read -r -t 20 -N 6 text <&"$talk_fd"; equal '250-PI' "$text"
	hear_end
	hello "$s_port"; equal $'250-sink\n250-PIPELINING\n250 other\n' "$reply"
	hello "$s_port"; equal $'250 SIZE 10485760\n' "$(tail -n 1 <<< "${reply%$'\n'}")"$'\n'
	talk "$s_port"; hear 220; say 'EHLO x'
	IFS= read -r -t 20 -N 6 text <&"$talk_fd"; equal 250abc "$text"
	hello "$s_port"; say NOOP
	IFS= read -r -t 20 -N 2 text <&"$talk_fd"; equal 25 "$text"
	hear_end
	equal 5 "$(sinkctl s get hits)"
}

sink__lines__are_as_many_as_wanted() {
	sink_start s --lines 3 --rule 'noop line 2 reply 450 x'
	hello "$s_port"
	equal 5 "$(wc -l <<< "${reply%$'\n'}")"
	say RSET; hear 250; equal $'250-2 more\n250-1 more\n250 2.0.0 Ok\n' "$reply"
	say NOOP; IFS= read -r -t 20 line <&"$talk_fd"; equal $'250-2 more\r' "$line"
	hear 450
}

sink__a_fault_inside_a_message__comes_after_its_bytes() {
	sink_start s --ehlo CHUNKING --log "$TMPDIR/log" --rule 'body match 1@x after 4 reset' \
		--rule 'body match 2@x after 2 reply 421 4.3.2 going down'
	hello "$s_port"
	say 'MAIL FROM:<1@x>'; hear 250; say 'RCPT TO:<a@x>'; hear 250; say DATA; hear 354
	say ab
	equal 0 "$(sinkctl s get hits)"
	say cd
	hear_end
	equal 1 "$(sinkctl s get hits)"
	hello "$s_port"
	say 'MAIL FROM:<2@x>'; hear 250; say 'RCPT TO:<a@x>'; hear 250
	say_at_once 'BDAT 4 LAST\r\nabcd'; hear 421; hear 250
	hello "$s_port"
	say 'MAIL FROM:<1@x>'; hear 250; say 'RCPT TO:<a@x>'; hear 250
	say_at_once 'BDAT 5 LAST\r\nabcde'; hear_end
	equal 3 "$(sinkctl s get hits)"
	equal 1 "$(sinkctl s get mails)"
	equal 0 "$(sinkctl s get violations)"
}

sink__match_at_the_dot__looks_into_the_message() {
	sink_start s --rule 'dot match srv2 reply 554 5.6.0 no'
	hello "$s_port"
	mail b@x 'Subject: srv1'; hear 250
	mail b@x 'Subject: srv2'; hear 554
}

sink__half_close__leaves_the_client_its_side() {
	sink_start s --rule 'noop half-close'
	hello "$s_port"
	say NOOP
	IFS= read -r -t 20 line <&"$talk_fd" && fail "got '$line'"
	equal 1 "$(sinkctl s get open)"
	say QUIT
	exec {talk_fd}>&-
	sinkctl s wait open =0 20 > /dev/null
}

sink__down_and_die__end_everything_and_come_back_at_the_same_port() {
	sink_start s --rule 'rset die 0' --rule 'mail die 1'
	hello "$s_port"
	say NOOP; hear 250
	sinkctl s down
	hear_end
	equal 0 "$(sinkctl s get up)"
	if (talk "$s_port") 2>/dev/null; then fail connected; fi
	sinkctl s up
	hello "$s_port"
	say RSET; hear_end
	if (talk "$s_port") 2>/dev/null; then fail connected; fi
	sinkctl s up
	hello "$s_port"
	say 'MAIL FROM:<a@b>'; hear_end
	sinkctl s wait up 1 20 > /dev/null
	hello "$s_port"
	sinkctl s down 1
	hear_end
	sinkctl s wait up 1 20 > /dev/null
	hello "$s_port"
}

sink__a_late_close__is_late() {
	local start

	sink_start s --rule 'noop delay 200 close'
	hello "$s_port"
	start=$(now_ms)
	say NOOP; hear_end
	[ $(($(now_ms) - start)) -ge 199 ] || fail "after $(($(now_ms) - start)) ms"
}

control__wait__ends_by_count_or_time() {
	sink_start s
	equal 0 "$(sinkctl s wait connections =0 10)"
	if sinkctl s wait 1 0.05 2> "$TMPDIR/err"; then fail "no time-out"; fi
	equal 'sinkctl: wait: TIMEOUT 0' "$(cat "$TMPDIR/err")"
	if sinkctl s wait frobs 1 1 2> "$TMPDIR/err"; then fail "no error"; fi
	if sinkctl s frob 2> "$TMPDIR/err"; then fail "no error"; fi
	equal 'sinkctl: frob: ERR no such command' "$(cat "$TMPDIR/err")"
	sinkctl s quit
	if sinkctl s stats 2> /dev/null; then fail "still there"; fi
}

now_ms() { echo $(("${EPOCHREALTIME/[.,]/}" / 1000)); }

delay_line__a_reply__takes_a_round_trip_at_least() {
	local start

	sink_start s
	tool_start d delay_line --delay-ms 20 --to "$s_port"
	start=$(now_ms)
	talk "$d_port"
	hear 220
	[ $(($(now_ms) - start)) -ge 79 ] || fail "the greeting came after $(($(now_ms) - start)) ms"
	start=$(now_ms)
	say NOOP
	hear 250
	[ $(($(now_ms) - start)) -ge 39 ] || fail "the reply came after $(($(now_ms) - start)) ms"
	say QUIT
	hear 221
	hear_end
	sinkctl d wait open =0 20 > /dev/null
	equal 12 "$(sinkctl d get bytes_up)"
}

delay_line__many_bytes__arrive_in_order() {
	sink_start s --mail-dir "$TMPDIR/mails"
	tool_start d delay_line --delay-ms 1 --to "$s_port"
	seq 1 200000 | sed 's/$/\r/' > "$TMPDIR/message"
	hello "$d_port"
	say 'MAIL FROM:<a@b>'; hear 250
	say 'RCPT TO:<c@d>'; hear 250
	say DATA; hear 354
	cat "$TMPDIR/message" >&"$talk_fd"
	say .
	hear 250
	sed '1,/^$/d' "$TMPDIR/mails/000001.eml" | cmp - "$TMPDIR/message"
}

delay_line__a_server_that_is_not_there__resets() {
	sink_start s
	tool_start d delay_line --delay-ms 1 --to "$s_port"
	sinkctl s close-listener
	talk "$d_port"
	hear_end
	equal 1 "$(sinkctl d get failed)"
	equal 0 "$(sinkctl d get open)"
}

delay_line__a_reset__comes_through() {
	sink_start s --rule 'noop reset'
	tool_start d delay_line --delay-ms 1 --to "$s_port"
	hello "$d_port"
	say NOOP
	hear_end
	sinkctl d wait open =0 20 > /dev/null
}

target__ports__close_and_open() {
	local ports

	tool_start t tcp_target --ports 3 --reply 'up\n'
	read -r -d '' -a ports <<< "$t_port" || true
	equal 3 ${#ports[@]}
	sinkctl t close 2
	talk "${ports[0]}"
	IFS= read -r -t $HEAR_S -u "$talk_fd" line
	equal up "$line"
	hear_end
	if (talk "${ports[1]}") 2>/dev/null; then fail connected; fi
	sinkctl t close all
	equal 0 "$(sinkctl t get open_ports)"
	sinkctl t open all
	talk "${ports[1]}"
	equal 3 "$(sinkctl t get open_ports)"
	if sinkctl t close 4 2> /dev/null; then fail "no error"; fi
}

tests_run
