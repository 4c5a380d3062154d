#!/bin/bash
# How the plugin is loaded: from where, in which of HAProxy's run modes, and what is said where it cannot work.
. "$(dirname "$0")/../../lib/proxy.sh"

TOP=$(cd "$B/.." && pwd)
WAIT_S=60
case $LUA in
5.3) OTHER=5.4 ;;
*) OTHER=5.3 ;;
esac

# mails_leave NAME: HAProxy <NAME> mails two alerts of backend <NAME> to the sink <NAME>, each once, and ends.
mails_leave() {
	cli "$1" "set server $1/s1 health down"
	sinkctl "$1" wait mails 1 $WAIT_S > "$TMPDIR/waited" || fail "no mail: $(cat "$TMPDIR/$1.out")"
	cli "$1" "set server $1/s1 health up"
	sinkctl "$1" wait mails 2 $WAIT_S > "$TMPDIR/waited" || fail "no second mail: $(cat "$TMPDIR/$1.out")"
	haproxy_stop "$1"
	equal 2 "$(sinkctl "$1" get mails)"
	sinkctl "$1" quit
}

# start_and_mail NAME [OPTION]...
start_and_mail() {
	local name=$1 port

	shift
	sink_start "$name" --mail-dir "$TMPDIR/$name.mails"
	port=${name}_port
	haproxy_start "$name" "$@" < <(proxy_text "$name" "${!port}")
	mails_leave "$name"
}

# refused TEXT [OPTION]...: HAProxy does not start, and <TEXT>, a pattern of grep, stands in the one line of ours.
refused() {
	local text=$1

	shift
	haproxy_refuses r "$@" < <(proxy_text r 25)
	refused_with "$text"
}

refused_with() {
	equal 1 "$(grep -c haproxy-mailers: <<< "$refusal")" "lines of ours in $refusal"
	grep -q "haproxy-mailers: .*$1" <<< "$refusal" || fail "no '$1' in $refusal"
}

# before LUA: a script that runs before ours
before() {
	echo "$1" > "$TMPDIR/before.lua"
	haproxy_global="lua-load $TMPDIR/before.lua"
}

# install_to PREFIX [DESTDIR]
install_to() {
	make -s -C "$TOP" LUA="$LUA" PREFIX="$1" DESTDIR="${2:-}" install > "$TMPDIR/make.log" 2>&1 ||
		fail "$(cat "$TMPDIR/make.log")"
}

# --- from where -------------------------------------------------------------------------------------------

lua_load__of_the_installed_file__is_all() {
	install_to /usr "$TMPDIR"
	haproxy_load=$TMPDIR/usr/share/haproxy-mailers/mailers.lua
	start_and_mail file
	ln -s "$TMPDIR/usr/share/haproxy-mailers" "$TMPDIR/link"
	haproxy_load=$TMPDIR/link/mailers.lua
	start_and_mail folder_link
	haproxy_load=mailers.lua
	start_and_mail here -db -C "$TMPDIR/usr/share/haproxy-mailers"
	haproxy_load=haproxy-mailers/mailers.lua
	start_and_mail below -db -C "$TMPDIR/usr/share"
}

lua_load__of_a_link_to_the_installed_file__finds_the_rest() {
	install_to "$TMPDIR/opt"
	ln -s "$TMPDIR/opt/share/haproxy-mailers/mailers.lua" "$TMPDIR/alerts.lua"
	haproxy_load=$TMPDIR/alerts.lua
	start_and_mail link
}

lua_load__in_the_source_tree__needs_no_installation() {
	haproxy_load=lua/mailers.lua
	start_and_mail tree -db -C "$TOP"
}

# --- run modes --------------------------------------------------------------------------------------------

run_mode__any__mails_once() {
	local mode threads=1 n=0

	for mode in -db -D -W '-W -D' -Ws; do
		if [ "$mode" = -Ws ] && "$HAPROXY_PROGRAM" -vv | grep -q -e ' -SYSTEMD '; then
			continue
		fi
		n=$((n + 1)) threads=$((5 - threads))
		haproxy_global="nbthread $threads"
		# shellcheck disable=SC2086
		start_and_mail "m$n" $mode
	done
}

lua_load_per_thread__any_run_mode__mails_once() {
	local mode n=0

	haproxy_directive=lua-load-per-thread
	for mode in -db -D -W; do
		n=$((n + 1))
		haproxy_global='nbthread 4'
		start_and_mail "t$n" $mode
	done
	haproxy_global='nbthread 1'
	start_and_mail one
}

