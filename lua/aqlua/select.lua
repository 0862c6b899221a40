-- aq.select: the first of several branches, and exactly one.

local aq, internal = ...

for _, class in ipairs { aq.Queue, aq.LifoQueue, aq.PriorityQueue } do
  local methods = getmetatable(class()).__index
  methods.getting = internal.getting
  methods.putting = internal.putting
  methods.joining = internal.joining
end

local function fail(key, what)
  error(("bad argument #1 to 'select' (branch '%s': %s)"):format(tostring(key), what), 4)
end

-- The branch for one entry of the table.
local function as_branch(key, value)
  if internal.is_branch(value) then return value end
  if internal.is_future(value) then return internal.when_done(value) end
  return fail(key, "Task, Future, or a branch such as q:getting() expected, got " .. type(value))
end

local function rank(key) return math.type(key) == "integer" and 0 or 1 end

-- Array positions first, in order; then the other keys, sorted as strings.
local function is_before(a, b)
  if rank(a) ~= rank(b) then return rank(a) < rank(b) end
  if rank(a) == 0 then return a < b end
  return tostring(a) < tostring(b)
end

local function sorted_keys(branches)
  local keys = {}
  for key in pairs(branches) do keys[#keys + 1] = key end
  table.sort(keys, is_before)
  return keys
end

local function shuffle(list, other)
  for i = #list, 2, -1 do
    local j = math.random(i)
    list[i], list[j] = list[j], list[i]
    other[i], other[j] = other[j], other[i]
  end
end

local function check_timeout(value)
  if type(value) ~= "number" or value ~= value then
    fail("timeout", "number of seconds expected")
  end
  return value
end

-- The enabled branches, their keys in the same order, and the timeout.
local function read(branches)
  local list, keys, timeout = {}, {}, nil
  for _, key in ipairs(sorted_keys(branches)) do
    local value = branches[key]
    if key == "timeout" then
      if value then timeout = check_timeout(value) end
    elseif value then
      list[#list + 1], keys[#keys + 1] = as_branch(key, value), key
    end
  end
  return list, keys, timeout
end

local function check_arguments(branches, options)
  if type(branches) ~= "table" then
    error(("bad argument #1 to 'select' (table expected, got %s)"):format(type(branches)), 3)
  elseif options ~= nil and type(options) ~= "table" then
    error(("bad argument #2 to 'select' (table expected, got %s)"):format(type(options)), 3)
  end
  for key in pairs(options or {}) do
    if key ~= "fair" then
      error(("bad argument #2 to 'select' (unknown option '%s')"):format(tostring(key)), 3)
    end
  end
end

function aq.select(branches, options)
  check_arguments(branches, options)
  local list, keys, timeout = read(branches)
  if #list == 0 and not timeout then
    error("bad argument #1 to 'select' (no branch is enabled, and there is no timeout)", 2)
  end
  if options and options.fair then shuffle(list, keys) end
  local i, value, err = internal.select(list, timeout)
  if i == 0 then return "timeout" end
  return keys[i], value, err
end
