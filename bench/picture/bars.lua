-- bench/run's figures: a panel for each work, a bar for each system, the quickest first.
--
-- Every panel has the same scale, so that aqlua's bar is as long in all of them; what takes more
-- than `longest` times as much is cut off, and its number says how long it would be.
local lib = require "lib"
local svg = require "picture.svg"

local OWN, LIMIT, TICKETS = "aqlua", "C limit", "C limit with tickets"

local columns, margin, gap = 3, 16, 16
local names, unit, longest, numbers = 132, 32, 4, 40
local panel_width = names + unit * longest + numbers
local top, head, pitch, thick = 44, 50, 16, 11

-- From lines to panels: {work =, bars = sorted, limit = or nil}, in the order of the lines.
local function panels_of(lines)
  local panels = {}
  for _, line in ipairs(lines) do
    local panel = panels[line.work]
    if not panel then
      panel = {work = line.work, bars = {}}
      panels[line.work] = panel
      table.insert(panels, panel)
    end
    line.times = tonumber(line.times_aqlua)
    if line.system == LIMIT then
      panel.limit = line.times
    else
      table.insert(panel.bars, line)
    end
  end
  for _, panel in ipairs(panels) do
    table.sort(panel.bars, function(a, b)
      if a.times ~= b.times then
        return a.times < b.times
      end
      return a.system < b.system
    end)
  end
  return panels
end

local function length(times)
  return math.min(times, longest) * unit
end

local function draw_bar(sheet, bar, x, y)
  local own = bar.system == OWN and "own" or ""
  local right, bottom = x + length(bar.times), y + thick
  sheet:text(x - 6, bottom - 1.5, own .. " left", bar.system)
  sheet:box(x, y, right - x, thick, "bar " .. (bar.system == TICKETS and "hollow" or own))
  if bar.times > longest then
    sheet:path({{right - 9, bottom + 1}, {right - 5, y - 1}}, "cut")
  end
end

-- After the limit's line, which may pass where they stand.
local function draw_number(sheet, bar, x, y)
  local own = bar.system == OWN
  sheet:text(x + length(bar.times) + 5, y + thick - 1.5, own and "own number" or "small number",
    own and lib.figure(tonumber(bar.median)) or lib.figure(bar.times) .. "×")
end

local function draw_limit(sheet, times, x, y, height)
  local at = x + length(times)
  sheet:path({{at, y - 4}, {at, y + height}}, "limit")
  sheet:text(at, y - 7, "small limit over", ("limit %s×"):format(lib.figure(times)))
end

local function draw_panel(sheet, panel, left, y)
  local title, rest = panel.work:match("^(.-)[:,] (.*)$")
  sheet:text(left, y + 12, "head", title)
  sheet:text(left, y + 27, "small", rest)
  local x, first = left + names, y + head
  for i, bar in ipairs(panel.bars) do
    draw_bar(sheet, bar, x, first + (i - 1) * pitch)
  end
  if panel.limit then
    draw_limit(sheet, panel.limit, x, first, #panel.bars * pitch)
  end
  for i, bar in ipairs(panel.bars) do
    draw_number(sheet, bar, x, first + (i - 1) * pitch)
  end
end

return function(lines)
  local sheet = svg.sheet("Each work on aqlua and its peers: how many times what aqlua takes")
  sheet:text(margin, 24, "", "How many times what aqlua takes: shorter is quicker, or smaller. "
    .. "At aqlua's bar stands its own figure. Dashed: the C limit. Cut bars are longer.")
  local panels, y = panels_of(lines), top
  for i = 1, #panels, columns do
    local most = 0
    for column = 0, columns - 1 do
      local panel = panels[i + column]
      if panel then
        draw_panel(sheet, panel, margin + column * (panel_width + gap), y)
        most = math.max(most, #panel.bars)
      end
    end
    y = y + head + most * pitch + gap
  end
  return sheet:finish(2 * margin + columns * panel_width + (columns - 1) * gap, y)
end
