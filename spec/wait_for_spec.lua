-- wait_for, timeout, shield: waiting under a deadline, and out of reach of a cancel. The numbers
-- are those of the semantics.

local aq = require "aqlua"
local helper = require "spec.helper"

local tick = helper.tick
local try, error_of = helper.try, helper.error_of

-- fn(timeout) in a block with a deadline.
local function within(seconds, fn)
  local timeout <close> = aq.timeout(seconds)
  return fn(timeout)
end

local function sleeping(seconds)
  return function() aq.sleep(seconds) end
end

local function end_of(task)
  pcall(task.await, task)
  return task
end

-- What fn returns, or its error's name, and how long it took.
local function timed(fn, ...)
  local start = aq.now()
  local ok, value = pcall(fn, ...)
  if not ok and type(value) == "userdata" then value = value.name end
  return value, math.floor((aq.now() - start) * 1000 + 0.5) / 1000
end

-- A task that answers a cancel by `answer`, after `seconds` of clean-up.
local function cleaning_up(seconds, answer)
  return aq.create_task(function()
    local _, err = pcall(aq.sleep, 1000)
    aq.shield(aq.sleep, seconds)
    return answer(err)
  end)
end

local function raise(err) error(err, 0) end

describe("wait_for a function", function()
  it("calls it in the calling task, with the arguments, and returns all results", function()
    local me = aq.current_task()
    local results = table.pack(aq.wait_for(function(...)
      assert.is_true(rawequal(me, aq.current_task()))
      return select("#", ...), ...
    end, 1, nil, 2, nil))
    assert.same({ 3, nil, 2, nil, n = 4 }, results)
    assert.equal(0, select("#", aq.wait_for(function() end, 1)))
  end)

  it("takes no turn of its own (H18)", function()
    local hop <close> = helper.hops()
    assert.equal("ready", aq.wait_for(function() return "ready" end, 1))
    assert.equal(0, hop())
    aq.wait_for(aq.sleep, 1, 0)
    assert.equal(1, hop())
  end)

  it("raises TimeoutError when the time is up", function()
    assert.same({ "TimeoutError", 2 }, { timed(aq.wait_for, aq.sleep, 2, 10) })
    assert.equal(0, aq.current_task():cancelling())
    aq.sleep(1)
  end)

  it("raises what the function raises", function()
    local problem = {}
    assert.is_true(rawequal(problem, error_of(aq.wait_for, raise, 1, problem)))
    assert.is_true(rawequal(problem, error_of(aq.wait_for, function()
      aq.sleep(0.5)
      error(problem)
    end, 1)))
    assert.equal(0, aq.current_task():cancelling())
  end)

  it("with no timeout waits for ever", function()
    assert.same({ "done", 1e6 }, { timed(aq.wait_for, aq.sleep, nil, 1e6, "done") })
    assert.same({ "done", 1e6 }, { timed(aq.wait_for, aq.sleep, math.huge, 1e6, "done") })
  end)

  it("0 or less: runs it to its first suspension (H19, X10, B43)", function()
    local hop <close> = helper.hops()
    local q = aq.Queue()
    for i, timeout in ipairs { 0, -1, -math.huge } do
      local log = helper.log()
      assert.equal(aq.TimeoutError, error_of(aq.wait_for, function()
        log "runs"
        aq.sleep(0)
        log "goes on"
      end, timeout))
      assert.equal("runs", log:text())
      assert.equal(i, hop())
      q:put_nowait(i)
      assert.equal(i, aq.wait_for(q.get, timeout, q))
      assert.equal(i, hop())
    end
    aq.sleep(0)
  end)

  it("that swallows the cancel and returns: the value counts (G7)", function()
    assert.same({ "swallowed", 1 }, { timed(aq.wait_for, function()
      pcall(aq.sleep, 10)
      return "swallowed"
    end, 1) })
    assert.equal(0, aq.current_task():cancelling())
    assert.equal("ok", try(aq.sleep, 1))
  end)

  it("that raises something else when cancelled: that counts (G7)", function()
    assert.equal("other", error_of(aq.wait_for, function()
      pcall(aq.sleep, 10)
      raise "other"
    end, 1))
    assert.equal(0, aq.current_task():cancelling())
  end)

  it("that raises TimeoutError itself: it passes", function()
    local q = aq.Queue()
    assert.same({ "TimeoutError", 1 }, { timed(aq.wait_for, q.get, 5, q, 1) })
  end)

  it("nested: the shorter of the two wins, inside or outside", function()
    local function nested(outer, inner)
      local log = helper.log()
      local result, took = timed(aq.wait_for, function()
        local ok, err = pcall(aq.wait_for, aq.sleep, inner, 10)
        log(ok, err.name)
        raise(err)
      end, outer)
      return log:text(), result, took
    end
    assert.same({ "false TimeoutError", "TimeoutError", 1 }, { nested(5, 1) })
    assert.same({ "false CancelledError", "TimeoutError", 1 }, { nested(1, 5) })
    assert.same({ "false CancelledError", "TimeoutError", 1 }, { nested(1, 1) })
  end)

  it("TimeoutError is seen one turn after the deadline (H20)", function()
    local log = helper.log()
    local turns = 0
    local ticker = aq.create_task(function()
      aq.sleep(1)
      while true do
        log(turns)
        turns = turns + 1
        aq.sleep(0)
      end
    end)
    tick()
    pcall(aq.wait_for, aq.sleep, 1, 10)
    log "timeout"
    ticker:cancel()
    tick()
    assert.equal("0, timeout", log:text())
  end)

  it("an item that comes with the deadline is never lost (X7, X8)", function()
    for offset = -3, 3 do
      local q, item = aq.Queue(), nil
      local task = aq.create_task(function() item = aq.wait_for(q.get, 1, q) end)
      aq.create_task(function()
        aq.sleep(offset < 0 and 1 - 1e-9 or 1)
        tick(math.abs(offset))
        q:put_nowait "x"
      end)
      aq.sleep(3)
      assert.is_true(task:done())
      assert.equal(item == nil, task:exception() == aq.TimeoutError)
      assert.equal(item == nil and 1 or 0, q:qsize())
    end
  end)
end)

