-- LifoQueue and PriorityQueue, and what all kinds of queue have in common. The numbers are those
-- of the semantics.

local aq = require "aqlua"
local helper = require "spec.helper"

local tick = helper.tick
local try, error_of = helper.try, helper.error_of

local VARIANTS = { "Queue", "LifoQueue", "PriorityQueue" }

local function getter(log, q, name)
  return aq.create_task(function()
    local ok, item = pcall(q.get, q)
    log(name, ok and item or item.name)
    if not ok and item == aq.CancelledError then error(item, 0) end
  end)
end

-- A task that puts one item and logs it under its name, or what went wrong.
local function putter(log, q, name, item)
  return aq.create_task(function()
    local ok, err = pcall(q.put, q, item)
    local problem = type(err) == "userdata" and err.name or type(err) == "string" and "error" or err
    log(name, ok and "put" or problem)
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

local function fill(q, ...)
  for i = 1, select("#", ...) do q:put_nowait((select(i, ...))) end
  return q
end

local function drain(q)
  local items = {}
  while not q:empty() do items[#items + 1] = q:get_nowait() end
  return items
end

-- What the queue gives for these items.
local function sorted(...) return drain(fill(aq.PriorityQueue(), ...)) end

local function seconds_of(list)
  local names = {}
  for i, item in ipairs(list) do names[i] = item[2] end
  return table.concat(names, " ")
end

-- Objects that compare by `rank`, through __lt; `hook`, if set, is called first.
local Ranked = {}
function Ranked.__lt(a, b)
  if Ranked.hook then Ranked.hook(a, b) end
  return a.rank < b.rank
end

local function ranked(rank, name) return setmetatable({ rank = rank, name = name }, Ranked) end

local function ranks(list)
  local numbers = {}
  for i, item in ipairs(list) do numbers[i] = item.rank end
  return table.concat(numbers, " ")
end

-- What can be seen of a queue's state.
local function picture(q)
  local stats = q:stats()
  return { q:qsize(), q:empty(), q:full(), stats.put, stats.got, stats.unfinished, stats.dropped }
end

-- Sets the hook for the rest of the block.
local function hooked(fn)
  Ranked.hook = fn
  return setmetatable({}, { __close = function() Ranked.hook = nil end })
end

for _, variant in ipairs(VARIANTS) do
  describe(variant, function()
    it("task_done too often is an error, and U stays 0 (J1, B4)", function()
      local q = aq[variant]()
      assert.matches("called too many times", error_of(q.task_done, q), 1, true)
      fill(q, 1):get_nowait()
      q:task_done()
      assert.matches("called too many times", error_of(q.task_done, q), 1, true)
      assert.equal(0, q:stats().unfinished)
    end)

    it("join takes no turn if all is done (J2, B4)", function()
      local q = aq[variant]()
      local hop <close> = helper.hops()
      q:join()
      assert.equal(0, hop())
      fill(q, 1):get_nowait()
      q:task_done()
      q:join()
      assert.equal(0, hop())
    end)

    it("join counts what was stored, got or not (J3, B4)", function()
      local q, log = fill(aq[variant](), 1, 2), helper.log()
      local task = joiner(log, q, "J")
      q:get_nowait()
      q:task_done()
      tick(2)
      assert.equal("", log:text())
      q:task_done() -- for one that is still stored
      tick(2)
      assert.equal("J joined", log:text())
      assert.is_true(task:done())
      assert.equal(1, q:qsize())
    end)

    it("U = 0 wakes all joiners, one turn later (J4, B4)", function()
      local q, log = fill(aq[variant](), 1), helper.log()
      for _, name in ipairs { "A", "B", "C" } do joiner(log, q, name) end
      tick()
      q:get_nowait()
      q:task_done()
      assert.equal("", log:text())
      tick()
      assert.equal("A joined, B joined, C joined", log:text())
    end)

    it("a put that waits is not counted before it is stored (Q6, J6)", function()
      local q, log = fill(aq[variant](1), 1), helper.log()
      putter(log, q, "P", 2)
      tick()
      assert.equal(1, q:stats().unfinished)
      q:get_nowait()
      assert.equal(1, q:stats().unfinished)
      tick()
      assert.equal("P put", log:text())
      assert.equal(2, q:stats().unfinished)
    end)

    it("serves waiting getters and putters first come, first served (Q13, B6)", function()
      local q, log = aq[variant](1), helper.log()
      for _, name in ipairs { "A", "B", "C" } do getter(log, q, name) end
      tick()
      for i = 1, 3 do q:put(i) end
      tick(3)
      assert.equal("A 1, B 2, C 3", log:text())
      log = helper.log()
      q:put(0)
      for i = 1, 3 do putter(log, q, "P" .. i, i) end
      tick()
      local got = {}
      for i = 1, 4 do got[i] = q:get() end
      assert.same({ 0, 1, 2, 3 }, got)
      tick()
      assert.equal("P1 put, P2 put, P3 put", log:text())
    end)

    it("keeps the item for the next when a woken getter is cancelled (X2)", function()
      local q, log = aq[variant](), helper.log()
      local a = getter(log, q, "A")
      getter(log, q, "B")
      tick()
      q:put_nowait "x"
      a:cancel()
      tick(2)
      assert.equal("A CancelledError, B x", log:text())
    end)

    it("does not keep what was taken, discarded or never stored (Q17)", function()
      local probe = setmetatable({}, { __mode = "k" })
      local q = aq[variant](2)
      local function item(n)
        local value = { n, {} }
        if variant ~= "PriorityQueue" then value = { value } end
        probe[value] = true
        return value
      end
      fill(q, item(1), item(2))
      local task = putter(helper.log(), q, "P", item(3))
      tick()
      task:cancel()
      tick(2)
      q:get_nowait()
      q:shutdown(true)
      task = nil -- luacheck: ignore
      tick()
      collectgarbage()
      collectgarbage()
      assert.is_nil(next(probe))
      assert.equal(0, q:qsize())
    end)

    it("shutdown(true) returns the items as get would have (S8)", function()
      local q, twin = aq[variant](), aq[variant]()
      for _, n in ipairs { 3, 1, 2, 5, 4 } do
        q:put_nowait(n)
        twin:put_nowait(n)
      end
      local list = q:shutdown(true)
      assert.equal(5, list.n)
      list.n = nil
      assert.same(drain(twin), list)
      assert.equal(0, q:stats().unfinished)
    end)
  end)
end

describe("LifoQueue", function()
  it("is last in, first out (V2)", function()
    assert.same({ 5, 4, 3, 2, 1 }, drain(fill(aq.LifoQueue(), 1, 2, 3, 4, 5)))
  end)

  it("keeps the order over growing and shrinking", function()
    local q, stack = aq.LifoQueue(), {}
    math.randomseed(5)
    for i = 1, 20000 do
      if math.random() < (i < 12000 and 0.6 or 0.3) then
        q:put_nowait(i)
        stack[#stack + 1] = i
      elseif #stack > 0 then
        assert.equal(table.remove(stack), q:get_nowait())
      end
      assert.equal(#stack, q:qsize())
    end
  end)

  it("holds nil and false (Q16)", function()
    local q = fill(aq.LifoQueue(), false, nil)
    assert.equal(2, q:qsize())
    assert.is_nil(q:get_nowait())
    assert.is_false(q:get_nowait())
    assert.is_true(q:empty())
  end)

  it("chooses the item when the getter runs (V2)", function()
    local q, log = aq.LifoQueue(), helper.log()
    getter(log, q, "A")
    getter(log, q, "B")
    tick()
    fill(q, 1, 2)
    tick()
    assert.equal("A 2, B 1", log:text())
  end)

  it("a waiting put's item is the newest when it is stored", function()
    local q, log = fill(aq.LifoQueue(2), "a", "b"), helper.log()
    putter(log, q, "P", "c")
    tick()
    assert.equal("b", q:get_nowait())
    tick()
    assert.same({ "c", "a" }, drain(q))
  end)

  it("get_nowait on empty and put_nowait on full change nothing (Q4)", function()
    local q = aq.LifoQueue(1)
    assert.equal("QueueEmpty", try(q.get_nowait, q))
    fill(q, 1)
    assert.equal("QueueFull", try(q.put_nowait, q, 2))
    assert.same({ 1 }, drain(q))
  end)

  it("names itself", function()
    assert.matches("^LifoQueue 'jobs' %(size 0", tostring(aq.LifoQueue { name = "jobs" }))
    assert.matches("^PriorityQueue ", tostring(aq.PriorityQueue()))
  end)
end)

describe("PriorityQueue", function()
  it("gives the smallest first (V1)", function()
    assert.same({ 1, 2, 3, 4, 5 }, sorted(3, 5, 1, 4, 2))
  end)

  it("equal keys leave in order of arrival (V1, B11)", function()
    local q = aq.PriorityQueue()
    for i = 0, 7 do q:put_nowait { 0, i } end
    assert.equal("0 1 2 3 4 5 6 7", seconds_of(drain(q)))
    fill(q, { 1, "a" }, { 0, "b" }, { 1, "c" }, { 0, "d" }, { 1.0, "e" }, { -0.0, "f" })
    assert.equal("b d f a c e", seconds_of(drain(q)))
  end)

  it("equal keys of numbers, strings and tables with them, too (V1)", function()
    local items = { { 1, "a" }, 1, { 1, "b" }, 1.0, { 1.0, "c" }, 1 }
    local list = sorted(table.unpack(items))
    for i, item in ipairs(items) do
      assert.is_true(rawequal(item, list[i]))
      assert.equal(math.type(item), math.type(list[i]))
    end
    list = sorted("k", { "k", 1 }, "k", { "k", 2 })
    assert.equal("k", list[1])
    assert.equal(1, list[2][2])
    assert.equal("k", list[3])
    assert.equal(2, list[4][2])
  end)

  it("never compares the rest of a table (V1, B11)", function()
    local never = setmetatable({}, {
      __lt = function() error "compared" end,
      __le = function() error "compared" end,
      __eq = function() error "compared" end,
    })
    local q = aq.PriorityQueue()
    for _ = 1, 5 do q:put_nowait { 1, never } end
    assert.equal(5, #drain(q))
  end)

  it("chooses the item when the getter runs (V2)", function()
    local q, log = aq.PriorityQueue(), helper.log()
    getter(log, q, "A")
    getter(log, q, "B")
    tick()
    fill(q, 5, 1)
    tick()
    assert.equal("A 1, B 5", log:text())
  end)

  it("10,000 random items leave as a stable sort has them (V1)", function()
    math.randomseed(11)
    local q, list = aq.PriorityQueue(), {}
    for i = 1, 10000 do
      local key = math.random(0, 2000)
      if i % 3 == 0 then key = key + 0.5 end
      list[i] = { key, i }
      q:put_nowait(list[i])
    end
    table.sort(list, function(a, b)
      if a[1] ~= b[1] then return a[1] < b[1] end
      return a[2] < b[2]
    end)
    for i = 1, 10000 do
      if not rawequal(list[i], q:get_nowait()) then error("differs at " .. i) end
    end
    assert.is_true(q:empty())
  end)

  it("10,000 objects with __lt leave as a stable sort has them (V1, V4)", function()
    math.randomseed(12)
    local q, list = aq.PriorityQueue(), {}
    for i = 1, 10000 do
      list[i] = ranked(math.random(500), i)
      q:put_nowait(list[i])
    end
    table.sort(list, function(a, b)
      if a.rank ~= b.rank then return a.rank < b.rank end
      return a.name < b.name
    end)
    for i = 1, 10000 do
      if not rawequal(list[i], q:get_nowait()) then error("differs at " .. i) end
    end
  end)

  it("puts and gets in any mixture agree with a sorted list (V1)", function()
    math.randomseed(13)
    local q, list = aq.PriorityQueue(), {}
    for i = 1, 20000 do
      if math.random() < (i < 12000 and 0.55 or 0.4) then
        local item = { math.random(300), i }
        local place = #list + 1
        while place > 1 and item[1] < list[place - 1][1] do place = place - 1 end
        table.insert(list, place, item)
        q:put_nowait(item)
      elseif #list > 0 and not rawequal(table.remove(list, 1), q:get_nowait()) then
        error("differs at step " .. i)
      end
      if #list ~= q:qsize() then error("size at step " .. i) end
    end
  end)

  it("does not serve a later, smaller item to who would overtake (Q13)", function()
    local q, log = aq.PriorityQueue(), helper.log()
    getter(log, q, "A")
    tick()
    q:put_nowait(5)
    local b = getter(log, q, "B") -- steps after A
    tick()
    assert.equal("A 5", log:text())
    q:put_nowait(1)
    tick()
    assert.equal("A 5, B 1", log:text())
    assert.is_true(b:done())
  end)

  it("a waiting put's item takes its place by its key", function()
    local q, log = fill(aq.PriorityQueue(2), 1, 5), helper.log()
    putter(log, q, "P", 3)
    tick()
    assert.equal(1, q:get_nowait())
    tick()
    assert.same({ 3, 5 }, drain(q))
  end)

  describe("keys", function()
    it("integers and floats compare exactly (V4)", function()
      local low, high = math.mininteger, math.maxinteger
      assert.same({ -math.huge, low, -1.5, -1, 0, 0.5, 1, 2.0, high, 2.0 ^ 63, math.huge },
        sorted(math.huge, 1, -1.5, 2.0 ^ 63, low, 0.5, high, 0, 2.0, -1, -math.huge))
      local big = 1 << 53
      local list = sorted(big + 1, big + 0.0, big - 1)
      assert.same({ big - 1, big + 0.0, big + 1 }, list)
      assert.equal("float", math.type(list[2]))
    end)

    it("numbers come back as they were (V4)", function()
      local list = sorted(2.0, 1, 0.25)
      assert.same({ "float", "integer", "float" },
        { math.type(list[1]), math.type(list[2]), math.type(list[3]) })
      local zero = sorted(-0.0)[1]
      assert.equal(-math.huge, 1 / zero)
    end)

    it("strings (V4)", function()
      assert.same({ "", "a", "a\0b", "ab", "b" }, sorted("ab", "b", "", "a\0b", "a"))
    end)

    it("tables by [1]: a number or a string (V4)", function()
      local a, b, c = { 2, "a" }, { 1.5, "b" }, { 1, "c" }
      assert.same({ c, b, a }, sorted(a, b, c))
      assert.equal("z y", seconds_of(sorted({ "k2", "y" }, { "k1", "z" })))
    end)

    it("tables by [1]: an object with __lt (V4)", function()
      local q = fill(aq.PriorityQueue(), { ranked(2), "b" }, { ranked(1), "a" }, { ranked(2), "c" })
      assert.equal("a b c", seconds_of(drain(q)))
    end)

    it("a table with __lt is its own key, whatever is at [1] (V4)", function()
      local function object(rank, first)
        local value = ranked(rank)
        value[1] = first
        return value
      end
      assert.equal("1 2 3", ranks(sorted(object(2, 10), object(3, 0), object(1, "x"))))
    end)

    it("a number, or a table that has it as key, are of one kind (V4)", function()
      local list = sorted({ 2, "b" }, 1, { 0.5, "c" }, 3)
      assert.equal("c", list[1][2])
      assert.equal(1, list[2])
      assert.equal("b", list[3][2])
      assert.equal(3, list[4])
      list = sorted("b", { "a", 1 })
      assert.equal(1, list[1][2])
    end)

    it("userdata with __lt (V4)", function()
      local file = io.stdout
      local meta = debug.getmetatable(file)
      local restore <close> = setmetatable({}, { __close = function() meta.__lt = nil end })
      meta.__lt = function() return false end
      assert.is_true(rawequal(file, sorted(file)[1]))
      meta.__lt = nil
      assert.matches("value with __lt", error_of(sorted, file), 1, true)
      assert.is_truthy(restore)
    end)

    it("what __lt returns counts as true or false (V4)", function()
      local Loose = {}
      function Loose.__lt(a, b) return a.rank < b.rank and "yes" or nil end
      local function loose(rank) return setmetatable({ rank = rank }, Loose) end
      assert.equal("1 2 3", ranks(sorted(loose(2), loose(3), loose(1))))
    end)

    it("the key is fixed at put (API)", function()
      local a, b, c = { 1, "a" }, { 2, "b" }, { 3, "c" }
      local q = fill(aq.PriorityQueue(), a, b, c)
      a[1], c[1] = 9, 0
      q:put_nowait { 2.5, "d" }
      assert.equal("a b d c", seconds_of(drain(q)))
    end)

    it("the key is fixed at put, also for a put that waits (API)", function()
      local item = { 1, "late" }
      local q, log = fill(aq.PriorityQueue(2), { 0, "x" }, { 2, "y" }), helper.log()
      putter(log, q, "P", item)
      tick()
      item[1] = 3
      assert.equal("x", q:get_nowait()[2])
      tick()
      assert.equal("late y", seconds_of(drain(q)))
    end)

    it("a key at [1] may be taken away after the put", function()
      local item = { "k" }
      local q = fill(aq.PriorityQueue(), item, { "j" })
      item[1] = nil
      q:put_nowait { "m" }
      q:get_nowait()
      assert.is_true(rawequal(item, q:get_nowait()))
    end)

    it("[1] is read without metamethods", function()
      local proxy = setmetatable({}, { __index = function() return 1 end })
      assert.matches("table with one of these at [1] expected", error_of(sorted, proxy), 1, true)
    end)

    it("get never compares (V3)", function()
      local q = aq.PriorityQueue()
      for i = 1, 600 do q:put_nowait(ranked(i * 7 % 601)) end
      local compared = 0
      local hook <close> = hooked(function() compared = compared + 1 end)
      drain(q)
      assert.equal(0, compared)
      assert.is_truthy(hook)
    end)

    it("one put makes few comparisons", function()
      local q = aq.PriorityQueue()
      for i = 1, 1000 do q:put_nowait(ranked(i)) end
      local compared = 0
      local hook <close> = hooked(function() compared = compared + 1 end)
      q:put_nowait(ranked(500))
      assert.is_true(compared <= 14, compared .. " comparisons")
      assert.is_truthy(hook)
    end)
  end)

  describe("refuses", function()
    it("what has no key, and changes nothing (V4)", function()
      local q = fill(aq.PriorityQueue(), 1)
      local before = picture(q)
      local bad = { true, false, {}, { {} }, { true }, { [2] = 1 }, print,
                    coroutine.create(print), io.stdout, { 0 / 0 }, 0 / 0 }
      for _, value in ipairs(bad) do
        local err = error_of(function() q:put_nowait(value) end)
        assert.matches("bad argument #1 to 'put_nowait' (number, string, ", err, 1, true)
        err = error_of(function() q:put(value) end)
        assert.matches("bad argument #1 to 'put' (number, string, ", err, 1, true)
        assert.same(before, picture(q))
      end
      assert.matches("value with __lt", error_of(q.put_nowait, q, nil), 1, true)
      assert.matches("value with __lt", error_of(q.put, q, nil), 1, true)
      assert.same(before, picture(q))
    end)

    it("NaN by name (V4)", function()
      local q = aq.PriorityQueue()
      assert.matches("no NaN", error_of(q.put_nowait, q, 0 / 0), 1, true)
      assert.matches("no NaN", error_of(q.put_nowait, q, { 0 / 0, "x" }), 1, true)
    end)

    it("what has no key also when it is full: no wait", function()
      local q = fill(aq.PriorityQueue(1), 1)
      local hop <close> = helper.hops()
      assert.matches("no NaN", error_of(q.put, q, 0 / 0), 1, true)
      assert.equal(0, hop())
    end)

    it("keys of unlike kinds, and changes nothing (V3, V4)", function()
      for _, case in ipairs { { 1, "a" }, { "a", 1 }, { ranked(1), 1 }, { 1, ranked(1) },
                              { { "a" }, { 1 } }, { ranked(1), "a" } } do
        local q = fill(aq.PriorityQueue(), case[1])
        local before = picture(q)
        local err = error_of(q.put_nowait, q, case[2])
        assert.matches("keys of another kind", err, 1, true)
        assert.matches("variants_spec.lua:%d+:", error_of(function() q:put(case[2]) end))
        assert.same(before, picture(q))
      end
    end)

    it("no kind once it is empty again", function()
      local q = fill(aq.PriorityQueue(), 1)
      q:get_nowait()
      assert.same({ "a", "b" }, drain(fill(q, "b", "a")))
      assert.equal("1 2", ranks(drain(fill(q, ranked(2), ranked(1)))))
    end)

    it("an item without waking a getter, which gets the next (V3, B10)", function()
      local q, log = aq.PriorityQueue(), helper.log()
      getter(log, q, "A")
      tick()
      error_of(q.put_nowait, q, 0 / 0)
      error_of(q.put_nowait, q, {})
      tick(2)
      assert.equal("", log:text())
      q:put_nowait(1)
      tick()
      assert.equal("A 1", log:text())
      q:task_done()
      assert.matches("too many times", error_of(q.task_done, q), 1, true)
    end)
  end)

  describe("a comparison", function()
    local function three() return fill(aq.PriorityQueue(), ranked(1), ranked(2), ranked(3)) end

    it("that raises: put fails with that error and changes nothing (V3, B10)", function()
      local q, problem = three(), {}
      local before = picture(q)
      do
        local hook <close> = hooked(function() error(problem) end)
        assert.is_true(rawequal(problem, error_of(q.put_nowait, q, ranked(2))))
        assert.is_true(rawequal(problem, error_of(q.put, q, ranked(2))))
        assert.same(before, picture(q))
        assert.is_truthy(hook)
      end
      fill(q, ranked(2.5))
      assert.equal("1 2 2.5 3", ranks(drain(q)))
      for _ = 1, 4 do q:task_done() end
      assert.matches("too many times", error_of(q.task_done, q), 1, true)
    end)

    it("that raises at its nth call: the same (V3)", function()
      local q = aq.PriorityQueue()
      for i = 1, 1000 do q:put_nowait(ranked(i)) end
      local before = picture(q)
      for n = 1, 9 do
        local calls = 0
        local hook <close> = hooked(function()
          calls = calls + 1
          if calls == n then error("call " .. n, 0) end
        end)
        assert.equal("call " .. n, error_of(q.put_nowait, q, ranked(n * 100 + 0.5)))
        assert.same(before, picture(q))
        assert.is_truthy(hook)
      end
      for i = 1, 1000 do assert.equal(i, q:get_nowait().rank) end
    end)

    it("between values that Lua cannot compare: the same (V3)", function()
      local Other = { __lt = function() error "not comparable" end }
      local q = three()
      local before = picture(q)
      assert.matches("compare nil", error_of(q.put_nowait, q, setmetatable({}, Ranked)), 1, true)
      assert.matches("not comparable", error_of(q.put_nowait, q, setmetatable({}, Other)), 1, true)
      assert.same(before, picture(q))
    end)

    it("that waits: put fails and changes nothing (API)", function()
      local q = three()
      local before = picture(q)
      local hook <close> = hooked(function() aq.sleep(0) end)
      local text = "cannot wait here: inside the comparison of items in %s, "
        .. "which cannot be suspended"
      for name, put in pairs {
        put = function() q:put(ranked(2)) end,
        put_nowait = function() q:put_nowait(ranked(2)) end,
        select = function() error(select(3, aq.select { q:putting(ranked(2)) }), 0) end,
      } do
        assert.matches(text:format(name == "select" and "put" or name), error_of(put), 1, true)
      end
      assert.matches(text:format "put", error_of(q.put, q, ranked(2)), 1, true)
      assert.matches(text:format "put", error_of(q.put_many, q, { ranked(2) }), 1, true)
      assert.same(before, picture(q))
      Ranked.hook = nil
      assert.equal("1 2 3", ranks(drain(q)))
      assert.is_truthy(hook)
    end)

    it("that yields by hand: put fails and changes nothing (API)", function()
      local q = three()
      local before = picture(q)
      local hook <close> = hooked(coroutine.yield)
      assert.matches("attempt to yield", error_of(q.put_nowait, q, ranked(2)), 1, true)
      assert.same(before, picture(q))
      assert.is_truthy(hook)
    end)

    it("that takes an item: put fails, what was taken is taken (API)", function()
      local q = three()
      local hook <close> = hooked(function()
        Ranked.hook = nil
        q:get_nowait()
      end)
      assert.matches("changed by a comparison", error_of(q.put_nowait, q, ranked(2)), 1, true)
      assert.equal("2 3", ranks(drain(q)))
      assert.equal(3, q:stats().put)
      assert.is_truthy(hook)
    end)

    it("that puts: the outer put fails, the inner one counts (API)", function()
      local q = three()
      local hook <close> = hooked(function()
        Ranked.hook = nil
        q:put_nowait(ranked(0))
      end)
      assert.matches("changed by a comparison", error_of(q.put_nowait, q, ranked(2)), 1, true)
      assert.equal("0 1 2 3", ranks(drain(q)))
      assert.equal(4, q:stats().put)
      assert.is_truthy(hook)
    end)

    it("that takes all and puts as many: put fails (API)", function()
      local q = three()
      local hook <close> = hooked(function()
        Ranked.hook = nil
        drain(q)
        fill(q, ranked(7), ranked(8), ranked(9))
      end)
      assert.matches("changed by a comparison", error_of(q.put_nowait, q, ranked(2)), 1, true)
      assert.equal("7 8 9", ranks(drain(q)))
      assert.is_truthy(hook)
    end)

    it("that drains the queue and leaves it empty: put fails (API)", function()
      local q = three()
      local hook <close> = hooked(function()
        Ranked.hook = nil
        drain(q)
      end)
      assert.is_false((pcall(q.put_nowait, q, ranked(2))))
      assert.equal(0, q:qsize())
      fill(q, ranked(2), ranked(1))
      assert.equal("1 2", ranks(drain(q)))
      assert.is_truthy(hook)
    end)

    it("that shuts the queue down: put fails with QueueShutDown (S2)", function()
      for _, immediate in ipairs { false, true } do
        local q = three()
        local hook <close> = hooked(function()
          Ranked.hook = nil
          q:shutdown(immediate)
        end)
        assert.is_false((pcall(q.put_nowait, q, ranked(2))))
        assert.equal(immediate and 0 or 3, q:qsize())
        assert.is_true(q:is_shutdown())
        assert.is_truthy(hook)
      end
    end)

    it("that only looks at the queue does no harm", function()
      local q = three()
      local hook <close> = hooked(function() return q:qsize(), q:stats(), q:peek(), tostring(q) end)
      q:put_nowait(ranked(2.5))
      assert.equal("1 2 2.5 3", ranks(drain(q)))
      assert.is_truthy(hook)
    end)

    it("that collects garbage does no harm", function()
      local q = aq.PriorityQueue()
      local hook <close> = hooked(function() collectgarbage() end)
      for i = 1, 50 do q:put_nowait(ranked(i * 7 % 51)) end
      Ranked.hook = nil
      local last = 0
      for _, item in ipairs(drain(q)) do
        assert.is_true(item.rank > last)
        last = item.rank
      end
      assert.is_truthy(hook)
    end)

    it("that answers at random loses nothing", function()
      math.randomseed(14)
      local Random = { __lt = function() return math.random() < 0.5 end }
      local q, left = aq.PriorityQueue(), {}
      for i = 1, 2000 do
        local item = setmetatable({ i }, Random)
        left[item] = true
        q:put_nowait(item)
      end
      for _, item in ipairs(drain(q)) do
        assert.is_true(left[item])
        left[item] = nil
      end
      assert.is_nil(next(left))
    end)

    it("that raises in a put that waited: its slot goes to the next (V3)", function()
      local q, log = fill(aq.PriorityQueue(2), ranked(1), ranked(5)), helper.log()
      local bad = setmetatable({}, { __lt = function() error("bad", 0) end })
      local task = aq.create_task(function()
        local err = error_of(q.put, q, bad)
        log("P", err)
      end)
      putter(log, q, "Q", ranked(3))
      putter(log, q, "R", ranked(4))
      tick()
      assert.equal(1, q:get_nowait().rank)
      assert.is_true(q:full())
      tick()
      assert.is_true(task:done())
      assert.equal("P bad", log:text())
      tick()
      assert.equal("P bad, Q put", log:text())
      assert.equal(2, q:qsize())
      assert.equal(3, q:stats().unfinished)
      assert.equal("3 5", ranks { q:get_nowait(), q:get_nowait() })
      tick()
      assert.equal("P bad, Q put, R put", log:text())
      assert.equal(4, q:stats().put)
      assert.same({ 1, false, false }, { q:qsize(), q:empty(), q:full() })
    end)

    it("that waits, in a put that waited: its slot goes to the next (API)", function()
      local q, log = fill(aq.PriorityQueue(2), ranked(1), ranked(5)), helper.log()
      local bad = setmetatable({}, { __lt = function() aq.sleep(0) end })
      aq.create_task(function()
        log("P", error_of(q.put, q, bad):match "cannot wait here")
      end)
      putter(log, q, "Q", ranked(3))
      tick()
      q:get_nowait()
      tick(2)
      assert.equal("P cannot wait here, Q put", log:text())
      assert.equal("3 5", ranks(drain(q)))
    end)

    it("that touches the queue, in a put that waited: the same (API)", function()
      local q, log = fill(aq.PriorityQueue(3), ranked(1), ranked(5), ranked(6)), helper.log()
      local bad = setmetatable({}, { __lt = function() q:get_nowait() end })
      aq.create_task(function()
        log("P", error_of(q.put, q, bad):match "changed by a comparison")
      end)
      putter(log, q, "Q", ranked(3))
      putter(log, q, "R", ranked(4))
      tick()
      q:get_nowait()
      tick(3)
      assert.equal("P changed by a comparison, Q put, R put", log:text())
      assert.equal(3, q:qsize())
      assert.is_true(q:full())
      assert.equal(0, q:stats().putters)
      drain(q)
    end)

    it("of unlike kinds in a put that waited: its slot goes to the next (V3)", function()
      local q, log = fill(aq.PriorityQueue(2), 1, 2), helper.log()
      putter(log, q, "P", "string")
      putter(log, q, "Q", 3)
      tick()
      q:get_nowait()
      tick()
      assert.equal("P error", log:text())
      tick()
      assert.equal("P error, Q put", log:text())
      assert.same({ 2, 3 }, drain(q))
      q:put_nowait "now" -- its being empty allows any kind
      assert.equal("now", q:get_nowait())
    end)

    it("a put that waited and failed does not keep its value", function()
      local probe = setmetatable({}, { __mode = "k" })
      local q = fill(aq.PriorityQueue(2), ranked(1), ranked(2))
      local task = aq.create_task(function()
        local bad = setmetatable({}, { __lt = function() error("bad", 0) end })
        probe[bad] = true
        q:put { bad, "payload" }
      end)
      tick()
      q:get_nowait()
      tick()
      assert.equal("bad", task:exception())
      task = nil -- luacheck: ignore
      tick()
      collectgarbage()
      collectgarbage()
      assert.is_nil(next(probe))
    end)

    it("cancelled before it runs with its slot: no comparison is made (X5)", function()
      local q, log = fill(aq.PriorityQueue(2), ranked(1), ranked(5)), helper.log()
      local bad = setmetatable({}, { __lt = function() log "compared" end })
      local task = putter(log, q, "P", bad)
      putter(log, q, "Q", ranked(3))
      tick()
      q:get_nowait()
      task:cancel()
      tick(2)
      assert.equal("P CancelledError, Q put", log:text())
      assert.equal("3 5", ranks(drain(q)))
    end)
  end)
end)
