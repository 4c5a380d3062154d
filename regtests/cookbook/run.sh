#!/bin/bash
# doc/cookbook.md, recipe by recipe: its configuration is cut out of the document, given addresses of this machine (adapt.pl), and
# run by a HAProxy with real mail servers, whose chroot, user and group are as there. Servers are really taken down, and the
# mails are read.
# timeout 600
# shellcheck disable=SC2154 # ports are set by name
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../lib/proxy.sh"
. "$here/../lib/postfix.sh"
. "$here/../lib/certs.sh"

: "${COOKBOOK:=$here/../../doc/cookbook.md}"
WAIT_S=60

if ! postfix_possible; then
	echo "only root can run a Postfix, and a HAProxy with a chroot"
	echo "0 passed, 0 failed, 1 skipped"
	exit 0
fi

# --- recipes ------------------------------------------------------------------------------------------------

# The configuration is complete as it stands.
haproxy_text() { cat; }

# recipe_take NUMBER: its files, in $TMPDIR/etc. stdin has what only this recipe has of adapt.pl's table.
recipe_take() {
	mkdir -p "$TMPDIR/etc" "$TMPDIR/root"
	folder_open "$TMPDIR/etc"
	{
		cat <<-END
			/dev/log = stdout
			/run/haproxy/admin.sock = $TMPDIR/h.cli
			/var/lib/haproxy = $TMPDIR/root
			user haproxy = user nobody
			group haproxy = group nogroup
			/usr/share/haproxy-mailers/mailers.lua = $MAILERS_LUA
			:80 = unix@$TMPDIR/web
			lb1.example.org =
			192.0.2.1:80 = 127.0.0.1:$(target_port 1)
		END
		cat
	} | perl "$here/adapt.pl" "$COOKBOOK" "$1" "$TMPDIR/etc"
}

# HAProxy has nothing to say about it, and starts.
recipe_start() {
	local said

	said=$("$HAPROXY_PROGRAM" -c -f "$TMPDIR/etc/haproxy.cfg" 2>&1) || fail "haproxy -c: $said"
	# 3.1 and newer want a choice that 3.0 does not know.
	! grep -v tune.lua.bool-sample-conversion <<< "$said" | grep -F '[WARNING]' || fail "haproxy -c: $said"
	haproxy_start h < "$TMPDIR/etc/haproxy.cfg"
}

# What the recipe says to try.
recipe_try() { PATH=$B:$PATH sh -e "$TMPDIR/etc/try.sh" > "$TMPDIR/try" 2>&1 || fail "$(cat "$TMPDIR/try")"; }

# said PATTERN: in HAProxy's log
said() { grep -Eq -e "$1" "$TMPDIR/h.out"; }

said_within() { until_true "$1" said "$2" || fail "no '$2' in: $(tail -n 20 "$TMPDIR/h.out")"; }

# --- servers ------------------------------------------------------------------------------------------------

# targets N: that many servers, each at a port of its own
targets() { tool_start targets tcp_target --ports "$1" --port-file "$TMPDIR/targets"; }

target_port() { sed -n "$1p" "$TMPDIR/targets"; }

# servers down|up I...: HAProxy's checks find it out
servers() {
	local i verb=open

	[ "$1" = up ] || verb=close
	shift
	for i; do
		sinkctl targets $verb "$i" > /dev/null
	done
}

# --- mails --------------------------------------------------------------------------------------------------

# mails_start NAME: a Postfix in $TMPDIR/NAME
mails_start() { postfix_start "$TMPDIR/$1" ops@example.org oncall@example.org dba@example.org; }

# How many came to a mailbox: mails NAME BOX
mails() { postfix_mails "$TMPDIR/$1" "$2@example.org" | wc -l; }

# mail NAME BOX I: the I-th, with the lines of its headers unfolded
mail() { perl -0777 -pe 's/\r//g; s/\n[ \t]+/ / while /\A(?:.+\n)*?.+\n[ \t]/' "$(postfix_mails "$TMPDIR/$1" "$2@example.org" | sed -n "$3p")"; }

# mails_have NAME BOX WORD...: the subjects there say, in any order, "SERVER DOWN", or "test"
mails_have() {
	local name=$1 box=$2

	shift 2
	equal "$(printf '%s\n' "$@" | sort)" "$(mails_words "$name" "$box" | sort)" "mails to $box at $name"
}