describe("wait_for a task or future", function()
  it("returns its results, raises its error", function()
    local task = aq.create_task(function()
      aq.sleep(1)
      return 1, nil, 3, nil
    end)
    assert.same({ 1, nil, 3, nil, n = 4 }, table.pack(aq.wait_for(task, 5)))
    assert.same({ 1, nil, 3, nil, n = 4 }, table.pack(aq.wait_for(task, 5)))
    local problem = {}
    task = aq.create_task(raise, problem)
    assert.is_true(rawequal(problem, error_of(aq.wait_for, task, 5)))
  end)

  it("of a future takes one turn (H18)", function()
    local hop <close> = helper.hops()
    local future = aq.Future()
    local task = aq.create_task(function()
      aq.wait_for(future, 10)
      return hop()
    end)
    tick(2)
    local at = hop()
    future:set_result()
    assert.equal(at + 1, task:await())
  end)

  it("on timeout cancels it and waits for its end (G7, B40)", function()
    local task = cleaning_up(2, raise)
    assert.same({ "TimeoutError", 3 }, { timed(aq.wait_for, task, 1) })
    assert.is_true(task:cancelled())
    local future = aq.Future()
    assert.same({ "TimeoutError", 1 }, { timed(aq.wait_for, future, 1) })
    assert.is_true(future:cancelled())
  end)

  it("that swallows the cancel and returns a value: the value counts (G7)", function()
    local task = cleaning_up(2, function() return "a value" end)
    assert.same({ "a value", 3 }, { timed(aq.wait_for, task, 1) })
    assert.equal("ok", try(aq.sleep, 1))
  end)

  it("that raises another error when cancelled: that counts (G7)", function()
    local task = cleaning_up(2, function() error("other", 0) end)
    assert.same({ "other", 3 }, { timed(aq.wait_for, task, 1) })
    assert.equal("ok", try(aq.sleep, 1))
  end)

  it("that was cancelled by someone else: CancelledError, not a timeout", function()
    local task = aq.create_task(aq.sleep, 100)
    aq.create_task(function()
      aq.sleep(1)
      task:cancel()
    end)
    assert.same({ "CancelledError", 1 }, { timed(aq.wait_for, task, 5) })
    assert.equal("ok", try(aq.sleep, 1))
  end)

  it("0 or less: its result if done, else TimeoutError at 3 turns (H19)", function()
    local done = end_of(aq.create_task(function() return "result" end))
    local hop <close> = helper.hops()
    assert.equal("result", aq.wait_for(done, 0))
    assert.equal("result", aq.wait_for(done, -1))
    assert.equal(0, hop())
    for _, timeout in ipairs { 0, -1 } do
      local task = aq.create_task(aq.sleep, 100)
      tick()
      local at = hop()
      assert.equal(aq.TimeoutError, error_of(aq.wait_for, task, timeout))
      assert.equal(at + 3, hop())
      assert.is_true(task:cancelled())
    end
  end)

  it("0: one that swallows the cancel and returns: its value (G7)", function()
    local task = cleaning_up(2, function() return "a value" end)
    tick()
    assert.same({ "a value", 2 }, { timed(aq.wait_for, task, 0) })
  end)

  it("TimeoutError is seen one turn after the inner saw its cancel (H20)", function()
    local log = helper.log()
    local inner = aq.create_task(function()
      local _, err = pcall(aq.sleep, math.huge)
      log "inner"
      error(err, 0)
    end)
    local ticker = aq.create_task(function()
      aq.sleep(1)
      for i = 1, 4 do
        log(i)
        aq.sleep(0)
      end
    end)
    tick()
    pcall(aq.wait_for, inner, 1)
    log "timeout"
    ticker:await()
    assert.equal("1, inner, 2, timeout, 3, 4", log:text())
  end)

  it("cancelled: the inner is cancelled, and its end waited for", function()
    local inner = cleaning_up(2, raise)
    local task = aq.create_task(aq.wait_for, inner, 100)
    tick(2)
    task:cancel()
    assert.same({ "CancelledError", 2 }, { timed(task.await, task) })
    assert.is_true(inner:cancelled())
    assert.is_true(task:cancelled())
  end)

  it("cancelled while the inner is cleaning up after the timeout: still waits, then raises (G7)",
    function()
      for _, answer in ipairs { raise, function() return "a value" end } do
        local inner = cleaning_up(2, answer)
        local task = aq.create_task(function()
          local _ = aq.wait_for(inner, 1)
          aq.sleep(50)
        end)
        aq.sleep(2)
        task:cancel()
        assert.same({ "CancelledError", 1 }, { timed(task.await, task) })
        assert.is_true(inner:done() and task:cancelled())
      end
    end)

  for offset = 0, 6 do
    it(("cancelled %d turns around the inner's end: not swallowed (B41)"):format(offset), function()
      for _, use_task in ipairs { true, false } do
        local future, went_on = aq.Future(), false
        local inner = use_task and aq.create_task(future.await, future) or future
        local task = aq.create_task(function()
          aq.wait_for(inner, 100)
          went_on = true
          aq.sleep(50)
          return "not cancelled"
        end)
        tick(3)
        if offset < 3 then
          task:cancel()
          tick(offset)
          if not future:done() then future:set_result() end
        else
          future:set_result()
          tick(offset - 3)
          task:cancel()
        end
        local _, took = timed(task.await, task)
        assert.is_true(task:cancelled())
        assert.equal(0, took)
        assert.is_true(went_on or offset < 6)
      end
    end)
  end

  it("cancelled in the turn of the deadline: CancelledError (G8)", function()
    for offset = 0, 3 do
      local task = aq.create_task(function()
        aq.wait_for(aq.sleep, 1, 100)
      end)
      aq.create_task(function()
        aq.sleep(offset == 0 and 1 - 1e-9 or 1)
        if offset > 1 then tick(offset - 1) end
        task:cancel()
      end)
      aq.sleep(2)
      assert.is_true(task:done())
      if task:cancelled() then
        assert.is_true(offset <= 1)
      else
        assert.equal(aq.TimeoutError, task:exception())
        assert.is_true(offset >= 1)
      end
    end
  end)
end)

