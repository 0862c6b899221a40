-- What was typed, in the user's state folder: one line for each input, newlines written as \n.

local MOST = 2000 -- inputs kept

local function path()
  local home, state = os.getenv "HOME", os.getenv "XDG_STATE_HOME"
  if state and state:sub(1, 1) == "/" then return state .. "/aqlua/history" end
  return home and home ~= "" and home .. "/.local/state/aqlua/history" or nil
end

local function encode(input) return (input:gsub("\\", "\\\\"):gsub("\n", "\\n")) end

local DECODED = { ["\\\\"] = "\\", ["\\n"] = "\n" }

local function decode(line) return (line:gsub("\\.", DECODED)) end

-- The inputs in the file, oldest first; of equal ones the latest. And how many lines there were.
local function load_inputs(file)
  local lines, count = {}, 0
  for line in file:lines() do
    count = count + 1
    lines[count] = line
  end
  local inputs, seen = {}, {}
  for i = count, 1, -1 do
    if not seen[lines[i]] and lines[i] ~= "" and #inputs < MOST then
      seen[lines[i]] = true
      table.insert(inputs, decode(lines[i]))
    end
  end
  for i = 1, #inputs // 2 do
    inputs[i], inputs[#inputs + 1 - i] = inputs[#inputs + 1 - i], inputs[i]
  end
  return inputs, count
end

local History = {}
History.__index = History

function History:add(input)
  if input == self.last or input:find "^%s" or input == "" then return end
  self.last = input
  self.term.add_history(input)
  local file = self.path and io.open(self.path, "ab")
  if not file then return end
  file:write(encode(input), "\n")
  file:close()
end

-- Written anew under another name first: a crash must not cost what was there.
local function rewrite(term, name, inputs)
  local new = name .. ".new"
  if not term.make_private(new) then return end
  local file = io.open(new, "wb")
  if not file then return end
  for _, input in ipairs(inputs) do file:write(encode(input), "\n") end
  if file:close() then os.rename(new, name) end
end

-- The history of a terminal; without a file that can be written there is one for this time only.
local function open(term)
  local history = setmetatable({ term = term, path = term.is_terminal and path() }, History)
  if not history.path or not term.make_private(history.path) then
    history.path = nil
    return history
  end
  local file = io.open(history.path, "rb")
  if not file then return history end
  local inputs, count = load_inputs(file)
  file:close()
  for _, input in ipairs(inputs) do term.add_history(input) end
  history.last = inputs[#inputs]
  if count > 2 * MOST then rewrite(term, history.path, inputs) end
  return history
end

return open
