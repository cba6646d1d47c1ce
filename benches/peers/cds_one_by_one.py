#!/usr/bin/env python3
"""Option A, a peer: the Cryptomining Detection System's way, one message at a time. Not a part of Davy.

    benches/peers/cds_one_by_one.py BROKER INPUT OUTPUT forest.json.gz

Reads a record, predicts one row with scikit-learn, writes the record with its verdict, and flushes, before it reads the next one; as the
system does, the key is the record, and nothing is committed. It ends at SIGTERM. The record's first 57 columns have to hold the aggregates.
"""

import gzip
import json
import signal
import sys

import numpy as np
from confluent_kafka import Consumer, Producer
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier
from sklearn.tree._tree import Tree

# td, ipkt, ibyt, opkt, obyt, and the eight aggregates.
COLUMNS = [2, 11, 12, 13, 14, *range(49, 57)]


def main(broker, consumed, produced, forest):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    model = load(forest)
    consumer = Consumer({"bootstrap.servers": broker, "group.id": f"one-by-one-{produced}", "auto.offset.reset": "earliest", "enable.auto.commit": False})
    producer = Producer({"bootstrap.servers": broker})
    consumer.subscribe([consumed])
    while True:
        message = consumer.poll(1.0)
        if message is None or message.error():
            continue
        record = message.value().decode()
        fields = record.split(",")
        row = np.array([[float(fields[at]) for at in COLUMNS]], dtype=np.float32)
        confidence = float(model.predict_proba(row)[0][1])
        verdict = f"{record},Crypto,Malware,{confidence!r}"
        producer.produce(produced, value=verdict, key=verdict)
        producer.flush()


def load(path):
    """The forest in plain JSON as the RandomForestClassifier that it was."""
    with gzip.open(path) as file:
        content = json.load(file)
    n_features = content["n_features"]
    forest = RandomForestClassifier(n_estimators=len(content["trees"]))
    forest.estimators_ = [tree(entry, n_features) for entry in content["trees"]]
    forest.n_features_in_, forest.n_outputs_, forest.n_classes_, forest.classes_ = n_features, 1, 2, np.array([0, 1])
    return forest


def tree(entry, n_features):
    counts = np.array(entry["value"], dtype=np.float64).reshape(-1, 1, 2)
    # What scikit-learn keeps since 1.3: shares instead of counts.
    shares = counts / counts.sum(axis=2, keepdims=True)
    inner = Tree(n_features, np.array([2], dtype=np.intp), 1)
    empty = inner.__getstate__()["nodes"]
    nodes = np.zeros(len(counts), dtype=empty.dtype)
    for field, name in (("left_child", "children_left"), ("right_child", "children_right"), ("feature", "feature"), ("threshold", "threshold")):
        nodes[field] = entry[name]
    nodes["n_node_samples"] = 1
    inner.__setstate__({"max_depth": 64, "node_count": len(nodes), "nodes": nodes, "values": np.ascontiguousarray(shares)})
    result = DecisionTreeClassifier()
    result.tree_, result.n_features_in_, result.n_outputs_, result.n_classes_, result.classes_ = inner, n_features, 1, 2, np.array([0, 1])
    return result


if __name__ == "__main__":
    main(*sys.argv[1:])
