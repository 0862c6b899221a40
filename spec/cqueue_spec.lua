-- Queues from C. What they do beside tasks is told in Lua, by a module that calls the C functions
-- one by one (spec/embed/from_c.c); what is about the end of a state, about memory and about wrong
-- calls, in a program of its own (spec/embed/cqueue.c).

local aq = require "aqlua"
local helper = require "spec.helper"

local compiler = os.getenv "CC" or "cc"

local PACKAGE = "$(for p in lua5.4 lua-5.4 lua54 lua; do "
  .. "pkg-config --exists \"$p >= 5.4 $p < 5.5\" && echo $p && break; done)"

local function compile(what)
  local path = os.tmpname()
  local command = "lua=%s; %s -std=c11 -Isrc -o %s $(pkg-config --cflags $lua libuv) %s 2>&1"
  command = command:format(PACKAGE, compiler, helper.quote(path), what)
  local pipe = assert(io.popen(command))
  local output = pipe:read "a"
  assert(pipe:close(), output)
  return path
end

local c, module

setup(function()
  module = compile "-shared -fPIC spec/embed/from_c.c"
  c = assert(package.loadlib(module, "luaopen_from_c"))()
end)

teardown(function() os.remove(module) end)

-- A log, and what writes the outcome of a wait of C's to it, as "name status" or "name value".
local function new_log()
  local log = {}
  function log.of(name)
    return function(status, _, value)
      table.insert(log, name .. " " .. (status == "ok" and tostring(value) or status))
    end
  end
  function log.task(name, fn, ...)
    return aq.create_task(function(...)
      local ok, value = pcall(fn, ...)
      table.insert(log, name .. " " .. (ok and tostring(value) or "raised"))
    end, ...)
  end
  return log
end

local function turns(n)
  for _ = 1, n or 5 do aq.sleep(0) end
end

describe("a value from C", function()
  it("is the same value in Lua, and comes back as it was", function()
    local q = aq.Queue()
    local h = c.hold(q)
    local values = { true, false, 7, 1.5, "text", "", "a\0b", math.mininteger, n = 9 }
    for i = 1, values.n do
      assert.same({ "ok", "nil" }, { c.put(h, values[i]) })
      local value = q:get_nowait()
      assert.equal(values[i], value)
      assert.equal(math.type(values[i]), math.type(value))
      q:put_nowait(value)
      assert.equal(values[i], select(3, c.get(h)))
    end
    c.put(h, nil)
    assert.is_nil(q:get_nowait())
  end)

  it("of any other kind is kept for C to pass on", function()
    local a, b = aq.Queue(), aq.Queue()
    local from, to = c.hold(a), c.hold(b)
    local values = { {}, print, coroutine.create(print), io.stdout, a }
    for _, value in ipairs(values) do
      a:put_nowait(value)
      assert.equal("ok", c.pass(from, to))
      collectgarbage()
      assert.equal(value, b:get_nowait())
    end
    a:put_nowait(values[1])
    assert.same({ "ok", "lua", values[1] }, { c.get(from) })
  end)

  it("is not kept longer than C wants it", function()
    local q = aq.Queue()
    local weak = setmetatable({ {} }, { __mode = "v" })
    q:put_nowait(weak[1])
    c.pass(c.hold(q), c.hold(aq.Queue()))
    collectgarbage()
    collectgarbage()
    assert.is_nil(weak[1])
  end)
end)

