-- Small concurrent programs as plain data, and the interpreter that runs one on any implementation
-- of the API: the library itself or the model. What comes back is the log of events, in order, each
-- with the number of the turn it came in.
--
-- A program is
--   { queues = { {order = "fifo", maxsize = 1, overflow = "drop_oldest"}, ... }, locks = 1,
--     semaphores = { {value = 1, bounded = true}, ... }, events = 1, futures = 1,
--     conditions = 1, barriers = { 2, ... },     -- a barrier by its number of parties
--     initial = 2,                       -- the first so many tasks are started by the main task
--     tasks = { {op, op, ...}, ... } }   -- the others by a `spawn`, or a `child` into a group
-- and an operation is a table {"name", argument = ...}; those with a `body` nest. Times are whole
-- ticks of 1/512 s, which are exact both as floats and as nanoseconds.
--
-- How an operation ends in its task: CancelledError, a raised "boom" and an early return leave the
-- list of operations; every other error is logged and the next operation runs.

local M = {}

M.TICK = 1 / 512

-- Programs that block are ended by a watchdog, in rounds, since a task may take cancels back.
local WATCHDOG_AT, WATCHDOG_ROUNDS = 1000, 100

-- After so many turns without an event nothing but a deadline can bring the next one.
local QUIET_TURNS = 8

local ERRORS = {"CancelledError", "TimeoutError", "QueueEmpty", "QueueFull", "QueueShutDown",
                "InvalidStateError", "BrokenBarrierError", "DeadlockError"}

---------------------------------------------------------------------------------------------------
-- Values and errors as text

-- Strings of the implementation's own are all "misuse"; an error of Lua itself is a bug somewhere.
local function error_text(api, err)
  if type(err) == "string" then
    local boom = err:match "boom:%w+"
    if boom then return "!" .. boom end
    if err:find "attempt to" or err:find "model:" then return "!BUG " .. err end
    return "!misuse"
  end
  for _, name in ipairs(ERRORS) do
    if err == api[name] then return "!" .. name end
  end
  return "!unknown " .. tostring(err)
end

local function text(value)
  if type(value) == "table" then return value[2] .. "p" .. value[1] end     -- of a priority queue
  return tostring(value)
end

local function list_text(api, list)
  local parts = {}
  for i = 1, list.n do
    local failed = list.failed and list.failed[i]
    parts[i] = failed and error_text(api, list[i]) or text(list[i])
  end
  return "[" .. table.concat(parts, " ") .. "]"
end

---------------------------------------------------------------------------------------------------
-- One run: the objects, the tasks by number, the log

local Run = {}
Run.__index = Run

local CONSTRUCTORS = {fifo = "Queue", lifo = "LifoQueue", priority = "PriorityQueue"}

local function make_objects(api, prog)
  local objects = {queues = {}, locks = {}, semaphores = {}, events = {}, futures = {},
                   conditions = {}, barriers = {}}
  for i, q in ipairs(prog.queues or {}) do
    objects.queues[i] = api[CONSTRUCTORS[q.order]] {maxsize = q.maxsize, overflow = q.overflow}
  end
  for i, s in ipairs(prog.semaphores or {}) do
    objects.semaphores[i] = (s.bounded and api.BoundedSemaphore or api.Semaphore)(s.value)
  end
  for i = 1, prog.locks or 0 do objects.locks[i] = api.Lock() end
  for i = 1, prog.events or 0 do objects.events[i] = api.Event() end
  for i = 1, prog.futures or 0 do objects.futures[i] = api.Future() end
  for i = 1, prog.conditions or 0 do objects.conditions[i] = api.Condition() end
  for i, parties in ipairs(prog.barriers or {}) do objects.barriers[i] = api.Barrier(parties) end
  return objects
end

local function new_run(api, prog)
  local run = make_objects(api, prog)
  run.api, run.prog, run.log, run.started_at = api, prog, {}, api.now()
  run.tasks, run.started, run.items = {}, {}, {}
  run.groups, run.deadlines, run.holds = {}, {}, {}
  run.tally = {put = 0, got = 0, dropped = 0, left = 0}
  run.turn, run.quiet, run.pulse = 0, 0, api.Event()
  return setmetatable(run, Run)
end

-- Each event is marked with the turn, so that a hop too many shows even where no order changes.
function Run:write(...)
  table.insert(self.log, self.turn .. " " .. table.concat({...}, " "))
  self.quiet = 0
  self.pulse:set()
end

-- Counts turns, as long as something happens: while it runs the virtual clock cannot jump.
function Run:beat()
  while true do
    self.turn, self.quiet = self.turn + 1, self.quiet + 1
    if self.quiet > QUIET_TURNS then
      self.pulse:clear()
      self.pulse:wait()
    else
      self.api.sleep(0)
    end
  end
