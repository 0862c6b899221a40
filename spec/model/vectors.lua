-- The concrete examples of the semantics, by rule, as small scenarios with the events they must
-- show. Each is { rule =, run = function(aq, log), expect = "event, event, ..." }. `run` is the
-- main task of a run of its own, under a virtual clock; log(...) notes one event. They hold for
-- the library and for the model alike.

local vectors = {}

local function vector(rule, run, expect)
  table.insert(vectors, {rule = rule, run = run, expect = expect})
end

---------------------------------------------------------------------------------------------------
-- Helpers

-- Counts turns from now on. The first task made is the first to run in each turn, so all others see
-- the same count in one turn. While it runs the virtual clock stands still; it gives up in the end,
-- so that a scenario gone wrong ends too.
local function hops(aq)
  local turns = -1
  aq.create_task(function()
    while turns < 100 do
      turns = turns + 1
      aq.sleep(0)
    end
  end)
  aq.sleep(0)
  return function() return turns end
end

local KINDS = {"CancelledError", "TimeoutError", "QueueEmpty", "QueueFull", "QueueShutDown",
               "InvalidStateError", "BrokenBarrierError", "DeadlockError"}

local function name_of(aq, err)
  for _, name in ipairs(KINDS) do
    if err == aq[name] then return (name:gsub("Error$", "")) end
  end
  if type(err) == "string" and err:find "boom" then return "boom" end
  return type(err) == "string" and not err:find "attempt to" and "misuse" or tostring(err)
end

-- What a call returns ("ok" for nothing), or the name of its error.
local function try(aq, fn, ...)
  local r = table.pack(pcall(fn, ...))
  if not r[1] then return name_of(aq, r[2]) end
  if r.n == 1 or r.n == 2 and r[2] == nil then return "ok" end
  return table.unpack(r, 2, r.n)
end

local function boom() error("boom", 0) end

-- Only a cancel leaves the task: other errors would be reported as never retrieved.
local function pass_on_cancel(aq, err)
  if err == aq.CancelledError then error(err, 0) end
end

-- A task that gets one item and logs it under its name, or the error.
local function getter(aq, log, q, name)
  return aq.create_task(function()
    local ok, item = pcall(q.get, q)
    log(name, ok and item or name_of(aq, item))
    if not ok then pass_on_cancel(aq, item) end
  end)
end

local function putter(aq, log, q, name, item)
  return aq.create_task(function()
    local ok, err = pcall(q.put, q, item)
    log(name, ok and "put" or name_of(aq, err))
    if not ok then pass_on_cancel(aq, err) end
  end)
end

local function joiner(aq, log, q, name)
  return aq.create_task(function() log(name, try(aq, q.join, q)) end)
end

local function settle(aq, turns)
  for _ = 1, turns or 4 do aq.sleep(0) end
end

-- U, by counting it down.
local function unfinished(q)
  local n = 0
  while pcall(q.task_done, q) do n = n + 1 end
  return n
end

---------------------------------------------------------------------------------------------------
-- Queue basics

vector("Q1 maxsize 0 or less is no bound", function(aq, log)
  for _, maxsize in ipairs {-1, 0} do
    local q = aq.Queue(maxsize)
    for i = 1, 5 do q:put_nowait(i) end
    log(q:qsize(), q:full())
  end
end, "5 false, 5 false")

vector("Q2 maxsize is an integer or nil", function(aq, log)
  for _, maxsize in ipairs {1.5, "2", true, 0 / 0} do log(try(aq, aq.Queue, maxsize)) end
  log(aq.Queue(2.0):full(), aq.Queue():full())
end, "misuse, misuse, misuse, misuse, false false")

vector("Q3 a blocked put is in neither qsize nor U", function(aq, log)
  local q = aq.Queue(1)
  q:put_nowait "a"
  putter(aq, log, q, "P", "b")
  aq.sleep(0)
  log(q:qsize(), q:full(), unfinished(q))
end, "1 true 1, P Cancelled")

vector("Q4 nowait on full and on empty changes nothing", function(aq, log)
  local q = aq.Queue(1)
  log(try(aq, q.get_nowait, q), q:qsize(), q:empty())
  q:put_nowait "a"
  log(try(aq, q.put_nowait, q, "b"), q:qsize(), q:full(), q:get_nowait(), unfinished(q))
end, "QueueEmpty 0 true, QueueFull 1 true a 1")

vector("Q5 put with a free slot, get with a free item: no hop", function(aq, log)
  local hop = hops(aq)
  local q = aq.Queue(1)
  q:put "a"
  log(q:get(), hop())
end, "a 0")

vector("Q6 U rises when the item is stored", function(aq, log)
  local q = aq.Queue(1)
  q:put_nowait "a"
  putter(aq, log, q, "P", "b")
  aq.sleep(0)
  q:get_nowait()
  q:task_done()
  log(try(aq, q.task_done, q))
  settle(aq)
  log(unfinished(q))
end, "misuse, P put, 1")

vector("Q7 one put wakes the longest waiting getter", function(aq, log)
  local q = aq.Queue()
  for _, name in ipairs {"A", "B", "C"} do getter(aq, log, q, name) end
  aq.sleep(0)
  q:put_nowait(1)
  settle(aq)
  q:put_nowait(2)
  settle(aq)
  log "end"
end, "A 1, B 2, end, C Cancelled")

vector("Q8 after put_nowait with a getter waiting", function(aq, log)
  local q = aq.Queue(1)
  getter(aq, log, q, "A")
  aq.sleep(0)
  q:put_nowait(1)
  log(q:qsize(), q:full(), try(aq, q.put_nowait, q, 2))
  log(q:empty(), try(aq, q.get_nowait, q))
  aq.sleep(0)
  log(q:qsize(), q:full())
end, "1 true QueueFull, true QueueEmpty, A 1, 0 false")

vector("Q9 after get_nowait with a putter waiting", function(aq, log)
  local q = aq.Queue(1)
  q:put_nowait(1)
  putter(aq, log, q, "P", 2)
  aq.sleep(0)
  log(q:get_nowait(), q:qsize())
  log(q:full(), try(aq, q.put_nowait, q, 3))
  aq.sleep(0)
  log(q:qsize(), q:get_nowait())
end, "1 0, true QueueFull, P put, 1 2")

local function looping_getter(aq, log, q, name)
  return aq.create_task(function()
    while true do log(name, q:get()) end
  end)
end

vector("Q10 a burst of six with three looping getters", function(aq, log)
  local q = aq.Queue()
  for _, name in ipairs {"A", "B", "C"} do looping_getter(aq, log, q, name) end
  aq.sleep(0)
  for i = 1, 6 do q:put_nowait(i) end
  settle(aq)
end, "A 1, A 2, A 3, A 4, B 5, C 6")

vector("Q11 awaited puts into a bound of 1 rotate", function(aq, log)
  local q = aq.Queue(1)
  for _, name in ipairs {"a", "b", "c"} do looping_getter(aq, log, q, name) end
  aq.sleep(0)
  for i = 1, 6 do q:put(i) end
  settle(aq)
end, "a 1, b 2, c 3, a 4, b 5, c 6")

vector("Q12 nine items by three producers into maxsize 2", function(aq, log)
  local q = aq.Queue(2)
  for _, name in ipairs {"a", "b", "c"} do
    aq.create_task(function()
      for i = 0, 2 do q:put(name .. i) end
    end)
  end
  aq.create_task(function()
    while true do log(q:get()) end
  end)
  settle(aq, 20)
end, "a0, a1, a2, b0, c0, b1, c1, b2, c2")

vector("Q13 a later get does not take a woken getter's item", function(aq, log)
  local q = aq.Queue()
  getter(aq, log, q, "A")
  aq.sleep(0)
  getter(aq, log, q, "B")
  q:put_nowait(1)
  settle(aq)
  q:put_nowait(2)
  settle(aq)
end, "A 1, B 2")

vector("Q13 a later put does not take a woken putter's slot", function(aq, log)
  local q = aq.Queue(1)
  q:put_nowait(0)
  putter(aq, log, q, "first", 1)
  putter(aq, log, q, "second", 2)
  aq.sleep(0)
  q:get_nowait()
  putter(aq, log, q, "barger", 3)
  settle(aq)
  for _ = 1, 3 do log(q:get()) end
end, "first put, 1, second put, 2, barger put, 3")

vector("Q14 a drain loop with empty and get_nowait", function(aq, log)
  local q = aq.Queue()
  getter(aq, log, q, "A")
  aq.sleep(0)
  for i = 1, 3 do q:put_nowait(i) end
  while not q:empty() do log(q:get_nowait()) end
  log("left", q:qsize())
  aq.sleep(0)
end, "1, 2, left 1, A 3")

vector("Q23 only a Queue with a maxsize can drop", function(aq, log)
  local function make(class, maxsize, overflow)
    return (try(aq, aq[class], {maxsize = maxsize, overflow = overflow}))
  end
  log(make("Queue", nil, "drop_oldest"), make("Queue", 0, "drop_newest"), make("Queue", 1, "drop"),
      make("Queue", 1, true))
  log(make("LifoQueue", 1, "drop_oldest"), make("PriorityQueue", 1, "drop_newest"))
end, "misuse misuse misuse misuse, misuse misuse")

vector("Q23 a put on a full queue drops the oldest, or itself", function(aq, log)
  for _, overflow in ipairs {"drop_oldest", "drop_newest"} do
    local q = aq.Queue {maxsize = 2, overflow = overflow}
    log((q:put_nowait "a"))
    q:put "b"
    log(q:full(), q:qsize(), q:put_nowait "c")
    q:put("d", 0)
    log((aq.select {q:putting "e"}))
    log(q:get(), q:get(), q:stats().dropped)
  end
end, "false, true 2 true a, 1, d e 3, false, true 2 true c, 1, a b 3")

vector("Q24 a dropped item does not hold up join", function(aq, log)
  for _, overflow in ipairs {"drop_oldest", "drop_newest"} do
    local q = aq.Queue {maxsize = 1, overflow = overflow}
    for i = 1, 5 do q:put_nowait(i) end
    joiner(aq, log, q, "J")
    aq.sleep(0)
    q:put_nowait(6)
    aq.sleep(0)
    log(q:get())
    q:task_done()
    settle(aq)
    log(try(aq, q.task_done, q))
  end
end, "6, J ok, misuse, 1, J ok, misuse")

vector("Q24 the new item counts though the dropped one was marked done", function(aq, log)
  local q = aq.Queue {maxsize = 1, overflow = "drop_oldest"}
  q:put_nowait(1)
  q:task_done()
  log(q:put_nowait(2))
  log(unfinished(q))
end, "true 1, 1")

vector("Q25 a woken getter receives the item that took the place of its own", function(aq, log)
  local q = aq.Queue {maxsize = 1, overflow = "drop_oldest"}
  getter(aq, log, q, "A")
  getter(aq, log, q, "B")
  aq.sleep(0)
  q:put_nowait(1)
  log(q:full(), q:empty(), q:put_nowait(2))
  log(try(aq, q.get_nowait, q))
  settle(aq)
  q:put_nowait(3)
  settle(aq)
end, "true true true 1, QueueEmpty, A 2, B 3")

vector("Q25 a cancelled getter hands on the item that took the place", function(aq, log)
  local q = aq.Queue {maxsize = 1, overflow = "drop_oldest"}
  local a = getter(aq, log, q, "A")
  getter(aq, log, q, "B")
  aq.sleep(0)
  q:put_nowait(1)
  q:put_nowait(2)
  a:cancel()
  settle(aq)
end, "A Cancelled, B 2")

