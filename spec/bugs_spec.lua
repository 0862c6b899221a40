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
