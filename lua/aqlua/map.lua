-- aq.map: a function over many items, at most n at a time.

local aq, internal = ...

-- The source as a function that returns the next item, or nil at the end.
local function as_iterator(source)
  if internal.is_callable(source) then return source end
  if internal.is_queue(source) then return (source:items()) end
  if type(source) ~= "table" then
    internal.type_error(3, "map", "list, iterator or queue", source, 3)
  end
  local i = 0
  return function()
    i = i + 1
    return source[i]
  end
end

-- How many calls, n at most, have an item now: more tasks than a list has items would be in vain.
-- Counted by the items, since the length of a table that stands for another is 0.
local function count_ready(source, n)
  if type(source) ~= "table" or internal.is_callable(source) then return n end
  local count = 0
  while count < n and source[count + 1] ~= nil do count = count + 1 end
  return count
end

-- One of the n: takes the next item as long as there is one. The lock makes the others wait while
-- an iterator itself waits.
local function work(state, fn)
  while true do
    local item, place
    do
      local held <close> = state.lock:guard() -- luacheck: ignore
      if not state.is_over then
        state.is_over = true -- a source that raises is not asked again
        item = state.next_item()
        state.is_over = item == nil
      end
      if item == nil then return end
      state.n = state.n + 1
      place = state.n
    end
    state.results[place] = fn(item)
  end
end

-- Runs n of them. One that ends cancelled although nothing has failed and nobody has cancelled the
-- map is a failure here (as in gather, G3), which a group would pass over: it cancels the others.
local function run_workers(state, fn, n)
  local group <close> = aq.TaskGroup()
  local function on_end(worker)
    if not worker:cancelled() or group.is_aborting then return end
    state.cancelled = worker
    group:cancel()
  end
  for _ = 1, n do group:create_task(work, state, fn):add_done_callback(on_end) end
end

-- Results in the order of the items, with `n`. The first error cancels the rest and is raised.
function aq.map(n, fn, source)
  if math.type(n) ~= "integer" or n < 1 then
    error("bad argument #1 to 'map' (positive integer expected)", 2)
  elseif not internal.is_callable(fn) then
    internal.type_error(2, "map", "function", fn, 2)
  end
  internal.check_task(2)
  local state = { next_item = as_iterator(source), lock = aq.Lock(), results = {}, n = 0 }
  n = count_ready(source, n)
  if n > 0 then internal.check_wait() end
  run_workers(state, fn, n)
  if state.cancelled then state.cancelled:result() end -- raises
  state.results.n = state.n
  return state.results
end