mails_words() {
	local file

	while IFS= read -r file; do
		sed -n 's/^Subject: \[HAProxy Alert\] Server [a-z_]*\/\([a-z0-9]*\) is \([A-Z]*\)[,.].*/\1 \2/p
			s/^Subject: .*[Tt]est mail.*/test/p' "$file" | head -n 1
	done < <(postfix_mails "$TMPDIR/$1" "$2@example.org")
}

eval "proxy_$(declare -f test_cleanup)"
test_cleanup() {
	local dir

	for dir in "$TMPDIR"/mx?; do
		[ ! -d "$dir" ] || postfix_stop "$dir"
	done
	proxy_test_cleanup
}

# --- 1 ------------------------------------------------------------------------------------------------------

# What curl would get, for the script that renews the token.
curl_make() {
	mkdir "$TMPDIR/bin"
	cat > "$TMPDIR/bin/curl" <<-'END'
		#!/bin/sh
		case "$*" in
		*'://login.microsoftonline.com/0'*'/oauth2/v2.0/token '*'grant_type=client_credentials'*'.default --data-urlencode client_secret@'*) ;;
		*) exit 22 ;;
		esac
		printf '{"token_type":"Bearer","expires_in":3599,"access_token":"%s"}' "$NEXT_TOKEN"
	END
	chmod 755 "$TMPDIR/bin/curl"
}

# token_renew TOKEN: by the script of the recipe
token_renew() { NEXT_TOKEN=$1 PATH=$TMPDIR/bin:$PATH sh "$TMPDIR/etc/token.sh"; }

sink_has() { grep -q "$1" "$TMPDIR/s.log"; }

recipe_1__a_token_that_is_renewed__is_taken() {
	targets 2
	certs_ca "$TMPDIR"
	certs_server "$TMPDIR" smtp.office365.com
	sink_start s --starttls --tls-cert "$TMPDIR/smtp.office365.com.pem" --ehlo 'PIPELINING,8BITMIME,CHUNKING' \
		--tls-ehlo 'PIPELINING,8BITMIME,CHUNKING,AUTH LOGIN XOAUTH2' --auth-required --log "$TMPDIR/s.log" \
		--user alerts@example.org --token ey.first-token
	recipe_take 1 <<-END
		/etc/haproxy/mailers.conf.lua = $TMPDIR/etc/mailers.conf.lua
		/etc/haproxy/haproxy.cfg = $TMPDIR/etc/haproxy.cfg
		/etc/haproxy/token/m365 = $TMPDIR/token/m365
		/etc/haproxy/m365.secret = $TMPDIR/etc/m365.secret
		chgrp haproxy = chgrp nogroup
		192.0.2.2:80 = 127.0.0.1:$(target_port 2)
		smtp.office365.com:587 = 127.0.0.1:$s_port
		smtp.office365.com =
		https://login.microsoftonline.com/\$tenant/oauth2/v2.0/token =
		https://outlook.office365.com/.default =
		/bin/sh =
	END
	install -d -o root -g nogroup -m 750 "$TMPDIR/token"
	folder_open "$TMPDIR"
	curl_make
	export SSL_CERT_FILE=$TMPDIR/ca.pem
	! token_renew '' || fail "an answer without a token was taken for one"
	token_renew ey.first-token
	recipe_try
	sinkctl s wait mails 1 $WAIT_S > /dev/null
	recipe_start
	servers down 1
	sinkctl s wait mails 2 $WAIT_S > /dev/null
	sink_has 'MAIL FROM:<alerts@example.org>.*TO:<ops@example.org>.*Server www/web1 is DOWN'
	equal 0 "$(sinkctl s get auths_failed)" "AUTH refused"

	# A new one is in the file before the old one is refused.
	token_renew ey.second-token
	sinkctl s token ey.second-token > /dev/null
	servers up 1
	sinkctl s wait mails 3 $WAIT_S > /dev/null
	sink_has 'Server www/web1 is UP'
	equal 1 "$(sinkctl s get auths_failed)" "AUTH refused"

	# And after that: the mail waits.
	sinkctl s token ey.third-token > /dev/null
	servers down 2
	said_within $WAIT_S 'mailer m365 .* failed: .* at AUTH'
	equal 3 "$(sinkctl s get mails)" "mails"
	token_renew ey.third-token
	sinkctl s wait mails 4 $WAIT_S > /dev/null
	sink_has 'Server www/web2 is DOWN'
	equal "$(sinkctl s get connections)" "$(sinkctl s get handshakes)" "connections with TLS"
	! grep -F ey. "$TMPDIR/h.out" "$TMPDIR/try" || fail "a token was logged"
}