vector("Q16 nil and false are items", function(aq, log)
  local q = aq.Queue()
  q:put(nil)
  q:put_nowait(false)
  log(q:qsize(), try(aq, q.put, q))
  log(select("#", q:get()), q:get())
end, "2 misuse, 1 false")

vector("Q19 a queue made before any task waits on it", function(aq, log)
  local q = aq.LifoQueue(3)
  q:put_nowait(1)
  q:put_nowait(2)
  log(q:get(), q:get())
end, "2 1")

vector("V1 equal priorities leave in order of arrival", function(aq, log)
  local q = aq.PriorityQueue()
  for i = 0, 7 do q:put_nowait {1, "i" .. i} end
  q:put_nowait {0, "first"}
  while not q:empty() do log(q:get_nowait()[2]) end
end, "first, i0, i1, i2, i3, i4, i5, i6, i7")

vector("V2 the item is chosen when the getter runs: priority", function(aq, log)
  local q = aq.PriorityQueue()
  getter(aq, log, q, "A")
  getter(aq, log, q, "B")
  aq.sleep(0)
  q:put_nowait(5)
  q:put_nowait(1)
  aq.sleep(0)
end, "A 1, B 5")

vector("V2 the item is chosen when the getter runs: lifo", function(aq, log)
  local q = aq.LifoQueue()
  getter(aq, log, q, "A")
  getter(aq, log, q, "B")
  aq.sleep(0)
  q:put_nowait(1)
  q:put_nowait(2)
  aq.sleep(0)
end, "A 2, B 1")

---------------------------------------------------------------------------------------------------
-- task_done and join

vector("J1 task_done too often", function(aq, log)
  local q = aq.Queue()
  log(try(aq, q.task_done, q))
  q:put(1)
  log(try(aq, q.task_done, q), try(aq, q.task_done, q))
end, "misuse, ok misuse")

vector("J2 join without unfinished items: no hop", function(aq, log)
  local hop = hops(aq)
  local q = aq.Queue()
  q:join()
  log(hop())
end, "0")

vector("J3 join counts items that were got but are not done", function(aq, log)
  local q = aq.Queue()
  q:put(1)
  q:put(2)
  joiner(aq, log, q, "J")
  q:get()
  q:get()
  settle(aq)
  q:task_done()
  settle(aq)
  log "one left"
  q:task_done()
  settle(aq)
end, "one left, J ok")

vector("J4 U = 0 wakes all joiners", function(aq, log)
  local q = aq.Queue()
  q:put(1)
  joiner(aq, log, q, "J")
  joiner(aq, log, q, "K")
  aq.sleep(0)
  q:task_done()
  log "done"
  aq.sleep(0)
end, "done, J ok, K ok")

vector("J5 a woken joiner returns although a new item came", function(aq, log)
  local q = aq.Queue()
  q:put(1)
  joiner(aq, log, q, "J")
  aq.sleep(0)
  q:task_done()
  q:put_nowait(2)
  aq.sleep(0)
  log(unfinished(q))
end, "J ok, 1")

vector("J6 a blocked put does not hold join", function(aq, log)
  local q = aq.Queue(1)
  q:put(1)
  putter(aq, log, q, "P", 2)
  joiner(aq, log, q, "J")
  aq.sleep(0)
  q:task_done()
  aq.sleep(0)
  q:get_nowait()
  aq.sleep(0)
  log(unfinished(q))
end, "J ok, P put, 1")

vector("J7 cancelling a joiner changes nothing", function(aq, log)
  local q = aq.Queue()
  q:put(1)
  local j = joiner(aq, log, q, "J")
  joiner(aq, log, q, "K")
  aq.sleep(0)
  j:cancel()
  aq.sleep(0)
  q:task_done()
  aq.sleep(0)
end, "J Cancelled, K ok")

vector("J8 task_done after shutdown", function(aq, log)
  local q = aq.Queue()
  q:put(1)
  q:get()
  q:shutdown(true)
  joiner(aq, log, q, "J")
  aq.sleep(0)
  log(try(aq, q.task_done, q))
  aq.sleep(0)
end, "ok, J ok")

---------------------------------------------------------------------------------------------------
-- shutdown

vector("S1 shutdown is idempotent", function(aq, log)
  local q = aq.Queue()
  q:put(1)
  q:shutdown()
  q:shutdown()
  log(q:shutdown(true).n, q:shutdown(true).n, q:is_shutdown())
end, "1 0 true")

vector("S2 put after shutdown", function(aq, log)
  local q = aq.Queue()
  q:shutdown()
  log(try(aq, q.put, q, 1), try(aq, q.put_nowait, q, 1), q:qsize())
end, "QueueShutDown QueueShutDown 0")

vector("S3 graceful: drain, then QueueShutDown; a blocked put is not stored", function(aq, log)
  local hop = hops(aq)
  local q = aq.Queue(2)
  q:put(1)
  q:put(2)
  aq.create_task(function() log("P", try(aq, q.put, q, 3), hop()) end)
  aq.sleep(0)
  q:shutdown()
  log("shut", hop())
  aq.sleep(0)
  log(q:get(), q:get_nowait(), try(aq, q.get, q), try(aq, q.get_nowait, q), unfinished(q))
end, "shut 1, P QueueShutDown 2, 1 2 QueueShutDown QueueShutDown 2")

vector("S4 all waiting getters are woken and raise", function(aq, log)
  local q = aq.Queue()
  getter(aq, log, q, "A")
  getter(aq, log, q, "B")
  aq.sleep(0)
  q:shutdown()
  log "shut"
  aq.sleep(0)
end, "shut, A QueueShutDown, B QueueShutDown")

vector("S5 immediate: items go, those got still need task_done", function(aq, log)
  local q = aq.Queue()
  for i = 1, 3 do q:put(i) end
  q:get()
  joiner(aq, log, q, "J")
  aq.sleep(0)
  log(q:shutdown(true).n, q:qsize())
  settle(aq)
  q:task_done()
  log "done"
  aq.sleep(0)
end, "2 0, done, J ok")

vector("S5 immediate: joiners, getters and putters wake in this order", function(aq, log)
  local q = aq.Queue(1)
  putter(aq, log, q, "O", 1)
  putter(aq, log, q, "P", 2)
  joiner(aq, log, q, "J")
  aq.sleep(0)
  q:shutdown(true)
  aq.sleep(0)
end, "O put, J ok, P QueueShutDown")

vector("S6 join on a shut queue", function(aq, log)
  local q = aq.Queue()
  q:put(1)
  joiner(aq, log, q, "J")
  aq.sleep(0)
  q:shutdown()
  settle(aq)
  q:get()
  q:task_done()
  aq.sleep(0)
  log(try(aq, q.join, q))
end, "J ok, ok")

vector("S7 put_nowait, then shutdown(immediate) in one turn", function(aq, log)
  local q = aq.Queue()
  getter(aq, log, q, "A")
  aq.sleep(0)
  q:put_nowait(1)
  local dropped = q:shutdown(true)
  log(dropped.n, dropped[1])
  aq.sleep(0)
end, "1 1, A QueueShutDown")

vector("S7 get_nowait, then shutdown in one turn", function(aq, log)
  local q = aq.Queue(1)
  q:put_nowait(1)
  putter(aq, log, q, "P", 2)
  aq.sleep(0)
  q:get_nowait()
  q:shutdown()
  aq.sleep(0)
  log(q:qsize(), unfinished(q))
end, "P QueueShutDown, 0 1")

vector("S8 immediate returns what was thrown away", function(aq, log)
  local q = aq.Queue()
  for i = 1, 3 do q:put(i) end
  local dropped = q:shutdown(true)
  log(dropped.n, dropped[1], dropped[2], dropped[3])
end, "3 1 2 3")

vector("S9 a graceful shutdown honours the tickets of getters", function(aq, log)
  local q = aq.Queue()
  getter(aq, log, q, "A")
  getter(aq, log, q, "B")
  aq.sleep(0)
  q:put_nowait(1)
  q:shutdown()
  log(try(aq, q.get_nowait, q), try(aq, q.get, q))
  aq.sleep(0)
end, "QueueShutDown QueueShutDown, A 1, B QueueShutDown")

---------------------------------------------------------------------------------------------------
-- Cancelling and timing out a queue operation

vector("X1 cancel of a waiting getter leaves no ghost", function(aq, log)
  local q = aq.Queue()
  local a = getter(aq, log, q, "A")
  aq.sleep(0)
  a:cancel()
  aq.sleep(0)
  q:put_nowait(1)
  log(q:empty(), q:get_nowait())
end, "A Cancelled, false 1")

vector("X2 put then cancel in one turn: the next waiter gets it", function(aq, log)
  local q = aq.Queue()
  local a = getter(aq, log, q, "A")
  getter(aq, log, q, "B")
  aq.sleep(0)
  q:put_nowait "x"
  a:cancel()
  settle(aq)
end, "A Cancelled, B x")

vector("X2 put then cancel in one turn: nobody else waits", function(aq, log)
  local q = aq.Queue()
  local a = getter(aq, log, q, "A")
  aq.sleep(0)
  q:put_nowait "x"
  a:cancel()
  log(q:empty())
  aq.sleep(0)
  log(q:qsize(), q:get_nowait())
end, "true, A Cancelled, 1 x")

vector("X3 cancel then put in one turn", function(aq, log)
  local q = aq.Queue()
  local a = getter(aq, log, q, "A")
  getter(aq, log, q, "B")
  aq.sleep(0)
  a:cancel()
  q:put_nowait "x"
  settle(aq)
end, "A Cancelled, B x")

vector("X4 two puts and a cancel: order is kept", function(aq, log)
  local q = aq.Queue()
  local a = getter(aq, log, q, "A")
  getter(aq, log, q, "B")
  getter(aq, log, q, "C")
  aq.sleep(0)
  q:put_nowait(1)
  q:put_nowait(2)
  a:cancel()
  settle(aq)
end, "A Cancelled, B 1, C 2")

for _, cancel_first in ipairs {false, true} do
  vector("X5 blocked putter: get and cancel in one turn", function(aq, log)
    local q = aq.Queue(1)
    q:put_nowait(1)
    local p = putter(aq, log, q, "P", 2)
    aq.sleep(0)
    if cancel_first then p:cancel() end
    log(q:get_nowait())
    p:cancel()
    settle(aq)
    log(q:qsize(), unfinished(q))
  end, "1, P Cancelled, 0 1")
end

vector("X6 get cancelled before its first step", function(aq, log)
  local q = aq.Queue()
  q:put_nowait(1)
  local a = getter(aq, log, q, "A")
  a:cancel()
  settle(aq)
  log(a:cancelled(), q:qsize())
end, "true 1")

vector("X7 a put after the deadline in the same turn", function(aq, log)
  local q = aq.Queue()
  aq.create_task(function() log("A", try(aq, q.get, q, 1)) end)
  aq.create_task(function()
    aq.sleep(1)
    q:put_nowait(1)
    log "put"
  end)
  aq.sleep(2)
  log(q:qsize())
end, "A Timeout, put, 1")

vector("X7 under wait_for(fn) the deadline is a cancel", function(aq, log)
  local q = aq.Queue()
  aq.create_task(function() log("A", try(aq, aq.wait_for, q.get, 1, q)) end)
  aq.create_task(function() log("B", q:get()) end)
  aq.create_task(function()
    aq.sleep(1)
    q:put_nowait(1)
    log "put"
  end)
  aq.sleep(2)
end, "A Timeout, put, B 1")

for offset = 0, 4 do
  vector("X8 wait_for(get), cancelled " .. offset .. " turns after the put", function(aq, log)
    local q = aq.Queue()
    local item
    local t = aq.create_task(function() item = aq.wait_for(q.get, 10, q) end)
    aq.sleep(0)
    q:put_nowait(1)
    settle(aq, offset)
    t:cancel()
    settle(aq, 8)
    log((item == nil) == (q:qsize() == 1), t:cancelled() == (item == nil))
  end, "true true")
