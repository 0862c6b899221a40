-- Listing tasks, and leaving an `aq.run`: cancelling what is left and waiting for it.

local aq, internal = ...

-- A value for a <close> variable: calls `fn` when the block is left.
local OnClose = { __close = function(self) self[1]() end }
function internal.on_close(fn) return setmetatable({ fn }, OnClose) end

-- Raises that argument `position` is not what is expected but, say, a Queue. `level` is that of the
-- error, 2 for the caller of the caller; `hint` is added.
function internal.type_error(position, fname, expected, value, level, hint)
  error(("bad argument #%d to '%s' (%s expected, got %s%s)")
    :format(position, fname, expected, internal.type_name(value), hint or ""), level + 1)
end

-- Refuses what is no timeout; `level` is that of the error, 2 for the caller of the caller.
function internal.check_timeout(value, position, fname, level)
  if value == nil or type(value) == "number" and value == value then return end
  local got = type(value) == "number" and "NaN" or internal.type_name(value)
  error(("bad argument #%d to '%s' (number of seconds expected, got %s)")
    :format(position, fname, got), level + 1)
end

-- Refuses a value where ignoring it would hide a mistake; `hint` says what is right.
function internal.check_no_more(value, position, fname, hint)
  if value == nil then return end
  error(("bad argument #%d to '%s' (no value expected: %s)"):format(position, fname, hint), 3)
end

-- The length of a list that is argument #1: its field `n`, or else what `#` says.
function internal.length(list, fname, level)
  local n = list.n
  if n == nil then return #list end
  n = type(n) == "number" and math.tointeger(n)
  if n and n >= 0 then return n end
  error(("bad argument #1 to '%s' (field 'n': integer of 0 or more expected, got %s)")
    :format(fname, tostring(list.n)), level + 1)
end

-- Refuses a call that waits, outside of a task.
function internal.check_task(level)
  if aq.current_task() then return end
  error(internal.why_no_task(), level + 1)
end

local GRACE = 5 -- seconds that clean-up may take when the program is over

function aq.all_tasks()
  local list = internal.live_tasks()
  table.sort(list, internal.is_older)
  return list
end
internal.all_tasks = aq.all_tasks

-- The tasks not done, but the running one; only those of one scope, if it is given.
local function others(scope)
  local me, list = aq.current_task(), {}
  for _, task in ipairs(aq.all_tasks()) do
    if task ~= me and (scope == nil or internal.scope(task) == scope) then
      list[#list + 1] = task
    end
  end
  return list
end

-- Waits until all of the tasks have ended or the time is up. Looks at no outcome.
local function await_all(tasks, timeout)
  local all_done, left = aq.Future(), #tasks
  local function one_done()
    left = left - 1
    if left == 0 and not all_done:done() then all_done:set_result() end
  end
  for _, task in ipairs(tasks) do task:add_done_callback(one_done) end
  local ok, err = pcall(all_done.await, all_done, timeout)
  for _, task in ipairs(tasks) do task:remove_done_callback(one_done) end
  if not ok and err ~= aq.TimeoutError then error(err, 0) end
end

local function complain(task, what)
  internal.report(("aqlua: task '%s' %s; it was closed\n"):format(task:get_name(), what))
end

-- Names what did not end by itself, and ends it.
local function settle_accounts(tasks, is_late)
  for _, task in ipairs(tasks) do
    if internal.is_stubborn(task) then
      complain(task, "swallowed its cancellation 100 times")
    elseif is_late and not task:done() then
      complain(task, ("was still cleaning up after %d s"):format(GRACE))
      internal.close_task(task)
    end
  end
end

-- Cancels all tasks (of a scope) and waits for them, and for those they still create.
function internal.drain(scope)
  local shield <close> = internal.shield() -- luacheck: ignore
  local deadline = aq.now() + GRACE
  local tasks = others(scope)
  while #tasks > 0 do
    for _, task in ipairs(tasks) do internal.end_task(task) end
    await_all(tasks, deadline - aq.now())
    settle_accounts(tasks, aq.now() >= deadline)
    tasks = others(scope)
  end
end
