-- aq.Condition and aq.Barrier, on locks and futures.

local aq, internal = ...

local Condition = { __name = "Condition" }
Condition.__index = Condition

local function check_class(value, class, method)
  if getmetatable(value) ~= class then
    error(("bad argument #1 to '%s' (%s expected, got %s)")
      :format(method, class.__name, type(value)), 3)
  end
end

function Condition:acquire(timeout)
  check_class(self, Condition, "acquire")
  return self.lock:acquire(timeout)
end

function Condition:release()
  check_class(self, Condition, "release")
  return self.lock:release()
end

function Condition:locked()
  check_class(self, Condition, "locked")
  return self.lock:locked()
end

Condition.guard = internal.make_guard(function(value)
  return getmetatable(value) == Condition
end, "Condition")

-- Notifies up to n of those that wait; not one whose wait is over, by a cancel or its time, and who
-- has only to find out.
local function wake(condition, n)
  for _, waiter in ipairs(condition.waiters) do
    if n == 0 then return end
    if not waiter:done() and internal.is_awaited(waiter) then
      waiter:set_result()
      n = n - 1
    end
  end
end

local function remove(list, value)
  for i, other in ipairs(list) do
    if other == value then
      table.remove(list, i)
      return
    end
  end
end

-- The lock is taken again whatever happened; a cancel that comes meanwhile is raised after that.
local function take_again(lock)
  do
    local shield <close> = internal.shield() -- luacheck: ignore
    lock:acquire()
  end
  internal.raise_cancel()
end

-- Lets go of the lock until notified, or until the timeout, and takes it again. An error after a
-- notification passes that on to the next, who may so be woken for nothing (K4).
function Condition:wait(timeout)
  check_class(self, Condition, "wait")
  internal.check_timeout(timeout, 2, "wait", 3)
  if not self.lock:locked() then error("wait: the lock is not held", 2) end
  if timeout and timeout <= 0 then error(aq.TimeoutError, 0) end
  local waiter = aq.Future()
  self.lock:release()
  table.insert(self.waiters, waiter)
  local ok, err = pcall(waiter.await, waiter, timeout)
  local was_notified = waiter:done() and not waiter:cancelled()
  remove(self.waiters, waiter)
  local taken, cancel = pcall(take_again, self.lock)
  if ok and taken then return true end
  if was_notified then wake(self, 1) end
  error(taken and err or cancel, 0)
end

function Condition:wait_for(predicate)
  check_class(self, Condition, "wait_for")
  if type(predicate) ~= "function" then
    error(("bad argument #2 to 'wait_for' (function expected, got %s)"):format(type(predicate)), 2)
  end
  if not self.lock:locked() then error("wait_for: the lock is not held", 2) end
  local result = predicate()
  while not result do
    self:wait()
    result = predicate()
  end
  return result
end

function Condition:notify(n)
  check_class(self, Condition, "notify")
  if not self.lock:locked() then error("notify: the lock is not held", 2) end
  if n ~= nil and math.type(n) ~= "integer" then
    error("bad argument #2 to 'notify' (integer expected)", 2)
  end
  wake(self, n or 1)
end

function Condition:notify_all()
  check_class(self, Condition, "notify_all")
  if not self.lock:locked() then error("notify_all: the lock is not held", 2) end
  wake(self, #self.waiters)
end

function Condition:__tostring()
  return ("Condition (%s, %d waiting)")
    :format(self.lock:locked() and "held" or "not held", #self.waiters)
end

function aq.Condition(lock)
  if lock ~= nil and not internal.is_lock(lock) then
    error(("bad argument #1 to 'Condition' (Lock expected, got %s)"):format(type(lock)), 2)
  end
  return setmetatable({ lock = lock or aq.Lock(), waiters = {} }, Condition)
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
