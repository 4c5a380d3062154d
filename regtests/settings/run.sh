#!/bin/bash
# The settings file, read by real HAProxys: what is refused and in which words, what starts, and what becomes of secrets.
# timeout 600
. "$(dirname "$0")/../lib/proxy.sh"

HERE=$(cd "$(dirname "$0")" && pwd)
SECRET=hunter2-swordfish

# settings: the file of stdin becomes the settings file
settings() {
	cat > "$TMPDIR/settings.lua"
	haproxy_load="$MAILERS_LUA $TMPDIR/settings.lua"
}

# refused LINE: `haproxy -c` and a start end with 1, and say this of ours, alone
refused() {
	local option

	for option in -c -db; do
		haproxy_refuses r $option < <(proxy_text r 25)
		equal 1 "$(grep -c haproxy-mailers: <<< "$refusal")" "lines of ours in $refusal"
		refused_with "$1"
	done
}

refused_with() {
	local line=${refusal#*haproxy-mailers: } wanted=$1

	line=${line%%$'\n'*}
	line=${line%%"' from [C]"*} # what HAProxy adds to an error of the init function
	case $wanted in
	*'$') equal "${wanted%$}" "$line" ;;
	*) [ "${line:0:${#wanted}}" = "$wanted" ] || fail "wanted '$wanted...', got '$line'" ;;
	esac
	case $line in
	*\;*) ;;
	*\?) ;;
	*) fail "no remedy in '$line'" ;;
	esac
	! grep -q hunter2 <<< "$refusal" || fail "a secret in $refusal"
}

# What the files of bad.table name.
files_make() {
	mkdir "$TMPDIR/folder"
	mkfifo -m 600 "$TMPDIR/pipe"
	(
		cd "$TMPDIR"
		umask 077
		echo "$SECRET" > secret
		: > empty
		echo > newline
		head -c 20000 /dev/zero | tr '\0' x > long
		printf 'a\nb\n' > lines
		install -m 644 secret open
		install -m 602 secret writable
		ln -s open link
	)
}

# --- the file ---------------------------------------------------------------------------------------------

file__of_each_row_of_bad_table__is_refused_in_one_line() {
	local line wanted= row=0

	files_make
	export EMPTY_HERE=
	while IFS= read -r line; do
		case $line in
		'== '*)
			[ -z "$wanted" ] || { bad_row "$wanted"; row=$((row + 1)); }
			wanted=${line#== }
			: > "$TMPDIR/row"
			;;
		*) echo "$line" >> "$TMPDIR/row" ;;
		esac
	done < "$HERE/bad.table"
	bad_row "$wanted"
	[ $row -gt 90 ]
}

# bad_row LINE: with the file in $TMPDIR/row
bad_row() {
	settings < <(sed "s|DIR|$TMPDIR|g" "$TMPDIR/row")
	haproxy_refuses r -c < <(proxy_text r 25)
	equal 1 "$(grep -c haproxy-mailers: <<< "$refusal")" "lines of ours in $refusal"
	refused_with "$TMPDIR/settings.lua${1//DIR/$TMPDIR}"
}

file__that_cannot_be_read__is_refused() {
	haproxy_load="$MAILERS_LUA $TMPDIR/none.lua"
	refused "$TMPDIR/none.lua: cannot open $TMPDIR/none.lua: No such file or directory; check the path behind mailers.lua$"
	haproxy_load="$MAILERS_LUA $TMPDIR"
	refused "$TMPDIR: cannot read $TMPDIR: Is a directory; check the path behind mailers.lua$"
	settings <<< 'return {}'
	haproxy_load+=" $TMPDIR/settings.lua"
	refused 'lua-load names more than one settings file; write one path behind mailers.lua$'
}

file__that_is_compiled__is_refused() {
	echo 'return {}' > "$TMPDIR/text.lua"
	"lua$LUA" - "$TMPDIR/text.lua" "$TMPDIR/settings.lua" <<< 'io.open(arg[2], "wb"):write(string.dump(loadfile(arg[1])))'
	haproxy_load="$MAILERS_LUA $TMPDIR/settings.lua"
	refused "$TMPDIR/settings.lua: attempt to load a binary chunk (mode is 't'); correct the file$"
}

# Of several faults it is always the same one: Lua shuffles its tables at each start.
file__with_many_faults__tells_the_first_of_the_alphabet() {
	local i

	settings <<-'END'
		return { mailers = { b = { zz = 1, yy = 2, tls = 5 }, a = { xx = 1, ww = 2, uu = 3, vv = 4 } }, proxies = 5, drain = true }
	END
	for i in 1 2 3 4 5; do
		haproxy_refuses r -c < <(proxy_text r 25)
		refused_with "$TMPDIR/settings.lua: drain: true is no time"
	done
}

