-- aq.wait_for and aq.shield: waiting under a deadline, and out of reach of a cancel.

local aq, internal = ...

local function call_within(seconds, fn, ...)
  local scope <close> = aq.timeout(seconds) -- luacheck: ignore
  return fn(...)
end

-- The deadline cancels the future; its end is waited for.
local function await_within(seconds, future)
  local deadline <close> = internal.timeout_for(seconds, future) -- luacheck: ignore
  return future:await()
end

-- Cancels a future and waits for its end, through a callback so that nothing is passed on to it.
local function cancel_and_await(future)
  local ended = aq.Future()
  internal.set_children(ended, { future }, "wait_for", false)
  future:add_done_callback(function()
    if not ended:done() then ended:set_result() end
  end)
  future:cancel()
  ended:await()
end

-- With no time at all: what is not done is cancelled, and its end waited for.
local function result_at_once(future)
  if not future:done() then
    internal.check_wait()
    local shield <close> = internal.shield() -- luacheck: ignore
    cancel_and_await(future)
    if future:cancelled() then error(aq.TimeoutError, 0) end
  end
  return future:result()
end

function aq.wait_for(awaitable, timeout, ...)
  local is_future = internal.is_future(awaitable)
  if not is_future and not internal.is_callable(awaitable) then
    internal.type_error(1, "wait_for", "Task, Future or function", awaitable, 2,
      "; to wait for q:get() write aq.wait_for(q.get, timeout, q)")
  end
  internal.check_timeout(timeout, 2, "wait_for", 2)
  if not is_future then return call_within(timeout, awaitable, ...) end
  if timeout and timeout <= 0 then return result_at_once(awaitable) end
  return await_within(timeout, awaitable)
end

-- The wait is for a gate, which a cancel of the caller may cancel. The outcome is asked for only
-- once it is handed out: an error that comes too late stays unretrieved, and is reported (G6).
local function shield_future(inner)
  if inner:done() then return inner:result() end
  local gate = aq.Future()
  internal.set_children(gate, { inner }, "shield", false)
  local function open()
    if not gate:done() then gate:set_result() end
  end
  do
    local unhook <close> = internal.on_close(function() -- luacheck: ignore
      inner:remove_done_callback(open)
    end)
    inner:add_done_callback(open)
    gate:await()
  end
  return inner:result()
end

function aq.shield(awaitable, ...)
  if internal.is_future(awaitable) then return shield_future(awaitable) end
  if not internal.is_callable(awaitable) then
    internal.type_error(1, "shield", "Task, Future or function", awaitable, 2)
  end
  local shield <close> = internal.shield() -- luacheck: ignore
  return awaitable(...)
end
