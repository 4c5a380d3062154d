# exim.sh - a private Exim on loopback, for the interop tests; sourced by them with bash.
#
#   exim_get                      gets the program: Debian's package, unpacked below build/exim with the libraries that
#                                 are not installed (as a package Exim and Postfix exclude each other)
#   exim_start DIR ADDRESS...     starts one whose files are all below DIR, and which delivers to a maildir for each
#                                 ADDRESS (all of one domain), DIR/mail/ADDRESS, and refuses every other recipient. Its
#                                 port is in $exim_port. It is a job of the shell.
#                                 More of its configuration may stand in $exim_main (main section), $exim_rcpt (ACL, before
#                                 the rule that accepts recipients) and $exim_authenticators.
#   exim_stop DIR                 ends it
#
# Exim asks for its user by name, Debian-exim, which only the package's installation makes: libnss-wrapper answers in
# place of the system, and so Exim needs no root.

. "$(dirname "${BASH_SOURCE[0]}")/folder.sh"

exim_root=${B:-$PWD/build}/exim/root
EXIM_DEPENDS='--no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances'

# The libraries that are not installed, the C library's own apart.
exim_packages() {
	local direct

	# shellcheck disable=SC2086
	direct=$(apt-cache depends $EXIM_DEPENDS exim4-daemon-light | sed -n 's/^ *|\{0,1\}Depends: \(lib.*\)/\1/p')
	echo exim4-daemon-light libnss-wrapper
	# shellcheck disable=SC2086
	apt-cache depends --recurse $EXIM_DEPENDS $direct | grep '^lib' | sort -u |
		comm -23 - <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p' | sort -u)
}

exim_download() {
	# shellcheck disable=SC2046
	apt-get -qq download $(exim_packages)
}

exim_get() (
	mkdir -p "${exim_root%/root}" && cd "${exim_root%/root}" && exec 9> lock && flock 9 || exit 1
	[ ! -x root/usr/sbin/exim4 ] || exit 0
	rm -rf new && mkdir -p new/root && cd new || exit 1
	# Lists that are old or missing are the usual cause.
	exim_download 2> /dev/null || { [ "$(id -u)" = 0 ] && apt-get -qq update && exim_download; } || exit 1
	for deb in *.deb; do
		dpkg-deb -x "$deb" root || exit 1
	done
	# A program with this bit takes no libraries from its environment.
	chmod u-s root/usr/sbin/exim4 || exit 1
	cd .. && rm -rf root && mv new/root root && rm -rf new
)

exim_run() {
	local dir=$1 libraries

	shift
	libraries=$(dirname "$(find "$exim_root" -name 'libnss_wrapper.so' -print -quit)")
	LD_LIBRARY_PATH=$libraries LD_PRELOAD=$libraries/libnss_wrapper.so \
		NSS_WRAPPER_PASSWD=$dir/passwd NSS_WRAPPER_GROUP=$dir/group \
		exec "$exim_root/usr/sbin/exim4" -C "$dir/conf" "$@"
}

exim_conf() {
	local dir=$1 domain=${2#*@} address boxes=

	shift
	for address; do
		boxes+="${boxes:+ : }${address%@*}"
	done
	cat <<-END
		keep_environment = LD_LIBRARY_PATH : LD_PRELOAD : NSS_WRAPPER_PASSWD : NSS_WRAPPER_GROUP
		primary_hostname = mail.$domain
		spool_directory = $dir/spool
		log_file_path = $dir/log/%s
		pid_file_path = $dir/pid
		exim_path = $exim_root/usr/sbin/exim4
		local_interfaces = 127.0.0.1
		daemon_smtp_ports = $exim_port
		daemon_startup_retries = 0
		deliver_drop_privilege
		${exim_main:-tls_advertise_hosts =}
		smtp_accept_queue_per_connection = 0
		log_selector = +pipelining
		acl_smtp_rcpt = rcpt
		acl_smtp_data = accept
		begin acl
		rcpt:
		  ${exim_rcpt:-}
		  accept domains = $domain
		         local_parts = $boxes
		  deny message = no such mailbox
		begin routers
		box:
		  driver = accept
		  local_parts = $boxes
		  transport = box
		begin transports
		box:
		  driver = appendfile
		  maildir_format
		  directory = $dir/mail/\$local_part_data@$domain
		  envelope_to_add
		  return_path_add
		${exim_authenticators:+begin authenticators
$exim_authenticators}
	END
}

exim_listens() {
	! kill -0 "$1" 2> /dev/null || grep -qs 'listening for SMTP' "$2/log/main"
}

exim_start() {
	local dir=$1 user tries pid end

	user=$(id -u)
	[ "$user" != 0 ] || user=$(id -u nobody)
	mkdir -p "$dir/spool" "$dir/log" "$dir/mail" && folder_open "$dir" || return 1
	{ getent passwd; echo "Debian-exim:x:$user:$user::/:/bin/false"; } > "$dir/passwd"
	{ getent group; echo "Debian-exim:x:$user:"; } > "$dir/group"
	[ "$(id -u)" != 0 ] || chown "$user" "$dir" "$dir/spool" "$dir/log" "$dir/mail"
	for ((tries = 0; tries < 20; tries++)); do
		exim_port=$((20000 + RANDOM % 12000))
		exim_conf "$@" > "$dir/conf"
		(exim_run "$dir" -bdf) > "$dir/stderr" 2>&1 < /dev/null &
		pid=$!
		echo $pid > "$dir/job"
		end=$((SECONDS + 20))
		until exim_listens $pid "$dir" || [ $SECONDS -ge $end ]; do
			sleep 0.02
		done
		kill -0 $pid 2> /dev/null && return 0
	done
	cat "$dir/stderr" "$dir"/log/* >&2
	return 1
}

exim_stop() {
	local pid

	pid=$(cat "$1/job") && kill "$pid" 2> /dev/null && wait "$pid" 2> /dev/null
	true
}
