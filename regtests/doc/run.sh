#!/bin/bash
# The operator's guide against the code: each text that an operator can meet in a log or at a start stands there.
# once
#
# A template of the code is cut at its directives (%s, or the .. of Lua); the pieces must stand in their order on one line
# of the guide.
cd "$(dirname "$0")/../.." || exit 1

# Prints "file: template" for each call that makes such a text, the pieces of a template separated by tabs.
templates() {
	perl -0777 -ne '
		s{/\*.*?\*/}{}gs if $ARGV =~ /\.c$/;
		s{^\s*--.*$}{}gm if $ARGV =~ /\.lua$/;
		while (/\b(engine_log|engine_note|server_mail_note|luaL_error|route_refuse|snprintf|refuse|core\.Warning|engine\.note|error)\(/g) {
			my ($call, $rest, $at) = ($1, substr($_, pos), pos);
			# The arguments: up to the bracket that closes the call, strings apart.
			my ($depth, $args) = (1, "");
			while ($depth && $rest =~ /\G("(?:\\.|[^"\\])*"|.)/gs) {
				$depth += $1 eq "(" ? 1 : $1 eq ")" ? -1 : 0;
				$args .= $1;
			}
			next if $call eq "snprintf" && $args !~ /^\s*(reason|why|text), [^"]*"/;
			my @text;
			if ($ARGV =~ /\.lua$/) {
				@text = $args =~ /"((?:\\.|[^"\\])*)"/g;
			} else {
				next unless $args =~ /("(?:\\.|[^"\\])*"(?:\s*"(?:\\.|[^"\\])*")*)/;
				@text = (join "", $1 =~ /"((?:\\.|[^"\\])*)"/g);
			}
			my @pieces = grep { /[A-Za-z]/ } map { s/\\"/"/gr } map { split /%[-0-9.*]*(?:ll|z|l)?[a-z]/ } @text;
			print "$ARGV: ", join("\t", @pieces), "\n" if @pieces && "@pieces" =~ /[a-z]{3}.*\b[a-z]{2}/i;
		}' plugin/core/engine*.c plugin/core/connection.c plugin/core/flight*.c plugin/haproxy/*.c lua/*.lua lua/*/*.lua
}

# The words that fill the templates: tables of strings.
words() {
	sed -n 's/^\t\[\(SMTP_OUTCOME\|SMTP_STAGE\)_[A-Z]*\] *= "\(.*\)",$/\2/p' plugin/core/flight_fate.c plugin/core/smtp_client.c
	sed -n 's/^\t\[MAILERS_ERR_[A-Z]*\] .*, *"\(.*\)" },$/\1/p' plugin/core/error.c
}

passed=0 failed=0
check() {
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "not in doc/operators.md: $1"
	fi
}

while IFS= read -r line; do
	perl -ne '
		BEGIN { our $found = 1; my $t = shift @ARGV; $t =~ s/^\S+: //;
			our $re = join ".*?", map { quotemeta } split /\t/, $t; }
		our $found = 0 if /$re/;
		END { $? = our $found }' "$line" doc/operators.md
	check "$line" $?
done < <(templates)
while IFS= read -r line; do
	grep -Fq -- "$line" doc/operators.md
	check "$line" $?
done < <(words)
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 30 ]
