#!/bin/bash
# The HTTP service lua.mailers: metrics that Prometheus takes, the status as JSON, and a page; the same from each thread in both
# ways of loading. What the page does in a browser is in regtests/interop/status.
# timeout 600
. "$(dirname "$0")/../../lib/alerts.sh"
. "$(dirname "$0")/../../lib/http.sh"
. "$(dirname "$0")/../../lib/prometheus.sh"

WAIT_S=60
THREADS=4
PAGE=$(dirname "$MAILERS_LUA")/mailers/status.html

if ! promtool_get; then
	echo "could not get Debian's package prometheus"
	echo "0 passed, 1 failed"
	exit 1
fi

# start [NAME=SINK]...: a HAProxy with an HTTP socket for each thread, h1.http and so on, and a backend of each NAME; more of
# the configuration is in $more
more=
start() {
	local i name sink

	haproxy_global="nbthread $THREADS
	$global"
	haproxy_start h < <(
		for ((i = 1; i <= THREADS; i++)); do
			printf 'frontend http%d\n\tbind unix@%s thread %d\n' $i "$TMPDIR/h$i.http" $i
			printf '\thttp-request use-service lua.mailers\n'
		done
		for name; do
			sink=${name#*=}_port
			proxy_text "${name%=*}" "${!sink}"
		done
		echo "$more"
	)
}
global=

down() { cli h "set server $1 health down"; }

up() { cli h "set server $1 health up"; }

ask() { equal 200 "$(http "$TMPDIR/h${2:-1}.http" GET "$1")" "$1"; }

# metric SERIES: its value, without the prefix of its name
metric() {
	ask /metrics
	sed -n "s/^haproxy_mailers_$(sed 's/[][\\.*^$/]/\\&/g' <<< "$1") //p" "$TMPDIR/body"
}

# status EXPRESSION: of Python, on the object s
status() {
	ask /status.json
	python3 -c 'import json, sys; s = json.load(open(sys.argv[1], encoding="utf-8")); print(eval(sys.argv[2]))' "$TMPDIR/body" "$1"
}

# each_mode TEST...: under lua-load and per thread, with one thread and several
each_mode() {
	local directive threads

	for directive in lua-load lua-load-per-thread; do
		for threads in 1 4; do
			haproxy_directive=$directive THREADS=$threads
			"$@"
			haproxy_stop h
			rm -f "$TMPDIR"/h*.http "$TMPDIR"/h.*
		done
	done
}

# --- answers ----------------------------------------------------------------------------------------------

# Answers that differ in nothing but the time; a mail's minute moves when the next one begins.
shape() {
	sed -E 's/("(now|age|since|oldest|error|retry)_ms"):[0-9]+/\1:T/g; s/(age_seconds.*) .*/\1 T/
		s/\{"accepted":0,"deferred":0,"refused":0\},?//g; s/,\]/]/g' "$TMPDIR/body"
}

ask_everywhere() {
	local path i

	start s=s
	down s/s1
	same_within $WAIT_S 1 metric 'mails_total{mailer="m1",address="127.0.0.1:'"$s_port"'",outcome="accepted"}'
	same_within $WAIT_S 0 metric 'mailer_connections{mailer="m1",address="127.0.0.1:'"$s_port"'"}'
	for path in /metrics /status.json /; do
		ask $path
		shape > "$TMPDIR/first"
		[ -s "$TMPDIR/first" ]
		for ((i = 0; i < 12; i++)); do
			ask $path $((i % THREADS + 1))
			shape | cmp - "$TMPDIR/first" || fail "$haproxy_directive, thread $i: another answer to $path"
		done
	done
}

answers__from_each_thread_in_both_ways_of_loading__are_the_same() {
	sink_start s
	each_mode ask_everywhere
}

path__below_a_prefix__is_served_by_its_end() {
	local path

	sink_start s
	start s=s
	for path in /mailers/metrics /a/b/c/metrics '/metrics?x=/'; do
		ask "$path"
		grep -q '^haproxy_mailers_build_info' "$TMPDIR/body" || fail "$path: $(cat "$TMPDIR/body")"
	done
	ask /mailers/status.json
	ask /mailers/
	cmp "$TMPDIR/body" "$PAGE"
	for path in /mailers /metrics/x /status.jsonx /statusxjson /xmetrics /metric '/?x=/metrics/none/x'; do
		case $path in
		'/?'*) ask "$path" ;;
		*) equal 404 "$(http "$TMPDIR/h1.http" GET "$path")" "$path" ;;
		esac
	done
}

