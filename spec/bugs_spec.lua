-- Famous bugs of other systems that are not posed elsewhere, and crowds.

local aq = require "aqlua"
local helper = require "spec.helper"

local tick = helper.tick

describe("an item", function()
  it("is not lost when wait_for's caller is cancelled in the turn it comes (X9, B42)", function()
    for offset = 0, 4 do
      local q, got = aq.Queue(), nil
      local task = aq.create_task(function() got = aq.wait_for(q.get, 10, q) end)
      tick(2)
      q:put_nowait "item"
      tick(offset)
      task:cancel()
      tick(3)
      assert.is_true((got == "item") ~= (q:qsize() == 1), "offset " .. offset)
    end
  end)

  it("is not dropped by a receiver with a cancel pending, nor by a sender (B19, B20)", function()
    local q = aq.Queue(1)
    local getter = aq.create_task(q.get, q)
    tick()
    getter:cancel()
    q:put_nowait "a"
    tick(2)
    assert.equal(1, q:qsize())
    local putter = aq.create_task(q.put, q, "b")
    tick()
    putter:cancel()
    assert.equal("a", q:get_nowait())
    tick(2)
    assert.is_true(putter:cancelled())
    assert.is_true(q:empty() and not q:full())
  end)

  it("that is discarded is reported exactly once (S8, B22)", function()
    local q = aq.Queue(2)
    q:put "a"
    q:put "b"
    local putter = aq.create_task(function() return pcall(q.put, q, "c") end)
    tick()
    local dropped = q:shutdown(true)
    assert.same({ "a", "b", n = 2 }, dropped)
    local stored, err = putter:await()
    assert.is_false(stored)
    assert.equal(aq.QueueShutDown, err)
    assert.same({ n = 0 }, q:shutdown(true))
  end)
end)

describe("jobs that are aborted", function()
  -- A job of a second that needs a slot.
  local function job(slots, log, name)
    return aq.create_task(function()
      local slot <close> = slots:guard() -- luacheck: ignore
      log(name)
      aq.sleep(1)
    end)
  end

  for _, order in ipairs { { 1, 2, 3 }, { 3, 2, 1 }, { 2, 3, 1 } } do
    it(("running and waiting together, as %d %d %d: slot and waiters are free at once (B25)")
      :format(table.unpack(order)), function()
        local slots, log, jobs = aq.Semaphore(1), helper.log(), {}
        for i = 1, 3 do jobs[i] = job(slots, log, "job " .. i) end
        local after = job(slots, log, "after")
        tick(2)
        for _, i in ipairs(order) do jobs[i]:cancel() end
        tick(2)
        for i = 1, 3 do assert.is_true(jobs[i]:cancelled()) end
        assert.equal("job 1, after", log:text())
        after:await()
        assert.is_false(slots:locked())
      end)
  end

  it("of map, running and still in the queue: the queue goes on as before (B25)", function()
    local q, log = aq.Queue(1), helper.log()
    local jobs = aq.create_task(aq.map, 1, function(item)
      log(item)
      aq.sleep(1)
    end, q)
    local putters = {}
    for i = 1, 4 do putters[i] = aq.create_task(q.put, q, i) end
    tick(4)
    jobs:cancel()
    putters[3]:cancel()
    pcall(jobs.await, jobs)
    assert.equal("1", log:text())
    assert.is_true(jobs:cancelled() and putters[3]:cancelled())
    assert.same({ 2, 4 }, { q:get(), q:get() })
    assert.is_true(q:empty() and putters[4]:done())
  end)
end)

describe("a bounded queue", function()
  it("whose consumer pauses still pushes back (B26)", function()
    local q, go, got = aq.Queue(2), aq.Event(), 0
    local consumer = aq.create_task(function()
      for _ in q:items() do
        got = got + 1
        go:wait()
      end
    end)
    local producer = aq.create_task(function()
      for i = 1, 100 do q:put(i) end
      q:shutdown()
    end)
    for _ = 1, 2 do
      local before = got
      tick(20) -- paused
      assert.is_true(got <= before + 1)
      assert.equal(2, q:qsize())
      assert.equal(got + 2, q:stats().put)
      assert.equal(1, q:stats().putters)
      go:set()
      tick(20)
      go:clear()
    end
    go:set()
    consumer:await()
    producer:await()
    assert.equal(100, got)
    assert.equal(2, q:stats().peak)
  end)
end)

describe("a turn", function()
  it("wakes what is ready before those whose time has come (L1, L4)", function()
    local log = {}
    local function note(name, fn, ...)
      aq.create_task(function(...)
        fn(...)
        log[#log + 1] = name
      end, ...)
    end
    local event = aq.Event()
    note("timer", aq.sleep, 1)
    note("setter", function()
      aq.sleep(1)
      event:set()
    end)
    note("event", event.wait, event)
    aq.sleep(2)
    assert.same({ "timer", "setter", "event" }, log)
  end)
end)

describe("a crowd", function()
  it("of a million sleepers wakes in the order of its deadlines", helper.within(120, function()
    local n, woken, last = os.getenv "AQLUA_VARIANT" == "asan" and 100000 or 1000000, 0, -1
    for i = 1, n do
      local seconds = (i * 7919) % 1000
      aq.create_task(function()
        aq.sleep(seconds)
        assert(seconds >= last)
        last, woken = seconds, woken + 1
      end)
    end
    aq.sleep(1001)
    assert.equal(n, woken)
  end))
end)
