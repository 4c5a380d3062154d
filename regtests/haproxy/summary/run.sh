#!/bin/bash
# Summaries: alerts that come close together leave as one mail. Each mail is read, and its numbers must add up.
. "$(dirname "$0")/../../lib/alerts.sh"

WAIT_S=60
PROXIES="web db api static"
EACH=250 # servers of each

mail_timeout=30s
haproxy_global='tune.bufsize 65536'

# start NAME TO SETTINGS [SERVERS]: the four proxies over the sink s
start() {
	local proxy

	printf 'return { %s }\n' "$3" > "$TMPDIR/settings.lua"
	haproxy_load="$MAILERS_LUA $TMPDIR/settings.lua"
	haproxy_start "$1" < <(
		for proxy in $PROXIES; do
			alerts_backend "$proxy" m "$2"
			seq "${4:-$EACH}" | sed 's|.*|server s& 127.0.0.1:1|'
		done
		alerts_mailers m "$s_port"
	)
}

# all NAME up|down [SERVERS]: tells all servers, a line of commands for each proxy
all() {
	local proxy

	for proxy in $PROXIES; do
		cli "$1" "$(seq "${3:-$EACH}" | sed "s|.*|set server $proxy/s& health $2;|" | tr -d '\n')"
	done
}

# What the mails in $TMPDIR/mails say, by the alerts themselves; an ordinary mail is one alert:
#   server FILE NAME ALERTS down|up    each server of each mail, in order
# and, where a number of a summary is not what its parts add up to, "wrong FILE WHAT".
# shellcheck disable=SC2016
mails() {
	awk '
		function wrong(what) { print "wrong", FILENAME, what }
		function word(text) { return text ~ / is DOWN/ ? "down" : text ~ / is UP/ ? "up" : "other" }
		function finish() {
			if (!n)
				return
			if (sum != alerts) wrong(sum " alerts of " alerts)
			if (count != groups) wrong(count " groups of " groups)
			if (downs != down || listed != down || now != down) wrong(downs "/" listed "/" now " down of " down)
			if (ups != up) wrong(ups " up of " up)
			if (first != alerts || second != groups) wrong("body begins with other numbers")
			if (changes != alerts || checks) wrong(changes " changes, " checks " reports of " alerts)
			if (!oldest || !newest) wrong("no times")
		}
		FNR == 1 { finish(); n = sum = count = downs = ups = listed = now = header = 0; name = oldest = newest = "" }
		{ sub(/\r$/, "") }
		/^Subject: \[HAProxy Alert\] [0-9]+ alerts: / {
			n = 1; alerts = $4; down = $6; up = $9; groups = 0
		}
		/^Subject: \[HAProxy Alert\] (Backup )?Server / {
			split($0, part, /Server /)
			split(part[2], w, " ")
			print "server", FILENAME, w[1], 1, word($0)
		}
		!n { next }
		/^[0-9]+ alerts in [0-9]+ groups?: / { first = $1; second = groups = $4; changes = $6; checks = $9 }
		/^Oldest: / { oldest = $0 }
		/^Newest: / { newest = $0 }
		/^Down now: / { now = $3 }
		/^    [^ ]+ since / { listed++ }
		/^[^ ]+: [0-9]+ alerts?, / { name = $1; sub(/:$/, "", name); k = $2; count++; sum += k; next }
		name != "" {
			print "server", FILENAME, name, k, word($0)
			downs += word($0) == "down"
			ups += word($0) == "up"
			name = ""
		}
		END { finish() }' "$TMPDIR"/mails/*.eml
}

alerts_told() { [ -z "$(ls "$TMPDIR/mails")" ] && echo 0 || mails | awk '$1 == "server" { n += $4 } END { print n + 0 }'; }

no_wrong() { equal "" "$(mails | grep '^wrong' | head -n 5)"; }

sink_of_mails() { mkdir "$TMPDIR/mails"; sink_start s --mail-dir "$TMPDIR/mails" --log "$TMPDIR/s.log" "$@"; }

# A rack goes down and comes up again.
outage() {
	all h down
	same_within $WAIT_S 1000 alerts_told
	all h up
	same_within $WAIT_S 2000 alerts_told
	no_wrong
	equal 1000 "$(mails | awk '$1 == "server" && $5 == "down" { print $3 }' | sort -u | wc -l)" "servers told down"
	equal 1000 "$(mails | awk '$1 == "server" && $5 == "up" { print $3 }' | sort -u | wc -l)" "servers told up"
	equal "" "$(mails | awk '$1 == "server" && !($4 == 1 && $5 == (seen[$3]++ ? "up" : "down"))' | head -n 3)"
}