# --- with the proxies -------------------------------------------------------------------------------------

proxy__with_an_entry_that_cannot_be__is_refused_at_the_start() {
	settings <<< 'return { proxies = { r = { order = { "m2" } } } }'
	haproxy_refuses r < <(proxy_text r 25)
	refused_with "$TMPDIR/settings.lua: proxies[\"r\"].order: 'm2' is no mailer of proxy r; did you mean 'm1'?$"
	settings <<< 'return { proxies = { r = { order = { "archive" } } } }'
	haproxy_refuses r < <(proxy_text r 25)
	refused_with "$TMPDIR/settings.lua: proxies[\"r\"].order: 'archive' is no mailer of proxy r; write the id of one of"
	settings <<< 'return { extra = { m1 = { address = "127.0.0.1:25" } } }'
	haproxy_refuses r < <(proxy_text r 25)
	refused_with "$TMPDIR/settings.lua: extra: proxy r has a mailer line m1 already; write another name$"
	settings <<< 'return { mailers = { ["*"] = { user = "u" }, m2 = { user = false } } }'
	haproxy_refuses r < <(proxy_text r 25)
	refused_with "$TMPDIR/settings.lua: mailers[\"*\"]: mailer m1 of proxy r: user is set, and no password or token;"
}

# warned NAME TEXT: a line of ours on the standard error or in the log
warned() { grep -Fq "haproxy-mailers: $TMPDIR/settings.lua: $2" "$TMPDIR/$1.out" || fail "no '$2' in $(cat "$TMPDIR/$1.out")"; }

warnings__of_all_kinds__do_not_stop_the_start() {
	settings <<-'END'
		return {
			mailers = { ["*"] = { tls = "none" }, m2 = { helo = "lb2" }, ["w/m1"] = { rise = 3 }, ["v/m1"] = {} },
			proxies = { w = { mode = "failover" }, gone = {} },
			order = { "m1", "m9" },
			extra = { far = { address = "127.0.0.1:465" } },
		}
	END
	haproxy_start w < <(proxy_text w 465 | sed 's/lb.example.org/lb/')
	warned w 'mailers["m2"]: helo '\''lb2'\'' is not fully qualified, which some mail servers refuse; write one such as'
	warned w 'extra["far"]: port 465 speaks TLS from the first byte; write tls = "implicit"'
	warned w 'mailer m1: port 465 speaks TLS from the first byte; write tls = "implicit"'
	warned w "email-alert myhostname 'lb' is not fully qualified, which some mail servers refuse; write helo ="
	warned w 'mailers["m2"]: no mailer of this name is used; check the name, or remove it'
	warned w 'mailers["v/m1"]: no mailer of this name is used; check the name, or remove it'
	warned w 'proxies["gone"]: no proxy of this name mails alerts; check the name, or remove it'
	warned w "order: no mailer has the name 'm9'; check it, or remove it"
	! grep -q "name 'm1'" "$TMPDIR/w.out"
	! grep -q 'proxies\["w"\]' "$TMPDIR/w.out"
	! grep -q 'mailers\["w/m1"\]' "$TMPDIR/w.out"
	haproxy_stop w
	settings <<< 'return { mailers = { ["*"] = { tls = "none", helo = "lb2.example.org" } } }'
	haproxy_start q < <(proxy_text q 25 | sed 's/lb.example.org/lb/')
	! grep haproxy-mailers: "$TMPDIR/q.out"
}

# --- what it does -----------------------------------------------------------------------------------------

# mail_leaves NAME SINK: HAProxy <NAME> mails an alert of its backend <NAME> to <SINK>
mail_leaves() {
	cli "$1" "set server $1/s1 health down"
	sinkctl "$2" wait mails 1 60 > "$TMPDIR/waited" || fail "no mail: $(cat "$TMPDIR/$1.out")"
}

