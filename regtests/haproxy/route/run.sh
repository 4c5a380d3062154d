#!/bin/bash
# timeout 240
#
# The route function of the settings file in a HAProxy: what it changes, that it may wait and the order stays, and that
# whatever is wrong with it, each alert is mailed, and HAProxy serves.
. "$(dirname "$0")/../../lib/alerts.sh"

WAIT_S=60
alert_level=info

# settings: the file of stdin becomes the settings file, without TLS
settings() {
	{ echo 'local mailers = { ["*"] = { tls = "none" } }'; cat; } > "$TMPDIR/settings.lua"
	haproxy_load="$MAILERS_LUA $TMPDIR/settings.lua"
}

sink() {
	mkdir "$TMPDIR/mails"
	sink_start s --mail-dir "$TMPDIR/mails" --log "$TMPDIR/s.log"
}

mail() { tr -d '\r' < "$TMPDIR/mails/$(printf %06d "$1").eml"; }

mails_come() { sinkctl s wait mails "$1" $WAIT_S > "$TMPDIR/waited" || fail "$1 mails do not come: $(cat "$TMPDIR/h.out")"; }

down() { cli h "set server $1 health down"; }

logged() { grep -qF -- "$1" "$TMPDIR/h.out"; }

log_comes() { until_true $WAIT_S logged "$1" || fail "no '$1' in: $(cat "$TMPDIR/h.out")"; }

