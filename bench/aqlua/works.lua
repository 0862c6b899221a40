-- The works that bench/run measures, in plain Lua:  PROGRAM works.lua WORK N
--
-- The same text is run by aqlua, by the C limit and by the queues written in Lua over
-- luv and cqueues (their run.lua answers `require "aqlua"`), so that only the runtime
-- differs. Each work moves the numbers 1..N through queues and returns the seconds that
-- took and the sum of what came out; N(N+1)/2 proves that nothing was lost or doubled.
-- Tasks tell their end through a queue, because the limit knows nothing else.
local aq = require "aqlua"

local works = {}

-- Resident bytes of this process; pages of 4 KiB.
local function resident()
  local file <close> = assert(io.open("/proc/self/statm"))
  local _, pages = file:read("n", "n")
  return pages * 4096
end

function works.nowait(n)
  local q, sum = aq.Queue(), 0
  local start = aq.now()
  for i = 1, n do
    q:put_nowait(i)
    sum = sum + q:get_nowait()
  end
  return aq.now() - start, sum
end

works["await"] = function(n)
  local q, sum = aq.Queue(), 0
  local start = aq.now()
  for i = 1, n do
    q:put(i)
    sum = sum + q:get()
  end
  return aq.now() - start, sum
end

function works.pingpong(n)
  local ping, pong, sum = aq.Queue(1), aq.Queue(1), 0
  aq.create_task(function()
    for _ = 1, n do
      pong:put(ping:get())
    end
  end)
  local start = aq.now()
  for i = 1, n do
    ping:put(i)
    sum = sum + pong:get()
  end
  return aq.now() - start, sum
end

local function pipe(n, maxsize)
  local q, sum = aq.Queue(maxsize), 0
  aq.create_task(function()
    for i = 1, n do
      q:put(i)
    end
  end)
  local start = aq.now()
  for _ = 1, n do
    sum = sum + q:get()
  end
  return aq.now() - start, sum
end

function works.pipe100(n)
  return pipe(n, 100)
end

function works.pipe1(n)
  return pipe(n, 1)
end

-- 10 producers and 10 consumers on one queue; producer p puts p, p + 10, p + 20, ...
function works.mpmc(n)
  local q, finished, sum = aq.Queue(10), aq.Queue(), 0
  local start = aq.now()
  for p = 1, 10 do
    aq.create_task(function()
      for i = p, n, 10 do
        q:put(i)
      end
    end)
    aq.create_task(function()
      for _ = 1, n // 10 do
        local i = q:get() -- apart: `sum + q:get()` would read sum before it waits
        sum = sum + i
      end
      finished:put(true)
    end)
  end
  for _ = 1, 10 do
    finished:get()
  end
  return aq.now() - start, sum
end

local function put(q, i)
  q:put(i)
end

local function spawn(n, batch)
  local q, sum = aq.Queue(), 0
  local start = aq.now()
  for first = 1, n, batch do
    for i = first, first + batch - 1 do
      aq.create_task(put, q, i)
    end
    for _ = 1, batch do
      sum = sum + q:get()
    end
  end
  return aq.now() - start, sum
end

function works.spawn100(n)
  return spawn(n, 100)
end

function works.spawn(n)
  return spawn(n, 100000)
end

-- A get that could time out, with the item there: nothing has to be armed.
function works.ready(n)
  local q, sum = aq.Queue(), 0
  local start = aq.now()
  for i = 1, n do
    q:put(i)
    sum = sum + q:get(1)
  end
  return aq.now() - start, sum
end

-- pingpong where one of the two waits has a timeout, armed and cancelled each time.
function works.timeout(n)
  local ping, pong, sum = aq.Queue(1), aq.Queue(1), 0
  aq.create_task(function()
    for _ = 1, n do
      pong:put(ping:get())
    end
  end)
  local start = aq.now()
  for i = 1, n do
    ping:put(i)
    sum = sum + pong:get(1)
  end
  return aq.now() - start, sum
end

-- pingpong where one of the two waits for either of two queues; aqlua alone has that, so it is
-- for bench/guard.
function works.select(n)
  local ping, pong, other, sum = aq.Queue(1), aq.Queue(1), aq.Queue(1), 0
  aq.create_task(function()
    for _ = 1, n do
      pong:put(ping:get())
    end
  end)
  local start = aq.now()
  for i = 1, n do
    ping:put(i)
    local _, item = aq.select {other:getting(), pong:getting()}
    sum = sum + item
  end
  return aq.now() - start, sum
end

-- A token goes round a ring of tasks and counts its hops down; one lap before the clock
-- starts takes every task to its get.
local function ring(n, size)
  local queues, finished, sum = {}, aq.Queue(), 0
  for i = 1, size do
    queues[i] = aq.Queue(1)
  end
  for i = 1, size do
    local from, to = queues[i], queues[i % size + 1]
    aq.create_task(function()
      while true do
        local hops = from:get()
        sum = sum + hops
        if hops == 1 then
          finished:put(true)
        else
          to:put(hops - 1)
        end
      end
    end)
  end
  queues[1]:put(size)
  finished:get()
  sum = 0
  local start = aq.now()
  queues[1]:put(n)
  finished:get()
  return aq.now() - start, sum
end

function works.ring100(n)
  return ring(n, 100)
end

function works.ring10000(n)
  return ring(n, 10000)
end

function works.ring100000(n)
  return ring(n, 100000)
end

-- N tasks blocked in get on one queue: resident bytes each. Then all are fed.
function works.memory(n)
  local q, done, count, sum = aq.Queue(), aq.Queue(), 0, 0
  local function blocked()
    count = count + 1
    if count == n then
      done:put(true)
    end
    local i = q:get()
    sum, count = sum + i, count - 1
    if count == 0 then
      done:put(true)
    end
  end
  collectgarbage()
  local before, start = resident(), aq.now()
  for _ = 1, n do
    aq.create_task(blocked)
  end
  done:get()
  collectgarbage()
  local bytes = (resident() - before) / n
  for i = 1, n do
    q:put(i)
  end
  done:get()
  return aq.now() - start, sum, ('"bytes_per_op":%.1f'):format(bytes)
end

-- N tasks asleep for one second at the same time: processor time each, and the wall from
-- when the last one went to sleep to when all were awake.
function works.sleepers(n)
  local done, asleep, awake, sum, last = aq.Queue(), 0, 0, 0, nil
  local function sleeper(i)
    asleep = asleep + 1
    if asleep == n then
      last = aq.now()
    end
    aq.sleep(1)
    sum, awake = sum + i, awake + 1
    if awake == n then
      done:put(true)
    end
  end
  local start, cpu = aq.now(), os.clock()
  for i = 1, n do
    aq.create_task(sleeper, i)
  end
  done:get()
  local stop, us = aq.now(), (os.clock() - cpu) / n * 1e6
  return stop - start, sum, ('"cpu_us_per_op":%.3f,"wall_s":%.4f'):format(us, stop - last)
end

local work, n = ...
n = assert(math.tointeger(n), "usage: PROGRAM works.lua WORK N")
local seconds, sum, extra = assert(works[work], "no such work")(n)
assert(sum == n * (n + 1) // 2, "checksum")
print(('{"work":"%s","ops":%d,"ns_per_op":%.3f,"checksum":%d%s}'):format(
  work, n, seconds / n * 1e9, sum, extra and "," .. extra or ""))
