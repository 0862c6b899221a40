-- What things weigh: resident bytes, and bytes that Lua's collector counts, for each of
-- SIZE equal things.
--
--   ./aqlua bench/memory.lua [SIZE]           everything (SIZE 100,000; a million with patience)
--   ./aqlua bench/memory.lua THING SIZE       one figure, as a line of JSON
--
-- Each in its own process, because freed memory is seldom given back. Writes
-- build/bench/memory.json.
package.path = (arg[0]:match("^(.*)/") or ".") .. "/?.lua;" .. package.path

local aq = require "aqlua"
local lib = require "lib"

local function resident()
  local file <close> = assert(io.open("/proc/self/statm"))
  local _, pages = file:read("n", "n")
  return pages * 4096
end

local function collected()
  collectgarbage()
  collectgarbage()
  return collectgarbage("count") * 1024
end

-- Each makes `n` things and returns what keeps them.
local things = {}

things["task blocked in get"] = function(n)
  local q = aq.Queue()
  for _ = 1, n do
    aq.create_task(q.get, q)
  end
  aq.sleep(0)
end

things["the same, and a Task kept"] = function(n)
  local q, tasks = aq.Queue(), table.pack()
  for i = 1, n do
    tasks[i] = aq.create_task(q.get, q)
  end
  aq.sleep(0)
  return tasks
end

things["task blocked in get with a timeout"] = function(n)
  local q = aq.Queue()
  for _ = 1, n do
    aq.create_task(q.get, q, 1000)
  end
  aq.sleep(0)
end

things["task asleep"] = function(n)
  for _ = 1, n do
    aq.create_task(aq.sleep, 1000)
  end
  aq.sleep(0)
end

things["queue"] = function(n)
  local queues = {}
  for i = 1, n do
    queues[i] = aq.Queue(10)
  end
  return queues
end

things["queue that held an item"] = function(n)
  local queues = {}
  for i = 1, n do
    queues[i] = aq.Queue(10)
    queues[i]:put_nowait(i)
    queues[i]:get_nowait()
  end
  return queues
end

local function filled(new, item)
  return function(n)
    local q = new()
    for i = 1, n do
      q:put_nowait(item(i))
    end
    return q
  end
end

local function number(i)
  return i
end

things["item: an integer"] = filled(aq.Queue, number)
things["item: an integer, priority"] = filled(aq.PriorityQueue, number)
things["item: a string of 10"] = filled(aq.Queue, function(i)
  return ("%010d"):format(i)
end)
things["item: an empty table"] = filled(aq.Queue, function()
  return {}
end)

local order = {
  "task blocked in get",
  "the same, and a Task kept",
  "task blocked in get with a timeout",
  "task asleep",
  "queue",
  "queue that held an item",
  "item: an integer",
  "item: an integer, priority",
  "item: a string of 10",
  "item: an empty table",
}

local function weigh(make, n)
  make(10) -- what is made once
  local lua, before = collected(), resident()
  local kept = make(n)
  local lua_bytes = (collected() - lua) / n
  return {resident = (resident() - before) / n, lua = lua_bytes, kept = kept ~= nil}
end

-- SIZE tasks blocked, then cancelled, twice over: the second time must need no more.
local function crowd(n)
  local before = resident()
  local report = {size = n}
  for round = 1, 2 do
    local q, tasks = aq.Queue(), {}
    local start = aq.now()
    for i = 1, n do
      tasks[i] = aq.create_task(q.get, q)
    end
    aq.sleep(0)
    local blocked = aq.now()
    for i = 1, n do
      tasks[i]:cancel()
    end
    while not tasks[n]:done() do
      aq.sleep(0)
    end
    local ended = aq.now()
    for i = 1, n do
      assert(tasks[i]:cancelled(), "a task survived")
    end
    report["create_ns_" .. round] = (blocked - start) / n * 1e9
    report["cancel_ns_" .. round] = (ended - blocked) / n * 1e9
    report["peak_bytes_" .. round] = (resident() - before) / n
  end
  collected()
  collectgarbage() -- coroutines that rest are let go of in the second cycle, and freed in the third
  report.left_bytes = (resident() - before) / n
  report.left_lua_bytes = collectgarbage("count") * 1024 / n
  report.tasks_left = #aq.all_tasks()
  return report
end

if arg[2] then
  local size = assert(math.tointeger(arg[2]), "usage: memory.lua THING SIZE")
  local report = arg[1] == "crowd" and crowd(size) or weigh(assert(things[arg[1]]), size)
  print((lib.encode(report):gsub("\n%s*", " ")))
  os.exit(0)
end

local size = math.tointeger(arg[1]) or (lib.quick and 10000 or 100000)
local function run(name)
  local line, ok = lib.first_line(("%s %s '%s' %d"):format(lib.aqlua, arg[0], name, size))
  assert(ok and line, name .. " failed")
  return lib.decode(line)
end

lib.sh("mkdir -p " .. lib.out)
local results = {size = size, things = {}}
print(("bytes each, of %s%20s%10s"):format(lib.figure(size), "resident", "Lua"))
for _, name in ipairs(order) do
  local report = run(name)
  results.things[name] = {resident = report.resident, lua = report.lua}
  print(("%-36s%8.0f%10.0f"):format(name, report.resident, report.lua))
end
results.crowd = run("crowd")
local crowded = results.crowd
print(("%s tasks blocked, then cancelled, twice:"):format(lib.figure(size)))
for round = 1, 2 do
  local create, cancel = crowded["create_ns_" .. round], crowded["cancel_ns_" .. round]
  print(("  %.0f ns to create and block, %.0f ns to cancel, %.0f resident bytes each"):format(
    create, cancel, crowded["peak_bytes_" .. round]))
end
print(("  left after collecting: %.0f resident, %.0f Lua bytes each; %d task"):format(
  crowded.left_bytes, crowded.left_lua_bytes, crowded.tasks_left))
lib.write_json("build/bench/memory.json", results)
