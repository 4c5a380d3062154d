#!/bin/bash
# Defects of the mailers.lua that HAProxy ships as an example (see doc/differences.md), a test for each. The comment above
# a test quotes its defect; by hand all but one are seen to fail on that script, with HAProxy 3.0:
#
#   TEST_WAIT_S=3 HAPROXY_PROGRAM=build/haproxy/3.0-lua5.3/haproxy \
#       MAILERS_LUA=build/haproxy/source/examples/lua/mailers.lua regtests/haproxy/defects/run.sh
#
# Tested elsewhere are its
#
#   texts and levels          regtests/unit/test_alert_defects.c
#   "no bound on the queue"   regtests/unit/test_queue_bound.c; bounds__by_default__are_50000_alerts_and_32_MiB in
#                             regtests/unit/test_engine_log.c; in a HAProxy a_route__over_its_bound__... of
#                             regtests/haproxy/isolation/run.sh
#
# and without a test, because the plugin has none of them either, "no AUTH, no TLS" and "no rate limit".
. "$(dirname "$0")/../../lib/alerts.sh"

WAIT_S=${TEST_WAIT_S:-$WAIT_S} # less where most is to fail

# mailer [OPTION]...: a mail server m. It takes the space behind MAIL FROM:, so that one defect does not hide the others.
mailer() { sink_start m --lenient --transcript "$TMPDIR/m.dialogue" --mail-dir "$TMPDIR/m" --log "$TMPDIR/m.log" "$@"; }

# proxy [TO]: HAProxy h with a backend be that mails to m.
proxy() { haproxy_start h < <(proxy_text be "$m_port" "${1:-}"); }

turn() { cli h "set server $1/s1 health $2" > /dev/null; }

# mails N [SINK]: that many have arrived.
mails() {
	sinkctl "${2:-m}" wait mails "$1" $WAIT_S > "$TMPDIR/waited" ||
		fail "$(cat "$TMPDIR/waited") mails of $1: $(cat "$TMPDIR/h.out")"
}

# Of one server nothing is mailed before the alert ahead of it is settled: when UP has arrived, whatever was to become
# of DOWN has happened.
down_and_up() {
	turn be down
	mails 1
	turn be up
	mails 2
	equal 'down up' "$(alerts_of m | cut -d ' ' -f 3 | paste -sd ' ')"
}

each_counts_as_accepted() {
	down_and_up
	haproxy_stop h USR1
	equal 2 "$(sinkctl m get mails)" "mails"
	if grep -i -e 'failed' -e "can't send" -e 'deferred' "$TMPDIR/h.out"; then fail "it is no failure"; fi
}

# what the client said, without the message
commands() { sed -n 's/^[0-9]* C: //p' "$TMPDIR/m.dialogue"; }

# header NAME: the value of a header of the first mail
header() { sed -n "s/\r\$//; s/^$1: //p" "$TMPDIR/m/000001.eml"; }

# --- one queue --------------------------------------------------------------------------------------------

# "one queue for all: a mute mailer delays every other alert"
one_queue_for_all__a_mute_mailer__delays_nobody_else() {
	mail_timeout=120s
	sink_start mute --rule 'greeting mute'
	mailer
	haproxy_start h < <(proxy_text first "$mute_port"; proxy_text be "$m_port")
	turn first down
	sinkctl mute wait connections 1 $WAIT_S > /dev/null
	turn be down
	mails 1
	[ "$(sinkctl mute get open)" -ge 1 ] || fail "the mute mailer is not waited for"
	equal "$(sinkctl mute get connections)" "$(sinkctl mute get open)" "open connections of the mute mailer"
}

# "timeout per read: a dripping server holds the queue for ever"
timeout_per_read__a_dripping_server__is_cut_and_gets_its_alert_later() {
	haproxy_tells_timeout || return 0
	mailer --rule "greeting drip 200 220-$(printf 'x%.0s' {1..1000})"
	proxy
	turn be down
	sinkctl m wait connections 1 $WAIT_S > /dev/null
	sinkctl m wait open =0 $WAIT_S > /dev/null || fail "the dripping server is not cut"
	equal 0 "$(sinkctl m get mails)"
	sinkctl m clear
	mails 1
	haproxy_stop h USR1
	equal 1 "$(sinkctl m get mails)"
}