head__of_each__is_the_answer_without_its_body() {
	local path version

	sink_start s
	start s=s
	for path in /metrics / /nothing; do
		for version in 1.1 1.0; do
			http "$TMPDIR/h1.http" GET $path $version > "$TMPDIR/status"
			grep -v '^date:' "$TMPDIR/head" | sort > "$TMPDIR/wanted"
			equal "$(cat "$TMPDIR/status")" "$(http "$TMPDIR/h1.http" HEAD $path $version)"
			sort "$TMPDIR/head" | diff "$TMPDIR/wanted" - || fail "HEAD $path, HTTP/$version"
			[ ! -s "$TMPDIR/body" ]
		done
	done
}

method__that_changes_something__is_refused() {
	local method

	sink_start s
	start s=s
	for method in POST PUT DELETE OPTIONS PATCH; do
		equal 405 "$(http "$TMPDIR/h1.http" $method /metrics 1.1 'Content-Length: 0')" "$method"
		equal 'GET, HEAD' "$(http_header allow)"
	done
	equal 405 "$(http "$TMPDIR/h1.http" POST / 1.1 'Content-Length: 0')"
}

headers__of_each_answer__allow_nothing_else() {
	local path

	sink_start s
	start s=s
	for path in / /metrics /status.json /nothing; do
		http "$TMPDIR/h1.http" GET $path > "$TMPDIR/status"
		equal no-store "$(http_header cache-control)" "$path"
		equal nosniff "$(http_header x-content-type-options)" "$path"
		http_header content-security-policy | grep -q "^default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
		[ $path = / ] || equal "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'" \
			"$(http_header content-security-policy)" "$path"
		if http_header content-security-policy | grep unsafe; then
			fail "$path"
		fi
	done
	ask /metrics
	equal 'text/plain; version=0.0.4; charset=utf-8' "$(http_header content-type)"
	ask /status.json
	equal 'application/json' "$(http_header content-type)"
	ask /
	equal 'text/html; charset=utf-8' "$(http_header content-type)"
}

# --- the page's source ------------------------------------------------------------------------------------

# hash TAG: of what stands in this element of the page, as in a policy
hash() {
	echo "'sha256-$(perl -0777 -ne 'print $1 if m{<'"$1"'>(.*?)</'"$1"'>}s' "$PAGE" | openssl dgst -sha256 -binary | base64)'"
}

page__its_policy__has_the_hashes_of_its_style_and_script() {
	sink_start s
	start s=s
	ask /
	equal "style-src $(hash style)" "$(http_header content-security-policy | grep -o 'style-src [^;]*')" "in lua/mailers/status.lua"
	equal "script-src $(hash script)" "$(http_header content-security-policy | grep -o 'script-src [^;]*')" "in lua/mailers/status.lua"
}

# A resource from elsewhere, HTML made of text, and styles and handlers that the policy would refuse.
page__its_source__has_none_of_what_is_dangerous() {
	! grep -nE 'https?://' "$PAGE" | grep -v '"http://www.w3.org/2000/svg"' || fail "it refers to something elsewhere"
	! grep -nE 'innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval|new Function|DOMParser|createContextualFragment|srcdoc' "$PAGE" ||
		fail "it makes HTML of text"
	! grep -nE '<[^>]* (style|on[a-z]+)=|javascript:|@import|url\(' "$PAGE" || fail "the policy would refuse it"
	equal 1 "$(grep -c '<script' "$PAGE")" scripts
	equal 1 "$(grep -c '<style' "$PAGE")" styles
}

# --- what they tell ---------------------------------------------------------------------------------------