end

vector("X10 a timeout of 0: success takes no turn, failure one", function(aq, log)
  local hop = hops(aq)
  local q = aq.Queue(1)
  log(try(aq, q.get, q, 0), hop(), try(aq, q.get, q, -1), hop())
  log(try(aq, q.put, q, 1, 0), hop(), try(aq, q.put, q, 2, 0), hop())
  log(try(aq, q.join, q, 0), hop(), try(aq, q.get, q, 0), hop())
end, "Timeout 1 Timeout 2, ok 2 Timeout 3, Timeout 4 1 4")

vector("X10 a timeout of 0: the second look", function(aq, log)
  local hop = hops(aq)
  local q = aq.Queue(1)
  aq.create_task(function() q:put_nowait "late" end)
  log(try(aq, q.get, q, 0), hop())
  log(try(aq, q.get, q, 0), hop())
end, "late 1, Timeout 2")

vector("X10 a loop that is late lets others run", function(aq, log)
  local stop = aq.Event()
  aq.create_task(function()
    aq.sleep(0)
    stop:set()
  end)
  local rounds = 0
  while rounds < 100 and try(aq, stop.wait, stop, -1) == "Timeout" do rounds = rounds + 1 end
  log(rounds)
end, "1")

---------------------------------------------------------------------------------------------------
-- Tasks and cancel

vector("T1 first steps in order of creation, in the next turn", function(aq, log)
  for _, name in ipairs {"a", "b", "c"} do aq.create_task(function() log(name) end) end
  log "main"
  aq.sleep(0)
end, "main, a, b, c")

vector("T2 cancel of a waiting task", function(aq, log)
  local hop = hops(aq)
  local t = aq.create_task(function()
    local ok, err = pcall(aq.sleep, 1)
    log(hop(), name_of(aq, err))
    if not ok then error(err, 0) end
  end)
  aq.sleep(0)
  log(hop(), t:cancel(), t:cancelled(), t:done())
  aq.sleep(0)
  log(t:cancelled(), t:done())
end, "1 true false false, 2 Cancelled, true true")

vector("T3 cancel before the first step", function(aq, log)
  local t = aq.create_task(function() log "body" end)
  t:cancel()
  log(try(aq, t.await, t))
end, "Cancelled")

vector("T4 cancel of oneself: the next suspension raises", function(aq, log)
  local hop = hops(aq)
  local t = aq.create_task(function()
    log(hop(), aq.current_task():cancel())
    log(hop(), try(aq, aq.sleep, 0))
    log(hop())
  end)
  log(try(aq, t.await, t), t:cancelled())
end, "1 true, 1 Cancelled, 2, ok false")

vector("T4 cancel of oneself without a further suspension", function(aq, log)
  local t = aq.create_task(function()
    aq.current_task():cancel()
    return "value"
  end)
  log(try(aq, t.await, t), t:cancelled())
end, "Cancelled true")

vector("T5 two cancels, one error, a count", function(aq, log)
  local t
  t = aq.create_task(function()
    log(try(aq, aq.sleep, 1), t:cancelling())
    log(t:uncancel(), t:uncancel(), t:uncancel())
    log(try(aq, aq.sleep, 0))
  end)
  aq.sleep(0)
  log(t:cancel(), t:cancel())
  t:await()
end, "true true, Cancelled 2, 1 0 0, ok")

vector("T6 cancel of a finished task", function(aq, log)
  local t = aq.create_task(function() return 7 end)
  log(t:await(), t:cancel(), t:cancelled(), t:result())
end, "7 false false 7")

vector("T7 uncancel drops a cancel not yet delivered", function(aq, log)
  local t
  t = aq.create_task(function()
    t:cancel()
    log(t:uncancel(), try(aq, aq.sleep, 0))
    return "value"
  end)
  log(t:await())
end, "0 ok, value")

for _, cancel_first in ipairs {false, true} do
  vector("T8 result and cancel in one turn", function(aq, log)
    local f = aq.Future()
    local t = aq.create_task(function() return f:await() end)
    aq.sleep(0)
    if cancel_first then
      log(t:cancel(), try(aq, f.set_result, f, 1))
    else
      log(try(aq, f.set_result, f, 1), t:cancel())
    end
    log(try(aq, t.await, t))
  end, (cancel_first and "true InvalidState" or "ok true") .. ", Cancelled")
end

vector("T9 awaiting a failed task twice", function(aq, log)
  local problem = {}
  local t = aq.create_task(function() error(problem) end)
  local _, first = pcall(t.await, t)
  local _, second = pcall(t.await, t)
  log(first == problem, second == problem)
end, "true true")

vector("T10 awaiting oneself", function(aq, log)
  local t
  t = aq.create_task(function() log(try(aq, t.await, t)) end)
  t:await()
end, "misuse")

vector("T10 a circle of three: refused where it closes", function(aq, log)
  local t = {}
  for i = 1, 3 do
    t[i] = aq.create_task(function()
      log(i, try(aq, t[i % 3 + 1].await, t[i % 3 + 1]))
    end)
  end
  t[1]:await()
end, "3 misuse, 2 ok, 1 ok")

vector("T10 a select on oneself is refused, whatever else it waits for", function(aq, log)
  local q, t = aq.Queue(), nil
  q:put_nowait(1)
  t = aq.create_task(function()
    log(try(aq, aq.select, {t}))
    log(try(aq, aq.select, {q:getting(), t, timeout = 1}), q:qsize())
  end)
  t:await()
end, "misuse, misuse 1")

vector("T10 a select on what waits for it: refused if nothing else can end it", function(aq, log)
  local q, b = aq.Queue(), nil
  local a = aq.create_task(function()
    aq.sleep(0)
    log(try(aq, aq.select, {b}))
    log(aq.select {b, timeout = 1})
    aq.create_task(function() q:put_nowait "item" end)
    log((aq.select {b, q = q:getting()}))
  end)
  b = aq.create_task(function() log("b", try(aq, a.await, a)) end)
  b:await()
  a = aq.create_task(function() log(aq.select {b} == 1) end)
  a:await()
end, "misuse, timeout, q, b ok, true")

vector("T13 every later suspension raises again, one hop later", function(aq, log)
  local hop = hops(aq)
  local t = aq.create_task(function()
    for _ = 1, 3 do
      local result = try(aq, aq.sleep, 1)
      log(hop(), result)
    end
    return "value"
  end)
  aq.sleep(0)
  t:cancel()
  log(hop(), "cancel")
  log(t:await(), t:cancelled())
end, "1 cancel, 2 Cancelled, 3 Cancelled, 4 Cancelled, value false")

vector("T13 calls that need not suspend are not affected; a failed try suspends", function(aq, log)
  local q = aq.Queue()
  q:put_nowait(1)
  local t = aq.create_task(function()
    pcall(aq.sleep, 1)
    log(try(aq, q.get, q), try(aq, q.get, q, 0), try(aq, q.put, q, 2), try(aq, q.get, q))
    log(try(aq, q.get, q))
  end)
  aq.sleep(0)
  t:cancel()
  t:await()
end, "1 Cancelled ok 2, Cancelled")

vector("T13 a task that may not wait does not enter the room", function(aq, log)
  local q = aq.Queue()
  local t = aq.create_task(function()
    pcall(aq.sleep, 1)
    log(try(aq, q.get, q))
  end)
  aq.sleep(0)
  t:cancel()
  aq.create_task(function()
    q:put_nowait(1)
    log(q:empty())
  end)
  t:await()
  log(q:qsize())
end, "false, Cancelled, 1")

vector("T13 inside a shield waits go on; the cancel stays", function(aq, log)
  local t = aq.create_task(function()
    log(try(aq, aq.sleep, 1))
    log(try(aq, aq.shield, function() return aq.sleep(0, "clean") end))
    log(try(aq, aq.sleep, 0))
  end)
  aq.sleep(0)
  t:cancel()
  t:await()
end, "Cancelled, clean, Cancelled")

vector("T13 a cancel inside a shield waits for the next suspension", function(aq, log)
  local t
  t = aq.create_task(function()
    log(aq.shield(function(a, b)
      aq.sleep(0)
      aq.sleep(0)
      return a, b, t:cancelling()
    end, "x", "y"))
    log(try(aq, aq.sleep, 0))
  end)
  aq.sleep(0)
  t:cancel()
  log(try(aq, t.await, t))
end, "x y 1, Cancelled, ok")

vector("T13 a cancel passed on counts as delivered", function(aq, log)
  local inner = aq.create_task(function()
    pcall(aq.sleep, 1)
    return "swallowed"
  end)
  local outer = aq.create_task(function()
    log(try(aq, inner.await, inner))
    log(try(aq, aq.sleep, 0))
  end)
  aq.sleep(0)
  outer:cancel()
  outer:await()
end, "swallowed, Cancelled")

---------------------------------------------------------------------------------------------------
-- gather, shield, wait_for

vector("G1 results in argument order; a task named twice runs once", function(aq, log)
  local runs = 0
  local a = aq.create_task(function()
    aq.sleep(0)
    runs = runs + 1
    return "a"
  end)
  local b = aq.create_task(function() return "b" end)
  local r = aq.gather(a, b, a)
  log(r.n, r[1], r[2], r[3], runs)
  log(aq.gather({}).n)
end, "3 a b a 1, 0")

