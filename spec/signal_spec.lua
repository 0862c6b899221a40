-- Signals, sent to the executable by the script itself: from a shell that waits a little, whose
-- parent is the executable.

local helper = require "spec.helper"

-- Whoever runs this may ignore SIGINT, as a shell does for what it starts with `&`. The executable
-- would then do so, too.
local USUAL = "env --default-signal=INT "
if not os.execute(USUAL .. "true 2>/dev/null") then USUAL = "" end

-- Runs a script with `later(seconds, "INT", ...)` to send it signals, one after the other, that
-- long apart; `start` is a command that starts it, in place of one that lets it take SIGINT.
-- Returns stdout, stderr and how the process ended: "signal 2", or its status.
local function run(text, prefix, start)
  local path = helper.write_file([[
    local aq = require "aqlua"
    local function later(seconds, ...)
      local command = ""
      for _, name in ipairs { ... } do
        command = command .. ("sleep %g; kill -%s $PPID; "):format(seconds, name)
      end
      io.popen("{ " .. command .. "} >/dev/null 2>&1 &"):close()
    end
  ]] .. text)
  local command = ("%s exec %s %s %s"):format(prefix or "", start or USUAL,
    helper.quote(helper.aqlua), path)
  local out, err, how = helper.run(command)
  os.remove(path)
  return out, (err:gsub(path, "script")), how
end

local SIGNALS = {
  INT = { "signal 2", "interrupted by SIGINT" },
  TERM = { "signal 15", "terminated by SIGTERM" },
  HUP = { "signal 1", "hung up by SIGHUP" },
}

