-- Output for busted: a line of marks per spec file, then every failure in full, every pending
-- test in one line, and as the last line the plain counts that tools/test.sh adds up.
-- With -v a line per test, begun before the test: after a crash or a hang it names the culprit.
--
-- An error (in a test, in a hook, or in the file itself) counts as a failure. busted's exit status
-- is its number of failures modulo 256, so the counts and not the status are what can be trusted.

return function(options)
  local busted = require "busted"
  local handler = require "busted.outputHandlers.base"()

  local function write(...)
    io.stdout:write(...)
    io.stdout:flush() -- a crash later must not swallow what was seen
  end

  local function text_of(message)
    if message == nil then return "(no message)" end
    if type(message) == "table" and not (getmetatable(message) or {}).__tostring then
      return require "pl.pretty".write(message)
    end
    return tostring(message)
  end

  local function place_of(item)
    local trace = item.element.trace or item.trace
    if not trace or not trace.short_src then return "" end
    return (" (%s:%s)"):format(trace.short_src, trace.currentline or "?")
  end

  local function report(item)
    write("\n", item.isError and "ERROR: " or "FAILED: ", item.name or "?", place_of(item), "\n")
    write("  ", (text_of(item.message):gsub("\n", "\n  ")), "\n")
    local traceback = item.trace and item.trace.traceback
    if traceback and (item.isError or options.verbose) then
      write("  ", (traceback:gsub("^%s+", ""):gsub("%s+$", ""):gsub("\n", "\n  ")), "\n")
    end
  end

  local marks = { success = ".", pending = "p", failure = "F", error = "E" }
  local words = { success = "ok", pending = "pending", failure = "FAILED", error = "ERROR" }
  local line_open = false

  local function end_line()
    if line_open then write("\n") end
    line_open = false
  end

  function handler.fileStart(file)
    end_line()
    write(file.name or "?", options.verbose and "\n" or " ")
    line_open = not options.verbose
    return nil, true
  end

  function handler.testStart(test)
    if options.verbose then
      end_line()
      write(handler.getFullName(test), " ... ")
      line_open = true
    end
    return nil, true
  end

  function handler.testEnd(_, _, status)
    if options.verbose then
      write(words[status] or tostring(status), "\n")
      line_open = false
    else
      write(marks[status] or "?")
      line_open = true
    end
    return nil, true
  end

  function handler.suiteEnd()
    end_line()
    for _, item in ipairs(handler.failures) do report(item) end
    for _, item in ipairs(handler.errors) do report(item) end
    for _, item in ipairs(handler.pendings) do
      local why = item.message and ": " .. text_of(item.message):gsub("\n.*", "") or ""
      write("pending: ", item.name or "?", place_of(item), why, "\n")
    end
    write(("%d passed, %d failed\n"):format(
      handler.successesCount, #handler.failures + #handler.errors))
    return nil, true
  end

  busted.subscribe({ "file", "start" }, handler.fileStart)
  busted.subscribe({ "test", "start" }, handler.testStart, { predicate = handler.cancelOnPending })
  busted.subscribe({ "test", "end" }, handler.testEnd, { predicate = handler.cancelOnPending })
  busted.subscribe({ "suite", "end" }, handler.suiteEnd)

  return handler
end
