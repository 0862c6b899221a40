-- The executable as a process: arguments, streams, statuses, and how a program ends.

local helper = require "spec.helper"

local run_cli, run_script, run = helper.run_cli, helper.run_script, helper.run
local quote = helper.quote
local aqlua = quote(helper.aqlua)

-- One chunk: stdout, stderr, status.
local function eval(chunk) return run_cli { "-e", chunk } end

local function with_file(text, fn)
  local path = helper.write_file(text)
  local ok, err = pcall(fn, path)
  os.remove(path)
  if not ok then error(err, 0) end
end

describe("arguments", function()
  it("of the script are in `arg` and in ...", function()
    with_file("print(select('#', ...), ...) print(#arg, table.unpack(arg))", function(path)
      local out, err, status = run_cli { path, "a", "", "c d", "-e", "--", "-v" }
      assert.equal("6\ta\t\tc d\t-e\t--\t-v\n6\ta\t\tc d\t-e\t--\t-v\n", out)
      assert.same({ "", 0 }, { err, status })
    end)
  end)

  it("before the script are at the negative indices of `arg`", function()
    with_file("for i = -5, #arg do print(i, arg[i]) end", function(path)
      local out = run_cli { "-e", "local x", "--", path, "one" }
      assert.equal(table.concat({
        "-5\tnil", "-4\t" .. helper.aqlua, "-3\t-e", "-2\tlocal x", "-1\t--", "0\t" .. path,
        "1\tone", "",
      }, "\n"), out)
    end)
  end)

  it("without a script: arg[0] is the program", function()
    local out = eval "print(arg[0], arg[1], arg[2], arg[-1])"
    assert.equal(helper.aqlua .. "\t-e\tprint(arg[0], arg[1], arg[2], arg[-1])\tnil\n", out)
  end)

  it("many of them", function()
    local list = {}
    for i = 1, 5000 do list[i] = "x" .. i end
    local out = run_script("print(select('#', ...), (select(5000, ...)), #arg)", list)
    assert.equal("5000\tx5000\t5000\n", out)
  end)

  it("-- ends the options: a script whose name begins with -", function()
    local out, err, status = run(("cd $(mktemp -d) && echo 'print(...)' >./-e && %s -- -e a; "
      .. "rm -r -- \"$PWD\""):format(quote(io.popen("realpath " .. aqlua):read "l")))
    assert.same({ "a\n", "", 0 }, { out, err, status })
  end)
end)