metrics__of_alerts_with_each_fate__pass_promtool_and_add_up() {
	local port

	sink_start s
	sink_start r --rule 'rcpt reply 550 5.1.1 no such user <script>alert(1)</script>'
	alert_level=info
	start 's=s' 'refused=r'
	down s/s1
	up s/s1
	down refused/s1
	port='mailer="m1",address="127.0.0.1:'
	same_within $WAIT_S 2 metric 'recipients_total{'"$port$s_port"'",outcome="accepted"}'
	same_within $WAIT_S 1 metric 'recipients_total{'"$port$r_port"'",outcome="refused"}'
	equal 2 "$(metric 'delivery_seconds_count{'"$port$s_port"'"}')"
	equal 1 "$(metric 'alerts_total{proxy="s",level="alert"}')"
	equal 1 "$(metric 'alerts_total{proxy="s",level="notice"}')"
	equal 0 "$(metric 'queue_alerts{proxy="s"}')"
	equal 0 "$(metric 'servers_down{proxy="s"}')"
	equal 1 "$(metric 'servers_down{proxy="refused"}')"
	promtool check metrics < "$TMPDIR/body" > "$TMPDIR/judged" 2>&1 || fail "$(cat "$TMPDIR/judged")"
	equal '' "$(cat "$TMPDIR/judged")" promtool
	equal '[2, 1]' "$(status '[s["totals"]["accepted"], s["totals"]["refused"]]')"
	equal 2 "$(status 'sum(m["accepted"] for m in s["minutes"])')" "mails of the last hour"
	equal '550 5.1.1 no such user <script>alert(1)</script>' "$(status 's["alerts"][0]["answer"]')"
	! grep -q '[<>]' "$TMPDIR/body" || fail "HTML in JSON: $(cat "$TMPDIR/body")"
}

# --- the guide --------------------------------------------------------------------------------------------

GUIDE=$(dirname "$MAILERS_LUA")/../doc/operators.md

guide__its_table_of_metrics__is_what_is_served() {
	sink_start s
	start s=s
	ask /metrics
	sed -n 's/^# HELP \([^ ]*\) .*/\1/p' "$TMPDIR/body" > "$TMPDIR/served"
	sed -n 's/^| `\(haproxy_mailers_[a-z_]*\)` .*/\1/p' "$GUIDE" | diff "$TMPDIR/served" - || fail "doc/operators.md"
	# and each label, or value of one, but those that are names
	grep -oE '(reason|state|outcome)="[a-z_]*"' "$TMPDIR/body" | sort -u | while IFS='"' read -r _ value _; do
		grep -q "^| \`haproxy_mailers_.*\`$value\`" "$GUIDE" || fail "$value is not in doc/operators.md"
	done
}

guide__its_rules_for_alerts__pass_promtool() {
	{
		printf 'groups:\n- name: mailers\n  rules:\n'
		sed -n '/^Three alerts on the alerts:/,/^Members of/s/^    //p' "$GUIDE" | sed 's/^/  /'
	} > "$TMPDIR/rules.yml"
	promtool check rules "$TMPDIR/rules.yml" > "$TMPDIR/judged" 2>&1 || fail "$(cat "$TMPDIR/judged")"
	grep -q '3 rules found' "$TMPDIR/judged" || fail "$(cat "$TMPDIR/judged")"
}

guide__its_table_of_status_json__has_all_members() {
	local member

	sink_start s
	start s=s
	down s/s1
	same_within $WAIT_S 1 status 's["totals"]["accepted"]'
	for member in $(grep -oE '"[a-z_-]+":' "$TMPDIR/body" | tr -d '":' | sort -u); do
		sed -n '/^Members of `status.json`/,/^## /p' "$GUIDE" | grep -q "\`$member\`" || fail "$member is not in doc/operators.md"
	done
}

promtool__of_what_is_no_metric__complains() {
	! echo 'mails{mailer="a"b"} 1' | promtool check metrics > "$TMPDIR/judged" 2>&1
}

# Some hundred kilobytes, of which a client may have seen enough.
answers__that_are_long__come_whole_or_not_at_all() {
	local i

	sink_start s
	more=$(for ((i = 0; i < 400; i++)); do proxy_text "backend-with-quite-a-long-name-$i" "$s_port"; done)
	start
	for ((i = 0; i < 8; i++)); do
		ask /metrics $((i % THREADS + 1))
	done
	[ "$(wc -c < "$TMPDIR/body")" -gt 200000 ]
	promtool check metrics < "$TMPDIR/body"
	equal 200 "$(http "$TMPDIR/h1.http" GET /metrics 1.0)"
	for ((i = 0; i < 100; i++)); do
		perl -MIO::Socket::UNIX -e '
			my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or exit 1;
			print $s "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
			sysread $s, my $data, 1 + $ARGV[1] * 500;' "$TMPDIR/h$((i % THREADS + 1)).http" $i
	done
	ask /metrics
	is_alive "$(cat "$TMPDIR/h.pid")"
}

