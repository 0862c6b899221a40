-- aq.await: a call with a callback as a call that waits.

local aq = require "aqlua"
local helper = require "spec.helper"

local tick = helper.tick
local try, error_of = helper.try, helper.error_of

-- Calls fn(...) after `turns` turns, as a callback of other code would.
local function later(turns, fn, ...)
  local args = table.pack(...)
  aq.create_task(function()
    tick(turns)
    fn(table.unpack(args, 1, args.n))
  end)
end

local function log_close(log, name)
  return function(self) log("close", name, self ~= nil) end
end

-- A task in aq.await whose function returns `handle`; returns it and the function's `done`.
local function waiting(handle, timeout)
  local done
  local task = aq.create_task(function()
    return aq.await(function(d)
      done = d
      return handle
    end, timeout)
  end)
  tick()
  return task, done
end

describe("await", function()
  it("returns what done is called with later", function()
    local hop <close> = helper.hops()
    local value = aq.await(function(done) later(3, done, "value") end)
    assert.equal("value", value)
    assert.equal(5, hop())
  end)

  it("called before the function returns: no wait", function()
    local hop <close> = helper.hops()
    assert.same({ 1, 2, 3 }, { aq.await(function(done) done(1, 2, 3) end) })
    assert.equal(0, hop())
  end)

  it("keeps nils, and their number", function()
    for _, turns in ipairs { 0, 2 } do
      local function call(...)
        local args = table.pack(...)
        return table.pack(aq.await(function(done)
          if turns == 0 then
            done(table.unpack(args, 1, args.n))
          else
            later(turns, done, table.unpack(args, 1, args.n))
          end
        end))
      end
      assert.same({ n = 0 }, call())
      assert.same({ n = 1 }, call(nil))
      assert.same({ nil, false, nil, n = 3 }, call(nil, false, nil))
      assert.same({ nil, nil, nil, 4, nil, n = 5 }, call(nil, nil, nil, 4, nil))
    end
  end)

  it("many values", function()
    local list = {}
    for i = 1, 200 do list[i] = i end
    assert.same(list, { aq.await(function(done) later(1, done, table.unpack(list)) end) })
  end)

  it("passes errors of callback code as plain values: they are results", function()
    assert.same({ nil, "ENOENT" }, { aq.await(function(done) later(1, done, nil, "ENOENT") end) })
  end)

  it("done may be called from a done callback, or another task", function()
    local future = aq.Future()
    later(2, future.set_result, future, "set")
    assert.equal("set", aq.await(function(done)
      future:add_done_callback(function() done(future:result()) end)
    end))
  end)

  it("done a second time is an error, at the caller's line", function()
    local done
    aq.await(function(d)
      done = d
      d()
    end)
    local err = error_of(function() done() end)
    assert.matches("^spec/await_spec.lua:%d+: done: was called already", err)
    error_of(done)
    local task, again = waiting()
    again "first"
    assert.matches("was called already", error_of(again, "second"), 1, true)
    assert.equal("first", task:await())
    assert.matches("was called already", error_of(again), 1, true)
  end)

  it("done a second time inside the function: the error is the function's", function()
    assert.matches("was called already", error_of(aq.await, function(done)
      done(1)
      done(2)
    end), 1, true)
  end)

  it("an error in the function is raised as it was thrown, and done is dead", function()
    local problem, done = {}, nil
    assert.is_true(rawequal(problem, error_of(aq.await, function(d)
      done = d
      error(problem)
    end)))
    done "late" -- nobody waits: ignored
    assert.matches("^spec/await_spec.lua:%d+: text$", error_of(aq.await, function()
      error "text"
    end))
    tick()
  end)

  it("the function may wait itself", function()
    assert.equal("both", aq.await(function(done)
      tick(3)
      done "both"
      tick(3)
    end))
  end)

  it("with a timeout: TimeoutError, and a late done is ignored", function()
    local start, done = aq.now(), nil
    assert.equal(aq.TimeoutError, error_of(aq.await, function(d) done = d end, 2))
    assert.near(2, aq.now() - start, 1e-6)
    done "late"
    tick(2)
  end)

  it("in time", function()
    assert.equal("value", aq.await(function(done) later(1, done, "value") end, 2))
  end)

  it("a timeout of 0 or less: failure takes a turn, success none (X10)", function()
    local hop <close> = helper.hops()
    assert.equal("TimeoutError", try(aq.await, function() end, 0))
    assert.equal("TimeoutError", try(aq.await, function() end, -1))
    assert.equal(2, hop())
    assert.equal("now", aq.await(function(done) done "now" end, 0))
    assert.equal(2, hop())
  end)

  it("refuses bad arguments before it calls the function", function()
    local log = helper.log()
    assert.matches("function expected, got nil", error_of(aq.await), 1, true)
    assert.matches("function expected, got table", error_of(aq.await, {}), 1, true)
    assert.matches("^spec/await_spec.lua:%d+: ", error_of(function() aq.await(5) end))
    assert.is_false((pcall(aq.await, function() log "called" end, "1")))
    assert.is_false((pcall(aq.await, function() log "called" end, 0 / 0)))
    assert.equal("", log:text())
  end)

  it("outside of a task is refused, before the function is called", function()
    local out, err, status = helper.run_stock [[
      local aq = require "aqlua"
      aq.await(function() print "called" end)
    ]]
    assert.equal(1, status)
    assert.matches("no task is running", err, 1, true)
    assert.equal("", out)
  end)

  it("nothing that can wake it: DeadlockError", function()
    assert.equal("DeadlockError", try(aq.await, function() end))
    assert.matches("%-%d+: await, for ", error_of(aq.await, function() end).message)
  end)

  it("cancelled: CancelledError, and a late done is ignored", function()
    local task, done = waiting()
    task:cancel()
    tick(2)
    assert.is_true(task:cancelled())
    done "late"
    tick(2)
  end)

  it("done and cancel in one turn: cancelled, done does no harm (T8)", function()
    for _, first in ipairs { "done", "cancel" } do
      local task, done = waiting()
      if first == "cancel" then task:cancel() end
      done "value"
      if first == "done" then task:cancel() end
      tick(3)
      assert.is_true(task:cancelled())
    end
  end)

  it("under wait_for, aq.timeout and shield", function()
    assert.equal("TimeoutError", try(aq.wait_for, aq.await, 1, function() end))
    assert.equal("value", aq.wait_for(aq.await, 5, function(done) later(1, done, "value") end))
    local task = aq.create_task(function()
      return aq.shield(function()
        return aq.await(function(done) later(5, done, "shielded") end)
      end)
    end)
    tick(2)
    task:cancel()
    tick(8)
    assert.is_true(task:done())
  end)

  it("lets go of everything afterwards", function()
    local probe = setmetatable({}, { __mode = "k" })
    local kept
    do
      local value, handle = {}, {}
      probe[value], probe[handle] = true, true
      aq.await(function(done)
        done(value)
        return handle
      end)
      pcall(aq.await, function(done)
        kept = done -- as a library might
        return handle
      end, 1)
    end
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(probe))
    kept()
  end)

  describe("closes what the function returned", function()
    local KINDS = {
      ["a table with a method close"] = function(log)
        return { close = log_close(log, "method") }
      end,
      ["a table with __close"] = function(log)
        return setmetatable({}, { __close = log_close(log, "__close") })
      end,
      ["a table with both: __close"] = function(log)
        return setmetatable({ close = log_close(log, "method") },
          { __close = log_close(log, "__close") })
      end,
      ["a table with close by __index"] = function(log)
        return setmetatable({}, { __index = { close = log_close(log, "method") } })
      end,
    }
    for kind, make in pairs(KINDS) do
      local which = kind:match "__close" and "__close" or "method"

      it("on cancel, once: " .. kind, function()
        local log = helper.log()
        local task, done = waiting(make(log))
        task:cancel()
        tick(2)
        assert.is_true(task:cancelled())
        assert.equal("close " .. which .. " true", log:text())
        done()
        tick()
        assert.equal(1, #log)
      end)

      it("on timeout, once: " .. kind, function()
        local log = helper.log()
        assert.equal("TimeoutError", try(aq.await, function() return make(log) end, 1))
        assert.equal("close " .. which .. " true", log:text())
        assert.equal("TimeoutError", try(aq.await, function() return make(log) end, 0))
        assert.equal(2, #log)
      end)

      it("not when done was called: " .. kind, function()
        local log = helper.log()
        aq.await(function(done)
          done()
          return make(log)
        end)
        aq.await(function(done)
          later(1, done)
          return make(log)
        end)
        tick(2)
        assert.equal("", log:text())
      end)
    end

    it("a file: userdata", function()
      local file = assert(io.tmpfile())
      assert.equal("TimeoutError", try(aq.await, function() return file end, 1))
      assert.equal("closed file", io.type(file))
    end)

    it("on a deadlock", function()
      local log = helper.log()
      local handle = { close = log_close(log, "method") }
      assert.equal("DeadlockError", try(aq.await, function() return handle end))
      assert.equal("close method true", log:text())
    end)

    it("is not called with what cannot be closed", function()
      local strict = setmetatable({}, { __index = function() error "no such field" end })
      for _, value in ipairs { true, 5, "text", {}, print, { close = 5 }, strict,
                               coroutine.create(print), aq.Queue() } do
        assert.equal("TimeoutError", try(aq.await, function() return value end, 1))
      end
    end)

    it("an error in closing does not hide the cancel or timeout", function()
      local function bad() error "in close" end
      assert.equal("TimeoutError", try(aq.await, function() return { close = bad } end, 1))
      local task = waiting(setmetatable({}, { __close = bad }))
      task:cancel()
      tick(2)
      assert.is_true(task:cancelled())
    end)

    it("is called with the state in which done is ignored", function()
      local log = helper.log()
      local handle = {}
      local task, done = waiting(handle)
      function handle.close()
        log "closing"
        done "from close" -- as libraries do that report a cancelled operation
        log "closed"
      end
      task:cancel()
      tick(2)
      assert.is_true(task:cancelled())
      assert.equal("closing, closed", log:text())
    end)
  end)
end)
