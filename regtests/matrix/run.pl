# run.pl TABLE FOLDER [CELLS] - plays the fault matrix, in HAProxy and in mailers-send, and prints it. See run.sh.
#
# All cells of a host run at once: each has a mail server of its own, and in the one HAProxy a proxy and a mailer of its
# own. A process for each cell raises alerts, waits for what the sink or the log says, and lifts the fault; when all
# are through, what each sink has taken is compared with the table.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use POSIX ':sys_wait_h';
use Cell;

my ($table, $folder, $choice) = @ARGV;
my $PARALLEL = 200;
my @FAULTS = qw(4xx 5xx garbage long mute drip reset half dies);
my %ACTION = (
	garbage => 'garbage', long => 'long 65536', mute => 'mute', drip => 'drip 300', reset => 'reset',
	half => 'half-close', dies => 'die 0',
);
my $EHLO = 'PIPELINING,8BITMIME,ENHANCEDSTATUSCODES,SIZE 10485760';
my @TLS = ('--tls-cert', "$folder/sink.pem");
my @AUTH = qw(--user tim --password pencil --auth-required);
my $TLS = "ca_file = \"$folder/ca.pem\", verifyhost = \"mail.example.org\"";
my $AUTH = 'tls = "none", user = "tim", password_env = "MATRIX_PASSWORD", auth_without_tls = true';

# The words of the table's column "server": options of the sink, settings of the mailer.
my %SERVER = (
	plain => { sink => [], settings => 'tls = "none"' },
	lines => { sink => ['--lines', 3], settings => 'tls = "none"' },
	chunking => { sink => ['--ehlo', "$EHLO,CHUNKING"], settings => 'tls = "none", maxconn = 1' },
	starttls => { sink => ['--starttls', @TLS], settings => "tls = \"required\", $TLS" },
	opportunistic => { sink => ['--starttls', @TLS], settings => 'tls = "opportunistic"' },
	implicit => { sink => ['--tls-implicit', @TLS], settings => "tls = \"implicit\", $TLS" },
	'plain-auth' => { sink => ['--ehlo', "$EHLO,AUTH PLAIN", @AUTH], settings => $AUTH },
	'cram-auth' => { sink => ['--ehlo', "$EHLO,AUTH CRAM-MD5", @AUTH], settings => $AUTH },
);
$ENV{MATRIX_PASSWORD} = 'pencil';

my @started;    # processes to end
$SIG{TERM} = $SIG{INT} = sub { exit 1 };
END { kill 'KILL', @started if @started }

# --- the plan ----------------------------------------------------------------------------------------------

# "450/4.2.1" and "450": a whole reply
sub reply {
	my ($code, $enhanced) = split m{/}, shift;

	$enhanced //= substr($code, 0, 1) . '.0.0';
	return "$code $enhanced as the fault matrix wants it";
}

sub rule_of {
	my ($where, $fault, $soft, $hard) = @_;
	my $action = $fault eq '4xx' ? 'reply ' . reply($soft) : $fault eq '5xx' ? 'reply ' . reply($hard) : $ACTION{$fault};

	$where =~ tr/,/ /;
	# Within a message a server that speaks is one that ends the session.
	$action =~ s/^reply /reply-then-close / if $where =~ /^body/;
	return "$where $action";
}

sub table_read {
	my @cells;

	open my $file, '<', $table or die "$table: $!\n";
	while (<$file>) {
		next if /^#/ || !/\S/;
		my ($row, $server, $where, $soft, $hard, @outcomes) = split;
		die "$table: $row: not nine outcomes\n" if @outcomes != @FAULTS;
		die "$table: $row: no such server: $server\n" unless $SERVER{$server};
		for my $i (0 .. $#FAULTS) {
			my %cell = (row => $row, fault => $FAULTS[$i], server => $server, outcome => $outcomes[$i]);
			$cell{rule} = rule_of($where, $FAULTS[$i], $soft, $hard) if $outcomes[$i] ne '-';
			push @cells, \%cell;
		}
	}
	return @cells;
}