# --- 2 ------------------------------------------------------------------------------------------------------

recipe_2__down_and_up__reach_both() {
	targets 2
	mails_start mx1
	recipe_take 2 <<-END
		/etc/haproxy/haproxy.cfg = $TMPDIR/etc/haproxy.cfg
		192.0.2.2:80 = 127.0.0.1:$(target_port 2)
		192.0.2.25:25 = 127.0.0.1:$postfix_port
	END
	recipe_try
	recipe_start
	servers down 1
	same_within $WAIT_S 1 mails mx1 oncall
	servers up 1
	servers down 2
	same_within $WAIT_S 3 mails mx1 oncall
	same_within $WAIT_S 4 mails mx1 ops
	mails_have mx1 oncall 'web1 DOWN' 'web1 UP' 'web2 DOWN'
	mails_have mx1 ops test 'web1 DOWN' 'web1 UP' 'web2 DOWN'
	mail mx1 oncall 1 > "$TMPDIR/mail"
	grep -qx 'From: haproxy@lb1.example.org' "$TMPDIR/mail"
	grep -qx 'To: ops@example.org, On call <oncall@example.org>' "$TMPDIR/mail"
	grep -q '^Server www/web1 is DOWN, reason: Layer4 connection problem, .*1 active and 0 backup servers left' "$TMPDIR/mail"
	grep -q '^Received: from lb1\.example\.org ' "$TMPDIR/mail" || fail "$(cat "$TMPDIR/mail")"
}

# --- 3 ------------------------------------------------------------------------------------------------------

recipe_3__the_first_mail_server_dies__the_second_gets_it() {
	targets 2
	mails_start mx1
	first_port=$postfix_port
	mails_start mx2
	recipe_take 3 <<-END
		/etc/haproxy/mailers.conf.lua = $TMPDIR/etc/mailers.conf.lua
		/etc/haproxy/haproxy.cfg = $TMPDIR/etc/haproxy.cfg
		192.0.2.2:80 = 127.0.0.1:$(target_port 2)
		192.0.2.25:25 = 127.0.0.1:$first_port
		198.51.100.25:25 = 127.0.0.1:$postfix_port
	END
	recipe_try
	recipe_start
	servers down 1
	same_within $WAIT_S 2 mails mx1 ops
	postfix_stop "$TMPDIR/mx1"
	servers down 2
	same_within $WAIT_S 2 mails mx2 ops
	said_within $WAIT_S 'mailer mx1 .* is down after 3 failures in a row'
	mails_start mx1
	said_within $WAIT_S 'mailer mx1 .* is up again'
	servers up 1
	same_within $WAIT_S 3 mails mx1 ops
	mails_have mx1 ops test 'web1 DOWN' 'web1 UP'
	mails_have mx2 ops test 'web2 DOWN'
}

# --- 4 ------------------------------------------------------------------------------------------------------

rack="www/web1 www/web2 api/api1 api/api2 db/pg1"

# The servers that the groups of the I-th mail are about, each with one alert
rack_groups() { mail mx1 ops "$1" | sed -n 's/^\([a-z0-9/]*\): 1 alert, .*/\1/p' | sort | xargs; }

