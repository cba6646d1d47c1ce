#!/usr/bin/env bash
# Runs every linter, all of them even when one fails. A linter that is not installed is an error in CI (CI=true), and a warning
# elsewhere.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

failed=()

# lint <name> <how to see that it is installed> <how to install it> <command...>
lint() {
  local name=$1 probe=$2 remedy=$3
  shift 3
  if ! $probe >/dev/null 2>&1; then
    if [ "${CI:-}" = true ]; then
      failed+=("$name: not installed; install with $remedy")
    else
      printf 'lint: SKIPPED %s: not installed here; install with %s\n' "$name" "$remedy" >&2
    fi
    return
  fi
  printf 'lint: %s\n' "$*" >&2
  "$@" || failed+=("$name")
}

lint rustfmt 'cargo fmt --version' 'rustup component add rustfmt' cargo fmt --all --check
lint clippy 'cargo clippy --version' 'rustup component add clippy' \
  cargo clippy --workspace --all-targets --locked -- -D warnings
# The plug-ins are a workspace of their own, with their own lockfile. They carry a model; any will do here.
plugin=udfs/plugin/Cargo.toml
lint 'rustfmt of plug-ins' 'cargo fmt --version' 'rustup component add rustfmt' \
  cargo fmt --manifest-path "$plugin" --all --check
lint 'clippy of plug-ins' 'cargo clippy --version' 'rustup component add clippy' \
  env DAVY_MODEL=udfs/forest/tests/it/packages/forest_shallow \
  cargo clippy --manifest-path "$plugin" --workspace --no-deps --all-targets --locked -- -D warnings
mapfile -t shell_scripts < <(git ls-files -- '*.sh' .ci/run)
lint shellcheck 'shellcheck --version' 'apt-get install shellcheck' shellcheck "${shell_scripts[@]}"

if [ "${#failed[@]}" -gt 0 ]; then
  printf 'lint: FAILED %s\n' "${failed[@]}" >&2
  exit 1
fi
