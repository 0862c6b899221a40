#!/bin/sh
# Say what is missing for a purpose, and install it with the system's package manager.
#
#   tools/deps.sh build     a C compiler, pkg-config, Lua 5.4, libuv
#   tools/deps.sh test      + busted, a stock Lua 5.4, and tmux to type at the prompt
#   tools/deps.sh check     + luacheck, clang-format, clang, the sanitizers' runtime
#   tools/deps.sh guard     build, and valgrind
#
# Only what a probe cannot find counts as missing, however it was installed. When nothing is
# missing this prints nothing and takes a few milliseconds. DEPS=no: tell, but install nothing.
#
# Environment: CC, LUA_CFLAGS + LUA_LIBS, UV_CFLAGS + UV_LIBS, BUSTED, LUACHECK, CLANG_FORMAT, DEPS.

purpose=${1:-build}
case $purpose in build | test | check | guard) ;; *)
  echo "usage: tools/deps.sh build|test|check|guard" >&2
  exit 2
  ;;
esac

has() { command -v "$1" >/dev/null 2>&1; }

# --- what is missing ---------------------------------------------------------------------------

has_lua() {
  [ -n "$LUA_CFLAGS$LUA_LIBS" ] && return
  for name in lua5.4 lua-5.4 lua54 lua; do
    pkg-config --exists "$name >= 5.4 $name < 5.5" 2>/dev/null && return
  done
  return 1
}

has_libuv() { [ -n "$UV_CFLAGS$UV_LIBS" ] || pkg-config --exists libuv 2>/dev/null; }

has_stock_lua() {
  has lua5.4 || has lua54 || { has lua && lua -v 2>&1 | grep -q '^Lua 5\.4'; }
}

