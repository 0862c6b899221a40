-- The pictures of docs/performance.md show what its tables say: both are made of docs/*.tsv.
--
-- $AQLUA is the command that draws, ./aqlua by default. Run from the root of the source tree.

local lib = dofile "bench/lib.lua"

local aqlua = os.getenv "AQLUA" or "./aqlua"

local function read_file(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

-- What bench/pictures.lua draws from a file of figures.
local function drawn(figures)
  local path = os.tmpname()
  lib.write(path .. ".tsv", read_file(figures))
  local ok = os.execute(("%s bench/pictures.lua %s.tsv"):format(aqlua, path))
  local picture = ok and read_file(path .. ".svg")
  for _, ending in ipairs {"", ".tsv", ".svg"} do
    os.remove(path .. ending)
  end
  return picture or error("bench/pictures.lua failed")
end

-- The text in a picture, a set.
local function texts(picture)
  local set = {}
  for text in picture:gmatch "<text[^>]*>([^<]*)</text>" do
    set[text] = true
  end
  return set
end

-- The rows of the page's tables, by what their first cell says; each a list of the other cells.
local function table_rows()
  local rows = {}
  for line in io.lines "docs/performance.md" do
    local title, rest = line:match "^| ([^|]-) |(.*)$"
    if title then
      rows[title] = {}
      for cell in rest:gmatch " ([^|]-) +|" do
        if cell ~= "-" and cell ~= "" then
          table.insert(rows[title], cell)
        end
      end
    end
  end
  return rows
end

-- Figures as the page has them: {row = {cell, ...}}.
local function rows_of(lines, title, cell)
  local rows = {}
  for _, line in ipairs(lines) do
    local row = title(line)
    rows[row] = rows[row] or {}
    table.insert(rows[row], cell(line))
  end
  return rows
end

local function assert_on_the_page(rows)
  local page = table_rows()
  for title, cells in pairs(rows) do
    assert.same(cells, page[title], title)
  end
end

describe("pictures:", function()
  for _, name in ipairs {"docs/performance", "docs/curves"} do
    it(name .. ".svg is what is drawn from its figures", function()
      assert.is_true(read_file(name .. ".svg") == drawn(name .. ".tsv"), "run make pictures")
    end)
  end

  it("the bars name every work and every system, and mark aqlua and the limit", function()
    local picture = drawn "docs/performance.tsv"
    local named = texts(picture)
    for _, line in ipairs(lib.read_tsv "docs/performance.tsv") do
      local title, rest = line.work:match "^(.-)[:,] (.*)$"
      assert.is_true(named[title] and named[rest], line.work)
      if line.system == "C limit" then
        assert.is_true(named[("limit %s×"):format(line.times_aqlua)], line.work)
      else
        assert.is_true(named[line.system], line.system)
      end
    end
    local _, marked = picture:gsub('class="bar own"', "")
    local _, panels = picture:gsub('class="head"', "")
    assert.equal(panels, marked)
  end)

  it("the curves have their names, and what there is more and more of", function()
    local named = texts(drawn "docs/curves.tsv")
    for _, line in ipairs(lib.read_tsv "docs/curves.tsv") do
      assert.is_true(named[line.operation], line.operation)
      assert.is_true(named["by " .. line.by], line.by)
    end
  end)
end)

describe("docs/performance.md has the figures of", function()
  it("docs/performance.tsv", function()
    assert_on_the_page(rows_of(lib.read_tsv "docs/performance.tsv", function(line)
      return line.work
    end, function(line)
      local cell = ("%s ±%s %%"):format(lib.figure(tonumber(line.median)), line.spread_percent)
      return line.system == "aqlua" and cell or ("%s (%s×)"):format(cell, line.times_aqlua)
    end))
  end)

  it("docs/curves.tsv", function()
    assert_on_the_page(rows_of(lib.read_tsv "docs/curves.tsv", function(line)
      return ("%s, by %s"):format(line.operation, line.by)
    end, function(line)
      return lib.figure(tonumber(line.ns))
    end))
  end)
end)
