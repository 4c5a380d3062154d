#!/bin/bash
# The status page in a real browser, Debian's Chromium without a screen: what is down and what became of alerts is shown as it
# happens, as text whatever it is, within the page's policy, and fits a phone. Pictures of it are kept in build/status.
# once
# timeout 600
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../lib/alerts.sh"

WAIT_S=60
SHOTS=$B/status
LONG=$(printf 'x%.0s' {1..120})

# It is large, and nothing else needs it.
if ! sh "$here/../../lib/deps.sh" chromium; then
	echo "0 passed, 1 failed"
	exit 1
fi
mkdir -p "$SHOTS"

# --- the browser ------------------------------------------------------------------------------------------

browser_start() {
	mkdir "$TMPDIR/profile"
	mkfifo "$TMPDIR/browser.in" "$TMPDIR/browser.out"
	python3 "$here/browser.py" "$(command -v chromium)" "$TMPDIR/profile" \
		< "$TMPDIR/browser.in" > "$TMPDIR/browser.out" 2> "$TMPDIR/browser.err" &
	browser_pid=$!
	exec {browser_to}> "$TMPDIR/browser.in" {browser_from}< "$TMPDIR/browser.out"
	trap browser_stop EXIT
}

browser_stop() {
	exec {browser_to}>&-
	wait "$browser_pid" || true
}

# browser COMMAND...: its answer, as JSON
browser() {
	local line

	echo "${*//$'\n'/ }" >&"$browser_to"
	IFS= read -r -t 120 line <&"$browser_from" || fail "the browser is gone: $(tail -n 3 "$TMPDIR/browser.err" "$TMPDIR/profile/stderr")"
	case $line in
	'{"error"'*) fail "$*: $line" ;;
	esac
	echo "$line"
}

# js EXPRESSION: its value; js_within SECS WANTED EXPRESSION: it comes to be this
js() { browser value "$1"; }

js_within() {
	local got

	got=$(browser wait "$1" "(() => { const v = $3; return JSON.stringify(v) === JSON.stringify($2) || null })()")
	[ "$got" = true ] || fail "wanted $2, got $(js "$3"): $3"
}

no_faults() { equal '[]' "$(browser faults)" "what the browser complains about"; }

# page_open [PATH]: in the browser, until it shows something
page_open() {
	browser open "http://127.0.0.1:$http_port/${1:-}" > "$TMPDIR/said"
	js_within $WAIT_S true 'document.getElementById("main") !== null && !document.getElementById("main").hidden'
}

# --- the site ---------------------------------------------------------------------------------------------

# A HAProxy that is handed a listening socket: the port is one that is free, and HAProxy itself takes no port 0.
cat_haproxy() {
	cat <<-END
		#!/usr/bin/perl
		use IO::Socket::INET;
		\$^F = 255;
		my \$s = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => 0, Listen => 64) or die;
		open my \$out, ">", "$TMPDIR/http.port" or die;
		print \$out \$s->sockport;
		close \$out;
		\$ENV{PAGE_FD} = fileno \$s;
		exec "$HAPROXY_PROGRAM", @ARGV;
	END
}

# start [BACKEND]...: a HAProxy with the page, and backends of text $more
more=
start() {
	cat_haproxy > "$TMPDIR/haproxy"
	chmod +x "$TMPDIR/haproxy"
	HAPROXY_PROGRAM=$TMPDIR/haproxy
	haproxy_start h < <(
		printf 'frontend http\n\tbind "fd@${PAGE_FD}"\n\thttp-request use-service lua.mailers\n'
		proxy_text shop "$s_port" "${1:-}"
		echo "$more"
	)
	http_port=$(cat "$TMPDIR/http.port")
}

down() { cli h "set server $1 health down"; }

