-- An independent model of the library, in plain Lua, to compare the real one with.
--
-- It is built the way asyncio is: a ready list of callbacks run in snapshots, futures whose
-- callbacks go on that list, tasks as coroutines that wait for one future at a time. Two rules are
-- ours: a wake is a ticket (Q13), and a delivered cancel is raised again at every later suspension
-- (T13). Smaller differences say so where they are. Simple before fast: waiters are kept in plain
-- lists and counted by looking. Time is virtual and jumps when nothing is ready.
--
-- The loop, tasks, gather, wait_for, queues, locks and events are here; what is made of them is in
-- scopes.lua (groups, wait, as_completed), meetings.lua (conditions, barriers) and choice.lua
-- (select).

local M = {}

-- `noted` counts where our two rules gave another answer than asyncio's. A program that leaves both
-- at 0, and meets none of the smaller differences, must do exactly what it does there.
M.noted = {tickets = 0, level = 0}

-- asyncio's Lock looks at the head of its waiters only: if that one was cancelled in the same turn,
-- the release wakes nobody, and the cancelled task passes the wake on at its own step, one hop
-- late. true: the same here.
M.lock_as_asyncio = true

local function note(rule)
  M.noted[rule] = M.noted[rule] + 1
end

---------------------------------------------------------------------------------------------------
-- Errors

local Kind = {}
Kind.__index = Kind
Kind.__eq = function(a, b) return a.name == b.name end
Kind.__tostring = function(e) return e.name .. ": " .. e.message end

for _, name in ipairs {"CancelledError", "TimeoutError", "QueueEmpty", "QueueFull", "QueueShutDown",
                       "InvalidStateError", "BrokenBarrierError", "DeadlockError"} do
  M[name] = setmetatable({name = name, message = name}, Kind)
end

local function misuse(text)
  error("misuse: " .. text, 3)
end

-- The same error, telling how many of a list of items are stored.
local function with_stored(err, n)
  return setmetatable({name = err.name, message = err.message, stored = n}, Kind)
end

---------------------------------------------------------------------------------------------------
-- The loop: a ready list, timers in order of (deadline, arming), a clock

local loop

local function new_loop()
  return {ready = {}, timers = {}, now = 0, tasks = {}, current = nil}
end

local function call_soon(fn)
  table.insert(loop.ready, fn)
end

local function call_later(seconds, fn)
  local timer = {at = loop.now + seconds, fn = fn, cancelled = false}
  local i = #loop.timers
  while i > 0 and loop.timers[i].at > timer.at do i = i - 1 end
  table.insert(loop.timers, i + 1, timer)
  return timer
end

local function drop_cancelled_timers()
  for i = #loop.timers, 1, -1 do
    if loop.timers[i].cancelled then table.remove(loop.timers, i) end
  end
end

local function due_timers()
  local due = {}
  while loop.timers[1] and loop.timers[1].at <= loop.now do
    table.insert(due, table.remove(loop.timers, 1))
  end
  return due
end

-- One turn: what is ready now, then the timers that are due. False if there is nothing to do, ever.
local function turn()
  drop_cancelled_timers()
  if #loop.ready == 0 then
    if #loop.timers == 0 then return false end
    loop.now = loop.timers[1].at
  end
  local batch, due = loop.ready, due_timers()
  loop.ready = {}
  for _, fn in ipairs(batch) do fn() end
  for _, timer in ipairs(due) do
    if not timer.cancelled then timer.fn() end
  end
  return true
end

function M.now()
  return loop.now
end

---------------------------------------------------------------------------------------------------
-- Futures

local Future = {}
Future.__index = Future

local function new_future(class)
  return setmetatable({state = "pending", callbacks = {}}, class or Future)
end

local settle_waiter

-- Among the callbacks may be the branch of a select: it is woken in its place in the order.
local function settle(f, state, ...)
  f.state, f.values = state, table.pack(...)
  local callbacks = f.callbacks
  f.callbacks = {}
  for _, fn in ipairs(callbacks) do
    if type(fn) == "function" then
      call_soon(function() fn(f) end)
    elseif not fn:done() then
      settle_waiter(fn)
    end
  end
end

-- A branch of a select is a waiter that stands for the whole: when one is woken, all are.
function settle_waiter(w)
  if not w.whole then return settle(w, "result") end
  w.whole.winner = w
  settle(w.whole, "result")
end

