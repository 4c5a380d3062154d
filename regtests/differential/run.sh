#!/bin/sh
# run.sh - builds what the differential test needs and runs it; options and scenarios: see run.lua.
#
# Wants Lua 5.3's interpreter and headers (Debian: lua5.3, liblua5.3-dev) and a C compiler. HAPROXY_PROGRAM names the
# HAProxy (or --haproxy); LUA is the version of its Lua. A HAProxy without a native sender has nothing to compare with.
#
# timeout 300
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
LUA=${LUA:-5.3}
out=$root/build/differential
haproxy=${HAPROXY_PROGRAM:-$root/build/haproxy/3.0-lua$LUA/haproxy}

# 2.8.0 cannot tell scripts a server's statistics, and with them `info:`.
if "$haproxy" -v | grep -q ' version 2\.8\.0-' || ! "$haproxy" -v | head -n 1 | grep -qE ' (2\.[89]|3\.[012])[.-]'; then
	echo "0 passed, 0 failed, 1 skipped"
	exit 0
fi

mkdir -p "$out"
if [ ! -e "$out/netlab.so" ] || [ "$here/netlab.c" -nt "$out/netlab.so" ]; then
	${CC:-cc} -std=c11 -D_GNU_SOURCE -O2 -fPIC -shared -Wall -Wextra -I/usr/include/lua5.3 \
		-o "$out/netlab.so.$$" "$here/netlab.c"
	mv "$out/netlab.so.$$" "$out/netlab.so"
fi

DIFFTEST_PEM=$out/server.pem
if [ ! -e "$DIFFTEST_PEM" ]; then
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj /CN=localhost \
		-keyout "$DIFFTEST_PEM.key.$$" -out "$DIFFTEST_PEM.crt.$$" 2>/dev/null
	cat "$DIFFTEST_PEM.crt.$$" "$DIFFTEST_PEM.key.$$" > "$DIFFTEST_PEM.$$"
	mv "$DIFFTEST_PEM.$$" "$DIFFTEST_PEM"
	rm -f "$DIFFTEST_PEM.crt.$$" "$DIFFTEST_PEM.key.$$"
fi

DIFFTEST_SCENARIOS=$(ls "$here"/scenarios/*.lua)
TZ=CET-1CEST,M3.5.0,M10.5.0/3
LUA_CPATH="$out/?.so;;"
export DIFFTEST_PEM DIFFTEST_SCENARIOS TZ LUA_CPATH
unset LUA_CPATH_5_3 LUA_CPATH_5_4 LUA_INIT LUA_INIT_5_3 LUA_INIT_5_4

exec lua5.3 "$here/run.lua" --haproxy "$haproxy" --plugin "$root/lua/mailers.lua" \
	--cpath "$root/build/lua$LUA/?.so" "$@"
