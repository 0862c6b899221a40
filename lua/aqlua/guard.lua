-- guard(): `local held <close> = lock:guard()` acquires now and releases when the block is left.

local aq, internal = ...

local Guard = { __name = "Guard" }

function Guard:__close()
  local thing = self.thing
  self.thing = nil
  if thing then thing:release() end
end

-- The guard exists before the lock is taken: nothing can fail in between and leave it held.
local function guard(thing, timeout)
  local held = setmetatable({}, Guard)
  thing:acquire(timeout)
  held.thing = thing
  return held
end

internal.guard = guard
for _, thing in ipairs { aq.Lock(), aq.Semaphore(), aq.BoundedSemaphore() } do
  getmetatable(thing).__index.guard = guard
end
