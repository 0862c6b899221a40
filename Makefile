# aqlua: a scriptable runtime with queues. "make help" lists the targets.
#
# GNU make; no configure, no download by the build itself. `run`, `test`, `check` and `deps` install
# what is missing through the system's package manager (tools/deps.sh); DEPS=no forbids that.
#
# Nothing here may need a tool at parse time: on a fresh machine there is no compiler and no
# pkg-config until `deps` has run. Hence the lazy variables, and the recursion in `run` and others.

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDARY:
MAKEFLAGS += --no-builtin-rules --no-print-directory

# --- settings a user may override ---------------------------------------------------------------

CFLAGS  ?= -O2 -g
PREFIX  ?= /usr/local
VARIANT ?= release# own objects for each: release, debug, asan, tsan; gcc, clang for -Werror builds; rock
SCRIPT  ?= scripts/race.lua
ARGS    ?=
DEPS    ?=
LUACHECK     ?= luacheck
CLANG_FORMAT ?= clang-format

comma := ,

# Evaluated at first use, then remembered.
lazy = $(eval $(1) := $(2))$($(1))

LUA_PC = $(call lazy,LUA_PC,$$(shell for p in lua5.4 lua-5.4 lua54 lua; do \
           pkg-config --exists "$$$$p >= 5.4 $$$$p < 5.5" 2>/dev/null && { echo $$$$p; break; }; done))
UV_PC  = $(call lazy,UV_PC,$$(shell pkg-config --exists libuv 2>/dev/null && echo libuv))
need_lua = $(or $(LUA_PC),$(error Lua 5.4 not found. Try "make deps", or set LUA_CFLAGS and LUA_LIBS))
need_uv  = $(or $(UV_PC),$(error libuv not found. Try "make deps", or set UV_CFLAGS and UV_LIBS))

LUA_CFLAGS ?= $(call lazy,LUA_CFLAGS,$$(shell pkg-config --cflags $(need_lua)))
LUA_LIBS   ?= $(call lazy,LUA_LIBS,$$(shell pkg-config --libs $(need_lua)))
# The executable has its Lua inside, as the stock interpreter does, where there is an archive of it:
# calls into it are direct. Set LUA_LIBS or an empty LUA_ARCHIVE for the shared one.
LUA_ARCHIVE ?= $(if $(filter file,$(origin LUA_LIBS)),$(call lazy,LUA_ARCHIVE,$$(wildcard \
  $$(shell pkg-config --variable=libdir $(LUA_PC))/lib$$(shell pkg-config --variable=lib_name $(LUA_PC)).a)))
UV_CFLAGS  ?= $(call lazy,UV_CFLAGS,$$(shell pkg-config --cflags $(need_uv)))
UV_LIBS    ?= $(call lazy,UV_LIBS,$$(shell pkg-config --libs $(need_uv)))

# Where things go. INST_LUADIR and INST_LIBDIR are named as LuaRocks names them.
BINDIR      ?= $(PREFIX)/bin
INCDIR      ?= $(PREFIX)/include
LIBDIR      ?= $(PREFIX)/lib
MANDIR      ?= $(PREFIX)/share/man
DOCDIR      ?= $(PREFIX)/share/doc/aqlua
INST_LUADIR ?= $(PREFIX)/share/lua/5.4
INST_LIBDIR ?= $(PREFIX)/lib/lua/5.4

# --- sources ------------------------------------------------------------------------------------

core_src := $(wildcard src/core/*.c)
bind_src := $(wildcard src/bind/*.c src/bind/*/*.c)
exe_src  := $(wildcard src/app/*.c)
test_src := $(wildcard spec/core/*_test.c)
app_test_src := $(wildcard spec/app/*_test.c)
lua_src  := $(wildcard lua/aqlua/*.lua lua/aqlua/*/*.lua)

