-- A timeout of 0 or less, in every call that takes one (X10); and arguments too many.

local helper = require "spec.helper"
local aq = require "aqlua"
local tick, try, error_of = helper.tick, helper.try, helper.error_of

-- Each makes what is waited for: a function that tries, given a timeout; one that makes the next
-- try succeed; one that ends what is left, if need be. SLOW: the second takes turns of its own.
local CALLS = {
  ["q:get"] = function()
    local q = aq.Queue()
    return function(t) return q:get(t) end, function() q:put_nowait(1) end
  end,
  ["q:put"] = function()
    local q = aq.Queue(1)
    q:put_nowait(1)
    return function(t) return q:put(2, t) end, function() q:get_nowait() end
  end,
  ["put of a PriorityQueue"] = function()
    local q = aq.PriorityQueue(1)
    q:put_nowait(1)
    return function(t) return q:put({ 2, "two" }, t) end, function() q:get_nowait() end
  end,
  ["q:join"] = function()
    local q = aq.Queue()
    q:put_nowait(1)
    return function(t) return q:join(t) end, function() q:task_done() end
  end,
  ["q:get_many"] = function()
    local q = aq.Queue()
    return function(t) return q:get_many(3, t) end, function() q:put_nowait(1) end
  end,
  ["q:put_many"] = function()
    local q = aq.Queue(1)
    q:put_nowait(1)
    return function(t) return q:put_many({ 2 }, t) end, function() q:get_nowait() end
  end,
  ["future:await"] = function()
    local f = aq.Future()
    return function(t) return f:await(t) end, function() f:set_result(1) end
  end,
  ["task:await"] = function()
    local gate = aq.Event()
    local task = aq.create_task(gate.wait, gate)
    return function(t) return task:await(t) end, function()
      gate:set()
      tick()
    end, function() task:cancel() end
  end,
  ["event:wait"] = function()
    local e = aq.Event()
    return function(t) return e:wait(t) end, function() e:set() end
  end,
  ["lock:acquire"] = function()
    local l = aq.Lock()
    l:acquire()
    return function(t) return l:acquire(t) end, function() l:release() end
  end,
  ["sem:acquire"] = function()
    local s = aq.Semaphore(0)
    return function(t) return s:acquire(t) end, function() s:release() end
  end,
  ["lock:guard"] = function()
    local l = aq.Lock()
    l:acquire()
    return function(t) local _ <close> = l:guard(t) end, function() l:release() end
  end,
  ["cond:acquire"] = function()
    local c = aq.Condition()
    c:acquire()
    return function(t) return c:acquire(t) end, function() c:release() end
  end,
  ["cond:wait_for"] = function()
    local c, value = aq.Condition(), false
    c:acquire()
    return function(t) return c:wait_for(function() return value end, t) end,
      function() value = true end
  end,
  ["barrier:wait"] = function()
    local b = aq.Barrier(2)
    local other
    return function(t) return b:wait(t) end, function()
      other = aq.create_task(b.wait, b)
      tick()
    end, function() if other then other:cancel() end end
  end,
  ["select"] = function()
    local q = aq.Queue()
    return function(t)
      local key, value = aq.select { q:getting(), timeout = t }
      if key == "timeout" then error(aq.TimeoutError, 0) end
      return value
    end, function() q:put_nowait(1) end
  end,
  ["wait"] = function()
    local f = aq.Future()
    return function(t)
      local _, pending = aq.wait({ f }, { timeout = t })
      if #pending > 0 then error(aq.TimeoutError, 0) end
    end, function() f:set_result() end
  end,
  ["as_completed"] = function()
    local f = aq.Future()
    return function(t)
      return aq.as_completed({ f }, t)()
    end, function() f:set_result(1) end
  end,
}

local SLOW = { ["task:await"] = true, ["barrier:wait"] = true }

