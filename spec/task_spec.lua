-- Tasks: steps, cancel, callbacks, errors that nobody retrieved, lifetime. The numbers are those of
-- the semantics.

local aq = require "aqlua"
local helper = require "spec.helper"

local tick = helper.tick
local try, error_of = helper.try, helper.error_of

-- A task that waits for ever, until cancelled.
local function sleeper() return aq.create_task(function() aq.sleep(math.huge) end) end

-- A task that swallows its cancel for `turns` more suspensions.
local function stubborn(turns)
  return aq.create_task(function()
    for _ = 1, turns do pcall(aq.sleep, math.huge) end
  end)
end

local function end_of(task)
  pcall(task.await, task)
  return task
end

describe("create_task", function()
  it("runs first steps in the next turn, in order of creation (T1, H2)", function()
    local log = helper.log()
    for _, name in ipairs { "a", "b", "c" } do aq.create_task(log, name) end
    log "main"
    tick()
    assert.equal("main, a, b, c", log:text())
  end)

  it("takes turns round robin (H28)", function()
    local log = helper.log()
    for _, name in ipairs { "a", "b" } do
      aq.create_task(function()
        for i = 0, 2 do
          log(name .. i)
          aq.sleep(0)
        end
      end)
    end
    tick(4)
    assert.equal("a0, b0, a1, b1, a2, b2", log:text())
  end)

  it("hands the arguments over, nils included, and all results back", function()
    local task = aq.create_task(function(...) return select("#", ...), ... end, nil, 2, nil)
    assert.same({ 3, nil, 2, nil, n = 4 }, table.pack(task:await()))
    assert.same({ 3, nil, 2, nil, n = 4 }, table.pack(task:await()))
    assert.same({ 3, nil, 2, nil, n = 4 }, table.pack(task:result()))
  end)

  it("takes 255 arguments, and 10,000 results", function()
    local list = {}
    for i = 1, 255 do list[i] = i end
    local task = aq.create_task(function(...) return ... end, table.unpack(list))
    assert.same(list, { task:await() })
    for i = 256, 10000 do list[i] = i end
    task = aq.create_task(function() return table.unpack(list) end)
    assert.same(list, { task:await() })
  end)

  it("distinguishes no result from nil", function()
    assert.equal(0, select("#", aq.create_task(function() end):await()))
    assert.equal(1, select("#", aq.create_task(function() return nil end):await()))
  end)

  it("keeps a task alive that nobody holds (T11, B52)", function()
    local weak, log = setmetatable({}, { __mode = "v" }), helper.log()
    local function make()
      local q = aq.Queue()
      weak.q = q
      weak.task = aq.create_task(function()
        log("got", q:get())
        aq.sleep(1)
        log "end"
      end)
    end
    make()
    for _ = 1, 5 do
      tick()
      collectgarbage()
    end
    weak.q:put_nowait "x"
    for _ = 1, 5 do
      tick()
      collectgarbage()
    end
    aq.sleep(2)
    assert.equal("got x, end", log:text())
  end)

  it("lets go of a task, its coroutine and its values once it has ended", function()
    local weak = setmetatable({}, { __mode = "v" })
    local function make()
      weak.argument, weak.result = {}, {}
      weak.task = aq.create_task(function() return weak.result end, weak.argument)
      weak.failed = aq.create_task(function() error(weak.result) end)
      end_of(aq.create_task(pcall, weak.failed.await, weak.failed))
      weak.cancelled = sleeper()
      tick()
      weak.cancelled:cancel()
    end
    make()
    tick(3)
    collectgarbage()
    collectgarbage()
    assert.same({}, weak)
  end)

  it("a Task is a good key in a weak table", function()
    local names = setmetatable({}, { __mode = "k" })
    local task = sleeper()
    names[task] = "here"
    collectgarbage()
    for _, t in ipairs(aq.all_tasks()) do
      if names[t] then assert.is_true(rawequal(t, task)) end
    end
    assert.equal("here", names[task])
    task:cancel()
    tick()
  end)
end)

describe("a value with __call", function()
  local function callable(fn)
    return setmetatable({}, { __call = function(_, ...) return fn(...) end, __metatable = "mine" })
  end

  local five = callable(function(...)
    tick()
    return 5, ...
  end)

  it("runs wherever a task runs a function", function()
    assert.same({ 5, 1 }, { aq.create_task(five, 1):await() })
    assert.same({ 5, 2 }, { aq.run(five, 2) })
    assert.same({ 5, 3 }, { aq.wait_for(five, 1, 3) })
    assert.same({ 5, 4 }, { aq.shield(five, 4) })
    assert.equal(6, aq.await(callable(function(done) done(6) end)))
    local group <close> = aq.TaskGroup()
    assert.equal(5, group:create_task(five):await())
  end)

  it("is one of several, and is no list", function()
    assert.same({ 5, 5, n = 2, failed = {} }, aq.gather(five, five))
    assert.same({ 5, n = 1, failed = {} }, aq.gather { five })
    assert.equal(5, aq.wait({ five })[1]:result())
    for task in aq.as_completed { five } do assert.equal(5, task:result()) end
    assert.same({ 5, 5, n = 2 }, aq.map(2, five, { "a", "b" }))
    local left = 3
    local countdown = callable(function()
      left = left - 1
      return left > 0 and left or nil
    end)
    assert.same({ 2, 1, n = 2 }, aq.map(1, function(i) return i end, countdown))
  end)
end)

