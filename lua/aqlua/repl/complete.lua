-- What the word before the cursor can become: globals, fields, methods, keywords, module names.
-- Looks at tables only, and calls nothing of the user's.

local show = require "aqlua.repl.show"

local MOST = 500 -- candidates

---------------------------------------------------------------------------------------------------
-- Fields

-- The table in which the fields of a value are looked up first, and the next one after it.
local function fields_of(value)
  if type(value) == "table" then return value end
  local meta = debug.getmetatable(value)
  local index = type(meta) == "table" and rawget(meta, "__index")
  return type(index) == "table" and index or nil
end

local function next_table(t)
  local meta = debug.getmetatable(t)
  local index = type(meta) == "table" and rawget(meta, "__index")
  return type(index) == "table" and index or nil
end

-- Calls visit(t) for the tables that a field of the value may come from.
local function each_table(value, visit)
  local t, seen = fields_of(value), {}
  while t and not seen[t] do
    seen[t] = true
    if visit(t) then return end
    t = next_table(t)
  end
end

local function field(value, name)
  local found
  each_table(value, function(t)
    found = rawget(t, name)
    return found ~= nil
  end)
  return found
end

local function is_callable(value)
  if type(value) == "function" then return true end
  local meta = debug.getmetatable(value)
  return type(meta) == "table" and rawget(meta, "__call") ~= nil
end

local function add_fields(found, value, prefix, only_callable)
  each_table(value, function(t)
    for key, v in next, t do
      if show.is_name(key) and key:sub(1, #prefix) == prefix
        and not (only_callable and not is_callable(v)) then
        found[key] = true
      end
    end
  end)
end

---------------------------------------------------------------------------------------------------
-- Modules

-- Adds what a directory has for one template of package.path: modules, and directories to look in.
local function add_from_directory(found, list, template, parents, prefix)
  local before, after = template:match "^([^?]*/)%?(.*)$"
  local names = before and list(before .. parents:gsub("%.", "/"))
  for _, name in ipairs(names or {}) do
    local module = name:sub(-#after) == after and name:sub(1, -#after - 1) or nil
    if module and module:find "^[%w_%-]+$" and module:sub(1, #prefix) == prefix then
      found[parents .. module] = true
    end
  end
end

local function add_modules(found, list, word)
  for _, known in ipairs { package.loaded, package.preload } do
    for name in next, known do
      if type(name) == "string" and name:sub(1, #word) == word and name ~= "_G" then
        found[name] = true
      end
    end
  end
  local parents, prefix = word:match "^(.-)([^.]*)$"
  for _, path in ipairs { package.path, package.cpath } do
    for template in tostring(path):gmatch "[^;]+" do
      add_from_directory(found, list, template, parents, prefix)
    end
  end
end

---------------------------------------------------------------------------------------------------
-- The line

-- True if the cursor is inside a string or a comment, as far as one line can tell.
local function is_in_string(line)
  local quote, i = nil, 1
  while i <= #line do
    local c = line:sub(i, i)
    if quote and c == "\\" then
      i = i + 1
    elseif quote and c == quote then
      quote = nil
    elseif not quote and (c == '"' or c == "'") then
      quote = c
    elseif not quote and line:find("^%-%-", i) then
      return true
    end
    i = i + 1
  end
  return quote ~= nil
end

-- The value of `a.b` before the last separator, or nil.
local function resolve(chain)
  local value = _G
  for name in chain:gmatch "[%a_][%w_]*" do
    value = field(value, name)
    if value == nil then return nil end
  end
  return value
end

local function add_names(found, line)
  local chain, separator, prefix = line:match "([%a_][%w_.]*)([.:])([%w_]*)$"
  if chain then
    -- a value of a call or an index before the chain is not known
    if line:sub(1, #line - #chain - #prefix - 1):find "[%w_%]%)\"'.:]%s*[.:]$" then return end
    local value = resolve(chain)
    if value ~= nil then add_fields(found, value, prefix, separator == ":") end
    return
  end
  prefix = line:match "[%a_][%w_]*$" or ""
  if line:sub(1, #line - #prefix):find "[.:]%s*$" then return end
  if prefix == "" and line:find "^%s*$" then return end
  add_fields(found, _G, prefix)
  for word in next, show.keywords do
    if word:sub(1, #prefix) == prefix then found[word] = true end
  end
end

local function sorted(found)
  local list = {}
  for name in next, found do list[#list + 1] = name end
  table.sort(list)
  for i = #list, MOST + 1, -1 do list[i] = nil end
  return list
end

-- complete(line, start): the candidates for what is between `start` and the line's end.
local function completer(list_directory)
  return function(line, start)
    local found = {}
    local word = line:match "require%s*%(?%s*[\"']([%w_.%-]*)$"
    if word then
      add_modules(found, list_directory, word)
      local skipped = start - (#line - #word + 1)
      local names = sorted(found)
      for i, name in ipairs(names) do names[i] = name:sub(skipped + 1) end
      return names
    end
    if is_in_string(line) then return {} end
    add_names(found, line)
    return sorted(found)
  end
end

return completer
