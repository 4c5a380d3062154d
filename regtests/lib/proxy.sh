# proxy.sh - for tests that run a HAProxy: what test.sh (which it sources) is for the other programs.
#
#   . "$(dirname "$0")/../../lib/proxy.sh"
#
# haproxy_start NAME [OPTION]... <<END    a HAProxy with the configuration text of stdin; returns when it answers on
#                                         its command line, and fails with its output when it does not. OPTION
#                                         stands in place of -db.
# haproxy_refuses NAME [OPTION]... <<END  it must end by itself, and not with 0; what it said is in $refusal
# haproxy_stop NAME [SIGNAL]              ends it (TERM) and waits until it is gone
# cli NAME COMMAND...                     a command to its command line, or several with ";" between; prints the answer
# proxy_text NAME PORT [TO]               text of a backend NAME that mails to the mail server at PORT of 127.0.0.1,
#                                         with a server s1 to take down, and of its mailers section; timeout mail is
#                                         $mail_timeout, email-alert level $alert_level
# sockets_to NAME PORT...                 prints the inodes of the process's sockets that lead to these ports, in any state
# no_sockets_to NAME PORT...              there are none
# until_true SECS COMMAND...              repeats it until it succeeds; fails after SECS
# same_within SECS WANTED COMMAND...      the same until it prints WANTED
# syslog_start NAME                       a receiver of UDP log lines in $TMPDIR/NAME.log, its port is in $NAME_port
#
# In front of the text stands a global section that loads $haproxy_load (MAILERS_LUA) by $haproxy_directive (lua-load), after
# the lines of $haproxy_global, and logs to the output of the process, $TMPDIR/NAME.out. $haproxy_log takes the place of
# that log line.

. "$(dirname "${BASH_SOURCE[0]}")/test.sh"

: "${HAPROXY_PROGRAM:?names the HAProxy to test}"
: "${MAILERS_LUA:=$(cd "$B/.." && pwd)/lua/mailers.lua}"
START_S=${START_S:-20}
STOP_S=20
haproxy_global=
haproxy_directive=lua-load
haproxy_load=$MAILERS_LUA
haproxy_log='log stdout format raw local0'
mail_timeout=1s
alert_level=notice
haproxy_version=$("$HAPROXY_PROGRAM" -v | sed -n '1s/.*version \([0-9]*\)\.\([0-9]*\).*/\1 \2/p' |
	{ read -r major minor && echo $((major * 100 + minor)); })

# 2.8.0 does not tell scripts `timeout mail`: it is 10 s there.
haproxy_tells_timeout() {
	case $("$HAPROXY_PROGRAM" -v) in
	*' version 2.8.0-'*) echo "    not with HAProxy 2.8.0, which does not tell scripts timeout mail"; return 1 ;;
	esac
}

# Lua's Server:get_stats() of HAProxy 2.8.0 alone fails: what was missed cannot be seen there.
haproxy_tells_state() {
	case $("$HAPROXY_PROGRAM" -v) in
	*' version 2.8.0-'*) echo "    not with HAProxy 2.8.0, which does not tell scripts the state of a server"; return 1 ;;
	esac
}

until_true() {
	local end=$((SECONDS + $1 + 1))

	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.02
	done
}

same() { [ "$("${@:2}")" = "$1" ]; }

same_within() {
	until_true "$1" same "${@:2}" || fail "wanted '$2', got '$("${@:3}")': ${*:3}"
}

cli() {
	local name=$1

	shift
	perl -MIO::Socket::UNIX -e '
		alarm 20;
		my $s = IO::Socket::UNIX->new(Peer => shift @ARGV) or exit 1;
		print $s "@ARGV\n";
		print <$s>;' "$TMPDIR/$name.cli" "$*" | sed '/^$/d'
	[ "${PIPESTATUS[0]}" = 0 ]
}

haproxy_text() {
	cat <<-END
		global
			stats socket $TMPDIR/$1.cli level admin
			$haproxy_log
			$haproxy_global
			$haproxy_directive $haproxy_load
		defaults
			mode http
			timeout connect 5s
			timeout client 5s
			timeout server 5s
	END
	cat
}

proxy_text() {
	cat <<-END
		backend $1
			email-alert mailers $1
			email-alert level $alert_level
			email-alert from ha@example.org
			email-alert to ${3:-ops@example.org}
			email-alert myhostname lb.example.org
			server s1 127.0.0.1:1
		mailers $1
			timeout mail $mail_timeout
			mailer m1 127.0.0.1:$2
	END
}

# The process that serves: with -W and -D it is not the one that was started.
haproxy_pid() { cli "$1" show info 2>/dev/null | sed -n 's/^Pid: //p'; }