mailer__refined_by_all_its_entries__takes_the_last() {
	sink_start s --transcript "$TMPDIR/s.txt"
	settings <<-'END'
		return { mailers = {
			["*"] = { tls = "none", helo = "star.example.org", pipelining = false, chunking = false },
			m1 = { helo = "id.example.org" },
			["p/m1"] = { helo = "both.example.org" },
			["q/m1"] = { helo = "other.example.org" },
		} }
	END
	haproxy_start p < <(proxy_text p "$s_port"; proxy_text q "$s_port"; proxy_text o "$s_port" | sed 's/mailer m1/mailer m2/')
	cli p "set server p/s1 health down"
	sinkctl s wait mails 1 60 > "$TMPDIR/waited"
	cli p "set server q/s1 health down"
	sinkctl s wait mails 2 60 > "$TMPDIR/waited"
	cli p "set server o/s1 health down"
	sinkctl s wait mails 3 60 > "$TMPDIR/waited"
	haproxy_stop p
	equal 'both.example.org other.example.org star.example.org' \
		"$(grep -ho 'EHLO .*' "$TMPDIR/s.txt" | tr -d '\r' | cut -d ' ' -f 2 | xargs)"
}

extra__by_each_format_of_addresses__is_mailed() {
	local format extra before

	sink_start ip
	sink_start unix --listen "unix:$TMPDIR/smtp.sock"
	sink_start abns --listen "abns:mailers-$$"
	export SMTP_PORT=$ip_port
	for format in "127.0.0.1:$ip_port" "ipv4@127.0.0.1:$ip_port" "tcp@127.0.0.1:\$SMTP_PORT" "ipv4@localhost:\${SMTP_PORT}" \
		"unix@$TMPDIR/smtp.sock" "$TMPDIR/smtp.sock" "abns@mailers-$$"; do
		extra=ip
		case $format in
		*smtp.sock) extra=unix ;;
		abns*) extra=abns ;;
		esac
		settings <<-END
			return { mailers = { ["*"] = { tls = "none" } }, proxies = { p = { extra = { x = { address = "$format" } } } } }
		END
		sinkctl $extra clear
		before=$(sinkctl $extra get mails)
		sink_start "m" --control "$TMPDIR/m.ctl"
		haproxy_start p < <(proxy_text p "$m_port")
		cli p "set server p/s1 health down"
		sinkctl $extra wait mails $((before + 1)) 60 > "$TMPDIR/waited" || fail "$format: $(cat "$TMPDIR/p.out")"
		sinkctl m wait mails 1 60 > "$TMPDIR/waited" || fail "$format: nothing for the mailer line"
		haproxy_stop p
		sinkctl m quit
		rm -f "$TMPDIR"/p.{first,master,pid}
	done
}

mode__failover_in_its_order__mails_once() {
	sink_start a
	sink_start b
	settings <<-END
		return { mailers = { ["*"] = { tls = "none" } }, mode = "failover", order = { "second", "m1" },
			extra = { second = { address = "127.0.0.1:$b_port" } } }
	END
	haproxy_start p < <(proxy_text p "$a_port")
	mail_leaves p b
	haproxy_stop p
	equal 0 "$(sinkctl a get mails)"
	equal 1 "$(sinkctl b get mails)"
}

commands__when_allowed__work() {
	settings <<< 'return { mailers = { ["*"] = { tls = "none" } }, commands = true }'
	haproxy_start p < <(proxy_text p 25)
	cli p 'mailers pause m1' | grep -q '^1 mailer'
	haproxy_stop p
	settings <<< 'return { mailers = { ["*"] = { tls = "none" } } }'
	haproxy_start q < <(proxy_text q 25)
	cli q 'mailers pause m1' | grep -q 'commands = true'
}

# Each thread's state runs the script; the first one reads the file.
settings__under_lua_load_per_thread__are_read_once() {
	sink_start s --transcript "$TMPDIR/s.txt"
	settings <<-END
		io.open("$TMPDIR/runs", "a"):write("x"):close()
		return { mailers = { ["*"] = { tls = "none", helo = "thread.example.org" } }, commands = true }
	END
	haproxy_directive=lua-load-per-thread
	haproxy_global='nbthread 4'
	haproxy_start p < <(proxy_text p "$s_port")
	mail_leaves p s
	cli p 'mailers pause m1' | grep -q '^1 mailer'
	haproxy_stop p
	equal x "$(cat "$TMPDIR/runs")"
	grep -q 'EHLO thread.example.org' "$TMPDIR/s.txt"
}

