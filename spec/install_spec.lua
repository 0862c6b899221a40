-- What `make install` puts where, and that programs can be built with it: by pkg-config, CMake and
-- LuaRocks. $AQLUA_VARIANT, $MAKE, $CC, $CXX: see spec/installed.lua.

local helper = require "spec.helper"
local installed = require "spec.installed"

local must, quote, variant = installed.must, helper.quote, installed.variant

local tree

local function minutes(body) return helper.within(120, body) end

local function read_file(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

local function write_file(name, text)
  local path = tree.root .. "/" .. name
  local file <close> = assert(io.open(path, "w"))
  assert(file:write(text))
  return path
end

local function lines(text)
  local list = {}
  for line in text:gmatch "[^\n]+" do list[#list + 1] = line end
  return list
end

-- The functions that a header declares, sorted.
local function declared(path)
  local names = {}
  for name in read_file(path):gmatch "\nAQ_API[^;]-([%w_]+)%(" do names[#names + 1] = name end
  table.sort(names)
  return names
end

-- The names that `nm OPTIONS FILE` shows as defined, sorted.
local function symbols(options, path)
  return lines(must(("nm %s --defined-only %s | awk 'NF == 3 { print $3 }' | LC_ALL=C sort -u")
    :format(options, quote(path))))
end

setup(function() tree = installed.new() end)
teardown(function() tree:close() end)

describe("make install", function()
  it("puts every file in its place", function()
    local found = lines(must(("cd %s && find . ! -type d | LC_ALL=C sort")
      :format(quote(tree.prefix))))
    assert.same({
      "./bin/aqlua",
      "./include/aqlua.h",
      "./lib/cmake/aqlua/aqluaConfig.cmake",
      "./lib/cmake/aqlua/aqluaConfigVersion.cmake",
      "./lib/libaqlua.a",
      "./lib/libaqlua.so",
      "./lib/libaqlua.so.0",
      "./lib/lua/5.4/aqlua.so",
      "./lib/pkgconfig/aqlua.pc",
      "./share/doc/aqlua/LICENSE",
      "./share/lua/5.4/aqlua/meta.lua",
      "./share/man/man1/aqlua.1",
    }, found)
  end)

  it("is undone by make uninstall, which leaves the files of others", function()
    local root = tree.root .. "/a root"
    local options = ("DESTDIR=%s INST_LUADIR=/opt/lua INST_LIBDIR=/opt/clua"):format(quote(root))
    local other = root .. "/usr/local/share/doc/other"
    must("mkdir -p " .. quote(other))
    installed.run_make("install", "/usr/local", options)
    assert.equal("", must(("test -f %s/opt/clua/aqlua.so"):format(quote(root))))
    must(("touch %s/README"):format(quote(other)))
    installed.run_make("uninstall", "/usr/local", options)

    local left = must(("cd %s && find . ! -type d -o -name '*aqlua*'"):format(quote(root)))
    assert.equal("./usr/local/share/doc/other/README\n", left)
  end)

  it("gives the version of the header to pkg-config", function()
    local major, minor, patch = read_file(tree.prefix .. "/include/aqlua.h"):match(
      "VERSION_MAJOR (%d+).-VERSION_MINOR (%d+).-VERSION_PATCH (%d+)")
    assert.equal(("%s.%s.%s\n"):format(major, minor, patch),
      must(installed.env(tree.prefix) .. " pkg-config --modversion aqlua"))
  end)
end)

describe("the libraries", function()
  it("export what the header declares, and nothing else", function()
    local names = declared(tree.prefix .. "/include/aqlua.h")
    assert.is_true(#names > 10)
    for _, path in ipairs { "/lib/libaqlua.so.0", "/lib/lua/5.4/aqlua.so" } do
      assert.same(names, symbols("-D", tree.prefix .. path))
    end
  end)

  it("have no name that could meet one of the program's, in the archive", function()
    for _, name in ipairs(symbols("-g", tree.prefix .. "/lib/libaqlua.a")) do
      local is_ours = name:find "^aq_" or name:find "^__" or name == "luaopen_aqlua"
      assert.is_truthy(is_ours, name) -- two underscores: the compiler's
    end
  end)

  it("know their name: libaqlua.so.0", function()
    if not installed.has "readelf" then return pending "no readelf" end
    local dynamic = must("readelf -d " .. quote(tree.prefix .. "/lib/libaqlua.so"))
    assert.is_truthy(dynamic:find("soname: [libaqlua.so.0]", 1, true))
  end)

  it("bring no Lua: the module leaves that to the interpreter", function()
    if not installed.has "readelf" then return pending "no readelf" end
    local dynamic = must("readelf -d " .. quote(tree.prefix .. "/lib/lua/5.4/aqlua.so"))
    assert.is_nil(dynamic:find "liblua")
  end)
end)

describe("aqlua.h", function()
  local function compiles(compiler, language)
    if not installed.has(compiler) then return pending("no " .. compiler) end
    local path = write_file("header." .. language, "#include <aqlua.h>\n")
    local flags = must(installed.env(tree.prefix) .. " pkg-config --cflags aqlua"):gsub("\n", " ")
    assert.equal("", must(("%s -pedantic -Wall -Wextra -Wundef -Werror -fsyntax-only %s %s"):format(
      compiler, flags, quote(path))))
  end

  it("is C99 without a warning", function()
    compiles(installed.cc .. " -std=c99 -Wshadow -Wstrict-prototypes", "c")
  end)

  it("is C11 without a warning", function()
    compiles(installed.cc .. " -std=c11 -Wshadow -Wstrict-prototypes", "c")
  end)

  it("is C++17 without a warning", function() compiles(installed.cxx .. " -std=c++17", "cpp") end)

  it("can come before Lua's own headers in C++", minutes(function()
    if not installed.has(installed.cxx) then return pending("no " .. installed.cxx) end
    local source = write_file("before.cpp", [[
      #include <aqlua.h>
      #include <lua.hpp>
      int main() {
        lua_State *L = luaL_newstate();
        luaL_requiref(L, "aqlua", luaopen_aqlua, 0);
        lua_close(L);
        return aq_version() == AQ_VERSION_NUM ? 0 : 1;
      }
    ]])
    must(installed.env(tree.prefix) .. " " .. quote(tree:compile { source = source }))
  end))
end)

describe("pkg-config --static", function()
  it("names all that a program needs beside the archive", minutes(function()
    local program = tree:compile { source = "examples/minimal.c", is_static = true }
    assert.equal("hello, world\n", must(quote(program)))
    if installed.has "readelf" then
      assert.is_nil(must("readelf -d " .. quote(program)):find "libaqlua")
    end
  end))
end)

describe("find_package(aqlua)", function()
  local function configure(version)
    local folder = tree.root .. "/cmake-" .. version
    must("mkdir " .. quote(folder))
    write_file("cmake-" .. version .. "/CMakeLists.txt", ([[
      cmake_minimum_required(VERSION 3.18)
      project(host C)
      find_package(aqlua %s REQUIRED)
      find_package(aqlua %s REQUIRED) # a second time, as by a dependency
      add_executable(host %s/examples/minimal.c)
      target_link_libraries(host PRIVATE aqlua::aqlua)
    ]]):format(version, version, must "pwd":match "[^\n]+"))
    local command = ("cd %s && cmake -DCMAKE_PREFIX_PATH=%s -DCMAKE_C_COMPILER=%s"
      .. " -DCMAKE_C_FLAGS=%s ."):format(quote(folder), quote(tree.prefix),
        quote(installed.cc), quote(installed.flags))
    return folder, command
  end

  it("makes a target that a program links with", minutes(function()
    if not installed.has "cmake" then return pending "no cmake" end
    local folder, command = configure "0.1"
    must(command .. " && cmake --build .")
    assert.equal("hello, world\n", must(quote(folder .. "/host")))
  end))

  it("is refused another version", minutes(function()
    if not installed.has "cmake" then return pending "no cmake" end
    for _, version in ipairs { "0.0.9", "0.2", "1.0" } do
      local _, command = configure(version)
      local _, problem, status = helper.run(command)
      assert.equal(1, status)
      assert.is_truthy(problem:find "Could not find a configuration file", problem)
    end
  end))
end)

-- A stock Lua has no sanitizer in it.
if variant ~= "asan" then
  local function version_by_stock_lua(prefix)
    local setup = ("package.cpath = %q"):format(prefix .. "/lib/lua/5.4/?.so")
    return must(("lua5.4 -e %s -e 'print(require \"aqlua\"._VERSION)'"):format(quote(setup)))
  end

  describe("the module", function()
    it("is found by a stock Lua", function()
      if not installed.has "lua5.4" then return pending "no lua5.4" end
      assert.is_truthy(version_by_stock_lua(tree.prefix):find "^aqlua %d")
    end)

    it("is built and installed by LuaRocks, without network", minutes(function()
      if not installed.has "luarocks" then return pending "no luarocks" end
      local rocks = tree.root .. "/rocks"
      must(("env -u MAKEFLAGS -u MAKELEVEL LTO= luarocks --lua-version=5.4 make --tree %s"
        .. " --only-server=file:///nowhere CFLAGS='-O0 -fPIC'"):format(quote(rocks)))
      assert.is_truthy(version_by_stock_lua(rocks):find "^aqlua %d")
      must(("test -f %s/share/lua/5.4/aqlua/meta.lua"):format(quote(rocks)))
    end))
  end)
end