local NAMES = {}
for name in pairs(CALLS) do NAMES[#NAMES + 1] = name end
table.sort(NAMES)

local function finish(undo)
  if undo then undo() end
  tick(2)
end

for _, name in ipairs(NAMES) do
  describe(name .. ", with a timeout of 0 or less (X10)", function()
    it("that fails raises TimeoutError one turn later", function()
      local attempt, _, undo = CALLS[name]()
      tick()
      local hop <close> = helper.hops()
      for i, timeout in ipairs { 0, -1, -math.huge, -0.0 } do
        assert.equal("TimeoutError", try(attempt, timeout))
        assert.equal(i, hop())
      end
      finish(undo)
    end)

    it("that can be done at once takes no turn", function()
      local attempt, enable = CALLS[name]()
      tick()
      enable()
      local hop <close> = helper.hops()
      assert.is_nil((try(attempt, 0)):match "Error")
      assert.equal(0, hop())
    end)

    it("looks a second time, in the next turn", function()
      local attempt, enable, undo = CALLS[name]()
      if SLOW[name] then return finish(undo) end
      local helper_task = aq.create_task(enable)
      assert.is_nil((try(attempt, 0)):match "Error")
      helper_task:await()
    end)

    it("in a loop that is late lets the others run", function()
      local attempt, _, undo = CALLS[name]()
      local stop = false
      local other = aq.create_task(function()
        tick(3)
        stop = true
      end)
      local rounds = 0
      while not stop and rounds < 100 do
        assert.equal("TimeoutError", try(attempt, -1))
        rounds = rounds + 1
      end
      assert.is_true(rounds < 10)
      other:await()
      finish(undo)
    end)

    it("in a cancelled task: the cancel, of which a try is told as any wait (T13)", function()
      local attempt, _, undo = CALLS[name]()
      tick()
      local log = helper.log()
      local task = aq.create_task(function()
        log(try(attempt, 0))
        log(try(attempt, 0))
      end)
      tick()
      task:cancel()
      tick(3)
      assert.equal("CancelledError, CancelledError", log:text())
      finish(undo)
    end)
  end)
end

describe("a condition with a timeout of 0 or less (K4, X10)", function()
  it("lets go of the lock for a turn, and holds it again when it raises", function()
    local c, log = aq.Condition(), helper.log()
    c:acquire()
    local other = aq.create_task(function()
      local _ <close> = c:guard()
      log "the other"
    end)
    tick()
    assert.equal("TimeoutError", try(c.wait, c, 0))
    assert.equal("the other", log:text())
    assert.is_true(c:locked())
    assert.is_true(other:done())
  end)

  it("wait_for asks twice", function()
    local c, asked = aq.Condition(), 0
    c:acquire()
    assert.equal("TimeoutError", try(c.wait_for, c, function() asked = asked + 1 end, 0))
    assert.equal(2, asked)
  end)
end)

describe("cond:wait_for(predicate, timeout) (K4)", function()
  it("has one deadline for all its waits", function()
    local c, start = aq.Condition(), aq.now()
    local notifier = aq.create_task(function()
      while true do
        aq.sleep(0.3)
        local _ <close> = c:guard()
        c:notify_all()
      end
    end)
    c:acquire()
    assert.equal("TimeoutError", try(c.wait_for, c, function() return false end, 1))
    assert.near(1, aq.now() - start, 1e-6)
    assert.is_true(c:locked())
    c:release()
    notifier:cancel()
    tick(2)
  end)

  it("asks a last time when the time is up", function()
    local c, value = aq.Condition(), nil
    aq.create_task(function()
      aq.sleep(0.5)
      value = "set, and nobody notified"
    end)
    c:acquire()
    assert.equal("set, and nobody notified", c:wait_for(function() return value end, 1))
  end)

  it("waits beyond the clock for a timeout beyond it", function()
    local c, value = aq.Condition(), false
    aq.create_task(function()
      aq.sleep(5)
      local _ <close> = c:guard()
      value = true
      c:notify_all()
    end)
    c:acquire()
    for _, timeout in ipairs { math.huge, 1e300 } do
      assert.is_true(c:wait_for(function() return value end, timeout))
    end
  end)

  it("refuses a timeout that is none, before it asks", function()
    local c, asked = aq.Condition(), 0
    c:acquire()
    local function ask() asked = asked + 1 end
    assert.matches("bad argument #2 to 'wait_for' %(number of seconds expected", error_of(function()
      c:wait_for(ask, "1")
    end))
    assert.matches("NaN", error_of(c.wait_for, c, ask, 0 / 0), 1, true)
    assert.equal(0, asked)
  end)
end)

describe("barrier:wait(timeout) (K5)", function()
  it("ends in time; the others wait on", function()
    local b, start = aq.Barrier(3), aq.now()
    local first = aq.create_task(b.wait, b)
    tick()
    assert.equal("TimeoutError", try(b.wait, b, 2))
    assert.near(2, aq.now() - start, 1e-6)
    assert.equal(1, b:n_waiting())
    assert.is_false(b:broken())
    local second = aq.create_task(b.wait, b)
    tick()
    assert.equal(2, b:wait(1))
    assert.equal(0, first:await())
    assert.equal(1, second:await())
  end)

  it("before a barrier that is still emptying, too", function()
    local b = aq.Barrier(2)
    local stuck = aq.create_task(b.wait, b)
    tick()
    b:wait(0)
    assert.equal("TimeoutError", try(b.wait, b, 1))
    assert.is_true(stuck:done())
    assert.equal(0, b:n_waiting())
  end)

  it("filled before the task whose time is up runs: it goes on", function()
    local b, log = aq.Barrier(2), helper.log()
    local filler = aq.create_task(function()
      aq.sleep(1)
      log("filler", b:wait(0))
    end)
    tick()
    log("party", b:wait(1))
    filler:await()
    assert.equal("filler 1, party 0", log:text())
  end)

  it("refuses a timeout that is none", function()
    local b = aq.Barrier(2)
    assert.matches("NaN", error_of(b.wait, b, 0 / 0), 1, true)
    assert.equal(0, b:n_waiting())
  end)
end)

describe("an argument too many, where ignoring it would hide a mistake, is refused:", function()
  local function noop() end
  local CASES = {
    { "timeout(5, fn)", "aq.wait_for(fn, seconds) calls a function", function()
      return aq.timeout(5, noop)
    end },
    { "Barrier(2, fn)", "a barrier calls nothing", function() return aq.Barrier(2, noop) end },
    { "Future(fn)", "a Future calls nothing", function() return aq.Future(noop) end },
    { "Event(true)", "an event begins as not set", function() return aq.Event(true) end },
    { "Lock(true)", "a lock begins as free", function() return aq.Lock(true) end },
    { "TaskGroup(fn)", "group:create_task(fn) runs a function", function()
      local group = aq.TaskGroup(noop)
      return group
    end },
    { "Queue(1, name)", "options are one table", function() return aq.Queue(1, "jobs") end },
    { "PriorityQueue(1, name)", "options are one table", function()
      return aq.PriorityQueue(1, "jobs")
    end },
    { "q:put_nowait(x, 1)", "never waits", function() aq.Queue():put_nowait("x", 1) end },
    { "q:items(1)", "q:get(timeout) has one", function() aq.Queue():items(1) end },
    { "q:task_done(2)", "each call is for one item", function()
      local q = aq.Queue()
      q:put_nowait(1)
      q:task_done(2)
    end },
    { "q:drain(2)", "q:get_many(max) takes some", function() aq.Queue():drain(2) end },
    { "q:getting(1)", "the timeout is that of the select", function() aq.Queue():getting(1) end },
    { "q:putting(x, 1)", "the timeout is that of the select", function()
      aq.Queue():putting("x", 1)
    end },
    { "q:joining(1)", "the timeout is that of the select", function() aq.Queue():joining(1) end },
    { "e:waiting(1)", "the timeout is that of the select", function() aq.Event():waiting(1) end },
    { "sem:release(2)", "each call releases once", function() aq.Semaphore():release(2) end },
    { "add_done_callback(fn, x)", "gets the task or future", function()
      aq.Future():add_done_callback(noop, "x")
    end },
  }
  for _, case in ipairs(CASES) do
    local name, hint, call = table.unpack(case)
    it(name, function()
      local err = error_of(call)
      assert.matches("^spec/no_time_spec.lua:%d+: bad argument #%d to '", err)
      assert.matches("no value expected: ", err, 1, true)
      assert.matches(hint, err, 1, true)
    end)
  end

  it("but nil is no value", function()
    local q = aq.Queue(1, nil)
    q:put_nowait("x", nil)
    assert.equal("x", q:get_nowait())
    aq.Future(nil):set_result()
    q:task_done(nil)
  end)
end)
