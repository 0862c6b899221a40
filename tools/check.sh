#!/bin/sh
# All that `make check` looks at: builds without a warning, the linters, the tests with threads under
# ThreadSanitizer, and all under AddressSanitizer (with leaks) and UBSan. Prints the sum of the tests, then a line per other check.
# Each goes on when an earlier one failed; the status says whether all were well.

make=${MAKE:-make}
results=
status=0

result() { # NAME WORD
  results="$results$1: $2
"
}

check() { # NAME COMMAND...
  name=$1
  shift
  echo "== $name"
  if "$@"; then
    result "$name" ok
  else
    result "$name" FAILED
    status=1
  fi
}

clang_format() {
  files=$(find src spec/core spec/app bench examples -name '*.[ch]' -o -name '*.cpp' 2>/dev/null)
  # shellcheck disable=SC2086
  [ -z "$files" ] || ${CLANG_FORMAT:-clang-format} --dry-run -Werror $files
}

lint_lua() {
  dirs=
  for dir in lua spec scripts bench; do [ -d $dir ] && dirs="$dirs $dir"; done
  # shellcheck disable=SC2086
  ${LUACHECK:-luacheck} --quiet --no-color $dirs
}

# $make may carry options, and $PARALLEL be empty: both are meant to be split.
# shellcheck disable=SC2086
build() { $make $PARALLEL "$@"; }

check "layers" tools/layers.sh
check "luacheck" lint_lua
check "clang-format" clang_format
for cc in gcc clang; do
  if command -v $cc >/dev/null; then
    check "$cc -Werror" build VARIANT=$cc CC=$cc WERROR=1 all tests
  else
    result "$cc -Werror" "skipped, not installed"
  fi
done
check "threads" build VARIANT=tsan thread-tests

echo "== tests under sanitizers"
if build VARIANT=asan all tests; then
  ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1 \
  UBSAN_OPTIONS=print_stacktrace=1 \
    $make DEPS=no VARIANT=asan test || status=1
else
  echo "0 passed, 1 failed"
  result "sanitizer build" FAILED
  status=1
fi

printf '%s' "$results"
exit $status
