-- aq.run: a program's outermost call, and the same inside a task.

local aq, internal = ...

-- The tasks created under `fn` belong to a scope of their own and end with it.
local function run_inside(me, fn, ...)
  internal.check_wait()
  local outer_scope, scope = internal.scope(me), internal.new_scope()
  internal.scope(me, scope)
  local child = aq.create_task(fn, ...)
  internal.scope(me, outer_scope)
  local outcome = table.pack(pcall(child.await, child))
  internal.drain(scope)
  if not outcome[1] then error(outcome[2], 0) end
  return table.unpack(outcome, 2, outcome.n)
end

function aq.run(fn, ...)
  if not internal.is_callable(fn) then
    internal.type_error(1, "run", "function", fn, 2)
  end
  local me = aq.current_task()
  if me then return run_inside(me, fn, ...) end
  return internal.call(fn, ...)
end