# A reload reads the file again; with a bad one the old process stays.
settings__that_changed__count_after_a_reload() {
	sink_start s --transcript "$TMPDIR/s.txt"
	settings <<< 'return { mailers = { ["*"] = { tls = "none", helo = "one.example.org" } } }'
	haproxy_start p -W < <(proxy_text p "$s_port")
	mail_leaves p s
	cp "$TMPDIR/p.pid" "$TMPDIR/old"
	settings <<< 'return { zzz = 1 }'
	kill -USR2 "$(cat "$TMPDIR/p.first")"
	until_true 20 grep -q "haproxy-mailers: $TMPDIR/settings.lua: unknown key 'zzz'" "$TMPDIR/p.out"
	until_true 20 haproxy_is_up p
	equal "$(cat "$TMPDIR/old")" "$(cat "$TMPDIR/p.pid")" "process"
	settings <<< 'return { mailers = { ["*"] = { tls = "none", helo = "two.example.org" } } }'
	kill -USR2 "$(cat "$TMPDIR/p.first")"
	until_true 20 is_another p "$(cat "$TMPDIR/old")"
	cli p "set server p/s1 health down"
	sinkctl s wait mails 2 60 > "$TMPDIR/waited" || fail "no mail: $(cat "$TMPDIR/p.out")"
	haproxy_stop p
	equal 'one.example.org two.example.org' "$(grep -ho 'EHLO .*' "$TMPDIR/s.txt" | tr -d '\r' | cut -d ' ' -f 2 | xargs)"
}

is_another() { haproxy_is_up "$1" && [ "$(cat "$TMPDIR/$1.pid")" != "$2" ]; }

# --- secrets ----------------------------------------------------------------------------------------------

# authenticates ENTRY [OPTION]...: a mail leaves with the password of entry <ENTRY>, and the secret is nowhere to be seen
authenticates() {
	local entry=$1

	shift
	sink_start s --ehlo "AUTH PLAIN" --auth-required --user u --password "$SECRET"
	settings <<< "return { mailers = { m1 = { tls = 'none', auth_without_tls = true, auth = 'plain', user = 'u', $entry } } }"
	haproxy_start p "$@" < <(proxy_text p "$s_port")
	mail_leaves p s
	haproxy_stop p
	sinkctl s quit
	! grep -q "$SECRET" "$TMPDIR/p.out" || fail "the secret in $(cat "$TMPDIR/p.out")"
	! grep -q "$(printf '\0u\0%s' "$SECRET" | base64)" "$TMPDIR/p.out"
	rm -f "$TMPDIR"/p.{first,master,pid}
}

password__from_a_file_or_the_environment__is_used() {
	umask 077
	echo "$SECRET" > "$TMPDIR/password"
	authenticates "password_file = '$TMPDIR/password'"
	printf '%s\r\n' "$SECRET" > "$TMPDIR/password"
	chmod 640 "$TMPDIR/password"
	authenticates "password_file = '$TMPDIR/password'"
	SMTP_PASS=$SECRET authenticates "password_env = 'SMTP_PASS'" -W
}

# The password's file can be read by root alone, and is gone from HAProxy's sight after the start.
password__under_chroot_and_user__was_read_before() {
	[ "$(id -u)" = 0 ] || { echo "    not as root, no chroot"; return 0; }
	mkdir "$TMPDIR/jail" "$TMPDIR/private"
	(umask 077; echo "$SECRET" > "$TMPDIR/private/password")
	chmod 700 "$TMPDIR/private"
	haproxy_global="chroot $TMPDIR/jail
		user nobody
		group nogroup"
	authenticates "password_file = '$TMPDIR/private/password'" -db
	authenticates "password_file = '$TMPDIR/private/password'" -D
	authenticates "password_file = '$TMPDIR/private/password'" -W
}

# Renewed by a rename, as those who renew tokens do, while HAProxy is in a chroot and another user.
token__that_is_renewed__is_read_again() {
	local mode n=0

	sink_start s --ehlo "AUTH XOAUTH2" --auth-required --user u --token first-$SECRET
	mkdir "$TMPDIR/jail" "$TMPDIR/run"
	if [ "$(id -u)" = 0 ]; then
		chmod 711 "$TMPDIR" "$TMPDIR/run"
		haproxy_global="chroot $TMPDIR/jail
			user nobody
			group nogroup"
	fi
	settings <<< "return { mailers = { m1 = { tls = 'none', auth_without_tls = true, user = 'u', inter = '100ms',
		token_file = '$TMPDIR/run/token' } } }"
	for mode in -db -D -W; do
		n=$((n + 1))
		token_write first-$SECRET
		sinkctl s token first-$SECRET
		haproxy_start t$n $mode < <(proxy_text t$n "$s_port")
		cli t$n "set server t$n/s1 health down"
		sinkctl s wait mails $((2 * n - 1)) 60 > "$TMPDIR/waited" || fail "first: $(cat "$TMPDIR/t$n.out")"
		sinkctl s token second-$SECRET
		sinkctl s drop
		token_write second-$SECRET
		cli t$n "set server t$n/s1 health up"
		sinkctl s wait mails $((2 * n)) 60 > "$TMPDIR/waited" || fail "second: $(cat "$TMPDIR/t$n.out")"
		haproxy_stop t$n
		! grep -q "$SECRET" "$TMPDIR/t$n.out" || fail "the token in $(cat "$TMPDIR/t$n.out")"
	done
}

