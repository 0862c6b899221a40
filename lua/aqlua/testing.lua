-- aqlua.testing: time and order under control. `require "aqlua.testing"`.

local aq, internal = ...

local testing = {}

-- Clocks and shuffles are in force one over another; `before` is what was in force under each. One
-- that is closed before those over it leaves that to the next.
local function take_off(stack, one, put_back)
  for i = #stack, 1, -1 do
    if rawequal(stack[i], one) then
      table.remove(stack, i)
      if stack[i] then stack[i].before = one.before else put_back(one.before) end
    end
  end
end

-- The virtual clock: stands still while any task is ready, then jumps to the next deadline.
local Clock = { __name = "Clock" }
Clock.__index = Clock

local clocks = {}

function Clock:close()
  take_off(clocks, self, internal.use_virtual_clock)
end
Clock.__close = Clock.close

function testing.clock()
  local clock = setmetatable({ before = internal.is_virtual_clock() }, Clock)
  internal.use_virtual_clock(true)
  clocks[#clocks + 1] = clock
  return clock
end

local settlers, settlings = 0, 0 -- tasks that are in settle now; how often all had settled

-- Waits until all other tasks wait for something, but those that are in here, too. The first to see
-- it releases all: what it does next must not hold up the others.
function testing.settle()
  local seen = settlings
  settlers = settlers + 1
  local leave <close> = internal.on_close(function() settlers = settlers - 1 end) -- luacheck: ignore
  repeat
    aq.sleep(0)
    if seen == settlings and internal.count_ready() < settlers then settlings = settlings + 1 end
  until seen ~= settlings
end

-- The ready tasks of each turn in a random order, so that a test shows what relies on theirs.
local Shuffle = { __name = "Shuffle" }
Shuffle.__index = Shuffle

local shuffles = {}

function Shuffle:close()
  take_off(shuffles, self, internal.shuffle)
end

-- At its end a block is still there and calls __close; an error has left it for a pcall. The error
-- itself does not tell: busted has made nil of it by then.
function Shuffle:__close()
  local is_at_end = internal.is_called_by_lua()
  self:close()
  if not is_at_end then
    io.stderr:write(("aqlua.testing: the order was shuffled with seed %d\n"):format(self.seed))
  end
end

local picked = 0

-- Another one each time. Not by math.random: what the program draws from it must not depend on
-- whether the seed was given.
local function pick_seed()
  picked = picked + 1
  return (os.time() * 1000000 + math.floor(os.clock() * 1000000) + picked) % 0x7fffffff + 1
end

-- The same seed gives the same order again; without one, one is picked. When its block is left by
-- an error, the seed is printed.
function testing.shuffle(seed)
  seed = seed or pick_seed()
  if math.type(seed) ~= "integer" or seed == 0 then
    error("bad argument #1 to 'shuffle' (integer other than 0 expected)", 2)
  end
  local shuffle = setmetatable({ seed = seed, before = internal.shuffle(seed) }, Shuffle)
  shuffles[#shuffles + 1] = shuffle
  return shuffle
end

return testing
