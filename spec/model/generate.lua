-- Seeded generators of random programs (program.lua): a uniform one, and aimed ones that put tasks
-- into a wait and then let one actor do many things in one turn, because that is where a lost wake
-- or a wrong order hides. The same seed gives the same program everywhere.

local M = {}

---------------------------------------------------------------------------------------------------
-- Random numbers: a 64-bit linear congruential generator, upper bits only

local Rng = {}
Rng.__index = Rng

function Rng:next()
  self.state = self.state * 6364136223846793005 + 1442695040888963407
  return self.state >> 33
end

function Rng:int(low, high)
  return low + self:next() % (high - low + 1)
end

function Rng:chance(percent)
  return self:int(1, 100) <= percent
end

function Rng:pick(list)
  return list[self:int(1, #list)]
end

-- names = {"put", 4, "get", 2}: "put" twice as often as "get".
function Rng:weighted(names)
  local total = 0
  for i = 2, #names, 2 do total = total + names[i] end
  local at = self:int(1, total)
  for i = 2, #names, 2 do
    at = at - names[i]
    if at <= 0 then return names[i - 1] end
  end
end

local function new_rng(seed)
  local rng = setmetatable({state = seed * 0x9E3779B97F4A7C15 + 1}, Rng)
  for _ = 1, 4 do rng:next() end
  return rng
end

---------------------------------------------------------------------------------------------------
-- Single operations. Each maker gets the generator's state g, the number of the task, and whether
-- the operation is inside a shield: there every wait has a timeout, since no cancel could end it.

local MAKE = {}

-- Deadlines differ from each other, unless the generator says that all are the same.
local function duration(g)
  if g.same_time then return g.same_time end
  local d
  repeat d = g.rng:int(1, 400) until not g.used[d] and d % 8 > 0
  g.used[d] = true
  return d
end

local function timeout(g, shielded)
  if shielded then return g.rng:chance(15) and 0 or duration(g) end
  if g.rng:chance(g.timeouts) then return g.rng:chance(10) and 0 or duration(g) end
end

local function any_queue(g)
  return g.rng:int(1, #g.prog.queues)
end

local function any_task(g)
  return g.rng:int(1, g.n)
end

-- Whom to wait for: anybody, or only tasks of higher number so that there are no circles.
local function awaited(g, me)
  if g.circles or me >= g.n then return any_task(g) end
  return g.rng:int(me + 1, g.n)
end

local function may_wait_for_others(g, me)
  return g.circles or me < g.n
end

local function on_queue(name, waits)
  MAKE[name] = function(g, _, shielded)
    local q = any_queue(g)
    local prio = g.prog.queues[q].order == "priority" and name:find "put" and g.rng:int(1, 3) or nil
    return {name, q = q, prio = prio, timeout = waits and timeout(g, shielded) or nil}
  end
end

on_queue("put", true)
on_queue("get", true)
on_queue("join", true)
on_queue("put_nowait")
on_queue("get_nowait")
on_queue("task_done")
on_queue("qsize")
on_queue("empty")
on_queue("full")

function MAKE.shutdown(g)
  return {"shutdown", q = any_queue(g), immediate = g.rng:chance(40) or nil}
end

function MAKE.sleep0() return {"sleep", d = 0} end

function MAKE.sleep(g) return {"sleep", d = duration(g)} end

local function on_object(name, field, waits)
  MAKE[name] = function(g, _, shielded)
    local count = g.counts[field]
    return {name, [field] = g.rng:int(1, count), timeout = waits and timeout(g, shielded) or nil}
  end
end

on_object("acquire", "l", true)
on_object("release", "l")
on_object("locked", "l")
on_object("down", "s", true)
on_object("up", "s")
on_object("exhausted", "s")
on_object("set", "e")
on_object("clear", "e")
on_object("is_set", "e")
on_object("wait", "e", true)
on_object("resolve", "f")
on_object("fail", "f")
on_object("abandon", "f")
on_object("await_future", "f", true)

function MAKE.cancel(g) return {"cancel", t = any_task(g)} end

function MAKE.cancel_self(_, me) return {"cancel", t = me} end

function MAKE.done(g) return {"done", t = any_task(g)} end

MAKE["await"] = function(g, me, shielded)
  if not may_wait_for_others(g, me) then return MAKE.sleep0() end
  return {"await", t = awaited(g, me), timeout = timeout(g, shielded)}
end

-- These wait for others without end: not inside a shield.

function MAKE.shield_task(g, me, shielded)
  if shielded or not may_wait_for_others(g, me) then return MAKE.sleep0() end
  return {"shield_task", t = awaited(g, me)}
end

function MAKE.wait_task(g, me, shielded)
  if shielded or not may_wait_for_others(g, me) then return MAKE.sleep0() end
  return {"wait_task", t = awaited(g, me), timeout = g.rng:chance(20) and 0 or duration(g)}
end

function MAKE.gather(g, me, shielded)
  if shielded or not may_wait_for_others(g, me) then return MAKE.sleep0() end
  local ts = {}
  for i = 1, g.rng:int(1, 3) do ts[i] = awaited(g, me) end
  return {"gather", ts = ts, all = g.rng:chance(40) or nil}
end

function MAKE.uncancel() return {"uncancel"} end

function MAKE.cancelling() return {"cancelling"} end

function MAKE.spawn(g) return {"spawn", t = g.rng:int(math.min(g.prog.initial + 1, g.n), g.n)} end

MAKE["error"] = function() return {"error"} end

MAKE["return"] = function() return {"return"} end

---------------------------------------------------------------------------------------------------
-- Lists of operations

local function one(g, me, names, shielded)
  return MAKE[g.rng:weighted(names)](g, me, shielded)
end

local function several(g, me, names, low, high, shielded)
  local ops = {}
  for i = 1, g.rng:int(low, high) do ops[i] = one(g, me, names, shielded) end
  return ops
end

local function append(ops, more)
  for _, op in ipairs(more) do table.insert(ops, op) end
  return ops
end

-- The operations with a body take it from g.inner.

local function inner(g, me, low, high, shielded)
  g.depth = g.depth + 1
  local ops = several(g, me, g.depth > 2 and g.flat or g.inner, low, high, shielded)
  g.depth = g.depth - 1
  return ops
end

MAKE["try"] = function(g, me, shielded)
  local op = {"try", body = inner(g, me, 1, 3, shielded)}
  if g.rng:chance(60) then op.handler = inner(g, me, 1, 2, shielded) end
  if g.rng:chance(50) then op.cleanup = inner(g, me, 1, 2, shielded) end
  op.again = g.rng:chance(40) or nil
  return op
end

function MAKE.shield(g, me)
  return {"shield", body = inner(g, me, 1, 3, true)}
end

-- Inside a shield it reaches what it is around.
function MAKE.deadline(g, me, shielded)
  return {"deadline", timeout = g.rng:chance(15) and 0 or duration(g),
          body = inner(g, me, 1, 3, shielded)}
end

local FLAT = {"get", 3, "put", 3, "sleep0", 2, "sleep", 2, "get_nowait", 1, "put_nowait", 1,
              "cancel_self", 1, "uncancel", 1, "error", 1}

---------------------------------------------------------------------------------------------------
-- Programs

local ORDERS = {"fifo", "fifo", "fifo", "lifo", "priority"}
local OVERFLOWS = {"drop_oldest", "drop_oldest", "drop_newest"}

local function new_queues(rng, n, low, high)
  local list = {}
  for i = 1, n do
    local q = {order = rng:pick(ORDERS), maxsize = rng:int(low, high)}
    if q.order == "fifo" and q.maxsize > 0 and rng:chance(20) then
      q.overflow = rng:pick(OVERFLOWS)
    end
    list[i] = q
  end
  return list
end

local function new_semaphores(rng, n)
  local list = {}
  for i = 1, n do list[i] = {value = rng:int(0, 2), bounded = rng:chance(30) or nil} end
  return list
end

-- A program without operations for n tasks, and the state to fill it with.
local function start(rng, n, low, high)
  local prog = {queues = new_queues(rng, 1, low, high), locks = 1, events = 1, futures = 2,
                semaphores = new_semaphores(rng, 1), initial = n, tasks = {}}
  return {rng = rng, prog = prog, n = n, used = {}, depth = 0, timeouts = 10,
          counts = {l = 1, s = 1, e = 1, f = 2}, flat = FLAT, inner = FLAT}
end

-- The others have entered their waits by the time the actor acts if it takes a turn or two first.
local function late(g, ops)
  local first = {}
  for i = 1, g.rng:int(0, 2) do first[i] = MAKE.sleep0() end
  return append(first, ops)
end

-- One actor, sometimes two, anywhere among the others. Sometimes the last task waits for a spawn.
local function fill(g, roles)
  local actor = g.rng:int(1, g.n)
  local second = g.rng:chance(30) and g.rng:int(1, g.n) or actor
  for i = 1, g.n do
    if i == actor or i == second then
      g.prog.tasks[i] = late(g, roles.actor(g, i))
    else
      g.prog.tasks[i] = roles.other(g, i)
    end
  end
  if g.rng:chance(25) and g.n > 2 then g.prog.initial = g.n - 1 end
  return g.prog
end

local function maybe_try(g, me, ops)
  if not g.rng:chance(25) then return ops end
  return {{"try", body = ops, handler = inner(g, me, 0, 2, false), again = g.rng:chance(50) or nil}}
end

local function of(names, low, high)
  return function(g, me) return maybe_try(g, me, several(g, me, names, low, high, false)) end
end

local GENERATORS = {}

local UNIFORM = {
  "put", 6, "get", 6, "put_nowait", 4, "get_nowait", 4, "sleep0", 4, "sleep", 3, "cancel", 4,
  "cancel_self", 1, "uncancel", 1, "cancelling", 1, "await", 2, "task_done", 3, "join", 2,
  "qsize", 1, "empty", 1, "full", 1, "shutdown", 1, "acquire", 3, "release", 2, "locked", 1,
  "down", 3, "up", 2, "exhausted", 1, "set", 1, "clear", 1, "wait", 2, "is_set", 1, "resolve", 1,
  "fail", 1, "abandon", 1, "await_future", 2, "spawn", 2, "gather", 1, "shield_task", 1,
  "wait_task", 1, "deadline", 2, "shield", 1, "try", 3, "error", 1, "return", 1, "done", 1,
}

-- About half of the operations: a program that has fewer kinds meets more of their combinations.
local function some_of(rng, names)
  local kept = {"sleep0", 1}
  for i = 1, #names, 2 do
    if rng:chance(50) then append(kept, {names[i], names[i + 1]}) end
  end
  return kept
end

function GENERATORS.uniform(rng)
  local g = start(rng, rng:int(2, 6), 0, 3)
  g.prog.queues = new_queues(rng, rng:int(1, 2), 0, 3)
  g.inner = some_of(rng, UNIFORM)
  for i = 1, g.n do g.prog.tasks[i] = several(g, i, g.inner, 1, 10, false) end
  g.prog.initial = rng:int(1, g.n)
  return g.prog
end

-- Cancel against put in one turn: getters wait.
function GENERATORS.cancel_put(rng)
  return fill(start(rng, rng:int(3, 6), 0, 2), {
    other = of({"get", 9, "sleep0", 1, "get_nowait", 1}, 1, 3),
    actor = of({"put_nowait", 6, "cancel", 5, "get_nowait", 1, "empty", 1, "get", 1, "put", 1,
                "qsize", 1, "sleep0", 1, "spawn", 1}, 3, 9),
  })
end

-- Cancel against get on a full queue: putters wait.
function GENERATORS.cancel_get(rng)
  local names = {"get_nowait", 6, "cancel", 5, "put_nowait", 2, "full", 1, "get", 1, "put", 1,
                 "qsize", 1, "sleep0", 1, "task_done", 1, "spawn", 1}
  return fill(start(rng, rng:int(3, 6), 1, 2), {
    other = of({"put", 9, "sleep0", 1, "put_nowait", 1}, 1, 3),
    actor = function(g, me)
      local ops = {{"put_nowait", q = 1, prio = 1}, {"put_nowait", q = 1, prio = 2},
                   {"sleep", d = 0}}
      return append(ops, several(g, me, names, 3, 8, false))
    end,
  })
end

-- Shutdown against waits of all three kinds.
function GENERATORS.shutdown(rng)
  local waits = rng:pick {
    {"get", 8, "join", 2, "put_nowait", 1},
    {"put", 8, "join", 3, "get_nowait", 1},
    {"get", 5, "put", 4, "join", 1, "sleep0", 3},
  }
  return fill(start(rng, rng:int(3, 6), 0, 2), {
    other = of(waits, 1, 3),
    actor = of({"put_nowait", 5, "get_nowait", 4, "shutdown", 4, "cancel", 3, "task_done", 1,
                "full", 1, "empty", 1, "get", 1, "put", 1, "sleep0", 1, "join", 1}, 3, 9),
  })
end

-- Join against put and task_done.
function GENERATORS.join(rng)
  return fill(start(rng, rng:int(3, 6), 0, 2), {
    other = of({"join", 5, "put", 3, "get", 2, "task_done", 2, "sleep0", 1}, 1, 4),
    actor = of({"put_nowait", 3, "get_nowait", 3, "task_done", 5, "join", 1, "cancel", 2,
                "sleep0", 2, "put", 1}, 3, 9),
  })
end

-- Deadlines and what they race against, all at the same virtual time.
function GENERATORS.deadline(rng)
  local g = start(rng, rng:int(3, 6), 0, 2)
  g.same_time, g.timeouts = rng:pick {8, 16}, 90
  g.flat = {"get", 3, "put", 2, "sleep0", 2, "sleep", 2, "await", 1, "uncancel", 1}
  g.inner = g.flat
  local act = {"put_nowait", 5, "get_nowait", 3, "cancel", 4, "release", 1, "up", 1, "set", 1,
               "resolve", 1, "fail", 1, "task_done", 1, "sleep0", 2, "sleep", 1, "shutdown", 1}
  return fill(g, {
    other = of({"get", 5, "put", 3, "join", 1, "acquire", 2, "down", 2, "wait", 1,
                "await_future", 2, "await", 2, "deadline", 5, "wait_task", 2, "sleep", 2,
                "sleep0", 1}, 1, 3),
    actor = function(gg, me) return append({MAKE.sleep(gg)}, several(gg, me, act, 3, 7, false)) end,
  })
end

-- Some turns first: who comes late meets permits and locks that are on their way to another.
local function after_some_turns(fn)
  return function(g, me)
    local ops = {}
    if g.rng:chance(40) then ops = several(g, me, {"sleep0", 1}, 1, 3, false) end
    return append(ops, fn(g, me))
  end
end

-- Lock and semaphore hand-off against cancel. The lock is taken when the actor acts.
function GENERATORS.locks(rng)
  local g = start(rng, rng:int(4, 6), 0, 1)
  if rng:chance(50) then
    return fill(g, {
      other = after_some_turns(of({"acquire", 7, "release", 3, "sleep0", 1, "locked", 1}, 1, 4)),
      actor = function(gg, me)
        local act = {"release", 6, "cancel", 6, "acquire", 2, "locked", 1, "sleep0", 1}
        local ops = {{"acquire", l = 1, timeout = 0}, {"sleep", d = 0}}
        return append(ops, several(gg, me, act, 3, 8, false))
      end,
    })
  end
  g.prog.semaphores[1] = {value = rng:int(0, 1), bounded = rng:chance(10) or nil}
  return fill(g, {
    other = after_some_turns(of({"down", 8, "up", 1, "sleep0", 1, "exhausted", 1, "wait", 1},
                                1, 3)),
    actor = of({"up", 9, "cancel", 5, "down", 1, "exhausted", 1, "sleep0", 1, "set", 1, "clear", 1},
               4, 9),
  })
end

-- Chains of awaits, and cancels that travel along them.
function GENERATORS.chains(rng)
  local g = start(rng, rng:int(3, 6), 0, 1)
  local links = {"await", 5, "await_future", 4, "gather", 3, "shield_task", 2, "wait_task", 2,
                 "sleep0", 1, "sleep", 1, "uncancel", 1, "error", 1, "deadline", 1}
  g.inner = links
  return fill(g, {
    other = of(links, 1, 3),
    actor = of({"cancel", 8, "resolve", 2, "fail", 1, "abandon", 1, "sleep0", 3, "await", 1,
                "done", 1, "cancel_self", 1, "error", 1}, 2, 8),
  })
end

-- Nested try, shield and deadline under cancel.
function GENERATORS.nested(rng)
  local g = start(rng, rng:int(2, 4), 0, 2)
  g.inner = {"try", 3, "shield", 3, "deadline", 2, "get", 3, "put", 2, "sleep0", 3, "sleep", 2,
             "cancel_self", 2, "uncancel", 2, "cancelling", 1, "acquire", 1, "await", 1, "error", 1,
             "return", 1}
  return fill(g, {
    other = function(gg, me) return several(gg, me, gg.inner, 2, 5, false) end,
    actor = of({"cancel", 8, "sleep0", 4, "put_nowait", 2, "get_nowait", 1, "sleep", 1}, 2, 8),
  })
end

-- Tasks that wait for each other in circles, in every way.
function GENERATORS.circles(rng)
  local g = start(rng, rng:int(2, 5), 0, 1)
  g.circles = true
  return fill(g, {
    other = of({"await", 5, "gather", 2, "shield_task", 1, "wait_task", 2, "sleep0", 2,
                "uncancel", 1, "select", 2}, 1, 4),
    actor = of({"cancel", 5, "await", 4, "gather", 2, "sleep0", 3, "cancel_self", 1, "select", 1},
      2, 6),
  })
end

M.names = {"uniform", "cancel_put", "cancel_get", "shutdown", "join", "deadline", "locks", "chains",
           "nested", "circles"}

require("spec.model.aimed") {
  MAKE = MAKE, GENERATORS = GENERATORS, names = M.names, start = start, fill = fill, of = of,
  several = several, append = append, inner = inner, timeout = timeout, duration = duration,
  awaited = awaited, may_wait_for_others = may_wait_for_others, any_queue = any_queue,
  any_task = any_task, new_queues = new_queues, overflows = OVERFLOWS, uniform = UNIFORM,
  some_of = some_of,
}

-- The program of one generator for one seed, an integer.
function M.program(name, seed)
  return GENERATORS[name](new_rng(seed))
end

return M
