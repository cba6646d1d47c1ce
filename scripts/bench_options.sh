#!/usr/bin/env bash
# Compares the three options of the CDS's documents (benches/options.py) over a broker of its own, with labelled captures in
# $DATA. Python and what it needs live in a folder beside the build's. DAVY names a finished program; without it, one is built.
set -euo pipefail
cd "$(dirname "$0")/.."

data=${DATA:-../shared/data}
venv=${HOME}/.cache/davy/bench
wanted=(benches/peers/requirements.txt models/requirements.txt)
installed=$venv/requirements.txt

if [ ! -d "$data/train" ]; then
  printf 'bench-options: no labelled captures in %s; name their folder: make bench-options DATA=folder\n' "$data" >&2
  exit 2
fi

if ! cat "${wanted[@]}" | cmp -s - "$installed"; then
  printf 'bench-options: installing %s into %s\n' "${wanted[0]}" "$venv" >&2
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "${wanted[0]}"
  cat "${wanted[@]}" > "$installed"
fi

if [ -z "${DAVY:-}" ]; then
  cargo build --release --locked -p davy
  DAVY=$CARGO_TARGET_DIR/release/davy
fi

exec scripts/kafka.sh with "bench-$$" -- "$venv/bin/python" benches/options.py --davy "$DAVY" --data "$data" "$@"