# The one place where the version is written is src/aqlua.h.
version_part = $(shell sed -n 's/^.define AQ_VERSION_$(1)[^0-9]*\([0-9][0-9]*\).*/\1/p' src/aqlua.h)
VERSION = $(call lazy,VERSION,$$(call version_part,MAJOR).$$(call version_part,MINOR).$$(call version_part,PATCH))
SOMAJOR = $(firstword $(subst ., ,$(VERSION)))

# --- what is built ------------------------------------------------------------------------------

B := build/$(VARIANT)
ifeq ($(VARIANT),release)
exe := aqlua
out := build
else
exe := $(B)/aqlua
out := $(B)
endif

obj      = $(patsubst %.c,$(B)/%.o,$(1))
core_obj := $(call obj,$(core_src))
lib_obj  := $(core_obj) $(call obj,$(bind_src)) $(B)/lua_sources.o
exe_obj  := $(call obj,$(exe_src)) $(B)/usage.o
tests    := $(patsubst %.c,$(B)/%,$(test_src) $(app_test_src))
thread_tests := $(B)/spec/core/inbox_test

ifeq ($(shell uname -s),Darwin)
SHARED = libaqlua.$(SOMAJOR).dylib
solink := libaqlua.dylib
module_ldflags := -bundle -undefined dynamic_lookup
shared_ldflags  = -dynamiclib -install_name $(LIBDIR)/$(SHARED)
exe_lua         = $(LUA_LIBS)
system_libs    := -lm
else
SHARED = libaqlua.so.$(SOMAJOR)
solink := libaqlua.so
module_ldflags := -shared -Wl,--exclude-libs,ALL
shared_ldflags  = -shared -Wl,-soname,$(SHARED) -Wl,--exclude-libs,ALL
# C modules find Lua's API in the executable, also when Lua is linked in statically.
exe_ldflags    := -Wl,-E
exe_lua         = $(if $(LUA_ARCHIVE),-Wl$(comma)--whole-archive $(LUA_ARCHIVE) -Wl$(comma)--no-whole-archive,$(LUA_LIBS))
system_libs    := -pthread -lm $(if $(filter Linux,$(shell uname -s)),-ldl)
endif

# Only what aqlua.h marks with AQ_API leaves the library.
own_cflags := -std=c11 -D_GNU_SOURCE -Isrc -fPIC -fvisibility=hidden -pthread \
  -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes $(if $(WERROR),-Werror)

# AQ_DEBUG: the kernel asserts its invariants after each call.
ifeq ($(VARIANT),debug)
variant_cflags  := -DAQ_DEBUG -O0
else ifeq ($(VARIANT),asan)
variant_cflags  := -DAQ_DEBUG -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
variant_ldflags := -fsanitize=address,undefined
else ifeq ($(VARIANT),tsan)
variant_cflags  := -DAQ_DEBUG -O1 -fno-omit-frame-pointer -fsanitize=thread
variant_ldflags := -fsanitize=thread
endif

# Kernel and binding are optimised as one program, where the compiler and its linker can. The objects
# hold ordinary code as well, so that anybody can link the archive.
ifneq ($(filter release rock,$(VARIANT)),)
LTO ?= $(call lazy,LTO,$$(shell echo 'int main(void) { return 0; }' | \
  $(CC) -O2 -flto=auto -ffat-lto-objects -x c - -o /dev/null 2>/dev/null && \
  echo -flto=auto -ffat-lto-objects))
variant_cflags   = $(LTO)
endif

compile = $(CC) $(own_cflags) $(CPPFLAGS) $(CFLAGS) $(variant_cflags)
link    = $(CC) $(CFLAGS) $(variant_ldflags) $(LDFLAGS)

ifeq ($(V),)
say = @printf '  %-7s %s\n' $(1) $@;
endif

.PHONY: all module tests thread-tests deps run test check bench bench-docs bench-guard pictures \
  format clean install install-module uninstall help FORCE

all: $(exe) $(out)/libaqlua.a $(out)/aqlua.so

module: $(out)/aqlua.so

tests: $(tests)
	@:

# The kernel tests that have threads, for VARIANT=tsan.
thread-tests: $(thread_tests)
	@for test in $^; do $$test || exit 1; done