describe("a payload", function()
  local function count()
    collectgarbage()
    collectgarbage()
    local made, destroyed = c.payload_count()
    return made - destroyed
  end

  it("is found in its box, by its kind", function()
    local q = aq.Queue()
    local h = c.hold(q)
    assert.same({ "ok", "nil" }, { c.put(h, { payload = 5 }) })
    local box = q:get_nowait()
    assert.equal(5, c.open_crate(box))
    assert.matches("^crate ", tostring(box))
    assert.error_matches(function() c.open_barrel(box) end, "barrel expected, got crate")
    assert.error_matches(function() c.open_crate {} end, "crate expected, got table")
    assert.error_matches(function() c.open_crate(q) end, "crate expected, got Queue")
    assert.error_matches(function() c.open_crate() end, "crate expected, got no value")
  end)

  it("is destroyed when its box is collected, once", function()
    local before = count()
    local h = c.new(0)
    for i = 1, 10 do c.put(h, { payload = i }) end
    local box = c.to_lua(h):get_nowait()
    assert.equal(before + 10, count())
    getmetatable(box).__gc(box)
    getmetatable(box).__gc(box)
    assert.equal(before + 9, count())
    c.drop(h)
    assert.equal(before, count())
  end)

  it("leaves its box when C takes it, also one that a script still has", function()
    local before = count()
    local q = aq.Queue()
    local h, other = c.hold(q), c.new(0)
    c.put(h, { payload = 1 })
    local box = q:get_nowait()
    q:put_nowait(box)
    q:put_nowait(box)
    assert.equal("ok", c.pass(h, other))
    assert.error_matches(function() c.open_crate(box) end,
      "crate expected, got a payload that has been taken out")
    assert.equal(1, c.open_crate(c.to_lua(other):get_nowait()))
    assert.same({ "ok", "lua", box }, { c.get(h) })
    assert.equal(before, count())
  end)

  it("is the caller's after a put that failed", function()
    local before = count()
    local h = c.new(1)
    c.put(h, 1)
    assert.same({ "full", "payload" }, { c.put(h, { payload = 1 }) })
    c.shutdown(h)
    assert.same({ "shutdown", "payload" }, { c.put(h, { payload = 1 }) })
    assert.same({ "error", "payload" }, { c.put(c.hold(aq.PriorityQueue()), { payload = 1 }) })
    assert.equal(before, count())
  end)

  it("is destroyed on each way that a wait can end", function()
    local before = count()
    local h = c.new(1)
    local statuses = {}
    local function note(status, kind) table.insert(statuses, status .. " " .. kind) end
    c.put_wait(h, { payload = 1 }, nil, note) -- stored
    c.put_wait(h, { payload = 2 }, 0.01, note) -- times out
    c.cancel((c.put_wait(h, { payload = 3 }, nil, note)))
    local w = c.put_wait(h, { payload = 4 }, nil, note) -- cancelled with a slot
    aq.sleep(0.02)
    c.get(h)
    assert.equal("ok", c.cancel(w))
    c.put_wait(h, { payload = 5 }, nil, note) -- stored, and discarded
    c.put_wait(h, { payload = 6 }, nil, note) -- is shut down while it waits
    turns()
    c.shutdown(h, true)
    c.put_wait(h, { payload = 7 }, nil, note) -- finds it shut down
    turns()
    assert.same({ "ok nil", "timedout payload", "ok nil", "shutdown payload", "shutdown payload" },
      statuses)
    assert.equal(before, count())
  end)

  it("that a queue drops is destroyed", function()
    local before = count()
    for _, overflow in ipairs { "drop_oldest", "drop_newest" } do
      local q = aq.Queue { maxsize = 2, overflow = overflow }
      local h = c.hold(q)
      for i = 1, 5 do assert.same({ "ok", "nil" }, { c.put(h, { payload = i }) }) end
      assert.equal("userdata", type(c.put_wait(h, { payload = 6 }, nil, function() end)))
      turns()
      assert.equal(4, q:stats().dropped)
      assert.equal(before + 2, count())
      assert.equal(overflow == "drop_oldest" and 5 or 1, c.open_crate(q:get_nowait()))
    end
    assert.equal(before, count())
  end)
end)

