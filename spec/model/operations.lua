-- Operations of programs (program.lua), the later half: blocks with a deadline or a group, what
-- waits for several at once, conditions, barriers, select, and queue operations on many items.

return function(base)
  local define, timeout_of, text = base.define, base.timeout_of, base.text
  local list_text, execute = base.list_text, base.execute

  -------------------------------------------------------------------------------------------------
  -- Blocks. Others reach the latest block of a task through `of`.

  define("timeout", true, "timeout", function(run, me, op)
    local outer = run.deadlines[me]
    do
      local deadline <close> = run.api.timeout(timeout_of(op))
      run.deadlines[me] = deadline
      execute(run, me, op.body)
      run:write("t" .. me .. " leaves timeout", text(deadline:expired()))
    end
    run.deadlines[me] = outer
  end, true)

  define("reschedule", false, nil, function(run, me, op)
    local deadline = run.deadlines[op.of or me]
    if not deadline then return "none" end
    deadline:reschedule(op.after and op.after * base.TICK)
    return op.after and "after " .. op.after or "never"
  end)

  define("expired", false, nil, function(run, me, op)
    local deadline = run.deadlines[op.of or me]
    if not deadline then return "none" end
    local at = deadline:when()
    local ticks = at and math.floor((at - run.started_at) / base.TICK + 0.5)
    return text(deadline:expired()) .. " " .. text(ticks)
  end)

  local function errors_text(run, errors)
    local parts = {}
    for i, err in ipairs(errors) do parts[i] = run:text(err) end
    return "[" .. table.concat(parts, " ") .. "]"
  end

  define("group", true, nil, function(run, me, op)
    local outer, group = run.groups[me], run.api.TaskGroup()
    local ok, err = pcall(function()
      local g <close> = group
      run.groups[me] = g
      execute(run, me, op.body)
      run:write("t" .. me .. " leaves group")
    end)
    run.groups[me] = outer
    run:write("t" .. me .. " group errors", errors_text(run, group:errors()))
    if not ok then error(err, 0) end
  end, true)

  define("child", false, "t", function(run, me, op)
    local group = run.groups[op.of or me]
    if not group or run.tasks[op.t] or not run.prog.tasks[op.t] then return "none" end
    run:start(op.t, group)
  end)

  define("cancel_group", false, nil, function(run, me, op)
    local group = run.groups[op.of or me]
    if not group then return "none" end
    group:cancel()
  end)

  define("with", true, "c", function(run, me, op)
    local c = run.conditions[op.c]
    c:acquire(timeout_of(op))
    local outer = run.holds[me]
    run.holds[me] = c
    local ok, err = pcall(execute, run, me, op.body)
    run.holds[me] = outer
    c:release()
    if not ok then error(err, 0) end
  end)

  -------------------------------------------------------------------------------------------------
  -- Several tasks at once

  local function started_of(run, ts)
    local list, numbers = {}, {}
    for _, i in ipairs(ts) do
      local task = run.tasks[i]
      if task then
        table.insert(list, task)
        numbers[task] = i
      end
    end
    return list, numbers
  end

  local function numbers_text(tasks, numbers)
    local parts = {}
    for i, task in ipairs(tasks) do parts[i] = numbers[task] or "?" end
    return "[" .. table.concat(parts, " ") .. "]"
  end

  define("wait_tasks", true, "ts", function(run, _, op)
    local list, numbers = started_of(run, op.ts)
    local done, pending = run.api.wait(list, {timeout = timeout_of(op), return_when = op.when})
    return numbers_text(done, numbers) .. " " .. numbers_text(pending, numbers)
  end)

  define("as_completed", true, "ts", function(run, me, op)
    local list, numbers = started_of(run, op.ts)
    if #list == 0 then return "none" end
    for task in run.api.as_completed(list, timeout_of(op)) do
      run:write("t" .. me .. " as_completed", text(numbers[task]), text(task:done()))
    end
  end)

  -------------------------------------------------------------------------------------------------
  -- Conditions, barriers

  -- Not with a lock that another task holds: nobody would release it in the end.
  local function may_wait(run, me, c)
    return run.holds[me] == c or not c:locked()
  end

  define("cond_wait", true, "c", function(run, me, op)
    local c = run.conditions[op.c]
    return may_wait(run, me, c) and text(c:wait(timeout_of(op))) or "none"
  end)

  define("cond_until_set", true, "c", function(run, me, op)
    local c, event = run.conditions[op.c], run.events[op.e]
    if not may_wait(run, me, c) then return "none" end
    return text(c:wait_for(function() return event:is_set() end, timeout_of(op)))
  end)

  define("notify", false, "c", function(run, _, op) run.conditions[op.c]:notify(op.n) end)

  define("notify_all", false, "c", function(run, _, op) run.conditions[op.c]:notify_all() end)

  define("cond_locked", false, "c", function(run, _, op)
    return text(run.conditions[op.c]:locked())
  end)

  define("meet", true, "b", function(run, _, op)
    return text(run.barriers[op.b]:wait(timeout_of(op)))
  end)

  define("reset", false, "b", function(run, _, op) run.barriers[op.b]:reset() end)

  define("abort", false, "b", function(run, _, op) run.barriers[op.b]:abort() end)

  define("barrier", false, "b", function(run, _, op)
    local b = run.barriers[op.b]
    return text(b:parties()) .. " " .. text(b:n_waiting()) .. " " .. text(b:broken())
  end)

  -------------------------------------------------------------------------------------------------
  -- select: its branches are {"get", q =}, {"put", q =}, {"join", q =}, {"wait", e =},
  -- {"task", t =} and {"future", f =}

  local BRANCHES = {
    get = function(run, _, b) return run.queues[b.q]:getting() end,
    put = function(run, me, b)
      b.item = run:new_item(me, b)
      return run.queues[b.q]:putting(b.item)
    end,
    join = function(run, _, b) return run.queues[b.q]:joining() end,
    wait = function(run, _, b) return run.events[b.e]:waiting() end,
    task = function(run, _, b) return run.tasks[b.t] or false end,
    future = function(run, _, b) return run.futures[b.f] end,
  }

  local function choices_of(run, me, op)
    local choices = {timeout = timeout_of(op)}
    for i, b in ipairs(op.branches) do choices[i] = BRANCHES[b[1]](run, me, b) end
    return choices
  end

  -- What a branch that has won without an error gave.
  local function won_text(run, b, value)
    if b[1] == "get" then
      run.tally.got = run.tally.got + 1
      return text(value)
    elseif b[1] == "put" then
      run.tally.put = run.tally.put + 1
      return text(b.item)
    elseif b[1] == "task" or b[1] == "future" then
      local same = value == (run.tasks[b.t] or run.futures[b.f])
      return text(same) .. " " .. text(value:done()) .. " " .. text(value:cancelled())
    end
    return b[1] == "wait" and "set" or "joined"
  end

  define("select", true, nil, function(run, me, op)
    local which, value, err = run.api.select(choices_of(run, me, op))
    if which == "timeout" then return which end
    if err ~= nil then return which .. " " .. run:text(err) end
    return which .. " " .. won_text(run, op.branches[which], value)
  end)

  -------------------------------------------------------------------------------------------------
  -- Many items of a queue

  local function got(run, list)
    run.tally.got = run.tally.got + list.n
    return list_text(run.api, list)
  end

  define("get_many", true, "q", function(run, _, op)
    return got(run, run.queues[op.q]:get_many(op.n, timeout_of(op)))
  end)

  define("put_many", true, "q", function(run, me, op)
    local list = {n = op.n}
    for i = 1, op.n do list[i] = run:new_item(me, op) end
    local ok, result = pcall(run.queues[op.q].put_many, run.queues[op.q], list, timeout_of(op))
    local stored = ok and result or type(result) ~= "string" and result.stored or 0
    run.tally.put = run.tally.put + stored
    if not ok then
      run:write("t" .. me .. " stored", text(stored))
      error(result, 0)
    end
    return text(stored)
  end)

  define("drain", false, "q", function(run, _, op) return got(run, run.queues[op.q]:drain()) end)

  define("peek", false, "q", function(run, _, op) return text(run.queues[op.q]:peek()) end)

  -- Until the queue is shut down and empty, or n items have come.
  define("items", true, "q", function(run, me, op)
    local n = 0
    for item in run.queues[op.q]:items() do
      n, run.tally.got = n + 1, run.tally.got + 1
      run:write("t" .. me .. " items", text(item))
      if n == op.n then return "enough" end
    end
    return "no more"
  end)
end
