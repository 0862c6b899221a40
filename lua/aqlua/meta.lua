---@meta aqlua
-- Types of aqlua for editors (LuaCATS). Nothing here is run. The reference is docs/reference.md.

---@class aqlua
---@field _VERSION string "aqlua X.Y.Z"
---@field version integer[] the three numbers of the version
---@field CancelledError aqlua.Error the task was cancelled
---@field TimeoutError aqlua.Error the time is up
---@field QueueEmpty aqlua.Error get_nowait found no free item
---@field QueueFull aqlua.Error put_nowait found no free slot
---@field QueueShutDown aqlua.Error the queue has been shut down
---@field InvalidStateError aqlua.Error the result is not there yet, or already
---@field BrokenBarrierError aqlua.Error the barrier was broken
---@field DeadlockError aqlua.Error nothing can ever wake the waiting tasks
local aq = {}

---An error value. Compare it with `==`: two of one kind are equal.
---@class aqlua.Error: userdata
---@field name string the kind, e.g. "TimeoutError"
---@field message any a sentence, or what `task:cancel` was given

---@alias aqlua.awaitable aqlua.Task|aqlua.Future|fun(): ...any

-- ---- running ------------------------------------------------------------------------------------

---Runs `fn(...)` as a task until it ends, then cancels all other tasks and waits for them.
---@async
---@param fn fun(...): ...any
---@param ... any
---@return any ...
function aq.run(fn, ...) end

---Suspends the task for `seconds`; for 0 or less, for one turn.
---@async
---@generic T
---@param seconds number
---@param result? T
---@return T result
function aq.sleep(seconds, result) end

---The monotonic clock in seconds.
---@return number seconds
---@nodiscard
function aq.now() end

---`fn` is called for every error that nobody retrieved. nil: reports go to stderr again.
---@param fn? fun(task: aqlua.Task|aqlua.Future, err: any, traceback?: string)
function aq.on_error(fn) end

---Stock Lua only: lets waits pass through coroutine.wrap, coroutine.resume and require.
function aq.patch() end

-- ---- tasks --------------------------------------------------------------------------------------

---Makes a task that runs `fn(...)`; its first step is in the next turn.
---@param fn fun(...): ...any
---@param ... any
---@return aqlua.Task
function aq.create_task(fn, ...) end

---The running task, or nil outside of one.
---@return aqlua.Task?
---@nodiscard
function aq.current_task() end

---The tasks that have not ended, oldest first.
---@return aqlua.Task[]
---@nodiscard
function aq.all_tasks() end

---What a Task and a Future have in common.
---@class aqlua.Awaitable: userdata
local Awaitable = {}

---Waits for the end. Returns all results, or raises the error as it was thrown.
---@async
---@param timeout? number seconds
---@return any ...
function Awaitable:await(timeout) end

---@return boolean
---@nodiscard
function Awaitable:done() end

---@return boolean
---@nodiscard
function Awaitable:cancelled() end

---All results, or raises the error; InvalidStateError if it has not ended.
---@return any ...
function Awaitable:result() end

---The error, or nil after a success; raises InvalidStateError or CancelledError.
---@return any
function Awaitable:exception() end

---Calls `fn(self)` in the turn after the end.
---@param fn fun(self: self)
function Awaitable:add_done_callback(fn) end

---@param fn fun(self: self)
---@return integer removed
function Awaitable:remove_done_callback(fn) end

---@class aqlua.Task: aqlua.Awaitable
local Task = {}

---Asks the task to end: CancelledError is raised where it waits.
---@param message? any becomes the message of the CancelledError
---@return boolean requested false if the task has ended
function Task:cancel(message) end

---How many cancels are outstanding.
---@return integer
---@nodiscard
function Task:cancelling() end

---Takes one cancel back; returns how many are left.
---@return integer
function Task:uncancel() end

---@return string
---@nodiscard
function Task:get_name() end

---@param name string
function Task:set_name(name) end

---Where its error was thrown, or where it is.
---@return string?
---@nodiscard
function Task:traceback() end

-- ---- several at once, timeouts, shields ---------------------------------------------------------

---@class aqlua.Gathered
---@field n integer
---@field [integer] any the first result of each, or its error
---@field failed table<integer, true?> where `[i]` is an error

---@class aqlua.GatherOptions
---@field return_exceptions? boolean errors go into the list and are not raised

---Waits for all; a function is run as a child task. The first error is raised at once.
---@async
---@param ... aqlua.awaitable
---@return aqlua.Gathered
---@overload async fun(list: aqlua.awaitable[], options?: aqlua.GatherOptions): aqlua.Gathered
function aq.gather(...) end

---Calls `fn(...)` under a deadline; or awaits a Task or Future, which is cancelled on timeout.
---@async
---@param fn fun(...): ...any
---@param timeout? number seconds
---@param ... any
---@return any ...
---@overload async fun(task: aqlua.Awaitable, timeout?: number): ...any
function aq.wait_for(fn, timeout, ...) end

---A deadline for a block: `local deadline <close> = aq.timeout(seconds)`.
---@param seconds? number
---@return aqlua.Timeout
---@nodiscard
function aq.timeout(seconds) end

---@class aqlua.Timeout: userdata
local Timeout = {}

---Another deadline, from now; nil: none.
---@param seconds? number
function Timeout:reschedule(seconds) end

---The deadline as a time of `aq.now()`, or nil.
---@return number?
---@nodiscard
function Timeout:when() end