end

function Run:ticks()
  return math.floor((self.api.now() - self.started_at) / M.TICK + 0.5)
end

function Run:text(err)
  return error_text(self.api, err)
end

-- Items are unique and tell who put them: the 3rd of task 2 is 203.
function Run:new_item(me, op)
  local n = (self.items[me] or 0) + 1
  self.items[me] = n
  local id = me * 100 + n
  if self.prog.queues[op.q].order == "priority" then return {op.prio or 0, id} end
  return id
end

---------------------------------------------------------------------------------------------------
-- Operations. Each: object(run, op) -> what it works on, for the log; call(run, me, op) -> the text
-- of its outcome or nothing. `waits`: may suspend, so its start is logged too.

local OPS = {}
M.OPS = OPS

local execute

-- `ends`: by itself, or with the tasks it waits for, so that it may stand in a shield as it is.
local function define(name, waits, field, call, ends)
  OPS[name] = {waits = waits, field = field, call = call, ends = ends}
end

local function timeout_of(op)
  return op.timeout and op.timeout * M.TICK
end

define("put", true, "q", function(run, me, op)
  local item = run:new_item(me, op)
  run.queues[op.q]:put(item, timeout_of(op))
  run.tally.put = run.tally.put + 1
  return text(item)
end)

define("put_nowait", false, "q", function(run, me, op)
  local item = run:new_item(me, op)
  local has_dropped, dropped = run.queues[op.q]:put_nowait(item)
  run.tally.put = run.tally.put + 1
  return text(item) .. (has_dropped and " dropped " .. text(dropped) or "")
end)

define("get", true, "q", function(run, _, op)
  local item = run.queues[op.q]:get(timeout_of(op))
  run.tally.got = run.tally.got + 1
  return text(item)
end)

define("get_nowait", false, "q", function(run, _, op)
  local item = run.queues[op.q]:get_nowait()
  run.tally.got = run.tally.got + 1
  return text(item)
end)

define("task_done", false, "q", function(run, _, op) run.queues[op.q]:task_done() end)

define("join", true, "q", function(run, _, op) run.queues[op.q]:join(timeout_of(op)) end)

define("qsize", false, "q", function(run, _, op) return text(run.queues[op.q]:qsize()) end)

define("empty", false, "q", function(run, _, op) return text(run.queues[op.q]:empty()) end)

define("full", false, "q", function(run, _, op) return text(run.queues[op.q]:full()) end)

define("shutdown", false, "q", function(run, _, op)
  local dropped = run.queues[op.q]:shutdown(op.immediate)
  return op.immediate and list_text(run.api, dropped) or nil
end)

define("sleep", true, "d", function(run, _, op) run.api.sleep(op.d * M.TICK) end, true)

define("acquire", true, "l", function(run, _, op) run.locks[op.l]:acquire(timeout_of(op)) end)

define("release", false, "l", function(run, _, op) run.locks[op.l]:release() end)

define("locked", false, "l", function(run, _, op) return text(run.locks[op.l]:locked()) end)

define("down", true, "s", function(run, _, op) run.semaphores[op.s]:acquire(timeout_of(op)) end)

define("up", false, "s", function(run, _, op) run.semaphores[op.s]:release() end)

define("exhausted", false, "s", function(run, _, op)
  return text(run.semaphores[op.s]:locked())
end)

define("set", false, "e", function(run, _, op) run.events[op.e]:set() end)

define("clear", false, "e", function(run, _, op) run.events[op.e]:clear() end)

define("is_set", false, "e", function(run, _, op) return text(run.events[op.e]:is_set()) end)

define("wait", true, "e", function(run, _, op) run.events[op.e]:wait(timeout_of(op)) end)

define("resolve", false, "f", function(run, me, op)
  run.futures[op.f]:set_result("f" .. me)
end)

define("fail", false, "f", function(run, me, op)
  run.futures[op.f]:set_exception("boom:f" .. me)
end)

define("abandon", false, "f", function(run, _, op) return text(run.futures[op.f]:cancel()) end)

define("await_future", true, "f", function(run, _, op)
  return text(run.futures[op.f]:await(timeout_of(op)))
end)

-- Operations on tasks: one that has not been started is "none".

local function define_on_task(name, waits, call)
  define(name, waits, "t", function(run, me, op)
    local task = run.tasks[op.t]
    if not task then return "none" end
    return call(run, task, op, me)
  end)
end

define_on_task("cancel", false, function(_, task) return text(task:cancel()) end)

define_on_task("done", false, function(_, task)
  return text(task:done()) .. " " .. text(task:cancelled())
end)

define_on_task("await", true, function(_, task, op) return text(task:await(timeout_of(op))) end)

