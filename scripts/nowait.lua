-- get_nowait / put_nowait: never wait, but raise QueueEmpty or QueueFull instead.

local aq = require "aqlua"

local q = aq.Queue(1)

local ok, err = pcall(q.get_nowait, q)
if not ok and err == aq.QueueEmpty then
  print("Nothing to get: " .. err.name)
end

q:put_nowait("Data A")
print("Put: Data A")

ok, err = pcall(q.put_nowait, q, "Data B")
if not ok and err == aq.QueueFull then
  print("No room for Data B: " .. err.name)
end

print("Got: " .. q:get_nowait())

-- Output:
--   Nothing to get: QueueEmpty
--   Put: Data A
--   No room for Data B: QueueFull
--   Got: Data A
