#!/bin/bash
# The sequence error of Exim 4.96, and what it must not cost. When a mail whose recipient was refused is followed by others
# that are on their way already, Exim answers the next MAIL with 503 and takes its RCPT and BDAT under the sender of the
# refused mail, unless RSET came between (RFC 3030 section 4.2 sends several mails that way).
#
# smtp_sink imitates that; without RSET alerts of "good" would arrive in the name of "bad".
# once
. "$(dirname "$0")/../../lib/alerts.sh"

SERVERS=40

backend() {
	cat <<-END
		backend $1
			email-alert mailers m
			email-alert level notice
			email-alert from $1@example.org
			email-alert to $2@example.org
			email-alert myhostname lb.example.org
		$(seq $SERVERS | sed 's/.*/server s& 127.0.0.1:1/')
	END
}

# Which recipients the senders got into a mail, and how often
envelopes() { cut -f 5 "$TMPDIR/s.log" | sort | uniq -c | sed 's/^ *//'; }

a_refused_recipient__among_mails_on_their_way__puts_no_other_under_its_sender() {
	local events='' i

	sink_start s --exim-quirk --ehlo PIPELINING,CHUNKING --log "$TMPDIR/s.log" --transcript "$TMPDIR/s.script" \
		--rule 'rcpt match no@ reply 550 5.1.1 no such user'
	echo 'return { mailers = { m1 = { tls = "none", maxconn = 1 } } }' > "$TMPDIR/settings.conf.lua"
	haproxy_load="$MAILERS_LUA $TMPDIR/settings.conf.lua"
	haproxy_start h <<-END
		$(backend good ops)
		$(backend bad no)
		$(alerts_mailers m "$s_port")
	END
	for ((i = 1; i <= SERVERS; i++)); do
		events+="set server good/s$i health down;set server bad/s$i health down;"
	done
	cli h "$events"
	sinkctl s wait $SERVERS $WAIT_S > /dev/null
	same_within $WAIT_S $SERVERS grep -c 'refused.*bad/s' "$TMPDIR/h.out"
	sinkctl s wait open =0 $WAIT_S > /dev/null
	equal "$SERVERS MAIL FROM:<good@example.org> RCPT TO:<ops@example.org>" "$(envelopes)"
	equal $SERVERS "$(alerts_of s | sort -u | wc -l)" "different alerts"
	equal 0 "$(sinkctl s get violations)"
	grep -q 'C: RSET' "$TMPDIR/s.script" || fail "no mail was said while another was on its way"
}

tests_run
