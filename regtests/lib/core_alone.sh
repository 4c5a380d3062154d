#!/bin/bash
# core_alone.sh - proves the first layer: the core links as a library with nothing but the C library, and asks that
# one for no socket, clock, thread, process or file, and for nothing that ends the program.
#
# The allocation sweep of the unit tests wraps malloc, calloc and realloc, so that functions which allocate behind
# it are out as well.
set -u
FORBIDDEN='socket|connect|bind|listen|accept4?|send|sendto|sendmsg|recv|recvfrom|recvmsg|shutdown|getaddrinfo
gethostbyname|poll|select|epoll_.*|read|write|open|openat|open64|fopen|fopen64|close
clock_gettime|gettimeofday|time|sleep|usleep|nanosleep|rand|random|srand
pthread_.*|fork|vfork|exec.*|kill|raise|signal|sigaction|system|popen
abort|exit|_exit|__assert_fail|longjmp|_setjmp|strdup|strndup|asprintf|__asprintf_chk|__vasprintf_chk|getline
lua_.*|luaL_.*|ev_.*|SSL_.*|EVP_.*|BIO_.*'

cd "$(dirname "$0")/../.." || exit 1
make build/libcore.a || exit 1
if ! ${CC:-cc} -shared -Wl,-z,defs -o build/libcore-alone.so -Wl,--whole-archive build/libcore.a -Wl,--no-whole-archive; then
	echo "the core needs more than the C library"
	exit 1
fi
if nm -D --undefined-only build/libcore-alone.so | sed 's/.* //; s/@.*//' |
	grep -xE "$(tr '\n' '|' <<< "$FORBIDDEN" | sed 's/|$//')"; then
	echo "the core calls the functions above, which its layer forbids"
	exit 1
fi
