-- Basic usage: add data to a queue and retrieve it in order.
-- put and get wait when they must, and are still ordinary method calls: a script is a task.

local aq = require "aqlua"

local q = aq.Queue()

print("--- Adding Data ---")
q:put("Data A")
q:put("Data B")
print("Current size: " .. q:qsize())

print("--- Getting Data ---")
-- Items are retrieved in FIFO order.
local item1 = q:get()
print("Got: " .. item1)

local item2 = q:get()
print("Got: " .. item2)

if q:empty() then
  print("The queue is empty")
end

-- Output:
--   --- Adding Data ---
--   Current size: 2
--   --- Getting Data ---
--   Got: Data A
--   Got: Data B
--   The queue is empty
