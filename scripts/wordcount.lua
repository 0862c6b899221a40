-- Counts the words in files, or in its input: the main task reads, some workers count.
--
--   aqlua scripts/wordcount.lua [-n COUNT] [-w WORKERS] [FILE...]
--
-- A word is a run of the letters A-Z and a-z, lower-cased. The COUNT (10) most frequent ones are
-- printed. The queue is bounded: of a file of any size only a few blocks are in memory at once.
-- A file that cannot be read is named on stderr, the others are counted, and the status is 1.

local aq = require "aqlua"

local BLOCK_SIZE = 64 * 1024

local function complain(problem)
  io.stderr:write("wordcount: ", problem, "\n")
end

local function usage()
  io.stderr:write("usage: wordcount.lua [-n COUNT] [-w WORKERS] [FILE...]\n")
  os.exit(2)
end

-- Returns a table: n, w, and the names of the files; "-" is stdin.
local function parse_arguments(words)
  local options = { n = 10, w = 4 }
  local i = 1
  while i <= #words and words[i]:find("^%-.") do
    if words[i] == "--" then
      i = i + 1
      break
    end
    local letter, value = words[i]:match("^%-([nw])(.*)$")
    if value == "" then
      i = i + 1
      value = words[i]
    end
    local number = value and value:find("^%d+$") and math.tointeger(tonumber(value))
    if not number or letter == "w" and number == 0 then
      usage()
    end
    options[letter] = number
    i = i + 1
  end
  options.files = table.move(words, i, #words, 1, {})
  if #options.files == 0 then
    options.files[1] = "-"
  end
  return options
end

local function open(name)
  if name == "-" then
    return io.stdin
  end
  return io.open(name, "rb")
end

-- Sends a file in blocks that end between two words; returns what went wrong, if anything did.
-- Lines do not matter, so one without an end costs no memory; only a single word is kept whole.
-- file:read stops all tasks for its short while, which does no harm here: they have nothing else
-- to wait for.
local function send_file(name, blocks)
  local file <close>, problem = open(name)
  if not file then
    return problem
  end
  local pieces = {} -- of a word that goes on in the next block
  local block, reason = file:read(BLOCK_SIZE)
  while block do
    local whole, cut = block:match("^(.*[^A-Za-z])([A-Za-z]*)$")
    if whole then
      table.insert(pieces, whole)
      blocks:put(table.concat(pieces))
      pieces = { cut }
    else
      table.insert(pieces, block)
    end
    block, reason = file:read(BLOCK_SIZE)
  end
  blocks:put(table.concat(pieces))
  return reason and name .. ": " .. reason
end

local function producer(files, blocks)
  local status = 0
  for _, name in ipairs(files) do
    local problem = send_file(name, blocks)
    if problem then
      complain(problem)
      status = 1
    end
  end
  blocks:shutdown() -- ends the workers' loops once the queue is empty
  return status
end

-- All workers share the table: tasks change places only where one waits, never inside the loop
-- over the words. They take turns on one processor, so more of them do not make it faster.
local function worker(blocks, counts)
  for block in blocks:items() do
    for word in block:lower():gmatch("[a-z]+") do
      counts[word] = (counts[word] or 0) + 1
    end
  end
end

-- The n most frequent words, one per line; equally frequent ones in the order of the alphabet.
local function top(counts, n)
  local words = {}
  for word in pairs(counts) do
    table.insert(words, word)
  end
  table.sort(words, function(a, b)
    if counts[a] ~= counts[b] then
      return counts[a] > counts[b]
    end
    return a < b
  end)
  local lines = {}
  for i = 1, math.min(n, #words) do
    lines[i] = counts[words[i]] .. " " .. words[i] .. "\n"
  end
  return table.concat(lines)
end

local options = parse_arguments(arg)
local blocks = aq.Queue(2 * options.w)
local counts = {}
local status
do
  local group <close> = aq.TaskGroup() -- the end of the block waits for the workers
  for _ = 1, options.w do
    group:create_task(worker, blocks, counts)
  end
  status = producer(options.files, blocks)
end
io.stdout:setvbuf("no") -- so that write knows whether it worked (a disk may be full)
local written, reason = io.write(top(counts, options.n))
if not written then
  complain("stdout: " .. reason)
  status = 1
end
os.exit(status)

-- Output ($ aqlua scripts/wordcount.lua -n 4 spec/fixtures/boat.txt):
--   4 merrily
--   3 row
--   1 a
--   1 boat