describe("the first signal", function()
  for name, expected in pairs(SIGNALS) do
    it(name .. " cancels a main task that waits; all clean up; the process dies by it", function()
      local out, err, how = run(([[
        aq.create_task(function()
          pcall(aq.sleep, 100)
          aq.shield(aq.sleep, 0.01)
          print "task cleaned up"
        end)
        later(0.1, "%s")
        local ok, err = pcall(aq.sleep, 100)
        print(err)
        aq.shield(aq.sleep, 0.01)
        print "main cleaned up"
        error(err, 0)
      ]]):format(name))
      assert.matches("^CancelledError: " .. expected[2] .. " at [^\n]*:%d+\n", out)
      assert.matches("\nmain cleaned up\ntask cleaned up\n$", out)
      assert.matches("^[^\n]*: " .. expected[2] .. " at script:%d+\n$", err)
      assert.equal(expected[1], how)
    end)

    it(name .. " stops a loop that never waits, also in coroutines in coroutines", function()
      local out, err, how = run(([[
        later(0.1, "%s")
        local ok, err = pcall(coroutine.wrap(function()
          coroutine.wrap(function()
            local _ <close> = setmetatable({}, { __close = function() print "closed" end })
            while true do end
          end)()
        end))
        print(ok, err == aq.CancelledError)
        local ok, again = pcall(aq.sleep, 100)
        print(ok, again == aq.CancelledError)
        error(err, 0)
      ]]):format(name))
      assert.equal("closed\nfalse\ttrue\nfalse\ttrue\n", out)
      assert.matches(expected[2], err, 1, true)
      assert.equal(expected[1], how)
    end)
  end

  it("reaches a task that never waits, and the main task", function()
    local out, _, how = run [[
      local task = aq.create_task(function()
        local _ <close> = setmetatable({}, { __close = function() print "task closed" end })
        while true do end
      end)
      later(0.1, "INT")
      local _ <close> = setmetatable({}, { __close = function()
        print("main closed", task:cancelled())
      end })
      aq.Queue():get()
    ]]
    assert.equal("task closed\nmain closed\ttrue\n", out)
    assert.equal("signal 2", how)
  end)

  it("that comes in a step that soon waits interrupts the wait, not the step", function()
    local out, _, how = run [[
      io.popen("kill -INT $PPID"):close()
      for _ = 1, 1000 do local t = {} end
      print "step done"
      print(pcall(aq.sleep, 100))
    ]]
    assert.matches("^step done\nfalse\tCancelledError: interrupted by SIGINT", out)
    assert.equal("signal 2", how)
  end)

  it("breaks off a blocking read", function()
    local out, _, how = run([[
      later(0.1, "INT")
      local line = io.read "l"
      print(line)
      aq.sleep(100)
    ]], "sleep 5 |")
    assert.equal("nil\n", out)
    assert.equal("130", tostring(how)) -- the shell's status of a pipeline
  end)

  it("is forgotten when the program takes it back: the next is a first one", function()
    local out, err, how = run [[
      later(0.2, "INT", "INT")
      local me = aq.current_task()
      for _ = 1, 2 do
        print((pcall(aq.sleep, 100)))
        me:uncancel()
      end
      aq.sleep(0.01)
      print "goes on"
    ]]
    assert.same({ "false\nfalse\ngoes on\n", "", 0 }, { out, err, how })
  end)

  it("ends a wait with a deadline beyond the clock, which is no deadlock (O3)", function()
    for _, seconds in ipairs { "9.3e9", "math.huge" } do
      for _, wait in ipairs { "aq.sleep(%s)", "aq.Queue():get(%s)" } do
        local _, err, how = run("later(0.05, 'TERM') " .. wait:format(seconds))
        assert.matches("terminated by SIGTERM", err, 1, true)
        assert.equal("signal 15", how)
      end
    end
  end)

  it("lets os.exit give another status", function()
    local _, err, how = run [[
      later(0.1, "TERM")
      pcall(aq.sleep, 100)
      os.exit(7, true)
    ]]
    assert.same({ "", 7 }, { err, how })
  end)

  it("has buffered output written", function()
    local out, _, how = run [[
      io.write "no newline"
      later(0.1, "TERM")
      aq.sleep(100)
    ]]
    assert.equal("no newline", out)
    assert.equal("signal 15", how)
  end)

  it("in LUA_INIT and in clean-up at the end ends the program too", function()
    local init = [[io.popen("{ sleep 0.1; kill -INT $PPID; } >/dev/null &"):close()
      while true do end]]
    local _, _, how = helper.run(("LUA_INIT=%s exec %s%s -e 'print(1)'"):format(helper.quote(init),
      USUAL, helper.quote(helper.aqlua)))
    assert.equal("signal 2", how)
    _, _, how = run [[
      aq.create_task(function()
        pcall(aq.sleep, 100)
        later(0.1, "INT")
        while true do end
      end)
      aq.sleep(0)
    ]]
    assert.equal("signal 2", how)
  end)
end)

describe("the second signal", function()
  it("ends the process at once", function()
    local out, err, how = run [[
      later(0.2, "INT", "INT")
      while true do
        pcall(function() while true do end end)
        io.stderr:write "first\n"
      end
    ]]
    assert.same({ "", "first\n", "signal 2" }, { out, err, how })
  end)

  it("may be another one", function()
    local _, _, how = run [[
      later(0.2, "INT", "TERM")
      pcall(aq.sleep, 100)
      aq.shield(aq.sleep, 100)
    ]]
    assert.equal("signal 15", how)
  end)

  it("is needed for a C function that does not come back", function()
    local _, _, how = run [[
      later(0.2, "INT", "INT")
      local s = ("x"):rep(5000)
      s:find(("x*"):rep(20) .. "y")
    ]]
    assert.equal("signal 2", how)
  end)

  it("is no second one if it comes together with the first", function()
    local out, _, how = run [[
      io.popen("{ sleep 0.1; kill -INT $PPID; kill -INT $PPID; } >/dev/null 2>&1 &"):close()
      pcall(aq.sleep, 100)
      aq.shield(aq.sleep, 0.1)
      print "cleaned up"
    ]]
    assert.same({ "cleaned up\n", "signal 2" }, { out, how })
  end)
end)

