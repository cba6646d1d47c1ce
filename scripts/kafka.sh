#!/usr/bin/env bash
# A real Kafka on loopback, for tests and laptops: one broker or three, in KRaft mode, on free ports. Several can run at once,
# each under its own name. Linux only (flock, setsid, /proc).
#
#   kafka.sh up NAME [--nodes 1|3] [--secure]    starts it unless it runs; prints its bootstrap servers
#   kafka.sh down NAME | --all                   stops it and removes its data; its logs stay beside its folder
#   kafka.sh with NAME [as for up] -- COMMAND…   up, COMMAND with DAVY_KAFKA in its environment, down; COMMAND's exit code.
#                                                With DAVY_KAFKA already set, runs COMMAND against that one
#   kafka.sh env NAME                            what a client needs, as KEY=VALUE lines
#   kafka.sh tool CLASS [ARGUMENT…]              one of Kafka's own tools, such as org.apache.kafka.tools.TopicCommand
#   kafka.sh status [NAME]                       one line for each node
#   kafka.sh kill|stop|start|pause|resume|pid NAME [NODE]
#                                                one node or all: SIGKILL, SIGTERM, again with the same port and data,
#                                                SIGSTOP, SIGCONT, print process ids
#
# Everything is below $CARGO_TARGET_DIR/kafka: the jars, and run/NAME/ with configuration, data and node-N/kafka.log.
# With DAVY_NO_KAFKA set, `up` and `with` refuse: `make check` leaves out what needs a broker, and a test that was missed must fail.
# KAFKA_OPTS adds options for the broker's java; `-XX:TieredStopAtLevel=4` for a broker that serves a benchmark and not a test.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=${CARGO_TARGET_DIR:-$HOME/.cache/davy/target}/kafka
mkdir -p "$home/run"
home=$(cd "$home" && pwd)

# A start takes 2 s; this is for machines that do much else.
ready_seconds=90
# Below, a node has no time for a controlled shutdown. With the data removed afterwards, it needs none.
stop_seconds=30
down_seconds=2
port_attempts=5

say() { printf 'kafka: %s\n' "$*" >&2; }

die() {
  say "$*"
  exit 1
}

usage() {
  sed -n '2,/^set /s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
  exit 2
}

# shellcheck source=scripts/kafka/nodes.sh
. "$here/kafka/nodes.sh"

# Sets `name` and `run`, its folder.
choose() {
  [[ ${1:-} =~ ^[a-z0-9][a-z0-9_-]*$ ]] || die "a name of lower-case characters and digits is missing; run: scripts/kafka.sh"
  name=$1
  run=$home/run/$name
}

# Nodes outlive this script, so they must not hold its lock: see `launch`.
lock() {
  exec 9>"$home/run/$name.lock"
  flock 9
}

