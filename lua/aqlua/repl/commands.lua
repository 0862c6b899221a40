-- help, tasks, queues and time: what the prompt adds to the globals.

local aq, internal = ...

local help = require "aqlua.repl.help"
local show = require "aqlua.repl.show"

local commands = {}

function commands.help(...) print(help.text(...)) end

-- Rows of texts, in columns.
local function print_columns(rows)
  local widths = {}
  for _, row in ipairs(rows) do
    for i, text in ipairs(row) do widths[i] = math.max(widths[i] or 0, utf8.len(text) or #text) end
  end
  for _, row in ipairs(rows) do
    local parts = {}
    for i, text in ipairs(row) do
      local blanks = i < #row and widths[i] - (utf8.len(text) or #text) or 0
      parts[i] = text .. (" "):rep(blanks)
    end
    print(table.concat(parts, "  "))
  end
end

local function brief(object) return (tostring(object):gsub(" %b()$", "")) end

local BRANCHES_NAMED = 8 -- of a select; of the others, only how many there are

-- The names and objects of a select's branches, as text.
local function brief_list(branches)
  local texts, n = {}, #branches // 2
  for i = 1, math.min(n, BRANCHES_NAMED) do
    texts[i] = branches[2 * i - 1] .. brief(branches[2 * i])
  end
  local more = n > BRANCHES_NAMED and (" and %d more"):format(n - BRANCHES_NAMED) or ""
  return table.concat(texts, ", ") .. more
end

local function what_it_waits_in(task)
  local call, object, seconds, line = internal.waits_in(task)
  if not call then return { task:get_name(), (tostring(task):match "%((%a+)%)$" or "?") } end
  if object ~= nil then
    local text = type(object) == "table" and brief_list(object) or brief(object)
    call = ("%s on %s"):format(call, text)
  end
  return { task:get_name(), "waiting", ("%.1f s"):format(seconds), line, call }
end

-- The prompt's own task is left out, and the one that asks.
function commands.tasks()
  local rows, me = {}, aq.current_task()
  for _, task in ipairs(aq.all_tasks()) do
    if task ~= internal.prompt_task and task ~= me then
      rows[#rows + 1] = what_it_waits_in(task)
    end
  end
  print_columns(rows)
  if #rows == 0 then print "no other task is there" end
end

function commands.queues()
  local list = {}
  local living = internal.living_queues()
  for queue in pairs(living) do
    -- one that is being collected is still there, but refuses to be asked
    if pcall(queue.qsize, queue) then list[#list + 1] = queue end
  end
  table.sort(list, function(a, b) return living[a] < living[b] end)
  for _, queue in ipairs(list) do print(show.value(queue)) end
  if #list == 0 then print "no queue has been made" end
end

local function report_time(started, cpu, ...)
  local seconds, busy = aq.now() - started, os.clock() - cpu
  print(("%.6f s, %.6f s of them computing"):format(seconds, busy))
  return ...
end

function commands.time(fn, ...)
  local started, cpu = aq.now(), os.clock()
  return report_time(started, cpu, fn(...))
end

return commands
