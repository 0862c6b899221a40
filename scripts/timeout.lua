-- Timeout for getting data: stop waiting if nothing comes within some time.
-- A timeout is raised as an error; every timeout is equal to aq.TimeoutError.

local aq = require "aqlua"

local q = aq.Queue()

local function report(ok, result)
  if ok then
    print("Got: " .. result)
  elseif result == aq.TimeoutError then
    print("Nothing came in time")
  else
    error(result, 0)
  end
end

print("--- get with a timeout ---")
report(pcall(q.get, q, 0.05))

print("--- wait_for, around any function that waits ---")
report(pcall(aq.wait_for, q.get, 0.05, q))

print("--- Data that comes in time ---")
aq.create_task(function()
  aq.sleep(0.05)
  q:put("Data A")
end)
report(pcall(q.get, q, 10))

print("--- Data that comes too late stays in the queue ---")
aq.create_task(function()
  aq.sleep(0.1)
  q:put("Data B")
end)
report(pcall(q.get, q, 0.05))
print("Got: " .. q:get())

-- Output:
--   --- get with a timeout ---
--   Nothing came in time
--   --- wait_for, around any function that waits ---
--   Nothing came in time
--   --- Data that comes in time ---
--   Got: Data A
--   --- Data that comes too late stays in the queue ---
--   Nothing came in time
--   Got: Data B
