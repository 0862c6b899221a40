-- Runs that a host drives, step by step or by its own uv_run: spec/embed/drive_test.c.

local helper = require "spec.helper"
local embedder = require "spec.embedder"

describe("a host that drives a run", function()
  it("passes its tests", helper.within(60, function() embedder.check "drive_test" end))

  it("passes them under valgrind", helper.within(120, function()
    local why = embedder.why_no_valgrind()
    if why then return pending(why) end
    embedder.check("drive_test", embedder.VALGRIND)
  end))
end)
