# prometheus.sh - Prometheus' promtool, for tests that check metrics; sourced by them with bash.
#
#   promtool_get              gets the program: Debian's package prometheus, unpacked below build/prometheus. It is not
#                             installed, as that would start Prometheus
#   promtool ARGUMENT...      runs it

promtool_root=${B:-$PWD/build}/prometheus/root

promtool_get() (
	mkdir -p "${promtool_root%/root}" && cd "${promtool_root%/root}" && exec 9> lock && flock 9 || exit 1
	[ ! -x root/usr/bin/promtool ] || exit 0
	rm -rf new && mkdir -p new/root && cd new || exit 1
	# Lists that are old or missing are the usual cause.
	apt-get -qq download prometheus 2> /dev/null ||
		{ [ "$(id -u)" = 0 ] && apt-get -qq update && apt-get -qq download prometheus; } || exit 1
	dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x -C root ./usr/bin/promtool || exit 1
	cd .. && rm -rf root && mv new/root root && rm -rf new
)

promtool() { "$promtool_root/usr/bin/promtool" "$@"; }
