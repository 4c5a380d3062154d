#!/bin/bash
# Rules and templates in a HAProxy: who gets a mail with which words, and `mailers route`, which says so before.
. "$(dirname "$0")/../../lib/alerts.sh"

WAIT_S=60
alert_level=info

# settings: the file of stdin becomes the settings file
settings() {
	cat > "$TMPDIR/settings.lua"
	haproxy_load="$MAILERS_LUA $TMPDIR/settings.lua"
}

# The mail number $1 of the sink, in one line of shell: `mail 1 | grep`.
mail() { tr -d '\r' < "$TMPDIR/mails/$(printf %06d "$1").eml"; }

down() { cli h "set server $1 health down"; }

rules__with_real_events__choose_recipients_and_words() {
	mkdir "$TMPDIR/mails"
	sink_start s --mail-dir "$TMPDIR/mails" --log "$TMPDIR/s.log"
	settings <<-'END'
		return {
			mailers = { ["*"] = { tls = "none" } },
			subject = "%{proxy}: %{server} is %{state}",
			rules = {
				{ proxy = "^test", drop = true },
				{ proxy = "^db", event = { "down", "up" }, to = "DBA <dba@example.org>", cc = { "boss@example.org" },
					subject = "Datenbank %{server} fällt aus: %{cause}", body = "Grüße\n%{text}\nSeit %{since}." },
			},
		}
	END
	haproxy_start h < <(for name in test1 db1 web; do proxy_text $name "$s_port"; done)
	down test1/s1
	down db1/s1
	sinkctl s wait mails 1 $WAIT_S > "$TMPDIR/waited"
	mail 1 > "$TMPDIR/mail"
	grep -qx 'To: DBA <dba@example.org>' "$TMPDIR/mail" || fail "$(cat "$TMPDIR/mail")"
	grep -qx 'Cc: boss@example.org' "$TMPDIR/mail"
	! LC_ALL=C grep '[^ -~	]' "$TMPDIR/mail" || fail "not ASCII"
	perl -MEncode -MMIME::QuotedPrint -0777 -ne '
		my ($head, $body) = /^(From: .*?\n)\n(.*)/ms;
		$head =~ s/\n[ \t]/ /g;
		my ($subject) = $head =~ /^Subject: (.*)$/m;
		my ($date) = $head =~ /^Date: (.*)$/m;
		die $subject unless encode("UTF-8", decode("MIME-Header", $subject)) eq "Datenbank s1 fällt aus: changed from CLI";
		my $text = decode_qp($body);
		die $text unless $text =~ /^Grüße\nServer db1\/s1 is DOWN, changed from CLI\. .* in queue\nSeit \Q$date\E\.\n/;' \
		"$TMPDIR/mail" || fail "$(cat "$TMPDIR/mail")"
	down web/s1
	sinkctl s wait mails 2 $WAIT_S > "$TMPDIR/waited"
	mail 2 | grep -qx 'Subject: web: s1 is DOWN' || fail "$(mail 2)"
	mail 2 | grep -qx 'To: ops@example.org'
	equal 2 "$(sinkctl s get mails)"
	grep -q 'TO:<dba@example.org> .*TO:<boss@example.org>' "$TMPDIR/s.log" || fail "$(cat "$TMPDIR/s.log")"
}

# The same from each thread, in both ways of loading, and nothing is sent.
route_from_everywhere() {
	local i

	haproxy_start h < <(proxy_text db1 "$s_port"; proxy_text test1 "$s_port")
	for ((i = 1; i <= 4; i++)); do
		equal $'rules:   2, 3\nto:      <boss@example.org>, <dba@example.org>\nmailers: m1\nsubject: DB s1 is DOWN\n| Server db1/s1 is DOWN' \
			"$(cli h$i mailers route db1/s1 down)" "$haproxy_directive, thread $i"
	done
	equal $'rules:   1\nno mail: dropped' "$(cli h mailers route test1/s1 up)"
	cli h mailers route db1/s1 check | grep -q 'none matches'
	cli h mailers route db1/s1 check info a timeout of it | grep -q '^rules:   4$' || fail "$(cli h mailers route db1/s1 check info a timeout of it)"
	cli h mailers route db1/s1 down emerg | grep -q '^rules:   2, 3$'
	cli h mailers route nothing/s1 down | grep -q '^no such proxy'
	cli h mailers route db1/s1 sideways | grep -q '^no such event: down, up, drain or check'
	cli h mailers route db1/s1 down loud | grep -q '^no such level: '
	cli h mailers route db1/s1 | grep -q '^usage: '
	haproxy_stop h
	rm -f "$TMPDIR"/h*.cli "$TMPDIR"/h.*
}

route__before_anything_happens__says_what_would() {
	local i

	sink_start s
	settings <<-'END'
		return { mailers = { ["*"] = { tls = "none" } }, rules = {
			{ proxy = "^test", drop = true },
			{ level = "alert", cc = "boss@example.org", continue = true },
			{ event = "down", to = "dba@example.org", subject = "DB %{server} is %{state}" },
			{ words = "TIMEOUT", mailers = "m1" },
		} }
	END
	haproxy_global='nbthread 4'
	for ((i = 1; i <= 4; i++)); do
		haproxy_global+=$'\n\t'"stats socket $TMPDIR/h$i.cli level user thread $i"
	done
	for haproxy_directive in lua-load lua-load-per-thread; do
		route_from_everywhere
	done
	equal 0 "$(sinkctl s get mails)"
}

# What is only known when HAProxy starts: whose mailers there are.
mailers__of_a_rule_that_a_proxy_has_not__are_refused() {
	settings <<< 'return { mailers = { ["*"] = { tls = "none" } }, rules = { {}, { mailers = { "m9" } } } }'
	haproxy_refuses r < <(proxy_text r 25)
	grep -q 'haproxy-mailers: proxy r: rules\[2\].mailers names no mailer of it; write ' <<< "$refusal" || fail "$refusal"
}

tests_run
