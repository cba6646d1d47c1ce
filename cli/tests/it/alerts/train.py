"""Trains a small forest from features of benign flows and of miners, and writes it as `davy model import` reads it.

    python3 train.py benign.csv miners.csv > forest.json

Three trees, each over two thirds of the rows; as good as a test needs, without any package.
"""

import csv
import json
import sys

FEATURES = "td ipkt ibyt opkt obyt pktips pktops bytips bytops bytippkt bytoppkt bytipo pktipo".split()
DEPTH_MAX = 8
CUTS = 24


def read(path, label):
    with open(path, newline="") as file:
        return [([float(row[name]) for name in FEATURES], label) for row in csv.DictReader(file)]


def impurity(n_miners, n):
    share = n_miners / n if n else 0.0
    return n * 2 * share * (1 - share)


def best_split(rows):
    best = None
    for feature in range(len(FEATURES)):
        values = sorted({features[feature] for features, _ in rows})
        for cut in values[:: max(1, len(values) // CUTS)][1:]:
            left = [label for features, label in rows if features[feature] <= cut]
            n_miners = sum(label for _, label in rows) - sum(left)
            cost = impurity(sum(left), len(left)) + impurity(n_miners, len(rows) - len(left))
            if 0 < len(left) < len(rows) and (best is None or cost < best[0]):
                best = (cost, feature, cut)
    return best


def grow(rows, tree, depth=0):
    node = len(tree["feature"])
    n_miners = sum(label for _, label in rows)
    for name, value in (("children_left", -1), ("children_right", -1), ("feature", -2), ("threshold", -2.0)):
        tree[name].append(value)
    tree["value"].append([1 - n_miners / len(rows), n_miners / len(rows)])
    split = best_split(rows) if depth < DEPTH_MAX and 0 < n_miners < len(rows) else None
    if split:
        _, feature, cut = split
        tree["feature"][node], tree["threshold"][node] = feature, cut
        sides = ("children_left", True), ("children_right", False)
        for name, is_left in sides:
            tree[name][node] = grow([row for row in rows if (row[0][feature] <= cut) == is_left], tree, depth + 1)
    return node


def main():
    rows = read(sys.argv[1], 0) + read(sys.argv[2], 1)
    trees = []
    for index in range(3):
        tree = {name: [] for name in ("children_left", "children_right", "feature", "threshold", "value")}
        grow([row for number, row in enumerate(rows) if number % 3 != index], tree)
        trees.append(tree)
    json.dump({"n_features": len(FEATURES), "trees": trees}, sys.stdout)


main()
