-- aq.patch: lets waits pass through the user's coroutines and through require.

local aq, internal = ...

local loading = {} -- name -> { task =, ended = Future }, for modules being loaded by a task

-- What require says about a module that no searcher knows.
local function not_found(name, tries)
  return ("module '%s' not found:%s"):format(name, table.concat(tries))
end

-- The loader for a module and its extra argument, as package.searchers give them; else nil and
-- what is wrong.
local function find_loader(name)
  local searchers = package.searchers
  if type(searchers) ~= "table" then return nil, "'package.searchers' must be a table" end
  local tries = {}
  for _, search in ipairs(searchers) do
    local loader, extra = search(name)
    if type(loader) == "function" then return loader, extra end
    if type(loader) == "string" then
      tries[#tries + 1] = (loader:find("^\n") and "" or "\n\t") .. loader
    end
  end
  return nil, not_found(name, tries)
end

local function load_module(name, loader, extra)
  local value = loader(name, extra)
  if value ~= nil then package.loaded[name] = value end
  if package.loaded[name] == nil then package.loaded[name] = true end
  return package.loaded[name], extra
end

-- Loads a module as the running task, so that others that want it wait for this one load.
local function load_as(task, name, loader, extra)
  local entry = { task = task, ended = aq.Future() }
  local unmark <close> = setmetatable({}, { __close = function() -- luacheck: ignore
    loading[name] = nil
    entry.ended:set_result()
  end })
  loading[name] = entry
  return load_module(name, loader, extra)
end

-- require, with a module body that may wait. The same results and messages as the stock function.
local function require_module(name)
  if type(name) ~= "string" and type(name) ~= "number" then
    error(("bad argument #1 to 'require' (string expected, got %s)"):format(type(name)), 2)
  end
  name = tostring(name)
  local task = aq.current_task()
  while not package.loaded[name] and loading[name] do
    if loading[name].task == task or not task then
      error(("module '%s' is being loaded already: it requires itself"):format(name), 2)
    end
    aq.shield(loading[name].ended)
  end
  if package.loaded[name] then return package.loaded[name] end
  local loader, extra = find_loader(name)
  if not loader then error(extra, 2) end
  if not task then return load_module(name, loader, extra) end
  return load_as(task, name, loader, extra)
end

-- Done by `aqlua` in its own state. Under stock Lua it is the program's choice, since it replaces
-- global functions: coroutine.resume, wrap, yield, close and require.
function aq.patch()
  internal.patch_coroutine()
  _G.require = require_module
end
