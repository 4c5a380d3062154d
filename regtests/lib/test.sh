# test.sh - for tests that are shell scripts (run.sh); sourced by them with bash.
#
#   . "$(dirname "$0")/../lib/test.sh"
#   sink__a_mail__is_counted() { sink_start a; ...; }      # a test: what__when__then
#   tests_run                                              # the last line
#
# tests_run runs each function with two "__" in its name, in a shell of its own with `set -e`: a test fails with the
# first command that fails. What it started is ended with it. It prints "N passed, N failed" as regtests/run
# expects. A script can also be run by hand; then T=PATTERN chooses among its tests. `tests_run N` runs N at the same time, for
# tests that mostly wait; what each says comes when it is over.
#
# In a test, $TMPDIR is an empty folder of its own.
#   sink_start NAME [OPTION]...   a smtp_sink in the background; its port is in $NAME_port
#   sinkctl NAME COMMAND...       a command to it (wait, get, rule...)
#   tool_start NAME PROGRAM [OPTION]...  the same for another tool of build/tools
#   talk PORT                     connects to a mail server ($talk_fd; what is said goes to $talk_out); then
#   say LINE                      sends a line with CRLF,
#   say_at_once TEXT              sends TEXT, in which \r and \n are understood, in one piece,
#   hear CODE                     reads a reply, which must have that code, into $reply,
#   hear_end                      expects the end of the connection, by FIN or RST.
#   equal WANTED GOT [WHAT], fail TEXT

: "${B:=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/build}"
: "${TOOLS:=$B/tools}"
HEAR_S=20

fail() {
	echo "    $*"
	exit 1
}

equal() {
	[ "$1" = "$2" ] || fail "${3:+$3: }wanted '$1', got '$2'"
}

tool_start() {
	local name=$1 program=$2

	shift 2
	printf -v "${name}_port" '%s' "$("$TOOLS/$program" --background --control "$TMPDIR/$name.ctl" "$@")"
	[ -n "$(eval "echo \$${name}_port")" ] || fail "$program did not start"
}

sink_start() {
	local name=$1

	shift
	tool_start "$name" smtp_sink "$@"
}

sinkctl() {
	local name=$1

	shift
	"$TOOLS/sinkctl" "$TMPDIR/$name.ctl" "$@"
}

talk() {
	exec {talk_fd}<>"/dev/tcp/127.0.0.1/$1" || return
	talk_out=$talk_fd
}

say() { printf '%s\r\n' "$1" >&"$talk_out"; }

# printf of bash writes each line for itself; cat writes a file at once.
say_at_once() {
	# shellcheck disable=SC2059
	printf "$1" > "$TMPDIR/say"
	cat "$TMPDIR/say" >&"$talk_out"
}

hear() {
	local line

	reply=
	while IFS= read -r -t $HEAR_S line <&"$talk_fd"; do
		reply+=${line%$'\r'}$'\n'
		case $line in
		"$1 "*$'\r' | "$1"$'\r') return 0 ;;
		"$1-"*$'\r') ;;
		*) break ;;
		esac
	done
	fail "wanted $1, got '${line:-nothing}'"
}

hear_end() {
	local c= status=0

	IFS= read -r -t $HEAR_S -N 1 c <&"$talk_fd" 2> /dev/null || status=$?
	[ $status = 1 ] || fail "wanted the end of the connection, got '${c:-nothing}'"
	exec {talk_fd}>&-
}

# Ends the tools that a test left running, by their control sockets.
test_cleanup() {
	local ctl

	for ctl in "$TMPDIR"/*.ctl; do
		[ ! -S "$ctl" ] || "$TOOLS/sinkctl" "$ctl" quit >/dev/null 2>&1 || true
	done
	rm -rf "$TMPDIR"
}

# A test may set a trap for its own EXIT: what must be done in any case is done outside of its shell.
test_one() {
	local status

	TMPDIR=$(mktemp -d "$1/test.XXXXXX") || exit 1
	export TMPDIR
	test_shell "$2"
	status=$?
	test_cleanup
	return $status
}

test_shell() (
	trap 'echo "    line $LINENO: $BASH_COMMAND"' ERR
	set -eE
	"$1"
)

# A function would run without `set -e` as a condition, so the status is looked at afterwards.
test_report() {
	local status

	test_one "$1" "$2"
	status=$?
	[ $status = 0 ] && echo "ok   $2" || echo "FAIL $2"
	return $status
}

tests_run() {
	local name pid pids=() passed=0 failed=0 at_once=${1:-1} folder=${TMPDIR:-/tmp}

	set +e
	for name in $(declare -F | sed -n 's/^declare -f \(.*__.*__.*\)/\1/p'); do
		[[ $name == *${T:-}* ]] || [ -n "${MAILERS_TEST_DRIVER:-}" ] || continue
		if [ "$at_once" = 1 ]; then
			test_report "$folder" "$name"
			[ $? = 0 ] && passed=$((passed + 1)) || failed=$((failed + 1))
			continue
		fi
		while [ "$(jobs -rp | wc -l)" -ge "$at_once" ]; do
			wait -n
		done
		{
			said=$(test_report "$folder" "$name" 2>&1)
			status=$?
			echo "$said"
			exit $status
		} &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid"
		[ $? = 0 ] && passed=$((passed + 1)) || failed=$((failed + 1))
	done
	echo "$passed passed, $failed failed"
	[ $failed = 0 ] && [ $passed != 0 ]
	exit
}