lua_load__twice__says_so_and_mails_once() {
	local first

	for first in lua-load lua-load-per-thread; do
		haproxy_global="nbthread 2
			$first $MAILERS_LUA"
		start_and_mail "${first//-/_}"
		grep -q '^haproxy-mailers: loaded twice, .*; remove it$' "$TMPDIR/${first//-/_}.out"
	done
}

# Each copy of the module has statics of its own: both sent each alert once.
lua_load__of_a_copy__says_so_and_mails_once() {
	mkdir -p "$TMPDIR/copy/build"
	cp -r "$TOP/lua" "$TMPDIR/copy/lua"
	cp -r "$B/lua$LUA" "$TMPDIR/copy/build/"
	haproxy_global="lua-load $TMPDIR/copy/lua/mailers.lua"
	start_and_mail copied
	grep -q '^haproxy-mailers: loaded twice, .*; remove it$' "$TMPDIR/copied.out"
}

check_only__with_good_and_bad_files__has_no_side_effect() {
	sink_start s
	proxy_text h "$s_port" | haproxy_text h > "$TMPDIR/h.cfg"
	"$HAPROXY_PROGRAM" -c -f "$TMPDIR/h.cfg" > "$TMPDIR/out" 2>&1 || fail "$(cat "$TMPDIR/out")"
	if grep haproxy-mailers "$TMPDIR/out"; then fail "nothing was wrong"; fi
	equal 0 "$(sinkctl s get connections)"
	cp -r "$TOP/lua" "$TMPDIR/lua"
	haproxy_load=$TMPDIR/lua/mailers.lua
	refused 'its module is missing' -c
}

# What the mails need must be at hand before: files, entropy, the time zone.
chroot_and_user__with_a_time_zone__mail_its_dates() {
	local mode n=0

	[ "$(id -u)" = 0 ] || { echo "    not as root, no chroot"; return 0; }
	zone_make
	mkdir "$TMPDIR/jail"
	haproxy_global="chroot $TMPDIR/jail
		user nobody
		group nogroup"
	for mode in -db -D -W; do
		n=$((n + 1))
		TZ=:$TMPDIR/zone start_and_mail "c$n" $mode
		equal 2 "$(grep -h '^Date: ' "$TMPDIR/c$n.mails/"* | grep -c ' +0545 (TST).$')" "dates of the zone"
	done
	if ! unshare -m true 2> "$TMPDIR/err" || [ ! -e /etc/localtime ]; then
		echo "    no /etc/localtime of its own: $(cat "$TMPDIR/err")"
		return 0
	fi
	with_localtime
	start_and_mail system
	equal 2 "$(grep -h '^Date: ' "$TMPDIR/system.mails/"* | grep -c ' +0545 (TST).$')" "dates of /etc/localtime"
}

# A time zone that no system has as its own, in the format of tzfile(5), version 1: 5:45 hours east of Greenwich.
zone_make() {
	local zeros='\0\0\0\0'

	printf "TZif\0$zeros$zeros$zeros\0\0\0$zeros$zeros$zeros$zeros\0\0\0\1\0\0\0\4\0\0\120\334\0\0TST\0" > "$TMPDIR/zone"
	equal '+0545 TST' "$(TZ=:$TMPDIR/zone date '+%z %Z')"
}

# HAProxy in a name space of its own, where the zone is the system's.
with_localtime() {
	printf '#!/bin/sh\nunset TZ\nexec unshare -m sh -c %s sh "$@"\n' \
		"'mount --bind $TMPDIR/zone /etc/localtime && exec $HAPROXY_PROGRAM \"\$@\"'" > "$TMPDIR/haproxy"
	chmod +x "$TMPDIR/haproxy"
	HAPROXY_PROGRAM=$TMPDIR/haproxy
}

# --- what cannot work -------------------------------------------------------------------------------------

haproxy__that_lacks_an_api__is_told_which() {
	before 'core.event_sub = nil'
	refused 'HAProxy 2.8 or newer is needed$'
	refused 'HAProxy 2.8 or newer is needed$' -c
	before 'core.queue = nil'
	refused 'HAProxy 2.8 or newer is needed$'
	before 'core.disable_legacy_mailers, core.use_native_mailers_config = nil, nil'
	refused 'no mailers API for Lua .*; use a release from 2.8 on$'
}

