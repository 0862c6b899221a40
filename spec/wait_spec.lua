-- aq.wait and aq.as_completed. The numbers are those of the semantics.

local aq = require "aqlua"
local helper = require "spec.helper"

local tick = helper.tick
local try, error_of = helper.try, helper.error_of

local function sleeping(seconds, value)
  return aq.create_task(function()
    aq.sleep(seconds)
    return value or seconds
  end)
end

local function failing(seconds, err)
  return aq.create_task(function()
    aq.sleep(seconds)
    error(err, 0)
  end)
end

local function all_done(list)
  for _, item in ipairs(list) do
    if not item:done() then return false end
  end
  return true
end

local function results(list)
  local values = {}
  for i, task in ipairs(list) do values[i] = task:result() end
  return values
end

local function cancel_all(list)
  for _, task in ipairs(list) do task:cancel() end
  tick(3)
end

-- How many callbacks are on a future, by removing one's own kind: none must be left of others'. The
-- future's results are let go with it, so a probe tells whether anything still refers to it.
local function is_let_go(make)
  local probe = setmetatable({}, { __mode = "k" })
  do
    local object = make()
    probe[object] = true
  end
  tick()
  collectgarbage()
  collectgarbage()
  return next(probe) == nil
end

describe("wait", function()
  it("returns when all have ended: done in order of the list, nothing pending (G5)", function()
    local list = { sleeping(3), sleeping(1), sleeping(2) }
    local start = aq.now()
    local done, pending = aq.wait(list)
    assert.near(3, aq.now() - start, 1e-6)
    assert.same({ 3, 1, 2 }, results(done))
    assert.same({}, pending)
    assert.equal(2, select("#", aq.wait(list)))
  end)

  it("takes tasks, futures and functions", function()
    local future = aq.Future()
    local task = sleeping(1)
    local setter = aq.create_task(function() future:set_result "set" end)
    local done, pending = aq.wait { task, future, function() return "called" end }
    assert.same({ 1, "set", "called" }, results(done))
    assert.is_true(rawequal(task, done[1]) and rawequal(future, done[2]))
    assert.same({}, pending)
    assert.is_true(setter:done())
  end)

  it("lists a task given twice once, and runs a function each time (G1, G5)", function()
    local runs = 0
    local function fn()
      runs = runs + 1
      tick()
    end
    local task = sleeping(1)
    local done = aq.wait { task, fn, task, fn }
    assert.equal(3, #done)
    assert.equal(2, runs)
  end)

  it("an empty list is an error (G5)", function()
    local err = error_of(function() aq.wait {} end)
    assert.matches("^spec/wait_spec.lua:%d+: .*list is empty", err)
  end)

  it("refuses bad arguments, and starts nothing", function()
    local started = 0
    local function fn() started = started + 1 end
    for _, list in ipairs { { fn, 5 }, { fn, {} }, { fn, "x" }, { fn, aq.Queue() } } do
      local err = error_of(function() aq.wait(list) end)
      assert.matches("^spec/wait_spec.lua:%d+: .*Task, Future or function expected", err)
    end
    for _, bad in ipairs { 5, "x", true, fn } do
      assert.matches("list expected", error_of(aq.wait, bad), 1, true)
    end
    assert.matches("list expected", error_of(aq.wait), 1, true)
    assert.matches("table expected", error_of(aq.wait, { fn }, 5), 1, true)
    assert.matches("unknown option 'when'", error_of(aq.wait, { fn }, { when = 1 }), 1, true)
    assert.matches("return_when", error_of(aq.wait, { fn }, { return_when = "ALL" }), 1, true)
    assert.is_false((pcall(aq.wait, { fn }, { timeout = "1" })))
    assert.is_false((pcall(aq.wait, { fn }, { timeout = 0 / 0 })))
    tick(2)
    assert.equal(0, started)
  end)

  it("where it cannot wait starts nothing; if all is done it need not wait", function()
    local started = 0
    local function fn() started = started + 1 end
    local function in_sort(...)
      local arguments = table.pack(...)
      return pcall(table.sort, { 2, 1 }, function() aq.wait(table.unpack(arguments)) end)
    end
    local ok, err = in_sort { sleeping(0), fn }
    assert.is_false(ok)
    assert.matches("^spec/wait_spec.lua:%d+: cannot wait here: inside table.sort", err)
    assert.matches("wait for each other", error_of(aq.wait, { fn, aq.current_task() }), 1, true)
    tick(2)
    assert.equal(0, started)
    assert.is_false(in_sort({ fn }, { timeout = 0 }))
    tick(2)
    assert.equal(0, started)
    local ended = sleeping(0)
    tick(3)
    assert.is_true(in_sort({ ended }, { timeout = 0 }))
  end)

  it("outside of a task is refused", function()
    local _, err, status = helper.run_stock [[
      local aq = require "aqlua"
      aq.wait { aq.Future() }
    ]]
    assert.equal(1, status)
    assert.matches("no task is running", err, 1, true)
  end)

  it("FIRST_COMPLETED (G5)", function()
    local list = { sleeping(3), sleeping(1), sleeping(2) }
    local done, pending = aq.wait(list, { return_when = "FIRST_COMPLETED" })
    assert.same({ 1 }, results(done))
    assert.equal(2, #pending)
    assert.is_true(rawequal(list[1], pending[1]) and rawequal(list[3], pending[2]))
    done, pending = aq.wait(pending, { return_when = "FIRST_COMPLETED" })
    assert.same({ 2 }, results(done))
    done, pending = aq.wait(pending, { return_when = "FIRST_COMPLETED" })
    assert.same({ 3 }, results(done))
    assert.same({}, pending)
  end)

  it("FIRST_COMPLETED counts errors and cancels as ends (G5)", function()
    local bad, other = failing(1, "bad"), sleeping(2)
    local done, pending = aq.wait({ other, bad }, { return_when = "FIRST_COMPLETED" })
    assert.is_true(rawequal(bad, done[1]) and rawequal(other, pending[1]))
    assert.equal("bad", bad:exception())
    bad = sleeping(5)
    bad:cancel()
    done = aq.wait({ other, bad }, { return_when = "FIRST_COMPLETED" })
    assert.is_true(rawequal(bad, done[1]))
    other:await()
  end)

  it("FIRST_EXCEPTION: at the first error, cancels not counted, or when all end (G5)", function()
    local option = { return_when = "FIRST_EXCEPTION" }
    local good, cancelled, bad, late = sleeping(1), sleeping(9), failing(2, "bad"), sleeping(3)
    cancelled:cancel()
    local done, pending = aq.wait({ good, cancelled, bad, late }, option)
    assert.equal(3, #done)
    assert.is_true(rawequal(late, pending[1]))
    assert.equal("bad", bad:exception())
    done, pending = aq.wait({ late, good }, option)
    assert.equal(2, #done)
    assert.same({}, pending)
  end)

  it("FIRST_EXCEPTION and FIRST_COMPLETED see what ended before the call (G5)", function()
    local bad, good, never = failing(0, "bad"), sleeping(0), aq.Future()
    tick(3)
    local done, pending = aq.wait({ never, bad }, { return_when = "FIRST_EXCEPTION" })
    assert.is_true(rawequal(bad, done[1]) and rawequal(never, pending[1]))
    done = aq.wait({ never, good }, { return_when = "FIRST_COMPLETED" })
    assert.is_true(rawequal(good, done[1]))
    assert.equal("bad", bad:exception())
  end)

  it("a timeout raises nothing and cancels nothing (G5)", function()
    local list, start = { sleeping(1), sleeping(5), sleeping(6) }, aq.now()
    local done, pending = aq.wait(list, { timeout = 2 })
    assert.near(2, aq.now() - start, 1e-6)
    assert.same({ 1 }, results(done))
    assert.equal(2, #pending)
    for _, task in ipairs(pending) do assert.equal(0, task:cancelling()) end
    done, pending = aq.wait(list, { timeout = 10 })
    assert.equal(3, #done)
    assert.same({}, pending)
  end)

  it("returns two turns after the last end (H15)", function()
    local hop <close> = helper.hops()
    local future, from = aq.Future(), nil
    aq.create_task(function()
      tick(2)
      from = hop()
      future:set_result()
    end)
    aq.wait { future }
    assert.equal(2, hop() - from)
  end)

  it("on what has ended already takes two turns as well (H15)", function()
    local future = aq.Future()
    future:set_result()
    local task = sleeping(0)
    tick(3)
    local hop <close> = helper.hops()
    aq.wait { future, task }
    assert.equal(2, hop())
  end)

  it("what ends in the turn between counts as done", function()
    local a, b = aq.Future(), aq.Future()
    aq.create_task(function()
      a:set_result()
      tick()
      b:set_result()
    end)
    local done, pending = aq.wait({ a, b }, { return_when = "FIRST_COMPLETED" })
    assert.equal(2, #done)
    assert.equal(0, #pending)
  end)

  it("raises no error of the tasks, and does not count as retrieving (G5, T12)", function()
    local reports = helper.reports_of(function()
      local done = aq.wait { failing(0, "nobody looks") }
      assert.is_true(done[1]:done())
    end)
    assert.equal(1, #reports)
    assert.equal("nobody looks", reports[1][2])
  end)

  it("an error that is looked at afterwards is not reported (T12)", function()
    local reports = helper.reports_of(function()
      local done = aq.wait({ failing(0, "seen") }, { return_when = "FIRST_EXCEPTION" })
      assert.equal("seen", done[1]:exception())
    end)
    assert.same({}, reports)
  end)

  it("cancelled: raises CancelledError, the tasks go on (G5)", function()
    local list = { sleeping(3), sleeping(4) }
    local waiter = aq.create_task(aq.wait, list)
    tick()
    waiter:cancel()
    tick(2)
    assert.is_true(waiter:cancelled())
    for _, task in ipairs(list) do assert.equal(0, task:cancelling()) end
    aq.wait(list)
    assert.is_true(all_done(list))
  end)

  it("under a deadline of wait_for: TimeoutError, the tasks go on", function()
    local task = sleeping(3)
    assert.equal("TimeoutError", try(aq.wait_for, aq.wait, 1, { task }))
    assert.equal(0, task:cancelling())
    assert.equal(3, task:await())
  end)

  it("leaves nothing behind on what goes on", function()
    local future = aq.Future()
    assert.is_true(is_let_go(function()
      local other = sleeping(0, {})
      aq.wait({ future, other }, { return_when = "FIRST_COMPLETED" })
      return other
    end))
    assert.is_true(is_let_go(function()
      local other = sleeping(0, {})
      aq.wait({ future, other }, { timeout = 1 })
      return other
    end))
    assert.is_true(is_let_go(function()
      local other = aq.Future()
      local waiter = aq.create_task(aq.wait, { future, other })
      tick()
      waiter:cancel()
      tick(3)
      return other
    end))
    future:set_result()
    tick()
  end)

  it("oneself is refused: it would wait for ever (T10)", function()
    local me = aq.current_task()
    assert.matches("wait for each other", error_of(aq.wait, { me }), 1, true)
    assert.matches("wait for each other", error_of(aq.wait, { sleeping(0), me }), 1, true)
    tick(3)
  end)

  it("1000 tasks", function()
    local list = {}
    for i = 1, 1000 do list[i] = sleeping(i % 7, i) end
    local done, pending = aq.wait(list)
    assert.equal(1000, #done)
    assert.equal(0, #pending)
    for i = 1, 1000 do assert.equal(i, done[i]:result()) end
  end)
end)

describe("as_completed", function()
  local function order(list, timeout)
    local values = {}
    for task in aq.as_completed(list, timeout) do values[#values + 1] = task:result() end
    return values
  end

  it("gives the tasks in order of their ends (G5)", function()
    assert.same({ 1, 2, 3 }, order { sleeping(3), sleeping(1), sleeping(2) })
  end)

  it("gives the task objects themselves, done", function()
    local list = { sleeping(2), sleeping(1) }
    local seen = {}
    for task in aq.as_completed(list) do
      assert.is_true(task:done())
      seen[#seen + 1] = task
    end
    assert.is_true(rawequal(list[2], seen[1]) and rawequal(list[1], seen[2]))
    assert.equal(2, #seen)
  end)

  it("ends in one turn: in order of their ends, or of the list (G5)", function()
    assert.same({ "a", "b", "c" }, order { sleeping(1, "a"), sleeping(1, "b"), sleeping(1, "c") })
    local list = { sleeping(0, "a"), sleeping(0, "b") }
    tick(3)
    assert.same({ "b", "a" }, order { list[2], list[1] })
  end)

  it("takes tasks, futures and functions; a task given twice once (G1)", function()
    local future = aq.Future()
    future:set_result "future"
    local function fn()
      aq.sleep(1)
      return "function"
    end
    local task = sleeping(2, "task")
    assert.same({ "future", "function", "function", "task" },
      order { task, fn, future, task, fn })
  end)

  it("an error does not end the loop; it is raised by who asks", function()
    local log = helper.log()
    for task in aq.as_completed { failing(1, "bad"), sleeping(2, "good") } do
      log(pcall(task.result, task))
    end
    assert.equal("false bad, true good", log:text())
  end)

  it("a cancelled task is one that has ended", function()
    local task, n = sleeping(5), 0
    task:cancel()
    for ended in aq.as_completed { task, sleeping(1) } do
      n = n + 1
      assert.equal(n == 1, ended:cancelled())
    end
    assert.equal(2, n)
  end)

  it("refuses bad arguments, and starts nothing", function()
    local started = 0
    local function fn() started = started + 1 end
    for _ in aq.as_completed {} do started = started + 1 end -- nothing is no mistake (G5)
    assert.matches("list expected", error_of(aq.as_completed, 5), 1, true)
    local err = error_of(function() aq.as_completed { fn, 5 } end)
    assert.matches("^spec/wait_spec.lua:%d+: .*Task, Future or function expected", err)
    assert.is_false((pcall(aq.as_completed, { fn }, "1")))
    assert.is_false((pcall(aq.as_completed, { fn }, 0 / 0)))
    tick(2)
    assert.equal(0, started)
  end)

  it("where its steps cannot wait starts nothing", function()
    local started = 0
    local ok, err = pcall(table.sort, { 2, 1 }, function()
      aq.as_completed { function() started = started + 1 end }
    end)
    assert.is_false(ok)
    assert.matches("^spec/wait_spec.lua:%d+: cannot wait here: inside table.sort", err)
    tick(2)
    assert.equal(0, started)
  end)

  it("the time is for all: TimeoutError when it is up, nothing is cancelled (G5)", function()
    local list, seen = { sleeping(1), sleeping(2), sleeping(9) }, {}
    local start = aq.now()
    assert.equal("TimeoutError", try(function()
      for task in aq.as_completed(list, 5) do seen[#seen + 1] = task:result() end
    end))
    assert.near(5, aq.now() - start, 1e-6)
    assert.same({ 1, 2 }, seen)
    assert.equal(0, list[3]:cancelling())
    assert.equal(9, list[3]:await())
  end)

  it("time that the loop's body takes counts", function()
    local list, seen = { sleeping(1), sleeping(2), sleeping(9) }, 0
    assert.equal("TimeoutError", try(function()
      for _ in aq.as_completed(list, 4) do
        seen = seen + 1
        aq.sleep(2)
      end
    end))
    assert.equal(2, seen)
    cancel_all(list)
  end)

  it("a timeout of 0 or less gives what has ended already, and looks again (X10)", function()
    local list = { sleeping(0, "a"), sleeping(5) }
    tick(3)
    for _, timeout in ipairs { 0, -1 } do
      local hop <close> = helper.hops()
      local seen = {}
      assert.equal("TimeoutError", try(function()
        for task in aq.as_completed(list, timeout) do seen[#seen + 1] = task:result() end
      end))
      assert.same({ "a" }, seen)
      assert.equal(1, hop())
    end
    cancel_all(list)
  end)

  it("goes on two turns after an end (H15)", function()
    local hop <close> = helper.hops()
    local future, from = aq.Future(), nil
    aq.create_task(function()
      tick(2)
      from = hop()
      future:set_result()
    end)
    for _ in aq.as_completed { future } do assert.equal(2, hop() - from) end
  end)

  it("left by break: nothing is cancelled, and no callback is left behind", function()
    local future = aq.Future()
    assert.is_true(is_let_go(function()
      local first = sleeping(0, {})
      for task in aq.as_completed { future, first } do
        if rawequal(task, first) then break end
      end
      return first
    end))
    local slow = sleeping(3)
    for _ in aq.as_completed { sleeping(1), slow } do break end -- luacheck: ignore
    assert.equal(0, slow:cancelling())
    assert.equal(3, slow:await())
    future:set_result()
    tick()
  end)

  it("left by an error or a cancel: the same", function()
    local future, problem = aq.Future(), {}
    assert.is_true(is_let_go(function()
      local first = sleeping(0, {})
      assert.is_true(rawequal(problem, error_of(function()
        for _ in aq.as_completed { future, first } do error(problem) end
      end)))
      return first
    end))
    assert.is_true(is_let_go(function()
      local second = aq.Future()
      local waiter = aq.create_task(function()
        for _ in aq.as_completed { future, second } do error "not reached" end
      end)
      tick()
      waiter:cancel()
      tick(3)
      assert.is_true(waiter:cancelled())
      return second
    end))
    assert.is_false(future:done())
    future:set_result()
    tick()
  end)

  it("two loops over the same tasks see the same", function()
    local list = { sleeping(2, "a"), sleeping(1, "b") }
    local other = aq.create_task(order, list)
    assert.same({ "b", "a" }, order(list))
    assert.same({ "b", "a" }, other:await())
  end)

  it("an error nobody asks for is reported (T12)", function()
    local reports = helper.reports_of(function()
      for task in aq.as_completed { failing(0, "nobody looks") } do
        assert.is_true(task:done())
      end
    end)
    assert.equal(1, #reports)
  end)
end)
