-- What aq.await (lawait.c) closes.

local _, internal = ...

-- Closes what the function returned, if it can be closed: a handle of luv, a file, a <close> value.
function internal.close_handle(handle)
  local meta = getmetatable(handle)
  if type(meta) == "table" and meta.__close then
    pcall(meta.__close, handle)
  elseif type(handle) == "userdata" or type(handle) == "table" then
    local ok, method = pcall(function() return handle.close end)
    if ok and method then pcall(method, handle) end
  end
end
