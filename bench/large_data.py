#!/usr/bin/env python3
"""Writes a data set of very many items, for timing alone: `sea synth`, which plants tastes, draws too long for it.

    python3 bench/large_data.py OUT [--users 200000] [--items 1000000] [--pairs 3100000] [--width 128]

Every item stands in at least one training pair, as does every user who is drawn; the other pairs fall on items by a long-tailed
popularity, a tenth each on validation and test. Both modalities have the same width: a cluster's centre, of 2,000, and
noise. Needs NumPy.
"""

import argparse
import os
import sys

try:
    import numpy as np
except ImportError:
    sys.exit("error: this needs NumPy: apt-get install python3-numpy")

CLUSTERS, NOISE = 2000, 0.7


def write_interactions(path, users, items, pairs):
    random = np.random.default_rng(7)
    item = np.concatenate([random.permutation(items),
                           (items * random.random(pairs - items) ** 3).astype(np.int64)])
    user = np.concatenate([random.integers(0, users, items), random.integers(0, users, pairs - items)])
    key = np.unique(user * items + item)
    user, item = key // items, key % items
    order = random.permutation(len(key))
    user, item = user[order], item[order]
    label = random.choice(3, len(key), p=[0.8, 0.1, 0.1])
    for ids in (user, item):
        label[np.unique(ids, return_index=True)[1]] = 0
    with open(path, "w", encoding="utf-8") as file:
        file.write("userID\titemID\tx_label\n")
        np.savetxt(file, np.stack([user, item, label], 1), fmt="%d", delimiter="\t")


def write_features(path, items, width, seed):
    random = np.random.default_rng(seed)
    centres = random.standard_normal((CLUSTERS, width), dtype=np.float32)
    cluster = random.integers(0, CLUSTERS, items)
    np.save(path, centres[cluster] + NOISE * random.standard_normal((items, width), dtype=np.float32))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", metavar="OUT")
    for name, value in (("users", 200_000), ("items", 1_000_000), ("pairs", 3_100_000), ("width", 128)):
        parser.add_argument(f"--{name}", type=int, default=value)
    arguments = parser.parse_args()
    if min(arguments.users, arguments.items, arguments.width) < 1 or arguments.pairs <= arguments.items:
        parser.error("--users, --items and --width must be at least 1, and --pairs above --items")
    out = os.path.abspath(arguments.out)
    os.makedirs(out)
    write_interactions(os.path.join(out, os.path.basename(out) + ".inter"), arguments.users, arguments.items,
                       arguments.pairs)
    for seed, name in ((1, "image"), (2, "text")):
        write_features(os.path.join(out, f"{name}_feat.npy"), arguments.items, arguments.width, seed)


if __name__ == "__main__":
    main()
