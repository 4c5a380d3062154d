# haproxy-mailers: the plugin, its tests and its tools. `make help` lists the targets.
#
#   V=1              show the commands
#   LUA=5.3|5.4      the Lua that the HAProxy is linked with (5.3); both can stand side by side under build/
#   CC=gcc|clang     the compiler
#   WERROR=1         warnings are errors (as in CI)
#   STATIC_SSL=1     OpenSSL inside the TLS module, for a HAProxy that carries another TLS library (AWS-LC)
#   T=PATTERN        check, unit, vtc, interop, asan: only the tests whose names hold PATTERN
#   HAPROXY_PROGRAM=/path  the HAProxy to test with (2.8 or newer), instead of those of `make haproxy`
#   DESTDIR, PREFIX  where `install` puts things (PREFIX=/usr)

LUA    ?= 5.3
PREFIX ?= /usr
B      := build

CFLAGS   ?= -O2 -g
HARDEN   := -fstack-protector-strong -Wformat -Werror=format-security -D_FORTIFY_SOURCE=2
WARN     := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
            -Wwrite-strings -Wvla -Wundef
ifeq ($(WERROR),1)
WARN     += -Werror
endif
ALL_CFLAGS  := -std=c11 -D_GNU_SOURCE -Iinclude -fPIC -fvisibility=hidden $(CFLAGS) $(HARDEN) $(WARN)
ALL_LDFLAGS := -Wl,-z,relro -Wl,-z,now $(LDFLAGS)
# Under both of its names: the tests build with an absolute B what `make` builds with a relative one.
DEPEND       = -MMD -MP -MT $(patsubst $(CURDIR)/%,%,$(abspath $@)) -MT $(abspath $@)
SANITIZE    := -U_FORTIFY_SOURCE -fsanitize=address,undefined -fno-sanitize-recover=all -O1

ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-7s %s\n'
MAKEFLAGS += --no-print-directory
endif

