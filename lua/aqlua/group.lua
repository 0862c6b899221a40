-- aq.TaskGroup: tasks that end with a block.
--
--   do
--     local group <close> = aq.TaskGroup()
--     group:create_task(fn, ...)
--   end                              waits for all
--
-- The first failure cancels the other children and the body, and is raised at the end of the block
-- as it was thrown; later ones are listed by errors() and reported. The cancel of the body is the
-- group's own: it is taken back at the end, and only cancels of others go on (G9, G10).

local aq, internal = ...

local Group = { __name = "TaskGroup" }
Group.__index = Group

local function check_group(group, method)
  if getmetatable(group) ~= Group then
    internal.type_error(1, method, "TaskGroup", group, 3)
  end
end

-- Cancels the children; no new ones are taken.
local function abort(group)
  group.is_aborting = true
  for _, task in ipairs(group.order) do
    if group.children[task] then task:cancel() end
  end
end

local function note_failure(group, task, err)
  group.failures[#group.failures + 1] = { task = task, err = err }
end

-- Lets go of the children that have ended, once they are the greater part of the list.
local function trim(group)
  if #group.order < 2 * group.count + 16 then return end
  local order = {}
  for _, task in ipairs(group.order) do
    if group.children[task] then order[#order + 1] = task end
  end
  group.order = order
end

-- In the turn after a child's end.
local function on_done(group, task)
  group.children[task] = nil
  group.count = group.count - 1
  trim(group)
  if group.count == 0 and group.all_done and not group.all_done:done() then
    group.all_done:set_result()
  end
  if task:cancelled() or task:exception() == nil then return end
  note_failure(group, task, task:exception())
  if group.has_ended then return internal.report_error(task, task:exception()) end
  if group.is_aborting then return end
  abort(group)
  internal.expire(group.scope)
end

function Group:create_task(fn, ...)
  check_group(self, "create_task")
  if self.has_ended then error("create_task: the group has ended", 2) end
  if self.is_aborting then error("create_task: the group is being cancelled", 2) end
  if not internal.is_callable(fn) then
    internal.type_error(1, "create_task", "function", fn, 2)
  end
  local task = aq.create_task(fn, ...)
  self.children[task] = true
  self.order[#self.order + 1] = task
  self.count = self.count + 1
  task:add_done_callback(self.on_done)
  return task
end

-- Cancels the children and refuses new ones; the body runs on (G11).
function Group:cancel()
  check_group(self, "cancel")
  if not self.is_aborting and not self.has_ended then abort(self) end
end

function Group:errors()
  check_group(self, "errors")
  local list = {}
  for i, failure in ipairs(self.failures) do list[i] = failure.err end
  return list
end

-- Waits until no child is left. A cancel that comes first cancels the children; from then on the
-- wait is shielded. Returns that cancel.
local function await_children(group)
  local cancel
  while group.count > 0 do
    group.all_done = aq.Future()
    if group.is_aborting then
      local shield <close> = internal.shield() -- luacheck: ignore
      group.all_done:await()
    else
      local ok, err = pcall(group.all_done.await, group.all_done)
      if not ok and not group.is_aborting then
        cancel = err
        abort(group)
      end
    end
  end
  return cancel
end

-- All failures from the `first` on.
local function report_failures(group, first)
  for i = first, #group.failures do
    internal.report_error(group.failures[i].task, group.failures[i].err)
  end
end

function Group:__close(err)
  if self.has_ended then return end
  if err ~= nil and err ~= aq.CancelledError then note_failure(self, self.task, err) end
  if err ~= nil and not self.is_aborting then abort(self) end
  local has_waited, cancel = pcall(await_children, self)
  self.has_ended = true
  internal.leave(self.scope)
  if not has_waited then -- it may not wait where the block is left: the children end by themselves
    report_failures(self, 1)
    error(cancel, 0)
  end
  report_failures(self, 2)
  local first = self.failures[1]
  if first then
    internal.rearm_cancel()
    internal.raise_from(first.task, first.err)
  end
  if cancel ~= nil then error(cancel, 0) end
end

function Group:__tostring()
  return ("TaskGroup (%d running, %d failed)"):format(self.count, #self.failures)
end

function aq.TaskGroup(extra)
  internal.check_no_more(extra, 1, "TaskGroup",
    "the block is what follows; group:create_task(fn) runs a function")
  internal.check_task(2)
  local task = aq.current_task()
  local group = setmetatable({
    task = task, -- whose block it is
    scope = internal.cancel_scope(), -- the group's own cancel of that task
    children = {}, -- task -> true while it runs
    order = {}, -- the children as they were made
    count = 0,
    failures = {}, -- { task =, err = }, in order
    is_aborting = false,
    has_ended = false,
  }, Group)
  group.on_done = function(child) on_done(group, child) end
  return group
end