# Most of a start is loading classes, so java gets an archive of those that an earlier start loaded. The compiler that is
# quick to start is the right one for a broker that runs for seconds.
set_up_java() {
  local java_version
  command -v java >/dev/null || die "Java 17 is not installed; run as root: apt-get install -y default-jre-headless"
  jars=$("$here/kafka/jars.sh" "$home")
  class_path=$(printf ':%s' "$jars"/*.jar)
  class_path=${class_path:1}
  java_options=(-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:+ExitOnOutOfMemoryError
    "-Dlog4j2.configurationFile=$here/kafka/log4j2.properties")
  java_version=$(java -version 2>&1 | sha256sum | cut -c 1-12)
  archive=$jars-$java_version.jsa
  exec 8>"$jars.lock"
  flock 8
  [ -f "$archive" ] || (make_archive) || say "noted nothing; starts are a second slower"
  exec 8>&-
  java_options+=("-XX:SharedArchiveFile=$archive")
}

# Runs in a process of its own.
make_archive() {
  say "noting once which classes a start loads, for faster starts"
  choose "archive-$$"
  trap 'take_down' EXIT
  create 1 plain "-XX:ArchiveClassesAtExit=$archive.unfinished"
  halt "$stop_seconds" "${nodes[@]}"
  mv "$archive.unfinished" "$archive"
}

# create <nodes> <plain|secure> [option of java...]: a new cluster, with other ports when another process takes one in the meantime
create() {
  local attempt folder formats
  for ((attempt = 1; attempt <= port_attempts; attempt++)); do
    halt 0 "$run"/node-* # Of the attempt before, or of a start that was killed.
    rm -rf "$run"
    mkdir -p "$run"
    printf '%s\n' "${DAVY_KAFKA_OWNER:-}" >"$run/owner"
    "$here/kafka/configure.sh" "$run" "$1" "$2"
    choose_nodes
    formats=()
    for folder in "${nodes[@]}"; do format "$folder" & formats+=("$!"); done
    for folder in "${formats[@]}"; do wait "$folder" || die "cannot format: $(cat "$run"/node-*/kafka.log)"; done
    for folder in "${nodes[@]}"; do launch "$folder" "${@:3}"; done
    if await_ready "$1" "${nodes[@]}"; then
      printf '%s %s\n' "$1" "$2" >"$run/shape"
      return
    fi
    grep -qs 'Address already in use' "$run"/node-*/kafka.log || break
    say "\`$name\`: another process took a port; trying with others"
  done
  show_logs "${nodes[@]}"
  exit 1
}

take_down() {
  local folder
  trap '' INT TERM HUP # Not halfway.
  for folder in "$run"/node-*; do
    [ -d "$folder" ] || continue
    halt "$down_seconds" "$run"/node-*
    mv "$folder/kafka.log" "$run-${folder##*/}.log" 2>/dev/null || true
  done
  rm -rf "$run"
}

# Takes down what a `with` that was killed left behind, and removes old logs and locks. Another
# container that shares the folder has processes of its own, which cannot be seen from here.
sweep() {
  local host pid folder
  for folder in "$home/run"/*/; do
    read -r host pid 2>/dev/null <"$folder/owner" || continue
    if [ "$host" = "$HOSTNAME" ] && ! kill -0 "$pid" 2>/dev/null; then
      say "stopping $(basename "$folder"), as process $pid that started it is gone"
      "$here/kafka.sh" down "$(basename "$folder")"
    fi
  done
  find "$home/run" -maxdepth 1 -type f \( -name '*.log' -o -name '*.lock' \) -mtime +7 -delete
}

refuse_without_kafka() {
  [ -z "${DAVY_NO_KAFKA:-}" ] || die "DAVY_NO_KAFKA is set: tests that need a broker belong in a module that NEEDS_KAFKA in the Makefile lists"
}

up() {
  local n_nodes='' security='' shape
  choose "${1:-}"
  shift
  while [ $# -gt 0 ]; do
    case $1 in
      --nodes)
        n_nodes=${2:-}
        [[ $n_nodes =~ ^[13]$ ]] || die "--nodes is 1 or 3"
        shift 2
        ;;
      --secure) security=secure && shift ;;
      *) usage ;;
    esac
  done
  sweep
  lock
  if [ -f "$run/shape" ]; then
    read -ra shape <"$run/shape"
    [ "${n_nodes:-${shape[0]}} ${security:-${shape[1]}}" = "${shape[*]}" ] ||
      die "\`$name\` is here with other options (${shape[*]}); first run: scripts/kafka.sh down $name"
    start
  else
    trap 'take_down' EXIT
    set_up_java
    create "${n_nodes:-1}" "${security:-plain}"
    trap - EXIT
  fi
  sed -n 's/^DAVY_KAFKA=//p' "$run/env"
}

down() {
  local folder
  if [ "${1:-}" != --all ]; then
    choose "${1:-}"
    lock
    take_down
    return
  fi
  for folder in "$home/run"/*/; do
    [ ! -d "$folder" ] || "$here/kafka.sh" down "$(basename "$folder")"
  done
}