CORE_SRC := $(sort $(wildcard plugin/core/*.c))
CORE_OBJ := $(CORE_SRC:plugin/core/%.c=$(B)/obj/core/%.o)
ASAN_OBJ := $(CORE_SRC:plugin/core/%.c=$(B)/obj/asan/%.o)
MOD_SRC  := $(sort $(wildcard plugin/haproxy/*.c))
MOD_OBJ  := $(MOD_SRC:plugin/haproxy/%.c=$(B)/obj/lua$(LUA)/%.o)
UNIT_SRC := $(sort $(wildcard regtests/unit/test_*.c))
UNIT_BIN := $(UNIT_SRC:regtests/unit/%.c=$(B)/unit/%)
ASAN_BIN := $(UNIT_SRC:regtests/unit/%.c=$(B)/asan/%)
TOOLS    := smtp_sink sinkctl delay_line tcp_target
TOOL_BIN := $(TOOLS:%=$(B)/tools/%)
WRAP     := -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc -Wl,--wrap=free

export LUA B WERROR CC HAPROXY_PROGRAM T

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all help deps haproxy tools demo check unit vtc interop bench asan install clean

##all          build the plugin for LUA (build/lua$(LUA)/mailers/) and mailers-send; needs no root and no network
all: plugin

##plugin       build the plugin alone: no libev is needed
.PHONY: plugin
plugin: $(B)/lua$(LUA)/mailers/engine.so

##help         this list
help:
	@sed -n 's/^##/  /p' $(wildcard Makefile regtests/fuzz/fuzz.mk)
	@sed -n '2,/^$$/s/^#  /  /p' Makefile

##deps         install the Debian packages that build and tests need (root or sudo; else says the command)
deps:
	$(Q)sh regtests/lib/deps.sh

##haproxy      get the HAProxys to test with: Debian 13's, built here with Lua 5.3, and its binary (Lua 5.4)
haproxy: deps
	$(Q)bash regtests/lib/haproxy.sh

##tools        build the programs that tests and benchmarks use (build/tools/)
tools: $(TOOL_BIN)

##demo         the main job, shown: servers go down, their mails arrive. Installs and builds what it needs
demo: deps
	$(Q)+$(MAKE) $(if $(HAPROXY_PROGRAM),,haproxy) all tools
	$(Q)bash regtests/demo.sh

##check        all tests, with everything they need; ends with one line `N passed, N failed`
check: deps
	$(Q)+bash regtests/run all

##unit         unit tests of the core alone (cmocka)
unit:
	$(Q)+bash regtests/run unit

##asan         the unit tests under AddressSanitizer and UBSan
asan:
	$(Q)+bash regtests/run asan

##vtc          the tests with HAProxy alone (.vtc files and scripts), on each HAProxy
vtc: deps
	$(Q)+bash regtests/run vtc

##interop      the tests with real mail servers alone
interop: deps
	$(Q)+bash regtests/run interop

##bench        measure, and compare with HAProxy's own senders
bench: deps
	$(Q)+$(MAKE) haproxy all tools
	$(Q)bash regtests/bench/run.sh

# mailers/tls.so, with STATIC_SSL=1 tls-static.so
include plugin/tls/tls.mk
# mailers-send
include plugin/send/send.mk

# the settings file, a part of mailers/engine.so
include plugin/settings/settings.mk

# `fuzz` (libFuzzer under clang, a minute a target) and `fuzz-replay` (the kept corpora, as in check)
-include regtests/fuzz/fuzz.mk
.PHONY: fuzz-deps
$(FUZZ_T:%=$(B)/fuzz/%): | fuzz-deps
fuzz-deps: deps
	$(Q)sh regtests/lib/deps.sh "libclang-rt-$$($(FUZZ_CC) -dumpversion | sed 's/\..*//')-dev"

$(B)/obj/core/%.o: plugin/core/%.c
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) $(ALL_CFLAGS) $(DEPEND) -c -o $@ $<

$(B)/obj/asan/%.o: plugin/core/%.c
	@mkdir -p $(@D)
	$(say) CC "$< (sanitizers)"
	$(Q)$(CC) $(ALL_CFLAGS) $(SANITIZE) $(DEPEND) -c -o $@ $<

$(B)/obj/lua$(LUA)/%.o: plugin/haproxy/%.c
	@mkdir -p $(@D)
	$(say) CC "$< (Lua $(LUA))"
	$(Q)$(CC) $(ALL_CFLAGS) -I/usr/include/lua$(LUA) $(DEPEND) -c -o $@ $<

$(B)/lua$(LUA)/mailers/engine.so: $(MOD_OBJ) $(CORE_OBJ)
	@mkdir -p $(@D)
	$(say) LINK $@
	$(Q)$(CC) -shared $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^

$(B)/libcore.a: $(CORE_OBJ)
$(B)/libcore-asan.a: $(ASAN_OBJ)
$(B)/libcore.a $(B)/libcore-asan.a:
	$(say) AR $@
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

# A test of the core links the core and cmocka, nothing else.
$(B)/unit/%: regtests/unit/%.c regtests/unit/unit.c regtests/unit/unit.h $(B)/libcore.a
	@mkdir -p $(@D)
	$(say) TEST $@
	$(Q)$(CC) $(ALL_CFLAGS) -Iregtests/unit $(ALL_LDFLAGS) $(WRAP) -o $@ $(filter-out %.h,$^) -lcmocka

$(B)/asan/%: regtests/unit/%.c regtests/unit/unit.c regtests/unit/unit.h $(B)/libcore-asan.a
	@mkdir -p $(@D)
	$(say) TEST "$@ (sanitizers)"
	$(Q)$(CC) $(ALL_CFLAGS) $(SANITIZE) -Iregtests/unit $(ALL_LDFLAGS) $(WRAP) -o $@ \
		$(filter-out %.h,$^) -lcmocka

# SASL with OpenSSL's hashes, for regtests/sasl/run.sh.
$(B)/sasl/%: regtests/sasl/%.c plugin/tls/crypto.c regtests/unit/unit.c regtests/unit/unit.h \
		regtests/lib/sasl_peer.h plugin/tls/crypto.h $(B)/libcore-asan.a
	@mkdir -p $(@D)
	$(say) TEST "$@ (sanitizers)"
	$(Q)$(CC) $(ALL_CFLAGS) $(SANITIZE) -Iregtests/unit $(ALL_LDFLAGS) $(WRAP) -o $@ \
		$(filter-out %.h,$^) -lcmocka -lcrypto

# libev casts its watchers to their base, which gcc takes for a breach of the aliasing rules.
$(B)/obj/tools/%.o: regtests/tools/%.c
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) $(ALL_CFLAGS) -fno-strict-aliasing $(DEPEND) -c -o $@ $<

