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
---@field OSError aqlua.Error the system refused; has `code`, `errno`, `syscall`
---@field FileNotFoundError aqlua.Error ENOENT
---@field FileExistsError aqlua.Error EEXIST
---@field PermissionError aqlua.Error EACCES, EPERM
---@field IsADirectoryError aqlua.Error EISDIR
---@field NotADirectoryError aqlua.Error ENOTDIR
---@field ProcessLookupError aqlua.Error ESRCH
---@field ChildProcessError aqlua.Error ECHILD
---@field AddressInUseError aqlua.Error EADDRINUSE
---@field ConnectionError aqlua.Error a connection failed
---@field ConnectionRefusedError aqlua.Error ECONNREFUSED
---@field ConnectionResetError aqlua.Error ECONNRESET
---@field ConnectionAbortedError aqlua.Error ECONNABORTED
---@field BrokenPipeError aqlua.Error EPIPE, ESHUTDOWN
local aq = {}

---An error value. Compare it with `==`: two of one kind are equal. It has the methods of strings.
---@class aqlua.Error: userdata, stringlib
---@operator concat(any): string
---@field name string the kind, e.g. "TimeoutError"
---@field message any a sentence, or what `task:cancel` was given
---@field code? string of an OSError: "ENOENT"
---@field errno? integer of an OSError: the system's number
---@field syscall? string of an OSError: what failed

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

---After `n` puts and gets that were done at once, the next one lets others run first. 0: no bound.
---@param n? integer
function aq.set_budget(n) end

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

---Whether it has ended, in whatever way.
---@return boolean
---@nodiscard
function Awaitable:done() end

---Whether it has ended as cancelled.
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

---Takes a callback off again; returns how often it was there.
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

---The name that reports use.
---@return string
---@nodiscard
function Task:get_name() end

---Sets the name that reports use.
---@param name string
function Task:set_name(name) end

---Where its error was thrown, or where it is; for a timeout, where the wait was broken off.
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

---@class aqlua.WaitOptions
---@field timeout? number seconds; when the time is up that is no error
---@field return_when? "ALL_COMPLETED"|"FIRST_COMPLETED"|"FIRST_EXCEPTION"

---Waits for some or all; raises none of their errors. Returns what has ended and what has not.
---@async
---@param list aqlua.awaitable[]
---@param options? aqlua.WaitOptions
---@return aqlua.Awaitable[] done
---@return aqlua.Awaitable[] pending
function aq.wait(list, options) end

---`for task in aq.as_completed(list) do`: each when it has ended. Each step may wait.
---@param list aqlua.awaitable[]
---@param timeout? number seconds, for the whole loop
---@return async fun(): aqlua.Awaitable?
---@return nil
---@return nil
---@return any closing
---@nodiscard
function aq.as_completed(list, timeout) end

---Calls `fn(item)` for each item, at most `n` at a time; the results are in the order of the items.
---@async
---@generic T, R
---@param n integer
---@param fn fun(item: T): R?
---@param source T[]|(fun(): T?)|aqlua.Queue
---@return {n: integer, [integer]: R} results
function aq.map(n, fn, source) end

---Tasks that end with a block: `local group <close> = aq.TaskGroup()`. The first error cancels the
---others and is raised at the end of the block.
---@return aqlua.TaskGroup
---@nodiscard
function aq.TaskGroup() end

---@class aqlua.TaskGroup
local TaskGroup = {}

---Makes a task of the group, which runs `fn(...)`.
---@param fn fun(...): ...any
---@param ... any
---@return aqlua.Task
function TaskGroup:create_task(fn, ...) end

---Cancels the tasks of the group, and refuses new ones; the block runs on.
function TaskGroup:cancel() end

---All errors in the order in which they came.
---@return any[]
---@nodiscard
function TaskGroup:errors() end

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

---Whether the time was up before the block was left.
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
---@field overflow? "drop_oldest"|"drop_newest" what a put on a full Queue drops; nil: it waits

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

---Stores an item; waits while no slot is free. With an overflow it never waits.
---@async
---@param item any
---@param timeout? number seconds
function Queue:put(item, timeout) end

---Takes the next item; waits while no item is free.
---@async
---@param timeout? number seconds
---@return any item
function Queue:get(timeout) end

---Stores an item, or raises QueueFull. A queue with an overflow drops one, and says so.
---@param item any
---@return boolean? has_dropped
---@return any dropped
function Queue:put_nowait(item) end

---Takes the next item, or raises QueueEmpty.
---@return any item
function Queue:get_nowait() end

---Waits for one item, and takes up to `max` that are free by then: a list with `n`.
---@async
---@param max integer
---@param timeout? number seconds
---@return {n: integer, [integer]: any} items
function Queue:get_many(max, timeout) end

---Stores all items of a list, in order. When the time is up, returns the number stored so far.
---@async
---@param list {n?: integer, [integer]: any}
---@param timeout? number seconds, for all of them
---@return integer stored
function Queue:put_many(list, timeout) end

---Takes all items that are free.
---@return {n: integer, [integer]: any} items
function Queue:drain() end

---The next item, which stays there; or raises QueueEmpty.
---@return any item
---@nodiscard
function Queue:peek() end

---@class aqlua.QueueStats
---@field size integer items stored
---@field maxsize integer 0: no bound
---@field peak integer the largest size so far
---@field getters integer gets that wait
---@field putters integer puts that wait
---@field unfinished integer items not done yet
---@field put integer items put so far
---@field got integer items taken so far
---@field done integer items done so far
---@field dropped integer items discarded so far, by shutdown(true) or an overflow
---@field overflow? "drop_oldest"|"drop_newest"

