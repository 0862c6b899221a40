-- The prompt: read, evaluate, print. Each input is a task of its own; the main task waits for the
-- next line, so all others run on.

local aq, internal = ...

local commands = require "aqlua.repl.commands"
local completer = require "aqlua.repl.complete"
local help = require "aqlua.repl.help"
local open_history = require "aqlua.repl.history"
local show = require "aqlua.repl.show"

local SIGINT = "interrupted by SIGINT"
local DROPPED = {} -- in place of a line: Ctrl-C

---------------------------------------------------------------------------------------------------
-- Reading

local Prompt = {}
Prompt.__index = Prompt

local function prompt_text(name, default)
  local text = rawget(_G, name)
  if text == nil then return default end
  local ok, shown = pcall(tostring, text)
  return ok and shown or default
end

-- A line; nil at the end of the input; DROPPED.
function Prompt:read_line(is_first)
  local text = is_first and prompt_text("_PROMPT", "> ") or prompt_text("_PROMPT2", ">> ")
  return aq.await(function(done)
    self.done = done
    self.term.read(text, done)
    return self
  end)
end

-- Called when the wait for a line is broken off.
function Prompt:close() self.term.abort() end

-- The user has typed Ctrl-C while the prompt waits.
function Prompt:drop_line()
  self.term.abort "^C"
  self.done(DROPPED)
end

local function is_cut_off(problem) return problem:find "<eof>$" ~= nil end

-- The chunk; or nil, what is wrong with it, and whether more lines could mend that.
local function compile(text)
  local expression = text:gsub("^%s*=", "")
  local chunk, in_expression = load("return " .. expression, "=stdin", "t")
  if chunk then return chunk end
  local in_statement
  chunk, in_statement = load(text, "=stdin", "t")
  if chunk then return chunk end
  return nil, in_statement, is_cut_off(in_statement) or is_cut_off(in_expression)
end

-- An empty line gives up what was begun; in a paste and in a file it is a line like any other.
function Prompt:gives_up(line)
  return self.term.is_terminal and line:find "^%s*$" ~= nil and not self.term.has_input()
end

-- A whole input, compiled: chunk, text. nil at the end, false if there is nothing to run.
function Prompt:read_input()
  local text = self:read_line(true)
  if text == nil or text == DROPPED then return text and false end
  local chunk, problem, is_incomplete = compile(text)
  while is_incomplete do
    local line = self:read_line(false)
    if line == DROPPED then return false end
    if line == nil or self:gives_up(line) then break end
    text = text .. "\n" .. line
    chunk, problem, is_incomplete = compile(text)
  end
  self.history:add(text)
  if not chunk then self.term.complain(problem) end
  return chunk or false, text
end

---------------------------------------------------------------------------------------------------
-- Printing

