-- Operations of aqlua.h: a C function that waits, and somebody who completes it (EM4).
--
-- The functions `guest.*` of the scripts are in spec/embed/guest.h.

local embedder = require "spec.embedder"
local helper = require "spec.helper"

local HEAD = [[
  local aq = require "aqlua"
  local function try(...) return select(2, pcall(...)) end
  local function text_of(...)
    return (tostring(try(...)):gsub("^%S-:%d+: ", ""))
  end
  local function spawn(...)
    local task = aq.create_task(...)
    aq.sleep(0)
    return task
  end
]]

describe("an operation", function()
  local program
  local paths = {}

  setup(function() program = embedder.build "ops" end)

  teardown(function()
    os.remove(program)
    for _, path in ipairs(paths) do os.remove(path) end
  end)

  -- The script prints `expected`, and each of its operations is released once.
  local function check(script, expected, problem)
    local path = helper.write_file(HEAD .. script)
    table.insert(paths, path)
    local command = ("timeout -k 5 60 %s %s"):format(helper.quote(program), path)
    local out, err, status = helper.run(command)
    assert.matches(problem or "^$", err)
    assert.equal((expected:gsub("^%s+", ""):gsub("\n%s+", "\n")), out)
    assert.equal(0, status)
  end

  describe("goes on", function()
    it("at once, without a hop, if it is complete before the wait", function()
      check([[
        local turn = 0
        aq.create_task(function() turn = 1 end)
        print("none", guest.wait("a", nil, "now"))
        print(guest.wait("b", nil, "now with"))
        print(turn, guest.log())
      ]], [[
        none
        now
        0	a ok, b ok
      ]])
    end)

    it("a turn later when a task completes it", function()
      check([[
        local task = spawn(guest.wait, "a")
        print(guest.complete "a", task:done())
        aq.sleep(0)
        print(task:done(), guest.log(), guest.live())
      ]], [[
        1	false
        true	a ok	0
      ]])
    end)

    it("when a timer of libuv's completes it", function()
      check([[
        local task = spawn(guest.wait, "a", 10)
        guest.after("a", 1, "ticked")
        print(task:await())
      ]], "ticked\n")
    end)

    it("inside a coroutine of the program's", function()
      check([[
        aq.patch()
        local task = spawn(coroutine.wrap(function() return guest.wait "a" end))
        guest.complete("a", "value")
        print(task:await())
      ]], "value\n")
    end)

    it("into another operation, as often as it likes", function()
      check([[
        local task = spawn(guest.wait, "a", nil, "again")
        for i = 1, 3 do
          print(i, guest.complete("a", i == 2 and "dropped" or nil), task:done())
          aq.sleep(0)
        end
        print(task:done(), guest.log())
      ]], [[
        1	1	false
        2	1	false
        3	1	false
        true	a ok, a ok, a ok
      ]])
    end)

    it("with a budget used up, a turn later (Q20)", function()
      check([[
        aq.set_budget(2)
        local turns = 0
        local task = aq.create_task(function() for i = 1, 9 do turns = i aq.sleep(0) end end)
        for _ = 1, 6 do guest.wait("a", nil, "now") end
        print(turns)
      ]], "2\n")
    end)
  end)

  describe("is refused before anything is started", function()
    it("outside of a task", function()
      check([[
        local future = aq.Future()
        future:add_done_callback(function() print(text_of(guest.wait, "a"):match "[^:]+") end)
        future:set_result()
        aq.sleep(0) aq.sleep(0)
        print(guest.live())
      ]], [[
        cannot wait in a callback
        0
      ]])
    end)

    it("where the task cannot be suspended", function()
      check([[
        print(text_of(table.sort, { 2, 1 }, function() guest.wait "a" end))
        print(guest.live())
      ]], [[
        cannot wait here: inside table.sort, which cannot be suspended
        0
      ]])
    end)

    it("with a timeout that is none", function()
      check([[
        print(try(guest.wait, "a", "1"))
        print(try(guest.wait, "a", 0/0))
      ]], [[
        bad argument #2 to '?' (number of seconds expected, got string)
        bad argument #2 to '?' (number of seconds expected, got NaN)
      ]])
    end)
  end)

  describe("ends", function()
    it("at its deadline", function()
      check([[
        print(try(guest.wait, "a", 0.01) == aq.TimeoutError, guest.log())
        print(guest.live())
      ]], [[
        true	a abort: timeout, a timeout
        0
      ]])
    end)

    it("a turn later with a timeout of 0, if it is not complete by then (X10)", function()
      check([[
        local turn = 0
        local task = aq.create_task(function() while true do turn = turn + 1 aq.sleep(0) end end)
        print(try(guest.wait, "a", 0) == aq.TimeoutError, turn, guest.log())
        local other = aq.create_task(guest.wait, "b", 0)
        aq.create_task(guest.complete, "b", "in time")
        print(other:await())
        print(guest.wait("c", 0, "now with"))
      ]], [[
        true	1	a abort: timeout, a timeout
        in time
        now
      ]])
    end)

    it("when its task is cancelled, with the message of that", function()
      check([[
        local task = spawn(guest.wait, "a", 10)
        task:cancel "enough"
        aq.sleep(0)
        print(task:cancelled(), try(task.await, task).message, guest.log())
      ]], "true	enough	a abort: cancel, a cancel\n")
    end)

    it("as cancelled also if it is completed in the same turn (T8)", function()
      check([[
        local task = spawn(guest.wait, "a", 10)
        guest.complete("a", "value")
        task:cancel()
        aq.sleep(0)
        print(task:cancelled(), guest.log())
        local other = spawn(guest.wait, "b", 10)
        other:cancel()
        print(guest.complete("b", "value"))
        aq.sleep(0)
        print(other:cancelled(), guest.log())
      ]], [[
        true	a cancel
        -1
        true	b abort: cancel, b cancel
      ]])
    end)

    it("at once in a task that has seen its cancel (T13)", function()
      check([[
        local task = spawn(function()
          pcall(aq.sleep, 10)
          return guest.wait "a"
        end)
        task:cancel()
        aq.sleep(0) aq.sleep(0)
        print(task:cancelled(), guest.log())
      ]], "true	a abort: cancel, a cancel\n")
    end)

    it("in a deadlock, and is named in the report (O3)", function()
      check([[
        local err = try(guest.wait, "a")
        print(err == aq.DeadlockError, guest.log())
        print((err.message:match "Task%-1: (.-), for"))
      ]], [[
        true	a abort: deadlock, a deadlock
        visit on guest a
      ]])
    end)
  end)

  describe("whose abort says 'not yet'", function()
    it("goes on until it is completed, and succeeds; the cancel comes at the next wait", function()
      check([[
        local task = spawn(function()
          print(guest.wait("a", 10, "not yet"))
          print(try(aq.sleep, 0).message)
        end)
        task:cancel "enough"
        task:cancel "more"
        aq.sleep(0)
        print(task:done(), guest.log())
        print(guest.complete("a", "value"))
        task:await()
        print(guest.log())
      ]], [[
        false	a abort: cancel
        1
        value
        more
        a ok
      ]])
    end)

    it("does the same at a deadline, and is not asked again", function()
      check([[
        local task = spawn(guest.wait, "a", 0.001, "not yet")
        aq.sleep(0.01)
        task:cancel()
        aq.sleep(0)
        print(task:done(), guest.log())
        guest.complete("a", "value")
        aq.sleep(0)
        print(task:cancelled(), guest.log())
      ]], [[
        false	a abort: timeout
        true	a ok
      ]])
    end)

    it("does the same with a timeout of 0", function()
      check([[
        local task = spawn(guest.wait, "a", 0, "not yet")
        aq.sleep(0) aq.sleep(0)
        print(task:done(), guest.log())
        guest.complete("a", "value")
        print(task:await())
      ]], [[
        false	a abort: timeout
        value
      ]])
    end)

    it("may complete it in abort", function()
      check([[
        local task = spawn(function()
          print("none", guest.wait("a", 10, "completes"))
          print(try(aq.sleep, 0) == aq.CancelledError)
        end)
        task:cancel()
        task:await()
        print(guest.log())
        local other = aq.create_task(function()
          aq.current_task():cancel()
          print("none", guest.wait("b", 10, "completes"))
          print(try(aq.sleep, 0) == aq.CancelledError)
        end)
        other:await()
        print(guest.log())
        guest.wait("c", 0.001, "completes")
        guest.wait("d", 0, "completes")
        print(guest.log())
      ]], [[
        none
        true
        a abort: cancel, a ok
        none
        true
        b abort: cancel, b ok
        c abort: timeout, c ok, d abort: timeout, d ok
      ]])
    end)

    it("passes the cancel on to what is awaited next, as one not seen (T2)", function()
      check([[
        local child = aq.create_task(aq.sleep, 10)
        local task = spawn(function()
          guest.wait("a", 10, "not yet")
          child:await()
        end)
        task:cancel()
        guest.complete "a"
        aq.sleep(0) aq.sleep(0) aq.sleep(0)
        print(child:cancelled(), task:cancelled())
      ]], "true	true\n")
    end)
  end)

  it("may be completed by the abort of another", function()
    check([[
      local a = spawn(guest.wait, "a", 10)
      local b = spawn(guest.wait, "b", 10, "a")
      b:cancel()
      aq.sleep(0)
      print(a:done(), b:cancelled(), guest.log())
    ]], "true	true	b abort: cancel, a ok, b cancel\n")
  end)

  describe("completed with results", function()
    it("keeps them, also nils and many", function()
      check([[
        for _, what in ipairs { "none", "one", "nils", "many" } do
          local task = spawn(guest.wait, "a")
          print(guest.complete("a", what))
          collectgarbage()
          print(select("#", task:await()), (task:result()))
        end
        for _ = 1, 100 do
          local tasks = {}
          for i = 1, 20 do tasks[i] = spawn(guest.wait, "t" .. i) end
          for i = 20, 1, -1 do guest.complete("t" .. i, "result " .. i) end
          for i = 1, 20 do assert(tasks[i]:await() == "result " .. i) end
        end
      ]], [[
        1
        0	nil
        1
        1	one
        1
        3	nil
        1
        200	1
      ]])
    end)

    it("fails if making them fails", function()
      check([[
        local task = spawn(guest.wait, "a")
        print(guest.complete("a", "error"))
        print(select(2, pcall(task.await, task)))
        local other = spawn(guest.wait, "b")
        guest.complete("b", "nil error")
        print(pcall(other.await, other))
        print(guest.log())
      ]], [[
        1
        no results
        false	<no error object>
        a error, b error
      ]])
    end)
  end)

  it("completed twice: refused, and debug mode warns of it", function()
    check([[
      local task = spawn(guest.wait, "a")
      print(guest.complete("a", "first"), guest.complete("a", "second"))
      print(task:await())
    ]], [[
      1	-1
      first
    ]])
    check([[
      debug_on()
      local task = spawn(guest.wait, "a")
      guest.complete "a"
      guest.complete "a"
    ]], "", "completed twice, or after it was aborted: visit")
  end)

  describe("in a task that is closed by force", function()
    -- The stock function: nobody has called aq.patch().
    local CLOSE = [[
      local co
      local task = spawn(function()
        co = coroutine.running()
        guest.wait("a", nil, MODE)
      end)
      aq.on_error(function() end)
    ]]

    it("is asked to end, and discarded", function()
      check(CLOSE .. [[
        coroutine.close(co)
        print(guest.log(), guest.live())
      ]], "a abort: cancel, a discarded	0\n")
    end)

    it("is discarded if it is complete, with its results", function()
      check(CLOSE .. [[
        guest.complete("a", "value")
        coroutine.close(co)
        print(guest.log(), guest.live())
      ]], "a discarded	0\n")
    end)

    it("belongs to whom completes it if abort says 'not yet'", function()
      check("MODE = 'not yet'" .. CLOSE .. [[
        coroutine.close(co)
        print(guest.log(), guest.live())
        print(guest.complete("a", "value"), guest.log())
      ]], [[
        a abort: cancel	1
        0	a is mine
      ]])
    end)

    it("is discarded if its abort completes it", function()
      check("MODE = 'completes'" .. CLOSE .. [[
        coroutine.close(co)
        print(guest.log(), guest.live())
      ]], "a abort: cancel, a discarded	0\n")
    end)

    it("because its patience is used up", function()
      check([[
        aq.create_task(function()
          while true do pcall(guest.wait, "a") end
        end)
        aq.sleep(0)
      ]], "", "")
    end)
  end)

  describe("in a state that is closed", function()
    it("is asked to end, and discarded", function()
      check([[
        spawn(guest.wait, "a")
        spawn(guest.wait, "b", 10)
        guest.after("b", 1000)
        spawn(guest.wait, "c")
        guest.complete("c", "value")
        leave()
      ]], "closed: a abort: closed, a discarded, b abort: closed, b discarded, c discarded\n")
    end)

    it("belongs to whom completes it, after that, if abort says 'not yet'", function()
      check([[
        spawn(guest.wait, "a", nil, "not yet")
        leave()
      ]], "closed: a abort: closed\nlate: a is mine\n")
    end)

    it("may complete another in its abort", function()
      check([[
        spawn(guest.wait, "a", nil, "b")
        spawn(guest.wait, "b")
        spawn(guest.wait, "c", nil, "completes")
        leave()
      ]], "closed: a abort: closed, a discarded, b discarded, c abort: closed, c discarded\n")
    end)
  end)

  describe("as a branch of select", function()
    it("is done at once if it is ready", function()
      check([[
        local bell = guest.bell()
        guest.ring(bell, 2)
        print(aq.select { bell = guest.ringing(bell) })
        print(guest.log() == "")
        guest.ring(bell, 10)
        print(select("#", aq.select { bell = guest.ringing(bell) }))
        print((select(3, aq.select { bell = guest.ringing(bell) })))
      ]], "bell	1	nil\ntrue\n3\ntoo loud\n", "")
    end)

    it("is chosen when it is notified, and the others leave", function()
      check([[
        local bell, other, q = guest.bell(), guest.bell(), aq.Queue()
        local task = spawn(aq.select, { guest.ringing(bell), guest.ringing(other), q:getting() })
        print(guest.ring(bell))
        q:put "kept"
        print(task:await())
        print(q:qsize(), guest.ring(bell), guest.log())
      ]], [[
        1
        1	0	nil
        1	0	bell enter, bell enter, bell leave
      ]])
    end)

    it("leaves at a deadline, when another is chosen, and when its task is cancelled", function()
      check([[
        local bell, q = guest.bell(), aq.Queue()
        print(aq.select { bell = guest.ringing(bell), timeout = 0.001 })
        local task = spawn(aq.select, { guest.ringing(bell), q:getting() })
        q:put "value"
        print(task:await())
        task = spawn(aq.select, { guest.ringing(bell) })
        task:cancel()
        aq.sleep(0)
        print(guest.log())
        task = spawn(aq.select, { guest.ringing(bell) })
        guest.ring(bell)
        task:cancel()
        aq.sleep(0)
        print(guest.log())
      ]], [[
        timeout
        2	value	nil
        bell enter, bell leave, bell enter, bell leave, bell enter, bell leave
        bell enter, bell not heard
      ]])
    end)

    it("is named in a deadlock's report (O3)", function()
      check([[
        local err = try(aq.select, { guest.ringing(guest.bell()) })
        print((err.message:match "Task%-1: (.-) userdata"))
      ]], "select on ringing of\n")
    end)
  end)

  it("of one state may be completed by another", function()
    check([=[
      local task = spawn(guest.wait, "a", 10)
      guest.run [[
        local aq = require "aqlua"
        local task = aq.create_task(guest.wait, "b", 10)
        aq.sleep(0)
        print(guest.complete("a", "from the other"), guest.live())
        print(pcall(guest.wait, "c", 0.001))
        task:cancel()
      ]]
      print(guest.live(), task:await())
      print(guest.log())
    ]=], [[
      1	2
      false	TimeoutError: the time is up
      1	from the other
      c abort: timeout, c timeout, b abort: cancel, b cancel, a ok
    ]])
  end)

  it("leaves memory in order, whatever became of it", function()
    local why_not = embedder.why_no_valgrind()
    if why_not then return pending(why_not) end
    local _, err, status = helper.run(table.concat({ embedder.VALGRIND,
      helper.quote(program), table.unpack(paths) }, " "))
    assert.same({ nil, 0 }, { err:match "==%d+==[^\n]*", status })
  end)

  it("fails in order if memory runs out, at each request in turn", function()
    local starve <close> = setmetatable({ embedder.build "starve" }, {
      __close = function(self) os.remove(self[1]) end })
    for _, burst in ipairs { 0, 1 } do
      local out, err, status = helper.run(("timeout 60 %s spec/embed/operations.lua %d"):format(
        helper.quote(starve[1]), burst))
      assert.same({ "", 0 }, { err, status })
      assert.is_true(tonumber(out:match "^(%d+) runs\n$") > 20)
    end
  end)
end)