describe("the end of a task", function()
  it("wakes its awaiter a turn later; an ended task is awaited in no turn (H5, H6)", function()
    local hop <close> = helper.hops()
    local task = aq.create_task(function() return hop() end)
    assert.equal(1, task:await())
    assert.equal(2, hop())
    assert.equal(1, task:await())
    assert.equal(2, hop())
  end)

  it("shows in done, cancelled, result and exception", function()
    local task = aq.create_task(function() return "a", "b" end)
    assert.same({ false, false }, { task:done(), task:cancelled() })
    assert.equal(aq.InvalidStateError, error_of(task.result, task))
    assert.equal(aq.InvalidStateError, error_of(task.exception, task))
    task:await()
    assert.same({ true, false }, { task:done(), task:cancelled() })
    assert.same({ "a", "b" }, { task:result() })
    assert.same({ n = 1 }, table.pack(task:exception()))
  end)

  it("by an error: result raises it, exception returns it", function()
    local problem = {}
    local task = end_of(aq.create_task(function() error(problem) end))
    assert.same({ true, false }, { task:done(), task:cancelled() })
    assert.is_true(rawequal(problem, error_of(task.result, task)))
    assert.is_true(rawequal(problem, task:exception()))
  end)

  it("by a cancel: result and exception raise CancelledError", function()
    local task = sleeper()
    tick()
    task:cancel()
    tick()
    assert.same({ true, true }, { task:done(), task:cancelled() })
    assert.equal(aq.CancelledError, error_of(task.result, task))
    assert.equal(aq.CancelledError, error_of(task.exception, task))
    assert.equal(aq.CancelledError, error_of(task.await, task))
  end)

  it("by an error: every await raises it again, the same value (T9)", function()
    local problem = {}
    local task = aq.create_task(function()
      aq.sleep(0)
      error(problem)
    end)
    for _ = 1, 3 do assert.is_true(rawequal(problem, error_of(task.await, task))) end
    local others = {}
    for i = 1, 3 do others[i] = aq.create_task(task.await, task) end
    for i = 1, 3 do assert.is_true(rawequal(problem, error_of(others[i].await, others[i]))) end
  end)

  for _, value in ipairs {
    "text", "", 0, 1.5, false, true, { 1 }, setmetatable({}, { __tostring = error }), print,
    coroutine.create(print), io.stdout, aq.QueueEmpty, aq.Queue(),
  } do
    it("by an error of any type: " .. type(value), function()
      local task = aq.create_task(function() error(value, 0) end)
      local result = table.pack(pcall(task.await, task))
      assert.equal(2, result.n)
      assert.is_false(result[1])
      assert.is_true(rawequal(value, result[2]))
      assert.is_true(rawequal(value, task:exception()))
      assert.is_false(task:cancelled())
    end)
  end

  it("by error(nil): the error is a text", function()
    local task = aq.create_task(function() error(nil) end)
    assert.equal("<no error object>", error_of(task.await, task))
    assert.equal("<no error object>", task:exception())
  end)

  it("by a stack overflow is an error like any other", function()
    local function deep() return 1 + deep() end
    local task = aq.create_task(deep)
    assert.matches("stack overflow", error_of(task.await, task))
    assert.equal(1, aq.create_task(function() return 1 end):await())
  end)

  it("a CancelledError raised by hand ends the task as cancelled", function()
    local task = end_of(aq.create_task(function() error(aq.CancelledError, 0) end))
    assert.is_true(task:cancelled())
  end)
end)

describe("await", function()
  it("with a timeout raises and leaves the task running", function()
    local task = aq.create_task(function()
      aq.sleep(5)
      return "late"
    end)
    assert.equal(aq.TimeoutError, error_of(task.await, task, 2))
    assert.equal(aq.TimeoutError, error_of(task.await, task, 0))
    assert.is_false(task:done())
    assert.equal(0, task:cancelling())
    assert.equal("late", task:await(10))
    assert.equal("late", task:await(0))
  end)

  it("of oneself is an error (T10)", function()
    local task
    task = aq.create_task(function() return try(task.await, task) end)
    assert.matches("wait for each other", task:await(), 1, true)
  end)

  it("of oneself from a child, in a circle of any length, is refused (T10, B53)", function()
    for length = 2, 6 do
      local tasks, refused = {}, 0
      for i = 1, length do
        tasks[i] = aq.create_task(function()
          local nxt = tasks[i % length + 1]
          local ok, err = pcall(nxt.await, nxt)
          if not ok then
            assert.matches("wait for each other", err, 1, true)
            refused = refused + 1
          end
        end)
      end
      for i = 1, length do tasks[i]:await() end
      assert.equal(1, refused)
    end
  end)

  it("a circle through gather ends in an error, not in a crash or a hang (T10)", function()
    local a, b
    a = aq.create_task(function() return try(aq.gather, b) end)
    b = aq.create_task(function() return try(a.await, a, 10) end)
    aq.sleep(20)
    if not a:done() then
      a:cancel()
      b:cancel()
      tick(5)
    end
    assert.is_true(a:done() and b:done())
  end)

  it("of a chain of 10,000: a cancel reaches the end, and returns (B53)", function()
    local tasks = { sleeper() }
    for i = 2, 10000 do
      local inner = tasks[i - 1]
      tasks[i] = aq.create_task(function() inner:await() end)
    end
    tick()
    tasks[10000]:cancel()
    for i = 1, 10000 do end_of(tasks[i]) end
    for i = 1, 10000 do assert.is_true(tasks[i]:cancelled()) end
  end)

  it("passes a cancel on, a turn for each level (H11)", function()
    local hop <close> = helper.hops()
    local log = helper.log()
    local function awaiting(name, thing)
      return aq.create_task(function()
        local ok, err = pcall(thing.await, thing)
        log(name, hop())
        if not ok then error(err, 0) end
      end)
    end
    local inner = awaiting("inner", aq.Future())
    local outer = awaiting("outer", inner)
    local last = awaiting("last", outer)
    tick(3)
    local start = hop()
    outer:cancel()
    end_of(last)
    assert.equal(("inner %d, outer %d, last %d"):format(start + 1, start + 2, start + 3),
      log:text())
    assert.is_true(inner:cancelled() and outer:cancelled() and last:cancelled())
  end)
end)

