-- The increment race: two tasks update one number, without a lock and without losing an update.
-- The number lives in the queue, so only the task that has taken it out can change it.
--
-- It takes 1.00 s: a task sleeps while it holds the number, the other one can only wait for it
-- in get meanwhile, so the 100 sleeps of 0.01 s never overlap.

local aq = require "aqlua"

local function increment_worker(queue, name, count)
  aq.current_task():set_name(name) -- how reports call it
  for _ = 1, count do
    -- 1. Take the number (waits while the other task has it).
    local value = queue:get()
    -- 2. Some work, during which other tasks run.
    aq.sleep(0.01)
    -- 3. Put the new number back.
    queue:put(value + 1)
  end
end

local function main()
  local queue = aq.Queue()
  queue:put(0)

  print("--- Starting Increment Race ---")
  aq.gather(
    aq.create_task(increment_worker, queue, "Worker-A", 50),
    aq.create_task(increment_worker, queue, "Worker-B", 50)
  )

  local final_result = queue:get()
  print("--- Processing Finished ---")
  print("Final counter value: " .. final_result .. " (Expected: 100)")
end

aq.run(main)

-- Output:
--   --- Starting Increment Race ---
--   --- Processing Finished ---
--   Final counter value: 100 (Expected: 100)