recipe_4__a_rack_down_and_up__is_two_mails_that_add_up() {
	local sorted

	sorted=$(xargs -n 1 <<< "$rack" | sort | xargs)
	targets 7
	mails_start mx1
	recipe_take 4 <<-END
		/etc/haproxy/mailers.conf.lua = $TMPDIR/etc/mailers.conf.lua
		/etc/haproxy/haproxy.cfg = $TMPDIR/etc/haproxy.cfg
		/api/ =
		192.0.2.2:80 = 127.0.0.1:$(target_port 2)
		192.0.2.3:80 = 127.0.0.1:$(target_port 3)
		192.0.2.11:8080 = 127.0.0.1:$(target_port 4)
		192.0.2.12:8080 = 127.0.0.1:$(target_port 5)
		192.0.2.21:5432 = 127.0.0.1:$(target_port 6)
		192.0.2.22:5432 = 127.0.0.1:$(target_port 7)
		192.0.2.25:25 = 127.0.0.1:$postfix_port
	END
	recipe_start
	servers down 1 2 4 5 6
	same_within $WAIT_S 1 mails mx1 ops
	mail mx1 ops 1 > "$TMPDIR/mail"
	grep -qE '^Subject: \[HAProxy Alert\] 5 alerts: 5 servers down, 0 up \((www|api|db), (www|api|db), (www|api|db)\)$' "$TMPDIR/mail" ||
		fail "$(cat "$TMPDIR/mail")"
	grep -qx '5 alerts in 5 groups: 5 state changes, 0 check reports' "$TMPDIR/mail"
	grep -qx 'Down now: 5 servers' "$TMPDIR/mail"
	equal "$sorted" "$(sed -n 's/^    \([a-z0-9/]*\) since .*/\1/p' "$TMPDIR/mail" | sort | xargs)" "down now"
	equal "$sorted" "$(rack_groups 1)" "groups"
	equal 5 "$(grep -c '^    Server .* is DOWN, ' "$TMPDIR/mail")" "texts"
	servers up 1 2 4 5 6
	same_within $WAIT_S 10 alerts_raised
	haproxy_stop h USR1 # what waits leaves at once
	same_within $WAIT_S 2 mails mx1 ops
	mail mx1 ops 2 > "$TMPDIR/mail"
	grep -qE '^Subject: \[HAProxy Alert\] 5 alerts: 0 servers down, 5 up \(' "$TMPDIR/mail"
	equal "$sorted" "$(rack_groups 2)" "groups"
	equal 5 "$(grep -c '^    Server .* is UP, ' "$TMPDIR/mail")" "texts"
	recipe_try
	same_within $WAIT_S 3 mails mx1 ops
}

alerts_raised() { cli h show mailers alerts | grep -cE ' is (UP|DOWN)'; }

# --- 5 ------------------------------------------------------------------------------------------------------

# The webhook of a chat, and a name server that knows it.
chat_start() {
	certs_ca "$TMPDIR"
	certs_server "$TMPDIR" chat.example.org
	/usr/bin/python3 "$here/chat.py" chat.example.org "$TMPDIR/chat.example.org.pem" "$TMPDIR/chat.out" "$TMPDIR/chat.ports" \
		2> "$TMPDIR/chat.err" < /dev/null &
	echo $! > "$TMPDIR/chat.first"
	disown $! # or the shell says that it was killed
	until_true $WAIT_S test -s "$TMPDIR/chat.ports" || fail "$(cat "$TMPDIR/chat.err")"
	read -r chat_port dns_port < "$TMPDIR/chat.ports"
}

# The texts of the posts, each of which has to be JSON and at the right place.
chat_said() {
	perl -MJSON::PP -ne '
		my ($path, $type, $body) = /^(\S+)\t(\S+)\t(.*)$/ or die;
		die $_ unless $path eq "/hooks/x7" && $type eq "application/json";
		print decode_json($body)->{text}, "\n";' "$TMPDIR/chat.out"
}

