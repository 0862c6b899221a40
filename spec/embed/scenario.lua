-- Something of everything, for starve.c: with enough memory all of it works, with less anything may
-- fail, but no more than that.
local aq = require "aqlua"
local testing = require "aqlua.testing"

local clock <close> = testing.clock()
local q, p = aq.Queue(2), aq.PriorityQueue()
local lock, event, cond, barrier = aq.Lock(), aq.Event(), aq.Condition(), aq.Barrier(2)
begin()

local producers, got = {}, 0
for i = 1, 3 do
  producers[i] = aq.create_task(function()
    for j = 1, 3 do q:put { i, j } end
  end)
end
local consumer = aq.create_task(function()
  for item in q:items() do
    got = got + item[2]
    aq.sleep(0.001)
  end
end)
aq.gather(producers)
q:shutdown()
consumer:await()
assert(got == 18)

for i = 3, 1, -1 do p:put { i, "x" } end
assert(p:get()[1] == 1)
assert(p:shutdown(true).n == 2)

local a, b = aq.Queue(), aq.Queue(1)
aq.create_task(function() a:put "from a" end)
local which, value = aq.select { a = a:getting(), e = event:waiting(), timeout = 1 }
assert(which == "a" and value == "from a")
b:put(1)
assert(aq.select { a = a:getting(), b = b:putting {}, timeout = 0.01 } == "timeout")
assert(a:put_many { 1, 2, 3 } == 3 and #a:get_many(5) == 3)

do
  local group <close> = aq.TaskGroup()
  for _ = 1, 2 do
    group:create_task(function()
      local held <close> = lock:guard()
      aq.sleep(0.01)
    end)
  end
end
assert(not pcall(function()
  local limit <close> = aq.timeout(0.01)
  event:wait()
end))
assert(not pcall(aq.wait_for, event.wait, 0.01, event))
assert(not pcall(a.get, a, 0.01))

local waiter = aq.create_task(function()
  local held <close> = cond:guard()
  cond:wait()
end)
aq.sleep(0)
cond:acquire()
cond:notify_all()
cond:release()
waiter:await()
local other = aq.create_task(barrier.wait, barrier)
assert(barrier:wait() + other:await() == 1)

local failing = aq.create_task(function() error "broken" end)
failing:set_name "failing"
assert(not pcall(failing.await, failing))
local sleeper = aq.create_task(aq.sleep, 100)
sleeper:add_done_callback(function() end)
aq.sleep(0)
sleeper:cancel "enough"
aq.wait { sleeper }
for task in aq.as_completed { aq.create_task(aq.sleep, 0.01), aq.create_task(aq.sleep, 0) } do
  task:await()
end
local doubled = aq.map(2, function(x)
  aq.sleep(0.001)
  return 2 * x
end, { 1, 2, 3 })
assert(doubled[3] == 6)
local future = aq.Future()
aq.create_task(function() future:set_result(1, 2, 3) end)
assert(select("#", future:await()) == 3)
aq.shield(function() aq.sleep(0) end)
local generator = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end)
assert(generator() + generator() == 3)
assert(aq.await(function(done) aq.create_task(done, 1, 2) end, 1) == 1)
assert(not pcall(aq.await, function() return { close = type } end, 0))
