-- require, after aq.patch: the body of a module may wait.

local aq, internal = ...

local loading = {} -- name -> { task =, ended = Future }, for modules being loaded by a task
local wanted = {} -- task -> name of the module that it waits for

-- Whether the load of a module waits, through others, for what `task` is loading.
local function needs(name, task)
  while loading[name] do
    if loading[name].task == task then return true end
    name = wanted[loading[name].task]
    if name == nil then return false end
  end
  return false
end

-- Waits for the end of another task's load.
local function await_load(task, name)
  local forget <close> = internal.on_close(function() wanted[task] = nil end) -- luacheck: ignore
  wanted[task] = name
  aq.shield(loading[name].ended)
end

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
    if type(loader) == "string" or type(loader) == "number" then
      tries[#tries + 1] = "\n\t" .. loader
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

-- Called by the require that aq.patch puts in place, for a module that is not loaded. Results and
-- messages are the stock function's; errors are located at the caller of that require.
function internal.require(...)
  local name = ...
  if type(name) ~= "string" and type(name) ~= "number" then
    local got = select("#", ...) == 0 and "no value" or internal.type_name(name)
    error(("bad argument #1 to 'require' (string expected, got %s)"):format(got), 3)
  end
  name = tostring(name)
  local task = aq.current_task()
  while not package.loaded[name] and loading[name] do
    if not task or needs(name, task) then
      error(("module '%s' is being loaded already: it requires itself"):format(name), 3)
    end
    await_load(task, name)
  end
  if package.loaded[name] then return package.loaded[name] end
  local loader, extra = find_loader(name)
  if not loader then error(extra, 3) end
  if not task then return load_module(name, loader, extra) end
  return load_as(task, name, loader, extra)
end
