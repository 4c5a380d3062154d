# folder.sh - sourced by other shell libraries.
#
#   folder_open DIR    lets every user enter DIR and the folders above it, by name: mail servers run as users of their
#                      own, and the folders of mktemp are closed to others

folder_open() {
	local dir=$1

	while [ "$dir" != / ]; do
		[ -n "$(find "$dir" -prune -perm -o=x)" ] || chmod o+x "$dir" || return 1
		dir=$(dirname "$dir")
	done
}