describe("wait_for, misuse", function()
  it("refuses what is no awaitable, with a hint for wait_for(q:get(), 1)", function()
    local q = aq.Queue()
    q:put_nowait "item"
    local err = error_of(function() aq.wait_for(q:get(), 1) end)
    assert.matches("^spec/wait_for_spec.lua:%d+: ", err)
    assert.matches("aq.wait_for(q.get, timeout, q)", err, 1, true)
    for _, bad in ipairs { 1, true, {}, q } do
      assert.matches("bad argument #1 to 'wait_for'", error_of(aq.wait_for, bad, 1), 1, true)
    end
    assert.matches("bad argument #1 to 'wait_for'", error_of(aq.wait_for, nil, 1), 1, true)
  end)

  it("of a task where it cannot wait cancels nothing", function()
    local task = aq.create_task(aq.sleep, 5, "slept")
    for _, timeout in ipairs { 0, 1 } do
      local ok, err = pcall(table.sort, { 2, 1 }, function() aq.wait_for(task, timeout) end)
      assert.is_false(ok)
      assert.matches("^spec/wait_for_spec.lua:%d+: cannot wait here: inside table.sort", err)
    end
    assert.equal("slept", task:await())
  end)

  it("refuses a timeout that is no number, or NaN", function()
    for _, bad in ipairs { "1", true, {}, 0 / 0 } do
      local err = error_of(function() aq.wait_for(print, bad) end)
      assert.matches("^spec/wait_for_spec.lua:%d+: bad argument #2 to 'wait_for'", err)
    end
  end)
end)

