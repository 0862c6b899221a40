#!/bin/sh
# Who may include whom. Prints file:line for each breach; status 1 if there is one.
#
#   folders   arrows between them go one way: see "may" below
#   core      no header of Lua's; uv.h in loop.*, attach.* and inbox.* only; arrows between its files, see "core_may"
#   classes   bind/class/l*.c are leaves: nobody includes one
#   names     a file name is unique, and an #include of ours in another folder says the folder
#
# The kernel tests in spec/core count as core, and may include all of it.

cd "${1:-.}" || exit 2

find src spec/core spec/app -name '*.[ch]' 2>/dev/null | sort | xargs awk '
  BEGIN {
    # A folder of src/, and whose headers its files may include beside its own. "." is aqlua.h.
    may["core"]        = " "
    may["bind/base"]   = " . core "
    may["bind/task"]   = may["bind/base"] "bind/base "
    may["bind/object"] = may["bind/task"] "bind/task "
    may["bind/class"]  = may["bind/object"] "bind/object "
    may["bind/report"] = may["bind/object"] "bind/object "
    may["bind/run"]    = may["bind/report"] "bind/report "
    may["bind"]        = may["bind/run"] "bind/run bind/class "
    may["app"] = may["thread"] = may["io"] = may["http"] = may["redis"] = may["inspect"] = " . "

    # A file of core/, and what it may include beside its own header.
    core_may["status"] = core_may["list"] = core_may["alloc"] = core_may["item"] = core_may["inbox"] = " status list alloc item "
    core_may["heap"]   = core_may["sorted"] = core_may["status"]
    core_may["waiter"] = core_may["status"] "heap "
    core_may["order"]  = core_may["status"] "sorted "
    core_may["queue"]  = core_may["status"] "heap order waiter "
    core_may["sync"]   = core_may["status"] "heap waiter "
    core_may["select"] = core_may["barrier"] = core_may["sync"]
    core_may["loop"]   = core_may["status"] "heap inbox waiter "
    core_may["attach"] = core_may["loop"] "loop "
  }

  function breach(where, what) {
    printf "%s: %s\n", where, what
    breaches++
  }
  function stem_of(path,  s) { s = path; sub(/.*\//, "", s); sub(/\.[ch]$/, "", s); return s }
  function name_of(path,  s) { s = path; sub(/.*\//, "", s); return s }
  function folder_of(path,  s) {
    s = path
    if (!sub(/^src\//, "", s)) return ""
    return sub(/\/[^\/]*$/, "", s) ? s : "."
  }

  FNR == 1 {
    folder = folder_of(FILENAME)
    stem = stem_of(FILENAME)
    test = FILENAME ~ /^spec\/core\//
    if (folder != "" && folder != "." && !(folder in may)) breach(FILENAME, "a folder without a rule in tools/layers.sh")
    if (name_of(FILENAME) in path) breach(FILENAME, "a second file of this name, after " path[name_of(FILENAME)])
    path[name_of(FILENAME)] = FILENAME
  }

  /^[ \t]*#[ \t]*include[ \t]*[<"]/ {
    target = $0
    sub(/^[ \t]*#[ \t]*include[ \t]*[<"]/, "", target)
    sub(/[>"].*/, "", target)

    if ((folder == "core" || test) && target ~ /^(lua|lauxlib|lualib|luaconf)\.(h|hpp)$/)
      breach(FILENAME ":" FNR, "core/ includes " target)
    if (folder == "core" && target ~ /^uv(\.h$|\/)/ && stem !~ /^(loop|attach|inbox)$/)
      breach(FILENAME ":" FNR, "only core/loop.*, attach.* and inbox.* include " target)

    if ($0 !~ /"/) next
    # In which folder a target is, is known once all files are read.
    n++
    at[n] = FILENAME ":" FNR
    from[n] = folder; by[n] = stem; is_test[n] = test; wants[n] = target
  }

  END {
    for (i = 1; i <= n; i++) {
      to = path[name_of(wants[i])]
      if (to == "" || folder_of(to) == "") {
        if (is_test[i] && to ~ /^spec\//) continue
        if (from[i] != "") breach(at[i], "no file of ours: " wants[i])
        continue
      }
      room = folder_of(to)
      if (from[i] == "." && wants[i] == "core/status.h") continue # installed as part of it
      if (stem_of(to) ~ /^l[a-z]+$/ && room == "bind/class" && to ~ /\.c$/)
        breach(at[i], "nobody includes a leaf: " wants[i])
      else if (is_test[i] && room != "core")
        breach(at[i], "a kernel test includes " wants[i])
      else if (from[i] != "" && from[i] != room && index(may[from[i]], " " room " ") == 0)
        breach(at[i], from[i] "/ may include only" may[from[i]] "and not " wants[i])
      else if (from[i] == "core" && by[i] in core_may && by[i] != stem_of(to) &&
               index(core_may[by[i]], " " stem_of(to) " ") == 0)
        breach(at[i], "core/" by[i] " may include only" core_may[by[i]] "and not " wants[i])
      if (from[i] != "" && from[i] != room && wants[i] != substr(to, 5))
        breach(at[i], "say the folder: " substr(to, 5))
    }
    exit breaches > 0
  }
' || exit 1
