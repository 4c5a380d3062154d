#!/usr/bin/perl
# relay.pl - listens on a socket that is not IPv4, and passes two connections on to a port of 127.0.0.1, one after the other.
#
#   relay.pl PORT unix|abns|ipv6 NAME
#
# Prints where it listens (the port for ipv6) once it does.
use strict;
use warnings;
use IO::Select;
use IO::Socket::IP;
use IO::Socket::UNIX;
use Socket;

my ($port, $kind, $name) = @ARGV;
my $listener;
alarm 60;
$| = 1;
if ($kind eq 'ipv6') {
	$listener = IO::Socket::IP->new(LocalHost => '::1', LocalPort => 0, Proto => 'tcp', Listen => 4) or die "$!\n";
	print $listener->sockport, "\n";
} else {
	unlink $name;
	socket($listener, AF_UNIX, SOCK_STREAM, 0) or die "$!\n";
	# HAProxy's abns names are padded to the whole of sun_path.
	my $address = $kind eq 'unix' ? pack_sockaddr_un($name) : pack('S a108', AF_UNIX, "\0$name");
	bind($listener, $address) && listen($listener, 4) or die "$!\n";
	print "$name\n";
}
for (1, 2) {
	accept(my $in, $listener) or die "$!\n";
	my $out = IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $port) or die "$!\n";
	my %other = ($in => $out, $out => $in);
	my $select = IO::Select->new($in, $out);
	while ($select->count) {
		for my $side ($select->can_read) {
			if (sysread($side, my $bytes, 65536)) {
				syswrite($other{$side}, $bytes);
			} else {
				$select->remove($side);
				shutdown($other{$side}, 1);
			}
		}
	}
	last if $kind eq 'abns'; # asked once
}
