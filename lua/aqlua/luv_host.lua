-- luv inside the executable: what it must not do to a loop that is not its own.

local _, internal = ...

-- Functions that would run, stop or close the loop from inside it.
local REFUSED = {
  run = "aqlua runs the loop",
  stop = "it would stop the loop that aqlua runs",
  loop_close = "the loop is aqlua's",
}

local function refuse(uv, name, why)
  uv[name] = function() error(("uv.%s: %s"):format(name, why), 2) end
end

-- Every handle that luv makes, as long as anybody has it.
local function keep_track(uv, handles, on_signal)
  local function remember(handle, ...)
    if type(handle) == "userdata" and pcall(uv.is_closing, handle) then handles[handle] = true end
    return handle, ...
  end
  local function track(name, before)
    local make = uv[name]
    uv[name] = function(...)
      before()
      return remember(make(...))
    end
  end
  for name in pairs(uv) do
    if name:find "^new_" or name == "spawn" then
      track(name, name == "new_signal" and on_signal or function() end)
    end
  end
end

-- Those not closed yet. A handle that is closed is refused by every function.
local function open_handles(uv, handles)
  local list = {}
  for handle in pairs(handles) do
    local is_handle, is_closing = pcall(uv.is_closing, handle)
    if is_handle then list[#list + 1] = { handle = handle, is_closing = is_closing } end
  end
  return list
end

-- setup(uv, on_signal): adapts the module; returns a function that closes all handles.
return function(uv, on_signal)
  local handles = setmetatable({}, { __mode = "k" })
  for name, why in pairs(REFUSED) do refuse(uv, name, why) end
  keep_track(uv, handles, on_signal)

  -- The original aborts the process when it meets a handle that luv has not made.
  function uv.walk(visit)
    if type(visit) ~= "function" then
      internal.type_error(1, "walk", "function", visit, 2)
    end
    for _, entry in ipairs(open_handles(uv, handles)) do visit(entry.handle) end
  end

  return function()
    for _, entry in ipairs(open_handles(uv, handles)) do
      if not entry.is_closing then pcall(uv.close, entry.handle) end
    end
  end
end
