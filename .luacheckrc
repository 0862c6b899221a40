std = "lua54+busted"
max_line_length = 100
exclude_files = { "build" }

-- Declarations for editors: nothing in there is used or does anything.
files["lua/aqlua/meta.lua"] = { ignore = { "2", "3", "4", "5" } }

files["spec/embed/scenario.lua"] = { globals = { "begin" }, ignore = { "211" } }
files["spec/embed/operations.lua"] = { globals = { "begin", "guest" } }