# --- what is down -----------------------------------------------------------------------------------------

names() { status 'sorted(d["name"] for d in s["down"]["servers"])'; }

down__of_any_level__is_shown_until_it_is_over() {
	sink_start s
	alert_level=emerg
	start s=s
	equal '[]' "$(names)"
	down s/s1
	same_within $WAIT_S "['s/s1']" names
	equal 'changed from CLI' "$(status 's["down"]["servers"][0]["why"]')"
	equal 1 "$(status 's["down"]["count"]')"
	up s/s1
	same_within $WAIT_S '[]' names
	equal 0 "$(sinkctl s get mails)" mails
}

down__by_a_check__tells_the_checks_reason() {
	sink_start s
	sink_start site
	more="backend checked
	email-alert mailers s
	email-alert from ha@example.org
	email-alert to ops@example.org
	email-alert myhostname lb.example.org
	server s1 127.0.0.1:$site_port check inter 50ms fall 1 rise 1
	server follower 127.0.0.1:1 track checked/s1"
	start s=s
	sinkctl site close-listener
	same_within $WAIT_S "['checked/follower', 'checked/s1']" names
	equal "['Layer4 connection problem', 'via checked/s1']" \
		"$(status '[d["why"].split(": ")[0] for d in sorted(s["down"]["servers"], key=lambda d: d["name"], reverse=True)]')"
	case $("$HAPROXY_PROGRAM" -v) in
	*' version 2.8.0-'*) ;; # it does not tell scripts what a check said
	*) status 's["down"]' | grep -q 'Layer4 connection problem: .*[Rr]efused' || fail "$(status 's["down"]')" ;;
	esac
	sinkctl site open-listener
	same_within $WAIT_S '[]' names
}

down__in_maintenance__is_not_shown() {
	sink_start s
	more='backend quiet
	email-alert mailers s
	email-alert from ha@example.org
	email-alert to ops@example.org
	email-alert myhostname lb.example.org
	server off 127.0.0.1:1 disabled
	server gone 127.0.0.1:1
	server last 127.0.0.1:1'
	start s=s
	down quiet/gone
	same_within $WAIT_S "['quiet/gone']" names
	cli h set server s/s1 state maint
	cli h set server quiet/gone state maint
	down quiet/last
	same_within $WAIT_S "['quiet/last']" names
	cli h set server quiet/gone state ready
	cli h set server quiet/last state maint
	same_within $WAIT_S '[]' names
	equal 'Server deleted.' "$(cli h del server quiet/last)"
	down quiet/gone
	same_within $WAIT_S "['quiet/gone']" names
}

# --- where it stands --------------------------------------------------------------------------------------

page__under_chroot__was_read_before() {
	[ "$(id -u)" = 0 ] || { echo "    not as root, no chroot"; return 0; }
	sink_start s
	mkdir "$TMPDIR/jail"
	global="chroot $TMPDIR/jail"
	start s=s
	ask /
	cmp "$TMPDIR/body" "$PAGE"
	down s/s1
	same_within $WAIT_S "['s/s1']" names
}

page__without_the_io_library__says_so() {
	sink_start s
	echo 'io = nil' > "$TMPDIR/closed.lua"
	global="lua-load $TMPDIR/closed.lua"
	start s=s
	equal 503 "$(http "$TMPDIR/h1.http" GET /)"
	grep -q "io library" "$TMPDIR/body"
	ask /metrics
	ask /status.json
}

page__that_is_not_there__is_refused_at_the_start() {
	cp -r "$(dirname "$MAILERS_LUA")" "$TMPDIR/lua"
	rm "$TMPDIR/lua/mailers/status.html"
	mkdir "$TMPDIR/build" && cp -r "$B"/lua5.* "$TMPDIR/build"
	haproxy_load=$TMPDIR/lua/mailers.lua
	haproxy_refuses h < <(proxy_text s 1)
	grep -q 'cannot load .*status.html' <<< "$refusal" || fail "$refusal"
}

tests_run