recipe_5__alerts_of_databases__reach_the_dbas_and_the_chat() {
	targets 4
	mails_start mx1
	chat_start
	recipe_take 5 <<-END
		/etc/haproxy/mailers.conf.lua = $TMPDIR/etc/mailers.conf.lua
		/etc/haproxy/haproxy.cfg = $TMPDIR/etc/haproxy.cfg
		192.0.2.9:80 = 127.0.0.1:$(target_port 2)
		192.0.2.21:5432 = 127.0.0.1:$(target_port 3)
		192.0.2.22:5432 = 127.0.0.1:$(target_port 4)
		192.0.2.25:25 = 127.0.0.1:$postfix_port
		192.0.2.53:53 = 127.0.0.1:$dns_port
		https://wiki.example.org/db/%{proxy} =
		/etc/ssl/certs/ca-certificates.crt = $TMPDIR/ca.pem
		/etc/haproxy/chat.url = $TMPDIR/etc/chat.url
	END
	echo "https://chat.example.org:$chat_port/hooks/x7" > "$TMPDIR/etc/chat.url"
	recipe_try
	recipe_start
	servers down 2
	servers down 3
	same_within $WAIT_S 2 mails mx1 dba
	servers up 3
	same_within $WAIT_S 3 mails mx1 dba
	servers down 1
	same_within $WAIT_S 2 mails mx1 ops
	mails_have mx1 ops 'web1 DOWN'
	mail mx1 dba 2 > "$TMPDIR/mail"
	grep -qx 'To: DBA on duty <dba@example.org>' "$TMPDIR/mail"
	grep -qx 'Cc: ops@example.org' "$TMPDIR/mail"
	grep -qx 'Subject: \[DB\] pg1 of db_orders is DOWN' "$TMPDIR/mail"
	grep -q '^Server db_orders/pg1 is DOWN, reason: ' "$TMPDIR/mail"
	grep -q '^Since ..., .*\. Runbook: https://wiki.example.org/db/db_orders$' "$TMPDIR/mail"
	mail mx1 dba 3 > "$TMPDIR/mail"
	grep -qx 'Subject: \[DB\] pg1 of db_orders is UP' "$TMPDIR/mail"
	! grep '^Cc: ' "$TMPDIR/mail" || fail "a copy of a recovery"
	cli h mailers route db_orders/pg1 down | grep -qx 'to:      <ops@example.org>, <dba@example.org>' ||
		fail "$(cli h mailers route db_orders/pg1 down)"
	cli h mailers route www/canary down | grep -q 'no mail: dropped'
	cli h show stat | grep -q '^www,canary,.*,DOWN,' || fail "the canary lives"

	# The chat has the texts of the mails, and the mails are there without it too.
	chat_said > "$TMPDIR/chat.texts"
	equal 3 "$(wc -l < "$TMPDIR/chat.texts")" "$(cat "$TMPDIR/chat.texts")"
	equal 3 "$(grep -cE '^Server (db_orders/pg1 is (DOWN|UP)|www/web1 is DOWN), reason: ' "$TMPDIR/chat.texts")" "$(cat "$TMPDIR/chat.texts")"
	grep -qFf <(mail mx1 dba 2 | grep '^Server ') "$TMPDIR/chat.texts" || fail "$(cat "$TMPDIR/chat.texts")"
	kill -STOP "$(cat "$TMPDIR/chat.first")"
	servers down 3
	same_within $WAIT_S 4 mails mx1 dba
	equal 1 "$(grep -cE 'chat webhook: status 50[34]' "$TMPDIR/h.out")" "failures of the chat"
	kill -KILL "$(cat "$TMPDIR/chat.first")"
	servers up 3
	same_within $WAIT_S 5 mails mx1 dba
	said_within $WAIT_S 'chat webhook: status 503'
	! grep 'route: ' "$TMPDIR/h.out" || fail "the function failed"
}

# --- 6 ------------------------------------------------------------------------------------------------------

# The mail servers' second port is the one behind the first.
postfix_more() { [ ! -s "$TMPDIR/etc/master.cf" ] || sed "s/@PORT@/127.0.0.1:$(($1 + 1))/" "$TMPDIR/etc/master.cf"; }

recipe_6_take() {
	recipe_take 6 <<-END
		/etc/haproxy/mailers.conf.lua = $TMPDIR/etc/mailers.conf.lua
		192.0.2.2:80 = 127.0.0.1:$(target_port 2)
		192.0.2.25:25 = 127.0.0.1:$1
		192.0.2.25:10025 = 127.0.0.1:$(($1 + 1))
		192.0.2.26:10025 = 127.0.0.1:$(($2 + 1))
		abns@haproxy-smtp = abns@$TMPDIR/smtp
		10025 inet = @PORT@ inet
	END
}

# smtp_server NAME: what HAProxy's checks say of it
smtp_server() { cli h show stat | awk -F , -v name="$1" '$1 == "smtp" && $2 == name { print $18, $37 }'; }

# accepted ID: how many the mailer accepted
accepted() { grep -c "via $1 (.*: accepted for 1 recipient" "$TMPDIR/h.out"; }

mails_of_both() { echo $(($(mails mx1 ops) + $(mails mx2 ops))); }

