# secure.sh - the tests of smtp_sink's TLS and AUTH; sourced by run.sh. The client is `openssl s_client`.

certificate() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=$1" \
		-keyout "$TMPDIR/$1.pem" -out "$TMPDIR/$1.crt" 2> /dev/null
	cat "$TMPDIR/$1.crt" >> "$TMPDIR/$1.pem"
}

# secure PORT [OPTION]...: as talk, in TLS; what s_client has to say is in $TMPDIR/client.err
secure() {
	local port=$1

	shift
	rm -f "$TMPDIR/client".{in,out}
	mkfifo "$TMPDIR/client".{in,out}
	openssl s_client -quiet -connect "127.0.0.1:$port" "$@" < "$TMPDIR/client.in" > "$TMPDIR/client.out" \
		2> "$TMPDIR/client.err" &
	client=$!
	exec {talk_out}> "$TMPDIR/client.in" {talk_fd}< "$TMPDIR/client.out"
}

secure_end() {
	exec {talk_out}>&-
	wait "$client" || true
}

secure_sink() {
	certificate sink
	sink_start s --tls-cert "$TMPDIR/sink.pem" "$@"
}

sink__starttls__turns_to_tls() {
	secure_sink --starttls --tls-ehlo 'SIZE 1000,AUTH PLAIN' --mail-dir "$TMPDIR/mails" --transcript "$TMPDIR/script"
	hello "$s_port"
	equal $'250 STARTTLS\n' "$(tail -n 1 <<< "${reply%$'\n'}")"$'\n'
	secure "$s_port" -starttls smtp -servername mx.example
	say 'MAIL FROM:<a@b>'; hear 503
	say 'EHLO x'; hear 250
	equal $'250-sink\n250-SIZE 1000\n250 AUTH PLAIN\n' "$reply"
	say STARTTLS; hear 503
	mail b@x 'Subject: secret'; hear 250
	say QUIT; hear 221; hear_end
	equal 'TLS TLSv1.3 TLS_AES_256_GCM_SHA384 sni=mx.example client=-' "$(grep ^TLS "$TMPDIR/mails/000001.eml")"
	equal 1 "$(sinkctl s get handshakes)"
}

sink__implicit_tls__greets_in_it() {
	secure_sink --tls-implicit --tls-version 1.2
	secure "$s_port" -tls1_2
	hear 220; say 'EHLO x'; hear 250
	secure "$s_port" -tls1_3
	sinkctl s wait handshakes_failed 1 20 > /dev/null
	hear_end
}

sink__long_replies_in_tls__arrive_whole() {
	local text

	secure_sink --tls-implicit --rule 'noop long 40000' --rule 'ehlo drip 1'
	secure "$s_port"
	hear 220; say 'EHLO x'; hear 250; say NOOP
	IFS= read -r -t 20 -N 40000 text <&"$talk_fd"
	equal 40000 "${#text}"
}

sink__a_client_certificate__is_asked_for() {
	certificate client
	secure_sink --tls-implicit --tls-client-ca "$TMPDIR/client.crt" --tls-client-required --mail-dir "$TMPDIR/mails"
	secure "$s_port"
	sinkctl s wait handshakes_failed 1 20 > /dev/null
	secure "$s_port" -cert "$TMPDIR/client.crt" -key "$TMPDIR/client.pem"
	hear 220; say 'EHLO x'; hear 250
	mail b@x x; hear 250
	grep -q '^TLS .* client=/CN=client$' "$TMPDIR/mails/000001.eml"
}

# handshake RULE CONDITION...: what becomes of a handshake under that rule
handshake() {
	sink_start s --tls-cert "$TMPDIR/sink.pem" --tls-implicit --rule "$1"
	secure "$s_port"
	shift
	sinkctl s wait "$@" 20 > /dev/null
}

sink__faults_in_the_handshake__cut_it() {
	local row

	certificate sink
	while IFS= read -r row; do
		handshake "$row" hits 1
		echo "    $row"
		hear_end
		equal 0 "$(sinkctl s get handshakes)" "$row"
		secure_end
		sinkctl s quit
	done <<-'END'
		tls close
		tls after 1 reset
		tls line 2 reset
		tls line 2 after 3 close
		tls line 3 half-close
		tls garbage
		tls reply 220 plain
		tls after 5 die 0
	END
	for row in 'tls mute' 'tls line 2 mute' 'tls after 100 mute'; do
		handshake "$row" hits 1
		equal 1 "$(sinkctl s get open)" "$row"
		equal 0 "$(sinkctl s get handshakes)" "$row"
		kill "$client"
		secure_end
		sinkctl s quit
	done
	for row in 'tls drip 1' 'tls delay 20' 'tls line 2 drip 1' 'tls after 100000 close'; do
		for version in -tls1_2 -tls1_3; do
			sink_start s --tls-cert "$TMPDIR/sink.pem" --tls-implicit --rule "$row"
			secure "$s_port" $version
			hear 220
			say 'EHLO x'; hear 250; say QUIT; hear 221
			secure_end
			sinkctl s quit
		done
	done
}

sink__plain_text_behind_the_220__comes_with_it() {
	secure_sink --starttls --rule 'starttls reply-inject 250 evil'
	hello "$s_port"
	say STARTTLS
	hear 220; hear 250
	equal $'250 evil\n' "$reply"
	say 'this is no TLS'
	sinkctl s wait handshakes_failed 1 20 > /dev/null
	sinkctl s clear
	hello "$s_port"
	say_at_once 'STARTTLS\r\nNOOP\r\n'
	hear 220
	equal 'connection 2: bytes after a command that ends a group' "$(sinkctl s violation)"
}

