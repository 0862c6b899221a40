-- aq.await: a call with a callback, as a call that waits.

local aq, internal = ...

-- Closes what the function returned, if it can be closed: a handle of luv, a file, a <close> value.
local function close(handle)
  local meta = getmetatable(handle)
  if type(meta) == "table" and meta.__close then
    pcall(meta.__close, handle)
  elseif type(handle) == "userdata" or type(handle) == "table" then
    local ok, method = pcall(function() return handle.close end)
    if ok and method then pcall(method, handle) end
  end
end

-- Calls `start(done)` and waits until `done(...)` is called, from any callback on the loop's
-- thread; returns what it was called with. A `done` that comes after a timeout or a cancel is
-- ignored; a second one is a mistake.
function aq.await(start, timeout)
  if not internal.is_callable(start) then
    internal.type_error(1, "await", "function", start, 2)
  end
  internal.check_timeout(timeout, 2, "await", 2)
  internal.check_task(2)
  local answer, was_called = aq.Future(), false
  local function done(...)
    if was_called then error("done: was called already", 2) end
    was_called = true
    if not answer:done() then answer:set_result(...) end
  end
  local handle = start(done)
  local outcome = table.pack(pcall(answer.await, answer, timeout))
  if outcome[1] then return table.unpack(outcome, 2, outcome.n) end
  was_called = false
  answer:cancel()
  close(handle)
  error(outcome[2], 0)
end
