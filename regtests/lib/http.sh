# http.sh - for tests that ask a HAProxy over HTTP; sourced by them with bash.
#
#   http SOCKET METHOD PATH [VERSION] [HEADER]...    asks at the Unix socket and prints the status; the headers are in
#                                                    $TMPDIR/head (names in small letters), the body in $TMPDIR/body.
#                                                    It is an error if the body is not as long as was announced.
#   http_header NAME                                 of the last answer

http() {
	perl -MIO::Socket::UNIX -e '
		alarm 30;
		my ($socket, $dir, $method, $path, $version, @headers) = @ARGV;
		my $s = IO::Socket::UNIX->new(Peer => $socket) or die "$socket: $!\n";
		print $s join("\r\n", "$method $path HTTP/$version", "Host: status", "Connection: close", @headers, "", "");
		local $/;
		my ($head, $body) = split /\r\n\r\n/, <$s>, 2;
		my ($status) = $head =~ m{^HTTP/\S+ (\d+)} or die "no answer: $head\n";
		$head =~ s/\r//g;
		$head =~ s/^([^:\n]*):/\L$1:/mg;
		my ($length) = $head =~ /^content-length: (\d+)$/m or die "no length: $head\n";
		$length = 0 if $method eq "HEAD";
		length $body == $length or die length($body) . " bytes of $length\n";
		for (["head", "$head\n"], ["body", $body]) {
			open my $out, ">", "$dir/$_->[0]" or die;
			print $out $_->[1];
			close $out or die;
		}
		print "$status\n";' "$1" "$TMPDIR" "$2" "$3" "${4:-1.1}" "${@:5}"
}

http_header() { sed -n "s/^$1: //p" "$TMPDIR/head"; }