# The subjects of the mails to $1, in the order of their arrival.
subjects_to() {
	local file

	for file in "$TMPDIR"/mails/*.eml; do
		tr -d '\r' < "$file" | grep -qx "To: $1" && tr -d '\r' < "$file" | sed -n 's/^Subject: //p'
	done | paste -sd '|'
}

# A web server in $TMPDIR/hook.log, a line for each body; its port is in $hook_port.
hook_start() {
	perl -MIO::Socket::INET -e '
		my ($port_file, $log) = @ARGV;
		my $s = IO::Socket::INET->new(Listen => 5, LocalAddr => "127.0.0.1", LocalPort => 0) or exit 1;
		open my $out, ">", $log or exit 1;
		$out->autoflush(1);
		open my $port, ">", "$port_file.new" or exit 1;
		print $port $s->sockport;
		close $port;
		rename "$port_file.new", $port_file;
		alarm 120;
		while (my $c = $s->accept) {
			my ($chunked, $body) = (0, "");
			while (defined(my $line = <$c>)) {
				$chunked = 1 if $line =~ /^transfer-encoding: chunked/i;
				last if $line =~ /^\r?\n$/;
			}
			while ($chunked && hex(my $len = <$c>)) {
				read $c, my $part, hex $len;
				$body .= $part;
				<$c>;
			}
			print $out "$body\n";
			print $c "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
		}' "$TMPDIR/hook.port" "$TMPDIR/hook.log" &
	echo $! > "$TMPDIR/hook.first"
	until_true $START_S test -s "$TMPDIR/hook.port" || fail "no web server"
	hook_port=$(cat "$TMPDIR/hook.port")
}

route__an_alert__has_its_fields_and_may_be_changed() {
	sink
	settings <<-'END'
		local seen = {}
		return {
			mailers = mailers,
			route = function(alert)
				if alert.server == "gone" then
					return nil
				elseif alert.server == "two" then
					local other = alert:copy()
					other.to, other.subject = "second@example.org", "Second"
					other:insert_header("X-Copy", "yes")
					alert.subject = "First"
					return { alert, other }
				elseif alert.server == "s1" then
					local types = {}
					for _, key in ipairs({ "proxy", "server", "name", "state", "level", "event", "cause", "active", "sessions",
						"date", "since", "text", "subject", "body", "to", "cc", "mailers", "via" }) do
						types[#types + 1] = key .. "=" .. (type(alert[key]) == "table" and alert[key][1] or tostring(alert[key]))
					end
					alert.body = table.concat(types, "\n")
					alert.subject = "Grüße von " .. alert.name
					alert.to = { "Über <dba@example.org>", "new@example.org" }
					alert.cc = "boss@example.org"
					alert:insert_header("X-Team", "dba\r\nBcc: evil@example.org")
				end
				return alert
			end,
		}
	END
	haproxy_start h < <(alerts_backend db m; printf '\tserver %s 127.0.0.1:1\n' s1 two gone s4; alerts_mailers m "$s_port")
	down db/s1
	mails_come 1
	mail 1 > "$TMPDIR/mail"
	grep -qx 'Cc: boss@example.org' "$TMPDIR/mail" || fail "$(cat "$TMPDIR/mail")"
	grep -qx 'X-Team: dba  Bcc: evil@example.org' "$TMPDIR/mail"
	grep -q '^To: Über <dba@example.org>, new@example.org$' "$TMPDIR/mail"
	! grep -q '^Bcc:' "$TMPDIR/mail"
	for line in proxy=db server=s1 name=db/s1 state=DOWN level=alert event=down 'cause=changed from CLI' active=3 sessions=0 \
		'text=Server db/s1 is DOWN, changed from CLI.*' 'subject=.HAProxy Alert. Server db/s1 is DOWN.*' \
		'body=Server db/s1 is DOWN.*' to=ops@example.org cc=nil mailers=m1 via=nil; do
		grep -qx "$line" "$TMPDIR/mail" || fail "no '$line' in: $(cat "$TMPDIR/mail")"
	done
	grep -q 'TO:<dba@example.org> .*TO:<new@example.org> .*TO:<boss@example.org>' "$TMPDIR/s.log" || fail "$(cat "$TMPDIR/s.log")"
	down db/gone
	down db/two
	mails_come 3
	down db/s4
	mails_come 4
	equal "First" "$(subjects_to ops@example.org | cut -d '|' -f 1)"
	equal "Second" "$(subjects_to second@example.org)"
	equal 1 "$(cat "$TMPDIR"/mails/*.eml | tr -d '\r' | grep -cx 'X-Copy: yes')"
	mail 4 | grep -q '^Subject: \[HAProxy Alert\] Server db/s4 is DOWN, changed from CLI\. 0 active'
	equal 4 "$(sinkctl s get mails)"
	equal $'rules:   none matches\nthen:    the route function of the settings decides' \
		"$(cli h mailers route db/s1 down | sed -n '1p;$p')"
}

# The function waits on HAProxy's API, the longer the earlier its alert: the order of one server stays, and others do not wait.
route__that_yields__keeps_each_servers_order() {
	local i n=0

	sink
	settings <<-'END'
		local n = 0
		return {
			mailers = mailers,
			route = function(alert)
				if alert.server == "slow" then
					n = n + 1
					core.msleep(n == 1 and 1000 or 1)
				end
				alert.subject = alert.state .. " " .. alert.server
				return alert
			end,
		}
	END
	haproxy_global='nbthread 2'
	for haproxy_directive in lua-load lua-load-per-thread; do
		haproxy_start h < <(alerts_backend db m; printf '\tserver %s 127.0.0.1:1\n' slow fast; alerts_mailers m "$s_port")
		for i in 1 2 3; do
			cli h "set server db/slow health down; set server db/slow health up"
		done
		down db/fast
		n=$((n + 7))
		mails_come $n
		haproxy_stop h
		rm -f "$TMPDIR"/h.*
	done
	equal "DOWN slow|UP slow|DOWN slow|UP slow|DOWN slow|UP slow|DOWN slow|UP slow|DOWN slow|UP slow|DOWN slow|UP slow" \
		"$(subjects_to ops@example.org | tr '|' '\n' | grep slow | paste -sd '|')"
	equal "DOWN fast" "$(mail 1 | sed -n 's/^Subject: //p')"
}

# All of HAProxy's API that a task may wait on: a chat's webhook by HTTP, a socket, a queue, a pause.
route__a_webhook__is_told_and_the_mail_goes() {
	sink
	settings <<-END
		local queue = core.queue()
		return {
			mailers = mailers,
			route = function(alert)
				local client = core.httpclient()
				local answer = client:post({
					url = "http://127.0.0.1:" .. os.getenv("HOOK_PORT") .. "/hook", headers = { ["content-type"] = { "application/json" } },
					body = ('{"text":"%s is %s"}'):format(alert.name, alert.state), timeout = 3000,
				})
				alert:insert_header("X-Chat", answer and answer.status or "none")
				local tcp = core.tcp()
				tcp:settimeout(3)
				tcp:connect("127.0.0.1:" .. os.getenv("SINK_PORT"))
				alert:insert_header("X-Greeting", tcp:receive(3))
				tcp:close()
				core.register_task(function() core.msleep(10) queue:push("rung") end)
				alert:insert_header("X-Queue", queue:pop_wait())
				core.yield()
				local busy = 0
				for i = 1, 300000 do busy = busy + i end
				alert:insert_header("X-Sum", busy)
				local next_sum = coroutine.wrap(function()
					local sum = 0
					for i = 1, 100000 do sum = sum + i end
					coroutine.yield(sum)
				end)
				alert:insert_header("X-Own", next_sum())
				return alert
			end,
		}
	END
	hook_start hook
	haproxy_global="setenv HOOK_PORT $hook_port"$'\n\t'"setenv SINK_PORT $s_port"
	haproxy_start h < <(proxy_text db "$s_port")
	down db/s1
	mails_come 1
	cli h "set server db/s1 health up"
	mails_come 2
	equal '{"text":"db/s1 is DOWN"}|{"text":"db/s1 is UP"}' "$(paste -sd '|' "$TMPDIR/hook.log")"
	equal 'X-Chat: 204|X-Greeting: 220|X-Queue: rung|X-Sum: 45000150000|X-Own: 5000050000' "$(mail 1 | grep '^X-' | paste -sd '|')"
	equal 'X-Chat: 204|X-Greeting: 220|X-Queue: rung|X-Sum: 45000150000|X-Own: 5000050000' "$(mail 2 | grep '^X-' | paste -sd '|')"
	! logged 'route:' || fail "$(cat "$TMPDIR/h.out")"
}

# A table of functions that are no good, each with what the log says; each alert is mailed as it was, once.
route__that_is_no_good__costs_no_alert() {
	local n=0 name text

	sink
	settings <<-'END'
		local bad = {
			raises = function() error("on purpose") end,
			nothing = function(alert) return alert.no.such.field end,
			number = function() return 42 end,
			text = function() return "alert" end,
			table = function() return {} end,
			mixed = function(alert) return { alert, 1 } end,
			injects = function(alert) alert.to = "a@example.org>\r\nDATA\r\n"; return alert end,
			header = function(alert) alert.headers = { "Bcc: evil@example.org" }; return alert end,
			method = function(alert) alert:insert_header("Subject", "x") return alert end,
			many = function(alert) local t = {} for i = 1, 17 do t[i] = alert end return t end,
			types = function(alert) alert.subject = function() end return alert end,
			nul = function(alert) alert.body = "a\0b" return alert end,
			mailer = function(alert) alert.mailers = { "m9" } return alert end,
			empty = function(alert) alert.to = {} return alert end,
			level = function(alert) alert.level = "loud" return alert end,
			meta = function(alert) return setmetatable({}, { __index = alert }) end,
			loop = function() while true do end end,
			sleeps = function() core.sleep(1000000) end,
			caught = function() while true do pcall(function() while true do end end) end end,
			callback = function() ("a"):gsub("a", function() while true do end end) end,
		}
		return { mailers = mailers, route_timeout = "300ms", route = function(alert) return bad[alert.server](alert) end }
	END
	cat > "$TMPDIR/table" <<-'END'
		raises	on purpose
		nothing	attempt to index a nil value
		number	it returned a number; return the alert, a list of alerts, or nil
		text	it returned a string; return
		table	it returned a table that is no list of alerts
		mixed	it returned a list with a number that is no alert
		injects	to:
		header	header Bcc: evil@example.org: the mail has it already
		method	the mail has it already
		many	it returned more than 16 alerts
		types	subject: it is a function; it must be a text
		nul	body: it holds a NUL
		mailer	mailers: 'm9' is no mailer of the proxy
		empty	to: it is empty; return nil to drop the alert
		level	level: there is no 'loud'
		meta	it returned a table that is no list of alerts
		loop	no answer within 0.300 s
		sleeps	no answer within 0.300 s
		caught	no answer within 0.300 s
		callback	it computes for too long where it cannot be interrupted
	END
	haproxy_start h < <(
		alerts_backend db m
		cut -f 1 "$TMPDIR/table" | sed 's/.*/\tserver & 127.0.0.1:1/'
		alerts_mailers m "$s_port"
		printf 'frontend f\n\tbind unix@%s\n\thttp-request return status 204\n' "$TMPDIR/h.http"
	)
	while IFS=$'\t' read -r name text; do
		n=$((n + 1))
		down "db/$name"
		mails_come $n
		log_comes "mailers: db/$name: route: "
		grep -F "mailers: db/$name: route: " "$TMPDIR/h.out" | grep -qF -- "$text" || fail "$name: $(cat "$TMPDIR/h.out")"
		grep -F "mailers: db/$name: route: " "$TMPDIR/h.out" | grep -q '; the alert goes as without it$'
		mail $n | grep -q "^Subject: \[HAProxy Alert\] Server db/$name is DOWN" || fail "$name: $(mail $n)"
		equal 1 "$(alerts_count s ops@example.org "db/$name")"
	done < "$TMPDIR/table"
	! grep -qi '^bcc' "$TMPDIR"/mails/*.eml
	# One function computes without an end, one sleeps: HAProxy serves all the same.
	perl -MIO::Socket::UNIX -e '
		alarm 20;
		my $s = IO::Socket::UNIX->new(Peer => shift) or die;
		print $s "GET / HTTP/1.0\r\n\r\n";
		exit(<$s> =~ / 204 / ? 0 : 1);' "$TMPDIR/h.http" || fail "HTTP is not served"
}

# Calls that hang hold up their own alerts; when there are too many, none is made until they come back.
route__that_hangs__is_not_called_until_it_comes_back() {
	local i

	sink
	settings <<-END
		return { mailers = mailers, route_timeout = "100ms", route = function(alert)
			while alert.server ~= "well" and not core.backends.switch.servers.s1:is_draining() do
				core.msleep(20)
			end
			alert.subject = "Routed"
			return alert
		end }
	END
	haproxy_start h < <(
		alerts_backend db m
		seq 8 | sed 's/.*/\tserver s& 127.0.0.1:1/'
		printf '\tserver well 127.0.0.1:1\nbackend switch\n\tserver s1 127.0.0.1:1\n'
		alerts_mailers m "$s_port"
	)
	cli h "$(seq 8 | sed 's|.*|set server db/s& health down;|' | tr -d '\n')"
	mails_come 8
	log_comes 'calls of the function did not return in time and still run; alerts go as without it until they do'
	down db/well
	mails_come 9
	mail 9 | grep -q '^Subject: \[HAProxy Alert\] Server db/well is DOWN' || fail "$(mail 9)"
	cli h 'set server switch/s1 state drain'
	log_comes 'route: the function is called again'
	cli h 'set server db/well health up'
	mails_come 10
	mail 10 | grep -qx 'Subject: Routed' || fail "$(mail 10)"
	equal 10 "$(sinkctl s get mails)"
}

