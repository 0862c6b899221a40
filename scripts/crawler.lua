-- A crawler: pages are fetched, three at a time, and the links found on them lead to more pages.
-- The queue feeds itself. Each page is put once and marked done after its links were put, so join
-- returns when there is nothing left to find; then shutdown ends the map.
--
-- The queue has no bound: in a circle like this, all three could wait for room at the same time.

local aq = require "aqlua"

-- The site, in place of the network: the links of each page.
local site = {
  ["/"] = { "/news", "/shop", "/about" },
  ["/news"] = { "/", "/news/1", "/news/2" },
  ["/news/1"] = { "/news", "/shop" },
  ["/news/2"] = { "/news", "/lost" },
  ["/shop"] = { "/", "/shop/cart" },
  ["/shop/cart"] = { "/shop", "/" },
  ["/about"] = { "/" },
}

local fetching, most = 0, 0 -- pages at the same time

local function fetch(page)
  fetching = fetching + 1
  most = math.max(most, fetching)
  aq.sleep(0.02)
  fetching = fetching - 1
  return site[page]
end

local pages = aq.Queue()
local is_known = {} -- put into the queue already

local function add(page)
  if not is_known[page] then
    is_known[page] = true
    pages:put(page)
  end
end

local function visit(page)
  local links = fetch(page)
  for _, link in ipairs(links or {}) do
    add(link)
  end
  pages:task_done()
  return page .. ": " .. (links and #links .. " links" or "not found")
end

add("/")
aq.create_task(function()
  pages:join()
  pages:shutdown()
end)

local lines = aq.map(3, visit, pages) -- in the order in which the pages were put
print(table.concat(lines, "\n"))
print(lines.n .. " pages, at most " .. most .. " at the same time")

-- Output:
--   /: 3 links
--   /news: 3 links
--   /shop: 2 links
--   /about: 1 links
--   /news/1: 2 links
--   /news/2: 2 links
--   /shop/cart: 2 links
--   /lost: not found
--   8 pages, at most 3 at the same time
