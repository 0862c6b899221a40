-- A sheet of SVG to draw on: text, boxes and paths. How they look is said once, in the style
-- sheet, for light and for dark pages. The ground is the sheet's own, because a page that shows
-- an image can be dark where the reader's browser asks for light.
local svg = {}
svg.__index = svg

local style = [[
  text { font: 12px system-ui, sans-serif; fill: #1f2328 }
  .small { font-size: 11px; fill: #59636e }
  .head { font-weight: 600 }
  .own { font-weight: 600; fill: #0a5bc4 }
  .left { text-anchor: end }
  .over { text-anchor: middle }
  .number { paint-order: stroke; stroke: #ffffff; stroke-width: 3 }
  .ground { fill: #ffffff }
  .bar { fill: #b4bcc5 }
  .bar.own { fill: #1f74d8 }
  .bar.hollow { fill: none; stroke: #87919c }
  .cut { stroke: #ffffff; stroke-width: 2 }
  .grid { stroke: #dfe3e8 }
  .limit { fill: #b3400a; stroke: none }
  path.limit { stroke: #b3400a; stroke-width: 1.5; stroke-dasharray: 4 2 }
  .curve { stroke: #1f74d8; stroke-width: 2 }
  .dot { fill: #1f74d8 }
  path { fill: none }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .small { fill: #9aa4af }
    .own { fill: #79b8ff }
    .number { stroke: #0d1117 }
    .ground { fill: #0d1117 }
    .bar { fill: #56606b }
    .bar.own { fill: #4493f8 }
    .bar.hollow { stroke: #7d8792 }
    .cut { stroke: #0d1117 }
    .grid { stroke: #2a313a }
    .limit { fill: #ff9b6a }
    path.limit { stroke: #ff9b6a }
    .curve { stroke: #4493f8 }
    .dot { fill: #4493f8 }
  }
]]

local entities = {["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;"}

local function escape(text)
  return (text:gsub("[&<>]", entities))
end

function svg.sheet(title)
  return setmetatable({title = escape(title)}, svg)
end

function svg:add(form, ...)
  self[#self + 1] = form:format(...)
end

function svg:text(x, y, class, text)
  self:add('<text x="%.1f" y="%.1f" class="%s">%s</text>', x, y, class, escape(text))
end

function svg:box(x, y, width, height, class)
  self:add('<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" class="%s"/>',
    x, y, width, height, class)
end

function svg:dot(x, y)
  self:add('<circle cx="%.1f" cy="%.1f" r="3" class="dot"/>', x, y)
end

-- A line through points {x, y}.
function svg:path(points, class)
  local words = {}
  for i, point in ipairs(points) do
    words[i] = ("%.1f,%.1f"):format(point[1], point[2])
  end
  self:add('<path d="M%s" class="%s"/>', table.concat(words, " L"), class)
end

function svg:finish(width, height)
  return table.concat({
    ('<svg xmlns="http://www.w3.org/2000/svg" role="img"'
      .. ' width="%d" height="%d" viewBox="0 0 %d %d">'):format(width, height, width, height),
    "<title>" .. self.title .. "</title>",
    "<style>\n" .. style .. "</style>",
    '<rect width="100%" height="100%" class="ground"/>',
    table.concat(self, "\n"),
    "</svg>",
  }, "\n") .. "\n"
end

return svg