describe("timeout", function()
  it("raises TimeoutError out of its block when the time is up (G8)", function()
    assert.same({ "TimeoutError", 1 }, { timed(within, 1, sleeping(5)) })
    assert.equal(0, aq.current_task():cancelling())
    assert.equal("ok", try(aq.sleep, 5))
  end)

  it("does nothing if the block is left in time (G8)", function()
    assert.equal("value", within(1, function() return "value" end))
    within(1, sleeping(0.5))
    assert.equal("error", error_of(within, 1, function() raise "error" end))
    assert.equal("ok", try(aq.sleep, 5))
  end)

  it("leaves another error as it is, also when its time is up (G8)", function()
    local problem = {}
    assert.is_true(rawequal(problem, error_of(within, 1, function()
      pcall(aq.sleep, 5)
      error(problem)
    end)))
    assert.equal(0, aq.current_task():cancelling())
    assert.equal("ok", try(aq.sleep, 5))
  end)

  it("whose cancel was swallowed raises nothing (G8)", function()
    local timeout
    assert.equal("value", within(1, function(t)
      timeout = t
      pcall(aq.sleep, 5)
      return "value"
    end))
    assert.is_true(timeout:expired())
    assert.equal(0, aq.current_task():cancelling())
    assert.equal("ok", try(aq.sleep, 5))
  end)

  it("while swallowed, every later suspension in the block raises again (T13)", function()
    local log = helper.log()
    assert.equal("TimeoutError", try(within, 1, function()
      for _ = 1, 3 do log(try(aq.sleep, 5)) end
      aq.sleep(0)
    end))
    assert.equal("CancelledError, CancelledError, CancelledError", log:text())
  end)

  it("of 0 or less fires at the next suspension (G8, B43)", function()
    local hop <close> = helper.hops()
    for i, seconds in ipairs { 0, -1, -math.huge } do
      assert.equal("value", within(seconds, function() return "value" end))
      assert.equal(i - 1, hop())
      assert.equal("TimeoutError", try(within, seconds, sleeping(5)))
      assert.equal(i, hop())
    end
    assert.equal(0, aq.current_task():cancelling())
    assert.equal("ok", try(aq.sleep, 0))
  end)

  it("of 0 does not swallow an earlier cancel (G8, B44)", function()
    local task = aq.create_task(function()
      aq.current_task():cancel()
      within(0, sleeping(5))
    end)
    assert.equal(aq.CancelledError, error_of(task.await, task))
    assert.is_true(task:cancelled())
  end)

  it("and a cancel after it, before the task has run: the cancel counts (G8)", function()
    local task
    local canceller = aq.create_task(function()
      aq.sleep(1)
      return task:cancel()
    end)
    tick()
    task = aq.create_task(function() within(1, sleeping(5)) end)
    assert.is_true(canceller:await())
    end_of(task)
    assert.is_true(task:cancelled())
    assert.equal(1, task:cancelling())
  end)

  it("and a cancel just before it: the cancel counts (G8)", function()
    local task = aq.create_task(function() within(1, sleeping(5)) end)
    aq.sleep(1 - 1e-9)
    task:cancel()
    aq.sleep(1)
    assert.is_true(task:cancelled())
  end)

  it("fires while an outside cancel is being handled: the cancel counts (G8)", function()
    local task = aq.create_task(function()
      within(1, function()
        local _, err = pcall(aq.sleep, 5)
        aq.shield(aq.sleep, 3) -- the deadline comes in here
        error(err, 0)
      end)
    end)
    tick()
    task:cancel()
    assert.same({ "CancelledError", 3 }, { timed(task.await, task) })
    assert.is_true(task:cancelled())
    assert.equal(1, task:cancelling())
  end)

  it("nested: each converts its own (G8, B45)", function()
    local function nested(outer, inner)
      local log = helper.log()
      local result, took = timed(within, outer, function()
        log(try(within, inner, sleeping(10)))
        aq.sleep(10)
      end)
      return log:text(), result, took, aq.current_task():cancelling()
    end
    assert.same({ "TimeoutError", "TimeoutError", 5, 0 }, { nested(5, 1) })
    assert.same({ "CancelledError", "TimeoutError", 1, 0 }, { nested(1, 5) })
    assert.same({ "CancelledError", "TimeoutError", 1, 0 }, { nested(1, 1) })
  end)

  it("does not disturb uncancel in its block (B45)", function()
    local task = aq.create_task(function()
      assert.equal("CancelledError", try(within, 100, sleeping(5)))
      assert.equal(1, aq.current_task():cancelling())
      assert.equal(0, aq.current_task():uncancel())
      assert.equal("TimeoutError", try(within, 1, sleeping(5)))
      assert.equal(0, aq.current_task():cancelling())
      aq.sleep(1)
    end)
    tick()
    task:cancel()
    task:await()
  end)

  it("when, expired and reschedule (G8)", function()
    local start, timeout = aq.now(), nil
    assert.same({ "TimeoutError", 4 }, { timed(within, 1, function(t)
      timeout = t
      assert.near(start + 1, t:when(), 1e-6)
      assert.is_false(t:expired())
      aq.sleep(0.5)
      t:reschedule(10)
      assert.near(start + 10.5, t:when(), 1e-6)
      aq.sleep(1.5)
      t:reschedule(nil)
      assert.is_nil((t:when()))
      aq.sleep(1)
      t:reschedule(1)
      aq.sleep(10)
    end) })
    assert.is_true(timeout:expired())
    assert.near(start + 4, timeout:when(), 1e-6)
  end)

  it("when is nil, one value, if there is no deadline; infinity beyond the clock", function()
    within(nil, function(t) assert.equal(1, select("#", t:when())) end)
    within(math.huge, function(t) assert.equal(math.huge, t:when()) end)
  end)

  it("without a time has no deadline until one is set", function()
    within(nil, sleeping(1e6))
    within(math.huge, sleeping(1e6))
    assert.same({ "TimeoutError", 3 }, { timed(within, nil, function(t)
      aq.sleep(1)
      t:reschedule(2)
      aq.sleep(10)
    end) })
  end)

  it("reschedule to 0 or less fires at the next suspension", function()
    assert.same({ "TimeoutError", 0 }, { timed(within, 10, function(t)
      t:reschedule(0)
      aq.sleep(5)
    end) })
  end)

  it("reschedule is refused when the time is up, and when the block was left", function()
    local left
    within(1, function(t)
      left = t
      pcall(aq.sleep, 5)
      assert.matches("the time is up already", error_of(t.reschedule, t, 1), 1, true)
    end)
    assert.matches("the block has been left", error_of(left.reschedule, left, 1), 1, true)
  end)

  it("refuses NaN, strings and a call outside a task", function()
    assert.matches("number of seconds expected", error_of(aq.timeout, 0 / 0), 1, true)
    assert.matches("number of seconds expected", error_of(aq.timeout, "1"), 1, true)
    local text
    end_of(aq.create_task(function() end)):add_done_callback(function()
      text = error_of(aq.timeout, 1)
    end)
    tick()
    assert.matches("no task is running", text, 1, true)
  end)

  it("is passed on to a task that the block awaits", function()
    local inner = aq.create_task(aq.sleep, 100)
    assert.same({ "TimeoutError", 1 }, { timed(within, 1, function() inner:await() end) })
    assert.is_true(inner:cancelled())
  end)

  it("fired in a turn in which the block is left does nothing more", function()
    local task = aq.create_task(function()
      local value = within(1, function()
        aq.sleep(1) -- ends with the deadline: this one was armed later
        return "value"
      end)
      aq.sleep(1)
      return value
    end)
    local ok, value = pcall(task.await, task)
    if ok then
      assert.equal("value", value)
    else
      assert.equal(aq.TimeoutError, value)
    end
    assert.equal(0, task:cancelling())
  end)
end)