haproxy_is_up() {
	local name=$1 pid

	[ -S "$TMPDIR/$name.cli" ] && pid=$(haproxy_pid "$name") && [ -n "$pid" ] && echo "$pid" > "$TMPDIR/$name.pid"
}

haproxy_is_up_or_gone() {
	haproxy_is_up "$1" || ! is_alive "$2"
}

haproxy_start() {
	local name=$1 pid

	shift
	[ $# != 0 ] || set -- -db
	haproxy_text "$name" > "$TMPDIR/$name.cfg"
	"$HAPROXY_PROGRAM" "$@" -p "$TMPDIR/$name.master" -f "$TMPDIR/$name.cfg" > "$TMPDIR/$name.out" 2>&1 < /dev/null &
	pid=$!
	disown $pid # or the shell says when it is killed
	echo $pid > "$TMPDIR/$name.first"
	case " $* " in
	*' -D '*) until_true "$START_S" haproxy_is_up "$name" ;;
	*) until_true "$START_S" haproxy_is_up_or_gone "$name" $pid && [ -s "$TMPDIR/$name.pid" ] ;;
	esac || fail "HAProxy $name does not answer: $(cat "$TMPDIR/$name.out")"
}

haproxy_refuses() {
	local name=$1 status=0

	shift
	[ $# != 0 ] || set -- -db
	haproxy_text "$name" > "$TMPDIR/$name.cfg"
	timeout $START_S "$HAPROXY_PROGRAM" "$@" -f "$TMPDIR/$name.cfg" > "$TMPDIR/$name.out" 2>&1 < /dev/null || status=$?
	refusal=$(cat "$TMPDIR/$name.out")
	[ $status != 0 ] && [ $status -lt 124 ] || fail "it ended with $status: $refusal"
}

# Does the process of this id run? One that has ended counts as gone even while nobody has asked for its status.
is_alive() {
	local state

	read -r _ _ state _ 2> /dev/null < "/proc/$1/stat" && [ "$state" != Z ]
}

# Are all processes of it gone: the one that was started, the master and the one that serves?
haproxy_is_gone() {
	local file

	for file in "$TMPDIR/$1".{first,master,pid}; do
		[ ! -s "$file" ] || ! is_alive "$(cat "$file")" || return 1
	done
}

haproxy_stop() {
	local name=$1 file

	for file in "$TMPDIR/$1".{first,master,pid}; do
		[ -s "$file" ] && kill -"${2:-TERM}" "$(cat "$file")" 2>/dev/null && break
	done
	until_true $STOP_S haproxy_is_gone "$name" || fail "HAProxy $name does not end"
}

sockets_to() {
	local ports pid

	pid=$(cat "$TMPDIR/$1.pid")
	shift
	printf -v ports ':%04X$|' "$@"
	find "/proc/$pid/fd" -lname 'socket:*' -printf '%l\n' 2>/dev/null |
		awk -v ports="${ports%|}" '
			FNR == 1 { part++ }
			part == 1 { gsub(/[^0-9]/, ""); mine[$0] = 1; next }
			$3 ~ ports && $10 in mine { print $10 }' - /proc/net/tcp /proc/net/tcp6
}

no_sockets_to() { [ -z "$(sockets_to "$@")" ]; }

syslog_start() {
	local name=$1

	perl -MIO::Socket::INET -e '
		my ($port_file, $log) = @ARGV;
		my $s = IO::Socket::INET->new(Proto => "udp", LocalAddr => "127.0.0.1", LocalPort => 0) or exit 1;
		open my $out, ">", $log or exit 1;
		$out->autoflush(1);
		open my $port, ">", "$port_file.new" or exit 1;
		print $port $s->sockport;
		close $port;
		rename "$port_file.new", $port_file;
		alarm 120;
		while (defined $s->recv(my $line, 65536)) {
			$line =~ s/\n*$/\n/;
			print $out $line;
		}' "$TMPDIR/$name.port" "$TMPDIR/$name.log" &
	echo $! > "$TMPDIR/$name.first"
	until_true $START_S test -s "$TMPDIR/$name.port" || fail "no receiver of log lines"
	printf -v "${name}_port" '%s' "$(cat "$TMPDIR/$name.port")"
}

# Ends what a test left running, by the ids that were written down.
eval "tools_$(declare -f test_cleanup)"
test_cleanup() {
	local file

	for file in "$TMPDIR"/*.first "$TMPDIR"/*.master "$TMPDIR"/*.pid; do
		[ ! -s "$file" ] || kill -KILL "$(cat "$file")" 2>/dev/null || true
	done
	tools_test_cleanup
}
