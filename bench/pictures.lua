-- Draws pictures from figures, each beside its file:
--
--   ./aqlua bench/pictures.lua docs/performance.tsv docs/curves.tsv
--
-- A file is what bench/run or bench/curves.lua has written; its first line tells which.
package.path = (arg[0]:match("^(.*)/") or ".") .. "/?.lua;" .. package.path

local lib = require "lib"

local kinds = {work = require "picture.bars", operation = require "picture.curves"}

for _, path in ipairs(arg) do
  local lines, columns = lib.read_tsv(path)
  local draw = assert(kinds[columns[1]], path .. ": not figures of bench/run or bench/curves.lua")
  lib.write((path:gsub("%.tsv$", "") .. ".svg"), draw(lines))
end
