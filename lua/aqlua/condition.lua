-- aq.Barrier, on a condition.

local aq, internal = ...

local function check_class(value, class, method)
  if getmetatable(value) ~= class then
    error(("bad argument #1 to '%s' (%s expected, got %s)")
      :format(method, class.__name, type(value)), 3)
  end
end

-- Barrier. The states: "filling" until all parties are there, then "draining" until all have gone;
-- "resetting" while those broken by reset are leaving; "broken" after abort.

local Barrier = { __name = "Barrier" }
Barrier.__index = Barrier

-- Waits until `predicate`; raises if the barrier is in one of the states by then.
local function wait_unless(barrier, predicate, ...)
  barrier.condition:wait_for(predicate)
  for _, state in ipairs { ... } do
    if barrier.state == state then error(aq.BrokenBarrierError, 0) end
  end
end

-- The lowest index that nobody present has.
local function free_index(barrier)
  local index = 0
  while barrier.present[index] do index = index + 1 end
  return index
end

local function leave(barrier, index)
  barrier.present[index] = nil
  barrier.count = barrier.count - 1
  if barrier.count > 0 then return end
  if barrier.state ~= "broken" then barrier.state = "filling" end
  barrier.condition:notify_all()
end

-- Waits for the other parties; returns 0 to parties - 1, each to one of them.
function Barrier:wait()
  check_class(self, Barrier, "wait")
  local held <close> = self.condition:guard() -- luacheck: ignore
  wait_unless(self, function()
    return self.state ~= "draining" and self.state ~= "resetting"
  end, "broken")
  local index = free_index(self)
  self.present[index] = true
  self.count = self.count + 1
  local leaving <close> = internal.on_close(function() leave(self, index) end) -- luacheck: ignore
  if self.count == self.size then
    self.state = "draining"
    self.condition:notify_all()
  else
    wait_unless(self, function() return self.state ~= "filling" end, "broken", "resetting")
  end
  return index
end

-- Those waiting get BrokenBarrierError; the barrier can be used again.
function Barrier:reset()
  check_class(self, Barrier, "reset")
  local held <close> = self.condition:guard() -- luacheck: ignore
  self.state = self.count > 0 and "resetting" or "filling"
  self.condition:notify_all()
end

-- Those waiting, and all who come later, get BrokenBarrierError.
function Barrier:abort()
  check_class(self, Barrier, "abort")
  local held <close> = self.condition:guard() -- luacheck: ignore
  self.state = "broken"
  self.condition:notify_all()
end

function Barrier:parties()
  check_class(self, Barrier, "parties")
  return self.size
end

function Barrier:n_waiting()
  check_class(self, Barrier, "n_waiting")
  return self.state == "filling" and self.count or 0
end

function Barrier:broken()
  check_class(self, Barrier, "broken")
  return self.state == "broken"
end

function Barrier:__tostring()
  return ("Barrier (%s, %d of %d)"):format(self.state, self.count, self.size)
end

function aq.Barrier(parties)
  if math.type(parties) ~= "integer" or parties < 1 then
    error("bad argument #1 to 'Barrier' (positive integer expected)", 2)
  end
  return setmetatable(
    { condition = aq.Condition(), state = "filling", present = {}, count = 0, size = parties },
    Barrier)
end
