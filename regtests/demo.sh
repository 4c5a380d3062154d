#!/bin/bash
# demo.sh - the main job, shown: a HAProxy with two checked servers and a mailers section, a private Postfix on
# loopback that takes the mails, and one server that is stopped and started again. `make demo` runs it.
#
# Prints what happens as it happens, and the mails in full. Ends with 0 when the mails of both changes arrived, and
# leaves nothing running. A user who may not run a Postfix (root may) gets Postfix's smtp-sink instead.
#
#   HAPROXY_PROGRAM=/path  the HAProxy to show it with, instead of the one of `make haproxy`
set -u

cd "$(dirname "$0")/.." || exit 1
. regtests/lib/postfix.sh
TOP=$PWD
WAIT_S=10
TO=ops@example.org
haproxy_pid='' sink_pid=''

title() { printf '\n\033[1m== %s\033[0m\n\n' "$1"; }
[ -t 1 ] || title() { printf '\n== %s\n\n' "$1"; }

die() {
	[ ! -s "${tmp:-}/stderr" ] || cat "$tmp/stderr" >&2
	echo "demo: $1" >&2
	exit 1
}

cleanup() {
	local pid

	trap - EXIT
	trap '' INT TERM HUP
	for pid in $haproxy_pid $sink_pid; do
		kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
	done
	[ ! -S "$tmp/servers" ] || build/tools/sinkctl "$tmp/servers" quit > /dev/null
	[ ! -d "$tmp/postfix" ] || postfix_stop "$tmp/postfix"
	rm -rf "$tmp"
}

# until_s <command>...: waits until the command succeeds.
until_s() {
	local end=$((SECONDS + WAIT_S))

	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.02
	done
}

# --- the parts --------------------------------------------------------------------------------------------

mail_server_start() {
	local tries

	if postfix_possible; then
		postfix_start "$tmp/postfix" $TO || die "Postfix does not start"
		mail_server="Postfix $(postconf -dh mail_version)"
		return
	fi
	mail_server=smtp-sink
	mkdir "$tmp/mails"
	for ((tries = 0; tries < 20; tries++)); do
		postfix_port=$((20000 + RANDOM % 12000))
		(cd "$tmp/mails" && exec /usr/sbin/smtp-sink -d %s. "127.0.0.1:$postfix_port" 10) 2>/dev/null &
		sink_pid=$!
		until_s sink_answers && return
	done
	die "smtp-sink does not start"
}

sink_answers() {
	! kill -0 "$sink_pid" 2>/dev/null || (exec 3<> "/dev/tcp/127.0.0.1/$postfix_port") 2>/dev/null
}

mails() {
	if [ -d "$tmp/mails" ]; then
		find "$tmp/mails" -type f -printf '%T@ %p\n' | sort -n | cut -d ' ' -f 2
	else
		postfix_mails "$tmp/postfix" $TO
	fi
}

mails_are() { [ "$(mails | wc -l)" -ge "$1" ]; }

haproxy_configure() {
	cat > "$tmp/haproxy.cfg" <<-END
		global
		    lua-load $TOP/lua/mailers.lua
		    log stdout format raw local0

		mailers alerts
		    mailer mta 127.0.0.1:$postfix_port

		defaults
		    mode http
		    log global
		    timeout connect 1s
		    timeout client 10s
		    timeout server 10s

		frontend web
		    bind unix@$tmp/web
		    default_backend www

		backend www
		    email-alert mailers alerts
		    email-alert from haproxy@lb1.example.org
		    email-alert to $TO
		    email-alert myhostname lb1.example.org
		    email-alert level notice
		    option httpchk
		    default-server check inter 200ms fall 2 rise 2
		    server web1 127.0.0.1:${ports[0]}
		    server web2 127.0.0.1:${ports[1]}
	END
}

# What it logs goes through a pipe to haproxy_says(); its warnings on stderr, the same again, do not.
haproxy_start() {
	mkfifo "$tmp/log"
	"$haproxy" -db -f "$tmp/haproxy.cfg" > "$tmp/log" 2> "$tmp/stderr" < /dev/null &
	haproxy_pid=$!
	exec {log}< "$tmp/log"
}

# Prints HAProxy's lines as they come, until one matches.
haproxy_says() {
	local line end=$((SECONDS + WAIT_S))

	while IFS= read -r -t $WAIT_S line <&"$log"; do
		printf '  %(%H:%M:%S)T  haproxy  %s\n' -1 "$line"
		[[ ! $line =~ $1 ]] || return 0
		[ $SECONDS -lt $end ] || break
	done
	die "HAProxy did not say '$1'"
}

# --- the show ---------------------------------------------------------------------------------------------

# change <what> <close|open> <number of the mail> <its text>
change() {
	local file

	title "$1"
	printf '  %(%H:%M:%S)T  demo     %s\n' -1 "tcp_target: $2 the port of web1"
	build/tools/sinkctl "$tmp/servers" "$2" 1 || die "tcp_target does not answer"
	haproxy_says '^mailers: .*accepted for 1 recipient'
	until_s mails_are "$3" || die "the mail did not arrive"
	file=$(mails | tail -n 1)
	printf '\n  the mail, as %s stored it:\n\n' "$mail_server"
	tr -d '\r' < "$file" | sed 's/^/    | /'
	grep -q "^Subject: \[HAProxy Alert\] Server www/web1 is $4" "$file" || die "this is not the mail of this change"
}

haproxy=${HAPROXY_PROGRAM:-build/haproxy/3.0-lua5.3/haproxy}
lua=$("$haproxy" -vv 2>/dev/null | sed -n 's/^Built with Lua version *: Lua \([0-9]*\.[0-9]*\).*/\1/p')
[ -n "$lua" ] || die "$haproxy is no HAProxy with Lua; make haproxy gets one"
make -s LUA="$lua" all || exit 1

tmp=$(mktemp -d "${TMPDIR:-/tmp}/mailers-demo.XXXXXX") || exit 1
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

mail_server_start
read -r -d '' -a ports < <(build/tools/tcp_target --ports 2 --reply 'HTTP/1.0 200 OK\r\n\r\n' --background \
	--control "$tmp/servers" --lifetime 120)
[ ${#ports[@]} = 2 ] || die "tcp_target does not start"
haproxy_configure

title "The configuration: two servers, one mail server"
sed 's/^/    /' "$tmp/haproxy.cfg"
haproxy_start
title "$("$haproxy" -v | sed -n '1s/ *- .*//; 1s/ [0-9][0-9/]*$//; 1p'), Lua $lua, and $mail_server are running"
build/tools/sinkctl "$tmp/servers" wait connections 4 $WAIT_S > /dev/null 2>&1 || die "HAProxy does not check its servers"
printf '  %(%H:%M:%S)T  demo     both servers were checked and are up\n' -1

change "web1 is stopped" close 1 DOWN
change "web1 is started again" open 2 UP
cleanup
title "Both mails arrived, and everything is stopped"
