-- aqlua.testing: the virtual clock, settle, and the shuffled order. The numbers are those of the
-- semantics.

local aq = require "aqlua"
local testing = require "aqlua.testing"
local helper = require "spec.helper"

local tick = helper.tick
local error_of = helper.error_of

describe("settle", function()
  -- Takes n turns, and logs that.
  local function busy(log, n)
    return aq.create_task(function()
      tick(n)
      log("busy " .. n)
    end)
  end

  it("returns when all others wait, and lets no time pass (O4)", function()
    local log, start, q = helper.log(), aq.now(), aq.Queue()
    busy(log, 7)
    local sleeper = aq.create_task(aq.sleep, 1)
    local getter = aq.create_task(function() log(q:get()) end)
    testing.settle()
    assert.equal("busy 7", log:text())
    q:put_nowait "item"
    testing.settle()
    assert.equal("busy 7, item", log:text())
    assert.equal(start, aq.now())
    assert.is_true(getter:done())
    assert.is_false(sleeper:done())
    sleeper:await()
  end)

  it("takes one turn if nobody is ready", function()
    testing.settle()
    local turns = 0
    local watch = aq.create_task(function()
      while turns < 5 do
        turns = turns + 1
        aq.sleep(0)
      end
    end)
    testing.settle()
    assert.equal(5, turns)
    watch:await()
  end)

  it("waits for done callbacks to have run", function()
    local future, log = aq.Future(), helper.log()
    future:add_done_callback(function() log "called" end)
    future:set_result()
    testing.settle()
    assert.equal("called", log:text())
  end)

  for n = 2, 4 do
    it(("by %d tasks at once releases all (O4)"):format(n), function()
      local log, expected = helper.log(), { "busy 9" }
      busy(log, 9)
      for i = 1, n do
        aq.create_task(function()
          tick(i)
          testing.settle()
          log("settled " .. i)
        end)
        expected[i + 1] = "settled " .. i
      end
      aq.sleep(1)
      assert.equal(table.concat(expected, ", "), log:text())
    end)
  end

  it("by several: what the first does next does not hold up the others", function()
    local log = helper.log()
    for _, name in ipairs { "a", "b" } do
      aq.create_task(function()
        testing.settle()
        log(name .. " settled")
        tick(20)
        log(name .. " ends")
      end)
    end
    aq.sleep(1)
    assert.equal("a settled, b settled, a ends, b ends", log:text())
  end)

  it("by several, one after another: each call sees a settling of its own", function()
    local log = helper.log()
    busy(log, 3)
    local a = aq.create_task(function()
      for i = 1, 3 do
        testing.settle()
        log("a " .. i)
        if i < 3 then busy(log, 10 + i) end
      end
    end)
    local b = aq.create_task(function()
      tick(6)
      testing.settle()
      log "b"
    end)
    aq.gather(a, b)
    assert.equal("busy 3, a 1, b, busy 11, a 2, busy 12, a 3", log:text())
  end)

  it("broken off is forgotten: the others go on settling", function()
    local log = helper.log()
    local broken = aq.create_task(testing.settle)
    local other = aq.create_task(function()
      testing.settle()
      log "settled"
    end)
    busy(log, 5)
    tick(2)
    broken:cancel()
    assert.equal(aq.CancelledError, error_of(broken.await, broken))
    other:await()
    assert.equal("busy 5, settled", log:text())
    assert.matches("cannot wait here", error_of(table.sort, { 2, 1 }, testing.settle), 1, true)
    testing.settle()
  end)
end)