describe("shield of a function", function()
  it("calls it in the same task and returns its results", function()
    local me = aq.current_task()
    assert.same({ 1, nil, 3, nil, n = 4 }, table.pack(aq.shield(function(...)
      assert.is_true(rawequal(me, aq.current_task()))
      aq.sleep(1)
      return ...
    end, 1, nil, 3, nil)))
    assert.equal("error", error_of(aq.shield, raise, "error"))
  end)

  it("runs to its end although the caller is cancelled; the cancel comes after", function()
    local log = helper.log()
    local task = aq.create_task(function()
      log(aq.shield(aq.sleep, 3, "slept"))
      log(try(aq.sleep, 5))
    end)
    aq.sleep(1)
    task:cancel()
    assert.equal(1, task:cancelling())
    assert.same({ nil, 2 }, { timed(task.await, task) })
    assert.equal("slept, CancelledError", log:text())
  end)

  it("the cancel comes even if nothing is waited for after: the task ends cancelled", function()
    local task = aq.create_task(function()
      aq.shield(aq.sleep, 3)
      return "value"
    end)
    aq.sleep(1)
    task:cancel()
    end_of(task)
    assert.is_true(task:cancelled())
  end)

  it("lets a cancelled task wait, many times (T13)", function()
    local log = helper.log()
    local q = aq.Queue()
    local task = aq.create_task(function()
      log(try(aq.sleep, 100))
      aq.shield(function()
        aq.sleep(1)
        log(q:get())
        log(aq.create_task(function() return "child" end):await())
      end)
      log(try(aq.sleep, 1))
      log(aq.shield(aq.sleep, 1, "again"))
    end)
    tick()
    task:cancel()
    aq.sleep(2)
    q:put "item"
    task:await()
    assert.equal("CancelledError, item, child, CancelledError, again", log:text())
  end)

  it("nested: the cancel comes after the outermost", function()
    local log = helper.log()
    local task = aq.create_task(function()
      aq.shield(function()
        aq.shield(aq.sleep, 2)
        log "inner"
        aq.sleep(2)
        log "outer"
      end)
      log(try(aq.sleep, 5))
    end)
    aq.sleep(1)
    task:cancel()
    task:cancel()
    task:await()
    assert.equal("inner, outer, CancelledError", log:text())
    assert.equal(2, task:cancelling())
  end)

  it("keeps the cancel from what is awaited inside", function()
    local inner = aq.create_task(aq.sleep, 3, "slept")
    local task = aq.create_task(function()
      return aq.shield(function() return inner:await() end)
    end)
    aq.sleep(1)
    task:cancel()
    end_of(task)
    assert.equal("slept", inner:result())
    assert.is_true(task:cancelled())
  end)

  it("deadlines opened inside act inside, also in a cancelled task", function()
    local q, log = aq.Queue(), helper.log()
    local task = aq.create_task(function()
      log(try(aq.sleep, 100))
      aq.shield(function()
        log(try(aq.wait_for, aq.sleep, 1, 50))
        log(try(within, 1, sleeping(50)))
        log(try(q.get, q, 1))
        aq.sleep(1)
        log "goes on"
      end)
      log(try(aq.sleep, 0))
    end)
    tick()
    task:cancel()
    assert.same({ nil, 4 }, { timed(task.await, task) })
    assert.equal("CancelledError, TimeoutError, TimeoutError, TimeoutError, goes on, "
      .. "CancelledError", log:text())
    assert.equal(1, task:cancelling())
  end)

  it("deadlines opened outside wait until it is left", function()
    assert.same({ "TimeoutError", 3 }, { timed(within, 1, function()
      aq.shield(aq.sleep, 3)
      aq.sleep(10)
    end) })
    assert.same({ "value", 3 }, { timed(within, 1, function()
      aq.shield(aq.sleep, 3)
      return "value"
    end) })
    assert.equal(0, aq.current_task():cancelling())
    assert.equal("ok", try(aq.sleep, 1))
    assert.same({ "TimeoutError", 3 }, { timed(aq.wait_for, function()
      aq.shield(aq.sleep, 3)
      aq.sleep(10)
    end, 1) })
  end)

  it("three levels: block, shield, block, each acts in its own", function()
    local log = helper.log()
    local result, took = timed(within, 2, function()
      aq.shield(function()
        log(try(within, 1, sleeping(50)))
        log(try(within, 3, sleeping(50))) -- the outermost deadline comes in here
        aq.sleep(1)
      end)
      log "shield left"
      aq.sleep(50)
    end)
    assert.same({ "TimeoutError", 5 }, { result, took })
    assert.equal("TimeoutError, TimeoutError, shield left", log:text())
    assert.equal(0, aq.current_task():cancelling())
  end)

  it("uncancel inside takes the cancel back that waits outside", function()
    local task = aq.create_task(function()
      aq.shield(function()
        aq.sleep(2)
        assert.equal(1, aq.current_task():cancelling())
        assert.equal(0, aq.current_task():uncancel())
      end)
      aq.sleep(1)
      return "not cancelled"
    end)
    aq.sleep(1)
    task:cancel()
    assert.equal("not cancelled", task:await())
  end)

  it("an error leaves the shield too", function()
    local log = helper.log()
    local task = aq.create_task(function()
      log(error_of(aq.shield, function()
        aq.sleep(2)
        error("inside", 0)
      end))
      log(try(aq.sleep, 5))
      log(try(aq.sleep, 5))
    end)
    aq.sleep(1)
    task:cancel()
    task:await()
    assert.equal("inside, CancelledError, CancelledError", log:text())
  end)

  it("a cancel before the shield that was not delivered comes after it", function()
    local log = helper.log()
    local task = aq.create_task(function()
      aq.current_task():cancel()
      log(aq.shield(aq.sleep, 1, "slept"))
      log(try(aq.sleep, 1))
    end)
    task:await()
    assert.equal("slept, CancelledError", log:text())
  end)

  it("refuses what is no awaitable", function()
    for _, bad in ipairs { 1, "x", {}, aq.Queue() } do
      local err = error_of(function() aq.shield(bad) end)
      assert.matches("^spec/wait_for_spec.lua:%d+: bad argument #1 to 'shield'", err)
    end
  end)
end)

