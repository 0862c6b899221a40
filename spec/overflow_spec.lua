-- Queues that drop an item where others would make a put wait. The numbers are those of the
-- semantics.

local aq = require "aqlua"
local helper = require "spec.helper"

local tick = helper.tick
local try, error_of = helper.try, helper.error_of

local BOTH = { "drop_oldest", "drop_newest" }

local function new(overflow, maxsize)
  return aq.Queue { maxsize = maxsize or 1, overflow = overflow }
end

local function getter(log, q, name, ...)
  local args = table.pack(...)
  return aq.create_task(function()
    local ok, item = pcall(q.get, q, table.unpack(args, 1, args.n))
    log(name, ok and item or item.name)
    if not ok and item == aq.CancelledError then error(item, 0) end
  end)
end

local function items_of(q) return table.concat(q:drain(), " ") end

describe("a queue with an overflow", function()
  describe("is made", function()
    it("of a Queue only (Q23)", function()
      for _, class in ipairs { "LifoQueue", "PriorityQueue" } do
        local err = error_of(aq[class], { maxsize = 1, overflow = "drop_oldest" })
        assert.matches(("overflow: a %s cannot drop items"):format(class), err, 1, true)
      end
    end)

    it("with a maxsize of 1 or more (Q23)", function()
      for _, overflow in ipairs(BOTH) do
        for _, maxsize in ipairs { -1, 0, false } do
          local err = error_of(aq.Queue, { maxsize = maxsize or nil, overflow = overflow })
          assert.matches("overflow: a maxsize of 1 or more expected", err, 1, true)
        end
      end
    end)

    it("by one of two words (Q23)", function()
      local known = "overflow: 'drop_oldest' or 'drop_newest' expected, got 'drop'"
      assert.matches(known, error_of(aq.Queue, { maxsize = 1, overflow = "drop" }), 1, true)
      for _, overflow in ipairs { 1, true, {}, print } do
        local err = error_of(aq.Queue, { maxsize = 1, overflow = overflow })
        assert.matches("overflow: string expected, got " .. type(overflow), err, 1, true)
      end
    end)

    it("and says so: tostring, stats (Q21, O1)", function()
      for _, overflow in ipairs(BOTH) do
        local q = aq.Queue { maxsize = 3, overflow = overflow, name = "news" }
        assert.matches("'news' (size 0 of 3, " .. overflow .. ", 0 getting", tostring(q), 1, true)
        assert.equal(overflow, q:stats().overflow)
      end
      assert.is_nil(aq.Queue(3):stats().overflow)
    end)
  end)

  describe("put", function()
    it("drops the oldest, the one that would be got next (Q23)", function()
      local q = new("drop_oldest", 2)
      for i = 1, 5 do q:put(i) end
      assert.is_true(q:full())
      assert.equal(4, q:peek())
      assert.equal("4 5", items_of(q))
      assert.is_false(q:full())
    end)

    it("drops the newest, which is not stored (Q23)", function()
      local q = new("drop_newest", 2)
      for i = 1, 5 do q:put(i) end
      assert.equal("1 2", items_of(q))
      q:put(6)
      assert.equal("6", items_of(q))
    end)

    it("never waits and never raises for want of a slot, whatever the timeout (Q23)", function()
      for _, overflow in ipairs(BOTH) do
        local q = new(overflow)
        local hops <close> = helper.hops()
        q:put(1)
        for _, timeout in ipairs { 0, -1, 5 } do q:put(2, timeout) end
        assert.equal(0, select("#", q:put(3)))
        assert.equal(0, hops())
      end
    end)

    it("works in a task that has been cancelled: it does not suspend (T13)", function()
      local q = new "drop_oldest"
      local task = aq.create_task(function()
        pcall(aq.sleep, 9)
        q:put(1)
        q:put(2)
      end)
      tick()
      task:cancel()
      tick(2)
      assert.equal("2", items_of(q))
    end)

    it("nowait returns whether an item was dropped, and which (Q23)", function()
      for _, overflow in ipairs(BOTH) do
        local q = new(overflow)
        local first = {}
        assert.same({ false, n = 1 }, table.pack(q:put_nowait(first)))
        local second = {}
        local dropped, item = q:put_nowait(second)
        assert.is_true(dropped)
        assert.equal(overflow == "drop_oldest" and first or second, item)
      end
    end)

    it("nowait on other queues returns nothing", function()
      for _, class in ipairs { "Queue", "LifoQueue", "PriorityQueue" } do
        assert.equal(0, select("#", aq[class](2):put_nowait(1)))
      end
    end)

    it("drops items of every type, nil and false too (Q16, Q23)", function()
      local values = { 1, 2.5, "s", true, false, {}, print, io.stdout, n = 9 }
      local q = new "drop_oldest"
      q:put(values[1])
      for i = 2, values.n do
        local dropped, item = q:put_nowait(values[i])
        assert.is_true(dropped)
        assert.equal(values[i - 1], item)
      end
      assert.same({ true, nil, n = 2 }, table.pack(q:put_nowait "last"))
      assert.equal("last", q:get())
    end)

    it("keeps nothing of what was dropped (Q17)", function()
      for _, overflow in ipairs(BOTH) do
        local q, seen = new(overflow), setmetatable({}, { __mode = "k" })
        for _ = 1, 50 do
          local item = {}
          seen[item] = true
          q:put(item)
        end
        collectgarbage()
        local n = 0
        for _ in pairs(seen) do n = n + 1 end
        assert.equal(1, n)
      end
    end)

    it("works outside a task, where put_nowait does", function()
      local q, log = new "drop_oldest", helper.log()
      local task = aq.create_task(function() end)
      task:add_done_callback(function()
        q:put_nowait(1)
        log(q:put_nowait(2))
      end)
      task:await()
      tick()
      assert.equal("true 1", log:text())
    end)

    it("raises after a shutdown, and drops nothing (S2)", function()
      for _, overflow in ipairs(BOTH) do
        local q = new(overflow)
        q:put(1)
        q:shutdown()
        assert.equal("QueueShutDown", try(q.put, q, 2))
        assert.equal("QueueShutDown", try(q.put_nowait, q, 2))
        assert.equal("QueueShutDown", select(3, aq.select { q:putting(2) }).name)
        assert.equal(0, q:stats().dropped)
        assert.equal("1", items_of(q))
      end
    end)

    it("still takes its turn under a budget (Q20)", function()
      aq.set_budget(10)
      local q = new "drop_oldest"
      local hops <close> = helper.hops()
      for i = 1, 25 do q:put(i) end
      aq.set_budget()
      assert.is_true(hops() >= 2)
    end)
  end)

  describe("between a put and the getter's step", function()
    it("full and empty are both true, and a put works all the same (Q25)", function()
      local q, log = new "drop_oldest", helper.log()
      getter(log, q, "A")
      tick()
      q:put_nowait(1)
      assert.is_true(q:full())
      assert.is_true(q:empty())
      assert.equal("QueueEmpty", try(q.get_nowait, q))
      assert.same({ true, 1, n = 2 }, table.pack(q:put_nowait(2)))
      assert.same({ true, 2, n = 2 }, table.pack(q:put_nowait(3)))
      tick()
      assert.equal("A 3", log:text())
      assert.equal(0, q:qsize())
    end)

    it("a put wakes nobody who would find nothing (Q7, Q25)", function()
      local q, log = new "drop_oldest", helper.log()
      for _, name in ipairs { "A", "B", "C" } do getter(log, q, name) end
      tick()
      for i = 1, 4 do q:put_nowait(i) end
      tick(3)
      assert.equal("A 4", log:text())
      q:put(5)
      tick()
      q:put(6)
      tick()
      assert.equal("A 4, B 5, C 6", log:text())
    end)

    it("the newest is dropped: the ticketed one still fills the queue (Q25)", function()
      local q, log = new "drop_newest", helper.log()
      getter(log, q, "A")
      tick()
      q:put_nowait(1)
      assert.same({ true, 2, n = 2 }, table.pack(q:put_nowait(2)))
      tick()
      assert.equal("A 1", log:text())
    end)

    it("a getter that is cancelled hands the new item on (X2, Q25)", function()
      local q, log = new "drop_oldest", helper.log()
      local a = getter(log, q, "A")
      getter(log, q, "B")
      tick()
      q:put_nowait(1)
      q:put_nowait(2)
      a:cancel()
      tick(3)
      assert.equal("A CancelledError, B 2", log:text())
    end)

    it("a shutdown leaves the getter the item (S9), an immediate one does not (S7)", function()
      for immediate, text in pairs { [false] = "A 2", [true] = "A QueueShutDown" } do
        local q, log = new "drop_oldest", helper.log()
        getter(log, q, "A")
        tick()
        q:put_nowait(1)
        q:put_nowait(2)
        q:shutdown(immediate)
        tick()
        assert.equal(text, log:text())
      end
    end)

    it("an iteration and get_many take the new item", function()
      local q, log = new "drop_oldest", helper.log()
      aq.create_task(function()
        for item in q:items() do log("items", item) end
      end)
      aq.create_task(function() log("many", q:get_many(3)[1]) end)
      tick()
      q:put(1)
      q:put(2)
      tick()
      q:put(3)
      q:put(4)
      tick()
      assert.equal("items 2, many 4", log:text())
      q:shutdown()
      tick()
    end)
  end)

  describe("join", function()
    it("does not wait for what was dropped (Q24)", function()
      for _, overflow in ipairs(BOTH) do
        local q, log = new(overflow, 2), helper.log()
        for i = 1, 10 do q:put(i) end
        assert.equal(2, q:stats().unfinished)
        local joiner = aq.create_task(function()
          q:join()
          log "joined"
        end)
        tick()
        q:put(11)
        for _ = 1, 2 do
          tick()
          assert.equal("", log:text())
          q:get()
          q:task_done()
        end
        joiner:await()
        assert.matches("too many times", error_of(q.task_done, q), 1, true)
      end
    end)

    it("is not woken by a drop: U does not pass through 0 (Q24)", function()
      local q, log = new "drop_oldest", helper.log()
      q:put(1)
      aq.create_task(function()
        q:join()
        log "joined"
      end)
      tick()
      for i = 2, 5 do q:put(i) end
      tick(3)
      assert.equal("", log:text())
      q:task_done()
      tick()
      assert.equal("joined", log:text())
    end)

    it("waits for the new item though the oldest was marked done early (J9, Q24)", function()
      local q = new "drop_oldest"
      q:put(1)
      q:task_done()
      q:put(2)
      assert.equal(1, q:stats().unfinished)
      assert.equal("TimeoutError", try(q.join, q, 0))
    end)
  end)

  describe("stats", function()
    it("count each put as got, dropped or still there (O1, Q24)", function()
      for _, overflow in ipairs(BOTH) do
        local q = new(overflow, 2)
        for i = 1, 5 do q:put(i) end
        q:get()
        q:put(6)
        q:put(7)
        local s = q:stats()
        assert.same({ 7, 1, 4, 2, 2 }, { s.put, s.got, s.dropped, s.size, s.peak })
        q:shutdown(true)
        s = q:stats()
        assert.same({ 7, 1, 6, 0 }, { s.put, s.got, s.dropped, s.size })
      end
    end)
  end)

  describe("in a select", function()
    it("putting is always ready (Q23)", function()
      for i, overflow in ipairs(BOTH) do
        local q, empty = new(overflow), aq.Queue()
        local hops <close> = helper.hops()
        q:put(1)
        assert.equal("put", (aq.select { get = empty:getting(), put = q:putting "x" }))
        assert.equal("put", (aq.select { put = q:putting "x", timeout = 0 }))
        assert.equal(0, hops())
        assert.equal(2, q:stats().dropped)
        assert.equal(i == 1 and "x" or 1, q:get())
      end
    end)

    it("a branch before it goes first; it drops nothing then (X9)", function()
      local q, other = new "drop_oldest", aq.Queue()
      q:put(1)
      other:put "other"
      local which, value = aq.select { other:getting(), q:putting(2) }
      assert.same({ 1, "other" }, { which, value })
      assert.equal("1", items_of(q))
    end)

    it("a getting that was woken takes the new item (Q25)", function()
      local q, log = new "drop_oldest", helper.log()
      aq.create_task(function() log((select(2, aq.select { q:getting() }))) end)
      tick()
      q:put(1)
      q:put(2)
      tick()
      assert.equal("2", log:text())
    end)
  end)

  describe("put_many", function()
    it("puts all, dropped or not, and returns their number", function()
      for i, overflow in ipairs(BOTH) do
        local q = new(overflow, 2)
        local hops <close> = helper.hops()
        assert.equal(5, q:put_many { 1, 2, 3, 4, 5 })
        assert.equal(5, q:put_many({ 1, 2, 3, 4, 5 }, 0))
        assert.equal(0, hops())
        assert.equal(8, q:stats().dropped)
        assert.equal(i == 1 and "4 5" or "1 2", items_of(q))
      end
    end)
  end)
end)