# --- what counts as a failure -----------------------------------------------------------------------------

# "a reply `250` without text [...] counts as a failure though the mail was accepted"
reply_without_text__at_the_end_of_the_message__is_accepted_once() {
	mailer --rule 'dot reply 250'
	proxy
	each_counts_as_accepted
}

# The same for the codes before and after: shipped, the mail does not even leave.
reply_without_text__at_every_step__is_accepted_once() {
	mailer --greeting 220 --rule 'helo reply 250' --rule 'mail reply 250' --rule 'rcpt reply 250' \
		--rule 'data reply 354' --rule 'dot reply 250' --rule 'quit reply-then-close 221'
	proxy
	each_counts_as_accepted
}

reply_without_text__to_EHLO__is_accepted_once() {
	mailer --rule 'ehlo reply 250' --rule 'helo reply 250'
	proxy
	each_counts_as_accepted
}

# "a 251 [...] counts as a failure though the mail was accepted"
reply_251__to_RCPT__is_accepted_once() {
	mailer --rule 'rcpt reply 251 2.1.5 User not local; will forward'
	proxy
	each_counts_as_accepted
}

# "a failed QUIT counts as a failure though the mail was accepted"
failed_QUIT__refused__is_accepted_once() {
	mailer --rule 'quit reply-then-close 500 5.5.2 no'
	proxy
	each_counts_as_accepted
}

failed_QUIT__connection_ends__is_accepted_once() {
	mailer --rule 'quit close'
	proxy
	each_counts_as_accepted
}

# --- the dialogue -----------------------------------------------------------------------------------------

# "`to` with a comma becomes one bad RCPT"
to_with_a_comma__becomes__two_RCPTs() {
	mailer
	proxy '"ops@example.org, Night Shift <night@example.org>"'
	down_and_up_to_two
	equal 'RCPT TO:<night@example.org> RCPT TO:<ops@example.org>' "$(commands | grep '^RCPT' | sort -u | paste -sd ' ')"
	equal 4 "$(sinkctl m get rcpts)" "recipients"
}

down_and_up_to_two() {
	turn be down
	sinkctl m wait rcpts 2 $WAIT_S > /dev/null || fail "no mail for two: $(cat "$TMPDIR/h.out")"
	turn be up
	sinkctl m wait rcpts 4 $WAIT_S > /dev/null || fail "no second mail for two: $(cat "$TMPDIR/h.out")"
}

# "a space after `MAIL FROM:` breaks RFC 5321"
space_after_the_colon__in_MAIL_and_RCPT__is_not_there() {
	mailer
	proxy
	down_and_up
	equal 2 "$(commands | grep -c '^MAIL FROM:<ha@example.org>')"
	equal 2 "$(commands | grep -c '^RCPT TO:<ops@example.org>')"
	equal 4 "$(commands | grep -c -i -e '^MAIL' -e '^RCPT')"
	equal 0 "$(sinkctl m get violations)" "$(sinkctl m violation)"
}

# "HELO only"
HELO_only__where_ESMTP_is_offered__is_EHLO() {
	mailer
	proxy
	down_and_up
	commands | grep -q '^EHLO lb.example.org$' || fail "no EHLO"
	if commands | grep '^HELO'; then fail "HELO though EHLO was answered"; fi
}

# The other way round: who does not know EHLO gets HELO. (Here alone the shipped script is right.)
HELO_only__where_EHLO_is_unknown__is_HELO() {
	mailer --rule 'ehlo reply 502 5.5.1 not implemented'
	proxy
	down_and_up
	commands | grep -q '^HELO lb.example.org$' || fail "no HELO"
}

# --- the message ------------------------------------------------------------------------------------------

# "no Message-ID"
Message_ID__of_each_mail__is_there_and_its_own() {
	mailer
	proxy
	down_and_up
	equal 2 "$(grep -h -i '^Message-ID: <[^<> @]*@[^<> @]*>.$' "$TMPDIR"/m/*.eml | sort -u | wc -l)" "different Message-IDs"
}