tool_objects = $(patsubst %,$(B)/obj/tools/%.o,$(1))
$(B)/tools/smtp_sink: $(call tool_objects,smtp_sink sink_listener sink_session sink_smtp sink_auth sink_tls sink_store \
	sink_rule control tool) $(B)/obj/core/buffer.o
$(B)/tools/delay_line: $(call tool_objects,delay_line control tool) $(B)/obj/core/buffer.o
$(B)/tools/tcp_target: $(call tool_objects,tcp_target control tool)
$(B)/tools/sinkctl: $(call tool_objects,sinkctl tool)
$(TOOL_BIN):
	@mkdir -p $(@D)
	$(say) LINK $@
	$(Q)$(CC) -pie $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ -lev $(TOOL_LIBS)
$(B)/tools/smtp_sink: TOOL_LIBS := -lssl -lcrypto

##install      install plugin, mailers-send and their documents below $(DESTDIR)$(PREFIX), for each Lua that was built
install: all
	$(Q)install -d $(DESTDIR)$(PREFIX)/share/haproxy-mailers
	$(Q)for f in lua/mailers.lua lua/mailers/*.lua lua/mailers/*.html; do \
		[ ! -f $$f ] || install -D -m 644 $$f $(DESTDIR)$(PREFIX)/share/haproxy-mailers/$${f#lua/} || exit 1; \
	done
	$(Q)sed -i 's|^local INSTALLED = nil |local INSTALLED = "$(PREFIX)/share/haproxy-mailers" |' \
		$(DESTDIR)$(PREFIX)/share/haproxy-mailers/mailers.lua
	$(Q)for f in $(B)/lua5.*/mailers/*.so; do \
		install -D -m 644 $$f $(DESTDIR)$(PREFIX)/lib/haproxy-mailers/$${f#$(B)/} || exit 1; \
	done
	$(Q)install -D -m 755 $(B)/mailers-send $(DESTDIR)$(PREFIX)/bin/mailers-send
	$(Q)for f in LICENSE README.md doc/*.md; do \
		install -D -m 644 $$f $(DESTDIR)$(PREFIX)/share/doc/haproxy-mailers/$$f || exit 1; \
	done
	$(Q)for f in man/*.[17]; do \
		d=$(DESTDIR)$(PREFIX)/share/man/man$${f##*.}; install -d $$d && \
		sed 's,/usr/\(share\|lib\|share/doc\)/haproxy-mailers,$(PREFIX)/\1/haproxy-mailers,' $$f > $$d/$${f#man/} && \
		chmod 644 $$d/$${f#man/} || exit 1; \
	done

##clean        remove build/ but the cached HAProxys
clean:
	$(Q)find $(B) -mindepth 1 -maxdepth 1 ! -name haproxy -exec rm -rf {} + 2>/dev/null || true

-include $(CORE_OBJ:.o=.d) $(ASAN_OBJ:.o=.d) $(wildcard $(B)/obj/lua*/*.d $(B)/obj/tools/*.d)
