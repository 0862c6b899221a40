-- A graceful end: on SIGINT or SIGTERM the program takes on no more jobs, lets its workers finish
-- those they hold, and says what is left.
--
--   aqlua scripts/shutdown.lua [COUNT]
--
-- A signal cancels the main task: its wait raises CancelledError, and so would all later ones. So
-- the clean-up, which waits, is inside aq.shield. If no signal comes, the program tells itself to
-- stop when job COUNT (5) begins.

local aq = require "aqlua"

local count = tonumber(arg[1]) or 5
local main = aq.current_task()

local function worker(jobs)
  for job in jobs:items() do
    print("begin " .. job)
    if job == count then
      main:cancel("job " .. job .. " has begun")
    end
    aq.sleep(0.1)
    print("end " .. job)
  end
end

local function serve(jobs)
  for job = 1, math.huge do
    jobs:put(job) -- waits while there are two
  end
end

io.stdout:setvbuf("line")
local jobs = aq.Queue(2)
local workers = { aq.create_task(worker, jobs), aq.create_task(worker, jobs) }

local _, err = pcall(serve, jobs)
if err ~= aq.CancelledError then
  error(err, 0)
end
print("stop: " .. err.message)
aq.shield(function()
  local left = jobs:shutdown(true) -- ends the loops of the workers
  aq.gather(workers)
  print("never begun: " .. left.n)
end)
main:uncancel() -- it was seen to: a success. Without this line the process dies by the signal.

-- Output (varies: job 6 may have begun just before the end):
--   begin 1
--   begin 2
--   end 1
--   begin 3
--   end 2
--   begin 4
--   end 3
--   begin 5
--   stop: job 5 has begun
--   end 4
--   end 5
--   never begun: 2
