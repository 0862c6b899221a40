-- Queue: put, get and the rest. The numbers are those of the semantics.

local aq = require "aqlua"
local helper = require "spec.helper"

local tick = helper.tick
local try, error_of = helper.try, helper.error_of

-- A task that gets one item and logs it under its name, or the error's name.
local function getter(log, q, name, ...)
  local args = table.pack(...)
  return aq.create_task(function()
    local ok, item = pcall(q.get, q, table.unpack(args, 1, args.n))
    log(name, ok and item or item.name)
    if not ok and item == aq.CancelledError then error(item, 0) end
  end)
end

local function putter(log, q, name, item)
  return aq.create_task(function()
    local ok, err = pcall(q.put, q, item)
    log(name, ok and "put" or err.name)
    if not ok and err == aq.CancelledError then error(err, 0) end
  end)
end

local function joiner(log, q, name)
  return aq.create_task(function()
    local ok, err = pcall(q.join, q)
    log(name, ok and "joined" or err.name)
    if not ok and err == aq.CancelledError then error(err, 0) end
  end)
end

-- U, by counting it down.
local function unfinished(q)
  local n = 0
  while pcall(q.task_done, q) do n = n + 1 end
  return n
end

-- A queue with these items in it.
local function queue_of(maxsize, ...)
  local q = aq.Queue(maxsize)
  for i = 1, select("#", ...) do q:put_nowait((select(i, ...))) end
  return q
end