-- What a finished future hands to the one who asks.
local function outcome(f)
  if f.state == "cancelled" then error(M.CancelledError, 0) end
  if f.state == "error" then error(f.values[1], 0) end
  return table.unpack(f.values, 1, f.values.n)
end

function Future:done() return self.state ~= "pending" end

function Future:cancelled() return self.state == "cancelled" end

function Future:set_result(...)
  if self:done() then error(M.InvalidStateError, 0) end
  settle(self, "result", ...)
end

function Future:set_exception(err)
  if self:done() then error(M.InvalidStateError, 0) end
  settle(self, "error", err)
end

function Future:cancel()
  if self:done() then return false end
  settle(self, "cancelled")
  return true
end

function Future:result()
  if not self:done() then error(M.InvalidStateError, 0) end
  return outcome(self)
end

function Future:exception()
  if not self:done() then error(M.InvalidStateError, 0) end
  if self.state == "cancelled" then error(M.CancelledError, 0) end
  if self.state == "error" then return self.values[1] end
  return nil
end

function Future:add_done_callback(fn)
  if self:done() then
    call_soon(function() fn(self) end)
  else
    table.insert(self.callbacks, fn)
  end
end

function Future:remove_done_callback(fn)
  for i = #self.callbacks, 1, -1 do
    if self.callbacks[i] == fn then table.remove(self.callbacks, i) end
  end
end

function M.Future()
  return new_future()
end

-- A waiter is a future that nobody but one suspended task knows: queues and locks wake it. It has a
-- ticket if it was woken with the right to one item, slot or permit.
local function new_waiter()
  local w = new_future()
  w.private = true
  return w
end

---------------------------------------------------------------------------------------------------
-- Tasks

local Task = setmetatable({}, {__index = Future})
Task.__index = Task

-- A cancel is asked for at a depth of shields, and does not reach into a deeper one: task:cancel()
-- at 0, the deadline of a block at the depth of the block. For each depth: how many are
-- outstanding; is one on its way; has one been delivered.
local function cancels_at(t, depth)
  local c = t.cancels[depth]
  if not c then
    c = {count = 0, due = false, delivered = false}
    t.cancels[depth] = c
  end
  return c
end

local function any_in_reach(t, what)
  for depth, c in pairs(t.cancels) do
    if depth >= t.shielded and c[what] then return true end
  end
  return false
end

-- How many cancels are outstanding that reach the task where it is.
local function in_reach(t)
  local n = 0
  for depth, c in pairs(t.cancels) do
    if depth >= t.shielded then n = n + c.count end
  end
  return n
end

local function must_cancel(t)
  return any_in_reach(t, "due")
end

local function delivered(t)
  for depth, c in pairs(t.cancels) do
    if depth >= t.shielded and c.due then c.due, c.delivered = false, true end
  end
end

-- Of those asked for at a depth or, if they have all been taken back by hand, the innermost one.
local function take_back(t, depth)
  local c = cancels_at(t, depth)
  if c.count == 0 then
    for at, other in pairs(t.cancels) do
      if other.count > 0 and (c.count == 0 or at > depth) then c, depth = other, at end
    end
  end
  if c.count > 0 then c.count = c.count - 1 end
  if c.count == 0 then c.due, c.delivered = false, false end
end

local function finish(t, ok, ...)
  if ok and must_cancel(t) then
    settle(t, "cancelled")                         -- T4: cancelled just before its end
  elseif ok then
    settle(t, "result", ...)
  elseif ... == M.CancelledError then
    settle(t, "cancelled")
  elseif ... == nil then
    settle(t, "error", "<no error object>")
  else
    settle(t, "error", (...))
  end
end

-- The last of those that reach it is taken back and asked for again: it is on its way once more.
local function arm_again(t)
  local deepest
  for depth, c in pairs(t.cancels) do
    if depth >= t.shielded and c.count > 0 then deepest = math.max(deepest or 0, depth) end
  end
  if not deepest then return end
  take_back(t, deepest)
  local c = cancels_at(t, deepest)
  c.count, c.due = c.count + 1, true
end

-- Runs a task until it suspends or ends. `err` is to be raised in it, at the wait it is in.
local function step(t, err)
  if must_cancel(t) then
    err = M.CancelledError
    delivered(t)
  end
  t.waiting, t.interrupt = nil, nil
  t.steps = t.steps + 1
  if not t.started and err then
    return finish(t, false, err)                   -- T3: the body never runs
  end
  t.started = true
  loop.current = t
  local ok, problem = coroutine.resume(t.co, err)
  loop.current = nil
  if not ok then error("model: " .. tostring(problem)) end
