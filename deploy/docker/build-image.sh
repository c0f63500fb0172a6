#!/usr/bin/env bash
# Builds the Skein image from the working tree: build-image.sh [TAG] [BASE]
#
#   TAG   name of the image, default skein:local
#   BASE  base image, default node:24-bookworm-slim from a registry; skein-base:local is what make-base.sh makes
#
# Needs a Docker engine and an installed tree (npm ci). Needs no registry besides the one BASE comes from.
set -euo pipefail

tag=${1:-skein:local}
base=${2:-node:24-bookworm-slim}
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

"$root/node_modules/.bin/node" "$here/stage.ts" "$stage"
# Debian's engine (20.10) has no BuildKit client: the classic builder is what every supported engine understands.
DOCKER_BUILDKIT=0 docker build --quiet --tag "$tag" --build-arg BASE="$base" --file "$here/Dockerfile" "$stage"
