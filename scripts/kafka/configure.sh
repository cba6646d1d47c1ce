#!/usr/bin/env bash
# Writes the configuration of a new cluster: FOLDER/node-N/server.properties with free ports, and FOLDER/env with what a
# client needs. configure.sh FOLDER NODES plain|secure
#
# OAUTHBEARER checks unsigned tokens here, as that needs no token server: enough to see that a client sends one.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$1 nodes=$2 security=$3

random_text() { head -c 16 /dev/urandom | base64 | tr -d '=\n' | tr '+/' 'Az'; }

# Below 32768 no outgoing connection takes a port by chance while its node is stopped for a test.
first_port=12000
n_ports=20000

# Ports of nodes that are stopped are not free: they come back on the same ones.
taken=$(cat "$folder"/../*/node-*/server.properties 2>/dev/null | grep -oE '127\.0\.0\.1:[0-9]+' || true)

is_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Sets `port`. Another process may take it before the broker does; then the whole attempt is made again with other ports.
choose_port() {
  port=$((first_port + RANDOM % n_ports))
  while grep -qx "127.0.0.1:$port" <<<"$taken" || is_open "$port"; do
    port=$((first_port + RANDOM % n_ports))
  done
  taken+=$'\n'127.0.0.1:$port
}

# Sets `<listener>_ports`, one for each node.
plaintext_ports=() controller_ports=() sasl_ssl_ports=() mtls_ports=()
for ((node = 0; node < nodes; node++)); do
  choose_port && plaintext_ports+=("$port")
  choose_port && controller_ports+=("$port")
  [ "$security" = plain ] || { choose_port && sasl_ssl_ports+=("$port"); }
  [ "$security" = plain ] || { choose_port && mtls_ports+=("$port"); }
done

# addresses <prefix of each> <port...>: separated by commas
addresses() {
  local prefix=$1 all
  shift
  all=$(printf ",$prefix%s" "$@")
  printf '%s\n' "${all:1}"
}

voters=
for ((node = 0; node < nodes; node++)); do voters+=",$((node + 1))@127.0.0.1:${controller_ports[node]}"; done

password=$(random_text)
jaas=org.apache.kafka.common.security

# For a cluster of three, one node may fail and everything goes on.
min_in_sync=$((nodes > 1 ? 2 : 1))

common() {
  cat "$here/server.properties"
  cat <<END

controller.quorum.voters=${voters:1}
default.replication.factor=$nodes
min.insync.replicas=$min_in_sync
offsets.topic.replication.factor=$nodes
transaction.state.log.replication.factor=$nodes
transaction.state.log.min.isr=$min_in_sync
share.coordinator.state.topic.replication.factor=$nodes
share.coordinator.state.topic.min.isr=$min_in_sync
END
}

# node <index>: what this one has for itself
node() {
  local listeners=PLAINTEXT://127.0.0.1:${plaintext_ports[$1]} protocols=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
  if [ "$security" = secure ]; then
    listeners+=,SASL_SSL://127.0.0.1:${sasl_ssl_ports[$1]},MTLS://127.0.0.1:${mtls_ports[$1]}
    protocols+=,SASL_SSL:SASL_SSL,MTLS:SSL
  fi
  cat <<END

node.id=$(($1 + 1))
log.dirs=$folder/node-$(($1 + 1))/data
listeners=$listeners,CONTROLLER://127.0.0.1:${controller_ports[$1]}
advertised.listeners=$listeners
listener.security.protocol.map=$protocols
END
}

secure() {
  cat <<END

ssl.keystore.type=PEM
ssl.keystore.location=$folder/tls/server.pem
ssl.truststore.type=PEM
ssl.truststore.location=$folder/tls/ca.pem
listener.name.mtls.ssl.client.auth=required
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER
listener.name.sasl_ssl.plain.sasl.jaas.config=$jaas.plain.PlainLoginModule required user_davy="$password";
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=$jaas.scram.ScramLoginModule required;
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=$jaas.scram.ScramLoginModule required;
listener.name.sasl_ssl.oauthbearer.sasl.jaas.config=$jaas.oauthbearer.OAuthBearerLoginModule required \\
  unsecuredLoginStringClaim_sub="broker";
END
}

env_of_clients() {
  printf 'DAVY_KAFKA=%s\n' "$(addresses 127.0.0.1: "${plaintext_ports[@]}")"
  [ "$security" = secure ] || return 0
  printf 'DAVY_KAFKA_SASL_SSL=%s\n' "$(addresses 127.0.0.1: "${sasl_ssl_ports[@]}")"
  printf 'DAVY_KAFKA_MTLS=%s\n' "$(addresses 127.0.0.1: "${mtls_ports[@]}")"
  printf 'DAVY_KAFKA_USER=davy\nDAVY_KAFKA_PASSWORD=%s\n' "$password"
  printf 'DAVY_KAFKA_CA=%s\n' "$folder/tls/ca.pem"
  printf 'DAVY_KAFKA_CLIENT_CERTIFICATE=%s\nDAVY_KAFKA_CLIENT_KEY=%s\n' "$folder/tls/client.pem" "$folder/tls/client.key"
}

umask 077
for ((index = 0; index < nodes; index++)); do
  mkdir -p "$folder/node-$((index + 1))"
  {
    common
    node "$index"
    [ "$security" = plain ] || secure
  } >"$folder/node-$((index + 1))/server.properties"
done
[ "$security" = plain ] || "$here/certificates.sh" "$folder/tls"
random_text >"$folder/cluster.id"
env_of_clients >"$folder/env"