describe("shield of a task or future", function()
  it("returns its result, raises its error", function()
    local problem = {}
    assert.equal("slept", aq.shield(aq.create_task(aq.sleep, 1, "slept")))
    assert.is_true(rawequal(problem, error_of(aq.shield, aq.create_task(raise, problem))))
    local done = end_of(aq.create_task(function() return 1, nil, 3 end))
    assert.same({ 1, nil, 3, n = 3 }, table.pack(aq.shield(done)))
  end)

  it("returns all results, also of one that is not done yet", function()
    local task = aq.create_task(function()
      aq.sleep(1)
      return 1, nil, 3
    end)
    assert.same({ 1, nil, 3, n = 3 }, table.pack(aq.shield(task)))
  end)

  it("comes back two turns after the inner ends, at once if it has (H15)", function()
    local hop <close> = helper.hops()
    local at
    local task = aq.create_task(function()
      aq.sleep(0)
      at = hop()
    end)
    aq.shield(task)
    assert.equal(at + 2, hop())
    at = hop()
    aq.shield(task)
    assert.equal(at, hop())
  end)

  it("cancelled: stops waiting at once, the inner goes on (G6)", function()
    local inner = aq.create_task(aq.sleep, 5, "slept")
    local task = aq.create_task(aq.shield, inner)
    aq.sleep(1)
    task:cancel()
    assert.same({ "CancelledError", 0 }, { timed(task.await, task) })
    assert.is_true(task:cancelled())
    assert.equal(0, inner:cancelling())
    assert.equal("slept", inner:await())
  end)

  it("cancelled: an error of the inner after that is reported (G6, B54)", function()
    local reports = helper.reports_of(function()
      local inner = aq.create_task(function()
        aq.sleep(5)
        error("too late", 0)
      end)
      local task = aq.create_task(aq.shield, inner)
      aq.sleep(1)
      task:cancel()
      aq.sleep(10)
      assert.is_true(task:cancelled())
      inner, task = nil, nil -- luacheck: ignore
    end)
    assert.equal(1, #reports)
    assert.equal("too late", reports[1][2])
  end)

  it("cancelled in the turn in which the inner's error comes: it is reported (G6, B54)", function()
    for turns = 1, 4 do
      local raised
      local reports = helper.reports_of(function()
        local inner = aq.create_task(function()
          aq.sleep(0)
          error("in that turn", 0)
        end)
        local task = aq.create_task(aq.shield, inner)
        tick(turns)
        task:cancel()
        raised = error_of(task.await, task)
        inner, task = nil, nil -- luacheck: ignore
        tick(4)
      end)
      assert.equal(raised == aq.CancelledError and 1 or 0, #reports, turns .. " turns")
    end
  end)

  it("leaves nothing on an inner that goes on when its wait is broken off (B5)", function()
    local inner = aq.create_task(aq.sleep, 1e6)
    local function rounds(n)
      for _ = 1, n do pcall(aq.wait_for, aq.shield, 0.001, inner) end
      collectgarbage()
      collectgarbage()
      return collectgarbage "count"
    end
    local before = rounds(10)
    assert.is_true(rounds(2000) - before < 100)
    inner:cancel()
    tick(2)
  end)

  it("an inner that is cancelled cancels the wait", function()
    local inner = aq.create_task(aq.sleep, 5)
    local task = aq.create_task(aq.shield, inner)
    tick(2)
    inner:cancel()
    assert.equal(aq.CancelledError, error_of(task.await, task))
  end)

  it("wait_for(shield) leaves the inner running on timeout", function()
    local inner = aq.create_task(aq.sleep, 5, "slept")
    assert.same({ "TimeoutError", 1 }, { timed(aq.wait_for, aq.shield, 1, inner) })
    assert.equal("slept", inner:await())
  end)
end)
