#!/bin/bash
# The plugin and aiosmtpd, which demands STARTTLS and AUTH (LOGIN, PLAIN), on loopback: what arrives is what was sent.
# shellcheck disable=SC2154 # ports are set by name
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../site.sh"
. "$here/../../lib/certs.sh"

mta_stop() {
	[ ! -s "$TMPDIR/mta.pid" ] || kill "$(< "$TMPDIR/mta.pid")" 2> /dev/null
}

# start <number of servers> <auth> <password>: the server, and a HAProxy with settings for it.
start() {
	local address

	for address in ops@example.org second@example.org; do
		mkdir -p "$TMPDIR/box/$address"/{new,tmp}
	done
	certs_ca "$TMPDIR"
	certs_server "$TMPDIR" mail.example.org
	mkfifo "$TMPDIR/mta.in" "$TMPDIR/mta.out"
	/usr/bin/python3 "$here/server.py" "$TMPDIR/box" "$TMPDIR/mail.example.org.crt" "$TMPDIR/mail.example.org.key" \
		alerts 'pass word' < "$TMPDIR/mta.in" > "$TMPDIR/mta.out" 2> "$TMPDIR/mta.log" &
	echo $! > "$TMPDIR/mta.pid"
	exec {mta_in}> "$TMPDIR/mta.in" {mta_out}< "$TMPDIR/mta.out"
	IFS= read -r -t 30 mta_port <&"$mta_out" || fail "aiosmtpd: $(cat "$TMPDIR/mta.log")"
	printf '%s\n' "$3" > "$TMPDIR/password"
	chmod 600 "$TMPDIR/password"
	cat > "$TMPDIR/settings.lua" <<-END
		return {
			mailers = {
				mta = {
					tls = "required", ca_file = "$TMPDIR/ca.pem", verifyhost = "mail.example.org",
					user = "alerts", password_file = "$TMPDIR/password", auth = "$2",
				},
				copy = { tls = "none" },
			},
		}
	END
	ops=ops@example.org=$TMPDIR/box/ops@example.org/new
	second=second@example.org=$TMPDIR/box/second@example.org/new
	site_start "$1" "$mta_port" 'ops@example.org, ghost@example.org, second@example.org'
}

# mails <auth> <mechanism>
mails() {
	start 50 "$1" 'pass word'
	site_servers down
	site_arrive 50 "$ops" "$second"
	site_servers up
	site_arrive 100 "$ops" "$second"
	grep -q "^$2 good" "$TMPDIR/mta.log" || fail "no AUTH $2: $(cat "$TMPDIR/mta.log")"
	equal 100 "$(grep -c 'via mta .*: refused at RCPT for 1 recipient (<ghost@example\.org>)' "$TMPDIR/log")" refused
	site_stop
}

aiosmtpd__auto__takes_plain_in_tls() { mails auto PLAIN; }
aiosmtpd__login__is_spoken() { mails login LOGIN; }

aiosmtpd__a_wrong_password__keeps_the_alerts() {
	start 5 auto wrong
	site_servers down
	until_true "$WAIT_S" site_said 'mailer mta .* failed: .* at AUTH: 535'
	sinkctl copy wait mails 5 "$WAIT_S" > /dev/null
	equal 0 "$(site_mails "$ops")"
	if grep -E 'via mta .*(refused|given up|dropped)' "$TMPDIR/log"; then fail "an alert is lost"; fi
	if grep -q 'wrong' "$TMPDIR/log" "$TMPDIR/stderr"; then fail "the password is in the log"; fi
	site_stop
}

tests_run