$(exe): $(exe_obj) $(lib_obj)
	$(call say,LINK)$(link) $(exe_ldflags) -o $@ $(exe_obj) $(lib_obj) $(exe_lua) $(UV_LIBS) $(system_libs)

# A module must not bring a Lua of its own: the interpreter that loads it has one.
$(out)/aqlua.so: $(lib_obj)
	$(call say,LINK)$(link) $(module_ldflags) -o $@ $(lib_obj) $(UV_LIBS) $(system_libs)

$(out)/libaqlua.a: $(lib_obj)
	$(call say,AR)rm -f $@ && $(AR) rcs $@ $(lib_obj)

# A static Lua stays out of the shared library too: it belongs to the program that embeds.
$(out)/shared: $(lib_obj)
	$(call say,LINK)$(link) $(shared_ldflags) -o $@ $(lib_obj) $(filter-out %.a,$(LUA_LIBS)) $(UV_LIBS) $(system_libs)

# The kernel alone. From an archive, so that a test gets what it uses: libuv only with loop.o.
$(B)/core.a: $(core_obj)
	$(call say,AR)rm -f $@ && $(AR) rcs $@ $(core_obj)

$(B)/spec/core/%_test: $(B)/spec/core/%_test.o $(B)/core.a
	$(call say,LINK)$(link) -o $@ $< $(B)/core.a $(UV_LIBS) $(system_libs)

# A test of one of the executable's files links that alone.
$(B)/spec/app/%_test: $(B)/spec/app/%_test.o $(B)/src/app/%.o
	$(call say,LINK)$(link) -o $@ $^

# The kernel is compiled without Lua's headers in reach.
$(core_obj) $(call obj,$(test_src)): dep_cflags = $(UV_CFLAGS)
dep_cflags = $(LUA_CFLAGS) $(UV_CFLAGS)

$(B)/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC)$(compile) $(dep_cflags) -MMD -MP -c -o $@ $<

$(B)/lua_sources.o: $(B)/lua_sources.c $(B)/flags
	$(call say,CC)$(compile) -MMD -MP -c -o $@ $<

$(B)/lua_sources.c: $(lua_src) tools/embed.sh $(B)/flags
	$(call say,EMBED)tools/embed.sh $(lua_src) > $@

# What --help shows is in the man page.
$(B)/usage.o: $(B)/usage.c $(B)/flags
	$(call say,CC)$(compile) -MMD -MP -c -o $@ $<

$(B)/usage.c: docs/aqlua.1 tools/usage.sh $(B)/flags
	$(call say,EMBED)tools/usage.sh docs/aqlua.1 > $@

# Changes only when the commands or the set of files would change.
flags_now = $(compile) $(LUA_CFLAGS) $(UV_CFLAGS) $(link) $(exe_lua) $(UV_LIBS) $(lua_src) $(lib_obj)
$(B)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(flags_now))' > $@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

-include $(patsubst %.o,%.d,$(lib_obj) $(exe_obj) $(call obj,$(test_src) $(app_test_src)))

# --- targets for people -------------------------------------------------------------------------

# Each of these first installs what is missing, and must then start make anew: the first one has
# looked for tools that were not there yet.
get_deps = @DEPS='$(DEPS)' CC='$(CC)' tools/deps.sh
parallel = $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc 2>/dev/null || echo 2))

deps:
	$(get_deps) $(or $(FOR),build)

run:
	$(get_deps) build
	@$(MAKE) $(parallel) all
	@./aqlua $(SCRIPT) $(ARGS)

# AQLUA, AQLUA_BUILD: for specs that start the executable, load the C module into a stock Lua, or
# link with the library. Those of the variant under test; but a stock Lua has no sanitizer in it, so
# that of the sanitizers is the plain one.
plain := $(filter asan tsan,$(VARIANT))
test_env = AQLUA='$(CURDIR)/$(exe)' AQLUA_BUILD='$(CURDIR)/$(if $(plain),build,$(out))' \
  AQLUA_VARIANT=$(VARIANT) CC='$(CC)' MAKE='$(MAKE)' SPEC='$(SPEC)' \
  BUSTED_ARGS='$(BUSTED_ARGS)' V='$(V)'

