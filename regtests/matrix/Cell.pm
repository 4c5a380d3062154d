# Cell.pm - one cell of the fault matrix: its mail server, what it must come to, and whether it has.
#
# A cell is a hash: id ("c017"), row, fault, server, rule, outcome, dir (its files), port (of its smtp_sink), alerts (the
# names of those that were raised, "s1 DOWN", in their order). Everything about it is read from its sink's log and
# the log of the host, which is told apart by the id.
package Cell;
use strict;
use warnings;
use IO::Socket::UNIX;

our $WAIT_S = 45;    # for anything that a cell waits for

sub fail { die join('', @_) . "\n" }

# Sends <line> to the unix socket <path> and returns all that comes back.
sub ask {
	my ($path, $line) = @_;
	my $socket = IO::Socket::UNIX->new(Peer => $path) or fail("cannot connect to $path: $!");

	print $socket "$line\n";
	local $/;
	return <$socket> // '';
}

# A command to the cell's sink; dies unless the answer is OK.
sub control {
	my ($cell, $line) = @_;
	my $answer = ask("$cell->{dir}/ctl", $line);

	$answer =~ /^OK ?(.*)/ or fail("sink: $line: ", $answer =~ s/\n//r);
	return $1;
}

sub start_sink {
	my ($cell, @options) = @_;
	my @rule = $cell->{rule} eq '' ? () : ('--rule', $cell->{rule});

	mkdir $cell->{dir};
	open my $out, '-|', "$ENV{TOOLS}/smtp_sink", '--background', '--lifetime', 300, '--control', "$cell->{dir}/ctl",
		'--log', "$cell->{dir}/log", '--transcript', "$cell->{dir}/script", @rule, @options
		or fail("cannot start smtp_sink: $!");
	($cell->{port}) = <$out> =~ /(\d+)/;
	close $out or fail("smtp_sink: rule '$cell->{rule}'");
}

# The fault is over.
sub lift {
	my ($cell) = @_;

	control($cell, 'clear');
	control($cell, 'up');
}

sub name_of {
	my ($cell, $text) = @_;

	return $text =~ m{Server \Q$cell->{id}\E/(\w+) is (UP|DOWN)} ? "$1 $2" : undef;
}

# The mails that the sink took: [name, envelope, Message-ID], in their order.
sub mails {
	my ($cell) = @_;
	my @mails;

	open my $log, '<', "$cell->{dir}/log" or return ();
	while (my $line = <$log>) {
		next unless $line =~ /\n$/;
		chomp $line;
		my (undef, undef, undef, undef, $envelope, $subject, $id) = split /\t/, $line;
		push @mails, [name_of($cell, $subject) // "'$subject'", $envelope, $id];
	}
	return @mails;
}

# Which of its alerts the host's log says to be refused.
sub refusals {
	my ($cell) = @_;
	my %refused;

	open my $log, '<', $cell->{host_log} or return {};
	while (my $line = <$log>) {
		my $name = $line =~ /\brefused\b/ ? name_of($cell, $line) : undef;
		$refused{$name}++ if defined $name;
	}
	return \%refused;
}

# Does the host's log say that a try failed?
sub has_failed {
	my ($cell) = @_;

	open my $log, '<', $cell->{host_log} or return 0;
	return !!grep { /\bm-$cell->{id} / && /\b(failed|deferred|unknown)\b/ } <$log>;
}

# Waits until <condition> is true.
sub until_true {
	my ($what, $condition) = @_;
	my $end = time + $WAIT_S;

	until ($condition->()) {
		time < $end or fail("no end: $what");
		select undef, undef, undef, 0.1;
	}
}

# Is it known of each of <names> what became of it?
sub accounted {
	my ($cell, @names) = @_;
	my %got = map { $_->[0] => 1 } mails($cell);
	my @open = grep { !$got{$_} } @names;
	my $refused = @open ? refusals($cell) : {};

	return !grep { !$refused->{$_} } @open;
}

sub wait_accounted {
	my ($cell, @names) = @_;

	until_true('all alerts delivered or refused', sub { accounted($cell, @names) });
}

sub wait_failed {
	my ($cell) = @_;

	until_true('the log says that it failed', sub { has_failed($cell) });
}

sub wait_refused {
	my ($cell, @names) = @_;

	until_true('all refusals in the log', sub {
		my $refused = refusals($cell);
		return !grep { !$refused->{$_} } @names;
	});
}

# The mails of one name: how many there may be, by the outcome.
my %COUNT = (
	kept => [1, 1], delivered => [1, 1], once => [1, 1], twice => [1, 2], refused => [0, 0], answered => [0, 1],
	perhaps => [0, 1],
);

sub judge_alert {
	my ($cell, $name, $outcome, $refused, @mails) = @_;
	my ($least, $most) = @{$COUNT{$outcome}};
	my %ids = map { $_->[2] => 1 } @mails;
	my $said = $refused->{$name} ? 1 : 0;

	return "$name came " . @mails . ' times' if @mails < $least || @mails > $most;
	return "$name came twice with different Message-IDs" if keys %ids > 1;
	return "$name came without a Message-ID" if exists $ids{''};
	return "$name is refused, and the log does not say so" if $outcome eq 'refused' && !$said;
	return "$name was neither delivered nor refused" if $outcome eq 'answered' && !@mails && !$said;
	return "$name was refused in the log" if $said && $outcome !~ /^(refused|answered|perhaps)$/;
	return "$name was refused in the log and delivered" if $said && $outcome eq 'answered' && @mails;
	return ();
}

# What is wrong with the order of the alerts of each server, in the sink.
sub judge_order {
	my ($cell, @mails) = @_;
	my (%place, @wrong);
	my $n = 0;

	$place{$_} = $n++ for @{$cell->{alerts}};
	my %last;
	for my $mail (@mails) {
		my ($server) = split / /, $mail->[0];
		my $place = $place{$mail->[0]} // next;
		push @wrong, "$mail->[0] came after what followed it" if defined $last{$server} && $place < $last{$server};
		$last{$server} = $place;
	}
	return @wrong;
}

sub judge_envelopes {
	my ($cell, @mails) = @_;
	my $wanted = qr/^MAIL FROM:<from-$cell->{id}\@example\.org>[^<]* RCPT TO:<to-$cell->{id}\@example\.org>$/;

	return map { "envelope of $_->[0]: $_->[1]" } grep { $_->[1] !~ $wanted } @mails;
}

# Everything that is wrong at the end. <own> are outcomes of single alerts that differ from the cell's.
sub judge {
	my ($cell) = @_;
	my @mails = mails($cell);
	my %known = map { $_ => 1 } @{$cell->{alerts}};
	my $refused = refusals($cell);
	my @wrong = judge_order($cell, @mails);

	for my $name (@{$cell->{alerts}}) {
		push @wrong, judge_alert($cell, $name, $cell->{own}{$name} // $cell->{outcome}, $refused,
			grep { $_->[0] eq $name } @mails);
	}
	push @wrong, map { "a mail that nobody sent: $_->[0]" } grep { !$known{$_->[0]} } @mails;
	push @wrong, judge_envelopes($cell, @mails);
	# A reply whose lines contradict each other leaves the client with commands that the server does not await.
	my $violation = control($cell, 'violation');
	push @wrong, "the client: $violation" if $violation ne '' && $cell->{outcome} ne 'answered';
	return @wrong;
}

1;
