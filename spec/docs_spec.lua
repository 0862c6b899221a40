-- The documentation says what is true.
--
--   * Each ```lua block in README.md and docs/ is a program that works. It is run by itself, with
--     `aq` defined, and prints exactly what its comments `--> text` say, in their order. One with
--     a `describe` is a spec: it is run by busted, and passes.
--   * Each ```c block with a main is the file of examples/ that the line before it links to;
--     spec/examples_spec.lua runs those.
--   * docs/reference.md has a heading for each public name, and for no other: between backquotes,
--     `aq.sleep(...)` or `q:put(...)`. lua/aqlua/meta.lua declares the same names. An entry with
--     a line "- Waits: ..." (other than "never") is @async there, and no other is.
--   * "Coming from asyncio" in docs/reference.md has every public name of asyncio, and every method
--     of its pages on tasks, queues and synchronisation.
--   * docs/embedding.md has a heading for each function of src/aqlua.h, and for no other.
--   * Rules (Q13) cited in docs/ and src/ are in docs/semantics.md; links lead somewhere; the map
--     in ARCHITECTURE.md names every source file and no other.
--
-- $AQLUA is the command to test.

local aq = require "aqlua"

local aqlua = os.getenv "AQLUA" or "./aqlua"
local hang = 60 -- seconds until an example that does not end is killed

local directory -- for temporary files; removed at the end

