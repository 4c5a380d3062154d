#!/bin/bash
# What `make install` puts where: the documents, whose links must lead somewhere there too, the man pages, and a program that runs.
# once
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../lib/test.sh"
top=$(cd "$here/../../.." && pwd)

installed() {
	flock "$B/make.lock" ${MAKE:-make} -s -C "$top" LUA="${LUA:-5.3}" B="$B" PREFIX="$1" DESTDIR="$TMPDIR/root" install \
		> "$TMPDIR/make.log" 2>&1 || fail "$(cat "$TMPDIR/make.log")"
}

# links FOLDER: none is broken, and there are some
links() {
	perl "$here/links.pl" "$1" > "$TMPDIR/links"
	grep -qE '^[1-9][0-9]+ links$' "$TMPDIR/links" && [ "$(wc -l < "$TMPDIR/links")" = 1 ] || fail "$(cat "$TMPDIR/links")"
}

documents__in_the_source__have_no_broken_link() { links "$top"; }

documents__installed__have_no_broken_link() {
	installed /opt/mailers
	links "$TMPDIR/root/opt/mailers/share/doc/haproxy-mailers"
	[ -f "$TMPDIR/root/opt/mailers/share/doc/haproxy-mailers/LICENSE" ]
}

man_pages__installed__name_the_places() {
	installed /opt/mailers
	mandoc "$TMPDIR/root/opt/mailers/share/man/man1/mailers-send.1" | grep -q 'MAILERS-SEND(1)'
	mandoc -T utf8 "$TMPDIR/root/opt/mailers/share/man/man7/haproxy-mailers.7" | sed 's/.\x08//g' > "$TMPDIR/page"
	grep -q '/opt/mailers/share/haproxy-mailers/mailers.lua' "$TMPDIR/page"
	! grep '/usr/' "$TMPDIR/page" || fail "another place is named"
}

program__installed__runs() {
	installed /usr
	"$TMPDIR/root/usr/bin/mailers-send" --version | grep -q '^mailers-send '
}

tests_run