# "no [...] MIME headers"
MIME_headers__of_a_mail__are_there() {
	mailer
	proxy
	down_and_up
	equal '1.0' "$(header MIME-Version)"
	equal 'text/plain; charset=us-ascii' "$(header Content-Type)"
	equal '7bit' "$(header Content-Transfer-Encoding)"
}

# "no [...] folding, dot-stuffing": a name of 1,200 dots makes a text that does not fit into a line, and the only place to
# break it, behind "Server ", makes a line that starts with a dot. The sink takes one dot from such a line, as servers do.
long_line_and_dot__of_a_long_name__are_folded_and_stuffed() {
	local name text

	name=$(printf '.%.0s' {1..1200})
	mailer
	haproxy_start h < <(proxy_text "$name" "$m_port")
	turn "$name" down
	mails 1
	if grep " !: .* in a message\$" "$TMPDIR/m.dialogue"; then fail "its lines are too long"; fi
	sed '1,/^$/d; s/\r$//' "$TMPDIR/m/000001.eml" > "$TMPDIR/message"
	text="Server $name/s1 is DOWN, changed from CLI. 0 active and 0 backup servers left."
	text+=" 0 sessions active, 0 requeued, 0 remaining in queue"
	equal "$text" "$(sed '1,/^$/d' "$TMPDIR/message" | tr -d '\n')" "body"
	equal "Subject: [HAProxy Alert] $text" "$(sed '/^$/,$d' "$TMPDIR/message" | unfold | grep '^Subject:')"
	[ "$(sed '1,/^$/d' "$TMPDIR/message" | grep -c '^\.')" -ge 1 ] || fail "no line starts with a dot"
}

# Joins the lines of folded headers; a line that had no space to break at got one, which stands between dots.
unfold() { sed -E ':a; N; $!ba; s/\n([ \t])/\1/g' | sed -E ':a; s/\. \./../; ta'; }

# --- what goes wrong --------------------------------------------------------------------------------------

# "a Lua error ends the task and no mail leaves until a restart"
lua_error__at_the_first_connect__does_not_end_sending() {
	cat > "$TMPDIR/raise.lua" <<-'END'
		local tcp, raised = core.tcp, false

		core.tcp = function()
			local sock = tcp()
			return setmetatable({}, { __index = function(_, name)
				return function(_, ...)
					if name == "connect" and not raised then
						raised = true
						error("raised by the test")
					end
					return sock[name](sock, ...)
				end
			end })
		end
	END
	haproxy_global="lua-load $TMPDIR/raise.lua"
	mailer
	proxy
	turn be down
	until_true $WAIT_S grep -q 'raised by the test' "$TMPDIR/h.out" || fail "nothing was raised: $(cat "$TMPDIR/h.out")"
	turn be up
	mails 2
	equal 'down up' "$(alerts_of m | cut -d ' ' -f 3 | paste -sd ' ')"
}

# "no retry"
no_retry__connection_refused__the_alert_arrives_later() {
	mailer
	proxy
	sinkctl m close-listener
	turn be down
	until_true $WAIT_S grep -q -i -e ' failed: ' -e "can't " "$TMPDIR/h.out" || fail "no failure: $(cat "$TMPDIR/h.out")"
	equal 0 "$(sinkctl m get connections)"
	sinkctl m open-listener
	mails 1
	haproxy_stop h USR1
	equal 1 "$(sinkctl m get mails)"
}

no_retry__greeting_421__the_alert_arrives_later() { deferred_once 'greeting times 1 reply-then-close 421 4.3.2 not now'; }
no_retry__MAIL_451__the_alert_arrives_later() { deferred_once 'mail times 1 reply 451 4.3.0 not now'; }
no_retry__RCPT_451__the_alert_arrives_later() { deferred_once 'rcpt times 1 reply 451 4.7.1 greylisted'; }
no_retry__message_451__the_alert_arrives_later() { deferred_once 'dot times 1 reply 451 4.3.0 not now'; }

# deferred_once RULE
deferred_once() {
	mailer --rule "$1"
	proxy
	down_and_up
	equal 1 "$(sinkctl m get hits)"
	equal 2 "$(sinkctl m get mails)"
}

tests_run