describe("cancel", function()
  it("reaches a waiting task a turn later (T2, H10)", function()
    local hop <close> = helper.hops()
    local log = helper.log()
    local task = aq.create_task(function()
      local ok, err = pcall(aq.sleep, 10)
      log(hop(), ok, err.name)
      error(err, 0)
    end)
    tick()
    assert.is_true(task:cancel())
    assert.same({ false, false, 1 }, { task:cancelled(), task:done(), task:cancelling() })
    assert.equal("", log:text())
    local at = hop()
    end_of(task)
    assert.equal((at + 1) .. " false CancelledError", log:text())
    assert.equal(at + 2, hop())
    assert.same({ true, true }, { task:cancelled(), task:done() })
  end)

  it("before the first step: the body never runs (T3, H12)", function()
    local hop <close> = helper.hops()
    local task = aq.create_task(function() error "the body runs" end)
    local at = hop()
    assert.is_true(task:cancel())
    assert.equal(aq.CancelledError, error_of(task.await, task))
    assert.equal(at + 2, hop())
    assert.is_true(task:cancelled())
  end)

  it("of oneself does nothing until the next suspension (T4)", function()
    local hop <close> = helper.hops()
    local log = helper.log()
    local task = aq.create_task(function()
      assert.is_true(aq.current_task():cancel())
      log("goes on", hop())
      local ok, err = pcall(aq.sleep, 5)
      log(ok, err.name, hop())
      error(err, 0)
    end)
    end_of(task)
    assert.equal("goes on 1, false CancelledError 2", log:text())
    assert.is_true(task:cancelled())
  end)

  it("of oneself with no further suspension ends the task cancelled (T4, B51)", function()
    local task = aq.create_task(function()
      aq.current_task():cancel()
      return "a value"
    end)
    assert.equal(aq.CancelledError, error_of(task.await, task))
    assert.is_true(task:cancelled())
  end)

  it("of oneself, then an await: what is awaited is cancelled (T4)", function()
    local inner = sleeper()
    local task = aq.create_task(function()
      aq.current_task():cancel()
      inner:await()
    end)
    assert.equal(aq.CancelledError, error_of(task.await, task))
    assert.is_true(inner:cancelled())
    assert.is_true(task:cancelled())
  end)

  it("once delivered is not passed on to what is awaited later (T13)", function()
    local inner = sleeper()
    local task = aq.create_task(function()
      pcall(aq.sleep, 5)
      assert.equal("CancelledError", try(inner.await, inner))
      aq.shield(aq.sleep, 1)
      assert.equal("CancelledError", try(inner.await, inner))
      assert.equal("CancelledError", try(inner.await, inner, 10))
    end)
    tick()
    task:cancel()
    task:await()
    assert.same({ false, 0 }, { inner:done(), inner:cancelling() })
    inner:cancel()
    tick()
  end)

  it("of a task in the turn in which it will end: it ends cancelled (T4, B51)", function()
    local task = aq.create_task(function()
      aq.sleep(0)
      return "a value"
    end)
    tick()
    task:cancel()
    end_of(task)
    assert.is_true(task:cancelled())
  end)

  it("twice in one turn raises once and counts two (T5)", function()
    local log, task = helper.log(), nil
    task = aq.create_task(function()
      log(try(aq.sleep, 5), task:cancelling())
      log(task:uncancel(), task:uncancel(), task:uncancel())
      log(try(aq.sleep, 5), task:cancelling())
    end)
    tick()
    assert.is_true(task:cancel())
    assert.is_true(task:cancel())
    task:await()
    assert.equal("CancelledError 2, 1 0 0, ok 0", log:text())
  end)

  it("of an ended task returns false and does nothing (T6)", function()
    local task = aq.create_task(function() return 7 end)
    task:await()
    assert.is_false(task:cancel())
    assert.same({ false, 0, 7 }, { task:cancelled(), task:cancelling(), task:result() })
  end)

  it("is dropped by uncancel before it is delivered (T7)", function()
    local task
    task = aq.create_task(function()
      task:cancel()
      task:cancel()
      assert.equal(1, task:uncancel())
      assert.equal(0, task:uncancel())
      aq.sleep(1)
      return "a value"
    end)
    assert.equal("a value", task:await())
  end)

  it("is not dropped by one uncancel of two (T7)", function()
    local task
    task = aq.create_task(function()
      task:cancel()
      task:cancel()
      task:uncancel()
      return try(aq.sleep, 1)
    end)
    assert.equal("CancelledError", task:await())
    task = aq.create_task(function()
      task:cancel()
      task:cancel()
      task:uncancel()
      return "a value"
    end)
    assert.is_true(end_of(task):cancelled())
  end)

  for _, order in ipairs { "result, cancel", "cancel, result" } do
    it("wins over a result of the same turn: " .. order .. " (T8)", function()
      local future = aq.Future()
      local task = aq.create_task(function() return future:await() end)
      tick()
      if order == "result, cancel" then
        future:set_result(1)
        assert.is_true(task:cancel())
        assert.equal(1, future:result())
      else
        assert.is_true(task:cancel())
        assert.equal(aq.InvalidStateError, error_of(future.set_result, future, 1))
        assert.is_true(future:cancelled())
      end
      assert.equal(aq.CancelledError, error_of(task.await, task))
    end)
  end

  it("wins over the item, the slot and the end of a sleep of the same turn", function()
    local log, tasks = helper.log(), {}
    local q, full = aq.Queue(), aq.Queue(1)
    full:put_nowait(0)
    for i, wait in ipairs {
      function() q:get() end,
      function() full:put(1) end,
      function() aq.sleep(0) end,
    } do
      tasks[i] = aq.create_task(function()
        log(i, try(wait))
        error(aq.CancelledError, 0)
      end)
    end
    tick()
    q:put_nowait(1)
    full:get_nowait()
    for i = 1, 3 do tasks[i]:cancel() end
    tick(2)
    table.sort(log)
    assert.equal("1 CancelledError, 2 CancelledError, 3 CancelledError", log:text())
  end)

  it("raises in every later suspension, a turn later each (T13)", function()
    local hop <close> = helper.hops()
    local log = helper.log()
    local q, full = aq.Queue(), aq.Queue(1)
    full:put_nowait(0)
    local task = aq.create_task(function()
      for _, wait in ipairs {
        function() aq.sleep(5) end,
        function() aq.sleep(0) end,
        function() q:get() end,
        function() q:get(5) end,
        function() full:put(1) end,
        function() full:join() end,
        function() aq.Future():await() end,
        function() for _ in q:items() do error "an item" end end,
      } do
        local result = try(wait)
        log(hop(), result)
      end
      return "a value"
    end)
    tick()
    task:cancel()
    assert.equal("a value", task:await())
    for i = 1, 8 do assert.equal(i + 1 .. " CancelledError", log[i]) end
    assert.equal(8, #log)
    assert.is_false(task:cancelled())
    assert.equal(1, full:qsize())
  end)

  it("does not affect calls that need not suspend (T13)", function()
    local q = aq.Queue(1)
    local ended = end_of(aq.create_task(function() return "ended" end))
    local task = aq.create_task(function()
      pcall(aq.sleep, 5)
      q:put(1)
      assert.equal(1, q:get())
      q:task_done()
      q:join()
      assert.equal("ended", ended:await())
      assert.equal("QueueEmpty", try(q.get_nowait, q))
      return "fine"
    end)
    tick()
    task:cancel()
    assert.equal("fine", task:await())
  end)

  it("lets others run though a task swallows it in a loop (T13)", function()
    local turns = 0
    local task = stubborn(50)
    local other = aq.create_task(function()
      while not task:done() do
        turns = turns + 1
        aq.sleep(0)
      end
    end)
    tick()
    task:cancel()
    other:await()
    assert.is_true(turns >= 50)
  end)

  it("that is swallowed and taken back is over (T13)", function()
    local log, task = helper.log(), nil
    task = aq.create_task(function()
      log(try(aq.sleep, 5))
      assert.equal(0, task:uncancel())
      log(try(aq.sleep, 1), task:cancelling())
    end)
    tick()
    task:cancel()
    task:await()
    assert.equal("CancelledError, ok 0", log:text())
  end)

  it("does not enter the room it may not wait in (T13)", function()
    local q = aq.Queue()
    local task = aq.create_task(function()
      pcall(aq.sleep, 5)
      pcall(q.get, q)
    end)
    tick()
    task:cancel()
    tick() -- the task is in get, interrupted
    assert.is_false(task:done())
    q:put_nowait "x"
    assert.equal("x", q:get_nowait())
    tick(2)
    assert.is_true(task:done())
  end)

  it("brings its message along", function()
    local task = aq.create_task(function()
      local err = error_of(aq.sleep, 5)
      return err == aq.CancelledError, err.name, err.message, tostring(err)
    end)
    tick()
    task:cancel "no longer needed"
    assert.same({ true, "CancelledError", "no longer needed", "CancelledError: no longer needed" },
      { task:await() })
  end)

  it("brings its message along to all that it is passed on to", function()
    local log = helper.log()
    local function inner(name)
      return aq.create_task(function()
        local err = error_of(aq.sleep, 5)
        log(name, err.message)
        error(err, 0)
      end)
    end
    local waits = {
      await = function() inner("awaited"):await() end,
      gather = function() aq.gather(inner "first", aq.create_task(function()
        inner("under the second"):await()
      end)) end,
    }
    for _, name in ipairs { "await", "gather" } do
      local task = aq.create_task(waits[name])
      tick(3)
      task:cancel("by " .. name)
      log(name, error_of(task.await, task).message)
    end
    assert.same({
      "awaited by await", "await by await",
      "first by gather", "under the second by gather", "gather by gather",
    }, log)
  end)

  it("passes its message on when it is delivered by an await to come", function()
    local inner = aq.create_task(function() return error_of(aq.sleep, 5).message end)
    local outer = aq.create_task(function()
      aq.current_task():cancel "mine"
      inner:await()
    end)
    outer:await() -- inner has taken the cancel for itself
    assert.equal("mine", inner:await())
  end)

  it("keeps its message from what a shield keeps it from", function()
    local inner = aq.create_task(function() return error_of(aq.sleep, 5).message end)
    local outer = aq.create_task(function()
      aq.shield(function() pcall(inner.await, inner, 1) end)
      aq.sleep(0)
    end)
    tick(2)
    outer:cancel "for the outer one"
    aq.sleep(1)
    inner:cancel()
    assert.equal(aq.CancelledError.message, inner:await())
    assert.equal("for the outer one", error_of(outer.await, outer).message)
  end)

  it("by a deadline has no message, whatever an earlier one had", function()
    local task = aq.create_task(function()
      pcall(aq.sleep, 5)
      aq.current_task():uncancel()
      return error_of(aq.sleep, 5).message
    end)
    tick()
    task:cancel "first"
    tick()
    pcall(aq.wait_for, task, 1)
    assert.equal(aq.CancelledError.message, task:await())
  end)

  it("without a message takes the place of one with a message", function()
    local inner = aq.create_task(aq.sleep, 5)
    local outer = aq.create_task(inner.await, inner)
    local bare = aq.CancelledError.message
    tick()
    outer:cancel "first"
    outer:cancel()
    assert.equal(bare, error_of(outer.await, outer).message)
    assert.equal(bare, error_of(inner.await, inner).message)
  end)

  it("runs <close> variables, and those may wait in a shield", function()
    local log = helper.log()
    local function closing(name)
      return setmetatable({}, { __close = function(_, err)
        log(name, err.name)
        aq.shield(aq.sleep, 1)
        log(name, "slept")
      end })
    end
    local task = aq.create_task(function()
      local outer <close> = closing "outer" -- luacheck: ignore
      local inner <close> = closing "inner" -- luacheck: ignore
      aq.sleep(100)
    end)
    tick()
    task:cancel()
    local start = aq.now()
    end_of(task)
    assert.near(2, aq.now() - start, 1e-6)
    assert.equal("inner CancelledError, inner slept, outer CancelledError, outer slept", log:text())
    assert.is_true(task:cancelled())
  end)

  it("a clean-up that waits unshielded is cancelled again (T13)", function()
    local log = helper.log()
    local task = aq.create_task(function()
      local _ <close> = setmetatable({}, { __close = function()
        log(try(aq.sleep, 1))
      end })
      aq.sleep(100)
    end)
    tick()
    task:cancel()
    end_of(task)
    assert.equal("CancelledError", log:text())
    assert.is_true(task:cancelled())
  end)

  it("an error in clean-up takes its place", function()
    local task = aq.create_task(function()
      local _ <close> = setmetatable({}, { __close = function() error("broken", 0) end })
      aq.sleep(100)
    end)
    tick()
    task:cancel()
    assert.equal("broken", error_of(task.await, task))
    assert.is_false(task:cancelled())
  end)
end)

describe("done callbacks", function()
  it("run in the turn after the end, with the task, in the order of adding (H5)", function()
    local hop <close> = helper.hops()
    local log, seen = helper.log(), nil
    local task = aq.create_task(function() log("end", hop()) end)
    for _, name in ipairs { "a", "b", "c" } do
      task:add_done_callback(function(...)
        seen = table.pack(...)
        log(name, hop())
      end)
    end
    tick(3)
    assert.equal("end 1, a 2, b 2, c 2", log:text())
    assert.equal(1, seen.n)
    assert.is_true(rawequal(task, seen[1]))
  end)

  it("and awaiters take their places in one order (H4)", function()
    local log, future = helper.log(), aq.Future()
    local function awaiter(name)
      aq.create_task(function()
        future:await()
        log(name)
      end)
    end
    awaiter "a"
    tick()
    future:add_done_callback(function() log "b" end)
    awaiter "c"
    tick()
    future:add_done_callback(function() log "d" end)
    future:set_result()
    assert.equal("", log:text())
    tick()
    assert.equal("a, b, c, d", log:text())
  end)

  it("on a task that has ended run in the next turn", function()
    local log = helper.log()
    local task = end_of(aq.create_task(function() end))
    task:add_done_callback(function() log "called" end)
    assert.equal("", log:text())
    tick()
    assert.equal("called", log:text())
  end)

  it("run for a failed and for a cancelled task", function()
    local log = helper.log()
    local failed = aq.create_task(function() error "failed" end)
    local cancelled = sleeper()
    tick()
    cancelled:cancel()
    for _, task in ipairs { failed, cancelled } do
      task:add_done_callback(function(t) log(t:cancelled(), try(t.result, t) ~= "ok") end)
    end
    tick(3)
    assert.equal("false true, true true", log:text())
  end)

  it("are removed wherever they were added", function()
    local log = helper.log()
    local task = aq.create_task(function() end)
    local function a() log "a" end
    local function b() log "b" end
    for _, fn in ipairs { a, b, a } do task:add_done_callback(fn) end
    assert.equal(2, task:remove_done_callback(a))
    assert.equal(0, task:remove_done_callback(a))
    assert.equal(0, task:remove_done_callback(print))
    tick(3)
    assert.equal("b", log:text())
    assert.equal(0, task:remove_done_callback(b))
  end)

  it("run as often as they were added", function()
    local log = helper.log()
    local task = aq.create_task(function() end)
    local function a() log "a" end
    task:add_done_callback(a)
    task:add_done_callback(a)
    tick(3)
    assert.equal("a, a", log:text())
  end)

  it("may add callbacks, and make and cancel tasks", function()
    local log = helper.log()
    local task, other = aq.create_task(function() end), sleeper()
    task:add_done_callback(function()
      task:add_done_callback(function() log "added" end)
      aq.create_task(log, "made")
      other:cancel()
    end)
    tick(5)
    assert.equal("added, made", log:text())
    assert.is_true(other:cancelled())
  end)

  it("run in no task, and cannot wait", function()
    local log = helper.log()
    local task = aq.create_task(function() end)
    task:add_done_callback(function()
      log((aq.current_task()))
      log(tostring(error_of(aq.sleep, 0)):match "no task is running")
      log(tostring(error_of(function() aq.Queue():get() end)):match "no task is running")
    end)
    tick(3)
    assert.equal("nil, no task is running, no task is running", log:text())
  end)

  it("that raise are reported, and the others run", function()
    local log = helper.log()
    local reports = helper.reports_of(function()
      local task = aq.create_task(function() end)
      task:add_done_callback(function() error "from a callback" end)
      task:add_done_callback(function() log "the other" end)
      tick(3)
    end)
    assert.equal("the other", log:text())
    assert.equal(1, #reports)
    assert.matches("from a callback", reports[1][2], 1, true)
    assert.matches("task_spec.lua", reports[1][3], 1, true)
  end)

  it("are kept although nobody holds the task", function()
    local log = helper.log()
    local function make()
      end_of(aq.create_task(function() end)):add_done_callback(function() log "called" end)
    end
    make()
    collectgarbage()
    collectgarbage()
    tick()
    assert.equal("called", log:text())
  end)

  it("must be functions", function()
    local task = end_of(aq.create_task(function() end))
    assert.matches("function expected", error_of(task.add_done_callback, task), 1, true)
    assert.matches("function expected", error_of(task.add_done_callback, task, 1), 1, true)
  end)
end)

describe("names, lists and tracebacks", function()
  it("a task is called Task-n until it is named", function()
    local a, b = sleeper(), sleeper()
    local n = tonumber(a:get_name():match "^Task%-(%d+)$")
    assert.equal("Task-" .. n + 1, b:get_name())
    assert.equal(0, select("#", a:set_name "the first"))
    assert.equal("the first", a:get_name())
    assert.matches("the first", tostring(a), 1, true)
    assert.matches("Task-" .. n + 1, tostring(b), 1, true)
    assert.matches("string expected", error_of(a.set_name, a), 1, true)
    assert.matches("string expected", error_of(a.set_name, a, {}), 1, true)
    a:cancel()
    b:cancel()
    tick()
    assert.equal("the first", a:get_name())
  end)

  it("tostring shows the state", function()
    local returned = end_of(aq.create_task(function() end))
    local failed = end_of(aq.create_task(error, "x"))
    local waiting = sleeper()
    local cancelled = sleeper()
    cancelled:cancel()
    tick(2)
    assert.matches("waiting", tostring(waiting), 1, true)
    assert.matches("returned", tostring(returned), 1, true)
    assert.matches("failed", tostring(failed), 1, true)
    assert.matches("cancelled", tostring(cancelled), 1, true)
    assert.matches("running", tostring(aq.current_task()), 1, true)
    waiting:cancel()
    tick()
  end)

  it("current_task is the running task, the same object each time", function()
    local task
    task = aq.create_task(function()
      assert.is_true(rawequal(task, aq.current_task()))
      aq.sleep(0)
      assert.is_true(rawequal(task, aq.current_task()))
    end)
    assert.is_false(rawequal(task, aq.current_task()))
    task:await()
    assert.equal("running", tostring(aq.current_task()):match "running")
  end)

  it("current_task is nil, one value, where no task runs", function()
    local n
    local task = aq.create_task(function() end)
    task:add_done_callback(function() n = select("#", aq.current_task()) end)
    tick(3)
    assert.equal(1, n)
  end)

  it("all_tasks lists those not done, in order of creation, the running one too", function()
    local before = #aq.all_tasks()
    local tasks = {}
    for i = 1, 20 do tasks[i] = sleeper() end
    tick()
    tasks[3]:cancel()
    tasks[17]:cancel()
    tick()
    tasks[21] = sleeper() -- in a slot that was used before
    local all = aq.all_tasks()
    assert.equal(before + 19, #all)
    assert.is_true(rawequal(all[1], aq.current_task()))
    local expected = {}
    for i, task in ipairs(tasks) do
      if i ~= 3 and i ~= 17 then table.insert(expected, task:get_name()) end
    end
    for i = 1, 19 do assert.equal(expected[i], all[before + i]:get_name()) end
    for _, task in ipairs(tasks) do task:cancel() end
    tick()
    assert.equal(before, #aq.all_tasks())
  end)

  it("the traceback of a waiting task shows where it waits", function()
    local q = aq.Queue()
    local line
    local function inner()
      line = debug.getinfo(1, "l").currentline + 1
      return (q:get())
    end
    local task = aq.create_task(function() return (inner()) end)
    tick()
    assert.matches("task_spec.lua:" .. line .. ":", task:traceback(), 1, true)
    assert.matches("get", task:traceback(), 1, true)
    q:put(1)
    task:await()
    assert.same({ n = 1 }, table.pack(task:traceback()))
  end)

  it("the traceback of a failed task shows where the error was thrown", function()
    local line
    local function thrower()
      aq.sleep(0)
      line = debug.getinfo(1, "l").currentline + 1
      error "here"
    end
    local task = aq.create_task(function()
      local ok = pcall(error, "not this one")
      thrower()
      return ok
    end)
    end_of(task)
    assert.matches("task_spec.lua:" .. line .. ": in ", task:traceback(), 1, true)
    assert.not_matches("traceback", task:exception(), 1, true)
  end)

  it("the traceback of who awaits a failed task shows both places", function()
    local inner = aq.create_task(function() error "deep down" end)
    inner:set_name "the inner one"
    local awaited
    local outer = aq.create_task(function()
      awaited = debug.getinfo(1, "l").currentline + 1
      inner:await()
    end)
    end_of(outer)
    local text = outer:traceback()
    assert.matches("the inner one", text, 1, true)
    assert.matches("task_spec.lua:" .. awaited .. ":", text, 1, true)
    assert.matches("task_spec.lua:" .. inner:exception():match ":(%d+):", text, 1, true)
  end)

  -- What the task of `fn` fails with must have a traceback that names the line that calls `wait`.
  local function assert_names_wait(fn)
    local line
    local function wait()
      line = debug.getinfo(1, "l").currentline + 1
      aq.sleep(100)
    end
    local task = end_of(aq.create_task(fn, wait))
    assert.not_nil(task:exception())
    assert.matches("sleep[^\n]*\n[^\n]*task_spec.lua:" .. line .. ": in ", task:traceback())
    assert.equal(select(2, task:traceback():gsub("in [^\n]*sleep", "")), 1)
    return task
  end

  for name, fn in pairs {
    timeout = function(wait)
      local _ <close> = aq.timeout(1)
      wait()
    end,
    ["timeouts in each other"] = function(wait)
      local _ <close> = aq.timeout(1)
      local _ <close> = aq.timeout(2)
      wait()
    end,
    ["a timeout around a guard"] = function(wait)
      local _ <close> = aq.timeout(1)
      local lock = aq.Lock()
      local _ <close> = lock:guard()
      wait()
    end,
    ["a timeout around a group"] = function(wait)
      local _ <close> = aq.timeout(1)
      local _ <close> = aq.TaskGroup()
      wait()
    end,
    ["a timeout around clean-up that waits"] = function(wait)
      local _ <close> = aq.timeout(1)
      local _ <close> = setmetatable({}, { __close = function() aq.sleep(1) end })
      wait()
    end,
    wait_for = function(wait) aq.wait_for(wait, 1) end,
    ["a group whose child fails"] = function(wait)
      local group <close> = aq.TaskGroup()
      group:create_task(error, "child")
      wait()
    end,
    ["a group that is cancelled and whose child fails"] = function(wait)
      local me = aq.current_task()
      local group <close> = aq.TaskGroup()
      group:create_task(function()
        me:cancel()
        pcall(aq.sleep, 100)
        error "child"
      end)
      wait()
    end,
  } do
    it("the traceback of an error that a block puts in a cancel's place: " .. name, function()
      assert_names_wait(fn)
    end)
  end

  it("the traceback of a timeout names the wait for a task", function()
    local line
    local task = end_of(aq.create_task(function()
      local inner = aq.create_task(aq.sleep, 100)
      line = debug.getinfo(1, "l").currentline + 1
      return (aq.wait_for(inner, 1))
    end))
    assert.equal(aq.TimeoutError, task:exception())
    assert.matches("'await'", task:traceback(), 1, true)
    assert.matches("task_spec.lua:" .. line .. ": in ", task:traceback(), 1, true)
  end)

  it("the traceback of a timeout is what on_error gets", function()
    local function wait() aq.sleep(100) end
    local reports = helper.reports_of(function()
      aq.create_task(aq.wait_for, wait, 1)
      aq.sleep(2)
    end)
    assert.equal(1, #reports)
    assert.equal(aq.TimeoutError, reports[1][2])
    assert.matches("sleep[^\n]*\n[^\n]*task_spec.lua:%d+: in ", reports[1][3])
  end)

  it("the traceback of a body's own error that leaves a group", function()
    local line
    local task = end_of(aq.create_task(function()
      local group <close> = aq.TaskGroup()
      group:create_task(aq.sleep, 100)
      line = debug.getinfo(1, "l").currentline + 1
      error {}
    end))
    assert.matches("task_spec.lua:" .. line .. ": in ", task:traceback(), 1, true)
  end)

  it("the traceback of an error of clean-up names the clean-up", function()
    local line
    local task = end_of(aq.create_task(function()
      local _ <close> = aq.timeout(1)
      local _ <close> = setmetatable({}, { __close = function()
        line = debug.getinfo(1, "l").currentline + 1
        error "in clean-up"
      end })
      aq.sleep(100)
    end))
    assert.matches("in clean-up", task:exception(), 1, true)
    assert.matches("task_spec.lua:" .. line .. ": in ", task:traceback(), 1, true)
    assert.not_matches("sleep", task:traceback(), 1, true)
  end)

  it("the traceback of a timeout that was caught is not kept for a later error", function()
    local line
    local task = end_of(aq.create_task(function()
      assert.equal(aq.TimeoutError, error_of(aq.wait_for, aq.sleep, 1, 100))
      line = debug.getinfo(1, "l").currentline + 1
      error "later"
    end))
    assert.matches("task_spec.lua:" .. line .. ": in ", task:traceback(), 1, true)
    assert.not_matches("sleep", task:traceback(), 1, true)
  end)

  it("the traceback of a task that is cancelled is nil, also out of a block", function()
    local task = aq.create_task(function()
      local _ <close> = aq.TaskGroup()
      aq.sleep(100)
    end)
    tick()
    task:cancel()
    end_of(task)
    assert.is_true(task:cancelled())
    assert.is_nil(task:traceback())
  end)

  it("there is no traceback where there is no more than functions of C", function()
    local semaphore = aq.Semaphore(0)
    local task = aq.create_task(semaphore.acquire, semaphore, 1)
    assert.same({ n = 1 }, table.pack(task:traceback()))
    tick()
    assert.same({ n = 1 }, table.pack(task:traceback()))
    end_of(task)
    assert.equal(aq.TimeoutError, task:exception())
    assert.same({ n = 1 }, table.pack(task:traceback()))
    local _, err = helper.run_script [[
      local aq = require "aqlua"
      local semaphore = aq.Semaphore(0)
      aq.create_task(semaphore.acquire, semaphore, 0.001)
      aq.sleep(0.01)
    ]]
    local text = "aqlua: error in Task-2, which nobody retrieved: " .. aq.TimeoutError .. "\n"
    assert.equal(text, err)
  end)

  it("the traceback of an error value of the library, and of a table", function()
    for _, value in ipairs { aq.QueueEmpty, {} } do
      local task = end_of(aq.create_task(function() error(value) end))
      assert.matches("task_spec.lua", task:traceback(), 1, true)
    end
  end)
end)

describe("errors that nobody retrieved", function()
  it("are reported once, with task and traceback, when the task is collected (T12)", function()
    local reports = helper.reports_of(function()
      aq.create_task(function() error "lost" end):set_name "the lost one"
      tick(2)
    end)
    assert.equal(1, #reports)
    local report = reports[1]
    assert.equal(3, report.n)
    assert.equal("the lost one", report[1]:get_name())
    assert.matches("lost", report[2], 1, true)
    assert.matches("task_spec.lua", report[3], 1, true)
    collectgarbage()
    tick(2)
    assert.same({}, helper.reports_of(function() end))
  end)

  it("the task can be used in the handler, and after it (T12)", function()
    local kept
    local problem = {}
    local function fail() error(problem) end
    aq.on_error(function(task, err)
      kept = task
      assert.is_true(task:done())
      assert.is_true(rawequal(problem, err))
      assert.is_true(rawequal(problem, task:exception()))
    end)
    aq.create_task(fail)
    tick(2)
    collectgarbage()
    tick(2)
    aq.on_error(nil)
    assert.is_userdata(kept)
    assert.is_true(rawequal(problem, error_of(kept.await, kept)))
    assert.matches("failed", tostring(kept), 1, true)
  end)

  for name, retrieve in pairs {
    await = function(task) pcall(task.await, task) end,
    result = function(task) pcall(task.result, task) end,
    exception = function(task) task:exception() end,
    gather = function(task) pcall(aq.gather, task) end,
    ["gather with return_exceptions"] = function(task)
      aq.gather({ task }, { return_exceptions = true })
    end,
    wait_for = function(task) pcall(aq.wait_for, task, 1) end,
    shield = function(task) pcall(aq.shield, task) end,
  } do
    it("are none if " .. name .. " handed them out (T12)", function()
      local reports = helper.reports_of(function()
        local task = aq.create_task(function() error "seen" end)
        tick(2)
        retrieve(task)
        task = nil -- luacheck: ignore
      end)
      assert.same({}, reports)
    end)
  end

  it("do not include cancels (T12)", function()
    local reports = helper.reports_of(function()
      local task = sleeper()
      tick()
      task:cancel()
      tick()
    end)
    assert.same({}, reports)
  end)

  it("are not reported from a finalizer, but from the loop (T12)", function()
    local log = helper.log()
    aq.on_error(function() log((aq.current_task())) end)
    aq.create_task(function() error "lost" end)
    tick(2)
    collectgarbage()
    collectgarbage()
    log "collected"
    tick(2)
    aq.on_error(nil)
    assert.equal("collected, nil", log:text())
  end)

  it("many of them are all reported, each once (T12)", function()
    local reports = helper.reports_of(function()
      for i = 1, 500 do aq.create_task(error, { i }) end
      tick(2)
    end)
    local seen, n = {}, 0
    for _, report in ipairs(reports) do
      local i = report[2][1]
      assert.is_nil(seen[i])
      seen[i], n = true, n + 1
    end
    assert.equal(500, n)
  end)

  it("at the end of the run: those of tasks that are still held (T12)", function()
    local _, err, status = helper.run_script [[
      local aq = require "aqlua"
      held = aq.create_task(function() error "still held" end)
      held:set_name "the held one"
      seen = aq.create_task(function() error "seen" end)
      aq.sleep(0)
      pcall(seen.await, seen)
    ]]
    assert.equal(1, status)
    assert.matches("the held one", err, 1, true)
    assert.matches("still held", err, 1, true)
    assert.equal(1, select(2, err:gsub("still held", "")))
    assert.not_matches("seen", err, 1, true)
  end)

  it("with a handler: no text, and status 0 (T12)", function()
    local out, err, status = helper.run_script [[
      local aq = require "aqlua"
      aq.on_error(function(task, e, traceback)
        print(task:get_name(), e, (traceback:match "stack traceback"))
      end)
      aq.create_task(function() error("lost", 0) end):set_name "loser"
      aq.sleep(0)
    ]]
    assert.equal("loser\tlost\tstack traceback\n", out)
    assert.same({ "", 0 }, { err, status })
  end)

  it("an error of a done callback does not hide the task's own (T12)", function()
    local texts = helper.reports_of(function()
      local task = aq.create_task(function() error("the task's", 0) end)
      task:add_done_callback(function() error("the callback's", 0) end)
      tick(3)
    end, function(_, err) return err end) -- the Task is not kept
    table.sort(texts)
    assert.same({ "the callback's", "the task's" }, texts)
  end)

  it("a task that its handler has kept is not reported again (T12)", function()
    local out, err, status = helper.run_script [[
      local aq = require "aqlua"
      aq.on_error(function(task, e)
        kept = task
        print("reported", e)
      end)
      aq.create_task(function() error("lost", 0) end)
      aq.sleep(0)
      collectgarbage()
      aq.sleep(0)
      print "end"
    ]]
    assert.same({ "reported\tlost\nend\n", "", 0 }, { out, err, status })
  end)

  it("a handler that raises hides nothing: both errors are reported, status 1 (T12)", function()
    local _, err, status = helper.run_script [[
      local aq = require "aqlua"
      aq.on_error(function() error "the handler is broken" end)
      local function fail() error "lost" end
      aq.create_task(fail):set_name "loser"
      aq.sleep(0)
    ]]
    assert.equal(1, status)
    local first = "aqlua: error in loser, which nobody retrieved: [^\n]*:3: lost\nstack traceback:"
      .. "\n.*:3: in [^\n]*\n"
    local second = "aqlua: error in the handler set with aq%.on_error: [^\n]*:2: "
      .. "the handler is broken\nstack traceback:\n.*:2: in "
    assert.matches("^" .. first .. second, err)
    assert.not_matches("[C]: in ?", err, 1, true)
  end)

  -- What `aqlua` says of a script that calls fail(n) for n tasks that fail in the same way.
  local function reports_of_script(text)
    local _, err, status = helper.run_script([[
      local aq = require "aqlua"
      require "aqlua.testing".clock()
      local function same() error "same" end
      local function fail(n, fn)
        for _ = 1, n do aq.create_task(fn or same):set_name "loser" end
        aq.sleep(0)
        collectgarbage()
        aq.sleep(0)
      end
    ]] .. text)
    assert.equal(1, status)
    local list = {}
    for line in err:gmatch "[^\n]+" do
      list[#list + 1] = line:match "^aqlua: error in loser, .*: (%w+)$" or line:match "^aqlua: (.*)"
    end
    return list
  end

  it("the same error again and again: ten reports, and a count at the end (T12)", function()
    local expected = {}
    for i = 1, 10 do expected[i] = "same" end
    assert.same(expected, reports_of_script "fail(4) fail(6)")
    expected[11] = "the same error, 990 times more"
    assert.same(expected, reports_of_script "for _ = 1, 10 do fail(100) end")
  end)

  it("the same error: the count comes before another, and after a second (T12)", function()
    local list = reports_of_script [[
      fail(12)
      fail(1, function() error "other" end)
      fail(1)
      fail(1, function() error "same" end)
      fail(13)
      aq.sleep(2)
      fail(1)
    ]]
    local expected = {}
    for i = 1, 10 do expected[i] = "same" end
    table.move({ "the same error, 2 times more", "other", "same", "same" }, 1, 4, 11, expected)
    for i = 15, 24 do expected[i] = "same" end
    table.move({ "the same error, 3 times more", "same" }, 1, 2, 25, expected)
    assert.same(expected, list)
  end)

  it("the same error: a handler is given each (T12)", function()
    local reports = helper.reports_of(function()
      for _ = 1, 30 do aq.create_task(error, "same", 0) end
      tick(2)
    end)
    assert.equal(30, #reports)
  end)

  it("of a handler whose error has no words, and of one that it passes on (T12)", function()
    local _, err, status = helper.run_script [[
      local aq = require "aqlua"
      aq.on_error(function(_, e) error(e, 0) end)
      aq.create_task(function() error("lost", 0) end)
      aq.create_task(function() error {} end)
      aq.sleep(0)
    ]]
    assert.equal(1, status)
    assert.matches("in Task-2, which nobody retrieved: lost\n", err, 1, true)
    assert.matches("aq.on_error: lost\n", err, 1, true)
    assert.matches("aq.on_error: (error object is a table value)\n", err, 1, true)
  end)

  it("on_error takes a function or nil", function()
    assert.matches("function expected", error_of(aq.on_error, 1), 1, true)
    assert.matches("function expected", error_of(aq.on_error, {}), 1, true)
  end)
end)

describe("many tasks", function()
  it("100,000 wait on a queue and are cancelled from the middle", helper.within(60, function()
    local n, q, tasks, got = 100000, aq.Queue(), {}, {}
    for i = 1, n do
      tasks[i] = aq.create_task(function() got[i] = q:get() end)
    end
    tick()
    assert.matches(n .. " getting", tostring(q), 1, true)
    local start = os.clock()
    for i = n // 4 + 1, 3 * n // 4 do tasks[i]:cancel() end
    assert.is_true(os.clock() - start < 5) -- each takes constant time
    tick()
    assert.matches(n // 2 .. " getting", tostring(q), 1, true)
    for i = 1, n // 2 do q:put_nowait(i) end
    tick(2)
    for i = 1, n do
      local expected = i <= n // 4 and i or i > 3 * n // 4 and i - n // 2 or nil
      assert(got[i] == expected and tasks[i]:done(), i)
    end
  end))

  it("made and ended one after the other leave no memory behind", helper.within(60, function()
    local function round()
      for _ = 1, 1000 do
        for _ = 1, 10 do aq.create_task(function() aq.sleep(0) end) end
        tick(2)
      end
      collectgarbage()
      collectgarbage()
      return collectgarbage "count"
    end
    round()
    local before = round()
    assert.is_true(round() - before < 100)
  end))
end)

describe("waiting in odd places", function()
  it("works in 190 nested pcalls", function()
    local function nest(n)
      if n > 0 then return select(2, pcall(nest, n - 1)) end
      aq.sleep(1)
      return "from the depth"
    end
    assert.equal("from the depth", aq.create_task(nest, 190):await())
  end)

  it("is an ordinary error when nested too deep, and the task goes on", function()
    local function nest(n)
      if n > 0 then return select(2, pcall(nest, n - 1)) end
      return "too deep to be reached"
    end
    local task = aq.create_task(function()
      local text = nest(250)
      aq.sleep(1)
      return text
    end)
    assert.matches("C stack overflow", task:await(), 1, true)
  end)

  it("works in metamethods, iterators, closing values and loaded chunks", function()
    local log = helper.log()
    local thing = setmetatable({}, {
      __index = function(_, k) aq.sleep(0) return k end,
      __newindex = function(_, k) aq.sleep(0) log("set", k) end,
      __call = function(_, x) aq.sleep(0) return x end,
      __add = function() aq.sleep(0) return "sum" end,
      __concat = function() aq.sleep(0) return "joined" end,
      __len = function() aq.sleep(0) return 9 end,
      __eq = function() aq.sleep(0) return true end,
      __lt = function() aq.sleep(0) return true end,
      __unm = function() aq.sleep(0) return "minus" end,
      __pairs = function() aq.sleep(0) return next, { "one" } end,
      __close = function() aq.sleep(0) log "closed" end,
    })
    log(thing.field, thing "called", thing + 1, thing .. "", #thing, -thing, thing < 1)
    log(thing == setmetatable({}, getmetatable(thing)))
    thing.x = 1
    for _, v in pairs(thing) do log(v) end
    do
      local _ <close> = thing
    end
    log(load("local aq = require 'aqlua' aq.sleep(0) return ...")("loaded"))
    log(pcall(function() aq.sleep(0) error("raised", 0) end))
    log(xpcall(function() aq.sleep(0) error("raised", 0) end, function(e) return e .. "!" end))
    local function steps(n, i)
      aq.sleep(0)
      if i < n then return i + 1 end
    end
    for i in steps, 3, 0 do log(i) end
    assert.equal("field called sum joined 9 minus true, true, set x, one, closed, loaded, " ..
      "false raised, false raised!, 1, 2, 3", log:text())
  end)

  it("a bare yield is an error that names aq.sleep(0)", function()
    local task = aq.create_task(function() coroutine.yield(1) end)
    assert.matches("aq.sleep(0)", error_of(task.await, task), 1, true)
    task = aq.create_task(function()
      local ok, err = pcall(function() coroutine.yield() end)
      aq.sleep(1)
      return ok, err
    end)
    local ok, err = task:await()
    assert.is_false(ok)
    assert.matches("aq.sleep(0)", err, 1, true)
  end)

  it("nobody else can resume or close a task's coroutine", function()
    local co
    local task = aq.create_task(function()
      co = coroutine.running()
      aq.sleep(1)
      return "a value"
    end)
    tick()
    pcall(coroutine.resume, co, "nonsense")
    pcall(coroutine.resume, co)
    assert.equal("a value", task:await())
  end)
end)

describe("leaving an aq.run inside a task", function()
  it("names and closes a task that swallows its cancel for ever", function()
    local out, err, status = helper.run_script [[
      local aq = require "aqlua"
      print(aq.run(function()
        aq.create_task(function()
          while true do pcall(aq.sleep, 1000) end
        end):set_name "the stubborn one"
        aq.sleep(0)
        return "left"
      end))
      print(#aq.all_tasks())
    ]]
    assert.equal("left\n1\n", out)
    assert.matches("the stubborn one", err, 1, true)
    assert.equal(1, status)
  end)

  it("waits for one that swallows its cancel a few times", function()
    local task
    aq.run(function()
      task = stubborn(50)
      tick()
    end)
    assert.is_true(task:done())
    assert.is_false(task:cancelled())
  end)
end)
