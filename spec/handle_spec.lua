-- Other threads reach a runtime: spec/embed/handle_test.c.

local helper = require "spec.helper"
local embedder = require "spec.embedder"

describe("handles and posts", function()
  it("pass their tests", helper.within(60, function() embedder.check "handle_test" end))

  it("pass them under valgrind", helper.within(200, function()
    local why = embedder.why_no_valgrind()
    if why then return pending(why) end
    embedder.check("handle_test", embedder.VALGRIND)
  end))
end)