describe("a queue that C holds", function()
  it("is one that C made", function()
    local h = c.new(3, "jobs")
    local q = c.to_lua(h)
    assert.equal("jobs", q:name())
    assert.equal(3, q:maxsize())
    assert.equal(0, c.to_lua(c.new(0)):maxsize())
    assert.equal("invalid", c.new(-1))
  end)

  it("is made whatever a script has put in the place of aq.Queue", function()
    local Queue = aq.Queue
    aq.Queue = nil
    local ok, h = pcall(c.new, 1)
    aq.Queue = Queue
    assert.is_true(ok and c.to_lua(h):maxsize() == 1)
  end)

  it("can be any of Lua's, and nothing else", function()
    for _, name in ipairs { "Queue", "LifoQueue", "PriorityQueue" } do
      local q = aq[name]()
      assert.equal(q, c.to_lua(c.hold(q)))
    end
    for _, other in ipairs { 1, "q", {}, aq.Event(), io.stdout } do
      assert.equal("invalid", c.hold(other))
    end
    assert.equal("invalid", c.hold(nil))
  end)

  it("lives until C drops it", function()
    local weak = setmetatable({}, { __mode = "k" })
    local h = c.new(0)
    weak[c.to_lua(h)] = true
    collectgarbage()
    assert.is_truthy(next(weak))
    c.drop(h)
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(weak))
  end)

  it("has the sizes and the states that Lua sees", function()
    local q = aq.Queue(2)
    local h = c.hold(q)
    assert.same({ 0, 2, false, true, false }, { c.look(h) })
    c.put(h, 1)
    assert.same({ 1, 2, false, false, false }, { c.look(h) })
    c.put_at(h, {})
    assert.same({ 2, 2, true, false, false }, { c.look(h) })
    assert.equal("ok", c.done(h))
    assert.equal("ok", c.done(h))
    assert.equal("over", c.done(h))
    assert.equal("ok", c.shutdown(h))
    assert.equal("shutdown", c.put_at(h, 1))
    assert.same({ 2, 2, true, false, true }, { c.look(h) })
    assert.equal("ok", c.shutdown(h, true))
    assert.same({ 0, 2, false, true, true }, { c.look(h) })
    assert.same({ "shutdown", "nil" }, { c.get(h) })
  end)

  it("lets a joiner go when C is done (J4)", function()
    local q = aq.Queue()
    local h = c.hold(q)
    local log = new_log()
    c.put(h, 1)
    local t = log.task("join", q.join, q)
    turns()
    assert.equal(0, #log)
    c.get(h)
    c.done(h)
    t:await()
    assert.same({ "join nil" }, { log[1] })
  end)

  it("answers without waiting", function()
    local h = c.new(1)
    assert.same({ "empty", "nil" }, { c.get(h) })
    assert.equal("ok", (c.put(h, 1)))
    assert.equal("full", (c.put(h, 2)))
    assert.equal("full", c.put_at(h, 2))
    assert.same({ "ok", "integer", 1 }, { c.get(h) })
  end)

  it("says that a priority queue cannot order an item, or that __lt has raised", function()
    local q = aq.PriorityQueue()
    local h = c.hold(q)
    assert.equal("error", (c.put(h, true)))
    assert.equal("ok", (c.put(h, 2)))
    assert.equal("ok", (c.put(h, 1)))
    assert.equal("error", (c.put(h, "text")))
    assert.equal(1, q:get_nowait())
    q:get_nowait()
    local Bad = { __lt = function() error "no" end }
    assert.equal("ok", c.put_at(h, setmetatable({}, Bad)))
    assert.equal("error", c.put_at(h, setmetatable({}, Bad)))
    assert.equal(1, q:qsize())
  end)

  it("is fed and emptied inside tasks and outside of them", function()
    local h, log = c.new(0), {}
    local f = aq.Future()
    f:add_done_callback(function()
      table.insert(log, (c.put(h, 1)))
      table.insert(log, (c.get(h)))
    end)
    f:set_result(1)
    turns()
    assert.same({ "ok", "ok" }, log)
  end)
end)

