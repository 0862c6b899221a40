-- A supervisor: starts a worker again when it fails, after a pause that doubles, and gives up when
-- it has failed too often. That is a failure of the group, which then ends the others too.

local aq = require "aqlua"

local MAX_FAILURES = 3

-- Calls fn(attempt) until it returns.
local function supervise(name, fn)
  local pause = 0.01
  for attempt = 1, math.huge do
    local ok, err = pcall(fn, attempt)
    if ok then
      print(name .. " is done")
      return
    elseif err == aq.CancelledError then
      print(name .. " is cancelled")
      error(err, 0) -- pcall catches every error; this one is not ours to deal with
    elseif attempt == MAX_FAILURES then
      error(name .. " failed " .. attempt .. " times, the last time: " .. err, 0)
    end
    print(name .. " failed: " .. err)
    aq.sleep(pause)
    pause = 2 * pause
  end
end

-- Three workers: one is well the second time, one never is, and one would go on for ever.

local function importer(attempt)
  if attempt == 1 then
    error("no connection", 0)
  end
end

local function mailer()
  aq.sleep(0.05)
  error("wrong password", 0)
end

local function clock()
  while true do
    aq.sleep(1)
  end
end

local ok, err = pcall(function()
  local group <close> = aq.TaskGroup()
  group:create_task(supervise, "importer", importer)
  group:create_task(supervise, "mailer", mailer)
  group:create_task(supervise, "clock", clock)
end)
print(ok, err)

-- Output:
--   importer failed: no connection
--   importer is done
--   mailer failed: wrong password
--   mailer failed: wrong password
--   clock is cancelled
--   false	mailer failed 3 times, the last time: wrong password
