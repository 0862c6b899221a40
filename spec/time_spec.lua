-- sleep, now, deadlines: how long, in which order, never early. The numbers are those of the
-- semantics.

local aq = require "aqlua"
local helper = require "spec.helper"

local tick, error_of = helper.tick, helper.error_of
local real_clock = helper.real_clock

describe("sleep", function()
  it("takes as long as it says", function()
    for _, seconds in ipairs { 1, 0.25, 1e-9, 3600, 86400 * 365 } do
      local start = aq.now()
      aq.sleep(seconds)
      assert.near(seconds, aq.now() - start, math.max(seconds * 1e-9, 2e-9))
    end
  end)

  it("returns its second argument, one value", function()
    assert.equal("result", aq.sleep(0, "result"))
    assert.equal("result", aq.sleep(1, "result"))
    assert.is_false(aq.sleep(0, false))
    assert.same({ 1, n = 1 }, table.pack(aq.sleep(0, 1, 2, 3)))
    assert.same({ n = 1 }, table.pack(aq.sleep(0)))
    assert.same({ n = 1 }, table.pack(aq.sleep(1, nil)))
  end)

  it("of 0 or less takes one turn and no time (H3)", function()
    local hop <close> = helper.hops()
    local start = aq.now()
    for i, seconds in ipairs { 0, 0.0, -0.0, -1, -1e300, -math.huge, math.mininteger } do
      aq.sleep(seconds)
      assert.equal(i, hop())
    end
    assert.equal(start, aq.now())
  end)

  it("of the least positive time suspends and lets others run", function()
    local log = helper.log()
    aq.create_task(log, "other")
    aq.sleep(5e-324)
    log "main"
    assert.equal("other, main", log:text())
  end)

  it("of infinity and of more than the clock holds lasts until a cancel", function()
    local tasks = {}
    for i, seconds in ipairs { math.huge, 1e300, 2 ^ 63, 2 ^ 63 / 1e9, math.maxinteger } do
      tasks[i] = aq.create_task(aq.sleep, seconds)
    end
    aq.sleep(1e6)
    for _, task in ipairs(tasks) do
      assert.is_false(task:done())
      task:cancel()
    end
    tick(2)
    for _, task in ipairs(tasks) do assert.is_true(task:cancelled()) end
  end)

  it("counts centuries (X11)", function()
    local start = aq.now()
    aq.sleep(9.3e9)
    assert.near(start + 9.3e9, aq.now(), 1)
  end)

  it("of infinity ends no test: the virtual clock cannot jump there (O3, O4)", function()
    for _, seconds in ipairs { math.huge, 2e10 } do
      local start = aq.now()
      assert.equal(aq.DeadlockError, error_of(aq.sleep, seconds))
      assert.equal(start, aq.now())
    end
  end)

  it("refuses NaN and what is no number (H3)", function()
    for _, bad in ipairs { 0 / 0, -(0 / 0), "1", "", true, {}, print } do
      assert.matches("bad argument #1 to", error_of(aq.sleep, bad), 1, true)
    end
    assert.matches("number expected, got no value", error_of(aq.sleep), 1, true)
    assert.matches("number expected, got nil", error_of(aq.sleep, nil), 1, true)
    assert.matches("NaN", error_of(aq.sleep, 0 / 0), 1, true)
  end)

  it("equal deadlines are first come, first served (L3, B55)", function()
    local expected, got = {}, {}
    for i = 1, 500 do
      expected[i] = i
      aq.create_task(function()
        aq.sleep(1)
        got[#got + 1] = i
      end)
    end
    aq.sleep(2)
    assert.same(expected, got)
  end)

  it("equal deadlines of every kind keep one order (L3)", function()
    local q, future, log = aq.Queue(), aq.Future(), helper.log()
    for round = 1, 3 do
      for name, wait in pairs {
        sleep = function() aq.sleep(1) end,
        get = function() q:get(1) end,
        await = function() future:await(1) end,
      } do
        aq.create_task(function()
          local _ = pcall(wait)
          log(name .. round)
        end)
        log(name .. round)
      end
    end
    aq.sleep(2)
    assert.equal(18, #log)
    for i = 1, 9 do assert.equal(log[i], log[i + 9]) end
  end)

  it("different deadlines come in their order", function()
    math.randomseed(7)
    local last, n = 0, 0
    for _ = 1, 5000 do
      local seconds = math.random(1, 100000) / 1000
      aq.create_task(function()
        aq.sleep(seconds)
        assert(seconds >= last, "out of order")
        last, n = seconds, n + 1
      end)
    end
    aq.sleep(101)
    assert.equal(5000, n)
  end)

  it("cancelled ones leave the others as they were", function()
    math.randomseed(8)
    local tasks, log, expected = {}, {}, {}
    for i = 1, 1000 do
      tasks[i] = aq.create_task(function()
        aq.sleep(i % 10 + 1)
        log[#log + 1] = i
      end)
    end
    tick()
    local gone = {}
    for _ = 1, 500 do
      local i = math.random(1000)
      gone[i] = true
      tasks[i]:cancel()
    end
    for second = 1, 10 do
      for i = 1, 1000 do
        if i % 10 + 1 == second and not gone[i] then expected[#expected + 1] = i end
      end
    end
    aq.sleep(11)
    assert.same(expected, log)
  end)

  it("does not end before all that is ready has run", function()
    local log = helper.log()
    aq.create_task(function()
      for i = 1, 5 do
        log(i)
        aq.sleep(0)
      end
    end)
    aq.sleep(1e-9)
    log "later"
    assert.equal("1, 2, 3, 4, 5, later", log:text())
  end)
end)

describe("the real clock", function()
  it("sleep never ends early, nor very late (X11, B55)", real_clock(function()
    for i = 1, 40 do
      local seconds = (i * 37 % 50) / 10000 + 0.00003
      local start = aq.now()
      aq.sleep(seconds)
      local took = aq.now() - start
      assert(took >= seconds, ("%.9f s took %.9f s"):format(seconds, took))
      assert(took < seconds + 0.5, ("%.9f s took %.9f s"):format(seconds, took))
    end
  end))

  it("many sleeps at a time never end early (X11)", real_clock(function()
    local tasks = {}
    for i = 1, 200 do
      tasks[i] = aq.create_task(function()
        local seconds = i % 23 * 0.0007
        local start = aq.now()
        aq.sleep(seconds)
        return aq.now() - start - seconds
      end)
    end
    for i = 1, 200 do assert.is_true(tasks[i]:await() >= 0) end
  end))

  it("timeouts of get, put, join, await, wait_for never fire early (X11)", real_clock(function()
    local q, full = aq.Queue(), aq.Queue(1)
    full:put_nowait(1)
    for _, wait in ipairs {
      function(t) q:get(t) end,
      function(t) full:put(2, t) end,
      function(t) full:join(t) end,
      function(t) aq.Future():await(t) end,
      function(t) aq.wait_for(q.get, t, q) end,
    } do
      for _, seconds in ipairs { 0.0019, 0.0003, 0.0101 } do
        local start = aq.now()
        assert.equal(aq.TimeoutError, error_of(wait, seconds))
        assert.is_true(aq.now() - start >= seconds)
      end
    end
  end))

  it("deadlines count from the call, also after much computing (L6)", real_clock(function()
    local busy_until = aq.now() + 0.03
    while aq.now() < busy_until do end -- luacheck: ignore
    local start = aq.now()
    aq.sleep(0.01)
    assert.is_true(aq.now() - start >= 0.01)
    busy_until = aq.now() + 0.03
    while aq.now() < busy_until do end -- luacheck: ignore
    start = aq.now()
    assert.equal(aq.TimeoutError, error_of(aq.Queue().get, aq.Queue(), 0.01))
    assert.is_true(aq.now() - start >= 0.01)
  end))

  it("a deadline is seen while other tasks spin (L5)", real_clock(function()
    local spinning = true
    aq.create_task(function()
      while spinning do aq.sleep(0) end
    end)
    local start = aq.now()
    aq.sleep(0.01)
    spinning = false
    tick(2)
    assert.is_true(aq.now() - start < 1)
  end))

  it("now is read afresh and does not go back", real_clock(function()
    local last, changes = aq.now(), 0
    for _ = 1, 10000 do
      local now = aq.now()
      assert(now >= last)
      if now > last then changes = changes + 1 end
      last = now
    end
    assert.is_true(changes > 100)
    assert.equal("float", math.type(aq.now()))
  end))
end)

describe("the virtual clock", function()
  it("stands still while anything is ready, and jumps when nothing is (O4)", function()
    local start = aq.now()
    tick(100)
    assert.equal(start, aq.now())
    local real = os.clock()
    aq.sleep(1e6)
    assert.near(1e6, aq.now() - start, 1e-3)
    assert.is_true(os.clock() - real < 1)
  end)

  it("may be opened inside another, and closes once", function()
    local clock = require("aqlua.testing").clock()
    aq.sleep(1000)
    clock:close()
    clock:close()
    local start = os.time()
    aq.sleep(1000)
    assert.is_true(os.time() - start < 100)
  end)

  it("a wait that nothing can end is a DeadlockError that names it (O3)", function()
    local q = aq.Queue { name = "the empty one" }
    local other = aq.create_task(function() aq.Future():await() end)
    other:set_name "the other"
    local err = error_of(q.get, q)
    assert.equal(aq.DeadlockError, err)
    assert.matches("the empty one", err.message, 1, true)
    assert.matches("time_spec.lua", err.message, 1, true)
    assert.matches("the other", err.message, 1, true)
    assert.matches("%f[%w]get%f[%W]", err.message)
    assert.matches("%f[%w]await%f[%W]", err.message)
    assert.matches("DeadlockError: ", tostring(err), 1, true)
    assert.is_false(other:done())
    assert.same({ 0 }, { (tostring(q):match "(%d+) getting") // 1 })
    other:cancel()
    tick()
  end)

  it("a program that can still time out is not deadlocked (O3)", function()
    local q = aq.Queue()
    local task = aq.create_task(function()
      aq.sleep(100)
      q:put "in the end"
    end)
    assert.equal("in the end", q:get())
    assert.is_true(task:done())
  end)
end)
