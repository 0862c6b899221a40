-- Queues in bulk and looked at: get_many, put_many, drain, peek, stats, names, and the budget. The
-- numbers are those of the semantics.

local aq = require "aqlua"
local helper = require "spec.helper"

local tick = helper.tick
local try, error_of = helper.try, helper.error_of

local VARIANTS = { "Queue", "LifoQueue", "PriorityQueue" }

local function queue_of(maxsize, ...)
  local q = aq.Queue(maxsize)
  for i = 1, select("#", ...) do q:put_nowait((select(i, ...))) end
  return q
end

local function getter(log, q, name)
  return aq.create_task(function() log(name, q:get()) end)
end

local function putter(log, q, name, item)
  return aq.create_task(function()
    q:put(item)
    log(name, "put")
  end)
end

-- A task that gets many and logs them.
local function many_getter(log, q, name, max)
  return aq.create_task(function()
    local ok, list = pcall(q.get_many, q, max)
    log(name, ok and table.concat(list, "+") or list.name)
    if not ok and list == aq.CancelledError then error(list, 0) end
  end)
end

local function numbers(n)
  local list = {}
  for i = 1, n do list[i] = i end
  return list
end

describe("get_many", function()
  it("takes what is free, up to max, and takes no turn", function()
    local q = queue_of(0, "a", "b", "c")
    local hop <close> = helper.hops()
    assert.same({ "a", "b", n = 2 }, q:get_many(2))
    assert.same({ "c", n = 1 }, q:get_many(100))
    assert.equal(0, hop())
    assert.equal(3, q:stats().unfinished)
  end)

  it("waits for at least one (TK1)", function()
    local q, log = aq.Queue(), helper.log()
    many_getter(log, q, "A", 10)
    tick(3)
    assert.equal("", log:text())
    q:put_nowait(1)
    tick()
    assert.equal("A 1", log:text())
  end)

  it("takes its own ticket and what is free by then, not what is another's (Q13)", function()
    local q, log = aq.Queue(), helper.log()
    many_getter(log, q, "A", 10)
    getter(log, q, "B")
    tick()
    for i = 1, 3 do q:put_nowait(i) end
    tick()
    assert.equal("A 1+2, B 3", log:text())
    many_getter(log, q, "C", 2)
    tick()
    for i = 4, 6 do q:put_nowait(i) end
    tick()
    assert.equal("A 1+2, B 3, C 4+5", log:text())
    assert.same({ 6, n = 1 }, q:get_many(5))
  end)

  it("does not take what is ticketed when it need not wait (Q14)", function()
    local q, log = aq.Queue(), helper.log()
    getter(log, q, "A")
    tick()
    q:put_nowait(1)
    q:put_nowait(2)
    assert.same({ 1, n = 1 }, q:get_many(5)) -- tickets count, they do not name
    tick()
    assert.equal("A 2", log:text())
  end)

  it("gives the slots to those who wait to put (Q7)", function()
    local q, log = queue_of(2, 1, 2), helper.log()
    for i = 3, 5 do putter(log, q, i, i) end
    tick()
    assert.same({ 1, 2, n = 2 }, q:get_many(5))
    tick()
    assert.equal("3 put, 4 put", log:text())
    assert.same({ 3, 4, n = 2 }, q:get_many(2))
    tick()
    assert.same({ 5, n = 1 }, q:get_many(2))
  end)

  it("counts nil among the items (Q16)", function()
    local q = queue_of(0, nil, false, nil)
    assert.same({ nil, false, nil, n = 3 }, q:get_many(3))
  end)

  it("gives the order of each kind of queue", function()
    local expected = { Queue = { 2, 3, 1, n = 3 }, LifoQueue = { 1, 3, 2, n = 3 },
                       PriorityQueue = { 1, 2, 3, n = 3 } }
    for _, variant in ipairs(VARIANTS) do
      local q = aq[variant]()
      for _, n in ipairs { 2, 3, 1 } do q:put_nowait(n) end
      assert.same(expected[variant], q:get_many(3))
    end
  end)

  it("with a timeout", function()
    local q, start = aq.Queue(), aq.now()
    assert.equal("TimeoutError", try(q.get_many, q, 5, 2))
    assert.near(2, aq.now() - start, 1e-6)
    local hop <close> = helper.hops()
    assert.equal("TimeoutError", try(q.get_many, q, 5, 0))
    q:put_nowait(1)
    assert.same({ 1, n = 1 }, q:get_many(5, 0))
    assert.equal(1, hop())
  end)

  it("cancelled: nothing is taken (X2)", function()
    local q, log = aq.Queue(), helper.log()
    local task = many_getter(log, q, "A", 5)
    tick()
    q:put_nowait(1)
    q:put_nowait(2)
    task:cancel()
    tick(2)
    assert.equal("A CancelledError", log:text())
    assert.same({ 1, 2, n = 2 }, q:get_many(5))
  end)

  it("of one shut down: what is left, then QueueShutDown (S3)", function()
    local q = queue_of(0, 1, 2, 3)
    q:shutdown()
    assert.same({ 1, 2, n = 2 }, q:get_many(2))
    assert.same({ 3, n = 1 }, q:get_many(2))
    assert.equal("QueueShutDown", try(q.get_many, q, 2))
  end)

  it("refuses a max that is no positive integer, at the caller's line", function()
    local q = queue_of(0, 1)
    for _, bad in ipairs { 0, -1, 1.5, "2", true, {} } do
      local err = error_of(function() q:get_many(bad) end)
      assert.matches("^spec/bulk_spec.lua:%d+: bad argument #1 to 'get_many'", err)
    end
    assert.matches("positive integer", error_of(q.get_many, q), 1, true)
    assert.equal(1, q:qsize())
  end)

  it("refuses another self, at the caller's line (API 3)", function()
    local q = aq.Queue()
    for _, bad in ipairs { {}, 5, io.stdout, aq.Event() } do
      local err = error_of(function() q.get_many(bad, 1) end)
      assert.matches("^spec/bulk_spec.lua:%d+: bad argument", err)
      err = error_of(function() q.drain(bad) end)
      assert.matches("^spec/bulk_spec.lua:%d+: bad argument", err)
      err = error_of(function() q.put_many(bad, { 1 }) end)
      assert.matches("^spec/bulk_spec.lua:%d+: bad argument", err)
    end
  end)

  it("refuses a bad timeout and takes nothing", function()
    local q = queue_of(0, 1)
    assert.is_false((pcall(q.get_many, q, 1, "1")))
    assert.is_false((pcall(q.get_many, q, 1, 0 / 0)))
    assert.equal(1, q:qsize())
  end)
end)