# The cells of one host that are to be played.
sub plan {
	my ($host, @cells) = @_;
	my $n = 0;

	for my $cell (@cells) {
		$cell->{id} = sprintf 'c%03d', $n++;
		$cell->{dir} = "$folder/$host/$cell->{id}";
		$cell->{host_log} = "$folder/$host/log";
		# Its alerts are those of one server: none is on its way while another is.
		$cell->{outcome} = '-' if $host eq 'mailers-send' && $cell->{row} eq 'rset';
	}
	return grep {
		$_->{outcome} ne '-' && ($choice eq '' || $choice eq $_->{row} || $choice eq "$_->{row}.$_->{fault}")
	} @cells;
}

# --- HAProxy -------------------------------------------------------------------------------------------------

sub file_write {
	my ($path, $text) = @_;

	open my $file, '>', $path or die "$path: $!\n";
	print $file $text;
	close $file or die "$path: $!\n";
}

sub settings_text {
	my $text = "return { mailers = {\n";

	# Time-outs that a mute server meets and a dripping one does not, after the dot: a reply of 33 bytes takes 10 s.
	for my $cell (@_) {
		$text .= "[\"m-$cell->{id}\"] = { $SERVER{$cell->{server}}{settings}, timeout_mail = \"2s\", " .
			"timeout_final = \"14s\", fall = 2, rise = 1, inter = \"2s\" },\n";
	}
	return "$text} }\n";
}

sub proxy_text {
	my ($cell) = @_;
	my $id = $cell->{id};

	return <<~END;
		backend $id
			email-alert mailers $id
			email-alert level notice
			email-alert from from-$id\@example.org
			email-alert to to-$id\@example.org
			email-alert myhostname lb.example.org
			server s1 127.0.0.1:1
			server s2 127.0.0.1:1
		mailers $id
			timeout mail 2s
			mailer m-$id 127.0.0.1:$cell->{port}
		END
}

sub haproxy_text {
	return <<~END . join('', map { proxy_text($_) } @_);
		global
			stats socket $folder/HAProxy/cli level admin
			log stdout format raw local0
			lua-load $ENV{MAILERS_LUA} $folder/settings.conf.lua
		defaults
			mode http
			timeout connect 5s
			timeout client 5s
			timeout server 5s
		END
}

sub haproxy_start {
	my (@cells) = @_;

	file_write("$folder/settings.conf.lua", settings_text(@cells));
	file_write("$folder/haproxy.cfg", haproxy_text(@cells));
	my $pid = fork // die "fork: $!\n";
	if (!$pid) {
		open STDOUT, '>', "$folder/HAProxy/log";
		open STDERR, '>&', \*STDOUT;
		exec $ENV{HAPROXY_PROGRAM}, '-db', '-f', "$folder/haproxy.cfg" or POSIX::_exit(1);
	}
	push @started, $pid;
	Cell::until_true('HAProxy answers', sub {
		waitpid($pid, WNOHANG) == 0 or die 'HAProxy ended: ' . `cat '$folder/HAProxy/log'`;
		return eval { Cell::ask("$folder/HAProxy/cli", 'show info') =~ /^Pid/m };
	});
	return $pid;
}

sub haproxy_raise {
	my ($cell, @alerts) = @_;

	Cell::ask("$folder/HAProxy/cli",
		join ';', map { my ($s, $w) = split; "set server $cell->{id}/$s health \L$w" } @alerts);
}

# Raises the alerts of a cell, lets them meet the fault, lifts it, and waits until it is known what became of each.
sub haproxy_drive {
	my ($cell) = @_;
	my @names = @{$cell->{alerts}}[0 .. 2];
	my $outcome = $cell->{outcome};

	haproxy_raise($cell, @names);
	Cell::control($cell, "wait mails 3 $Cell::WAIT_S") if $outcome eq 'delivered';
	Cell::control($cell, "wait hits 1 $Cell::WAIT_S");
	Cell::wait_refused($cell, @names) if $outcome eq 'refused';
	Cell::wait_failed($cell) if $outcome eq 'kept';
	Cell::fail('a mail was taken during the fault') if $outcome eq 'kept' && Cell::control($cell, 'get mails');
	Cell::lift($cell);
	haproxy_raise($cell, 's2 UP') if $outcome eq 'refused';
	Cell::wait_accounted($cell, @{$cell->{alerts}});
}

