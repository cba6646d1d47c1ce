"""What comes out for each record of standard input, by a forest in JSON: computed without Davy.

    python3 oracle.py forest.json.gz < records > records-with-verdicts

The walk is scikit-learn's: a feature is rounded to a single, compared with a threshold that is a double, and the leaves' shares are summed
as doubles in the order of the trees.
"""

import gzip
import json
import struct
import sys

# Where the eight aggregates are, by the number of columns; None: they are not there.
AGGREGATES = {48: None, 49: None, 56: 48, 57: 49, 62: None, 70: 48, 71: 49, 74: 49}


def single(number):
    return struct.unpack("f", struct.pack("f", number))[0]


def ratio(dividend, divisor):
    return dividend / divisor if divisor > 0 else 0.0


def features(fields):
    td, ipkt, ibyt, opkt, obyt = (float(fields[at]) for at in (2, 11, 12, 13, 14))
    # nfdump's negative duration.
    td = 0.0 if td > 1e16 else td
    own = [
        ratio(ipkt, td), ratio(opkt, td), ratio(ibyt, td), ratio(obyt, td),
        ratio(ibyt, ipkt), ratio(obyt, opkt), ratio(ibyt, obyt), ratio(ipkt, opkt),
    ]
    at = AGGREGATES[len(fields)]
    given = [float(text) if text.strip() else None for text in fields[at : at + 8]] if at else [None] * 8
    if any(given):
        own = [computed if value is None else value for value, computed in zip(given, own)]
    return [single(number) for number in [td, ipkt, ibyt, opkt, obyt] + own]


def share(tree, row):
    node = 0
    while tree["children_left"][node] >= 0:
        is_left = row[tree["feature"][node]] <= tree["threshold"][node]
        node = tree["children_left" if is_left else "children_right"][node]
    value = tree["value"][node]
    return value[1] / sum(value)


def main():
    with open(sys.argv[1], "rb") as file:
        content = file.read()
    trees = json.loads(gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content)["trees"]
    for line in sys.stdin:
        fields = line.rstrip("\n").split(",")
        row = features(fields)
        confidence = 0.0
        for tree in trees:
            confidence += share(tree, row)
        print(",".join(fields[:71] + ["Crypto", "Malware", repr(confidence / len(trees))]))


main()