end

function M.create_task(fn, ...)
  local args = table.pack(...)
  local t = new_future(Task)
  t.cancels, t.shielded, t.started, t.steps = {}, 0, false, 0
  t.co = coroutine.create(function()
    finish(t, pcall(fn, table.unpack(args, 1, args.n)))
  end)
  table.insert(loop.tasks, t)
  call_soon(function() step(t) end)
  return t
end

-- A task takes a cancel in one of three ways: what it waits for is cancelled (and if that is a
-- task, the cancel goes on to it); or it is not waiting, and its next step or suspension raises; or
-- it is shielded, and keeps it.
local function receive_cancel(t, c, depth)
  if depth >= t.shielded and t.waiting and t.waiting:cancel() then
    c.delivered = true
  else
    c.due = true
  end
end

-- The tasks that the cancel under way has met, or nil. One that it meets again, having come by
-- another way, counts it and passes it on no more (H11).
local met

-- fn(...), which passes a cancel on, as a part of the cancel under way or as one of its own.
local function as_one_cancel(t, fn, ...)
  local is_outermost = not met
  met = met or {}
  met[t] = true
  local result = fn(...)
  if is_outermost then met = nil end
  return result
end

local function request_cancel(t, depth)
  if t:done() then return false end
  local c = cancels_at(t, depth)
  c.count = c.count + 1
  if not (met and met[t]) then as_one_cancel(t, receive_cancel, t, c, depth) end
  return true
end

function Task:cancel() return request_cancel(self, 0) end

function Task:cancelling()
  local n = 0
  for _, c in pairs(self.cancels) do n = n + c.count end
  return n
end

function Task:uncancel()
  take_back(self, math.huge)
  return self:cancelling()
end

function Task.set_result() misuse("a task sets its own result") end

Task.set_exception = Task.set_result

-- The timeout of a wait. Too late once the wait has been settled, even if the task has not run yet.
local function interrupter(t, f, wake)
  return function(err)
    if f:done() then return end
    if f.private then return settle(f, "error", err) end
    f:remove_done_callback(wake)
    t.waiting = nil
    call_soon(function() step(t, err) end)
  end
end

local function enter(t, f, timeout)
  local wake = function() step(t) end
  if not f then return call_soon(wake) end         -- one turn, as sleep(0)
  f:add_done_callback(wake)
  t.waiting, t.interrupt = f, interrupter(t, f, wake)
  if must_cancel(t) and as_one_cancel(t, f.cancel, f) then
    delivered(t)                                   -- a cancel met a new wait: what is waited for
  end
  return timeout and call_later(timeout, function() t.interrupt(M.TimeoutError) end)
end

-- T13: a task with a delivered cancel outstanding does not enter another wait.
local function may_not_wait()
  return any_in_reach(loop.current, "delivered")
end

-- The one place where a task suspends: until f is done, or for one turn if there is no f.
local function suspend(f, timeout)
  local t = loop.current
  local timer
  if may_not_wait() then
    note "level"
    call_soon(function() step(t, M.CancelledError) end)
  else
    timer = enter(t, f, timeout)
  end
  local err = coroutine.yield()
  if timer then timer.cancelled = true end
  if err ~= nil then error(err, 0) end
end

local function wait(f, timeout)
  suspend(f, timeout)
  return outcome(f)
end

-- The timeout of a second look.
local SECOND_LOOK = -5e-324

-- X10: what failed with a timeout of 0 or less is tried again one turn later, by a call with what
-- this returns; nil if there is time to wait.
local function second_look(timeout)
  if not timeout or timeout > 0 then return nil end
  if timeout == SECOND_LOOK then error(M.TimeoutError, 0) end
  suspend(nil)
  return SECOND_LOOK
end

-- Would the end of f need the end of t first? Follows what suspended tasks wait for.
local function leads_to(f, t)
  if f == t then return true end
  if f:done() then return false end
  for _, other in ipairs(f.children or {f.waiting}) do
    if leads_to(other, t) then return true end
  end
  return false
end

local function refuse_circle(f)
  if leads_to(f, loop.current) then misuse("tasks would wait for each other in a circle") end
end

function Future:await(timeout)
  if self:done() then return outcome(self) end
  refuse_circle(self)
  local again = second_look(timeout)
  if again then return self:await(again) end
  return wait(self, timeout)
end

function M.current_task() return loop.current end

local report_to