vector("G1 a function is run once for each place", function(aq, log)
  local runs = 0
  local function fn()
    runs = runs + 1
    local run = runs
    aq.sleep(0)
    return run
  end
  local r = aq.gather(fn, fn, fn)
  log(r.n, r[1], r[2], r[3])
  local done = aq.wait {fn, fn}
  log(#done, done[1]:result(), done[2]:result())
  for task in aq.as_completed {fn, fn} do log(task:result()) end
end, "3 1 2 3, 2 4 5, 6, 7")

vector("G2 the first error at once; the others go on", function(aq, log)
  local slow = aq.create_task(function()
    settle(aq, 4)
    log "slow ends"
  end)
  local bad = aq.create_task(boom)
  log(try(aq, aq.gather, slow, bad), slow:done())
  slow:await()
end, "boom false, slow ends")

vector("G3 a cancelled child counts as that child raising", function(aq, log)
  local a = aq.create_task(function() aq.sleep(1) end)
  local b = aq.create_task(function()
    settle(aq, 5)
    return "b"
  end)
  local t = aq.create_task(function()
    log(try(aq, aq.gather, a, b))
    return "not cancelled"
  end)
  aq.sleep(0)
  a:cancel()
  log(t:await(), b:cancelled())
  log(b:await())
end, "Cancelled, not cancelled false, b")

vector("G3 return_exceptions", function(aq, log)
  local a = aq.create_task(function() aq.sleep(1) end)
  a:cancel()
  local r = aq.gather({a, aq.create_task(boom), aq.create_task(function() return 3 end)},
                      {return_exceptions = true})
  log(name_of(aq, r[1]), r.failed[1], r[2], r.failed[2], r[3], r.failed[3])
end, "Cancelled true boom true 3 nil")

vector("G4 cancelling gather cancels all, raises even with return_exceptions", function(aq, log)
  local a = aq.create_task(function() aq.sleep(1) end)
  local b = aq.create_task(function() aq.sleep(1) end)
  local t = aq.create_task(function()
    log(try(aq, aq.gather, {a, b}, {return_exceptions = true}))
  end)
  aq.sleep(0)
  t:cancel()
  t:await()
  log(a:cancelled(), b:cancelled())
end, "Cancelled, true true")

vector("G6 cancelling the waiter of a shield leaves the inner one running", function(aq, log)
  local inner = aq.create_task(function()
    settle(aq, 4)
    return "inner"
  end)
  local t = aq.create_task(function() log(try(aq, aq.shield, inner)) end)
  aq.sleep(0)
  t:cancel()
  log(inner:await())
end, "Cancelled, inner")

vector("G7 wait_for(task): the inner one is cancelled and waited for", function(aq, log)
  local inner = aq.create_task(function()
    log(try(aq, aq.sleep, 9))
    aq.shield(aq.sleep, 1)
    log "inner ends"
    error(aq.CancelledError, 0)
  end)
  log(try(aq, aq.wait_for, inner, 1), inner:cancelled())
end, "Cancelled, inner ends, Timeout true")

vector("G7 wait_for(task): an inner one that returns a value wins", function(aq, log)
  local inner = aq.create_task(function()
    pcall(aq.sleep, 9)
    return "value"
  end)
  log(try(aq, aq.wait_for, inner, 1))
end, "value")

vector("G7 wait_for(task): an inner one that raises wins", function(aq, log)
  local inner = aq.create_task(function()
    pcall(aq.sleep, 9)
    boom()
  end)
  log(try(aq, aq.wait_for, inner, 1))
end, "boom")

vector("G8 of two deadlines at once the outer one is told", function(aq, log)
  log(try(aq, aq.wait_for, function()
    local result = try(aq, aq.wait_for, aq.sleep, 1, 5)
    log(result)
    if result == "Cancelled" then error(aq.CancelledError, 0) end
  end, 1))
  log(aq.current_task():cancelling(), try(aq, aq.sleep, 0))
end, "Cancelled, Timeout, 0 ok")

vector("G8 a cancel beside the deadline's own stays a cancel", function(aq, log)
  local t
  t = aq.create_task(function()
    log(try(aq, aq.wait_for, function()
      local _, err = pcall(aq.sleep, 5)
      t:cancel()
      error(err, 0)
    end, 1))
    log(t:cancelling())
  end)
  pcall(t.await, t)
  log(t:cancelled())
end, "Cancelled, 1, true")

vector("G8 wait_for(task), cancelled between deadline and end", function(aq, log)
  local inner = aq.create_task(function()
    local _, err = pcall(aq.sleep, 9)
    aq.shield(aq.sleep, 2)
    error(err, 0)
  end)
  local t = aq.create_task(function() log(try(aq, aq.wait_for, inner, 1), inner:done()) end)
  aq.sleep(2)
  log(t:cancel())
  t:await()
end, "true, Cancelled true")

vector("G8 a deadline inside a shield", function(aq, log)
  local function clean_up() return try(aq, aq.wait_for, aq.sleep, 1, 5) end
  local t = aq.create_task(function()
    log(aq.shield(clean_up))
    log(try(aq, aq.sleep, 9))
    log(aq.shield(clean_up))
  end)
  aq.sleep(2)
  t:cancel()
  t:await()
end, "Timeout, Cancelled, Timeout")

vector("G8 a deadline of 0 does not hide an earlier cancel", function(aq, log)
  local t
  t = aq.create_task(function()
    t:cancel()
    log(try(aq, aq.wait_for, aq.sleep, 0, 5))
    log(t:cancelling())
  end)
  t:await()
end, "Cancelled, 1")

---------------------------------------------------------------------------------------------------
-- wait, as_completed

local function numbers(list, tasks)
  local parts = {}
  for i, t in ipairs(list) do
    for number, task in ipairs(tasks) do
      if task == t then parts[i] = number end
    end
  end
  return "[" .. table.concat(parts, " ") .. "]"
end

-- Tasks that end after so many seconds; the one of `bad` raises.
local function sleepers(aq, seconds, bad)
  local tasks = {}
  for i, s in ipairs(seconds) do
    tasks[i] = aq.create_task(function()
      aq.sleep(s)
      if i == bad then boom() end
    end)
  end
  return tasks
end

vector("G5 wait: no error on timeout, no cancel, both lists in order", function(aq, log)
  local t = sleepers(aq, {3, 1, 9})
  local done, pending = aq.wait(t, {timeout = 2})
  log(numbers(done, t), numbers(pending, t), t[1]:cancelling())
  done, pending = aq.wait({t[3], t[2], t[2]}, {timeout = 0})
  log(numbers(done, t), numbers(pending, t))
  log(try(aq, aq.wait, {}))
end, "[2] [1 3] 0, [2] [3], misuse")

vector("G5 wait: FIRST_COMPLETED, FIRST_EXCEPTION, ALL_COMPLETED", function(aq, log)
  for _, when in ipairs {"FIRST_COMPLETED", "FIRST_EXCEPTION", "ALL_COMPLETED"} do
    local t, from = sleepers(aq, {3, 1, 2}, 3), aq.now()
    local done, pending = aq.wait(t, {return_when = when})
    log(numbers(done, t), numbers(pending, t), math.floor(aq.now() - from + 0.5))
    pcall(aq.gather, t)
    t[1]:await()
  end
end, "[2] [1 3] 1, [2 3] [1] 2, [1 2 3] [] 3")

vector("G5 wait: a cancelled task is no exception; the waiter is cancelled", function(aq, log)
  local t = sleepers(aq, {9, 3})
  local waiter = aq.create_task(function()
    log(try(aq, aq.wait, t, {return_when = "FIRST_EXCEPTION"}))
  end)
  aq.sleep(1)
  t[1]:cancel()
  aq.sleep(1)
  log(waiter:done())
  waiter:cancel()
  settle(aq)
  log(t[2]:done())
end, "false, Cancelled, false")

vector("G5 as_completed: in order of completion; a function is run as a task", function(aq, log)
  local t = sleepers(aq, {3, 1, 2})
  for task in aq.as_completed {t[1], t[2], t[3], t[2]} do log(numbers({task}, t)) end
  for task in aq.as_completed {function() return "called" end} do log(task:result()) end
end, "[2], [3], [1], called")

vector("G5 as_completed: of nothing", function(aq, log)
  log(try(aq, function()
    for _ in aq.as_completed {} do log "never" end
  end))
end, "ok")

vector("G5 as_completed: its timeout raises and cancels nothing", function(aq, log)
  local t = sleepers(aq, {3, 1})
  log(pcall(function()
    for task in aq.as_completed(t, 2) do log(numbers({task}, t)) end
  end), aq.now() > 0)
  t[1]:await()
  log(t[1]:cancelled())
end, "[2], false true, false")

vector("G5 as_completed: a timeout of 0 gives what has ended", function(aq, log)
  local t = sleepers(aq, {3, 1})
  aq.sleep(2)
  log(try(aq, function()
    for task in aq.as_completed(t, 0) do log(numbers({task}, t)) end
  end))
end, "[2], Timeout")

---------------------------------------------------------------------------------------------------
-- Deadlines of blocks

local function within(aq, seconds, fn)
  return function()
    local deadline <close> = aq.timeout(seconds)
    return fn(deadline)
  end
end

vector("G8 a block under a deadline", function(aq, log)
  local kept
  log(try(aq, within(aq, 1, function(deadline)
    kept = deadline
    log(deadline:expired(), deadline:when() - aq.now() > 0.9)
    log(try(aq, aq.sleep, 5), deadline:expired(), aq.current_task():cancelling())
    error(aq.CancelledError, 0)
  end)), kept:expired(), aq.current_task():cancelling())
  log(try(aq, within(aq, 1, function() return aq.sleep(0.5, "in time") end)))
  log(try(aq, within(aq, nil, function(deadline) return deadline:when() == nil end)))
  log(try(aq, aq.sleep, 0))
end, "false true, Cancelled true 1, Timeout true 0, in time, true, ok")

vector("G8 a deadline whose cancel is swallowed says nothing", function(aq, log)
  log(try(aq, within(aq, 1, function()
    local first = try(aq, aq.sleep, 5)
    return first, try(aq, aq.sleep, 5)
  end)))
  log(aq.current_task():cancelling(), try(aq, aq.sleep, 0))
end, "Cancelled Cancelled, 0 ok")

vector("G8 another error of the block stays", function(aq, log)
  log(try(aq, within(aq, 1, function()
    pcall(aq.sleep, 5)
    boom()
  end)), aq.current_task():cancelling())
end, "boom 0")

vector("G8 of two blocks at once the outer one is told", function(aq, log)
  log(try(aq, within(aq, 1, function()
    local result = try(aq, within(aq, 1, function() aq.sleep(5) end))
    log(result)
    if result == "Cancelled" then error(aq.CancelledError, 0) end
  end)))
end, "Cancelled, Timeout")

vector("G8 the inner block of two: the outer goes on", function(aq, log)
  log(try(aq, within(aq, 3, function()
    log(try(aq, within(aq, 1, function() aq.sleep(5) end)))
    return aq.sleep(1, "went on")
  end)))
end, "Timeout, went on")

vector("G8 a cancel in the turn of the deadline stays a cancel", function(aq, log)
  local t = aq.create_task(function()
    log(try(aq, within(aq, 1, function() aq.sleep(5) end)))
    log(try(aq, aq.sleep, 0))
  end)
  aq.sleep(1)
  log(t:cancel())
  settle(aq)
end, "true, Cancelled, Cancelled")

vector("G8 an earlier cancel is not hidden by a block that is late at once", function(aq, log)
  local t
  t = aq.create_task(function()
    t:cancel()
    log(try(aq, within(aq, 0, function() aq.sleep(5) end)), t:cancelling())
  end)
  t:await()
end, "Cancelled 1")

vector("G8 a negative delay fires at the next suspension", function(aq, log)
  local hop = hops(aq)
  log(try(aq, within(aq, -1, function()
    log("runs", hop())
    aq.sleep(0)
  end)), hop())
  log(try(aq, within(aq, 0, function() return "did not suspend" end)))
end, "runs 0, Timeout 1, did not suspend")

vector("G8 reschedule: sooner, later, never, too late", function(aq, log)
  local from = aq.now()
  local function at() return math.floor(aq.now() - from + 0.5) end
  log(try(aq, within(aq, 9, function(deadline)
    deadline:reschedule(1)
    aq.sleep(20)
  end)), at())
  log(try(aq, within(aq, 1, function(deadline)
    deadline:reschedule(3)
    aq.sleep(2)
    deadline:reschedule(3)
    aq.sleep(20)
  end)), at())
  log(try(aq, within(aq, 1, function(deadline)
    deadline:reschedule(nil)
    return aq.sleep(4, "never")
  end)), at())
  log(try(aq, within(aq, 1, function(deadline)
    pcall(aq.sleep, 2)
    log(try(aq, deadline.reschedule, deadline, 5))
    aq.sleep(0)
  end)), at())
  local kept
  within(aq, 1, function(deadline) kept = deadline end)()
  log(try(aq, kept.reschedule, kept, 5))
end, "Timeout 1, Timeout 6, never 10, misuse, Timeout 11, misuse")

vector("G8 a deadline of the past is set anew before it takes effect", function(aq, log)
  local me = aq.current_task()
  log(try(aq, within(aq, 0, function(deadline)
    deadline:reschedule(1)
    log(deadline:expired(), me:cancelling())
    return aq.sleep(0.5, "in time")
  end)))
  log(try(aq, within(aq, 5, function(deadline)
    deadline:reschedule(-1)
    deadline:reschedule(0)
    deadline:reschedule(nil)
    return aq.sleep(9, "never")
  end)))
  log(try(aq, within(aq, 0, function(deadline)
    deadline:reschedule(1)
    aq.sleep(2)
  end)))
  log(try(aq, within(aq, 0, function(deadline)
    pcall(aq.sleep, 1)
    log(try(aq, deadline.reschedule, deadline, 5))
  end)), me:cancelling())
end, "false 0, in time, never, Timeout, misuse, ok 0")

vector("G8 a deadline set anew leaves other cancels as they were", function(aq, log)
  local t
  t = aq.create_task(function()
    t:cancel()
    log(try(aq, aq.sleep, 0))
    within(aq, 0, function(deadline) deadline:reschedule(9) end)()
    return "delivered once"
  end)
  log(t:await())
  t = aq.create_task(function()
    log(try(aq, within(aq, 0, function(deadline)
      t:cancel()
      deadline:reschedule(9)
      log(t:cancelling())
      aq.sleep(1)
    end)))
  end)
  log(try(aq, t.await, t))
end, "Cancelled, delivered once, 1, Cancelled, ok")

vector("G8 a block round a shield: it ends first", function(aq, log)
  log(try(aq, within(aq, 1, function()
    log(aq.shield(aq.sleep, 3, "shielded"), aq.current_task():cancelling())
    aq.sleep(0)
  end)))
  log(try(aq, within(aq, 1, function() return aq.shield(aq.sleep, 3, "no suspension after") end)))
end, "shielded 1, Timeout, no suspension after")

vector("G8 a block inside a shield; blocks inside and outside", function(aq, log)
  local t
  local function clean_up() return try(aq, within(aq, 1, function() aq.sleep(9) end)) end
  t = aq.create_task(function()
    log(try(aq, aq.sleep, 9))
    log(aq.shield(clean_up), t:cancelling())
    log(try(aq, aq.sleep, 0))
  end)
  aq.sleep(0)
  t:cancel()
  t:await()
  log(try(aq, within(aq, 2, function()
    log(aq.shield(function()
      log(clean_up())
      aq.sleep(3)
      return clean_up()
    end))
    aq.sleep(0)
  end)), aq.current_task():cancelling())
end, "Cancelled, Timeout 1, Cancelled, Timeout, Timeout, Timeout 0")

vector("G8 a wait on a task under a block, in one turn with its deadline", function(aq, log)
  local inner = aq.create_task(function() aq.sleep(9) end)
  log(try(aq, within(aq, 1, function() aq.wait_for(inner, 1) end)), inner:cancelled())
end, "Timeout true")

---------------------------------------------------------------------------------------------------
-- TaskGroup

-- Runs fn(group) as the body of a group; its outcome as by try, and the errors the group lists.
local function grouped(aq, fn)
  local kept
  local outcome = try(aq, function()
    local g <close> = aq.TaskGroup()
    kept = g
    return fn(g)
  end)
  local names = {}
  for i, err in ipairs(kept:errors()) do names[i] = tostring(err) end
  return outcome, "[" .. table.concat(names, " ") .. "]"
end

local function raise(name) return function() error("boom " .. name, 0) end end

-- Sleeps; a cancel is logged and passed on, or answered by an error.
local function sleeper(aq, log, name, answer)
  return function()
    local _, err = pcall(aq.sleep, 9)
    log(name, name_of(aq, err))
    error(answer or err, 0)
  end
end

local function ignore_reports(aq) aq.on_error(function() end) end

vector("G9 leaving the block waits for all", function(aq, log)
  log(grouped(aq, function(g)
    g:create_task(function() log(aq.sleep(2, "slow")) end)
    g:create_task(function() log(aq.sleep(1, "quick")) end)
    log "body ends"
    return "value"
  end))
end, "body ends, quick, slow, value []")

vector("G9 the first error cancels siblings and body, and is raised as thrown", function(aq, log)
  local problem = {}
  local ok, err = pcall(function()
    local g <close> = aq.TaskGroup()
    g:create_task(sleeper(aq, log, "sibling"))
    g:create_task(function() error(problem) end)
    sleeper(aq, log, "body")()
  end)
  log(ok, err == problem, aq.current_task():cancelling(), try(aq, aq.sleep, 0))
end, "sibling Cancelled, body Cancelled, false true 0 ok")

vector("G9 errors in order of failure; the body's own goes first if it was", function(aq, log)
  ignore_reports(aq)
  log(grouped(aq, function(g)
    g:create_task(sleeper(aq, log, "a", "boom a"))
    g:create_task(raise "b")
    sleeper(aq, log, "body", "boom body")()
  end))
  log(grouped(aq, function(g)
    g:create_task(sleeper(aq, log, "a", "boom a"))
    aq.sleep(1)
    raise "body"()
  end))
end, "a Cancelled, body Cancelled, boom [boom b boom body boom a], "
  .. "a Cancelled, boom [boom body boom a]")

vector("G9 the errors that are not raised are reported", function(aq, log)
  aq.on_error(function(_, err) log("reported", err) end)
  log(grouped(aq, function(g)
    g:create_task(raise "a")
    g:create_task(raise "b")
  end))
end, "reported boom b, boom [boom a boom b]")

vector("G9 cancelled children are no errors, and disturb nobody", function(aq, log)
  log(grouped(aq, function(g)
    local child = g:create_task(sleeper(aq, log, "child"))
    g:create_task(function() log(aq.sleep(1, "other")) end)
    aq.sleep(0)
    child:cancel()
    return aq.sleep(0, "body")
  end))
end, "child Cancelled, other, body []")

vector("G9 create_task: refused while aborting and at the end", function(aq, log)
  local kept
  local function late() return try(aq, kept.create_task, kept, function() log "never" end) end
  log(grouped(aq, function(g)
    kept = g
    g:create_task(function()
      aq.sleep(1)
      kept:create_task(function() log "grandchild" end)
    end)
  end))
  log(late())
  log(grouped(aq, function(g)
    kept = g
    g:create_task(function()
      pcall(aq.sleep, 9)
      log(late())
    end)
    g:create_task(raise "a")
  end))
end, "grandchild, ok [], misuse, misuse, boom [boom a]")

vector("G9 cancelling() of the parent returns to its old value", function(aq, log)
  local t
  t = aq.create_task(function()
    pcall(aq.sleep, 9)
    log(t:cancelling())
    log(grouped(aq, function(g) g:create_task(raise "a") end))
    log(t:cancelling())
  end)
  aq.sleep(0)
  t:cancel()
  pcall(t.await, t)
end, "1, boom [boom a], 1")

vector("G10 an outer cancel in the body, and at the end of the block", function(aq, log)
  for _, body_waits in ipairs {true, false} do
    local t = aq.create_task(function()
      log(grouped(aq, function(g)
        g:create_task(sleeper(aq, log, "child"))
        if body_waits then sleeper(aq, log, "body")() end
      end))
    end)
    aq.sleep(1)
    t:cancel()
    settle(aq, 5)
  end
end, "body Cancelled, child Cancelled, Cancelled [], child Cancelled, Cancelled []")

vector("G10 a child's error goes before the outer cancel, which is not lost", function(aq, log)
  local t
  t = aq.create_task(function()
    log(grouped(aq, function(g) g:create_task(sleeper(aq, log, "child", "boom child")) end))
    log(t:cancelling(), try(aq, aq.sleep, 0))
  end)
  aq.sleep(1)
  t:cancel()
  settle(aq, 5)
end, "child Cancelled, boom [boom child], 1 Cancelled")

vector("G10 a task that ends after that ends cancelled", function(aq, log)
  local t = aq.create_task(function()
    log(grouped(aq, function(g) g:create_task(sleeper(aq, log, "child", "boom child")) end))
    return "value"
  end)
  aq.sleep(1)
  t:cancel()
  log(try(aq, t.await, t), t:cancelled())
end, "child Cancelled, boom [boom child], Cancelled true")

vector("G10 nested groups do not swallow the outer cancel", function(aq, log)
  local t = aq.create_task(function()
    log("outer", grouped(aq, function(g)
      g:create_task(sleeper(aq, log, "outer child"))
      log("inner", grouped(aq, function(h)
        h:create_task(sleeper(aq, log, "inner child", "boom inner"))
      end))
      aq.sleep(0)
    end))
  end)
  aq.sleep(1)
  t:cancel()
  settle(aq, 9)
end, "inner child Cancelled, inner boom [boom inner], outer child Cancelled, outer Cancelled []")

vector("G10 the deadline of a block round a group", function(aq, log)
  log(try(aq, within(aq, 1, function()
    local g <close> = aq.TaskGroup()
    g:create_task(sleeper(aq, log, "child"))
  end)), aq.current_task():cancelling())
end, "child Cancelled, Timeout 0")

vector("G11 cancel: the children, no new ones; the body runs on", function(aq, log)
  log(grouped(aq, function(g)
    g:create_task(sleeper(aq, log, "child"))
    aq.sleep(0)
    g:cancel()
    g:cancel()
    log(try(aq, g.create_task, g, function() log "never" end))
    return aq.sleep(1, "body ends")
  end))
  log(aq.current_task():cancelling(), try(aq, aq.sleep, 0))
end, "misuse, child Cancelled, body ends [], 0 ok")

vector("G11 cancel, and an error in answer to it", function(aq, log)
  log(grouped(aq, function(g)
    g:create_task(sleeper(aq, log, "child", "boom child"))
    aq.sleep(0)
    g:cancel()
    log(aq.sleep(1, "body ends"))
  end))
end, "child Cancelled, body ends, boom [boom child]")

vector("G11 a cancel from outside while a cancelled group ends is not lost", function(aq, log)
  local t = aq.create_task(function()
    log(grouped(aq, function(g)
      g:create_task(function()
        pcall(aq.sleep, 9)
        aq.shield(aq.sleep, 2)
      end)
      aq.sleep(0)
      g:cancel()
    end))
    log(try(aq, aq.sleep, 0))
  end)
  aq.sleep(1)
  t:cancel()
  aq.sleep(3)
  log(t:cancelling() > 0)
end, "ok [], Cancelled, true")

---------------------------------------------------------------------------------------------------
-- Hops

vector("H2 create_task", function(aq, log)
  local hop = hops(aq)
  aq.create_task(function() log(hop()) end)
  aq.sleep(0)
end, "1")

vector("H3 sleep of 0 and of less", function(aq, log)
  local hop = hops(aq)
  aq.sleep(0)
  log(hop())
  log(aq.sleep(-1, "result"), hop())
  log(try(aq, aq.sleep, 0 / 0))
end, "1, result 2, misuse")

vector("H4 future set: waiters, then callbacks, in order of registration", function(aq, log)
  local hop = hops(aq)
  local f = aq.Future()
  for _, name in ipairs {"a", "b", "c"} do
    aq.create_task(function() log(name, f:await(), hop()) end)
  end
  aq.sleep(0)
  f:add_done_callback(function(which) log("callback", which == f, hop()) end)
  f:set_result "x"
  log("set", hop())
  aq.sleep(0)
end, "set 1, a x 2, b x 2, c x 2, callback true 2")

vector("H5 a task's last step", function(aq, log)
  local hop = hops(aq)
  local t = aq.create_task(function() log("last", hop()) end)
  aq.create_task(function()
    t:await()
    log("early", hop())
  end)
  t:add_done_callback(function() log("callback", hop()) end)
  t:await()
  log("awaiter", hop())
end, "last 1, early 1, callback 2, awaiter 2")

vector("H6 await of what is finished", function(aq, log)
  local f, t = aq.Future(), aq.create_task(function() return 1 end)
  f:set_result(2)
  local hop = hops(aq)
  log(t:await(), f:await(), hop())
end, "1 2 0")

vector("H7 put to getter, and to the awaiter of the getter", function(aq, log)
  local hop = hops(aq)
  local q = aq.Queue()
  local t = aq.create_task(function()
    q:get()
    log("getter", hop())
  end)
  aq.create_task(function()
    t:await()
    log("awaiter", hop())
  end)
  aq.sleep(0)
  q:put_nowait(1)
  log("put", hop())
  settle(aq)
end, "put 1, getter 2, awaiter 3")

vector("H8 get to putter", function(aq, log)
  local hop = hops(aq)
  local q = aq.Queue(1)
  q:put(1)
  aq.create_task(function()
    q:put(2)
    log("putter", hop())
  end)
  aq.sleep(0)
  q:get()
  log("get", hop())
  aq.sleep(0)
end, "get 1, putter 2")

vector("H9 task_done to joiner", function(aq, log)
  local hop = hops(aq)
  local q = aq.Queue()
  q:put(1)
  aq.create_task(function()
    q:join()
    log("joiner", hop())
  end)
  aq.sleep(0)
  q:task_done()
  log("done", hop())
  aq.sleep(0)
end, "done 1, joiner 2")

vector("H10 cancel, and the awaiter of the cancelled", function(aq, log)
  local hop = hops(aq)
  local t = aq.create_task(function()
    local _, err = pcall(aq.sleep, 1)
    log("inside", hop())
    error(err, 0)
  end)
  aq.create_task(function() log("awaiter", try(aq, t.await, t), hop()) end)
  aq.sleep(0)
  t:cancel()
  log("cancel", hop())
  settle(aq)
end, "cancel 1, inside 2, awaiter Cancelled 3")

vector("H11 a cancel goes down the chain and comes up one level per hop", function(aq, log)
  local hop = hops(aq)
  local f = aq.Future()
  local last = f
  local tasks = {}
  for i, name in ipairs {"inner", "outer", "awaiter"} do
    local waited_for = last
    tasks[i] = aq.create_task(function()
      local _, err = pcall(waited_for.await, waited_for)
      log(name, hop(), name_of(aq, err))
      error(err, 0)
    end)
    last = tasks[i]
  end
  aq.sleep(0)
  log("cancel", hop(), tasks[2]:cancel(), f:cancelled())
  settle(aq)
end, "cancel 1 true true, inner 2 Cancelled, outer 3 Cancelled, awaiter 4 Cancelled")

vector("H11 a cancel that comes by several ways is passed on once", function(aq, log)
  local tasks = {}
  local function awaiting(...)
    local children = {...}
    table.insert(tasks, aq.create_task(function()
      pcall(#children == 0 and aq.sleep or aq.gather, children[1] or 9, table.unpack(children, 2))
      log(aq.current_task():cancelling())
    end))
    return tasks[#tasks]
  end
  local last = awaiting()
  local middle = awaiting(last)
  local top = awaiting(awaiting(middle), awaiting(middle), middle, middle)
  aq.sleep(0)
  top:cancel()
  aq.sleep(1)
end, "1, 4, 1, 1, 1")

vector("H12 cancel before the start", function(aq, log)
  local hop = hops(aq)
  local t = aq.create_task(function() log "body" end)
  t:cancel()
  log(try(aq, t.await, t), hop())
end, "Cancelled 2")

vector("H13 the last future of a gather", function(aq, log)
  local hop = hops(aq)
  local f, g = aq.Future(), aq.Future()
  aq.create_task(function()
    aq.gather(f, g)
    log("gather", hop())
  end)
  f:set_result(1)
  aq.sleep(0)
  g:set_result(2)
  log("set", hop())
  settle(aq)
  local before = hop()
  log(aq.gather(f, g)[2], hop() - before)
end, "set 1, gather 3, 2 0")

vector("H14 the last step of a gathered task", function(aq, log)
  local hop = hops(aq)
  local t = aq.create_task(function() log("last", hop()) end)
  aq.gather(t)
  log("gather", hop())
end, "last 1, gather 3")

vector("H15 shield of a task", function(aq, log)
  local hop = hops(aq)
  local t = aq.create_task(function() log("last", hop()) end)
  aq.shield(t)
  log("shield", hop())
  aq.shield(t)
  log("again", hop())
end, "last 1, shield 3, again 3")

vector("H15 wait, also of what is done", function(aq, log)
  local hop = hops(aq)
  local t = aq.create_task(function() log("last", hop()) end)
  aq.wait {t}
  log("wait", hop())
  aq.wait {t}
  log("again", hop())
end, "last 1, wait 3, again 5")

vector("H15 as_completed", function(aq, log)
  local hop = hops(aq)
  local t = {}
  for i = 1, 2 do t[i] = aq.create_task(function() log("last", hop()) end) end
  for _ in aq.as_completed(t) do log("got", hop()) end
  for _ in aq.as_completed(t) do log("again", hop()) end
end, "last 1, last 1, got 3, got 3, again 5, again 5")

vector("H16 the end of a group", function(aq, log)
  local hop = hops(aq)
  do
    local g <close> = aq.TaskGroup()
    g:create_task(function() log("last", hop()) end)
  end
  log("left", hop())
  do local _ <close> = aq.TaskGroup() end
  log("left", hop())
end, "last 1, left 3, left 3")

vector("H17 a child of a group raises", function(aq, log)
  local hop = hops(aq)
  local function sibling(name)
    local _, err = pcall(aq.sleep, 9)
    log(name, name_of(aq, err), hop())
    error(err, 0)
  end
  local ok, err = pcall(function()
    local g <close> = aq.TaskGroup()
    g:create_task(sibling, "sibling")
    g:create_task(function()
      log("raises", hop())
      boom()
    end)
    sibling "body"
  end)
  log(ok, name_of(aq, err), hop())
end, "raises 1, sibling Cancelled 3, body Cancelled 3, false boom 5")

vector("H18 wait_for of what is ready, of a future", function(aq, log)
  local hop = hops(aq)
  log(aq.wait_for(function(...) return ... end, 5, "ready"), hop())
  local f = aq.Future()
  aq.create_task(function()
    f:set_result "x"
    log("set", hop())
  end)
  log(aq.wait_for(f, 5), hop())
end, "ready 0, set 1, x 2")

vector("H19 wait_for without time", function(aq, log)
  local hop = hops(aq)
  local t = aq.create_task(function() aq.sleep(9) end)
  aq.sleep(0)
  log(hop(), try(aq, aq.wait_for, t, 0))
  log(hop(), t:cancelled())
  local from = hop()
  log(try(aq, aq.wait_for, function()
    log("runs", hop() - from)
    aq.sleep(9)
  end, 0))
  log(hop() - from)
end, "1 Timeout, 4 true, runs 0, Timeout, 1")

vector("H20 a deadline", function(aq, log)
  local q = aq.Queue()
  local t = aq.create_task(function()
    local _, err = pcall(aq.sleep, 9)
    log("inner", name_of(aq, err))
    error(err, 0)
  end)
  aq.create_task(function() log("get", try(aq, q.get, q, 1)) end)
  aq.create_task(function() log("wait_for", try(aq, aq.wait_for, q.get, 1, q)) end)
  aq.create_task(function() log("round a task", try(aq, aq.wait_for, t, 1)) end)
  aq.create_task(function()
    aq.sleep(1)
    log "one"
    aq.sleep(0)
    log "two"
  end)
  aq.sleep(2)
end, "get Timeout, wait_for Timeout, inner Cancelled, one, round a task Timeout, two")

vector("H19 a block without time, in a wait on a future", function(aq, log)
  local hop = hops(aq)
  local f = aq.Future()
  log(try(aq, function()
    local deadline <close> = aq.timeout(0)
    return f:await(), deadline
  end), hop())
end, "Timeout 1")

vector("H20 the deadline of a block, and of a task's wait in it", function(aq, log)
  local q = aq.Queue()
  aq.create_task(function()
    log("block", try(aq, function()
      local deadline <close> = aq.timeout(1)
      return q:get(), deadline
    end))
  end)
  aq.create_task(function()
    log("select", aq.select {q:getting(), timeout = 1})
  end)
  aq.create_task(function()
    aq.sleep(1)
    log "one"
  end)
  aq.sleep(2)
end, "block Timeout, select timeout, one")

for _, kind in ipairs {"Lock", "Semaphore"} do
  vector("H21 release of a " .. kind, function(aq, log)
    local hop = hops(aq)
    local l = kind == "Lock" and aq.Lock() or aq.Semaphore(1)
    l:acquire()
    aq.create_task(function()
      l:acquire()
      log("waiter", hop())
      l:release()
    end)
    aq.sleep(0)
    l:release()
    log("release", hop())
    l:acquire()
    log("again", hop())
  end, "release 1, waiter 2, again 3")
end

vector("H21 locked right after release", function(aq, log)
  local l = aq.Lock()
  l:acquire()
  aq.create_task(function() l:acquire() end)
  aq.sleep(0)
  log(l:locked())
  l:release()
  log(l:locked(), try(aq, l.acquire, l, 0))
  aq.sleep(0)
  log(l:locked())
end, "true, false Timeout, true")

vector("H22 an event set, and cleared at once", function(aq, log)
  local hop = hops(aq)
  local e = aq.Event()
  for _, name in ipairs {"a", "b"} do
    aq.create_task(function()
      e:wait()
      log(name, hop())
    end)
  end
  aq.sleep(0)
  e:set()
  e:clear()
  log("set", hop(), e:is_set())
  aq.sleep(0)
end, "set 1 false, a 2, b 2")

vector("H23 notify_all, the lock freed in that turn", function(aq, log)
  local hop = hops(aq)
  local c = aq.Condition()
  for _, name in ipairs {"a", "b", "c"} do
    aq.create_task(function()
      c:acquire()
      c:wait()
      log(name, hop())
      c:release()
    end)
  end
  aq.sleep(0)
  c:acquire()
  c:notify_all()
  c:release()
  log("notify", hop())
  settle(aq)
end, "notify 1, a 2, b 2, c 2")

vector("H24 a barrier of two", function(aq, log)
  local hop = hops(aq)
  local b = aq.Barrier(2)
  for _, name in ipairs {"first", "second"} do
    aq.create_task(function() log(name, b:wait(), hop()) end)
  end
  settle(aq)
end, "second 1 1, first 0 2")

vector("H27 ping-pong through a queue of 1", function(aq, log)
  local hop = hops(aq)
  local q = aq.Queue(1)
  aq.create_task(function()
    for i = 0, 3 do
      q:put(i)
      log("p" .. i, hop())
    end
  end)
  aq.create_task(function()
    for _ = 0, 3 do log("c" .. q:get(), hop()) end
  end)
  settle(aq, 9)
end, "p0 1, c0 1, p1 2, c1 3, p2 4, c2 5, p3 6, c3 7")

vector("H28 two tasks with two turns each", function(aq, log)
  for _, name in ipairs {"a", "b"} do
    aq.create_task(function()
      for i = 0, 2 do
        log(name .. i)
        if i < 2 then aq.sleep(0) end
      end
    end)
  end
  settle(aq)
end, "a0, b0, a1, b1, a2, b2")

vector("H29 a wake takes its place in the one order", function(aq, log)
  local q = aq.Queue()
  getter(aq, log, q, "getter")
  aq.sleep(0)
  aq.create_task(function() log "x" end)
  q:put_nowait(1)
  aq.create_task(function() log "y" end)
  aq.sleep(0)
end, "x, getter 1, y")

vector("L1 what is ready goes before timers that are due", function(aq, log)
  local t
  aq.create_task(function()
    aq.sleep(1)
    log "later"
  end)
  t = aq.create_task(function()
    aq.sleep(1)
    log "equal"
  end)
  t:await()
end, "later, equal")

vector("L3 equal deadlines in order of arming", function(aq, log)
  for i = 1, 6 do
    aq.create_task(function()
      aq.sleep(1)
      log(i)
    end)
  end
  aq.sleep(2)
end, "1, 2, 3, 4, 5, 6")

---------------------------------------------------------------------------------------------------
-- Locks

local function taker(aq, log, l, name, turns)
  return aq.create_task(function()
    local ok, err = pcall(l.acquire, l)
    log(name, ok and "has it" or name_of(aq, err))
    if not ok then error(err, 0) end
    settle(aq, turns or 1)
    l:release()
  end)
end

vector("K1 a lock is fair", function(aq, log)
  local l = aq.Lock()
  for _, name in ipairs {"a", "b", "c"} do taker(aq, log, l, name) end
  settle(aq, 8)
  log(l:locked(), try(aq, l.release, l))
end, "a has it, b has it, c has it, false misuse")

vector("K1 nobody jumps in before a woken waiter", function(aq, log)
  local l = aq.Lock()
  l:acquire()
  taker(aq, log, l, "waiter")
  aq.sleep(0)
  taker(aq, log, l, "late")
  l:release()
  log(try(aq, l.acquire, l, 0))
  settle(aq, 6)
end, "waiter has it, Timeout, late has it")

vector("K1 a woken waiter that is cancelled passes the lock on", function(aq, log)
  local l = aq.Lock()
  l:acquire()
  local a = taker(aq, log, l, "a")
  taker(aq, log, l, "b")
  aq.sleep(0)
  l:release()
  a:cancel()
  settle(aq, 6)
end, "a Cancelled, b has it")

vector("K1 the first waiter cancelled, then a release in the same turn", function(aq, log)
  local l = aq.Lock()
  l:acquire()
  local a = taker(aq, log, l, "a")
  taker(aq, log, l, "b")
  aq.sleep(0)
  a:cancel()
  l:release()
  settle(aq, 6)
end, "a Cancelled, b has it")

vector("K2 a release gives the permit to the first waiter", function(aq, log)
  local s = aq.Semaphore(0)
  taker(aq, log, s, "a", 9)
  taker(aq, log, s, "b", 9)
  aq.sleep(0)
  s:release()
  log(s:locked(), try(aq, s.acquire, s, 0))
  settle(aq)
end, "a has it, true Timeout, b Cancelled")

vector("K2 a live waiter means locked, though a permit is free", function(aq, log)
  local s = aq.Semaphore(0)
  taker(aq, log, s, "a", 9)
  aq.sleep(0)
  s:release()
  s:release()
  log(s:locked())
  aq.sleep(0)
  log(s:locked(), try(aq, s.acquire, s, 0))
end, "true, a has it, false true")

vector("K2 woken and cancelled: the permits are passed on, several at once", function(aq, log)
  local s = aq.Semaphore(0)
  local a, b = taker(aq, log, s, "a", 9), taker(aq, log, s, "b", 9)
  taker(aq, log, s, "c", 9)
  taker(aq, log, s, "d", 9)
  aq.sleep(0)
  s:release()
  s:release()
  a:cancel()
  b:cancel()
  settle(aq)
  log(s:locked())
end, "a Cancelled, b Cancelled, c has it, d has it, true")

vector("K2 values: initial and bounded", function(aq, log)
  log(try(aq, aq.Semaphore, -1))
  local s = aq.BoundedSemaphore(1)
  log(try(aq, s.release, s))
  s:acquire()
  log(try(aq, s.release, s), try(aq, s.release, s))
end, "misuse, misuse, ok misuse")

vector("K3 set wakes all who wait now", function(aq, log)
  local e = aq.Event()
  local function waiter(name)
    return aq.create_task(function() log(name, try(aq, e.wait, e) and "woken") end)
  end
  waiter "a"
  waiter "b"
  aq.sleep(0)
  e:set()
  e:clear()
  waiter "c"
  settle(aq)
  log(e:is_set(), try(aq, e.wait, e, 0))
  e:set()
  settle(aq)
  log(try(aq, e.wait, e, 0) ~= "Timeout")
end, "a woken, b woken, false Timeout, c woken, true")

---------------------------------------------------------------------------------------------------
-- Conditions, barriers

-- A task that waits on a condition, logs how that ended and whether it has the lock, and lets go.
local function cond_waiter(aq, log, c, name, timeout)
  return aq.create_task(function()
    c:acquire()
    local ok, err = pcall(c.wait, c, timeout)
    log(name, ok and "notified" or name_of(aq, err), c:locked())
    c:release()
    if not ok then pass_on_cancel(aq, err) end
  end)
end

vector("K4 wait and notify need the lock", function(aq, log)
  local c = aq.Condition()
  log(try(aq, c.wait, c), try(aq, c.notify, c), try(aq, c.notify_all, c), try(aq, c.release, c))
  c:acquire()
  log(try(aq, c.notify, c), c:locked(), try(aq, c.acquire, c, 0))
end, "misuse misuse misuse misuse, ok true Timeout")

vector("K4 notify wakes n in order; notify_all the rest", function(aq, log)
  local c = aq.Condition()
  for _, name in ipairs {"a", "b", "c", "d", "e"} do cond_waiter(aq, log, c, name) end
  aq.sleep(0)
  for _, n in ipairs {1, 2} do
    c:acquire()
    c:notify(n)
    c:release()
    settle(aq)
    log(n)
  end
  c:acquire()
  c:notify(0)
  c:notify(-1)
  c:release()
  settle(aq)
  log "none"
  c:acquire()
  c:notify_all()
  c:release()
  settle(aq)
end, "a notified true, 1, b notified true, c notified true, 2, none, d notified true, "
  .. "e notified true")

vector("K4 the woken take the lock one after the other", function(aq, log)
  local c = aq.Condition()
  for _, name in ipairs {"a", "b"} do
    aq.create_task(function()
      c:acquire()
      c:wait()
      log(name)
      aq.sleep(1)
      c:release()
    end)
  end
  aq.sleep(0)
  c:acquire()
  c:notify_all()
  settle(aq)
  log "release"
  c:release()
  aq.sleep(0.5)
  log "half"
  aq.sleep(2)
end, "release, a, half, b")

vector("K4 a cancelled wait takes the lock again", function(aq, log)
  local c = aq.Condition()
  local a = cond_waiter(aq, log, c, "a")
  aq.sleep(0)
  c:acquire()
  a:cancel()
  settle(aq)
  a:cancel()
  settle(aq)
  log "release"
  c:release()
  settle(aq)
  log(c:locked(), a:cancelled())
end, "release, a Cancelled true, false true")

vector("K4 a cancel after the notify: raised, the notify passed on", function(aq, log)
  for _, late in ipairs {false, true} do
    local c = aq.Condition()
    local a = cond_waiter(aq, log, c, "a")
    cond_waiter(aq, log, c, "b")
    aq.sleep(0)
    c:acquire()
    c:notify()
    if late then settle(aq) end
    a:cancel()
    settle(aq)
    c:release()
    settle(aq)
  end
end, "a Cancelled true, b notified true, a Cancelled true, b notified true")

vector("K4 a cancel before the notify, in one turn: the next is notified", function(aq, log)
  local c = aq.Condition()
  local a = cond_waiter(aq, log, c, "a")
  cond_waiter(aq, log, c, "b")
  cond_waiter(aq, log, c, "c")
  aq.sleep(0)
  c:acquire()
  a:cancel()
  c:notify()
  c:release()
  settle(aq)
  log "only b"
end, "a Cancelled true, b notified true, only b, c Cancelled true")

vector("K4 a wait with a timeout", function(aq, log)
  local c = aq.Condition()
  cond_waiter(aq, log, c, "a", 1)
  cond_waiter(aq, log, c, "b", 1)
  aq.sleep(0.5)
  c:acquire()
  c:notify()
  c:release()
  aq.sleep(1)
  c:acquire()
  log(try(aq, c.wait, c, 0), c:locked())
end, "a notified true, b Timeout true, Timeout true")

vector("K4 a timeout of 0 lets go of the lock for a turn (X10)", function(aq, log)
  local hop = hops(aq)
  local c = aq.Condition()
  c:acquire()
  aq.create_task(function()
    c:acquire()
    log "the other has the lock"
    c:release()
  end)
  aq.sleep(0)
  log(try(aq, c.wait, c, 0), hop())
  c:release()
  settle(aq)
end, "the other has the lock, Timeout 2")

vector("K4 wait_for: one deadline, and a last question", function(aq, log)
  local c, e = aq.Condition(), aq.Event()
  local asked = 0
  local function ask()
    asked = asked + 1
    return e:is_set()
  end
  c:acquire()
  log(try(aq, c.wait_for, c, ask, 0), asked, c:locked())
  log(try(aq, c.wait_for, c, ask, 3), asked)
  aq.create_task(function()
    aq.sleep(1)
    c:acquire()
    c:notify()
    c:release()
    aq.sleep(1)
    e:set()
  end)
  log(try(aq, c.wait_for, c, ask, 3), asked)
  c:release()
end, "Timeout 2 true, Timeout 4, true 7")

vector("K5 a party whose time is up leaves, and the others wait on", function(aq, log)
  local b = aq.Barrier(2)
  log(try(aq, b.wait, b, 0), b:n_waiting())
  local a = aq.create_task(function() log("a", try(aq, b.wait, b, 2), b:n_waiting()) end)
  a:await()
  aq.create_task(function() log("b", try(aq, b.wait, b)) end)
  log(try(aq, b.wait, b, 1))
  aq.sleep(0)
end, "Timeout 0, a Timeout 0, b 1, 0")

-- The wait is over, but its task has not run yet.
vector("K4 a wait whose deadline has come takes no notify", function(aq, log)
  local c = aq.Condition()
  aq.create_task(function()
    aq.sleep(1)
    c:acquire()
    c:notify()
    log("notify", try(aq, c.wait, c, 1))
    c:release()
  end)
  cond_waiter(aq, log, c, "a", 1)
  aq.sleep(3)
end, "a Timeout true, notify Timeout")

vector("K4 a task that may not wait takes no notify", function(aq, log)
  local c, hop = aq.Condition(), hops(aq)
  local t = aq.create_task(function()
    pcall(aq.sleep, 9)
    c:acquire()
    log(try(aq, c.wait, c), hop())
    c:release()
  end)
  aq.sleep(0)
  t:cancel()
  cond_waiter(aq, log, c, "b")
  aq.create_task(function()
    c:acquire()
    c:notify()
    log("notify", hop())
    c:release()
    aq.sleep(0)
    log("after", hop())
  end)
  settle(aq)
end, "notify 2, Cancelled 3, b notified true, after 3")

vector("K4 wait_for a predicate", function(aq, log)
  local c, level = aq.Condition(), 0
  aq.create_task(function()
    c:acquire()
    log(c:wait_for(function() return level >= 2 and "level " .. level end))
    log(c:wait_for(function() return "at once" end))
    c:release()
  end)
  aq.sleep(0)
  for _ = 1, 3 do
    c:acquire()
    level = level + 1
    c:notify()
    c:release()
    log("now", level)
    settle(aq)
  end
end, "now 1, now 2, level 2, at once, now 3")

vector("K4 two conditions on one lock", function(aq, log)
  local l = aq.Lock()
  local c, d = aq.Condition(l), aq.Condition(l)
  cond_waiter(aq, log, c, "c")
  cond_waiter(aq, log, d, "d")
  aq.sleep(0)
  l:acquire()
  d:notify()
  log(c:locked())
  l:release()
  settle(aq)
end, "true, d notified true, c Cancelled true")

-- A task that waits at a barrier and logs its index, or the error.
local function party(aq, log, b, name)
  return aq.create_task(function()
    local ok, index = pcall(b.wait, b)
    log(name, ok and index or name_of(aq, index))
    if not ok then pass_on_cancel(aq, index) end
  end)
end

vector("K5 parties: 1 or more; one is never kept", function(aq, log)
  log(try(aq, aq.Barrier, 0), try(aq, aq.Barrier, -1))
  local b = aq.Barrier(1)
  log(b:parties(), b:n_waiting(), b:broken(), b:wait(), b:wait())
end, "misuse misuse, 1 0 false 0 0")

vector("K5 each party gets an index of its own, again and again", function(aq, log)
  local b = aq.Barrier(3)
  for _ = 1, 2 do
    party(aq, log, b, "a")
    party(aq, log, b, "b")
    aq.sleep(0)
    log(b:n_waiting())
    party(aq, log, b, "c")
    settle(aq)
    log(b:n_waiting())
  end
end, "2, c 2, a 0, b 1, 0, 2, c 2, a 0, b 1, 0")

vector("K5 more than the parties: the rest wait for the next time", function(aq, log)
  local b = aq.Barrier(2)
  for _, name in ipairs {"a", "b", "c", "d", "e"} do party(aq, log, b, name) end
  settle(aq, 8)
  log(b:n_waiting())
end, "b 1, a 0, d 1, c 0, 1, e Cancelled")

vector("K5 a cancelled party leaves; the indices stay distinct", function(aq, log)
  local b = aq.Barrier(3)
  local a = party(aq, log, b, "a")
  party(aq, log, b, "b")
  aq.sleep(0)
  a:cancel()
  settle(aq)
  log(b:n_waiting(), b:broken())
  party(aq, log, b, "c")
  party(aq, log, b, "d")
  settle(aq)
end, "a Cancelled, 1 false, d 2, b 1, c 0")

vector("K5 abort breaks those who wait and all who come", function(aq, log)
  local b = aq.Barrier(2)
  party(aq, log, b, "a")
  aq.sleep(0)
  b:abort()
  log(b:broken(), b:n_waiting())
  settle(aq)
  log(try(aq, b.wait, b))
  b:reset()
  log(b:broken())
  party(aq, log, b, "c")
  party(aq, log, b, "d")
  settle(aq)
end, "true 0, a BrokenBarrier, BrokenBarrier, false, d 1, c 0")

vector("K5 reset breaks those who wait; who comes meanwhile waits", function(aq, log)
  local b = aq.Barrier(2)
  party(aq, log, b, "a")
  aq.sleep(0)
  b:reset()
  party(aq, log, b, "b")
  party(aq, log, b, "c")
  settle(aq)
  b:reset()
  log(b:broken(), b:n_waiting())
end, "a BrokenBarrier, c 1, b 0, false 0")

---------------------------------------------------------------------------------------------------
-- select

-- Which branch and what it gave, or its error.
local function chosen(aq, branches)
  local which, value, err = aq.select(branches)
  if err ~= nil then return which, value, name_of(aq, err) end
  if value == nil then return which end
  return which, value
end

vector("select: the first ready by position, then by sorted key; no hop", function(aq, log)
  local hop = hops(aq)
  local p, q = aq.Queue(), aq.Queue()
  p:put_nowait "p"
  q:put_nowait "q"
  log(chosen(aq, {q:getting(), p:getting(), a = p:getting()}))
  log(chosen(aq, {b = p:getting(), a = q:getting(), timeout = 0}))
  q:put_nowait "q"
  log(chosen(aq, {b = p:getting(), a = q:getting()}))
  log(p:qsize(), q:qsize(), hop())
end, "1 q, b p, a q, 0 0 0")

vector("select: getting, putting, joining, waiting, task, future", function(aq, log)
  local q, full, e, f = aq.Queue(), aq.Queue(1), aq.Event(), aq.Future()
  full:put_nowait "full"
  local t = aq.create_task(function()
    aq.sleep(4)
    boom()
  end)
  local function select_all()
    local which, value = aq.select {
      get = q:getting(), put = full:putting "x", join = full:joining(), go = e:waiting(),
      task = t, future = f,
    }
    if which == "get" then log(which, value)
    elseif which == "task" or which == "future" then log(which, name_of(aq, value:exception()))
    else log(which) end
  end
  aq.create_task(function()
    aq.sleep(1)
    q:put_nowait "item"
    aq.sleep(1)
    full:get_nowait()
    aq.sleep(1)
    e:set()
  end)
  for _ = 1, 3 do select_all() end
  e:clear()
  select_all()
  t = false
  aq.create_task(function() f:set_exception "boom" end)
  select_all()
  f = false
  full:get_nowait()
  full:put_nowait(1)
  aq.create_task(function()
    for _ = 1, 3 do full:task_done() end
  end)
  select_all()
end, "get item, put, go, task boom, future boom, join")

vector("select: exactly one branch happens, the others leave no trace", function(aq, log)
  local p, q, out = aq.Queue(), aq.Queue(), aq.Queue(1)
  out:put_nowait "full"
  local t = aq.create_task(function()
    log(chosen(aq, {p:getting(), q:getting(), out:putting "x"}))
  end)
  getter(aq, log, q, "behind")
  aq.sleep(0)
  p:put_nowait "p"
  q:put_nowait "q"
  log(out:get_nowait(), out:full(), q:empty())
  t:await()
  log(p:qsize(), q:qsize(), out:qsize())
end, "full false true, 1 p, behind q, 0 0 0")

vector("select: a put in the same turn stays for others", function(aq, log)
  local q = aq.Queue()
  local t = aq.create_task(function() log(chosen(aq, {q:getting(), q:getting()})) end)
  aq.sleep(0)
  q:put_nowait(1)
  q:put_nowait(2)
  log(q:qsize(), q:empty(), q:get_nowait())
  t:await()
  log(q:qsize())
end, "2 false 1, 1 2, 0")

vector("select: put then cancel in one turn: the item goes to the next", function(aq, log)
  local p, q = aq.Queue(), aq.Queue()
  local t = aq.create_task(function() log(try(aq, aq.select, {p:getting(), q:getting()})) end)
  getter(aq, log, q, "B")
  aq.sleep(0)
  q:put_nowait "x"
  t:cancel()
  settle(aq)
end, "Cancelled, B x")

vector("select: cancelled in a wait on a task: the task goes on", function(aq, log)
  local inner = aq.create_task(function() return aq.sleep(1, "inner") end)
  local t = aq.create_task(function() log(try(aq, aq.select, {inner})) end)
  aq.sleep(0)
  t:cancel()
  log(inner:await())
end, "Cancelled, inner")

vector("select: timeout", function(aq, log)
  local hop, q = hops(aq), aq.Queue()
  log(chosen(aq, {q:getting(), timeout = 0}))
  log(chosen(aq, {q:getting(), timeout = -1}), hop())
  log(chosen(aq, {timeout = 0}), hop())
  aq.create_task(function() log(chosen(aq, {q:getting(), timeout = 1})) end)
  aq.create_task(function()
    aq.sleep(1)
    q:put_nowait "late"
  end)
  aq.sleep(2)
  log(q:qsize())
end, "timeout, timeout 2, timeout 3, timeout, 1")

vector("select: a disabled branch; none enabled", function(aq, log)
  local q = aq.Queue()
  q:put_nowait(1)
  log(chosen(aq, {false, q:getting(), other = false}))
  log(try(aq, aq.select, {}), try(aq, aq.select, {false, a = false}))
  log(chosen(aq, {false, timeout = 1}))
end, "2 1, misuse misuse, timeout")

vector("select: a queue that is shut down wins with its error", function(aq, log)
  local q, p = aq.Queue(), aq.Queue(1)
  p:put_nowait(1)
  local t = aq.create_task(function()
    log(chosen(aq, {get = q:getting(), put = p:putting(2)}))
    log(chosen(aq, {get = false, put = p:putting(2)}))
  end)
  aq.sleep(0)
  q:shutdown()
  p:shutdown()
  t:await()
  log(chosen(aq, {q:getting()}))
  log(chosen(aq, {p:getting()}))
end, "get nil QueueShutDown, put nil QueueShutDown, 1 nil QueueShutDown, 1 1")

vector("select: one hop after what it waits for", function(aq, log)
  local hop, q, f = hops(aq), aq.Queue(), aq.Future()
  local t
  aq.create_task(function()
    log(chosen(aq, {q:getting(), f}))
    log(hop(), (aq.select {q:getting(), f}), hop())
  end)
  t = aq.create_task(function() log("last", hop()) end)
  aq.create_task(function()
    aq.select {t}
    log("ended", hop())
  end)
  aq.sleep(0)
  q:put_nowait(1)
  f:set_result()
  log("put", hop())
  settle(aq)
end, "last 1, ended 1, put 1, 1 1, 2 2 2")

---------------------------------------------------------------------------------------------------
-- Many items

local function items_text(list)
  local parts = {}
  for i = 1, list.n do parts[i] = tostring(list[i]) end
  return "[" .. table.concat(parts, " ") .. "]"
end

vector("get_many: its own ticket and what is free", function(aq, log)
  local q = aq.Queue()
  aq.create_task(function() log("A", items_text(q:get_many(2))) end)
  getter(aq, log, q, "B")
  aq.sleep(0)
  for i = 1, 4 do q:put_nowait(i) end
  aq.sleep(0)
  log(items_text(q:get_many(5)), try(aq, q.get_many, q, 5, 0), try(aq, q.get_many, q, 0))
end, "A [1 2], B 3, [4] Timeout misuse")

vector("put_many: in order; what ends it early tells how many", function(aq, log)
  local q = aq.Queue(2)
  log(q:put_many {1, 2}, try(aq, q.put_many, q, {3}, 0), q:get())
  log(q:put_many({3, 4}, 1), items_text(q:drain()), q:put_many {})
  for _, how in ipairs {"cancel", "shutdown"} do
    local t = aq.create_task(function()
      local _, err = pcall(q.put_many, q, {"a", "b", "c"})
      log(name_of(aq, err), err.stored)
    end)
    aq.sleep(0)
    if how == "cancel" then t:cancel() else q:shutdown() end
    t:await()
    q:drain()
  end
end, "2 Timeout 1, 1 [2 3] 0, Cancelled 2, QueueShutDown 2")

vector("drain and peek: only what is free", function(aq, log)
  local q = aq.PriorityQueue(3)
  log(try(aq, q.peek, q), items_text(q:drain()))
  for _, item in ipairs {3, 1, 2} do q:put_nowait(item) end
  putter(aq, log, q, "P", 0)
  aq.sleep(0)
  log(q:peek(), q:qsize(), items_text(q:drain()), q:qsize())
  settle(aq)
  log(q:get())
  getter(aq, log, q, "A")
  aq.sleep(0)
  q:put_nowait(7)
  log(try(aq, q.peek, q), items_text(q:drain()), q:qsize())
  aq.sleep(0)
end, "QueueEmpty [], 1 3 [1 2 3] 0, P put, 0, QueueEmpty [] 1, A 7")

vector("items: until the queue is shut down and empty", function(aq, log)
  local q = aq.Queue()
  q:put_nowait "a"
  aq.create_task(function()
    for item in q:items() do log(item) end
    log "no more"
  end)
  aq.sleep(0)
  q:put_nowait "b"
  q:put_nowait "c"
  q:shutdown()
  settle(aq)
  local with_nil = aq.Queue()
  with_nil:put_nowait(nil)
  log(try(aq, function()
    for _ in with_nil:items() do log "never" end
  end))
end, "a, b, c, no more, misuse")

-- The events that a scenario shows on one implementation, as text like `expect`.
local function play(aq, scenario)
  local events = {}
  aq.run(scenario.run, aq, function(...)
    local parts = table.pack(...)
    for i = 1, parts.n do parts[i] = tostring(parts[i]) end
    table.insert(events, table.concat(parts, " "))
  end)
  return table.concat(events, ", ")
end

return {list = vectors, play = play}