# Until nothing is queued and nothing on its way: what comes twice has come then.
sub haproxy_settle {
	Cell::until_true('nothing is queued any more', sub {
		my $text = Cell::ask("$folder/HAProxy/cli", 'show mailers');
		my ($head, @rows) = grep { /\S/ } split /\n/, $text;
		return 1 unless ($head // '') =~ /queued/;
		my @name = split ' ', $head =~ s/^#//r;
		my ($queued) = grep { $name[$_] eq 'queued' } 0 .. $#name;
		my ($flight) = grep { $name[$_] eq 'flight' } 0 .. $#name;
		return !grep { my @f = split; ($f[$queued] // 0) =~ /^[1-9]/ || ($f[$flight] // 0) =~ /^[1-9]/ } @rows;
	});
}

sub haproxy_plan {
	my ($cell) = @_;

	$cell->{alerts} = ['s1 DOWN', 's1 UP', 's2 DOWN', $cell->{outcome} eq 'refused' ? 's2 UP' : ()];
	$cell->{own} = { 's2 UP' => 'once' };
}

# --- mailers-send --------------------------------------------------------------------------------------------

# Exit statuses (sysexits.h): 0 delivered; 75 not now, 68 no connection, 76 protocol or TLS, 77 AUTH: kept; 69 refused
my %STATUS = (
	kept => [75, 68, 76, 77], delivered => [0], once => [0, 75, 68, 76, 77], twice => [0, 75, 68, 76], refused => [69],
	answered => [0, 69, 75, 68, 76],
);

# Starts mailers-send with these alerts, in the background.
sub send_start {
	my ($cell, $options, @names) = @_;
	my @texts = map { my ($s, $w) = split; ('--text', "Server $cell->{id}/$s is $w.") } @names;
	my $pid = fork // die "fork: $!\n";

	return $pid if $pid;
	open STDOUT, '>>', "$cell->{dir}/send";
	open STDERR, '>&', \*STDOUT;
	exec "$ENV{B}/mailers-send", '--settings', "$cell->{dir}/settings.conf.lua", '--mailer', "m-$cell->{id}", '--address',
		"127.0.0.1:$cell->{port}", '--from', "from-$cell->{id}\@example.org", '--to', "to-$cell->{id}\@example.org",
		'--helo', 'lb.example.org', @$options, @texts or POSIX::_exit(127);
}

sub send_end {
	my ($cell, $pid, $what, @wanted) = @_;

	waitpid $pid, 0;
	my $status = $? >> 8;
	Cell::fail("mailers-send $what ended with $status, not with @wanted") unless grep { $_ == $status } @wanted;
	return $status;
}

# One try under the fault, then one that goes on until the fault is lifted, or refuses, and one after it.
sub send_drive {
	my ($cell) = @_;
	my $outcome = $cell->{outcome};
	my @wanted = @{$STATUS{$outcome}};

	# What waits for longer is not tried again: one verdict, or some connections that come to nothing.
	send_end($cell, send_start($cell, ['--retry', '4s'], 's3 DOWN'), 'under the fault', @wanted);
	my $hits = Cell::control($cell, 'get hits') or Cell::fail('the fault was not met');
	Cell::fail('a mail was taken during the fault') if $outcome eq 'kept' && Cell::control($cell, 'get mails');
	Cell::control($cell, 'up');
	my $pid = send_start($cell, ['--retry', "${Cell::WAIT_S}s"], 's1 DOWN', 's1 UP');
	Cell::control($cell, 'wait hits ' . ($hits + 1) . " $Cell::WAIT_S");
	if ($outcome eq 'refused' || $outcome eq 'delivered') {
		send_end($cell, $pid, 'with --retry', @wanted);
		Cell::lift($cell);
	} else {
		Cell::lift($cell);
		send_end($cell, $pid, 'with --retry', 0, $outcome eq 'answered' ? 69 : ());
	}
	send_end($cell, send_start($cell, ['--retry', "${Cell::WAIT_S}s"], 's2 DOWN'), 'after the fault', 0);
}

sub send_plan {
	my ($cell) = @_;
	my $outcome = $cell->{outcome};

	$cell->{alerts} = ['s3 DOWN', 's1 DOWN', 's1 UP', 's2 DOWN'];
	$cell->{host_log} = "$cell->{dir}/send";
	# What mailers-send could not deliver in one try is gone with it.
	$cell->{own} = { 's3 DOWN' => $outcome eq 'delivered' ? $outcome : 'perhaps', 's2 DOWN' => 'once' };
}

sub send_prepare {
	file_write("$_->{dir}/settings.conf.lua", settings_text($_)) for @_;
}

# --- all cells -------------------------------------------------------------------------------------------------

# Runs <drive> for each cell in a process of its own; $cell->{error} says what stopped it.
sub cells_drive {
	my ($drive, @cells) = @_;
	my %running;

	while (@cells || %running) {
		while (@cells && keys %running < $PARALLEL) {
			my $cell = shift @cells;
			my $pid = fork // die "fork: $!\n";
			if (!$pid) {
				@started = ();
				eval { $drive->($cell); 1 } or file_write("$cell->{dir}/error", $@);
				POSIX::_exit(0);
			}
			$running{$pid} = $cell;
		}
		my $pid = wait;
		my $cell = delete $running{$pid} or next;
		chomp($cell->{error} = `cat '$cell->{dir}/error' 2>/dev/null`);
	}
}

sub print_table {
	my ($host, @cells) = @_;
	my (%rows, @order);

	for my $cell (@cells) {
		push @order, $cell->{row} unless $rows{$cell->{row}};
		$rows{$cell->{row}}{$cell->{fault}} = $cell;
	}
	printf "\n%-16s%s\n", $host, join '', map { sprintf ' %-11s', $_ } @FAULTS;
	for my $row (@order) {
		next unless grep { $_->{wrong} } values %{$rows{$row}};
		my $line = sprintf '%-16s', $row;
		for my $fault (@FAULTS) {
			my $cell = $rows{$row}{$fault};
			my $word = $cell->{outcome};
			$word .= ' FAIL' if $cell->{wrong} && @{$cell->{wrong}};
			$word = '.' unless $cell->{wrong};
			$line .= sprintf ' %-11s', $word;
		}
		print $line =~ s/ +$//r, "\n";
	}
}

# Starts the sinks, plays the cells and judges them.
sub host_run {
	my ($host, $calls, @cells) = @_;
	my ($plan, $start, $drive, $settle) = @$calls;
	my @playable = plan($host, @cells);

	mkdir "$folder/$host";
	for my $cell (@playable) {
		$plan->($cell);
		Cell::start_sink($cell, @{$SERVER{$cell->{server}}{sink}});
	}
	if (@playable) {
		$start->(@playable);
		cells_drive($drive, @playable);
		eval { $settle->(); 1 } or print "$host: $@";
	}
	for my $cell (@playable) {
		my @wrong = eval { Cell::judge($cell) };
		push @wrong, $@ =~ s/\n//r if $@;
		$cell->{wrong} = [$cell->{error} ne '' ? $cell->{error} : (), @wrong];
	}
	eval { Cell::control($_, 'quit') } for @playable;
	print_table($host, @cells);
}

sub report {
	my ($host, @cells) = @_;
	my ($passed, $failed) = (0, 0);

	for my $cell (grep { $_->{wrong} } @cells) {
		$passed++ unless @{$cell->{wrong}};
		next unless @{$cell->{wrong}};
		$failed++;
		print "FAIL $host $cell->{row}.$cell->{fault} ($cell->{id}): ", join('; ', @{$cell->{wrong}}), "\n";
	}
	return ($passed, $failed);
}

my @total = (0, 0);
for my $run (
	['HAProxy', [\&haproxy_plan, \&haproxy_start, \&haproxy_drive, \&haproxy_settle]],
	['mailers-send', [\&send_plan, \&send_prepare, \&send_drive, sub {}]],
) {
	my ($name, $calls) = @$run;
	my @cells = table_read();
	my $start = time;

	host_run($name, $calls, @cells);
	my @count = report($name, @cells);
	printf "%s: %d cells in %d s\n", $name, $count[0] + $count[1], time - $start;
	$total[$_] += $count[$_] for 0, 1;
}
printf "%d passed, %d failed\n", @total;
exit($total[1] == 0 && $total[0] != 0 ? 0 : 1);
