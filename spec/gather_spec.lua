-- gather: several at once. The numbers are those of the semantics.

local aq = require "aqlua"
local helper = require "spec.helper"

local tick, error_of = helper.tick, helper.error_of

local function returning(value, seconds)
  return function()
    if seconds then aq.sleep(seconds) end
    return value
  end
end

local function raising(err, seconds)
  return function()
    if seconds then aq.sleep(seconds) end
    error(err, 0)
  end
end

describe("gather", function()
  it("returns the results in the order of the arguments (G1)", function()
    local list = aq.gather(returning("a", 3), returning("b", 1), returning("c", 2))
    assert.same({ "a", "b", "c", n = 3, failed = {} }, list)
  end)

  it("takes tasks, futures and functions, as arguments or as a list", function()
    local function awaitables()
      local future = aq.Future()
      future:set_result "future"
      return aq.create_task(returning "task"), future, returning "function"
    end
    local expected = { "task", "future", "function", n = 3, failed = {} }
    assert.same(expected, aq.gather(awaitables()))
    assert.same(expected, aq.gather { awaitables() })
    assert.same(expected, aq.gather(table.pack(awaitables())))
    assert.same(expected, aq.gather({ awaitables() }, {}))
  end)

  it("of nothing is done at once (G1)", function()
    local hop <close> = helper.hops()
    assert.same({ n = 0, failed = {} }, aq.gather())
    assert.same({ n = 0, failed = {} }, aq.gather {})
    assert.same({ n = 0, failed = {} }, aq.gather({}, { return_exceptions = true }))
    assert.equal(0, hop())
  end)

  it("keeps nil results in their places, and takes first results only", function()
    local list = aq.gather(function() end, returning(2), returning(nil), function() return 4, 5 end)
    assert.equal(4, list.n)
    assert.is_nil(list[1])
    assert.equal(2, list[2])
    assert.is_nil(list[3])
    assert.equal(4, list[4])
    assert.is_nil(list[5])
  end)

  it("runs at the same time", function()
    local start = aq.now()
    aq.gather(returning(1, 5), returning(2, 5), returning(3, 4))
    assert.near(5, aq.now() - start, 1e-6)
  end)

  it("shares the result of a task given twice, and runs a function each time (G1)", function()
    local runs = 0
    local function fn()
      runs = runs + 1
      aq.sleep(1)
      return {}
    end
    local task = aq.create_task(returning({}, 1))
    local list = aq.gather(fn, task, fn, task, fn)
    assert.equal(3, runs)
    assert.equal(5, list.n)
    assert.is_true(rawequal(list[2], list[4]))
    assert.is_false(rawequal(list[1], list[3]) or rawequal(list[3], list[5]))
  end)

  it("takes no turn if all are done (H13)", function()
    local tasks = { aq.create_task(returning(1)), aq.create_task(returning(2)) }
    tick(2)
    local hop <close> = helper.hops()
    assert.same({ 1, 2, n = 2, failed = {} }, aq.gather(tasks))
    assert.equal(0, hop())
  end)

  it("returns two turns after the last child future is set (H13)", function()
    local hop <close> = helper.hops()
    local futures = { aq.Future(), aq.Future() }
    local task = aq.create_task(function()
      aq.gather(futures)
      return hop()
    end)
    tick()
    futures[2]:set_result()
    tick(3)
    local at = hop()
    futures[1]:set_result()
    assert.equal(at + 2, task:await())
  end)

  it("returns two turns after the last child task's last step (H14)", function()
    local hop <close> = helper.hops()
    local at
    aq.gather(function()
      aq.sleep(0)
      at = hop()
    end, function() end)
    assert.equal(at + 2, hop())
  end)

  it("raises the first error at once; the others go on running (G2)", function()
    local log = helper.log()
    local problem = {}
    local slow = aq.create_task(function()
      aq.sleep(5)
      log "slow"
      return "slow"
    end)
    local start = aq.now()
    assert.is_true(rawequal(problem, error_of(aq.gather, slow, raising(problem, 1))))
    assert.near(1, aq.now() - start, 1e-6)
    assert.is_false(slow:done())
    assert.equal(0, slow:cancelling())
    assert.equal("slow", slow:await())
    assert.equal("slow", log:text())
  end)

  it("counts later errors as retrieved (G2)", function()
    local reports = helper.reports_of(function()
      assert.equal("first", error_of(aq.gather, raising("second", 2), raising("first", 1),
        raising("third", 3)))
      aq.sleep(5)
    end)
    assert.same({}, reports)
  end)

  it("of one that has failed already raises in no turn", function()
    local task = aq.create_task(raising "failed")
    tick(2)
    local hop <close> = helper.hops()
    assert.equal("failed", error_of(aq.gather, aq.create_task(returning(1)), task))
    assert.equal(0, hop())
    tick()
  end)

  it("takes a cancelled child as one that raised CancelledError (G3)", function()
    local child, sibling = aq.create_task(aq.sleep, 100), aq.create_task(returning("on", 2))
    local task = aq.create_task(function()
      local err = error_of(aq.gather, child, sibling)
      aq.sleep(1) -- the gathering task itself was not cancelled
      return err
    end)
    tick(2)
    child:cancel()
    assert.equal(aq.CancelledError, task:await())
    assert.equal(0, task:cancelling())
    assert.equal("on", sibling:await())
  end)

  it("cancelled: cancels all children and raises (G4)", function()
    local children = { aq.create_task(aq.sleep, 100), aq.create_task(aq.sleep, 100), aq.Future() }
    local task = aq.create_task(aq.gather, children)
    tick(2)
    task:cancel()
    assert.equal(aq.CancelledError, error_of(task.await, task))
    for _, child in ipairs(children) do assert.is_true(child:cancelled()) end
    assert.is_true(task:cancelled())
  end)

  it("cancelled: raises also with return_exceptions (G4, B50)", function()
    local children = { aq.create_task(aq.sleep, 100), aq.create_task(returning(1)) }
    local task = aq.create_task(aq.gather, children, { return_exceptions = true })
    tick(3)
    task:cancel()
    assert.equal(aq.CancelledError, error_of(task.await, task))
    assert.is_true(children[1]:cancelled())
    assert.equal(1, children[2]:result())
  end)

  it("cancelled, and a child swallows it: raises all the same (G4)", function()
    local child = aq.create_task(function()
      pcall(aq.sleep, 100)
      return "swallowed"
    end)
    local task = aq.create_task(aq.gather, { child })
    tick(2)
    task:cancel()
    assert.equal(aq.CancelledError, error_of(task.await, task))
    assert.equal("swallowed", child:result())
  end)

  it("cancelled when all children are done: raises (B50)", function()
    local future = aq.Future()
    local task = aq.create_task(aq.gather, future)
    tick()
    future:set_result(1)
    task:cancel()
    assert.equal(aq.CancelledError, error_of(task.await, task))
    assert.is_true(task:cancelled())
  end)

  it("with return_exceptions waits for all and tells which failed", function()
    local problem = {}
    local cancelled = aq.create_task(aq.sleep, 100)
    cancelled:cancel()
    local list = aq.gather({
      raising(problem, 1), returning("a", 2), cancelled, returning(aq.TimeoutError), raising(false),
      returning(nil),
    }, { return_exceptions = true })
    assert.equal(6, list.n)
    assert.is_true(rawequal(problem, list[1]))
    assert.equal("a", list[2])
    assert.equal(aq.CancelledError, list[3])
    assert.equal(aq.TimeoutError, list[4])
    assert.is_false(list[5])
    assert.is_nil(list[6])
    for i, failed in ipairs { true, false, true, false, true, false } do
      assert.equal(failed, list.failed[i] or false)
    end
  end)

  it("without return_exceptions fails for an error that is false", function()
    assert.is_false(error_of(aq.gather, raising(false), returning(1)))
    tick(2)
  end)

  it("of many", function()
    local functions, expected = {}, { n = 2000, failed = {} }
    for i = 1, 2000 do
      functions[i] = returning(i, i % 7)
      expected[i] = i
    end
    assert.same(expected, aq.gather(functions))
  end)

  it("nested: the error comes through, and a cancel reaches the leaves", function()
    local leaf = aq.create_task(aq.sleep, 100)
    local task = aq.create_task(aq.gather, function() return aq.gather(leaf) end)
    tick(4)
    task:cancel()
    assert.equal(aq.CancelledError, error_of(task.await, task))
    assert.is_true(leaf:cancelled())
    assert.equal("deep", error_of(aq.gather, function() return aq.gather(raising "deep") end))
  end)

  it("that failed is forgotten once its last child has ended", function()
    local weak = setmetatable({}, { __mode = "v" })
    local slow = aq.create_task(aq.sleep, 100)
    local function make()
      weak.result = {}
      pcall(aq.gather, slow, raising(weak.result))
    end
    aq.create_task(make):await()
    slow:cancel()
    tick(2)
    collectgarbage()
    collectgarbage()
    assert.is_nil(weak.result)
  end)

  it("refuses what is no awaitable, and says which argument", function()
    local task = aq.create_task(returning(1))
    task:await()
    for _, bad in ipairs { 1, "x", true, {}, aq.Queue(), io.stdout } do
      local err = error_of(function() aq.gather(task, bad) end)
      assert.matches("^spec/gather_spec.lua:%d+: bad argument #2 to 'gather'", err)
    end
    assert.matches("got nil", error_of(aq.gather, task, nil), 1, true)
    assert.matches("#2", error_of(aq.gather, { task, nil, task, n = 3 }), 1, true)
  end)

  it("refuses a length that is none", function()
    for _, n in ipairs { -1, 1.5, "1", false } do
      local err = error_of(function() aq.gather { returning(1), n = n } end)
      assert.matches("^spec/gather_spec.lua:%d+: bad argument #1 to 'gather' %(field 'n': ", err)
    end
    assert.equal(1, aq.gather({ returning(1), n = 1.0 }).n)
  end)

  it("where it cannot wait starts nothing, and needs no wait for what is done", function()
    local started, done = 0, aq.create_task(returning "done")
    done:await()
    local function fn() started = started + 1 end
    local function in_sort(...)
      local arguments, list = table.pack(...), nil
      local ok, err = pcall(table.sort, { 2, 1 }, function()
        list = aq.gather(table.unpack(arguments, 1, arguments.n))
      end)
      return ok and list or err
    end
    for _, list in ipairs { { fn }, { done, fn }, { fn, fn } } do
      local err = in_sort(table.unpack(list))
      assert.matches("^spec/gather_spec.lua:%d+: cannot wait here: inside table.sort", err)
    end
    assert.same({ n = 0, failed = {} }, in_sort())
    assert.same({ "done", "done", n = 2, failed = {} }, in_sort(done, done))
    tick(2)
    assert.equal(0, started)
  end)

  it("that would close a circle starts nothing (T10)", function()
    local started = 0
    local function fn() started = started + 1 end
    assert.matches("wait for each other", error_of(aq.gather, fn, aq.current_task()), 1, true)
    tick(2)
    assert.equal(0, started)
  end)

  it("refuses unknown options", function()
    local err = error_of(function() aq.gather({}, { return_exception = true }) end)
    assert.matches("^spec/gather_spec.lua:%d+: .*unknown option 'return_exception'", err)
    err = error_of(function() aq.gather({}, true) end)
    assert.matches("^spec/gather_spec.lua:%d+: .*table expected, got boolean", err)
  end)

  it("cancelled raises the cancel with its message (G4)", function()
    local task = aq.create_task(function()
      aq.gather(function() aq.sleep(10) end)
    end)
    helper.tick(2)
    task:cancel "go away"
    local _, err = pcall(task.await, task)
    assert.equal(aq.CancelledError, err)
    assert.equal("go away", err.message)
  end)
end)
