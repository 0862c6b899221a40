-- A pipeline with a limit on its rate: read, ask a service, write. The stages run side by side,
-- joined by bounded queues, and each ends when the one before it has ended.
--
-- The limit is a token bucket, which is a bounded queue too. Each request takes a token; a task
-- adds one every 1 / RATE seconds unless the bucket is full. So up to BURST requests are made at
-- once after a pause, and else one per token.

local aq = require "aqlua"

local ITEMS, WORKERS = 12, 4
local RATE, BURST = 50, 3

local bucket = aq.Queue(BURST)

local function fill_bucket()
  while true do
    aq.sleep(1 / RATE)
    if not bucket:full() then
      bucket:put("token")
    end
  end
end

-- The service that must not be asked too often.
local function ask(item)
  bucket:get()
  aq.sleep(0.03)
  return item * item
end

local function read(output)
  for i = 1, ITEMS do
    output:put(i)
  end
  output:shutdown()
end

-- Some workers between two queues. The group waits for all of them.
local function work(input, output)
  do
    local group <close> = aq.TaskGroup()
    for _ = 1, WORKERS do
      group:create_task(function()
        for item in input:items() do
          output:put(ask(item))
        end
      end)
    end
  end
  output:shutdown()
end

local function write(input)
  local results = {}
  for result in input:items() do
    table.insert(results, result)
  end
  return results
end

for _ = 1, BURST do
  bucket:put("token")
end
aq.create_task(fill_bucket) -- cancelled at the end of the script

local items, answers = aq.Queue(2), aq.Queue(2)
local start = aq.now()
local results = aq.gather(
  aq.create_task(read, items),
  aq.create_task(work, items, answers),
  aq.create_task(write, answers)
)[3]
table.sort(results) -- one worker may have overtaken another
print(table.concat(results, " "))
print("within the limit: " .. tostring(aq.now() - start >= (ITEMS - BURST) / RATE))

-- Output:
--   1 4 9 16 25 36 49 64 81 100 121 144
--   within the limit: true
