-- run.lua SCRIPT [ARGS]: tasks and a queue in plain Lua on luv, under the name "aqlua",
-- so that the scripts of bench/aqlua run unchanged.
--
-- This is what one writes by hand: coroutines, a list of those that are ready, and an
-- idle handle that runs the list and is active only while there is something on it (luv
-- documentation, "uv_idle_t - Idle handle"). Timeouts are one uv timer each ("uv_timer_t
-- - Timer handle"). No cancelling, and an error ends the program.
local uv = require "luv"

local aq = {}
local TIMEOUT = {}

-- What is ready: a coroutine and the value its yield returns, in two parallel arrays.
local ready, values, head, tail = {}, {}, 1, 0
local idle = uv.new_idle()

local function step(co, ...)
  local ok, err = coroutine.resume(co, ...)
  if not ok then
    io.stderr:write(debug.traceback(co, err), "\n")
    os.exit(1)
  end
end

local function turn()
  for at = head, tail do
    local co, value = ready[at], values[at]
    ready[at], values[at], head = nil, nil, at + 1
    step(co, value)
  end
  if head > tail then
    idle:stop()
  end
end

local function wake(co, value)
  if head > tail then
    idle:start(turn)
  end
  tail = tail + 1
  ready[tail], values[tail] = co, value
end

function aq.create_task(fn, a, b)
  wake(coroutine.create(function()
    fn(a, b)
  end))
end

-- Calls fn once after so many seconds.
local function after(seconds, fn)
  local timer = uv.new_timer()
  timer:start(math.ceil(seconds * 1000), 0, fn)
  return timer
end

function aq.sleep(seconds)
  local co = coroutine.running()
  local timer = after(seconds, function()
    wake(co)
  end)
  coroutine.yield()
  timer:close()
end

function aq.now()
  return uv.hrtime() * 1e-9
end

-- A first-in-first-out list: { first = , last = , [first..last] = values }; false is a hole.
local function append(list, value)
  list.last = list.last + 1
  list[list.last] = value
  return list.last
end

local function take(list)
  while list.first <= list.last do
    local at = list.first
    local value = list[at]
    list[at], list.first = nil, at + 1
    if value then
      return value, at
    end
  end
end

local function fifo()
  return {first = 1, last = 0}
end

local Queue = {}
Queue.__index = Queue

function aq.Queue(maxsize)
  return setmetatable({
    maxsize = maxsize or math.huge,
    items = fifo(),
    getters = fifo(),
    putters = fifo(),
    putting = {}, -- the item of each putter, at the same index
  }, Queue)
end

-- True if a waiting getter took the item or there was room for it.
function Queue:try_put(item)
  local getter = take(self.getters)
  if getter then
    wake(getter, item)
    return true
  end
  local items = self.items
  if items.last - items.first + 1 < self.maxsize then
    append(items, item)
    return true
  end
  return false
end

function Queue:put_nowait(item)
  if not self:try_put(item) then
    error("QueueFull", 0)
  end
end

function Queue:put(item)
  if not self:try_put(item) then
    local at = append(self.putters, coroutine.running())
    self.putting[at] = item
    coroutine.yield()
  end
end

function Queue:get_nowait()
  local items = self.items
  if items.first > items.last then
    error("QueueEmpty", 0)
  end
  local item = take(items)
  local putter, at = take(self.putters)
  if putter then
    append(items, self.putting[at])
    self.putting[at] = nil
    wake(putter)
  end
  return item
end

function Queue:get(timeout)
  local items = self.items
  if items.first <= items.last then
    return self:get_nowait()
  end
  local co, getters = coroutine.running(), self.getters
  local at = append(getters, co)
  if not timeout then
    return coroutine.yield()
  end
  local timer = after(timeout, function()
    if getters[at] == co then
      getters[at] = false
      wake(co, TIMEOUT)
    end
  end)
  local item = coroutine.yield()
  timer:close()
  if item == TIMEOUT then
    error("TimeoutError", 0)
  end
  return item
end

package.loaded.aqlua = aq
local main = assert(loadfile(arg[1]))
aq.create_task(function()
  main(table.unpack(arg, 2))
  os.exit(0) -- with the main task ends the program, whoever still waits
end)
uv.run()
