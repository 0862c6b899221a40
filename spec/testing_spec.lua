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

-- Whether time stands still while the processor is busy.
local function is_virtual()
  local start, from = aq.now(), os.clock()
  repeat until os.clock() - from > 0.002
  return aq.now() == start
end

describe("clock", function()
  it("jumps to the next deadline when nothing is ready, and not before (O4)", function()
    local start, log = aq.now(), helper.log()
    local function at() return math.floor(aq.now() - start + 0.5) end
    aq.create_task(function()
      aq.sleep(60)
      log("a", at())
    end)
    aq.create_task(function()
      tick(50)
      log("b", at())
      aq.sleep(3600)
      log("c", at())
    end)
    aq.sleep(7200)
    log("main", at())
    assert.equal("b 0, a 60, c 3600, main 7200", log:text())
  end)

  it("is the real one again when its block ends or it is closed", helper.real_clock(function()
    assert.is_false(is_virtual())
    do
      local clock <close> = testing.clock() -- luacheck: ignore
      assert.is_true(is_virtual())
    end
    assert.is_false(is_virtual())
    local clock = testing.clock()
    clock:close()
    clock:close()
    assert.is_false(is_virtual())
  end))

  it("one over another: the real one is back when both are closed, in either order",
    helper.real_clock(function()
      for first = 1, 2 do
        local clocks = { testing.clock(), testing.clock() }
        clocks[first]:close()
        assert.is_true(is_virtual())
        clocks[3 - first]:close()
        clocks[first]:close()
        assert.is_false(is_virtual())
      end
    end))
end)

local IN_ORDER = "1 2 3 4 5 6 7 8 9 10 11 12"

