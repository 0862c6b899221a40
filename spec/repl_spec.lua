-- The prompt: on plain streams, and on a terminal.

local helper = require "spec.helper"
local terminal = require "spec.terminal"

local quote = helper.quote
local aqlua = quote(helper.aqlua)

---------------------------------------------------------------------------------------------------
-- Plain streams: one input to a line, the answers without the prompts

local function feed(input)
  local out, err, status = helper.run_cli({ "-i" }, input .. "\n")
  return out, err, status
end

-- What the last line of the input is answered with.
local function answer(input)
  local out = feed("_PROMPT = '\1' _PROMPT2 = ''\n" .. input)
  return (out:match "\1([^\1]*)\1\n$" or out):gsub("\n$", "")
end

describe("an input", function()
  it("that is an expression has its values printed, with tabs between them", function()
    assert.equal("3", answer "1 + 2")
    assert.equal("3", answer "= 1 + 2")
    assert.equal("3", answer "return 1 + 2")
    assert.equal("1\tnil\t\"a\"", answer "1, nil, 'a'")
    assert.equal("nil", answer "nil")
    assert.equal("", answer "(function() end)()")
  end)

  it("leaves its first value in _", function()
    assert.equal("12", answer "5 + 6, 0\n_ + 1")
    assert.equal("11", answer "5 + 6\n(function() end)()\n_")
  end)

  it("that is not complete is continued", function()
    assert.equal("2", answer "function f(x)\n\n  return x + 1\nend\nf(1)")
    assert.equal("{ 1, 2 }", answer "{\n1,\n2\n}")
    assert.equal('"a\\nb"', answer "[[a\nb]]")
  end)

  it("with a mistake is complained of, and the next one is read", function()
    local out, err, status = feed "x ="
    assert.equal("stdin:1: unexpected symbol near <eof>\n", err)
    assert.same({ "> ", 0 }, { out:match "\n(> )>> \n$" or out:match "(> )\n$", status })
    out, err, status = feed "1 +* 2\nerror 'broken'\nerror({})\nerror()\nprint 'goes on'"
    assert.matches("stdin:1: unexpected symbol near '1'", err, 1, true)
    assert.matches("goes on", out, 1, true)
    assert.matches("stdin:1: broken\nstack traceback:\n\t[C]: in function 'error'\n\t"
      .. "stdin:1: in main chunk\n", err, 1, true)
    assert.matches("(error object: {})", err, 1, true)
    assert.equal(0, status)
  end)

  it("may wait, and background tasks run meanwhile", function()
    assert.equal('"item"', answer [[
q = aq.Queue()
t = aq.create_task(function() aq.sleep(0.01) q:put "item" end)
q:get()]])
    assert.equal("true", answer "x = aq.current_task()\nx ~= aq.current_task()")
  end)

  it("that can never be woken is told so", function()
    local _, err, status = feed "aq.Queue { name = 'jobs' }:get()\nprint 'goes on'"
    assert.matches("^DeadlockError: nothing can ever wake the waiting tasks:\n"
      .. "  input: get on Queue 'jobs' [^\n]* at stdin:1\n", err)
    assert.not_matches("prompt", err, 1, true)
    assert.equal(0, status)
  end)

  it("whose background task fails: a report in the next turn; status 0 at the end", function()
    local out, err, status = feed [[
t = aq.create_task(function() error "broken" end)
aq.sleep(0.01)
print "goes on"]]
    assert.matches("goes on", out, 1, true)
    assert.matches("^aqlua: error in Task%-%d+, which nobody retrieved: stdin:1: broken\n", err)
    assert.equal(0, status)
  end)

  it("that retrieves an error in the turn after it gets no report", function()
    local _, err = feed "pcall(aq.gather, function() error 'a' end, function() aq.sleep(0.001) end)"
    assert.equal("", err)
  end)

  it("can read from the same stream", function()
    assert.equal('"this line"', answer "io.read()\nthis line\n_")
  end)

  it("can leave with a status", function()
    assert.equal(3, select(3, feed "os.exit(3)"))
    for _, text in ipairs {
      "os.exit(4, true)",
      "pcall(os.exit, 4, true) print 'never'",
      "table.sort({ 3, 2, 1 }, function() os.exit(4, true) end)",
      "aq.create_task(os.exit, 4, true) aq.sleep(100)",
      "aq.create_task(function() pcall(aq.sleep, 100) os.exit(4, true) end) aq.sleep(0)",
      "aq.on_error(function() os.exit(4, true) end) aq.create_task(error, 'x') aq.sleep(100)",
      "kept = setmetatable({}, { __gc = function() os.exit(4, true) end })",
    } do
      local out, err, status = feed(text)
      assert.same({ "", 4 }, { err, status })
      assert.not_matches("never", out, 1, true)
    end
  end)

  it("sees no new global but those that are documented", function()
    assert.equal("_ _PROMPT _PROMPT2 aq help queues tasks time", answer [[
0
(function()
  local names = {}
  local stock = "\n" .. io.popen("lua5.4 -e 'for k in pairs(_G) do print(k) end'"):read "a"
  for name in pairs(_G) do
    if not stock:find("\n" .. name .. "\n", 1, true) then names[#names + 1] = name end
  end
  table.sort(names)
  print(table.concat(names, " "))
end)()]])
  end)
end)

describe("values are printed", function()
  for input, expected in pairs {
    ["'a\"\\n\\t\\0\\127\\\\'"] = [["a\"\n\t\x00\x7F\\"]],
    ["'häß 日本'"] = '"häß 日本"',
    ["'\\xFF\\xC3(\\u{202E}\\xE6'"] = [["\xFF\xC3(\xE2\x80\xAE\xE6"]],
    ["'\\27[31m'"] = [["\x1B[31m"]],
    ["{}"] = "{}",
    ["{ b = 1, a = 2, [3] = 3, [1.5] = 4, [true] = 5, ['x y'] = 6, ['end'] = 7, 10 }"] =
      '{ 10, [1.5] = 4, [3] = 3, a = 2, b = 1, ["end"] = 7, ["x y"] = 6, [true] = 5 }',
    ["{ { { 1 } } }"] = "{ { { 1 } } }",
    ["(function() local t = { 1 } t.t = t return t end)()"] = "{ 1, t = <cycle> }",
    ["(function() local t = { 1 } return { t, t } end)()"] = "{ { 1 }, { 1 } }",
    ["{{{{{{{{1}}}}}}}}"] = "{ { { { { { {...} } } } } } }",
    ["1e15, 2^53, 0x10, -0.0, 1/0, -1/0, 0/0"] =
      "1e+15\t9.007199254741e+15\t16\t-0.0\tmath.huge\t-math.huge\t0/0",
    ["print, string.rep"] = "<function print>\t<function string.rep>",
    ["aq.sleep"] = "<function aq.sleep>",
    ["(function() end)"] = "<function at stdin:1>",
    ["setmetatable({ 1 }, { __name = 'Point' })"] = "Point { 1 }",
    ["setmetatable({}, { __tostring = function() return 'its own' end })"] = "its own",
    ["setmetatable({}, { __tostring = error })"] = "<its __tostring fails>",
    ["setmetatable({}, { __index = error, __pairs = error, __len = error })"] = "{}",
    ["aq.Queue { name = 'jobs', maxsize = 2 }"] =
      "Queue 'jobs' (size 0 of 2, 0 getting, 0 putting, 0 unfinished)",
    ["aq.TimeoutError"] = "TimeoutError: the time is up",
    ["('x'):rep(2000)"] = '"' .. ("x"):rep(1000) .. '"... (2000 bytes)',
  } do
    it(input:sub(1, 60), function() assert.equal(expected, answer(input)) end)
  end

  it("on several lines if they are long", function()
    assert.equal('{\n  "' .. ("a"):rep(40) .. '",\n  x = {\n    "' .. ("b"):rep(72)
      .. '"\n  },\n  y = 1\n}', answer "{ ('a'):rep(40), x = { ('b'):rep(72) }, y = 1 }")
  end)

  it("up to a limit", function()
    local text = answer "(function() local t = {} for i = 1, 1e6 do t[i] = i end return t end)()"
    assert.matches("  200,\n  ... 999800 more\n}$", text)
    text = answer "t = {} for i = 1, 100 do t[i] = { a = i, b = {} } end\n{ t, t, t, t, t, t }"
    assert.matches("more\n", text, 1, true)
    assert.is_true(#text < 60000)
  end)

  it("with who waits at an object of the library", function()
    local text = answer [[
q = aq.Queue()
t = aq.create_task(function() q:get() end)
t:set_name "the getter"
q]]
    assert.matches("^Queue 0x%x+ %(size 0, 1 getting[^\n]*\n"
      .. "  the getter: get, for 0%.%d s, at stdin:1$", text)
    text = answer [[
q = aq.Queue()
t = aq.create_task(function() aq.select { aq.Event():waiting(), q:getting(), q:getting() } end)
t:set_name "the getter"
q]]
    assert.matches("^Queue 0x%x+ %(size 0, 2 getting[^\n]*\n"
      .. "  the getter: select, for 0%.%d s, at stdin:1$", text)
  end)
end)

describe("the functions of the prompt", function()
  it("help() tells of itself, of calls, objects and modules, of functions", function()
    assert.matches("tasks()", answer "help()", 1, true)
    assert.equal("Queue:put(item, timeout)  (may wait)\n"
      .. "  Stores an item; waits while no slot is free. "
      .. "With an overflow it never waits.", answer "help(aq.Queue().put)")
    assert.matches("^Queue '?[^\n]*\n  Queue:put%(item, timeout%) ", answer "help(aq.Queue())")
    assert.matches("\n  aq.sleep%(seconds, result%) ", answer "help(aq)")
    assert.matches("^aq.sleep", answer "help 'aq.sleep'")
    assert.equal("<function print>", answer "help(print)")
    local path = helper.write_file "-- Adds two numbers.\n-- Really.\nfunction add(a, b, ...) end\n"
    assert.equal("<function add at " .. path .. ":3>(a, b, ...)\n  Adds two numbers.\n  Really.",
      answer("dofile '" .. path .. "'\nhelp(add)"))
    os.remove(path)
    assert.equal("nil", answer "help(nil)")
  end)

  it("help knows every function that is declared", function()
    local out = feed [[
for name, fn in pairs(aq) do if type(fn) == "function" then help(fn) end end
for name, fn in pairs(getmetatable(aq.Queue()).__index) do help(fn) end]]
    assert.matches("Queue:put(", out, 1, true)
    assert.not_matches("<function", out, 1, true)
  end)

  it("tasks() and queues() list what there is", function()
    assert.equal("no other task is there", answer "tasks()")
    assert.equal("no queue has been made", answer "queues()")
    assert.matches("^the getter  waiting  0%.%d s  stdin:1  get on Queue 'jobs'$", answer [[
q = aq.Queue { name = "jobs" }
t = aq.create_task(function() q:get() end)
t:set_name "the getter"
tasks()]])
    assert.matches("^a select  waiting  0%.%d s  stdin:%d  select on getting from Queue 'jobs', "
      .. "putting into Queue 'out', Event 0x%x+$", answer [[
jobs, out = aq.Queue { name = "jobs" }, aq.Queue { name = "out", maxsize = 1 }
out:put(1)
branches = { jobs:getting(), out:putting(2), aq.Event():waiting() }
t = aq.create_task(function() aq.select(branches) end)
t:set_name "a select"
tasks()]])
    assert.matches("Queue 'jobs' and 2 more$", answer [[
jobs = aq.Queue { name = "jobs" }
branches = {}
for i = 1, 10 do branches[i] = jobs:getting() end
t = aq.create_task(aq.select, branches)
tasks()]])
    assert.matches("^Queue 'a' [^\n]*\nLifoQueue 'b' [^\n]*$", answer [[
a, b = aq.Queue { name = "a" }, aq.LifoQueue { name = "b" }
queues()]])
    assert.equal("no queue has been made",
      answer "x = aq.Queue()\nx, _ = nil\ncollectgarbage()\nqueues()")
  end)

  it("time(f, ...) says how long it took, and returns what f returned", function()
    assert.matches("^0%.0[1-9]%d* s, 0%.0%d* s of them computing\n\"x\"$",
      answer "time(aq.sleep, 0.01, 'x')")
  end)
end)

describe("_PROMPT and _PROMPT2", function()
  it("may be anything with a __tostring", function()
    local out = feed [[
_PROMPT = setmetatable({}, { __tostring = function() return '? ' end })
(
1)]]
    assert.matches("> %? >> 1\n%? \n$", out)
  end)
end)

describe("docs/repl.md", function()
  it("shows a session that is like this", function()
    local file = assert(io.open "docs/repl.md")
    local session = file:read("a"):match "```text\n(.-)```"
    file:close()
    local input, expected = {}, session:gsub("> ([^\n]*)\n", "> ")
    for line in session:gmatch "> ([^\n]*)\n" do input[#input + 1] = line end
    local path = helper.write_file(table.concat(input, "\n") .. "\n")
    local out = helper.run(("%s -i 2>&1 <%s"):format(aqlua, path))
    os.remove(path)
    local function plain(text)
      return (text:gsub("0%.%d+ s", "0.0 s"):gsub("Task%-%d+", "Task-3"))
    end
    assert.equal(plain(expected .. "> \n"), plain(out:gsub("^[^\n]*\n", "")))
  end)
end)

---------------------------------------------------------------------------------------------------
-- A terminal

-- it(name, body) where body gets a terminal with the prompt on it.
local function on_terminal(name, body, command)
  it(name, helper.within(60, function()
    if not terminal.is_there then return pending "needs tmux and a pseudo-terminal" end
    local term <close> = terminal.open(command or aqlua)
    term:wait "\n> *$"
    body(term)
  end))
end

local TICKER = "aq.create_task(function() "
  .. "for i = 1, 1000 do aq.sleep(0.2) print('tick ' .. i) end end)"

describe("on a terminal", function()
  on_terminal("there is a banner, a prompt and an answer", function(term)
    term:enter "1 + 1"
    local screen = term:wait "\n2\n>$"
    assert.matches("^aqlua %d[^\n]*Lua 5.4[^\n]*\n[^\n]*Ctrl%-D leaves\n> 1 %+ 1\n2\n>$", screen)
  end)

  on_terminal("Ctrl-D leaves with status 0, and the terminal is as it was", function(term)
    term:key "C-d"
    term:wait "status 0\ncooked$"
  end)

  on_terminal("what tasks print appears above the half-typed line", function(term)
    term:enter(TICKER)
    term:type '"half'
    local screen = term:wait "tick 3\n> \"half$"
    assert.matches("\ntick 1\ntick 2\ntick 3\n> \"half$", screen)
    term:enter ' typed"'
    term:wait "> \"half typed\"\n\"half typed\"\n"
  end)

  on_terminal("what tasks write without a newline, to stderr, and in commands, too", function(term)
    term:enter [[t = aq.create_task(function() for i = 1, 3 do aq.sleep(0.2)
      io.write "no newline" io.stderr:write "err\n" os.execute "echo command" end end)]]
    term:key "Enter"
    term:type "1234"
    local screen = term:wait "no newlineerr\ncommand\n.*\nno newlineerr\ncommand\n> 1234$"
    assert.equal(1, select(2, screen:gsub("1234", "")))
  end)

  on_terminal("Ctrl-C drops the line, and what was begun", function(term)
    term:type "half a line"
    term:key "C-c"
    term:wait "half a line%^C\n>$"
    term:enter "x = {"
    term:wait "\n>>$"
    term:key "C-c"
    term:wait "%^C\n>$"
    term:enter "x"
    term:wait "> x\nnil\n>$"
  end)

  on_terminal("Ctrl-C cancels an input that waits, and nothing else", function(term)
    term:enter(TICKER)
    term:enter "aq.sleep(100)"
    term:wait "tick 2"
    term:key "C-c"
    term:wait "interrupted\n"
    term:enter "'goes on'"
    local screen = term:wait "goes on.*tick 5"
    assert.equal(1, select(2, screen:gsub("interrupted", "")))
  end)

  on_terminal("Ctrl-C stops an input that spins, also in a coroutine", function(term)
    term:enter "while true do end"
    os.execute "sleep 0.2"
    term:key "C-c"
    term:wait "interrupted\n>$"
    term:enter "coroutine.wrap(function() while true do end end)()"
    os.execute "sleep 0.2"
    term:key "C-c"
    term:wait "interrupted\n.*interrupted\n>$"
  end)

  on_terminal("Ctrl-C twice stops an input that catches everything", function(term)
    term:enter "while true do pcall(function() while true do end end) end"
    os.execute "sleep 0.2"
    term:key "C-c"
    os.execute "sleep 0.3"
    term:key "C-c"
    term:wait "interrupted\n>$"
    term:enter "while true do pcall(aq.sleep, 100) end"
    os.execute "sleep 0.2"
    term:key "C-c"
    os.execute "sleep 0.3"
    term:key "C-c"
    term:wait "interrupted\n.*interrupted\n>$"
  end)

  on_terminal("Ctrl-C stops a background task that spins; the line stays", function(term)
    term:enter "t = aq.create_task(function() aq.sleep(0.3) while true do end end)"
    term:type '"half'
    os.execute "sleep 0.6"
    term:key "C-c"
    os.execute "sleep 0.3"
    term:enter ' typed"'
    term:wait "\"half typed\"\n>$"
    term:enter "t"
    term:wait "Task 'Task%-%d+' %(cancelled%)\n>$"
  end)

  on_terminal("an error of a background task is shown above the line", function(term)
    term:enter "t = aq.create_task(function() aq.sleep(0.2) error 'broken' end)"
    term:type "half"
    term:wait "nobody retrieved: stdin:1: broken\nstack traceback:\n.*\n> half$"
  end)

  on_terminal("an empty line gives up an input that is not complete", function(term)
    term:enter "x = {"
    term:wait "\n>>$"
    term:key "Enter"
    term:wait "stdin:1: unexpected symbol near <eof>\n>$"
  end)

  on_terminal("the end of a local is hinted at, once", function(term)
    term:enter "local x = 1"
    term:wait "%(a local ends with its input[^\n]*%)\n>$"
    term:enter "local y = 1"
    term:enter "'end'"
    local screen = term:wait '"end"\n>$'
    assert.equal(1, select(2, screen:gsub("a local ends", "")))
  end)

  on_terminal("SIGTERM ends it, and the terminal is as it was", function(term)
    term:type "half"
    term:wait "> half$"
    os.execute(("pkill -TERM -P $(cat %s/pid)"):format(term.directory))
    term:wait "terminated by SIGTERM\n.*status 143\ncooked$"
  end)

  on_terminal("a crash leaves the terminal as it was", function(term)
    if os.getenv "AQLUA_VARIANT" == "asan" then return pending "needs no sanitizer" end
    term:type "half"
    term:wait "> half$"
    os.execute(("pkill -SEGV -P $(cat %s/pid)"):format(term.directory))
    term:wait "status 139\ncooked$"
  end)

  on_terminal("a long output is not cut", function(term)
    term:enter "for i = 1, 100000 do io.write(i, ' ') end print 'end'"
    term:wait "99999 100000 end\n>$"
  end)

  it("-i after a script: its tasks run on while the prompt waits", helper.within(60, function()
    if not terminal.is_there then return pending "needs tmux and a pseudo-terminal" end
    local path = helper.write_file [[
      local aq = require "aqlua"
      jobs = aq.Queue { name = "jobs" }
      aq.create_task(function() for job in jobs:items() do print("did " .. job) end end)
    ]]
    local term <close> = terminal.open(aqlua .. " -i " .. path)
    term:wait "\n>$"
    term:enter "jobs:put 'one'"
    term:wait "did one\n>$"
    os.remove(path)
  end))
end)

describe("without an editor", function()
  local command = "TERM=dumb " .. aqlua

  on_terminal("lines are plain, and all else is alike", function(term)
    term:enter "'plain'"
    term:wait "'plain'\n\"plain\"\n>$"
    term:enter "t = aq.create_task(function() aq.sleep(0.3) print 'background' end)"
    term:type '"half'
    term:wait "background\n>"
    term:enter ' typed"'
    term:wait "\n\"half typed\"\n>$"
    term:enter "aq.sleep(100)"
    os.execute "sleep 0.2"
    term:key "C-c"
    term:wait "interrupted\n>$"
    term:key "C-d"
    term:wait "status 0\ncooked$"
  end, command)
end)

local has_readline = os.execute "ldconfig -p 2>/dev/null | grep -q libreadline" == true

local function with_editor(name, body)
  if has_readline then return on_terminal(name, body) end
  it(name, function() pending "needs readline" end)
end

describe("the editor", function()
  with_editor("edits UTF-8", function(term)
    term:type '"häß日本"'
    term:key("Left", "BSpace", "Left", "BSpace")
    term:enter "X"
    term:wait '"häX日"\n>$'
  end)

  with_editor("completes globals, fields and methods", function(term)
    term:type "coll"
    term:key "Tab"
    term:wait "> collectgarbage$"
    term:key "C-c"
    term:type "string.forma"
    term:key "Tab"
    term:wait "> string.format$"
    term:key "C-c"
    term:enter "q = aq.Queue() abc = { def = { ghi = 1, jkl = print } }"
    term:type "q:put_n"
    term:key "Tab"
    term:wait "> q:put_nowait$"
    term:key "C-c"
    term:type "abc.def.g"
    term:key "Tab"
    term:wait "> abc.def.ghi$"
    term:key "C-c"
    term:type "abc.def:"
    term:key "Tab"
    term:wait "> abc.def:jkl$"
    term:key "C-c"
    term:type "for i = 1, 2 do retu"
    term:key "Tab"
    term:wait "> for i = 1, 2 do return$"
  end)

  with_editor("lists the candidates", function(term)
    term:type "aq.Queue"
    term:key("Tab", "Tab")
    term:wait "Queue +QueueEmpty +QueueFull +QueueShutDown\n> aq.Queue$"
  end)

  with_editor("completes the names of modules", function(term)
    term:enter "package.preload['my.module'] = print"
    term:type "require 'my.mo"
    term:key "Tab"
    term:wait "> require 'my.module$"
    term:key "C-c"
    term:type 'require("aqlua.testi'
    term:key "Tab"
    term:wait "> require%(\"aqlua.testing$"
  end)

  with_editor("calls nothing of the user's to complete", function(term)
    term:enter "t = setmetatable({}, { __index = function() called = true end, __pairs = print })"
    term:type "t.x"
    term:key("Tab", "Tab")
    term:key "C-c"
    term:type "t.x.y"
    term:key("Tab", "Tab")
    term:key "C-c"
    term:enter "called"
    term:wait "> called\nnil\n>$"
  end)

  with_editor("completes nothing in a string", function(term)
    term:type "'coll"
    term:key "Tab"
    term:type "'"
    term:key "Enter"
    term:wait '\n"coll"\n>$'
  end)

  with_editor("has a history, in a file that nobody else can read", function(term)
    term:enter "'first'"
    term:enter "'second'"
    term:enter "'second'"
    term:enter " 'secret'"
    term:enter "function f()"
    term:enter "  return [[\\n]]"
    term:enter "end"
    term:key("Up", "Up", "Up")
    term:wait "> 'first'$"
    term:key "C-c"
    term:key "Up"
    term:wait "> function f%(%)\n  return %[%[\\n%]%]\nend$"
    term:key "C-c"
    local path = term.home .. "/.local/state/aqlua/history"
    local file = assert(io.open(path))
    assert.equal("'first'\n'second'\nfunction f()\\n  return [[\\\\n]]\\nend\n", file:read "a")
    file:close()
    assert.equal("600 700", io.popen(("stat -c %%a %s %s"):format(path, term.home
      .. "/.local/state/aqlua")):read("a"):gsub("%s+", " "):gsub(" $", ""))
    local again <close> = terminal.open(aqlua, term.home)
    again:wait "\n>$"
    again:key("Up", "Up", "Up")
    again:wait "> 'first'$"
    again:key "C-c"
    again:key "C-r"
    again:type "secon"
    again:wait "'second'"
  end)

  local function big_function()
    local lines = { "function big(n)", "  local t = {}", "" }
    for i = 1, 46 do lines[#lines + 1] = ("  t[%d] = n * %d -- %s"):format(i, i, ("x"):rep(40)) end
    lines[#lines + 1] = "  return t[46]"
    lines[#lines + 1] = "end"
    return table.concat(lines, "\n")
  end

  with_editor("takes a paste of many lines as one input", function(term)
    term:paste(big_function())
    os.execute "sleep 0.5"
    term:key "Enter"
    term:enter "big(2)"
    term:wait "> big%(2%)\n92\n>$"
  end)

  with_editor("takes many lines at once, without a terminal that marks pastes", function(term)
    term:paste(big_function() .. "\n", true)
    os.execute "sleep 0.5"
    term:enter "big(2)"
    term:wait "> big%(2%)\n92\n>$"
  end)

  with_editor("takes a line of 5000 characters", function(term)
    term:paste("#'" .. ("x"):rep(5000) .. "'")
    os.execute "sleep 0.5"
    term:key "Enter"
    term:wait "\n5000\n>$"
  end)
end)
