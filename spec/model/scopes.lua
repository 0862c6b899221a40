-- The model's TaskGroup, wait and as_completed, written after asyncio's taskgroups.py and tasks.py.

return function(M, parts)
  local misuse, settle, wait = parts.misuse, parts.settle, parts.wait

  local function shielded_wait(f)
    return parts.shielded_call(wait, f)
  end

  -------------------------------------------------------------------------------------------------
  -- TaskGroup

  local Group = {}
  Group.__index = Group

  function M.TaskGroup()
    local t = parts.current_task() or misuse("a group outside a task")
    return setmetatable({parent = t, depth = t.shielded, children = {}, failures = {},
                         aborting = false, finished = false}, Group)
  end

  local function abort(g)
    g.aborting = true
    for _, child in ipairs(g.children) do child:cancel() end
  end

  -- The first failure cancels the siblings and, unless it is broken off already, the body.
  local function failed(g, err)
    table.insert(g.failures, err)
    if g.aborting then return end
    abort(g)
    g.parent_cancelled = true
    parts.request_cancel(g.parent, g.depth)
  end

  local function child_ended(g, child)
    parts.remove(g.children, child)
    if #g.children == 0 and g.waiter and not g.waiter:done() then settle(g.waiter, "result") end
    if child.state == "error" then failed(g, child.values[1]) end
  end

  function Group:create_task(fn, ...)
    if self.finished then misuse("the group is finished") end
    if self.aborting then misuse("the group is shutting down") end
    local child = M.create_task(fn, ...)
    table.insert(self.children, child)
    child:add_done_callback(function() child_ended(self, child) end)
    return child
  end

  -- G11
  function Group:cancel()
    if not self.aborting and not self.finished then abort(self) end
  end

  function Group:errors()
    return table.move(self.failures, 1, #self.failures, 1, {})
  end

  local function wait_for_children(g)
    g.waiter = parts.new_waiter()
    g.waiter.children = g.children
    local wait_now = g.aborting and shielded_wait or wait
    local ok, err = pcall(wait_now, g.waiter)
    g.waiter = nil
    if ok then return nil end
    if err ~= M.CancelledError then error(err, 0) end
    return err
  end

  -- A cancel breaks the group off; from then on the wait counts as shielded, where asyncio's wakes
  -- for each cancel. The body's error is noted when it comes, not as the last (G9). G10: errors go
  -- before a cancel, which is then asked for again.
  function Group.__close(g, err)
    local cancel = err == M.CancelledError and err or nil
    if err ~= nil and not cancel then table.insert(g.failures, err) end
    if err ~= nil and not g.aborting then abort(g) end
    while #g.children > 0 do
      local interrupted = wait_for_children(g)
      if interrupted and not g.aborting then
        cancel = interrupted
        abort(g)
      end
    end
    g.finished = true
    if g.parent_cancelled then parts.take_back(g.parent, g.depth) end
    if #g.failures == 0 then
      if cancel then error(cancel, 0) end
      return
    end
    parts.arm_again(g.parent)
    for i = 2, #g.failures do M.report(g.parent, g.failures[i]) end
    error(g.failures[1], 0)
  end

  -------------------------------------------------------------------------------------------------
  -- wait, as_completed

  local WHEN = {ALL_COMPLETED = true, FIRST_COMPLETED = true, FIRST_EXCEPTION = true}

  local function wait_until_enough(list, timeout, when)
    local left, w = #list, parts.new_waiter()
    local function release()
      if not w:done() then settle(w, "result") end
    end
    local function ended(f)
      left = left - 1
      local enough = left == 0 or when == "FIRST_COMPLETED"
        or when == "FIRST_EXCEPTION" and f.state == "error"
      if enough then release() end
    end
    for _, f in ipairs(list) do f:add_done_callback(ended) end
    local timer = timeout and parts.call_later(timeout, release)
    local ok, err = pcall(wait, w)
    if timer then timer.cancelled = true end
    for _, f in ipairs(list) do f:remove_done_callback(ended) end
    if not ok then error(err, 0) end
  end

  local function split(list)
    local done, pending = {}, {}
    for _, f in ipairs(list) do table.insert(f:done() and done or pending, f) end
    return done, pending
  end

  local function are_enough(list, when)
    local left = #list
    for _, f in ipairs(list) do
      if f:done() then left = left - 1 end
      local one = when == "FIRST_COMPLETED" or when == "FIRST_EXCEPTION" and f.state == "error"
      if f:done() and one then return true end
    end
    return left == 0
  end

  function M.wait(list, options)
    local timeout = options and options.timeout
    local when = options and options.return_when or "ALL_COMPLETED"
    if #list == 0 then misuse("wait for nothing") end
    if not WHEN[when] then misuse("return_when is one of three") end
    local _, distinct = parts.children_of(list)
    if not timeout or timeout > 0 then
      wait_until_enough(distinct, timeout, when)
    elseif not are_enough(distinct, when) then
      parts.suspend(nil)                             -- X10: the second look, one turn later
    end
    return split(distinct)
  end

  -- X10: with no time at all those that have ended, also at a second look one turn later.
  local function completed_at_once(todo)
    local done, pending = split(todo)
    local is_second = false
    return function()
      if #done == 0 and #pending > 0 and not is_second then
        is_second = true
        parts.suspend(nil)
        done, pending = split(pending)
      end
      if #done == 0 and #pending > 0 then error(M.TimeoutError, 0) end
      return table.remove(done, 1)
    end
  end

  function M.as_completed(list, timeout)
    local _, todo = parts.children_of(list)
    if timeout and timeout <= 0 then return completed_at_once(todo) end
    local left, ended, timer = #todo, M.Queue(), nil
    local function completed(f)
      if #todo == 0 then return end
      parts.remove(todo, f)
      ended:put_nowait(f)
      if #todo == 0 and timer then timer.cancelled = true end
    end
    local function time_is_up()
      for _, f in ipairs(todo) do f:remove_done_callback(completed) end
      for _ = 1, #todo do ended:put_nowait(M.TimeoutError) end
      todo = {}
    end
    for _, f in ipairs({table.unpack(todo)}) do f:add_done_callback(completed) end
    if timeout and #todo > 0 then timer = parts.call_later(timeout, time_is_up) end
    return function()
      if left == 0 then return nil end
      left = left - 1
      local f = ended:get()
      if f == M.TimeoutError then error(f, 0) end
      return f
    end
  end
end
