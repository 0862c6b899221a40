#!/bin/sh
# Run the kernel tests (C programs) and then each busted spec under our own executable.
#
#   tools/test.sh EXECUTABLE [KERNEL_TEST ...]
#
# Each is a process of its own, so a crash or a hang takes only itself down. Each ends its output
# with "N passed, N failed". The last line here is the sum; the status is 0 only if something ran
# and nothing failed. A process that dies, hangs or says nothing counts as one failure.
#
#   SPEC="spec/queue_spec.lua"   these specs only, and no kernel tests; SPEC=none: no specs
#   BUSTED_ARGS="--filter=put"   more options for busted
#   V=1                          show the whole output, not only that of failures
#   TEST_TIMEOUT=300             seconds for each process

exe=$1
shift
: "${TEST_TIMEOUT:=300}"

log=$(mktemp "${TMPDIR:-/tmp}/aqlua-test.XXXXXX") || exit 1
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT TERM

passed=0 failed=0

# --foreground keeps Ctrl-C working; not every system's timeout has it, and some have none.
if timeout --foreground 1 true 2>/dev/null; then
  limit="timeout --foreground -k 10 $TEST_TIMEOUT"
elif timeout 1 true 2>/dev/null; then
  limit="timeout $TEST_TIMEOUT"
else
  limit=
fi

# busted is called as a script of ours (no --lua: that would start it anew and lose quotes). What
# LuaRocks installs is a shell wrapper around the script; the script's path is in it.
find_busted() {
  busted=$(command -v "${BUSTED:-busted}" || command -v busted-5.4) || return 1
  if sed -n 1p "$busted" | grep -q 'sh$'; then
    busted=$(sed -n "s|.*'\([^']*/bin/busted\)'.*|\1|p" "$busted")
  fi
  [ -f "$busted" ]
}

how_it_ended() {
  case $1 in
    124) echo "no end within $TEST_TIMEOUT s" ;;
    12[5-7]) echo "could not be run" ;;
    129 | 13? | 14? | 15?) echo "killed by signal $(($1 - 128)) ($(kill -l $(($1 - 128))))" ;;
    *) echo "status $1" ;;
  esac
}

# check NAME COMMAND...
check() {
  name=$1
  shift
  printf '%s: ' "$name"
  "$@" >"$log" 2>&1 </dev/null
  status=$?

  counts=$(sed -n 's/^\([0-9][0-9]*\) passed, \([0-9][0-9]*\) failed$/\1 \2/p' "$log" | tail -n 1)
  p=${counts% *} f=${counts#* } note=
  if [ -z "$counts" ]; then
    p=0 f=1 note=" ($(how_it_ended $status), no result)"
  elif [ $status != 0 ] && [ "$f" = 0 ]; then
    f=1 note=" ($(how_it_ended $status) after all had passed)"
  fi
  passed=$((passed + p)) failed=$((failed + f))

  echo "$p passed, $f failed$note"
  if [ -n "$V" ]; then
    awk '{ print "  | " $0 }' "$log"
  elif [ "$f" != 0 ]; then
    awk '!/ \.\.\. ok$/ { print "  | " $0 }' "$log"
  else
    sed -n 's/^pending: /  pending: /p' "$log"
  fi
}

if [ -z "$SPEC" ] || [ "$SPEC" = none ]; then
  for test in "$@"; do
    check "$(basename "$test")" $limit "$test"
  done
fi

if [ "$SPEC" != none ]; then
  specs=${SPEC:-$(find spec -name '*_spec.lua' | sort)}
  if [ -n "$specs" ] && ! find_busted; then
    echo "busted: not found"
    failed=$((failed + 1)) specs=
  fi
  for spec in $specs; do
    # shellcheck disable=SC2086
    check "$spec" $limit "$exe" "$busted" --ignore-lua -v -o spec/output.lua $BUSTED_ARGS "$spec"
  done
fi

echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
