#!/bin/sh
# Who may include whom. Prints file:line for each breach; status 1 if there is one.
#
#   core/ never includes Lua's headers or bind/; of core/, only loop.* includes uv.h
#   within core/ and bind/, includes go one way: see "may" below
#   a leaf (bind/l*.c: the Lua classes) includes no other leaf, and nobody includes a leaf
#   the library never includes the executable's headers
#   file names are unique, so that a name in an #include says which file is meant
#
# The kernel tests in spec/core count as core/.

cd "${1:-.}" || exit 2

find src spec/core spec/host -name '*.[ch]' 2>/dev/null | sort | xargs awk '
  BEGIN {
    # What a file of core/ or bind/ may include beside its own header. Not listed: no rule.
    may["status"] = may["list"] = may["alloc"] = may["item"] = " status list alloc item "
    may["heap"]   = may["sorted"] = may["status"]
    may["waiter"] = may["status"] "heap "
    may["order"]  = may["status"] "sorted "
    may["queue"]  = may["status"] "heap order waiter "
    may["sync"]   = may["status"] "heap waiter "
    may["select"] = may["barrier"] = may["sync"]
    may["loop"]   = may["status"] "heap waiter "
    below["runtime"] = " task error "     # these stand above it
  }

  function breach(what) {
    printf "%s:%d: %s\n", FILENAME, FNR, what
    breaches++
  }
  function stem_of(path,  s) { s = path; sub(/.*\//, "", s); sub(/\.[ch]$/, "", s); return s }

  FNR == 1 {
    stem = stem_of(FILENAME)
    test = FILENAME ~ /^spec\/core\//
    core = test || FILENAME ~ /^src\/core\//
    bind = FILENAME ~ /^src\/bind\//
    leaf = FILENAME ~ /^src\/bind\/l[a-z_]*\.c$/ && stem != "lib"
    if (leaf) leaves[stem] = 1

    name = FILENAME
    sub(/.*\//, "", name)
    if (name in seen) breach("a second file of this name, after " seen[name])
    seen[name] = FILENAME
  }

  /^[ \t]*#[ \t]*include[ \t]*[<"]/ {
    target = $0
    sub(/^[ \t]*#[ \t]*include[ \t]*[<"]/, "", target)
    sub(/[>"].*/, "", target)
    to = stem_of(target)

    if (core && target ~ /^(lua|lauxlib|lualib|luaconf)\.(h|hpp)$/) breach("core/ includes " target)
    if (core && target ~ /(^|\/)bind\//) breach("core/ includes bind/: " target)
    if (core && target ~ /^uv(\.h$|\/)/ && stem != "loop" && !test)
      breach("only core/loop.* includes " target)
    if ((core || bind) && to ~ /^(main|cli|host|script|prompt|editor|line|output|pages|files|style|signals|luv_host)$/ && target ~ /\.h$/ && $0 ~ /"/)
      breach("the library includes the executable: " target)

    if ($0 !~ /"/) next
    # Whether a target is in bind/, in core/ or a leaf is known once all files are read.
    n++
    at[n] = FILENAME ":" FNR
    from[n] = stem; wants[n] = to; target_of[n] = target
    from_core[n] = core; from_test[n] = test
  }

  END {
    for (i = 1; i <= n; i++) {
      to = wants[i]
      name = target_of[i]
      sub(/.*\//, "", name)
      to_file = seen[name]
      said = ""
      if (to in leaves && from[i] != to)
        said = "nobody includes a leaf: "
      else if (from_core[i] && to_file ~ /^src\/bind\//)
        said = "core/ includes bind/: "
      else if (from[i] in may && !from_test[i] && to_file ~ /^src\/core\// && from[i] != to &&
               index(may[from[i]], " " to " ") == 0)
        said = from[i] " may include only" may[from[i]] "and not "
      else if (from[i] in below && index(below[from[i]], " " to " "))
        said = from[i] " stands below "
      if (said != "") {
        print at[i] ": " said target_of[i]
        breaches++
      }
    }
    exit breaches > 0
  }
' || exit 1
