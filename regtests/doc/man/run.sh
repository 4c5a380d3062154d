#!/bin/bash
# The man pages: their markup, and what they say against the program: options and exit statuses of mailers-send, keys of the
# settings, fields of templates, commands, paths of the HTTP service. What is added to one of them makes this fail, by name.
# once
cd "$(dirname "$0")/../../.." || exit 1
: "${B:=build}"
SEND=man/mailers-send.1
PLUGIN=man/haproxy-mailers.7
passed=0 failed=0

check() {
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "$1"
	fi
}

# same PAGE WHAT HERE THERE: the lines of two texts are the same, in the same order
same() {
	local line

	[ "$(wc -w <<< "$3")" -ge 2 ]
	check "$2: this test finds none" $?
	diff <(echo "$3") <(echo "$4") > /dev/null
	check "$1 is not what the code has of $2:" $?
	while IFS= read -r line; do
		case $line in
		'< '*) echo "    missing, or not at its place: ${line#< }" ;;
		'> '*) echo "    in the page and not in the code, or not at its place: ${line#> }" ;;
		esac
	done < <(diff <(echo "$3") <(echo "$4"))
}

# section PAGE NAME: its lines
section() { awk -v name=".Sh $2" '/^\.Sh / { here = $0 == name; next } here' "$1"; }

flock "$B/make.lock" ${MAKE:-make} B="$B" "$B/settings/fields" "$B/mailers-send" || exit 1

# --- markup ---

# A page that it does not find is the one of HAProxy, or the other one of ours, not installed here.
for page in $SEND $PLUGIN; do
	said=$(mandoc -T lint "$page" | grep -v 'referenced manual not found')
	[ -z "$said" ]
	check "$page: $said" $?
	[ "$(mandoc -T utf8 "$page" | wc -l)" -gt 60 ]
	check "$page is not shown" $?
done
said=$(grep -h '^\.Xr ' $SEND $PLUGIN | awk '{ print $2 "." $3 }' | grep -v '^haproxy\.1$' |
	while read -r name; do [ -f "man/$name" ] || echo "$name"; done)
[ -z "$said" ]
check "referred to, and not there: $said" $?

# --- mailers-send ---

help=$("$B/mailers-send" --help)
same $SEND options "$(sed -n 's/^  -\(.\), --\([a-z]*\) .*/\1 \2/p' <<< "$help" | sort)" \
	"$(sed -n 's/^\.It Fl \(.\) , Fl -\([a-z]*\).*/\1 \2/p' $SEND | sort)"
section $SEND SYNOPSIS > "${TMPDIR:-/tmp}/synopsis.$$"
while read -r letter _; do
	grep -Eq "Fl (hqV|$letter)\b" "${TMPDIR:-/tmp}/synopsis.$$" && { [[ hqV == *$letter* ]] ||
		grep -Eq "Fl $letter Ar" "${TMPDIR:-/tmp}/synopsis.$$"; }
	check "$SEND: -$letter is missing in the synopsis" $?
done < <(sed -n 's/^  -\(.\), --\([a-z]*\) .*/\1 \2/p' <<< "$help")
rm -f "${TMPDIR:-/tmp}/synopsis.$$"

statuses=$(section $SEND 'EXIT STATUS' | sed -n 's/^\.It \([0-9]*\)$/\1/p')
same $SEND 'exit statuses' "$({ echo '#include <sysexits.h>'; grep -oh '\bEX_[A-Z]*' plugin/send/*.c | sort -u; } |
	${CC:-gcc} -E -P - | grep -x '[0-9]*' | sort -n)" "$statuses"
while read -r status; do
	grep -qx "$status" <<< "$statuses"
	check "$SEND: exit status $status of --help is missing" $?
done < <(sed -n '/^Exit status/,$p' <<< "$help" | grep -ow '[0-9]*')

# --- haproxy-mailers ---

settings=$(section $PLUGIN SETTINGS)
same $PLUGIN 'keys of the settings' "$("$B/settings/fields" | sed 's/^| `\([a-z_]*\)`.*/\1/')" \
	"$(sed -n 's/^\.It Ic \([a-z_]*\)$/\1/p' <<< "$settings")"
said=$(awk '/^\.It / && bare { print name } /^\.El/ && bare { print name } { bare = /^\.It /; name = $3 }' <<< "$settings")
[ -z "$said" ]
check "$PLUGIN: nothing is said about $said" $?
same $PLUGIN 'fields of templates' \
	"$(grep -o '\[TEMPLATE_[A-Z]*\] = "[a-z]*"' plugin/core/template.c | cut -d '"' -f 2 | sort)" \
	"$(awk '/^\.Ss / { here = /Templates/ } here && /^\.Cm/' <<< "$settings" | sed 's/^\.Cm//' | tr -d ' .' | tr ',' '\n' |
		grep . | sort)"
same $PLUGIN commands "$(sed -n 's/.*register({ "\([a-z]*\)", "\([a-z]*\)" }.*/\1 \2/p' lua/mailers/cli.lua | sort)" \
	"$(section $PLUGIN COMMANDS | sed -n 's/^\.It Ic \([a-z]* [a-z]*\).*/\1/p' | sort -u)"
same $PLUGIN 'paths of the service' "$(sed -n 's/^\t\t{ "\(\/[a-z.%]*\)\$".*/\1/p' lua/mailers/status.lua | tr -d % |
	sed 's/^\/\(.\)/\1/' | sort)" "$(section $PLUGIN 'HTTP SERVICE' | sed -n 's/^\.It Pa //p' | sort)"

echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed != 0 ]
