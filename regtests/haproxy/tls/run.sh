#!/bin/bash
# TLS in a HAProxy: each way to begin it, verified or not, by either module, in a chroot; and what the log says of a server that
# is not the right one. The TLS module alone is tested in regtests/tls.
. "$(dirname "$0")/../../lib/proxy.sh"

TOP=$(cd "$B/.." && pwd)
WAIT_S=30

# The certificates are made once, for all tests.
certs=$(mktemp -d "${TMPDIR:-/tmp}/certs.XXXXXX") || exit 1
trap 'rm -rf "$certs"' EXIT
bash "$TOP/regtests/tls/certs.sh" "$certs" || exit 1

# settings TEXT: the settings file with it for all mailers
settings() { printf 'return { mailers = { ["*"] = { %s } } }\n' "$1" > "$TMPDIR/mailers.conf.lua"; }

# server NAME CERTIFICATE OPTION...
server() {
	sink_start "$1" --mail-dir "$TMPDIR/$1.mails" --transcript "$TMPDIR/$1.transcript" --tls-cert "$certs/$2.pem" "${@:3}"
	mkdir -p "$TMPDIR/$1.mails"
}

# start NAME [OPTION]...: a HAProxy that mails to the server <NAME>
start() {
	local port=${1}_port

	haproxy_load="$MAILERS_LUA $TMPDIR/mailers.conf.lua"
	haproxy_start "$@" < <(proxy_text "$1" "${!port}")
}

# mails_leave NAME VERSION: two alerts on their way, in TLS of that version
mails_leave() {
	cli "$1" "set server $1/s1 health down"
	sinkctl "$1" wait mails 1 $WAIT_S > "$TMPDIR/waited" || fail "no mail: $(cat "$TMPDIR/$1.out")"
	cli "$1" "set server $1/s1 health up"
	sinkctl "$1" wait mails 2 $WAIT_S > "$TMPDIR/waited" || fail "no second mail: $(cat "$TMPDIR/$1.out")"
	haproxy_stop "$1"
	equal 2 "$(sinkctl "$1" get mails)"
	equal 0 "$(sinkctl "$1" get violations)"
	equal 0 "$(sinkctl "$1" get handshakes_failed)"
	equal 2 "$(grep -l "$2" "$TMPDIR/$1.mails/"*.eml | wc -l)" "mails in $2"
}

# fails_with NAME TEXT: the mail stays here, and the log says why
fails_with() {
	cli "$1" "set server $1/s1 health down"
	until_true $WAIT_S grep -q "$2" "$TMPDIR/$1.out" || fail "no '$2' in $(cat "$TMPDIR/$1.out")"
	equal 0 "$(sinkctl "$1" get mails)"
	haproxy_stop "$1"
}

required='tls = "required", verifyhost = "mx.example.org", ca_file = "'$certs'/root.pem"'

tls__starttls_and_implicit_in_each_version__mails_leave() {
	local version

	for version in 1.2 1.3; do
		settings "$required"
		server "starttls${version/./}" good --starttls --tls-version $version
		start "starttls${version/./}"
		mails_leave "starttls${version/./}" "TLSv$version"
		settings "${required/required/implicit}"
		server "implicit${version/./}" good --tls-implicit --tls-version $version
		start "implicit${version/./}"
		mails_leave "implicit${version/./}" "TLSv$version"
	done
}

tls__opportunistic_with_any_certificate__mails_leave_encrypted() {
	settings 'tls = "opportunistic"'
	server s self --starttls
	start s
	mails_leave s TLSv1.3
}

tls__client_certificate_demanded__is_sent() {
	settings "$required, crt = \"$certs/client.pem\""
	server s good --starttls --tls-client-ca "$certs/root.pem" --tls-client-required
	start s
	mails_leave s TLSv1.3
}

tls__in_a_chroot_as_another_user__mails_leave() {
	[ "$(id -u)" = 0 ] || { echo "    not as root, no chroot"; return 0; }
	mkdir "$TMPDIR/jail"
	haproxy_global="chroot $TMPDIR/jail
		user nobody
		group nogroup"
	settings "$required, crl_file = \"$certs/all.crl.pem\", crt = \"$certs/client.pem\""
	server s good --starttls
	start s
	mails_leave s TLSv1.3
}

tls__module_with_openssl_inside__mails_leave() {
	local built="$B/static-ssl/lua$LUA/mailers"

	flock "$B/make.lock" make -s -C "$TOP" B="$B/static-ssl" LUA="$LUA" STATIC_SSL=1 "$built/engine.so" \
		"$built/tls-static.so" > "$TMPDIR/make.log" 2>&1 || fail "$(cat "$TMPDIR/make.log")"
	mkdir -p "$TMPDIR/copy/build"
	cp -r "$TOP/lua" "$TMPDIR/copy/lua"
	cp -r "$B/static-ssl/lua$LUA" "$TMPDIR/copy/build/"
	cp "$B/lua$LUA/mailers/tls.so" "$TMPDIR/copy/build/lua$LUA/mailers/" # the other one comes first
	MAILERS_LUA=$TMPDIR/copy/lua/mailers.lua
	settings "$required"
	server s good --starttls
	start s
	grep -q 'tls-static\.so' "/proc/$(cat "$TMPDIR/s.pid")/maps"
	mails_leave s TLSv1.3
}

tls__server_is_not_the_right_one__log_says_why() {
	settings "$required"
	server name other --starttls
	start name
	fails_with name 'hostname mismatch: wanted mx.example.org, certificate is for other.example.net, www.example.net'
	server expired expired --starttls
	start expired
	fails_with expired 'certificate has expired (CN=mx.example.org, 2025-01-01)'
	server plain good
	start plain
	fails_with plain 'STARTTLS'
	if grep 'MAIL FROM' "$TMPDIR/plain.transcript"; then fail "in plain text"; fi
	settings "${required/required/implicit}"
	start plain
	fails_with plain 'TLS'
}

# Whoever is on the path before TLS cannot say what the server seems to say in it.
tls__text_injected_behind_starttls__no_mail_leaves() {
	settings "$required"
	server inj good --starttls --rule 'starttls reply-inject 250 evil'
	start inj
	fails_with inj 'mailer m1 .* failed: .* at \(STARTTLS\|TLS\): '
	if grep 'MAIL FROM' "$TMPDIR/inj.transcript"; then fail "in spite of it"; fi
}

# Without a setting that needs it there is no OpenSSL of ours in the process.
tls__not_wanted__module_is_not_loaded() {
	settings 'tls = "none"'
	server s good --starttls
	start s
	if grep 'mailers/tls' "/proc/$(cat "$TMPDIR/s.pid")/maps"; then fail "it is loaded"; fi
	haproxy_stop s
}

tests_run