files__that_are_missing_or_foreign__are_told() {
	local folder=$TMPDIR/x/build/lua$LUA/mailers

	mkdir -p "$folder"
	cp -r "$TOP/lua" "$TMPDIR/x/lua"
	haproxy_load=$TMPDIR/x/lua/mailers.lua
	refused "its module is missing, .*; build it: make LUA=$LUA\$"
	make -s -C "$TOP" LUA="$OTHER" all > "$TMPDIR/make.log" 2>&1 || fail "$(cat "$TMPDIR/make.log")"
	cp "$TOP/build/lua$OTHER/mailers/engine.so" "$folder"
	refused "cannot load .*; rebuild it: make LUA=$LUA\$"
	echo nonsense > "$folder/engine.so"
	refused "cannot load .*; rebuild it: make LUA=$LUA\$"
	mv "$TMPDIR/x/build/lua$LUA" "$TMPDIR/x/build/lua$OTHER"
	refused "is for Lua $OTHER, this HAProxy has Lua $LUA; .* make LUA=$LUA install\$"
	rm "$TMPDIR/x/lua/mailers/driver.lua"
	haproxy_load=$TMPDIR/x/lua/mailers.lua
	cp -r "$TOP/build/lua$LUA" "$TMPDIR/x/build/"
	refused 'cannot load .*mailers/driver.lua: .*; install all of lua/mailers beside mailers.lua$'
}

lua_libraries__closed_by_openlibs__are_told() {
	[ "$haproxy_version" -ge 304 ] || { echo "    no tune.lua.openlibs before HAProxy 3.4"; return 0; }
	haproxy_global='tune.lua.openlibs none'
	refused "Lua's package library is closed; add 'package' to tune.lua.openlibs"
	haproxy_global='tune.lua.openlibs string,table,math,debug,io,os'
	refused "Lua's package library is closed; add 'package' to tune.lua.openlibs"
	haproxy_global='tune.lua.openlibs package,table,debug,io,os'
	refused 'debug, string and table .* add them to tune.lua.openlibs'
	haproxy_global='tune.lua.openlibs package,string,debug,io,os'
	refused 'debug, string and table .* add them to tune.lua.openlibs'
	haproxy_global='tune.lua.openlibs package,string,table,io,os'
	refused 'debug, string and table .* add them to tune.lua.openlibs'
	haproxy_global='tune.lua.openlibs package,string,table,debug'
	start_and_mail few
	haproxy_load=$TMPDIR/nowhere/mailers.lua
	mkdir "$TMPDIR/nowhere"
	cp -r "$TOP/lua/." "$TMPDIR/nowhere"
	refused "its module is missing, .*; build it: make LUA=$LUA\$"
}

# setting_refused KEY VALUE TEXT: a backend with this email-alert setting
setting_refused() {
	haproxy_refuses r < <(proxy_text r 25 | sed "s|email-alert $1 .*|email-alert $1 $2|")
	refused_with "$3"
}

settings__that_are_bad__name_proxy_key_and_remedy() {
	setting_refused to '"a@example.org b@example.org"' "proxy r: email-alert to: .*; write ',' between addresses"
	setting_refused to '"a@example.org, b@"' 'proxy r: email-alert to: .*; write user@example.com'
	setting_refused from '"ha@"' 'proxy r: email-alert from: .*; write user@example.com'
	setting_refused from '"a@example.org, b@example.org"' 'proxy r: email-alert from: 2 addresses stand there, give one'
	setting_refused myhostname '"two words"' 'proxy r: email-alert myhostname: .*; write one such as lb1.example.org'
	haproxy_refuses r < <(proxy_text r 25 | sed '/mailer m1/d')
	refused_with "proxy r: .* no mailer line; add one such as 'mailer smtp1 192.0.2.25:25'"
}

settings__with_line_ends__cannot_smuggle_lines() {
	setting_refused to '"a@example.org\\r\\nRCPT TO:<x@example.org>"' 'proxy r: email-alert to: .*; write one line of text'
	setting_refused from '"a@example.org\\nX"' 'proxy r: email-alert from: .*; write one line of text'
	setting_refused myhostname '"lb\\r\\nQUIT"' "proxy r: email-alert myhostname: 'lb??QUIT' is no host name"
}

# --- the module -------------------------------------------------------------------------------------------

module__for_either_lua__needs_libc_and_exports_one_function() {
	local module

	for module in "$TOP"/build/lua5.*/mailers/engine.so; do
		equal 'libc.so.6' "$(readelf -d "$module" | sed -n 's/.*(NEEDED).*\[\(.*\)\]$/\1/p')" "$module links"
		equal 'T luaopen_mailers_engine' "$(nm -D --defined-only "$module" | cut -d ' ' -f 2-)" "$module exports"
	done
}

tests_run
