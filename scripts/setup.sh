# shellcheck shell=bash
# What the scripts share: finding what is missing, installing it with apt, and
# building the module for one Lua. Sourced; needs `set -euo pipefail`.
#
# A script states its needs with need_*; need_install then installs what those
# found missing. A need is tested by what it provides, not by its package, so
# that other systems and hand-made installations do as well.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
JOBS=${JOBS:-$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)}
# shellcheck disable=SC2034
ALL_LUAS=(5.1 5.2 5.3 5.4 luajit)
MISSING=()

say() {
  printf '%s\n' "$*" >&2
}

die() {
  say "$*"
  exit 1
}

# ---- needs -----------------------------------------------------------------

missing() { # package...
  MISSING+=("$@")
}

need_command() { # command package...
  command -v "$1" >/dev/null || missing "${@:2}"
}

need_library() { # pkg-config-name package
  pkg-config --exists "$1" 2>/dev/null || missing "$2"
}

# A compiler alone does not mean that there are headers to compile with.
need_compiler() {
  need_command cc gcc
  echo '#include <stdlib.h>' | cc -E - >/dev/null 2>&1 || missing libc6-dev
  need_command make make
  need_command cmake cmake
  need_command pkg-config pkg-config
  need_library libzmq libzmq3-dev
}

lua_command() { # version
  case $1 in
    luajit) echo luajit ;;
    *) echo "lua$1" ;;
  esac
}

need_lua() { # version
  local name headers
  name=$(lua_command "$1")
  case $1 in
    5.1) headers=liblua5.1-0-dev ;;
    luajit) headers=libluajit-5.1-dev ;;
    *) headers=liblua$1-dev ;;
  esac
  need_command "$name" "$name"
  need_library "$name" "$headers"
}

need_busted() {
  need_command busted lua-busted
}

# Interop specs run Debian's python3, whatever else is called python3.
need_python_zmq() {
  /usr/bin/python3 -c \
    'import importlib.util as u, sys; sys.exit(not u.find_spec("zmq"))' \
    2>/dev/null || missing python3-zmq
}

need_czmq() {
  need_library libczmq libczmq-dev
}

# Specs of send_json() want a library of JSON; any of the two will do.
need_json() { # version
  "$(lua_command "$1")" -e \
    'assert(pcall(require, "cjson") or pcall(require, "dkjson"))' \
    2>/dev/null || missing lua-cjson
}

# What scripts/bench compares zmqloop to.
need_peers() {
  need_python_zmq
  /usr/bin/python3 -c 'import tornado' 2>/dev/null || missing python3-tornado
  need_czmq
  need_library libuv libuv1-dev
  lua5.4 -e 'require("luv")' 2>/dev/null || missing lua-luv
  luajit -e 'require("luv")' 2>/dev/null || missing lua-luv
  lua5.4 -e 'require("cqueues")' 2>/dev/null || missing lua-cqueues
  need_command strace strace
}

# With its headers, by which the drivers tell callgrind what to count.
need_valgrind() {
  need_command valgrind valgrind
  echo '#include <valgrind/callgrind.h>' | cc -E - >/dev/null 2>&1 ||
    missing valgrind
}

need_matplotlib() {
  /usr/bin/python3 -c 'import matplotlib' 2>/dev/null ||
    missing python3-matplotlib
}

have_module() { # version module
  "$(lua_command "$1")" -e "require('$2')" 2>/dev/null
}

# Specs of zmqloop.integrate run inside the loops of these.
need_luv() { # version
  have_module "$1" luv || missing lua-luv
}

need_cqueues() { # version
  have_module "$1" cqueues || missing lua-cqueues
}

need_procps() {
  need_command ps procps
}

# ---- installing ------------------------------------------------------------

# Installs what the needs found missing, or says how to and ends. A package that
# the distribution lacks is left out: have_lua tells afterwards.
need_install() {
  [ ${#MISSING[@]} -gt 0 ] || return 0
  local packages=() as_root=() package log
  if ! command -v apt-get >/dev/null; then
    die "please install what Debian calls: ${MISSING[*]}"
  fi
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null || ! sudo -n true 2>/dev/null; then
      say "some packages are missing; please run this line, then try again:"
      die "sudo apt-get update && sudo apt-get install -y --no-install-recommends ${MISSING[*]}"
    fi
    as_root=(sudo -n)
  fi
  log=$(mktemp)
  say "apt-get update"
  if ! "${as_root[@]}" apt-get update >"$log" 2>&1 </dev/null; then
    cat "$log" >&2 # what was fetched before may still do
  fi
  for package in "${MISSING[@]}"; do
    if apt-cache show "$package" >/dev/null 2>&1; then
      packages+=("$package")
    else
      say "this distribution has no package $package"
    fi
  done
  MISSING=()
  if [ ${#packages[@]} -gt 0 ]; then
    say "apt-get install ${packages[*]}"
    if ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y --no-install-recommends \
      -o DPkg::Lock::Timeout=120 "${packages[@]}" >"$log" 2>&1 </dev/null; then
      cat "$log" >&2
      rm -f "$log"
      die "apt-get could not install them"
    fi
  fi
  rm -f "$log"
  hash -r
}

have_lua() { # version
  command -v "$(lua_command "$1")" >/dev/null &&
    pkg-config --exists "$(lua_command "$1")"
}

# ---- building --------------------------------------------------------------

# Runs a command; shows what it said only when it failed or warned.
quietly() {
  local log status=0
  log=$(mktemp)
  "$@" >"$log" 2>&1 || status=$?
  if [ $status -ne 0 ] || grep -q 'warning:' "$log"; then
    cat "$log" >&2
  fi
  rm -f "$log"
  return $status
}

# Configures (if anything changed) and builds targets in build/DIRECTORY. The
# environment variable ZMQLOOP_CMAKE holds further arguments for CMake.
build() { # directory lua targets [cmake-argument...]
  local dir=$ROOT/build/$1 lua=$2 targets=$3 extra arguments stamp
  read -ra extra <<<"${ZMQLOOP_CMAKE:-}"
  arguments=(-S "$ROOT" -B "$dir" "-DZMQLOOP_LUA=$lua" "${@:4}" "${extra[@]}")
  stamp=$dir/.configured
  if [ ! -e "$dir/CMakeCache.txt" ] || [ ! -e "$stamp" ] ||
    [ "$(<"$stamp")" != "${arguments[*]}" ]; then
    say "configuring build/$1"
    mkdir -p "$dir"
    rm -rf "$dir/CMakeCache.txt" "$dir/CMakeFiles" "$stamp"
    quietly cmake "${arguments[@]}" || return 1
    printf '%s\n' "${arguments[*]}" >"$stamp"
  fi
  local target_arguments
  read -ra target_arguments <<<"$targets"
  quietly cmake --build "$dir" -j "$JOBS" --target "${target_arguments[@]}"
}

# Makes the modules of the tree and of build/DIRECTORY the first ones that Lua
# finds, in child processes too.
use_build() { # directory
  unset LUA_PATH_5_2 LUA_PATH_5_3 LUA_PATH_5_4
  unset LUA_CPATH_5_2 LUA_CPATH_5_3 LUA_CPATH_5_4
  unset LUA_INIT LUA_INIT_5_2 LUA_INIT_5_3 LUA_INIT_5_4
  export LUA_PATH="$ROOT/lua/?.lua;$ROOT/lua/?/init.lua;;"
  export LUA_CPATH="$ROOT/build/$1/?.so;;"
}
