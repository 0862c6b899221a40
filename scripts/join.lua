-- Task management: join waits until task_done was called for every item put into the queue.
-- An empty queue is not enough: the last item has been taken, but it is still being worked on.

local aq = require "aqlua"

local q = aq.Queue()

local function worker()
  while true do
    local item = q:get()
    aq.sleep(0.02)
    print("Done: " .. item .. ", still in the queue: " .. q:qsize())
    q:task_done()
  end
end

for _, item in ipairs { "Data A", "Data B", "Data C" } do
  q:put(item)
end
aq.create_task(worker)

print("Waiting")
q:join()
print("All done")
-- The script ends here; the worker, which waits for more, is cancelled.

-- Output:
--   Waiting
--   Done: Data A, still in the queue: 2
--   Done: Data B, still in the queue: 1
--   Done: Data C, still in the queue: 0
--   All done