# start [NODE]
start() {
  local folder
  choose_nodes "${1:-}"
  set_up_java
  for folder in "${nodes[@]}"; do pid_of "$folder" >/dev/null || launch "$folder"; done
  await_ready 1 "${nodes[@]}" || { show_logs "${nodes[@]}" && exit 1; }
}

# with NAME [options of up...] -- command...
with() {
  local options=() client_env
  choose "${1:-}"
  shift
  while [ $# -gt 0 ] && [ "$1" != -- ]; do options+=("$1") && shift; done
  [ $# -gt 1 ] || usage
  shift
  if [ -n "${DAVY_KAFKA:-}" ]; then
    say "using DAVY_KAFKA=$DAVY_KAFKA; starting none"
    exec "$@"
  fi
  sweep
  [ ! -d "$run" ] || die "\`$name\` is here already; take another name, or run: scripts/kafka.sh down $name"
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  trap 'take_down' EXIT
  DAVY_KAFKA_OWNER="$HOSTNAME $$" "$here/kafka.sh" up "$name" "${options[@]}" >/dev/null
  mapfile -t client_env <"$run/env"
  # A command in the background would ignore Ctrl-C; one in the foreground would keep a signal to this script waiting.
  run_and_pass_on_signals env --default-signal=INT,QUIT "${client_env[@]}" "$@"
}

run_and_pass_on_signals() {
  local command signalled=yes code=0
  "$@" <&0 &
  command=$!
  # Ctrl-C has reached the command already, and a second one might stop its own cleaning up.
  trap 'signalled=yes' INT
  trap 'signalled=yes; kill -s TERM "$command" 2>/dev/null || true' TERM HUP
  # A signal ends the wait, but not the command.
  while [ "$signalled" = yes ]; do
    signalled=no
    wait "$command" && code=0 || code=$?
  done
  # Bash can lose the exit code of a command that ends in the moment of a Ctrl-C, and says -1.
  [ "$code" -ge 0 ] || code=130
  exit "$code"
}

state_of() {
  local pid
  if ! pid=$(pid_of "$1"); then
    printf 'stopped\n'
  elif grep -qs '^State:.T' "/proc/$pid/status"; then
    printf 'paused, pid %s\n' "$pid"
  elif is_ready "$1" 1; then
    printf 'ready, pid %s\n' "$pid"
  else
    printf 'not ready, pid %s\n' "$pid"
  fi
}

status() {
  local folder
  for folder in "$home/run/${1:-}"*/node-*; do
    [ -f "$folder/server.properties" ] || continue
    run=${folder%/*}
    [ -z "${1:-}" ] || [ "${run##*/}" = "$1" ] || continue
    printf '%s %s 127.0.0.1:%s %s\n' "${run##*/}" "${folder##*/}" "$(port_of "$folder")" "$(state_of "$folder")"
  done
}

# on_nodes <what> NAME [NODE]
on_nodes() {
  local what=$1 folder
  choose "${2:-}"
  choose_nodes "${3:-}"
  case $what in
    start) lock && start "${3:-}" ;;
    stop) halt "$stop_seconds" "${nodes[@]}" ;;
    *) for folder in "${nodes[@]}"; do on_node "$what" "$folder"; done ;;
  esac
}

on_node() {
  case $1 in
    kill) signal KILL "$2" && await_exit "$2" 0 ;;
    pause) signal STOP "$2" ;;
    resume) signal CONT "$2" ;;
    pid) pid_of "$2" || die "\`$name\`: ${2##*/} does not run" ;;
  esac
}

tool() {
  set_up_java
  exec java "${java_options[@]}" -cp "$class_path" "$@"
}

case ${1:-} in
  up | with) refuse_without_kafka && "$@" ;;
  down | status | tool) "$@" ;;
  env) choose "${2:-}" && choose_nodes && cat "$run/env" ;;
  kill | stop | start | pause | resume | pid) on_nodes "$@" ;;
  *) usage ;;
esac