# An agent that says down, and why: HAProxy takes its text into the alert.
agent_start() {
	perl -MIO::Socket::INET -e '
		alarm 300;
		my $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => 0, Listen => 8) or exit 1;
		open my $out, ">", "$ARGV[0].new" or exit 1;
		print $out $s->sockport;
		close $out;
		rename "$ARGV[0].new", $ARGV[0];
		while (my $c = $s->accept) {
			print $c "down #$ARGV[1]\n";
			close $c;
		}' "$TMPDIR/agent.port" "$1" &
	echo $! > "$TMPDIR/agent.first"
	until_true $WAIT_S test -s "$TMPDIR/agent.port"
	agent_port=$(cat "$TMPDIR/agent.port")
}

# --- tests ------------------------------------------------------------------------------------------------

rows() { printf '[...document.querySelectorAll("#%s tbody tr")].map(r => r.cells[%d].textContent)' "$1" "$2"; }

page__when_a_server_goes_down_and_up__shows_it_by_itself() {
	sink_start s
	start
	browser_start
	page_open mailers/
	js_within 5 '"Nothing is down"' 'document.getElementById("summary").textContent'
	js_within 5 true 'document.getElementById("down").hidden && document.getElementById("alerts").hidden'
	js 'window.same = true' > "$TMPDIR/said"
	down shop/s1
	js_within $WAIT_S '["shop/s1"]' "$(rows down 0)"
	js_within $WAIT_S '"1 server is down"' 'document.getElementById("summary").textContent'
	js_within $WAIT_S '"(1 down) Mailers"' 'document.title'
	js_within $WAIT_S '["changed from CLI"]' "$(rows down 3)"
	js_within $WAIT_S '["acceptedm1: 250 2.0.0 Ok: taken"]' "$(rows alerts 3)"
	js_within $WAIT_S '["shop/s1"]' "$(rows alerts 1)"
	js_within $WAIT_S '"1"' 'document.getElementById("f-hour").textContent'
	js_within $WAIT_S 1 'document.querySelectorAll("#plot rect.accepted:not([height=\"0\"])").length'
	cli h set server shop/s1 health up
	js_within $WAIT_S '"Nothing is down"' 'document.getElementById("summary").textContent'
	js_within $WAIT_S 2 'document.querySelectorAll("#alerts tbody tr").length'
	js_within 5 true 'document.getElementById("down").hidden && window.same'
	no_faults
}

# From an agent, and from a mail server; were it HTML, an element would be made of it.
page__of_text_that_is_html__shows_the_text() {
	local text='<script>alert(1)</script>'

	agent_start "$text"
	sink_start s --rule "rcpt reply 550 5.1.1 $text <img src=x onerror=alert(1)>"
	more="backend evil
	email-alert mailers shop
	email-alert from ha@example.org
	email-alert to ops@example.org
	email-alert myhostname lb.example.org
	server s1 127.0.0.1:$s_port agent-check agent-port $agent_port agent-inter 100ms"
	start
	browser_start
	page_open
	js_within $WAIT_S 1 'document.querySelectorAll("#alerts .badge.bad").length'
	js_within $WAIT_S "[\"Layer7 wrong status: via agent : down ($text)\"]" "$(rows down 3)"
	js_within 5 true "document.getElementById('alerts').innerText.includes('550 5.1.1 $text <img src=x onerror=alert(1)>')"
	# The text of the alert is that of the mail, in which HAProxy writes such characters otherwise.
	js_within 5 true "document.getElementById('alerts').innerText.includes('down (<3C>script<3E>alert(1)<3C>/script<3E>)')"
	equal '[1,0]' "$(js 'JSON.stringify([document.scripts.length, document.images.length])' | tr -d '"')"
	no_faults
}