b64() { printf "$1" | openssl base64 -A; }
auth_sink() {
	sink_start s --ehlo 'AUTH PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256 XOAUTH2 OAUTHBEARER' --user tim --password pencil \
		--token tok --auth-required "$@"
	hello "$s_port"
}
again() { hello "$s_port"; }
challenge() { reply=${reply#334 }; openssl base64 -d -A <<< "${reply%$'\n'}"; }

sink__auth_plain_and_login__are_checked() {
	auth_sink
	say 'MAIL FROM:<a@b>'; hear 530
	say "AUTH PLAIN $(b64 '\0tim\0wrong')"; hear 535
	say "AUTH PLAIN $(b64 '\0tom\0pencil')"; hear 535
	say "AUTH PLAIN $(b64 'tim')"; hear 501
	say 'AUTH PLAIN ***'; hear 501
	say 'AUTH GSSAPI'; hear 504
	say 'AUTH PLAIN'; hear 334; say '*'; hear 501
	say 'AUTH PLAIN'; hear 334; equal $'334 \n' "$reply"
	say "$(b64 'x\0tim\0pencil')"; hear 235
	say 'MAIL FROM:<a@b>'; hear 250
	again
	say 'AUTH LOGIN'; hear 334; equal Username: "$(challenge)"
	say "$(b64 tim)"; hear 334; equal Password: "$(challenge)"
	say "$(b64 penci)"; hear 535
	say "AUTH LOGIN $(b64 tim)"; hear 334; say "$(b64 pencil)"; hear 235
	equal '2 3' "$(sinkctl s get auths) $(sinkctl s get auths_failed)"
}

sink__auth_cram_md5__is_checked() {
	local word

	auth_sink
	for word in wrong:535 pencil:235; do
		say 'AUTH CRAM-MD5'; hear 334
		say "$(b64 "tim $(challenge | openssl dgst -md5 -hmac "${word%:*}" | sed 's/.* //')")"
		hear "${word#*:}"
	done
}

hex_hmac() { openssl dgst -sha256 -mac HMAC -macopt "hexkey:$1" -binary | od -An -v -tx1 | tr -d ' \n'; }
hex_b64() { perl -e 'print pack("H*", $ARGV[0])' "$1" | openssl base64 -A; }
hex_xor() { perl -e 'print unpack("H*", pack("H*", $ARGV[0]) ^ pack("H*", $ARGV[1]))' "$1" "$2"; }

# scram PASSWORD: RFC 5802 as a client, up to client-final
scram() {
	local server nonce salt salted key first

	say "AUTH SCRAM-SHA-256 $(b64 'n,,n=tim,r=abcdef')"; hear 334
	server=$(challenge)
	nonce=${server%%,*}
	salt=$(sed 's/.*,s=\([^,]*\),.*/\1/' <<< "$server" | openssl base64 -d -A)
	salted=$(openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt "pass:$1" -kdfopt "salt:$salt" -kdfopt iter:4096 PBKDF2 |
		tr -d ':\n')
	key=$(printf 'Client Key' | hex_hmac "$salted")
	first="n=tim,r=abcdef,$server,c=biws,$nonce"
	stored=$(perl -e 'print pack("H*", $ARGV[0])' "$key" | openssl dgst -sha256 -binary | od -An -v -tx1 | tr -d ' \n')
	say "$(b64 "c=biws,$nonce,p=$(hex_b64 "$(hex_xor "$key" "$(printf %s "$first" | hex_hmac "$stored")")")")"
	signature=$(hex_b64 "$(printf %s "$first" | hex_hmac "$(printf 'Server Key' | hex_hmac "$salted")")")
}

sink__auth_scram__proves_both_sides() {
	auth_sink
	say "AUTH SCRAM-SHA-256 $(b64 'p=tls-unique,,n=tim,r=abc')"; hear 501
	say "AUTH SCRAM-SHA-256 $(b64 'n,,n=tim,r=')"; hear 501
	scram wrong; hear 535
	scram pencil; hear 334
	equal "v=$signature" "$(challenge)"
	say ''; hear 235
}

sink__auth_oauth__takes_the_token_of_now() {
	auth_sink
	say "AUTH XOAUTH2 $(b64 'user=tim\001auth=Bearer old\001\001')"; hear 334
	say ''; hear 535
	say "AUTH XOAUTH2 $(b64 'user=tim\001auth=Bearer tok\001\001')"; hear 235
	sinkctl s token new
	again
	say "AUTH OAUTHBEARER $(b64 'n,a=tim,\001host=x\001port=25\001auth=Bearer tok\001\001')"; hear 334
	say "$(b64 '\001')"; hear 535
	say "AUTH OAUTHBEARER $(b64 'n,a=tim,\001host=x\001port=25\001auth=Bearer new\001\001')"; hear 235
	say 'AUTH PLAIN AGEAYg=='; hear 503
}

sink__rules_of_auth__meet_the_command_and_each_step() {
	auth_sink --rule 'authstep from 2 times 1 reply 454 4.7.0 later' --rule 'auth match CRAM reply 534 5.7.9 weak'
	say 'AUTH CRAM-MD5'; hear 534
	say 'AUTH LOGIN'; hear 334
	say "$(b64 tim)"; hear 334
	say "$(b64 pencil)"; hear 454
	say "AUTH PLAIN $(b64 '\0tim\0pencil')"; hear 235
}
