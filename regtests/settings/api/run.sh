#!/bin/bash
# once
#
# The settings in a Lua state of their own, under the sanitizers, and doc/settings.md against the tables of the code.
cd "$(dirname "$0")/../../.." || exit 1
: "${B:=build}"
passed=0 failed=0

check() {
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "$1"
	fi
}

flock "$B/make.lock" ${MAKE:-make} B="$B" "$B/settings/test_settings" "$B/settings/fields" || exit 1

output=$("$B/settings/test_settings" 2>&1)
status=$?
echo "$output"
total=$(grep -c '^\[ RUN ' <<< "$output")
ok=$(grep -c '^\[ *OK ' <<< "$output")
passed=$((passed + ok))
failed=$((failed + total - ok))
[ $status = 0 ] || [ "$ok" -lt "$total" ]
check "test_settings ended with $status" $?

# Each row of the code stands in the guide, with a meaning behind it, and no other does.
fields=$("$B/settings/fields")
[ "$(wc -l <<< "$fields")" -gt 30 ]
check "the tables are too short" $?
while IFS= read -r row; do
	grep -F -- "$row " doc/settings.md | cut -c $((${#row} + 1))- | grep -q '^ [^|].* |$'
	check "not in doc/settings.md: $row" $?
done <<< "$fields"
while IFS= read -r row; do
	grep -Fq -- "$(cut -d '|' -f 1-5 <<< "$row" | sed 's/ *$//')" <<< "$fields"
	check "in doc/settings.md, and not in the code: $row" $?
done < <(grep '^| `[a-z_]*` | .* | .* | .* | .* |$' doc/settings.md)

# The examples are taken.
TMPDIR=$(mktemp -d "${TMPDIR:-/tmp}/settings.XXXXXX") || exit 1
trap 'rm -rf "$TMPDIR"' EXIT
(umask 077; echo secret > "$TMPDIR/pass")
awk '/^```lua$/ { n++; out = sprintf("%s/example%d.lua", dir, n); next } /^```$/ { out = "" } out { print > out }' \
	dir="$TMPDIR" doc/settings.md
for example in "$TMPDIR"/example*.lua; do
	grep -q '^return' "$example" || sed -i '1s/^/return { /; $s/$/ }/' "$example"
	sed -i 's|/etc/haproxy/smtp1.pass|'"$TMPDIR/pass"'|; s|mail.example.org:587|localhost:587|' "$example"
	lua5.3 - "$B/lua5.3/mailers/engine.so" "$example" <<- 'END'
		local engine = package.loadlib(arg[1], "luaopen_mailers_engine")()
		engine.settings(arg[2])
	END
	check "example refused: $example" $?
done

# HAProxy has an OpenSSL of its own; Lua's interpreter shows what comes with ours.
echo 'return { mailers = { ["*"] = { tls = "none" } } }' > "$TMPDIR/none.lua"
lua5.3 - "$B/lua5.3/mailers/" "$TMPDIR/none.lua" <<- 'END'
	local function libraries()
		local maps = io.open("/proc/self/maps"):read("a")
		return (maps:find("libssl") or maps:find("libcrypto")) and true or false
	end
	local engine = package.loadlib(arg[1] .. "engine.so", "luaopen_mailers_engine")()
	assert(not engine.settings(arg[2]), "it needs no TLS")
	assert(not libraries(), "OpenSSL is in the process")
	engine.tls(package.loadlib(arg[1] .. "tls.so", "luaopen_mailers_tls")())
	assert(libraries(), "this test does not see OpenSSL")
END
check "OpenSSL comes with the wrong module" $?

echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed != 0 ]
