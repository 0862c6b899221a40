-- The order of events where tickets decide it, for a runtime that has them:
--
--   diff <(./aqlua bench/limit/order.lua) <(build/bench/limit --tickets bench/limit/order.lua)
--
-- prints nothing. Each line is a program and what its tasks logged. Only Queue and create_task.
local aq = require "aqlua"

local function turn()
  local q = aq.Queue()
  aq.create_task(q.put, q, true)
  q:get()
end

local function turns(n)
  for _ = 1, n do
    turn()
  end
end

local function program(name, body)
  local events = {}
  body(function(...) events[#events + 1] = table.concat { ... } end)
  turns(20)
  print(name .. ": " .. table.concat(events, " "))
end

local function getter(q, log, name, count)
  aq.create_task(function()
    for _ = 1, count do
      local item = q:get() -- apart: it may wait
      log(name, item)
    end
  end)
end

local function putter(q, log, name, count)
  aq.create_task(function()
    for i = 1, count do
      q:put(name .. i)
      log("+", name, i)
    end
  end)
end

program("six puts in one step, three getters", function(log)
  local q = aq.Queue()
  for _, name in ipairs { "A", "B", "C" } do getter(q, log, name, 9) end
  turn()
  for i = 1, 6 do q:put_nowait(i) end
end)

program("puts that wait, three getters", function(log)
  local q = aq.Queue(1)
  for _, name in ipairs { "a", "b", "c" } do getter(q, log, name, 3) end
  putter(q, log, "", 9)
end)

program("three producers, maxsize 2, one getter", function(log)
  local q = aq.Queue(2)
  for _, name in ipairs { "a", "b", "c" } do putter(q, log, name, 3) end
  getter(q, log, "-", 9)
end)

program("one producer, one consumer, maxsize 1", function(log)
  local q = aq.Queue(1)
  putter(q, log, "", 4)
  getter(q, log, "-", 4)
end)

program("a later get waits behind a woken getter", function(log)
  local q = aq.Queue()
  getter(q, log, "first", 1)
  turn()
  getter(q, log, "later", 1)
  q:put("x")
  turns(2)
  q:put("y")
end)

program("a later put waits behind a woken putter", function(log)
  local q = aq.Queue(1)
  q:put("o")
  putter(q, log, "second", 1)
  turn()
  putter(q, log, "barger", 1)
  log("-", q:get())
  getter(q, log, "-", 2)
end)

program("many to many", function(log)
  local q = aq.Queue(3)
  for i = 1, 4 do
    putter(q, log, string.char(96 + i), 5)
    getter(q, log, string.char(64 + i), 5)
  end
end)
