#!/usr/bin/perl
# same.pl - compares the mails that a real mail server delivered with what it was sent.
#
#   same.pl SINK-DIR SENDER MAILBOX=FOLDER...
#
# The plugin gives each mailer the same message. One mailer is smtp_sink, which keeps messages as they came
# (--mail-dir SINK-DIR); the other is the mail server, which delivered into FOLDER for MAILBOX. Behind the headers that
# a server puts in front, each delivered mail must be, byte for byte, the message of the sink with the same
# Message-ID, its line ends apart; sender and recipient must be those of the sink's envelope.
#
# Prints "<mailbox> <mails> <distinct mails>" for each mailbox.
use strict;
use warnings;

my %ADDED = map { $_ => 1 } qw(return-path x-original-to delivered-to envelope-to delivery-date received);
my ($sink, $sender, @boxes) = @ARGV;

sub slurp {
	my ($name) = @_;
	open(my $f, '<:raw', $name) or die "$name: $!\n";
	local $/;
	return scalar <$f>;
}

sub message_id {
	my ($message, $name) = @_;
	$message =~ /^Message-ID: (<[^<>\s]+>)$/m or die "$name has no Message-ID\n";
	return $1;
}

my %sent;
for my $name (glob("$sink/*.eml")) {
	my ($envelope, $message) = split(/\n\n/, slurp($name), 2);
	die "$name: a line end that is not CRLF\n" if $message =~ /(?<!\r)\n|\r(?!\n)/;
	$message =~ s/\r\n/\n/g;
	$envelope =~ /^MAIL FROM:<(.*?)>/m or die "$name has no sender\n";
	my ($from, %to) = ($1);
	$to{$1} = 1 while $envelope =~ /^RCPT TO:<(.*?)>/mg;
	$sent{message_id($message, $name)} = { message => $message, from => $from, to => \%to };
}

for my $box (@boxes) {
	my ($address, $folder) = split(/=/, $box, 2);
	my ($n, %seen) = (0);
	for my $name (glob("$folder/*")) {
		my ($message, %added) = (slurp($name));
		while ($message =~ /^([A-Za-z-]+): *([^\n]*\n(?:[ \t][^\n]*\n)*)/ && $ADDED{lc $1}) {
			$added{lc $1} = $2;
			substr($message, 0, $+[0]) = '';
		}
		my $id = message_id($message, $name);
		my $sent = $sent{$id} or die "$name: the sink has no $id\n";
		die "$name is not the message of the sink:\n$message--\n$sent->{message}--\n" if $message ne $sent->{message};
		die "$name: sender $sent->{from}\n" if $sent->{from} ne $sender;
		die "$name: Return-Path $added{'return-path'}" if $added{'return-path'} ne "<$sender>\n";
		my $to = $added{'delivered-to'} // $added{'envelope-to'};
		die "$name: delivered to $to" if $to ne "$address\n" || !$sent->{to}{$address};
		$n++;
		$seen{$id} = 1;
	}
	printf "%s %d %d\n", $address, $n, scalar keys %seen;
}
