-- aq.select: the first of several branches, and exactly one. The numbers are those of the
-- semantics.

local aq = require "aqlua"
local helper = require "spec.helper"

local tick = helper.tick
local try, error_of = helper.try, helper.error_of

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

-- A task that selects, and logs its name and what it gets.
local function selector(log, name, branches, options)
  return aq.create_task(function()
    local results = table.pack(pcall(aq.select, branches, options))
    for i = 2, results.n do
      local value = results[i]
      results[i] = type(value) == "userdata" and value.name or tostring(value)
    end
    log(name, table.unpack(results, 2, results.n))
    if not results[1] then error(aq.CancelledError, 0) end
  end)
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

-- Nobody waits in the queue, and nothing in it is ticketed.
local function is_untouched(q)
  local stats = q:stats()
  assert.same({ 0, 0 }, { stats.getters, stats.putters })
  assert.equal(q:qsize() == 0, q:empty())
  assert.equal(q:maxsize() > 0 and q:qsize() == q:maxsize(), q:full())
end

local function collect()
  collectgarbage()
  collectgarbage()
end

describe("select", function()
  describe("that need not wait", function()
    it("takes no turn, and does exactly one branch", function()
      local a, b, c = queue_of(0, "x"), queue_of(0, "y"), aq.Queue(1)
      local hop <close> = helper.hops()
      assert.same({ 1, "x" }, { aq.select { a:getting(), b:getting(), c:putting "z" } })
      assert.equal(0, hop())
      assert.same({ 0, 1, 0 }, { a:qsize(), b:qsize(), c:qsize() })
      for _, q in ipairs { a, b, c } do is_untouched(q) end
    end)

    it("prefers array positions in order, then the sorted keys", function()
      local function ready(value) return queue_of(0, value):getting() end
      local branches = { zeta = ready "zeta", alpha = ready "alpha", [1] = ready "one",
                         [2] = ready "two", [-1] = ready "minus one", [2.5] = ready "2.5",
                         [true] = ready "true" }
      local order = {}
      for i = 1, 7 do
        local which, value = aq.select(branches)
        order[i] = value
        branches[which] = false
      end
      assert.same({ "minus one", "one", "two", "2.5", "alpha", "true", "zeta" }, order)
    end)

    it("sorts many keys, in whatever order they were set", function()
      local names = {}
      for i = 1, 200 do names[i] = ("name %03d"):format(i * 7 % 200) end
      local branches = {}
      for _, name in ipairs(names) do branches[name] = queue_of(0, name):getting() end
      for i = 100, -100, -1 do branches[i * 1000] = queue_of(0, i * 1000):getting() end
      local order, expected = {}, {}
      for i = -100, 100 do expected[#expected + 1] = i * 1000 end
      for i = 0, 199 do expected[#expected + 1] = ("name %03d"):format(i) end
      for i = 1, #expected do
        local which, value = aq.select(branches)
        order[i] = value
        branches[which] = nil
      end
      assert.same(expected, order)
    end)

    it("goes past holes and what is disabled, in the order of the positions", function()
      local branches = {}
      for _, i in ipairs { 9, 2, 70, 4, math.maxinteger, math.mininteger } do
        branches[i] = queue_of(0, i):getting()
      end
      branches[1], branches[3] = false, false
      local order = {}
      for i = 1, 6 do
        local which, value = aq.select(branches)
        assert.equal(which, value)
        order[i], branches[which] = value, nil
      end
      assert.same({ math.mininteger, 2, 4, 9, 70, math.maxinteger }, order)
    end)

    it("sorts keys of other types by what tostring says of them", function()
      local function key(name)
        return setmetatable({ name = name }, { __tostring = function(k) return k.name end })
      end
      local branches = { [key "c"] = queue_of(0, "c"):getting(), b = queue_of(0, "b"):getting(),
                         [key "a"] = queue_of(0, "a"):getting(),
                         [false] = queue_of(0, "false"):getting(),
                         [1e100] = queue_of(0, "1e+100"):getting() }
      local order = {}
      for i = 1, 5 do
        local which, value = aq.select(branches)
        order[i], branches[which] = value, nil
      end
      assert.same({ "1e+100", "a", "b", "c", "false" }, order)
    end)

    it("raises what comparing the keys raises, and does nothing", function()
      local q, problem = queue_of(0, 1), {}
      local bad = setmetatable({}, { __tostring = function() error(problem) end })
      local err = error_of(aq.select, { [bad] = q:getting(), b = q:getting() })
      assert.is_true(rawequal(problem, err))
      is_untouched(q)
      assert.equal(1, q:qsize())
    end)

    it("goes through the table as pairs does", function()
      local a, b = queue_of(0, "a"), queue_of(0, "b")
      local hidden = { b = b:getting(), a = a:getting(), no = false }
      local proxy = setmetatable({ c = 5 }, {
        __pairs = function() return next, hidden end,
        __index = function(_, key) return hidden[key] end,
      })
      assert.same({ "a", "a" }, { aq.select(proxy) })
      assert.same({ "b", "b" }, { aq.select(proxy) })
      hidden.timeout = 1
      assert.equal("timeout", (aq.select(proxy)))
      assert.equal("c", (aq.select(setmetatable({ c = b:putting(1) }, { __index = hidden }))))
    end)

    it("lets any code run while it reads, and another select in it", function()
      local q, other, log = queue_of(0, "x"), queue_of(0, "inner"), helper.log()
      local key = setmetatable({}, { __tostring = function()
        log(aq.select { inner = other:getting(), timeout = 0 })
        return "key"
      end })
      local which, value = aq.select { [key] = q:getting(), zeta = other:getting() }
      assert.is_true(rawequal(key, which))
      assert.equal("x", value)
      assert.equal("inner inner nil", log[1])
    end)

    it("skips what is not ready", function()
      local a, b = aq.Queue(), queue_of(0, "y")
      assert.same({ "b", "y" }, { aq.select { a = a:getting(), b = b:getting() } })
      is_untouched(a)
    end)

    it("returns which by its own key, of any kind", function()
      local key = {}
      local which, value = aq.select { [key] = queue_of(0, 5):getting() }
      assert.is_true(rawequal(key, which))
      assert.equal(5, value)
    end)

    it("nil and false are values (Q16)", function()
      local q = queue_of(0, nil, false)
      assert.same({ 1, nil, nil, n = 3 }, table.pack(aq.select { q:getting() }))
      assert.same({ 1, false, nil, n = 3 }, table.pack(aq.select { q:getting() }))
    end)

    it("does not see what is ticketed (Q13, Q14)", function()
      local q, log = aq.Queue(1), helper.log()
      getter(log, q, "A")
      tick()
      q:put_nowait "x"
      assert.equal("timeout", (aq.select { q:getting(), timeout = 0 }))
      tick()
      assert.equal("A x", log:text())
      q:put_nowait "y"
      putter(log, q, "P", "z")
      tick()
      q:get_nowait()
      assert.equal("timeout", (aq.select { q:putting "w", timeout = 0 }))
      tick()
      assert.same({ "z" }, drain(q))
    end)

    it("is no suspension for a cancelled task (T13)", function()
      local task = aq.create_task(function()
        aq.current_task():cancel()
        local _, value = aq.select { queue_of(0, "x"):getting() }
        assert.equal("x", value)
        assert.equal("CancelledError", try(aq.select, { aq.Queue():getting() }))
        error(aq.CancelledError, 0)
      end)
      tick(4)
      assert.is_true(task:cancelled())
    end)
  end)

  describe("a branch", function()
    it("getting takes an item, one turn after the put (H7)", function()
      local q = aq.Queue()
      local hop <close> = helper.hops()
      local from
      aq.create_task(function()
        tick(3)
        from = hop()
        q:put "x"
      end)
      assert.same({ "jobs", "x" }, { aq.select { jobs = q:getting(), done = aq.Future() } })
      assert.equal(1, hop() - from)
      is_untouched(q)
      q:task_done()
      assert.equal(0, q:stats().unfinished)
    end)

    it("putting stores its item when a slot is free, one turn after the get (H8)", function()
      local q = queue_of(1, "a")
      local hop <close> = helper.hops()
      local from
      aq.create_task(function()
        tick(3)
        from = hop()
        q:get()
      end)
      assert.same({ "out", nil, nil, n = 3 }, table.pack(aq.select { out = q:putting "b" }))
      assert.equal(1, hop() - from)
      assert.same({ "b" }, drain(q))
      assert.equal(2, q:stats().unfinished)
    end)

    it("putting stores at once if there is room, and counts then (Q5, Q6)", function()
      local q = aq.Queue()
      local branch = q:putting "x"
      assert.equal(0, q:stats().unfinished)
      assert.equal(1, (aq.select { branch }))
      assert.equal(1, q:stats().unfinished)
      assert.same({ "x" }, drain(q))
    end)

    it("putting puts nil, and needs a value (API 4)", function()
      local q = aq.Queue()
      aq.select { q:putting(nil) }
      assert.equal(1, q:qsize())
      assert.matches("value expected", error_of(q.putting, q), 1, true)
    end)

    it("a task or future: wins when it ends, is the value, its error is not raised", function()
      local future = aq.Future()
      local task = aq.create_task(function()
        aq.sleep(1)
        error("problem", 0)
      end)
      local which, value, err = aq.select { future = future, task = task }
      assert.equal("task", which)
      assert.is_true(rawequal(task, value))
      assert.is_nil(err)
      which, value = aq.select { task = task }
      assert.is_true(which == "task" and rawequal(task, value))
      assert.equal("problem", task:exception())
      aq.create_task(function() future:set_result(1, 2) end)
      which, value = aq.select { future = future }
      assert.is_true(which == "future" and rawequal(future, value))
      assert.same({ 1, 2 }, { future:result() })
    end)

    it("a task that fails and is seen so counts as retrieved (T12)", function()
      local reports = helper.reports_of(function()
        aq.select { aq.create_task(function() error("seen", 0) end) }
        local done = aq.create_task(function() error("seen, too", 0) end)
        tick(3)
        aq.select { done }
      end)
      assert.same({}, reports)
    end)

    it("a task that fails and is not the one chosen is reported (T12)", function()
      local reports = helper.reports_of(function()
        local task = aq.create_task(function() error("not seen", 0) end)
        aq.select { queue_of(0, 1):getting(), task }
        tick(2)
      end)
      assert.equal(1, #reports)
    end)

    it("a task that is cancelled is one that has ended", function()
      local task = aq.create_task(aq.sleep, 100)
      aq.create_task(function() task:cancel() end)
      local _, value = aq.select { task }
      assert.is_true(rawequal(task, value))
      assert.is_true(task:cancelled())
    end)

    it("joining: when all is done", function()
      local q = queue_of(0, 1)
      aq.create_task(function()
        tick(2)
        q:get()
        q:task_done()
      end)
      assert.same({ "idle", nil, nil, n = 3 },
        table.pack(aq.select { idle = q:joining(), never = aq.Future() }))
      assert.equal("idle", (aq.select { idle = q:joining() }))
    end)

    it("waiting: when an event is set", function()
      local event = aq.Event()
      aq.create_task(function()
        tick(2)
        event:set()
        event:clear()
      end)
      assert.same({ "go", nil, nil, n = 3 }, table.pack(aq.select { go = event:waiting() }))
      assert.equal("timeout", (aq.select { go = event:waiting(), timeout = 0 }))
      event:set()
      assert.equal("go", (aq.select { go = event:waiting() }))
      assert.matches("0 waiting", tostring(event), 1, true)
    end)

    it("of a LifoQueue and a PriorityQueue: the item is chosen when the task runs (V2)", function()
      for class, expected in pairs { LifoQueue = 4, PriorityQueue = 1 } do
        local q, log = aq[class](), helper.log()
        selector(log, "S", { q:getting() })
        tick()
        for _, n in ipairs { 3, 1, 2, 4 } do q:put_nowait(n) end
        tick()
        assert.equal(("S 1 %d nil"):format(expected), log:text())
        drain(q)
      end
    end)

    it("false or nil is disabled", function()
      local q = queue_of(0, "x")
      local which = aq.select { false, other = nil, q:getting(), timeout = false }
      assert.equal(2, which)
    end)

    it("all disabled and no timeout is an error, not a hang", function()
      for _, branches in ipairs { {}, { false }, { a = false }, { false, timeout = false } } do
        local err = error_of(function() aq.select(branches) end)
        assert.matches("^spec/select_spec.lua:%d+: .*no branch is enabled", err)
      end
    end)

    it("all disabled with a timeout is a sleep", function()
      local start = aq.now()
      assert.equal("timeout", (aq.select { false, timeout = 2 }))
      assert.near(2, aq.now() - start, 1e-6)
    end)

    it("of any other kind is refused, and names its key", function()
      local q = aq.Queue()
      for _, bad in ipairs { 5, "x", true, {}, print, q, aq.Event(), io.stdout } do
        local err = error_of(function() aq.select { jobs = bad } end)
        assert.matches("^spec/select_spec.lua:%d+: bad argument #1 to 'select'", err)
        assert.matches("branch 'jobs'", err, 1, true)
      end
      assert.matches("branch '2'", error_of(aq.select, { q:getting(), 5 }), 1, true)
    end)

    it("that is refused is refused where select is called", function()
      local function line() return debug.getinfo(2, "l").currentline end
      for _, call in ipairs {
        function() return line(), aq.select { a = 5 } end,
        function() return line(), aq.select {} end,
        function() return line(), aq.select { timeout = "1" } end,
        function() return line(), aq.select({}, { unfair = 1 }) end,
        function() return line(), aq.select(5) end,
      } do
        local at = debug.getinfo(call, "S").linedefined
        local err = error_of(call)
        assert.matches(("^spec/select_spec.lua:%d: bad argument #%%d to 'select'"):format(at), err)
      end
    end)

    it("is refused before anything happens", function()
      local q = queue_of(0, "x")
      assert.is_false((pcall(aq.select, { q:getting(), bad = 5 })))
      assert.is_false((pcall(aq.select, { q:getting(), timeout = "1" })))
      assert.is_false((pcall(aq.select, { q:getting() }, { unfair = true })))
      assert.equal(1, q:qsize())
    end)

    it("is made on a queue or an event only", function()
      local q, event = aq.Queue(), aq.Event()
      for _, bad in ipairs { 5, {}, io.stdout, aq.Lock() } do
        assert.matches("expected", error_of(q.getting, bad), 1, true)
        assert.matches("expected", error_of(q.putting, bad, 1), 1, true)
        assert.matches("expected", error_of(q.joining, bad), 1, true)
        assert.matches("Event expected", error_of(event.waiting, bad), 1, true)
      end
    end)

    it("keeps its queue, and is let go afterwards", function()
      local probe = setmetatable({}, { __mode = "k" })
      local branch
      do
        local q = queue_of(0, {})
        probe[q] = true
        branch = q:getting()
      end
      collect()
      assert.is_truthy(next(probe))
      aq.select { branch }
      branch = nil -- luacheck: ignore
      collect()
      assert.is_nil(next(probe))
    end)
  end)

  it("refuses bad arguments", function()
    local q = queue_of(0, 1)
    for _, bad in ipairs { 5, "x", true, q } do
      assert.matches("table expected", error_of(aq.select, bad), 1, true)
    end
    assert.matches("table expected", error_of(aq.select), 1, true)
    assert.matches("table expected", error_of(aq.select, { q:getting() }, 5), 1, true)
    for _, bad in ipairs { "1", true, {}, 0 / 0 } do
      assert.matches("branch 'timeout'", error_of(aq.select, { timeout = bad }), 1, true)
    end
    assert.matches("unknown option 'fare'", error_of(aq.select, {}, { fare = 1 }), 1, true)
  end)

  it("outside of a task is refused; making branches is not", function()
    local out, err, status = helper.run_stock [[
      local aq = require "aqlua"
      local branches = { aq.Queue():getting(), aq.Event():waiting() }
      print(#branches)
      aq.select(branches)
    ]]
    assert.equal("2\n", out)
    assert.equal(1, status)
    assert.matches("no task is running", err, 1, true)
  end)

  it("inside what cannot be suspended is refused, and leaves no trace", function()
    local q, full = aq.Queue(), queue_of(1, 1)
    local err = error_of(table.sort, { 2, 1 }, function()
      aq.select { q:getting(), full:putting {} }
    end)
    assert.matches("cannot wait here: inside table.sort", err, 1, true)
    is_untouched(q)
    is_untouched(full)
  end)

  describe("of tasks that wait for each other (T10)", function()
    it("is refused at the call if it has itself as a branch, and nothing happens", function()
      local q = queue_of(0, "x")
      local task
      task = aq.create_task(function()
        for _, branches in ipairs { { task }, { q:getting(), task }, { a = task, timeout = 0 } } do
          local err = error_of(function() aq.select(branches) end)
          assert.matches("^spec/select_spec.lua:%d+: select: the tasks would wait for each other",
            err)
        end
      end)
      task:await()
      assert.equal(1, q:qsize())
      assert.equal("task", (aq.select { task = task }))
    end)

    it("is refused if all it waits for are tasks that await it, directly or not", function()
      local log, b, c = helper.log(), nil, nil
      local a = aq.create_task(function()
        aq.sleep(0)
        log(pcall(aq.select, { b, c }) and "done" or "refused")
        log(pcall(aq.select, { c }) and "done" or "refused")
      end)
      b = aq.create_task(function() a:await() end)
      c = aq.create_task(function() aq.gather(b) end)
      aq.wait { a, b, c }
      assert.equal("refused, refused", log:text())
    end)

    it("waits if anything else can end it, and on tasks that nobody awaits", function()
      local q, log, b = aq.Queue(), helper.log(), nil
      local a = aq.create_task(function()
        aq.sleep(0)
        log(aq.select { b, timeout = 1 })
        log((aq.select { b, q = q:getting() }))
      end)
      b = aq.create_task(function() a:await() end)
      aq.sleep(2)
      q:put "x"
      b:await()
      assert.equal("timeout, q", log:text())
    end)
  end)

  describe("a timeout", function()
    it("gives up: which is 'timeout', and nothing else", function()
      local q, start = aq.Queue(), aq.now()
      assert.same({ "timeout", n = 1 }, table.pack(aq.select { q:getting(), timeout = 1.5 }))
      assert.near(1.5, aq.now() - start, 1e-6)
      is_untouched(q)
    end)

    it("that is not reached does no harm", function()
      local q = aq.Queue()
      aq.create_task(function()
        aq.sleep(1)
        q:put "x"
      end)
      assert.same({ 1, "x" }, { aq.select { q:getting(), timeout = 2 } })
      assert.equal("ok", try(aq.sleep, 5))
    end)

    it("and an item in one turn: the item, or it is still there (X7)", function()
      for _, is_first in ipairs { true, false } do
        local q = aq.Queue()
        local function put_at_one()
          aq.sleep(1)
          q:put_nowait "x"
        end
        local task
        if is_first then
          task = aq.create_task(put_at_one)
          tick()
        end
        local log = helper.log()
        local waiter = aq.create_task(function()
          local which, value = aq.select { q:getting(), timeout = 1 }
          log(which, value)
        end)
        tick()
        task = task or aq.create_task(put_at_one)
        aq.sleep(2)
        assert.is_true(task:done() and waiter:done())
        assert.equal(q:qsize() == 0 and "1 x" or "timeout nil", log:text())
        is_untouched(q)
      end
    end)

    it("after the ticket in one turn: the item is delivered (X7)", function()
      local q, log = aq.Queue(), helper.log()
      local deadline = aq.now() + 1
      selector(log, "S", { q:getting(), timeout = 1 })
      tick()
      aq.sleep(deadline - aq.now() - 1e-3)
      q:put_nowait "x"
      aq.sleep(0.5)
      assert.equal("S 1 x nil", log:text())
    end)

    it("of aq.timeout or wait_for around it: TimeoutError, no trace (X7)", function()
      local q = aq.Queue()
      assert.equal("TimeoutError", try(aq.wait_for, aq.select, 1, { q:getting(), aq.Future() }))
      is_untouched(q)
    end)
  end)

  describe("fair", function()
    local function counts(n, fair, times)
      math.randomseed(42)
      local queues, branches, list = {}, {}, {}
      for i = 1, n do
        queues[i] = queue_of(0, i)
        branches[i] = queues[i]:getting()
        list[i] = 0
      end
      for _ = 1, times do
        local which = aq.select(branches, { fair = fair })
        list[which] = list[which] + 1
        queues[which]:put_nowait(which)
      end
      return list
    end

    it("chooses at random, evenly, among those that are ready (GO4)", function()
      for _, n in ipairs { 2, 3, 5 } do
        local times = 2000 * n
        for _, count in ipairs(counts(n, true, times)) do
          assert.is_true(math.abs(count - 2000) < 200, count .. " of " .. times)
        end
      end
    end)

    it("chooses by math.random", function()
      local function choices()
        math.randomseed(7)
        local list = {}
        for i = 1, 20 do
          local branches = {}
          for j = 1, 5 do branches[j] = queue_of(0, j):getting() end
          list[i] = aq.select(branches, { fair = true })
        end
        return list
      end
      assert.same(choices(), choices())
    end)

    it("is off if not asked for", function()
      assert.same({ 100, 0, 0 }, counts(3, false, 100))
      assert.same({ 100, 0, 0 }, counts(3, nil, 100))
    end)

    it("returns the right key with the right value", function()
      local branches = {}
      for _, key in ipairs { "a", "b", "c", 1, 2 } do branches[key] = queue_of(0, key):getting() end
      for _ = 1, 5 do
        local which, value = aq.select(branches, { fair = true })
        assert.equal(which, value)
        branches[which] = false
      end
    end)
  end)

  describe("exactly one branch", function()
    it("several become ready in one turn: the first, the others are not touched", function()
      local a, b, log = aq.Queue(), aq.Queue(), helper.log()
      selector(log, "S", { a = a:getting(), b = b:getting() })
      tick()
      b:put_nowait "y"
      a:put_nowait "x"
      assert.is_true(b:empty()) -- ticketed
      assert.is_false(a:empty()) -- free
      tick()
      assert.equal("S b y nil", log:text())
      assert.same({ "x" }, drain(a))
      is_untouched(a)
      is_untouched(b)
    end)

    it("once elected, its other waiters are gone: the next in line is served", function()
      local a, b, log = aq.Queue(), aq.Queue(), helper.log()
      selector(log, "S", { a:getting(), b:getting() })
      getter(log, b, "B")
      tick()
      a:put_nowait "x"
      b:put_nowait "y"
      tick()
      assert.equal("S 1 x nil, B y", log:text())
    end)

    it("losing getters do not change the order of the others (X4)", function()
      local q, other, log = aq.Queue(), aq.Queue(), helper.log()
      getter(log, q, "A")
      selector(log, "S", { q:getting(), other:getting() })
      getter(log, q, "B")
      selector(log, "T", { other:getting(), q:getting() })
      getter(log, q, "C")
      tick()
      assert.equal(5, q:stats().getters)
      other:put_nowait "o"
      tick()
      for i = 1, 4 do q:put_nowait(i) end
      tick()
      assert.equal("S 2 o nil, A 1, B 2, T 2 3 nil, C 4", log:text())
    end)

    it("losing putters store nothing, and keep nothing (Q17)", function()
      local probe = setmetatable({}, { __mode = "k" })
      local full, other, log = queue_of(1, "a"), aq.Queue(), helper.log()
      do
        local item = {}
        probe[item] = true
        selector(log, "S", { full:putting(item), other:getting() })
      end
      putter(log, full, "P", "p")
      tick()
      collect()
      assert.is_truthy(next(probe))
      assert.equal(2, full:stats().putters)
      other:put_nowait "o"
      tick()
      assert.equal(1, full:stats().putters)
      collect()
      assert.is_nil(next(probe))
      assert.equal("a", full:get_nowait())
      tick()
      assert.equal("S 2 o nil, P put", log:text())
      assert.same({ "p" }, drain(full))
      assert.equal(2, full:stats().put)
    end)

    it("cancelled, timed out: putters keep nothing either, on each kind of queue (Q17)", function()
      for _, class in ipairs { "Queue", "LifoQueue", "PriorityQueue" } do
        local probe = setmetatable({}, { __mode = "k" })
        local full = aq[class](1)
        full:put_nowait { 1 }
        local function item()
          local value = { 2, {} }
          probe[value] = true
          return value
        end
        local task = aq.create_task(function() aq.select { full:putting(item()) } end)
        tick()
        task:cancel()
        tick(2)
        assert.is_true(task:cancelled())
        task = nil -- luacheck: ignore
        assert.equal("timeout", (aq.select { full:putting(item()), timeout = 1 }))
        assert.equal("timeout", (aq.select { full:putting(item()), timeout = 0 }))
        tick()
        collect()
        assert.is_nil(next(probe))
        is_untouched(full)
      end
    end)

    it("a branch that won keeps its item till it is let go or the item is taken", function()
      local probe = setmetatable({}, { __mode = "k" })
      local q = aq.Queue()
      do
        local item = {}
        probe[item] = true
        aq.select { q:putting(item) }
      end
      collect()
      assert.is_truthy(next(probe))
      q:get_nowait()
      collect()
      assert.is_nil(next(probe))
    end)

    it("two branches on one queue: the first is elected, one item is taken", function()
      local q, log = aq.Queue(), helper.log()
      selector(log, "S", { q:getting(), q:getting() })
      tick()
      assert.equal(2, q:stats().getters)
      q:put_nowait "x"
      q:put_nowait "y"
      tick()
      assert.equal("S 1 x nil", log:text())
      assert.same({ "y" }, drain(q))
      is_untouched(q)
    end)

    it("two putting branches on one queue: one item is stored", function()
      local q, log = queue_of(1, "a"), helper.log()
      selector(log, "S", { q:putting "b", q:putting "c" })
      tick()
      assert.same({ "a" }, drain(q))
      tick()
      assert.equal("S 1 nil nil", log:text())
      assert.same({ "b" }, drain(q))
      is_untouched(q)
    end)

    it("getting and putting on one queue: it does not serve itself", function()
      local q = aq.Queue(1)
      assert.equal(2, (aq.select { q:getting(), q:putting "x" }))
      assert.same({ 1, "x" }, { aq.select { q:getting(), q:putting "y" } })
      assert.equal(0, q:qsize())
    end)

    it("two tasks that select on each other's queues meet once", function()
      local a, b = queue_of(1, "full"), aq.Queue(1)
      local log = helper.log()
      selector(log, "S", { out = a:putting "s", ["in"] = b:getting() })
      selector(log, "T", { ["in"] = b:getting(), out = a:putting "t" })
      tick()
      assert.equal("full", a:get_nowait())
      tick()
      assert.equal("S out nil nil", log:text())
      b:put_nowait "b"
      tick()
      assert.equal("S out nil nil, T in b nil", log:text())
      assert.same({ "s" }, drain(a))
      is_untouched(a)
      is_untouched(b)
    end)

    it("a future or event that loses keeps no waiter", function()
      local event, future, q = aq.Event(), aq.Future(), aq.Queue()
      for _ = 1, 100 do
        aq.create_task(function() q:put "x" end)
        assert.equal("q", (aq.select { e = event:waiting(), f = future, q = q:getting() }))
      end
      assert.matches("0 waiting", tostring(event), 1, true)
      local log = helper.log()
      selector(log, "S", { future })
      tick()
      future:set_result()
      event:set()
      tick(2)
      assert.equal(1, #log)
    end)

    it("1,000 branches, by position and by name: the 777th", function()
      for _, prefix in ipairs { false, "name " } do
        local queues, branches = {}, {}
        for i = 1, 1000 do
          queues[i] = aq.Queue()
          branches[prefix and prefix .. i or i] = queues[i]:getting()
        end
        local key = prefix and prefix .. 777 or 777
        aq.create_task(function() queues[777]:put "x" end)
        assert.same({ key, "x" }, { aq.select(branches) })
        queues[777]:put "y"
        assert.same({ key, "y" }, { aq.select(branches) })
        for i = 1, 1000 do is_untouched(queues[i]) end
      end
    end)

    it("more branches than the stack can hold are refused, not a crash", function()
      local q, branches = aq.Queue(), {}
      local branch = q:getting()
      for i = 1, 600000 do branches[i] = branch end
      assert.matches("too many branches", error_of(aq.select, branches), 1, true)
      is_untouched(q)
    end)

    it("a table that is changed during the wait is still the one that was given", function()
      local q, other, log = aq.Queue(), aq.Queue(), helper.log()
      local branches = { q = q:getting(), other = other:getting() }
      selector(log, "S", branches)
      tick()
      branches.q, branches.other = nil, nil
      branches.more = aq.Event():waiting()
      collect()
      q:put_nowait "x"
      tick()
      assert.equal("S q x nil", log:text())
      is_untouched(other)
    end)

    it("three tasks in select at a time: each has what it asked for", function()
      local q, log = aq.Queue(), helper.log()
      for _, name in ipairs { "S", "T", "U" } do
        selector(log, name, { false, q:getting(), aq.Future(), timeout = 10 })
      end
      tick()
      for i = 1, 3 do q:put_nowait(i) end
      tick()
      assert.equal("S 2 1 nil, T 2 2 nil, U 2 3 nil", log:text())
    end)

    it("100 branches: the 57th", function()
      local queues, branches = {}, {}
      for i = 1, 100 do
        queues[i] = aq.Queue()
        branches[i] = queues[i]:getting()
      end
      aq.create_task(function() queues[57]:put "x" end)
      assert.same({ 57, "x" }, { aq.select(branches) })
      for i = 1, 100 do is_untouched(queues[i]) end
    end)

    it("100 tasks select on one queue: first come, first served (Q13)", function()
      local q, other, log, expected = aq.Queue(), aq.Queue(), helper.log(), {}
      for i = 1, 100 do
        selector(log, i, { other:getting(), q:getting() })
        expected[i] = ("%d 2 %d nil"):format(i, i)
      end
      tick()
      for i = 1, 100 do q:put_nowait(i) end
      tick()
      assert.equal(table.concat(expected, ", "), log:text())
      is_untouched(q)
      is_untouched(other)
    end)

    it("100 tasks put through select into one queue: in order", function()
      local q, log = queue_of(1, 0), helper.log()
      for i = 1, 100 do selector(log, i, { q:putting(i) }) end
      tick()
      for i = 0, 100 do assert.equal(i, q:get()) end
      assert.equal(100, #log)
      is_untouched(q)
    end)

    it("random selects, cancels, timeouts: nothing lost, nothing twice (B1, B23)", function()
      for seed = 1, 30 do
        math.randomseed(seed)
        local queues = { aq.Queue(2), aq.LifoQueue(1), aq.PriorityQueue(3), aq.Queue(1) }
        local stored, got, next_item = {}, {}, 0
        local tasks = {}
        local function branches()
          local list, items = {}, {}
          for _ = 1, math.random(1, 5) do
            local q = queues[math.random(#queues)]
            if math.random() < 0.5 then
              list[#list + 1] = q:getting()
            else
              next_item = next_item + 1
              list[#list + 1] = q:putting { next_item }
              items[#list] = next_item
            end
          end
          list.timeout = math.random() < 0.4 and math.random(0, 2) or nil
          return list, items
        end
        for i = 1, 12 do
          tasks[i] = aq.create_task(function()
            for _ = 1, 20 do
              local list, items = branches()
              local which, value = aq.select(list, { fair = math.random() < 0.5 })
              if items[which] then
                stored[items[which]] = true
              elseif which ~= "timeout" then
                assert.is_nil(got[value[1]])
                got[value[1]] = true
              end
              if math.random() < 0.3 then aq.sleep(math.random(0, 1)) end
            end
          end)
        end
        for _ = 1, 20 do
          aq.sleep(math.random(0, 1))
          if math.random() < 0.3 then tasks[math.random(#tasks)]:cancel() end
        end
        for _, task in ipairs(tasks) do task:cancel() end
        tick(4)
        for _, task in ipairs(tasks) do
          assert.is_true(task:done())
          if not task:cancelled() then assert.is_nil(task:exception()) end
        end
        for _, q in ipairs(queues) do
          is_untouched(q)
          for _, item in ipairs(drain(q)) do
            assert.is_nil(got[item[1]])
            got[item[1]] = true
          end
        end
        assert.same(stored, got)
      end
    end)
  end)

  describe("cancelled", function()
    it("while it waits: CancelledError, no trace (X1)", function()
      local a, b, event, log = aq.Queue(), queue_of(1, 1), aq.Event(), helper.log()
      local task = selector(log, "S", { a:getting(), b:putting(2), b:joining(), event:waiting(),
                                        aq.Future() })
      tick()
      task:cancel()
      tick()
      assert.equal("S CancelledError", log:text())
      assert.is_true(task:cancelled())
      is_untouched(a)
      is_untouched(b)
      assert.matches("0 waiting", tostring(event), 1, true)
    end)

    it("in the turn of its election: the item goes to the next (X2)", function()
      for _, first in ipairs { "put", "cancel" } do
        local q, log = aq.Queue(), helper.log()
        local task = selector(log, "S", { q:getting(), aq.Future() })
        getter(log, q, "B")
        tick()
        if first == "cancel" then task:cancel() end
        q:put_nowait "x"
        if first == "put" then task:cancel() end
        assert.equal(1, q:qsize())
        tick(2)
        assert.equal("S CancelledError, B x", log:text())
        is_untouched(q)
      end
    end)

    it("in the turn of its election, nobody else there: the item stays (X2)", function()
      local q, log = aq.Queue(), helper.log()
      local task = selector(log, "S", { q:getting() })
      tick()
      q:put_nowait "x"
      task:cancel()
      tick(2)
      assert.equal("S CancelledError", log:text())
      assert.same({ "x" }, drain(q))
    end)

    it("in the turn of its election to put: nothing stored, the slot goes on (X5)", function()
      local probe = setmetatable({}, { __mode = "k" })
      local q, log = queue_of(1, "a"), helper.log()
      local task
      do
        local item = {}
        probe[item] = true
        task = selector(log, "S", { q:putting(item) })
      end
      putter(log, q, "P", "p")
      tick()
      q:get_nowait()
      task:cancel()
      tick(2)
      assert.equal("S CancelledError, P put", log:text())
      assert.same({ "p" }, drain(q))
      assert.equal(2, q:stats().put)
      task = nil -- luacheck: ignore
      collect()
      assert.is_nil(next(probe))
    end)

    it("in the turn in which its task branch ends: cancelled (T8)", function()
      local future, log = aq.Future(), helper.log()
      local task = selector(log, "S", { future })
      tick()
      future:set_result()
      task:cancel()
      tick(2)
      assert.equal("S CancelledError", log:text())
    end)

    it("does not cancel the tasks it waits for", function()
      local inner, log = aq.create_task(aq.sleep, 2), helper.log()
      local task = selector(log, "S", { inner })
      tick()
      task:cancel()
      tick(2)
      assert.equal("S CancelledError", log:text())
      assert.equal(0, inner:cancelling())
      inner:await()
    end)

    it("with its message", function()
      local err
      local task = aq.create_task(function()
        err = error_of(aq.select, { aq.Queue():getting() })
      end)
      tick()
      task:cancel "enough"
      tick(2)
      assert.equal("enough", err.message)
      assert.is_true(task:done())
    end)
  end)

  describe("an error in a branch", function()
    it("a queue that was shut down: the branch wins with QueueShutDown", function()
      local q, other = aq.Queue(), queue_of(0, "x")
      q:shutdown()
      local which, value, err = aq.select { q:getting(), other:getting() }
      assert.same({ 1, nil, aq.QueueShutDown }, { which, value, err })
      which, value, err = aq.select { q:putting(1), other:getting() }
      assert.same({ 1, nil, aq.QueueShutDown }, { which, value, err })
      assert.equal(1, other:qsize())
      assert.equal(3, select("#", aq.select { q:getting() }))
    end)

    it("a queue that was shut down with items left gives them first (S3)", function()
      local q = queue_of(0, "x")
      q:shutdown()
      assert.same({ 1, "x", nil, n = 3 }, table.pack(aq.select { q:getting() }))
      local _, _, err = aq.select { q:getting() }
      assert.equal(aq.QueueShutDown, err)
    end)

    it("a shutdown while it waits wins (S4)", function()
      local q, full, other, log = aq.Queue(), queue_of(1, 1), aq.Queue(), helper.log()
      selector(log, "S", { other:getting(), q = q:getting() })
      selector(log, "T", { other:getting(), full = full:putting {} })
      tick()
      q:shutdown()
      full:shutdown()
      tick()
      assert.equal("S q nil QueueShutDown, T full nil QueueShutDown", log:text())
      is_untouched(other)
      assert.equal(1, full:stats().put)
    end)

    it("put, shutdown in one turn: graceful gives the item, immediate raises (S7, S9)", function()
      for _, immediate in ipairs { false, true } do
        local q, log = aq.Queue(), helper.log()
        selector(log, "S", { q:getting() })
        tick()
        q:put_nowait "x"
        q:shutdown(immediate)
        tick()
        assert.equal(immediate and "S 1 nil QueueShutDown" or "S 1 x nil", log:text())
      end
    end)

    it("get, then shutdown in one turn: the put raises, nothing is stored (S7)", function()
      local probe = setmetatable({}, { __mode = "k" })
      local q, log = queue_of(1, "a"), helper.log()
      do
        local item = {}
        probe[item] = true
        selector(log, "S", { q:putting(item) })
      end
      tick()
      q:get_nowait()
      q:shutdown()
      tick()
      assert.equal("S 1 nil QueueShutDown", log:text())
      assert.equal(0, q:qsize())
      collect()
      assert.is_nil(next(probe))
    end)

    it("joining is not disturbed by a shutdown (S6)", function()
      local q = queue_of(0, 1)
      aq.create_task(function()
        tick()
        q:shutdown()
        tick()
        q:get()
        q:task_done()
      end)
      assert.same({ 1, nil, nil, n = 3 }, table.pack(aq.select { q:joining() }))
    end)

    it("a priority queue's bad key is an error of that branch", function()
      local q = aq.PriorityQueue()
      local which, value, err = aq.select { aq.Future(), bad = q:putting {} }
      assert.same({ "bad", nil }, { which, value })
      assert.matches("with __lt", err, 1, true)
      assert.equal(0, q:qsize())
    end)

    it("a comparison that raises: the branch wins with that error (V3)", function()
      local problem = {}
      local Bad = { __lt = function() error(problem) end }
      local q = aq.PriorityQueue()
      q:put_nowait(setmetatable({}, Bad))
      local which, value, err = aq.select { q:putting(setmetatable({}, Bad)) }
      assert.same({ 1, nil }, { which, value })
      assert.is_true(rawequal(problem, err))
      assert.equal(1, q:qsize())
    end)

    it("a comparison that raises after the wait: the slot goes to the next (V3)", function()
      local problem, probe = {}, setmetatable({}, { __mode = "k" })
      local Bad = { __lt = function() error(problem) end }
      local Good = { __lt = function(a, b) return a.rank < b.rank end }
      local q, results = aq.PriorityQueue(2), nil
      for rank = 1, 2 do q:put_nowait(setmetatable({ rank = rank }, Good)) end
      local task = aq.create_task(function()
        local item = setmetatable({}, Bad)
        probe[item] = true
        results = table.pack(aq.select { q:putting(item), aq.Future() })
      end)
      local log = helper.log()
      putter(log, q, "P", setmetatable({ rank = 1.5 }, Good))
      tick()
      q:get_nowait()
      tick(2)
      assert.is_true(task:done())
      assert.same({ 1, nil }, { results[1], results[2] })
      assert.is_true(rawequal(problem, results[3]))
      assert.equal("P put", log:text())
      assert.equal(3, q:stats().put)
      assert.same({ 1.5, 2 }, { q:get_nowait().rank, q:get_nowait().rank })
      task = nil -- luacheck: ignore
      collect()
      assert.is_nil(next(probe))
    end)

    describe("in a priority queue's key", function()
      -- A full queue, an item, and a select that waits to put it (at 2).
      local function waiting()
        local q, log = aq.PriorityQueue(2), helper.log()
        q:put_nowait { 1, "a" }
        q:put_nowait { 3, "c" }
        local item, future = { 2, "b" }, aq.Future()
        selector(log, "S", { q:putting(item), future })
        tick()
        return q, item, log, future
      end

      local function seconds(q)
        local names = {}
        for i, item in ipairs(q:drain()) do names[i] = item[2] end
        return table.concat(names, " ")
      end

      it("changed while it waits: it is fixed at the select (API)", function()
        local q, item, log = waiting()
        item[1] = 9
        q:get_nowait()
        tick()
        assert.equal("S 1 nil nil", log:text())
        assert.equal("b c", seconds(q))
      end)

      it("taken away while it waits: the same, and its slot is not lost", function()
        local q, item, log = waiting()
        item[1] = nil
        q:get_nowait()
        tick(2)
        is_untouched(q)
        assert.equal("S 1 nil nil", log:text())
        assert.equal("b c", seconds(q))
      end)

      it("taken away, then cancelled in the turn of its election: no slot is lost", function()
        local q, item, log = waiting()
        local waiters = aq.all_tasks()
        item[1] = nil
        q:get_nowait()
        waiters[#waiters]:cancel()
        tick(2)
        assert.equal("S CancelledError", log:text())
        is_untouched(q)
        q:put_nowait { 2, "d" }
        assert.equal("d c", seconds(q))
      end)

      it("taken away, then another branch wins: its value is let go", function()
        local probe = setmetatable({}, { __mode = "k" })
        local function probed()
          local q, item, _, future = waiting()
          probe[item] = true
          item[1] = nil
          return q, future
        end
        local q, future = probed()
        future:set_result()
        tick(2)
        collect()
        assert.is_nil(next(probe))
        is_untouched(q)
      end)

      it("replaced by __lt while it waits: its value is let go with its key", function()
        local probe = setmetatable({}, { __mode = "k" })
        local q, log = aq.PriorityQueue(1), helper.log()
        local Ranked = { __lt = function(a, b) return a.rank < b.rank end }
        do
          local key = setmetatable({ rank = 2 }, Ranked)
          local item = { key }
          probe[key], probe[item] = true, true
          q:put_nowait(setmetatable({ rank = 1 }, Ranked))
          selector(log, "S", { q:putting(item) })
          tick()
          setmetatable(item, { __lt = function() return false end })
        end
        q:get_nowait()
        tick()
        assert.equal("S 1 nil nil", log:text())
        q:get_nowait()
        collect()
        assert.is_nil(next(probe))
      end)
    end)
  end)

  describe("a branch object", function()
    it("can be used again, one select after the other", function()
      local q = aq.Queue(2)
      local getting, putting = q:getting(), q:putting "x"
      for _ = 1, 3 do
        assert.equal(1, (aq.select { putting }))
        assert.same({ 1, "x" }, { aq.select { getting } })
        assert.equal("timeout", (aq.select { getting, timeout = 1 }))
        assert.equal("timeout", (aq.select { getting, timeout = 0 }))
      end
      assert.equal(1, (aq.select { putting }))
      assert.equal(1, (aq.select { putting }))
      assert.same({ "x", "x" }, drain(q))
    end)

    it("can be used again after a wait, a cancel, an error", function()
      local q, log = aq.Queue(), helper.log()
      local branch = q:getting()
      local task = selector(log, "S", { branch })
      tick()
      task:cancel()
      tick(2)
      selector(log, "T", { branch })
      tick()
      q:put_nowait "x"
      tick()
      assert.equal("S CancelledError, T 1 x nil", log:text())
      q:shutdown()
      for _ = 1, 2 do
        local _, _, err = aq.select { branch }
        assert.equal(aq.QueueShutDown, err)
      end
    end)

    it("is refused while it waits in another select", function()
      local q, other, log = aq.Queue(), queue_of(0, 1), helper.log()
      local branch = q:getting()
      selector(log, "S", { branch })
      tick()
      local err = error_of(function() aq.select { other:getting(), branch } end)
      assert.matches("waits in another select", err, 1, true)
      assert.equal(1, other:qsize())
      assert.equal(1, q:stats().getters)
      q:put_nowait "x"
      tick()
      assert.equal("S 1 x nil", log:text())
      assert.equal("timeout", (aq.select { branch, timeout = 0 }))
    end)

    it("is refused until that select has returned, elected or not", function()
      local full, other, log = queue_of(1, "a"), aq.Queue(), helper.log()
      local branches = { full:putting {}, other:getting() }
      selector(log, "S", branches)
      tick()
      other:put_nowait "o"
      for _, branch in ipairs(branches) do
        local err = error_of(aq.select, { branch, timeout = 0 })
        assert.matches("waits in another select", err, 1, true)
      end
      tick()
      assert.equal("S 2 o nil", log:text())
      for _, branch in ipairs(branches) do
        assert.equal("timeout", (aq.select { branch, timeout = 0 }))
      end
      is_untouched(full)
    end)

    it("twice in one select is refused", function()
      local out, err, status = helper.run_script [[
        local aq = require "aqlua"
        local q = aq.Queue()
        local branch = q:getting()
        local ok, problem = pcall(aq.select, { branch, branch, timeout = 0.01 })
        print(ok, problem)
        print(q)
        q:put(1)
        print(q:get())
      ]]
      assert.equal("", err)
      assert.equal(0, status)
      assert.matches("^false\t[^\n]*select", out)
      assert.matches("0 getting", out, 1, true)
    end)

    it("one task or future may be in many selects, and twice in one", function()
      local future, log = aq.Future(), helper.log()
      selector(log, "S", { a = future, b = future })
      selector(log, "T", { future })
      tick()
      future:set_result()
      tick()
      assert.equal(2, #log)
      assert.matches("^S a Future", log[1])
      assert.matches("^T 1 Future", log[2])
    end)
  end)

  it("whose coroutine is closed by the stock function: no harm, its ticket is free", function()
    local out, err, status = helper.run_stock [[
      local aq = require "aqlua"
      print(aq.run(function()
        local q, full, co = aq.Queue(), aq.Queue(1)
        full:put "full"
        local task = aq.create_task(function()
          co = coroutine.running()
          aq.select { q:getting(), full:putting {}, aq.Event():waiting() }
        end)
        aq.sleep(0)
        coroutine.close(co)
        for _ = 1, 3 do collectgarbage() end
        q:put "item"
        aq.wait { task }
        local stats = full:stats()
        return tostring(task:exception()), q:get_nowait(), stats.putters
      end))
    ]]
    assert.equal("", err)
    assert.equal(0, status)
    assert.equal("the task's coroutine was resumed or closed by somebody else\titem\t0\n", out)
  end)

  it("waits for nothing that can come: DeadlockError, no trace", function()
    local q = aq.Queue { name = "jobs" }
    local err = error_of(aq.select, { q:getting(), aq.Future() })
    assert.equal(aq.DeadlockError, err)
    assert.matches("select", err.message, 1, true)
    is_untouched(q)
  end)

  describe("in the report of a deadlock (O3)", function()
    -- The report's line on a select of these.
    local function line_on(branches)
      return error_of(aq.select, branches).message:match "[^\n]*: (select[^\n]*)"
    end

    it("names what each branch waits for", function()
      local jobs, out = aq.Queue { name = "jobs" }, aq.Queue { name = "out", maxsize = 1 }
      out:put "full"
      assert.matches("^select on getting from Queue 'jobs' %(size 0, 1 getting, [^)]*%), "
        .. "putting into Queue 'out' %([^)]*1 putting, [^)]*%), joining Queue 'out' %([^)]*%), "
        .. "Event 0x%x+ %(not set, 1 waiting%), Future 0x%x+ %(pending%), for 0.%d+ s, at ",
        line_on { jobs:getting(), out:putting {}, out:joining(), aq.Event():waiting(),
                  aq.Future() })
    end)

    it("names a task, and only the branches that are enabled", function()
      local task = aq.create_task(function() aq.Queue():get() end)
      task:set_name "child"
      assert.matches("^select on Task 'child' %(waiting%), for ", line_on { false, done = task })
      task:cancel()
      tick(2)
    end)

    it("names the first eight, and says how many more there are", function()
      local q, branches = aq.Queue(), {}
      local function count() return select(2, line_on(branches):gsub("getting from Queue", "")) end
      for i = 1, 8 do branches[i] = q:getting() end
      assert.equal(8, count())
      assert.not_matches("more", line_on(branches), 1, true)
      for i = 9, 100 do branches[i] = q:getting() end
      assert.equal(8, count())
      assert.matches("%) and 92 more, for ", line_on(branches))
      is_untouched(q)
    end)
  end)

  it("finalizers that put and get while it begins to wait lose nothing", function()
    local a, b = aq.Queue(), queue_of(1, "full")
    local put, got = 0, 0
    local old = collectgarbage "generational"
    local back <close> = setmetatable({}, { __close = function() collectgarbage(old) end })
    for i = 1, 300 do
      for _ = 1, 20 do
        setmetatable({}, { __gc = function()
          if i % 3 == 0 then
            a:put_nowait {}
            put = put + 1
          end
        end })
      end
      if i % 7 == 0 then collectgarbage "step" end
      local which = aq.select { b:putting { {} }, a:getting(), timeout = 0.001 }
      if which == 2 then got = got + 1 end
    end
    collect()
    assert.equal(put, got + a:qsize())
    assert.is_true(got > 0)
    is_untouched(a)
    is_untouched(b)
    assert.is_truthy(back)
  end)
end)
