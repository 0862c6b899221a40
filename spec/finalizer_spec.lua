-- Finalizers called by hand: getmetatable(thing).__gc(thing). They break nothing, and take nothing
-- from those who wait.

local aq = require "aqlua"
local helper = require "spec.helper"

local tick, try, error_of = helper.tick, helper.try, helper.error_of

local function full(class)
  local q = class(1)
  q:put(1)
  return q
end

local function held(lock)
  lock:acquire()
  return lock
end

local function put(q) q:put(2) end
local function release(lock) lock:release() end

-- How to make one of each, to wait for it, and to wake the one who waits.
local CASES = {
  ["Queue, get"] = { aq.Queue, function(q) return q:get() end, function(q) q:put(1) end },
  ["Queue, put"] = { function() return full(aq.Queue) end, put, function(q) q:get() end },
  ["Queue, join"] = { function() return full(aq.Queue) end, function(q) q:join() end,
    function(q) q:task_done() end },
  ["Queue, items"] = { aq.Queue, function(q) return q:items()() end, function(q) q:put(1) end },
  ["Queue, select"] = { aq.Queue, function(q) aq.select { q:getting() } end,
    function(q) q:put(1) end },
  ["LifoQueue, put"] = { function() return full(aq.LifoQueue) end, put, function(q) q:get() end },
  ["PriorityQueue, put"] = { function() return full(aq.PriorityQueue) end, put,
    function(q) q:get() end },
  Barrier = { function() return aq.Barrier(2) end, function(b) b:wait() end,
    function(b) aq.create_task(b.wait, b) end },
  ["Barrier, draining"] = { function()
    local b = aq.Barrier(2)
    aq.create_task(b.wait, b)
    aq.create_task(b.wait, b)
    return b
  end, function(b) b:wait() end, function(b) aq.create_task(b.wait, b) end },
  Timeout = { function() return aq.timeout(5) end, function() aq.sleep(1) end, function() end },
  Event = { aq.Event, function(e) e:wait() end, function(e) e:set() end },
  Lock = { function() return held(aq.Lock()) end, function(l) l:acquire() end, release },
  Semaphore = { function() return aq.Semaphore(0) end, function(s) s:acquire() end, release },
  Condition = { aq.Condition, function(c)
    local guard <close> = c:guard() -- luacheck: ignore
    c:wait()
  end, function(c)
    local guard <close> = c:guard() -- luacheck: ignore
    c:notify()
  end },
  Future = { aq.Future, function(f) f:await() end, function(f) f:set_result() end },
  Task = { function() return aq.create_task(aq.sleep, 1) end, function(t) t:await() end,
    function() end },
  TaskGroup = { aq.TaskGroup, function() end, function() end },
}

local function finalizer(thing) return (debug.getmetatable(thing) or {}).__gc or function() end end

describe("a finalizer that is called by hand", function()
  for name, case in pairs(CASES) do
    it(("%s: the one who waits is not lost"):format(name), function()
      local make, wait, wake = table.unpack(case)
      local thing = make()
      local finalize = finalizer(thing)
      local waiting = aq.create_task(wait, thing)
      tick()
      pcall(finalize, thing)
      wake(thing)
      pcall(finalize, thing) -- now it has been woken, and has not run
      assert.is_true((pcall(waiting.await, waiting)))
      tick(3)
      for _ = 1, 2 do pcall(finalize, thing) end
      collectgarbage()
    end)
  end

  it("is refused while somebody waits", function()
    local q, barrier = aq.Queue(), aq.Barrier(2)
    local tasks = { aq.create_task(q.get, q), aq.create_task(barrier.wait, barrier) }
    tick()
    for thing, expected in pairs { [q] = "a queue", [barrier] = "a barrier" } do
      local text = expected .. " that is waited for cannot be finalized"
      assert.matches(text, error_of(finalizer(thing), thing), 1, true)
    end
    for _, task in ipairs(tasks) do task:cancel() end
    tick(2)
  end)

  it("leaves a queue and a barrier that say so", function()
    for class, thing in pairs {
      Queue = aq.Queue(), LifoQueue = aq.LifoQueue(2), PriorityQueue = aq.PriorityQueue(),
      Barrier = aq.Barrier(1),
    } do
      local method = class == "Barrier" and "reset" or "put_nowait"
      finalizer(thing)(thing)
      finalizer(thing)(thing)
      local text = ("expected, got a finalized %s"):format(class)
      assert.matches(text, error_of(thing[method], thing, 1), 1, true)
    end
    local q = aq.Queue()
    finalizer(q)(q)
    assert.matches("Queue expected, got a finalized Queue", error_of(q.drain, q), 1, true)
  end)

  it("leaves branches of a queue that has been shut down (S2)", function()
    local q = full(aq.Queue)
    local getting, putting = q:getting(), q:putting {}
    finalizer(q)(q)
    for _, branch in ipairs { getting, putting } do
      assert.equal(aq.QueueShutDown, select(3, aq.select { branch }))
    end
  end)

  it("leaves a block without its deadline", function()
    local deadline = aq.timeout(1)
    finalizer(deadline)(deadline)
    assert.equal("ok", try(aq.sleep, 5))
    assert.matches("the block has been left", error_of(deadline.reschedule, deadline, 1), 1, true)
  end)
end)