test:
	$(get_deps) test
	@$(MAKE) $(parallel) all tests $(if $(plain),&& $(MAKE) $(parallel) VARIANT=release all) || \
	  { echo '0 passed, 1 failed'; exit 1; }
	@$(test_env) tools/test.sh ./$(exe) $(tests)

check:
	$(get_deps) check
	+@MAKE='$(MAKE)' PARALLEL='$(parallel)' LUACHECK='$(LUACHECK)' CLANG_FORMAT='$(CLANG_FORMAT)' \
	  tools/check.sh

# aqlua beside its peers, where they are installed (bench/README.md); QUICK=1 in a few minutes.
bench: all
	@./aqlua bench/run

# All that docs/performance.md shows: its figures are printed, its pictures drawn anew.
bench-docs: bench
	@./aqlua bench/curves.lua
	@./aqlua bench/memory.lua
	@./aqlua bench/latency.lua
	@python3 bench/asyncio/latency.py
	cp build/bench/performance.tsv build/bench/curves.tsv docs/
	@$(MAKE) pictures

# The pictures in docs/, from the figures beside them.
pictures: all
	./aqlua bench/pictures.lua docs/performance.tsv docs/curves.tsv

# Instructions of a few works against those recorded in bench/guard.json. RECORD=1 records.
bench-guard:
	$(get_deps) guard
	@$(MAKE) $(parallel) all
	@./aqlua bench/guard $(if $(RECORD),--record)

