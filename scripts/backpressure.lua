-- Setting maxsize: a bounded queue slows a quick producer down to the speed of its consumer.
-- The producer never sleeps. Without maxsize its six lines would come first, at once.

local aq = require "aqlua"

local q = aq.Queue(2)

local function producer()
  for i = 1, 6 do
    q:put(i) -- waits while there are two items in the queue
    print("put " .. i .. ", size " .. q:qsize())
  end
end

aq.create_task(producer)

for _ = 1, 6 do
  aq.sleep(0.05) -- slow work
  print("  got " .. q:get())
end

-- Output:
--   put 1, size 1
--   put 2, size 2
--     got 1
--   put 3, size 2
--     got 2
--   put 4, size 2
--     got 3
--   put 5, size 2
--     got 4
--   put 6, size 2
--     got 5
--     got 6
