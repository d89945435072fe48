#!/usr/bin/env bash
# Runs a command of the README as a newcomer meets it: on a minimal Debian 12 with nothing added to it, made in a
# temporary folder (debootstrap, chroot), in a clone of this repository's last commit.
#
#   bash tests/bare_machine.sh [--tests] [--user]
#
#   (nothing)   as root: bash apps/quickstart.sh
#   --tests     bash tests/run.sh in its place
#   --user      as an ordinary user who may use sudo
#
# Needs root, debootstrap, and a Debian whose package source has Debian 12; packages come from that source.
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
release=bookworm

fail() {
  echo "error: $*" >&2
  exit 1
}

command=(bash apps/quickstart.sh)
user=root
while [ $# -gt 0 ]; do
  case $1 in
    --tests) command=(bash tests/run.sh) ;;
    --user) user=newcomer ;;
    -h | --help)
      sed -n '2,11s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    *)
      echo "error: unknown option '$1'; see --help" >&2
      exit 2
      ;;
  esac
  shift
done
[ "$(id -u)" -eq 0 ] || fail "only root can make a machine within the machine"
for program in debootstrap apt-get git unshare; do
  command -v "$program" >/dev/null || fail "there is no $program here"
done
mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
  awk -v release="$release" '$2 == release && $3 == "main" { print $1; exit }')
[ -n "$mirror" ] || fail "the package sources of this machine have no $release"

folder=$(mktemp -d)
machine=$folder/machine
child=

# Mounts are made in a namespace of their own, which ends with its last process, however it ends: nothing is mounted
# here when the folder is removed.
clean_up() {
  if [ -n "$child" ]; then kill -KILL "$child" 2>/dev/null || true; fi
  wait
  rm -rf --one-file-system "$folder"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# apart UNSHARE_ARGUMENT...: runs a command with its own mounts and processes; those that it leaves are killed.
apart() {
  local status=0
  unshare --mount --pid --fork --kill-child "$@" </dev/null &
  child=$!
  wait "$child" || status=$?
  child=
  return "$status"
}

# inside COMMAND...: runs a command as root of the new machine, with nothing of this one's environment but its proxies.
inside() {
  local name environment=(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8)
  for name in http_proxy https_proxy no_proxy; do
    if [ -n "${!name:-}" ]; then environment+=("$name=${!name}"); fi
  done
  apart --root="$machine" --mount-proc=/proc env -i "${environment[@]}" "$@"
}

# quietly WHAT COMMAND...: shows the command's output where it fails, and ends there.
quietly() {
  local what=$1
  shift
  if "$@" >"$folder/log" 2>&1; then return 0; fi
  tail -n 60 "$folder/log" >&2
  fail "$what failed"
}

started=$SECONDS
quietly "debootstrap" apart debootstrap --variant=minbase "$release" "$machine" "$mirror"
# How this machine reaches its package source: names, certificates, settings of apt.
cp -L /etc/resolv.conf "$machine/etc/resolv.conf"
echo "127.0.0.1 localhost $(uname -n)" >"$machine/etc/hosts"
cp -RL /etc/apt/apt.conf.d/. "$machine/etc/apt/apt.conf.d"
if [ -e /etc/apt/apt.conf ]; then cp -L /etc/apt/apt.conf "$machine/etc/apt/apt.conf"; fi
if [ -e /etc/ssl/certs/ca-certificates.crt ]; then
  mkdir -p "$machine/etc/ssl/certs"
  cp -L /etc/ssl/certs/ca-certificates.crt "$machine/etc/ssl/certs"
fi

home=/root
if [ "$user" != root ]; then
  home=/home/$user
  quietly "apt-get update" inside apt-get update -q
  quietly "installing sudo" inside env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends sudo
  quietly "adding a user" inside useradd --create-home "$user"
  echo "$user ALL=(ALL) NOPASSWD: ALL" >"$machine/etc/sudoers.d/$user"
  command=(sudo -u "$user" -H --preserve-env=http_proxy,https_proxy,no_proxy "${command[@]}")
fi
git clone -q --depth 1 "file://$repository" "$machine$home/sea"
if [ "$user" != root ]; then inside chown -R "$user": "$home/sea"; fi
echo "a bare Debian 12 after $((SECONDS - started)) s; there, as $user: ${command[*]}"

started=$SECONDS
inside sh -c 'mount -t devpts -o newinstance,ptmxmode=0666 devpts /dev/pts && cd "$0" && exec "$@"' \
  "$home/sea" "${command[@]}" || fail "on a bare machine '${command[*]}' failed"
if [[ ${command[*]} == *quickstart* ]] && [ ! -s "$machine$home/sea/runs/quickstart/sea-1/best.safetensors" ]; then
  fail "on a bare machine the quickstart left no trained model"
fi
echo "it took $((SECONDS - started)) s"