-- The order in which twelve tasks take their next step.
local function order_now()
  local order = {}
  for i = 1, 12 do
    aq.create_task(function() order[#order + 1] = i end)
  end
  testing.settle()
  return table.concat(order, " ")
end

local function orders_of(seed, n)
  local shuffle <close> = testing.shuffle(seed) -- luacheck: ignore
  local orders = {}
  for i = 1, n do orders[i] = order_now() end
  return orders
end

describe("shuffle", function()
  it("gives another order with each seed, and each turn, and first in, first out after it (O5)",
    function()
      local seen = { [IN_ORDER] = true }
      assert.equal(IN_ORDER, order_now())
      for seed = 1, 50 do
        for _, order in ipairs(orders_of(seed, 3)) do
          assert.is_nil(seen[order])
          seen[order] = true
        end
      end
      assert.equal(IN_ORDER, order_now())
    end)

  it("gives the same orders with the same seed (O5)", function()
    for _, seed in ipairs { 1, -1, 7, math.maxinteger, math.mininteger } do
      assert.same(orders_of(seed, 5), orders_of(seed, 5))
    end
  end)

  it("loses nobody, and shuffles all that are ready in a turn", function()
    local all = {}
    for i = 1, 12 do all[i] = i end
    local first = {}
    for seed = 1, 200 do
      local order = {}
      for word in orders_of(seed, 1)[1]:gmatch "%d+" do order[#order + 1] = tonumber(word) end
      first[order[1]] = true
      table.sort(order)
      assert.same(all, order)
    end
    assert.equal(12, #first)
  end)

  it("picks a seed, another one each time, and draws nothing from math.random", function()
    local seeds = {}
    math.randomseed(42)
    local expected = math.random(1 << 40)
    math.randomseed(42)
    for _ = 1, 100 do
      local shuffle <close> = testing.shuffle()
      assert.equal("integer", math.type(shuffle.seed))
      assert.is_true(shuffle.seed ~= 0 and not seeds[shuffle.seed])
      seeds[shuffle.seed] = true
    end
    assert.equal(expected, math.random(1 << 40))
  end)

  it("one inside another: the outer one goes on where it was (O5)", function()
    local expected = orders_of(5, 2)
    local outer = testing.shuffle(5)
    assert.equal(expected[1], order_now())
    assert.same(orders_of(9, 3), orders_of(9, 3))
    assert.equal(expected[2], order_now())
    outer:close()
    assert.equal(IN_ORDER, order_now())
  end)

  it("closed before one that is inside, and closed again, leaves no order behind", function()
    local outer = testing.shuffle(5)
    local inner = testing.shuffle(9)
    outer:close()
    assert.equal(orders_of(9, 1)[1], order_now())
    inner:close()
    outer:close()
    inner:close()
    assert.equal(IN_ORDER, order_now())
  end)

  it("refuses what is no seed", function()
    for _, bad in ipairs { 0, 1.5, "1", {}, true } do
      local err = error_of(function() testing.shuffle(bad) end)
      assert.matches("^spec/testing_spec.lua:%d+: bad argument #1 to 'shuffle'", err)
    end
    assert.equal(IN_ORDER, order_now())
  end)
end)

describe("the seed", function()
  local function printed_by(leave)
    local _, err = helper.run_script([[
      local aq = require "aqlua"
      local testing = require "aqlua.testing"
      local function block(leave)
        while true do
          local shuffle <close> = testing.shuffle(77)
          aq.sleep(0)
          if leave == "return" then return 1 end
          if leave == "tail" then return tostring(1) end
          if leave == "break" then break end
          if leave == "goto" then goto out end
          if leave == "error" then error "problem" end
          if leave == "nil" then error() end
          if leave == "cancel" then aq.current_task():cancel() aq.sleep(0) end
        end
        ::out::
      end
      local leave = ...
      if leave == "handler" then xpcall(block, function() end, "error") os.exit(0, true) end
      local task = aq.create_task(block, leave)
      pcall(task.await, task)
      pcall(block, leave ~= "cancel" and leave or "error")
      coroutine.wrap(pcall)(block, leave ~= "cancel" and leave or "error")
    ]], { leave })
    return select(2, err:gsub("shuffled with seed 77\n", ""))
  end

  it("is printed when the block is left by an error, also if that is nil (O5)", function()
    for _, leave in ipairs { "error", "nil", "cancel" } do
      assert.equal(3, printed_by(leave), leave)
    end
    assert.equal(1, printed_by "handler")
  end)

  it("is not printed when the block is left otherwise", function()
    for _, leave in ipairs { "return", "tail", "break", "goto" } do
      assert.equal(0, printed_by(leave), leave)
    end
  end)
end)

describe("a failing test", function()
  local SPEC = [[
    local aq = require "aqlua"
    local testing = require "aqlua.testing"

    local function shuffled(body)
      return function()
        local shuffle <close> = testing.shuffle(tonumber(os.getenv "SEED"))
        body()
      end
    end

    describe("twelve tasks", function()
      it("step in the order they were made", shuffled(function()
        local order = {}
        for i = 1, 12 do
          aq.create_task(function() order[#order + 1] = i end)
        end
        aq.sleep(1)
        print("order " .. table.concat(order, " "))
        assert.equal(os.getenv "EXPECTED", order[1])
      end))

      it("do not care", shuffled(function() end))
    end)
  ]]

  -- Runs the spec with busted; returns the order, and the seeds that are printed.
  local function run_busted(environment)
    local path = helper.write_file(SPEC)
    local spec = path .. ".lua" -- other names are no specs to busted
    assert(os.rename(path, spec))
    local runner = helper.write_file 'require "busted.runner" { standalone = false }'
    local out, err, status = helper.run(("%s timeout -k 5 60 %s %s --ignore-lua -o TAP %s"):format(
      environment, helper.aqlua, runner, spec))
    os.remove(spec)
    os.remove(runner)
    local seeds = {}
    for seed in err:gmatch "aqlua.testing: the order was shuffled with seed (%S+)\n" do
      seeds[#seeds + 1] = seed
    end
    assert.equal(1, status)
    return out:match "order ([%d ]+)", seeds
  end

  it("prints its seed, which gives the same order again (O5)", helper.real_clock(function()
    local order, seeds = run_busted ""
    assert.equal(1, #seeds) -- that of the test that fails, and no other
    assert.not_equal(IN_ORDER, order)
    local again, seeds_again = run_busted("SEED=" .. seeds[1])
    assert.equal(order, again)
    assert.same(seeds, seeds_again)
    assert.not_equal(order, (run_busted("SEED=" .. tonumber(seeds[1]) + 1)))
  end))
end)
