-- The least script that uses a task and a queue: timed from exec to exit by bench/run.
local aq = require "aqlua"
local q = aq.Queue()
aq.create_task(function()
  q:put("hello")
end)
print(q:get())
