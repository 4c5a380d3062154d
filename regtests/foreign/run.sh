#!/bin/bash
# once
#
# Another TLS library in the process: which ones the TLS module may be loaded beside. Each test builds a
# program that has one, and loads the modules through Lua as HAProxy does.
. "$(dirname "$0")/../lib/test.sh"

top=$(cd "$(dirname "$0")/../.." && pwd)
here=$top/regtests/foreign
: "${TMPDIR:=/tmp}"
engine=$B/lua5.3/mailers/engine.so
tls=$B/lua5.3/mailers/tls.so
static=$B/static-ssl/lua5.3/mailers/tls-static.so
advice="which the TLS module cannot be mixed with; build and install the one with OpenSSL inside: make STATIC_SSL=1 install"
awslc="OpenSSL 1.1.1 (compatible; AWS-LC 1.48.0)"

# host NAME FLAG...: $TMPDIR/NAME
host() {
	${CC:-cc} -O1 -I"$top/include" -I/usr/include/lua5.3 -rdynamic -o "$TMPDIR/$1" "$here/host.c" "${@:2}" -llua5.3
}

# library NAME FLAG...: $TMPDIR/libNAME.so
library() { ${CC:-cc} -shared -fPIC -o "$TMPDIR/lib$1.so" "$here/library.c" "${@:2}"; }

# Whatever a host says and how it ends.
outcome() { "$@" && echo "ends with 0" || echo "ends with $?"; }

foreign__none_in_the_process__fine() {
	host plain
	equal fine "$("$TMPDIR/plain" check "$engine")"
	equal works "$("$TMPDIR/plain" use "$tls")"
	equal works "$("$TMPDIR/plain" use "$static")"
}

foreign__the_same_openssl_in_the_process__fine() {
	host linked -DLINKED -lssl -lcrypto
	equal fine "$("$TMPDIR/linked" check "$engine")"
	equal works "$("$TMPDIR/linked" use "$tls")"
	equal works "$("$TMPDIR/linked" use "$static")"
}

foreign__program_at_a_fixed_address__fine() {
	host fixed -DLINKED -no-pie -fno-pie -lssl -lcrypto
	equal fine "$("$TMPDIR/fixed" check "$engine")"
	equal works "$("$TMPDIR/fixed" use "$tls")"
	equal works "$("$TMPDIR/fixed" use "$static")"
}

foreign__aws_lc_inside_the_program__refused_but_the_static_module_works() {
	host awslc -DFOREIGN="\"$awslc\""
	equal "this HAProxy has a TLS library of its own, $awslc, $advice" "$("$TMPDIR/awslc" check "$engine")"
	equal works "$("$TMPDIR/awslc" use "$static")"
	# What the refusal prevents; without it this file would test nothing.
	[[ $(outcome "$TMPDIR/awslc" use "$tls") == "the foreign "*"() was called"*"ends with 66" ]]
}

foreign__openssl_3_inside_the_program__refused() {
	host inside -DLINKED -Wl,-Bstatic -lssl -lcrypto -Wl,-Bdynamic -ldl -pthread
	[[ $("$TMPDIR/inside" check "$engine") == "this HAProxy has a TLS library of its own, OpenSSL 3."*", $advice" ]]
	equal works "$("$TMPDIR/inside" use "$static")"
}

foreign__another_shared_library__refused() {
	library other -DFOREIGN='"LibreSSL 3.8.2"'
	host other -Wl,--no-as-needed -L"$TMPDIR" -lother -Wl,-rpath,"$TMPDIR"
	equal "$TMPDIR/libother.so has a TLS library of its own, LibreSSL 3.8.2, $advice" "$("$TMPDIR/other" check "$engine")"
	equal works "$("$TMPDIR/other" use "$static")"
	[[ $(outcome "$TMPDIR/other" use "$tls") == *"ends with 66" ]]
}

foreign__a_shared_library_with_versions__fine() {
	echo 'OPENSSL_1_1_0 { global: *; };' > "$TMPDIR/versions"
	library old -DFOREIGN='"OpenSSL 1.1.1w"' -Wl,--version-script="$TMPDIR/versions"
	host old -Wl,--no-as-needed -L"$TMPDIR" -lold -Wl,-rpath,"$TMPDIR"
	equal fine "$("$TMPDIR/old" check "$engine")"
	equal works "$("$TMPDIR/old" use "$tls")"
	equal works "$("$TMPDIR/old" use "$static")"
}

# Other tests of the same run build here too.
built() { flock "$B/make.lock" ${MAKE:-make} -C "$top" LUA=5.3 "$@" > "$TMPDIR/make.log" 2>&1; }

if ! built B="$B" "$engine" "$tls" || ! built B="$B/static-ssl" STATIC_SSL=1 "$static"; then
	cat "$TMPDIR/make.log"
	echo "0 passed, 1 failed"
	exit 1
fi
tests_run