-- Lines of the traceback without what is the prompt's own.
local function trim(traceback)
  local lines = {}
  for line in traceback:gmatch "[^\n]+" do
    if not line:find "%[aqlua" then
      lines[#lines + 1] = line:gsub("in upvalue 'chunk'", "in main chunk")
    end
  end
  while lines[#lines] and lines[#lines]:find "^\t%[C%]: in " do lines[#lines] = nil end
  return #lines > 1 and "\n" .. table.concat(lines, "\n") or ""
end

local function error_text(err)
  local meta = debug.getmetatable(err)
  local has_text = type(meta) == "table" and rawget(meta, "__tostring") ~= nil
  if type(err) == "string" or type(err) == "number" or has_text then
    local ok, text = pcall(tostring, err)
    if not ok then return "(error object whose __tostring fails)" end
    return (text:gsub("\n  prompt: [^\n]*", "")) -- from a list of waiting tasks
  end
  return "(error object: " .. show.value(err) .. ")"
end

-- Prints what an input returned; in its own task, so that Ctrl-C stops it.
local function print_results(...)
  local n = select("#", ...)
  if n == 0 then return end
  _G._ = (...)
  local texts = {}
  for i = 1, n do texts[i] = show.value((select(i, ...))) end
  print(table.concat(texts, "\t"))
end

---------------------------------------------------------------------------------------------------
-- Evaluating

function Prompt:report(task, err)
  if err == aq.CancelledError and self.was_interrupted then
    self.term.complain "interrupted"
  else
    self.term.complain(error_text(err) .. trim(task:traceback() or ""))
  end
end

function Prompt:evaluate(chunk)
  local task = aq.create_task(function() print_results(chunk()) end)
  task:set_name "input"
  self.input, self.was_interrupted = task, false
  internal.set_foreground(task)
  local ok, err = pcall(task.await, task)
  internal.set_foreground(nil)
  self.input = nil
  if ok then return end
  local is_told_to_end = internal.is_leaving() or aq.current_task():cancelling() > 0
  if is_told_to_end then error(err, 0) end
  if not task:done() then task:cancel() end
  self:report(task, err)
end

-- Code that spins is stopped where it is, by an error; if it goes on, by as many as it takes.
function Prompt:stop_spinning(task)
  if task == self.input then self.was_interrupted = true end
  if not task or not self.stopped[task] then
    if task then self.stopped[task] = true end
    return true
  end
  return "drive out"
end

-- Ctrl-C. The first asks the input to end; from the second on, its patience is at an end.
function Prompt:interrupt()
  if not self.input then
    self:drop_line()
  elseif self.was_interrupted then
    internal.end_task(self.input)
  else
    self.was_interrupted = true
    self.input:cancel "interrupted"
  end
end

---------------------------------------------------------------------------------------------------
-- Hints, each given once

local function is_leaving(text)
  local word = text:match "^%s*(%a+)%s*%(?%)?%s*$"
  return word == "exit" or word == "quit"
end

function Prompt:give_hint(text)
  local hint
  if text:find "^%s*local%s" and not text:find "\n" then
    hint = "a local ends with its input; without 'local' the name is kept"
  elseif is_leaving(text) and rawget(_G, text:match "%a+") == nil then
    hint = "Ctrl-D or os.exit() leaves"
  end
  if not hint or self.hints[hint] or not self.term.is_terminal then return end
  self.hints[hint] = true
  io.write(self.term.dim, "(", hint, ")", self.term.plain, "\n")
end

---------------------------------------------------------------------------------------------------
-- The loop

function Prompt:greet()
  print(("%s, %s, libuv %s"):format(aq._VERSION, _VERSION, self.term.uv_version))
  if self.term.is_terminal then print "help() tells more; Ctrl-D leaves" end
end

local function set_globals()
  help.learn()
  internal.living_queues()
  _G.aq = aq
  for name, fn in pairs(commands) do _G[name] = fn end
end

function Prompt:run()
  local me = aq.current_task()
  if me:get_name():find "^Task%-" then me:set_name "prompt" end
  internal.prompt_task = me
  self:greet()
  set_globals()
  self.history = open_history(self.term)
  self.term.set_completer(completer(self.term.list))
  internal.report_early(true)
  internal.on_interrupt(function(why, is_spinning)
    if why ~= SIGINT then return false end
    if is_spinning then return self:stop_spinning(aq.current_task()) end
    self:interrupt()
    return true
  end)
  while true do
    local chunk, text = self:read_input()
    if chunk == nil then break end
    if text then self:give_hint(text) end
    if chunk then self:evaluate(chunk) end
  end
  internal.on_interrupt(nil)
  internal.report_early(false)
  io.write "\n"
end

-- start(term): a function that runs the prompt on what prompt.c offers.
return function(term)
  local stopped = setmetatable({}, { __mode = "k" }) -- tasks that have been told so
  local prompt = setmetatable({ term = term, hints = {}, stopped = stopped }, Prompt)
  return function() prompt:run() end
end
