-- What the programs of bench/ share: running commands, medians, JSON, tables.
-- Plain Lua 5.4, run by lua5.4 or by aqlua.
local lib = {}

lib.out = "build/bench"
lib.quick = (os.getenv("QUICK") or "0") ~= "0"
lib.aqlua = os.getenv("AQLUA") or "./aqlua"

-- The first line that a command prints, and whether it succeeded.
function lib.first_line(command)
  local pipe = assert(io.popen(command))
  local line = pipe:read("l")
  pipe:read("a")
  return line, (pipe:close())
end

function lib.sh(command)
  return (os.execute(command))
end

function lib.installed(program)
  return lib.sh(("command -v %s >/dev/null 2>&1"):format(program))
end

-- Exact string of an environment list: PEERS="limit asyncio" to {limit = true, asyncio = true}.
function lib.selection(name)
  local text = os.getenv(name)
  if not text or text == "" then
    return nil
  end
  local set = {}
  for word in text:gmatch("[^%s,]+") do
    set[word] = true
  end
  return set
end

-- A command prefix that keeps a program on one processor (the last one, where the system
-- itself does less), empty where there is no taskset.
function lib.pinned()
  if not lib.installed("taskset") then
    return ""
  end
  local cpu = os.getenv("CPU") or tostring(math.tointeger(lib.first_line("nproc")) - 1)
  return "taskset -c " .. cpu .. " "
end

function lib.median(list)
  local sorted = table.move(list, 1, #list, 1, {})
  table.sort(sorted)
  local middle = (#sorted + 1) // 2
  if #sorted % 2 == 1 then
    return sorted[middle]
  end
  return (sorted[middle] + sorted[middle + 1]) / 2
end

-- Three figures or all before the point: 12345.6 to "12,346", 6.54321 to "6.54".
function lib.figure(x)
  local text = (x >= 100 and "%.0f" or x >= 10 and "%.1f" or "%.2f"):format(x)
  local whole, rest = text:match("^(%d+)(.*)$")
  repeat
    local count
    whole, count = whole:gsub("^(%d+)(%d%d%d)", "%1,%2")
  until count == 0
  return whole .. rest
end

-- The same for a program to read: without the commas.
function lib.plain(x)
  return (lib.figure(x):gsub(",", ""))
end

local escapes = {['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\t"] = "\\t", ["\r"] = "\\r"}

-- A table with [1] or marked empty is an array; keys are sorted, so that files compare.
function lib.encode(value, indent)
  indent = indent or "\n"
  local inner = indent .. "  "
  if type(value) == "string" then
    return '"' .. value:gsub('[%c"\\]', function(c)
      return escapes[c] or ("\\u%04x"):format(c:byte())
    end) .. '"'
  elseif math.type(value) == "integer" or type(value) == "boolean" then
    return tostring(value)
  elseif type(value) == "number" then
    return ("%.6g"):format(value)
  elseif value[1] ~= nil then
    local parts = {}
    for i, v in ipairs(value) do
      parts[i] = lib.encode(v, inner)
    end
    if type(value[1]) ~= "table" then
      return "[" .. table.concat(parts, ", ") .. "]"
    end
    return "[" .. inner .. table.concat(parts, "," .. inner) .. indent .. "]"
  end
  local keys, parts = {}, {}
  for k in pairs(value) do
    keys[#keys + 1] = k
  end
  table.sort(keys)
  for i, k in ipairs(keys) do
    parts[i] = lib.encode(k) .. ": " .. lib.encode(value[k], inner)
  end
  if #parts == 0 then
    return "{}"
  end
  return "{" .. inner .. table.concat(parts, "," .. inner) .. indent .. "}"
end

-- Enough JSON to read what these programs write: no \u above ASCII, null is nil.
function lib.decode(text)
  local at = 1
  local value

  local function skip()
    at = text:find("[^%s]", at) or #text + 1
    return text:sub(at, at)
  end

  local function expect(c)
    if skip() ~= c then
      error(("JSON: '%s' expected at byte %d"):format(c, at), 0)
    end
    at = at + 1
  end

  local function text_value()
    expect('"')
    local parts = {}
    while true do
      local stop = assert(text:find('["\\]', at), "JSON: string without end")
      parts[#parts + 1] = text:sub(at, stop - 1)
      at = stop + 1
      if text:sub(stop, stop) == '"' then
        return table.concat(parts)
      end
      local c = text:sub(at, at)
      at = at + 1
      if c == "u" then
        c = string.char(tonumber(text:sub(at, at + 3), 16))
        at = at + 4
      end
      parts[#parts + 1] = ({n = "\n", t = "\t", r = "\r"})[c] or c
    end
  end

  local function members(close, one)
    local result = {}
    at = at + 1
    if skip() == close then
      at = at + 1
      return result
    end
    while true do
      one(result)
      if skip() ~= "," then
        break
      end
      at = at + 1
    end
    expect(close)
    return result
  end

  local words = {["true"] = true, ["false"] = false}

  function value()
    local c = skip()
    if c == '"' then
      return text_value()
    elseif c == "{" then
      return members("}", function(object)
        skip()
        local key = text_value()
        expect(":")
        object[key] = value()
      end)
    elseif c == "[" then
      return members("]", function(array)
        array[#array + 1] = value()
      end)
    end
    local word = text:match("^[%w%.%+%-]+", at) or error("JSON: value expected at byte " .. at, 0)
    at = at + #word
    if words[word] ~= nil or word == "null" then
      return words[word]
    end
    return tonumber(word)
  end

  return value()
end

function lib.read_json(path)
  local file = io.open(path)
  if not file then
    return nil
  end
  local text = file:read("a")
  file:close()
  return lib.decode(text)
end

function lib.write(path, text)
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
end

function lib.write_json(path, value)
  lib.write(path, lib.encode(value) .. "\n")
  print("wrote " .. path)
end

-- A file of lines with tabs between their columns, whose names are the first line.
function lib.write_tsv(path, columns, lines)
  local text = {table.concat(columns, "\t")}
  for _, line in ipairs(lines) do
    local cells = {}
    for i, column in ipairs(columns) do
      cells[i] = line[column]
    end
    text[#text + 1] = table.concat(cells, "\t")
  end
  lib.write(path, table.concat(text, "\n") .. "\n")
  print("wrote " .. path)
end

-- Its lines, {column = text}, and the names of its columns.
function lib.read_tsv(path)
  local columns, lines = {}, {}
  for text in io.lines(path) do
    local line = {}
    for cell in text:gmatch("[^\t]+") do
      line[#line + 1] = cell
    end
    if #columns == 0 then
      columns = line
    else
      for i, column in ipairs(columns) do
        line[column] = line[i]
      end
      lines[#lines + 1] = line
    end
  end
  return lines, columns
end

return lib