describe("the script", function()
  it("is read from stdin without arguments, and for -, with arguments", function()
    assert.same({ "0\n", "", 0 }, { run_cli({}, "print(select('#', ...))") })
    assert.same({ "2\ta\tb\t-\n", "", 0 },
      { run_cli({ "-", "a", "b" }, "print(select('#', ...), ..., (select(2, ...)), arg[0])")})
  end)

  it("may be empty", function()
    assert.same({ "", "", 0 }, { run_cli({}, "") })
    assert.same({ "", "", 0 }, { run_script "" })
  end)

  it("may begin with a line for env, with a mark, have CR LF and NUL in strings", function()
    local print_line = "print(debug.getinfo(1, 'l').currentline)"
    assert.equal("2\n", (run_script("#!/usr/bin/env aqlua\n" .. print_line)))
    assert.equal("ok\n", (run_script "\xEF\xBB\xBFprint 'ok'"))
    assert.equal("ok\n", (run_script "\xEF\xBB\xBF#!x\nprint 'ok'"))
    assert.equal("3\n", (run_script("\r\n\r\n" .. print_line .. "\r\n")))
    assert.equal("3\n", (run_script "print(#'a\0b')"))
    assert.equal("ok\n", (run_script "print 'ok'"))
  end)

  it("is a task: it may wait", function()
    assert.same({ "1\nTask-1\n", "", 0 }, { run_script [[
      local aq = require "aqlua"
      local q = aq.Queue()
      aq.create_task(function() q:put(1) end)
      print(q:get())
      print(aq.current_task():get_name())
    ]] })
  end)

  it("may have a path with spaces", function()
    local out, err, status = run(("d=$(mktemp -d) && echo 'print(arg[0])' >\"$d/a b\" && "
      .. "%s \"$d/a b\"; rm -r \"$d\""):format(aqlua))
    assert.matches("/a b\n$", out)
    assert.same({ "", 0 }, { err, status })
  end)

  it("that is missing: one line, status 1", function()
    local out, err, status = run_cli { "/nowhere/nofile.lua" }
    assert.equal("", out)
    assert.matches("^[^\n]*: cannot open /nowhere/nofile.lua[^\n]*\n$", err)
    assert.equal(1, status)
  end)

  it("that is a directory: one line, status 1", function()
    local out, err, status = run_cli { "/tmp" }
    assert.equal("", out)
    assert.matches("^[^\n]*/tmp[^\n]*\n$", err)
    assert.equal(1, status)
  end)

  it("with a syntax error: one line with the place, status 1", function()
    with_file("local x = 1\nlocal = 2\n", function(path)
      local out, err, status = run_cli { path }
      assert.equal("", out)
      assert.equal(("%s: %s:2: <name> expected near '='\n"):format(helper.aqlua, path), err)
      assert.equal(1, status)
    end)
  end)

  it("that is bytecode is refused", function()
    local out, err, status = run_script(string.dump(function() print "never" end))
    assert.equal("", out)
    assert.matches("binary", err, 1, true)
    assert.equal(1, status)
  end)

  it("sees the globals of the stock interpreter and no other", function()
    local list = [[
      local names = {}
      for k in pairs(_G) do names[#names + 1] = k end
      table.sort(names)
      print(table.concat(names, " "))
    ]]
    local ours = run_script(list)
    local stock = helper.run_stock(list)
    assert.equal(stock, ours)
    assert.matches("collectgarbage", ours, 1, true)
  end)

  it("finds modules where the stock interpreter does", function()
    local chunk = "print(package.path) print(package.config)"
    local ours = eval(chunk)
    local stock = run("lua5.4 -e " .. quote(chunk))
    assert.equal(stock, ours)
  end)
end)

describe("options", function()
  it("-e: several share globals and run in order, aq is there, and they may wait", function()
    local out, err, status = run_cli {
      "-e", "aq.sleep(0.001) x = 1", "-ex = x + 1", "-e", "aq.sleep(0) print(x, aq._VERSION)",
    }
    assert.matches("^2\taqlua %d+%.%d+%.%d+\n$", out)
    assert.same({ "", 0 }, { err, status })
  end)

  it("-e comes before the script", function()
    with_file("print(x, ...)", function(path)
      assert.same({ "1\ta\n", "", 0 }, { run_cli { "-e", "x = 1", path, "a" } })
    end)
  end)

  it("-e with an error: what follows is not run", function()
    local out, err, status = run_cli {
      "-e", "print 'first'", "-e", "error 'here'", "-e", "print 'x'",
    }
    assert.equal("first\n", out)
    assert.matches("(command line):1: here", err, 1, true)
    assert.equal(1, status)
  end)

  it("-e with a syntax error: one line, status 1", function()
    local out, err, status = eval "x ="
    assert.equal("", out)
    assert.matches("^[^\n]*%(command line%):1: unexpected symbol near <eof>\n$", err)
    assert.equal(1, status)
  end)

  it("-v shows the versions of aqlua, Lua and libuv, and runs what there is", function()
    local out, err, status = run_cli { "-v" }
    assert.matches("^aqlua %d+%.%d+%.%d+\nLua 5%.4[^\n]*\nlibuv %d+%.%d+%.%d+[^\n]*\n$", out)
    assert.same({ "", 0 }, { err, status })
    out = run_cli { "-v", "-e", "print 'runs'" }
    assert.matches("\nruns\n$", out)
  end)

  it("--help goes to stdout and names every option", function()
    local out, err, status = run_cli { "--help" }
    assert.matches("^usage: ", out)
    for _, option in ipairs { "-e", "-v", "--help", "--" } do
      assert.matches("\n  " .. option, out, 1, true)
    end
    assert.same({ "", 0 }, { err, status })
  end)

  it("unknown ones: usage on stderr, status 1, nothing run", function()
    for _, option in ipairs { "-x", "--unknown", "-q1", "--e" } do
      local out, err, status = run_cli { "-e", "print 'runs'", option }
      assert.equal("", out)
      assert.matches("^[^\n]*'" .. option:gsub("%-", "%%-") .. "'[^\n]*\nusage: ", err)
      assert.equal(1, status)
    end
  end)

  it("-e without an argument: usage on stderr, status 1", function()
    local out, err, status = run_cli { "-e" }
    assert.equal("", out)
    assert.matches("'-e' needs argument\nusage: ", err, 1, true)
    assert.equal(1, status)
  end)
end)

describe("an uncaught error", function()
  it("goes to stderr with a traceback; status 1", function()
    with_file("local function f()\n  error 'broken'\nend\nf()\n", function(path)
      local out, err, status = run_cli { path }
      assert.equal("", out)
      assert.equal(("%s: %s:2: broken\n"):format(helper.aqlua, path), err:match "^[^\n]*\n")
      assert.matches("\nstack traceback:\n", err, 1, true)
      assert.matches(path .. ":2: in ", err, 1, true)
      assert.matches(path .. ":4: in ", err, 1, true)
      assert.equal(1, status)
    end)
  end)

  it("that waited first still has its traceback", function()
    local _, err, status = eval "local function f() aq.sleep(0.001) error 'broken' end f()"
    assert.matches("(command line):1: broken\nstack traceback:\n", err, 1, true)
    assert.matches("%(command line%):1: in [^\n]*'f'", err)
    assert.equal(1, status)
  end)

  it("that is no text", function()
    for chunk, expected in pairs {
      ["error {}"] = "(error object is a table value)",
      ["error(nil)"] = "no error object",
      ["error()"] = "no error object",
      ["error(true)"] = "(error object is a boolean value)",
      ["error(42)"] = "42",
      ["error(print)"] = "(error object is a function value)",
      ["error(setmetatable({}, { __tostring = function() return 'its own' end }))"] = "its own",
      ["error(aq.QueueEmpty)"] = "QueueEmpty: ",
      ["aq.Queue():get(0)"] = "TimeoutError: ",
    } do
      local out, err, status = eval(chunk)
      assert.equal("", out)
      assert.matches(expected, err:match "^[^\n]*\n", 1, true)
      assert.equal(1, status)
    end
  end)

  it("whose __tostring raises ends with status 1, not in a crash", function()
    local out, err, status = eval
      "error(setmetatable({}, { __tostring = function() error 'again' end }))"
    assert.equal("", out)
    assert.is_true(#err > 0)
    assert.equal(1, status)
  end)

  it("whose __tostring returns no string ends with status 1, not in a crash", function()
    local out, err, status = eval "error(setmetatable({}, { __tostring = function() end }))"
    assert.equal("", out)
    assert.is_true(#err > 0)
    assert.equal(1, status)
  end)

  it("in a background task, whose __tostring raises: reported, not as lack of memory", function()
    local out, err, status = run_script [[
      local aq = require "aqlua"
      aq.create_task(function()
        error(setmetatable({}, { __tostring = function() error "again" end }))
      end):set_name "the worker"
      aq.sleep(0)
      print "goes on"
    ]]
    assert.same({ "goes on\n", 1 }, { out, status })
    assert.matches("the worker", err, 1, true)
    assert.not_matches("memory", err, 1, true)
  end)

  it("of a stack overflow", function()
    local _, err, status = eval "local function f() return 1 + f() end f()"
    assert.matches("stack overflow", err, 1, true)
    assert.equal(1, status)
  end)

  it("in a background task: name, traceback, status 1; the program goes on", function()
    local out, err, status = run_script [[
      local aq = require "aqlua"
      local function work() error "broken" end
      aq.create_task(function() work() end):set_name "the worker"
      aq.sleep(0.001)
      print "goes on"
    ]]
    assert.equal("goes on\n", out)
    assert.matches("the worker", err, 1, true)
    assert.matches(":2: broken", err, 1, true)
    assert.matches("stack traceback:", err, 1, true)
    assert.matches("in upvalue 'work'", err, 1, true)
    assert.equal(1, select(2, err:gsub("broken", "")))
    assert.equal(1, status)
  end)

  it("in main, tasks alive: their clean-up runs, status 1", function()
    local out, err, status = run_script [[
      local aq = require "aqlua"
      aq.create_task(function()
        pcall(aq.sleep, 1000)
        print "cleaned up"
      end)
      aq.sleep(0)
      error "broken"
    ]]
    assert.equal("cleaned up\n", out)
    assert.equal(1, select(2, err:gsub("broken", "")))
    assert.equal(1, status)
  end)

  it("of a cancel of the main task", function()
    local _, err, status = eval "aq.current_task():cancel() aq.sleep(1)"
    assert.matches("CancelledError", err, 1, true)
    assert.equal(1, status)
  end)

  it("of a task that was awaited shows both tracebacks", function()
    local _, err, status = run_script [[
      local aq = require "aqlua"
      local function deep() error "broken" end
      local task = aq.create_task(function() deep() end)
      task:set_name "the inner one"
      task:await()
    ]]
    assert.matches("the inner one", err, 1, true)
    assert.matches(":2: in [^\n]*deep", err)
    assert.matches(":5: in ", err)
    assert.equal(1, select(2, err:gsub(":2: broken", "")))
    assert.equal(1, status)
  end)
end)

describe("a deadlock", function()
  it("is reported with every waiting task, its name, wait and line; status 1", function()
    with_file([[
local aq = require "aqlua"
local q = aq.Queue { name = "jobs", maxsize = 1 }
q:put(1)
aq.create_task(function()
  q:put(2)
end):set_name "the putter"
aq.create_task(function() q:join() end):set_name "the joiner"
aq.Queue():get()
]], function(path)
      local out, err, status = run_cli { path }
      assert.equal("", out)
      assert.matches("DeadlockError", err, 1, true)
      assert.matches("the putter: put on [^\n]*jobs[^\n]*" .. path .. ":5\n", err)
      assert.matches("the joiner: join on [^\n]*jobs[^\n]*" .. path .. ":7\n", err)
      assert.matches("Task%-1: get on [^\n]*" .. path .. ":8\n", err)
      assert.equal(1, status)
    end)
  end)

  it("can be caught in the main task; the others are cancelled at the end", function()
    local out, err, status = run_script [[
      local aq = require "aqlua"
      local task = aq.create_task(function()
        print(pcall(aq.await, function() end))
      end)
      print(select(2, pcall(aq.Queue().get, aq.Queue())) == aq.DeadlockError)
      print(task:done())
    ]]
    assert.equal("true\nfalse\nfalse\tCancelledError: the task was cancelled\n", out)
    assert.same({ "", 0 }, { err, status })
  end)

  it("is none while a deadline is armed", function()
    local out, err, status = run_script [[
      local aq = require "aqlua"
      local q = aq.Queue()
      aq.create_task(function() aq.sleep(0.01) q:put "in time" end)
      print(q:get())
    ]]
    assert.same({ "in time\n", "", 0 }, { out, err, status })
  end)

  it("while the last tasks are ended does not hang", function()
    local out, _, status = run_script [[
      local aq = require "aqlua"
      aq.create_task(function()
        pcall(aq.sleep, 1000)
        aq.shield(function() aq.Queue():get() end)
      end):set_name "the last one"
      aq.sleep(0)
      print "main ends"
    ]]
    assert.equal("main ends\n", out)
    assert.equal(1, status)
  end)
end)

describe("the end of the main chunk", function()
  it("cancels the other tasks and runs their clean-up", function()
    local out, err, status = run_script [[
      local aq = require "aqlua"
      for i = 1, 3 do
        aq.create_task(function()
          local _ <close> = setmetatable({}, { __close = function(_, e)
            aq.shield(aq.sleep, 0.001 * i)
            print(i, e)
          end })
          while true do aq.sleep(1000) end
        end)
      end
      aq.sleep(0)
      print "main ends"
    ]]
    local line = "%d\tCancelledError: the task was cancelled\n"
    assert.equal("main ends\n" .. line:format(1) .. line:format(2) .. line:format(3), out)
    assert.same({ "", 0 }, { err, status })
  end)

  it("cancels tasks that it has just made where they first wait, as asyncio does", function()
    local out, err, status = run_script [[
      local aq = require "aqlua"
      for _ = 1, 2 do
        aq.create_task(function()
          print "starts"
          aq.sleep(1000)
          print "never"
        end)
      end
    ]]
    assert.same({ "starts\nstarts\n", "", 0 }, { out, err, status })
  end)

  it("cancels tasks that are made while it waits for the others", function()
    local out, err, status = run_script [[
      local aq = require "aqlua"
      aq.create_task(function()
        local _, e = pcall(aq.sleep, 1000)
        aq.create_task(function() print(pcall(aq.sleep, 1000)) end)
        aq.shield(aq.sleep, 0.01)
        error(e, 0)
      end)
      aq.sleep(0)
    ]]
    assert.same({ "false\tCancelledError: the task was cancelled\n", "", 0 }, { out, err, status })
  end)

  it("names and closes a task that swallows its cancel; status 1", function()
    local out, err, status = run_script [[
      local aq = require "aqlua"
      aq.create_task(function()
        while true do pcall(aq.sleep, 1000) end
      end):set_name "the stubborn one"
      aq.sleep(0)
      print "main ends"
    ]]
    assert.equal("main ends\n", out)
    assert.matches("the stubborn one", err, 1, true)
    assert.equal(1, status)
  end)

  it("runs the <close> variables of a task that is closed", function()
    local out, _, status = run_script [[
      local aq = require "aqlua"
      aq.create_task(function()
        local _ <close> = setmetatable({}, { __close = function() print "closed" end })
        while true do pcall(aq.sleep, 1000) end
      end)
      aq.sleep(0)
    ]]
    assert.same({ "closed\n", 1 }, { out, status })
  end)

  it("waits for a task that swallows its cancel 50 times", function()
    local out, err, status = run_script [[
      local aq = require "aqlua"
      aq.create_task(function()
        for _ = 1, 50 do pcall(aq.sleep, 1000) end
        print "ends by itself"
      end)
      aq.sleep(0)
    ]]
    assert.same({ "ends by itself\n", "", 0 }, { out, err, status })
  end)

  it("closes a clean-up that lasts over 5 s, and names it; status 1", helper.within(30, function()
    local start = os.time()
    local out, err, status = run_script [[
      local aq = require "aqlua"
      aq.create_task(function()
        pcall(aq.sleep, 1000)
        aq.shield(aq.sleep, 1000)
        print "never"
      end):set_name "the slow one"
      aq.sleep(0)
    ]]
    local took = os.time() - start
    assert.equal("", out)
    assert.matches("the slow one", err, 1, true)
    assert.equal(1, status)
    assert.is_true(took >= 4 and took <= 15)
  end))

  it("reports an error that comes out of clean-up; status 1", function()
    local _, err, status = run_script [[
      local aq = require "aqlua"
      aq.create_task(function()
        pcall(aq.sleep, 1000)
        error "in clean-up"
      end)
      aq.sleep(0)
    ]]
    assert.matches("in clean-up", err, 1, true)
    assert.equal(1, status)
  end)
end)

describe("os.exit", function()
  it("ends at once with its status; what was printed is written", function()
    for argument, expected in pairs { ["3"] = 3, ["0"] = 0, [""] = 0, ["true"] = 0, ["false"] = 1,
                                      ["2.0"] = 2, ["nil"] = 0 } do
      local out, err, status = eval(("print 'before' os.exit(%s) print 'after'"):format(argument))
      assert.same({ "before\n", "", expected }, { out, err, status })
    end
  end)

  it("runs no clean-up without close", function()
    local out, err, status = run_script [[
      local aq = require "aqlua"
      aq.create_task(function()
        pcall(aq.sleep, 1000)
        print "never"
      end)
      aq.sleep(0)
      io.write "no newline"
      os.exit(4)
    ]]
    assert.same({ "no newline", "", 4 }, { out, err, status })
  end)

  for name, call in pairs {
    ["the main task"] = "leave()",
    ["another task"] = "aq.create_task(leave) aq.sleep(1000)",
    ["a pcall"] = "pcall(leave) print 'never'",
    ["nested pcalls"] = "pcall(pcall, leave) print 'never'",
    ["a done callback"] = "aq.create_task(print):add_done_callback(leave) aq.sleep(1000)",
  } do
    it("ends from " .. name, function()
      local out, err, status = run_script(
        "local aq = require 'aqlua' local function leave() os.exit(5) end " .. call)
      assert.same({ "", "", 5 }, { out:gsub("^\n", ""), err, status })
    end)

    it("with close waits for clean-up, from " .. name, function()
      local out, err, status = run_script([[
        local aq = require "aqlua"
        aq.create_task(function()
          pcall(aq.sleep, 1000)
          aq.shield(aq.sleep, 0.001)
          print "cleaned up"
        end)
        aq.sleep(0)
        local function leave() os.exit(5, true) end
      ]] .. call)
      assert.same({ "cleaned up\n", "", 5 }, { out:gsub("^\n", ""), err, status })
    end)
  end

  -- A finalizer and a callback cannot wait, nor can what a function of C calls.
  for name, code in pairs {
    ["a task"] = "aq.create_task(leave) aq.sleep(100)",
    ["a task that is awaited"] = "aq.create_task(leave):await()",
    ["gather"] = "aq.gather(leave, function() aq.sleep(100) end)",
    ["wait_for"] = "aq.wait_for(leave, 5)",
    ["shield"] = "aq.shield(leave)",
    ["a child of a group"] = [[
      local group <close> = aq.TaskGroup()
      group:create_task(leave)
      group:create_task(aq.sleep, 100)]],
    ["the body of a group"] = [[
      local group <close> = aq.TaskGroup()
      group:create_task(aq.sleep, 100)
      aq.sleep(0)
      leave()]],
    ["a block with a <close> variable that waits"] = [[
      local _ <close> = setmetatable({}, { __close = function() aq.sleep(0) end })
      leave()]],
    ["a done callback"] = "aq.create_task(type, 1):add_done_callback(leave) aq.sleep(100)",
    ["on_error"] = [[
      aq.on_error(leave)
      aq.create_task(error, "x")
      for _ = 1, 4 do aq.sleep(0) collectgarbage() end
      aq.sleep(100)]],
    ["on_error at the end"] = [[
      aq.on_error(leave)
      held = aq.create_task(error, "x")
      aq.sleep(0)]],
    ["on_error, called by a group"] = [[
      aq.on_error(leave)
      pcall(function()
        local group <close> = aq.TaskGroup()
        for _ = 1, 2 do group:create_task(error, "x") end
      end)
      print "never"]],
    ["__gc"] = "setmetatable({}, { __gc = leave }) collectgarbage() aq.sleep(100)",
    ["__gc when the state is closed"] = "kept = setmetatable({}, { __gc = leave })",
    ["__close"] = [[
      do local _ <close> = setmetatable({}, { __close = leave }) end
      print "never"]],
    ["__close, after an error"] = [[
      pcall(function()
        local _ <close> = setmetatable({}, { __close = leave })
        error "x"
      end)
      print "never"]],
    ["__close, while leaving"] = [[
      local _ <close> = setmetatable({}, { __close = leave })
      leave()]],
    ["a coroutine"] = "coroutine.wrap(leave)() print 'never'",
    ["a pcall in a coroutine"] = "coroutine.wrap(function() pcall(leave) print 'never' end)()",
    ["table.sort"] = "table.sort({ 3, 2, 1 }, leave) print 'never'",
    ["table.sort in a pcall"] = "pcall(table.sort, { 3, 2, 1 }, leave) aq.sleep(100) print 'never'",
    ["table.sort in a task"] = "aq.create_task(table.sort, { 3, 2, 1 }, leave) aq.sleep(100)",
    ["table.sort in a coroutine"] = "coroutine.wrap(table.sort)({ 3, 2, 1 }, leave)",
    ["string.gsub"] = "string.gsub('a', 'a', leave) print 'never'",
    ["a message handler"] = "xpcall(error, leave, 'x') aq.sleep(100) print 'never'",
    ["a nested run"] = "aq.run(leave) print 'never'",
    ["a task of a nested run"] = "aq.run(function() aq.create_task(leave) aq.sleep(100) end)",
    ["clean-up of a nested run"] = [[
      aq.run(function()
        aq.create_task(function() pcall(aq.sleep, 100) leave() end)
        aq.sleep(0)
      end)]],
    ["clean-up at the end"] = [[
      aq.create_task(function() pcall(aq.sleep, 100) leave() end)
      aq.sleep(0)]],
    ["clean-up at the end, of several"] = [[
      for _ = 1, 3 do aq.create_task(function() pcall(aq.sleep, 100) leave() end) end
      aq.sleep(0)]],
    ["clean-up at the end, in a shield"] = [[
      aq.create_task(function() pcall(aq.sleep, 100) aq.shield(leave) end)
      aq.sleep(0)]],
    ["clean-up at the end, in table.sort"] = [[
      aq.create_task(function() pcall(aq.sleep, 100) table.sort({ 3, 2, 1 }, leave) end)
      aq.sleep(0)]],
    ["clean-up at the end, by a <close> variable"] = [[
      aq.create_task(function()
        local _ <close> = setmetatable({}, { __close = leave })
        aq.sleep(100)
      end)
      aq.sleep(0)]],
    ["a done callback at the end"] = [[
      aq.create_task(aq.sleep, 100):add_done_callback(leave)
      aq.sleep(0)]],
    ["on_error, of clean-up at the end"] = [[
      aq.on_error(leave)
      aq.create_task(function() pcall(aq.sleep, 100) error "x" end)
      aq.sleep(0)]],
  } do
    it("with close ends quietly from " .. name, function()
      local setup = "local aq = require 'aqlua' local function leave() os.exit(5, true) end\n"
      assert.same({ "", "", 5 }, { run_script(setup .. code) })
    end)
  end

  it("with close still reports what others fail with", function()
    local _, err, status = run_script [[
      local aq = require "aqlua"
      aq.create_task(function() pcall(aq.sleep, 100) error("clean-up failed", 0) end)
      aq.sleep(0)
      os.exit(5, true)
    ]]
    assert.matches("^aqlua: error in Task%-2, which nobody retrieved: clean%-up failed\n", err)
    assert.equal(5, status)
  end)

  it("with close lets another task clean up whose finalizer leaves", function()
    assert.same({ "cleaned up\n", "", 5 }, { run_script [[
      local aq = require "aqlua"
      local _ <close> = setmetatable({}, { __close = function()
        aq.shield(aq.sleep, 0.001)
        print "cleaned up"
      end })
      setmetatable({}, { __gc = function() os.exit(5, true) end })
      collectgarbage()
      aq.sleep(100)
    ]] })
  end)

  it("with close runs the <close> variables of its own task, and closes the state", function()
    local out, err, status = run_script [[
      setmetatable({}, { __gc = function() print "state closed" end })
      local _ <close> = setmetatable({}, { __close = function() print "closed" end })
      os.exit(6, true)
    ]]
    assert.same({ "closed\nstate closed\n", "", 6 }, { out, err, status })
  end)

  it("with close takes true and false", function()
    assert.equal(0, select(3, eval "os.exit(true, true)"))
    assert.equal(1, select(3, eval "os.exit(false, true)"))
  end)

  it("refuses a status that is none", function()
    local _, err, status = eval "os.exit 'x'"
    assert.matches("bad argument #1 to 'exit'", err, 1, true)
    assert.equal(1, status)
  end)
end)

describe("streams", function()
  it("output that cannot be written: a message and status 1", function()
    if not io.open("/dev/full", "w") then return pending "needs /dev/full" end
    local _, err, status = run(aqlua .. " -e \"print 'x'\" >/dev/full")
    assert.equal(1, status)
    assert.matches("standard output", err, 1, true)
    _, err, status = run(aqlua .. " -e \"for i = 1, 100000 do print(i) end\" >/dev/full")
    assert.equal(1, status)
    assert.matches("standard output", err, 1, true)
  end)

  it("stdout closed, nothing printed: fine; something printed: status 1", function()
    local _, _, status = run(aqlua .. " -e 'local x = 1' >&-")
    assert.equal(0, status)
    _, _, status = run(aqlua .. " -e 'print(1)' >&-")
    assert.equal(1, status)
  end)

  it("a long output arrives whole", function()
    local out, err, status = run(aqlua
      .. " -e 'for i = 1, 200000 do print(i) end aq.sleep(0.01) print \"end\"' | tail -n 2")
    assert.same({ "200000\nend\n", "", 0 }, { out, err, status })
  end)

  it("stdin is the script's when it is not read for the script", function()
    local out, err, status = run_cli({ "-e", "print(io.read 'a')" }, "from stdin")
    assert.same({ "from stdin\n", "", 0 }, { out, err, status })
  end)

  it("stdin closed: an empty script or an error, not a crash", function()
    local _, _, status = run(aqlua .. " <&-")
    assert.is_true(status == 0 or status == 1)
    _, _, status = run(aqlua .. " -e 'local x = 1' <&-")
    assert.equal(0, status)
  end)

  it("stderr closed: no crash", function()
    local out, _, status = run(aqlua .. " -e 'print(1)' 2>&-")
    assert.same({ "1\n", 0 }, { out, status })
    _, _, status = run(aqlua .. " -e 'error(1)' 2>&-")
    assert.equal(1, status)
  end)

  it("output of a program that fails is still written", function()
    local out, _, status = eval "io.write 'half a line' error 'broken'"
    assert.same({ "half a line", 1 }, { out, status })
  end)
end)

describe("memory", function()
  local variant = os.getenv "AQLUA_VARIANT" or "release"

  it("that runs out is an ordinary error, also where addresses are limited", function()
    if variant == "asan" then return pending "a sanitizer needs more addresses" end
    local out, err, status = run("ulimit -v 200000; " .. aqlua .. " -e " .. quote [[
      local ok, why = pcall(function()
        local list = {}
        while true do list[#list + 1] = {} end
      end)
      print(ok, why)
      print(aq.sleep(0, "goes on"))
    ]])
    assert.same({ "false\tnot enough memory\ngoes on\n", "", 0 }, { out, err, status })
  end)

  it("of tasks that are gone goes back to the system", function()
    if variant ~= "release" then return pending "the C library keeps it" end
    if not io.open "/proc/self/statm" then return pending "nobody tells how much it is" end
    local out, err = run_script [[
      local aq = require "aqlua"
      local function resident()
        local file <close> = io.open "/proc/self/statm"
        local _, pages = file:read("n", "n")
        return pages * 4096
      end
      local before = resident()
      local q, tasks = aq.Queue(), {}
      for i = 1, 100000 do tasks[i] = aq.create_task(q.get, q) end
      aq.sleep(0)
      local grown = resident() - before
      for _, task in ipairs(tasks) do task:cancel() end
      while #aq.all_tasks() > 1 do aq.sleep(0) end
      tasks = nil
      for _ = 1, 3 do collectgarbage() end
      local left = resident() - before
      print(grown > 0, left < grown / 4)
    ]]
    assert.same({ "true\ttrue\n", "" }, { out, err })
  end)
end)