describe("put_many", function()
  it("stores all, in order, and returns how many; no turn if there is room", function()
    local q = aq.Queue()
    local hop <close> = helper.hops()
    assert.equal(3, q:put_many { "a", "b", "c" })
    assert.equal(0, q:put_many {})
    assert.equal(2, q:put_many { nil, "d", n = 2 })
    assert.equal(0, hop())
    assert.same({ "a", "b", "c", nil, "d", n = 5 }, q:get_many(9))
    assert.equal(5, q:stats().unfinished)
  end)

  it("waits for room as need be", function()
    local q, got = aq.Queue(2), {}
    local task = aq.create_task(q.put_many, q, numbers(10))
    for i = 1, 10 do
      got[i] = q:get()
      aq.sleep(i % 2)
    end
    assert.same(numbers(10), got)
    assert.equal(10, task:await())
  end)

  it("two at a time: each keeps its own order (B6)", function()
    local q = aq.Queue(1)
    local tasks = { aq.create_task(q.put_many, q, { "a1", "a2", "a3" }),
                    aq.create_task(q.put_many, q, { "b1", "b2", "b3" }) }
    local last = { a = "", b = "" }
    for _ = 1, 6 do
      local item = q:get()
      local who = item:sub(1, 1)
      assert.is_true(item > last[who])
      last[who] = item
    end
    assert.same({ 3, 3, n = 2, failed = {} }, aq.gather(tasks))
  end)

  it("wakes one getter for each item (Q10)", function()
    local q, log = aq.Queue(), helper.log()
    for _, name in ipairs { "A", "B", "C" } do getter(log, q, name) end
    tick()
    q:put_many { 1, 2, 3, 4 }
    tick()
    assert.equal("A 1, B 2, C 3", log:text())
    assert.equal(1, q:qsize())
  end)

  it("a timeout is for all, and returns the number so far", function()
    local q, start = aq.Queue(2), aq.now()
    assert.equal(2, q:put_many(numbers(5), 3))
    assert.near(3, aq.now() - start, 1e-6)
    local getting = aq.create_task(function()
      for _ = 1, 3 do
        aq.sleep(2)
        q:get()
      end
    end)
    start = aq.now()
    assert.equal(2, q:put_many({ 11, 12, 13, 14 }, 5))
    assert.near(5, aq.now() - start, 1e-6)
    assert.equal(2, q:stats().maxsize)
    assert.equal(0, q:stats().putters)
    getting:await()
  end)

  it("a timeout with none stored is TimeoutError", function()
    local q = queue_of(1, "x")
    assert.equal("TimeoutError", try(q.put_many, q, { 1, 2 }, 1))
    assert.equal(0, q:put_many({}, 1))
    assert.equal(1, q:qsize())
  end)

  it("a timeout of 0 or less stores what there is room for (X10)", function()
    local q = aq.Queue(2)
    local hop <close> = helper.hops()
    assert.equal(2, q:put_many(numbers(2), 0))
    assert.equal(0, hop())
    q:drain()
    assert.equal(2, q:put_many(numbers(5), 0))
    assert.equal("TimeoutError", try(q.put_many, q, numbers(5), -1))
    assert.equal(2, hop())
    assert.same({ 1, 2, n = 2 }, q:drain())
  end)

  it("cancelled: CancelledError carries .stored", function()
    for _, room in ipairs { 0, 2 } do
      local q = queue_of(3, table.unpack(numbers(3 - room)))
      local err
      local task = aq.create_task(function()
        err = error_of(q.put_many, q, { "a", "b", "c", "d" })
        error(err, 0)
      end)
      tick()
      task:cancel "enough"
      tick(2)
      assert.is_true(task:cancelled())
      assert.equal(aq.CancelledError, err)
      assert.equal(room, err.stored)
      assert.equal("enough", err.message)
      assert.equal("CancelledError: enough", tostring(err))
      assert.equal(3, q:qsize())
      assert.equal(0, q:stats().putters)
    end
  end)

  it("shut down meanwhile: QueueShutDown carries .stored", function()
    local q = aq.Queue(2)
    local err
    local task = aq.create_task(function() err = error_of(q.put_many, q, numbers(5)) end)
    tick()
    q:shutdown()
    task:await()
    assert.equal(aq.QueueShutDown, err)
    assert.equal(2, err.stored)
    err = error_of(q.put_many, q, { 1 })
    assert.equal(aq.QueueShutDown, err)
    assert.equal(0, err.stored)
    assert.equal(0, q:put_many {})
    assert.is_nil(aq.QueueShutDown.stored)
  end)

  it("a bad item in a priority queue: those before it are stored, and counted", function()
    local q = aq.PriorityQueue()
    local err = error_of(function() q:put_many { 3, 1, {}, 2 } end)
    assert.matches("^spec/bulk_spec.lua:%d+: put_many: item 3: number, string, value", err)
    assert.matches("; 2 stored$", err)
    assert.same({ 1, 3, n = 2 }, q:drain())
    err = error_of(function() q:put_many { 1, "x" } end)
    assert.matches("^spec/bulk_spec.lua:%d+: put_many: item 2: the queue's items have keys", err)
    assert.matches("; 1 stored$", err)
  end)

  it("where it cannot wait: what had room is stored, and counted", function()
    local q = aq.Queue(2)
    local _, err = pcall(table.sort, { 2, 1 }, function() q:put_many(numbers(5)) end)
    assert.matches("^spec/bulk_spec.lua:%d+: put_many: item 3: cannot wait here: inside", err)
    assert.matches("; 2 stored$", err)
    assert.equal(2, q:qsize())
  end)

  it("what an item's __lt raises is raised as it was thrown", function()
    for _, problem in ipairs { {}, "put it elsewhere", "a.lua:1: boom" } do
      local item = setmetatable({}, { __lt = function() error(problem, 0) end })
      local q = aq.PriorityQueue()
      assert.is_true(rawequal(problem, error_of(q.put_many, q, { item, item })))
      assert.equal(1, q:qsize())
    end
  end)

  it("refuses what is no list, at the caller's line", function()
    local q = aq.Queue()
    for _, bad in ipairs { 5, "abc", true, print } do
      local err = error_of(function() q:put_many(bad) end)
      assert.matches("^spec/bulk_spec.lua:%d+: bad argument #1 to 'put_many'", err)
    end
    assert.matches("list expected", error_of(q.put_many, q), 1, true)
    assert.equal(0, q:qsize())
  end)

  it("refuses a length that is none, and stores nothing", function()
    local q = aq.Queue()
    for _, n in ipairs { -1, 1.5, "2", false, 0 / 0 } do
      local err = error_of(function() q:put_many { 1, 2, n = n } end)
      assert.matches("^spec/bulk_spec.lua:%d+: bad argument #1 to 'put_many' %(field 'n': ", err)
    end
    assert.equal(0, q:qsize())
    assert.equal(1, q:put_many { 1, 2, n = 1.0 })
  end)

  it("refuses a bad timeout and stores nothing", function()
    local q = aq.Queue()
    assert.is_false((pcall(q.put_many, q, { 1 }, "1")))
    assert.is_false((pcall(q.put_many, q, { 1 }, 0 / 0)))
    assert.is_false((pcall(q.put_many, q, { 1 }, {})))
    assert.equal(0, q:qsize())
  end)

  it("errors of its items' puts have the caller's line (API 3)", function()
    local q = aq.PriorityQueue()
    local err = error_of(function() q:put_many { 0 / 0 } end)
    assert.matches("^spec/bulk_spec.lua:%d+:", err)
  end)

  it("with get_many: 10,000 items through a small queue", function()
    local q, got = aq.Queue(16), {}
    aq.create_task(function()
      q:put_many(numbers(10000))
      q:shutdown()
    end)
    while true do
      local ok, list = pcall(q.get_many, q, 7)
      if not ok then break end
      for i = 1, list.n do got[#got + 1] = list[i] end
    end
    assert.same(numbers(10000), got)
  end)
end)

describe("drain", function()
  it("takes all that is free, and never waits", function()
    local q = queue_of(0, "a", nil, "c")
    local hop <close> = helper.hops()
    assert.same({ "a", nil, "c", n = 3 }, q:drain())
    assert.same({ n = 0 }, q:drain())
    assert.equal(0, hop())
    assert.equal(3, q:stats().unfinished) -- they are got, and still to be done
    assert.equal(3, q:stats().got)
  end)

  it("leaves what is ticketed (Q14)", function()
    local q, log = aq.Queue(), helper.log()
    getter(log, q, "A")
    tick()
    q:put_nowait(1)
    assert.same({ n = 0 }, q:drain())
    q:put_nowait(2)
    assert.same({ 1, n = 1 }, q:drain())
    tick()
    assert.equal("A 2", log:text())
  end)

  it("frees slots for those who wait to put; their items come later", function()
    local q, log = queue_of(2, 1, 2), helper.log()
    for i = 3, 5 do putter(log, q, i, i) end
    tick()
    assert.same({ 1, 2, n = 2 }, q:drain())
    tick()
    assert.equal("3 put, 4 put", log:text())
    assert.same({ 3, 4, n = 2 }, q:drain())
    tick()
    assert.same({ 5, n = 1 }, q:drain())
  end)

  it("gives the order of each kind, and works outside of tasks and after a shutdown", function()
    local p = aq.PriorityQueue()
    p:put_many { 3, 1, 2 }
    p:shutdown()
    assert.same({ 1, 2, 3, n = 3 }, p:drain())
    assert.same({ n = 0 }, p:drain())
    local out = helper.run_stock [[
      local q = require "aqlua".LifoQueue()
      q:put_nowait(1)
      q:put_nowait(2)
      print(q:peek(), q:drain()[1], q:drain().n)
    ]]
    assert.equal("2\t2\t0\n", out)
  end)
end)

describe("peek", function()
  it("is the next item, without taking it", function()
    for variant, expected in pairs { Queue = 2, LifoQueue = 3, PriorityQueue = 1 } do
      local q = aq[variant]()
      q:put_many { 2, 1, 3 }
      local before = q:stats()
      for _ = 1, 3 do assert.equal(expected, q:peek()) end
      assert.same(before, q:stats())
      assert.equal(expected, q:get_nowait())
    end
  end)

  it("gives back values of each kind as they are", function()
    local q = aq.Queue()
    local values = { false, 1, 1.5, "text", {}, print, coroutine.create(print), io.stdout }
    for _, value in ipairs(values) do
      q:put_nowait(value)
      assert.is_true(rawequal(value, q:peek()))
      assert.is_true(rawequal(value, q:get_nowait()))
    end
    q:put_nowait(nil)
    assert.same({ nil, n = 1 }, table.pack(q:peek()))
    local p, item = aq.PriorityQueue(), { 1, "x" }
    p:put_nowait(item)
    assert.is_true(rawequal(item, p:peek()))
    assert.is_true(rawequal(item, p:get_nowait()))
  end)

  it("raises QueueEmpty exactly when get_nowait would", function()
    local q, log = aq.Queue(), helper.log()
    assert.equal("QueueEmpty", try(q.peek, q))
    getter(log, q, "A")
    tick()
    q:put_nowait "x" -- A's
    assert.equal("QueueEmpty", try(q.peek, q))
    q:put_nowait "y"
    assert.equal("x", q:peek())
    tick()
    assert.equal("A x", log:text())
    assert.equal("y", q:peek())
    q:shutdown()
    assert.equal("y", q:peek())
    q:get_nowait()
    assert.equal(try(q.get_nowait, q), try(q.peek, q))
  end)

  it("holds no reference of its own", function()
    local probe = setmetatable({}, { __mode = "k" })
    local q = aq.Queue()
    do
      local item = {}
      probe[item] = true
      q:put_nowait(item)
    end
    q:peek()
    q:get_nowait()
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(probe))
  end)
end)