# A worker that is told to stop waits for the function, and then for the mail.
route__at_a_soft_stop__is_waited_for() {
	sink
	settings <<-'END'
		return { mailers = mailers, route = function(alert)
			core.msleep(1000)
			alert.subject = "Routed"
			return alert
		end }
	END
	haproxy_start h < <(proxy_text db "$s_port")
	down db/s1
	haproxy_stop h USR1
	equal 1 "$(sinkctl s get mails)"
	mail 1 | grep -qx 'Subject: Routed' || fail "$(mail 1)"
}

# One that hangs used up the time for sending: what waited for it went to the log alone.
route__that_hangs_at_a_soft_stop__leaves_time_to_send() {
	sink
	settings <<-'END'
		return { mailers = mailers, drain = "4s", route_timeout = "60s", route = function() core.sleep(1000) end }
	END
	haproxy_start h < <(proxy_text db "$s_port")
	cli h 'set server db/s1 health down; set server db/s1 health up'
	haproxy_stop h USR1
	equal 2 "$(sinkctl s get mails)" "$(cat "$TMPDIR/h.out")"
	logged 'mailers: route: 2 alerts went as without it' || fail "$(cat "$TMPDIR/h.out")"
}

# A function that never returns does not keep a worker that is to go.
route__that_computes_for_ever__does_not_keep_a_worker() {
	sink
	settings <<-'END'
		return { mailers = mailers, route_timeout = "100ms", route = function() while true do end end }
	END
	haproxy_start h < <(proxy_text db "$s_port")
	down db/s1
	mails_come 1
	haproxy_stop h USR1
	equal 1 "$(sinkctl s get mails)"
}