---Counters: size, peak, getters, putters, unfinished, put, got, done, dropped.
---@return aqlua.QueueStats
---@nodiscard
function Queue:stats() end

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

---The name given in the options, or nil.
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

---Whether shutdown was called.
---@return boolean
---@nodiscard
function Queue:is_shutdown() end

---`for item in q:items() do`: until the queue is shut down and empty. Each step may wait.
---@return async fun(): any
---@return aqlua.Queue
---@nodiscard
function Queue:items() end

-- ---- select -------------------------------------------------------------------------------------

---One of the things that a select waits for.
---@class aqlua.Branch: userdata

---@alias aqlua.branch aqlua.Branch|aqlua.Awaitable|false

---@class aqlua.Branches
---@field timeout? number seconds
---@field [any] aqlua.branch

---@class aqlua.SelectOptions
---@field fair? boolean chooses at random if several can be done at once

---Waits for the first of several branches; the others leave no trace.
---@async
---@param branches aqlua.Branches
---@param options? aqlua.SelectOptions
---@return any key of the branch, or "timeout"
---@return any value what was got, or the task or future that has ended
---@return any err what the branch raised
function aq.select(branches, options) end

---For aq.select: takes an item.
---@return aqlua.Branch
---@nodiscard
function Queue:getting() end

---For aq.select: stores the item.
---@param item any
---@return aqlua.Branch
---@nodiscard
function Queue:putting(item) end

---For aq.select: until every item is done.
---@return aqlua.Branch
---@nodiscard
function Queue:joining() end

-- ---- events, locks, semaphores ------------------------------------------------------------------

---A flag that tasks can wait for.
---@return aqlua.Event
---@nodiscard
function aq.Event() end

---@class aqlua.Event: userdata
local Event = {}

---Sets the flag and wakes all who wait.
function Event:set() end

---Takes the flag back.
function Event:clear() end

---Whether the flag is set.
---@return boolean
---@nodiscard
function Event:is_set() end

---Waits until the flag is set.
---@async
---@param timeout? number seconds
---@return true
function Event:wait(timeout) end

---For aq.select: until the flag is set.
---@return aqlua.Branch
---@nodiscard
function Event:waiting() end

---Held by one task at a time; who waits longest is next.
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

---Whether acquire would wait.
---@return boolean
---@nodiscard
function Semaphore:locked() end

---Acquires; the value releases at the end of its block: `local held <close> = lock:guard()`.
---@async
---@param timeout? number seconds
---@return table
---@nodiscard
function Semaphore:guard(timeout) end

-- ---- conditions and barriers --------------------------------------------------------------------

---Tasks that wait until something that a lock guards has changed.
---@param lock? aqlua.Lock a new one if not given
---@return aqlua.Condition
---@nodiscard
function aq.Condition(lock) end

---@class aqlua.Condition
local Condition = {}

---Waits until its lock is free, and takes it.
---@async
---@param timeout? number seconds
---@return true
function Condition:acquire(timeout) end

---Gives its lock back.
function Condition:release() end

---Whether its lock is held.
---@return boolean
---@nodiscard
function Condition:locked() end

---Acquires; the value releases at the end of its block: `local held <close> = cond:guard()`.
---@async
---@param timeout? number seconds
---@return table
---@nodiscard
function Condition:guard(timeout) end

---Lets go of the lock until notified, and takes it again.
---@async
---@param timeout? number seconds
---@return true
function Condition:wait(timeout) end

---Waits until `predicate()` is true; returns its value.
---@async
---@generic T
---@param predicate fun(): T
---@param timeout? number seconds, for all of it
---@return T
function Condition:wait_for(predicate, timeout) end

---Wakes those that wait longest.
---@param n? integer 1 if not given; 0 or less wakes nobody
function Condition:notify(n) end

---Wakes all that wait.
function Condition:notify_all() end

---Lets tasks go on only when `parties` of them are there.
---@param parties integer
---@return aqlua.Barrier
---@nodiscard
function aq.Barrier(parties) end

---@class aqlua.Barrier
local Barrier = {}

---Waits for the others; raises BrokenBarrierError.
---@async
---@param timeout? number seconds; then this party leaves, and the others wait on
---@return integer index 0 to parties - 1
function Barrier:wait(timeout) end

---Those that wait get BrokenBarrierError; it can be used again.
function Barrier:reset() end

---Those that wait and that come later get BrokenBarrierError.
function Barrier:abort() end

---How many tasks go on together.
---@return integer
---@nodiscard
function Barrier:parties() end

---How many wait now.
---@return integer
---@nodiscard
function Barrier:n_waiting() end

---Whether it was aborted.
---@return boolean
---@nodiscard
function Barrier:broken() end

-- ---- futures and callbacks ----------------------------------------------------------------------

---A result that comes once, from anywhere.
---@return aqlua.Future
---@nodiscard
function aq.Future() end

---@class aqlua.Future: aqlua.Awaitable
local Future = {}

---Sets the results, and wakes who awaits them.
---@param ... any
function Future:set_result(...) end

---Sets the error that await raises.
---@param err any but nil
function Future:set_exception(err) end

---Settles it as cancelled.
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

---Lets the others run until each of them waits for something.
---@async
function testing.settle() end

---The tasks ready in a turn run in random order: `local shuffle <close> = testing.shuffle()`.
---@param seed? integer but 0
---@return aqlua.Shuffle
---@nodiscard
function testing.shuffle(seed) end

---@class aqlua.Shuffle
---@field seed integer
local Shuffle = {}

---Goes on with the order that was in force before.
function Shuffle:close() end

---@class aqlua.Clock
local Clock = {}

---Puts the clock back that was in force before.
function Clock:close() end

return aq
