-- Advanced application: a producer creates jobs, three consumers process them side by side.
-- task_done and join tell when all work is done; the consumers, which loop for ever, are cancelled.

local aq = require "aqlua"

local function uniform(low, high)
  return low + (high - low) * math.random()
end

local function producer(queue, n)
  for i = 0, n - 1 do
    local item = "Job-" .. i
    queue:put(item)
    print("[Producer] Added " .. item)
    aq.sleep(uniform(0.1, 0.3))
  end
end

local function consumer(queue, worker_id)
  while true do
    local item = queue:get()
    print(" [Worker-" .. worker_id .. "] Processing " .. item .. "...")
    aq.sleep(uniform(0.2, 0.5))
    print(" [Worker-" .. worker_id .. "] Finished " .. item)
    queue:task_done()
  end
end

local function main()
  local queue = aq.Queue()

  local workers = {}
  for i = 0, 2 do
    table.insert(workers, aq.create_task(consumer, queue, i))
  end

  producer(queue, 10)
  print("--- All jobs added, waiting for workers ---")

  queue:join() -- until task_done was called for each item
  print("--- All jobs finished ---")

  for _, worker in ipairs(workers) do
    worker:cancel()
  end
end

aq.run(main)

-- Output (the order of the workers' lines varies):
--   [Producer] Added Job-0
--    [Worker-0] Processing Job-0...
--    [Worker-0] Finished Job-0
--   [Producer] Added Job-1
--    [Worker-1] Processing Job-1...
--   [Producer] Added Job-2
--    [Worker-2] Processing Job-2...
--   [Producer] Added Job-3
--    [Worker-0] Processing Job-3...
--    [Worker-1] Finished Job-1
--   [Producer] Added Job-4
--    [Worker-1] Processing Job-4...
--    [Worker-0] Finished Job-3
--    [Worker-2] Finished Job-2
--   [Producer] Added Job-5
--    [Worker-0] Processing Job-5...
--    [Worker-1] Finished Job-4
--   [Producer] Added Job-6
--    [Worker-2] Processing Job-6...
--   [Producer] Added Job-7
--    [Worker-1] Processing Job-7...
--    [Worker-2] Finished Job-6
--    [Worker-0] Finished Job-5
--   [Producer] Added Job-8
--    [Worker-2] Processing Job-8...
--    [Worker-1] Finished Job-7
--   [Producer] Added Job-9
--    [Worker-0] Processing Job-9...
--    [Worker-2] Finished Job-8
--   --- All jobs added, waiting for workers ---
--    [Worker-0] Finished Job-9
--   --- All jobs finished ---