recipe_6__mail_servers_that_are_checked__share_the_mails() {
	targets 2
	recipe_6_take 0 0
	mails_start mx1
	first_port=$postfix_port
	mails_start mx2
	recipe_6_take "$first_port" "$postfix_port"
	recipe_start
	same_within $WAIT_S 'UP L7OK' smtp_server mx1
	same_within $WAIT_S 'UP L7OK' smtp_server mx2
	recipe_try
	same_within $WAIT_S 1 mails_of_both
	servers down 1
	same_within $WAIT_S 2 mails_of_both
	same_within $WAIT_S 1 accepted pool

	# HAProxy finds out, and the mails go to the other one.
	postfix_stop "$TMPDIR/mx1"
	same_within $WAIT_S 'DOWN L4CON' smtp_server mx1
	servers down 2
	same_within $WAIT_S 3 mails_of_both
	same_within $WAIT_S 2 accepted pool
	mails_words mx2 ops | grep -qx 'web2 DOWN'

	# None is there, HAProxy stops, and the first comes back: the listener is gone, the direct way is not.
	postfix_stop "$TMPDIR/mx2"
	servers up 1
	said_within $WAIT_S 'www/web1 is UP'
	until_true $WAIT_S eval 'cli h show mailers alerts | grep -q "web1 is UP"'
	haproxy_pid h > "$TMPDIR/draining"
	kill -USR1 "$(cat "$TMPDIR/draining")"
	said_within $WAIT_S 'HAProxy stops, queued alerts: 1'
	mails_start mx1
	until_true $STOP_S haproxy_is_gone h
	equal 1 "$(accepted direct)" "$(cat "$TMPDIR/h.out")"
	same_within $WAIT_S 4 mails_of_both
	mails_words mx1 ops | grep -qx 'web1 UP'
	if grep -E 'warning|fatal|error:' "$TMPDIR"/mx?/log; then fail "Postfix complained"; fi
}

# --- the test itself ----------------------------------------------------------------------------------------

cookbook__each_recipe__has_a_test() {
	local number title count=0

	while read -r number title; do
		declare -F | grep -q " recipe_${number}__" || fail "no test of recipe $number, $title"
		count=$((count + 1))
	done < <(sed -n 's/^## \([0-9]*\)\. /\1 /p' "$COOKBOOK")
	equal 6 $count recipes
}

# mutated SED: the document with that done to it, for what follows
mutated() {
	sed "$1" "$COOKBOOK" > "$TMPDIR/cookbook.md"
	! cmp -s "$COOKBOOK" "$TMPDIR/cookbook.md" || fail "nothing was changed by $1"
	COOKBOOK=$TMPDIR/cookbook.md
}

# take_2: with the addresses of the document as it is
take_2() {
	recipe_take 2 <<-END
		/etc/haproxy/haproxy.cfg = $TMPDIR/etc/haproxy.cfg
		192.0.2.2:80 = 127.0.0.1:1
		192.0.2.25:25 = 127.0.0.1:1
	END
}

cookbook__an_edit_that_the_tests_do_not_know__fails() {
	local original=$COOKBOOK edit

	targets 1
	take_2
	for edit in 's/mailer relay 192.0.2.25:25/mailer relay 192.0.2.26:25/' 's/mailer relay 192.0.2.25:25/mailer relay mx.example.org:25/' \
		's/mailer relay 192.0.2.25:25/mailer relay unix@\/run\/smtp/' 's/^    mailer relay .*//' 's/bind :80/bind :8080/'; do
		COOKBOOK=$original
		mutated "$edit"
		! take_2 2> "$TMPDIR/why" || fail "not seen: $edit"
		grep -q "^recipe 2.* test's table" "$TMPDIR/why" || fail "$(cat "$TMPDIR/why")"
	done
}

cookbook__a_wrong_word__fails() {
	local original=$COOKBOOK edit

	targets 1
	for edit in 's/email-alert level notice/email-alert levels notice/' 's/    timeout server 30s//'; do
		COOKBOOK=$original
		mutated "$edit"
		take_2
		! (recipe_start) > "$TMPDIR/why" || fail "not seen: $edit"
		grep -q 'haproxy -c: ' "$TMPDIR/why"
	done
}

tests_run 4
