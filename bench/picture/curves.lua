-- The figures of bench/curves.lua: a panel for what there is more and more of, a line for each
-- operation, its name at its end. Both axes are logarithmic and the same in all panels.
local lib = require "lib"
local svg = require "picture.svg"

local columns, margin, gap = 2, 16, 24
local ticks, plot_width, plot_height, names = 48, 212, 150, 190
local panel_width = ticks + plot_width + names
local top, head, foot, line_height = 44, 24, 20, 14

-- From lines to panels: {by =, curves = {{name =, points = {{size, ns}, ...}}, ...}}.
local function panels_of(lines)
  local panels = {}
  for _, line in ipairs(lines) do
    local panel = panels[line.by]
    if not panel then
      panel = {by = line.by, curves = {}}
      panels[line.by] = panel
      table.insert(panels, panel)
    end
    local curve = panel.curves[#panel.curves]
    if not curve or curve.name ~= line.operation then
      curve = {name = line.operation, points = {}}
      table.insert(panel.curves, curve)
    end
    table.insert(curve.points, {tonumber(line.size), tonumber(line.ns)})
  end
  return panels
end

-- The powers of ten that hold all figures of a column.
local function decades(lines, column)
  local low, high = math.huge, -math.huge
  for _, line in ipairs(lines) do
    local power = math.log(tonumber(line[column]), 10)
    low, high = math.min(low, power), math.max(high, power)
  end
  return math.floor(low + 1e-9), math.ceil(high - 1e-9)
end

-- A function from figures to places between `from` and `to`.
local function scale(low, high, from, to)
  return function(figure)
    return from + (math.log(figure, 10) - low) / (high - low) * (to - from)
  end
end

local function whole(figure)
  return (lib.figure(figure):gsub("%.0+$", ""))
end

local function draw_axes(sheet, area, sizes, times)
  for power = times[1], times[2] do
    local figure = 10 ^ power
    local y = area.y(figure)
    sheet:path({{area.left, y}, {area.right, y}}, "grid")
    sheet:text(area.left - 6, y + 4, "small left", whole(figure))
  end
  for power = sizes[1], sizes[2] do
    local figure = 10 ^ power
    local x = area.x(figure)
    sheet:path({{x, area.bottom}, {x, area.bottom + 4}}, "grid")
    if power % 2 == 0 then
      sheet:text(x, area.bottom + 17, "small over", whole(figure))
    end
  end
end

-- Names stand at the ends of their lines, moved up where the next lower one needs the room.
local function draw_names(sheet, curves, area)
  table.sort(curves, function(a, b)
    return a.points[#a.points][2] < b.points[#b.points][2]
  end)
  local free = math.huge
  for _, curve in ipairs(curves) do
    local last = curve.points[#curve.points]
    local y = math.min(area.y(last[2]) + 4, free)
    sheet:text(area.x(last[1]) + 8, y, "", curve.name)
    free = y - line_height
  end
end

local function draw_panel(sheet, panel, left, y, sizes, times)
  local area = {left = left + ticks, bottom = y + head + plot_height}
  area.right = area.left + plot_width
  area.x = scale(sizes[1], sizes[2], area.left, area.right)
  area.y = scale(times[1], times[2], area.bottom, y + head)
  sheet:text(left, y + 12, "head", "by " .. panel.by)
  draw_axes(sheet, area, sizes, times)
  for _, curve in ipairs(panel.curves) do
    local places = {}
    for i, point in ipairs(curve.points) do
      places[i] = {area.x(point[1]), area.y(point[2])}
      sheet:dot(places[i][1], places[i][2])
    end
    sheet:path(places, "curve")
  end
  draw_names(sheet, panel.curves, area)
end

return function(lines)
  local sheet = svg.sheet("Nanoseconds per operation on aqlua, by how much there is")
  sheet:text(margin, 24, "", "Nanoseconds per operation, by how much there is; both logarithmic. "
    .. "A level line costs as much in a crowd as alone.")
  local sizes, times = {decades(lines, "size")}, {decades(lines, "ns")}
  local height = head + plot_height + foot + gap
  local panels = panels_of(lines)
  for i, panel in ipairs(panels) do
    local column, row = (i - 1) % columns, (i - 1) // columns
    local left, y = margin + column * (panel_width + gap), top + row * height
    draw_panel(sheet, panel, left, y, sizes, times)
  end
  return sheet:finish(2 * margin + columns * panel_width + (columns - 1) * gap,
    top + (#panels + columns - 1) // columns * height)
end
