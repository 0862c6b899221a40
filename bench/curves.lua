-- How the time of one operation grows with how much there is: flat, or the logarithm of
-- a heap, is what it should be.
--
--   ./aqlua bench/curves.lua                  every curve, each point in its own process
--   ./aqlua bench/curves.lua CURVE SIZE       one point, as a line of JSON
--   QUICK=1 CURVES="timers getters" ./aqlua bench/curves.lua
--
-- Writes build/bench/curves.tsv, for bench/pictures.lua.
package.path = (arg[0]:match("^(.*)/") or ".") .. "/?.lua;" .. package.path

local aq = require "aqlua"
local lib = require "lib"

local curves = {}

-- Each curve takes a size and returns seconds and operations. Everything that only sets
-- the stage lies outside the clock.

-- A token goes round a ring of `size` tasks: a hop.
function curves.ring(size)
  local hops = math.max(200000, 2 * size)
  local queues, finished = {}, aq.Queue()
  for i = 1, size do
    queues[i] = aq.Queue(1)
  end
  for i = 1, size do
    local from, to = queues[i], queues[i % size + 1]
    aq.create_task(function()
      while true do
        local left = from:get()
        if left == 1 then
          finished:put(true)
        else
          to:put(left - 1)
        end
      end
    end)
  end
  queues[1]:put(size)
  finished:get()
  local start = aq.now()
  queues[1]:put(hops)
  finished:get()
  return aq.now() - start, hops
end

