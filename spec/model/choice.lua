-- The model's select: one wait that stands in several rooms. Each kind of branch says whether it is
-- ready, which room it waits in, what it does when it wins, and what it gives back if it has won
-- and the task was cancelled after all.

return function(M, parts)
  local q_parts = parts.queue

  local KINDS = {}

  KINDS.getting = {
    ready = function(b) return q_parts.has_free_item(b.of) or b.of.shut end,
    room = function(b) return b.of.getters end,
    win = function(b, w)
      if w and w.ticket or q_parts.has_free_item(b.of) then return q_parts.take(b.of) end
      error(M.QueueShutDown, 0)
    end,
    hand_on = function(b) q_parts.wake_getter(b.of) end,
  }

  KINDS.putting = {
    ready = function(b) return b.of.shut or b.of.overflow or q_parts.has_free_slot(b.of) end,
    room = function(b) return b.of.putters end,
    win = function(b, w)
      if b.of.shut then error(M.QueueShutDown, 0) end
      if w then q_parts.store(b.of, b.item) else q_parts.try_put(b.of, b.item) end
    end,
    hand_on = function(b) q_parts.wake_putter(b.of) end,
  }

  KINDS.joining = {
    ready = function(b) return b.of.unfinished == 0 end,
    room = function(b) return b.of.joiners end,
    win = function() end,
  }

  KINDS.waiting = {
    ready = function(b) return b.of:is_set() end,
    room = function(b) return b.of.room end,
    win = function() return true end,
  }

  KINDS.ending = {
    ready = function(b) return b.of:done() end,
    room = function(b) return b.of.callbacks end,
    win = function(b) return b.of end,
  }

  local Branch = {}

  local function branch_of(kind)
    return function(of, ...)
      if kind == "putting" and select("#", ...) == 0 then parts.misuse("put without an item") end
      return setmetatable({kind = KINDS[kind], of = of, item = (...)}, Branch)
    end
  end

  local Queue, Event = getmetatable(M.Queue()), getmetatable(M.Event())
  Queue.getting, Queue.putting = branch_of "getting", branch_of "putting"
  Queue.joining, Event.waiting = branch_of "joining", branch_of "waiting"

  -- In the order in which they are looked at: by position, then by sorted key.
  local function enabled_branches(choices)
    local list, names = {}, {}
    for k in pairs(choices) do
      if type(k) == "string" and k ~= "timeout" then table.insert(names, k) end
    end
    table.sort(names)
    for i = 1, #choices do table.insert(names, i, i) end
    for _, name in ipairs(names) do
      local of = choices[name]
      if of and getmetatable(of) ~= Branch then of = branch_of "ending"(of) end
      if of then table.insert(list, {name = name, branch = of}) end
    end
    return list
  end

  local function won(choice, w)
    local ok, value = pcall(choice.branch.kind.win, choice.branch, w)
    if ok then return choice.name, value end
    return choice.name, nil, value
  end

  local function enter_rooms(list, whole)
    for _, choice in ipairs(list) do
      local w = {whole = whole, choice = choice, done = function() return whole:done() end}
      choice.room, choice.waiter = choice.branch.kind.room(choice.branch), w
      table.insert(choice.room, w)
    end
  end

  local function leave_rooms(list)
    for _, choice in ipairs(list) do
      if choice.waiter then parts.remove(choice.room, choice.waiter) end
    end
  end

  -- A task cannot be among its own branches; nor can all that ends the select be what waits for it.
  local function closes_circle(list, timeout)
    local me, all = parts.current_task(), not timeout and #list > 0
    for _, choice in ipairs(list) do
      local b = choice.branch
      if b.of == me then return true end
      all = all and b.kind == KINDS.ending and parts.leads_to(b.of, me)
    end
    return all
  end

  local function first_ready(list)
    for _, choice in ipairs(list) do
      if choice.branch.kind.ready(choice.branch) then return choice end
    end
  end

  function M.select(choices)
    local list, timeout = enabled_branches(choices), choices.timeout
    if #list == 0 and not timeout then parts.misuse("select of nothing") end
    if closes_circle(list, timeout) then parts.misuse("select in a circle of tasks") end
    local ready = first_ready(list)
    if not ready and timeout and timeout <= 0 then
      parts.suspend(nil)                             -- X10: the second look, one turn later
      ready = first_ready(list)
      if not ready then return "timeout" end
    end
    if ready then return won(ready) end
    local whole = parts.new_waiter()
    if not parts.may_not_wait() then enter_rooms(list, whole) end
    local ok, err = pcall(parts.wait, whole, timeout)
    leave_rooms(list)
    local winner = whole.winner
    if ok then return won(winner.choice, winner) end
    if winner and winner.ticket then winner.choice.branch.kind.hand_on(winner.choice.branch) end
    if err == M.TimeoutError then return "timeout" end
    error(err, 0)
  end
end
