# The settings file: linked into the engine's module, which brings Lua; included by the Makefile, whose variables it uses.

SETTINGS_SRC := $(sort $(wildcard plugin/settings/*.c))
SETTINGS_OBJ := $(SETTINGS_SRC:plugin/settings/%.c=$(B)/obj/lua$(LUA)/settings/%.o)

$(B)/lua$(LUA)/mailers/engine.so: $(SETTINGS_OBJ)

$(B)/obj/lua$(LUA)/settings/%.o: plugin/settings/%.c
	@mkdir -p $(@D)
	$(say) CC "$< (Lua $(LUA))"
	$(Q)$(CC) $(ALL_CFLAGS) -I/usr/include/lua$(LUA) -MMD -MP -c -o $@ $<

-include $(wildcard $(B)/obj/lua*/settings/*.d)
