-- Runs one program on two implementations and tells where their logs part; makes a program that
-- shows a difference as small as it can.

local program = require "spec.model.program"

local M = {}

-- The log of a program, and what does not add up in it: every item that was put has been got,
-- dropped, or is still there.
local function log_of(api, prog)
  local ok, log, tally = pcall(program.run, api, program.copy(prog))
  if not ok then return {"run raised " .. tostring(log)} end
  if tally.put ~= tally.got + tally.dropped + tally.left then
    table.insert(log, ("items lost: put %d, got %d, dropped %d, left %d"):format(
      tally.put, tally.got, tally.dropped, tally.left))
  end
  return log
end

M.log_of = log_of

-- The place of the first difference of two logs, or nil.
local function first_difference(a, b)
  for i = 1, math.max(#a, #b) do
    if a[i] ~= b[i] then return i end
  end
end

function M.differ(api, model, prog)
  local a, b = log_of(api, prog), log_of(model, prog)
  return first_difference(a, b) ~= nil or a[#a]:find "^items lost" ~= nil
end

---------------------------------------------------------------------------------------------------
-- Making it smaller: try to leave something out, keep what still differs, until nothing helps

-- Every list of operations in a program, the nested ones too.
local function each_list(prog, visit)
  local function walk(ops)
    visit(ops)
    for _, op in ipairs(ops) do
      for _, field in ipairs {"body", "handler", "cleanup"} do
        if op[field] then walk(op[field]) end
      end
    end
  end
  for _, ops in ipairs(prog.tasks) do walk(ops) end
end

-- Smaller programs, one after the other: without one operation, with a body in place of what is
-- around it, without a handler, clean-up or timeout.
local function variants(prog)
  local edits = {}
  local function edit(list, op, fn) table.insert(edits, {list = list, op = op, fn = fn}) end
  local list_number = 0
  each_list(prog, function(ops)
    list_number = list_number + 1
    for i, op in ipairs(ops) do
      edit(list_number, i, function(list) table.remove(list, i) end)
      if op.body then
        edit(list_number, i, function(list)
          local body = table.remove(list, i).body
          for k, inner in ipairs(body) do table.insert(list, i + k - 1, inner) end
        end)
      end
      for _, field in ipairs {"handler", "cleanup", "timeout", "again", "prio"} do
        if op[field] and not (field == "timeout" and op.body) then
          edit(list_number, i, function(list) list[i][field] = nil end)
        end
      end
    end
  end)
  return edits
end

local function apply(prog, edit)
  local new, list_number = program.copy(prog), 0
  local target
  each_list(new, function(ops)
    list_number = list_number + 1
    if list_number == edit.list then target = ops end
  end)
  edit.fn(target)
  return new
end

-- A task whose last op is gone stays, so that numbers keep their meaning; at the end of the list it
-- can go.
local function without_empty_tail(prog)
  local new = program.copy(prog)
  while #new.tasks > 1 and #new.tasks[#new.tasks] == 0 do table.remove(new.tasks) end
  new.initial = math.min(new.initial, #new.tasks)
  return new
end

-- A shield whose waits have lost their timeout could block for ever: do not go there.
local function may_block_for_ever(prog)
  local function walk(ops, shielded)
    for _, op in ipairs(ops) do
      local inside = shielded or op[1] == "shield"
      local spec = program.OPS[op[1]]
      if shielded and spec and spec.waits and not spec.ends and not op.timeout then return true end
      for _, field in ipairs {"body", "handler", "cleanup"} do
        if op[field] and walk(op[field], inside) then return true end
      end
    end
    return false
  end
  for _, ops in ipairs(prog.tasks) do
    if walk(ops, false) then return true end
  end
  return false
end

-- Greedy, with at most `trials` runs. still_fails(prog) -> boolean.
function M.shrink(prog, still_fails, trials)
  trials = trials or 3000
  local smaller
  repeat
    smaller = false
    for _, edit in ipairs(variants(prog)) do
      local candidate = without_empty_tail(apply(prog, edit))
      trials = trials - 1
      if trials < 0 then return prog end
      if not may_block_for_ever(candidate) and still_fails(candidate) then
        prog, smaller = candidate, true
        break
      end
    end
  until not smaller
  return prog
end

---------------------------------------------------------------------------------------------------
-- Telling about it

local function side_by_side(a, b)
  local lines = {("    %-48s %s"):format("library", "model")}
  local first = first_difference(a, b) or #a
  for i = 1, math.min(first + 2, math.max(#a, #b)) do
    local mark = a[i] == b[i] and " " or "*"
    table.insert(lines, ("  %s %-48s %s"):format(mark, a[i] or "-", b[i] or "-"))
  end
  return table.concat(lines, "\n")
end

function M.explain(api, model, prog)
  return program.format(prog) .. "\n" .. side_by_side(log_of(api, prog), log_of(model, prog))
end

return M
