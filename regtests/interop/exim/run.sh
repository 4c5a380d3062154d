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
. "$here/../../lib/certs.sh"

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
	site_said 'www/s1 via mta .*: accepted for 3 recipients after .*: 250.* OK id='
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

# Counts of Exim's log: mails by their sender.
exim_received() { sed -n 's/^.* <= \([^ ]*\) H=.*/\1/p' "$TMPDIR/exim/log/main" | sort | uniq -c | awk '{ print $2, $1 }'; }

# 500 alerts of ten proxies, each with a sender of its own, one recipient refused in each: CHUNKING has several mails on the way
# when a verdict is not yet known.
exim__500_alerts_with_chunking__have_exact_envelopes() {
	local i

	site_more() {
		for i in {0..9}; do
			site_backend "p$i" "p$i@lb1.example.net" 'ops@example.org, ghost@example.org, second@example.org' 50
		done
	}
	exim_start "$TMPDIR/exim" ops@example.org second@example.org
	site_start 0 "$exim_port" ops@example.org
	for i in {0..9}; do
		site_health down "p$i" 50
	done
	until_true "$WAIT_S" exim_has 500
	site_stop
	equal "$(for ((i = 0; i < 10; i++)); do echo "p$i@lb1.example.net 50"; done)" "$(exim_received)"
	equal 500 "$(grep -c 'via mta .*: refused at RCPT for 1 recipient (<ghost@example\.org>)' "$TMPDIR/log")" refused
	equal 1000 "$(find "$TMPDIR/exim/mail" -path '*/new/*' -type f | wc -l)" "mails delivered"
	equal 500 "$(cat "$TMPDIR"/exim/mail/ops@example.org/new/* | grep -c '^Message-ID:')" "at ops"
	equal 500 "$(cat "$TMPDIR"/exim/mail/ops@example.org/new/* | grep '^Message-ID:' | sort -u | wc -l)" "none twice"
	equal '' "$(perl -ne '
		$from = $1 if /^Return-path: <(.*)>/i;
		$header = $1 if /^From: (.*)/;
		if (/^Subject: .*Server (p\d+)\//) { print "$ARGV\n" if $from ne "$1\@lb1.example.net" || $header ne $from; }
		close ARGV if eof;' "$TMPDIR"/exim/mail/*/new/*)" "a mail with another's sender"
	grep -q ' K ' "$TMPDIR/exim/log/main" || fail "CHUNKING was not used"
	stop
}

exim_has() { [ "$(grep -c ' Completed$' "$TMPDIR/exim/log/main")" -ge "$1" ]; }

exim_secure_conf() {
	exim_main="tls_advertise_hosts = *
		tls_certificate = $TMPDIR/mail.example.org.crt
		tls_privatekey = $TMPDIR/mail.example.org.key
		tls_on_connect_ports = ${exim_on_connect:-}
		auth_advertise_hosts = \${if eq{\$tls_in_cipher}{}{}{*}}"
	exim_rcpt='deny message = authentication required
		  !authenticated = *'
	exim_authenticators='plain:
		  driver = plaintext
		  public_name = PLAIN
		  server_prompts = :
		  server_condition = ${if and{{eq{$auth2}{alerts}}{eq{$auth3}{pass word}}}}
		  server_set_id = $auth2
		login:
		  driver = plaintext
		  public_name = LOGIN
		  server_prompts = Username:: : Password::
		  server_condition = ${if and{{eq{$auth1}{alerts}}{eq{$auth2}{pass word}}}}
		  server_set_id = $auth1
		cram:
		  driver = cram_md5
		  public_name = CRAM-MD5
		  server_secret = ${if eq{$auth1}{alerts}{pass word}fail}
		  server_set_id = $auth1'
}

# secure <auth> <name in the log of Exim>: 50 servers down and up, over STARTTLS with AUTH.
secure() {
	certs_ca "$TMPDIR"
	certs_server "$TMPDIR" mail.example.org
	exim_secure_conf
	printf 'pass word' > "$TMPDIR/password"
	chmod 600 "$TMPDIR/password"
	cat > "$TMPDIR/settings.lua" <<-END
		return { mailers = {
			mta = {
				ca_file = "$TMPDIR/ca.pem", verifyhost = "mail.example.org",
				user = "alerts", password_file = "$TMPDIR/password", auth = "$1",
			},
			copy = { tls = "none" },
		} }
	END
	start 50 'ops@example.org, ghost@example.org, second@example.org'
	site_servers down
	site_arrive 50 "$ops" "$second"
	site_servers up
	site_arrive 100 "$ops" "$second"
	equal 100 "$(grep -c " <= .* A=$2:alerts" "$TMPDIR/exim/log/main")" "mails after AUTH $2"
	equal 100 "$(grep -c ' <= .* X=TLS1\.3:' "$TMPDIR/exim/log/main")" "mails in TLS 1.3"
	equal 100 "$(grep -c 'via mta .*: refused at RCPT for 1 recipient (<ghost@example\.org>)' "$TMPDIR/log")" refused
	stop
}

exim__starttls_and_auth_plain__deliver() { secure plain plain; }
exim__starttls_and_auth_login__deliver() { secure login login; }
exim__starttls_and_auth_auto__takes_cram_md5() { secure auto cram; }

tests_run
