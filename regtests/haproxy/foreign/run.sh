#!/bin/bash
# Foreign sockets: what ends a connection of the plugin's ends that one alone. (A call that comes late for a connection
# is a test of the binding: regtests/binding.)
. "$(dirname "$0")/../../lib/proxy.sh"

WAIT_S=60
only() { [ "$(sockets_to h "$1" | xargs)" = "$2" ]; }
more_than() { [ "$(sockets_to h "$1" | wc -l)" -gt "$2" ]; }

# The cut of a connect that hangs looked for the oldest socket on its way to the mail server's address: it was the
# health check's of a backend with that same server.
connect_that_hangs__cut__spares_another_to_the_same_address() {
	local check

	haproxy_tells_timeout || return 0
	sink_start hangs --no-accept
	haproxy_start h <<-END
	$(proxy_text m "$hangs_port")
	backend smtp
		timeout connect 100s
		timeout check 100s
		server s1 127.0.0.1:$hangs_port check inter 100s
	END
	until_true $WAIT_S more_than "$hangs_port" 0
	check=$(sockets_to h "$hangs_port" | xargs)
	cli h "set server m/s1 health down"
	until_true $WAIT_S grep -q 'failed: timeout at connect' "$TMPDIR/h.out"
	until_true $WAIT_S only "$hangs_port" "$check" || fail "wanted $check, have $(sockets_to h "$hangs_port" | xargs)"
	if grep 'Server smtp/s1 is DOWN' "$TMPDIR/h.out"; then fail "its health check was ended by mistake"; fi
}

tests_run
