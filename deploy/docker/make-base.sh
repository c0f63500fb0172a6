#!/usr/bin/env bash
# Makes a base image out of this machine's own files, in seconds and without a registry: make-base.sh [TAG]
#
# Test machines cannot pull images. The tree holds the Node binary that the repository pins, ip, arping, socat,
# iptables (the tests cut traffic with it), a shell with a few tools, and the shared libraries that ldd names for
# each of them. It stands in for node:24-bookworm-slim in tests; do not publish it.
set -euo pipefail

tag=${1:-skein-base:local}
root=$(cd "$(dirname "$0")/../.." && pwd)
export PATH="$PATH:/usr/sbin:/sbin"

required=(sh ip arping socat iptables)
tools=(cat chmod cp date dirname echo env false head kill ls mkdir mv ps rm sleep sync tail test timeout touch true uname wc)

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree"/{dev,etc,proc,root,run,sys,tmp,usr/bin,usr/sbin,usr/lib,usr/lib64,var/lib}
chmod 1777 "$tree/tmp"
# As Debian has it since 10: /bin, /sbin, /lib are links into /usr. The loader's path /lib64 is part of every binary.
for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$tree/$folder"; done

# Copies a program or library to `$2` and the shared libraries it loads to where it looks for them.
add() {
  local source=$1 target=$2 library
  mkdir -p "$(dirname "$tree$target")"
  cp --dereference "$source" "$tree$target"
  while read -r library; do
    [ -e "$tree$library" ] && continue
    mkdir -p "$(dirname "$tree$library")"
    cp --dereference "$library" "$tree$library"
  done < <(ldd "$source" 2>/dev/null | grep -oE '/[^ ]+' || true)
}

for name in "${required[@]}" "${tools[@]}"; do
  if path=$(type -P "$name"); then
    add "$path" "/usr/bin/$name"
  elif [[ " ${required[*]} " == *" $name "* ]]; then
    echo "make-base: $name is missing; apt-get install iproute2 iputils-arping socat iptables" >&2
    exit 1
  fi
done
add "$root/node_modules/node/bin/node" /usr/local/bin/node

# iptables loads one library per match and target by name, which ldd cannot see.
for plugins in /usr/lib/*/xtables; do
  for library in "$plugins"/lib{xt,ipt}_*.so; do add "$library" "$library"; done
done

echo 'root:x:0:0:root:/root:/bin/sh' >"$tree/etc/passwd"
echo 'root:x:0:' >"$tree/etc/group"
# Without it the C library asks DNS before /etc/hosts.
echo 'hosts: files dns' >"$tree/etc/nsswitch.conf"

tar --create --directory "$tree" . |
  docker import --change 'ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' - "$tag"