define_on_task("shield_task", true, function(run, task) return text(run.api.shield(task)) end)

define_on_task("wait_task", true, function(run, task, op)
  return text(run.api.wait_for(task, timeout_of(op)))
end)

define("uncancel", false, nil, function(run, me) return text(run.tasks[me]:uncancel()) end)

define("cancelling", false, nil, function(run, me) return text(run.tasks[me]:cancelling()) end)

define("spawn", false, "t", function(run, _, op)
  if run.tasks[op.t] or not run.prog.tasks[op.t] then return "none" end
  run:start(op.t)
end)

define("gather", true, "ts", function(run, _, op)
  local list = {}
  for _, i in ipairs(op.ts) do table.insert(list, run.tasks[i]) end
  return list_text(run.api, run.api.gather(list, {return_exceptions = op.all}))
end)

-- Operations with a body. What leaves the body by `return` leaves the function that the body is.

define("deadline", true, "timeout", function(run, me, op)
  return run.api.wait_for(function()
    execute(run, me, op.body)
    return "w" .. me
  end, timeout_of(op))
end)

define("shield", true, nil, function(run, me, op)
  return run.api.shield(function()
    execute(run, me, op.body)
    return "s" .. me
  end)
end, true)

require("spec.model.operations") {
  define = define, define_on_task = define_on_task, TICK = M.TICK, timeout_of = timeout_of,
  text = text, list_text = list_text, execute = function(...) return execute(...) end,
}

---------------------------------------------------------------------------------------------------
-- Executing a list of operations: true if it ended by an early return

-- For example "q1", "4" or "[2 3]".
local function argument_text(op, field)
  local value = field and op[field]
  if value == nil then return nil end
  if type(value) == "table" then return "[" .. table.concat(value, " ") .. "]" end
  local letter = (field == "d" or field == "timeout") and "" or field
  return letter .. value
end

-- For example "get1" of a select.
local function branches_text(op)
  local parts = {}
  for i, b in ipairs(op.branches) do parts[i] = b[1] .. (b.q or b.t or b.f or b.e) end
  return "{" .. table.concat(parts, " ") .. "}"
end

local function label_of(op)
  local parts, field = {op[1]}, OPS[op[1]].field
  table.insert(parts, argument_text(op, field))
  if op.timeout and field ~= "timeout" then table.insert(parts, "within " .. op.timeout) end
  if op.branches then table.insert(parts, branches_text(op)) end
  if op.of then table.insert(parts, "of t" .. op.of) end
  if op.n then table.insert(parts, "n " .. op.n) end
  if op.when then table.insert(parts, op.when) end
  if op.all then table.insert(parts, "all") end
  if op.immediate then table.insert(parts, "now") end
  return table.concat(parts, " ")
end

local function leaves_the_list(run, err)
  return err == run.api.CancelledError or type(err) == "string" and err:find "boom:" ~= nil
end

local function took(run, since)
  local ticks = run:ticks() - since
  return ticks > 0 and " +" .. ticks or ""
end

local function execute_plain(run, me, op)
  local spec, label = OPS[op[1]], "t" .. me .. " " .. label_of(op)
  if spec.waits then run:write(label, "...") end
  local since = run:ticks()
  local ok, result = pcall(spec.call, run, me, op)
  if ok then
    run:write(label, "-> " .. (result or "ok") .. took(run, since))
    return
  end
  run:write(label, run:text(result) .. took(run, since))
  if leaves_the_list(run, result) then error(result, 0) end
end

-- try: body; on an error handler; in any case cleanup. The error ends here unless `again`, or
-- unless handler or cleanup raise their own.
local function execute_try(run, me, op)
  local ok, result = pcall(execute, run, me, op.body)
  if not ok then
    local caught = result
    run:write("t" .. me .. " caught", run:text(caught))
    ok, result = pcall(execute, run, me, op.handler or {})
    if ok and op.again then ok, result = false, caught end
  end
  if op.cleanup then
    run:write("t" .. me .. " cleanup")
    if execute(run, me, op.cleanup) then return true end
  end
  if not ok then error(result, 0) end
  return result
end

function execute(run, me, ops)
  for _, op in ipairs(ops) do
    local name = op[1]
    if name == "return" then
      run:write("t" .. me .. " return")
      return true
    elseif name == "error" then
      run:write("t" .. me .. " error")
      error("boom:t" .. me, 0)
    elseif name == "try" then
      if execute_try(run, me, op) then return true end
    else
      execute_plain(run, me, op)
    end
  end
  return false
end

---------------------------------------------------------------------------------------------------
-- The main task

-- In a group, or by itself.
function Run:start(i, group)
  local function body()
    self:write("t" .. i .. " starts")
    execute(self, i, self.prog.tasks[i])
    self:write("t" .. i .. " ends")
    return "r" .. i
  end
  self.tasks[i] = group and group:create_task(body) or self.api.create_task(body)
  table.insert(self.started, i)
