-- Several items in one call: get_many, put_many and drain of all queues.

local aq, internal = ...

local function check_queue(queue, method)
  if not internal.is_queue(queue) then
    internal.type_error(1, method, "Queue", queue, 3)
  end
end

-- Adds to `list`, of `n` items, what can be taken without waiting, up to `max` items in all.
local function take_free(queue, list, n, max)
  while n < max and not queue:empty() do
    n = n + 1
    list[n] = queue:get_nowait()
  end
  list.n = n
  return list
end

-- Waits for one item, and takes up to `max` that are free by then: a list with `n`.
local function get_many(queue, max, timeout)
  check_queue(queue, "get_many")
  internal.check_timeout(timeout, 2, "get_many", 2)
  if math.type(max) ~= "integer" or max < 1 then
    error("bad argument #1 to 'get_many' (positive integer expected)", 2)
  end
  return take_free(queue, { (queue:get(timeout)) }, 1, max)
end

-- All items that are free for the taking, as a list with `n`. Never waits.
local function drain(queue, extra)
  check_queue(queue, "drain")
  internal.check_no_more(extra, 1, "drain", "all items are taken; q:get_many(max) takes some")
  return take_free(queue, {}, 0, math.huge)
end

-- What is wrong with a put, if the library says so and not the item's own __lt.
local function mistake(err)
  if type(err) ~= "string" then return nil end
  return err:match "^bad argument #%d to '[^']*' %((.*)%)$" or (": " .. err):match ": put: (.*)$"
    or err:match "cannot wait here: .*$"
end

-- Raises what the put of item i has raised, with the number stored: as a field, or in the text.
local function raise_for_item(err, i)
  if err == aq.CancelledError or err == aq.QueueShutDown then
    error(internal.with_stored(err, i - 1), 0)
  end
  local text = mistake(err)
  if not text then error(err, 0) end
  error(("put_many: item %d: %s; %d stored"):format(i, text, i - 1), 3)
end

-- Puts all of a list, in order, waiting as need be; returns how many were stored. When the time is
-- up that is the number so far, if there is any.
local function put_many(queue, list, timeout)
  check_queue(queue, "put_many")
  internal.check_timeout(timeout, 2, "put_many", 2)
  if type(list) ~= "table" then
    internal.type_error(1, "put_many", "list", list, 2)
  end
  local deadline = timeout and aq.now() + timeout
  local count = internal.length(list, "put_many", 2)
  for i = 1, count do
    local ok, err = pcall(queue.put, queue, list[i], deadline and deadline - aq.now())
    if not ok then
      if err == aq.TimeoutError and i > 1 then return i - 1 end
      raise_for_item(err, i)
    end
  end
  return count
end

for _, class in ipairs { aq.Queue, aq.LifoQueue, aq.PriorityQueue } do
  local methods = getmetatable(class()).__index
  methods.get_many, methods.put_many, methods.drain = get_many, put_many, drain
end
