# postfix.sh - a private Postfix on loopback, for the demo and the interop tests; sourced by them with bash.
#
#   postfix_possible                 whether this user can run one: Postfix's master wants root
#   postfix_start DIR ADDRESS...     starts one whose files are all below DIR, and which delivers to a maildir for
#                                    each ADDRESS (all of one domain) and refuses every other recipient. Its port is in
#                                    $postfix_port. A second call on DIR starts it again, on the same port.
#                                    A function postfix_more PORT may print more lines of its master.cf.
#   postfix_stop DIR                 ends it with all its processes, as `postfix stop` does, and waits for that
#   postfix_mails DIR ADDRESS        the files of the mails that were delivered, in their order
#
# The system's own Postfix, its queue and its configuration stay as they are. The port is one outside of those that
# the kernel gives to clients, so that it is still free when a Postfix that was stopped comes again.

. "$(dirname "${BASH_SOURCE[0]}")/folder.sh"

POSTFIX_LIFETIME_S=600 # it ends by itself if nobody stopped it

postfix_possible() {
	[ "$(id -u)" = 0 ] && command -v postconf > /dev/null
}

postfix_program() { echo "$(postconf -dh daemon_directory)/master"; }

postfix_main_cf() {
	local dir=$1 address

	shift
	cat <<-END
		compatibility_level = 3.6
		queue_directory = $dir/queue
		data_directory = $dir/data
		maillog_file = $dir/log
		maillog_file_prefixes = $dir
		inet_interfaces = 127.0.0.1
		inet_protocols = ipv4
		myhostname = mail.${1#*@}
		mydestination =
		alias_maps =
		virtual_mailbox_domains = ${1#*@}
		virtual_mailbox_maps = inline:{$(for address; do printf ' %s=%s/' "$address" "$address"; done) }
		virtual_mailbox_base = $dir/mail
		virtual_uid_maps = static:$(id -u nobody)
		virtual_gid_maps = static:$(id -g nobody)
		virtual_minimum_uid = 1
		local_header_rewrite_clients =
		smtpd_relay_restrictions = reject_unauth_destination
		smtpd_peername_lookup = no
		default_transport = error:no mail leaves here
	END
}

postfix_master_cf() {
	cat <<-END
		127.0.0.1:$1 inet n - n - - smtpd
		cleanup unix n - n - 0 cleanup
		qmgr unix n - n 300 1 qmgr
		rewrite unix - - n - - trivial-rewrite
		bounce unix - - n - 0 bounce
		defer unix - - n - 0 bounce
		trace unix - - n - 0 bounce
		proxymap unix - - n - - proxymap
		error unix - - n - - error
		retry unix - - n - - error
		virtual unix - n n - - virtual
		anvil unix - - n - 1 anvil
		tlsmgr unix - - n 1000? 1 tlsmgr
		postlog unix-dgram n - n - 1 postlogd
	END
	[ -z "$(declare -F postfix_more)" ] || postfix_more "$1"
}

postfix_make() {
	local dir=$1 owner

	owner=$(postconf -dh mail_owner)
	mkdir -p "$dir/etc" "$dir/queue/pid" && folder_open "$dir" && postfix_main_cf "$@" > "$dir/etc/main.cf" &&
		install -d -o nobody "$dir/mail" && install -d -o "$owner" "$dir/data" &&
		install -d -o "$owner" -m 700 "$dir"/queue/{active,bounce,corrupt,defer,deferred,flush,hold,incoming} &&
		install -d -o "$owner" -m 700 "$dir"/queue/{private,saved,trace} &&
		install -d -o "$owner" -g "$(postconf -dh setgid_group)" -m 710 "$dir/queue/public" &&
		install -d -o "$owner" -g "$(postconf -dh setgid_group)" -m 730 "$dir/queue/maildrop"
}

postfix_start() {
	local dir=$1 tries

	[ -d "$dir" ] || postfix_make "$@" || return 1
	for ((tries = 0; tries < 20; tries++)); do
		[ -s "$dir/port" ] && postfix_port=$(< "$dir/port") || postfix_port=$((20000 + RANDOM % 12000))
		postfix_master_cf "$postfix_port" > "$dir/etc/master.cf"
		if MAIL_CONFIG=$dir/etc "$(postfix_program)" -w -e "$POSTFIX_LIFETIME_S" 2>> "$dir/stderr" < /dev/null; then
			echo "$postfix_port" > "$dir/port"
			return 0
		fi
	done
	cat "$dir/stderr" "$dir/log" >&2
	return 1
}

# The master passes the signal on to its children, and ends.
postfix_stop() {
	local dir=$1 pid tries

	[ -s "$dir/queue/pid/master.pid" ] || return 0
	MAIL_CONFIG=$dir/etc "$(postfix_program)" -t 2> /dev/null && return 0
	read -r pid < "$dir/queue/pid/master.pid"
	kill "$pid" || return 1
	for ((tries = 0; tries < 200; tries++)); do
		MAIL_CONFIG=$dir/etc "$(postfix_program)" -t 2> /dev/null && return 0
		sleep 0.02
	done
	kill -KILL -- "-$pid"
}

# The names of a maildir's files begin with the second and hold the microsecond behind an M.
postfix_mails() {
	find "$1/mail/$2/new" -type f 2> /dev/null | sed 's/.*\/\([0-9]*\)\..*M\([0-9]*\)\..*/\1 \2 &/' |
		sort -k1,1n -k2,2n | cut -d ' ' -f 3-
}
