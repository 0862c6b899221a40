-- Does a busy pair of tasks leave the others their time? A producer and a consumer run
-- flat out. Meanwhile a third task sleeps 1 ms again and again: how late does it wake? And
-- another process writes into a pipe when it is: how late is the callback that reads it?
--
--   ./aqlua bench/latency.lua [SECONDS [MAXSIZE]]      2 s, a queue of 100
--   python3 bench/asyncio/latency.py [SECONDS [MAXSIZE]]
--
-- Prints one line of JSON: lateness in µs (median, 99th of 100, worst), items per second.
-- The callback is luv's; without luv there is the timer alone.
package.path = (arg[0]:match("^(.*)/") or ".") .. "/?.lua;" .. package.path

local aq = require "aqlua"
local lib = require "lib"
local has_luv, uv = pcall(require, "luv")

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

-- Starts bench/stamps.lua, and notes in `late` how old each stamp is when it is read.
local function read_stamps(late)
  local pipe = uv.new_pipe()
  local writer = assert(uv.spawn(lib.aqlua, {args = {"bench/stamps.lua"}, stdio = {nil, pipe, 2}}))
  pipe:read_start(function(err, stamps)
    assert(not err and stamps, err or "the writer has ended")
    local now = aq.now()
    for at = 1, #stamps, 8 do
      late[#late + 1] = (now - string.unpack("<d", stamps, at)) * 1e6
    end
  end)
  return function()
    pipe:read_stop()
    writer:kill("sigkill")
  end
end

local function sleep_often(late)
  local start = aq.now()
  repeat
    local due = aq.now() + 0.001
    aq.sleep(0.001)
    late[#late + 1] = (aq.now() - due) * 1e6
  until aq.now() - start >= seconds
  return items / (aq.now() - start)
end

local function summary(late)
  table.sort(late)
  assert(late[1] >= 0, "a sleep ended early, or a stamp was read before it was written")
  return ('{"count":%d,"p50_us":%.1f,"p99_us":%.1f,"max_us":%.1f}'):format(
    #late, late[(#late + 1) // 2], late[math.ceil(#late * 0.99)], late[#late])
end

local timer, io_callback = {}, {}
local stop = has_luv and read_stamps(io_callback)
local rate = sleep_often(timer)
if stop then
  stop()
end
print(('{"timer":%s,"io":%s,"items_per_s":%.0f}'):format(
  summary(timer), stop and summary(io_callback) or "null", rate))