token_write() {
	(umask 077; echo "$1" > "$TMPDIR/run/token.new")
	[ "$(id -u)" != 0 ] || chown nobody "$TMPDIR/run/token.new"
	mv "$TMPDIR/run/token.new" "$TMPDIR/run/token"
}

# --- TLS --------------------------------------------------------------------------------------------------

# modules NAME: the modules of ours in the process
modules() { grep -o 'mailers/[a-z-]*\.so$' "/proc/$(cat "$TMPDIR/$1.pid")/maps" | sort -u | xargs; }

tls_module__when_no_setting_wants_it__is_not_loaded() {
	haproxy_start none < <(proxy_text none 25)
	equal mailers/engine.so "$(modules none)"
	haproxy_stop none
	settings <<< 'return { mailers = { ["*"] = { tls = "none" } } }'
	haproxy_start plain < <(proxy_text plain 25)
	equal mailers/engine.so "$(modules plain)"
	haproxy_stop plain
	settings <<< 'return {}'
	haproxy_start some < <(proxy_text some 25)
	case $(modules some) in
	'mailers/engine.so mailers/tls.so' | 'mailers/engine.so mailers/tls-static.so') ;;
	*) fail "$(modules some)" ;;
	esac
}

certs_make() {
	bash "$HERE/../tls/certs.sh" "$TMPDIR/certs" > "$TMPDIR/certs.log" 2>&1 || fail "$(cat "$TMPDIR/certs.log")"
}

# STARTTLS, verified, with a password and a client certificate; all files are out of HAProxy's reach after its start.
tls__required_under_chroot__carries_auth() {
	certs_make
	(umask 077; echo "$SECRET" > "$TMPDIR/password")
	sink_start s --starttls --tls-cert "$TMPDIR/certs/good.pem" --tls-client-ca "$TMPDIR/certs/root.pem" --tls-client-required \
		--ehlo PIPELINING --tls-ehlo 'PIPELINING,AUTH SCRAM-SHA-256' --auth-required --user u --password "$SECRET"
	settings <<-END
		return { mailers = { ["*"] = { ca_file = "$TMPDIR/certs/root.pem", crt = "$TMPDIR/certs/client.pem" }, m1 = {
			verifyhost = "mx.example.org", user = "u", password_file = "$TMPDIR/password" } } }
	END
	if [ "$(id -u)" = 0 ]; then
		mkdir "$TMPDIR/jail"
		haproxy_global="chroot $TMPDIR/jail
			user nobody
			group nogroup"
	fi
	haproxy_start p < <(proxy_text p "$s_port")
	mail_leaves p s
	haproxy_stop p
	! grep -q "$SECRET" "$TMPDIR/p.out"
}

# A certificate of another name: nothing leaves, and the log says why.
tls__with_another_name__sends_nothing() {
	certs_make
	sink_start s --tls-implicit --tls-cert "$TMPDIR/certs/other.pem"
	settings <<-END
		return { mailers = { m1 = { tls = "implicit", ca_file = "$TMPDIR/certs/root.pem", verifyhost = "mx.example.org" } } }
	END
	haproxy_start p < <(proxy_text p "$s_port")
	cli p "set server p/s1 health down"
	until_true 20 grep -q 'mailer m1 .* failed: TLS failure at TLS.*mx.example.org' "$TMPDIR/p.out" || fail "$(cat "$TMPDIR/p.out")"
	equal 0 "$(sinkctl s get mails)"
}

# An address in the certificate, and none.
tls__by_address__is_verified_by_it() {
	certs_make
	sink_start s --tls-implicit --tls-cert "$TMPDIR/certs/ip.pem"
	settings <<-END
		return { mailers = { m1 = { tls = "implicit", ca_file = "$TMPDIR/certs/root.pem", verifyhost = "127.0.0.1" } } }
	END
	haproxy_start p < <(proxy_text p "$s_port")
	mail_leaves p s
}

tests_run
