# shellcheck shell=bash
# Folders with another Debian in them, made by debootstrap. Sourced after
# scripts/setup.sh; must be used as root.
#
# Environment:
#   ZMQLOOP_ROOTS=DIR    where the folders are; not in the tree, since tools that look
#                        through it would look through them: /var/tmp/zmqloop-roots
#   ZMQLOOP_MIRROR=URL   the mirror of Debian's packages

roots=${ZMQLOOP_ROOTS:-/var/tmp/zmqloop-roots}
mirror=${ZMQLOOP_MIRROR:-http://deb.debian.org/debian}

need_root() {
  [ "$(id -u)" -eq 0 ] || die "run this as root: it makes devices and mounts"
  need_command debootstrap debootstrap
  need_command git git
}

# Makes the folder. It is renamed when it is complete, so a partial one is never
# used.
make_root() { # folder release architecture
  local scripts=/usr/share/debootstrap/scripts script=()
  [ -e "$scripts/$2" ] || script=(sid) # newer than debootstrap
  say "debootstrap $2 for $3 into $1"
  rm -rf "$1.part"
  quietly debootstrap --variant=minbase --arch="$3" \
    --include=ca-certificates "$2" "$1.part" "$mirror" "${script[@]}"
  mv "$1.part" "$1"
}

# Copies what git tracks or would add, and so no build folders.
copy_tree() { # to
  rm -rf "$1"
  mkdir "$1"
  (cd "$ROOT" && git ls-files -z --cached --others --exclude-standard |
    tar --null --ignore-failed-read -T - -c 2>/dev/null) | tar -x -C "$1"
}

# Runs in its own namespaces, so its mounts and processes end with it.
enter() { # folder architecture command...
  local folder=$1 as=()
  [ "$2" != i386 ] || as=(linux32)
  shift 2
  # shellcheck disable=SC2016
  unshare --mount --pid --fork "${as[@]}" sh -c '
    mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" &&
      exec chroot "$0" "$@"' "$folder" "$@"
}

# The folder of a release, made if there is none, as $machine. One user at a time.
take_root() { # release architecture
  machine=$roots/$1-$2
  mkdir -p "$roots"
  exec {lock}>"$machine.lock"
  flock "$lock"
  [ -d "$machine" ] || make_root "$machine" "$1" "$2"
  cp /etc/resolv.conf "$machine/etc/resolv.conf"
}
