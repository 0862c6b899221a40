-- Random programs on the library and on the model (spec/model): the logs must be the same.
--
-- AQLUA_SEED=n      the first seed; seeds n, n+1, ... are used (default 1)
-- AQLUA_PROGRAMS=n  how many programs of each generator (default 700)
-- One failing program again: AQLUA_SEED=<its seed> AQLUA_PROGRAMS=1.

local model = require "spec.model.model"
local program = require "spec.model.program"
local generate = require "spec.model.generate"
local compare = require "spec.model.compare"

local helper = require "spec.helper"
local have_library, aq = pcall(require, "aqlua")

local SEED = tonumber(os.getenv "AQLUA_SEED") or 1
local PROGRAMS = tonumber(os.getenv "AQLUA_PROGRAMS") or 700

-- The first program of a generator on which two implementations differ, told at length; or nil.
local function first_difference(name, api)
  for seed = SEED, SEED + PROGRAMS - 1 do
    local prog = generate.program(name, seed)
    if compare.differ(api, model, prog) then
      local small = compare.shrink(prog, function(p) return compare.differ(api, model, p) end)
      local text = compare.explain(api, model, small)
      return ("generator %s, AQLUA_SEED=%d\n%s"):format(name, seed, text)
    end
  end
end

-- All programs of a generator run under one virtual clock, as one main task. Reports are part of
-- the logs.
local function differences_under_virtual_clock(name)
  local difference
  helper.reports_of(function()
    aq.run(function()
      local clock <close> = require("aqlua.testing").clock()
      difference = first_difference(name, aq)
      return clock ~= nil
    end)
  end)
  return difference
end

describe("the model", function()
  it("is deterministic and loses no item", function()
    for _, name in ipairs(generate.names) do
      for seed = SEED, SEED + math.min(PROGRAMS, 50) - 1 do
        local first = compare.log_of(model, generate.program(name, seed))
        local again = compare.log_of(model, generate.program(name, seed))
        assert.same(first, again)
        assert.is_nil(first[#first]:match "^items lost.*")
        assert.is_nil(table.concat(first, "\n"):match "[^\n]*BUG[^\n]*")
      end
    end
  end)

  it("runs the text of a program as the program", function()
    local prog = generate.program("nested", SEED)
    local copy = assert(load("return " .. program.format(prog)))()
    assert.same(prog, copy)
  end)

  it("tells a wrong implementation, and with how little", function()
    local wrong = setmetatable({Queue = model.LifoQueue}, {__index = model})
    local prog = generate.program("cancel_get", 1)
    prog.queues[1].order, prog.queues[1].overflow = "fifo", nil
    prog.tasks[1] = {{"put", q = 1}, {"put", q = 1, timeout = 5}, {"get", q = 1}, {"sleep", d = 1}}
    local function fails(p) return compare.differ(wrong, model, p) end
    assert.is_true(fails(prog))
    local small, ops = compare.shrink(prog, fails), 0
    for _, list in ipairs(small.tasks) do ops = ops + #list end
    assert.is_true(ops <= 3)
  end)
end)

describe("the library and the model, seed " .. SEED .. ":", function()
  for _, name in ipairs(generate.names) do
    it(("%d programs of '%s'"):format(PROGRAMS, name), function()
      if not have_library then return pending "the library is not built" end
      local difference = differences_under_virtual_clock(name)
      assert(not difference, difference)
    end)
  end
end)
