-- Error values, and errors for misuse: what they say and where they point.

local aq = require "aqlua"
local helper = require "spec.helper"

local tick, error_of = helper.tick, helper.error_of

local NAMES = {
  "CancelledError", "TimeoutError", "QueueEmpty", "QueueFull", "QueueShutDown",
  "InvalidStateError", "BrokenBarrierError", "DeadlockError",
}

-- fn must raise a text that points into this file and contains `expected` as it stands.
local function assert_located(expected, fn)
  local err = error_of(fn)
  assert.equal("string", type(err))
  assert.matches("^spec/error_spec.lua:%d+: ", err)
  assert.matches(expected, err, 1, true)
end

describe("an error value", function()
  for _, name in ipairs(NAMES) do
    it(name .. " has a name and a message", function()
      local err = aq[name]
      assert.equal("userdata", type(err))
      assert.equal(name, err.name)
      assert.is_true(#err.message > 0)
      assert.equal(name .. ": " .. err.message, tostring(err))
      assert.is_nil(err.something)
      assert.is_nil(err[1])
    end)
  end

  it("equals those of its kind only", function()
    for i, a in ipairs(NAMES) do
      for k, b in ipairs(NAMES) do assert.equal(i == k, aq[a] == aq[b]) end
      assert.is_false(aq[a] == a)
      assert.is_false(aq[a] == io.stdout)
    end
  end)

  it("equals those of its kind that carry a message", function()
    local task = aq.create_task(function() return error_of(aq.sleep, 10) end)
    tick()
    task:cancel "a message"
    local err = task:await()
    assert.equal("a message", err.message)
    assert.is_true(err == aq.CancelledError)
    assert.is_true(aq.CancelledError == err)
    assert.is_false(err == aq.TimeoutError)
    assert.is_false(rawequal(err, aq.CancelledError))
    assert.not_equal("a message", aq.CancelledError.message)
  end)

  it("is no good as a table key, its name is", function()
    local task = aq.create_task(function() return error_of(aq.sleep, 10) end)
    tick()
    task:cancel "a message"
    local by_name = { [aq.CancelledError.name] = "found" }
    assert.equal("found", by_name[task:await().name])
  end)

  it("is the same each time it is raised bare: raising allocates nothing", function()
    local q = aq.Queue()
    assert.is_true(rawequal(aq.QueueEmpty, error_of(q.get_nowait, q)))
    assert.is_true(rawequal(aq.TimeoutError, error_of(q.get, q, 0)))
    pcall(q.get_nowait, q)
    collectgarbage()
    collectgarbage "stop"
    local before = collectgarbage "count"
    for _ = 1, 1000 do
      pcall(q.get_nowait, q)
      pcall(q.get, q, 0)
    end
    local after = collectgarbage "count"
    collectgarbage "restart"
    assert.is_true(after - before < 1)
  end)

  it("is joined as text with ..", function()
    local err, text = aq.TimeoutError, "TimeoutError: the time is up"
    assert.equal("late: " .. text, "late: " .. err)
    assert.equal(text .. "!", err .. "!")
    assert.equal(text .. 1, err .. 1)
    assert.equal(text .. text, err .. err)
    assert.equal("a" .. text .. "b", "a" .. err .. "b")
    assert.equal("QueueShutDown: the queue has been shut down", "" .. aq.QueueShutDown)
  end)

  it("is joined with what has a __concat of its own", function()
    local bag = setmetatable({}, { __concat = function(a, b)
      return type(a) == "string" and a .. "|bag" or "bag|" .. tostring(b)
    end })
    assert.equal("TimeoutError: the time is up|bag", aq.TimeoutError .. bag)
    assert.equal("bag|TimeoutError: the time is up", bag .. aq.TimeoutError)
  end)

  it("refuses to be joined with what a string refuses, at the caller", function()
    local err = aq.TimeoutError
    assert_located("attempt to concatenate a nil value", function() return err .. nil end)
    assert_located("attempt to concatenate a nil value", function() return nil .. err end)
    assert_located("attempt to concatenate a table value", function() return err .. {} end)
    assert_located("attempt to concatenate a boolean value", function() return true .. err end)
  end)

  it("has the methods of strings, on its text", function()
    local err = aq.TimeoutError
    assert.equal("TIMEOUTERROR: THE TIME IS UP", err:upper())
    assert.equal("TimeoutError", err:match "^(%a+):")
    assert.same({ 15, 17 }, { err:find("the", 1, true) })
    assert.same({ "TimeoutError: no time is up", 1 }, { err:gsub("the", "no") })
    assert.equal("Time", err:sub(1, 4))
    assert.equal(28, err:len())
    local words = {}
    for word in err:gmatch "%a+" do words[#words + 1] = word end
    assert.same({ "TimeoutError", "the", "time", "is", "up" }, words)
    assert.equal("X", err.upper "x")
  end)

  it("has them with the message that it carries", function()
    local task = aq.create_task(function() return error_of(aq.sleep, 10) end)
    tick()
    task:cancel "no more paper"
    local err = task:await()
    assert.is_truthy(err:find("no more paper", 1, true))
    assert.equal("no more paper", err.message)
    assert.equal("CancelledError: no more paper.", err .. ".")
  end)

  it("has those that the program adds to strings, which may wait", function()
    function string.slowly(text, more) -- luacheck: ignore
      aq.sleep(1)
      return text .. more, nil
    end
    local results = table.pack(aq.QueueEmpty:slowly "!")
    string.slowly = nil -- luacheck: ignore
    assert.same({ "QueueEmpty: no item is free in the queue!", n = 2 }, results)
    assert.is_nil(aq.QueueEmpty.slowly)
  end)

  it("locates the complaints of a method at the caller", function()
    local err = aq.TimeoutError
    assert_located("bad argument #1 to 'rep' (number expected, got no value)",
      function() err:rep() end)
    assert_located("bad argument #1 to 'find' (string expected, got nil)",
      function() err:find(nil) end)
  end)

  it("has own fields that win over methods of strings", function()
    string.name, string.message = string.upper, string.upper -- luacheck: ignore
    local name, message = aq.TimeoutError.name, aq.TimeoutError.message
    string.name, string.message = nil, nil -- luacheck: ignore
    assert.same({ "TimeoutError", "the time is up" }, { name, message })
  end)

  it("cannot be changed", function()
    assert.is_false(pcall(function() aq.TimeoutError.message = "x" end))
    assert.is_false(pcall(function() aq.TimeoutError.name = "x" end))
  end)

  it("passes through pcall, error and tasks as it is", function()
    local task = aq.create_task(function()
      local _, err = pcall(error, aq.QueueFull, 0)
      error(err)
    end)
    assert.is_true(rawequal(aq.QueueFull, error_of(task.await, task)))
  end)

  it("InvalidStateError says what is wrong", function()
    local future = aq.Future()
    assert.matches("not there yet", error_of(future.result, future).message, 1, true)
    future:set_result()
    assert.matches("done already", error_of(future.set_result, future).message, 1, true)
    assert.equal(aq.InvalidStateError, error_of(future.set_result, future))
    assert.equal(aq.InvalidStateError, error_of(future.set_exception, future, "x"))
  end)
end)

describe("a wrong self", function()
  local others = {
    ["nothing"] = function() end,
    ["a number"] = function() return 1 end,
    ["a table"] = function() return {} end,
    ["a file"] = function() return io.stdout end,
    ["an error value"] = function() return aq.TimeoutError end,
    ["a light userdata"] = function() return debug.upvalueid(helper.tick, 1) end,
  }

  for name, make in pairs(others) do
    it("of a Queue's method: " .. name, function()
      local q = aq.Queue()
      for _, method in ipairs {
        "put", "get", "put_nowait", "get_nowait", "qsize", "empty", "full", "maxsize", "name",
        "task_done", "join", "shutdown", "is_shutdown", "items",
      } do
        assert_located("Queue expected, got", function() q[method](make()) end)
      end
    end)

    it("of a Task's method: " .. name, function()
      local task = aq.current_task()
      for _, method in ipairs { "cancel", "uncancel", "cancelling", "get_name", "set_name",
                                "traceback" } do
        assert_located("Task expected, got", function() task[method](make()) end)
      end
      for _, method in ipairs { "await", "done", "cancelled", "result", "exception",
                                "add_done_callback", "remove_done_callback" } do
        assert_located("Task or Future expected, got", function() task[method](make()) end)
      end
    end)

    it("of a Future's and a Timeout's method: " .. name, function()
      local future = aq.Future()
      for _, method in ipairs { "set_result", "set_exception", "cancel", "done", "await" } do
        assert_located("Future expected, got", function() future[method](make()) end)
      end
      local timeout <close> = aq.timeout(1)
      for _, method in ipairs { "when", "expired", "reschedule" } do
        assert_located("Timeout expected, got", function() timeout[method](make()) end)
      end
    end)
  end

  it("of another of our classes", function()
    local q, task, future = aq.Queue(), aq.current_task(), aq.Future()
    assert_located("Queue expected, got Task", function() q.get(task) end)
    assert_located("Queue expected, got Future", function() q.put(future, 1) end)
    assert_located("Task expected, got Queue", function() task.cancel(q) end)
    assert_located("Task expected, got Future", function() task.cancel(future) end)
    assert_located("Future expected, got Task", function() future.set_result(task, 1) end)
    assert_located("Future expected, got Task", function() future.cancel(task) end)
    assert.equal(0, task:cancelling())
  end)

  it("with a metatable of ours, put there by debug.setmetatable", function()
    local q, task, future = aq.Queue(), aq.current_task(), aq.Future()
    local file = io.tmpfile()
    local its_own = debug.getmetatable(file)
    for _, ours in ipairs { q, task, future, aq.TimeoutError } do
      debug.setmetatable(file, debug.getmetatable(ours))
      assert.is_false(pcall(function() file:get_nowait() end))
      assert.is_false(pcall(function() file:cancel() end))
      assert.is_false(pcall(function() file:done() end))
      if ours ~= aq.TimeoutError then assert.is_false(pcall(tostring, file)) end
      debug.setmetatable(file, its_own)
    end
    file:close()
  end)
end)

describe("misuse is located at the caller:", function()
  it("a put without an item", function()
    local q = aq.Queue()
    assert_located("bad argument #1 to 'put' (value expected", function() q:put() end)
    assert_located("bad argument #1 to 'put_nowait' (value expected", function() q:put_nowait() end)
  end)

  it("a bound that is none", function()
    for _, maxsize in ipairs { 1.5, "3", true, 0 / 0, 2.0 ^ 70, math.huge } do
      assert_located("bad argument #1 to 'Queue'", function() aq.Queue(maxsize) end)
      assert_located("bad argument #1 to 'Queue'", function() aq.Queue { maxsize = maxsize } end)
    end
    assert_located("maxsize", function() aq.Queue { maxsize = "2" } end)
    assert_located("'bound'", function() aq.Queue { bound = 2 } end)
    assert_located("name", function() aq.Queue { name = 2 } end)
  end)

  it("a timeout that is none", function()
    local q = aq.Queue()
    local future = aq.Future()
    assert_located("bad argument #1 to 'get'", function() q:get(0 / 0) end)
    assert_located("bad argument #1 to 'get'", function() q:get "1" end)
    assert_located("bad argument #2 to 'put'", function() q:put(1, 0 / 0) end)
    assert_located("bad argument #1 to 'join'", function() q:join {} end)
    assert_located("bad argument #1 to 'await'", function() future:await "1" end)
    assert_located("bad argument #1 to 'sleep'", function() aq.sleep "1" end)
    assert_located("bad argument #1 to 'timeout'", function() aq.timeout "1" end)
    assert.equal(0, q:qsize())
  end)

  it("create_task without a function", function()
    assert_located("bad argument #1 to 'create_task' (function expected, got no value)",
      function() aq.create_task() end)
    assert_located("function expected, got nil", function() aq.create_task(nil) end)
    assert_located("function expected, got table", function() aq.create_task({}) end)
    assert_located("function expected, got Queue", function() aq.create_task(aq.Queue()) end)
    assert.equal(1, #aq.all_tasks())
  end)

  it("names the class of what it got instead", function()
    local q, event, group = aq.Queue(), aq.Event(), aq.TaskGroup()
    local lock = aq.Lock()
    for expected, call in pairs {
      ["#1 to 'wait' (list expected, got Queue)"] = function() aq.wait(q) end,
      ["#2 to 'wait' (table expected, got Event)"] = function() aq.wait({}, event) end,
      ["#1 to 'as_completed' (list expected, got Queue)"] = function() aq.as_completed(q) end,
      ["#2 to 'as_completed' (number of seconds expected, got Queue)"] = function()
        aq.as_completed({}, q)
      end,
      ["#1 to 'gather' (Task, Future or function expected, got Event)"] = function()
        aq.gather(event)
      end,
      ["#2 to 'gather' (table expected, got Event)"] = function() aq.gather({}, event) end,
      ["#1 to 'put_many' (list expected, got Queue)"] = function() q:put_many(q) end,
      ["#1 to 'drain' (Queue expected, got Event)"] = function() q.drain(event) end,
      ["#1 to 'guard' (Lock or Semaphore expected, got Queue)"] = function() lock.guard(q) end,
      ["#1 to 'cancel' (TaskGroup expected, got aq.Error)"] = function()
        group.cancel(aq.CancelledError)
      end,
      ["#1 to 'create_task' (function expected, got TaskGroup)"] = function()
        group:create_task(group)
      end,
      ["#2 to 'map' (function expected, got Queue)"] = function() aq.map(1, q, {}) end,
      ["#3 to 'map' (list, iterator or queue expected, got Event)"] = function()
        aq.map(1, print, event)
      end,
      ["#1 to 'wait_for' (Task, Future or function expected, got Queue; to"] = function()
        aq.wait_for(q, 1)
      end,
      ["#1 to 'shield' (Task, Future or function expected, got Queue)"] = function()
        aq.shield(q)
      end,
      ["#1 to 'run' (function expected, got Queue)"] = function() aq.run(q) end,
      ["#1 to 'await' (function expected, got Queue)"] = function() aq.await(q) end,
      ["branch '1': Task, Future, or a branch such as q:getting() expected, got Queue"] = function()
        aq.select { q }
      end,
      ["maxsize: integer expected, got Queue"] = function() aq.Queue { maxsize = q } end,
      ["name: string expected, got Queue"] = function() aq.Queue { name = q } end,
    } do
      assert_located(expected, call)
    end
  end)

  it("create_task, from the library itself", function()
    local out, err, status = helper.run_script "local aq = require 'aqlua'\naq.create_task(nil)"
    local expected = ":2: bad argument #1 to 'create_task' (function expected, got nil)"
    assert.matches(expected, err, 1, true)
    assert.same({ "", 1 }, { out, status })
  end)

  it("task_done too often", function()
    local q = aq.Queue()
    assert_located("task_done called too many times", function() q:task_done() end)
  end)

  it("await of oneself", function()
    local task
    task = aq.create_task(function()
      assert_located("await", function() task:await() end)
    end)
    task:await()
  end)

  it("run without a function", function()
    assert_located("bad argument #1 to 'run' (function expected, got nil)",
      function() aq.run(nil) end)
  end)

  it("set_exception without an error", function()
    local future = aq.Future()
    assert_located("error value expected", function() future:set_exception(nil) end)
    assert_located("error value expected", function() future:set_exception() end)
    assert.is_false(future:done())
  end)
end)

describe("a wait where Lua cannot suspend names the place and changes nothing:", function()
  local q

  before_each(function() q = aq.Queue() end)

  local function assert_refused(place, fn)
    local err = tostring(error_of(fn))
    assert.matches("error_spec.lua:%d+: ", err)
    assert.matches("cannot wait here", err, 1, true)
    assert.matches(place, err, 1, true)
    -- no ghost is left in the queue, and the task goes on
    q:put_nowait "item"
    assert.equal("item", q:get_nowait())
    aq.sleep(0)
  end

  it("table.sort", function()
    assert_refused("table.sort", function()
      table.sort({ 3, 2, 1 }, function(a, b)
        q:get()
        return a < b
      end)
    end)
  end)

  it("string.gsub", function()
    assert_refused("string.gsub", function() ("a"):gsub("a", function() q:get() end) end)
    assert_refused("string.gsub", function() string.gsub("a", "a", function() q:get() end) end)
  end)

  it("__tostring", function()
    local thing = setmetatable({}, { __tostring = function() return q:get() end })
    assert_refused("tostring", function() tostring(thing) end)
    assert_refused("string.format", function() string.format("%s", thing) end)
  end)

  it("ipairs, table.concat and table.unpack through metamethods", function()
    local thing = setmetatable({}, {
      __index = function() return q:get() end,
      __len = function() return 1 end,
    })
    assert_refused("table.concat", function() table.concat(thing) end)
    assert_refused("unpack", function() table.unpack(thing) end)
  end)

  it("load with a reader", function()
    assert_refused("load", function() assert(load(function() return q:get() end)) end)
  end)

  it("also for put, join, sleep, await, items, timeouts of each", function()
    local full, future = aq.Queue(1), aq.Future()
    full:put_nowait(1)
    for _, wait in ipairs {
      function() full:put {} end,
      function() full:put({}, 1) end,
      function() full:join() end,
      function() aq.sleep(1) end,
      function() aq.sleep(0) end,
      function() future:await() end,
      function() for _ in q:items() do error "an item" end end,
    } do
      assert_refused("table.sort", function() table.sort({ 1, 2 }, wait) end)
    end
    assert.equal(1, full:qsize())
    assert.equal(1, full:get())
    future:set_result(1)
    assert.equal(1, future:await())
  end)

  it("calls that need not suspend are fine there", function()
    q:put(1)
    q:put(2)
    local got = {}
    table.sort({ 1, 2 }, function(a, b)
      got[#got + 1] = q:get()
      return a < b
    end)
    assert.equal(1, got[1])
  end)

  it("a finalizer", function()
    local text
    setmetatable({}, { __gc = function() text = tostring(error_of(q.get, q)) end })
    collectgarbage()
    assert.matches("wait", text, 1, true)
    q:put_nowait "item"
    assert.equal("item", q:get_nowait())
  end)
end)

describe("a wait outside a task", function()
  it("in a done callback says so", function()
    local texts = {}
    local q, future = aq.Queue(), aq.Future()
    local task = aq.create_task(function() end)
    task:add_done_callback(function()
      for i, wait in ipairs {
        function() q:get() end, function() q:put(1) end, function() q:join() end,
        function() aq.sleep(1) end, function() future:await() end,
        function() aq.wait_for(q.get, 1, q) end, function() aq.gather() end,
      } do
        texts[i] = error_of(wait)
      end
    end)
    tick(3)
    assert.equal(7, #texts)
    local expected = "cannot wait in a callback: no task is running here; create one, or call "
      .. "what never waits: put_nowait, set, set_result"
    for _, text in ipairs(texts) do
      assert.matches("^spec/error_spec.lua:%d+: ", text)
      assert.matches(expected, text, 1, true)
    end
    assert.equal(0, q:qsize())
  end)

  it("under stock Lua says so; what never waits works there (Q19)", function()
    local out, err, status = helper.run_stock [[
      local aq = require "aqlua"
      local q = aq.Queue(2)
      for _, wait in ipairs {
        function() q:get() end, function() q:put(1) end, function() q:join() end,
        function() aq.sleep(1) end, function() aq.Future():await() end,
      } do
        local _, text = pcall(wait)
        print((text:gsub("^.-:%d+: ", "")))
      end
      q:put_nowait(1)
      q:put_nowait(2)
      print(q:qsize(), q:full(), q:get_nowait(), q:empty(), pcall(q.task_done, q))
      print(q:shutdown(true).n)
    ]]
    local line = "no task is running: wrap your program in aq.run, or start it with aqlua\n"
    assert.equal("", err)
    assert.equal(line:rep(5) .. "2\ttrue\t1\tfalse\ttrue\n1\n", out)
    assert.equal(0, status)
  end)
end)

describe("an error of the system", function()
  local parents = {
    OSError = false, FileNotFoundError = "OSError", FileExistsError = "OSError",
    PermissionError = "OSError", IsADirectoryError = "OSError", NotADirectoryError = "OSError",
    ProcessLookupError = "OSError", ChildProcessError = "OSError", AddressInUseError = "OSError",
    ConnectionError = "OSError", ConnectionRefusedError = "ConnectionError",
    ConnectionResetError = "ConnectionError", ConnectionAbortedError = "ConnectionError",
    BrokenPipeError = "ConnectionError",
  }

  it("has a name and a message", function()
    for name in pairs(parents) do
      assert.equal(name, aq[name].name)
      assert.equal(name .. ": " .. aq[name].message, tostring(aq[name]))
      assert.is_nil(aq[name].code)
      assert.is_true(rawequal(aq[name], aq[name]))
    end
  end)

  local function is_below(name, other)
    while name and name ~= other do name = parents[name] end
    return name == other
  end

  it("equals those of its kind and of the kinds above it", function()
    for a in pairs(parents) do
      for b in pairs(parents) do
        assert.equal(is_below(a, b) or is_below(b, a), aq[a] == aq[b], a .. " == " .. b)
      end
      assert.is_false(aq[a] == aq.TimeoutError)
    end
  end)

  it("is a name of the module", function()
    local names = {}
    for name in pairs(aq) do names[name] = true end
    for name in pairs(parents) do assert.is_true(names[name], name) end
  end)
end)
