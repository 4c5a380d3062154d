# alerts.sh - for tests that raise many alerts: what they do to servers, and what a mail server has of it.
#
#   . "$(dirname "$0")/../../lib/alerts.sh"        sources proxy.sh
#
# alerts_backend NAME MAILERS [TO]   text of a backend that mails to the mailers section; its servers are to follow
# alerts_mailers NAME PORT...        text of a mailers section with the mailers m1, m2...
# alerts_of SINK [TO] [SERVER]       the alerts that a mail server started with --log accepted, in its order: a line
#                                    "RECIPIENT PROXY/SERVER down|up|drain|report" for each recipient
# alerts_count SINK [TO] [SERVER]    how many
# alerts_once                        of such lines those that do not repeat the line before of the same lane
# alerts_odd N LANES                 of such lines what is not as it should be when LANES pairs of recipient and server
#                                    are each told N times down and up in turn; nothing when all is well

. "$(dirname "${BASH_SOURCE[0]}")/proxy.sh"

WAIT_S=30

alerts_backend() {
	cat <<-END
		backend $1
			email-alert mailers $2
			email-alert level $alert_level
			email-alert from ha@example.org
			email-alert to "${3:-ops@example.org}"
			email-alert myhostname lb.example.org
	END
}

alerts_mailers() {
	local i=0

	printf 'mailers %s\n\ttimeout mail %s\n' "$1" "$mail_timeout"
	while shift && [ $# != 0 ]; do
		i=$((i + 1))
		printf '\tmailer m%d 127.0.0.1:%s\n' $i "$1"
	done
}

alerts_of() {
	awk -F '\t' -v to="${2:-}" -v server="${3:-}" '
		BEGIN {
			word["is UP"] = "up"; word["is DOWN"] = "down"; word["enters drain"] = "drain"; word["check for"] = "report"
		}
		match($6, /[Ss]erver [^ ]+/) {
			name = substr($6, RSTART + 7, RLENGTH - 7)
			kind = "?"
			for (w in word)
				if (index($6, w))
					kind = word[w]
			n = split($5, part, " ")
			for (i = 3; i <= n; i++) {
				if (part[i] !~ /^TO:/)
					continue
				rcpt = substr(part[i], 5, length(part[i]) - 5)
				if ((to == "" || rcpt == to) && (server == "" || name == server))
					print rcpt, name, kind
			}
		}' "$TMPDIR/$1.log"
}

alerts_count() { alerts_of "$@" | wc -l; }

alerts_once() { awk 'last[$1 " " $2] != $3 { last[$1 " " $2] = $3; print }'; }

alerts_odd() {
	awk -v n="$1" -v lanes="$2" '
		{
			lane = $1 " " $2
			count[lane]++
			if ($3 != (count[lane] % 2 ? "down" : "up") && !(lane in wrong))
				wrong[lane] = "alert " count[lane] " is " $3
		}
		END {
			for (lane in count) {
				if (count[lane] != 2 * n)
					print lane ": " count[lane] " alerts"
				else if (lane in wrong)
					print lane ": " wrong[lane]
			}
			if (length(count) != lanes)
				print length(count) " pairs of recipient and server"
		}'
}