describe("stats", function()
  local function stats(q, names)
    local all, list = q:stats(), {}
    for name in names:gmatch "%a+" do list[#list + 1] = name .. " " .. all[name] end
    return table.concat(list, ", ")
  end

  it("has exactly these counters, all integers (O1)", function()
    local names = {}
    for name, value in pairs(aq.Queue(3):stats()) do
      names[#names + 1] = name
      assert.equal("integer", math.type(value))
    end
    table.sort(names)
    assert.equal("done dropped getters got maxsize peak put putters size unfinished",
      table.concat(names, " "))
    assert.equal(3, aq.Queue(3):stats().maxsize)
    assert.equal(0, aq.Queue():stats().maxsize)
  end)

  for _, variant in ipairs(VARIANTS) do
    it("counts what passes: " .. variant, function()
      local q = aq[variant]()
      q:put_many { 3, 1, 2 }
      assert.equal("size 3, peak 3, put 3, got 0, unfinished 3, done 0",
        stats(q, "size peak put got unfinished done"))
      q:get()
      q:get_nowait()
      q:task_done()
      q:put_nowait(9)
      assert.equal("size 2, peak 3, put 4, got 2, unfinished 3, done 1, dropped 0",
        stats(q, "size peak put got unfinished done dropped"))
      q:shutdown(true)
      assert.equal("size 0, peak 3, put 4, got 2, unfinished 1, done 1, dropped 2",
        stats(q, "size peak put got unfinished done dropped"))
      q:task_done()
      assert.equal("unfinished 0, done 2", stats(q, "unfinished done"))
    end)
  end

  it("counts those who wait, until they run", function()
    local q, log = aq.Queue(1), helper.log()
    local tasks = { getter(log, q, "A"), getter(log, q, "B") }
    tick()
    assert.equal("getters 2, putters 0", stats(q, "getters putters"))
    q:put_nowait(1)
    assert.equal("getters 2, size 1", stats(q, "getters size"))
    tick()
    assert.equal("getters 1, size 0", stats(q, "getters size"))
    tasks[2]:cancel()
    tick(2)
    assert.equal("getters 0", stats(q, "getters"))
    q:put_nowait(2)
    putter(log, q, "P", 3)
    tick()
    assert.equal("putters 1", stats(q, "putters"))
    q:get_nowait()
    tick()
    assert.equal("putters 0, size 1", stats(q, "putters size"))
  end)

  it("a failed put or get counts nothing; neither do peek and a join", function()
    local q = queue_of(1, 1)
    local before = q:stats()
    pcall(q.put_nowait, q, 2)
    pcall(q.put, q, 2, 1)
    q:peek()
    pcall(q.join, q, 1)
    assert.same(before, q:stats())
    q:get()
    before = q:stats()
    pcall(q.get_nowait, q)
    pcall(q.get, q, 1)
    assert.same(before, q:stats())
  end)

  it("peak is the most that were stored at a time", function()
    local q = aq.Queue()
    for i = 1, 50 do q:put_nowait(i) end
    q:drain()
    for i = 1, 20 do q:put_nowait(i) end
    assert.equal("peak 50, size 20", stats(q, "peak size"))
  end)

  it("is a table of its own each time", function()
    local q = aq.Queue()
    q:stats().put = 100
    assert.equal(0, q:stats().put)
  end)
end)

describe("a name", function()
  it("is that of each kind of queue, and shown", function()
    for _, variant in ipairs(VARIANTS) do
      local q = aq[variant] { name = "jobs", maxsize = 2 }
      assert.equal("jobs", q:name())
      assert.equal(2, q:maxsize())
      assert.matches("^" .. variant .. " 'jobs' %(", tostring(q))
      assert.is_nil(aq[variant](5):name())
    end
  end)

  it("is in the report of a deadlock (O3, Q18)", function()
    local q = aq.Queue { name = "orders" }
    local err = error_of(q.get, q)
    assert.equal(aq.DeadlockError, err)
    assert.matches("get on Queue 'orders'", err.message, 1, true)
  end)

  it("may be any string", function()
    for _, name in ipairs { "", "two words", "ein \u{fc}", "a\0b", ("x"):rep(1000) } do
      local q = aq.Queue { name = name }
      assert.equal(name, q:name())
      assert.equal("string", type(tostring(q)))
    end
  end)
end)

describe("set_budget", function()
  -- Runs fn with a budget of n.
  local function with_budget(n, fn)
    local off <close> = setmetatable({}, { __close = function() aq.set_budget(0) end })
    aq.set_budget(n)
    assert.is_truthy(off)
    return fn()
  end

  it("is off by default: 1000 pairs of put and get take no turn (Q20)", function()
    local q = aq.Queue()
    local hop <close> = helper.hops()
    for i = 1, 1000 do
      q:put(i)
      assert.equal(i, q:get())
    end
    assert.equal(0, hop())
  end)

  it("after n operations that did not wait the next one takes one turn (Q20)", function()
    local q = aq.Queue()
    local hop <close> = helper.hops()
    with_budget(4, function()
      for i = 1, 4 do
        q:put(i)
        assert.equal(0, hop())
      end
      assert.equal(1, q:get())
      assert.equal(1, hop())
      for _ = 1, 3 do q:get() end
      assert.equal(1, hop())
      q:put(1)
      assert.equal(2, hop())
    end)
  end)

  it("each task has its own, and a wait fills it up again", function()
    local q = queue_of(0, table.unpack(numbers(100)))
    local hop <close> = helper.hops()
    with_budget(3, function()
      for _ = 1, 5 do
        for _ = 1, 3 do q:get() end
        local from = hop()
        tick()
        assert.equal(1, hop() - from)
      end
      local other = aq.create_task(function()
        local from = hop()
        for _ = 1, 3 do q:get() end
        return hop() - from
      end)
      assert.equal(0, other:await())
    end)
  end)

  it("lets others run beside a producer and a consumer that never wait (B12)", function()
    local q, turns = aq.Queue(), 0
    with_budget(10, function()
      local busy = aq.create_task(function()
        for i = 1, 1000 do
          q:put(i)
          q:get()
        end
      end)
      while not busy:done() do
        turns = turns + 1
        tick()
      end
    end)
    assert.is_true(turns > 150, turns .. " turns")
  end)

  it("lets others run beside a loop over items() (B12, Q20)", function()
    local q = queue_of(0, table.unpack(numbers(100)))
    q:shutdown()
    local hop <close> = helper.hops()
    with_budget(10, function()
      for _ in q:items() do end -- luacheck: ignore
    end)
    assert.is_true(hop() >= 5, hop() .. " turns")
  end)

  it("get_many, put_many count as their gets and puts", function()
    local q = aq.Queue()
    local hop <close> = helper.hops()
    with_budget(10, function()
      q:put_many(numbers(55))
      assert.equal(5, hop())
      assert.same({ 1, 2, n = 2 }, q:get_many(2))
    end)
  end)

  it("counts every call that might wait, one like another (Q20)", function()
    local q, done = aq.Queue(), aq.Future()
    local event, lock, semaphore, barrier = aq.Event(), aq.Lock(), aq.Semaphore(1), aq.Barrier(1)
    done:set_result(1)
    event:set()
    local calls = {
      event = function() event:wait() end,
      lock = function() lock:acquire() lock:release() end,
      semaphore = function() semaphore:acquire(1) semaphore:release() end,
      barrier = function() barrier:wait() end,
      select = function() assert.equal("go", (aq.select { go = event:waiting(), timeout = 1 })) end,
      join = function() q:join() end,
      await = function() done:await() end,
    }
    for name, call in pairs(calls) do
      local hop <close> = helper.hops()
      with_budget(10, function()
        for _ = 1, 55 do call() end
      end)
      assert.equal(5, hop(), name)
    end
  end)

  it("put_nowait, get_nowait, peek, drain never take a turn (Q20)", function()
    local q = aq.Queue()
    local hop <close> = helper.hops()
    with_budget(1, function()
      for i = 1, 100 do
        q:put_nowait(i)
        q:peek()
        q:get_nowait()
      end
      q:drain()
    end)
    assert.equal(0, hop())
  end)

  it("spent never means empty or full (B24)", function()
    local q = aq.Queue(1)
    with_budget(1, function()
      for i = 1, 50 do
        q:put(i, 1)
        assert.equal(i, q:get(1))
      end
    end)
  end)

  it("spent, with a timeout of 0: success takes no turn all the same (X10, B24)", function()
    local q = aq.Queue()
    local hop <close> = helper.hops()
    with_budget(1, function()
      for i = 1, 10 do
        q:put(i, 0)
        assert.equal(i, q:get(0))
        q:put(i, 0)
        assert.same({ 1, i }, { aq.select { q:getting(), timeout = 0 } })
      end
    end)
    assert.equal(0, hop())
  end)

  it("cancelled in that turn: nothing has happened (X2)", function()
    local q = queue_of(0, 1, 2)
    with_budget(1, function()
      local task = aq.create_task(function()
        q:get()
        q:get()
      end)
      tick()
      task:cancel()
      tick(2)
      assert.is_true(task:cancelled())
    end)
    assert.same({ 2, n = 1 }, q:drain())
  end)

  it("the queue changes in that turn: the call goes on from there", function()
    local q, log = queue_of(0, 1, 2), helper.log()
    with_budget(1, function()
      local task = aq.create_task(function()
        log(q:get())
        log(q:get())
      end)
      tick()
      assert.equal("1", log:text())
      assert.equal(2, q:get_nowait())
      tick(3)
      assert.equal("1", log:text())
      q:put_nowait(3)
      task:await()
    end)
    assert.equal("1, 3", log:text())
  end)

  it("the timeout of such a call counts as ever", function()
    local q, start = queue_of(0, 1), aq.now()
    with_budget(1, function()
      q:get()
      q:put(1)
      q:get()
      assert.equal("TimeoutError", try(q.get, q, 2))
    end)
    assert.near(2, aq.now() - start, 1e-6)
  end)

  it("0 or nil turns it off", function()
    local q = aq.Queue()
    local hop <close> = helper.hops()
    for _ = 1, 2 do
      aq.set_budget(1)
      aq.set_budget(0)
      for i = 1, 50 do q:put(i) end
      aq.set_budget(1)
      aq.set_budget()
      for i = 1, 50 do q:put(i) end
    end
    assert.equal(0, hop())
  end)

  it("refuses what is no number of operations", function()
    for _, bad in ipairs { -1, 1.5, "x", {}, true, 1 << 40 } do
      assert.matches("bad argument #1 to 'set_budget'", error_of(function()
        aq.set_budget(bad)
      end), 1, true)
    end
    local q = aq.Queue()
    local hop <close> = helper.hops()
    for i = 1, 50 do q:put(i) end
    assert.equal(0, hop())
  end)
end)
