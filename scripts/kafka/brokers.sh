#!/usr/bin/env bash
# Prints the ids of the brokers that the node on PORT reports to clients, one per line: those that are registered and
# not fenced. Then, on a line, the id of the cluster. An open port says less: it opens long before requests are served, and
# may be another cluster's. A node that is paused takes the connection and never answers, so the caller brings a timeout.
# brokers.sh PORT
#
# Sends bytes made by hand (a Metadata request, version 2, for no topic): Kafka's own tools take a second to start.
set -euo pipefail
exec 3<>"/dev/tcp/127.0.0.1/$1"

# Prints column $2 of rows of $1 bytes.
column() { od -A n -v -w"$1" -t u1 | tr -s ' ' | cut -d ' ' -f "$(($2 + 1))"; }

# Length 14, Metadata = 3, version 2, correlation id 1, no client id, no topics.
printf '\0\0\0\016\0\003\0\002\0\0\0\001\377\377\0\0\0\0' >&3
# Length, correlation id, number of brokers: four bytes each; here are never more than 255.
n_brokers=$(head -c 12 <&3 | column 12 12)
# Each is 21 bytes, as its host is `127.0.0.1`: id (4), host (2 + 9), port (4), no rack (2).
head -c "$((21 * n_brokers))" <&3 | column 21 4
# The id of the cluster: two bytes of length, 22 characters.
head -c 24 <&3 | tail -c 22
printf '\n'
