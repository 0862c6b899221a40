-- Hosts in C: those that drive a run themselves, and threads that reach one.

local helper = require "spec.helper"
local embedder = require "spec.embedder"

for name, program in pairs {
  ["a host that drives a run"] = "drive_test",
  ["handles and posts"] = "handle_test",
} do
  describe(name, function()
    it("passes its tests", helper.within(60, function() embedder.check(program) end))

    it("passes them under valgrind", helper.within(200, function()
      local why = embedder.why_no_valgrind()
      if why then return pending(why) end
      embedder.check(program, embedder.VALGRIND)
    end))
  end)
end
