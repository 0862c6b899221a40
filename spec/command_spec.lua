-- The command line beyond the basics of cli_spec: the stock interpreter's options and environment,
-- and input that nobody should have given.

local helper = require "spec.helper"

local run_cli, run_script, run = helper.run_cli, helper.run_script, helper.run
local quote = helper.quote
local aqlua = quote(helper.aqlua)

-- Runs with variables set: env("LUA_INIT='x = 1'", "-e 'print(x)'").
local function env(variables, arguments)
  return run(("env -u LUA_INIT -u LUA_INIT_5_4 %s %s %s"):format(variables, aqlua, arguments))
end

-- A directory with files; removed after fn(path).
local function with_directory(files, fn)
  local path = io.popen("mktemp -d"):read "l"
  for name, text in pairs(files) do
    local file = assert(io.open(path .. "/" .. name, "wb"))
    file:write(text)
    file:close()
  end
  local ok, err = pcall(fn, path)
  os.execute("rm -r " .. quote(path))
  if not ok then error(err, 0) end
end

-- The message for a bad command line, without the program's name.
local function complaint_of(program, arguments)
  local _, err, status = run(program .. " " .. arguments)
  return err:match "^[^\n]*: ([^:\n]*)\n", status
end

describe("options that the stock interpreter has", function()
  it("-l requires into a global, also under another name, and may wait", function()
    with_directory({ ["one.lua"] = "require('aqlua').sleep(0.001) return { n = ... }" },
      function(path)
        local set_path = ("LUA_PATH=%s"):format(quote(path .. "/?.lua"))
        assert.same({ "one\n", "", 0 }, { env(set_path, "-l one -e 'print(one.n)'") })
        assert.same({ "one\tnil\n", "", 0 },
          { env(set_path, "-lg=one -e 'print(g.n, rawget(_G, \"one\"))'") })
      end)
  end)

  it("-l of what is not there lists the tries; status 1", function()
    local out, err, status = run_cli { "-l", "no.such", "-e", "print 'x'" }
    assert.equal("", out)
    assert.matches("module 'no.such' not found:\n", err, 1, true)
    assert.matches("no file '[^\n]*no/such.lua'", err)
    assert.equal(1, status)
  end)

  it("-W turns warnings on from there; without it they are off", function()
    local chunk = "-e 'warn(\"a\", \"b\")'"
    assert.same({ "", "", 0 }, { run(aqlua .. " " .. chunk) })
    assert.same({ "", "Lua warning: ab\n", 0 }, { run(aqlua .. " -W " .. chunk) })
    assert.same({ "", "", 0 }, { run(aqlua .. " " .. chunk .. " -W") })
    assert.same({ "", "Lua warning: c\n", 0 },
      { run(aqlua .. " -e 'warn \"@on\" warn \"c\" warn \"@off\" warn \"d\"'") })
  end)

  it("-E ignores the environment", function()
    local out = env("LUA_INIT='x = 1' LUA_PATH=here LUA_CPATH=there AQLUA_DEBUG=1",
      "-E -e 'print(x, package.path == \"here\", package.cpath == \"there\") warn \"w\"'")
    assert.equal("nil\tfalse\tfalse\n", out)
  end)

  it("complains of a bad one in the stock interpreter's words", function()
    for _, arguments in ipairs { "-x", "--x", "-ix", "-vv", "-Wx", "-Ex", "-e", "-l", "-e -v" } do
      local ours, status = complaint_of(aqlua, arguments)
      local stock, stock_status = complaint_of("lua5.4", arguments)
      assert.equal(stock, ours)
      assert.equal(stock_status, status)
    end
  end)

  it("-i runs the script first, then lines, on plain streams", function()
    local path = helper.write_file "x = ... print 'script'"
    local out, err, status = run_cli({ "-i", path, "arg" }, "x\nreturn 1, nil\n= 'a'\n")
    os.remove(path)
    assert.equal("script\n", out:match "^[^\n]*\n")
    assert.matches('\n> "arg"\n> 1\tnil\n> "a"\n> \n$', out)
    assert.same({ "", 0 }, { err, status })
  end)

  it("-i after a script that fails: no prompt, status 1", function()
    local path = helper.write_file "error 'broken'"
    local out, err, status = run_cli({ "-i", path }, "print 'typed'\n")
    os.remove(path)
    assert.equal("", out)
    assert.matches("broken", err, 1, true)
    assert.equal(1, status)
  end)
end)

