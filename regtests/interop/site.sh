# site.sh - what the interop tests share: a HAProxy with servers to take down and up, which mails to a real mail
# server, and to a smtp_sink that keeps the same messages as they came. Sourced by them; sources test.sh.
#
#   until_true SECS COMMAND...    repeats it until it succeeds; fails after SECS
#   site_start N PORT TO          N servers, all up; the mail server's port on 127.0.0.1; `email-alert to`, as it
#                                 stands between double quotes. A settings file is loaded if $TMPDIR/settings.lua is there
#   site_servers down|up          takes all servers down, or up, at once: their health is set on the command line, as
#                                 health checks would take longer or, on a busy machine, be late and add alerts
#                                 (a function site_more may print more backends, by site_backend NAME FROM TO N; N = 0:
#                                 these alone)
#   site_stop                     ends HAProxy
#   site_said PATTERN             whether a line of HAProxy's log matches
#   site_compare BOX...           compares all mails in each BOX, which is MAILBOX=FOLDER, with what the sink got, by
#                                 same.pl, and prints what it prints
#   site_arrive N BOX...          waits until the sink and each BOX have N mails: each of them once, and as sent

# shellcheck disable=SC2154 # ports are set by name

interop=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$interop/../lib/test.sh"

: "${HAPROXY_PROGRAM:?names the HAProxy to test}"
: "${MAILERS_LUA:=$(cd "$B/.." && pwd)/lua/mailers.lua}"
SENDER=haproxy@lb1.example.net
WAIT_S=60

until_true() {
	local end=$((SECONDS + $1 + 1))

	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.02
	done
}

site_configure() {
	cat <<-END
		global
			lua-load $MAILERS_LUA$([ ! -f "$TMPDIR/settings.lua" ] || echo " $TMPDIR/settings.lua")
			log stdout format raw local0
			stats socket $TMPDIR/cli level admin
		mailers alerts
			mailer mta 127.0.0.1:$1
			mailer copy 127.0.0.1:$copy_port
		defaults
			mode http
			log global
			timeout connect 5s
			timeout client 5s
			timeout server 5s
	END
	[ "$3" = 0 ] || site_backend www $SENDER "$2" "$3"
	[ -z "$(declare -F site_more)" ] || site_more
}

site_backend() {
	cat <<-END
		backend $1
			email-alert mailers alerts
			email-alert level notice
			email-alert from $2
			email-alert to "$3"
			email-alert myhostname lb1.example.net
			server-template s 1-$4 127.0.0.1:$web_port check inter 1h
	END
}

# site_cli <command>: prints HAProxy's answer.
site_cli() {
	perl -MIO::Socket::UNIX -e '
		alarm 20;
		my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or exit 1;
		print $s "$ARGV[1]\n";
		print <$s>;' "$TMPDIR/cli" "$1"
}

site_is_up() { site_cli "show info" | grep -q '^Uptime'; }

site_start() {
	mkdir "$TMPDIR/sent"
	sink_start copy --mail-dir "$TMPDIR/sent"
	tool_start web tcp_target
	site_configure "$2" "$3" "$1" > "$TMPDIR/cfg"
	"$HAPROXY_PROGRAM" -db -f "$TMPDIR/cfg" > "$TMPDIR/log" 2> "$TMPDIR/stderr" < /dev/null &
	echo $! > "$TMPDIR/haproxy.pid"
	until_true $WAIT_S site_is_up || fail "HAProxy: $(cat "$TMPDIR/stderr")"
	site_count=$1
}

site_servers() { site_health "$1" www "$site_count"; }

# site_health down|up PROXY N: of the servers s1 to sN of a proxy.
site_health() {
	local line='' i

	for ((i = 1; i <= $3; i++)); do
		line+="set server $2/s$i health $1;"
	done
	equal '' "$(site_cli "$line" | tr -d '\n')" "HAProxy's answer"
}

site_stop() {
	local pid

	[ -s "$TMPDIR/haproxy.pid" ] || return 0
	pid=$(cat "$TMPDIR/haproxy.pid")
	kill "$pid" || fail "HAProxy is gone: $(tail -n 5 "$TMPDIR/log" "$TMPDIR/stderr")"
	wait "$pid" || true
	rm "$TMPDIR/haproxy.pid"
}

eval "tools_$(declare -f test_cleanup)"
test_cleanup() {
	[ ! -s "$TMPDIR/haproxy.pid" ] || kill -KILL "$(cat "$TMPDIR/haproxy.pid")" 2> /dev/null
	[ -z "$(declare -F mta_stop)" ] || mta_stop
	tools_test_cleanup
}

site_said() { grep -Eq -e "$1" "$TMPDIR/log"; }

site_compare() { perl "$interop/same.pl" "$TMPDIR/sent" $SENDER "$@"; }

site_mails() { find "${1#*=}" -type f 2> /dev/null | wc -l; }

site_mails_reach() { [ "$(site_mails "$2")" -ge "$1" ]; }

site_arrive() {
	local n=$1 box wanted=

	shift
	sinkctl copy wait mails "$n" $WAIT_S > /dev/null
	for box; do
		until_true $WAIT_S site_mails_reach "$n" "$box" || fail "$(site_mails "$box") of $n mails are in ${box%=*}"
		wanted+="${box%=*} $n $n"$'\n'
	done
	equal "${wanted%$'\n'}" "$(site_compare "$@")"
	equal 0 "$(sinkctl copy get violations)" "$(sinkctl copy violation)"
}
