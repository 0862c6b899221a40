-- help(x): what the declarations for editors say, or what can be seen of a function.

local aq, internal = ...

local show = require "aqlua.repl.show"

local GENERAL = [[
Each input is a task: it may wait, and background tasks go on while you type.

  q = aq.Queue(2)                               a queue with two slots
  t = aq.create_task(function() return q:get() end)
  q:put "item"   t:await()                      waits here

  help(x)        on a function, an object or a module: help(aq), help(q), help(q.put)
  tasks()        all tasks, and what they wait in
  queues()       all queues, and who waits there
  time(f, ...)   calls f(...) and says how long it took
  _              the last value
  Tab completes, Ctrl-C stops the input, Ctrl-D leaves.]]

---------------------------------------------------------------------------------------------------
-- The declarations: "aq.Queue" or "Queue:put" -> { signature =, text =, waits = }

local entries, order

local function add_entry(comment, waits, signature)
  local name = signature:match "^[%w_.:]+"
  entries[name] = { signature = signature, text = table.concat(comment, " "), waits = waits }
  order[#order + 1] = name
end

local function read_declarations()
  entries, order = {}, {}
  local comment, waits = {}, false
  for line in internal.source "aqlua.meta":gmatch "[^\n]*" do
    local text, signature = line:match "^%-%-%-([^@].*)$", line:match "^function (.-) end$"
    if text then
      comment[#comment + 1] = text
    elseif line:find "^%-%-%-@async" then
      waits = true
    elseif signature then
      add_entry(comment, waits, signature)
    end
    if not line:find "^%-%-%-" then comment, waits = {}, false end
  end
end

---------------------------------------------------------------------------------------------------
-- Finding a value in them

local CLASSES = { "Queue", "Event", "Lock", "Semaphore", "Condition", "Barrier", "Future" }

local classes -- metatable -> the class whose methods are declared
local functions -- function -> name of its entry

local function class_names()
  local list = { Task = aq.current_task() }
  for _, name in ipairs(CLASSES) do
    if aq[name] then list[name] = aq[name](name == "Barrier" and 1 or nil) end
  end
  list.LifoQueue, list.PriorityQueue = aq.LifoQueue(), aq.PriorityQueue()
  return list
end

local SAME = {
  Lock = "Semaphore", BoundedSemaphore = "Semaphore", LifoQueue = "Queue", PriorityQueue = "Queue",
}

local function entry_of(class, method)
  for _, owner in ipairs { SAME[class] or class, "Awaitable" } do
    if entries[owner .. ":" .. method] then return owner .. ":" .. method end
  end
end

-- Made when the prompt starts, before it keeps a list of the living queues.
local function learn()
  read_declarations()
  classes, functions = {}, {}
  for key, value in pairs(aq) do
    if entries["aq." .. key] then functions[value] = "aq." .. key end
  end
  for class, object in pairs(class_names()) do
    local meta = debug.getmetatable(object)
    classes[meta] = class
    local methods = type(meta.__index) == "table" and meta.__index or meta
    for method, fn in pairs(methods) do
      if type(fn) == "function" then functions[fn] = functions[fn] or entry_of(class, method) end
    end
  end
end

---------------------------------------------------------------------------------------------------
-- Texts

local function entry_text(name)
  local entry = entries[name]
  local waits = entry.waits and "  (may wait)" or ""
  return ("%s%s\n  %s"):format(entry.signature, waits, entry.text ~= "" and entry.text or "-")
end

-- The entries whose names begin so, one line each.
local function list_text(prefix)
  local lines = {}
  for _, name in ipairs(order) do
    if name:sub(1, #prefix) == prefix then
      local entry = entries[name]
      local text = entry.text:match "^(.-[.;:]) " or entry.text
      lines[#lines + 1] = ("  %-34s %s"):format(entry.signature, text)
    end
  end
  return table.concat(lines, "\n")
end

local function parameters(fn)
  local info, names = debug.getinfo(fn, "u"), {}
  for i = 1, info.nparams do names[i] = debug.getlocal(fn, i) end
  if info.isvararg then names[#names + 1] = "..." end
  return table.concat(names, ", ")
end

-- The comment right above a function in its file, if that can be read.
local function comment_above(info)
  local file = info.source:sub(1, 1) == "@" and io.open(info.source:sub(2))
  if not file then return "" end
  local lines, number = {}, 0
  for line in file:lines() do
    number = number + 1
    if number >= info.linedefined then break end
    local text = line:match "^%s*%-%-+%s?(.*)$"
    if text then lines[#lines + 1] = "\n  " .. text else lines = {} end
  end
  file:close()
  return table.concat(lines)
end

local function function_text(fn)
  if functions[fn] then return entry_text(functions[fn]) end
  local info = debug.getinfo(fn, "S")
  if info.what == "C" then return show.value(fn) end
  return ("%s(%s)%s"):format(show.value(fn), parameters(fn), comment_above(info))
end

local function object_text(object)
  local class = classes[debug.getmetatable(object)]
  if not class then return nil end
  local text = show.value(object) .. "\n" .. list_text((SAME[class] or class) .. ":")
  if class == "Task" or class == "Future" then text = text .. "\n" .. list_text "Awaitable:" end
  return text
end

local function help_text(...)
  if select("#", ...) == 0 then return GENERAL end
  local value = ...
  if type(value) == "function" then return function_text(value) end
  if rawequal(value, aq) then return list_text "aq." end
  if type(value) == "string" and entries[value] then return entry_text(value) end
  return value ~= nil and object_text(value) or show.value(value)
end

return { learn = learn, text = help_text }