describe("the environment", function()
  it("LUA_INIT_5_4 goes before LUA_INIT; each is run before the options, and may wait", function()
    assert.same({ "1\n", "", 0 }, { env("LUA_INIT='x = 1'", "-e 'print(x)'") })
    assert.same({ "5\n", "", 0 }, { env("LUA_INIT='x = 1' LUA_INIT_5_4='x = 5'", "-e 'print(x)'") })
    assert.same({ "2\n", "", 0 },
      { env("LUA_INIT='require(\"aqlua\").sleep(0.001) x = 2'", "-e 'print(x)'") })
  end)

  it("LUA_INIT=@file runs a file", function()
    local path = helper.write_file "x = 'from the file'"
    local out = env("LUA_INIT=@" .. path, "-e 'print(x)'")
    os.remove(path)
    assert.equal("from the file\n", out)
  end)

  it("an error in it names it; status 1", function()
    local out, err, status = env("LUA_INIT='error \"broken\"'", "-e 'print(1)'")
    assert.equal("", out)
    assert.matches("LUA_INIT:1: broken", err, 1, true)
    assert.equal(1, status)
    out, err, status = env("LUA_INIT='x ='", "-e 'print(1)'")
    assert.equal("", out)
    assert.matches("^[^\n]*: LUA_INIT:1: unexpected symbol near <eof>\n$", err)
    assert.equal(1, status)
  end)

  it("the path variables are the stock interpreter's, and so are the defaults", function()
    for _, variables in ipairs { "", "LUA_PATH='a;;b'", "LUA_PATH_5_4='c;;' LUA_PATH=d",
                                 "LUA_CPATH='e;;'", "LUA_CPATH_5_4=f" } do
      local arguments = "-e 'print(package.path, package.cpath)'"
      local ours = env(variables, arguments)
      local stock = run(("env %s lua5.4 %s"):format(variables, arguments))
      assert.equal(stock, ours)
    end
  end)
end)

describe("--help and the man page", function()
  it("name the same options", function()
    local help = run_cli { "--help" }
    local file = assert(io.open "docs/aqlua.1")
    local options = file:read("a"):match "%.SH OPTIONS\n(.-)\n%.SH "
    file:close()
    local count = 0
    for line in options:gmatch "%.TP\n%.B[IR]? ([^\n]*)" do
      local option = line:gsub('"', ""):gsub("\\%-", "-"):gsub("  +", " ")
      assert.matches("\n  " .. option .. " ", help, 1, true)
      count = count + 1
    end
    assert.equal(count, select(2, help:gsub("\n  %-", "")))
  end)
end)