rack_outage__1000_servers_of_4_proxies__is_8_mails_that_add_up() {
	sink_of_mails
	start h ops@example.org 'summary = { wait = "2s", max_wait = "5m" }'
	outage
	[ "$(sinkctl s get mails)" -le 8 ] || fail "$(sinkctl s get mails) mails"
	equal 4 "$(cut -f 6 "$TMPDIR/s.log" | grep -c '250 alerts: 250 servers down, 0 up ([a-z]*)$')" "$(cut -f 6 "$TMPDIR/s.log")"
	equal 4 "$(cut -f 6 "$TMPDIR/s.log" | grep -c '250 alerts: 0 servers down, 250 up ([a-z]*)$')" "$(cut -f 6 "$TMPDIR/s.log")"
	equal 0 "$(sinkctl s get violations)" "$(sinkctl s violation)"
	cli h show mailers | grep -q ' 2000 ' || fail "$(cli h show mailers)"
}

rack_outage__one_batch_for_all_proxies__is_2_mails_that_name_them() {
	sink_of_mails
	start h ops@example.org 'summary = { wait = "2s", max_wait = "5m", batch = "all proxies" }'
	outage
	equal 2 "$(sinkctl s get mails)" mails
	equal '[HAProxy Alert] 1000 alerts: 1000 servers down, 0 up (web, db, api, static)' "$(sed -n 1p "$TMPDIR/s.log" | cut -f 6)"
	equal '[HAProxy Alert] 1000 alerts: 0 servers down, 1000 up (web, db, api, static)' "$(sed -n 2p "$TMPDIR/s.log" | cut -f 6)"
}

# What differs between two mails of one alert: when it was, and which process told it.
plain() { sed -E 's/^(CONNECTION|TIME) .*/\1/; s/^(Date: ).*/\1/; s/^(Message-ID: <1\.)[^@]*/\1/' "$1"; }

one_alert__alone__is_the_ordinary_mail() {
	local proxies=$PROXIES

	sink_of_mails
	PROXIES=db
	start plain 'ops@example.org, boss@example.org' '' 3
	start h 'ops@example.org, boss@example.org' 'summary = { wait = "100ms" }' 3
	cli plain set server db/s2 health down
	sinkctl s wait mails 1 $WAIT_S > /dev/null
	cli h set server db/s2 health down
	sinkctl s wait mails 2 $WAIT_S > /dev/null
	PROXIES=$proxies
	grep -q 'is DOWN' "$TMPDIR/mails/000001.eml" || fail "$(cat "$TMPDIR/mails/000001.eml")"
	plain "$TMPDIR/mails/000001.eml" > "$TMPDIR/expected"
	plain "$TMPDIR/mails/000002.eml" > "$TMPDIR/got"
	diff "$TMPDIR/expected" "$TMPDIR/got"
}

first_now__first_alert__does_not_wait() {
	sink_of_mails
	start h ops@example.org 'summary = { wait = "1h", max_wait = "2h", first = "now" }, commands = true' 5
	cli h set server db/s1 health down
	sinkctl s wait mails 1 $WAIT_S > /dev/null
	equal 'server down' "$(mails | awk '{ print $1, $5 }')"
	all h down 5
	sinkctl s wait mails 4 $WAIT_S > /dev/null
	same_within $WAIT_S 16 eval "cli h show mailers alerts | grep -c ' queued '"
	equal 'api db static web' "$(mails | awk '{ sub("/.*", "", $3); print $3 }' | sort | xargs)" "proxies of the first alerts"
	equal 4 "$(sinkctl s get mails)" mails
}

soft_stop__what_waits__leaves_at_once() {
	local pid

	sink_of_mails
	start h ops@example.org 'summary = { wait = "1h", max_wait = "2h" }' 50
	all h down 50
	same_within $WAIT_S 200 eval "cli h show mailers | awk '\$1 == \"m1\" { print \$5 }'"
	equal 0 "$(sinkctl s get mails)" "mails before the stop"
	pid=$(cat "$TMPDIR/h.pid")
	kill -USR1 "$pid"
	same_within $WAIT_S 200 alerts_told
	equal 4 "$(sinkctl s get mails)" mails
	no_wrong
	until_true $WAIT_S haproxy_is_gone h || fail "it does not end"
}

flush__what_waits__leaves_at_once() {
	sink_of_mails
	start h ops@example.org 'summary = { wait = "1h", max_wait = "2h" }, commands = true' 20
	all h down 20
	cli h mailers flush
	same_within $WAIT_S 80 alerts_told
	equal 4 "$(sinkctl s get mails)" mails
	no_wrong
}

# Mails that are deferred and connections that break: of each server every alert once, and its state by the last one.
flapping_servers__mails_deferred__each_servers_alerts_in_order() {
	local i

	sink_of_mails --rule 'rcpt times 3 reply 450 4.2.1 later' --rule 'dot from 4 times 3 reply 451 4.3.0 later' \
		--rule 'mail limit 2'
	start h ops@example.org 'summary = { wait = "200ms", max_wait = "1s" }, limit = { mails = 6, per = "2s" }' 20
	for i in $(seq 30); do
		all h down 20
		all h up 20
	done
	same_within $WAIT_S $((30 * 2 * 20 * 4)) alerts_told
	no_wrong
	equal "" "$(mails | awk '$1 == "server" && ((n[$3] += $4) % 2 ? "down" : "up") != $5' | head -n 3)"
	grep -q 'deferred at' "$TMPDIR/h.out" || fail "no mail was deferred"
}

tests_run
