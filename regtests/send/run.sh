#!/bin/bash
# mailers-send: what it sends, what it shows, what it ends with. Its addresses are of every form that a client can use.
# once
# shellcheck disable=SC2154 # ports are set by name
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../lib/test.sh"
. "$here/../lib/certs.sh"

# mailers_send STATUS OPTION...: its output is in $out, stderr in $err
mailers_send() {
	local wanted=$1 status=0

	shift
	timeout 60 "$B/mailers-send" "$@" > "$TMPDIR/out" 2> "$TMPDIR/err" < /dev/null || status=$?
	out=$(< "$TMPDIR/out") err=$(< "$TMPDIR/err")
	equal "$wanted" "$status" "exit status of mailers-send $*: $out $err"
}

has() { [[ $1 == *"$2"* ]] || fail "no '$2' in: $1"; }

sink() { sink_start s --log "$TMPDIR/mails" "$@"; }

settings() { printf 'return {\n%s\n}\n' "$1" > "$TMPDIR/settings.lua"; }

send__a_test__shows_the_dialogue() {
	sink
	mailers_send 0 --address "127.0.0.1:$s_port" --to ops@example.org --from ha@example.org --helo lb1.example.org
	has "$out" '> EHLO lb1.example.org'
	has "$out" '> MAIL FROM:<ha@example.org>'
	has "$out" '< 250 2.0.0 Ok'
	equal 1 "$(sinkctl s get mails)"
	has "$(< "$TMPDIR/mails")" 'test mail'
}

send__quiet__says_nothing() {
	sink
	mailers_send 0 -q --address "127.0.0.1:$s_port" --to ops@example.org
	equal '' "$out$err"
}

send__texts__arrive_in_their_order() {
	sink
	mailers_send 0 -q --address "127.0.0.1:$s_port" --to 'ops@example.org, b@example.org' --to c@example.org --text one \
		--text two --text three
	equal '[HAProxy Alert] one [HAProxy Alert] two [HAProxy Alert] three' "$(cut -f 6 "$TMPDIR/mails" | xargs)"
	has "$(cut -f 5 "$TMPDIR/mails")" 'RCPT TO:<ops@example.org> RCPT TO:<b@example.org> RCPT TO:<c@example.org>'
	has "$out" '9 accepted, 0 refused, 0 given up'
}

send__a_refused_recipient__is_unavailable() {
	sink
	sinkctl s rule 'rcpt reply 550\s5.1.1\sno\ssuch\suser'
	mailers_send 69 --address "127.0.0.1:$s_port" --to ops@example.org
	has "$out" '550 5.1.1 no such user'
}

send__a_deferral__is_a_temporary_failure() {
	sink
	sinkctl s rule 'rcpt reply 450\s4.2.0\sgreylisted'
	mailers_send 75 --address "127.0.0.1:$s_port" --to ops@example.org
	has "$out" '450 4.2.0 greylisted'
}

send__retry__outlasts_a_deferral() {
	sink
	sinkctl s rule 'rcpt times 1 reply 450\s4.2.0\sgreylisted'
	mailers_send 0 --address "127.0.0.1:$s_port" --to ops@example.org --text again --retry 1m
	has "$err" 'deferred at RCPT'
	equal 1 "$(sinkctl s get mails)"
}

send__nobody_listens__is_no_host() {
	sink
	sinkctl s quit > /dev/null
	mailers_send 68 --address "127.0.0.1:$s_port" --to ops@example.org
	has "$err$out" 'Connection refused'
}

send__a_host_name_that_is_none__is_no_host() {
	mailers_send 68 --address "no-such-host.invalid:25" --to ops@example.org
	has "$err" 'no-such-host.invalid'
}

send__no_smtp__is_a_protocol_error() {
	sink
	sinkctl s rule 'greeting garbage'
	mailers_send 76 --address "127.0.0.1:$s_port" --to ops@example.org
}

# Of a host name with two addresses the second was not tried when the first refused, as ::1 does for many a "localhost".
send__a_host_name_of_two_addresses__is_reached_by_the_second() {
	local hosts=$TMPDIR/hosts

	sink
	printf '127.0.0.%d two.example.org\n' 2 1 > "$hosts"
	LD_PRELOAD=libnss_wrapper.so NSS_WRAPPER_HOSTS=$hosts mailers_send 0 --address "two.example.org:$s_port" --to ops@example.org
	equal 1 "$(sinkctl s get mails)"
	printf '127.0.0.%d two.example.org\n' 2 3 > "$hosts"
	LD_PRELOAD=libnss_wrapper.so NSS_WRAPPER_HOSTS=$hosts mailers_send 68 --address "two.example.org:$s_port" --to ops@example.org
	has "$out$err" 'Connection refused'
}

send__host_names_ipv6_unix_abns__are_dialled() {
	local address

	sink
	for address in "localhost:$s_port" "ipv4@127.0.0.1:$s_port" "ip@127.0.0.1:$s_port" "tcp@localhost:$s_port"; do
		mailers_send 0 -q --address "$address" --to ops@example.org
	done
	equal 4 "$(sinkctl s get mails)"
	relay_to "$s_port" unix
	mailers_send 0 -q --address "unix@$TMPDIR/relay" --to ops@example.org
	mailers_send 0 -q --address "$TMPDIR/relay" --to ops@example.org
	relay_to "$s_port" abns
	mailers_send 0 -q --address "abns@$TMPDIR/relay" --to ops@example.org
	if relay_to "$s_port" ipv6; then
		mailers_send 0 -q --address "[::1]:$(< "$TMPDIR/relay.port")" --to ops@example.org
		mailers_send 0 -q --address "ipv6@::1:$(< "$TMPDIR/relay.port")" --to ops@example.org
		equal 9 "$(sinkctl s get mails)"
	else
		equal 7 "$(sinkctl s get mails)"
	fi
}

