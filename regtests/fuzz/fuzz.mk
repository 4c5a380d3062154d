# Fuzzing of the core; included by the Makefile, whose variables it uses.
#
#   FUZZ_S=N     seconds for each target (30)
#   FUZZ_T=NAME  only this target, as in fuzz_NAME.c
#   FUZZ_CC      a clang with libFuzzer (clang; Debian: clang, libclang-rt-14-dev)
#
# `fuzz` works on a copy of the corpora under build/fuzz/corpus/. What it finds, it leaves as
# build/fuzz/NAME-crash-*: put that file, with a name that says what it is, into regtests/fuzz/corpus/NAME/ once
# the fault is mended, and `fuzz-replay`, a part of `make check`, runs it for ever.

FUZZ_S  ?= 30
FUZZ_CC ?= clang
FUZZ_T  ?= $(patsubst regtests/fuzz/fuzz_%.c,%,$(sort $(wildcard regtests/fuzz/fuzz_*.c)))
FUZZ_SANITIZE := -U_FORTIFY_SOURCE -fsanitize=address,undefined -fno-sanitize-recover=all -O1
FUZZ_OBJ := $(CORE_SRC:plugin/core/%.c=$(B)/obj/fuzz/%.o)
FUZZ_TLS := $(TLS_SRC:plugin/tls/%.c=$(B)/obj/fuzz-tls/%.o)
FUZZ_INC := regtests/fuzz/fuzz.h regtests/lib/message_check.h

.PHONY: fuzz fuzz-replay

##fuzz         fuzz the core, FUZZ_S seconds each target (30); needs clang with libFuzzer
fuzz: $(FUZZ_T:%=$(B)/fuzz/%)
	$(Q)for t in $(FUZZ_T); do \
		mkdir -p $(B)/fuzz/corpus/$$t || exit 1; \
		$(B)/fuzz/$$t -max_total_time=$(FUZZ_S) -timeout=10 -max_len=4096 -print_final_stats=1 \
			-artifact_prefix=$(B)/fuzz/$$t- $(B)/fuzz/corpus/$$t regtests/fuzz/corpus/$$t \
			>$(B)/fuzz/$$t.log 2>&1 || { tail -n 40 $(B)/fuzz/$$t.log; exit 1; }; \
		echo "  FUZZ    $$t: $$(sed -n 's/.*DONE *//p' $(B)/fuzz/$$t.log)"; \
	done

##fuzz-replay  run the fuzz targets over their kept inputs, with any compiler
fuzz-replay: $(FUZZ_T:%=$(B)/fuzz/replay/%)
	$(Q)for t in $(FUZZ_T); do \
		$(B)/fuzz/replay/$$t regtests/fuzz/corpus/$$t/* >$(B)/fuzz/replay/$$t.log 2>&1 || \
			{ cat $(B)/fuzz/replay/$$t.log; exit 1; }; \
		echo "  REPLAY  $$t: $$(tail -n 1 $(B)/fuzz/replay/$$t.log)"; \
	done

$(B)/obj/fuzz/%.o: plugin/core/%.c
	@mkdir -p $(@D)
	$(say) CC "$< (fuzzer)"
	$(Q)$(FUZZ_CC) $(ALL_CFLAGS) $(FUZZ_SANITIZE) -fsanitize=fuzzer-no-link $(DEPEND) -c -o $@ $<

$(B)/libcore-fuzz.a: $(FUZZ_OBJ)
	$(say) AR $@
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

# TLS is fuzzed with the OpenSSL of the system, which has no sanitizer in it.
$(B)/obj/fuzz-tls/%.o: plugin/tls/%.c
	@mkdir -p $(@D)
	$(say) CC "$< (fuzzer)"
	$(Q)$(FUZZ_CC) $(ALL_CFLAGS) $(FUZZ_SANITIZE) -fsanitize=fuzzer-no-link $(DEPEND) -c -o $@ $<

$(B)/fuzz/tls: $(FUZZ_TLS)
$(B)/fuzz/replay/tls: $(TLS_ASAN)
$(B)/fuzz/tls $(B)/fuzz/replay/tls: FUZZ_LIBS := $(TLS_LIBS)

$(B)/fuzz/%: regtests/fuzz/fuzz_%.c $(FUZZ_INC) $(B)/libcore-fuzz.a
	@mkdir -p $(@D)
	$(say) FUZZER $@
	$(Q)$(FUZZ_CC) $(ALL_CFLAGS) $(FUZZ_SANITIZE) -fsanitize=fuzzer $(ALL_LDFLAGS) -o $@ $(filter-out %.h,$^) $(FUZZ_LIBS)

$(B)/fuzz/replay/%: regtests/fuzz/fuzz_%.c regtests/fuzz/replay.c $(FUZZ_INC) $(B)/libcore-asan.a
	@mkdir -p $(@D)
	$(say) TEST "$@ (sanitizers)"
	$(Q)$(CC) $(ALL_CFLAGS) $(SANITIZE) $(ALL_LDFLAGS) -o $@ $(filter-out %.h,$^) $(FUZZ_LIBS)

-include $(FUZZ_OBJ:.o=.d) $(FUZZ_TLS:.o=.d)
