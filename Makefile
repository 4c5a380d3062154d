# haproxy-mailers: the plugin, its tests and its tools. `make help` lists the targets.
#
#   V=1            show the commands
#   LUA=5.3|5.4    the Lua that the HAProxy is linked with (5.3)
#   CC=gcc|clang   the compiler
#   WERROR=1       warnings are errors (as in CI)
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

ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-7s %s\n'
endif

CORE_SRC := $(sort $(wildcard plugin/core/*.c))
CORE_OBJ := $(CORE_SRC:plugin/core/%.c=$(B)/obj/core/%.o)
MOD_SRC  := $(sort $(wildcard plugin/haproxy/*.c))
UNIT_SRC := $(sort $(wildcard regtests/unit/test_*.c))
UNIT_BIN := $(UNIT_SRC:regtests/unit/%.c=$(B)/unit/%)
ASAN_BIN := $(UNIT_SRC:regtests/unit/%.c=$(B)/asan/%)
WRAP     := -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all help unit asan clean

##all          build the plugin for LUA (build/lua$(LUA)/mailers/engine.so)
all: $(B)/lua$(LUA)/mailers/engine.so

##help         this list
help:
	@sed -n 's/^##/  /p' Makefile

$(B)/obj/core/%.o: plugin/core/%.c
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/obj/lua$(LUA)/%.o: plugin/haproxy/%.c
	@mkdir -p $(@D)
	$(say) CC "$< (Lua $(LUA))"
	$(Q)$(CC) $(ALL_CFLAGS) -I/usr/include/lua$(LUA) -MMD -MP -c -o $@ $<

$(B)/lua$(LUA)/mailers/engine.so: $(MOD_SRC:plugin/haproxy/%.c=$(B)/obj/lua$(LUA)/%.o) $(CORE_OBJ)
	@mkdir -p $(@D)
	$(say) LINK $@
	$(Q)$(CC) -shared $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^

# A test of the core links the core and cmocka, nothing else: that is the proof of its layer.
$(B)/unit/%: regtests/unit/%.c regtests/unit/unit.c $(CORE_OBJ)
	@mkdir -p $(@D)
	$(say) TEST $@
	$(Q)$(CC) $(ALL_CFLAGS) -Iregtests/unit $(ALL_LDFLAGS) $(WRAP) -o $@ $^ -lcmocka

$(B)/asan/%: regtests/unit/%.c regtests/unit/unit.c $(CORE_SRC)
	@mkdir -p $(@D)
	$(say) ASAN $@
	$(Q)$(CC) $(ALL_CFLAGS) -U_FORTIFY_SOURCE -fsanitize=address,undefined -fno-sanitize-recover=all \
		-O1 -Iregtests/unit $(ALL_LDFLAGS) $(WRAP) -o $@ $^ -lcmocka

##unit         unit tests of the core (cmocka)
unit: $(UNIT_BIN)
	$(Q)for t in $^; do ./$$t || exit 1; done

##asan         the unit tests under AddressSanitizer and UBSan
asan: $(ASAN_BIN)
	$(Q)for t in $^; do ./$$t || exit 1; done

##clean        remove build/ but the cached HAProxys
clean:
	$(Q)find $(B) -mindepth 1 -maxdepth 1 ! -name haproxy -exec rm -rf {} + 2>/dev/null || true

-include $(CORE_OBJ:.o=.d) $(wildcard $(B)/obj/lua*/*.d)
