-- What every spec runs under, and tools for them. busted loads this file by itself (.busted); a
-- spec that wants the tools says `local helper = require "spec.helper"`.
--
-- Each `it` is guarded:
--   * a virtual clock is in force, so that sleeping takes no time, and waiting for what can never
--     happen is a DeadlockError in the body's own wait;
--   * it has 10 s of real time (helper.within gives more), after which the body, or any task that
--     still spins, is stopped by an error that lists all tasks and what they wait in;
--   * no task may outlive it: those that do are cancelled, and the test fails and names them;
--   * an error of a task that was reported since nobody retrieved it fails the test.
-- The body is part of busted's own task, the main one: it may wait, and what it raises goes to
-- busted with its place and traceback untouched.

if package.loaded["spec.helper"] then return package.loaded["spec.helper"] end

local helper = {}
package.loaded["spec.helper"] = helper

local busted = require "busted"
local system = require "system"
local have_library, aq = pcall(require, "aqlua")

local SECONDS = os.getenv "AQLUA_VARIANT" == "asan" and 60 or 10 -- for each `it`
local STEP = 100000 -- Lua instructions between two looks at the clock
local TURNS = 1000 -- that a cancelled task may take to end

local options = setmetatable({}, { __mode = "k" }) -- of test bodies made by real_clock and within

---------------------------------------------------------------------------------------------------
-- What all tasks are doing, for a failure's message

local HERE = debug.getinfo(1, "S").short_src

-- "Task-2 waits in get, spec/a_spec.lua:12", from the traceback.
local function describe_task(task)
  local place, waits_in
  for line in (task:traceback() or ""):gmatch "\n\t([^\n]*)" do
    local source = line:match "^(.-):"
    waits_in = waits_in or line:match "^%[C%]: in %a+ '([^']+)'"
    if not place and source ~= "[C]" and source ~= HERE then place = line:match "^(.-:%d+):" end
  end
  local state = tostring(task):match "%((%a+)%)$"
  if state == "waiting" and waits_in then state = "waits in " .. waits_in end
  return ("%s %s, %s"):format(task:get_name(), state, place or "?")
end

local function describe_tasks(tasks)
  local lines = {}
  for i, task in ipairs(tasks) do lines[i] = "\n  " .. describe_task(task) end
  return table.concat(lines)
end

---------------------------------------------------------------------------------------------------
-- The time limit. The virtual clock stands still while anything is ready, so a task that spins is
-- found by a count hook in each coroutine. On the real clock a watcher also finds those that wait.

local on_error -- the handler in force in the running test
local limit -- of the running test: { at =, seconds =, verdict = }, or nil
local verdicts = {} -- all that were given, as keys
local create_task -- the library's own

local function give_verdict()
  limit.verdict = limit.verdict
    or ("no end within %g s; the tasks:%s"):format(limit.seconds, describe_tasks(aq.all_tasks()))
  verdicts[limit.verdict] = true
  return limit.verdict
end

local function on_count()
  if limit and system.monotime() > limit.at then error(give_verdict(), 0) end
end

local function watch_this_coroutine() debug.sethook(on_count, "", STEP) end

-- Each task's coroutine is watched from its creation: it is the Task's first user value.
local function watch_new_tasks()
  create_task = aq.create_task
  function aq.create_task(...)
    local ok, task = pcall(create_task, ...)
    if not ok then error((task:gsub("'%?'", "'create_task'")), 2) end
    debug.sethook(debug.getuservalue(task, 1), on_count, "", STEP)
    return task
  end
end

local function watch_real_time(main, seconds)
  local watcher = create_task(function()
    aq.sleep(seconds)
    give_verdict()
    main:cancel()
  end)
  watcher:set_name "the watcher"
  return watcher
end

---------------------------------------------------------------------------------------------------
-- The guard around a body