local function drain(q)
  local items = {}
  while not q:empty() do items[#items + 1] = q:get_nowait() end
  return items
end

local function waiters(q)
  local getting, putting = tostring(q):match "(%d+) getting, (%d+) putting"
  return tonumber(getting), tonumber(putting)
end

local function cancel_all(tasks)
  for _, task in ipairs(tasks) do task:cancel() end
  tick(2)
end

describe("Queue", function()
  describe("construction", function()
    it("is unbounded for nil, 0, less than 0 and {} (Q1)", function()
      for _, q in ipairs { aq.Queue(), aq.Queue(0), aq.Queue(-1), aq.Queue(-2.0), aq.Queue {},
                           aq.Queue { maxsize = 0 }, aq.Queue(math.mininteger) } do
        for i = 1, 1000 do q:put_nowait(i) end
        assert.is_false(q:full())
        assert.equal(0, q:maxsize())
        assert.equal(1000, q:qsize())
      end
    end)

    it("takes an integer, or a float with an integer's value (Q2)", function()
      for _, q in ipairs { aq.Queue(2), aq.Queue(2.0), aq.Queue { maxsize = 2 } } do
        assert.equal(2, q:maxsize())
        assert.equal("integer", math.type(q:maxsize()))
        q:put_nowait(1)
        assert.is_false(q:full())
        q:put_nowait(2)
        assert.is_true(q:full())
      end
    end)

    it("refuses any other bound (Q2)", function()
      local bad = { 1.5, "2", true, false, 0 / 0, math.huge, 2.0 ^ 70, print, io.stdout }
      for _, maxsize in ipairs(bad) do
        assert.matches("maxsize: integer expected", error_of(aq.Queue, maxsize), 1, true)
        local err = error_of(aq.Queue, { maxsize = maxsize })
        assert.matches("maxsize: integer expected", err, 1, true)
      end
    end)

    it("takes a name", function()
      assert.equal("jobs", aq.Queue({ name = "jobs" }):name())
      assert.is_nil(aq.Queue():name())
      assert.matches("name: string expected", error_of(aq.Queue, { name = 5 }), 1, true)
    end)

    it("refuses an unknown option", function()
      assert.matches("unknown option 'size'", error_of(aq.Queue, { size = 1 }), 1, true)
      assert.matches("unknown option", error_of(aq.Queue, { 5 }), 1, true)
    end)

    it("takes the largest integer as a bound, and allocates nothing for it", function()
      local q = aq.Queue(math.maxinteger)
      q:put_nowait(1)
      assert.equal(math.maxinteger, q:maxsize())
      assert.is_false(q:full())
    end)
  end)

  describe("looking", function()
    it("qsize and # count what is stored", function()
      local q = aq.Queue()
      for i = 1, 3 do
        q:put_nowait(i)
        assert.equal(i, q:qsize())
        assert.equal(i, #q)
      end
      q:get_nowait()
      assert.equal(2, q:qsize())
      assert.equal(2, #q)
    end)

    it("empty and full tell exactly the ends (Q3)", function()
      local q = aq.Queue(2)
      assert.same({ true, false }, { q:empty(), q:full() })
      q:put_nowait(1)
      assert.same({ false, false }, { q:empty(), q:full() })
      q:put_nowait(2)
      assert.same({ false, true }, { q:empty(), q:full() })
    end)

    it("shutdown changes neither empty nor full", function()
      local q = queue_of(1, "a")
      q:shutdown()
      assert.same({ false, true }, { q:empty(), q:full() })
      q:get_nowait()
      assert.same({ true, false }, { q:empty(), q:full() })
    end)

    it("tostring shows name, size, bound, waiters, unfinished, closed state (Q21)", function()
      local q = aq.Queue { maxsize = 3, name = "jobs" }
      local log = helper.log()
      assert.matches("jobs", tostring(q), 1, true)
      q:put_nowait "a"
      q:put_nowait "b"
      q:get_nowait()
      assert.matches("size 1 of 3, 0 getting, 0 putting, 2 unfinished", tostring(q), 1, true)
      assert.not_matches("shut down", tostring(q))
      q:put_nowait "c"
      q:put_nowait "d"
      local task = putter(log, q, "P", "e")
      tick()
      assert.matches("size 3 of 3, 0 getting, 1 putting, 4 unfinished", tostring(q), 1, true)
      q:shutdown(true)
      assert.matches("shut down", tostring(q), 1, true)
      tick()
      assert.is_true(task:done())
    end)

    it("tostring of an unbounded queue with getters (Q21)", function()
      local q, log = aq.Queue(), helper.log()
      local tasks = { getter(log, q, "A"), getter(log, q, "B") }
      tick()
      assert.matches("size 0, 2 getting, 0 putting, 0 unfinished", tostring(q), 1, true)
      cancel_all(tasks)
      assert.matches("0 getting", tostring(q), 1, true)
    end)
  end)

  describe("put and get", function()
    it("are first in, first out", function()
      local q = aq.Queue()
      local expected, got = {}, {}
      for i = 1, 100 do
        q:put(i)
        expected[i] = i
      end
      for i = 1, 100 do got[i] = q:get() end
      assert.same(expected, got)
    end)

    it("keep the order over many turns of the ring", function()
      local q, next_in, next_out = aq.Queue(), 1, 1
      for round = 1, 300 do
        for _ = 1, round % 17 + 1 do
          q:put_nowait(next_in)
          next_in = next_in + 1
        end
        for _ = 1, math.min(q:qsize(), round % 13 + 1) do
          assert.equal(next_out, q:get_nowait())
          next_out = next_out + 1
        end
      end
      assert.equal(next_in - next_out, q:qsize())
    end)

    it("return nothing and one value", function()
      local q = aq.Queue()
      assert.equal(0, select("#", q:put(1)))
      assert.equal(0, select("#", q:put_nowait(2)))
      assert.equal(1, select("#", q:get()))
      assert.equal(1, select("#", q:get_nowait()))
      q:put(nil)
      assert.equal(1, select("#", q:get()))
      q:task_done()
      assert.equal(0, select("#", q:task_done()))
    end)

    it("take nil and false as items (Q16)", function()
      local q = aq.Queue()
      q:put(nil)
      q:put_nowait(false)
      q:put_nowait(nil)
      assert.equal(3, q:qsize())
      assert.same({ n = 1 }, table.pack(q:get()))
      assert.is_false(q:get())
      assert.same({ n = 1 }, table.pack(q:get_nowait()))
      assert.is_true(q:empty())
    end)

    it("hand nil and false to a waiting getter, and from a waiting putter (Q16)", function()
      local q = aq.Queue(1)
      local got = {}
      local task = aq.create_task(function()
        for i = 1, 2 do got[i] = table.pack(q:get()) end
      end)
      tick()
      q:put(nil)
      q:put(false)
      task:await()
      assert.same({ { n = 1 }, { false, n = 1 } }, got)
      q:put "first"
      task = aq.create_task(function() q:put(nil) end)
      tick()
      assert.equal("first", q:get())
      assert.same({ n = 1 }, table.pack(q:get()))
      task:await()
    end)

    it("refuse a call without an item", function()
      local q = aq.Queue()
      assert.matches("value expected", error_of(q.put, q), 1, true)
      assert.matches("value expected", error_of(q.put_nowait, q), 1, true)
      assert.equal(0, q:qsize())
    end)

    it("give back every kind of value as it was", function()
      local q = aq.Queue()
      local items = {
        0, -0.0, 1, 1.0, math.mininteger, math.maxinteger, math.huge, -math.huge, 2.0 ^ 53,
        5e-324, "", "a\0b", ("x"):rep(1000000), true, false, {}, print, function() end,
        coroutine.create(print), io.stdout, aq.Queue(), aq.TimeoutError, q,
      }
      for _, item in ipairs(items) do q:put_nowait(item) end
      for _, item in ipairs(items) do
        local got = q:get_nowait()
        assert.is_true(rawequal(item, got))
        assert.equal(math.type(item), math.type(got))
        if item == 0 then assert.equal(1 / item, 1 / got) end -- -0.0 keeps its sign
      end
      q:put_nowait(0 / 0)
      local nan = q:get_nowait()
      assert.is_true(nan ~= nan)
    end)

    it("complete without a turn if they can (Q5)", function()
      local hop <close> = helper.hops()
      local q = aq.Queue(1)
      for i = 1, 10 do
        q:put(i)
        assert.equal(i, q:get())
      end
      assert.equal(0, hop())
    end)

    it("raise QueueFull and QueueEmpty and change nothing (Q4)", function()
      local q = aq.Queue(1)
      assert.equal(aq.QueueEmpty, error_of(q.get_nowait, q))
      assert.equal(0, q:qsize())
      q:put_nowait "a"
      assert.equal(aq.QueueFull, error_of(q.put_nowait, q, {}))
      assert.equal(1, q:qsize())
      assert.equal("a", q:get_nowait())
      assert.equal(1, unfinished(q))
    end)

    it("tell an empty queue from a nil item", function()
      local q = queue_of(0, nil)
      assert.same({ true }, { pcall(q.get_nowait, q) })
      assert.same({ false, aq.QueueEmpty }, { pcall(q.get_nowait, q) })
    end)

    it("wait one turn for each other (H7, H8)", function()
      local hop <close> = helper.hops()
      local q, log = aq.Queue(1), helper.log()
      local a = aq.create_task(function() log("got", q:get(), hop()) end)
      tick()
      log("put", hop())
      q:put(1)
      tick()
      q:put(2)
      local b = aq.create_task(function()
        q:put(3)
        log("put", hop())
      end)
      tick()
      log("get", q:get(), hop())
      a:await()
      b:await()
      assert.equal("put 1, got 1 2, get 2 3, put 4", log:text())
    end)

    it("ping-pong over a bound of 1, one turn each way (H27)", function()
      local hop <close> = helper.hops()
      local q, log = aq.Queue(1), helper.log()
      local p = aq.create_task(function()
        for i = 0, 3 do
          q:put(i)
          log("p" .. i, hop())
        end
      end)
      local c = aq.create_task(function()
        for i = 0, 3 do
          assert.equal(i, q:get())
          log("c" .. i, hop())
        end
      end)
      p:await()
      c:await()
      assert.equal("p0 1, c0 1, p1 2, c1 3, p2 4, c2 5, p3 6, c3 7", log:text())
    end)

    it("let go of an item once it is out (Q17)", function()
      local weak = setmetatable({}, { __mode = "v" })
      local q = aq.Queue(1)
      weak[1] = {}
      q:put(weak[1])
      collectgarbage()
      assert.is_table(weak[1])
      q:get()
      collectgarbage()
      assert.is_nil(weak[1])
    end)

    it("let go of the item of a put that failed (Q17)", function()
      local weak = setmetatable({}, { __mode = "v" })
      local q = queue_of(1, "full")
      for i, give_up in ipairs {
        function() weak[1] = {} pcall(q.put_nowait, q, weak[1]) end,
        function() weak[2] = {} pcall(q.put, q, weak[2], 1) end,
        function()
          weak[3] = {}
          local task = aq.create_task(function() q:put(weak[3]) end)
          tick()
          task:cancel()
          tick()
        end,
      } do
        give_up()
        collectgarbage()
        assert.is_nil(weak[i])
      end
      assert.equal("full", q:get())
      assert.is_true(q:empty())
    end)

    it("keep the item of a put that waits", function()
      local q = queue_of(1, "full")
      local task = aq.create_task(function() q:put { "precious" } end)
      tick()
      collectgarbage()
      collectgarbage()
      q:get()
      task:await()
      assert.same({ "precious" }, q:get())
    end)

    it("give the memory of many items back", function()
      local q = aq.Queue()
      collectgarbage()
      local before = collectgarbage "count"
      for _ = 1, 100000 do q:put_nowait {} end
      for _ = 1, 100000 do q:get_nowait() end
      collectgarbage()
      collectgarbage()
      assert.is_true(collectgarbage "count" - before < 200)
      q:put_nowait "still usable"
      assert.equal("still usable", q:get_nowait())
    end)
  end)

  describe("collection", function()
    it("takes a queue that nobody waits on, also if it holds itself (Q18)", function()
      local weak = setmetatable({}, { __mode = "v" })
      local function make()
        local q = aq.Queue()
        weak[1] = q
        q:put_nowait(q)
        q:put_nowait(function() return q end)
        q:put_nowait { q }
      end
      make()
      collectgarbage()
      collectgarbage()
      assert.is_nil(weak[1])
    end)

    it("leaves a queue that a task waits on (Q18, T11)", function()
      local weak = setmetatable({}, { __mode = "v" })
      local got
      local function make()
        local q = aq.Queue()
        weak.q = q
        aq.create_task(function() got = q:get() end)
      end
      make()
      tick()
      for _ = 1, 3 do collectgarbage() end
      assert.is_userdata(weak.q)
      weak.q:put_nowait "alive"
      tick()
      assert.equal("alive", got)
      for _ = 1, 3 do collectgarbage() end
      assert.is_nil(weak.q)
    end)

    it("may put into a queue from a finalizer", function()
      local q = aq.Queue()
      local got
      local task = aq.create_task(function() got = q:get() end)
      tick()
      do
        setmetatable({}, { __gc = function() q:put_nowait "from __gc" end })
      end
      collectgarbage()
      task:await()
      assert.equal("from __gc", got)
    end)

    it("survives finalizers that use the queue while it allocates", function()
      local q = aq.Queue()
      local from_gc, n = 0, 0
      local on = true
      local function arm()
        setmetatable({}, { __gc = function()
          if not on then return end
          q:put_nowait { "gc" }
          from_gc = from_gc + 1
          arm()
        end })
      end
      arm()
      for i = 1, 30000 do q:put_nowait { i } end
      on = false
      local last = 0
      while not q:empty() do
        local item = q:get_nowait()[1]
        if item == "gc" then
          n = n + 1
        else
          assert.equal(last + 1, item)
          last = item
        end
      end
      assert.equal(30000, last)
      assert.equal(from_gc, n)
    end)
  end)

  describe("fairness", function()
    it("one put wakes the getter that waits longest (Q7)", function()
      local q, log = aq.Queue(), helper.log()
      local tasks = { getter(log, q, "A"), getter(log, q, "B"), getter(log, q, "C") }
      tick()
      q:put_nowait(1)
      tick(3)
      assert.equal("A 1", log:text())
      q:put_nowait(2)
      tick(3)
      assert.equal("A 1, B 2", log:text())
      cancel_all(tasks)
    end)

    it("one get wakes the putter that waits longest (Q7)", function()
      local q, log = queue_of(1, 0), helper.log()
      local tasks = { putter(log, q, "A", 1), putter(log, q, "B", 2), putter(log, q, "C", 3) }
      tick()
      assert.equal(0, q:get())
      tick(3)
      assert.equal("A put", log:text())
      assert.equal(1, q:get())
      tick(3)
      assert.equal("A put, B put", log:text())
      cancel_all(tasks)
      assert.same({ 2 }, drain(q))
    end)

    it("after put_nowait the item belongs to the woken getter (Q8)", function()
      local q, log = aq.Queue(1), helper.log()
      getter(log, q, "A")
      tick()
      q:put_nowait(1)
      assert.equal(1, q:qsize())
      assert.is_true(q:full())
      assert.is_true(q:empty())
      assert.equal("QueueFull", try(q.put_nowait, q, 2))
      assert.equal("QueueEmpty", try(q.get_nowait, q))
      tick()
      assert.equal("A 1", log:text())
      assert.same({ 0, false, true }, { q:qsize(), q:full(), q:empty() })
    end)

    it("after get_nowait the slot belongs to the woken putter (Q9)", function()
      local q, log = queue_of(1, 1), helper.log()
      putter(log, q, "P", 2)
      tick()
      assert.equal(1, q:get_nowait())
      assert.equal(0, q:qsize())
      assert.is_true(q:full())
      assert.is_true(q:empty())
      assert.equal("QueueFull", try(q.put_nowait, q, 3))
      assert.equal("QueueEmpty", try(q.get_nowait, q))
      tick()
      assert.equal("P put", log:text())
      assert.equal(2, q:get_nowait())
    end)

    it("a burst: each woken getter gets its own, the first the free ones (Q10, B9)", function()
      local q, log, tasks = aq.Queue(), helper.log(), {}
      for i, name in ipairs { "A", "B", "C" } do
        tasks[i] = aq.create_task(function()
          while true do log(name, q:get()) end
        end)
      end
      tick()
      for i = 1, 6 do q:put_nowait(i) end
      tick(3)
      cancel_all(tasks)
      assert.equal("A 1, A 2, A 3, A 4, B 5, C 6", log:text())
    end)

    it("awaited puts into a bound of 1 rotate (Q11)", function()
      local q, log, tasks = aq.Queue(1), helper.log(), {}
      for i, name in ipairs { "a", "b", "c" } do
        tasks[i] = aq.create_task(function()
          while true do log(name, q:get()) end
        end)
      end
      tick()
      for i = 1, 6 do q:put(i) end
      tick(3)
      cancel_all(tasks)
      assert.equal("a 1, b 2, c 3, a 4, b 5, c 6", log:text())
    end)

    it("three producers, a bound of 2: strict order of waiting (Q12)", function()
      local q, log = aq.Queue(2), helper.log()
      for _, name in ipairs { "a", "b", "c" } do
        aq.create_task(function()
          for i = 0, 2 do q:put(name .. i) end
        end)
      end
      for _ = 1, 9 do log(q:get()) end
      tick(2)
      assert.equal("a0, a1, a2, b0, c0, b1, c1, b2, c2", log:text())
    end)

    it("a late get does not rob a woken getter (Q13, Q15, B7, B8)", function()
      local q, log = aq.Queue(), helper.log()
      getter(log, q, "A")
      tick()
      local late = getter(log, q, "late") -- its step comes before that of A
      q:put_nowait "x"
      tick(3)
      assert.equal("A x", log:text())
      assert.is_false(late:done())
      q:put_nowait "y"
      tick(2)
      assert.equal("A x, late y", log:text())
    end)

    it("a late put does not rob a woken putter (Q13, B6)", function()
      local q, log = queue_of(1, 0), helper.log()
      putter(log, q, "first", 1)
      putter(log, q, "second", 2)
      tick()
      q:get_nowait()
      putter(log, q, "barger", 3)
      local got = {}
      for i = 1, 3 do got[i] = q:get() end
      tick()
      assert.same({ 1, 2, 3 }, got)
      assert.equal("first put, second put, barger put", log:text())
    end)

    it("a loop on empty and get_nowait is always right (Q14)", function()
      local q, log = aq.Queue(), helper.log()
      getter(log, q, "A")
      getter(log, q, "B")
      tick()
      for i = 1, 5 do q:put_nowait(i) end
      while not q:empty() do log(q:get_nowait()) end
      assert.equal(2, q:qsize())
      tick()
      assert.equal("1, 2, 3, A 4, B 5", log:text())
    end)

    it("empty and full say what the nowait calls would do, at any time (Q3, Q14)", function()
      math.randomseed(1)
      local q, tasks = aq.Queue(3), {}
      for i = 1, 8 do
        tasks[i] = aq.create_task(function()
          while true do
            if math.random() < 0.5 then q:put(i) else q:get() end
            if math.random() < 0.5 then aq.sleep(0) end
          end
        end)
      end
      for _ = 1, 1000 do
        local was_empty, was_full = q:empty(), q:full()
        if math.random() < 0.5 then
          assert.equal(was_empty, not pcall(q.get_nowait, q))
        else
          assert.equal(was_full, not pcall(q.put_nowait, q, 0))
        end
        assert.is_true(q:qsize() <= 3)
        if math.random() < 0.7 then aq.sleep(0) end
      end
      cancel_all(tasks)
    end)

    it("producers and consumers of any number all finish (B3)", function()
      for maxsize = 1, 5 do
        for producers = 1, 5 do
          for consumers = 1, 5 do
            local q, sum, tasks = aq.Queue(maxsize), 0, {}
            for _ = 1, producers do
              table.insert(tasks, aq.create_task(function()
                for i = 1, 12 do q:put(i) end
              end))
            end
            for _ = 1, consumers do
              table.insert(tasks, aq.create_task(function()
                for item in q:items() do
                  sum = sum + item
                  q:task_done()
                end
              end))
            end
            for i = 1, producers do tasks[i]:await() end
            q:join()
            q:shutdown()
            aq.gather(tasks)
            assert.equal(78 * producers, sum)
          end
        end
      end
    end)
  end)

  describe("a timeout", function()
    it("of get raises TimeoutError when it is over, and leaves no ghost (X1)", function()
      local q = aq.Queue()
      local start = aq.now()
      assert.equal(aq.TimeoutError, error_of(q.get, q, 1.5))
      assert.near(1.5, aq.now() - start, 1e-6)
      assert.is_true(aq.now() - start >= 1.5)
      q:put_nowait(1)
      assert.equal(1, q:get_nowait())
    end)

    it("of put raises TimeoutError and stores nothing", function()
      local q = queue_of(1, "a")
      local start = aq.now()
      assert.equal(aq.TimeoutError, error_of(q.put, q, {}, 2))
      assert.near(2, aq.now() - start, 1e-6)
      assert.same({ "a" }, drain(q))
      assert.equal(1, unfinished(q))
      q:put_nowait "b"
      assert.equal(1, q:qsize())
    end)

    it("of join raises TimeoutError and leaves U alone", function()
      local q = queue_of(0, 1)
      assert.equal(aq.TimeoutError, error_of(q.join, q, 1))
      assert.equal(1, unfinished(q))
      q:join(1)
    end)

    it("that is not over does not matter later", function()
      local q, log = aq.Queue(), helper.log()
      local task = getter(log, q, "A", 5)
      aq.sleep(4)
      q:put_nowait(1)
      task:await()
      aq.sleep(10)
      assert.equal("A 1", log:text())
      local again = getter(log, q, "A", 5)
      aq.sleep(4.999)
      assert.is_false(again:done())
      aq.sleep(0.002)
      assert.equal("A 1, A TimeoutError", log:text())
    end)

    it("of nil or infinity waits for ever", function()
      local q, log = aq.Queue(), helper.log()
      local tasks = { getter(log, q, "A", nil), getter(log, q, "B", math.huge),
                      getter(log, q, "C", 1e300), getter(log, q, "D", 2 ^ 63) }
      aq.sleep(1e6)
      assert.equal("", log:text())
      cancel_all(tasks)
    end)

    it("must be a number that is one", function()
      local q = queue_of(0, 1)
      for _, bad in ipairs { 0 / 0, "1", true, {} } do
        assert.matches("number of seconds expected", error_of(q.get, q, bad), 1, true)
        assert.matches("number of seconds expected", error_of(q.put, q, 1, bad), 1, true)
        assert.matches("number of seconds expected", error_of(q.join, q, bad), 1, true)
      end
      assert.equal(1, q:qsize())
    end)

    it("that comes after the wake is too late: the item counts (X7)", helper.real_clock(function()
      local q, log = aq.Queue(), helper.log()
      local task = getter(log, q, "A", 0.01)
      tick()
      local busy_until = aq.now() + 0.02
      while aq.now() < busy_until do end -- luacheck: ignore
      q:put_nowait "x"
      task:await()
      assert.equal("A x", log:text())
      assert.equal(0, q:qsize())
    end))

    it("that comes before the put leaves the item in the queue (X7)", helper.real_clock(function()
      local q, log = aq.Queue(), helper.log()
      local task = getter(log, q, "A", 0.01)
      aq.sleep(0.02)
      q:put_nowait "x"
      task:await()
      assert.equal("A TimeoutError", log:text())
      assert.equal("x", q:get_nowait())
    end))

    it("and an item in the same turn: late, it stays in the queue (X7)", function()
      local q, log = aq.Queue(), helper.log()
      local task = getter(log, q, "A", 1)
      tick()
      aq.create_task(function()
        aq.sleep(1)
        q:put_nowait "x"
      end)
      aq.sleep(3)
      assert.is_true(task:done())
      assert.equal("A TimeoutError", log:text())
      assert.equal("x", q:get_nowait())
    end)

    it("a hundred thousand times leaves no waiter and no memory (B5)", helper.within(60, function()
      local q, full = aq.Queue(), queue_of(1, 1)
      collectgarbage()
      local before = collectgarbage "count"
      for _ = 1, 50000 do
        pcall(q.get, q, 1e-6)
        pcall(full.put, full, {}, 1e-6)
      end
      assert.same({ 0, 0 }, { waiters(q) })
      assert.same({ 0, 0 }, { waiters(full) })
      collectgarbage()
      assert.is_true(collectgarbage "count" - before < 100)
    end))
  end)

  describe("cancel", function()
    it("of a waiting getter removes it and nothing else (X1)", function()
      local q, log = aq.Queue(), helper.log()
      local a = getter(log, q, "A")
      tick()
      a:cancel()
      assert.same({ 0, 0 }, { waiters(q) })
      tick()
      q:put_nowait(1)
      assert.is_false(q:empty())
      assert.equal(1, q:get_nowait())
      assert.equal("A CancelledError", log:text())
      assert.is_true(a:cancelled())
    end)

    it("after the put: the next getter gets it (X2, B2)", function()
      local q, log = aq.Queue(), helper.log()
      local a = getter(log, q, "A")
      getter(log, q, "B")
      tick()
      q:put_nowait "x"
      a:cancel()
      tick(3)
      assert.equal("A CancelledError, B x", log:text())
    end)

    it("after the put, nobody else waits: the item stays (X2, B2)", function()
      local q, log = aq.Queue(), helper.log()
      local a = getter(log, q, "A")
      tick()
      q:put_nowait "x"
      a:cancel()
      tick()
      assert.equal("A CancelledError", log:text())
      assert.equal(1, q:qsize())
      assert.is_false(q:empty())
      assert.equal("x", q:get_nowait())
      assert.equal(1, unfinished(q))
    end)

    it("before the put: the next getter gets it (X3)", function()
      local q, log = aq.Queue(), helper.log()
      local a = getter(log, q, "A")
      getter(log, q, "B")
      tick()
      a:cancel()
      q:put_nowait "x"
      tick(3)
      assert.equal("A CancelledError, B x", log:text())
    end)

    it("keeps the order of items and of waiters (X4)", function()
      local q, log = aq.Queue(), helper.log()
      local a = getter(log, q, "A")
      getter(log, q, "B")
      local c = getter(log, q, "C")
      local d = getter(log, q, "D")
      tick()
      q:put_nowait(1)
      q:put_nowait(2)
      a:cancel()
      tick(3)
      assert.equal("A CancelledError, B 1, C 2", log:text())
      assert.is_true(c:done())
      cancel_all { d }
    end)

    for _, order in ipairs { "get, cancel", "cancel, get" } do
      it("of a blocked putter: " .. order .. " (X5)", function()
        local q, log = queue_of(1, "a"), helper.log()
        local p = putter(log, q, "P", "b")
        tick()
        if order == "get, cancel" then
          assert.equal("a", q:get_nowait())
          p:cancel()
        else
          p:cancel()
          assert.equal("a", q:get_nowait())
        end
        tick(2)
        assert.equal("P CancelledError", log:text())
        assert.same({ 0, false }, { q:qsize(), q:full() })
        assert.equal(1, unfinished(q))
      end)

      it("of a blocked putter, another waits: " .. order .. " (X5)", function()
        local q, log = queue_of(1, "a"), helper.log()
        local p = putter(log, q, "P", "b")
        putter(log, q, "R", "c")
        tick()
        if order == "cancel, get" then p:cancel() end
        q:get_nowait()
        p:cancel()
        tick(3)
        assert.equal("P CancelledError, R put", log:text())
        assert.same({ "c" }, drain(q))
      end)
    end

    it("before the first step leaves the queue alone (X6)", function()
      local q, log = queue_of(0, 1), helper.log()
      local a = getter(log, q, "A")
      a:cancel()
      tick(2)
      assert.is_true(a:cancelled())
      assert.equal("", log:text())
      assert.equal(1, q:qsize())
    end)

    for offset = 0, 4 do
      it(("at %d turns after the put: the item or the cancel (X8)"):format(offset), function()
        local q, item = aq.Queue(), nil
        local task = aq.create_task(function() item = aq.wait_for(q.get, 10, q) end)
        tick()
        q:put_nowait "x"
        tick(offset)
        task:cancel()
        tick(8)
        assert.is_true(task:done())
        assert.equal(item == nil, task:cancelled())
        assert.equal(item == nil and 1 or 0, q:qsize())
      end)
    end

    it("of woken ones, many at once: each item goes on to a live getter (X2, X4)", function()
      local q, log, tasks = aq.Queue(), helper.log(), {}
      for i = 1, 10 do tasks[i] = getter(log, q, i) end
      tick()
      for i = 1, 6 do q:put_nowait("x" .. i) end
      for i = 1, 10, 2 do tasks[i]:cancel() end
      tick(8)
      local got = {}
      for _, event in ipairs(log) do
        local who, item = event:match "^(%d+) (x%d)$"
        if who then table.insert(got, who .. item) end
      end
      assert.equal("2x1 4x2 6x3 8x4 10x5", table.concat(got, " "))
      assert.same({ "x6" }, drain(q))
    end)

    it("loses and doubles no item, ever (B1, Q15)", helper.within(30, function()
      for seed = 1, 4 do
        math.randomseed(seed)
        local q = aq.Queue(seed - 1)
        local put, got, tasks = {}, {}, {}
        local function act(me)
          for i = 1, 400 do
            local chance = math.random()
            if chance < 0.4 then
              local item = me .. ":" .. i
              local ok, err = pcall(q.put, q, item, math.random(0, 3))
              if ok then put[item] = true elseif err == aq.CancelledError then return end
            elseif chance < 0.8 then
              local ok, item
              if chance < 0.6 then
                ok, item = pcall(q.get, q, math.random(0, 3))
              else
                ok, item = pcall(aq.wait_for, q.get, math.random(0, 3), q)
              end
              if ok then
                assert.is_nil(got[item])
                got[item] = true
              elseif item == aq.CancelledError then
                return
              end
            elseif not pcall(aq.sleep, math.random(0, 2)) then
              return
            end
          end
        end
        for i = 1, 20 do tasks[i] = aq.create_task(act, i) end
        for _ = 1, 30 do
          aq.sleep(math.random(0, 8))
          local i = math.random(20)
          tasks[i]:cancel()
          if tasks[i]:done() then tasks[i] = aq.create_task(act, i .. "'" .. math.random(1e9)) end
        end
        for i = 1, 20 do pcall(tasks[i].await, tasks[i]) end
        for _, item in ipairs(drain(q)) do
          assert.is_nil(got[item])
          got[item] = true
        end
        assert.same(put, got)
      end
    end))
  end)

  describe("task_done and join", function()
    it("task_done too often is an error, and U stays 0 (J1)", function()
      local q = aq.Queue()
      assert.matches("task_done called too many times", error_of(q.task_done, q), 1, true)
      q:put_nowait(1)
      q:task_done()
      assert.matches("too many times", error_of(q.task_done, q), 1, true)
      q:put_nowait(1)
      assert.equal(aq.TimeoutError, error_of(q.join, q, 0))
      assert.equal(1, unfinished(q))
    end)

    it("join without unfinished items takes no turn (J2)", function()
      local hop <close> = helper.hops()
      local q = queue_of(0, 1)
      q:task_done()
      q:join()
      assert.equal(0, select("#", q:join()))
      assert.equal(0, hop())
      assert.equal(1, q:qsize())
    end)

    it("join counts what is stored and not done, got or not (J3, Q6)", function()
      local q, log = queue_of(0, 1, 2), helper.log()
      joiner(log, q, "J")
      q:get_nowait()
      q:get_nowait()
      tick(3)
      q:task_done()
      tick(3)
      assert.equal("", log:text())
      q:task_done()
      tick()
      assert.equal("J joined", log:text())
    end)

    it("U reaching 0 wakes all joiners, a turn later (J4, H9)", function()
      local q, log = queue_of(0, 1), helper.log()
      for _, name in ipairs { "J", "K", "L" } do joiner(log, q, name) end
      tick()
      q:task_done()
      assert.equal("", log:text())
      tick()
      assert.equal("J joined, K joined, L joined", log:text())
    end)

    it("join means: U was 0 at some moment since the call (J5, B13)", function()
      local q, log = queue_of(0, 1), helper.log()
      joiner(log, q, "J")
      tick()
      q:task_done()
      q:put_nowait(2)
      tick()
      assert.equal("J joined", log:text())
      assert.equal(1, unfinished(q))
    end)

    it("a put that waits counts in neither qsize nor U (Q3, Q6, J6, B13)", function()
      local q, log = queue_of(1, 1), helper.log()
      putter(log, q, "P", 2)
      joiner(log, q, "J")
      tick()
      assert.equal(1, q:qsize())
      q:task_done()
      tick()
      assert.equal("J joined", log:text())
      q:get_nowait()
      tick()
      assert.equal("J joined, P put", log:text())
      assert.equal(1, unfinished(q))
    end)

    it("cancelling a joiner changes nothing (J7)", function()
      local q, log = queue_of(0, 1), helper.log()
      local j = joiner(log, q, "J")
      joiner(log, q, "K")
      tick()
      j:cancel()
      tick()
      q:task_done()
      tick()
      assert.equal("J CancelledError, K joined", log:text())
    end)

    it("cancelling a joiner in the turn of the last task_done: cancel wins (J7)", function()
      local q, log = queue_of(0, 1), helper.log()
      local j = joiner(log, q, "J")
      joiner(log, q, "K")
      tick()
      q:task_done()
      j:cancel()
      tick()
      assert.equal("J CancelledError, K joined", log:text())
    end)

    it("task_done is allowed after shutdown (J8)", function()
      local q, log = queue_of(0, 1), helper.log()
      q:get()
      q:shutdown(true)
      joiner(log, q, "J")
      tick(2)
      assert.equal("", log:text())
      q:task_done()
      tick()
      assert.equal("J joined", log:text())
    end)
  end)

  describe("shutdown", function()
    it("may be called again, also immediate after graceful (S1)", function()
      local q = queue_of(0, 1, 2)
      assert.is_false(q:is_shutdown())
      q:shutdown()
      q:shutdown()
      assert.is_true(q:is_shutdown())
      assert.equal(2, q:qsize())
      assert.same({ 1, 2, n = 2 }, q:shutdown(true))
      assert.same({ n = 0 }, q:shutdown(true))
      q:shutdown()
    end)

    it("makes put and put_nowait raise, full or not (S2)", function()
      for _, q in ipairs { aq.Queue(), queue_of(1, "full") } do
        q:shutdown()
        assert.equal(aq.QueueShutDown, error_of(q.put, q, 1))
        assert.equal(aq.QueueShutDown, error_of(q.put, q, 1, 0))
        assert.equal(aq.QueueShutDown, error_of(q.put_nowait, q, 1))
      end
    end)

    it("graceful: the items come out, then QueueShutDown (S3)", function()
      local q = queue_of(0, 1, 2, nil)
      q:shutdown()
      assert.equal(1, q:get())
      assert.equal(2, q:get_nowait())
      assert.is_nil(q:get(0))
      assert.equal(aq.QueueShutDown, error_of(q.get, q))
      assert.equal(aq.QueueShutDown, error_of(q.get, q, 0))
      assert.equal(aq.QueueShutDown, error_of(q.get_nowait, q))
      assert.equal(3, unfinished(q))
    end)

    it("a blocked put raises a turn later and stores nothing (S3)", function()
      local q, log = queue_of(1, 1), helper.log()
      putter(log, q, "P", 2)
      tick()
      q:shutdown()
      assert.equal("", log:text())
      tick()
      assert.equal("P QueueShutDown", log:text())
      assert.same({ 1 }, drain(q))
      assert.equal(1, unfinished(q))
    end)

    it("wakes all getters and all putters in the same turn (S4)", function()
      local q, log = aq.Queue(), helper.log()
      for _, name in ipairs { "A", "B", "C" } do getter(log, q, name) end
      tick()
      q:shutdown()
      tick()
      assert.equal("A QueueShutDown, B QueueShutDown, C QueueShutDown", log:text())
      q, log = queue_of(1, 1), helper.log()
      for _, name in ipairs { "P", "Q", "R" } do putter(log, q, name, 2) end
      tick()
      q:shutdown(true)
      tick()
      assert.equal("P QueueShutDown, Q QueueShutDown, R QueueShutDown", log:text())
    end)

    it("immediate: the items go, U falls by them, joiners wake at 0 (S5)", function()
      local q, log = queue_of(0, 1, 2, 3), helper.log()
      joiner(log, q, "J")
      tick()
      q:shutdown(true)
      assert.same({ 0, true }, { q:qsize(), q:empty() })
      tick()
      assert.equal("J joined", log:text())
      assert.equal(0, unfinished(q))
      assert.equal(aq.QueueShutDown, error_of(q.get_nowait, q))
    end)

    it("immediate: what was got already still holds join (S5)", function()
      local q, log = queue_of(0, 1, 2, 3), helper.log()
      q:get()
      joiner(log, q, "J")
      tick()
      q:shutdown(true)
      tick(2)
      assert.equal("", log:text())
      q:task_done()
      tick()
      assert.equal("J joined", log:text())
    end)

    it("immediate after task_done for items that were never got (S5)", function()
      local q = queue_of(0, 1, 2, 3)
      q:task_done()
      q:task_done()
      assert.equal(3, q:shutdown(true).n)
      assert.equal(0, unfinished(q))
      q:join()
    end)

    it("join never raises because of it (S6)", function()
      local q, log = queue_of(0, 1), helper.log()
      joiner(log, q, "J")
      tick()
      q:shutdown()
      tick(2)
      assert.equal("", log:text())
      q:get()
      q:task_done()
      tick()
      assert.equal("J joined", log:text())
      q:join()
      local never = aq.Queue()
      never:shutdown()
      never:join()
    end)

    it("immediate, after a put woke a getter: it raises (S7)", function()
      local q, log = aq.Queue(), helper.log()
      getter(log, q, "A")
      tick()
      q:put_nowait "x"
      assert.same({ "x", n = 1 }, q:shutdown(true))
      tick()
      assert.equal("A QueueShutDown", log:text())
      assert.equal(0, unfinished(q))
    end)

    it("after a get woke a putter: it raises and stores nothing (S7, S9)", function()
      local q, log = queue_of(1, 1), helper.log()
      putter(log, q, "P", 2)
      tick()
      q:get_nowait()
      q:shutdown()
      tick()
      assert.equal("P QueueShutDown", log:text())
      assert.equal(0, q:qsize())
      assert.equal(1, unfinished(q))
    end)

    it("immediate returns what it discards, nil too; graceful nothing (S8)", function()
      local item = {}
      local q = queue_of(0, item, nil, false)
      assert.equal(0, select("#", q:shutdown()))
      local list = q:shutdown(true)
      assert.equal(3, list.n)
      assert.is_true(rawequal(item, list[1]))
      assert.is_nil(list[2])
      assert.is_false(list[3])
    end)

    it("graceful honours the tickets of getters (S9)", function()
      local q, log = aq.Queue(), helper.log()
      getter(log, q, "A")
      getter(log, q, "B")
      tick()
      q:put_nowait(1)
      q:shutdown()
      assert.equal("QueueShutDown", try(q.get_nowait, q))
      assert.equal("QueueShutDown", try(q.get, q))
      assert.equal(1, q:qsize())
      tick()
      assert.equal("A 1, B QueueShutDown", log:text())
    end)

    it("graceful, and the woken getter is cancelled: the item stays to be got (S9, X2)", function()
      local q, log = aq.Queue(), helper.log()
      local a = getter(log, q, "A")
      tick()
      q:put_nowait(1)
      q:shutdown()
      a:cancel()
      tick()
      assert.equal("A CancelledError", log:text())
      assert.equal(1, q:get_nowait())
      assert.equal("QueueShutDown", try(q.get_nowait, q))
    end)

    it("of a getter with a deadline: it raises once, and the deadline is off", function()
      local q, log = aq.Queue(), helper.log()
      getter(log, q, "A", 1)
      tick()
      q:shutdown()
      aq.sleep(2)
      assert.equal("A QueueShutDown", log:text())
    end)
  end)

  describe("items", function()
    it("iterates until the queue is shut down and empty (S8)", function()
      local q, got = queue_of(0, 1, 2, 3), {}
      q:shutdown()
      for item in q:items() do got[#got + 1] = item end
      assert.same({ 1, 2, 3 }, got)
      assert.equal(3, unfinished(q))
    end)

    it("is a function that keeps its queue", function()
      local next_item = queue_of(0, 1, 2, 3):items()
      collectgarbage()
      assert.same({ 1, 2 }, { next_item(), next_item(nil, 1) })
      local q = queue_of(0, 1, 2, 3)
      local again = q:items()
      aq.create_task(q.shutdown, q)
      assert.same({ 10, 20, 30, n = 3 }, aq.map(2, function(n) return n * 10 end, q:items()))
      assert.same({ n = 0 }, table.pack(again()))
      local empty = aq.Queue()
      local task = aq.create_task((empty:items()))
      tick()
      empty:put_nowait "waited for"
      assert.equal("waited for", task:await())
    end)

    it("waits for items, and ends when the shutdown comes while it waits", function()
      local q, log = aq.Queue(), helper.log()
      local task = aq.create_task(function()
        for item in q:items() do log(item) end
        log "end"
      end)
      tick()
      q:put_nowait "a"
      tick()
      q:put "b"
      aq.sleep(5)
      assert.equal("a, b", log:text())
      q:shutdown()
      task:await()
      assert.equal("a, b, end", log:text())
    end)

    it("ends when an immediate shutdown takes the item it was woken for", function()
      local q, log = aq.Queue(), helper.log()
      local task = aq.create_task(function()
        for item in q:items() do log(item) end
        log "end"
      end)
      tick()
      q:put_nowait "a"
      q:shutdown(true)
      task:await()
      assert.equal("end", log:text())
    end)

    it("ends at once on a queue that is shut down and empty", function()
      local q = aq.Queue()
      q:shutdown()
      for _ in q:items() do error "an item" end
    end)

    it("takes false as an item and raises at nil", function()
      local q, log = queue_of(0, false, 0, nil, 1), helper.log()
      local err = error_of(function()
        for item in q:items() do log(item) end
      end)
      assert.equal("false, 0", log:text())
      assert.matches("nil item", err)
    end)

    it("raises at a nil item that comes while it waits", function()
      local q = aq.Queue()
      local task = aq.create_task(function()
        for _ in q:items() do error "an item" end
      end)
      tick()
      q:put_nowait(nil)
      assert.matches("nil item", error_of(task.await, task))
    end)

    it("may be left by break, and shared", function()
      local q, log = queue_of(0, 1, 2, 3, 4), helper.log()
      for item in q:items() do
        log(item)
        if item == 2 then break end
      end
      assert.equal(2, q:qsize())
      q:shutdown()
      for _, name in ipairs { "A", "B" } do
        aq.create_task(function()
          for item in q:items() do
            log(name, item)
            aq.sleep(0)
          end
          log(name, "end")
        end)
      end
      tick(4)
      assert.equal("1, 2, A 3, B 4, A end, B end", log:text())
    end)

    it("is ended by a cancel, which loses nothing", function()
      local q, log = aq.Queue(), helper.log()
      local task = aq.create_task(function()
        for item in q:items() do log(item) end
      end)
      tick()
      q:put_nowait "x"
      task:cancel()
      tick(2)
      assert.is_true(task:cancelled())
      assert.equal("", log:text())
      assert.equal("x", q:get_nowait())
    end)
  end)

  it("works from a done callback", function()
    local q, log = aq.Queue(1), helper.log()
    local task = aq.create_task(function() end)
    task:add_done_callback(function()
      q:put_nowait "from a callback"
      log(try(q.put_nowait, q, 2))
    end)
    log(q:get())
    assert.equal("QueueFull, from a callback", log:text())
  end)
end)
