-- Event, Lock, Semaphore, BoundedSemaphore, Condition, Barrier. The numbers are those of the
-- semantics.

local aq = require "aqlua"
local helper = require "spec.helper"

local tick = helper.tick
local try, error_of = helper.try, helper.error_of

local SEMAPHORES = { "Lock", "Semaphore", "BoundedSemaphore" }

-- A task that runs fn(...) and logs its name with "ok" or the error's name; `at`, if given, is the
-- hop counter, whose number is added.
local function doing(log, name, at, fn, ...)
  local args = table.pack(...)
  return aq.create_task(function()
    local ok, err = pcall(fn, table.unpack(args, 1, args.n))
    local what = ok and "ok" or type(err) == "userdata" and err.name or err
    if at then log(name, what, at()) else log(name, what) end
    if not ok and err == aq.CancelledError then error(err, 0) end
  end)
end

local function acquirer(log, name, lock, at) return doing(log, name, at, lock.acquire, lock) end

local function outside_of_a_task(text)
  local _, err, status = helper.run_stock(([[
    local aq = require "aqlua"
    local thing = aq.%s
    thing:%s
  ]]):format(table.unpack(text)))
  return err, status
end

local function end_of(task)
  pcall(task.await, task)
  return task
end

describe("Event", function()
  it("is not set when it is made; set and clear change that", function()
    local event = aq.Event()
    assert.is_false(event:is_set())
    event:set()
    assert.is_true(event:is_set())
    event:set()
    event:clear()
    assert.is_false(event:is_set())
    event:clear()
    assert.is_false(event:is_set())
  end)

  it("wait on one that is set returns true and takes no turn", function()
    local event = aq.Event()
    event:set()
    local hop <close> = helper.hops()
    assert.is_true(event:wait())
    assert.is_true(event:wait(0))
    assert.equal(0, hop())
  end)

  it("set wakes all who wait, in order, one turn later (H22)", function()
    local event, log = aq.Event(), helper.log()
    local hop <close> = helper.hops()
    for _, name in ipairs { "A", "B", "C" } do doing(log, name, hop, event.wait, event) end
    tick()
    event:set()
    local set_at = hop()
    tick()
    assert.equal(("A ok %d, B ok %d, C ok %d"):gsub("%%d", set_at + 1), log:text())
  end)

  it("set wakes them even if it is cleared at once (K3, H22)", function()
    local event, log = aq.Event(), helper.log()
    doing(log, "A", nil, event.wait, event)
    doing(log, "B", nil, event.wait, event)
    tick()
    event:set()
    event:clear()
    doing(log, "C", nil, event.wait, event)
    tick(3)
    assert.equal("A ok, B ok", log:text())
    event:set()
    tick()
    assert.equal("A ok, B ok, C ok", log:text())
  end)

  it("a cancelled waiter is gone, the others stay (K3)", function()
    local event, log = aq.Event(), helper.log()
    local a = doing(log, "A", nil, event.wait, event)
    doing(log, "B", nil, event.wait, event)
    tick()
    a:cancel()
    tick()
    assert.matches("1 waiting", tostring(event), 1, true)
    event:set()
    tick()
    assert.equal("A CancelledError, B ok", log:text())
  end)

  it("set, then cancel in one turn: cancelled (T8)", function()
    local event, log = aq.Event(), helper.log()
    local a = doing(log, "A", nil, event.wait, event)
    tick()
    event:set()
    a:cancel()
    tick()
    assert.equal("A CancelledError", log:text())
    assert.is_true(a:cancelled())
  end)

  it("wait with a timeout", function()
    local event = aq.Event()
    local start = aq.now()
    assert.equal("TimeoutError", try(event.wait, event, 2))
    assert.near(2, aq.now() - start, 1e-6)
    assert.matches("0 waiting", tostring(event), 1, true)
    local setter = aq.create_task(function()
      aq.sleep(1)
      event:set()
    end)
    assert.is_true(event:wait(2))
    assert.is_true(setter:done())
  end)

  it("refuses a timeout that is none", function()
    local event = aq.Event()
    assert.matches("number", error_of(event.wait, event, "1"), 1, true)
    assert.matches("NaN", error_of(event.wait, event, 0 / 0), 1, true)
  end)

  it("tostring tells its state", function()
    local event = aq.Event()
    assert.matches("^Event .*%(not set, 0 waiting%)$", tostring(event))
    event:set()
    assert.matches("^Event .*%(set, 0 waiting%)$", tostring(event))
  end)

  it("refuses another self", function()
    local event = aq.Event()
    for _, bad in ipairs { aq.Lock(), aq.Queue(), io.stdout, {}, 1, "x" } do
      assert.matches("Event expected", error_of(event.set, bad), 1, true)
      assert.matches("Event expected", error_of(event.wait, bad), 1, true)
    end
    assert.matches("Event expected", error_of(event.is_set), 1, true)
  end)

  it("wait outside of a task is refused", function()
    local err, status = outside_of_a_task { "Event()", "wait()" }
    assert.equal(1, status)
    assert.matches("no task is running", err, 1, true)
  end)

  it("is kept by those who wait on it only", function()
    local probe = setmetatable({}, { __mode = "k" })
    do
      local event = aq.Event()
      probe[event] = true
      local task = doing(helper.log(), "A", nil, event.wait, event)
      tick()
      task:cancel()
      tick()
    end
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(probe))
  end)
end)