# relay_to PORT unix|abns|ipv6: listens there, and passes two connections on to the port, one after the other.
relay_to() {
	rm -f "$TMPDIR/relay.port"
	perl "$here/relay.pl" "$1" "$2" "$TMPDIR/relay" > "$TMPDIR/relay.port" 2> "$TMPDIR/relay.err" &
	relay_pid=$!
	until [ -s "$TMPDIR/relay.port" ]; do
		kill -0 $relay_pid 2> /dev/null || return 1
		sleep 0.02
	done
}

send__a_config__tells_the_address() {
	sink
	printf 'mailers m\n\tmailer other 127.0.0.1:1\n\tmailer smtp1 127.0.0.1:%s # comment\n' "$s_port" > "$TMPDIR/haproxy.cfg"
	mailers_send 0 -q --mailer smtp1 --config "$TMPDIR/haproxy.cfg" --to ops@example.org
	mailers_send 78 --mailer smtp9 --config "$TMPDIR/haproxy.cfg" --to ops@example.org
	has "$err" "there is no line 'mailer smtp9 ADDRESS'"
	echo '	mailer smtp1 127.0.0.1:2' >> "$TMPDIR/haproxy.cfg"
	mailers_send 78 --mailer smtp1 --config "$TMPDIR/haproxy.cfg" --to ops@example.org
	has "$err" 'different addresses'
	mailers_send 78 --mailer smtp1 --config "$TMPDIR/none" --to ops@example.org
	has "$err" 'No such file'
}

send__settings__give_tls_and_auth() {
	certs_ca "$TMPDIR"
	certs_server "$TMPDIR" mail.example.org
	sink --tls-cert "$TMPDIR/mail.example.org.pem" --starttls --tls-ehlo 'AUTH PLAIN LOGIN SCRAM-SHA-256' \
		--user alerts --password secret
	(umask 077; echo secret > "$TMPDIR/password"; echo wrong > "$TMPDIR/wrong")
	settings "extra = { smtp1 = { address = '127.0.0.1:$s_port', tls = 'required', ca_file = '$TMPDIR/ca.pem',
		verifyhost = 'mail.example.org', user = 'alerts', password_file = '$TMPDIR/password' },
		bad = { address = '127.0.0.1:$s_port', ca_file = '$TMPDIR/ca.pem',
		verifyhost = 'mail.example.org', user = 'alerts', password_file = '$TMPDIR/wrong' },
		other = { address = '127.0.0.1:$s_port', tls = 'required', ca_file = '$TMPDIR/ca.pem',
		verifyhost = 'else.example.org' } }"
	mailers_send 0 --settings "$TMPDIR/settings.lua" --mailer smtp1 --to ops@example.org
	has "$out" 'AUTH SCRAM-SHA-256 ***'
	has "$out" TLSv1.3
	has "$out" mail.example.org
	mailers_send 77 --settings "$TMPDIR/settings.lua" --mailer bad --to ops@example.org
	[[ $out$err != *wrong* ]] || fail "the password is shown: $out$err"
	mailers_send 76 --settings "$TMPDIR/settings.lua" --mailer other --to ops@example.org
	has "$out" 'else.example.org'
	equal 1 "$(sinkctl s get mails)"
}

send__bad_settings__name_the_key() {
	settings 'mailers = { smtp1 = { timout_mail = "5s" } }'
	mailers_send 78 --settings "$TMPDIR/settings.lua" --mailer smtp1 --to ops@example.org
	has "$err" "timeout_mail"
	mailers_send 78 --settings "$TMPDIR/none.lua" --mailer smtp1 --to ops@example.org
	settings ''
	mailers_send 78 --settings "$TMPDIR/settings.lua" --mailer smtp1 --to ops@example.org
	has "$err" '--address'
}

send__bad_options__are_usage() {
	mailers_send 64
	mailers_send 64 --to ops@example.org
	mailers_send 64 --to ops@example.org --address 127.0.0.1:25 --retry soon --text x
	mailers_send 64 --to ops@example.org --address 127.0.0.1:25 --retry 5s
	mailers_send 64 --to ops@example.org --address 127.0.0.1:25 more
	mailers_send 64 --no-such-option
	mailers_send 0 --help
	has "$out" '--settings FILE'
	mailers_send 0 --version
	has "$out" 'OpenSSL'
	mailers_send 78 --to 'not an address' --address 127.0.0.1:25
}

send__interrupted__ends() {
	local status=0

	sink
	sinkctl s rule 'greeting mute'
	"$B/mailers-send" --address "127.0.0.1:$s_port" --to ops@example.org > "$TMPDIR/out" 2>&1 &
	sinkctl s wait connections 1 20 > /dev/null
	kill -TERM $!
	wait $! || status=$?
	equal 75 $status
}

tests_run
