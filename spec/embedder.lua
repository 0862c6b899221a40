-- C programs over the library: spec/embed/NAME.c, against the archive of the variant under test.

local helper = require "spec.helper"

local embedder = {}

local compiler = os.getenv "CC" or "cc"
local is_asan = os.getenv "AQLUA_VARIANT" == "asan"

local FLAGS = "$(for p in lua5.4 lua-5.4 lua54 lua; do "
  .. "pkg-config --exists \"$p >= 5.4 $p < 5.5\" && pkg-config --cflags --libs $p libuv && break; "
  .. "done) -lm -lpthread -ldl"

-- Builds spec/embed/NAME.c, with more options; returns the program's path.
function embedder.build(name, options)
  local program = os.tmpname()
  local sanitizer = is_asan and "-fsanitize=address,undefined" or ""
  local command = ("%s -std=c11 -g %s %s -D_GNU_SOURCE -Isrc -Ispec/core -o %s "
    .. "spec/embed/%s.c %s/libaqlua.a %s 2>&1"):format(compiler, sanitizer, options or "",
      helper.quote(program), name, helper.quote(helper.build), FLAGS)
  local pipe = assert(io.popen(command))
  local output = pipe:read "a"
  assert(pipe:close(), output)
  return program
end

-- Builds a program of tests (spec/core/check.h) and runs it, under `wrapper` if it is given.
function embedder.check(name, wrapper)
  local program = embedder.build(name)
  local pipe = assert(io.popen(("%s %s 2>&1"):format(wrapper or "", program)))
  local output = pipe:read "a"
  local ok = pipe:close()
  os.remove(program)
  local last = output:match "([^\n]*)\n$"
  if not ok or not (last or ""):match "^%d+ passed, 0 failed$" then error(output, 2) end
end

embedder.VALGRIND = "valgrind -q --error-exitcode=9 --leak-check=full"

-- Why nothing can be run under valgrind; nil if it can.
function embedder.why_no_valgrind()
  if is_asan then return "needs no sanitizer" end
  if not os.execute "command -v valgrind >/dev/null" then return "needs valgrind" end
end

return embedder