format:
	$(CLANG_FORMAT) -i $(wildcard src/*.[ch] src/*/*.[ch] src/*/*/*.[ch] spec/core/*.[ch] spec/app/*.[ch] bench/*.c bench/*/*.c \
	  examples/*.c examples/*.cpp)

clean:
	rm -rf build aqlua

# --- install ------------------------------------------------------------------------------------

# Flags given by hand are written out; what pkg-config has found is left to pkg-config.
pc_given = $(filter environment% command%,$(origin $(1)))
pc_requires = $(if $(call pc_given,LUA_LIBS),,$(LUA_PC)) $(if $(call pc_given,UV_LIBS),,$(UV_PC))
pc_libs     = $(if $(call pc_given,LUA_LIBS),$(LUA_LIBS)) $(if $(call pc_given,UV_LIBS),$(UV_LIBS))
pc_cflags   = $(if $(call pc_given,LUA_LIBS),$(LUA_CFLAGS)) $(if $(call pc_given,UV_LIBS),$(UV_CFLAGS))

# Relative to the prefix: in a tree that was moved, that line alone is to be changed.
pc_dir = $(patsubst $(PREFIX)/%,$${prefix}/%,$(1))

define pc_text
prefix=$(PREFIX)
includedir=$(call pc_dir,$(INCDIR))
libdir=$(call pc_dir,$(LIBDIR))

Name: aqlua
Description: asyncio's queues, tasks and locks for Lua 5.4 on libuv
Version: $(VERSION)
Requires: $(strip $(pc_requires))
Libs: -L$${libdir} -laqlua $(strip $(pc_libs))
Libs.private: $(system_libs)
Cflags: -I$${includedir} $(strip $(pc_cflags))
endef

# The header for embedders is one file: what it includes of ours is written out in its place.
$(out)/aqlua.h: src/aqlua.h src/core/status.h
	sed -n '/^#define AQ_API/,/^#endif/{/^#endif/!p;}' src/core/status.h > $@.part
	sed -e '/^#include "core\/status.h"/{r $@.part' -e 'd;}' src/aqlua.h > $@

put = install -d '$(DESTDIR)$(3)' && install -m $(1) '$(2)' '$(DESTDIR)$(3)/$(4)'
cmake_dir = $(LIBDIR)/cmake/aqlua

# `uninstall` removes what these two put there, and the folders that are aqlua's own.
install: export PC_TEXT = $(pc_text)
install: all $(out)/shared $(out)/aqlua.h install-module
	$(call put,755,$(exe),$(BINDIR),aqlua)
	$(call put,644,$(out)/aqlua.h,$(INCDIR),aqlua.h)
	$(call put,644,$(out)/libaqlua.a,$(LIBDIR),libaqlua.a)
	$(call put,755,$(out)/shared,$(LIBDIR),$(SHARED))
	ln -sf $(SHARED) '$(DESTDIR)$(LIBDIR)/$(solink)'
	printf '%s\n' "$$PC_TEXT" > $(out)/aqlua.pc
	$(call put,644,$(out)/aqlua.pc,$(LIBDIR)/pkgconfig,aqlua.pc)
	$(call put,644,tools/cmake/aqluaConfig.cmake,$(cmake_dir),aqluaConfig.cmake)
	sed 's/@VERSION@/$(VERSION)/' tools/cmake/aqluaConfigVersion.cmake > $(out)/version.cmake
	$(call put,644,$(out)/version.cmake,$(cmake_dir),aqluaConfigVersion.cmake)
	$(call put,644,docs/aqlua.1,$(MANDIR)/man1,aqlua.1)
	$(call put,644,LICENSE,$(DOCDIR),LICENSE)

# For a stock Lua; this is what LuaRocks installs.
install-module: module
	$(call put,755,$(out)/aqlua.so,$(INST_LIBDIR),aqlua.so)
	$(call put,644,lua/aqlua/meta.lua,$(INST_LUADIR)/aqlua,meta.lua)

uninstall:
	cd '$(DESTDIR)/' && rm -f '.$(BINDIR)/aqlua' '.$(INCDIR)/aqlua.h' '.$(LIBDIR)/libaqlua.a' \
	  '.$(LIBDIR)/$(SHARED)' '.$(LIBDIR)/$(solink)' '.$(LIBDIR)/pkgconfig/aqlua.pc' \
	  '.$(cmake_dir)/aqluaConfig.cmake' '.$(cmake_dir)/aqluaConfigVersion.cmake' \
	  '.$(INST_LIBDIR)/aqlua.so' '.$(INST_LUADIR)/aqlua/meta.lua' \
	  '.$(MANDIR)/man1/aqlua.1' '.$(DOCDIR)/LICENSE'
	@cd '$(DESTDIR)/' && rmdir '.$(DOCDIR)' '.$(INST_LUADIR)/aqlua' '.$(cmake_dir)' 2>/dev/null || :

help:
	@echo 'make            build ./aqlua, build/libaqlua.a and build/aqlua.so (the Lua module)'
	@echo 'make run        install what is missing, build, run the increment race'
	@echo '                SCRIPT=path ARGS="..." for another script'
	@echo 'make test       kernel tests and specs; SPEC="spec/a_spec.lua" BUSTED_ARGS=... V=1'
	@echo 'make check      the tests under sanitizers, luacheck, clang-format, layers, -Werror'
	@echo 'make bench      aqlua and its peers side by side; QUICK=1, PEERS="..." WORKS="..."'
	@echo 'make bench-docs   bench, curves, memory and latency, and the pictures in docs/'
	@echo 'make pictures     the pictures in docs/, from the figures in docs/*.tsv'
	@echo 'make bench-guard  instructions against the recorded ones; RECORD=1 records'
	@echo 'make format     lay out the C files with clang-format'
	@echo 'make deps       install what building needs; FOR=test or FOR=check for more'
	@echo 'make install    PREFIX=/usr/local DESTDIR= INST_LUADIR= INST_LIBDIR=; also: uninstall'
	@echo 'make clean      remove build/ and ./aqlua'
	@echo
	@echo 'DEPS=no         install nothing, only say what is missing'
	@echo 'VARIANT=debug   invariants checked, no optimisation; asan, tsan: with sanitizers (build/asan)'
	@echo 'CC CFLAGS LDFLAGS LUA_CFLAGS LUA_LIBS UV_CFLAGS UV_LIBS WERROR=1 V=1'
