-- The library in a C program: what it asks of the allocator, and what when that has no more.

local helper = require "spec.helper"
local embedder = require "spec.embedder"

-- How many requests the allocator gets while `body` runs, after it has run once to warm up.
local function requests(program, body)
  local script = os.tmpname()
  local file <close> = assert(io.open(script, "w"))
  file:write(([[
    local aq = require "aqlua"
    collectgarbage("stop")
    local function body(n) %s end
    body(1000)
    begin()
    body(100000)
    stop()
  ]]):format(body))
  file:close()
  local pipe = assert(io.popen(program .. " " .. script .. " 2>&1"))
  local output = pipe:read "a"
  pipe:close()
  os.remove(script)
  return output
end

describe("the allocator", function()
  local program

  setup(function() program = embedder.build "count" end)
  teardown(function() os.remove(program) end)

  it("is not asked by put and get of what the kernel holds", function()
    assert.equal("0\n", requests(program, [[
      q = q or aq.Queue(10)
      for i = 1, n do
        q:put(i) q:get()
        q:put(i + 0.5) q:get()
        q:put(true) q:get()
        q:put(nil) q:get()
      end
    ]]))
  end)

  it("is not asked by put and get of tables and strings", function()
    assert.equal("0\n", requests(program, [[
      q, item = q or aq.Queue(10), item or {}
      for i = 1, n do
        q:put(item) q:get()
        q:put_nowait("text") q:get_nowait()
      end
    ]]))
  end)

  it("is not asked by waiting, waking and switching, with a timeout or without", function()
    assert.equal("0\n", requests(program, [[
      if not q then
        q, back = aq.Queue(1), aq.Queue(1)
        aq.create_task(function() while true do back:put(q:get()) end end)
      end
      for i = 1, n do
        q:put(i) back:get(1)
      end
    ]]))
  end)

  it("is not asked by locks, semaphores, events and sleep(0)", function()
    assert.equal("0\n", requests(program, [[
      lock, semaphore, event = lock or aq.Lock(), semaphore or aq.Semaphore(2), event or aq.Event()
      event:set()
      for i = 1, n do
        lock:acquire() lock:release()
        semaphore:acquire() semaphore:release()
        event:wait() aq.sleep(0)
      end
    ]]))
  end)
end)

describe("memory that runs out", function()
  local program

  setup(function() program = embedder.build "starve" end)
  teardown(function() os.remove(program) end)

  -- The program has found everything in order, and has tried many ways to fail.
  local function survives(burst)
    local out, err, status = helper.run(("timeout 60 %s spec/embed/scenario.lua %d"):format(
      helper.quote(program), burst))
    assert.same({ "", 0 }, { err, status })
    assert.is_true(tonumber(out:match "^(%d+) runs\n$") > 200)
  end

  it("for good: each request in turn is the first to fail", function() survives(0) end)

  it("for a moment: one, three, ten requests in a row fail", function()
    for _, burst in ipairs { 1, 3, 10 } do survives(burst) end
  end)
end)

-- Programs that check what they do, and print "all is well" or what is not. Each is given a number:
-- of the requests to the allocator, the steps between those that fail.
for _, case in ipairs {
  { "tasks from C (EM3)", "ctask" },
  { "errors, classes and openers from C", "kinds" },
} do
  describe(case[1], function()
    local program

    setup(function() program = embedder.build(case[2], "-Wl,--wrap=malloc") end)
    teardown(function() os.remove(program) end)

    it("do what is written, and fail as is written", helper.within(60, function()
      local out, err, status = helper.run(helper.quote(program) .. " 5")
      assert.same({ "all is well\n", "", 0 }, { out, err, status })
    end))

    it("leave no memory behind, and touch no other", helper.within(120, function()
      local why = embedder.why_no_valgrind()
      if why then return pending(why) end
      local out, err, status = helper.run(("%s %s 100"):format(embedder.VALGRIND,
        helper.quote(program)))
      assert.same({ "all is well\n", "", 0 }, { out, err, status })
    end))
  end)
end
