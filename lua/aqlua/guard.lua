-- guard(): `local held <close> = lock:guard()` acquires now and releases when the block is left.

local aq, internal = ...

local Guard = { __name = "Guard" }

function Guard:__close()
  local thing = self.thing
  self.thing = nil
  if thing then thing:release() end
end

-- The method guard of things that `is_one(thing)` knows. The guard exists before the lock is taken:
-- nothing can fail in between and leave it held.
local function make_guard(is_one, class)
  return function(thing, timeout)
    if not is_one(thing) then
      internal.type_error(1, "guard", class, thing, 2)
    end
    local held = setmetatable({}, Guard)
    thing:acquire(timeout)
    held.thing = thing
    return held
  end
end

local guard = make_guard(internal.is_semaphore, "Lock or Semaphore")
for _, thing in ipairs { aq.Lock(), aq.Semaphore(), aq.BoundedSemaphore() } do
  getmetatable(thing).__index.guard = guard
end

getmetatable(aq.Condition()).__index.guard = make_guard(internal.is_condition, "Condition")