describe("a signal that was ignored at the start", function()
  for name, who in pairs { HUP = "nohup", INT = "a background job of a script" } do
    it(name .. " stays ignored, as " .. who .. " wants", function()
      local out, _, how = run(([[
        later(0.1, "%s", "%s")
        aq.sleep(0.3)
        print "still here"
      ]]):format(name, name), ("trap '' %s;"):format(name), "env")
      assert.same({ "still here\n", 0 }, { out, how })
    end)
  end

  it("QUIT lists the tasks all the same", function()
    local out, err, how = run([[
      later(0.1, "QUIT")
      aq.sleep(0.3)
      print "still here"
    ]], "trap '' QUIT;")
    assert.same({ "still here\n", 0 }, { out, how })
    assert.matches("^aqlua: 1 task\n", err)
  end)
end)

describe("SIGQUIT", function()
  it("lists all tasks: what they wait in, since when, line, stack; the program goes on", function()
    local out, err, how = run [[
      local q = aq.Queue { name = "jobs" }
      local function fetch() return q:get() end
      aq.create_task(function() return fetch() .. "" end):set_name "the worker"
      later(0.2, "QUIT")
      aq.sleep(0.4)
      print "goes on"
    ]]
    assert.same({ "goes on\n", 0 }, { out, how })
    assert.matches("^aqlua: 2 tasks\nTask%-1: sleep, for %d%.%d+ s, at script:%d+\n", err)
    assert.matches("the worker: get on Queue 'jobs' [^\n]*, for 0%.%d+ s, at script:%d+\n"
      .. "  stack traceback:\n[^\n]*'get'\n[^\n]*'fetch'", err)
  end)

  it("has no stack for a task of nothing but functions of C", function()
    local _, err = run [[
      local semaphore = aq.Semaphore(0)
      aq.create_task(semaphore.acquire, semaphore)
      later(0.1, "QUIT")
      aq.sleep(0.3)
    ]]
    assert.matches("\nTask%-2: acquire on Semaphore [^\n]*\n$", err)
    assert.equal(select(2, err:gsub("stack traceback", "")), 1)
  end)

  it("is answered by a loop that never waits", function()
    local out, err, how = run [[
      local function spin()
        local start = os.time()
        while not done do if os.time() > start + 3 then break end end
      end
      later(0.2, "QUIT", "INT")
      print(pcall(coroutine.wrap(spin)))
    ]]
    assert.matches("^aqlua: 1 task\nTask%-1: running, at script:%d+\n", err)
    assert.matches("script:%d+: in function <script:%d+>\n  in a coroutine resumed here: ", err)
    assert.matches("CancelledError: interrupted", out, 1, true)
    assert.equal("signal 2", how)
  end)
end)

describe("SIGPIPE", function()
  it("kills no task, and is not ignored in children", function()
    local out, err, how = run [[
      local pipe = io.popen("exec true", "w")
      aq.sleep(0.1)
      pipe:setvbuf "no"
      local ok, message = pipe:write(("x"):rep(100000))
      pipe:close()
      print(ok, message)
      print(io.popen("exec 3>&1; { yes; echo $? >&3; } | head -n 1 >/dev/null"):read "a")
    ]]
    assert.equal("nil\tBroken pipe\n141\n\n", out)
    assert.same({ "", 0 }, { err, how })
  end)
end)

describe("hooks", function()
  it("of the program's own are there again after a signal that it took back", function()
    local out, _, how = run [[
      local count = 0
      debug.sethook(function() count = count + 1 end, "", 1000)
      later(0.1, "INT")
      local me = aq.current_task()
      pcall(function() while true do end end)
      me:uncancel()
      local before = count
      for _ = 1, 100000 do end
      print(count > before)
    ]]
    assert.same({ "true\n", 0 }, { out, how })
  end)
end)
