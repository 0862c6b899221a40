-- run.lua SCRIPT [ARGS]: a queue on cqueues' conditions, under the name "aqlua", so that
-- the scripts of bench/aqlua run unchanged.
--
-- The idiom is that of the cqueues user guide: a controller, "cqueue:wrap" and
-- "cqueue:loop" ("cqueues"), and one condition for not empty and one for not full, waited
-- for in a loop ("cqueues.condition": new, wait with a timeout, signal).
local cqueues = require "cqueues"
local condition = require "cqueues.condition"

local controller = cqueues.new()
local aq = {sleep = cqueues.sleep, now = cqueues.monotime}

function aq.create_task(fn, a, b)
  controller:wrap(function()
    fn(a, b)
  end)
end

local Queue = {}
Queue.__index = Queue

function aq.Queue(maxsize)
  return setmetatable({
    maxsize = maxsize or math.huge,
    first = 1,
    last = 0,
    items = {},
    not_empty = condition.new(),
    not_full = condition.new(),
  }, Queue)
end

function Queue:put(item)
  while self.last - self.first + 1 >= self.maxsize do
    self.not_full:wait()
  end
  self:put_nowait(item)
end

function Queue:get(timeout)
  if timeout then
    if self.first > self.last then
      local deadline = cqueues.monotime() + timeout
      repeat
        local left = deadline - cqueues.monotime()
        if left <= 0 then
          error("TimeoutError", 0)
        end
        self.not_empty:wait(left)
      until self.first <= self.last
    end
  else
    while self.first > self.last do
      self.not_empty:wait()
    end
  end
  return self:get_nowait()
end

function Queue:put_nowait(item)
  if self.last - self.first + 1 >= self.maxsize then
    error("QueueFull", 0)
  end
  self.last = self.last + 1
  self.items[self.last] = item
  self.not_empty:signal(1)
end

function Queue:get_nowait()
  local first = self.first
  if first > self.last then
    error("QueueEmpty", 0)
  end
  local item = self.items[first]
  self.items[first], self.first = nil, first + 1
  self.not_full:signal(1)
  return item
end

package.loaded.aqlua = aq
local main = assert(loadfile(arg[1]))
aq.create_task(function()
  main(table.unpack(arg, 2))
  os.exit(0) -- with the main task ends the program, whoever still waits
end)
assert(controller:loop())
