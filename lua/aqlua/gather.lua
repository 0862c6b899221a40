-- aq.gather: several at once, the results in the order of the arguments.

local aq, internal = ...

local function check_options(options)
  if options == nil then return {} end
  if type(options) ~= "table" then
    internal.type_error(2, "gather", "table", options, 4)
  end
  for key in pairs(options) do
    if key ~= "return_exceptions" then
      error(("bad argument #2 to 'gather' (unknown option '%s')"):format(tostring(key)), 4)
    end
  end
  return options
end

-- The awaitables as a list, its length, and the options: of either form of the call.
local function arguments(...)
  local list, options = ...
  if type(list) ~= "table" or internal.is_callable(list) then
    return { ... }, select("#", ...), {}
  end
  return list, internal.length(list, "gather", 3), check_options(options)
end

-- The Tasks and Futures among the arguments of `fname`, which has called this.
function internal.check_awaitables(list, n, fname)
  local futures = {}
  for i = 1, n do
    if internal.is_future(list[i]) then
      futures[#futures + 1] = list[i]
    elseif not internal.is_callable(list[i]) then
      internal.type_error(i, fname, "Task, Future or function", list[i], 3)
    end
  end
  return futures
end

-- Before any function becomes a task, since a call that is refused must leave none behind: may it
-- wait here, and for these?
function internal.check_wait_for(futures, fname)
  internal.check_wait()
  internal.set_children(aq.Future(), futures, fname, false)
end

-- The children in order, and each of them once (G1). A function becomes a task in each place.
function internal.make_children(list, n)
  local children, distinct, known = {}, {}, {}
  for i = 1, n do
    local child = internal.is_future(list[i]) and list[i] or aq.create_task(list[i])
    if not known[child] then
      known[child] = true
      distinct[#distinct + 1] = child
    end
    children[i] = child
  end
  return children, distinct
end

-- What a child that is done contributes: its first result or its error, and whether it failed.
local function outcome(child)
  local ok, value = pcall(child.result, child)
  return value, not ok
end

local function collect(children)
  local results = { n = #children, failed = {} }
  for i, child in ipairs(children) do
    local value, has_failed = outcome(child)
    results[i] = value
    results.failed[i] = has_failed or nil
  end
  return results
end

local function has_failed(child)
  return child:cancelled() or child:exception() ~= nil
end

-- A future settled by the children's callbacks: by the first failure, or by the last to end.
local function make_outer(children, distinct, return_exceptions)
  local outer, left = aq.Future(), #distinct
  internal.set_children(outer, children, ("gather of %d"):format(#children), true)
  local function on_done(child)
    left = left - 1
    local failed = has_failed(child) -- looking counts as retrieving, also when it is too late
    if outer:done() then return end
    local was_cancelled = internal.was_passed_cancel(outer)
    if failed and not return_exceptions and not (was_cancelled and child:cancelled()) then
      internal.fail_like(outer, child)
    elseif was_cancelled and (left == 0 or failed and not return_exceptions) then
      outer:cancel() -- the waiter's own cancel is raised, with its message
    elseif left == 0 then
      outer:set_result(collect(children))
    end
  end
  return outer, on_done
end

function aq.gather(...)
  local list, n, options = arguments(...)
  internal.check_task(2)
  local futures = internal.check_awaitables(list, n, "gather")
  if #futures < n then internal.check_wait_for(futures, "gather") end
  local children, distinct = internal.make_children(list, n)
  if n == 0 then return { n = 0, failed = {} } end
  local outer, on_done = make_outer(children, distinct, options.return_exceptions)
  local done_already = {}
  for _, child in ipairs(distinct) do
    if child:done() then
      done_already[#done_already + 1] = child
    else
      child:add_done_callback(on_done)
    end
  end
  for _, child in ipairs(done_already) do on_done(child) end
  return outer:await()
end
