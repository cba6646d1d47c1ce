#!/usr/bin/env bash
# Trains the models from the labelled captures in $DATA. Python and what it needs live in a folder beside the build's, so
# that the machine's own Python stays as it is. DAVY names a finished program; without it, one is built.
set -euo pipefail
cd "$(dirname "$0")/.."

data=${DATA:-../shared/data}
venv=${HOME}/.cache/davy/venv
wanted=models/requirements.txt
installed=$venv/requirements.txt

if [ ! -d "$data/train" ]; then
  printf 'models: no labelled captures in %s; name their folder: make models DATA=folder\n' "$data" >&2
  exit 2
fi

if ! cmp -s "$wanted" "$installed"; then
  printf 'models: installing %s into %s\n' "$wanted" "$venv" >&2
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$wanted"
  cp "$wanted" "$installed"
fi

if [ -z "${DAVY:-}" ]; then
  cargo build --release --locked -p davy
  DAVY=$CARGO_TARGET_DIR/release/davy
fi

"$venv/bin/python" models/train.py --data "$data" --davy "$DAVY"
# Last, as a new threshold has to be in the pipelines that use it.
exec "$venv/bin/python" -m unittest discover --quiet --start-directory models/tests --top-level-directory models
