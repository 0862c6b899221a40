-- Every script in scripts/ prints what its comment says.
--
-- A script ends with its expected output: a heading, then the lines, each after "--   ".
--
--   -- Output:                                   exactly what "aqlua scripts/NAME" prints
--   -- Output ($ aqlua scripts/NAME ARGUMENTS):  the same, with these arguments
--   -- Output (... varies):                      one possible output; `checks` below judges it
--
-- $AQLUA is the command to test, ./aqlua by default. Run from the root of the source tree.

local system = require "system"

local aqlua = os.getenv("AQLUA") or "./aqlua"
local hang = 60 -- seconds until a script that does not end is killed, which gives status 124

local directory -- for temporary files; removed at the end

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function read_file(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("a")
  file:close()
  return text
end

-- Writes a temporary file and returns its path.
local function write_file(name, text)
  local path = directory .. "/" .. name
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
  return path
end

-- Runs a shell command; returns its stdout, stderr, status and the seconds it took.
local function run(command, input)
  local out, err = directory .. "/stdout", directory .. "/stderr"
  local start = system.monotime()
  local _, how, status = os.execute(
    ("{ %s\n} <%s >%s 2>%s"):format(command, quote(input or "/dev/null"), quote(out), quote(err))
  )
  local seconds = system.monotime() - start
  assert.equal("exit", how)
  return read_file(out), read_file(err), status, seconds
end

local function command_for(arguments)
  return ("timeout -k 5 %d %s %s"):format(hang, aqlua, arguments)
end

local function run_script(arguments, input)
  return run(command_for(arguments), input)
end

local function lines_of(text)
  local lines = {}
  for line in text:gmatch("([^\n]*)\n") do
    table.insert(lines, line)
  end
  return lines
end

-- The heading of a script's expected output, and that output; nil if it has none.
local function expected_output(path)
  local heading, lines
  for _, line in ipairs(lines_of(read_file(path))) do
    if line:find("^%-%- Output.*:$") then
      heading, lines = line, {}
    elseif lines then
      local text = line:match("^%-%-   (.*)$") or line:match("^%-%-()$") and ""
      if not text then
        return nil, path .. ": not a line of the expected output: " .. line
      end
      table.insert(lines, text .. "\n")
    end
  end
  if not lines or #lines == 0 then
    return nil, path .. ": no expected output"
  end
  return heading, table.concat(lines)
end

local function script_names()
  local names = {}
  for name in io.popen("ls scripts"):lines() do
    table.insert(names, name)
  end
  return names
end

-- Outputs that vary.
local checks = {}

checks["workers.lua"] = function(output)
  local lines = lines_of(output)
  local added, started, finished = 0, 0, 0 -- how many jobs
  local busy = {} -- the job of each worker
  local all_added = false

  for i = 1, #lines - 1 do
    local line = lines[i]
    local worker, action, job = line:match("^ %[Worker%-([012])%] (%a+) (Job%-%d)")
    if line == "[Producer] Added Job-" .. added then
      assert.is_false(all_added)
      added = added + 1
    elseif line == "--- All jobs added, waiting for workers ---" then
      assert.is_false(all_added)
      assert.equal(10, added)
      all_added = true
    elseif action == "Processing" then
      assert.equal((" [Worker-%s] Processing Job-%d..."):format(worker, started), line)
      assert.is_true(started < added, "processed before it was added: " .. line)
      assert.is_nil(busy[worker], "two jobs at a time: " .. line)
      started = started + 1
      busy[worker] = job
    elseif action == "Finished" then
      assert.equal((" [Worker-%s] Finished %s"):format(worker, busy[worker]), line)
      busy[worker] = nil
      finished = finished + 1
    else
      error("unexpected line: " .. line)
    end
  end

  assert.equal("--- All jobs finished ---", lines[#lines])
  assert.is_true(all_added)
  assert.same({ 10, 10 }, { started, finished })
end

-- What was begun is finished, and nothing is begun after the stop, for whatever reason.
checks["shutdown.lua"] = function(output, reason)
  local lines = lines_of(output)
  local running, begun, stopped = {}, 0, false
  for i = 1, #lines - 1 do
    local action, job = lines[i]:match("^(%a+) (%d+)$")
    job = tonumber(job)
    if action == "begin" then
      assert.is_false(stopped)
      begun = begun + 1
      assert.equal(begun, job)
      running[job] = true
    elseif action == "end" then
      assert.is_true(running[job])
      running[job] = nil
    else
      assert.matches("stop: " .. (reason or "job 5 has begun"), lines[i], 1, true)
      stopped = true
    end
  end
  assert.is_true(stopped)
  assert.is_nil(next(running))
  assert.matches("^never begun: [012]$", lines[#lines])
end

describe("scripts", function()
  setup(function()
    local pipe = io.popen("mktemp -d")
    directory = pipe:read("l")
    pipe:close()
  end)

  teardown(function()
    os.execute("rm -rf " .. quote(directory))
  end)

  for _, name in ipairs(script_names()) do
    local path = "scripts/" .. name

    it(name .. " prints what its comment says", function()
      local heading, expected = assert(expected_output(path))
      local arguments = heading:match("%(%$ aqlua (.*)%):$") or path
      local output, problem, status = run_script(arguments)

      if heading:find("varies") then
        local check = checks[name]
        assert.is_function(check, "the output varies, and nothing here checks it")
        check(expected)
        check(output)
      else
        assert.equal(expected, output)
      end
      if name ~= "deadlock.lua" then
        assert.equal("", problem)
        assert.equal(0, status)
      end
    end)
  end

  it("there are some", function()
    assert.is_true(#script_names() > 0)
  end)

  it("race.lua sleeps a hundred times, one after the other", function()
    local _, _, _, seconds = run_script("scripts/race.lua")
    assert.is_true(seconds >= 1.0, "took only " .. seconds .. " s")
  end)

  it("shutdown.lua ends in order on a signal", function()
    for signal, reason in pairs {
      TERM = "terminated by SIGTERM",
      INT = "interrupted by SIGINT",
    } do
      local file = directory .. "/lines"
      local output, problem, status = run(([[
        : >%s
        timeout -k 5 %d %s scripts/shutdown.lua 1000 >%s &
        until grep -q begin %s || ! kill -0 $!; do sleep 0.01; done
        kill -%s $!
        wait $!
        status=$?
        cat %s
        exit $status
      ]]):format(file, hang, aqlua, file, file, signal, file))
      assert.same({ "", 0 }, { problem, status })
      checks["shutdown.lua"](output, reason)
    end
  end)

  it("deadlock.lua ends with status 1 and a report of the put that waits", function()
    local waiting_line
    for i, line in ipairs(lines_of(read_file("scripts/deadlock.lua"))) do
      if line:find("^q:put") then
        waiting_line = i -- the last one
      end
    end
    local _, report, status = run_script("scripts/deadlock.lua")
    assert.equal(1, status)
    assert.matches("DeadlockError", report, 1, true)
    assert.matches("scripts/deadlock.lua:" .. waiting_line .. "%f[%D]", report)
    assert.matches("%f[%w]put%f[%W]", report)
  end)

  describe("wordcount.lua", function()
    local all = "-n 1000000" -- more words than any file here has

    local function wordcount(arguments, input)
      return run_script("scripts/wordcount.lua " .. arguments, input)
    end

    -- What the usual tools say. The words of one file do not run on into the next.
    local function reference(paths)
      local commands = {}
      for i, path in ipairs(paths) do
        commands[i] = "tr -cs 'A-Za-z' '\\n' <" .. quote(path) .. "; echo;"
      end
      local output, problem, status = run(
        "export LC_ALL=C; { " .. table.concat(commands, " ") .. " }"
          .. " | tr A-Z a-z | sed '/^$/d' | sort | uniq -c | sort -k1,1nr -k2,2"
          .. " | sed 's/^ *//'"
      )
      assert.same({ "", 0 }, { problem, status })
      return output
    end

    -- Compared by hand, since a failure should not print two long texts.
    local function assert_output(expected, output, problem, status)
      assert.equal("", problem)
      assert.equal(0, status)
      assert.is_true(output == expected, "differs from what tr, sort and uniq say")
    end

    local function assert_counts(paths, options)
      local quoted = {}
      for i, path in ipairs(paths) do
        quoted[i] = quote(path)
      end
      local arguments = (options or all) .. " " .. table.concat(quoted, " ")
      assert_output(reference(paths), wordcount(arguments))
    end

    -- Some text that is the same in every run: words of one to nine letters and `between` them.
    local function some_text(count, between)
      local state = 1
      local function random(n)
        state = (state * 1103515245 + 12345) % 0x80000000
        return (state >> 8) % n
      end
      local letters = "abcdeABCDE"
      local parts = {}
      for i = 1, count do
        local word = {}
        for j = 1, 1 + random(9) do
          local k = 1 + random(#letters)
          word[j] = letters:sub(k, k)
        end
        local k = 1 + random(#between)
        parts[i] = table.concat(word) .. between[k]
      end
      return table.concat(parts)
    end

    it("counts like tr, sort and uniq", function()
      assert_counts { write_file("text", some_text(5000, { " ", "\n", ", ", "-", "'", "1" })) }
    end)

    it("counts words that cross the ends of blocks", function()
      local text = some_text(60000, { " ", "\n" })
      assert.is_true(#text > 4 * 65536)
      assert_counts { write_file("many", text) }
      for shift = 0, 3 do -- a word that ends before, at and after the end of the first block
        local word = ("x"):rep(65534 + shift)
        assert_counts { write_file("edge", word .. " y " .. word .. "\ny") }
      end
    end)

    it("counts with any number of workers", function()
      local path = write_file("workers", some_text(60000, { " ", "\n" }))
      for _, workers in ipairs { 1, 2, 9, 100 } do
        assert_counts({ path }, all .. " -w " .. workers)
      end
    end)

    it("takes a line or a word of any length", function()
      assert_counts { write_file("line", some_text(100000, { " " })) }
      assert_counts { write_file("word", ("aB"):rep(200000) .. " end " .. ("aB"):rep(200000)) }
    end)

    it("takes a file without words or without anything", function()
      assert_counts { write_file("digits", ("0123456789\n"):rep(20000)) }
      assert_counts { write_file("newline", "\n") }
      assert_counts { write_file("empty", "") }
    end)

    it("takes a file without a newline at its end", function()
      assert_counts { write_file("no newline", "one two\nthree two") }
    end)

    it("takes lines that end in CR LF", function()
      assert_counts { write_file("crlf", some_text(2000, { " ", "\r\n" })) }
    end)

    it("takes binary junk", function()
      local bytes = {}
      for i = 0, 255 do
        bytes[i + 1] = string.char(i)
      end
      assert_counts { write_file("bytes", table.concat(bytes) .. "\0a\0b\0") }
      assert_counts { write_file("junk", some_text(60000, bytes)) }
      assert_counts { write_file("utf-8", "naïve café, Ærø ÀÉ\n") }
    end)

    it("takes several files, whose words do not run together", function()
      assert_counts {
        write_file("one", "foo ba"),
        write_file("two", "r foo"),
        write_file("it's", "ba"),
      }
    end)

    it("reads stdin when no file or - is named", function()
      local path = write_file("input", some_text(60000, { " ", "\n" }))
      local expected = reference { path }
      assert_output(expected, wordcount(all, path))
      assert_output(expected, wordcount(all .. " -", path))
      local pipe = "cat " .. quote(path) .. " | " .. command_for("scripts/wordcount.lua " .. all)
      assert_output(expected, run(pipe))
    end)

    it("prints ten words, or as many as -n says", function()
      local path = write_file("alphabet", "a b c d e f g h i j k l m c b c")
      local expected = lines_of(reference { path })
      local function first(n)
        return table.concat(expected, "\n", 1, n) .. "\n"
      end
      assert.equal(first(10), (wordcount(path)))
      assert.equal(first(2), (wordcount("-n 2 " .. path)))
      assert.equal(first(3), (wordcount("-n3 -- " .. path)))
      assert.equal("", (wordcount("-n 0 " .. path)))
    end)

    -- Two good files around a bad one: one line on stderr, the good ones counted, status 1.
    local function assert_complains(path, reason)
      local one, two = write_file("good one", "a b"), write_file("good two", "a")
      local output, problem, status = wordcount(
        table.concat({ quote(one), quote(path), quote(two) }, " ")
      )
      assert.equal("wordcount: " .. path .. ": " .. reason .. "\n", problem)
      assert.equal("2 a\n1 b\n", output)
      assert.equal(1, status)
    end

    it("complains about a missing file", function()
      assert_complains(directory .. "/missing", "No such file or directory")
    end)

    it("complains about a directory", function()
      assert_complains(directory, "Is a directory")
    end)

    it("complains about a file it may not read", function()
      local path = write_file("secret", "a")
      os.execute("chmod 000 " .. quote(path))
      if io.open(path) then
        return pending("root may read everything")
      end
      assert_complains(path, "Permission denied")
    end)

    it("complains about a file that fails while it is read", function()
      if not io.open("/proc/self/mem") then
        return pending("needs /proc")
      end
      assert_complains("/proc/self/mem", "Input/output error")
    end)

    it("complains about a full disk", function()
      if not io.open("/dev/full", "w") then
        return pending("needs /dev/full")
      end
      local path = write_file("text", "a b c")
      local _, problem, status = run_script("scripts/wordcount.lua " .. path .. " >/dev/full")
      assert.equal("wordcount: stdout: No space left on device\n", problem)
      assert.equal(1, status)
    end)

    it("prints a line on usage for bad options", function()
      local bad = { "-x", "-n", "-n x", "-n -1", "-n 1e3", "-w 0", "-w 1.5", "--help" }
      for _, arguments in ipairs(bad) do
        local output, problem, status = wordcount(arguments)
        assert.equal("", output)
        assert.matches("^usage: wordcount.lua [^\n]+\n$", problem)
        assert.equal(2, status)
      end
    end)
  end)
end)
