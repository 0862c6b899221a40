-- Deadlocks: put on a full queue waits, and here no other task is running to remove an item.
-- Instead of hanging for ever, the program ends with status 1 and a DeadlockError on stderr
-- that names every waiting task, the call it waits in and its line.

local aq = require "aqlua"

local q = aq.Queue { maxsize = 1, name = "jobs" }

q:put("Job-0")
print("The queue is full: " .. tostring(q:full()))

q:put("Job-1") -- waits for a free place, for ever
print("This line is never reached")

-- Output:
--   The queue is full: true
