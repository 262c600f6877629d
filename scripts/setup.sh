# shellcheck shell=bash
# Shared by the scripts: finds missing packages, installs them with apt, and
# builds the module for one Lua. Sourced; needs `set -euo pipefail`.
#
# A script states its needs with need_*; need_install then installs those that are
# missing. A need is met if its command, header or module is there, whatever
# package it came from, so other systems and manual installations work too.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
JOBS=${JOBS:-$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)}
ALL_LUAS=(5.1 5.2 5.3 5.4 5.5 luajit)
# shellcheck disable=SC2034
LUA_CHOICE=$(IFS='|' && echo "${ALL_LUAS[*]}") # for usages
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
  local package
  for package in "$@"; do
    [[ " ${MISSING[*]} " == *" $package "* ]] || MISSING+=("$package")
  done
}

need_command() { # command package...
  command -v "$1" >/dev/null || missing "${@:2}"
}

need_library() { # pkg-config-name package
  pkg-config --exists "$1" 2>/dev/null || missing "$2"
}

# There may be a compiler without the headers of the C library.
need_compiler() {
  need_command cc gcc
  echo '#include <stdlib.h>' | cc -E - >/dev/null 2>&1 || missing libc6-dev
  need_command make make
  need_command cmake cmake
  need_command pkg-config pkg-config
  need_library libzmq libzmq3-dev
}

is_lua() { # version
  [[ $1 != *" "* && " ${ALL_LUAS[*]} " == *" $1 "* ]]
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

# Interop specs run Debian's python3, even if another one comes first on the path.
need_python_zmq() {
  /usr/bin/python3 -c \
    'import importlib.util as u, sys; sys.exit(not u.find_spec("zmq"))' \
    2>/dev/null || missing python3-zmq
}

need_czmq() {
  need_library libczmq libczmq-dev
}

# Specs of send_json() need a JSON library; either of the two will do.
need_json() { # version
  "$(lua_command "$1")" -e \
    'assert(pcall(require, "cjson") or pcall(require, "dkjson"))' \
    2>/dev/null || missing lua-cjson
}

# The peers that scripts/bench compares zmqloop with.
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

# With its headers: the drivers use them to start and stop counting.
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

# Specs of zmqloop.integrate run inside the loops of luv and cqueues.
need_luv() { # version
  have_module "$1" luv || missing lua-luv
}

need_cqueues() { # version
  have_module "$1" cqueues || missing lua-cqueues
}

need_luasocket() { # version
  have_module "$1" socket || missing lua-socket
}

# Debian's, even if another python3 comes first on the path.
need_mkdocs() {
  [ -x /usr/bin/mkdocs ] || missing mkdocs
  /usr/bin/python3 -c 'import material' 2>/dev/null || missing mkdocs-material
}

need_procps() {
  need_command ps procps
}

# ---- installing ------------------------------------------------------------

# Whether apt should be asked for the package: not if it is installed (it does not
# have what is needed), nor if apt has lists and they do not name it.
is_obtainable() { # package
  if dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q ' installed$'; then
    return 1
  fi
  apt-cache show "$1" >/dev/null 2>&1 ||
    ! apt-cache show libzmq3-dev >/dev/null 2>&1
}

# Keeps those of MISSING that apt can install, and names the others.
leave_out_unobtainable() {
  local package obtainable=()
  for package in "${MISSING[@]}"; do
    if is_obtainable "$package"; then
      obtainable+=("$package")
    elif ! apt-cache show "$package" >/dev/null 2>&1; then
      say "this distribution has no package $package"
    fi
  done
  MISSING=("${obtainable[@]}")
}

# Installs the missing packages, or prints how to and exits. A package that the
# distribution does not have is skipped; have_lua says so afterwards.
need_install() {
  [ ${#MISSING[@]} -gt 0 ] || return 0
  local as_root=() log
  if ! command -v apt-get >/dev/null; then
    die "please install what Debian calls: ${MISSING[*]}"
  fi
  leave_out_unobtainable
  [ ${#MISSING[@]} -gt 0 ] || return 0
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
  leave_out_unobtainable
  if [ ${#MISSING[@]} -gt 0 ]; then
    say "apt-get install ${MISSING[*]}"
    if ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y --no-install-recommends \
      -o DPkg::Lock::Timeout=120 "${MISSING[@]}" >"$log" 2>&1 </dev/null; then
      cat "$log" >&2
      rm -f "$log"
      die "apt-get could not install them"
    fi
  fi
  rm -f "$log"
  MISSING=()
  hash -r
}

have_lua() { # version
  command -v "$(lua_command "$1")" >/dev/null &&
    pkg-config --exists "$(lua_command "$1")"
}

# ---- building --------------------------------------------------------------

# Runs a command; shows its output only if it failed or warned.
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

# The versions of what CMake searches for. CMake caches results: it would not look
# again for what was missing, nor notice that something was replaced.
found_packages() { # lua
  local package
  for package in libzmq libczmq "$(lua_command "$1")"; do
    printf ' %s %s' "$package" "$(pkg-config --modversion "$package" 2>/dev/null)"
  done
}

# Configures (if anything changed) and builds targets in build/DIRECTORY. The
# environment variable ZMQLOOP_CMAKE holds further arguments for CMake.
build() { # directory lua targets [cmake-argument...]
  local dir=$ROOT/build/$1 lua=$2 targets lock
  read -ra targets <<<"$3"
  mkdir -p "$dir"
  exec {lock}>"$dir/.lock" # another script may build the same
  ! command -v flock >/dev/null || flock "$lock"
  configure "$dir" "$lua" "${@:4}" &&
    quietly cmake --build "$dir" -j "$JOBS" --target "${targets[@]}"
  local status=$?
  exec {lock}>&-
  return $status
}

configure() { # directory lua [cmake-argument...]
  local dir=$1 lua=$2 extra arguments stamp wanted
  read -ra extra <<<"${ZMQLOOP_CMAKE:-}"
  arguments=(-S "$ROOT" -B "$dir" "-DZMQLOOP_LUA=$lua" "${@:3}" "${extra[@]}")
  wanted="${arguments[*]}$(found_packages "$lua")"
  stamp=$dir/.configured
  if [ -e "$dir/CMakeCache.txt" ] && [ -e "$stamp" ] &&
    [ "$(<"$stamp")" = "$wanted" ]; then
    return
  fi
  say "configuring ${dir#"$ROOT/"}"
  rm -rf "$dir/CMakeCache.txt" "$dir/CMakeFiles" "$stamp"
  quietly cmake "${arguments[@]}" || return 1
  printf '%s\n' "$wanted" >"$stamp"
}

# Puts the modules of the tree and of build/DIRECTORY first on Lua's paths, for
# child processes too.
use_build() { # directory
  local version
  unset LUA_INIT
  for version in 5_2 5_3 5_4 5_5; do
    unset "LUA_PATH_$version" "LUA_CPATH_$version" "LUA_INIT_$version"
  done
  export LUA_PATH="$ROOT/lua/?.lua;$ROOT/lua/?/init.lua;;"
  export LUA_CPATH="$ROOT/build/$1/?.so;;"
}