-- Only the errors that groups do not raise are reported: T12 is not modelled.
function M.on_error(fn) report_to = fn end

function M.report(task, err)
  if report_to then report_to(task, err) end
end

function M.all_tasks()
  local list = {}
  for _, t in ipairs(loop.tasks) do
    if not t:done() then table.insert(list, t) end
  end
  return list
end

function M.sleep(seconds, result)
  if seconds ~= seconds then misuse("sleep of NaN") end
  if seconds <= 0 then
    suspend(nil)
    return result
  end
  local w = new_waiter()
  local timer = call_later(seconds, function() if not w:done() then settle(w, "result") end end)
  local ok, err = pcall(wait, w)
  timer.cancelled = true
  if not ok then error(err, 0) end
  return result
end

---------------------------------------------------------------------------------------------------
-- gather, shield

local Gathering = setmetatable({}, {__index = Future})
Gathering.__index = Gathering

-- Cancelling it cancels the children; it ends when they do.
function Gathering:cancel()
  if self:done() then return false end
  local any = false
  for _, child in ipairs(self.children) do
    if child:cancel() then any = true end
  end
  if any then self.cancel_requested = true end
  return any
end

local function results_of(children)
  local list = {n = #children, failed = {}}
  for i, child in ipairs(children) do
    if child.state == "result" then
      list[i] = child.values[1]
    else
      list[i] = child.state == "cancelled" and M.CancelledError or child.values[1]
      list.failed[i] = true
    end
  end
  return list
end

local function child_ended(outer, child, return_exceptions)
  outer.finished = outer.finished + 1
  if outer:done() then return end
  if not return_exceptions and child.state ~= "result" then
    settle(outer, "error", child.state == "cancelled" and M.CancelledError or child.values[1])
  elseif outer.finished == outer.expected then
    if outer.cancel_requested then
      settle(outer, "error", M.CancelledError)     -- G4
    else
      settle(outer, "result", results_of(outer.children))
    end
  end
end

local function is_awaitable(x)
  return type(x) == "function" or getmetatable(x) == Future or getmetatable(x) == Task
end

local function gather_arguments(first, ...)
  if first == nil then return {}, false end
  if is_awaitable(first) then return {first, ...}, false end
  local options = ...
  return first, options and options.return_exceptions or false
end

-- A function becomes a task in each place; a task or future named twice is one child.
local function children_of(list)
  local children, distinct, known = {}, {}, {}
  for i, x in ipairs(list) do
    local child = type(x) == "function" and M.create_task(x) or x
    if not known[child] then
      known[child] = true
      table.insert(distinct, child)
    end
    children[i] = child
  end
  return children, distinct
end

function M.gather(...)
  local list, return_exceptions = gather_arguments(...)
  for _, x in ipairs(list) do
    if type(x) ~= "function" and not x:done() then refuse_circle(x) end
  end
  local outer = new_future(Gathering)
  local children, distinct = children_of(list)
  outer.children, outer.expected, outer.finished = children, #distinct, 0
  if #list == 0 then return results_of(children) end
  local already = {}
  for _, child in ipairs(distinct) do
    if child:done() then
      table.insert(already, child)
    else
      child:add_done_callback(function() child_ended(outer, child, return_exceptions) end)
    end
  end
  for _, child in ipairs(already) do child_ended(outer, child, return_exceptions) end
  if outer:done() then return outcome(outer) end
  return wait(outer)
end

local function shielded_call(fn, ...)
  local t = loop.current
  t.shielded = t.shielded + 1
  local r = table.pack(pcall(fn, ...))
  t.shielded = t.shielded - 1
  if not r[1] then error(r[2], 0) end
  return table.unpack(r, 2, r.n)
end

-- An outer future that ends as the inner one does, and can be cancelled without it.
local function outer_of(inner)
  local outer = new_future()
  outer.children = {inner}
  inner:add_done_callback(function()
    if not outer:done() then
      settle(outer, inner.state, table.unpack(inner.values, 1, inner.values.n))
    end
  end)
  return outer
end

function M.shield(what, ...)
  if type(what) == "function" then return shielded_call(what, ...) end
  if what:done() then return outcome(what) end
  refuse_circle(what)
  return wait(outer_of(what))
end

---------------------------------------------------------------------------------------------------
-- Deadlines of blocks, wait_for

local Deadline = {}
Deadline.__index = Deadline

local function expire(d)
  d.state, d.timer = "expired", nil
  request_cancel(d.task, d.depth)
end

-- G8: past already: fires at the next suspension. What was there before is noted, to be put back if
-- the task reschedules it in the same step.
local function expire_at_once(d)
  local t = d.task
  local is_own = loop.current == t and t.shielded == d.depth
  d.late = is_own and {step = t.steps, count = in_reach(t), due = cancels_at(t, d.depth).due}
  expire(d)
end

local function is_undoable(d)
  local t, late = d.task, d.late
  return d.state == "expired" and late and late.step == t.steps and loop.current == t
    and t.shielded == d.depth
end

local function undo(d)
  take_back(d.task, d.depth)
  if in_reach(d.task) == d.late.count then cancels_at(d.task, d.depth).due = d.late.due end
  d.state, d.late = "active", nil
end

local function arm(d, seconds)
  d.at = seconds and loop.now + seconds
  d.timer = seconds and seconds > 0 and call_later(seconds, function() expire(d) end)
  if seconds and seconds <= 0 then expire_at_once(d) end
end

local function disarm(d)
  if d.timer then d.timer.cancelled = true end
end

local function new_deadline(seconds)
  local t = loop.current or misuse("a deadline outside a task")
  local d = setmetatable({task = t, depth = t.shielded, state = "active"}, Deadline)
  arm(d, seconds)
  return d
end

-- Its cancel becomes a TimeoutError if no other one is outstanding: one from before the block would
-- have been raised anyway, and must not be lost in it (asyncio compares with the count at the entry
-- and so loses it).
local function close_deadline(d, err)
  disarm(d)
  local expired = d.state == "expired"
  d.state = expired and "closed late" or "closed"
  if not expired then return end
  take_back(d.task, d.depth)
  if err == M.CancelledError and in_reach(d.task) == 0 then error(M.TimeoutError, 0) end
end

Deadline.__close = close_deadline

function Deadline:reschedule(seconds)
  if is_undoable(self) then undo(self) end
  if self.state ~= "active" then misuse("rescheduling a deadline that is over") end
  disarm(self)
  arm(self, seconds)
end

function Deadline:expired() return self.state == "expired" or self.state == "closed late" end

function Deadline:when() return self.at end

function M.timeout(seconds) return new_deadline(seconds) end

local function under_deadline(fn, timeout, ...)
  local d = new_deadline(timeout)
  local r = table.pack(pcall(fn, ...))
  close_deadline(d, not r[1] and r[2] or nil)
  if not r[1] then error(r[2], 0) end
  return table.unpack(r, 2, r.n)
end

-- What the cancelled inner one says in the end; only its being cancelled means that time was up.
local function outcome_after_cancel(f)
  if f.state == "cancelled" then error(M.TimeoutError, 0) end
  return outcome(f)
end

-- H19: no time at all. Cancel it and see it end; this wait counts as shielded.
local function cancel_and_wait(f)
  local outer = new_waiter()
  outer.children = {f}
  f:add_done_callback(function() settle(outer, "result") end)
  f:cancel()
  shielded_call(wait, outer)
  return outcome_after_cancel(f)
end

-- From the deadline on the caller is shielded: it sees the inner one end. Another cancel that is
-- outstanding by then makes it a plain cancel, not a timeout (G8); it is delivered by this.
local function await_under_deadline(f, timeout)
  local t = loop.current
  local expired = false
  local timer = call_later(timeout, function()
    if f:done() then return end
    expired = true
    t.shielded = t.shielded + 1
    f:cancel()
  end)
  local r = table.pack(pcall(wait, f))
  timer.cancelled = true
  if expired then
    t.shielded = t.shielded - 1
    if in_reach(t) == 0 then return outcome_after_cancel(f) end
    if f.state == "cancelled" then delivered(t) end
  end
  if not r[1] then error(r[2], 0) end
  return table.unpack(r, 2, r.n)
end

function M.wait_for(what, timeout, ...)
  if type(what) == "function" then
    if not timeout then return what(...) end
    return under_deadline(what, timeout, ...)
  end
  if what:done() then return outcome(what) end
  refuse_circle(what)
  if not timeout then return wait(what) end
  if timeout <= 0 then return cancel_and_wait(what) end
  return await_under_deadline(what, timeout)
end

---------------------------------------------------------------------------------------------------
-- Rooms of waiters

local function remove(list, x)
  for i = #list, 1, -1 do
    if list[i] == x then table.remove(list, i) end
  end
end

local function give_ticket(w)
  w.ticket = true
  settle_waiter(w)
end

local function first_unwoken(room)
  for _, w in ipairs(room) do
    if not w:done() then return w end
  end
end

-- Live: will have its turn, or has a ticket and will use it or hand it on.
local function any_live(room)
  for _, w in ipairs(room) do
    if w.ticket or not w:done() then return true end
  end
  return false
end

-- Waits in a room. Returns the waiter and whether the wait went well; it has left the room by then.
local function wait_in(room, timeout)
  local w = new_waiter()
  if not may_not_wait() then table.insert(room, w) end
  local ok, err = pcall(wait, w, timeout)
  remove(room, w)
  return w, ok, err
end

---------------------------------------------------------------------------------------------------
-- Queues

local Queue = {}
Queue.__index = Queue
Queue.__len = function(q) return #q.stored end

local function key_of(item)
  return type(item) == "table" and item[1] or item
end

local function smallest(items)
  local best = 1
  for i = 2, #items do
    if key_of(items[i].value) < key_of(items[best].value) then best = i end
  end
  return best
end

-- Where the next item is. Items are boxed so that nil is one.
local next_index = {
  fifo = function() return 1 end,
  lifo = function(items) return #items end,
  priority = smallest,
}

local function check_maxsize(maxsize)
  if maxsize == nil then return 0 end
  local n = type(maxsize) == "number" and math.tointeger(maxsize)
  return n or misuse("maxsize is an integer")
end

local function check_overflow(options, order, max)
  local overflow = options.overflow
  if overflow == nil then return nil end
  if overflow ~= "drop_oldest" and overflow ~= "drop_newest" then misuse("unknown overflow") end
  if order ~= "fifo" or max <= 0 then misuse("only a fifo queue with a bound drops") end
  return overflow
end

local function new_queue(order)
  return function(options)
    if type(options) ~= "table" then options = {maxsize = options} end
    local max = check_maxsize(options.maxsize)
    return setmetatable({order = order, max = max, overflow = check_overflow(options, order, max),
                         stored = {}, getters = {}, putters = {}, joiners = {}, unfinished = 0,
                         dropped = 0, shut = false}, Queue)
  end
end

M.Queue, M.LifoQueue, M.PriorityQueue = new_queue "fifo", new_queue "lifo", new_queue "priority"

local function tickets(room)
  local n = 0
  for _, w in ipairs(room) do
    if w.ticket then n = n + 1 end
  end
  return n
end

local function has_free_item(q)
  local free = #q.stored > tickets(q.getters)
  if not free and #q.stored > 0 then note "tickets" end
  return free
end

local function has_free_slot(q)
  if q.max <= 0 then return true end
  local free = #q.stored + tickets(q.putters) < q.max
  if not free and #q.stored < q.max then note "tickets" end
  return free
end

local function wake_getter(q)
  local w = first_unwoken(q.getters)
  if w then give_ticket(w) end
end

local function wake_putter(q)
  local w = first_unwoken(q.putters)
  if w then give_ticket(w) end
end

local function store(q, item)
  table.insert(q.stored, {value = item})
  q.unfinished = q.unfinished + 1
  wake_getter(q)
end

-- Stores an item in the place of the oldest, or not at all; the one that was dropped counts as
-- done. Free items stay as many, so nobody is woken, and U never passes through 0 (Q23-Q25).
local function put_dropping(q, item)
  q.dropped = q.dropped + 1
  if q.overflow == "drop_newest" then return item end
  local oldest = table.remove(q.stored, 1)
  table.insert(q.stored, {value = item})
  q.unfinished = math.max(q.unfinished - 1, 0) + 1
  return oldest.value
end

-- A put that need not wait: false; or true and what was dropped. nil: it must.
local function try_put(q, item)
  if has_free_slot(q) then
    store(q, item)
    return false
  end
  if q.overflow then return true, put_dropping(q, item) end
end

local function take(q)
  local box = table.remove(q.stored, next_index[q.order](q.stored))
  wake_putter(q)
  return box.value
end

local function check_item(...)
  if select("#", ...) == 0 then misuse("put without an item") end
end

function Queue:put(...)
  check_item(...)
  local item, timeout = ...
  if self.shut then error(M.QueueShutDown, 0) end
  if try_put(self, item) ~= nil then return end
  local again = second_look(timeout)
  if again then return self:put(item, again) end
  local w, ok, err = wait_in(self.putters, timeout)
  if not ok then
    if w.ticket then wake_putter(self) end
    error(err, 0)
  end
  if self.shut then error(M.QueueShutDown, 0) end
  store(self, item)
end

function Queue:put_nowait(...)
  check_item(...)
  if self.shut then error(M.QueueShutDown, 0) end
  local has_dropped, item = try_put(self, (...))
  if has_dropped == nil then error(M.QueueFull, 0) end
  if self.overflow then return has_dropped, item end
end

function Queue:get(timeout)
  if has_free_item(self) then return take(self) end
  if self.shut then error(M.QueueShutDown, 0) end
  local again = second_look(timeout)
  if again then return self:get(again) end
  local w, ok, err = wait_in(self.getters, timeout)
  if not ok then
    if w.ticket then wake_getter(self) end
    error(err, 0)
  end
  if w.ticket or has_free_item(self) then return take(self) end
  error(M.QueueShutDown, 0)
end

function Queue:get_nowait()
  if has_free_item(self) then return take(self) end
  error(self.shut and M.QueueShutDown or M.QueueEmpty, 0)
end

-- Its own ticket and what is free, as far as max goes.
local function take_some(q, max, list)
  while list.n < max and has_free_item(q) do
    list.n = list.n + 1
    list[list.n] = take(q)
  end
  return list
end

function Queue:get_many(max, timeout)
  if math.type(max) ~= "integer" or max < 1 then misuse("get_many of less than one") end
  local first = self:get(timeout)
  return take_some(self, max, {n = 1, first})
end

-- One after the other, each as put; what ends it early tells how many are stored.
function Queue:put_many(list, timeout)
  local until_when = timeout and loop.now + timeout
  local n = list.n or #list
  for i = 1, n do
    local ok, err = pcall(self.put, self, list[i], until_when and until_when - loop.now)
    if not ok and err == M.TimeoutError and i > 1 then return i - 1 end
    if not ok then error(type(err) == "table" and with_stored(err, i - 1) or err, 0) end
  end
  return n
end

function Queue:drain()
  return take_some(self, math.huge, {n = 0})
end

function Queue:peek()
  if not has_free_item(self) then error(self.shut and M.QueueShutDown or M.QueueEmpty, 0) end
  return self.stored[next_index[self.order](self.stored)].value
end

function Queue:items()
  return function()
    local ok, item = pcall(self.get, self)
    if not ok and item == M.QueueShutDown then return nil end
    if not ok then error(item, 0) end
    return item == nil and misuse("a nil item ends a loop") or item
  end
end

function Queue:qsize() return #self.stored end

function Queue:empty() return not has_free_item(self) end

function Queue:full() return not has_free_slot(self) end

function Queue:maxsize() return self.max end

function Queue:stats() return {dropped = self.dropped, overflow = self.overflow} end

function Queue:is_shutdown() return self.shut end

local function wake_all(room)
  for _, w in ipairs(room) do
    if not w:done() then settle_waiter(w) end
  end
end

local function finished_some(q, n)
  q.unfinished = q.unfinished - n
  if q.unfinished == 0 then wake_all(q.joiners) end
end

function Queue:task_done()
  if self.unfinished == 0 then misuse("task_done called too many times") end
  finished_some(self, 1)
end

function Queue:join(timeout)
  if self.unfinished == 0 then return end
  local again = second_look(timeout)
  if again then return self:join(again) end
  local _, ok, err = wait_in(self.joiners, timeout)
  if not ok then error(err, 0) end
end

-- The items of an immediate shutdown go in the order in which they would have been got; the tickets
-- of woken getters go with them (S7). Graceful: those keep theirs (S9).
local function throw_away(q)
  local list = {n = 0}
  while #q.stored > 0 do
    list.n = list.n + 1
    list[list.n] = table.remove(q.stored, next_index[q.order](q.stored)).value
  end
  q.dropped = q.dropped + list.n
  for _, w in ipairs(q.getters) do w.ticket = nil end
  finished_some(q, math.min(list.n, q.unfinished))
  return list
end

function Queue:shutdown(immediate)
  self.shut = true
  local list
  if immediate then list = throw_away(self) end
  wake_all(self.getters)
  wake_all(self.putters)
  return list
end

---------------------------------------------------------------------------------------------------
-- Event, Lock, Semaphore

local Event = {}
Event.__index = Event

function M.Event()
  return setmetatable({flag = false, room = {}}, Event)
end

function Event:is_set() return self.flag end

function Event:clear() self.flag = false end

function Event:set()
  if self.flag then return end
  self.flag = true
  wake_all(self.room)
end

function Event:wait(timeout)
  if self.flag then return true end
  local again = second_look(timeout)
  if again then return self:wait(again) end
  local _, ok, err = wait_in(self.room, timeout)
  if not ok then error(err, 0) end
  return true
end

local Lock = {}
Lock.__index = Lock

function M.Lock()
  return setmetatable({held = false, room = {}}, Lock)
end

function Lock:locked() return self.held end

local function hand_over(lock)
  local w
  if M.lock_as_asyncio then w = lock.room[1] else w = first_unwoken(lock.room) end
  if w and not w:done() then give_ticket(w) end
end

function Lock:acquire(timeout)
  if not self.held and not any_live(self.room) then
    self.held = true
    return true
  end
  local again = second_look(timeout)
  if again then return self:acquire(again) end
  local w, ok, err = wait_in(self.room, timeout)
  if ok then
    self.held = true
    return true
  end
  if not self.held and (w.ticket or M.lock_as_asyncio) then hand_over(self) end
  error(err, 0)
end

function Lock:release()
  if not self.held then misuse("release of a lock that is not locked") end
  self.held = false
  hand_over(self)
end

local Semaphore = {}
Semaphore.__index = Semaphore

function M.Semaphore(value)
  value = value or 1
  if value < 0 then misuse("a semaphore starts at 0 or more") end
  return setmetatable({value = value, room = {}}, Semaphore)
end

function M.BoundedSemaphore(value)
  local s = M.Semaphore(value)
  s.bound = s.value
  return s
end

function Semaphore:locked()
  return self.value == 0 or any_live(self.room)
end

-- The permit is taken from the value at the wake: it is the waiter's from then on.
local function grant(s)
  local w = first_unwoken(s.room)
  if not w then return false end
  s.value = s.value - 1
  give_ticket(w)
  return true
end

function Semaphore:acquire(timeout)
  if not self:locked() then
    self.value = self.value - 1
    return true
  end
  local again = second_look(timeout)
  if again then return self:acquire(again) end
  local w, ok, err = wait_in(self.room, timeout)
  if not ok and w.ticket then self.value = self.value + 1 end
  -- Permits that came while this waiter was live had to wait behind it.
  while self.value > 0 and grant(self) do end
  if not ok then error(err, 0) end
  return true
end

function Semaphore:release()
  if self.bound and self.value >= self.bound then misuse("semaphore released too often") end
  self.value = self.value + 1
  grant(self)
end

---------------------------------------------------------------------------------------------------
-- run

local function turn_until(done)
  while not done() do
    if not turn() then return false end
  end
  return true
end

-- The tasks that main has left behind are cancelled and waited for; one that swallows the cancel
-- and waits again gets another.
local function cancel_the_rest()
  for _ = 1, 100 do
    local rest = M.all_tasks()
    if #rest == 0 then return end
    for _, t in ipairs(rest) do t:cancel() end
    turn_until(function() return #M.all_tasks() == 0 end)
  end
  error("model: tasks that do not end")
end

function M.run(fn, ...)
  if loop then error("model: run inside run", 2) end
  loop = new_loop()
  local ok, err = pcall(function(...)
    local main = M.create_task(fn, ...)
    while not turn_until(function() return main:done() end) do
      main.interrupt(M.DeadlockError)
    end
    cancel_the_rest()
    return main
  end, ...)
  loop = nil
  if not ok then error(err, 0) end
  return outcome(err)
end

---------------------------------------------------------------------------------------------------
-- What is made of these: groups, wait, conditions, barriers, select

local parts = {
  misuse = misuse, call_soon = call_soon, call_later = call_later,
  new_waiter = new_waiter, settle = settle, settle_waiter = settle_waiter, wait = wait,
  children_of = children_of, shielded_call = shielded_call,
  current_task = M.current_task, leads_to = leads_to,
  request_cancel = request_cancel, take_back = take_back,
  must_cancel = must_cancel, delivered = delivered, arm_again = arm_again,
  remove = remove, wait_in = wait_in, may_not_wait = may_not_wait, wake_all = wake_all,
  suspend = suspend, second_look = second_look, now = function() return loop.now end,
  queue = {
    has_free_item = has_free_item, has_free_slot = has_free_slot, take = take, store = store,
    try_put = try_put, wake_getter = wake_getter, wake_putter = wake_putter,
  },
}

for _, file in ipairs {"scopes", "meetings", "choice"} do
  require("spec.model." .. file)(M, parts)
end

return M
