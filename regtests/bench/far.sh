# far.sh - a mail server 20 ms away: smtp_sink with what it offers, a real Postfix, a real Exim; without TLS and with it. Sourced by
# run.sh.
#
# 1,000 servers go down at once; 60 for the senders that send one mail after the other, whose rate does not depend on the number. The
# rate of mailers.lua, against smtp_sink, is what the others are compared with: eight round trips a mail, whatever the server is.
#
# The mail servers should not be what is measured, so both only take mails: Postfix holds them (check_recipient_access static:HOLD)
# and does not slow down for a queue that grows (in_flow_delay), Exim queues them (queue_only); both write to memory (/dev/shm).
# Both look up nothing in DNS, log as ever, and keep their limits of mails and connections.

. "$TOP/regtests/lib/postfix.sh"
. "$TOP/regtests/lib/exim.sh"
. "$TOP/regtests/lib/certs.sh"

FAR_DELAY_MS=10 # one way
FAR_SERVERS=1000
FAR_SERIAL=60

# Where the mail servers have their queues. In memory, so that no disk is measured.
far_spool() {
	local base=$tmp

	[ ! -w /dev/shm ] || base=/dev/shm
	mktemp -d "$base/bench-mta.XXXXXX"
}

far_certificates() {
	[ -s "$tmp/tls/ca.pem" ] && return
	mkdir -p "$tmp/tls" && folder_open "$tmp/tls" && certs_ca "$tmp/tls" && certs_server "$tmp/tls" mail.example.org
}

far_settings() {
	cat > "$tmp/settings.lua" <<-END
		return { mailers = { ["*"] = {
			tls = "required", ca_file = "$tmp/tls/ca.pem", verifyhost = "mail.example.org",
		} } }
	END
}

# Each far_<server>_start <none|tls> sets $port, and far_<server>_stop $handshakes.
far_sink_start() {
	local offer=$1 tls=$2
	local -a options=(--lenient --ehlo "$offer" --log "$tmp/sink.log")

	[ "$tls" = none ] || options+=(--starttls --tls-cert "$tmp/tls/mail.example.org.pem")
	tool sink smtp_sink "${options[@]}"
}

far_plain_start() { far_sink_start 8BITMIME,ENHANCEDSTATUSCODES "$1"; }
far_pipelining_start() { far_sink_start PIPELINING,8BITMIME,ENHANCEDSTATUSCODES "$1"; }
far_chunking_start() { far_sink_start PIPELINING,CHUNKING,8BITMIME,ENHANCEDSTATUSCODES "$1"; }

far_postfix_start() {
	local main

	spool=$(far_spool)
	mta=$spool/postfix
	postfix_make "$mta" ops@example.org || exit 1
	main=$mta/etc/main.cf
	cat >> "$main" <<-END
		in_flow_delay = 0
		smtpd_data_restrictions = check_client_access static:HOLD
	END
	[ "$1" = none ] || cat >> "$main" <<-END
		smtpd_tls_security_level = may
		smtpd_tls_cert_file = $tmp/tls/mail.example.org.crt
		smtpd_tls_key_file = $tmp/tls/mail.example.org.key
		smtpd_tls_loglevel = 1
		smtpd_tls_received_header = no
	END
	postfix_start "$mta" ops@example.org || exit 1
	port=$postfix_port
}

far_exim_start() {
	exim_get || exit 1
	spool=$(far_spool)
	mta=$spool/exim
	exim_main='tls_advertise_hosts ='
	[ "$1" = none ] || exim_main="tls_advertise_hosts = *
		tls_certificate = $tmp/tls/mail.example.org.crt
		tls_privatekey = $tmp/tls/mail.example.org.key"
	exim_main+=$'\n\t\tqueue_only'
	exim_start "$mta" ops@example.org || exit 1
	port=$exim_port
	far_exim=$(sed -n 's/.* exim \([0-9.]*\) daemon started.*/\1/p' "$mta/log/main" | head -n 1)
}

far_stop() {
	case $1 in
	postfix)
		handshakes=$(grep -c 'TLS connection established' "$mta/log")
		postfix_stop "$mta"
		;;
	exim)
		# Exim says it of each mail, and not of which connection.
		grep ' <= ' "$mta/log/main" | grep -q -v ' X=TLS' && handshakes=0 || handshakes=$connections
		exim_stop "$mta"
		;;
	*)
		handshakes=$(tool_get sink handshakes)
		tool_end sink
		return
		;;
	esac
	rm -rf "$spool"
	spool='' mta=''
}

