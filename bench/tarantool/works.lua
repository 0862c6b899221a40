-- The works on Tarantool's fibers:  tarantool works.lua WORK N
--
-- The idiom is that of the Tarantool reference, "Module fiber": fiber.create, fiber.sleep,
-- fiber.channel(capacity) with put(message[, timeout]) and get([timeout]), and of "Module
-- clock". A channel has a capacity: where the others use an unbounded queue, it has room
-- for all that is put. fiber.create runs the new fiber at once, up to its first wait.
local fiber = require "fiber"
local clock = require "clock"

local now = clock.monotonic
local works = {}

local function resident()
  local file = assert(io.open("/proc/self/statm"))
  local _, pages = file:read("*n", "*n")
  file:close()
  return pages * 4096
end

local function echo(n, ping, pong)
  for _ = 1, n do
    pong:put(ping:get())
  end
end

function works.nowait(n)
  local q, sum = fiber.channel(16), 0
  local start = now()
  for i = 1, n do
    q:put(i, 0)
    sum = sum + q:get(0)
  end
  return now() - start, sum
end

works["await"] = function(n)
  local q, sum = fiber.channel(16), 0
  local start = now()
  for i = 1, n do
    q:put(i)
    sum = sum + q:get()
  end
  return now() - start, sum
end

function works.pingpong(n)
  local ping, pong, sum = fiber.channel(1), fiber.channel(1), 0
  fiber.create(echo, n, ping, pong)
  local start = now()
  for i = 1, n do
    ping:put(i)
    sum = sum + pong:get()
  end
  return now() - start, sum
end

local function pipe(n, maxsize)
  local q, sum = fiber.channel(maxsize), 0
  local start = now()
  fiber.create(function()
    for i = 1, n do
      q:put(i)
    end
  end)
  for _ = 1, n do
    sum = sum + q:get()
  end
  return now() - start, sum
end

function works.pipe100(n)
  return pipe(n, 100)
end

function works.pipe1(n)
  return pipe(n, 1)
end

function works.mpmc(n)
  local q, finished, sum = fiber.channel(10), fiber.channel(10), 0
  local start = now()
  for p = 1, 10 do
    fiber.create(function()
      for i = p, n, 10 do
        q:put(i)
      end
    end)
    fiber.create(function()
      for _ = 1, n / 10 do
        local i = q:get()
        sum = sum + i
      end
      finished:put(true)
    end)
  end
  for _ = 1, 10 do
    finished:get()
  end
  return now() - start, sum
end

local function put(q, i)
  q:put(i)
end

local function spawn(n, batch)
  local q, sum = fiber.channel(batch), 0
  local start = now()
  for first = 1, n, batch do
    for i = first, first + batch - 1 do
      fiber.create(put, q, i)
    end
    for _ = 1, batch do
      sum = sum + q:get()
    end
  end
  return now() - start, sum
end

function works.spawn100(n)
  return spawn(n, 100)
end

function works.spawn(n)
  return spawn(n, 100000)
end

function works.ready(n)
  local q, sum = fiber.channel(16), 0
  local start = now()
  for i = 1, n do
    q:put(i)
    sum = sum + q:get(1)
  end
  return now() - start, sum
end

function works.timeout(n)
  local ping, pong, sum = fiber.channel(1), fiber.channel(1), 0
  fiber.create(echo, n, ping, pong)
  local start = now()
  for i = 1, n do
    ping:put(i)
    sum = sum + pong:get(1)
  end
  return now() - start, sum
end

local function ring(n, size)
  local queues, finished, sum = {}, fiber.channel(1), 0
  for i = 1, size do
    queues[i] = fiber.channel(1)
  end
  for i = 1, size do
    local from, to = queues[i], queues[i % size + 1]
    fiber.create(function()
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
  queues[1]:put(size) -- one lap before the clock starts
  finished:get()
  sum = 0
  local start = now()
  queues[1]:put(n)
  finished:get()
  return now() - start, sum
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

function works.memory(n)
  local q, sums, sum = fiber.channel(16), fiber.channel(16), 0
  local function blocked()
    sums:put(q:get())
  end
  collectgarbage()
  local before, start = resident(), now()
  for _ = 1, n do
    fiber.create(blocked)
  end
  collectgarbage()
  local bytes = (resident() - before) / n
  for i = 1, n do
    q:put(i)
    sum = sum + sums:get()
  end
  return now() - start, sum, (',"bytes_per_op":%.1f'):format(bytes)
end

function works.sleepers(n)
  local done, asleep, awake, sum, last = fiber.channel(1), 0, 0, 0, nil
  local function sleeper(i)
    asleep = asleep + 1
    if asleep == n then
      last = now()
    end
    fiber.sleep(1)
    sum, awake = sum + i, awake + 1
    if awake == n then
      done:put(true)
    end
  end
  local start, cpu = now(), clock.proc()
  for i = 1, n do
    fiber.create(sleeper, i)
  end
  done:get()
  local stop, us = now(), (clock.proc() - cpu) / n * 1e6
  return stop - start, sum, (',"cpu_us_per_op":%.3f,"wall_s":%.4f'):format(us, stop - last)
end

local work, n = ...
n = tonumber(n)
local seconds, sum, extra = works[work](n)
assert(sum == n * (n + 1) / 2, "checksum")
print(('{"work":"%s","ops":%d,"ns_per_op":%.3f,"checksum":%.0f%s}'):format(
  work, n, seconds / n * 1e9, sum, extra or ""))
os.exit(0)
