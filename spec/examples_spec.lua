-- Every host in examples/ is built against an installed tree, and prints what its comments say.
--
--   * A file is a program by itself, in C or, if it ends in .cpp, in C++.
--   * What it prints is in its comments, in their order: /* --> text */ or // --> text.
--   * Libraries beside aqlua and what that needs are named in its first line, as pkg-config knows
--     them: // pkg-config: hiredis. Programs that it starts likewise: // program: redis-server.
--     Where one is not installed, the example is pending.
--
-- It is run by itself and under valgrind, there with the static library; in the sanitizers'
-- variant it is run with them.

local helper = require "spec.helper"
local installed = require "spec.installed"

local hang = 120 -- seconds until an example that does not end is killed
local valgrind = "valgrind -q --error-exitcode=99 --leak-check=full"

local function read_file(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

local function paths()
  local list = {}
  for path in io.popen "ls examples/*.c examples/*.cpp":lines() do list[#list + 1] = path end
  return list
end

local function announced(text)
  local lines = {}
  for line in text:gmatch "%-%-> ([^\n]*)" do
    lines[#lines + 1] = line:gsub(" %*/$", "") .. "\n"
  end
  return table.concat(lines)
end

-- Why an example cannot be built here, or nil.
local function obstacle(path, modules, programs)
  if path:find "%.cpp$" and not installed.has(installed.cxx) then return "no " .. installed.cxx end
  for module in modules:gmatch "%S+" do
    local is_there = os.execute("pkg-config --exists " .. helper.quote(module))
    if not is_there then return "no " .. module end
  end
  for program in programs:gmatch "%S+" do
    if not installed.has(program) then return "no " .. program end
  end
end

local ways = {
  { name = "by itself", is_for = "plain", is_static = false, command = "" },
  { name = "under valgrind", is_for = "plain", is_static = true, command = valgrind },
  { name = "with the sanitizers", is_for = "asan", is_static = true, command = "" },
}

describe("examples/", function()
  local tree

  setup(function() tree = installed.new() end)
  teardown(function() tree:close() end)

  local function runs(path, way)
    local text = read_file(path)
    local expected = announced(text)
    assert.is_true(expected ~= "", path .. " does not say what it prints")
    local modules = text:match "^// pkg%-config: ([^\n]*)" or ""
    local programs = text:match "\n// program: ([^\n]*)" or ""
    local why = obstacle(path, modules, programs)
      or way.command ~= "" and not installed.has(way.command) and "no " .. way.command:match "%S+"
    if why then return pending(why) end

    local program = tree:compile { source = path, is_static = way.is_static, modules = modules }
    local output, problem, status = helper.run(("%s timeout -k 5 %d %s %s"):format(
      installed.env(tree.prefix), hang, way.command, helper.quote(program)))
    assert.same({ expected, "", 0 }, { output, problem, status })
  end

  for _, path in ipairs(paths()) do
    for _, way in ipairs(ways) do
      if (way.is_for == "asan") == (installed.variant == "asan") then
        it(path:match "[^/]+$" .. " runs " .. way.name, helper.within(hang, function()
          runs(path, way)
        end))
      end
    end
  end
end)
