#!/usr/bin/env bash
# The nodes of a cluster as processes: launch, signal, wait. Part of scripts/kafka.sh, which chooses the cluster (`name`, and
# its folder `run`), the limits and java.
# shellcheck disable=SC2154 # These variables are set there.

# Sets `nodes`, their folders: all, or the one that is named.
choose_nodes() {
  nodes=("$run"/node-*)
  if [ -n "${1:-}" ]; then nodes=("$run/node-$1"); fi
  [ -d "${nodes[0]}" ] || die "\`$name\` has no node ${1:-at all}; run: scripts/kafka.sh up $name"
}

port_of() { sed -n 's/^listeners=PLAINTEXT:..127.0.0.1:\([0-9]*\).*/\1/p' "$1/server.properties"; }

# Prints the process of a node. A process id alone is no proof: after a restart of the machine it belongs to another.
pid_of() {
  local pid
  pid=$(cat "$1/pid" 2>/dev/null) && grep -qasF "$1/server.properties" "/proc/$pid/cmdline" && printf '%s\n' "$pid"
}

signal() {
  local pid
  if pid=$(pid_of "$2"); then kill -s "$1" "$pid" 2>/dev/null || true; fi
}

# await_exit <folder> <seconds>: kills a node that did not stop by itself
await_exit() {
  local deadline=$((SECONDS + $2))
  while pid_of "$1" >/dev/null; do
    if [ "$SECONDS" -ge "$deadline" ]; then signal KILL "$1"; fi
    sleep 0.05
  done
}

# halt <seconds> <folder...>: all at once, then waits for each
halt() {
  local seconds=$1 folder
  shift
  for folder in "$@"; do signal TERM "$folder" && signal CONT "$folder"; done
  for folder in "$@"; do await_exit "$folder" "$seconds"; done
}

# format <folder>: what a node needs before its first start
format() {
  local users=() mechanism password
  if password=$(sed -n 's/^DAVY_KAFKA_PASSWORD=//p' "$run/env") && [ -n "$password" ]; then
    for mechanism in 256 512; do users+=(--add-scram "SCRAM-SHA-$mechanism=[name=davy,password=$password]"); done
  fi
  java "${java_options[@]}" -Xmx128m -cp "$class_path" kafka.tools.StorageTool format \
    --cluster-id "$(cat "$run/cluster.id")" --config "$1/server.properties" "${users[@]}" >"$1/kafka.log" 2>&1
}

# launch <folder> [option of java...]: in a session of its own, so that Ctrl-C does not reach it
launch() {
  local folder=$1 heap=(-Xms256m -Xmx512m) options
  shift
  if [ -d "$run/node-3" ]; then heap=(-Xms128m -Xmx384m); fi
  read -ra options <<<"${KAFKA_OPTS:-}"
  setsid java "${java_options[@]}" -Ddavy.kafka.log=info "${heap[@]}" "${options[@]}" "$@" -cp "$class_path" kafka.Kafka \
    "$folder/server.properties" </dev/null >>"$folder/kafka.log" 2>&1 8>&- 9>&- &
  printf '%s\n' "$!" >"$folder/pid"
}

# is_ready <folder> <n>: serves clients, and reports at least n brokers, itself included
is_ready() {
  local answer
  answer=$(timeout 3 "$here/kafka/brokers.sh" "$(port_of "$1")" 2>/dev/null) || return 1
  grep -qx "${1##*/node-}" <<<"$answer" && grep -qx "$(cat "$run/cluster.id")" <<<"$answer" &&
    [ "$(wc -l <<<"$answer")" -gt "$2" ]
}

# await_ready <n> <folder...>: fails when a node ends or time is up
await_ready() {
  local n=$1 folder deadline=$((SECONDS + ready_seconds))
  shift
  for folder in "$@"; do
    until is_ready "$folder" "$n"; do
      kill -0 "$(cat "$folder/pid")" 2>/dev/null || return 1
      [ "$SECONDS" -lt "$deadline" ] || return 1
      sleep 0.05
    done
  done
}

show_logs() {
  local folder
  for folder in "$@"; do
    say "\`$name\`, node ${folder##*/node-}, is not ready after $ready_seconds s, or ended; the last lines of its log:"
    tail -n 25 "$folder/kafka.log" >&2 || true
  done
}
