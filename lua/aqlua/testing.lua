-- aqlua.testing: time under control. `require "aqlua.testing"`.

local _, internal = ...

local testing = {}

-- The virtual clock: stands still while any task is ready, then jumps to the next deadline.
local Clock = { __name = "Clock" }
Clock.__index = Clock

function Clock:close()
  if self.is_open then
    self.is_open = false
    internal.use_virtual_clock(self.was_virtual)
  end
end
Clock.__close = Clock.close

function testing.clock()
  local was_virtual = internal.is_virtual_clock()
  internal.use_virtual_clock(true)
  return setmetatable({ is_open = true, was_virtual = was_virtual }, Clock)
end

return testing
