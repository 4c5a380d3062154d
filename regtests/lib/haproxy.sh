#!/bin/bash
# haproxy.sh - gets the HAProxys that the tests run with, cached under build/haproxy:
#
#   source/               Debian 13's source package, unpacked (its examples/lua/mailers.lua is a baseline)
#   3.0-lua5.3/haproxy    built from it with the Lua of Debian 12
#   3.0-lua5.4/haproxy    Debian 13's own binary, which runs with its own libraries from trixie/
#
# apt downloads and verifies them, with a configuration of its own under apt/, so that the machine's sources
# stay as they are. The mirror is the one that the machine uses (or $DEBIAN_MIRROR). Needs no root. Every
# result is moved in place when it is complete: a run that was cut is simply repeated.
set -u -o pipefail

SUITE=trixie
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
JOBS=${JOBS:-$(nproc)}

top=$(cd "$(dirname "$0")/../.." && pwd)
dir=$top/build/haproxy
log=$dir/log

say() { printf '  %-7s %s\n' "$1" "$2"; }

die() {
	echo "haproxy: $1" >&2
	[ -s "$log" ] && tail -n 30 "$log" >&2
	exit 1
}

# The archive that the machine's apt takes its own Debian from; asks apt, not the network.
mirror_find() {
	local codename uris

	codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	uris=$(apt-get -o Debug::NoLocking=1 update --print-uris 2>/dev/null |
		sed -n "s|^'\([^']*\)/dists/\([^/']*\)/\(In\)\?Release'.*|\2 \1|p")
	{ grep "^$codename " <<< "$uris"; grep -v security <<< "$uris"; } | sed -n '1s/^[^ ]* //p'
}

apt_setup() {
	local mirror options=

	[ -s "$dir/apt/sources.list" ] && return 0
	mirror=${DEBIAN_MIRROR:-$(mirror_find)}
	[ -n "$mirror" ] || die "found no Debian mirror in apt's configuration; set DEBIAN_MIRROR"
	[ -r "$KEYRING" ] && options="[signed-by=$KEYRING] "
	mkdir -p "$dir/apt/lists/partial" "$dir/apt/cache/archives/partial"
	printf '%s %s%s %s main\n' deb "$options" "$mirror" $SUITE deb-src "$options" "$mirror" $SUITE \
		> "$dir/apt/sources.list.new"
	say APT "$SUITE from $mirror"
	apt_with "$dir/apt/sources.list.new" apt-get -q update >> "$log" 2>&1 || die "apt-get update failed"
	mv "$dir/apt/sources.list.new" "$dir/apt/sources.list"
}

# apt_with <sources.list> <program> <argument>...: apt with the private configuration.
apt_with() {
	local list=$1 program=$2

	shift 2
	"$program" -o Dir::Etc::sourcelist="$list" -o Dir::Etc::sourceparts=/dev/null \
		-o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
		-o Dir::State="$dir/apt" -o Dir::State::lists="$dir/apt/lists" -o Dir::State::status=/dev/null \
		-o Dir::Cache="$dir/apt/cache" -o APT::Sandbox::User="$(id -un)" -o APT::Update::Error-Mode=any "$@"
}

private_apt() { apt_with "$dir/apt/sources.list" "$@"; }

# source_download [OPTION]: what `apt-get source` brings, into an empty new/.
source_download() {
	rm -rf "$dir/new" && mkdir -p "$dir/new/source"
	(cd "$dir/new" && private_apt apt-get -q source --download-only "$@" haproxy >> "$log" 2>&1)
}

# A mirror may lack Debian's part of a package whose index it has. HAProxy's own tar file is enough then: that part is
# packaging, and fixes that came after the release.
source_get() {
	[ -d "$dir/source" ] && return 0
	apt_setup
	say GET "haproxy, Debian 13's source package"
	if source_download; then
		rmdir "$dir/new/source" && dpkg-source --extract "$dir"/new/haproxy_*.dsc "$dir/new/source" >> "$log" 2>&1 ||
			die "could not unpack the source package"
	elif source_download --tar-only; then
		say GET "the mirror has no whole package: HAProxy's own source, without Debian's patches"
		tar -xf "$dir"/new/haproxy_*.orig.tar.* -C "$dir/new/source" --strip-components=1 >> "$log" 2>&1 ||
			die "could not unpack HAProxy's source"
	else
		die "could not download the source package"
	fi
	mv "$dir/new/source" "$dir/source"
	rm -rf "$dir/new"
}