# A compiler that lacks the runtime answers with the bare name it was asked for.
has_sanitizers() {
  ${CC:-cc} --version 2>/dev/null | grep -qi clang && return
  case $(${CC:-cc} -print-file-name=libasan.so 2>/dev/null) in */*) return 0 ;; esac
  return 1
}

find_missing() {
  missing=
  compiler=${CC:-cc}
  has "${compiler%% *}" || missing="$missing cc" # CC may be "ccache gcc"
  has pkg-config || missing="$missing pkg-config"
  has_lua || missing="$missing lua-headers"
  has_libuv || missing="$missing libuv"
  [ "$purpose" = build ] && return
  if [ "$purpose" = guard ]; then
    has valgrind || missing="$missing valgrind"
    return
  fi

  has "${BUSTED:-busted}" || has busted-5.4 || missing="$missing busted"
  has_stock_lua || missing="$missing lua5.4"
  has tmux || missing="$missing tmux"
  [ "$purpose" = test ] && return

  has "${LUACHECK:-luacheck}" || missing="$missing luacheck"
  has "${CLANG_FORMAT:-clang-format}" || missing="$missing clang-format"
  has clang || missing="$missing clang"
  has_sanitizers || missing="$missing sanitizers"
}

# --- how this system calls it ------------------------------------------------------------------

# manager:thing) package names. "?" means: no package known.
package_for() {
  case $manager:$1 in
    apt-get:cc) echo gcc libc6-dev ;;
    apt-get:lua-headers) echo liblua5.4-dev ;;
    apt-get:libuv) echo libuv1-dev ;;
    apt-get:busted) echo lua-busted ;;
    apt-get:luacheck) echo lua-check ;;
    apt-get:sanitizers) echo gcc libc6-dev ;;

    dnf:cc) echo gcc ;;
    dnf:pkg-config) echo pkgconf-pkg-config ;;
    dnf:lua-headers) echo lua-devel ;;
    dnf:libuv) echo libuv-devel ;;
    dnf:lua5.4) echo lua ;;
    dnf:clang-format) echo clang-tools-extra ;;
    dnf:sanitizers) echo libasan libubsan libtsan ;;
    dnf:busted | dnf:luacheck) echo '?' ;;

    pacman:cc | pacman:sanitizers) echo gcc ;;
    pacman:pkg-config) echo pkgconf ;;
    pacman:lua-headers | pacman:lua5.4)
      if pacman -Si lua54 >/dev/null 2>&1; then echo lua54; else echo lua; fi ;;
    pacman:clang-format) echo clang ;;
    pacman:busted) echo '?' ;;

    apk:cc) echo gcc musl-dev ;;
    apk:pkg-config) echo pkgconf ;;
    apk:lua-headers) echo lua5.4-dev ;;
    apk:libuv) echo libuv-dev ;;
    apk:busted) echo lua5.4-busted ;;
    apk:clang-format) echo clang-extra-tools ;;
    apk:sanitizers) echo '?' ;; # musl has no AddressSanitizer in gcc

    brew:cc | brew:clang | brew:sanitizers) echo '?' ;; # xcode-select --install
    brew:pkg-config) echo pkgconf ;;
    brew:lua-headers | brew:lua5.4)
      if brew info lua@5.4 >/dev/null 2>&1; then echo lua@5.4; else echo lua; fi ;;
    brew:busted) echo '?' ;;

    *) echo "$1" ;; # the same name everywhere
  esac
}

advice_for() {
  case $1 in
    busted | luacheck) echo "try: luarocks --lua-version=5.4 install $1" ;;
    cc | clang | sanitizers) [ "$manager" = brew ] && echo "try: xcode-select --install" ;;
  esac
}

find_manager() {
  for manager in apt-get dnf pacman apk brew; do
    has $manager && return
  done
  manager=
}

choose_packages() {
  packages= unknown=
  for thing in $missing; do
    found=$(package_for "$thing")
    if [ "$found" = '?' ]; then
      unknown="$unknown $thing"
      continue
    fi
    for package in $found; do
      case " $packages " in *" $package "*) ;; *) packages="$packages $package" ;; esac
    done
  done
}

# --- install -----------------------------------------------------------------------------------

install_command() {
  case $manager in
    apt-get) echo "apt-get install -y --no-install-recommends$packages" ;;
    dnf) echo "dnf install -y$packages" ;;
    pacman) echo "pacman -S --needed --noconfirm$packages" ;;
    apk) echo "apk add$packages" ;;
    brew) echo "brew install$packages" ;;
  esac
}

run() { # everything here is meant to be split into words
  # shellcheck disable=SC2086
  $root $*
}

install() {
  if [ "$manager" = apt-get ]; then
    # The lists may be absent (a fresh image) or too old (packages gone from the mirror).
    quiet="env DEBIAN_FRONTEND=noninteractive"
    for package in $packages; do
      apt-cache show "$package" >/dev/null 2>&1 || { run apt-get update -q; break; }
    done
    run $quiet "$command" || { run apt-get update -q && run $quiet "$command"; }
  else
    run "$command"
  fi
}

find_missing
[ -z "$missing" ] && exit 0
echo "missing:$missing"

find_manager
if [ -z "$manager" ]; then
  echo "no known package manager here; please install these by hand" >&2
  exit 1
fi
choose_packages
for thing in $unknown; do
  echo "no package known for $thing with $manager; $(advice_for "$thing")" >&2
done

root=
command=$(install_command)
if [ -n "$packages" ]; then
  if [ "$(id -u)" != 0 ] && [ "$manager" != brew ]; then root=sudo; fi
  echo "install: ${root:+$root }$command"
  [ "$DEPS" = no ] && exit 1
  if [ -n "$root" ] && ! has sudo; then
    echo "this needs root, and there is no sudo: please run the command above as root" >&2
    exit 1
  fi
  # Package managers are talkative; standard output belongs to whoever called us.
  install >&2 </dev/null || exit 1
fi

find_missing
[ -z "$missing" ] && exit 0
echo "still missing:$missing" >&2
exit 1
