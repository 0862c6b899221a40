-- luv on the executable's loop.

local helper = require "spec.helper"

local quote = helper.quote
local has_luv = package.searchpath("luv", package.cpath) ~= nil

-- Runs a script in which aq and uv are there. Returns stdout, stderr, how it ended.
local function run(text, prefix)
  local path = helper.write_file("local aq, uv = require 'aqlua', require 'luv' " .. text)
  local command = ("exec %s %s %s"):format(prefix or "", quote(helper.aqlua), path)
  local out, err, how = helper.run(command)
  os.remove(path)
  return out, (err:gsub(path, "script")), how
end

local function test(name, body)
  it(name, function()
    if not has_luv then return pending "needs luv" end
    body()
  end)
end

describe("luv", function()
  test("shares the loop: its callbacks run while tasks wait", function()
    assert.same({ "timer\nawaited\n", "", 0 }, { run [[
      local q = aq.Queue()
      local timer = uv.new_timer()
      timer:start(10, 0, function() q:put_nowait "timer" end)
      print(q:get())
      print(aq.await(function(done)
        local t = uv.new_timer()
        t:start(10, 0, function() done "awaited" end)
        return t
      end))
    ]] })
  end)

  test("may be required in a coroutine; its callbacks run on the main state", function()
    assert.same({ "ok\n", "", 0 }, { run [[
      package.loaded.luv = nil
      local again
      coroutine.wrap(function() again = require "luv" end)()
      collectgarbage()
      local done = aq.Event()
      again.new_timer():start(1, 0, function() done:set() end)
      done:wait()
      print "ok"
    ]] })
  end)

  test("keeps a program alive that waits for it, and no other", function()
    assert.same({ "server\n", "", 0 }, { run [[
      local server, q = uv.new_tcp(), aq.Queue()
      server:bind("127.0.0.1", 0)
      server:listen(5, function()
        server:close()
        q:put_nowait "server"
      end)
      local client = uv.new_tcp()
      client:connect("127.0.0.1", server:getsockname().port, function() end)
      print(q:get())
    ]] })
    local _, err, how = run "uv.new_timer() aq.Queue():get()"
    assert.matches("DeadlockError", err, 1, true)
    assert.equal(1, how)
  end)

  test("reports an error in a callback, of any kind, and goes on; status 1", function()
    local out, err, how = run [[
      local own = setmetatable({}, { __tostring = function() return "own" end })
      for i, problem in ipairs { "text", {}, own } do
        uv.new_timer():start(i, 0, function() error(problem) end)
      end
      aq.sleep(0.05)
      print "goes on"
    ]]
    assert.equal("goes on\n", out)
    assert.matches("aqlua: error in a luv callback: script:%d+: text\nstack traceback:\n", err)
    assert.matches("callback: (error object is a table value)\n", err, 1, true)
    assert.matches("callback: own\n", err, 1, true)
    assert.equal(1, how)
  end)

  test("a callback can leave, quietly; also when it was due before the loop blocks", function()
    local leave = "uv.new_timer():start(1, 0, function() os.exit(5, true) end) "
    for _, text in ipairs {
      "aq.sleep(100)",
      "local from = aq.now() while aq.now() - from < 0.01 do end aq.sleep(100)",
      "aq.await(function() end)",
      "pcall(aq.sleep, 100) aq.shield(aq.sleep, 0.001)",
    } do
      assert.same({ "", "", 5 }, { run(leave .. text) })
    end
    assert.same({ "", "", 5 }, { run [[
      local timer = uv.new_timer()
      aq.create_task(function()
        pcall(aq.sleep, 100)
        timer:close(function() os.exit(5, true) end)
      end)
      aq.sleep(0)
    ]] })
  end)

  test("a wait in a callback is an error that says so", function()
    local _, err, how = run [[
      uv.new_timer():start(1, 0, function() aq.sleep(1) end)
      aq.sleep(0.05)
    ]]
    assert.matches("cannot wait in a callback: no task is running here; create one", err, 1, true)
    assert.equal(1, how)
  end)

  test("cannot run, stop or close the loop", function()
    local out = run [[
      for _, name in ipairs { "run", "stop", "loop_close" } do print(pcall(uv[name])) end
    ]]
    assert.matches("^false\t[^\n]*uv.run: aqlua runs the loop\nfalse\t[^\n]*uv.stop: [^\n]*\n"
      .. "false\t[^\n]*uv.loop_close: [^\n]*\n$", out)
  end)

  test("walks over its own handles", function()
    assert.same({ "true\ttrue\n", "", 0 }, { run [[
      local timer, found, count = uv.new_timer(), false, 0
      uv.walk(function(handle)
        count = count + 1
        found = found or handle == timer
      end)
      print(found, count == 1)
    ]] })
  end)

  test("leaves Ctrl-C to us when it is through with a signal handle", function()
    local out, _, how = run [[
      local signal, q = uv.new_signal(), aq.Queue()
      signal:start("sigint", function() q:put_nowait "luv's" end)
      io.popen("kill -INT $PPID"):close()
      print(q:get())
      signal:stop()
      signal:close()
      aq.sleep(0.01)
      io.popen("sleep 0.1; kill -INT $PPID"):close()
      print(pcall(aq.sleep, 100))
    ]]
    assert.matches("^luv's\nfalse\tCancelledError: interrupted by SIGINT", out)
    assert.equal("signal 2", how)
  end)

  local LEFTOVERS = [[
    local server = uv.new_tcp()
    server:bind("127.0.0.1", 0)
    server:listen(5, function() end)
    local client = uv.new_tcp()
    client:connect("127.0.0.1", server:getsockname().port, function() end)
    uv.new_async(function() end)
    uv.spawn("sleep", { args = { "0.2" } }, function() end)
    uv.new_timer():start(5, 5, function() end)
    local closing = uv.new_timer()
    closing:start(1, 1, function() end)
    closing:close()
    uv.fs_stat("/tmp", function(err) print(err) end)
    uv.fs_scandir("/", function() end)
  ]]

  test("ends cleanly with handles and requests left open", function()
    assert.same({ "nil\n", "", 0 }, { run(LEFTOVERS) })
    assert.same({ "nil\n", "", 3 }, { run(LEFTOVERS .. " aq.sleep(0.01) os.exit(3, true)") })
    local _, err, how = run(LEFTOVERS .. " error 'broken'")
    assert.matches("broken", err, 1, true)
    assert.equal(1, how)
  end)

  test("ends cleanly, says valgrind", helper.within(60, function()
    local has_sanitizer = os.getenv "AQLUA_VARIANT" == "asan"
    if has_sanitizer or not os.execute "command -v valgrind >/dev/null" then
      return pending "needs valgrind, and no sanitizer"
    end
    local out, err, how = run(LEFTOVERS, "valgrind -q --error-exitcode=9 --leak-check=full")
    assert.same({ "nil\n", "", 0 }, { out, err, how })
  end))

  test("does not hang on a request that takes long", function()
    local _, err, how = run [[
      uv.new_work(function() require("luv").sleep(5000) end, function() end):queue()
      aq.sleep(0.01)
    ]]
    assert.same({ "", 0 }, { err, how })
  end)

  it("that is not there is not found, in the words of require", function()
    local out, err, how = helper.run_cli { "-e", "package.cpath = '/nowhere/?.so'",
                                           "-e", "print(pcall(require, 'luv'))" }
    assert.matches("^false\t[^\n]*module 'luv' not found:\n\tno file '/nowhere/luv.so'", out)
    assert.same({ "", 0 }, { err, how })
  end)
end)
