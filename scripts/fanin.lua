-- Fan-in: one task serves several queues at once. select waits for the first that has an item, or
-- for the timeout. A queue that was shut down wins with an error; it is then left out.

local aq = require "aqlua"

local orders, mails = aq.Queue(1), aq.Queue(1)
local evening = aq.Event()

aq.create_task(function()
  for _, item in ipairs { "tea", "coffee", "cake" } do
    orders:put(item)
  end
  orders:shutdown()
end)

aq.create_task(function()
  mails:put("good morning")
  evening:wait()
  mails:put("good night")
  mails:shutdown()
end)

-- Of branches that are ready at the same time the first wins: here mail, by its key.
local branches = { mail = mails:getting(), order = orders:getting(), timeout = 0.05 }
while branches.mail or branches.order do
  local which, item, err = aq.select(branches)
  if which == "timeout" then
    print("nothing to do: it is evening")
    evening:set()
  elseif err == aq.QueueShutDown then
    print("no more from " .. which)
    branches[which] = false -- switched off
  elseif err then
    error(err, 0)
  else
    print(which .. ": " .. item)
  end
end

-- Output:
--   order: tea
--   mail: good morning
--   order: coffee
--   order: cake
--   no more from order
--   nothing to do: it is evening
--   mail: good night
--   no more from mail
