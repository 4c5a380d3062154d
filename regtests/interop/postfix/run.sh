#!/bin/bash
# The plugin and a real Postfix, private and on loopback: what arrives is what was sent, to those to whom it was sent,
# once.
# timeout 300
# shellcheck disable=SC2154 # ports are set by name
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../site.sh"
. "$here/../../lib/postfix.sh"

if ! postfix_possible; then
	echo "only root can run a Postfix"
	echo "0 passed, 0 failed, 1 skipped"
	exit 0
fi

mta_start() { postfix_start "$TMPDIR/postfix" ops@example.org second@example.org third@example.org; }

mta_stop() { [ ! -d "$TMPDIR/postfix" ] || postfix_stop "$TMPDIR/postfix"; }

# start <number of servers> <email-alert to>
start() {
	mta_start
	box=$TMPDIR/postfix/mail
	ops=ops@example.org=$box/ops@example.org/new
	second=second@example.org=$box/second@example.org/new
	third=third@example.org=$box/third@example.org/new
	site_start "$1" "$postfix_port" "$2"
}

# Postfix calls pipelining improper that its extension does not allow, and says so of nothing else.
stop() {
	site_stop
	if grep -E 'pipelining|lost connection|timeout|warning:|fatal:' "$TMPDIR/postfix/log"; then
		fail "Postfix complained"
	fi
}

# header <name> <box>: of the last mail there.
header() {
	sed -n "s/^$1: //p" "$(postfix_mails "$TMPDIR/postfix" "${2%=*}" | tail -n 1)"
}

postfix__an_address_list__reaches_all_of_it() {
	local to='Ops <ops@example.org>, \"Fault, Finder\" <second@example.org> (on call); \"Zürich\" <third@example.org>'

	start 1 "$to"
	site_servers down
	site_arrive 1 "$ops" "$second" "$third"
	equal "$SENDER" "$(header From "$ops")"
	equal "${to//\\/}" "$(header To "$second")"
	equal '[HAProxy Alert] Server www/s1 is DOWN' "$(header Subject "$third" | sed 's/,.*//')"
	equal 8bit "$(header Content-Transfer-Encoding "$third")"
	site_said 'www/s1 via mta .*: accepted for 3 recipients after .*: 250 2\.0\.0 Ok: [0-9]+ bytes queued as'
	site_servers up
	site_arrive 2 "$ops" "$second" "$third"
	equal '[HAProxy Alert] Server www/s1 is UP' "$(header Subject "$third" | sed 's/,.*//')"
	stop
}

postfix__an_unknown_recipient__is_refused_alone() {
	start 1 'ops@example.org, ghost@example.org, second@example.org'
	site_servers down
	site_arrive 1 "$ops" "$second"
	site_said 'via mta .*: refused at RCPT for 1 recipient \(<ghost@example\.org>\) .*: 550 5\.1\.1 <ghost@example\.org>'
	site_said 'via mta .*: accepted for 2 recipients '
	site_servers up
	site_arrive 2 "$ops" "$second"
	equal 2 "$(grep -c ': refused at RCPT' "$TMPDIR/log")" "one refusal for each mail"
	stop
}

postfix__200_servers_at_once__arrive_once() {
	start 200 'ops@example.org, second@example.org'
	site_servers down
	site_arrive 200 "$ops" "$second"
	site_servers up
	site_arrive 400 "$ops" "$second"
	stop
	echo "    $(grep -c ': connect from' "$TMPDIR/postfix/log") connections for 400 mails of two recipients"
}

# Prints "<server> DOWN|UP" for each mail that Postfix accepted, in its order, each once.
accepted() {
	perl -e '
		use strict;
		my ($log, $sent, %subject, %seen) = @ARGV;
		local $/;
		for (glob("$sent/*.eml")) {
			open(my $f, "<", $_) or die;
			my $mail = <$f>;
			$mail =~ /^Message-ID: (\S+)/m or die;
			my $id = $1;
			$mail =~ /^Subject: \[HAProxy Alert\] Server www\/(\S+) is (DOWN|UP)\b/m or die;
			$subject{$id} = "$1 $2";
		}
		open(my $f, "<", $log) or die;
		my $text = <$f>;
		while ($text =~ /postfix\/cleanup\S* \w+: message-id=(\S+)/g) {
			print "$subject{$1}\n" unless $seen{$1}++;
		}' "$TMPDIR/postfix/log" "$TMPDIR/sent"
}

postfix_log_has() { [ "$(grep -Ec -e "$2" "$TMPDIR/postfix/log")" -ge "$1" ]; }

# Doubles are no more than mails: what counts is that each is there.
distinct_reach() { [ "$(site_compare "$ops" | cut -d ' ' -f 3)" -ge "$1" ]; }

postfix__stopped_in_a_storm__gets_all_of_it() {
	local name mails distinct unknown before

	start 200 ops@example.org
	site_servers down
	until_true "$WAIT_S" postfix_log_has 20 'postfix/cleanup.*message-id='
	mta_stop
	before=$(accepted | wc -l)
	until_true "$WAIT_S" site_said 'mailer mta .* failed: '
	site_servers up
	sinkctl copy wait mails 400 "$WAIT_S" > /dev/null
	mta_start
	until_true "$WAIT_S" distinct_reach 400
	site_stop
	read -r name mails distinct < <(site_compare "$ops")
	equal "ops@example.org 400" "$name $distinct"
	unknown=$(grep -c 'via mta .*: unknown whether accepted' "$TMPDIR/log") || true
	[ $((mails - distinct)) -le "$unknown" ] || fail "$mails mails, but only $unknown may be there twice"
	if grep -E 'given up|dropped' "$TMPDIR/log"; then fail "an alert was lost"; fi
	equal 400 "$(accepted | wc -l)"
	equal '' "$(accepted | awk '$2 == "DOWN" { down[$1] = 1 } $2 == "UP" && !($1 in down)')" "UP before DOWN"
	echo "    stopped after $before mails; $unknown times unknown whether accepted, $((mails - distinct)) mails twice"
}

tests_run
