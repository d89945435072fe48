"""What the converters beside this file share: splits, numbering, and writing the layout that `sea` reads.

Only Python's standard library. Every error is one sentence on stderr and exit code 1.
"""

import argparse
import math
import os
import random
import shutil
import sys
import tempfile

DEFAULT_SEED = 999
SPLIT_FILES = ("train", "valid", "test")
SPLIT_WORDS = {
    "0": 0, "train": 0, "training": 0,
    "1": 1, "valid": 1, "validation": 1, "val": 1, "dev": 1,
    "2": 2, "test": 2, "testing": 2,
}


class ArgumentParser(argparse.ArgumentParser):
    """Says what is wrong with the arguments in one line, without the whole usage."""

    def error(self, message):
        print(f"error: {message}; see --help", file=sys.stderr)
        sys.exit(2)


def fail(message):
    print(f"error: {message}", file=sys.stderr)
    sys.exit(1)


def note(message):
    print(f"note: {message}", file=sys.stderr)


def split_fields(line, separator):
    """The fields of a line of text, without its line end."""
    return line.rstrip("\r\n").split(separator)


def read_number(text):
    """A finite number, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def read_split(text):
    """0, 1 or 2 for a word or number that names a split; None for any other."""
    value = read_number(text)
    if value is not None and value == int(value):
        text = str(int(value))
    return SPLIT_WORDS.get(text.strip().lower())


def keep_last(pairs):
    """Each (user, item) once, its latest time kept; says how many went."""
    kept = {}
    for user, item, time in pairs:
        pair = (user, item)
        if pair not in kept or (time is not None and time > kept[pair]):
            kept[pair] = time
    if len(kept) < len(pairs):
        note(f"{len(pairs) - len(kept):,} repeated pairs were dropped")
    return [(user, item, time) for (user, item), time in kept.items()]


def keep_labels(pairs):
    """Each (user, item, label) once, and none held out that is trained on; says how many went."""
    kept = list(dict.fromkeys(pairs))
    if len(kept) < len(pairs):
        note(f"{len(pairs) - len(kept):,} repeated pairs were dropped")
    trained = {(user, item) for user, item, label in kept if label == 0}
    apart = [pair for pair in kept if pair[2] == 0 or pair[:2] not in trained]
    if len(apart) < len(kept):
        note(f"{len(kept) - len(apart):,} validation or test pairs were dropped that stand in training too")
    return apart


def k_core(pairs, minimum):
    """The pairs that are left when every user and every item has at least `minimum` of them."""
    while minimum > 1:
        users, items = {}, {}
        for user, item, _ in pairs:
            users[user] = users.get(user, 0) + 1
            items[item] = items.get(item, 0) + 1
        kept = [pair for pair in pairs if users[pair[0]] >= minimum and items[pair[1]] >= minimum]
        if len(kept) == len(pairs):
            break
        pairs = kept
    return pairs


def number(names, by_value=True):
    """Names to consecutive numbers from 0: by value where all are whole numbers, else in order of appearance."""
    names = list(dict.fromkeys(names))
    if by_value and all(name.isascii() and name.isdigit() and len(name) < 20 for name in names):
        names.sort(key=lambda name: (int(name), name))
    return {name: place for place, name in enumerate(names)}


def held_out(count):
    """How many of a user's items go to validation and to test: a tenth each, at least one; none of fewer than 3."""
    if count < 3:
        return 0, 0
    return max(1, count // 10), max(1, (count + 5) // 10)


def numbered(pairs, by_value=True):
    """The numbers of users and of items."""
    return number((user for user, _, _ in pairs), by_value), number((item for _, item, _ in pairs), by_value)


def split(pairs, users, items, by_time, seed):
    """Rows (user number, item number, label), 8:1:1 of each user's.

    By time a user's latest items are held out, the very latest for test; else the choice is random.
    """
    of_user = [[] for _ in users]
    for user, item, time in pairs:
        of_user[users[user]].append((time, items[item]))
    rows = []
    for user, history in enumerate(of_user):
        history.sort()
        if not by_time:
            # A generator of the user's own: the split of one does not depend on the others.
            random.Random(f"{seed} {user}").shuffle(history)
        valid, test = held_out(len(history))
        for place, (_, item) in enumerate(history):
            left = len(history) - place
            rows.append((user, item, 2 if left <= test else 1 if left <= test + valid else 0))
    return rows


def check_output(output):
    """The name of the data set to make; fails where the folder is there already."""
    if os.path.lexists(output):
        fail(f"{output}: exists already; nothing is overwritten, so give another name")
    name = os.path.basename(os.path.abspath(output))
    if any(c in name for c in "\t\n\r"):
        fail(f"{output}: is not a name for a folder")
    return name


def write(output, rows, users, items, item_header="item_id", add_files=None):
    """Makes the folder `output` with interactions, id mappings, and what `add_files(folder)` writes there.

    Whole or not at all: it is built under another name, and removed where anything fails.
    """
    name = check_output(output)
    parent = os.path.dirname(os.path.abspath(output))
    building = None
    try:
        os.makedirs(parent, exist_ok=True)
        building = tempfile.mkdtemp(prefix=f".{name}.", dir=parent)
        with open(os.path.join(building, f"{name}.inter"), "w", encoding="utf-8", newline="\n") as out:
            out.write("userID\titemID\tx_label\n")
            out.writelines(f"{user}\t{item}\t{label}\n" for user, item, label in rows)
        for file, header, numbers in (
            ("u_id_mapping.csv", "user_id\tuserID", users),
            ("i_id_mapping.csv", f"{item_header}\titemID", items),
        ):
            with open(os.path.join(building, file), "w", encoding="utf-8", newline="\n") as out:
                out.write(header + "\n")
                out.writelines(f"{quoted(original)}\t{place}\n" for original, place in numbers.items())
        if add_files:
            add_files(building)
        os.chmod(building, 0o755)
        os.rename(building, output)
        building = None
    except OSError as error:
        fail(f"{output}: cannot be written: {error.strerror or error}")
    finally:
        if building:
            shutil.rmtree(building, ignore_errors=True)
    counts = [sum(1 for row in rows if row[2] == label) for label in range(3)]
    print(f"{output}: {len(users):,} users, {len(items):,} items, {counts[0]:,} training, "
          f"{counts[1]:,} validation and {counts[2]:,} test pairs")
    lacking = [word for word, count in (("validation", counts[1]), ("test", counts[2])) if not count]
    if lacking:
        note(f"there are no {' and no '.join(lacking)} pairs"
             + ("; sea train then needs --epochs" if not counts[1] else ""))
    if not counts[0]:
        note("there are no training pairs, so sea cannot train on it")


def quoted(text):
    """An original id as a field of a mapping file: in quotes where it holds a tab or starts with a quote."""
    if "\t" in text or text.startswith('"'):
        return '"' + text.replace('"', '""') + '"'
    return text


def prepare(pairs, minimum, labelled=False):
    """`pairs` without repetitions, cut to their core; fails where none are left."""
    if not pairs:
        fail("there are no interactions")
    pairs = k_core(keep_labels(pairs) if labelled else keep_last(pairs), minimum)
    if not pairs:
        fail(f"no interactions are left when every user and item must have {minimum}; try a smaller --core")
    return pairs


def convert(arguments, pairs, by_time):
    """The common end of the converters: `pairs` are (user, item, time or None), the ids as text."""
    pairs = prepare(pairs, arguments.core)
    users, items = numbered(pairs)
    seed = DEFAULT_SEED if arguments.seed is None else arguments.seed
    write(arguments.output, split(pairs, users, items, by_time, seed), users, items)


def convert_split(arguments, pairs):
    """The same where the split is there: `pairs` are (user, item, label)."""
    if getattr(arguments, "seed", None) is not None:
        fail(f"--seed {arguments.seed}: there is a split already, so none is drawn")
    pairs = prepare(pairs, arguments.core, labelled=True)
    users, items = numbered(pairs)
    rows = sorted((users[user], items[item], label) for user, item, label in pairs)
    write(arguments.output, rows, users, items)


def add_core(parser):
    parser.add_argument("--core", type=int, default=1, metavar="K",
                        help="drop users and items with fewer than K interactions, again and again (default: 1, "
                             "drops none; the Amazon sets of the paper are 5-cores)")


def add_common_arguments(parser):
    parser.add_argument("output", metavar="OUTPUT", help="folder to make; it must not exist")
    add_core(parser)
    parser.add_argument("--seed", type=int, help=f"of the random split (default: {DEFAULT_SEED})")


def add_split_files(parser):
    """Up to three files in place of one: a split that is there already."""
    for name, what in zip(SPLIT_FILES, ("training", "validation", "test")):
        parser.add_argument(f"--{name}", metavar="FILE", dest=f"{name}_file",
                            help=f"in place of INPUT: a file of {what} pairs")



def split_files(arguments):
    """[(file, label)] of --train, --valid and --test; empty where there is an INPUT."""
    files = [(getattr(arguments, f"{name}_file"), label) for label, name in enumerate(SPLIT_FILES)]
    files = [(file, label) for file, label in files if file is not None]
    if not files and arguments.input is None:
        fail("INPUT is missing, or --train FILE in its place; see --help")
    if files and arguments.input is not None:
        fail(f"{arguments.input}: there is an input beside --train, --valid and --test; give one or the other")
    if files and files[0][1] != 0:
        fail("--train FILE is missing; --valid and --test go with it")
    return files


def check_common_arguments(arguments):
    check_output(arguments.output)
    if arguments.core < 1:
        fail(f"--core {arguments.core}: must be a whole number from 1")
