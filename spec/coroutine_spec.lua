-- Waiting inside the user's own coroutines and inside require, where it cannot be done, and who
-- may not touch what waits.

local aq = require "aqlua"
local helper = require "spec.helper"

local tick = helper.tick
local error_of = helper.error_of

local STRANGER = "the coroutine is waiting in the scheduler for another task"

-- A generator of 1 to n that waits before each, by `wait`.
local function counting(n, wait)
  return coroutine.wrap(function()
    for i = 1, n do
      wait()
      coroutine.yield(i)
    end
  end)
end

local function turn() aq.sleep(0) end

local function collected(iterator)
  local list = {}
  for value in iterator do list[#list + 1] = value end
  return list
end

-- fn inside `depth` coroutines, one in the other.
local function wrapped(depth, fn)
  if depth == 0 then return fn end
  return function(...) return coroutine.wrap(wrapped(depth - 1, fn))(...) end
end

-- A module with this text in package.preload, for the rest of the block; `env` is what it sees.
local function modules(texts)
  local counts = {}
  for name, loader in pairs(texts) do
    counts[name] = 0
    package.preload[name] = function(...)
      counts[name] = counts[name] + 1
      return loader(...)
    end
  end
  return counts, setmetatable({}, { __close = function()
    for name in pairs(texts) do package.preload[name], package.loaded[name] = nil, nil end
  end })
end

-- A generator that holds a group, whose child feeds it, and cleans up with waits when it is left.
local function held_by_group(log, own_error)
  return function()
    local clean <close> = setmetatable({}, { __close = function() -- luacheck: ignore
      aq.shield(function()
        tick(2)
        log "cleaned up"
      end)
    end })
    local group <close> = aq.TaskGroup()
    local q = aq.Queue()
    group:create_task(function()
      for i = 1, 3 do q:put(i) tick() end
      aq.Event():wait()
    end)
    while true do
      local item = q:get()
      if item == 2 and own_error then error(own_error, 0) end
      coroutine.yield(item)
    end
  end
end

-- How a loop runs a generator: each gives an iterator of what it yields.
local ways = {
  wrap = coroutine.wrap,
  ["resume and close"] = function(fn)
    local co = coroutine.create(fn)
    return function()
      local ok, value = coroutine.resume(co)
      if ok then return value end
      assert.same({ false, value }, { coroutine.close(co) })
      error(value, 0)
    end
  end,
  ["three deep"] = function(fn)
    local function inside(iterator)
      return coroutine.wrap(function() for item in iterator do coroutine.yield(item) end end)
    end
    return inside(inside(coroutine.wrap(fn)))
  end,
}

for way, iterator in pairs(ways) do
  describe("a generator that is left by an error, by " .. way .. ",", function()
    local log

    local function drain(own_error)
      for item in iterator(held_by_group(log, own_error)) do log(item) end
    end

    before_each(function() log = helper.log() end)

    it("T2: a cancel arrives as itself, after a clean-up that waits", function()
      local task = aq.create_task(drain)
      tick(10)
      task:cancel()
      assert.equal(aq.CancelledError, error_of(task.await, task))
      assert.is_true(task:cancelled())
      assert.equal("1, 2, 3, cleaned up", log:text())
    end)

    it("G8: a deadline around it arrives as TimeoutError", function()
      assert.equal(aq.TimeoutError, error_of(function()
        local deadline <close> = aq.timeout(1) -- luacheck: ignore
        drain()
      end))
      assert.equal(aq.TimeoutError, error_of(aq.wait_for, drain, 1))
      assert.equal("1, 2, 3, cleaned up, 1, 2, 3, cleaned up", log:text())
    end)

    it("G9: an error of its own arrives as it was thrown", function()
      local own = { "own" }
      assert.is_true(rawequal(own, error_of(drain, own)))
      assert.equal("1, cleaned up", log:text())
    end)

    it("the end of main lets it clean up", function()
      aq.run(function()
        aq.create_task(drain)
        tick(10)
      end)
      assert.equal("1, 2, 3, cleaned up", log:text())
    end)
  end)
end

describe("a coroutine that an error has left", function()
  it("is dead, closed with the error once, and has its traceback", function()
    local co = coroutine.create(function()
      local function thrower() error("deep", 0) end
      coroutine.yield()
      thrower()
    end)
    coroutine.resume(co)
    assert.is_nil(debug.traceback(co):find("[C]: in ?", 1, true))
    assert.same({ false, "deep" }, { coroutine.resume(co) })
    assert.equal("dead", coroutine.status(co))
    assert.matches("^stack traceback:\n.*in [^\n]*'thrower'\n", debug.traceback(co))
    assert.matches("^hint\nstack traceback:\n.*'thrower'", debug.traceback(co, "hint"))
    assert.same({ false, "deep" }, { coroutine.close(co) })
    assert.is_true(coroutine.close(co))
    assert.same({ false, "cannot resume dead coroutine" }, { coroutine.resume(co) })
  end)

  it("by a timeout has the traceback of the wait that was broken off", function()
    local co = coroutine.create(function()
      local function waits() aq.sleep(100) end
      local _ <close> = aq.timeout(1)
      waits()
    end)
    assert.same({ false, aq.TimeoutError }, { coroutine.resume(co) })
    assert.matches("sleep'\n[^\n]*in [^\n]*'waits'\n", debug.traceback(co))
  end)

  it("has arguments and results as ever, and its function may be one of C", function()
    local co = coroutine.create(function(...) return select("#", ...), coroutine.yield(...) end)
    assert.same({ true, 1, nil, n = 3 }, table.pack(coroutine.resume(co, 1, nil)))
    assert.same({ true, 2, 3, nil, n = 4 }, table.pack(coroutine.resume(co, 3, nil)))
    assert.same({ true, 7 }, { coroutine.resume(coroutine.create(math.max), 7, 3) })
    assert.same({ false, "x" }, { coroutine.resume(coroutine.create(error), "x", 0) })
  end)

  it("coroutine.close from outside: a wait is refused by name, and the rest is done", function()
    local log = helper.log()
    local co = coroutine.create(function()
      local mark <close> = setmetatable({}, { __close = function() log "closed" end }) -- luacheck: ignore
      local group <close> = aq.TaskGroup()
      group:create_task(function()
        local ok, err = pcall(aq.sleep, 100)
        log(ok, err.name)
      end)
      coroutine.yield "in the block"
    end)
    coroutine.resume(co)
    tick()
    local ok, err = coroutine.close(co)
    assert.is_false(ok)
    assert.matches("cannot wait here: inside coroutine.close, which", err, 1, true)
    assert.equal("dead", coroutine.status(co))
    assert.equal("closed", log:text())
    tick(2)
    assert.equal("closed, false CancelledError", log:text())
  end)

  it("closed from outside: what a child of its group fails with is reported", function()
    local child
    local co = coroutine.create(function()
      local group <close> = aq.TaskGroup()
      child = group:create_task(function()
        pcall(aq.sleep, 100)
        error("lost child", 0)
      end)
      coroutine.yield()
    end)
    local reports = helper.reports_of(function()
      coroutine.resume(co)
      tick()
      coroutine.close(co)
      tick(3)
    end)
    assert.same({ child, "lost child" }, { reports[1][1], reports[1][2] })
    assert.equal(1, #reports)
  end)

  it("coroutine.close of one that runs says what Lua says", function()
    assert.equal("cannot close a running coroutine",
      error_of(coroutine.close, (coroutine.running())))
    local outer = coroutine.running()
    assert.equal("cannot close a normal coroutine", coroutine.wrap(function()
      return error_of(coroutine.close, outer)
    end)())
  end)
end)

describe("a wait inside a coroutine", function()
  it("in a generator: the values go to the loop, the wait to the scheduler", function()
    local log = helper.log()
    local other = aq.create_task(function()
      for i = 1, 4 do
        log("other", i)
        tick()
      end
    end)
    for value in counting(3, turn) do log("got", value) end
    other:await()
    assert.equal("other 1, got 1, other 2, got 2, other 3, got 3, other 4", log:text())
  end)

  it("of each kind", function()
    local q, event, lock, future = aq.Queue(1), aq.Event(), aq.Lock(), aq.Future()
    lock:acquire()
    aq.create_task(function()
      for i = 1, 2 do q:put(i) end
      tick()
      event:set()
      tick()
      lock:release()
      tick()
      future:set_result "future"
      tick()
      q:get()
    end)
    local generator = coroutine.wrap(function()
      coroutine.yield(q:get())
      coroutine.yield(event:wait())
      coroutine.yield(lock:acquire())
      coroutine.yield(future:await())
      coroutine.yield(q:put(3))
      coroutine.yield(aq.sleep(5, "slept"))
      coroutine.yield(aq.gather(turn, turn).n)
      coroutine.yield((aq.select { aq.create_task(turn) }))
      coroutine.yield(aq.wait_for(aq.sleep, 5, 1, "in time"))
      coroutine.yield(aq.await(function(done) aq.create_task(done, "bridged") end))
    end)
    local seen = {}
    for i = 1, 10 do seen[i] = generator() end
    assert.same({ 1, true, true, "future", nil, "slept", 2, 1, "in time", "bridged" }, seen)
  end)

  it("three deep", function()
    local inner = counting(3, turn)
    local middle = coroutine.wrap(function()
      for value in inner do
        tick()
        coroutine.yield(value * 10)
      end
    end)
    local outer = coroutine.wrap(function()
      for value in middle do
        coroutine.yield(value + 1)
        tick(2)
      end
    end)
    assert.same({ 11, 21, 31 }, collected(outer))
  end)

  it("150 deep", function()
    local hop <close> = helper.hops()
    assert.equal("bottom", wrapped(150, function()
      tick(3)
      return "bottom"
    end)())
    assert.equal(3, hop())
  end)

  it("too deep is an ordinary error, and the task goes on", function()
    local err = error_of(wrapped(250, turn))
    assert.matches("C stack overflow", err, 1, true)
    tick()
    assert.equal("ok", wrapped(50, function()
      tick()
      return "ok"
    end)())
  end)

  it("takes as many turns as the wait itself does", function()
    local hop <close> = helper.hops()
    wrapped(5, function() tick(4) end)()
    assert.equal(4, hop())
  end)

  it("coroutine.resume: values both ways, waits between", function()
    local co = coroutine.create(function(...)
      local list = table.pack(...)
      while true do
        tick(2)
        list = table.pack(coroutine.yield(list.n, table.unpack(list, 1, list.n)))
      end
    end)
    assert.same({ true, 2, "a", "b" }, { coroutine.resume(co, "a", "b") })
    assert.same({ true, 0 }, { coroutine.resume(co) })
    assert.same({ true, 3, 1, false, 3 }, { coroutine.resume(co, 1, false, 3) })
    assert.same({ true, 2, nil, nil, n = 4 }, table.pack(coroutine.resume(co, nil, nil)))
  end)

  it("many values both ways", function()
    local numbers = {}
    for i = 1, 200 do numbers[i] = i end
    local co = coroutine.wrap(function(...)
      tick()
      local values = table.pack(coroutine.yield(...))
      tick()
      return table.unpack(values, 1, values.n)
    end)
    assert.equal(200, select("#", co(table.unpack(numbers))))
    assert.same(numbers, { co(table.unpack(numbers)) })
  end)

  it("results at the end, after a wait", function()
    local co = coroutine.create(function()
      tick()
      return 1, nil, 3, nil
    end)
    assert.same({ true, 1, nil, 3, nil, n = 5 }, table.pack(coroutine.resume(co)))
    assert.equal("dead", coroutine.status(co))
    assert.same({ false, "cannot resume dead coroutine" }, { coroutine.resume(co) })
  end)

  it("an error after a wait comes through resume as its value", function()
    local problem = {}
    local co = coroutine.create(function()
      tick()
      error(problem)
    end)
    local ok, err = coroutine.resume(co)
    assert.is_false(ok)
    assert.is_true(rawequal(problem, err))
    assert.equal("dead", coroutine.status(co))
  end)

  it("an error after a wait comes through wrap, with its place; <close> values run", function()
    local log = helper.log()
    local fn = wrapped(3, function()
      local mark <close> = setmetatable({}, { __close = function() log "closed" end })
      tick()
      error("problem", mark and 1)
    end)
    assert.matches("coroutine_spec.lua:%d+: problem$", error_of(fn))
    assert.equal("closed", log:text())
    local value = {}
    assert.is_true(rawequal(value, error_of(wrapped(3, function()
      tick()
      error(value)
    end))))
  end)

  it("error values keep their identity through wrap", function()
    local q = aq.Queue()
    assert.equal(aq.TimeoutError, error_of(wrapped(2, function() q:get(1) end)))
    q:shutdown()
    assert.equal(aq.QueueShutDown, error_of(wrapped(2, function() q:get() end)))
  end)

  it("wrap inside wrap inside pcall", function()
    local log = helper.log()
    local outer = coroutine.wrap(function()
      local ok, err = pcall(coroutine.wrap(function()
        tick()
        coroutine.wrap(function()
          tick()
          error({ "inner" })
        end)()
      end))
      log(ok, err[1])
      tick()
      coroutine.yield "outer goes on"
      return "end"
    end)
    log(pcall(outer))
    log(pcall(outer))
    assert.equal("false inner, true outer goes on, true end", log:text())
  end)

  it("pcall and xpcall inside, with waits and yields", function()
    local co = coroutine.wrap(function()
      local ok, value = pcall(function()
        tick()
        coroutine.yield "first"
        tick()
        error("oops", 0)
      end)
      coroutine.yield(tostring(ok) .. value)
      return select(2, xpcall(function()
        tick()
        error("again", 0)
      end, function(err) return "handled " .. err end))
    end)
    assert.same({ "first", "falseoops", "handled again" }, { co(), co(), co() })
  end)

  it("<close> values inside may wait, on the way out by return and by error", function()
    local log = helper.log()
    local function closing(name)
      return setmetatable({}, { __close = function()
        tick()
        log(name)
      end })
    end
    local co = coroutine.wrap(function()
      do
        local a <close> = closing "a" -- luacheck: ignore
        local b <close> = closing "b" -- luacheck: ignore
        coroutine.yield(1)
      end
      local _, err = pcall(function()
        local c <close> = closing "c" -- luacheck: ignore
        tick()
        error("x", 0)
      end)
      log(err)
      coroutine.yield(2)
    end)
    assert.equal(1, co())
    assert.equal(2, co())
    assert.equal("b, a, c, x", log:text())
  end)

  it("<close> of the generic for's fourth value may wait", function()
    local log = helper.log()
    local function iterate(_, i)
      tick()
      if i < 3 then return i + 1 end
    end
    local closing = setmetatable({}, { __close = function()
      tick()
      log "closed"
    end })
    coroutine.wrap(function()
      for i in iterate, nil, 0, closing do
        log(i)
        if i == 2 then break end
      end
      log "after"
    end)()
    assert.equal("1, 2, closed, after", log:text())
  end)

  it("is cancelled with its task: CancelledError goes through all levels", function()
    local log = helper.log()
    local task = aq.create_task(wrapped(3, function()
      local mark <close> = setmetatable({}, { __close = function() log "closed" end })
      local ok, err = pcall(aq.sleep, 10)
      log(ok, err.name, err.message)
      error(err, mark and 0)
    end))
    tick()
    task:cancel "enough"
    tick(2)
    assert.is_true(task:cancelled())
    assert.equal("false CancelledError enough, closed", log:text())
  end)

  it("is cancelled again by the next wait outside (T13)", function()
    local log = helper.log()
    local task = aq.create_task(function()
      local generator = coroutine.wrap(function()
        pcall(aq.sleep, 10)
        coroutine.yield "swallowed"
        aq.sleep(10)
      end)
      log(generator())
      log((pcall(generator)))
      log((pcall(aq.sleep, 10)))
      error(aq.CancelledError, 0)
    end)
    tick()
    task:cancel()
    tick(5)
    assert.equal("swallowed, false, false", log:text())
    assert.is_true(task:cancelled())
  end)

  it("times out inside, through a deadline outside", function()
    local generator = counting(3, function() aq.sleep(2) end)
    assert.equal(1, aq.wait_for(generator, 3))
    assert.equal(aq.TimeoutError, error_of(aq.wait_for, generator, 1))
    assert.matches("dead coroutine", error_of(generator), 1, true)
  end)

  it("inside aq.shield, aq.timeout, a group", function()
    local value = coroutine.wrap(function()
      return aq.shield(function()
        local deadline <close> = aq.timeout(5) -- luacheck: ignore
        local sum = 0
        do
          local group <close> = aq.TaskGroup()
          for i = 1, 3 do
            group:create_task(function()
              for n in counting(i, turn) do sum = sum + n end
            end)
          end
        end
        return sum
      end)
    end)()
    assert.equal(1 + 3 + 6, value)
  end)

  it("an old generator goes on in another task", function()
    local generator = counting(4, turn)
    assert.equal(1, generator())
    assert.equal(2, aq.create_task(generator):await())
    assert.equal(3, generator())
    assert.equal(4, aq.create_task(generator):await())
  end)

  it("isyieldable and running tell what is so", function()
    assert.is_true(coroutine.isyieldable())
    coroutine.wrap(function()
      local me, is_main = coroutine.running()
      tick()
      assert.is_true(rawequal(me, (coroutine.running())))
      assert.is_false(is_main)
      assert.is_true(coroutine.isyieldable())
      assert.equal("running", coroutine.status(me))
    end)()
  end)

  it("without a wait, coroutines are as ever", function()
    local co = coroutine.create(function(a, b)
      local c = coroutine.yield(a + b)
      error({ c }, 0)
    end)
    assert.same({ true, 3 }, { coroutine.resume(co, 1, 2) })
    assert.equal("suspended", coroutine.status(co))
    assert.same({ false, { "x" } }, { coroutine.resume(co, "x") })
    assert.same({ false, "cannot resume dead coroutine" }, { coroutine.resume(co) })
    assert.matches("cannot resume dead coroutine", error_of((function()
      local fn = coroutine.wrap(function() end)
      fn()
      return fn
    end)()), 1, true)
    local me = coroutine.wrap(function()
      return coroutine.resume((coroutine.running()))
    end)
    assert.same({ false, "cannot resume non-suspended coroutine" }, { me() })
    assert.matches("coroutine expected", error_of(coroutine.resume, 5), 1, true)
    assert.matches("function expected", error_of(coroutine.wrap, 5), 1, true)
  end)

  it("in a done callback or another place outside of tasks, coroutines work as well", function()
    local seen
    local task = aq.create_task(turn)
    task:add_done_callback(function()
      seen = collected(coroutine.wrap(function()
        coroutine.yield(1)
        coroutine.yield(2)
      end))
    end)
    task:await()
    tick()
    assert.same({ 1, 2 }, seen)
  end)

  it("a wait in a done callback, in a coroutine or not, is refused", function()
    local problems = {}
    local task = aq.create_task(turn)
    task:add_done_callback(function()
      problems[1] = error_of(turn)
      problems[2] = error_of(coroutine.wrap(turn))
    end)
    task:await()
    tick()
    for i = 1, 2 do assert.matches("no task is running", problems[i], 1, true) end
  end)
end)

describe("a coroutine that waits", function()
  -- A coroutine in which a task of its own waits for the event.
  local function waiting()
    local event = aq.Event()
    local co = coroutine.create(function()
      event:wait()
      coroutine.yield "value"
      return "end"
    end)
    local task = aq.create_task(function() return coroutine.resume(co) end)
    tick()
    return co, task, event
  end

  it("is suspended, for others to see", function()
    local co, task, event = waiting()
    assert.equal("suspended", coroutine.status(co))
    event:set()
    assert.same({ true, "value" }, { task:await() })
    assert.equal("suspended", coroutine.status(co))
    assert.same({ true, "end" }, { coroutine.resume(co) })
  end)

  it("cannot be resumed by another task, and comes to no harm", function()
    local co, task, event = waiting()
    for _ = 1, 3 do assert.same({ false, STRANGER }, { coroutine.resume(co, "x") }) end
    event:set()
    assert.same({ true, "value" }, { task:await() })
    assert.same({ true, "end" }, { coroutine.resume(co) })
  end)

  it("made by wrap and shared by two tasks: the second one gets an error", function()
    local generator = counting(3, turn)
    local first = aq.create_task(generator)
    local second = aq.create_task(generator)
    assert.matches(STRANGER, error_of(second.await, second), 1, true)
    assert.equal(1, first:await())
    assert.equal(2, generator())
  end)

  it("in the depth of another: the same for both", function()
    local event = aq.Event()
    local inner = coroutine.create(function()
      event:wait()
      return "inner"
    end)
    local outer = coroutine.create(function() return select(2, coroutine.resume(inner)) end)
    local task = aq.create_task(coroutine.resume, outer)
    tick()
    for _ = 1, 2 do
      assert.same({ false, STRANGER }, { coroutine.resume(outer) })
      assert.same({ false, STRANGER }, { coroutine.resume(inner) })
    end
    event:set()
    assert.same({ true, "inner" }, { task:await() })
  end)

  it("cannot be closed, and comes to no harm", function()
    local co, task, event = waiting()
    for _ = 1, 3 do
      assert.matches("close: the coroutine is waiting", error_of(coroutine.close, co), 1, true)
    end
    event:set()
    assert.same({ true, "value" }, { task:await() })
    assert.is_true(coroutine.close(co))
    assert.equal("dead", coroutine.status(co))
  end)

  it("may be closed as ever when it does not wait", function()
    local log = helper.log()
    local co = coroutine.create(function()
      local mark <close> = setmetatable({}, { __close = function() log "closed" end })
      tick()
      coroutine.yield(mark)
    end)
    coroutine.resume(co)
    assert.is_true(coroutine.close(co))
    assert.equal("closed", log:text())
    local bad = coroutine.create(function()
      local mark <close> = setmetatable({}, { __close = function() error("in close", 0) end })
      coroutine.yield(mark)
    end)
    coroutine.resume(bad)
    assert.same({ false, "in close" }, { coroutine.close(bad) })
    assert.matches("coroutine expected", error_of(coroutine.close, 5), 1, true)
    assert.matches("running coroutine", error_of(coroutine.wrap(function()
      coroutine.close((coroutine.running()))
    end)), 1, true)
  end)

  it("is not collected while it waits, and is collected afterwards", function()
    local probe, event = setmetatable({}, { __mode = "k" }), aq.Event()
    local task = aq.create_task(function()
      local value = (function()
        local co = coroutine.create(function()
          event:wait()
          return "alive"
        end)
        probe[co] = true
        return select(2, coroutine.resume(co))
      end)()
      tick()
      return value
    end)
    tick()
    for _ = 1, 3 do collectgarbage() end
    assert.is_truthy(next(probe))
    event:set()
    assert.equal("alive", task:await())
    for _ = 1, 3 do collectgarbage() end
    assert.is_nil(next(probe))
  end)

  it("is let go when its task is cancelled", function()
    local probe = setmetatable({}, { __mode = "k" })
    local task = aq.create_task(function()
      local co = coroutine.create(function() aq.sleep(100) end)
      probe[co] = true
      coroutine.resume(co)
      aq.sleep(100)
    end)
    tick()
    task:cancel()
    tick(3)
    assert.is_true(task:cancelled())
    task = nil -- luacheck: ignore
    for _ = 1, 3 do collectgarbage() end
    assert.is_nil(next(probe))
  end)

  it("collecting at each turn does no harm", function()
    local sum = 0
    local generator = counting(20, function()
      collectgarbage()
      tick()
      collectgarbage "step"
    end)
    for value in generator do sum = sum + value end
    assert.equal(210, sum)
  end)

  it("1000 generators in 1000 tasks do not get mixed up", function()
    local tasks = {}
    for i = 1, 1000 do
      tasks[i] = aq.create_task(function()
        local sum = 0
        for value in counting(5, function() tick(i % 3) end) do sum = sum + value * i end
        return sum
      end)
    end
    for i, sum in ipairs(aq.gather(tasks)) do assert.equal(15 * i, sum) end
  end)

  it("has its waiting line in the task's traceback", function()
    local task = aq.create_task(wrapped(2, function() aq.sleep(1) end))
    tick()
    assert.matches("coroutine_spec.lua:%d+: in ", task:traceback())
    assert.matches("sleep", task:traceback(), 1, true)
    task:await()
  end)
end)

describe("a task's coroutine", function()
  -- A task that waits for the event, and its coroutine.
  local function waiting()
    local event, co = aq.Event(), nil
    local task = aq.create_task(function()
      co = coroutine.running()
      event:wait()
      return "done"
    end)
    tick()
    return co, task, event
  end

  it("refuses coroutine.yield by hand, naming aq.sleep(0)", function()
    local err = error_of(function() coroutine.yield() end)
    assert.matches("attempt to yield from a task", err, 1, true)
    assert.matches("aq.sleep(0)", err, 1, true)
    assert.matches("^spec/coroutine_spec.lua:%d+:", err)
    err = error_of(function() coroutine.yield(1, 2, 3) end)
    assert.matches("aq.sleep(0)", err, 1, true)
    tick()
  end)

  it("refuses it also inside pcall, a metamethod, an iterator", function()
    local object = setmetatable({}, { __add = function() return coroutine.yield(1) end })
    assert.matches("aq.sleep(0)", error_of(function() return object + 1 end), 1, true)
    assert.matches("aq.sleep(0)", error_of(function() for _ in coroutine.yield do end end), 1, true)
    tick()
  end)

  it("refuses it under stock Lua without aq.patch as well", function()
    local out, err, status = helper.run_stock [[
      local aq = require "aqlua"
      aq.run(function()
        local q = aq.Queue()
        aq.create_task(function() q:put "item" end)
        print(pcall(function() coroutine.yield(1, 2) end))
        print(q:get())
      end)
    ]]
    assert.equal("", err)
    assert.equal(0, status)
    assert.matches("^false\t[^\n]*attempt to yield from a task %(aq.sleep%(0%)[^\n]*\nitem\n$", out)
  end)

  it("cannot be resumed by another task while it waits", function()
    local co, task, event = waiting()
    for _ = 1, 3 do assert.same({ false, STRANGER }, { coroutine.resume(co, 1, 2) }) end
    event:set()
    assert.equal("done", task:await())
  end)

  it("cannot be closed while it waits", function()
    local co, task, event = waiting()
    local err = error_of(coroutine.close, co)
    assert.matches("close: the coroutine is a task's (use task:cancel)", err, 1, true)
    event:set()
    assert.equal("done", task:await())
  end)

  it("is dead when the task is done: resuming or closing it does the next one no harm", function()
    local co
    aq.create_task(function() co = coroutine.running() end):await()
    tick()
    for _ = 1, 3 do
      assert.equal("dead", coroutine.status(co))
      assert.same({ false, "cannot resume dead coroutine" }, { coroutine.resume(co, "x", "y") })
      assert.is_true(coroutine.close(co))
    end
    for i = 1, 3 do
      local args = aq.create_task(function(...)
        tick()
        return table.pack(...)
      end, i, nil, "z"):await()
      assert.same({ i, nil, "z", n = 3 }, args)
    end
  end)

  it("cannot be resumed or closed before the task's first step", function()
    local co
    aq.create_task(function() co = coroutine.running() end):await()
    tick()
    local task = aq.create_task(function(...) return coroutine.running(), ... end, 1, 2)
    assert.same({ false, "the coroutine is a task's" }, { coroutine.resume(co, "stranger") })
    assert.is_false((pcall(coroutine.close, co)))
    local used, a, b = task:await()
    assert.is_true(rawequal(co, used))
    assert.same({ 1, 2 }, { a, b })
  end)

  it("cannot be resumed by itself", function()
    local me = coroutine.running()
    assert.same({ false, "cannot resume non-suspended coroutine" }, { coroutine.resume(me) })
    assert.is_false((pcall(coroutine.close, me)))
    tick()
  end)

  it("under stock Lua without aq.patch: resume and close do no harm either", function()
    local out, err, status = helper.run_stock [[
      local aq = require "aqlua"
      print(aq.run(function()
        local event, co = aq.Event()
        local task = aq.create_task(function()
          co = coroutine.running()
          event:wait()
          return "done"
        end)
        aq.sleep(0)
        for i = 1, 3 do coroutine.resume(co, i) end
        event:set()
        return task:await(), coroutine.status(co)
      end))
    ]]
    assert.equal("", err)
    assert.equal(0, status)
    assert.equal("done\tdead\n", out)
  end)

  it("under stock Lua without aq.patch: meddling before the first step fails the task", function()
    local out, err, status = helper.run_stock [[
      local aq = require "aqlua"
      aq.run(function()
        for _, meddle in ipairs { coroutine.resume, coroutine.close } do
          local co
          aq.create_task(function() co = coroutine.running() end):await()
          local task = aq.create_task(function(...) return ... end, print, "called")
          meddle(co, "by a stranger")
          print(pcall(task.await, task))
        end
        print(aq.create_task(function(...) return ... end, 1, 2):await())
      end)
    ]]
    local refused = "false\tthe task's coroutine was resumed or closed by somebody else\n"
    assert.equal("", err)
    assert.equal(0, status)
    assert.equal(refused .. refused .. "1\t2\n", (out:gsub("called.-\n", "")))
  end)

  it("under stock Lua without aq.patch: closing one that waits ends it, and its wait", function()
    local out, err, status = helper.run_stock [[
      local aq = require "aqlua"
      local q, full = aq.Queue(), aq.Queue(1)
      local event, lock, future = aq.Event(), aq.Lock(), aq.Future()
      local function closed(fn)
        local co, closer
        local task = aq.create_task(function()
          co = coroutine.running()
          local meta = { __close = function() closer = "closed, " end }
          local on_close <close> = setmetatable({}, meta) -- luacheck: ignore
          fn()
        end)
        aq.sleep(0)
        assert(coroutine.close(co))
        for _ = 1, 3 do collectgarbage() end
        assert(task:done() and not task:cancel())
        local _, why = pcall(task.await, task)
        return closer .. why
      end
      aq.run(function()
        full:put(1)
        lock:acquire()
        local waits = {
          function() q:get() end,
          function() aq.Queue():get() end,
          function() full:put(2, 100) end,
          function() event:wait() end,
          function() lock:acquire() end,
          function() future:await() end,
          function() aq.sleep(100) end,
          function() aq.create_task(q.get, q):await() end,
        }
        for _, fn in ipairs(waits) do
          local why = closed(fn)
          assert(why == "closed, the task's coroutine was resumed or closed by somebody else", why)
        end
        q:put("kept") -- for the task that is awaited no more
        aq.sleep(0)
        event:set() lock:release() future:set_result(1)
        print(full:get(), q:qsize(), full:qsize(), lock:locked(), #aq.all_tasks())
      end)
    ]]
    assert.equal("", err)
    assert.same({ "1\t0\t0\tfalse\t1\n", 0 }, { out, status })
  end)

  it("under stock Lua: a closer may cancel the task whose coroutine a stranger closes", function()
    local out, err, status = helper.run_stock [[
      local aq = require "aqlua"
      aq.run(function()
        local first, second = aq.Future(), aq.Future()
        local inner = aq.create_task(first.await, first)
        for _, wait in ipairs {
          function() aq.gather(first, second) end,
          function() inner:await() end,
        } do
          local co, task
          local closer = setmetatable({}, { __close = function() task:cancel "by the closer" end })
          task = aq.create_task(function()
            co = coroutine.running()
            local on_close <close> = closer
            wait()
          end)
          aq.sleep(0)
          print(coroutine.close(co), (pcall(task.await, task)), inner:cancelling())
        end
      end)
    ]]
    assert.same({ "true\tfalse\t0\ntrue\tfalse\t1\n", "", 0 }, { out, err, status })
  end)

  it("closed by a stock function kept from before aq.patch(), is not touched again", function()
    local out, err, status = helper.run_stock [[
      local aq = require "aqlua"
      local close = coroutine.close
      aq.patch()
      aq.run(function()
        for _, in_a_coroutine in ipairs { false, true } do
          local co
          local function wait() co = coroutine.running() aq.Future():await() end
          local task = aq.create_task(in_a_coroutine and coroutine.wrap(wait) or wait)
          aq.sleep(0)
          close(co)
          for _ = 1, 3 do collectgarbage() end
          print(task:cancel "why", (pcall(task.await, task)))
        end
      end)
    ]]
    assert.same({ "true\tfalse\ntrue\tfalse\n", "", 0 }, { out, err, status })
  end)

  it("has the hook of the coroutine that made the task, and none of an earlier task's", function()
    local out, err = helper.run_stock [[
      local aq = require "aqlua"
      local function get() return debug.gethook() ~= nil end
      aq.run(function()
        aq.create_task(function() debug.sethook(function() end, "", 1000) end):await()
        print(aq.create_task(get):await())
        debug.sethook(function() end, "", 1000)
        print(aq.create_task(get):await())
        debug.sethook()
        print(aq.create_task(get):await())
      end)
    ]]
    assert.equal("", err)
    assert.equal("false\ntrue\nfalse\n", out)
  end)
end)

describe("under stock Lua", function()
  it("after aq.patch() a generator that is left by an error cleans up with waits", function()
    local out, err, status = helper.run_stock [[
      local aq = require "aqlua"
      aq.patch()
      local function generator()
        local clean <close> = setmetatable({}, { __close = function()
          aq.shield(function() aq.sleep(0.001) print "cleaned up" end)
        end })
        local group <close> = aq.TaskGroup()
        group:create_task(aq.sleep, 100)
        coroutine.yield(1)
        aq.sleep(100)
      end
      local function drain() for i in coroutine.wrap(generator) do print(i) end end
      aq.run(function()
        local task = aq.create_task(drain)
        aq.sleep(0.001)
        task:cancel()
        print(pcall(task.await, task))
        print(task:cancelled())
        print(pcall(aq.wait_for, drain, 0.001))
      end)
    ]]
    assert.equal("1\ncleaned up\nfalse\tCancelledError: the task was cancelled\ntrue\n"
      .. "1\ncleaned up\nfalse\tTimeoutError: the time is up\n", out)
    assert.same({ "", 0 }, { err, status })
  end)

  it("a wait under a resume that aqlua did not see names aq.patch", function()
    local out, err, status = helper.run_stock [[
      local aq = require "aqlua"
      aq.run(function()
        print(pcall(coroutine.wrap(function() aq.sleep(0) end)))
        print(coroutine.resume(coroutine.create(function() aq.Queue():get() end)))
        print(pcall(coroutine.wrap(function()
          return coroutine.wrap(function() aq.sleep(0) end)()
        end)))
        print(aq.sleep(0, "goes on"))
      end)
    ]]
    assert.equal("", err)
    assert.equal(0, status)
    local lines = {}
    for line in out:gmatch "[^\n]+" do lines[#lines + 1] = line end
    assert.equal(4, #lines)
    for i = 1, 3 do
      assert.matches("^false\t.*cannot wait here.*aq%.patch%(%)", lines[i])
    end
    assert.equal("goes on", lines[4])
  end)

  it("aq.patch() lets it through", function()
    local out, err, status = helper.run_stock [[
      local aq = require "aqlua"
      aq.patch()
      aq.run(function()
        local generator = coroutine.wrap(function()
          for i = 1, 3 do
            aq.sleep(0)
            coroutine.yield(i)
          end
        end)
        for i in generator do print(i) end
        print(coroutine.resume(coroutine.create(function()
          return coroutine.wrap(function() return aq.sleep(0, "deep") end)()
        end)))
        print(pcall(coroutine.wrap(function()
          aq.sleep(0)
          error "problem"
        end)))
      end)
    ]]
    assert.equal("", err)
    assert.equal(0, status)
    assert.matches("^1\n2\n3\ntrue\tdeep\nfalse\t[^\n]*problem\n$", out)
  end)

  it("aq.patch() may be called twice, inside of a task, and after coroutines were made", function()
    local out, err = helper.run_stock [[
      local aq = require "aqlua"
      local early = coroutine.create(function() return aq.sleep(0, "early") end)
      aq.run(function()
        aq.patch()
        aq.patch()
        print(coroutine.resume(early))
        print(coroutine.wrap(function() return aq.sleep(0, "late") end)())
      end)
    ]]
    assert.equal("", err)
    assert.equal("true\tearly\nlate\n", out)
  end)

  it("aq.patch() leaves coroutines outside of any task as they were", function()
    local out, err = helper.run_stock [[
      local aq = require "aqlua"
      aq.patch()
      local co = coroutine.wrap(function(a)
        local b = coroutine.yield(a + 1)
        return b * 2
      end)
      print(co(1), co(21))
      print(pcall(coroutine.yield))
      print(coroutine.isyieldable(), coroutine.close(coroutine.create(print)))
    ]]
    assert.equal("", err)
    assert.equal("2\t42\nfalse\tattempt to yield from outside a coroutine\nfalse\ttrue\n", out)
  end)

  it("without aq.patch() no global function is changed", function()
    local out, err = helper.run_stock [[
      local before = {}
      for name, fn in pairs(coroutine) do before[name] = fn end
      local old_require = require
      local aq = require "aqlua"
      for name, fn in pairs(coroutine) do assert(before[name] == fn, name) end
      assert(old_require == require and _G.aq == nil)
      aq.patch()
      assert(before.wrap ~= coroutine.wrap and old_require ~= require)
      print "same"
    ]]
    assert.equal("", err)
    assert.equal("same\n", out)
  end)
end)

describe("require", function()
  it("loads a module that waits, once, and returns its value and where it is from", function()
    local log = helper.log()
    local counts, close <close> = modules { -- luacheck: ignore
      ["a.waiting"] = function(name, extra)
        log(name, extra)
        tick(3)
        return { name = name }
      end,
    }
    local value, extra = require "a.waiting"
    assert.equal("a.waiting", value.name)
    assert.equal(":preload:", extra)
    assert.is_true(rawequal(value, require "a.waiting"))
    assert.equal(1, counts["a.waiting"])
    assert.equal("a.waiting :preload:", log:text())
  end)

  it("by two tasks while it loads: one load, the same value", function()
    local counts, close <close> = modules { -- luacheck: ignore
      m = function()
        aq.sleep(1)
        return {}
      end,
    }
    local list = aq.gather(table.unpack((function()
      local tasks = {}
      for i = 1, 5 do tasks[i] = aq.create_task(require, "m") end
      return tasks
    end)()))
    assert.equal(1, counts.m)
    for i = 2, 5 do assert.is_true(rawequal(list[1], list[i])) end
  end)

  it("a module that returns nothing is true; false is what was stored", function()
    local _, close <close> = modules { -- luacheck: ignore
      nothing = function() tick() end,
      untrue = function()
        tick()
        return false
      end,
      own = function(name)
        package.loaded[name] = "its own"
        tick()
      end,
    }
    assert.is_true((require "nothing"))
    assert.is_false((require "untrue"))
    assert.equal("its own", (require "own"))
  end)

  it("an error in the module: raised to whom loads; the next one loads again", function()
    local problem, fails = {}, true
    local counts, close <close> = modules { -- luacheck: ignore
      m = function()
        tick(2)
        if fails then error(problem) end
        return "good"
      end,
    }
    assert.is_true(rawequal(problem, error_of(require, "m")))
    assert.is_nil(package.loaded.m)
    fails = false
    assert.equal("good", (require "m"))
    assert.equal(2, counts.m)
  end)

  it("an error in the module while another waits for it: that one loads", function()
    local fails = 1
    local counts, close <close> = modules { -- luacheck: ignore
      m = function()
        tick(2)
        fails = fails - 1
        if fails >= 0 then error("not yet", 0) end
        return "good"
      end,
    }
    local first, second = aq.create_task(require, "m"), aq.create_task(require, "m")
    assert.equal("not yet", error_of(first.await, first))
    assert.equal("good", (second:await()))
    assert.equal(2, counts.m)
  end)

  it("the loading task is cancelled: the one that waits for it loads", function()
    local counts, close <close> = modules { -- luacheck: ignore
      m = function()
        aq.sleep(5)
        return "good"
      end,
    }
    local first, second = aq.create_task(require, "m"), aq.create_task(require, "m")
    aq.sleep(1)
    first:cancel()
    assert.equal("good", (second:await()))
    assert.is_true(first:cancelled())
    assert.equal(2, counts.m)
  end)

  it("the waiting task is cancelled: the load goes on", function()
    local counts, close <close> = modules { -- luacheck: ignore
      m = function()
        aq.sleep(5)
        return "good"
      end,
    }
    local first, second = aq.create_task(require, "m"), aq.create_task(require, "m")
    aq.sleep(1)
    second:cancel()
    tick(2)
    assert.is_true(second:cancelled())
    assert.equal("good", (first:await()))
    assert.equal(1, counts.m)
  end)

  it("of itself, by itself or through another, is an error that names it", function()
    local _, close <close> = modules { -- luacheck: ignore
      a = function()
        tick()
        return require "b"
      end,
      b = function()
        tick()
        return require "a"
      end,
      selfish = function() return require "selfish" end,
    }
    assert.matches("'a'", error_of(require, "a"), 1, true)
    assert.matches("'selfish'.*requires itself", error_of(require, "selfish"))
    assert.is_nil(package.loaded.a)
    assert.is_nil(package.loaded.b)
  end)

  it("two tasks that load modules which require each other do not hang for ever", function()
    local _, close <close> = modules { -- luacheck: ignore
      a = function()
        tick(2)
        return { pcall(require, "b") }
      end,
      b = function()
        tick(2)
        return { pcall(require, "a") }
      end,
    }
    local first, second = aq.create_task(require, "a"), aq.create_task(require, "b")
    local done = aq.wait({ first, second }, { timeout = 10 })
    assert.equal(2, #done)
    first:cancel()
    second:cancel()
    tick(5)
  end)

  it("of a module there is none of: the message is the stock function's", function()
    local text = [[
      package.path = "./?.none;./x/?.none"
      package.cpath = "./?.cnone"
      print(pcall(require, "no.such.module"))
      print(pcall(require, 5))
      package.searchers = { function() return "first" end, function() return "second" end,
        function() end, function() return nil end }
      print(pcall(require, "other"))
      package.searchers = {}
      print(pcall(require, "other"))
      package.searchers = 5
      print(pcall(require, "other"))
    ]]
    local stock = helper.run_stock(text)
    assert.matches("module 'no.such.module' not found:", stock, 1, true)
    assert.equal(stock, (helper.run_script(text)))
    local patched, err = helper.run_stock([[require "aqlua".patch() ]] .. text)
    assert.equal("", err)
    assert.equal(stock, patched)
  end)

  it("of a module there is none of: the same for odd searchers and arguments", function()
    for _, text in ipairs {
      [[package.searchers = { function() return "\n\tfirst" end, function() return "x" end }
        print(pcall(require, "m"))]],
      [[package.searchers = { function() return 5 end, function() return "x" end }
        print(pcall(require, "m"))]],
      [[print(pcall(require, {}))]],
      [[print(pcall(require, nil))]],
      [[print(pcall(require))]],
    } do
      assert.equal((helper.run_stock(text)), (helper.run_script(text)))
    end
  end)

  it("of a Lua file that waits at its top level", function()
    local path = os.tmpname()
    local _ <close> = setmetatable({}, { __close = function() os.remove(path .. ".lua") end })
    os.remove(path)
    local file = assert(io.open(path .. ".lua", "w"))
    file:write [[
      local aq = require "aqlua"
      local name, place = ...
      aq.sleep(1)
      return { name = name, place = place }
    ]]
    file:close()
    local old_path = package.path
    package.path = path:match "^(.*)/" .. "/?.lua"
    local name = path:match "([^/]*)$"
    local ok, value, place = pcall(require, name)
    package.path = old_path
    package.loaded[name] = nil
    assert.is_true(ok, value)
    assert.same({ name = name, place = path .. ".lua" }, value)
    assert.equal(path .. ".lua", place)
  end)

  it("inside a coroutine, with a module whose body makes coroutines", function()
    local _, close <close> = modules { -- luacheck: ignore
      m = function() return collected(counting(3, turn)) end,
    }
    assert.same({ 1, 2, 3 }, (wrapped(2, require) "m"))
  end)

  it("stock, without aq.patch: a module that waits gets an error that names require", function()
    local out, err = helper.run_stock [[
      local aq = require "aqlua"
      package.preload.m = function() aq.sleep(0) end
      aq.run(function()
        print(pcall(require, "m"))
        print(aq.sleep(0, "goes on"))
      end)
    ]]
    assert.equal("", err)
    assert.matches("cannot wait here: inside require, which cannot be suspended", out, 1, true)
    assert.matches("goes on", out, 1, true)
  end)
end)

describe("a place that cannot be suspended", function()
  -- fn must fail with a message that names the place; the task can wait afterwards.
  local function refused(name, fn)
    local ok, err = pcall(fn)
    assert.is_false(ok, name)
    err = tostring(err)
    assert.matches(("cannot wait here: inside %s, which cannot be suspended"):format(name), err, 1,
      true)
    tick()
    return err
  end

  local waiting = setmetatable({}, {
    __tostring = turn, __index = turn, __newindex = turn, __len = function()
      tick()
      return 2
    end,
  })

  it("is named: table.sort", function()
    local list = { 3, 1, 2 }
    refused("table.sort", function()
      table.sort(list, function(a, b)
        tick()
        return a < b
      end)
    end)
    table.sort(list)
    assert.same({ 1, 2, 3 }, list)
  end)

  it("is named: string.gsub, with a function or a table", function()
    refused("string.gsub", function() return (("abc"):gsub(".", turn)) end)
    refused("string.gsub", function() return (string.gsub("abc", ".", waiting)) end)
  end)

  it("is named: tostring, print, string.format", function()
    refused("tostring", function() return tostring(waiting) end)
    refused("print", function() print(waiting) end)
    refused("string.format", function() return ("%s"):format(waiting) end)
  end)

  it("is named: load with a reader", function()
    refused("load", function()
      return assert(load(function() aq.sleep(0) end))
    end)
  end)

  it("is named: ipairs over metamethods", function()
    refused("ipairs", function() for _ in ipairs(waiting) do break end end) -- luacheck: ignore
  end)

  it("is named: table.concat, unpack, insert, remove, move through metamethods", function()
    refused("table.concat", function() return table.concat(waiting) end)
    refused("table.unpack", function() return table.unpack(waiting) end)
    refused("table.insert", function() table.insert(waiting, 1) end)
    refused("table.remove", function() return table.remove(waiting) end)
    refused("table.move", function() return table.move(waiting, 1, 2, 3) end)
  end)

  it("is named: in the depth of pcall, functions and coroutines", function()
    local err = refused("table.sort", function()
      table.sort({ 2, 1 }, function()
        local _, _, problem = pcall(pcall, turn)
        error(problem, 0)
      end)
    end)
    assert.matches("table.sort", err, 1, true)
    refused("table.sort", function()
      table.sort({ 2, 1 }, function() return wrapped(2, turn)() end)
    end)
    refused("string.gsub", function()
      wrapped(2, function() return (("x"):gsub(".", turn)) end)()
    end)
  end)

  it("is named with the line of the wait", function()
    local err = refused("table.sort", function()
      table.sort({ 2, 1 }, function() aq.sleep(0) end)
    end)
    assert.matches("^spec/coroutine_spec.lua:%d+: cannot wait", err)
  end)

  it("a finalizer: refused", function()
    local err
    setmetatable({}, { __gc = function() err = error_of(turn) end })
    for _ = 1, 3 do collectgarbage() end
    assert.matches("cannot wait here", err, 1, true)
    tick()
  end)

  it("a debug hook: refused", function()
    local err
    local hook, mask, count = debug.gethook()
    debug.sethook(function()
      debug.sethook()
      err = error_of(turn)
    end, "l")
    local x = 1
    debug.sethook(hook, mask, count)
    assert.matches("cannot wait here", err, x, true)
    tick()
  end)

  it("a message handler of xpcall: the error handling fails, the task goes on", function()
    local ok = xpcall(error, function() aq.sleep(0) end, "x")
    assert.is_false(ok)
    tick()
  end)

  it("coroutine.close running __close: refused, reported by close", function()
    local co = coroutine.create(function()
      local mark <close> = setmetatable({}, { __close = turn })
      coroutine.yield(mark)
    end)
    coroutine.resume(co)
    local ok, err = coroutine.close(co)
    assert.is_false(ok)
    assert.matches("cannot wait here", err, 1, true)
    tick()
  end)

  it("nothing has happened to the queue that could not be waited for", function()
    local q = aq.Queue(1)
    pcall(table.sort, { 2, 1 }, function() return q:get() end)
    q:put_nowait(1)
    pcall(table.sort, { 2, 1 }, function() return q:put(2) end)
    assert.matches("size 1 of 1, 0 getting, 0 putting, 1 unfinished", tostring(q), 1, true)
  end)

  it("calls that need not wait work there", function()
    local q = aq.Queue()
    for i = 1, 100 do q:put_nowait(i) end
    local list = { 3, 1, 2 }
    table.sort(list, function(a, b) return q:get() ~= nil and a < b end)
    assert.same({ 1, 2, 3 }, list)
  end)
end)

describe("a place that can be suspended", function()
  it("pcall, xpcall, error, assert, select, dofile, loaded chunks", function()
    assert.is_true((pcall(turn)))
    assert.is_true((xpcall(turn, print)))
    assert.is_true((pcall(pcall, turn)))
    assert.equal(7, select(2, pcall(aq.sleep, 0, 7)))
    assert.equal(7, load("return require 'aqlua'.sleep(0, 7)")())
    local path = helper.write_file "return require 'aqlua'.sleep(0, 8)"
    local ok, value = pcall(dofile, path)
    os.remove(path)
    assert.is_true(ok, value)
    assert.equal(8, value)
  end)

  it("pcall, 150 deep", function()
    local function deep(n)
      if n == 0 then return aq.sleep(0, "bottom") end
      return select(2, pcall(deep, n - 1))
    end
    assert.equal("bottom", deep(150))
  end)

  it("tail calls, varargs, table constructors, concatenations, conditions", function()
    local function value(x) return aq.sleep(0, x) end
    local function tail(x) return value(x) end
    assert.equal("x", tail "x")
    assert.same({ 1, 2, key = 3, 4 }, { value(1), value(2), key = value(3), value(4) })
    assert.equal("abc", value "a" .. value "b" .. value "c")
    assert.is_true(value(1) < value(2) and value(2) >= value(1))
    if value(nil) then error "not reached" end
    assert.equal(3, select("#", (function(...) return ... end)(value(1), value(2), value(3))))
  end)

  it("all metamethods that operators call", function()
    local calls = 0
    local function answer(result)
      return function()
        calls = calls + 1
        tick()
        return result
      end
    end
    local events = { "add", "sub", "mul", "div", "mod", "pow", "unm", "idiv", "band", "bor", "bxor",
                     "bnot", "shl", "shr", "concat", "len", "call" }
    local meta = { __index = answer "indexed", __newindex = answer(),
                   __eq = answer(true), __lt = answer(true), __le = answer(false) }
    for _, name in ipairs(events) do meta["__" .. name] = answer(name) end
    local a, b = setmetatable({}, meta), setmetatable({}, meta)
    assert.same(events, { a + b, a - b, a * b, a / b, a % b, a ^ b, -a, a // b, a & b, a | b, a ~ b,
                          ~a, a << b, a >> b, a .. b, #a, (a(1)) })
    assert.same({ true, false, true, false, true, false },
      { a == b, a ~= b, a < b, a <= b, a > b, a >= b })
    assert.equal("indexed", a.field)
    a.field = 1
    assert.equal(#events + 8, calls)
    assert.equal("concat", 1 .. a)
    assert.equal("xconcat", "x" .. "y" .. a)
  end)

  it("iterators of a generic for, __pairs", function()
    local function each(list)
      local i = 0
      return function()
        tick()
        i = i + 1
        return list[i]
      end
    end
    assert.same({ 1, 2, 3 }, collected(each { 1, 2, 3 }))
    local paired = setmetatable({}, { __pairs = function()
      tick()
      return each { "a", "b" }
    end })
    local seen = {}
    for value in pairs(paired) do seen[#seen + 1] = value end
    assert.same({ "a", "b" }, seen)
  end)

  it("the bodies of loops over gmatch and lines", function()
    local words = {}
    for word in ("a b c"):gmatch "%a" do
      tick()
      words[#words + 1] = word
    end
    assert.same({ "a", "b", "c" }, words)
    local path = helper.write_file "1\n2\n"
    for line in io.lines(path) do
      tick()
      words[#words + 1] = line
    end
    os.remove(path)
    assert.equal(5, #words)
  end)

  it("__close: at the end, on break, return, error; two in a row", function()
    local log = helper.log()
    local function closing(name)
      return setmetatable({}, { __close = function(_, err)
        tick()
        log(name, err)
      end })
    end
    do
      local a <close> = closing "a" -- luacheck: ignore
      local b <close> = closing "b" -- luacheck: ignore
    end
    while true do
      local c <close> = closing "c" -- luacheck: ignore
      if c then break end
    end
    local function returning()
      local d <close> = closing "d" -- luacheck: ignore
      return aq.sleep(0, "value")
    end
    assert.equal("value", returning())
    pcall(function()
      local e <close> = closing "e" -- luacheck: ignore
      local f <close> = closing "f" -- luacheck: ignore
      error("x", 0)
    end)
    assert.equal("b nil, a nil, c nil, d nil, f x, e x", log:text())
  end)

  it("q:items() in a generic for, inside a generator", function()
    local q = aq.Queue()
    local feeder = aq.create_task(function()
      for i = 1, 3 do
        aq.sleep(1)
        q:put(i)
      end
      q:shutdown()
    end)
    assert.same({ 2, 4, 6 }, collected(coroutine.wrap(function()
      for item in q:items() do coroutine.yield(item * 2) end
    end)))
    assert.is_true(feeder:done())
  end)
end)
