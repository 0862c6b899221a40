-- A terminal for specs, by tmux: what is typed goes to a program, and the screen can be looked at.

local helper = require "spec.helper"

local quote = helper.quote

local Terminal = {}
Terminal.__index = Terminal

local SECONDS = os.getenv "AQLUA_VARIANT" == "asan" and 40 or 10 -- until something must be there
local count = 0

function Terminal:tmux(command)
  local out = io.popen(("tmux -L %s -f /dev/null %s 2>&1"):format(self.socket, command))
  local text = out:read "a"
  out:close()
  return text
end

-- What is on the screen, without empty lines at the end.
function Terminal:screen() return (self:tmux("capture-pane -p -t 0"):gsub("%s*$", "")) end

-- Waits until the screen matches; returns it.
function Terminal:wait(pattern, plain)
  local deadline = os.time() + SECONDS
  repeat
    local screen = self:screen()
    if screen:find(pattern, 1, plain) then return screen end
    os.execute "sleep 0.03"
  until os.time() > deadline
  error(("the screen has no %q:\n%s"):format(pattern, self:screen()), 2)
end

-- Types text as it is; nothing in it is the name of a key.
function Terminal:type(text) self:tmux("send-keys -t 0 -l -- " .. quote(text)) end

-- Types named keys: "Enter", "C-c", "Tab", "Up".
function Terminal:key(...)
  for _, name in ipairs { ... } do self:tmux("send-keys -t 0 " .. name) end
end

function Terminal:enter(text)
  self:type(text)
  self:key "Enter"
end

-- As a terminal pastes: in brackets if the program has asked for them, unless `is_plain`.
function Terminal:paste(text, is_plain)
  local path = helper.write_file(text)
  self:tmux("load-buffer " .. path)
  self:tmux("paste-buffer -t 0" .. (is_plain and "" or " -p"))
  os.remove(path)
end

function Terminal:close()
  self:tmux "kill-server"
  os.execute("rm -rf " .. quote(self.directory))
end
Terminal.__close = Terminal.close

local terminal = {}

-- Whether tmux is there and gets a pseudo-terminal: a bare chroot has none to give.
terminal.is_there = os.execute([[
  exec >/dev/null 2>&1
  socket=aqlua-probe-$$
  tmux -L $socket -f /dev/null new-session -d 'sleep 10' || exit 1
  tmux -L $socket kill-server
]]) == true

-- A terminal of 80 by 24 in which a shell command runs, with a home directory of its own. When that
-- has ended, its status and the terminal's settings are shown.
function terminal.open(command, home)
  count = count + 1
  local directory = io.popen("mktemp -d"):read "l"
  local self = setmetatable({
    socket = ("aqlua-%d-%s"):format(count, directory:match "[^/]*$"),
    directory = directory,
    home = home or directory,
  }, Terminal)
  local path = directory .. "/run"
  local file = assert(io.open(path, "w"))
  file:write(([[
cd %s
trap : INT
export HOME=%s XDG_STATE_HOME= LC_ALL=C.UTF-8 NO_COLOR=1
unset LUA_INIT INPUTRC
echo $$ >pid
%s
echo "status $?"
stty -a | grep -q -- '-icanon\|-echo ' && echo raw || echo cooked
sleep 100
]]):format(quote(directory), quote(self.home), command))
  file:close()
  self:tmux("new-session -d -x 80 -y 24 " .. quote("sh " .. path))
  return self
end

return terminal