-- ---- helpers ------------------------------------------------------------------------------------

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function read_file(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("a")
  file:close()
  return text
end

local function write_file(name, text)
  local path = directory .. "/" .. name
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
  return path
end

-- Runs a shell command; returns its stdout, stderr and status.
local function run(command)
  local out, err = directory .. "/stdout", directory .. "/stderr"
  local _, how, status = os.execute(("{ %s\n} </dev/null >%s 2>%s")
    :format(command, quote(out), quote(err)))
  assert.equal("exit", how)
  return read_file(out), read_file(err), status
end

local function paths(command)
  local list = {}
  for path in io.popen(command):lines() do table.insert(list, path) end
  return list
end

local function sorted_keys(set)
  local keys = {}
  for key in pairs(set) do table.insert(keys, key) end
  table.sort(keys)
  return keys
end

-- What is in the one set and not in the other, as a sorted list.
local function difference(set, other)
  local rest = {}
  for key in pairs(set) do
    if not other[key] then rest[key] = true end
  end
  return sorted_keys(rest)
end

local pages = paths "ls README.md ARCHITECTURE.md CONTRIBUTING.md docs/*.md"

-- ---- examples -----------------------------------------------------------------------------------

-- The fenced blocks of a language: a list of {line =, text =, before =}: the number of the first
-- line inside, and the last line of text above.
local function blocks(path, language)
  local list, block, number, before = {}, nil, 0, ""
  for line in (read_file(path) .. "\n"):gmatch("([^\n]*)\n") do
    number = number + 1
    if block and line == "```" then
      block.text = table.concat(block, "\n") .. "\n"
      if block.language == language then table.insert(list, block) end
      block = nil
    elseif block then
      table.insert(block, line)
    elseif line:find("^```") then
      block = { language = line:sub(4), line = number + 1, before = before }
    elseif line ~= "" then
      before = line
    end
  end
  assert(block == nil, path .. ": a block does not end")
  return list
end

-- The output that an example's comments announce.
local function announced(text, pattern)
  local lines = {}
  for line in text:gmatch(pattern) do table.insert(lines, line .. "\n") end
  return table.concat(lines)
end

local function assert_runs(command, expected)
  local output, problem, status = run(command)
  assert.equal("", problem)
  assert.equal(expected, output)
  assert.equal(0, status)
end

local function assert_lua_runs(text)
  local path = write_file("example.lua", 'local aq = require "aqlua" ' .. text)
  assert_runs(("timeout -k 5 %d %s %s"):format(hang, aqlua, quote(path)),
    announced(text, "%-%->%s?([^\n]*)\n"))
end

-- A spec, in a process of its own; its output is in the form of TAP.
local function assert_spec_passes(text)
  local path = write_file("example_spec.lua", text)
  local busted = write_file("busted.lua", 'require "busted.runner" { standalone = false }')
  local output, problem, status = run(("timeout -k 5 %d %s %s --ignore-lua -o TAP %s"):format(
    hang, aqlua, quote(busted), quote(path)))
  assert.equal("", problem)
  assert.is_nil(output:match "not ok", output)
  assert.is_truthy(output:match "^ok 1 ", output)
  assert.equal(0, status)
end

describe("examples:", function()
  setup(function()
    directory = paths("mktemp -d")[1]
  end)

  teardown(function()
    os.execute("rm -rf " .. quote(directory))
  end)

  for _, path in ipairs(pages) do
    for _, block in ipairs(blocks(path, "lua")) do
      local check = block.text:find "describe%(" and assert_spec_passes or assert_lua_runs
      it(("%s:%d"):format(path, block.line), function() check(block.text) end)
    end
    for _, block in ipairs(blocks(path, "c")) do
      if block.text:find "int main%(" then
        it(("%s:%d"):format(path, block.line), function()
          local example = block.before:match "%((%.%./examples/[^)]+)%)"
          assert.is_string(example, "no link to its file in the line before")
          assert.equal(read_file("docs/" .. example), block.text)
        end)
      end
    end
  end
end)

-- ---- names in the code --------------------------------------------------------------------------

local testing = require "aqlua.testing"

local function task()
  local t = aq.create_task(function() end)
  t:await()
  return t
end

local function clock()
  local c = testing.clock()
  c:close()
  return c
end

local function shuffle()
  local s = testing.shuffle(1)
  s:close()
  return s
end

-- How the reference calls an object of each class, and how to get one.
local classes = {
  { "Task", "task", task },
  { "Future", "future", function() return aq.Future() end },
  { "Timeout", "deadline", function() return aq.timeout(1) end },
  { "TaskGroup", "group", function() return aq.TaskGroup() end },
  { "Queue", "q", function() return aq.Queue() end },
  { "LifoQueue", "q", function() return aq.LifoQueue() end },
  { "PriorityQueue", "q", function() return aq.PriorityQueue() end },
  { "Event", "event", function() return aq.Event() end },
  { "Lock", "lock", function() return aq.Lock() end },
  { "Semaphore", "sem", function() return aq.Semaphore(1) end },
  { "BoundedSemaphore", "sem", function() return aq.BoundedSemaphore(1) end },
  { "Condition", "cond", function() return aq.Condition() end },
  { "Barrier", "barrier", function() return aq.Barrier(1) end },
  { "Clock", "clock", clock },
  { "Shuffle", "shuffle", shuffle },
}

-- The method names of a class, or an empty set if the class is not there (yet).
local function methods_of(make)
  local ok, object = pcall(make)
  local names = {}
  if not ok then return names end
  local closed <close> = (getmetatable(object) or {}).__close and object or nil -- luacheck: ignore
  for name in pairs(getmetatable(object).__index) do
    if not name:find "^__" then names[name] = true end
  end
  return names
end

-- All public names, written as in the reference: "aq.sleep", "q:put", "testing.clock".
local function names_in_code()
  local names = {}
  for name in pairs(aq) do names["aq." .. name] = true end
  for name in pairs(testing) do names["testing." .. name] = true end
  for _, class in ipairs(classes) do
    for method in pairs(methods_of(class[3])) do names[class[2] .. ":" .. method] = true end
  end
  return names
end

-- ---- names in the reference ---------------------------------------------------------------------

-- name -> { waits = boolean }, of all headings "### `name...`".
local function names_in_reference()
  local names, entry = {}, nil
  for line in read_file("docs/reference.md"):gmatch "[^\n]+" do
    if line:find "^#" then
      entry = { waits = false }
      if line:find "^### " then
        for object, name in line:gmatch "`(%a+[.:])([%w_]+)" do names[object .. name] = entry end
      end
    elseif entry and line:find "^%- Waits: " and not line:find "^%- Waits: never" then
      entry.waits = true
    end
  end
  return names
end

-- ---- names in meta.lua --------------------------------------------------------------------------

-- The classes declared: name -> { parent =, is_async = { member -> boolean } }. Members are the
-- methods, and the fields of the module itself.
local function read_meta()
  local found, class, is_async = {}, nil, false
  for line in read_file("lua/aqlua/meta.lua"):gmatch "[^\n]*" do
    local name, parent = line:match "^%-%-%-@class aqlua%.?(%w*):?%s*a?q?l?u?a?%.?(%w*)"
    local field = line:match "^%-%-%-@field ([%w_]+)"
    local owner, member = line:match "^function (%w+)[.:]([%w_]+)"
    if name then
      class = name
      found[name] = { parent = parent, is_async = {} }
    elseif field then
      if class == "" then found[class].is_async[field] = false end
    elseif line:find "^%-%-%-@async" then
      is_async = true
    elseif member then
      local of = found[owner == "aq" and "" or owner]
      assert(of, "meta.lua: a method of an unknown class: " .. owner)
      of.is_async[member], is_async = is_async, false
    end
  end
  return found
end

-- name, as in the reference -> whether it is @async; a class has what its parent has.
local function names_in_meta()
  local found, names = read_meta(), {}
  local function add(prefix, class)
    if not class then return end
    if class.parent ~= "" then add(prefix, found[class.parent]) end
    for member, is_async in pairs(class.is_async) do names[prefix .. member] = is_async end
  end
  add("aq.", found[""])
  add("testing.", found.testing)
  for _, class in ipairs(classes) do add(class[2] .. ":", found[class[1]]) end
  return names
end

-- ---- the tests ----------------------------------------------------------------------------------

describe("docs/reference.md", function()
  it("has every public name", function()
    assert.same({}, difference(names_in_code(), names_in_reference()))
  end)

  it("has no name that does not exist", function()
    assert.same({}, difference(names_in_reference(), names_in_code()))
  end)

  it("is compared with every class there is", function()
    local known = {}
    for _, class in ipairs(classes) do known[class[1]] = true end
    for name, value in pairs(aq) do
      local is_class = name:find "^%u" and type(value) == "function"
      assert.is_true(not is_class or known[name], name .. " is not in the list in docs_spec.lua")
    end
  end)
end)

-- The public names of three pages of Python's documentation (3.14): asyncio-task, asyncio-queue,
-- asyncio-sync; and of asyncio-runner, asyncio-future and asyncio-exceptions what they build on.
-- Then the rest of asyncio.__all__, of all versions from 3.11 to 3.14 and all systems.
local asyncio = [[
  create_task TaskGroup cancel sleep gather eager_task_factory create_eager_task_factory shield
  timeout Timeout when reschedule expired timeout_at wait_for wait as_completed FIRST_COMPLETED
  FIRST_EXCEPTION ALL_COMPLETED to_thread run_coroutine_threadsafe current_task all_tasks
  iscoroutine Task done result exception add_done_callback remove_done_callback get_stack
  print_stack get_coro get_context get_name set_name cancelled uncancel cancelling
  Queue maxsize empty full get get_nowait join put put_nowait qsize shutdown task_done
  PriorityQueue LifoQueue QueueEmpty QueueFull QueueShutDown
  Lock acquire release locked Event set clear is_set Condition notify notify_all Semaphore
  BoundedSemaphore Barrier reset abort parties n_waiting broken BrokenBarrierError
  run Runner get_loop close Future set_result set_exception isfuture ensure_future wrap_future
  TimeoutError CancelledError InvalidStateError ExceptionGroup eager_start

  AbstractEventLoop AbstractEventLoopPolicy AbstractServer BaseEventLoop BaseProtocol BaseTransport
  BufferedProtocol DatagramProtocol DatagramTransport DefaultEventLoopPolicy EventLoop
  FrameCallGraphEntry FutureCallGraph Handle IncompleteReadError IocpProactor LimitOverrunError
  ProactorEventLoop Protocol ReadTransport SelectorEventLoop SendfileNotAvailableError Server
  StreamReader StreamReaderProtocol StreamWriter SubprocessProtocol SubprocessTransport TimerHandle
  Transport WindowsProactorEventLoopPolicy WindowsSelectorEventLoopPolicy WriteTransport
  capture_call_graph create_subprocess_exec create_subprocess_shell format_call_graph
  future_add_to_awaited_by future_discard_from_awaited_by get_event_loop get_event_loop_policy
  get_running_loop iscoroutinefunction new_event_loop open_connection open_unix_connection
  print_call_graph set_event_loop set_event_loop_policy start_server start_unix_server
  AbstractChildWatcher FastChildWatcher MultiLoopChildWatcher PidfdChildWatcher SafeChildWatcher
  ThreadedChildWatcher get_child_watcher set_child_watcher
]]

describe('"Coming from asyncio"', function()
  it("has every name", function()
    local section = read_file("docs/reference.md"):match "\n## Coming from asyncio\n(.-)\n## "
    local quoted, missing = {}, {}
    for row in section:gmatch "\n|([^|]+)|" do -- the first column
      for code in row:gmatch "`([^`]+)`" do
        for name in code:gmatch "[%a_]+" do quoted[name] = true end
      end
    end
    for name in asyncio:gmatch "%S+" do
      if not quoted[name] then missing[name] = true end
    end
    assert.same({}, sorted_keys(missing))
  end)
end)

describe("lua/aqlua/meta.lua", function()
  it("is Lua", function()
    assert.is_function(loadfile "lua/aqlua/meta.lua")
  end)

  it("says something of every function, for help()", function()
    local text, silent = false, {}
    for line in read_file("lua/aqlua/meta.lua"):gmatch "[^\n]*" do
      local name = line:match "^function ([%w_.:]+)"
      if name and not text then silent[name] = true end
      text = line:find "^%-%-%-" and (text or line:find "^%-%-%-[^@]") or false
    end
    assert.same({}, sorted_keys(silent))
  end)

  it("has every public name and no other", function()
    local code, meta = names_in_code(), {}
    for name in pairs(names_in_meta()) do meta[name] = true end
    assert.same({ missing = {}, extra = {} },
      { missing = difference(code, meta), extra = difference(meta, code) })
  end)

  it("says @async of exactly what may wait", function()
    local reference, wrong = names_in_reference(), {}
    for name, is_async in pairs(names_in_meta()) do
      if reference[name] and reference[name].waits ~= is_async then wrong[name] = true end
    end
    assert.same({}, sorted_keys(wrong))
  end)
end)

describe("docs/embedding.md", function()
  it("has every function of aqlua.h and no other", function()
    local header, page = {}, {}
    local text = read_file("src/aqlua.h") .. read_file("src/core/status.h")
    for name in text:gmatch "\nAQ_API[^;]-([%w_]+)%(" do header[name] = true end
    for line in read_file("docs/embedding.md"):gmatch "\n(### [^\n]*)" do
      for name in line:gmatch "[%s*]([%w_]+)%(" do page[name] = true end
    end
    assert.same({ missing = {}, extra = {} },
      { missing = difference(header, page), extra = difference(page, header) })
  end)
end)

describe("rules", function()
  local rule = "%f[%w][QVJSXTGHLKO]%d%d?%f[^%w]"

  it("that are cited are in docs/semantics.md", function()
    local known, unknown = {}, {}
    for number in read_file("docs/semantics.md"):gmatch "\n%- %*%*(%u%d+)%*%*" do
      known[number] = true
    end
    for _, path in ipairs(paths "ls docs/*.md; find src lua -name '*.[ch]' -o -name '*.lua'") do
      for number in read_file(path):gmatch(rule) do
        if not known[number] then unknown[number .. " in " .. path] = true end
      end
    end
    assert.same({}, sorted_keys(unknown))
  end)
end)

-- What a heading is called in a link.
local function anchor(heading)
  return (heading:lower():gsub("[^%w%s_-]", ""):gsub("%s", "-"))
end

local function anchors(path)
  local set = {}
  for heading in ("\n" .. read_file(path)):gmatch "\n#+ ([^\n]*)" do set[anchor(heading)] = true end
  return set
end

describe("links", function()
  for _, path in ipairs(pages) do
    it("in " .. path .. " lead somewhere", function()
      local folder = path:match "^(.*/)" or ""
      for target in read_file(path):gmatch "%]%(([^%s)]+)%)" do
        if not target:find "^https?:" then
          local name, fragment = target:match "^([^#]*)#?(.*)$"
          local file = name == "" and path or folder .. name
          assert.is_truthy(io.open(file), "no file for " .. target)
          assert.is_true(fragment == "" or anchors(file)[fragment], "no heading for " .. target)
        end
      end
    end)
  end
end)

describe("ARCHITECTURE.md", function()
  it("names every source file and no other", function()
    local real, named = {}, {}
    for _, path in ipairs(paths "find src lua -name '*.[ch]' -o -name '*.lua'") do
      real[path:match "[^/]+$"] = true
    end
    for name in read_file("ARCHITECTURE.md"):gmatch "([%w_]+%.[%w]+)%f[^%w]" do
      local stem, suffix = name:match "^(.*)%.(%w+)$"
      if suffix == "ch" then -- "task.ch": both
        named[stem .. ".c"], named[stem .. ".h"] = true, true
      elseif suffix == "c" or suffix == "h" or suffix == "lua" then
        named[name] = true
      end
    end
    assert.same({}, difference(real, named))
    local outside = "_test%.c$ _spec%.lua$ ^lua%.h$ ^uv%.h$ ^helper%.lua$ ^lua_sources%.c$"
    for _, name in ipairs(difference(named, real)) do
      local is_outside = false
      for pattern in outside:gmatch "%S+" do
        is_outside = is_outside or name:find(pattern) ~= nil
      end
      assert.is_true(is_outside, name .. " does not exist")
    end
  end)
end)