-- `size` tasks at a time put once each: a task, from creation to its end.
function curves.spawn(size)
  local q, rounds = aq.Queue(), math.max(2, 200000 // size)
  local function put(i)
    q:put(i)
  end
  local start = aq.now()
  for _ = 1, rounds do
    for i = 1, size do
      aq.create_task(put, i)
    end
    for _ = 1, size do
      q:get()
    end
  end
  return aq.now() - start, rounds * size
end

local function put_get(q, size, item)
  local pairs_done = 300000
  for i = 1, size do
    q:put_nowait(item(i))
  end
  local start = aq.now()
  for i = 1, pairs_done do
    q:put_nowait(item(i))
    q:get_nowait()
  end
  return aq.now() - start, pairs_done
end

-- put and get on a queue that holds `size` items, for each order of leaving.
function curves.length(size)
  return put_get(aq.Queue(), size, function(i)
    return i
  end)
end

function curves.lifo(size)
  return put_get(aq.LifoQueue(), size, function(i)
    return i
  end)
end

function curves.priority(size)
  return put_get(aq.PriorityQueue(), size, function(i)
    return i * 7919 % 1000003 -- scattered, the same every time
  end)
end

-- pingpong with one timeout armed and cancelled, while `size` other timers are armed.
function curves.timers(size)
  for i = 1, size do
    aq.create_task(aq.sleep, 1000 + i % 1000)
  end
  aq.sleep(0)
  local ping, pong, trips = aq.Queue(1), aq.Queue(1), 100000
  aq.create_task(function()
    for _ = 1, trips do
      pong:put(ping:get())
    end
  end)
  local start = aq.now()
  for i = 1, trips do
    ping:put(i)
    pong:get(1)
  end
  return aq.now() - start, trips
end

local function waiting_getters(q, count)
  local tasks = {}
  for i = 1, count do
    tasks[i] = aq.create_task(function()
      while true do
        q:get()
      end
    end)
  end
  aq.sleep(0)
  return tasks
end

-- put with `size` getters waiting: the item's way to the first of them, who then waits
-- again as the last.
function curves.getters(size)
  local q, items = aq.Queue(), 200000
  waiting_getters(q, size)
  local start = aq.now()
  for i = 1, items do
    q:put(i)
    if i % size == 0 or i % 100 == 0 then
      aq.sleep(0) -- let the woken take theirs
    end
  end
  return aq.now() - start, items
end

-- Cancelling half of `size` getters, from the middle of those who wait outwards, up to
-- the end of each task.
function curves.cancel(size)
  local q = aq.Queue()
  local tasks = waiting_getters(q, size)
  local first, last = size // 4 + 1, size // 4 + size // 2
  local start = aq.now()
  for i = (first + last) // 2, last do
    tasks[i]:cancel()
    tasks[first + last - i]:cancel()
  end
  aq.sleep(0)
  while not (tasks[first]:done() and tasks[last]:done()) do
    aq.sleep(0)
  end
  return aq.now() - start, last - first + 1
end

-- put with `size` tasks waiting in a select of two queues each: it elects the first of
-- them, who then waits again as the last.
function curves.selects(size)
  local left, right, items = aq.Queue(), aq.Queue(), 100000
  for _ = 1, size do
    aq.create_task(function()
      while true do
        aq.select {left:getting(), right:getting()}
      end
    end)
  end
  aq.sleep(0)
  local start = aq.now()
  for i = 1, items do
    left:put(i)
    if i % size == 0 or i % 100 == 0 then
      aq.sleep(0) -- let the elected select again
    end
  end
  return aq.now() - start, items
end

-- A select that waits for `size` queues and is elected by the one in the middle, made anew
-- each time: a branch.
function curves.branches(size)
  local queues, selects = {}, math.max(100, 100000 // size)
  for i = 1, size do
    queues[i] = aq.Queue()
  end
  local turns = aq.Queue()
  aq.create_task(function()
    while true do
      turns:get()
      queues[(size + 1) // 2]:put(true)
    end
  end)
  local start = aq.now()
  for _ = 1, selects do
    local branches = {}
    for i = 1, size do
      branches[i] = queues[i]:getting()
    end
    turns:put(true)
    aq.select(branches)
  end
  return aq.now() - start, selects * size
end

-- Name, smallest and largest size, what the curve shows, and what there are so many of.
local shown = {
  {"ring", 10, 100000, "a hop in a ring", "tasks"},
  {"spawn", 10, 100000, "a task, from creation to end", "tasks"},
  {"length", 10, 1000000, "Queue: put + get", "items in the queue"},
  {"lifo", 10, 1000000, "LifoQueue: put + get", "items in the queue"},
  {"priority", 10, 1000000, "PriorityQueue: put + get", "items in the queue"},
  {"timers", 10, 1000000, "a timeout armed and cancelled", "timers armed"},
  {"getters", 10, 100000, "put to one of them", "getters waiting"},
  {"cancel", 10, 100000, "cancel from the middle", "getters waiting"},
  {"selects", 10, 100000, "put that elects one of them", "selects waiting"},
  {"branches", 1, 1000, "a branch of a select that waits", "branches"},
}

if arg[1] then
  local size = assert(math.tointeger(arg[2]), "usage: curves.lua CURVE SIZE")
  local seconds, ops = assert(curves[arg[1]], "no such curve")(size)
  print(('{"curve":"%s","size":%d,"ops":%d,"ns_per_op":%.2f}'):format(
    arg[1], size, ops, seconds / ops * 1e9))
  os.exit(0)
end

lib.sh("mkdir -p " .. lib.out)
local pin, chosen = lib.pinned(), lib.selection("CURVES")
local rounds = lib.quick and 1 or 3
local lines = {}
for _, curve in ipairs(shown) do
  local name, smallest, largest, operation, by = table.unpack(curve)
  if not chosen or chosen[name] then
    io.write(("%-9s %-55s"):format(name, operation .. ", by " .. by))
    io.write(smallest == 1 and "" or (" "):rep(9))
    local size = smallest
    while size <= (lib.quick and largest // 10 or largest) do
      local times = {}
      for i = 1, rounds do
        local line, ok = lib.first_line(("%s%s %s %s %d"):format(
          pin, lib.aqlua, arg[0], name, size))
        assert(ok and line, name .. " failed")
        times[i] = lib.decode(line).ns_per_op
      end
      local ns = lib.median(times)
      table.insert(lines, {operation = operation, by = by, size = size, ns = lib.plain(ns)})
      io.write((" %8s"):format(lib.figure(ns)))
      io.flush()
      size = size * 10
    end
    io.write("\n")
  end
end
print("ns per operation at 1, 10, 100, 1,000, ...; the median of " .. rounds)
lib.write_tsv("build/bench/curves.tsv", {"operation", "by", "size", "ns"}, lines)
