#!/usr/bin/env bash
# Starts what the chart renders as processes of this machine, over a Kafka of its own: two coordinators, two workers, `helm test`, the pipelines'
# Job twice, and the miner test. Needs root, for a network and a file of host names that no other process sees; and Java, for Kafka.
#
#   make test-chart-processes                                # builds the release first
#   deploy/helm/tests/processes.sh path/to/davy
set -euo pipefail
cd "$(dirname "$0")/../../.."

davy=$(realpath "$1")
if [ "${2:-}" != inside ]; then
  deploy/helm/tests/run.sh --setup
  exec unshare --mount --net "$0" "$davy" inside
fi

folder=$(mktemp -d)
name=chart-$$
trap 'scripts/kafka.sh down "$name" >&2; rm -rf "$folder"' EXIT
ip link set lo up
mount --make-rprivate /
cp /etc/hosts "$folder/hosts"
for index in 0 1; do
  printf '127.0.0.1%s davy-coordinator-%s.davy-coordinator-headless.davy-system.svc\n' "$index" "$index" >>"$folder/hosts"
done
mount --bind "$folder/hosts" /etc/hosts
servers=$(scripts/kafka.sh up "$name")
for topic in flows miners; do
  scripts/kafka.sh tool org.apache.kafka.tools.TopicCommand --bootstrap-server "$servers" --create --topic "$topic" --partitions 4 >&2
done
tools=$HOME/.cache/davy/chart/bin
PATH=$tools:$PATH PYTHONDONTWRITEBYTECODE=1 "$tools/python" deploy/helm/tests/processes.py "$davy" "$servers" "$folder"
