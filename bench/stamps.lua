-- The other process of latency.lua and latency.py: about every millisecond it writes the
-- monotonic clock's seconds, 8 bytes, to its output. How punctual it is does not matter.
local aq = require "aqlua"

io.stdout:setvbuf("no")
while true do
  aq.sleep(0.001)
  io.stdout:write(string.pack("<d", aq.now()))
end
