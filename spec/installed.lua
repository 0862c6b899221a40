-- The library as its users have it: the tree under test installed into a temporary folder, and
-- programs built against that with what pkg-config says, and nothing else.
--
--   local tree = installed.new()
--   local program = tree:compile { source = "examples/minimal.c" }
--   tree:close()
--
-- Programs of the sanitizers' variant are built with them too.

local helper = require "spec.helper"

local quote = helper.quote

-- A link with the archive need not optimise it anew.
local FAST = "-fno-lto"

local installed = {}

installed.variant = os.getenv "AQLUA_VARIANT" or "release"
installed.make = os.getenv "MAKE" or "make"
installed.cc = os.getenv "CC" or "cc"
installed.cxx = os.getenv "CXX" or installed.cc:gsub("clang", "clang++"):gsub("%f[%w]g?cc%f[%W]", {
  cc = "c++",
  gcc = "g++",
})
installed.flags = installed.variant == "asan" and "-fsanitize=address,undefined" or ""

-- True if the shell finds this program; of "ccache gcc", the first word.
function installed.has(program)
  return os.execute("command -v " .. program:match "%S+" .. " >/dev/null") == true
end

-- Runs a command that is to succeed; returns what it prints on both channels.
function installed.must(command)
  local output, problem, status = helper.run(command)
  if status ~= 0 then error(("%s\nstatus %s\n%s%s"):format(command, status, output, problem), 2) end
  return output .. problem
end

local Tree = {}
Tree.__index = Tree

-- `make TARGET` for this prefix, and more settings; returns what it prints.
function installed.run_make(target, prefix, settings)
  return installed.must(("%s VARIANT=%s DESTDIR= PREFIX=%s %s %s"):format(
    installed.make, installed.variant, quote(prefix), settings or "", target))
end

-- `prefix` has all that is installed, `static` the same without the shared library.
function installed.new()
  local root = installed.must "mktemp -d":match "[^\n]+"
  local tree = { root = root, prefix = root .. "/all", static = root .. "/static" }
  installed.run_make("install", tree.prefix)
  installed.run_make("install", tree.static)
  installed.must(("cd %s/lib && rm $(ls | grep -v '[.]a$' | grep libaqlua)"):format(
    quote(tree.static)))
  return setmetatable(tree, Tree)
end

-- What makes pkg-config and the dynamic linker find an installation, in front of a command.
function installed.env(prefix)
  return ("PKG_CONFIG_PATH=%s:$PKG_CONFIG_PATH LD_LIBRARY_PATH=%s"):format(
    quote(prefix .. "/lib/pkgconfig"), quote(prefix .. "/lib"))
end

function Tree:close() os.execute("rm -rf " .. quote(self.root)) end

-- The flags for a program, on one line.
function Tree:pkg_config(options)
  local output = installed.must(("%s pkg-config --cflags --libs %s aqlua %s"):format(
    installed.env(options.is_static and self.static or self.prefix),
    options.is_static and "--static" or "", options.modules or ""))
  return (output:gsub("\n", " "))
end

-- Builds a program. Options: source, a path that ends in .c or .cpp; is_static, to link with
-- libaqlua.a; modules, names for pkg-config. Returns the program's path.
function Tree:compile(options)
  local program = ("%s/%s%s"):format(self.root, options.source:match "([^/]+)%.%w+$",
    options.is_static and ".static" or "")
  local compiler = options.source:find "%.c$" and installed.cc .. " -std=gnu11"
    or installed.cxx .. " -std=c++17"
  local output = installed.must(("%s -g -Wall -Wextra -Wpedantic -Werror %s %s -o %s %s %s"):format(
    compiler, FAST, installed.flags, quote(program), quote(options.source),
    self:pkg_config(options)))
  assert(output == "", output)
  return program
end

return installed
