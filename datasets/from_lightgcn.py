#!/usr/bin/env python3
"""Turns a folder with LightGCN's `train.txt` and `test.txt` into a data folder that `sea` reads.

    python3 datasets/from_lightgcn.py gowalla data/gowalla

A line is a user and the user's items, separated by blanks: `user item item ...`. The split is kept; a `valid.txt`
beside the two is the validation split, and without one `sea train` needs --epochs. Ids are numbered from 0 in the order
of their numbers; `u_id_mapping.csv` and `i_id_mapping.csv` keep the original ones. Item features are up to you: see
README.md beside this file.
"""

import os

import layout


def read(path, label):
    pairs = []
    try:
        with open(path, encoding="utf-8-sig") as lines:
            for line_number, line in enumerate(lines, start=1):
                ids = line.split()
                for text in ids:
                    if not (text.isascii() and text.isdigit()):
                        layout.fail(f"{path}, line {line_number}: '{text[:40]}' is not a whole number from 0")
                pairs.extend((ids[0], item, label) for item in ids[1:])
    except OSError as error:
        layout.fail(f"{path}: cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        layout.fail(f"{path}: is not UTF-8 text")
    return pairs


def main():
    parser = layout.ArgumentParser(description="LightGCN's train.txt and test.txt to the layout that sea reads")
    parser.add_argument("input", metavar="FOLDER", help="where train.txt, test.txt and perhaps valid.txt are")
    parser.add_argument("output", metavar="OUTPUT", help="folder to make; it must not exist")
    layout.add_core(parser)
    arguments = parser.parse_args()
    layout.check_common_arguments(arguments)
    pairs = read(os.path.join(arguments.input, "train.txt"), 0)
    for name, label in (("valid.txt", 1), ("test.txt", 2)):
        path = os.path.join(arguments.input, name)
        if os.path.exists(path):
            pairs += read(path, label)
    layout.convert_split(arguments, pairs)


if __name__ == "__main__":
    main()
