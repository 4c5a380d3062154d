#!/usr/bin/perl
# adapt.pl - cuts the configuration of one recipe out of doc/cookbook.md, and puts the test's addresses in place of the
# recipe's. Nothing else is changed.
#
#   adapt.pl COOKBOOK NUMBER FOLDER < TABLE
#
# Writes each fenced block of the section "## NUMBER. ..." to FOLDER, by its language: haproxy to haproxy.cfg, lua to
# mailers.conf.lua, sh to try.sh, bash to token.sh, postfix to master.cf. A language twice is an error. Blocks without one are left out.
#
# TABLE names everything in the blocks that is an address: IP addresses and host names with their port, bare ports, socket
# names, absolute paths, URLs; `user` and `group`, and the port of a line of master.cf. A line is "ORIGINAL = REPLACEMENT", or
# "ORIGINAL =" for what stays. What stands in a block and not in the table is an error, and so is the other way round: an
# edit of the document cannot pass unnoticed, nor make a test leave loopback. Mail addresses stay, and are for the test to
# look at.
use strict;
use warnings;

my %file = (haproxy => "haproxy.cfg", lua => "mailers.conf.lua", sh => "try.sh", bash => "token.sh",
	postfix => "master.cf");
my ($cookbook, $number, $folder) = @ARGV;
my (%table, %used, %block);

while (my $line = <STDIN>) {
	$line =~ /^\s*(\S.*?) =(?: (.*?))?\s*$/ or die "no line of a table: $line";
	$table{$1} = $2 // $1;
}

my $host = qr/(?:[\w-]+\.)+(?:org|com|net|local)\b|\blocalhost\b/;
my $address = qr~
	(?<mail> [\w.+-]+ \@ $host )
	| (?<other>
		\b(?:user|group|chgrp)\ [a-z]\w*
		| (?m:^) \d+\ inet \b
		| https?:// [^\s"']+
		| (?:unix|abns|abnsz|ipv4|ipv6|tcp)\@ [^\s"',]+
		| (?<![\w./<}-]) / [\w.] [\w./-]*
		| \b \d+\.\d+\.\d+\.\d+ \b (?: :\d+ )?
		| \[ [0-9a-f:]* : [0-9a-f:]* \] (?: :\d+ )?
		| $host (?: :\d+ )?
		| (?<![^\s"'=*]) [*]? :\d+ \b
	)
~xi;

sub adapt {
	my ($text, $where) = @_;

	$text =~ s{$address}{
		my ($mail, $other) = @+{qw(mail other)};
		if (defined $mail) {
			$mail;
		} else {
			defined $table{$other} or die "$where: '$other' is not in the test's table\n";
			$used{$other} = 1;
			$table{$other};
		}
	}ge;
	return $text;
}

open my $in, "<", $cookbook or die "$cookbook: $!\n";
my ($here, $language) = (0);
while (my $line = <$in>) {
	if (!defined $language && $line =~ /^## (\d+)\. /) {
		$here = $1 == $number;
	} elsif (!defined $language && $line =~ /^```(\w*)$/) {
		$language = $1;
		die "recipe $number: two blocks of $language\n" if $here && exists $block{$language} && $file{$language};
		$block{$language} //= "" if $here;
	} elsif (defined $language && $line =~ /^```$/) {
		undef $language;
	} elsif (defined $language && $here) {
		$block{$language} .= $line;
	}
}
die "recipe $number: a block does not end\n" if defined $language;
die "there is no recipe $number with a haproxy block\n" if !$block{haproxy};
for my $name (grep { $file{$_} } sort keys %block) {
	open my $out, ">", "$folder/$file{$name}" or die "$folder: $!\n";
	print $out adapt($block{$name}, "recipe $number, $file{$name}");
	close $out or die "$folder: $!\n";
}
for my $name (sort keys %table) {
	die "recipe $number: '$name' of the test's table is not in it\n" if !$used{$name};
}
