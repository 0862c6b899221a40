-- Operations of guest.h, for starve.c: with enough memory all of it works.
local aq = require "aqlua"

aq.create_task(function() end):await()
begin()

local function complete(name, what)
  aq.create_task(guest.complete, name, what)
end

complete("a", "value")
assert(guest.wait "a" == "value")
complete("b", "many")
assert(select("#", guest.wait "b") == 200)
complete("c", "error")
assert(not pcall(guest.wait, "c"))
assert(guest.wait("d", nil, "now with") == "now")
assert(not pcall(guest.wait, "e", 0.0001))
complete "f"
guest.wait("f", 0.0001, "not yet")

local tasks = {}
for i = 1, 10 do tasks[i] = aq.create_task(guest.wait, "t" .. i) end
aq.sleep(0)
for i = 1, 5 do guest.complete("t" .. i, "result") end
for i = 6, 10 do tasks[i]:cancel() end
aq.wait(tasks)