# The build takes about a minute: a line each quarter of its files shows that it is alive.
source_build() {
	local total status

	[ -x "$dir/3.0-lua5.3/haproxy" ] && return 0
	source_get
	say BUILD "haproxy with Lua 5.3 (a minute or two)"
	total=$(find "$dir/source/src" "$dir/source/addons/promex" -name '*.c' | wc -l)
	make -C "$dir/source" -j"$JOBS" TARGET=linux-glibc USE_LUA=1 LUA_LIB_NAME=lua5.3 \
		LUA_INC=/usr/include/lua5.3 USE_OPENSSL=1 USE_PCRE2=1 2>&1 </dev/null | tee -a "$log" |
		awk -v total="$total" '/^ *CC / && ++n % 50 == 0 { printf "  %-7s %d of about %d files\n", "BUILD", n, total; fflush() }'
	status=$?
	[ $status = 0 ] && [ -x "$dir/source/haproxy" ] || die "the build failed"
	rm -rf "$dir/new" && mkdir -p "$dir/new"
	cp "$dir/source/haproxy" "$dir/new/haproxy"
	make -C "$dir/source" clean >> "$log" 2>&1
	rm -rf "$dir/3.0-lua5.3" && mv "$dir/new" "$dir/3.0-lua5.3"
}

# The binary with the libraries that it depends on, directly and through other libraries.
binary_get() {
	local deb packages

	[ -d "$dir/$SUITE" ] && return 0
	apt_setup
	say GET "haproxy, Debian 13's binary with its libraries"
	packages=$(private_apt apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts \
		--no-breaks --no-replaces --no-enhances haproxy | grep -E '^(haproxy|lib.*|zlib1g)$' | grep -v -e -common)
	rm -rf "$dir/new" && mkdir -p "$dir/new/debs" "$dir/new/root"
	# shellcheck disable=SC2086
	(cd "$dir/new/debs" && private_apt apt-get -q download $packages >> "$log" 2>&1) ||
		die "could not download the binary packages"
	for deb in "$dir"/new/debs/*.deb; do
		dpkg-deb -x "$deb" "$dir/new/root" || die "could not unpack $deb"
	done
	mv "$dir/new/root" "$dir/$SUITE"
	rm -rf "$dir/new"
}

# HAProxy's master executes argv[0] again, so that has to be the wrapper itself.
binary_wrap() {
	local loader libraries

	[ -x "$dir/3.0-lua5.4/haproxy" ] && return 0
	binary_get
	loader=$(cd "$dir/$SUITE" && find usr/lib* -name 'ld-linux*.so.*' | head -n 1)
	libraries=$(cd "$dir/$SUITE" && find usr/lib -name 'liblua5.4.so.*' -printf '%h\n' | head -n 1)
	[ -n "$loader" ] && [ -n "$libraries" ] || die "no loader or libraries in $dir/$SUITE"
	rm -rf "$dir/new" && mkdir -p "$dir/new"
	cat > "$dir/new/haproxy" <<-END
		#!/bin/sh
		# Debian 13's HAProxy with Debian 13's C library, on any Linux of its architecture.
		here=\$(cd "\${0%/*}" && pwd)
		root=\$here/../$SUITE
		exec "\$root/$loader" --argv0 "\$here/haproxy" --library-path "\$root/$libraries" \\
			"\$root/usr/sbin/haproxy" "\$@"
	END
	chmod 755 "$dir/new/haproxy"
	rm -rf "$dir/3.0-lua5.4" && mv "$dir/new" "$dir/3.0-lua5.4"
}

# A HAProxy counts as present when it runs and has the Lua that its folder says.
haproxy_check() {
	local version

	version=$("$dir/3.0-lua$1/haproxy" -vv 2>>"$log")
	[[ $version == *"Lua version : Lua $1"* ]] ||
		die "$dir/3.0-lua$1/haproxy does not run, or not with Lua $1"
}

mkdir -p "$dir" || exit 1
exec 9> "$dir/lock"
flock 9
: > "$log"
source_build
haproxy_check 5.3
binary_wrap
haproxy_check 5.4
rm -rf "$dir/apt"