# The time of a log line, us since 1970: "<134>2025-11-20T20:05:00.123456+00:00 haproxy-mailers: ...".
far_log_us() { date -d "$(sed -n 's/^<[0-9]*>\([^ ]*\) .*/\1/p' <<< "$1")" +%s%6N; }

# Waits until the plugin's log says that all were accepted; sets got and ms.
far_wait_log() {
	local n=$1 end=$((SECONDS + LIMIT_S))

	until got=$(grep -c ': accepted for ' "$tmp/haproxy.log"); [ "$got" -ge "$n" ] || [ $SECONDS -ge $end ]; do
		sleep 0.1
	done
	ms=$((($(far_log_us "$(grep ': accepted for ' "$tmp/haproxy.log" | tail -n 1)") - start_epoch) / 1000))
}

# far_once <sender> <server> <none|tls> <servers>: sets rate, cpu, connections, handshakes; rate 0 when not all came.
far_once() {
	local sender=$1 server=$2 tls=$3 n=$4 c0 settings=''

	"far_${server}_start" "$tls"
	[ "$tls" = none ] || { far_settings; settings=$tmp/settings.lua; }
	tool line delay_line --to "127.0.0.1:$port" --delay-ms $FAR_DELAY_MS
	{ config_head "$sender" "$settings"; config_mailers m "$port"; config_root root; config_backend be m "$n" root/s0; } > "$tmp/cfg"
	haproxy_start
	c0=$(cpu_us)
	storm_raise
	if [ -S "$tmp/sink.ctl" ]; then
		sink_wait sink "$n"
	else
		far_wait_log "$n"
	fi
	cpu=$((($(cpu_us) - c0) / n))
	haproxy_end
	connections=$(tool_get line connections)
	tool_end line
	far_stop "$server"
	if [ -s "$tmp/sink.log" ]; then
		ms=$(($(tail -n 1 "$tmp/sink.log" | cut -f 3) - start))
		rm -f "$tmp/sink.log"
	fi
	[ "$got" -ge "$n" ] && rate=$(rate_of "$n" "$ms") || rate=0
}

far() {
	local i runs=$1
	local -a rates=() cpus=()

	shift
	for i in $(seq "$runs"); do
		say "20 ms away: $*, run $i of $runs"
		far_once "$@"
		rates+=("$rate") cpus+=("$cpu")
	done
	rate=$(printf '%s\n' "${rates[@]}" | median)
	cpu=$(printf '%s\n' "${cpus[@]}" | median)
}

far_row() { printf '%-34s %-12s %12s %12s %12s %12s %14s\n' "$@"; }

far_result() {
	far_row "$1" "$2" "$(rate_text "$rate")" "$cpu us" "$connections" "$handshakes" "$(ratio "$rate" "$far_script")"
}

# Has the plugin TLS? HAProxy's own check says it.
far_has_tls() {
	far_certificates || return 1
	far_settings
	{ config_head plugin "$tmp/settings.lua"; config_mailers m 25; config_backend be m 1; } > "$tmp/cfg"
	"$HAPROXY" -c -q -f "$tmp/cfg" > "$tmp/haproxy.log" 2>&1
}

far_name() {
	case $1 in
	plain) echo 'neither' ;;
	pipelining) echo 'PIPELINING' ;;
	chunking) echo 'PIPELINING, CHUNKING' ;;
	postfix) echo "Postfix $(postconf -dh mail_version)" ;;
	exim) echo "Exim $far_exim" ;;
	esac
}

far_servers() {
	echo plain pipelining chunking
	postfix_possible && echo postfix
	echo exim
}

far_table() {
	local tls server sender runs

	far_row "1,000 servers down, 20 ms away" "sender" "mails/s" "CPU/mail" "connections" "handshakes" "rate, to"
	far_row "the server offers" "" "" "" "" "" "mailers.lua"
	far_script=0
	for sender in ${SENDERS/plugin/}; do
		far 1 "$sender" pipelining none $FAR_SERIAL
		[ "$sender" != mailers.lua ] || far_script=$rate
		far_result "PIPELINING (60 servers)" "$sender"
	done
	for tls in none tls; do
		if [ $tls = tls ] && ! far_has_tls; then
			far_row 'STARTTLS' plugin 'not available' - - - -
			continue
		fi
		for server in $(far_servers); do
			# Those that round trips alone decide are long, and the same in each run; the longest with TLS too.
			[ "$server$tls" = plaintls ] && continue
			[[ $server = plain || $server = pipelining ]] && runs=1 || runs=$RUNS
			far "$runs" plugin "$server" $tls $FAR_SERVERS
			far_result "$(far_name "$server")$([ $tls = none ] || echo ', TLS')" plugin
		done
	done
}
