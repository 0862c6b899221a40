-- The model's Condition and Barrier, written after asyncio's locks.py.

return function(M, parts)
  local misuse = parts.misuse

  -------------------------------------------------------------------------------------------------
  -- Condition

  local Condition = {}
  Condition.__index = Condition

  function M.Condition(lock)
    return setmetatable({lock = lock or M.Lock(), room = {}}, Condition)
  end

  function Condition:acquire(timeout) return self.lock:acquire(timeout) end

  function Condition:release() return self.lock:release() end

  function Condition:locked() return self.lock:locked() end

  local function notify(c, n)
    for _, w in ipairs(c.room) do
      if n <= 0 then return end
      if not w:done() then
        n = n - 1
        parts.settle(w, "result")
      end
    end
  end

  function Condition:notify(n)
    if not self.lock:locked() then misuse("notify without the lock") end
    notify(self, n or 1)
  end

  function Condition:notify_all()
    self:notify(#self.room)
  end

  -- K4: the lock is taken back under a shield, and a cancel that came meanwhile is raised then.
  -- What goes wrong after a notify passes one on. (asyncio's is cancelled in the lock's queue, and
  -- goes to its end; and whatever goes wrong passes a notify on.)
  -- X10: with no time at all the lock is free for one turn.
  function Condition:wait(timeout)
    if not self.lock:locked() then misuse("wait without the lock") end
    self.lock:release()
    local w, ok, err
    if timeout and timeout <= 0 then
      w, ok, err = {}, pcall(parts.suspend, nil)
      if ok then ok, err = false, M.TimeoutError end
    else
      w, ok, err = parts.wait_in(self.room, timeout)
    end
    parts.shielded_call(self.lock.acquire, self.lock)
    local t = parts.current_task()
    if parts.must_cancel(t) then
      parts.delivered(t)
      ok, err = false, M.CancelledError
    end
    if ok then return true end
    if w.state == "result" then notify(self, 1) end
    error(err, 0)
  end

  local function left(deadline)
    return deadline and deadline - parts.now()
  end

  -- As wait also when it need not wait, where asyncio lets it pass. When the time is up the
  -- predicate is asked a last time.
  function Condition:wait_for(predicate, timeout)
    if not self.lock:locked() then misuse("wait_for without the lock") end
    local deadline = timeout and parts.now() + math.max(timeout, 0)
    local result = predicate()
    while not result do
      local ok, err = pcall(self.wait, self, left(deadline))
      if not ok and err ~= M.TimeoutError then error(err, 0) end
      result = predicate()
      if not ok and not result then error(err, 0) end
    end
    return result
  end

  -------------------------------------------------------------------------------------------------
  -- Barrier: states filling, draining, resetting, broken

  local Barrier = {}
  Barrier.__index = Barrier

  function M.Barrier(size)
    if math.type(size) ~= "integer" or size < 1 then misuse("a barrier of less than one") end
    return setmetatable({size = size, state = "filling", count = 0, taken = {},
                         changed = M.Condition()}, Barrier)
  end

  local function is_closed(b)
    return b.state == "draining" or b.state == "resetting"
  end

  local function must_wait(b)
    return is_closed(b) or b.state == "filling" and b.count + 1 < b.size
  end

  -- A party whose time is up comes in only if it need not wait.
  local function enter(b, deadline)
    while is_closed(b) do
      local ok, err = pcall(b.changed.wait, b.changed, left(deadline))
      if not ok and (err ~= M.TimeoutError or must_wait(b)) then error(err, 0) end
    end
    if b.state == "broken" then error(M.BrokenBarrierError, 0) end
  end

  -- K5: asyncio gives the count at the arrival, and so one index twice after a cancel.
  local function free_index(b)
    local index = 0
    while b.taken[index] do index = index + 1 end
    return index
  end

  local function meet(b, deadline)
    if b.count == b.size then
      b.state = "draining"
      b.changed:notify_all()
      return
    end
    b.changed:wait_for(function() return b.state ~= "filling" end, left(deadline))
    if b.state ~= "draining" then error(M.BrokenBarrierError, 0) end
  end

  local function leave(b, index)
    b.taken[index] = nil
    b.count = b.count - 1
    if b.count > 0 then return end
    if b.state ~= "broken" then b.state = "filling" end
    b.changed:notify_all()
  end

  local function held(b, fn, ...)
    b.changed:acquire()
    local r = table.pack(pcall(fn, b, ...))
    b.changed:release()
    if not r[1] then error(r[2], 0) end
    return table.unpack(r, 2, r.n)
  end

  local function take_part(b, deadline)
    enter(b, deadline)
    local index = free_index(b)
    b.count, b.taken[index] = b.count + 1, true
    local ok, err = pcall(meet, b, deadline)
    leave(b, index)
    if not ok then error(err, 0) end
    return index
  end

  function Barrier:wait(timeout)
    local again = must_wait(self) and parts.second_look(timeout)
    if again then return self:wait(again) end
    return held(self, take_part, timeout and parts.now() + timeout)
  end

  function Barrier:reset()
    held(self, function(b)
      b.state = b.count > 0 and "resetting" or "filling"
      b.changed:notify_all()
    end)
  end

  function Barrier:abort()
    held(self, function(b)
      b.state = "broken"
      b.changed:notify_all()
    end)
  end

  function Barrier:parties() return self.size end

  function Barrier:n_waiting() return self.state == "filling" and self.count or 0 end

  function Barrier:broken() return self.state == "broken" end
end