# Would a breach be seen?
policy__of_a_script_that_is_not_the_pages__forbids_it() {
	sink_start s
	start
	browser_start
	page_open
	no_faults
	js 'try { document.body.innerHTML = "<b>x</b>"; "made" } catch (e) { e.name }' > "$TMPDIR/said"
	equal '"TypeError"' "$(cat "$TMPDIR/said")"
	js 'const s = document.createElement("script"); try { s.text = "window.evil = 1" } catch (e) { } document.body.append(s);
		fetch("http://127.0.0.1:9/").catch(() => 1).then(() => window.evil || "not run")' > "$TMPDIR/said"
	equal '"not run"' "$(cat "$TMPDIR/said")"
	browser faults | grep -q 'Content Security Policy' || fail "$(browser faults)"
}

page__haproxy_does_not_answer__says_so_and_goes_on_later() {
	sink_start s
	start
	browser_start
	page_open
	browser offline true > "$TMPDIR/said"
	js_within $WAIT_S true 'document.querySelector("#fresh.stale") !== null'
	js_within 5 true 'document.getElementById("fresh").textContent.startsWith("no answer from HAProxy; all this is of ")'
	down shop/s1
	browser offline false > "$TMPDIR/said"
	js_within $WAIT_S '["shop/s1"]' "$(rows down 0)"
	js_within 5 true 'document.querySelector("#fresh.stale") === null'
}

# Of each text that is seen: its contrast with what is behind it (WCAG 2, 1.4.3).
CONTRAST='(() => {
	const rgb = (c) => c.match(/[0-9.]+/g).map(Number);
	const light = (c) => c.slice(0, 3).map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
		.reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
	const behind = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor);
		if (c.length < 4 || c[3] === 1) return c } return [255, 255, 255] };
	const texts = [...document.body.querySelectorAll("*")].filter((e) => e.getClientRects().length &&
		[...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) && !e.closest("svg"));
	const bad = texts.map((e) => { const a = light(rgb(getComputedStyle(e).color)), b = light(behind(e));
		return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.textContent] }).filter((t) => t[0] < 4.5);
	return texts.length > 40 ? bad : "only " + texts.length + " texts";
})()'

# Mailers in each state, an alert of each fate, names that are long.
page__on_screens_of_each_kind__is_readable_and_fits() {
	local kind width scheme

	sink_start s
	sink_start later --rule 'rcpt reply 451 4.7.1 greylisted, try again in five minutes'
	sink_start refuses --rule 'rcpt match second@ reply 550 5.1.1 <second@example.org>: no such user here'
	more=$(
		proxy_text payments "$refuses_port" '"ops@example.org, second@example.org"'
		proxy_text "backend.with.$LONG" "$later_port"
		alerts_backend search search
		printf '\tserver %s 127.0.0.1:1\n' "$LONG" index-1 index-2
		alerts_mailers search "$s_port" 1
	)
	start
	for name in shop/s1 payments/s1 "backend.with.$LONG/s1" "search/$LONG" search/index-1; do
		down "$name"
	done
	cli h set server search/index-1 health up
	browser_start
	browser look 1280 900 light > "$TMPDIR/said"
	page_open
	js_within $WAIT_S 1 'document.querySelectorAll("#mailers .badge.bad").length' # the mailer at port 1 is down
	js_within $WAIT_S 6 'document.querySelectorAll("#alerts tbody tr").length'
	for kind in light:1280 dark:1280 phone-light:375 phone-dark:375 narrow-light:320 tablet-light:800; do
		width=${kind#*:} scheme=${kind%:*}
		browser look "$width" 900 "${scheme##*-}" > "$TMPDIR/said"
		js_within 5 "$width" 'innerWidth'
		equal "$width" "$(js 'document.documentElement.scrollWidth')" "$kind: scrolls sideways"
		equal '[]' "$(js "$CONTRAST")" "$kind: texts of little contrast"
		browser shot "$SHOTS/$scheme.png" > "$TMPDIR/said"
		[ "$(head -c 4 "$SHOTS/$scheme.png" | tail -c 3)" = PNG ] || fail "no picture $SHOTS/$scheme.png"
	done
	no_faults
	echo "    pictures: $SHOTS"
}

tests_run
