-- aq.run inside a task and outside of one: one script serves both.

local aq = require "aqlua"
local helper = require "spec.helper"

local tick = helper.tick
local try, error_of = helper.try, helper.error_of

describe("aq.run inside a task", function()
  it("hands the arguments over and all results back", function()
    local results = table.pack(aq.run(function(...) return select("#", ...), ... end, nil, 2, nil))
    assert.same({ 3, nil, 2, nil, n = 4 }, results)
    assert.equal(0, select("#", aq.run(function() end)))
  end)

  it("raises the error as it was thrown", function()
    for _, problem in ipairs { {}, "text", false, aq.QueueEmpty } do
      assert.is_true(rawequal(problem, error_of(aq.run, error, problem, 0)))
    end
    assert.equal("<no error object>", error_of(aq.run, error, nil))
  end)

  it("runs the function as a task of its own", function()
    local me = aq.current_task()
    aq.run(function()
      assert.is_false(rawequal(me, aq.current_task()))
      aq.sleep(1)
    end)
    assert.is_true(rawequal(me, aq.current_task()))
  end)

  it("cancels the tasks created under it and waits for them", function()
    local log = helper.log()
    local result = aq.run(function()
      for _, name in ipairs { "a", "b" } do
        aq.create_task(function()
          local ok, err = pcall(aq.sleep, 1000)
          log(name, ok, err.name)
          aq.shield(aq.sleep, 2)
          log(name, "cleaned up")
        end)
      end
      tick()
      return "result"
    end)
    assert.equal("result", result)
    assert.equal("a false CancelledError, b false CancelledError, a cleaned up, b cleaned up",
      log:text())
    assert.equal(1, #aq.all_tasks())
  end)

  it("cancels them also when the function raises", function()
    local task
    assert.equal("broken", error_of(aq.run, function()
      task = aq.create_task(aq.sleep, 1000)
      tick()
      error("broken", 0)
    end))
    assert.is_true(task:cancelled())
  end)

  it("cancels tasks that its tasks have created, and those created while leaving", function()
    local tasks = {}
    aq.run(function()
      tasks[1] = aq.create_task(function()
        tasks[2] = aq.create_task(function()
          local _, err = pcall(aq.sleep, 1000)
          tasks[3] = aq.create_task(aq.sleep, 1000)
          error(err, 0)
        end)
        aq.sleep(1000)
      end)
      tick(3)
    end)
    assert.equal(3, #tasks)
    for i = 1, 3 do assert.is_true(tasks[i]:cancelled()) end
  end)

  it("leaves the tasks from outside alone", function()
    local outside = aq.create_task(aq.sleep, 5, "slept")
    local later
    aq.run(function()
      tick()
      later = aq.create_task(aq.sleep, 1000)
    end)
    assert.is_true(later:cancelled())
    assert.is_false(outside:done())
    assert.equal(0, outside:cancelling())
    assert.equal("slept", outside:await())
  end)

  it("leaves tasks alone that the caller makes afterwards", function()
    aq.run(tick)
    local mine = aq.create_task(aq.sleep, 1, "slept")
    aq.run(tick)
    assert.equal("slept", mine:await())
  end)

  it("nested: each ends its own", function()
    local log = helper.log()
    local function lingering(name)
      return aq.create_task(function()
        local ok = pcall(aq.sleep, 1000)
        log(name, ok)
      end)
    end
    aq.run(function()
      lingering "outer"
      aq.run(function()
        lingering "inner"
        tick()
      end)
      log "inner run left"
      aq.sleep(1)
    end)
    log "outer run left"
    assert.equal("inner false, inner run left, outer false, outer run left", log:text())
  end)

  it("several at a time keep apart", function()
    local log = helper.log()
    local function run(name, seconds)
      return aq.create_task(aq.run, function()
        aq.create_task(function()
          pcall(aq.sleep, 1000)
          log(name)
        end)
        aq.sleep(seconds)
      end)
    end
    local a, b = run("a", 2), run("b", 1)
    a:await()
    b:await()
    assert.equal("b, a", log:text())
  end)

  it("cancelled: the function is cancelled, then its tasks, then it raises", function()
    local log = helper.log()
    local task = aq.create_task(aq.run, function()
      aq.create_task(function()
        pcall(aq.sleep, 1000)
        log "child"
      end)
      local _, err = pcall(aq.sleep, 1000)
      log "function"
      error(err, 0)
    end)
    tick(3)
    task:cancel()
    assert.equal(aq.CancelledError, error_of(task.await, task))
    assert.equal("function, child", log:text())
  end)

  it("under a deadline", function()
    local child
    assert.equal("TimeoutError", try(aq.wait_for, aq.run, 1, function()
      child = aq.create_task(aq.sleep, 1000)
      aq.sleep(1000)
    end))
    assert.is_true(child:cancelled())
  end)
end)

-- One script for both interpreters.
local SCRIPT = [[
  local aq = require "aqlua"

  local function main(a, b)
    local q = aq.Queue(1)
    local producer = aq.create_task(function()
      for i = 1, 3 do q:put(i) end
      q:shutdown()
    end)
    for item in q:items() do print(item) end
    producer:await()
    aq.create_task(function()
      local ok, err = pcall(aq.sleep, 1000)
      print(ok, err)
    end)
    aq.sleep(0)
    print(aq.gather(function() return a end, function() return b end)[2])
    return "result", nil, 3
  end

  print(aq.run(main, "a", "b"))
  print(pcall(aq.run, error, "an error", 0))
  print(select("#", aq.run(main, "a", "b")))
]]

local EXPECTED = [[
1
2
3
b
false	CancelledError: the task was cancelled
result	nil	3
false	an error
1
2
3
b
false	CancelledError: the task was cancelled
3
]]

describe("one script", function()
  it("runs under aqlua", function()
    assert.same({ EXPECTED, "", 0 }, { helper.run_script(SCRIPT) })
  end)

  it("runs under stock Lua with the C module", function()
    assert.same({ EXPECTED, "", 0 }, { helper.run_stock(SCRIPT) })
  end)
end)

describe("aq.run under stock Lua", function()
  it("raises DeadlockError when nothing can wake the main task (O3)", function()
    local out, err, status = helper.run_stock [[
      local aq = require "aqlua"
      print(pcall(aq.run, function() aq.Queue({ name = "empty" }):get() end))
      print(aq.run(function()
        local ok, e = pcall(function() aq.Queue():get() end)
        return ok, e == aq.DeadlockError
      end))
    ]]
    assert.matches("^false\tDeadlockError: ", out)
    assert.matches("empty", out, 1, true)
    assert.matches("\nfalse\ttrue\n$", out)
    assert.same({ "", 0 }, { err, status })
  end)

  it("reports an error that nobody retrieved on stderr, and goes on (T12)", function()
    local out, err, status = helper.run_stock [[
      local aq = require "aqlua"
      print(aq.run(function()
        aq.create_task(function() error "lost" end)
        aq.sleep(0)
        return "result"
      end))
    ]]
    assert.matches("lost", err, 1, true)
    assert.matches("stack traceback", err, 1, true)
    assert.same({ "result\n", 0 }, { out, status })
  end)

  it("replaces no globals", function()
    local out, err, status = helper.run_stock [[
      local before = {}
      local function visit(t, fn)
        for k, v in pairs(t) do
          fn(k, v)
          if type(v) == "table" and v ~= _G and v ~= package.loaded and v ~= package.preload then
            for k2, v2 in pairs(v) do fn(k .. "." .. tostring(k2), v2) end
          end
        end
      end
      visit(_G, function(k, v) before[k] = v end)
      local aq = require "aqlua"
      aq.run(aq.sleep, 0)
      visit(_G, function(k, v) if before[k] ~= v then print(k) end end)
    ]]
    assert.same({ "", "", 0 }, { out, err, status })
  end)

  it("a state closed with tasks and queues alive ends quietly", function()
    local out, err, status = helper.run_stock [[
      local aq = require "aqlua"
      local q = aq.Queue()
      q:put_nowait(q)
      local ok, e = pcall(aq.run, function()
        aq.create_task(function() q:get() q:get() end)
        aq.sleep(0)
        error("leaving", 0)
      end)
      print(ok, e)
      kept = aq.create_task(function() end)
    ]]
    assert.same({ "false\tleaving\n", "", 0 }, { out, err, status })
  end)
end)
