-- TaskGroup and map: tasks that end with a block, and a function over many items. The numbers are
-- those of the semantics.

local aq = require "aqlua"
local helper = require "spec.helper"

local tick = helper.tick
local try, error_of = helper.try, helper.error_of

-- body(group) in a group's block.
local function with_group(body)
  local group <close> = aq.TaskGroup()
  return body(group)
end

local function failing(err, seconds)
  return function()
    aq.sleep(seconds or 0)
    error(err, 0)
  end
end

-- Sleeps, and logs how that ended.
local function sleeper(log, name, seconds)
  return function()
    local ok, err = pcall(aq.sleep, seconds or 1000)
    log(name, ok and "slept" or err.name)
    if not ok then error(err, 0) end
  end
end

-- Answers a cancel by another error, `turns` turns later.
local function failing_when_cancelled(err, turns)
  return function()
    pcall(aq.sleep, 1000)
    aq.shield(tick, turns or 1)
    error(err, 0)
  end
end

local function names(list)
  local words = {}
  for i, err in ipairs(list) do words[i] = type(err) == "userdata" and err.name or err end
  return table.concat(words, " ")
end

local function me() return aq.current_task() end

describe("TaskGroup", function()
  it("leaving the block waits for all children", function()
    local log = helper.log()
    do
      local group <close> = aq.TaskGroup()
      for i = 1, 3 do
        group:create_task(function()
          aq.sleep(i)
          log(i)
        end)
      end
      log "end of body"
    end
    log "after"
    assert.equal("end of body, 1, 2, 3, after", log:text())
  end)

  it("create_task passes arguments and returns a Task with a result", function()
    local task
    with_group(function(group)
      task = group:create_task(function(...)
        tick()
        return select("#", ...), ...
      end, 1, nil, 3)
      assert.matches("^Task", tostring(task))
    end)
    assert.same({ 3, 1, nil, 3 }, { task:result() })
  end)

  it("the body's results pass through", function()
    assert.same({ 1, nil, 3 }, { with_group(function(group)
      group:create_task(tick, 3)
      return 1, nil, 3
    end) })
  end)

  it("left by break and goto waits as well", function()
    local task
    while true do
      local group <close> = aq.TaskGroup()
      task = group:create_task(aq.sleep, 1)
      if task then break end
    end
    assert.is_true(task:done())
    do
      local group <close> = aq.TaskGroup()
      task = group:create_task(aq.sleep, 1)
      goto after
    end
    ::after::
    assert.is_true(task:done())
  end)

  it("empty takes no turn; else two turns after the last step (H16)", function()
    local hop <close> = helper.hops()
    with_group(function() end)
    assert.equal(0, hop())
    local from
    with_group(function(group)
      group:create_task(function()
        tick(3)
        from = hop()
      end)
    end)
    assert.equal(2, hop() - from)
  end)

  it("all children done before the end of the body: no turn (H16)", function()
    local hop <close> = helper.hops()
    local from
    with_group(function(group)
      group:create_task(tick)
      tick(5)
      from = hop()
    end)
    assert.equal(0, hop() - from)
  end)

  it("a child may create more, also while the block waits at its end", function()
    local log = helper.log()
    with_group(function(group)
      local function child(depth)
        tick()
        log(depth)
        if depth < 4 then group:create_task(child, depth + 1) end
      end
      group:create_task(child, 1)
    end)
    assert.equal("1, 2, 3, 4", log:text())
  end)

  it("first error: siblings and body see cancel at n+2, the group raises at n+4 (H17)", function()
    local hop <close> = helper.hops()
    local log, from = helper.log(), nil
    local function sees(name)
      return function()
        local ok, err = pcall(aq.sleep, 1000)
        log(name, ok or err.name, hop() - from)
        error(err, 0)
      end
    end
    local err = error_of(with_group, function(group)
      group:create_task(sees "sibling")
      group:create_task(function()
        tick()
        from = hop()
        error("problem", 0)
      end)
      sees "body" ()
    end)
    assert.equal("problem", err)
    table.sort(log)
    assert.equal("body CancelledError 2, sibling CancelledError 2", log:text())
    assert.equal(4, hop() - from)
  end)

  it("raises the first error as it was thrown, and lists all (G9)", function()
    local first, group = {}, nil
    local reports = helper.reports_of(function()
      assert.is_true(rawequal(first, error_of(with_group, function(g)
        group = g
        g:create_task(failing_when_cancelled("second", 1))
        g:create_task(failing_when_cancelled("third", 3))
        g:create_task(failing(first))
      end)))
    end)
    assert.equal(3, #group:errors())
    assert.is_true(rawequal(first, group:errors()[1]))
    assert.same({ "second", "third" }, { group:errors()[2], group:errors()[3] })
    assert.equal(2, #reports)
    assert.same({ "second", "third" }, { reports[1][2], reports[2][2] })
  end)

  it("errors in one turn: the first one is raised, the others are reported (G9, T12)", function()
    local reports = helper.reports_of(function()
      assert.equal("a", error_of(with_group, function(group)
        for _, err in ipairs { "a", "b", "c" } do group:create_task(failing(err)) end
      end))
    end)
    assert.equal(2, #reports)
    assert.equal("b", reports[1][2])
    assert.equal("c", reports[2][2])
    assert.matches("^Task", tostring(reports[1][1]))
    assert.matches("traceback", tostring(reports[1][3]), 1, true)
  end)

  it("what is raised is not reported (T12)", function()
    assert.same({}, helper.reports_of(function()
      pcall(with_group, function(group) group:create_task(failing "only") end)
    end))
  end)

  it("errors() is empty without one, and a list of its own each time", function()
    local group = aq.TaskGroup()
    assert.same({}, group:errors())
    group:errors()[1] = "not kept"
    assert.same({}, group:errors())
    getmetatable(group).__close(group)
  end)

  it("error(nil) becomes the string that it does for tasks", function()
    assert.equal("<no error object>", error_of(with_group, function(group)
      group:create_task(error)
    end))
  end)

  it("false as an error is one", function()
    local ok, err = pcall(with_group, function(group)
      group:create_task(function() error(false) end)
    end)
    assert.is_false(ok)
    assert.is_false(err)
  end)

  it("children that are cancelled are no errors, and cancel nobody (G9)", function()
    local log = helper.log()
    with_group(function(group)
      local victim = group:create_task(sleeper(log, "victim"))
      group:create_task(sleeper(log, "other", 3))
      tick()
      victim:cancel()
    end)
    assert.equal("victim CancelledError, other slept", log:text())
  end)

  it("waits for children that clean up, or swallow their cancel (G9)", function()
    local log = helper.log()
    assert.equal("problem", error_of(with_group, function(group)
      group:create_task(function()
        pcall(aq.sleep, 1000)
        aq.shield(aq.sleep, 5)
        log "cleaned up"
      end)
      group:create_task(failing "problem")
    end))
    assert.equal("cleaned up", log:text())
  end)

  it("cancelling() of the parent is what it was (G9)", function()
    assert.equal("problem", error_of(with_group, function(group)
      group:create_task(failing "problem")
    end))
    assert.equal(0, me():cancelling())
    assert.equal("problem", error_of(with_group, function(group)
      group:create_task(failing "problem")
      aq.sleep(10)
    end))
    assert.equal(0, me():cancelling())
    assert.equal("ok", try(aq.sleep, 1))
  end)

  it("a body that swallows the cancel: the error is raised all the same (G9)", function()
    local log = helper.log()
    assert.equal("problem", error_of(with_group, function(group)
      group:create_task(failing "problem")
      log(select(2, pcall(aq.sleep, 10)).name)
      log(select(2, pcall(aq.sleep, 10)).name) -- level-triggered
      return "value"
    end))
    assert.equal("CancelledError, CancelledError", log:text())
    assert.equal(0, me():cancelling())
    assert.equal("ok", try(aq.sleep, 1))
  end)

  it("a body that does not wait any more runs to its end (T13)", function()
    local log = helper.log()
    assert.equal("problem", error_of(with_group, function(group)
      group:create_task(failing "problem")
      pcall(aq.sleep, 10)
      log "body goes on"
    end))
    assert.equal("body goes on", log:text())
  end)

  describe("an error of the body", function()
    it("cancels the children, and is raised when they have ended", function()
      local log, problem = helper.log(), {}
      assert.is_true(rawequal(problem, error_of(with_group, function(group)
        group:create_task(sleeper(log, "A"))
        group:create_task(sleeper(log, "B"))
        tick()
        error(problem)
      end)))
      assert.equal("A CancelledError, B CancelledError", log:text())
      assert.equal(0, me():cancelling())
    end)

    it("with no children is raised as it was thrown", function()
      local problem = {}
      assert.is_true(rawequal(problem, error_of(with_group, function() error(problem) end)))
    end)

    it("before a child's error: that is reported (G9, B57)", function()
      local group
      local reports = helper.reports_of(function()
        assert.equal("body", error_of(with_group, function(g)
          group = g
          g:create_task(failing_when_cancelled "child")
          tick()
          error("body", 0)
        end))
      end)
      assert.equal("body child", names(group:errors()))
      assert.equal(1, #reports)
      assert.equal("child", reports[1][2])
    end)

    it("after a child's error, instead of the cancel: it is reported (B46, B57)", function()
      local group
      local reports = helper.reports_of(function()
        assert.equal("child", error_of(with_group, function(g)
          group = g
          g:create_task(failing "child")
          pcall(aq.sleep, 10)
          error("body", 0)
        end))
      end)
      assert.equal("child body", names(group:errors()))
      assert.equal(1, #reports)
      assert.equal("body", reports[1][2])
      assert.equal(0, me():cancelling())
      assert.equal("ok", try(aq.sleep, 1))
    end)

    it("CancelledError raised by hand cancels the children and passes on", function()
      local log = helper.log()
      local task = aq.create_task(with_group, function(group)
        group:create_task(sleeper(log, "A"))
        tick()
        error(aq.CancelledError, 0)
      end)
      tick(6)
      assert.is_true(task:cancelled())
      assert.equal("A CancelledError", log:text())
    end)
  end)

  describe("create_task is refused", function()
    it("when the group has ended (G9)", function()
      local group
      with_group(function(g) group = g end)
      local err = error_of(function() group:create_task(tick) end)
      assert.matches("^spec/group_spec.lua:%d+: create_task: the group has ended", err)
    end)

    it("when it is being cancelled: by an error, cancel, the body (G9, B48)", function()
      local log = helper.log()
      local function late(group)
        return function()
          pcall(aq.sleep, 1000)
          local err = error_of(group.create_task, group, function() log "not reached" end)
          log(err:match "being cancelled")
        end
      end
      assert.equal("problem", error_of(with_group, function(group)
        group:create_task(late(group))
        group:create_task(failing "problem")
      end))
      with_group(function(group)
        group:create_task(late(group))
        tick()
        group:cancel()
        log(error_of(group.create_task, group, tick):match "being cancelled")
      end)
      assert.equal("body", error_of(with_group, function(group)
        group:create_task(late(group))
        tick()
        error("body", 0)
      end))
      assert.equal(("being cancelled, "):rep(4):sub(1, -3), log:text())
    end)

    it("with what is no function, and the group is as before", function()
      with_group(function(group)
        for _, bad in ipairs { 5, "x", {}, true } do
          assert.matches("function expected", error_of(group.create_task, group, bad), 1, true)
        end
        assert.matches("function expected", error_of(group.create_task, group), 1, true)
      end)
    end)

    it("with another self", function()
      local group <close> = aq.TaskGroup()
      for _, method in ipairs { "create_task", "cancel", "errors" } do
        assert.matches("TaskGroup expected", error_of(group[method], {}, tick), 1, true)
        assert.matches("TaskGroup expected", error_of(group[method], tick), 1, true)
      end
    end)
  end)

  it("outside of a task cannot be made", function()
    local _, err, status = helper.run_stock [[require "aqlua".TaskGroup()]]
    assert.equal(1, status)
    assert.matches("no task is running", err, 1, true)
  end)

  it("tostring tells how many run and failed", function()
    with_group(function(group)
      group:create_task(tick)
      group:create_task(tick)
      assert.equal("TaskGroup (2 running, 0 failed)", tostring(group))
      tick(4)
      assert.equal("TaskGroup (0 running, 0 failed)", tostring(group))
    end)
  end)

  describe("cancel", function()
    it("cancels the children, lets the body run on, and raises nothing (G11)", function()
      local log = helper.log()
      with_group(function(group)
        group:create_task(sleeper(log, "A"))
        group:create_task(sleeper(log, "B"))
        tick()
        group:cancel()
        aq.sleep(1)
        log "body"
      end)
      assert.equal("A CancelledError, B CancelledError, body", log:text())
      assert.equal(0, me():cancelling())
    end)

    it("may be called again, and after the end (G11)", function()
      local group
      with_group(function(g)
        group = g
        local task = g:create_task(aq.sleep, 10)
        tick()
        g:cancel()
        g:cancel()
        assert.equal(1, task:cancelling())
      end)
      group:cancel()
    end)

    it("may be called by a child, or another task (G11)", function()
      local log = helper.log()
      with_group(function(group)
        group:create_task(sleeper(log, "A"))
        group:create_task(function()
          aq.sleep(1)
          group:cancel()
          aq.sleep(1)
        end)
      end)
      assert.equal("A CancelledError", log:text())
      local canceller
      with_group(function(group)
        group:create_task(sleeper(log, "B"))
        canceller = aq.create_task(function()
          aq.sleep(1)
          group:cancel()
        end)
      end)
      assert.is_true(canceller:done())
      assert.equal("A CancelledError, B CancelledError", log:text())
    end)

    it("before a child's first step: the child never runs (T3)", function()
      local log = helper.log()
      with_group(function(group)
        group:create_task(log, "not reached")
        group:cancel()
      end)
      assert.equal("", log:text())
    end)

    it("an error of a child that is cancelled is raised (G11)", function()
      assert.equal("in clean-up", error_of(with_group, function(group)
        group:create_task(failing_when_cancelled "in clean-up")
        tick()
        group:cancel()
      end))
      assert.equal(0, me():cancelling())
    end)

    it("does not swallow an outer deadline (B49)", function()
      local start = aq.now()
      assert.equal("TimeoutError", try(function()
        local deadline <close> = aq.timeout(2) -- luacheck: ignore
        with_group(function(group)
          group:create_task(function()
            pcall(aq.sleep, 1000)
            aq.shield(aq.sleep, 5)
          end)
          tick()
          group:cancel()
        end)
        aq.sleep(100)
      end))
      assert.near(5, aq.now() - start, 1e-6)
      assert.equal(0, me():cancelling())
    end)

    it("does not swallow a cancel from outside (B49, G10)", function()
      local log = helper.log()
      local task = aq.create_task(function()
        with_group(function(group)
          group:create_task(failing_when_cancelled("", 5))
          tick()
          group:cancel()
        end)
      end)
      tick(3)
      task:cancel()
      tick(10)
      assert.is_true(task:done())
      assert.equal(1, task:cancelling())
      assert.equal("", log:text())
      pcall(task.result, task)
    end)
  end)

  describe("cancelled from outside", function()
    it("while the body runs: children cancelled, waited for; CancelledError (G10)", function()
      local log = helper.log()
      local task = aq.create_task(function()
        with_group(function(group)
          group:create_task(sleeper(log, "A"))
          group:create_task(function()
            pcall(aq.sleep, 1000)
            aq.shield(aq.sleep, 3)
            log "B cleaned up"
          end)
          aq.sleep(100)
        end)
        log "not reached"
      end)
      tick(2)
      task:cancel()
      aq.sleep(4)
      assert.equal("A CancelledError, B cleaned up", log:text())
      assert.is_true(task:cancelled())
      assert.equal(1, task:cancelling())
    end)

    it("while it waits at the end: the same (G10)", function()
      local log = helper.log()
      local task = aq.create_task(function()
        with_group(function(group)
          group:create_task(sleeper(log, "A"))
          group:create_task(function()
            pcall(aq.sleep, 1000)
            aq.shield(aq.sleep, 3)
            log "B cleaned up"
          end)
        end)
        log "not reached"
      end)
      tick(3)
      task:cancel()
      aq.sleep(4)
      assert.equal("A CancelledError, B cleaned up", log:text())
      assert.is_true(task:cancelled())
    end)

    it("the message of the cancel arrives outside", function()
      local err
      local task = aq.create_task(function()
        err = error_of(with_group, function(group)
          group:create_task(aq.sleep, 10)
          aq.sleep(10)
        end)
        error(err, 0)
      end)
      tick(2)
      task:cancel "enough"
      tick(6)
      assert.is_true(task:cancelled())
      assert.equal("enough", err.message)
    end)

    it("several times while it waits: it still waits for all (G10)", function()
      local log = helper.log()
      local task = aq.create_task(function()
        with_group(function(group)
          group:create_task(function()
            pcall(aq.sleep, 1000)
            aq.shield(aq.sleep, 5)
            log "cleaned up"
          end)
        end)
      end)
      tick(3)
      for _ = 1, 4 do
        task:cancel()
        tick(2)
      end
      assert.is_false(task:done())
      aq.sleep(6)
      assert.equal("cleaned up", log:text())
      assert.is_true(task:cancelled())
    end)

    it("children's errors have priority, the cancel stays outstanding (G10, B47)", function()
      local log = helper.log()
      local task = aq.create_task(function()
        local ok, err = pcall(with_group, function(group)
          group:create_task(failing_when_cancelled "in clean-up")
          aq.sleep(100)
        end)
        log(ok, err, me():cancelling())
        log((pcall(aq.sleep, 1)))
        error(aq.CancelledError, 0)
      end)
      tick(3)
      task:cancel()
      tick(10)
      assert.equal("false in clean-up 1, false", log:text())
      assert.is_true(task:cancelled())
    end)

    it("in the turn in which a child fails: error first, cancel outstanding (G10)", function()
      for _, first in ipairs { "fail", "cancel" } do
        local log, gate = helper.log(), aq.Future()
        local task = aq.create_task(function()
          local ok, err = pcall(with_group, function(group)
            group:create_task(function()
              pcall(gate.await, gate)
              error("problem", 0)
            end)
            aq.sleep(100)
          end)
          log(ok, err, me():cancelling())
          log((pcall(aq.sleep, 1)))
          error(aq.CancelledError, 0)
        end)
        tick(3)
        if first == "cancel" then task:cancel() end
        gate:set_result()
        if first == "fail" then
          tick()
          task:cancel()
        end
        tick(10)
        assert.equal("false problem 1, false", log:text())
        assert.is_true(task:cancelled())
      end
    end)

    it("before the block, the body not waiting: raised at its end (T13)", function()
      local log = helper.log()
      local task = aq.create_task(function()
        me():cancel()
        with_group(function(group)
          group:create_task(sleeper(log, "A"))
          log "body"
        end)
        log "not reached"
      end)
      tick(10)
      assert.is_true(task:cancelled())
      assert.equal("body", log[1])
      assert.is_false(log:text():find "not reached" ~= nil)
    end)

    it("uncancel() in the body takes it back (T7)", function()
      local task = aq.create_task(function()
        return with_group(function(group)
          group:create_task(aq.sleep, 5)
          pcall(aq.sleep, 100)
          me():uncancel()
          return aq.sleep(1, "value")
        end)
      end)
      tick(3)
      task:cancel()
      assert.equal("value", task:await())
      assert.equal(0, task:cancelling())
    end)
  end)

  describe("nested", function()
    it("an inner error goes through the outer body, and cancels the outer's children", function()
      local log = helper.log()
      assert.equal("inner", error_of(with_group, function(outer)
        outer:create_task(sleeper(log, "outer child"))
        with_group(function(inner)
          inner:create_task(sleeper(log, "inner child"))
          inner:create_task(failing "inner")
        end)
        log "not reached"
      end))
      assert.equal("inner child CancelledError, outer child CancelledError", log:text())
      assert.equal(0, me():cancelling())
    end)

    it("an inner error that is caught leaves the outer group alone", function()
      local log = helper.log()
      with_group(function(outer)
        outer:create_task(sleeper(log, "outer child", 2))
        log(select(2, pcall(with_group, function(inner)
          inner:create_task(failing "inner")
          aq.sleep(10)
        end)))
        aq.sleep(1)
        log "outer body"
      end)
      assert.equal("inner, outer body, outer child slept", log:text())
    end)

    it("an outer child's error while the inner body runs, or its end waits (B47)", function()
      for _, seconds in ipairs { 10, 0 } do
        local log = helper.log()
        assert.equal("outer", error_of(with_group, function(outer)
          outer:create_task(failing("outer", 2))
          local err = error_of(with_group, function(inner)
            inner:create_task(sleeper(log, "inner child"))
            aq.sleep(seconds)
          end)
          log("inner group", err.name)
          error(err, 0)
        end))
        assert.equal("inner child CancelledError, inner group CancelledError", log:text())
        assert.equal(0, me():cancelling())
        assert.equal("ok", try(aq.sleep, 1))
      end
    end)

    it("both fail in one turn: the outer one's error is raised, none is lost", function()
      local outer_group, inner_group
      local reports = helper.reports_of(function()
        local err = error_of(with_group, function(outer)
          outer_group = outer
          outer:create_task(failing("outer", 1))
          with_group(function(inner)
            inner_group = inner
            inner:create_task(failing("inner", 1))
            aq.sleep(10)
          end)
        end)
        assert.equal("outer", err)
      end)
      assert.equal("inner", names(inner_group:errors()))
      assert.equal("outer inner", names(outer_group:errors()))
      assert.equal(1, #reports)
      assert.equal("inner", reports[1][2])
      assert.equal(0, me():cancelling())
    end)

    it("a parent's cancel goes through both (B47, #116720)", function()
      local log = helper.log()
      local task = aq.create_task(function()
        with_group(function(outer)
          outer:create_task(failing_when_cancelled "outer child")
          log(error_of(with_group, function(inner)
            inner:create_task(failing_when_cancelled "inner child")
            aq.sleep(100)
          end))
          log((pcall(aq.sleep, 1)))
        end)
      end)
      tick(4)
      task:cancel()
      local reports = helper.reports_of(function() tick(12) end)
      assert.equal("inner child, false", log:text())
      assert.equal("outer child", task:exception())
      assert.equal(1, task:cancelling())
      assert.same({}, reports)
    end)

    it("ten deep, with an error at the bottom", function()
      local depth_seen = 0
      local function nest(depth)
        with_group(function(group)
          group:create_task(aq.sleep, 1000)
          if depth == 10 then
            group:create_task(failing "bottom")
            aq.sleep(100)
          end
          depth_seen = depth
          nest(depth + 1)
        end)
      end
      assert.equal("bottom", error_of(nest, 1))
      assert.equal(9, depth_seen)
      assert.equal(0, me():cancelling())
    end)

    it("in a child", function()
      assert.equal("grandchild", error_of(with_group, function(group)
        group:create_task(with_group, function(inner)
          inner:create_task(failing "grandchild")
          aq.sleep(10)
        end)
        aq.sleep(10)
      end))
    end)
  end)

  describe("and deadlines", function()
    it("a deadline outside: children cancelled, TimeoutError (B45)", function()
      for _, seconds in ipairs { 100, 0 } do
        local log = helper.log()
        assert.equal("TimeoutError", try(function()
          local deadline <close> = aq.timeout(2) -- luacheck: ignore
          with_group(function(group)
            group:create_task(sleeper(log, "A"))
            aq.sleep(seconds)
          end)
        end))
        assert.equal("A CancelledError", log:text())
        assert.equal(0, me():cancelling())
        assert.equal("ok", try(aq.sleep, 1))
      end
    end)

    it("a deadline inside the body: TimeoutError cancels the children (B45)", function()
      local log = helper.log()
      assert.equal("TimeoutError", try(with_group, function(group)
        group:create_task(sleeper(log, "A"))
        local deadline <close> = aq.timeout(2) -- luacheck: ignore
        aq.sleep(100)
      end))
      assert.equal("A CancelledError", log:text())
      assert.equal(0, me():cancelling())
    end)

    it("a deadline inside that is caught leaves the group alone", function()
      local log = helper.log()
      with_group(function(group)
        group:create_task(sleeper(log, "A", 5))
        log(try(aq.wait_for, aq.sleep, 2, 100))
      end)
      assert.equal("TimeoutError, A slept", log:text())
    end)

    it("a child fails while a deadline inside the body runs: the child's error (B45)", function()
      local seen
      assert.equal("problem", error_of(with_group, function(group)
        group:create_task(failing("problem", 1))
        seen = try(function()
          local deadline <close> = aq.timeout(50) -- luacheck: ignore
          aq.sleep(100)
        end)
      end))
      assert.equal("CancelledError", seen)
      assert.equal(0, me():cancelling())
    end)

    it("deadline and child's error in one turn: the error wins, none swallows (G8)", function()
      local ok, err = pcall(function()
        local deadline <close> = aq.timeout(1) -- luacheck: ignore
        with_group(function(group)
          group:create_task(function()
            pcall(aq.sleep, 1)
            error("problem", 0)
          end)
          aq.sleep(100)
        end)
      end)
      assert.is_false(ok)
      assert.equal("problem", err)
      assert.equal(0, me():cancelling())
      assert.equal("ok", try(aq.sleep, 5))
    end)

    it("wait_for a function with a group", function()
      local log = helper.log()
      assert.equal("TimeoutError", try(aq.wait_for, with_group, 2, function(group)
        group:create_task(sleeper(log, "A"))
      end))
      assert.equal("A CancelledError", log:text())
    end)
  end)

  describe("inside shield", function()
    it("a cancel reaches neither body nor children, and is raised afterwards", function()
      local log = helper.log()
      local task = aq.create_task(function()
        aq.shield(with_group, function(group)
          group:create_task(sleeper(log, "A", 3))
          aq.sleep(2)
          log "body"
        end)
        log "after the shield"
        aq.sleep(1)
        log "not reached"
      end)
      aq.sleep(1)
      task:cancel()
      aq.sleep(5)
      assert.equal("body, A slept, after the shield", log:text())
      assert.is_true(task:cancelled())
    end)

    it("a child's error does reach the body and the siblings", function()
      local log = helper.log()
      assert.equal("problem", error_of(aq.shield, with_group, function(group)
        group:create_task(sleeper(log, "A"))
        group:create_task(failing "problem")
        log(try(aq.sleep, 100))
      end))
      table.sort(log)
      assert.equal("A CancelledError, CancelledError", log:text())
      assert.equal(0, me():cancelling())
    end)

    it("opened outside, its body in a shield: the error waits for the shield's end", function()
      local log = helper.log()
      assert.equal("problem", error_of(with_group, function(group)
        group:create_task(failing("problem", 1))
        aq.shield(function()
          aq.sleep(5)
          log "shielded to the end"
        end)
        log(try(aq.sleep, 100))
      end))
      assert.equal("shielded to the end, CancelledError", log:text())
      assert.equal(0, me():cancelling())
    end)
  end)

  it("lets go of its children when they have ended", function()
    local probe = setmetatable({}, { __mode = "k" })
    with_group(function(group)
      for _ = 1, 100 do
        local task = group:create_task(function() return {} end)
        probe[task] = true
      end
      group:create_task(aq.sleep, 5)
      tick(3)
      collectgarbage()
      collectgarbage()
      local n = 0
      for _ in pairs(probe) do n = n + 1 end
      assert.is_true(n <= 100)
    end)
    tick()
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(probe))
  end)

  it("a server's group, one child after another for ever, does not grow", function()
    local probe = setmetatable({}, { __mode = "k" })
    with_group(function(group)
      group:create_task(aq.sleep, 5)
      for _ = 1, 1000 do
        probe[group:create_task(function() end)] = true
        tick(2)
      end
      collectgarbage()
      collectgarbage()
      local n = 0
      for _ in pairs(probe) do n = n + 1 end
      assert.is_true(n < 100, n .. " ended children are still held")
    end)
  end)

  it("1000 children, random ends, one error", function()
    math.randomseed(7)
    local ended = 0
    assert.equal("problem", error_of(with_group, function(group)
      for i = 1, 1000 do
        group:create_task(function()
          local _ <close> = setmetatable({}, { __close = function() ended = ended + 1 end })
          aq.sleep(math.random(0, 9))
          if i == 500 then error("problem", 0) end
          aq.sleep(100)
        end)
      end
    end))
    assert.equal(1000, ended)
  end)
end)

describe("map", function()
  local function slowly(item)
    aq.sleep(item)
    return item * 10
  end

  -- aq.map that also says how many ran at once at most.
  local function measured(n, fn, source)
    local running, most = 0, 0
    local results = aq.map(n, function(...)
      running = running + 1
      most = math.max(most, running)
      local value = fn(...)
      running = running - 1
      return value
    end, source)
    return results, most
  end

  it("gives the results in order of the items, with n", function()
    assert.same({ 30, 10, 20, n = 3 }, aq.map(3, slowly, { 3, 1, 2 }))
    assert.same({ 30, 10, 20, n = 3 }, aq.map(1, slowly, { 3, 1, 2 }))
    assert.same({ 30, 10, 20, n = 3 }, aq.map(100, slowly, { 3, 1, 2 }))
  end)

  it("of nothing is an empty list", function()
    assert.same({ n = 0 }, aq.map(2, slowly, {}))
    assert.same({ n = 0 }, aq.map(2, slowly, function() end))
    local q = aq.Queue()
    q:shutdown()
    assert.same({ n = 0 }, aq.map(2, slowly, q))
  end)

  it("keeps nil results in their places, and takes first results only", function()
    local results = aq.map(2, function(i)
      tick()
      if i ~= 2 then return i, "second" end
    end, { 1, 2, 3 })
    assert.equal(3, results.n)
    assert.equal(1, results[1])
    assert.is_nil(results[2])
    assert.equal(3, results[3])
    assert.is_nil(results[4])
  end)

  it("runs n at once, and never more", function()
    local items = {}
    for i = 1, 30 do items[i] = i % 5 end
    for _, n in ipairs { 1, 2, 7, 30, 40 } do
      local results, most = measured(n, slowly, items)
      assert.equal(30, results.n)
      assert.equal(math.min(n, 30), most)
    end
  end)

  it("starts the next as soon as one has ended", function()
    local start = aq.now()
    aq.map(2, slowly, { 4, 1, 1, 1, 1 })
    assert.near(4, aq.now() - start, 1e-6)
  end)

  it("over an iterator: items are taken only when there is a place for them", function()
    local taken, done, ahead = 0, 0, 0
    local results = aq.map(3, function(item)
      aq.sleep(item % 3)
      done = done + 1
      return item
    end, function()
      if taken == 20 then return nil end
      taken = taken + 1
      ahead = math.max(ahead, taken - done)
      return taken
    end)
    assert.equal(20, results.n)
    for i = 1, 20 do assert.equal(i, results[i]) end
    assert.is_true(ahead <= 3)
  end)

  it("over an iterator that waits", function()
    local i = 0
    local results, most = measured(2, function(item)
      aq.sleep(5)
      return item
    end, function()
      aq.sleep(1)
      i = i + 1
      return i <= 6 and i or nil
    end)
    assert.same({ 1, 2, 3, 4, 5, 6, n = 6 }, results)
    assert.equal(2, most)
  end)

  it("an iterator that waits is called by one at a time, and not after its end", function()
    local inside, calls, ended = 0, 0, 0
    aq.map(4, tick, function()
      inside, calls = inside + 1, calls + 1
      assert.equal(1, inside)
      assert.equal(0, ended)
      tick(2)
      inside = inside - 1
      if calls > 9 then
        ended = ended + 1
        return nil
      end
      return 1
    end)
    assert.equal(10, calls)
    assert.equal(1, ended)
  end)

  it("over a generator made by coroutine.wrap that waits", function()
    local results = aq.map(3, function(item)
      tick(item)
      return item
    end, coroutine.wrap(function()
      for i = 1, 5 do
        aq.sleep(1)
        coroutine.yield(i)
      end
    end))
    assert.same({ 1, 2, 3, 4, 5, n = 5 }, results)
  end)

  it("over a queue, until it is shut down and empty", function()
    local q = aq.Queue(2)
    local feeder = aq.create_task(function()
      for i = 1, 10 do
        q:put(i)
        aq.sleep(i % 2)
      end
      q:shutdown()
    end)
    local results, most = measured(3, function(item)
      aq.sleep(3)
      return item
    end, q)
    assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, n = 10 }, results)
    assert.equal(3, most)
    assert.is_true(feeder:done())
  end)

  it("false is an item of a list", function()
    local seen = {}
    aq.map(1, function(item) seen[#seen + 1] = item end, { 1, false, 2 })
    assert.same({ 1, false, 2 }, seen)
  end)

  it("the first error cancels the rest and is raised as it was thrown", function()
    local problem, log = {}, helper.log()
    assert.is_true(rawequal(problem, error_of(aq.map, 3, function(item)
      if item == 2 then
        aq.sleep(1)
        error(problem)
      end
      local ok, err = pcall(aq.sleep, 10)
      log(item, ok or err.name)
      error(err, 0)
    end, { 1, 2, 3, 4, 5 })))
    assert.equal("1 CancelledError, 3 CancelledError", log:text())
    assert.equal(0, me():cancelling())
  end)

  it("an error of the iterator is raised, too", function()
    local log = helper.log()
    assert.equal("source", error_of(aq.map, 2, sleeper(log, "A"), (function()
      local n = 0
      return function()
        n = n + 1
        if n == 2 then error("source", 0) end
        return n
      end
    end)()))
    assert.is_true(#log <= 1)
  end)

  it("a call that ends cancelled is an error like another, and cancels the rest (G3)", function()
    local gone = aq.Future()
    gone:cancel()
    for n, expected in ipairs { "1, 1 ok, 2", "1, 2, 1 CancelledError" } do
      local log = helper.log()
      local err = error_of(aq.map, n, function(item)
        log(item)
        if item == 2 then gone:await() end
        log(item, try(aq.sleep, 1))
        aq.sleep(0)
      end, { 1, 2, 3, 4 })
      assert.equal(aq.CancelledError, err)
      assert.equal(expected, log:text())
      assert.equal(0, me():cancelling())
      aq.sleep(1)
    end
  end)

  it("a source that raises CancelledError of its own is an error, too (G3)", function()
    local gone = aq.Future()
    gone:cancel()
    assert.equal(aq.CancelledError, error_of(aq.map, 3, tick, function() gone:await() end))
    aq.sleep(1)
  end)

  it("an error of a call that cleans up goes before the cancel (G10)", function()
    local gone = aq.Future()
    gone:cancel()
    assert.equal("problem", error_of(aq.map, 2, function(item)
      if item == 2 then gone:await() end
      failing_when_cancelled "problem" ()
    end, { 1, 2, 3 }))
  end)

  it("a call whose task is cancelled by somebody: the same (G3)", function()
    assert.equal(aq.CancelledError, error_of(aq.map, 2, function(item)
      if item == 2 then me():cancel() end
      aq.sleep(5)
    end, { 1, 2, 3 }))
    assert.equal(0, me():cancelling())
  end)

  it("a source that has raised is over: it is not asked again", function()
    local calls = 0
    local reports = helper.reports_of(function()
      assert.equal("source", error_of(aq.map, 4, tick, function()
        calls = calls + 1
        error("source", 0)
      end))
    end)
    assert.equal(1, calls)
    assert.same({}, reports)
  end)

  it("cancelled from outside: all are cancelled and waited for", function()
    local log = helper.log()
    local task = aq.create_task(function()
      aq.map(2, function(item)
        local ok = pcall(aq.sleep, 100)
        aq.shield(aq.sleep, 2)
        log(item, ok)
        error(aq.CancelledError, 0)
      end, { 1, 2, 3 })
    end)
    aq.sleep(1)
    task:cancel()
    aq.sleep(3)
    assert.is_true(task:cancelled())
    assert.equal("1 false, 2 false", log:text())
  end)

  it("cancelled over a queue: no item is lost (X2)", function()
    local q = aq.Queue()
    local seen = {}
    local task = aq.create_task(function()
      aq.map(2, function(item) seen[#seen + 1] = item end, q)
    end)
    tick(3)
    q:put_nowait(1)
    task:cancel()
    tick(8)
    assert.is_true(task:cancelled())
    assert.equal(1, #seen + q:qsize())
    assert.equal(0, q:stats().getters)
  end)

  it("under a deadline", function()
    assert.equal("TimeoutError", try(aq.wait_for, aq.map, 2, 2, slowly, { 5, 5, 5 }))
  end)

  it("where it cannot wait starts nothing; for an empty list it need not wait", function()
    local seen, results = helper.log(), nil
    local function in_sort(source)
      return pcall(table.sort, { 2, 1 }, function()
        results = aq.map(2, function(item) seen(item) end, source)
      end)
    end
    local before = #aq.all_tasks()
    for _, source in ipairs { { 1 }, function() seen "asked" end, aq.Queue() } do
      local ok, err = in_sort(source)
      assert.is_false(ok)
      assert.equal(before, #aq.all_tasks())
      assert.matches("^spec/group_spec.lua:%d+: cannot wait here: inside table.sort", err)
    end
    tick(3)
    assert.equal("", seen:text())
    assert.is_true(in_sort {})
    assert.same({ n = 0 }, results)
  end)

  it("refuses bad arguments at the caller's line", function()
    for _, n in ipairs { 0, -1, 1.5, "2", true, {} } do
      local err = error_of(function() aq.map(n, slowly, { 1 }) end)
      assert.matches("^spec/group_spec.lua:%d+: bad argument #1 to 'map'", err)
    end
    assert.matches("bad argument #1", error_of(aq.map, nil, slowly, {}), 1, true)
    assert.matches("bad argument #2", error_of(aq.map, 1, 5, {}), 1, true)
    for _, source in ipairs { 5, "x", true, aq.Event() } do
      local err = error_of(function() aq.map(1, slowly, source) end)
      assert.matches("^spec/group_spec.lua:%d+: bad argument #3 to 'map'", err)
    end
    assert.matches("bad argument #3", error_of(aq.map, 1, slowly), 1, true)
  end)

  it("a table that stands for another is a list", function()
    local list = { 1, 2, 3 }
    local by_table = setmetatable({}, { __index = list })
    local by_function = setmetatable({}, { __index = function(_, i) return list[i] end })
    for _, source in ipairs { by_table, by_function } do
      for n = 1, 4 do
        assert.same({ 1, 2, 3, n = 3 }, aq.map(n, function(item) return item end, source))
      end
    end
  end)

  it("a million places for a few items, and a list that grows meanwhile", function()
    local list = { 1, 2 }
    local results = aq.map(1000000, function(item)
      tick()
      return item
    end, list)
    assert.same({ 1, 2, n = 2 }, results)
    results = aq.map(2, function(item)
      if #list < 5 then list[#list + 1] = #list + 1 end
      tick()
      return item
    end, list)
    assert.same({ 1, 2, 3, 4, 5, n = 5 }, results)
  end)
end)