-- Waits until all of the tasks have ended, or for long enough. Returns those that have not.
local function wait_for_end(tasks)
  for turn = 1, TURNS do
    local left = {}
    for _, task in ipairs(tasks) do
      if not task:done() then left[#left + 1] = task end
    end
    tasks = left
    if #tasks == 0 then break end
    aq.sleep(turn < TURNS / 2 and 0 or 0.001)
  end
  return tasks
end

local known = setmetatable({}, { __mode = "k" }) -- tasks that no (further) test is blamed for

local function leftovers()
  local list = {}
  for _, task in ipairs(aq.all_tasks()) do
    if not known[task] then list[#list + 1] = task end
  end
  return list
end

-- Cancels the tasks that a test has left and waits for them; returns what to blame it for, or nil.
local function end_leftovers()
  local tasks = leftovers()
  if #tasks == 0 then return nil end
  local text = "tasks outlive their test:" .. describe_tasks(tasks)
  for _, task in ipairs(tasks) do task:cancel() end
  local stubborn = wait_for_end(tasks)
  if #stubborn > 0 then text = text .. "\nand do not end:" .. describe_tasks(stubborn) end
  for _, task in ipairs(stubborn) do known[task] = true end
  for _, task in ipairs(tasks) do pcall(task.exception, task) end -- retrieved
  return text
end

local Guard = {}

function Guard:__close()
  local verdict = limit.verdict
  limit = nil
  debug.sethook()
  while self.main:cancelling() > 0 do self.main:uncancel() end
  if self.watcher then self.watcher:cancel() end
  local left = end_leftovers()
  if self.watcher then wait_for_end { self.watcher } end
  self.clock:close()
  aq.on_error(nil)
  if verdict then error(verdict, 0) end
  if not self.body_returned then return end -- busted's message handler has kept the error already
  if left then error(left, 0) end
  if #self.reports > 0 then
    error("errors that nobody retrieved:\n  " .. table.concat(self.reports, "\n  "), 0)
  end
end

local function begin(option)
  local main, reports = aq.current_task(), {}
  local seconds = option.seconds or SECONDS
  known[main] = true
  limit = { at = system.monotime() + seconds, seconds = seconds }
  function on_error(task, err)
    if verdicts[err] then return end
    reports[#reports + 1] = ("%s: %s"):format(tostring(task), tostring(err))
  end
  aq.on_error(on_error)
  local clock = require("aqlua.testing").clock()
  local watcher
  if option.is_real then
    clock:close()
    watcher = watch_real_time(main, seconds)
    known[watcher] = true
  end
  watch_this_coroutine()
  return setmetatable({ main = main, clock = clock, watcher = watcher, reports = reports }, Guard)
end

local function guarded(body)
  local option = options[body] or {}
  local function run()
    local guard <close> = begin(option)
    body()
    guard.body_returned = true
  end
  options[run] = { is_guarded = true }
  return run
end

local function with_option(body, key, value)
  local function copy() return body() end
  options[copy] = {}
  for k, v in pairs(options[body] or {}) do options[copy][k] = v end
  options[copy][key] = value
  return copy
end

-- it("...", helper.real_clock(function() ... end)): with the real clock in force.
function helper.real_clock(body) return with_option(body, "is_real", true) end

-- it("...", helper.within(60, function() ... end)): with that many seconds of real time.
function helper.within(seconds, body)
  local factor = SECONDS / 10
  return with_option(body, "seconds", seconds * factor)
end

if have_library and aq.current_task() then
  watch_new_tasks()
  busted.subscribe({ "test", "start" }, function(test)
    local is_guarded = test.run and options[test.run] and options[test.run].is_guarded
    if test.descriptor == "it" and not is_guarded then test.run = guarded(test.run) end
    return nil, true
  end)
end

---------------------------------------------------------------------------------------------------
-- Tools: turns and events

-- Lets n turns pass.
function helper.tick(n)
  for _ = 1, n or 1 do aq.sleep(0) end
end

-- local hop <close> = helper.hops(): hop() is the number of turns since. The counter is the first
-- to run in each turn if it was made before the tasks it is to count for. While it is there the
-- virtual clock stands still.
function helper.hops()
  local turns = -1
  local counter = aq.create_task(function()
    while true do
      turns = turns + 1
      aq.sleep(0)
    end
  end)
  aq.sleep(0)
  return setmetatable({}, {
    __call = function() return turns end,
    __close = function()
      counter:cancel()
      wait_for_end { counter }
    end,
  })
end

local Log = {}
Log.__index = Log

function Log:__call(...)
  local words = {}
  for i = 1, select("#", ...) do words[i] = tostring((select(i, ...))) end
  self[#self + 1] = table.concat(words, " ")
end

function Log:text() return table.concat(self, ", ") end

-- log("a", 1) notes the event "a 1"; log:text() is all of them, with commas between.
function helper.log() return setmetatable({}, Log) end

---------------------------------------------------------------------------------------------------
-- Tools: errors

-- The error that fn(...) raises; there must be one.
function helper.error_of(fn, ...)
  local ok, err = pcall(fn, ...)
  if ok then error("no error was raised", 2) end
  return err
end

-- The name of the error value that fn(...) raises, or "ok".
function helper.try(fn, ...)
  local ok, err = pcall(fn, ...)
  if ok then return "ok" end
  return type(err) == "userdata" and err.name or tostring(err)
end

-- What is reported while `fn` runs as errors that nobody retrieved: a list of { task, err, text }.
-- `fn` must let go of the tasks it makes.
function helper.reports_of(fn, keep)
  keep = keep or table.pack
  local list = {}
  local function collect()
    for _ = 1, 2 do
      collectgarbage()
      aq.sleep(0)
    end
  end
  collect() -- what others have left is not ours
  aq.on_error(function(...) list[#list + 1] = keep(...) end)
  fn()
  collect()
  aq.on_error(on_error)
  return list
end

---------------------------------------------------------------------------------------------------
-- Tools: processes

helper.aqlua = os.getenv "AQLUA" or "./aqlua"
helper.build = os.getenv "AQLUA_BUILD" or "./build"

function helper.quote(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

local function read_and_remove(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "a"
  file:close()
  os.remove(path)
  return text
end

-- Writes a temporary file and returns its path; `remove` it with os.remove.
function helper.write_file(text)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
  return path
end

-- Runs a shell command; `input` is its stdin (none if nil). Returns stdout, stderr, status.
function helper.run(command, input)
  local stdin = input and helper.write_file(input)
  local out, err = os.tmpname(), os.tmpname()
  local _, how, status = os.execute(("{ %s\n} <%s >%s 2>%s"):format(
    command, stdin or "/dev/null", out, err))
  if stdin then os.remove(stdin) end
  local text, problem = read_and_remove(out), read_and_remove(err)
  return text, problem, how == "exit" and status or how .. " " .. status
end

local function words(program, arguments)
  local list = { "timeout -k 5 60", program }
  for _, argument in ipairs(arguments) do list[#list + 1] = helper.quote(argument) end
  return table.concat(list, " ")
end

-- Runs the executable with a list of arguments. Returns stdout, stderr, status.
function helper.run_cli(arguments, input)
  return helper.run(words(helper.quote(helper.aqlua), arguments), input)
end

-- Runs the text of a script with the executable, as a file, with a list of arguments.
function helper.run_script(text, arguments)
  local path = helper.write_file(text)
  local list = table.pack(path, table.unpack(arguments or {}))
  local out, err, status = helper.run_cli(list)
  os.remove(path)
  return out, err, status
end

-- Runs the text of a script with the stock interpreter, which finds the library as a C module.
function helper.run_stock(text)
  local path = helper.write_file(text)
  local setup = ("package.cpath = %q .. '/?.so;' .. package.cpath"):format(helper.build)
  local out, err, status = helper.run(words("lua5.4", { "-e", setup, path }))
  os.remove(path)
  return out, err, status
end

return helper
