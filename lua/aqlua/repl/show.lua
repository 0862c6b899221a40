-- Values as readable Lua, for the prompt: sorted keys, limits, cycles, strings in quotes.

local aq, internal = ...

local DEPTH = 6 -- tables in tables
local ITEMS = 200 -- of one table
local TOTAL = 1000 -- of all tables of one value
local LENGTH = 1000 -- bytes of one string
local LINE = 76 -- columns that a table may have in one line

---------------------------------------------------------------------------------------------------
-- Strings

local ESCAPES = {
  ["\a"] = "\\a", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t",
  ["\v"] = "\\v", ['"'] = '\\"', ["\\"] = "\\\\",
}

local function escape_byte(c) return ESCAPES[c] or ("\\x%02X"):format(c:byte()) end

-- Characters that a terminal shows as they are: valid UTF-8, without controls and without those
-- that change the direction of what follows.
local function is_printable(code)
  return code >= 0xA0 and not (code >= 0x200B and code <= 0x200F)
    and not (code >= 0x2028 and code <= 0x202E) and not (code >= 0x2066 and code <= 0x2069)
    and code ~= 0xFEFF
end

local function escape_rest(text)
  local parts, i = {}, 1
  while i <= #text do
    local _, last = text:find("^[\xC2-\xF4][\x80-\xBF]+", i)
    local char = last and text:sub(i, i + (utf8.offset(text:sub(i, last), 2) or last - i + 2) - 2)
    if char and utf8.len(char) == 1 and is_printable(utf8.codepoint(char)) then
      parts[#parts + 1] = char
      i = i + #char
    else
      parts[#parts + 1] = ("\\x%02X"):format(text:byte(i))
      i = i + 1
    end
  end
  return table.concat(parts)
end

local function show_string(text)
  local shown = text:sub(1, LENGTH)
  shown = shown:gsub('[%c"\\\x7F]', escape_byte):gsub("[\x80-\xFF]+", escape_rest)
  if #text <= LENGTH then return '"' .. shown .. '"' end
  return ('"%s"... (%d bytes)'):format(shown, #text)
end

---------------------------------------------------------------------------------------------------
-- What is no table

local function show_number(number)
  if number ~= number then return "0/0" end
  if number == math.huge then return "math.huge" end
  if number == -math.huge then return "-math.huge" end
  return tostring(number)
end

local names -- function -> "string.rep", of what the modules contain

local function name_functions()
  names = {}
  local modules = {}
  for name, module in pairs(package.loaded) do
    if type(name) == "string" and type(module) == "table" then modules[#modules + 1] = name end
  end
  table.sort(modules)
  for _, name in ipairs(modules) do
    local prefix = name == "_G" and "" or (name == "aqlua" and "aq" or name) .. "."
    for key, value in next, package.loaded[name] do
      local is_name = type(key) == "string" and key ~= "_"
      if is_name and type(value) == "function" and not names[value] then
        names[value] = prefix .. key
      end
    end
  end
end

local function show_function(fn)
  if not names or not names[fn] then name_functions() end
  local info = debug.getinfo(fn, "S")
  local name = names[fn] and " " .. names[fn] or ""
  if info.what == "C" then return ("<function%s>"):format(name ~= "" and name or " of C") end
  return ("<function%s at %s:%d>"):format(name, info.short_src, info.linedefined)
end

-- The text of a value with a __tostring of its own, or nil.
local function own_text(value)
  local meta = debug.getmetatable(value)
  if type(meta) ~= "table" or rawget(meta, "__tostring") == nil then return nil end
  local ok, text = pcall(tostring, value)
  return ok and text or "<its __tostring fails>"
end

local SHOW = { string = show_string, number = show_number, ["function"] = show_function }

local function show_plain(value)
  local fn = SHOW[type(value)]
  return fn and fn(value) or own_text(value) or tostring(value)
end

---------------------------------------------------------------------------------------------------
-- Tables

local RANK = { number = 1, string = 2, boolean = 3 }

local function is_before(a, b)
  local rank_a, rank_b = RANK[type(a)] or 4, RANK[type(b)] or 4
  if rank_a ~= rank_b then return rank_a < rank_b end
  if rank_a <= 2 then return a < b end
  return tostring(a) < tostring(b)
end

local KEYWORDS = {}
for word in ("and break do else elseif end false for function goto if in local nil not or repeat "
  .. "return then true until while"):gmatch "%a+" do
  KEYWORDS[word] = true
end

local function is_name(key)
  return type(key) == "string" and key:find "^[%a_][%w_]*$" ~= nil and not KEYWORDS[key]
end

-- The keys beside 1..n, sorted, and how many there are. A huge table is not sorted as a whole.
local function other_keys(t, n)
  local keys, count = {}, 0
  for key in next, t do
    if not (math.type(key) == "integer" and key >= 1 and key <= n) then
      count = count + 1
      if count <= 10 * TOTAL then keys[count] = key end
    end
  end
  table.sort(keys, is_before)
  return keys, count
end

local function sequence_length(t)
  local n = 0
  while rawget(t, n + 1) ~= nil do n = n + 1 end
  return n
end

local show_any

local function show_key(key, state)
  if is_name(key) then return key end
  return "[" .. show_any(key, state, "") .. "]"
end

-- The texts of a table's items, as many as the limits allow.
local function show_items(t, state, indent)
  local items, n = {}, sequence_length(t)
  local keys, count = other_keys(t, n)
  local function is_full() return #items >= ITEMS or state.left <= 0 end
  local function add(text)
    items[#items + 1] = text
    state.left = state.left - 1
  end
  for i = 1, n do
    if is_full() then break end
    add(show_any(rawget(t, i), state, indent))
  end
  for _, key in ipairs(keys) do
    if is_full() then break end
    add(show_key(key, state) .. " = " .. show_any(rawget(t, key), state, indent))
  end
  if #items < n + count then items[#items + 1] = ("... %d more"):format(n + count - #items) end
  return items
end

local function fits(items, indent)
  local length = #indent
  for _, item in ipairs(items) do
    if item:find("\n", 1, true) then return false end
    length = length + #item + 2
  end
  return length <= LINE
end

local function type_name(t)
  local meta = debug.getmetatable(t)
  local name = type(meta) == "table" and rawget(meta, "__name")
  return type(name) == "string" and name .. " " or ""
end

local function show_table(t, state, indent)
  if state.open[t] then return "<cycle>" end
  local name = type_name(t)
  if next(t) == nil then return name .. "{}" end
  if state.depth >= DEPTH then return name .. "{...}" end
  state.open[t] = true
  state.depth = state.depth + 1
  local inner = indent .. "  "
  local items = show_items(t, state, inner)
  state.depth = state.depth - 1
  state.open[t] = nil
  if fits(items, indent .. name) then return name .. "{ " .. table.concat(items, ", ") .. " }" end
  return ("%s{\n%s%s\n%s}"):format(name, inner, table.concat(items, ",\n" .. inner), indent)
end

function show_any(value, state, indent)
  if type(value) ~= "table" then return show_plain(value) end
  return own_text(value) or show_table(value, state, indent)
end

---------------------------------------------------------------------------------------------------
-- The library's objects: who waits there

-- Of a select, `what` is a list: the name and the object of each branch.
local function is_waited_for(object, what)
  if type(what) ~= "table" then return rawequal(what, object) end
  for i = 2, #what, 2 do
    if rawequal(what[i], object) then return true end
  end
  return false
end

local function who_waits(object)
  local lines = {}
  for _, task in ipairs(aq.all_tasks()) do
    local call, where, seconds, line = internal.waits_in(task)
    if call and is_waited_for(object, where) then
      local text = ("\n  %s: %s, for %.1f s, at %s"):format(task:get_name(), call, seconds, line)
      lines[#lines + 1] = text
    end
  end
  return table.concat(lines)
end

local function show(value)
  local text = show_any(value, { open = {}, depth = 0, left = TOTAL }, "")
  if type(value) == "userdata" then text = text .. who_waits(value) end
  return text
end

return { value = show, is_name = is_name, keywords = KEYWORDS }