describe("Lock", function()
  it("is free when it is made; acquire takes it, release frees it (K1)", function()
    local lock = aq.Lock()
    assert.is_false(lock:locked())
    local hop <close> = helper.hops()
    assert.is_true(lock:acquire())
    assert.equal(0, hop())
    assert.is_true(lock:locked())
    lock:release()
    assert.is_false(lock:locked())
  end)

  it("serves first come, first served, one at a time (K1)", function()
    local lock, log = aq.Lock(), helper.log()
    local tasks = {}
    for i, name in ipairs { "A", "B", "C" } do
      tasks[i] = aq.create_task(function()
        lock:acquire()
        log(name, "in")
        tick(2)
        log(name, "out")
        lock:release()
      end)
    end
    aq.gather(tasks)
    assert.equal("A in, A out, B in, B out, C in, C out", log:text())
  end)

  it("release wakes the first waiter one turn later (H21)", function()
    local lock, log = aq.Lock(), helper.log()
    local hop <close> = helper.hops()
    lock:acquire()
    acquirer(log, "A", lock, hop)
    acquirer(log, "B", lock, hop)
    tick()
    local released_at = hop()
    lock:release()
    assert.is_false(lock:locked())
    tick(3)
    assert.equal("A ok " .. released_at + 1, log:text())
    assert.is_true(lock:locked())
    lock:release()
    tick()
    assert.equal(2, #log)
    lock:release()
  end)

  it("the releaser who acquires again goes behind: two turns (H21)", function()
    local lock, log = aq.Lock(), helper.log()
    lock:acquire()
    aq.create_task(function()
      lock:acquire()
      log "A"
      lock:release()
    end)
    tick()
    local hop <close> = helper.hops()
    lock:release()
    local from = hop()
    lock:acquire()
    log "me"
    assert.equal("A, me", log:text())
    assert.equal(2, hop() - from)
    lock:release()
  end)

  it("who comes while a woken waiter has not run waits behind it (K1)", function()
    local lock, log = aq.Lock(), helper.log()
    lock:acquire()
    acquirer(log, "A", lock)
    tick()
    local c = acquirer(log, "C", lock) -- its first step is before A's next
    lock:release()
    tick(2)
    assert.equal("A ok", log:text())
    lock:release()
    tick()
    assert.equal("A ok, C ok", log:text())
    assert.is_true(c:done())
    lock:release()
  end)

  it("acquire jumps in past waiters that are all cancelled (K1)", function()
    local lock, log = aq.Lock(), helper.log()
    lock:acquire()
    local a = acquirer(log, "A", lock)
    tick()
    a:cancel()
    lock:release()
    local hop <close> = helper.hops()
    lock:acquire(0)
    assert.is_true(lock:locked())
    tick()
    assert.equal("A CancelledError", log:text())
    assert.is_true(lock:locked())
    lock:release()
    assert.is_truthy(hop)
  end)

  it("a cancelled head waiter passes the wake on (K1, B30)", function()
    for _, first in ipairs { "release", "cancel" } do
      local lock, log = aq.Lock(), helper.log()
      lock:acquire()
      local a = acquirer(log, "A", lock)
      acquirer(log, "B", lock)
      tick()
      if first == "release" then lock:release() end
      a:cancel()
      if first == "cancel" then lock:release() end
      tick(3)
      assert.equal("A CancelledError, B ok", log:text())
      assert.is_true(lock:locked())
      lock:release()
      assert.is_false(lock:locked())
    end
  end)

  it("several woken and cancelled in a row: the wake reaches the last (K1, B30)", function()
    local lock, log = aq.Lock(), helper.log()
    lock:acquire()
    local tasks = {}
    for i = 1, 5 do tasks[i] = acquirer(log, "T" .. i, lock) end
    tick()
    lock:release()
    for i = 1, 4 do tasks[i]:cancel() end
    tick(6)
    assert.equal(5, #log)
    assert.equal("T5 ok", log[5])
    lock:release()
  end)

  it("a waiter cancelled in the middle changes nothing for the others (K1)", function()
    local lock, log = aq.Lock(), helper.log()
    lock:acquire()
    acquirer(log, "A", lock)
    local b = acquirer(log, "B", lock)
    acquirer(log, "C", lock)
    tick()
    b:cancel()
    tick()
    assert.equal("B CancelledError", log:text())
    for _ = 1, 3 do
      lock:release()
      tick()
    end
    assert.equal("B CancelledError, A ok, C ok", log:text())
    assert.is_false(lock:locked())
  end)

  it("is never held twice, and never lost, under random cancels (B30, B31)", function()
    local sum = 0
    for seed = 1, 40 do
      math.randomseed(seed)
      local lock, inside, most, entered = aq.Lock(), 0, 0, 0
      local tasks = {}
      for i = 1, 12 do
        tasks[i] = aq.create_task(function()
          for _ = 1, 6 do
            lock:acquire(math.random() < 0.2 and math.random(0, 2) or nil)
            inside, entered = inside + 1, entered + 1
            most = math.max(most, inside)
            local left <close> = setmetatable({}, { __close = function()
              inside = inside - 1
              lock:release()
            end })
            for _ = 1, math.random(0, 2) do aq.sleep(math.random(0, 1)) end
            assert.is_truthy(left)
          end
        end)
      end
      for _ = 1, 30 do
        tick(math.random(0, 2))
        if math.random() < 0.3 then tasks[math.random(#tasks)]:cancel() end
      end
      for _, task in ipairs(tasks) do end_of(task) end
      assert.equal(1, most)
      assert.equal(0, inside)
      assert.is_false(lock:locked())
      lock:acquire(0)
      sum = sum + entered
    end
    assert.is_true(sum > 300, sum .. " times")
  end)

  it("release of one that is not held is an error (K1)", function()
    local lock = aq.Lock()
    assert.matches("release: the lock is not held", error_of(lock.release, lock), 1, true)
    lock:acquire()
    lock:release()
    local err = error_of(function() lock:release() end)
    assert.matches("^spec/sync_spec.lua:%d+: release: the lock is not held", err)
    lock:acquire(0)
  end)

  it("release twice while a waiter is woken is an error, and does no harm (K1)", function()
    local lock, log = aq.Lock(), helper.log()
    lock:acquire()
    acquirer(log, "A", lock)
    tick()
    lock:release()
    assert.matches("not held", error_of(lock.release, lock), 1, true)
    tick()
    assert.equal("A ok", log:text())
    assert.is_true(lock:locked())
  end)

  it("release by another task than the holder is allowed, as in asyncio", function()
    local lock = aq.Lock()
    lock:acquire()
    aq.create_task(lock.release, lock):await()
    assert.is_false(lock:locked())
  end)

  it("acquire by its holder waits: it is not reentrant", function()
    local lock = aq.Lock()
    lock:acquire()
    assert.equal("TimeoutError", try(lock.acquire, lock, 1))
    assert.equal("DeadlockError", try(lock.acquire, lock))
    assert.is_true(lock:locked())
  end)

  it("waits that are ended by force, the later one first, do no harm", function()
    local out, err = helper.run_script [[
      local aq = require "aqlua"
      local clock = require("aqlua.testing").clock()
      local lock = aq.Lock()
      lock:acquire()
      local function wait(turns)
        for _ = 1, turns do aq.sleep(0) end
        aq.shield(lock.acquire, lock)
      end
      aq.create_task(wait, 1):set_name "later"
      aq.create_task(wait, 0):set_name "first"
      aq.sleep(0)
      aq.sleep(0)
      print(tostring(lock):match "%(.*%)")
    ]]
    assert.equal("(held, 2 waiting)\n", out)
    assert.equal("later first", table.concat({ err:match "'(%a+)'.-'(%a+)'.-closed\n$" }, " "))
  end)

  it("tostring tells its state", function()
    local lock, log = aq.Lock(), helper.log()
    assert.matches("^Lock .*%(not held, 0 waiting%)$", tostring(lock))
    lock:acquire()
    acquirer(log, "A", lock)
    tick()
    assert.matches("^Lock .*%(held, 1 waiting%)$", tostring(lock))
    lock:release()
    tick()
  end)
end)

for _, class in ipairs(SEMAPHORES) do
  describe(class, function()
    local function taken()
      local thing = aq[class]()
      thing:acquire()
      return thing
    end

    it("acquire with a timeout", function()
      local thing, start = taken(), aq.now()
      assert.equal("TimeoutError", try(thing.acquire, thing, 2))
      assert.near(2, aq.now() - start, 1e-6)
      assert.matches("0 waiting", tostring(thing), 1, true)
      thing:release()
      assert.is_true(thing:acquire(2))
    end)

    it("refuses a timeout that is none", function()
      local thing = aq[class]()
      assert.matches("number", error_of(thing.acquire, thing, "1"), 1, true)
      assert.matches("NaN", error_of(thing.acquire, thing, 0 / 0), 1, true)
      assert.is_false(thing:locked())
    end)

    it("a waiter that times out is gone: the next is served (K1, K2)", function()
      local thing, log = taken(), helper.log()
      doing(log, "A", nil, thing.acquire, thing, 1)
      acquirer(log, "B", thing)
      aq.sleep(2)
      assert.equal("A TimeoutError", log:text())
      thing:release()
      tick()
      assert.equal("A TimeoutError, B ok", log:text())
      assert.is_true(thing:locked())
    end)

    it("deadline and release in one turn: it is acquired, or free (X7)", function()
      local thing = taken()
      local releaser = aq.create_task(function()
        aq.sleep(1)
        thing:release()
      end)
      local outcome = try(thing.acquire, thing, 1)
      tick(2)
      assert.is_true(releaser:done())
      assert.equal(outcome == "ok", thing:locked())
    end)

    it("under aq.timeout and aq.wait_for nothing is lost (X7)", function()
      local thing = taken()
      assert.equal("TimeoutError", try(aq.wait_for, thing.acquire, 1, thing))
      assert.equal("TimeoutError", try(function()
        local deadline <close> = aq.timeout(1) -- luacheck: ignore
        thing:acquire()
      end))
      thing:release()
      assert.is_false(thing:locked())
      assert.equal("ok", try(aq.wait_for, thing.acquire, 1, thing))
    end)

    it("refuses another self", function()
      local thing = aq[class]()
      for _, bad in ipairs { aq.Event(), aq.Queue(), io.stdout, {}, 1, "x" } do
        assert.matches("Lock or Semaphore expected", error_of(thing.acquire, bad), 1, true)
        assert.matches("Lock or Semaphore expected", error_of(thing.release, bad), 1, true)
      end
      assert.matches("expected", error_of(thing.locked), 1, true)
    end)

    it("acquire outside of a task is refused; release and locked are not", function()
      local new = class .. (class == "Lock" and "()" or "(1)")
      local err, status = outside_of_a_task { new, "acquire()" }
      assert.equal(1, status)
      assert.matches("no task is running", err, 1, true)
      err, status = outside_of_a_task { new, "locked()" }
      assert.equal("", err)
      assert.equal(0, status)
    end)

    describe("guard", function()
      it("acquires, and releases at the end of the block", function()
        local thing = aq[class]()
        do
          local held <close> = thing:guard() -- luacheck: ignore
          assert.is_true(thing:locked())
        end
        assert.is_false(thing:locked())
      end)

      it("releases on return, break and error", function()
        local thing = aq[class]()
        assert.equal("value", (function()
          local held <close> = thing:guard() -- luacheck: ignore
          return "value"
        end)())
        assert.is_false(thing:locked())
        for i = 1, 2 do
          local held <close> = thing:guard() -- luacheck: ignore
          assert.is_true(thing:locked())
          if i == 1 then break end
        end
        assert.is_false(thing:locked())
        local problem = {}
        assert.is_true(rawequal(problem, error_of(function()
          local held <close> = thing:guard() -- luacheck: ignore
          tick()
          error(problem)
        end)))
        assert.is_false(thing:locked())
      end)

      it("releases when the block is cancelled, and hands on", function()
        local thing, log = aq[class](), helper.log()
        local task = aq.create_task(function()
          local held <close> = thing:guard() -- luacheck: ignore
          aq.sleep(10)
        end)
        tick()
        acquirer(log, "B", thing)
        tick()
        task:cancel()
        tick(2)
        assert.is_true(task:cancelled())
        assert.equal("B ok", log:text())
      end)

      it("cancelled while it waits: nothing was acquired, nothing is released (B30)", function()
        local thing = taken()
        local task = aq.create_task(function()
          local held <close> = thing:guard() -- luacheck: ignore
          error "not reached"
        end)
        tick()
        task:cancel()
        tick(2)
        assert.is_true(task:cancelled())
        assert.is_true(thing:locked())
        thing:release()
        assert.is_false(thing:locked())
      end)

      it("handed over and cancelled in one turn: the next gets it (B31)", function()
        local thing, log = taken(), helper.log()
        local task = aq.create_task(function()
          local held <close> = thing:guard() -- luacheck: ignore
          log "not reached"
        end)
        tick()
        acquirer(log, "B", thing)
        tick()
        thing:release()
        task:cancel()
        tick(3)
        assert.equal("B ok", log:text())
        assert.is_true(task:cancelled())
      end)

      it("takes a timeout", function()
        local thing = taken()
        assert.equal("TimeoutError", try(thing.guard, thing, 1))
        assert.equal("TimeoutError", try(thing.guard, thing, 0))
        thing:release()
        do
          local held <close> = thing:guard(0) -- luacheck: ignore
          assert.is_true(thing:locked())
        end
        assert.is_false(thing:locked())
      end)

      it("refuses another self, at the caller's line (API 3)", function()
        local thing = aq[class]()
        for _, bad in ipairs { aq.Event(), aq.Lock, {}, 1, "x", true } do
          local err = error_of(function() local _ = thing.guard(bad) end)
          assert.matches("^spec/sync_spec.lua:%d+: bad argument", err)
        end
      end)

      it("lets one in after the other", function()
        local thing, log = aq[class](), helper.log()
        aq.gather(table.unpack((function()
          local tasks = {}
          for i = 1, 3 do
            tasks[i] = aq.create_task(function()
              local held <close> = thing:guard() -- luacheck: ignore
              log(i, "in")
              tick(i)
              log(i, "out")
            end)
          end
          return tasks
        end)()))
        assert.equal("1 in, 1 out, 2 in, 2 out, 3 in, 3 out", log:text())
      end)
    end)
  end)
end

for _, class in ipairs { "Semaphore", "BoundedSemaphore" } do
  describe(class, function()
    it("has one permit if not told otherwise", function()
      for _, semaphore in ipairs { aq[class](), aq[class](nil), aq[class](1), aq[class](1.0) } do
        semaphore:acquire(0)
        assert.is_true(semaphore:locked())
      end
    end)

    it("refuses a negative number of permits (K2)", function()
      assert.matches("negative", error_of(aq[class], -1), 1, true)
      assert.matches("negative", error_of(aq[class], math.mininteger), 1, true)
    end)

    it("refuses what is no integer", function()
      for _, bad in ipairs { 1.5, "2", true, {}, 0 / 0, math.huge } do
        assert.matches("bad argument #1", error_of(aq[class], bad), 1, true)
      end
    end)

    it("lets n in and no more (K2)", function()
      local semaphore, inside, most = aq[class](3), 0, 0
      local tasks = {}
      for i = 1, 20 do
        tasks[i] = aq.create_task(function()
          local held <close> = semaphore:guard() -- luacheck: ignore
          inside = inside + 1
          most = math.max(most, inside)
          aq.sleep(i % 4)
          inside = inside - 1
        end)
      end
      aq.gather(tasks)
      assert.equal(3, most)
      assert.is_false(semaphore:locked())
    end)

    it("locked: no permit is left, or somebody waits (K2)", function()
      local semaphore, log = aq[class](2), helper.log()
      semaphore:acquire()
      assert.is_false(semaphore:locked())
      semaphore:acquire()
      assert.is_true(semaphore:locked())
      acquirer(log, "A", semaphore)
      acquirer(log, "B", semaphore)
      tick()
      semaphore:release()
      assert.is_true(semaphore:locked()) -- it is A's
      assert.equal("TimeoutError", try(semaphore.acquire, semaphore, 0))
      tick()
      assert.equal("A ok", log:text())
      semaphore:release()
      tick()
      assert.equal("A ok, B ok", log:text())
    end)

    it("release gives the permit to the first, one turn later (H21, K2)", function()
      local semaphore, log = aq[class](1), helper.log()
      local hop <close> = helper.hops()
      semaphore:acquire()
      acquirer(log, "A", semaphore, hop)
      acquirer(log, "B", semaphore, hop)
      tick()
      local from = hop()
      semaphore:release()
      tick()
      assert.equal("A ok " .. from + 1, log:text())
      semaphore:release()
      tick()
      assert.equal(("A ok %d, B ok %d"):format(from + 1, from + 2), log:text())
    end)

    it("the releaser who acquires again goes behind (H21, B35)", function()
      local semaphore, log = aq[class](1), helper.log()
      semaphore:acquire()
      aq.create_task(function()
        semaphore:acquire()
        log "A"
        semaphore:release()
      end)
      tick()
      local hop <close> = helper.hops()
      semaphore:release()
      semaphore:acquire()
      log "me"
      assert.equal("A, me", log:text())
      assert.equal(2, hop())
    end)

    it("a woken waiter that is cancelled gives its permit to the next (K2, B35)", function()
      for _, first in ipairs { "release", "cancel" } do
        local semaphore, log = aq[class](1), helper.log()
        semaphore:acquire()
        local a = acquirer(log, "A", semaphore)
        acquirer(log, "B", semaphore)
        tick()
        if first == "release" then semaphore:release() end
        a:cancel()
        if first == "cancel" then semaphore:release() end
        tick(3)
        assert.equal(2, #log)
        assert.matches("A CancelledError", log:text(), 1, true)
        assert.matches("B ok", log:text(), 1, true)
      end
    end)

    it("several permits come free in one turn: in order, to all who may (K2)", function()
      local semaphore, log = aq[class](3), helper.log()
      for _ = 1, 3 do semaphore:acquire() end
      for i = 1, 5 do acquirer(log, "T" .. i, semaphore) end
      tick()
      for _ = 1, 3 do semaphore:release() end
      tick(2)
      assert.equal("T1 ok, T2 ok, T3 ok", log:text())
      semaphore:release()
      semaphore:release()
      tick(2)
      assert.equal("T1 ok, T2 ok, T3 ok, T4 ok, T5 ok", log:text())
    end)

    it("several woken and cancelled: each permit finds a taker (K2, B35)", function()
      local semaphore, log = aq[class](2), helper.log()
      semaphore:acquire()
      semaphore:acquire()
      local tasks = {}
      for i = 1, 5 do tasks[i] = acquirer(log, "T" .. i, semaphore) end
      tick()
      semaphore:release()
      semaphore:release()
      tasks[1]:cancel()
      tasks[2]:cancel()
      tasks[3]:cancel()
      tick(4)
      local ended = {}
      for i, task in ipairs(tasks) do ended[i] = task:done() and not task:cancelled() end
      assert.same({ false, false, false, true, true }, ended)
      assert.is_true(semaphore:locked())
      semaphore:release()
      assert.is_false(semaphore:locked())
    end)

    it("n at most, none lost, in order, under random cancels (B30, B31, B35)", function()
      for seed = 1, 40 do
        math.randomseed(seed)
        local n = math.random(1, 4)
        local semaphore, inside, most = aq[class](n), 0, 0
        local tasks = {}
        for i = 1, 12 do
          tasks[i] = aq.create_task(function()
            for _ = 1, 6 do
              semaphore:acquire(math.random() < 0.2 and math.random(0, 2) or nil)
              inside = inside + 1
              most = math.max(most, inside)
              local left <close> = setmetatable({}, { __close = function()
                inside = inside - 1
                semaphore:release()
              end })
              for _ = 1, math.random(0, 2) do aq.sleep(math.random(0, 1)) end
              assert.is_truthy(left)
            end
          end)
        end
        for _ = 1, 30 do
          tick(math.random(0, 2))
          if math.random() < 0.3 then tasks[math.random(#tasks)]:cancel() end
        end
        for _, task in ipairs(tasks) do end_of(task) end
        assert.is_true(most <= n)
        assert.equal(0, inside)
        for _ = 1, n do semaphore:acquire(0) end
        assert.is_true(semaphore:locked())
      end
    end)

    it("tostring tells its value", function()
      local semaphore = aq[class](3)
      semaphore:acquire()
      assert.matches("^" .. class .. " .*%(value 2, 0 waiting%)$", tostring(semaphore))
    end)
  end)
end

describe("Semaphore", function()
  it("may be made without a permit, and be released at will (K2)", function()
    local semaphore, log = aq.Semaphore(0), helper.log()
    assert.is_true(semaphore:locked())
    acquirer(log, "A", semaphore)
    tick()
    semaphore:release()
    semaphore:release()
    tick()
    assert.equal("A ok", log:text())
    assert.is_true(semaphore:acquire(0))
    assert.is_true(semaphore:locked())
  end)
end)

describe("BoundedSemaphore", function()
  it("over-release is an error and changes nothing (K2)", function()
    local semaphore = aq.BoundedSemaphore(2)
    local err = error_of(function() semaphore:release() end)
    assert.matches("^spec/sync_spec.lua:%d+: release: called more often than acquire", err)
    semaphore:acquire()
    semaphore:release()
    assert.matches("more often", error_of(semaphore.release, semaphore), 1, true)
    semaphore:acquire(0)
    semaphore:acquire(0)
    assert.equal("TimeoutError", try(semaphore.acquire, semaphore, 0))
    assert.matches("more often", error_of(function()
      local none = aq.BoundedSemaphore(0)
      none:release()
    end), 1, true)
  end)

  it("over-release while a woken waiter has not run (K2)", function()
    local semaphore, log = aq.BoundedSemaphore(1), helper.log()
    semaphore:acquire()
    acquirer(log, "A", semaphore)
    tick()
    semaphore:release()
    tick()
    assert.equal("A ok", log:text())
    semaphore:release()
    assert.matches("more often", error_of(semaphore.release, semaphore), 1, true)
  end)
end)

describe("Condition", function()
  -- A task that waits on the condition and logs what comes of it, and whether the lock is held.
  local function waiter(log, condition, name, at, ...)
    local args = table.pack(...)
    return aq.create_task(function()
      local held <close> = condition:guard() -- luacheck: ignore
      local ok, err = pcall(condition.wait, condition, table.unpack(args, 1, args.n))
      local what = ok and "ok" or err.name
      if at then log(name, what, at()) else log(name, what) end
      assert.is_true(condition:locked())
      if not ok and err == aq.CancelledError then error(err, 0) end
    end)
  end

  local function notify(condition, n)
    local held <close> = condition:guard() -- luacheck: ignore
    condition:notify(n)
  end

  it("has a lock: acquire, release, locked", function()
    local condition = aq.Condition()
    assert.is_false(condition:locked())
    assert.is_true(condition:acquire())
    assert.is_true(condition:locked())
    assert.equal("TimeoutError", try(condition.acquire, condition, 1))
    assert.equal("TimeoutError", try(condition.acquire, condition, 0))
    condition:release()
    assert.is_false(condition:locked())
    assert.matches("not held", error_of(condition.release, condition), 1, true)
  end)

  it("may be given the lock, and share it with another", function()
    local lock, log = aq.Lock(), helper.log()
    local a, b = aq.Condition(lock), aq.Condition(lock)
    waiter(log, a, "A")
    waiter(log, b, "B")
    tick(2)
    lock:acquire()
    assert.is_true(a:locked())
    b:notify()
    lock:release()
    tick(2)
    assert.equal("B ok", log:text())
    notify(a)
    tick(2)
    assert.equal("B ok, A ok", log:text())
  end)

  it("refuses a lock that is none", function()
    for _, bad in ipairs { aq.Semaphore(), aq.Event(), {}, 1, "x", true } do
      assert.matches("Lock expected", error_of(aq.Condition, bad), 1, true)
    end
  end)

  it("wait gives the lock up and has it again when it returns true (K4)", function()
    local condition, log = aq.Condition(), helper.log()
    local task = aq.create_task(function()
      condition:acquire()
      log(condition:wait())
      assert.is_true(condition:locked())
      condition:release()
    end)
    tick()
    assert.is_false(condition:locked())
    notify(condition)
    task:await()
    assert.equal("true", log:text())
    assert.is_false(condition:locked())
  end)

  it("notify wakes as many as it says, the first ones (K4)", function()
    local condition, log = aq.Condition(), helper.log()
    for i = 1, 6 do waiter(log, condition, i) end
    tick()
    notify(condition)
    tick(2)
    assert.equal("1 ok", log:text())
    notify(condition, 2)
    tick(2)
    assert.equal("1 ok, 2 ok, 3 ok", log:text())
    notify(condition, 0)
    tick(2)
    assert.equal(3, #log)
    notify(condition, 100)
    tick(2)
    assert.equal("1 ok, 2 ok, 3 ok, 4 ok, 5 ok, 6 ok", log:text())
    notify(condition) -- nobody is there: it is not kept
    local task = waiter(log, condition, 7)
    tick(3)
    assert.equal(6, #log)
    task:cancel()
    tick(2)
  end)

  it("notify twice in one turn wakes two", function()
    local condition, log = aq.Condition(), helper.log()
    for i = 1, 3 do waiter(log, condition, i) end
    tick()
    condition:acquire()
    condition:notify()
    condition:notify()
    condition:release()
    tick(3)
    assert.equal("1 ok, 2 ok", log:text())
    notify(condition)
    tick(2)
  end)

  it("notify_all, the lock freed in that turn: all, in order, a turn later (H23)", function()
    local condition, log = aq.Condition(), helper.log()
    local hop <close> = helper.hops()
    for _, name in ipairs { "A", "B", "C" } do waiter(log, condition, name, hop) end
    tick(2)
    condition:acquire()
    local from = hop()
    condition:notify_all()
    condition:release()
    tick()
    assert.equal(("A ok %d, B ok %d, C ok %d"):gsub("%%d", from + 1), log:text())
  end)

  it("who was notified goes on only when the lock is free (K4)", function()
    local condition, log = aq.Condition(), helper.log()
    waiter(log, condition, "A")
    tick()
    condition:acquire()
    condition:notify()
    tick(5)
    assert.equal("", log:text())
    condition:release()
    tick(2)
    assert.equal("A ok", log:text())
  end)

  it("wait and notify without the lock are errors (K4)", function()
    local condition = aq.Condition()
    for _, method in ipairs { "wait", "notify", "notify_all" } do
      local err = error_of(function() condition[method](condition) end)
      assert.matches("^spec/sync_spec.lua:%d+: " .. method .. ": the lock is not held", err)
    end
    assert.is_false(condition:locked())
  end)

  it("refuses another self, and bad arguments", function()
    local condition = aq.Condition()
    for _, method in ipairs { "wait", "notify", "notify_all", "wait_for", "acquire", "release",
                              "locked" } do
      assert.matches("Condition expected", error_of(condition[method], aq.Lock()), 1, true)
      assert.matches("Condition expected", error_of(condition[method]), 1, true)
    end
    condition:acquire()
    assert.matches("integer expected", error_of(condition.notify, condition, 1.5), 1, true)
    assert.matches("integer expected", error_of(condition.notify, condition, "1"), 1, true)
    assert.matches("function expected", error_of(condition.wait_for, condition, 1), 1, true)
    assert.is_false((pcall(condition.wait, condition, "1")))
    assert.is_false((pcall(condition.wait, condition, 0 / 0)))
    assert.is_true(condition:locked())
  end)

  it("wait with a timeout: TimeoutError, with the lock held again (K4)", function()
    local condition, start = aq.Condition(), aq.now()
    condition:acquire()
    assert.equal("TimeoutError", try(condition.wait, condition, 2))
    assert.near(2, aq.now() - start, 1e-6)
    assert.is_true(condition:locked())
    condition:release()
    assert.is_false(condition:locked())
    assert.matches("0 waiting", tostring(condition), 1, true)
  end)

  it("a timeout while another holds the lock: TimeoutError when that is free (K4)", function()
    local condition, log = aq.Condition(), helper.log()
    waiter(log, condition, "A", nil, 1)
    tick()
    condition:acquire()
    aq.sleep(3)
    assert.equal("", log:text())
    condition:release()
    tick(2)
    assert.equal("A TimeoutError", log:text())
  end)

  it("a timed-out waiter takes no notification (K4, B33)", function()
    local condition, log = aq.Condition(), helper.log()
    waiter(log, condition, "A", nil, 1)
    waiter(log, condition, "B")
    aq.sleep(2)
    assert.equal("A TimeoutError", log:text())
    notify(condition)
    tick(2)
    assert.equal("A TimeoutError, B ok", log:text())
  end)

  it("cancelled while it waits: CancelledError, with the lock held (K4, B32)", function()
    local condition, log = aq.Condition(), helper.log()
    local task = waiter(log, condition, "A")
    tick()
    task:cancel()
    tick(2)
    assert.equal("A CancelledError", log:text())
    assert.is_true(task:cancelled())
    assert.is_false(condition:locked())
  end)

  it("cancelled while another holds the lock: raised when it is free (K4, B32)", function()
    local condition, log = aq.Condition(), helper.log()
    local task = waiter(log, condition, "A")
    tick()
    condition:acquire()
    task:cancel()
    tick(5)
    assert.equal("", log:text())
    condition:release()
    tick(2)
    assert.equal("A CancelledError", log:text())
    assert.is_false(condition:locked())
  end)

  it("cancelled again and again while it takes the lock: no turn spins (B32, B37)", function()
    local condition, log = aq.Condition(), helper.log()
    local task = waiter(log, condition, "A")
    tick()
    condition:acquire()
    for _ = 1, 5 do
      task:cancel()
      tick()
    end
    local start = aq.now()
    aq.sleep(5) -- virtual time moves: nothing is ready all the while
    assert.near(5, aq.now() - start, 1e-6)
    assert.equal("", log:text())
    condition:release()
    tick(2)
    assert.equal("A CancelledError", log:text())
    assert.is_true(task:cancelled())
  end)

  it("notified, and cancelled while it takes the lock: CancelledError (K4, B32)", function()
    local condition, log = aq.Condition(), helper.log()
    local task = waiter(log, condition, "A")
    tick()
    condition:acquire()
    condition:notify()
    tick(2)
    task:cancel()
    tick(2)
    assert.equal("", log:text())
    condition:release()
    tick(2)
    assert.equal("A CancelledError", log:text())
    assert.is_true(task:cancelled())
    assert.is_false(condition:locked())
  end)

  it("raises the real cancel, with its message (B34)", function()
    local condition = aq.Condition()
    local seen
    local task = aq.create_task(function()
      local held <close> = condition:guard() -- luacheck: ignore
      local _, err = pcall(condition.wait, condition)
      seen = err
      error(err, 0)
    end)
    tick()
    task:cancel "go away"
    tick(2)
    assert.equal(aq.CancelledError, seen)
    assert.equal("go away", seen.message)
  end)

  it("a notification to one that is cancelled goes to the next (K4, B33)", function()
    for _, first in ipairs { "notify", "cancel" } do
      local condition, log = aq.Condition(), helper.log()
      local a = waiter(log, condition, "A")
      waiter(log, condition, "B")
      tick()
      condition:acquire()
      if first == "cancel" then a:cancel() end
      condition:notify()
      if first == "notify" then a:cancel() end
      condition:release()
      tick(4)
      assert.equal("A CancelledError, B ok", log:text())
      assert.is_false(condition:locked())
    end
  end)

  it("cancelled while it takes the lock after a notification: passed on (K4, B33)", function()
    local condition, log = aq.Condition(), helper.log()
    local a = waiter(log, condition, "A")
    waiter(log, condition, "B")
    tick()
    condition:acquire()
    condition:notify()
    tick()
    a:cancel()
    tick()
    condition:release()
    tick(4)
    assert.equal("A CancelledError, B ok", log:text())
  end)

  it("no notification is lost under random cancels and timeouts (B32, B33)", function()
    for seed = 1, 30 do
      math.randomseed(seed)
      local condition, items, inside, taken, put = aq.Condition(), 0, 0, 0, 0
      local tasks = {}
      for i = 1, 8 do
        tasks[i] = aq.create_task(function()
          while true do
            local held <close> = condition:guard() -- luacheck: ignore
            while items == 0 do
              local timeout = math.random() < 0.2 and math.random(0, 2) or nil
              local ok, err = pcall(condition.wait, condition, timeout)
              assert.is_true(condition:locked())
              if not ok and err ~= aq.TimeoutError then error(err, 0) end
            end
            inside = inside + 1
            assert.equal(1, inside)
            items, taken = items - 1, taken + 1
            inside = inside - 1
          end
        end)
      end
      for _ = 1, 40 do
        aq.sleep(math.random(0, 1))
        if math.random() < 0.7 then
          local held <close> = condition:guard() -- luacheck: ignore
          items, put = items + 1, put + 1
          condition:notify()
          if math.random() < 0.3 then tick() end
        end
        if math.random() < 0.1 then tasks[math.random(7)]:cancel() end
      end
      tick(10)
      assert.equal(put, taken) -- number 8 is there to the end
      for _, task in ipairs(tasks) do task:cancel() end
      tick(20)
      for _, task in ipairs(tasks) do assert.is_true(task:cancelled()) end
      assert.is_false(condition:locked())
    end
  end)

  it("wait_for waits until the predicate is true, and returns its value (K4)", function()
    local condition, value, calls = aq.Condition(), nil, 0
    local task = aq.create_task(function()
      local held <close> = condition:guard() -- luacheck: ignore
      return condition:wait_for(function()
        calls = calls + 1
        assert.is_true(condition:locked())
        return value
      end)
    end)
    tick()
    notify(condition)
    tick(2)
    assert.is_false(task:done())
    assert.equal(2, calls)
    value = "there"
    notify(condition)
    assert.equal("there", task:await())
    assert.equal(3, calls)
  end)

  it("wait_for takes no turn if it is true already; without the lock it is refused", function()
    local condition = aq.Condition()
    condition:acquire()
    local hop <close> = helper.hops()
    assert.equal(5, condition:wait_for(function() return 5 end))
    assert.equal(0, hop())
    condition:release()
    assert.matches("not held", error_of(condition.wait_for, condition, function() end), 1, true)
  end)

  it("wait_for passes an error of the predicate on, with the lock held", function()
    local condition, problem = aq.Condition(), {}
    condition:acquire()
    assert.is_true(rawequal(problem, error_of(condition.wait_for, condition, function()
      error(problem)
    end)))
    assert.is_true(condition:locked())
  end)

  it("guard refuses another self, at the caller's line (API 3)", function()
    local condition = aq.Condition()
    for _, bad in ipairs { aq.Event(), aq.Lock, {}, 1, "x", true } do
      local err = error_of(function() local _ = condition.guard(bad) end)
      assert.matches("^spec/sync_spec.lua:%d+: bad argument", err)
    end
  end)

  it("guard acquires and releases", function()
    local condition = aq.Condition()
    do
      local held <close> = condition:guard() -- luacheck: ignore
      assert.is_true(condition:locked())
      assert.equal("TimeoutError", try(condition.guard, condition, 1))
    end
    assert.is_false(condition:locked())
  end)

  it("notify of 0 or less wakes nobody, as in asyncio (K4)", function()
    local condition, log = aq.Condition(), helper.log()
    for i = 1, 2 do waiter(log, condition, i) end
    tick()
    for _, n in ipairs { 0, -1, math.mininteger } do notify(condition, n) end
    tick(3)
    assert.equal("", log:text())
    notify(condition, math.maxinteger)
    tick(2)
    assert.equal("1 ok, 2 ok", log:text())
  end)

  it("notify refuses a float, also one of integer value", function()
    local condition = aq.Condition()
    condition:acquire()
    for _, bad in ipairs { 1.0, 0.5, 0 / 0, math.huge } do
      assert.matches("integer expected", error_of(condition.notify, condition, bad), 1, true)
    end
  end)

  it("a task closed by force in a wait does not release a lock that it does not hold", function()
    local out, err, status = helper.run_script [[
      local aq = require "aqlua"
      require "aqlua.testing".clock()
      for _, lock in ipairs { aq.Lock(), false } do
        local condition = aq.Condition(lock or nil)
        aq.run(function()
          aq.create_task(function()
            local held <close> = (lock or condition):guard()
            condition:wait()
          end):set_name "the waiter"
          aq.create_task(function()
            local held <close> = condition:guard()
            aq.shield(aq.sleep, 4)
            condition:notify()
            aq.shield(aq.sleep, 4)
          end):set_name "the holder"
          aq.sleep(0)
        end)
        print(condition:locked())
        aq.run(function()
          aq.create_task(function()
            local held <close> = condition:guard()
            while true do pcall(condition.wait, condition) end
          end):set_name "the stubborn"
          aq.sleep(0)
        end)
        print(condition:locked())
      end
    ]]
    assert.equal(("false\n"):rep(4), out)
    local closed = "aqlua: task 'the %s; it was closed\n"
    local expected = closed:format "waiter' was still cleaning up after 5 s"
      .. closed:format "holder' was still cleaning up after 5 s"
      .. closed:format "stubborn' swallowed its cancellation 100 times"
    assert.same({ expected:rep(2), 1 }, { err, status })
  end)

  it("a wait where no task runs is refused, and frees nobody's lock (K4)", function()
    local condition, log = aq.Condition(), helper.log()
    local held <close> = condition:guard() -- luacheck: ignore
    local done = aq.create_task(function() end)
    done:add_done_callback(function() log(error_of(condition.wait, condition)) end)
    done:add_done_callback(function()
      log(error_of(condition.wait_for, condition, function() return false end))
    end)
    tick(3)
    assert.equal(2, #log)
    for _, line in ipairs(log) do assert.matches("no task is running", line, 1, true) end
    assert.is_true(condition:locked())
  end)

  it("a wait where the task cannot be suspended is refused, and keeps the lock (K4)", function()
    local condition, log = aq.Condition(), helper.log()
    condition:acquire()
    local contender = waiter(log, condition, "A")
    tick()
    for _, wait in ipairs {
      function() condition:wait() end,
      function() condition:wait(1) end,
      function() condition:wait_for(function() return false end) end,
    } do
      table.sort({ 1, 2 }, function()
        assert.matches("cannot wait here: inside table.sort", error_of(wait), 1, true)
        return false
      end)
    end
    assert.is_true(condition:locked())
    tick(3)
    assert.matches("held, 0 waiting", tostring(condition), 1, true)
    condition:release()
    tick()
    assert.matches("held, 1 waiting", tostring(condition), 1, true)
    contender:cancel()
    tick()
    assert.equal("A CancelledError", log:text())
  end)

  it("a cancel at any hop of a wait: nothing is lost, the lock is held (K4, B32, B33)", function()
    for turns = 0, 9 do
      local condition, log = aq.Condition(), helper.log()
      local a, b = waiter(log, condition, "A"), waiter(log, condition, "B")
      aq.create_task(function() -- notifies one while it holds the lock for four turns
        tick(2)
        local held <close> = condition:guard() -- luacheck: ignore
        tick()
        condition:notify()
        tick(3)
      end)
      tick(turns)
      a:cancel()
      tick(12)
      assert.is_false(condition:locked())
      if turns == 0 then
        assert.equal("B ok", log:text()) -- A has never run
      elseif turns <= 7 then
        assert.equal("A CancelledError, B ok", log:text())
      else
        assert.equal("A ok", log:text())
        assert.is_false(b:done())
      end
      b:cancel()
      tick(2)
    end
  end)

  it("a cancel that is taken back while it takes the lock is not raised (K4, T7)", function()
    local condition, log = aq.Condition(), helper.log()
    local task = waiter(log, condition, "A")
    tick()
    condition:acquire()
    condition:notify()
    tick()
    task:cancel()
    assert.equal(0, task:uncancel())
    condition:release()
    tick()
    assert.equal("A ok", log:text())
    assert.is_false(task:cancelled())
  end)

  it("a deadline of a block that comes while it takes the lock: TimeoutError (K4, G8)", function()
    local condition, log = aq.Condition(), helper.log()
    doing(log, "A", nil, function()
      local deadline <close> = aq.timeout(1) -- luacheck: ignore
      local held <close> = condition:guard() -- luacheck: ignore
      condition:wait()
    end)
    tick()
    condition:acquire()
    condition:notify()
    aq.sleep(5)
    assert.equal("", log:text())
    condition:release()
    tick()
    assert.equal("A TimeoutError", log:text())
    assert.is_false(condition:locked())
  end)

  it("a cancel raised at its end counts as delivered: the next wait raises it too (T13)", function()
    local condition, log = aq.Condition(), helper.log()
    local task = aq.create_task(function()
      local held <close> = condition:guard() -- luacheck: ignore
      log(try(condition.wait, condition))
      log(try(condition.wait, condition))
      log(try(aq.sleep, 0))
    end)
    tick()
    condition:acquire()
    condition:notify()
    tick()
    task:cancel()
    condition:release()
    tick(4)
    assert.equal("CancelledError, CancelledError, CancelledError", log:text())
    assert.is_false(condition:locked())
    end_of(task)
  end)

  it("a predicate that waits: its task is woken by others meanwhile (K4)", function()
    local condition, level, log = aq.Condition(), 0, helper.log()
    doing(log, "A", nil, function()
      local held <close> = condition:guard() -- luacheck: ignore
      assert.equal(2, condition:wait_for(function()
        aq.sleep(1)
        return level >= 2 and level
      end))
    end)
    for _ = 1, 2 do
      aq.sleep(2)
      level = level + 1
      notify(condition)
    end
    aq.sleep(2)
    assert.equal("A ok", log:text())
    assert.is_false(condition:locked())
  end)

  it("wait_for is refused when the predicate has let go of the lock", function()
    local condition = aq.Condition()
    condition:acquire()
    local err = error_of(function()
      condition:wait_for(function() condition:release() end)
    end)
    assert.matches("^spec/sync_spec.lua:%d+: wait_for: the lock is not held", err)
  end)

  it("is named in the report of a deadlock (O3)", function()
    local condition = aq.Condition()
    condition:acquire()
    local err = error_of(condition.wait, condition)
    assert.equal(aq.DeadlockError, err)
    assert.matches("wait: wait on Condition 0?x?%x+ %(not held, 1 waiting%)",
      (err.message:gsub("Task%-%d+: wait", "wait: wait")))
    assert.is_true(condition:locked())
    err = error_of(condition.acquire, condition)
    assert.matches("acquire on Condition 0?x?%x+ %(held, 0 waiting%)", err.message)
  end)

  it("waits that are ended by force do no harm", function()
    local out, err = helper.run_script [[
      local aq = require "aqlua"
      local clock = require("aqlua.testing").clock()
      local condition = aq.Condition()
      local function wait()
        condition:acquire()
        condition:wait()
      end
      aq.create_task(aq.shield, wait):set_name "notified"
      aq.create_task(aq.shield, wait):set_name "waiting"
      aq.sleep(0)
      condition:acquire()
      condition:notify()
      aq.sleep(0)
      print(tostring(condition):match "%(.*%)")
    ]]
    assert.equal("(held, 1 waiting)\n", out)
    assert.equal("notified waiting", table.concat({ err:match "'(%a+)'.-'(%a+)'" }, " "))
  end)

  it("one whose coroutine is closed by the stock function hands on what it has", function()
    local out, err, status = helper.run_stock [[
      local aq = require "aqlua"
      local function trial(close_early)
        local condition, co = aq.Condition(), nil
        local a = aq.create_task(function()
          co = coroutine.running()
          condition:acquire()
          condition:wait()
        end)
        local b = aq.create_task(function()
          condition:acquire()
          condition:wait()
          condition:release()
          return "next"
        end)
        aq.sleep(0)
        if close_early then coroutine.close(co) end
        condition:acquire()
        condition:notify()
        aq.sleep(0)
        if not close_early then coroutine.close(co) end
        condition:release()
        print(b:await(), condition:locked(), tostring(a:exception()))
      end
      aq.run(trial, true)
      aq.run(trial, false)
    ]]
    assert.equal("", err)
    assert.equal(0, status)
    local line = "next\tfalse\tthe task's coroutine was resumed or closed by somebody else\n"
    assert.equal(line .. line, out)
  end)

  it("is kept by those who wait on it, and keeps the lock it was given (Q18)", function()
    local weak = setmetatable({}, { __mode = "v" })
    local task = aq.create_task(function()
      weak[2] = aq.Lock()
      weak[1] = aq.Condition(weak[2])
      weak[1]:acquire()
      return weak[1]:wait()
    end)
    tick()
    collectgarbage()
    collectgarbage()
    assert.is_truthy(weak[2])
    notify(weak[1])
    assert.is_true(task:await())
    tick()
    collectgarbage()
    collectgarbage()
    assert.same({}, weak)
  end)

  it("100,000 waiters, each notified for itself", helper.within(20, function()
    local condition, tasks, n = aq.Condition(), {}, 100000
    for i = 1, n do
      tasks[i] = aq.create_task(function()
        condition:acquire()
        condition:wait()
        condition:release()
        return i
      end)
    end
    tick()
    for _ = 1, n do notify(condition) end
    for i = 1, n do assert(tasks[i]:await() == i) end
  end))

  it("100,000 waiters, cancelled from the end", helper.within(20, function()
    local condition, tasks, n = aq.Condition(), {}, 100000
    for i = 1, n do
      tasks[i] = aq.create_task(function()
        local held <close> = condition:guard() -- luacheck: ignore
        condition:wait()
      end)
    end
    tick()
    for i = n, 1, -1 do tasks[i]:cancel() end
    tick(2)
    for i = 1, n do assert(tasks[i]:cancelled()) end
    assert.matches("not held, 0 waiting", tostring(condition), 1, true)
  end))

  it("tostring tells its state", function()
    local condition = aq.Condition()
    assert.matches("^Condition .*not held, 0 waiting%)$", tostring(condition))
    local task = waiter(helper.log(), condition, "A")
    tick()
    condition:acquire()
    assert.matches("held, 1 waiting%)$", tostring(condition))
    condition:release()
    task:cancel()
    tick(2)
  end)
end)

describe("Barrier", function()
  local function party(log, barrier, name, at)
    return doing(log, name, at, barrier.wait, barrier)
  end

  -- The index that each of the tasks was given, in order of the tasks.
  local function results(tasks)
    local list = {}
    for i, task in ipairs(tasks) do list[i] = task:await() end
    return list
  end

  local function waiting(barrier)
    return aq.create_task(function() return barrier:wait() end)
  end

  it("refuses a number of parties below 1, and what is no integer (K5)", function()
    for _, bad in ipairs { 0, -1, 1.5, "2", true, {} } do
      assert.matches("positive integer expected", error_of(aq.Barrier, bad), 1, true)
    end
    assert.matches("positive integer expected", error_of(aq.Barrier), 1, true)
  end)

  it("parties, n_waiting, broken", function()
    local barrier = aq.Barrier(3)
    assert.same({ 3, 0, false }, { barrier:parties(), barrier:n_waiting(), barrier:broken() })
    local tasks = { waiting(barrier), waiting(barrier) }
    tick()
    assert.equal(2, barrier:n_waiting())
    tasks[3] = waiting(barrier)
    results(tasks)
    assert.equal(0, barrier:n_waiting())
    assert.is_false(barrier:broken())
  end)

  it("of one party lets it through at once (K5)", function()
    local barrier = aq.Barrier(1)
    local hop <close> = helper.hops()
    for _ = 1, 3 do assert.equal(0, barrier:wait()) end
    assert.equal(0, hop())
  end)

  it("gives each party a distinct index, in order of arrival (K5)", function()
    local barrier, tasks = aq.Barrier(5), {}
    for i = 1, 5 do tasks[i] = waiting(barrier) end
    assert.same({ 0, 1, 2, 3, 4 }, results(tasks))
  end)

  it("the second of two goes on at once, the first a turn later (H24)", function()
    local barrier, log = aq.Barrier(2), helper.log()
    local hop <close> = helper.hops()
    local from = hop()
    party(log, barrier, "A", hop)
    party(log, barrier, "B", hop)
    tick(3)
    assert.equal(("B ok %d, A ok %d"):format(from + 1, from + 2), log:text())
  end)

  it("can be used again and again (K5)", function()
    local barrier, log = aq.Barrier(3), helper.log()
    local tasks = {}
    for i = 1, 3 do
      tasks[i] = aq.create_task(function()
        local sum = 0
        for round = 1, 4 do
          log(round)
          sum = sum + barrier:wait()
        end
        return sum
      end)
    end
    local sums = results(tasks)
    assert.equal(4 * (0 + 1 + 2), sums[1] + sums[2] + sums[3])
    assert.equal("1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4", log:text())
  end)

  it("twice as many tasks pass in two lots (K5)", function()
    local barrier, tasks, counts = aq.Barrier(4), {}, {}
    for i = 1, 8 do tasks[i] = waiting(barrier) end
    for _, index in ipairs(results(tasks)) do counts[index] = (counts[index] or 0) + 1 end
    assert.same({ [0] = 2, 2, 2, 2 }, counts)
    assert.equal(0, barrier:n_waiting())
  end)

  it("a party that is cancelled leaves: one more is needed (K5)", function()
    local barrier, log = aq.Barrier(2), helper.log()
    local a = party(log, barrier, "A")
    tick()
    a:cancel()
    tick(2)
    assert.equal("A CancelledError", log:text())
    assert.equal(0, barrier:n_waiting())
    party(log, barrier, "B")
    tick(2)
    assert.equal(1, #log)
    party(log, barrier, "C")
    tick(3)
    assert.equal("A CancelledError, C ok, B ok", log:text())
    assert.is_false(barrier:broken())
  end)

  it("a party under a deadline: TimeoutError, and it has left (K5)", function()
    local barrier = aq.Barrier(2)
    assert.equal("TimeoutError", try(aq.wait_for, barrier.wait, 1, barrier))
    assert.equal(0, barrier:n_waiting())
    local task = waiting(barrier)
    tick()
    assert.equal(1, barrier:wait())
    assert.equal(0, task:await())
  end)

  it("reset: those waiting get BrokenBarrierError, then it works again (K5)", function()
    local barrier, log = aq.Barrier(3), helper.log()
    party(log, barrier, "A")
    party(log, barrier, "B")
    tick()
    barrier:reset()
    tick(2)
    assert.equal("A BrokenBarrierError, B BrokenBarrierError", log:text())
    assert.is_false(barrier:broken())
    assert.equal(0, barrier:n_waiting())
    assert.same({ 0, 1, 2 }, results { waiting(barrier), waiting(barrier), waiting(barrier) })
  end)

  it("reset of one where nobody waits changes nothing (K5)", function()
    local barrier = aq.Barrier(2)
    barrier:reset()
    barrier:reset()
    assert.is_false(barrier:broken())
    assert.same({ 0, 1 }, results { waiting(barrier), waiting(barrier) })
  end)

  it("who comes while a reset is under way waits for the next lot (K5)", function()
    local barrier, log = aq.Barrier(2), helper.log()
    party(log, barrier, "A")
    tick()
    barrier:reset()
    party(log, barrier, "B")
    party(log, barrier, "C")
    tick(5)
    assert.equal(3, #log)
    assert.matches("A BrokenBarrierError", log:text(), 1, true)
    assert.matches("B ok", log:text(), 1, true)
    assert.matches("C ok", log:text(), 1, true)
  end)

  it("abort: those waiting and all who come get BrokenBarrierError (K5)", function()
    local barrier, log = aq.Barrier(3), helper.log()
    party(log, barrier, "A")
    party(log, barrier, "B")
    tick()
    barrier:abort()
    tick(2)
    assert.equal("A BrokenBarrierError, B BrokenBarrierError", log:text())
    assert.is_true(barrier:broken())
    assert.equal(0, barrier:n_waiting())
    assert.equal(aq.BrokenBarrierError, error_of(barrier.wait, barrier))
    assert.equal("BrokenBarrierError", error_of(barrier.wait, barrier).name)
    assert.is_true(barrier:broken())
  end)

  it("reset after abort makes it usable again (K5)", function()
    local barrier, log = aq.Barrier(2), helper.log()
    party(log, barrier, "A")
    tick()
    barrier:abort()
    tick(2)
    assert.equal("A BrokenBarrierError", log:text())
    barrier:reset()
    assert.is_false(barrier:broken())
    assert.same({ 0, 1 }, results { waiting(barrier), waiting(barrier) })
  end)

  it("a party's error after it has passed breaks nothing", function()
    local barrier = aq.Barrier(2)
    local bad = aq.create_task(function()
      barrier:wait()
      error("later", 0)
    end)
    local good = waiting(barrier)
    assert.equal("later", error_of(bad.await, bad))
    assert.equal(1, good:await())
    assert.is_false(barrier:broken())
  end)

  it("refuses another self", function()
    local barrier = aq.Barrier(2)
    for _, method in ipairs { "wait", "reset", "abort", "parties", "n_waiting", "broken" } do
      assert.matches("Barrier expected", error_of(barrier[method], aq.Condition()), 1, true)
      assert.matches("Barrier expected", error_of(barrier[method]), 1, true)
    end
  end)

  it("reset and abort take no turn, and need no task (K5)", function()
    local barrier, log = aq.Barrier(2), helper.log()
    for _, method in ipairs { "reset", "abort" } do
      party(log, barrier, method)
      tick()
      local done = aq.create_task(function() end)
      done:add_done_callback(function()
        log(try(barrier.wait, barrier))
        barrier[method](barrier)
      end)
      tick(4)
    end
    assert.matches("no task is running", log[1], 1, true)
    assert.equal("reset BrokenBarrierError", log[2])
    assert.equal("abort BrokenBarrierError", log[4])
    assert.is_true(barrier:broken())
    local hop <close> = helper.hops()
    barrier:reset()
    barrier:abort()
    assert.equal(0, hop())
  end)

  it("a wait where the task cannot be suspended is refused, and does not count (K5)", function()
    local barrier = aq.Barrier(2)
    local function wait_in_sort()
      local result
      table.sort({ 1, 2 }, function()
        result = table.pack(pcall(barrier.wait, barrier))
        return false
      end)
      return table.unpack(result)
    end
    local ok, err = wait_in_sort()
    assert.is_false(ok)
    assert.matches("cannot wait here: inside table.sort", err, 1, true)
    assert.equal(0, barrier:n_waiting())
    local task = waiting(barrier)
    tick()
    assert.same({ true, 1 }, { wait_in_sort() }) -- the last one does not wait
    assert.equal(0, task:await())
  end)

  it("a cancel at any hop: the party leaves, or has gone on (K5)", function()
    for turns = 0, 5 do
      local barrier, log = aq.Barrier(3), helper.log()
      local a = party(log, barrier, "A")
      party(log, barrier, "B")
      aq.create_task(function()
        tick(2)
        log("C", try(barrier.wait, barrier))
      end)
      tick(turns)
      a:cancel()
      tick(4)
      if turns < 2 then
        assert.is_nil((log:text():find "ok"))
        assert.equal(2, barrier:n_waiting())
        barrier:wait()
      elseif turns < 4 then -- C came while A had not run yet
        assert.equal("C ok, A CancelledError, B ok", log:text())
      else
        assert.equal("C ok, A ok, B ok", log:text())
      end
      tick(2)
      assert.equal(0, barrier:n_waiting())
      assert.matches("(filling, 0 of 3)", tostring(barrier), 1, true)
    end
  end)

  it("the lowest index that nobody has is the next, whoever left (K5)", function()
    local barrier, tasks = aq.Barrier(8), {}
    for i = 1, 7 do tasks[i] = waiting(barrier) end
    tick()
    for _, i in ipairs { 6, 2, 7, 4 } do tasks[i]:cancel() end
    tick()
    for _, i in ipairs { 2, 4, 6, 7, 8 } do tasks[i] = waiting(barrier) end
    assert.same({ 0, 1, 2, 3, 4, 5, 6, 7 }, results(tasks))
  end)

  it("is named in the report of a deadlock (O3)", function()
    local barrier = aq.Barrier(2)
    local err = error_of(barrier.wait, barrier)
    assert.equal(aq.DeadlockError, err)
    assert.matches("wait on Barrier 0?x?%x+ %(filling, 1 of 2%)", err.message)
    assert.equal(0, barrier:n_waiting())
  end)

  it("tostring tells its state", function()
    local barrier, log = aq.Barrier(2), helper.log()
    local function state() return tostring(barrier):match "^Barrier 0?x?%x+ %((.*)%)$" end
    assert.equal("filling, 0 of 2", state())
    party(log, barrier, "A")
    tick()
    assert.equal("filling, 1 of 2", state())
    barrier:wait()
    assert.equal("draining, 1 of 2", state())
    tick()
    party(log, barrier, "B")
    tick()
    barrier:reset()
    assert.equal("resetting, 1 of 2", state())
    tick()
    barrier:abort()
    assert.equal("broken, 0 of 2", state())
  end)

  it("a party that is ended by force, or its coroutine by the stock function, has left", function()
    local out, err, status = helper.run_stock [[
      local aq = require "aqlua"
      aq.run(function()
        local barrier, co = aq.Barrier(3), nil
        local task = aq.create_task(function()
          co = coroutine.running()
          barrier:wait()
        end)
        local other = aq.create_task(function() return pcall(barrier.wait, barrier) end)
        aq.sleep(0)
        coroutine.close(co)
        for _ = 1, 3 do collectgarbage() end
        barrier:reset()
        print(select(2, other:await()))
        print(task:exception(), (tostring(barrier):match "%((.*)%)"))
        aq.create_task(aq.shield, barrier.wait, barrier)
        require("aqlua.testing").clock()
        aq.sleep(0)
      end)
    ]]
    assert.matches("^aqlua: task '[^']*' was still cleaning up after 5 s; it was closed\n$", err)
    assert.equal(0, status)
    assert.equal("BrokenBarrierError: the barrier was broken\n"
      .. "the task's coroutine was resumed or closed by somebody else\tfilling, 0 of 3\n", out)
  end)

  it("is kept by its parties only (Q18)", function()
    local weak = setmetatable({}, { __mode = "v" })
    local task = aq.create_task(function()
      local barrier = aq.Barrier(2)
      weak[1] = barrier
      return barrier:wait()
    end)
    tick()
    collectgarbage()
    assert.equal(1, weak[1]:wait())
    assert.equal(0, task:await())
    tick()
    collectgarbage()
    collectgarbage()
    assert.is_nil(weak[1])
  end)

  it("100,000 parties: half leave, the last first, others come, all go on", helper.within(20,
    function()
      local n = 100000
      local barrier, tasks, seen = aq.Barrier(n), {}, {}
      for i = 1, n - 1 do tasks[i] = waiting(barrier) end
      tick()
      for i = n - 1, 1, -2 do tasks[i]:cancel() end
      tick()
      assert.equal(n // 2 - 1, barrier:n_waiting())
      for i = 1, n, 2 do tasks[i] = waiting(barrier) end
      tasks[n] = waiting(barrier)
      for i = 1, n do
        local index = tasks[i]:await()
        assert(index >= 0 and index < n and not seen[index])
        seen[index] = true
      end
    end))

  it("100 parties through 5 rounds under random sleeps (K5)", function()
    math.randomseed(3)
    local barrier, tasks, done = aq.Barrier(100), {}, { 0, 0, 0, 0, 0 }
    for i = 1, 100 do
      tasks[i] = aq.create_task(function()
        for round = 1, 5 do
          aq.sleep(math.random(0, 3))
          if round > 1 then assert.equal(100, done[round - 1]) end
          done[round] = done[round] + 1
          barrier:wait()
          assert.equal(100, done[round])
        end
      end)
    end
    aq.gather(tasks)
    assert.same({ 100, 100, 100, 100, 100 }, done)
  end)
end)
