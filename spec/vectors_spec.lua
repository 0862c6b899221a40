-- The concrete examples of the semantics (spec/model/vectors.lua), on the library and on the model.

local vectors = require "spec.model.vectors"
local model = require "spec.model.model"

local have_library, aq = pcall(require, "aqlua")

local function play_on_library(scenario)
  local events
  aq.run(function()
    local clock <close> = require("aqlua.testing").clock()
    events = vectors.play(aq, scenario)
    return clock ~= nil
  end)
  return events
end

describe("vector", function()
  for _, scenario in ipairs(vectors.list) do
    it(scenario.rule .. ", on the library", function()
      if not have_library then return pending "the library is not built" end
      assert.equal(scenario.expect, play_on_library(scenario))
    end)

    it(scenario.rule .. ", on the model", function()
      assert.equal(scenario.expect, vectors.play(model, scenario))
    end)
  end
end)
