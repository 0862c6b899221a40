-- aq.wait and aq.as_completed: several at once, by when they end. Neither cancels anything.

local aq, internal = ...

local RETURN_WHEN = { ALL_COMPLETED = true, FIRST_COMPLETED = true, FIRST_EXCEPTION = true }

local function check_list(list, fname)
  if type(list) ~= "table" then
    internal.type_error(1, fname, "list", list, 3)
  elseif #list == 0 and fname == "wait" then
    error("bad argument #1 to 'wait' (list is empty)", 3)
  end
end

local function check_options(options)
  if options ~= nil and type(options) ~= "table" then
    internal.type_error(2, "wait", "table", options, 3)
  end
  for key, value in pairs(options or {}) do
    if key ~= "timeout" and key ~= "return_when" then
      error(("bad argument #2 to 'wait' (unknown option '%s')"):format(tostring(key)), 3)
    elseif key == "return_when" and not RETURN_WHEN[value] then
      error(("bad argument #2 to 'wait' (return_when: '%s')"):format(tostring(value)), 3)
    end
  end
  options = options or {}
  internal.check_timeout(options.timeout, 2, "wait", 3)
  return options.timeout, options.return_when or "ALL_COMPLETED"
end

local function split(futures)
  local done, pending = {}, {}
  for _, future in ipairs(futures) do
    local list = future:done() and done or pending
    list[#list + 1] = future
  end
  return done, pending
end

-- Whether a wait has nothing to wait for.
local function are_enough(futures, return_when)
  local all = true
  for _, future in ipairs(futures) do
    local is_done = future:done()
    local is_one = return_when == "FIRST_COMPLETED"
      or return_when == "FIRST_EXCEPTION" and internal.has_failed(future)
    if is_done and is_one then return true end
    all = all and is_done
  end
  return all
end

-- Waits for `gate`; that the time is up is no error here.
local function await_gate(gate, timeout)
  local ok, err = pcall(gate.await, gate, timeout)
  if not ok and err ~= aq.TimeoutError then error(err, 0) end
end

-- Waits until enough of them have ended, or the time is up.
local function wait_for_enough(futures, timeout, return_when)
  local gate, left = aq.Future(), #futures
  internal.set_children(gate, futures, ("wait for %d"):format(#futures), false)
  local function on_done(future)
    left = left - 1
    if gate:done() then return end
    if left == 0 or return_when == "FIRST_COMPLETED"
      or return_when == "FIRST_EXCEPTION" and internal.has_failed(future) then
      gate:set_result()
    end
  end
  local unhook <close> = internal.on_close(function() -- luacheck: ignore
    for _, future in ipairs(futures) do future:remove_done_callback(on_done) end
  end)
  for _, future in ipairs(futures) do future:add_done_callback(on_done) end
  await_gate(gate, timeout)
end

function aq.wait(list, options)
  local timeout, return_when = check_options(options)
  internal.check_task(2)
  check_list(list, "wait")
  local given = internal.check_awaitables(list, #list, "wait")
  local only_looks = timeout and timeout <= 0
  if #given < #list then internal.check_wait_for(given, "wait") end
  local _, futures = internal.make_children(list, #list)
  if not only_looks then
    wait_for_enough(futures, timeout, return_when)
  elseif not are_enough(futures, return_when) then
    aq.sleep(0) -- the second look (X10)
  end
  return split(futures)
end

-- With no time at all: those that have ended, also at a second look one turn later; and then
-- TimeoutError if there are others (X10).
local function only_done(futures)
  local done, pending = split(futures)
  local i, is_first_look = 0, true
  return function()
    i = i + 1
    if done[i] == nil and #pending > 0 and is_first_look then
      is_first_look = false
      aq.sleep(0)
      done, pending = split(pending)
      i = 1
    end
    if done[i] == nil and #pending > 0 then error(aq.TimeoutError, 0) end
    return done[i]
  end
end

-- for task in aq.as_completed(list, timeout) do: each when it has ended; the time is for all.
function aq.as_completed(list, timeout)
  internal.check_timeout(timeout, 2, "as_completed", 2)
  internal.check_task(2)
  check_list(list, "as_completed")
  local given = internal.check_awaitables(list, #list, "as_completed")
  if #given < #list then internal.check_wait() end
  local _, futures = internal.make_children(list, #list)
  if timeout and timeout <= 0 then return only_done(futures) end
  local deadline = timeout and aq.now() + timeout
  local ended, left = aq.Queue(), #futures
  local function on_done(future) ended:put_nowait(future) end
  for _, future in ipairs(futures) do future:add_done_callback(on_done) end
  local function next_ended()
    if left == 0 then return nil end
    local future = ended:get(deadline and deadline - aq.now())
    left = left - 1
    return future
  end
  local unhook = internal.on_close(function()
    for _, future in ipairs(futures) do future:remove_done_callback(on_done) end
  end)
  return next_ended, nil, nil, unhook
end