describe("a wait from C", function()
  it("ends in a turn, also if it could be done at once", function()
    local h, log = c.new(1), new_log()
    c.put_wait(h, 1, nil, log.of "put")
    c.get_wait(h, nil, log.of "get")
    assert.equal(0, #log)
    assert.same({ 1, 1, true, true, false }, { c.look(h) }) -- stored, and claimed
    turns()
    assert.same({ "put nil", "get 1" }, { log[1], log[2] })
  end)

  it("wakes a task as early as a task would", function()
    local q = aq.Queue()
    local h = c.hold(q)
    for _, put in ipairs { function() q:put(1) end, function() c.put(h, 1) end,
      function() c.put_wait(h, 1, nil, function() end) end } do
      local at
      local hops = 0
      local t = aq.create_task(function() q:get() at = hops end)
      turns(2)
      put()
      for _ = 1, 4 do
        aq.sleep(0)
        hops = hops + 1
      end
      t:await()
      assert.equal(0, at)
    end
  end)

  it("is in one order with those of tasks (Q7)", function()
    local q, log = aq.Queue(), new_log()
    local h = c.hold(q)
    for i = 1, 6 do
      if i % 2 == 0 then
        c.get_wait(h, nil, log.of("c" .. i))
      else
        log.task("t" .. i, q.get, q)
      end
      turns(1)
    end
    for i = 1, 6 do c.put(h, i) end
    turns()
    assert.same("t1 1,c2 2,t3 3,c4 4,t5 5,c6 6", table.concat(log, ","))
  end)

  it("puts in one order with tasks (Q12)", function()
    local q, log = aq.Queue(1), new_log()
    local h = c.hold(q)
    q:put(0)
    for i = 1, 6 do
      if i % 2 == 0 then
        c.put_wait(h, i, nil, log.of("c" .. i))
      else
        log.task("t" .. i, q.put, q, i)
      end
      turns(1)
    end
    local got = {}
    for i = 1, 7 do got[i] = q:get() end
    turns()
    assert.same("0,1,2,3,4,5,6", table.concat(got, ","))
    assert.same("t1 nil,c2 nil,t3 nil,c4 nil,t5 nil,c6 nil", table.concat(log, ","))
  end)

  it("ends at its deadline, and gives the item back", function()
    local h, log = c.new(1), new_log()
    local item
    local start = aq.now()
    c.get_wait(h, 0.5, log.of "get")
    aq.sleep(0.6)
    c.put(h, 1)
    c.put_wait(h, "text", 0.25, function(status, kind, value) item = { status, kind, value } end)
    c.put_wait(h, 2, 0, log.of "put")
    turns()
    assert.same({ "get timedout", "put timedout" }, { log[1], log[2] })
    aq.sleep(0.3)
    assert.same({ "timedout", "bytes", "text" }, item)
    assert.is_true(aq.now() - start > 0.85)
  end)

  it("with no time gets what comes before its turn is over", function()
    local h, log = c.new(1), new_log()
    c.get_wait(h, 0, log.of "get")
    c.put(h, 5)
    turns()
    assert.same({ "get 5" }, { log[1] })
  end)

  it("is told of a shutdown", function()
    local h, log = c.new(1), new_log()
    c.get_wait(h, nil, log.of "get")
    c.shutdown(h)
    c.get_wait(h, nil, log.of "late")
    c.put_wait(h, 1, nil, log.of "put")
    turns()
    assert.same("get shutdown,late shutdown,put shutdown", table.concat(log, ","))
  end)

  it("hands its ticket on when it is cancelled (X2, X5)", function()
    local q, log = aq.Queue(1), new_log()
    local h = c.hold(q)
    local w = c.get_wait(h, nil, log.of "c")
    log.task("t", q.get, q)
    turns(1)
    c.put(h, 1)
    assert.equal("ok", c.cancel(w))
    turns()
    assert.same({ "t 1" }, { log[1] })
    q:put(1)
    w = c.put_wait(h, 2, nil, log.of "c")
    log.task("p", q.put, q, 3)
    turns(1)
    assert.equal(1, q:get())
    assert.equal("ok", c.cancel(w))
    turns()
    assert.same({ "t 1", "p nil" }, { log[1], log[2] })
    assert.equal(3, q:get_nowait())
  end)

  it("that can be done at once can be cancelled if nothing has happened yet", function()
    local h, log = c.new(1), new_log()
    c.put(h, 1)
    local w = c.get_wait(h, nil, log.of "get")
    assert.equal("empty", (c.get(h)))
    assert.equal("ok", c.cancel(w))
    assert.same({ "ok", "integer", 1 }, { c.get(h) })
    w = c.put_wait(h, 2, nil, log.of "put")
    assert.equal("invalid", c.cancel(w))
    turns()
    assert.equal(0, #log)
    assert.same({ "ok", "integer", 2 }, { c.get(h) })
  end)

  it("cannot be cancelled twice, or after its end, or begun twice", function()
    local h, log = c.new(1), new_log()
    local w = c.get_wait(h, nil, log.of "get")
    assert.equal("busy", c.again(h, w))
    assert.equal("ok", c.cancel(w))
    assert.equal("invalid", c.cancel(w))
    c.put(h, 1)
    w = c.get_wait(h, nil, log.of "get")
    turns()
    assert.equal("invalid", c.cancel(w))
    assert.same({ "get 1" }, { log[1] })
  end)

  it("may begin the next from its callback", function()
    local h, sum = c.new(1), 0
    local function on_item(_, _, value)
      sum = sum + value
      c.get_wait(h, nil, on_item)
    end
    c.get_wait(h, nil, on_item)
    local function on_put(n)
      if n <= 10 then c.put_wait(h, n, nil, function() on_put(n + 1) end) end
    end
    on_put(1)
    turns(30)
    assert.equal(55, sum)
  end)

  it("in a priority queue is placed when it is woken, or gets its item back", function()
    local q, log = aq.PriorityQueue(1), new_log()
    local h = c.hold(q)
    q:put(5)
    c.put_wait(h, 3, nil, log.of "three")
    assert.equal(5, q:get())
    turns()
    assert.same({ "three nil" }, { log[1] })
    c.put_wait(h, "text", nil, log.of "text")
    assert.equal(3, q:get())
    turns()
    assert.equal("text nil", log[2])
    q = aq.PriorityQueue(2)
    h = c.hold(q)
    q:put(1)
    q:put(2)
    c.put_wait(h, "text", nil, log.of "bad")
    assert.equal(1, q:get())
    turns()
    assert.equal("bad error", log[3])
    q:put(3) -- the slot went on
  end)

  it("loses no wait while C drops the queue", function()
    local h, log = c.new(1), new_log()
    local q = c.to_lua(h)
    c.get_wait(h, nil, log.of "get")
    c.drop(h)
    collectgarbage()
    q:put(1)
    turns()
    assert.same({ "get 1" }, { log[1] })
  end)
end)

-- Tasks and waits of C's put, get, give up and are cancelled at random: each item that went in has
-- come out once, or is still there.
describe("tasks and C beside each other", function()
  local SEED = tonumber(os.getenv "AQLUA_SEED") or 1
  local CLASSES = { "Queue", "LifoQueue", "PriorityQueue" }

  local function new_scene(seed)
    math.randomseed(seed)
    local q = aq[CLASSES[math.random(3)]](math.random(0, 3))
    return { q = q, h = c.hold(q), put = {}, got = {}, open = {}, next = 0 }
  end

  local function new_item(scene)
    scene.next = scene.next + 1
    return scene.next
  end

  local function note(set, item)
    assert(not set[item], "twice: " .. tostring(item))
    set[item] = true
  end

  local function timeout() return math.random(3) == 1 and math.random(0, 3) / 100 or nil end

  local ACTS = {
    function(scene) -- C puts
      local item = new_item(scene)
      if c.put(scene.h, item) == "ok" then note(scene.put, item) end
    end,
    function(scene) -- C gets
      local status, _, item = c.get(scene.h)
      if status == "ok" then note(scene.got, item) end
    end,
    function(scene) -- C puts, and may wait
      local item, has_ended = new_item(scene), false
      local w = c.put_wait(scene.h, item, timeout(), function(status, _, value)
        has_ended = true
        if status == "ok" then note(scene.put, item) else assert(value == item) end
      end)
      table.insert(scene.open, function() -- too late for a put that was stored at once
        if c.cancel(w) == "invalid" and not has_ended then note(scene.put, item) end
      end)
    end,
    function(scene) -- C gets, and may wait
      local w = c.get_wait(scene.h, timeout(), function(status, _, value)
        if status == "ok" then note(scene.got, value) end
      end)
      table.insert(scene.open, function() c.cancel(w) end)
    end,
    function(scene) -- a task puts
      local item = new_item(scene)
      local t = aq.create_task(function(...)
        if pcall(scene.q.put, scene.q, item, ...) then note(scene.put, item) end
      end, timeout())
      table.insert(scene.open, function() t:cancel() end)
    end,
    function(scene) -- a task gets
      local t = aq.create_task(function(...)
        local ok, item = pcall(scene.q.get, scene.q, ...)
        if ok then note(scene.got, item) end
      end, timeout())
      table.insert(scene.open, function() t:cancel() end)
    end,
    function(scene) -- somebody is cancelled, soon after
      local n = #scene.open
      if n > 0 then table.remove(scene.open, math.random(math.max(1, n - 3), n))() end
    end,
    function() aq.sleep(0) end,
    function() aq.sleep(math.random(0, 2) / 100) end,
  }

  local function left_in(scene)
    local list = { n = 0 }
    if math.random(2) == 1 then
      c.shutdown(scene.h)
    else
      list = scene.q:shutdown(true)
    end
    turns()
    while true do
      local status, _, item = c.get(scene.h)
      if status ~= "ok" then return list end
      table.insert(list, item)
    end
  end

  it("lose no item, seed " .. SEED, helper.within(60, function()
    for seed = SEED, SEED + 99 do
      local scene = new_scene(seed)
      for _ = 1, 60 do ACTS[math.random(#ACTS)](scene) end
      for _, item in ipairs(left_in(scene)) do note(scene.got, item) end
      aq.sleep(0.1)
      assert.same(scene.put, scene.got, "seed " .. seed)
    end
  end))
end)

-- The random programs of model_spec.lua, with the calls that do not wait made by C.
describe("the model and C", function()
  local ERRORS = { full = "QueueFull", empty = "QueueEmpty", shutdown = "QueueShutDown" }
  local handles = setmetatable({}, { __mode = "k" })

  local function handle(q)
    if not handles[q] then handles[q] = c.hold(q) end
    return handles[q]
  end

  local function check(status) if status ~= "ok" then error(aq[ERRORS[status]], 0) end end

  -- While `body` runs. Queues that drop say what they have dropped, which C is not told.
  local function through_c(body)
    local undo = {}
    for _, name in ipairs { "Queue", "LifoQueue", "PriorityQueue" } do
      local methods = getmetatable(aq[name]()).__index
      local put_nowait, get_nowait = methods.put_nowait, methods.get_nowait
      function methods.put_nowait(q, item)
        if q:stats().overflow then return put_nowait(q, item) end
        check(c.put_at(handle(q), item))
      end
      function methods.get_nowait(q)
        local status, _, item = c.get(handle(q))
        check(status)
        return item
      end
      table.insert(undo, function()
        methods.put_nowait, methods.get_nowait = put_nowait, get_nowait
      end)
    end
    local ok, err = pcall(body)
    for _, fn in ipairs(undo) do fn() end
    assert(ok, err)
  end

  it("agree", helper.within(60, function()
    local model = require "spec.model.model"
    local compare = require "spec.model.compare"
    local generate = require "spec.model.generate"
    local seed = tonumber(os.getenv "AQLUA_SEED") or 1
    helper.reports_of(function()
      through_c(function()
        for _, name in ipairs(generate.names) do
          for s = seed, seed + 9 do
            local prog = generate.program(name, s)
            if compare.differ(aq, model, prog) then
              error(name .. "\n" .. compare.explain(aq, model, prog))
            end
          end
        end
      end)
    end)
  end))
end)

describe("queues from C,", function()
  local program

  setup(function()
    program = compile(("spec/embed/cqueue.c %s/libaqlua.a $(pkg-config --libs $lua libuv) "
      .. "-lm -lpthread -ldl"):format(helper.quote(helper.build)))
  end)
  teardown(function() os.remove(program) end)

  for test, what in pairs {
    null = "given NULL, say so",
    values = "given a value that is none, or of another state, say so",
    close = "end with their state, whatever is in flight",
    finalizer = "used by a finalizer of a state that is being closed, are closed",
    thread = "used by another thread, say so",
    callback = "report the error of a callback, which may have freed its wait",
    starve = "lose nothing when memory runs out, at each request in turn",
  } do
    it(what, function()
      local out, err, status = helper.run(("timeout 60 %s %s"):format(helper.quote(program), test))
      assert.same({ "fine\n", "", 0 }, { out, err, status })
    end)
  end
end)
