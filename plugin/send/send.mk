# mailers-send, the engine's host on libev; included by the Makefile, whose variables it uses.
#
# It carries a Lua of its own, which reads the settings file as HAProxy's does; of which version does not matter to the file.

SEND_SRC  := $(sort $(wildcard plugin/send/*.c))
SEND_OBJ  := $(SEND_SRC:plugin/send/%.c=$(B)/obj/send$(LUA)/%.o) \
	$(patsubst plugin/settings/%.c,$(B)/obj/send$(LUA)/settings/%.o,$(sort $(wildcard plugin/settings/*.c)))
SEND_LIBS := -llua$(LUA) -lev

all: $(B)/mailers-send

# libev casts its watchers to their base, which gcc takes for a breach of the aliasing rules.
$(B)/obj/send$(LUA)/%.o: plugin/send/%.c
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) $(ALL_CFLAGS) -I/usr/include/lua$(LUA) -fno-strict-aliasing $(DEPEND) -c -o $@ $<

$(B)/obj/send$(LUA)/settings/%.o: plugin/settings/%.c
	@mkdir -p $(@D)
	$(say) CC "$< (mailers-send)"
	$(Q)$(CC) $(ALL_CFLAGS) -I/usr/include/lua$(LUA) $(DEPEND) -c -o $@ $<

$(B)/mailers-send: $(SEND_OBJ) $(TLS_OBJ) $(CORE_OBJ)
	$(say) LINK $@
	$(Q)$(CC) -pie $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(TLS_LINK) $(SEND_LIBS)

-include $(wildcard $(B)/obj/send$(LUA)/*.d $(B)/obj/send$(LUA)/settings/*.d)