---@return boolean
---@nodiscard
function Timeout:expired() end

---Calls `fn(...)` out of reach of cancels; or awaits a task, which a cancel of the caller leaves
---running.
---@async
---@param fn fun(...): ...any
---@param ... any
---@return any ...
---@overload async fun(task: aqlua.Awaitable): ...any
function aq.shield(fn, ...) end

-- ---- queues -------------------------------------------------------------------------------------

---@class aqlua.QueueOptions
---@field maxsize? integer how many items it holds; 0 or less: any number
---@field name? string shown in reports

---First in, first out.
---@param maxsize? integer|aqlua.QueueOptions
---@return aqlua.Queue
---@nodiscard
function aq.Queue(maxsize) end

---Last in, first out.
---@param maxsize? integer|aqlua.QueueOptions
---@return aqlua.LifoQueue
---@nodiscard
function aq.LifoQueue(maxsize) end

---The smallest first; the key is the item, or the `[1]` of a table.
---@param maxsize? integer|aqlua.QueueOptions
---@return aqlua.PriorityQueue
---@nodiscard
function aq.PriorityQueue(maxsize) end

---@class aqlua.Queue: userdata
---@operator len: integer
local Queue = {}

---@class aqlua.LifoQueue: aqlua.Queue

---@class aqlua.PriorityQueue: aqlua.Queue

---Stores an item; waits while no slot is free.
---@async
---@param item any
---@param timeout? number seconds
function Queue:put(item, timeout) end

---Takes the next item; waits while no item is free.
---@async
---@param timeout? number seconds
---@return any item
function Queue:get(timeout) end

---Stores an item, or raises QueueFull.
---@param item any
function Queue:put_nowait(item) end

---Takes the next item, or raises QueueEmpty.
---@return any item
function Queue:get_nowait() end

---How many items are stored.
---@return integer
---@nodiscard
function Queue:qsize() end

---Whether get_nowait would raise QueueEmpty.
---@return boolean
---@nodiscard
function Queue:empty() end

---Whether put_nowait would raise QueueFull.
---@return boolean
---@nodiscard
function Queue:full() end

---0 for a queue without bound.
---@return integer
---@nodiscard
function Queue:maxsize() end

---@return string?
---@nodiscard
function Queue:name() end

---Says that the work on one item is done.
function Queue:task_done() end

---Waits until every item that was put is done.
---@async
---@param timeout? number seconds
function Queue:join(timeout) end

---Refuses puts from now on; true discards what is stored and returns it as a list with `n`.
---@param immediate? boolean
---@return {n: integer, [integer]: any}? discarded
function Queue:shutdown(immediate) end

---@return boolean
---@nodiscard
function Queue:is_shutdown() end

---`for item in q:items() do`: until the queue is shut down and empty. Each step may wait.
---@return async fun(): any
---@return aqlua.Queue
---@nodiscard
function Queue:items() end

-- ---- events, locks, semaphores ------------------------------------------------------------------

---@return aqlua.Event
---@nodiscard
function aq.Event() end

---@class aqlua.Event: userdata
local Event = {}

---Sets the flag and wakes all who wait.
function Event:set() end

function Event:clear() end

---@return boolean
---@nodiscard
function Event:is_set() end

---Waits until the flag is set.
---@async
---@param timeout? number seconds
---@return true
function Event:wait(timeout) end

---@return aqlua.Lock
---@nodiscard
function aq.Lock() end

---`n` tasks at a time.
---@param n? integer 1 if not given
---@return aqlua.Semaphore
---@nodiscard
function aq.Semaphore(n) end

---A semaphore that refuses to be released too often.
---@param n? integer 1 if not given
---@return aqlua.BoundedSemaphore
---@nodiscard
function aq.BoundedSemaphore(n) end

---@class aqlua.Semaphore: userdata
local Semaphore = {}

---@class aqlua.BoundedSemaphore: aqlua.Semaphore

---@class aqlua.Lock: aqlua.Semaphore

---Waits until it is free, and takes it.
---@async
---@param timeout? number seconds
---@return true
function Semaphore:acquire(timeout) end

---Gives it back.
function Semaphore:release() end

---@return boolean
---@nodiscard
function Semaphore:locked() end

---Acquires; the value releases at the end of its block: `local held <close> = lock:guard()`.
---@async
---@param timeout? number seconds
---@return table
---@nodiscard
function Semaphore:guard(timeout) end

-- ---- futures and callbacks ----------------------------------------------------------------------

---A result that comes once, from anywhere.
---@return aqlua.Future
---@nodiscard
function aq.Future() end

---@class aqlua.Future: aqlua.Awaitable
local Future = {}

---@param ... any
function Future:set_result(...) end

---@param err any but nil
function Future:set_exception(err) end

---@return boolean settled false if it was settled before
function Future:cancel() end

---Calls `fn(done)` and waits until `done(...)` is called, once; returns its arguments.
---@async
---@param fn fun(done: fun(...)): any what it returns is closed if the wait is broken off
---@param timeout? number seconds
---@return any ...
function aq.await(fn, timeout) end

-- ---- testing: require "aqlua.testing" -----------------------------------------------------------

---@class aqlua.testing
local testing = {}

---Puts the virtual clock in force: `local clock <close> = testing.clock()`.
---@return aqlua.Clock
---@nodiscard
function testing.clock() end

---@class aqlua.Clock
local Clock = {}

---Puts the clock back that was in force before.
function Clock:close() end

return aq
