local fiber = require "fiber"
local q = fiber.channel(1)
fiber.create(function()
  q:put("hello")
end)
print(q:get())
os.exit(0)