# Nor does a table of its own that computes when it is looked at.
route__whose_table_computes_for_ever__does_not_keep_a_worker() {
	sink
	settings <<-'END'
		local function loop() while true do end end
		return { mailers = mailers, route_timeout = "100ms", summary = { wait = "100ms", batch = function() return "x" end },
			route = function() return setmetatable({}, { __index = loop, __newindex = loop }) end }
	END
	haproxy_start h < <(proxy_text db "$s_port")
	down db/s1
	mails_come 1
	haproxy_stop h USR1
	equal 1 "$(sinkctl s get mails)"
}

# Errors that cannot be made a text left the worker with a question that was answered long ago, as one that hangs: after four of
# them no function was called any more.
route__whose_errors_are_no_texts__is_called_again() {
	local i

	sink
	settings <<-'END'
		local kinds = {
			function() return setmetatable({}, { __tostring = function() error("worse") end }) end,
			function() return setmetatable({}, { __tostring = function() return {} end }) end,
			function() return setmetatable({}, { __tostring = function() while true do end end }) end,
			function() return setmetatable({}, { __tostring = function() return "a text of its own" end }) end,
			function() return nil end,
		}
		return { mailers = mailers, route_timeout = "2s", route = function(alert)
			local kind = tonumber(alert.server:match("%d"))
			if kind then
				error(kinds[kind]())
			end
			alert.subject = "Routed"
			return alert
		end }
	END
	haproxy_start h < <(
		alerts_backend db m
		printf '\tserver %s 127.0.0.1:1\n' s1 s2 s3 s4 s5 well
		alerts_mailers m "$s_port"
	)
	cli h "$(seq 5 | sed 's|.*|set server db/s& health down;|' | tr -d '\n')"
	mails_come 5
	for i in 1 2 3; do
		log_comes "mailers: db/s$i: route: its error is a table, and no text; the alert goes as without it"
	done
	log_comes 'mailers: db/s4: route: a text of its own; the alert goes as without it'
	log_comes 'mailers: db/s5: route: nil; the alert goes as without it'
	down db/well
	mails_come 6
	mail 6 | grep -qx 'Subject: Routed' || fail "$(mail 6)"
	! logged 'calls of the function' || fail "$(cat "$TMPDIR/h.out")"
}

