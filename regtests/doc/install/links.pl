#!/usr/bin/perl
# links.pl - each relative link in README.md and doc/*.md below the folder DIR leads to a file there, and to a heading of it.
#
#   links.pl DIR      prints the links that do not, then how many there are
use strict;
use warnings;

my ($root) = @ARGV;
my (%anchors, @links);

# As GitHub makes the name of a heading.
sub slug {
	my ($title) = @_;

	$title =~ s/`|\[|\]\([^)]*\)//g;
	$title = lc $title;
	$title =~ s/[^\w\- ]//g;
	return $title =~ s/ /-/gr;
}

chdir $root or die "$root: $!\n";
for my $file ("README.md", glob "doc/*.md") {
	my $fenced = 0;
	open my $in, "<", $file or die "$file: $!\n";
	while (my $line = <$in>) {
		$fenced = !$fenced, next if $line =~ /^```/;
		next if $fenced || $line =~ /^    \S/;
		$anchors{$file}{slug($1)} = 1 if $line =~ /^#+ (.*?)\s*$/;
		push @links, [$file, $1] while $line =~ /\]\(([^)]+)\)/g;
	}
}
for (@links) {
	my ($file, $link) = @$_;
	next if $link =~ /^[a-z]+:/;
	my ($path, $anchor) = $link =~ /^([^#]*)(?:#(.*))?$/;
	my $target = $path eq "" ? $file : ($file =~ s|[^/]*$||r) . $path;
	1 while $target =~ s|[^/]+/\.\./||;
	print "$file: $link: there is no $target\n" if !-f $target;
	print "$file: $link: $target has no such heading\n"
		if -f $target && defined $anchor && !$anchors{$target}{$anchor};
}
print scalar(@links), " links\n";