describe("a script that is", function()
  local bytecode = string.dump(load "print 'runs'")

  it("bytecode is refused, and the message says what permits it", function()
    local path = helper.write_file(bytecode)
    local out, err, status = run_cli { path }
    assert.equal("", out)
    assert.matches(path .. ": attempt to load a binary chunk", err, 1, true)
    assert.matches("--allow-bytecode", err, 1, true)
    assert.equal(1, select(2, err:gsub("\n", "")))
    assert.equal(1, status)
    assert.same({ "runs\n", "", 0 }, { run_cli { "--allow-bytecode", path } })
    os.remove(path)
    assert.equal(1, select(3, run_cli({}, bytecode)))
    assert.equal("runs\n", (run_cli({ "--allow-bytecode", "-" }, bytecode)))
  end)

  it("damaged bytecode does not crash unless it is asked for", function()
    for i = 1, #bytecode, 3 do
      local damaged = bytecode:sub(1, i) .. "\xFF" .. bytecode:sub(i + 2)
      local _, _, status = run_cli({}, damaged)
      assert.equal(1, status)
      if i > 60 then break end
    end
  end)

  it("unreadable: one line, status 1", function()
    local path = helper.write_file "print 'x'"
    os.execute("chmod 000 " .. quote(path))
    local file = io.open(path)
    local out, err, status = run_cli { path }
    os.remove(path)
    if file then return pending "needs not to be root" end
    assert.equal("", out)
    assert.matches("^[^\n]*: cannot open " .. path .. "[^\n]*\n$", err)
    assert.equal(1, status)
  end)

  it("binary rubbish: one line, status 1", function()
    for _, text in ipairs { "\0\0\0\0", "\xFF\xFE\xFD", "\x7FELF\2\1\1", ("\1"):rep(5000) } do
      local out, err, status = run_script(text)
      assert.equal("", out)
      assert.matches("^[^\n]+\n$", err)
      assert.equal(1, status)
    end
  end)

  it("50 MB long", helper.within(60, function()
    local parts = { "local n = 0\n" }
    for i = 2, 50 * 1024 do parts[i] = "n = n + 1 -- " .. ("x"):rep(1010) .. "\n" end
    parts[#parts + 1] = "print(n)\n"
    assert.same({ 50 * 1024 - 1 .. "\n", "", 0 }, { run_script(table.concat(parts)) })
  end))

  it("a stdin that is a directory: one line, status 1", function()
    local out, err, status = run(aqlua .. " </tmp")
    assert.equal("", out)
    assert.matches("^[^\n]+\n$", err)
    assert.equal(1, status)
  end)

  it("a pipe that is closed late", function()
    local out = run("{ echo 'print(1)'; sleep 0.1; echo 'print(2)'; } | " .. aqlua)
    assert.equal("1\n2\n", out)
  end)

  it("changed while it runs", function()
    local path = helper.write_file "local p = arg[0] io.open(p, 'w'):write 'x ='  print 'runs on'"
    local out, err, status = run_cli { path }
    os.remove(path)
    assert.same({ "runs on\n", "", 0 }, { out, err, status })
  end)
end)

describe("a program started", function()
  it("without any argument, not even its name, does not crash", function()
    if not os.execute "command -v perl >/dev/null" then return pending "needs perl" end
    local out, _, status = run(("perl -e 'exec { $ARGV[0] } (\"\")' %s </dev/null"):format(aqlua))
    assert.same({ "", 0 }, { out, status })
  end)

  it("with its streams closed keeps its own files out of their place", function()
    local out, _, status = run(aqlua
      .. [[ -e 'io.stderr:write "x" aq.sleep(0.01) print "fine"' 2>&- <&-]])
    assert.same({ "fine\n", 0 }, { out, status })
  end)

  it("that writes to a pipe nobody reads goes on, and ends quietly", function()
    local out, err = run(aqlua
      .. [[ -e 'for i = 1, 5000 do print(i) end io.stderr:write "end"' | head -n 1]])
    assert.same({ "1\n", "end" }, { out, err })
  end)

  it("that never stops writing to one is ended", function()
    local out, err, status = run("timeout 30 " .. aqlua
      .. " -e 'while true do print(1) end' | head -n 1")
    assert.same({ "1\n", "", 0 }, { out, err, status })
  end)
end)

describe("warnings", function()
  local SWALLOWS = [[
    local aq = require "aqlua"
    local t = aq.create_task(function()
      pcall(aq.sleep, 10)
      pcall(aq.sleep, 10)
    end)
    t:set_name "deaf"
    aq.sleep(0)
    t:cancel()
    aq.sleep(0.01)
    aq.create_task(aq.sleep, 100):set_name "forgotten"
    aq.sleep(0)
    local start = os.clock()
    repeat until os.clock() - start > 0.15
    aq.sleep(0)
  ]]

  local function warnings_of(prefix)
    local path = helper.write_file(SWALLOWS)
    local out, err, status = run(prefix .. " " .. path)
    os.remove(path)
    assert.same({ "", 0 }, { out, status })
    return (err:gsub(path, "script"))
  end

  it("of a long step, a swallowed cancel and a task left behind, with -W", function()
    local err = warnings_of(aqlua .. " -W")
    assert.matches("task 'deaf' swallowed its cancellation and waits again, at script:4", err, 1,
      true)
    assert.matches("Lua warning: task 'Task%-1' ran for 0%.%d+ s without waiting, "
      .. "from script:11 to script:14", err)
    assert.matches("Lua warning: a task was left behind, and is cancelled: forgotten: sleep", err,
      1, true)
  end)

  it("the same with AQLUA_DEBUG", function()
    assert.matches("without waiting", warnings_of("AQLUA_DEBUG=1 " .. aqlua), 1, true)
    assert.equal("", warnings_of("AQLUA_DEBUG=0 " .. aqlua))
    assert.equal("", warnings_of(aqlua))
  end)
end)

describe("colours", function()
  it("are not used where there is no terminal", function()
    local _, err = run("env -u NO_COLOR TERM=xterm " .. aqlua .. " -e 'error \"x\"'")
    assert.not_matches("\27", err, 1, true)
  end)

  it("are used on a terminal, unless NO_COLOR is set", function()
    if not os.execute "script -qec true /dev/null >/dev/null 2>&1" then
      return pending "needs script and a pseudo-terminal"
    end
    local function error_with(variables)
      local command = "env -u NO_COLOR TERM=xterm %s %s -e 'error 1'"
      return run("script -qec " .. quote(command:format(variables, aqlua)) .. " /dev/null")
    end
    assert.matches("\27[31m", error_with "", 1, true)
    assert.not_matches("\27", error_with "NO_COLOR=1", 1, true)
    assert.not_matches("\27", error_with "TERM=dumb", 1, true)
  end)
end)
