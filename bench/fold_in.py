#!/usr/bin/env python3
"""How well people and items that were not in training are served.

    python3 bench/fold_in.py DATA --output FOLDER [--parts users,items] [--model sea] [--set key=value]... [--epochs N]

Leaves a share of the users, and apart from that a share of the items, out of a data set, renumbers the rest, and trains
on the rest and on the whole with the same settings. Then, on test pairs alone:

- users: for the users left out, recall of `sea recommend --history` (their training pairs), of a model that was trained on
  them, and of the most popular items. Their own training items are left out of every ranking.
- items: for all users who have test pairs of items left out, recall of those pairs by `sea recommend --new-items`, and by a
  model that was trained on the items; once among all items, once among the items left out alone. Popularity there counts
  the training pairs of the whole, which a new item does not have.

Prints one line of JSON per part and cut-off. Needs Python alone.
"""

import argparse
import ast
import csv
import json
import os
import random
import re
import struct
import subprocess

TRAIN, TEST = 0, 2


def read_pairs(data):
    name = os.path.basename(os.path.abspath(data))
    with open(os.path.join(data, name + ".inter")) as file:
        next(file)
        return [tuple(int(float(x)) for x in line.split("\t")[:3]) for line in file if line.strip()]


def write_pairs(folder, pairs):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, os.path.basename(folder) + ".inter"), "w") as file:
        file.write("userID\titemID\tx_label\n")
        file.writelines(f"{user}\t{item}\t{split}\n" for user, item, split in pairs)


def select_rows(source, target, rows):
    """The rows of a .npy matrix, as they are."""
    with open(source, "rb") as file:
        magic = file.read(8)
        size = struct.unpack("<H" if magic[6] == 1 else "<I", file.read(2 if magic[6] == 1 else 4))[0]
        header = ast.literal_eval(file.read(size).decode("latin1"))
        start = file.tell()
        width = int(re.sub(r"\D", "", header["descr"])) * header["shape"][1]
        if header["fortran_order"]:
            raise SystemExit(f"{source}: is in Fortran order")
        text = f"{{'descr': '{header['descr']}', 'fortran_order': False, 'shape': ({len(rows)}, {header['shape'][1]}), }}"
        text += " " * ((64 - (11 + len(text)) % 64) % 64) + "\n"
        with open(target, "wb") as out:
            out.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode())
            for row in rows:
                file.seek(start + row * width)
                out.write(file.read(width))


def leave_out(ids, keep, share, seed):
    """A share of the ids below `ids`, drawn by the seed, none of `keep`; ascending."""
    choice = [i for i in range(ids) if i not in keep]
    random.Random(seed).shuffle(choice)
    return sorted(choice[: round(share * ids)])


def renumber(count, out):
    kept = [i for i in range(count) if i not in out]
    return {old: new for new, old in enumerate(kept)}


def items_of(pairs, split):
    items = {}
    for user, item, label in pairs:
        if label == split:
            items.setdefault(user, set()).add(item)
    return items


def recall(lists, wanted, k):
    return sum(len(wanted[u] & set(lists.get(u, [])[:k])) / len(wanted[u]) for u in wanted) / len(wanted)


