-- Who takes part: how to build and start each program, in the order of the table.
--
--   needs     programs that have to be there, or the peer is skipped
--   probe     a command that has to succeed, or the peer is skipped
--   build     run once before measuring
--   works     the command that takes WORK N;  hello, start  the commands of these rows
--   without   works that it cannot do;  ops  counts other than those of bench/run
--   packages  what Debian calls it
local lib = require "lib"

local cc = os.getenv("CC") or "cc"
local lua = "lua5.4"
-- The system's Python, because that is where Debian puts uvloop: both rows on one interpreter.
local python = os.getenv("PYTHON")
  or (lib.sh("test -x /usr/bin/python3") and "/usr/bin/python3" or "python3")

local function script(interpreter, runner)
  return {
    works = ("%s %s bench/aqlua/works.lua"):format(interpreter, runner),
    hello = ("%s %s bench/aqlua/hello.lua"):format(interpreter, runner),
  }
end

local on_luv, on_cqueues = script(lua, "bench/luv/run.lua"), script(lua, "bench/cqueues/run.lua")

-- The same flags as aqlua, and the same Lua: inside, where there is an archive of it.
local build_limit = ("%s -O2 -flto=auto -std=c11 -D_POSIX_C_SOURCE=200809L "
  .. "$(pkg-config --cflags lua5.4) -o build/bench/limit bench/limit/limit.c -Wl,-E "
  .. "$(a=$(pkg-config --variable=libdir lua5.4)/liblua5.4.a; "
  .. "test -f $a && echo $a -lm -ldl || pkg-config --libs lua5.4)"):format(cc)

local function limit(name, title, option)
  return {
    name = name,
    title = title,
    needs = {cc},
    build = build_limit,
    works = ("build/bench/limit %sbench/aqlua/works.lua"):format(option),
    hello = ("build/bench/limit %sbench/aqlua/hello.lua"):format(option),
    without = {ready = true, timeout = true, sleepers = true},
    packages = "liblua5.4-dev",
  }
end

return {
  {
    name = "aqlua",
    needs = {lib.aqlua},
    works = lib.aqlua .. " bench/aqlua/works.lua",
    hello = lib.aqlua .. " bench/aqlua/hello.lua",
    start = lib.aqlua .. " -e ''",
  },
  limit("limit", "C limit", ""),
  limit("tickets", "C limit with tickets", "--tickets "),
  {
    name = "go",
    title = "Go, 1 proc",
    needs = {"go"},
    build = "cd bench/go && GO111MODULE=off GOCACHE=$PWD/../../build/bench/gocache "
      .. "go build -o ../../build/bench/works-go works.go",
    works = "env GOMAXPROCS=1 build/bench/works-go",
    hello = "build/bench/works-go hello",
    packages = "golang-go",
  },
  {
    name = "tarantool",
    title = "Tarantool",
    needs = {"tarantool"},
    works = "tarantool bench/tarantool/works.lua",
    hello = "tarantool bench/tarantool/hello.lua",
    -- A fiber's stack takes two memory mappings, and Linux allows a process 65,530.
    without = {ring100000 = true},
    ops = {memory = 20000, sleepers = 20000},
    packages = "tarantool",
  },
  {
    name = "asyncio",
    needs = {python},
    works = python .. " bench/asyncio/works.py",
    hello = python .. " bench/asyncio/hello.py",
    packages = "python3",
  },
  {
    name = "uvloop",
    needs = {python},
    probe = python .. " -c 'import uvloop'",
    works = python .. " bench/uvloop/works.py",
    hello = python .. " bench/uvloop/hello.py",
    packages = "python3-uvloop",
  },
  {
    name = "node",
    title = "Node",
    needs = {"node"},
    works = "node --expose-gc bench/node/works.js",
    hello = "node bench/node/hello.js",
    packages = "nodejs",
  },
  {
    name = "luv",
    title = "luv + a queue in Lua",
    needs = {lua},
    probe = lua .. " -e 'require \"luv\"'",
    works = on_luv.works,
    hello = on_luv.hello,
    start = lua .. " -e ''",
    packages = "lua5.4 lua-luv",
  },
  {
    name = "cqueues",
    needs = {lua},
    probe = lua .. " -e 'require \"cqueues\"'",
    works = on_cqueues.works,
    hello = on_cqueues.hello,
    packages = "lua5.4 lua-cqueues",
  },
  {
    name = "erlang",
    title = "Erlang",
    needs = {"erl", "erlc"},
    build = "erlc -o build/bench bench/erlang/works.erl",
    works = "erl -noshell +S 1 -pa build/bench -run works main",
    hello = "erl -noshell +S 1 -pa build/bench -run works hello",
    packages = "erlang-base",
  },
}
