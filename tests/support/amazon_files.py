#!/usr/bin/env python3
"""Makes files in the formats of Amazon's review data of 2014, with made-up content, for datasets/from_amazon.py.

    python3 tests/support/amazon_files.py FOLDER --users 60 --items 40 --reviews 500 --others 30

`--others` is how many items have metadata and visual features and no review. Item 0 has no metadata and item 1 no
visual features. At the size of Clothing: --users 39387 --items 23033 --reviews 278677 --others 300000, with
--other-images 100000 where the disk has no room for all.
"""

import argparse
import array
import gzip
import json
import os
import random

parser = argparse.ArgumentParser()
parser.add_argument("folder")
for name in ("users", "items", "reviews", "others", "other-images"):
    parser.add_argument(f"--{name}", type=int)
arguments = parser.parse_args()
draw = random.Random(1)
os.makedirs(arguments.folder, exist_ok=True)


def asin(item):
    return f"B{item:09d}"


def open_gzip(name):
    return gzip.open(os.path.join(arguments.folder, name), "wt", compresslevel=1, encoding="utf-8")


# Five items of every user, which are all items in turn, then at random. There are no more items than users.
pairs = {(user, (5 * user + n) % arguments.items) for user in range(arguments.users) for n in range(5)}
while len(pairs) < arguments.reviews:
    pairs.add((draw.randrange(arguments.users), int(arguments.items * draw.random() ** 3)))
with open_gzip("reviews.json.gz") as out:
    for user, item in sorted(pairs, key=lambda pair: (pair[1], pair[0])):
        out.write(json.dumps({"reviewerID": f"A{user:06d}", "asin": asin(item), "helpful": [0, 0],
                              "reviewText": "Fits as it should. " * 20, "overall": 5.0, "unixReviewTime": 1390694400})
                  + "\n")

words = [f"word{n}" for n in range(20_000)]
with open_gzip("meta.json.gz") as out:
    for item in range(1, arguments.items + arguments.others):
        chosen = [words[int(len(words) * draw.random() ** 3)] for _ in range(80)]
        record = {"asin": asin(item), "categories": [["Shoes", chosen[0]], ["Other"]],
                  "related": {"also_bought": [asin(item + n) for n in range(40)]}}
        if item % 7:
            record["title"] = "A \"fine\" one's " + chosen[1]
        if item % 3:
            record["brand"] = chosen[2]
        if item % 5:
            record["description"] = "Made of\n" + " ".join(chosen)
        out.write(repr(record) + "\n")

base = array.array("f", (draw.gauss(0.0, 1.0) for _ in range(4096)))
others = arguments.others if arguments.other_images is None else arguments.other_images
with open(os.path.join(arguments.folder, "images.b"), "wb") as out:
    for item in [*range(arguments.items, arguments.items + others), *range(arguments.items)]:
        if item == 1:
            continue
        turn = item * 37 % 4096
        out.write(asin(item).encode() + (base[turn:] + base[:turn]).tobytes())
