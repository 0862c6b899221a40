-- Does a busy pair of tasks leave the others their time? A producer and a consumer run
-- flat out while a third task sleeps 1 ms again and again: how late does it wake?
--
--   ./aqlua bench/latency.lua [SECONDS [MAXSIZE]]      2 s, a queue of 100
--   python3 bench/asyncio/latency.py [SECONDS [MAXSIZE]]
--
-- Prints one line of JSON: lateness in µs (median, 99th of 100, worst), items per second.
local aq = require "aqlua"

local seconds = tonumber(arg[1]) or 2
local q = aq.Queue(math.tointeger(arg[2]) or 100)
local items = 0

aq.create_task(function()
  local i = 0
  while true do
    i = i + 1
    q:put(i)
  end
end)
aq.create_task(function()
  while true do
    q:get()
    items = items + 1
  end
end)

local late = {}
local start = aq.now()
repeat
  local due = aq.now() + 0.001
  aq.sleep(0.001)
  late[#late + 1] = (aq.now() - due) * 1e6
until aq.now() - start >= seconds
local rate = items / (aq.now() - start)
table.sort(late)
assert(late[1] >= 0, "a sleep ended early")
print(('{"ticks":%d,"p50_us":%.1f,"p99_us":%.1f,"max_us":%.1f,"items_per_s":%.0f}'):format(
  #late, late[(#late + 1) // 2], late[math.ceil(#late * 0.99)], late[#late], rate))
