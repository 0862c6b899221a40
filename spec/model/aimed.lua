-- More generators (generate.lua): blocks with deadlines and groups, waits for several tasks,
-- conditions, barriers, select, and operations on many items, each against what may come in the
-- same turn.

return function(base)
  local MAKE, GENERATORS = base.MAKE, base.GENERATORS
  local several, append, inner, of = base.several, base.append, base.inner, base.of
  local duration = base.duration

  -- `unlike`: unlike any other, also where all are the same: when it is armed is left open.
  local function timeout(g, shielded, unlike)
    local same_time = g.same_time
    if unlike then g.same_time = nil end
    local seconds = base.timeout(g, shielded)
    g.same_time = same_time
    return seconds
  end

  -------------------------------------------------------------------------------------------------
  -- Blocks

  local function block_time(g)
    return g.rng:chance(12) and 0 or duration(g)
  end

  function MAKE.timeout(g, me, shielded)
    return {"timeout", timeout = block_time(g), body = inner(g, me, 1, 3, shielded)}
  end

  -- Usually one's own.
  local function whose(g)
    return g.rng:chance(20) and base.any_task(g) or nil
  end

  function MAKE.reschedule(g)
    return {"reschedule", of = whose(g), after = g.rng:chance(80) and block_time(g) or nil}
  end

  function MAKE.expired(g) return {"expired", of = whose(g)} end

  local function child(g, me)
    local first = math.max(me, g.prog.initial) + 1
    if first > g.n then return MAKE.sleep0(g) end
    return {"child", t = g.rng:int(first, g.n)}
  end

  MAKE.child = child

  -- Into the group of the other task that has one.
  function MAKE.sibling(g, me)
    local op = child(g, me)
    if op[1] == "child" then op.of = base.any_task(g) end
    return op
  end

  function MAKE.cancel_group(g) return {"cancel_group", of = whose(g)} end

  function MAKE.cancel_group_of(g) return {"cancel_group", of = base.any_task(g)} end

  function MAKE.group(g, me, shielded)
    local body = {}
    for i = 1, g.rng:int(1, 3) do body[i] = child(g, me) end
    return {"group", body = append(body, inner(g, me, 0, 3, shielded))}
  end

  MAKE["with"] = function(g, me, shielded)
    return {"with", c = g.rng:int(1, g.prog.conditions), timeout = timeout(g, shielded),
            body = inner(g, me, 1, 3, shielded)}
  end

  -------------------------------------------------------------------------------------------------
  -- Waits

  local function some_tasks(g, me)
    local ts = {}
    for i = 1, g.rng:int(1, 3) do ts[i] = base.awaited(g, me) end
    return ts
  end

  local WHEN = {"FIRST_COMPLETED", "FIRST_EXCEPTION", "ALL_COMPLETED"}

  function MAKE.wait_tasks(g, me, shielded)
    if not base.may_wait_for_others(g, me) then return MAKE.sleep0(g) end
    return {"wait_tasks", ts = some_tasks(g, me), timeout = timeout(g, shielded),
            when = g.rng:chance(70) and g.rng:pick(WHEN) or nil}
  end

  function MAKE.as_completed(g, me, shielded)
    if not base.may_wait_for_others(g, me) then return MAKE.sleep0(g) end
    return {"as_completed", ts = some_tasks(g, me), timeout = timeout(g, shielded, true)}
  end

  function MAKE.cond_wait(g, _, shielded)
    return {"cond_wait", c = g.rng:int(1, g.prog.conditions), timeout = timeout(g, shielded)}
  end

  function MAKE.cond_until_set(g, _, shielded)
    return {"cond_until_set", c = g.rng:int(1, g.prog.conditions), e = 1,
            timeout = timeout(g, shielded)}
  end

  function MAKE.notify(g)
    return {"notify", c = g.rng:int(1, g.prog.conditions),
            n = g.rng:chance(40) and g.rng:int(1, 3) or nil}
  end

  function MAKE.notify_all(g) return {"notify_all", c = g.rng:int(1, g.prog.conditions)} end

  function MAKE.cond_locked(g) return {"cond_locked", c = g.rng:int(1, g.prog.conditions)} end

  local function any_barrier(g)
    return g.rng:int(1, #g.prog.barriers)
  end

  function MAKE.meet(g, _, shielded)
    return {"meet", b = any_barrier(g), timeout = timeout(g, shielded)}
  end

  function MAKE.reset(g) return {"reset", b = any_barrier(g)} end

  function MAKE.abort(g) return {"abort", b = any_barrier(g)} end

  function MAKE.barrier(g) return {"barrier", b = any_barrier(g)} end

  local BRANCHES = {
    get = function(g) return {"get", q = base.any_queue(g)} end,
    put = function(g) return {"put", q = base.any_queue(g), prio = g.rng:int(1, 3)} end,
    join = function(g) return {"join", q = base.any_queue(g)} end,
    wait = function() return {"wait", e = 1} end,
    task = function(g, me) return {"task", t = base.awaited(g, me)} end,
    future = function(g) return {"future", f = g.rng:int(1, 2)} end,
  }

  local BRANCH_WEIGHTS = {"get", 6, "put", 4, "join", 1, "wait", 2, "task", 2, "future", 2}

  function MAKE.select(g, me, shielded)
    local branches = {}
    for i = 1, g.rng:int(1, 3) do
      local kind = g.rng:weighted(BRANCH_WEIGHTS)
      if kind == "task" and not base.may_wait_for_others(g, me) then kind = "get" end
      branches[i] = BRANCHES[kind](g, me)
    end
    return {"select", branches = branches, timeout = timeout(g, shielded)}
  end

  function MAKE.get_many(g, _, shielded)
    return {"get_many", q = base.any_queue(g), n = g.rng:int(1, 3), timeout = timeout(g, shielded)}
  end

  function MAKE.put_many(g, _, shielded)
    return {"put_many", q = base.any_queue(g), n = g.rng:int(1, 4), prio = g.rng:int(1, 3),
            timeout = timeout(g, shielded)}
  end

  function MAKE.drain(g) return {"drain", q = base.any_queue(g)} end

  function MAKE.peek(g) return {"peek", q = base.any_queue(g)} end

  function MAKE.items(g, _, shielded)
    if shielded then return MAKE.drain(g) end
    return {"items", q = base.any_queue(g), n = g.rng:chance(60) and g.rng:int(1, 3) or nil}
  end

  -------------------------------------------------------------------------------------------------
  -- Programs

  local function generator(name, make)
    GENERATORS[name] = make
    table.insert(base.names, name)
  end

  local MORE = {
    "timeout", 3, "group", 3, "child", 2, "sibling", 1, "cancel_group", 1, "cancel_group_of", 1,
    "reschedule", 1, "expired", 1, "wait_tasks", 2, "as_completed", 2, "meet", 2, "reset", 1,
    "barrier", 1, "select", 3, "get_many", 2, "put_many", 2, "items", 1, "drain", 1, "peek", 1,
  }

  -- Everything together but conditions: a group inside a held lock may need it to end.
  generator("mixed", function(rng)
    local g = base.start(rng, rng:int(2, 6), 0, 3)
    g.prog.barriers = {2}
    g.inner = base.some_of(rng, append(append({}, base.uniform), MORE))
    g.prog.initial = rng:int(1, g.n)
    for i = 1, g.n do g.prog.tasks[i] = several(g, i, g.inner, 1, 8, false) end
    return g.prog
  end)

  -- Deadlines of blocks, many at the same time, against put, cancel and each other.
  generator("timeouts", function(rng)
    local g = base.start(rng, rng:int(2, 5), 0, 2)
    if rng:chance(60) then g.same_time = rng:pick {8, 16} end
    g.inner = {"timeout", 4, "deadline", 2, "get", 4, "put", 2, "sleep", 3, "sleep0", 2, "try", 2,
               "shield", 2, "reschedule", 2, "expired", 1, "cancelling", 1, "await_future", 2,
               "acquire", 1, "wait_task", 1, "await", 1, "error", 1, "return", 1}
    g.flat = {"get", 4, "put", 2, "sleep", 3, "sleep0", 2, "reschedule", 1, "expired", 1,
              "await_future", 1, "cancelling", 1}
    local act = {"put_nowait", 5, "get_nowait", 2, "cancel", 5, "reschedule", 1, "resolve", 1,
                 "sleep0", 2, "sleep", 2, "release", 1, "shutdown", 1}
    return base.fill(g, {
      other = of({"timeout", 8, "sleep0", 2, "get", 1, "shield", 1, "cancelling", 1}, 1, 3),
      actor = function(gg, me)
        local ops = gg.same_time and rng:chance(60) and {MAKE.sleep(gg)} or {}
        return append(ops, several(gg, me, act, 2, 7, false))
      end,
    })
  end)

  local function turns(g)
    local ops = {}
    for i = 1, g.rng:int(0, 3) do ops[i] = MAKE.sleep0() end
    return ops
  end

  -- Fails, is cancelled or ends after some turns; some answer a cancel by an error.
  local function child_body(g, i)
    local ops = turns(g)
    if g.rng:chance(40) then return append(ops, {{"error"}}) end
    local handler = g.rng:chance(50) and {{"error"}} or turns(g)
    local long = several(g, i, {"get", 1, "group", 1, "sleep", 1}, 1, 1, false)
    return append(ops, {{"try", body = long, handler = handler, again = g.rng:chance(50) or nil}})
  end

  -- Outer cancels in the turns in which children fail and end. The first task has the group, and
  -- survives it.
  generator("failures", function(rng)
    local n = rng:int(4, 6)
    local g = base.start(rng, n, 0, 1)
    g.prog.initial, g.flat = 2, {"child", 2, "sleep0", 1, "error", 1}
    g.inner = g.flat
    g.prog.tasks[1] = {{"try", body = {MAKE.group(g, 1)}, handler = turns(g)}, {"cancelling"}}
    local act = {"cancel", 8, "sleep0", 5, "cancel_group_of", 1, "done", 1}
    g.prog.tasks[2] = append(turns(g), several(g, 2, act, 1, 4, false))
    for i = 3, n do g.prog.tasks[i] = child_body(g, i) end
    return g.prog
  end)

  -- Groups whose children fail and are cancelled, with cancels from outside. The last tasks are the
  -- children.
  generator("groups", function(rng)
    local n = rng:int(4, 7)
    local g = base.start(rng, n, 0, 2)
    g.prog.initial = rng:int(2, 3)
    if rng:chance(40) then g.same_time = 8 end
    g.inner = {"group", 2, "child", 2, "sleep", 2, "sleep0", 3, "get", 2, "try", 2, "error", 2,
               "timeout", 2, "await", 1, "cancel_group", 1, "cancelling", 1, "shield", 1,
               "return", 1, "cancel_self", 1, "gather", 1}
    g.flat = {"child", 2, "sleep", 2, "sleep0", 3, "get", 2, "error", 1, "cancelling", 1,
              "await", 1}
    local act = {"cancel", 8, "sleep0", 4, "put_nowait", 2, "cancel_group_of", 2, "sibling", 1,
                 "sleep", 1, "done", 1}
    local in_group = of({"error", 3, "sleep0", 5, "sleep", 2, "get", 2, "group", 1, "sibling", 1,
                         "try", 2, "cancel", 1, "cancel_self", 1, "cancel_group_of", 1}, 1, 3)
    for i = 1, n do
      if i == 1 then
        g.prog.tasks[i] = append({MAKE.group(g, i)},
                                 several(g, i, {"sleep0", 2, "cancelling", 1}, 0, 2, false))
      elseif i <= g.prog.initial then
        g.prog.tasks[i] = append({MAKE.sleep0()}, several(g, i, act, 2, 7, false))
      else
        g.prog.tasks[i] = in_group(g, i)
      end
    end
    return g.prog
  end)

  -- wait and as_completed against ends, cancels and deadlines.
  generator("waits", function(rng)
    local g = base.start(rng, rng:int(3, 6), 0, 1)
    g.timeouts = 30
    if rng:chance(40) then g.same_time = 8 end
    return base.fill(g, {
      other = of({"wait_tasks", 5, "as_completed", 4, "sleep0", 3, "sleep", 2, "await_future", 3,
                  "error", 1, "timeout", 1}, 1, 3),
      actor = of({"cancel", 6, "sleep0", 4, "resolve", 2, "fail", 2, "error", 1, "sleep", 1,
                  "wait_tasks", 1}, 2, 7),
    })
  end)

  -- Notify against cancel and deadline, with the lock held and not.
  generator("conditions", function(rng)
    local g = base.start(rng, rng:int(3, 6), 0, 1)
    g.prog.conditions, g.timeouts = 1, 20
    if rng:chance(40) then g.same_time = 8 end
    g.inner = {"cond_wait", 8, "cond_until_set", 2, "sleep0", 2, "notify", 1, "shield", 1, "try", 1}
    g.flat = {"cond_wait", 5, "sleep0", 2, "notify", 1}
    local holding = {"notify", 7, "notify_all", 2, "cancel", 6, "sleep0", 2, "set", 1, "sleep", 1,
                     "cond_wait", 1}
    return base.fill(g, {
      other = of({"with", 8, "sleep0", 2, "cond_locked", 1, "timeout", 2}, 1, 3),
      actor = function(gg, me)
        local ops = several(gg, me, {"cancel", 2, "sleep0", 3}, 0, 3, false)
        append(ops, {{"with", c = 1, body = several(gg, me, holding, 2, 6, false)}})
        return append(ops, several(gg, me, {"cancel", 5, "sleep0", 2, "cond_locked", 1, "set", 1,
                                            "notify", 1}, 1, 4, false))
      end,
    })
  end)

  -- Barriers against cancel, reset and abort.
  generator("barriers", function(rng)
    local g = base.start(rng, rng:int(3, 6), 0, 1)
    g.prog.barriers = {rng:pick {1, 2, 2, 3, 3, 3}}
    g.inner = {"meet", 5, "sleep0", 2, "barrier", 1, "sleep", 1}
    return base.fill(g, {
      other = of({"meet", 12, "sleep0", 3, "barrier", 1, "timeout", 1, "try", 1}, 1, 4),
      actor = of({"cancel", 7, "sleep0", 5, "meet", 3, "reset", rng:int(0, 2), "abort",
                  rng:int(0, 1), "barrier", 1}, 2, 8),
    })
  end)

  -- select against everything that can settle one of its branches in the same turn.
  generator("selects", function(rng)
    local g = base.start(rng, rng:int(3, 6), 0, 2)
    g.prog.queues = base.new_queues(rng, rng:int(1, 2), 0, 2)
    g.timeouts = rng:pick {0, 30}
    if rng:chance(50) then g.same_time = 8 end
    local act = {"put_nowait", 6, "get_nowait", 4, "cancel", 5, "set", 1, "clear", 1, "resolve", 1,
                 "fail", 1, "shutdown", 1, "task_done", 2, "sleep0", 3, "sleep", 1, "put", 1,
                 "get", 1, "empty", 1, "full", 1}
    if rng:chance(40) then act = {"put_nowait", 6, "get_nowait", 2, "cancel", 6, "sleep0", 1} end
    return base.fill(g, {
      other = of({"select", 8, "get", 2, "put", 2, "sleep0", 1, "timeout", 1}, 1, 3),
      actor = function(gg, me)
        local ops = gg.same_time and rng:chance(60) and {MAKE.sleep(gg)} or {}
        return append(ops, several(gg, me, act, 3, 9, false))
      end,
    })
  end)

  -- Full queues that drop: puts in the turn in which a getter was woken, cancelled or is late.
  generator("overflow", function(rng)
    local g = base.start(rng, rng:int(3, 6), 0, 3)
    g.prog.queues = {{order = "fifo", maxsize = rng:int(1, 2), overflow = rng:pick(base.overflows)}}
    g.timeouts = 25
    if rng:chance(40) then g.same_time = 8 end
    return base.fill(g, {
      other = of({"get", 7, "select", 3, "put", 3, "put_many", 2, "get_many", 2, "join", 3,
                  "items", 1, "sleep0", 2}, 1, 3),
      actor = of({"put_nowait", 10, "put", 3, "put_many", 2, "get_nowait", 2, "cancel", 4,
                  "task_done", 4, "shutdown", 1, "sleep0", 3, "sleep", 1, "empty", 1, "full", 1,
                  "peek", 1, "qsize", 1, "join", 1}, 3, 9),
    })
  end)

  -- Many items at once.
  generator("bulk", function(rng)
    local g = base.start(rng, rng:int(3, 6), 0, 3)
    g.timeouts = 25
    if rng:chance(40) then g.same_time = 8 end
    return base.fill(g, {
      other = of({"get_many", 6, "put_many", 5, "items", 2, "get", 2, "put", 2, "sleep0", 2}, 1, 3),
      actor = of({"put_nowait", 6, "get_nowait", 4, "cancel", 5, "drain", 3, "peek", 3,
                  "put_many", 2, "get_many", 2, "shutdown", 1, "sleep0", 3, "sleep", 1, "empty", 1,
                  "full", 1, "task_done", 1, "join", 1}, 3, 9),
    })
  end)
end
