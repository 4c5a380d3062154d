#!/bin/bash
# Does the fault matrix see what is wrong? Its judge is given logs of mail servers and of hosts with one fault each.
# once
perl "$(dirname "$0")/judge.pl"