# A function that makes no use of the rest of the process's time: all alerts of a storm pass through it.
route__in_a_storm__loses_none() {
	sink_start s --log "$TMPDIR/s.log"
	haproxy_global='tune.bufsize 65536'
	settings <<-'END'
		return { mailers = mailers, route = function(alert)
			alert.to = "team" .. alert.server:sub(-1) .. "@example.org"
			return alert
		end }
	END
	haproxy_start h < <(
		alerts_backend db m
		seq 1000 | sed 's/.*/\tserver s& 127.0.0.1:1/'
		alerts_mailers m "$s_port"
	)
	cli h "$(seq 1000 | sed 's|.*|set server db/s& health down;|' | tr -d '\n')"
	cli h "$(seq 1000 | sed 's|.*|set server db/s& health up;|' | tr -d '\n')"
	sinkctl s wait mails 2000 $WAIT_S > "$TMPDIR/waited"
	equal 2000 "$(alerts_count s)"
	equal '' "$(alerts_of s | alerts_odd 1 1000)"
	equal 200 "$(alerts_count s team7@example.org)"
}

batch__a_function__says_which_alerts_share_a_mail() {
	sink
	settings <<-'END'
		return { mailers = mailers, summary = { wait = "1s", max_wait = "5s", batch = function(alert)
			return alert.server:match("^rack%d") or error("no rack")
		end } }
	END
	haproxy_start h < <(
		for proxy in web db; do
			alerts_backend $proxy m
			printf '\tserver %s 127.0.0.1:1\n' rack1a rack1b rack2a rack2b odd
		done
		alerts_mailers m "$s_port"
	)
	cli h "$(for s in rack1a rack1b rack2a rack2b odd; do for p in web db; do printf 'set server %s/%s health down;' $p $s; done; done)"
	mails_come 4
	equal "[HAProxy Alert] 4 alerts: 4 servers down, 0 up (web, db)|[HAProxy Alert] 4 alerts: 4 servers down, 0 up (web, db)" \
		"$(subjects_to ops@example.org | tr '|' '\n' | grep alerts: | sed 's/(db, web)/(web, db)/' | paste -sd '|')"
	equal 2 "$(subjects_to ops@example.org | tr '|' '\n' | grep -c odd)"
	equal 2 "$(grep -o 'mailers: [a-z]*/odd: route: .*no rack; the alert goes as without it' "$TMPDIR/h.out" | sort -u | wc -l)"
}

tests_run
