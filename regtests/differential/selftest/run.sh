#!/bin/sh
# Can the differential test fail? Alters mails by a byte outside of what may differ, and expects each to be noticed.
# once
exec sh "$(dirname "$0")/../run.sh" --selftest