class Bench:
    def __init__(self, options):
        self.options = options
        self.out = os.path.abspath(options.output)
        self.pairs = read_pairs(options.data)
        self.users = 1 + max(p[0] for p in self.pairs)
        self.items = 1 + max(p[1] for p in self.pairs)
        self.name = os.path.basename(os.path.abspath(options.data))
        self.features = sorted(f for f in os.listdir(options.data) if f.endswith(".npy"))
        os.makedirs(self.out, exist_ok=True)

    def sea(self, *words):
        command = self.options.prefix.split() + [self.options.sea, *map(str, words)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def train(self, data, run):
        words = ["train", data, "--resume", "--output", run, "--model", self.options.model, "--seed", self.options.seed]
        for assignment in self.options.set:
            words += ["--set", assignment]
        words += ["--threads", self.options.threads]
        if self.options.epochs:
            words += ["--epochs", self.options.epochs]
        if not os.path.exists(os.path.join(run, "result.json")):
            self.sea(*words, "--quiet")

    def whole(self):
        run = os.path.join(self.out, "whole-run")
        self.train(os.path.abspath(self.options.data), run)
        return run

    def recommend(self, run, name, *words):
        """Lists by the userID, or the name of a person in a history, as the .tsv has it last."""
        file = os.path.join(self.out, name + ".tsv")
        self.sea("recommend", run, "--exclude", "train", "--top-k", max(self.options.top_k), "--output", file, *words)
        lists = {}
        with open(file, newline="") as rows:
            for row in csv.DictReader(rows, delimiter="\t"):
                lists.setdefault(row.get("user") or row["userID"], []).append(int(row["itemID"]))
        return lists

    def user_file(self, name, users):
        file = os.path.join(self.out, name + ".txt")
        with open(file, "w") as out:
            out.writelines(f"{user}\n" for user in users)
        return file

    def report(self, part, k, **values):
        print(json.dumps({"data": self.name, "model": self.options.model, "split_seed": self.options.split_seed,
                          "part": part, "k": k, **values}), flush=True)

    def popular(self, pairs, seen, users, among=None):
        counts = {}
        for _, item, split in pairs:
            if split == TRAIN:
                counts[item] = counts.get(item, 0) + 1
        ranked = sorted(among if among is not None else counts, key=lambda i: (-counts.get(i, 0), i))
        depth = max(self.options.top_k)
        lists = {}
        for user in users:
            own = seen.get(user, set())
            lists[user] = []
            for item in ranked:
                if item not in own:
                    lists[user].append(item)
                    if len(lists[user]) == depth:
                        break
        return lists

    def measure_users(self):
        # The last item stays in the data, so that items keep their numbers.
        keep = {u for u, i, _ in self.pairs if i == self.items - 1}
        out = set(leave_out(self.users, keep, self.options.share, self.options.split_seed))
        number = renumber(self.users, out)
        data = os.path.join(self.out, "without-users")
        write_pairs(data, [(number[u], i, s) for u, i, s in self.pairs if u in number])
        for file in self.features:
            select_rows(os.path.join(self.options.data, file), os.path.join(data, file), range(self.items))
        train, test = items_of(self.pairs, TRAIN), items_of(self.pairs, TEST)
        wanted = {u: test[u] for u in sorted(out) if u in train and u in test}
        history = os.path.join(self.out, "history.tsv")
        with open(history, "w") as file:
            file.writelines(f"{user}\t{item}\n" for user in wanted for item in sorted(train[user]))

        run = os.path.join(self.out, "without-users-run")
        self.train(data, run)
        folded = self.recommend(run, "folded", "--history", history)
        trained = self.recommend(self.whole(), "trained", "--user-file", self.user_file("left-out", wanted))
        rest = [p for p in self.pairs if p[0] not in out]
        popular = self.popular(rest, train, wanted)
        for k in self.options.top_k:
            self.report("users", k, left_out=len(out), users=len(wanted),
                        fold_in=recall({u: folded.get(str(u), []) for u in wanted}, wanted, k),
                        trained=recall({u: trained.get(str(u), []) for u in wanted}, wanted, k),
                        popular=recall(popular, wanted, k))

    def measure_items(self):
        # The last user keeps its items, so that users keep their numbers.
        keep = {i for u, i, _ in self.pairs if u == self.users - 1}
        out = leave_out(self.items, keep, self.options.share, self.options.split_seed)
        place = {item: row for row, item in enumerate(out)}
        number = renumber(self.items, place)
        data, fresh = os.path.join(self.out, "without-items"), os.path.join(self.out, "new-items")
        rest = [p for p in self.pairs if p[1] not in place]
        write_pairs(data, [(u, number[i], s) for u, i, s in rest])
        os.makedirs(fresh, exist_ok=True)
        for file in self.features:
            source = os.path.join(self.options.data, file)
            select_rows(source, os.path.join(data, file), sorted(number))
            select_rows(source, os.path.join(fresh, file), out)
        known = items_of(rest, TRAIN)
        wanted = {}
        for user, item, split in self.pairs:
            if split == TEST and item in place and user in known:
                wanted.setdefault(user, set()).add(item)
        users = self.user_file("users-of-new", sorted(wanted))

        run = os.path.join(self.out, "without-items-run")
        self.train(data, run)
        whole = self.whole()
        old = {new: item for item, new in number.items()} | {len(number) + row: item for item, row in place.items()}
        alone = self.user_file("items-left-out", out)
        alone_new = self.user_file("items-new", range(len(number), self.items))

        def in_old(lists):
            return {int(user): [old[i] for i in items] for user, items in lists.items()}

        entered = in_old(self.recommend(run, "entered", "--user-file", users, "--new-items", fresh))
        among = in_old(self.recommend(run, "entered-alone", "--user-file", users, "--new-items", fresh,
                                      "--candidates", alone_new))
        trained = self.recommend(whole, "trained-items", "--user-file", users)
        trained_among = self.recommend(whole, "trained-items-alone", "--user-file", users, "--candidates", alone)
        trained, trained_among = ({int(u): i for u, i in lists.items()} for lists in (trained, trained_among))
        train = items_of(self.pairs, TRAIN)
        popular, popular_among = self.popular(self.pairs, train, wanted), self.popular(self.pairs, train, wanted, out)
        for k in self.options.top_k:
            self.report("items, among all", k, left_out=len(out), users=len(wanted), new_items=recall(entered, wanted, k),
                        trained=recall(trained, wanted, k), popular=recall(popular, wanted, k))
            self.report("items, among those left out", k, left_out=len(out), users=len(wanted),
                        new_items=recall(among, wanted, k), trained=recall(trained_among, wanted, k),
                        popular=recall(popular_among, wanted, k), random=min(1.0, k / len(out)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", metavar="DATA", help="folder of a data set")
    parser.add_argument("--output", required=True, help="folder for the data sets, runs and lists")
    parser.add_argument("--parts", default="users,items", help="users, items or both")
    parser.add_argument("--model", default="sea")
    parser.add_argument("--set", action="append", default=[], metavar="key=value", help="as for sea train")
    parser.add_argument("--epochs", type=int, help="as for sea train")
    parser.add_argument("--seed", type=int, default=999, help="of the trainings")
    parser.add_argument("--threads", type=int, default=0, help="as for sea train")
    parser.add_argument("--share", type=float, default=0.1, help="of users, or items, left out")
    parser.add_argument("--split-seed", type=int, default=1, help="draws who is left out")
    parser.add_argument("--top-k", type=lambda text: [int(k) for k in text.split(",")], default=[10, 20])
    parser.add_argument("--sea", default=os.path.join(os.path.dirname(__file__), "..", "build", "bin", "sea"))
    parser.add_argument("--prefix", default="", help="words before every command, as in 'chrt -i 0'")
    options = parser.parse_args()
    parts = options.parts.split(",")
    if not set(parts) <= {"users", "items"}:
        parser.error(f"--parts {options.parts}: may be users, items or users,items")
    bench = Bench(options)
    if "users" in parts:
        bench.measure_users()
    if "items" in parts:
        bench.measure_items()


if __name__ == "__main__":
    main()
