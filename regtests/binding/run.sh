#!/bin/sh
# The binding without a HAProxy: Lua's interpreter loads the module and plays HAProxy's part.
# once
here=$(cd "$(dirname "$0")" && pwd)
: "${B:=$(cd "$here/../.." && pwd)/build}"
exec lua5.3 "$here/binding.lua" "$B/lua5.3/mailers/engine.so"
