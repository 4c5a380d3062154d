# TLS on OpenSSL 3: the module mailers/tls.so, and the tests that need it; included by the Makefile, whose
# variables it uses.
#
#   STATIC_SSL=1     OpenSSL inside the TLS module, hidden: for a HAProxy with another TLS library. Needs libssl.a
#
# The two kinds have names of their own, tls.so and tls-static.so: before one is loaded its name says
# whether the process's TLS library matters to it, and neither is taken for the other when both were built.

TLS_KIND   := $(if $(filter 1,$(STATIC_SSL)),tls-static,tls)
TLS_MODULE := $(B)/lua$(LUA)/mailers/$(TLS_KIND).so
TLS_SRC    := $(filter-out plugin/tls/module.c,$(sort $(wildcard plugin/tls/*.c)))
TLS_OBJ    := $(TLS_SRC:plugin/tls/%.c=$(B)/obj/$(TLS_KIND)/%.o)
TLS_ASAN   := $(TLS_SRC:plugin/tls/%.c=$(B)/obj/tls-asan/%.o)
TLS_LIBS   := -lssl -lcrypto
TLS_TEST_H := $(wildcard regtests/tls/*.h) regtests/unit/unit.h
ifeq ($(TLS_KIND),tls-static)
TLS_FLAGS  := -DTLS_STATIC_SSL
TLS_LINK   := -Wl,-Bstatic $(TLS_LIBS) -Wl,-Bdynamic -Wl,--exclude-libs,ALL -Wl,-Bsymbolic -ldl -pthread
else
TLS_LINK   := $(TLS_LIBS)
endif

export STATIC_SSL

plugin: $(TLS_MODULE)

$(B)/obj/$(TLS_KIND)/%.o: plugin/tls/%.c
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) $(ALL_CFLAGS) $(TLS_FLAGS) $(DEPEND) -c -o $@ $<

$(B)/obj/tls-asan/%.o: plugin/tls/%.c
	@mkdir -p $(@D)
	$(say) CC "$< (sanitizers)"
	$(Q)$(CC) $(ALL_CFLAGS) $(SANITIZE) $(DEPEND) -c -o $@ $<

$(B)/obj/lua$(LUA)/tls/%.o: plugin/tls/%.c
	@mkdir -p $(@D)
	$(say) CC "$< (Lua $(LUA))"
	$(Q)$(CC) $(ALL_CFLAGS) -I/usr/include/lua$(LUA) $(DEPEND) -c -o $@ $<

# It stays in the process: OpenSSL has functions registered for the end of each thread.
$(TLS_MODULE): $(B)/obj/lua$(LUA)/tls/module.o $(TLS_OBJ)
	@mkdir -p $(@D)
	$(say) LINK $@
	$(Q)$(CC) -shared $(ALL_CFLAGS) $(ALL_LDFLAGS) -Wl,-z,nodelete -o $@ $^ $(TLS_LINK)

# The tests in regtests/tls link TLS, the core and cmocka; their allocations are OpenSSL's to fail, not the
# wrapper's.
$(B)/tls/%: regtests/tls/%.c $(TLS_TEST_H) $(TLS_OBJ) $(B)/libcore.a
	@mkdir -p $(@D)
	$(say) TEST $@
	$(Q)$(CC) $(ALL_CFLAGS) -Iregtests/unit -Iplugin/tls $(ALL_LDFLAGS) -o $@ $(filter-out %.h,$^) \
		-lcmocka $(TLS_LIBS)

$(B)/tls-asan/%: regtests/tls/%.c $(TLS_TEST_H) $(TLS_ASAN) $(B)/libcore-asan.a
	@mkdir -p $(@D)
	$(say) TEST "$@ (sanitizers)"
	$(Q)$(CC) $(ALL_CFLAGS) $(SANITIZE) -Iregtests/unit -Iplugin/tls $(ALL_LDFLAGS) -o $@ $(filter-out %.h,$^) \
		-lcmocka $(TLS_LIBS)

-include $(TLS_OBJ:.o=.d) $(TLS_ASAN:.o=.d) $(wildcard $(B)/obj/lua*/tls/*.d)
