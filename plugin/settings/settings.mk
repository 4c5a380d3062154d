# The settings file: linked into the engine's module, which brings Lua; included by the Makefile, whose variables it uses.

SETTINGS_SRC := $(sort $(wildcard plugin/settings/*.c))
SETTINGS_OBJ := $(SETTINGS_SRC:plugin/settings/%.c=$(B)/obj/lua$(LUA)/settings/%.o)

$(B)/lua$(LUA)/mailers/engine.so: $(SETTINGS_OBJ)

$(B)/obj/lua$(LUA)/settings/%.o: plugin/settings/%.c
	@mkdir -p $(@D)
	$(say) CC "$< (Lua $(LUA))"
	$(Q)$(CC) $(ALL_CFLAGS) -I/usr/include/lua$(LUA) $(DEPEND) -c -o $@ $<

-include $(wildcard $(B)/obj/lua*/settings/*.d)

# The tests in regtests/settings link the settings, the core, Lua and cmocka, under the sanitizers.
SETTINGS_LUA := 5.3
$(B)/settings/%: regtests/settings/%.c regtests/unit/unit.c regtests/unit/unit.h $(SETTINGS_SRC) \
		$(wildcard plugin/settings/*.h) $(B)/libcore-asan.a
	@mkdir -p $(@D)
	$(say) TEST "$@ (sanitizers)"
	$(Q)$(CC) $(ALL_CFLAGS) $(SANITIZE) -I/usr/include/lua$(SETTINGS_LUA) -Iregtests/unit -Iplugin/settings \
		$(ALL_LDFLAGS) $(WRAP) -o $@ $(filter-out %.h,$^) -lcmocka -llua$(SETTINGS_LUA)