end

function Run:cancel_unfinished()
  local any = false
  for _, i in ipairs(self.started) do
    if not self.tasks[i]:done() then
      any = true
      self:write("watchdog cancels t" .. i)
      self.tasks[i]:cancel()
      self.tasks[i]:cancel()
    end
  end
  return any
end

function Run:watch()
  self.api.sleep(WATCHDOG_AT)
  for _ = 1, WATCHDOG_ROUNDS do
    if not self:cancel_unfinished() then return end
    self.api.sleep(1)
  end
  self:write "watchdog gives up"
end

local function describe_queue(run, i, q)
  local size, empty, full, dropped = q:qsize(), q:empty(), q:full(), q:stats().dropped
  run.tally.left, run.tally.dropped = run.tally.left + size, run.tally.dropped + dropped
  local left, unfinished = {n = 0}, 0
  while not q:empty() do
    left.n = left.n + 1
    left[left.n] = q:get_nowait()
  end
  while pcall(q.task_done, q) do unfinished = unfinished + 1 end
  run:write("end q" .. i, size, text(empty), text(full), list_text(run.api, left),
            "unfinished " .. unfinished, "dropped " .. text(dropped))
end

local function describe_future(run, i, f)
  if not f:done() then return run:write("end f" .. i .. " pending") end
  local ok, result = pcall(f.result, f)
  run:write("end f" .. i, ok and text(result) or run:text(result))
end

function Run:describe_end()
  for _, i in ipairs(self.started) do
    local task = self.tasks[i]
    local ok, result = pcall(task.result, task)
    self:write("end t" .. i, ok and text(result) or self:text(result))
  end
  for i, q in ipairs(self.queues) do describe_queue(self, i, q) end
  for i, l in ipairs(self.locks) do self:write("end l" .. i, text(l:locked())) end
  for i, s in ipairs(self.semaphores) do self:write("end s" .. i, text(s:locked())) end
  for i, e in ipairs(self.events) do self:write("end e" .. i, text(e:is_set())) end
  for i, f in ipairs(self.futures) do describe_future(self, i, f) end
  for i, c in ipairs(self.conditions) do self:write("end c" .. i, text(c:locked())) end
  for i, b in ipairs(self.barriers) do
    self:write("end b" .. i, text(b:n_waiting()), text(b:broken()))
  end
end

function Run:main()
  local helpers = {self.api.create_task(self.beat, self), self.api.create_task(self.watch, self)}
  for i = 1, math.min(self.prog.initial, #self.prog.tasks) do self:start(i) end
  local n = 1
  while self.started[n] do
    local task = self.tasks[self.started[n]]
    pcall(task.await, task)
    n = n + 1
  end
  for _, helper in ipairs(helpers) do
    helper:cancel()
    pcall(helper.await, helper)
  end
  self:describe_end()
  table.sort(self.reports)
  self:write("reported", table.concat(self.reports, " "))
end

-- Runs a program; returns the log, a list of strings, and how many items were put, got, dropped
-- and left in a queue. Sets api.on_error, for the errors that only a group knows of.
function M.run(api, prog)
  return api.run(function()
    local run = new_run(api, prog)
    run.reports = {}
    api.on_error(function(_, err) table.insert(run.reports, run:text(err)) end)
    run:main()
    return run.log, run.tally
  end)
end

---------------------------------------------------------------------------------------------------
-- A program as text, and a copy of it

local function sorted_keys(t)
  local keys = {}
  for k in pairs(t) do
    if math.type(k) ~= "integer" then table.insert(keys, k) end
  end
  table.sort(keys)
  return keys
end

-- A table short enough for one line is written on one.
local function format_value(value, indent)
  if type(value) == "string" then return ("%q"):format(value) end
  if type(value) ~= "table" then return tostring(value) end
  local parts = {}
  for _, v in ipairs(value) do table.insert(parts, format_value(v, indent .. "  ")) end
  for _, k in ipairs(sorted_keys(value)) do
    table.insert(parts, k .. " = " .. format_value(value[k], indent .. "  "))
  end
  local line = "{" .. table.concat(parts, ", ") .. "}"
  if #line + #indent <= 90 and not line:find "\n" then return line end
  local inner = indent .. "  "
  return "{\n" .. inner .. table.concat(parts, ",\n" .. inner) .. "\n" .. indent .. "}"
end

-- Lua source of a program, to be read or pasted into a spec.
function M.format(prog)
  return format_value(prog, "")
end

function M.copy(value)
  if type(value) ~= "table" then return value end
  local new = {}
  for k, v in pairs(value) do new[k] = M.copy(v) end
  return new
end

return M
