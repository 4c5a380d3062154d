#!/bin/sh
# deps.sh - installs the Debian packages that the build and the tests need, and only those that are missing.
#
#   deps.sh [PACKAGE]...    these instead
#
# A second call asks dpkg and ends. As root it installs, with sudo it runs itself again as root, and without
# either it prints the one command to run and fails. No service is started: the packages of mail servers and
# of varnish start daemons at once, and the tests run their own on ports of their own.
set -u

PACKAGES="
	gcc make clang pkg-config dpkg-dev debian-archive-keyring
	lua5.3 liblua5.3-dev lua5.4 liblua5.4-dev
	libcmocka-dev libnss-wrapper libev-dev libssl-dev libpcre2-dev zlib1g-dev
	openssl varnish postfix python3-aiosmtpd mandoc
"
POLICY=/usr/sbin/policy-rc.d

missing_packages() {
	# shellcheck disable=SC2086
	dpkg-query -W -f '${Package} ${db:Status-Status}\n' $PACKAGES 2>/dev/null |
		awk -v want="$(echo $PACKAGES)" '
			$2 == "installed" { have[$1] = 1 }
			END {
				n = split(want, p, " ")
				for (i = 1; i <= n; i++)
					if (!(p[i] in have))
						printf "%s%s", sep++ ? " " : "", p[i]
			}'
}

# Debian's maintainer scripts ask this program before they start a daemon. One that is there already is the
# administrator's decision, and stays.
forbid_services() {
	[ -e "$POLICY" ] && return 0
	printf '#!/bin/sh\nexit 101\n' > "$POLICY" && chmod 755 "$POLICY" || return 1
	trap 'rm -f "$POLICY"' EXIT
	trap 'exit 1' HUP INT TERM
}

# What apt says is worth reading only if it fails. Its lists are fetched only if without it fails: they are missing
# or old then.
install_packages() {
	DEBIAN_FRONTEND=noninteractive
	export DEBIAN_FRONTEND
	# shellcheck disable=SC2086
	set -- -q -y --no-install-recommends -o Dpkg::Use-Pty=0 install $1
	output=$(apt-get "$@" 2>&1 </dev/null) && return 0
	output=$( { apt-get -q update && apt-get "$@"; } 2>&1 </dev/null) && return 0
	printf '%s\n' "$output" | tail -n 30 >&2
	return 1
}

[ $# = 0 ] || PACKAGES=$*
if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
	echo "deps: this is no Debian; needed are what these Debian packages hold:" $PACKAGES >&2
	exit 1
fi
missing=$(missing_packages)
[ -z "$missing" ] && exit 0
command="apt-get update && apt-get install --no-install-recommends $missing"
if [ "$(id -u)" != 0 ]; then
	if command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
		exec sudo -- sh "$0" "$@"
	fi
	echo "deps: packages are missing, and this is neither root nor has sudo. Run this as root:" >&2
	echo "$command" >&2
	exit 1
fi
echo "  DEPS    $missing"
if ! forbid_services || ! install_packages "$missing" || [ -n "$(missing_packages)" ]; then
	echo "deps: could not install: $missing" >&2
	echo "deps: the command is: $command" >&2
	exit 1
fi
