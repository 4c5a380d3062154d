# judge.pl - see run.sh. A test is a name, an outcome, what the mail server took, what the log says, and what the judge
# has to find, "" for nothing.
use strict;
use warnings;
use File::Temp;
use FindBin;
use lib "$FindBin::Bin/..";
use Cell;

my $violation = '';
{
	no warnings 'redefine';
	*Cell::control = sub { return $violation };
}

my $dir = File::Temp->newdir;
my @three = ('s1 DOWN <1>', 's1 UP <2>', 's2 DOWN <3>');

# "s1 DOWN <1>": the line of the sink's log
sub line {
	my ($text, $envelope) = @_;
	my ($server, $word, $id) = split / /, $text;

	$envelope //= 'MAIL FROM:<from-c1@example.org> SIZE=500 RCPT TO:<to-c1@example.org>';
	return join("\t", 1, 1, 0, 500, $envelope, "[HAProxy Alert] Server c1/$server is $word. 1 active", $id // '') . "\n";
}

sub log_write {
	my ($name, @lines) = @_;

	open my $file, '>', "$dir/$name" or die "$dir/$name: $!\n";
	print $file @lines;
	close $file;
}

my @refused = map { "mailers: c1/s via m-c1: refused at RCPT for 1 recipient: 550 no: Server c1/$_.\n" }
	('s1 is DOWN', 's1 is UP', 's2 is DOWN');

my @tests = (
	['all delivered', 'kept', [map { line($_) } @three], [], ''],
	['one lost', 'kept', [map { line($_) } @three[0, 1]], [], 's2 DOWN came 0 times'],
	['one twice', 'once', [map { line($_) } @three[0, 0, 1, 2]], [], 's1 DOWN came 2 times'],
	['one twice, as it may', 'twice', [map { line($_) } @three[0, 0, 1, 2]], [], ''],
	['three times', 'twice', [map { line($_) } @three[0, 0, 0, 1, 2]], [], 's1 DOWN came 3 times'],
	['twice, of different Message-IDs', 'twice', [map { line($_) } @three, 's2 DOWN <4>'], [],
		's2 DOWN came twice with different Message-IDs'],
	['without Message-ID', 'kept', [map { line($_) } @three[0, 1], 's2 DOWN'], [], 's2 DOWN came without a Message-ID'],
	['order', 'kept', [map { line($_) } @three[1, 0, 2]], [], 's1 DOWN came after what followed it'],
	['order of the second copy', 'twice', [map { line($_) } @three[0, 1, 0, 2]], [], 's1 DOWN came after what followed it'],
	['servers in any order', 'kept', [map { line($_) } @three[2, 0, 1]], [], ''],
	['wrong sender', 'kept', [map({ line($_) } @three[0, 1]), line($three[2], 'MAIL FROM:<x> RCPT TO:<to-c1@example.org>')], [],
		'envelope of s2 DOWN: MAIL FROM:<x> RCPT TO:<to-c1@example.org>'],
	['a recipient too many', 'kept', [map({ line($_) } @three[0, 1]), line($three[2],
		'MAIL FROM:<from-c1@example.org> RCPT TO:<x> RCPT TO:<to-c1@example.org>')], [],
		'envelope of s2 DOWN: MAIL FROM:<from-c1@example.org> RCPT TO:<x> RCPT TO:<to-c1@example.org>'],
	['a stranger', 'kept', [map { line($_) } @three, 's9 UP <9>'], [], 'a mail that nobody sent: s9 UP'],
	['refused and logged', 'refused', [], [@refused], ''],
	['refused and not logged', 'refused', [], [@refused[0, 1]], 's2 DOWN is refused, and the log does not say so'],
	['refused and delivered', 'refused', [line($three[2])], [@refused], 's2 DOWN came 1 times'],
	['delivered, and refused in the log', 'kept', [map { line($_) } @three], [$refused[0]], 's1 DOWN was refused in the log'],
	['answered either way', 'answered', [map { line($_) } @three[0, 1]], [$refused[2]], ''],
	['answered both ways', 'answered', [map { line($_) } @three], [$refused[2]],
		's2 DOWN was refused in the log and delivered'],
	['answered in no way', 'answered', [map { line($_) } @three[0, 1]], [], 's2 DOWN was neither delivered nor refused'],
	['a breach of SMTP', 'kept', [map { line($_) } @three], [], 'the client: MAIL that is none', 'MAIL that is none'],
);

my ($passed, $failed) = (0, 0);
for my $test (@tests) {
	my ($name, $outcome, $mails, $log, $wanted, $breach) = @$test;

	$violation = $breach // '';
	log_write('log', @$mails);
	log_write('host', @$log);
	my $got = join '; ', Cell::judge({
		id => 'c1', dir => "$dir", host_log => "$dir/host", outcome => $outcome, own => {},
		alerts => ['s1 DOWN', 's1 UP', 's2 DOWN'],
	});
	$got eq $wanted ? $passed++ : $failed++;
	print $got eq $wanted ? "ok   $name\n" : "FAIL $name: wanted '$wanted', got '$got'\n";
}
print "$passed passed, $failed failed\n";
exit($failed ? 1 : 0);
