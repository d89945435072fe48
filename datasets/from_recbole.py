#!/usr/bin/env python3
"""Turns a RecBole atomic file into a data folder that `sea` reads.

    python3 datasets/from_recbole.py ml-100k/ml-100k.inter data/ml-100k
    python3 datasets/from_recbole.py ml-100k data/ml-100k

The input is tab-separated with a header of typed fields, `user_id:token item_id:token ...`. A split that is there is
kept: where the input is a folder, that of its NAME.train.inter, NAME.valid.inter and NAME.test.inter; where the files
have other names (NAME.part1.inter), that of --train, --valid and --test; or the field that --split-field names. Else
each user's items are split 8:1:1, at random or by a timestamp field. Users and items are numbered from 0;
`u_id_mapping.csv` and `i_id_mapping.csv` keep the original ids. Item features are up to you: see README.md beside this
file.
"""

import os

import layout


def place_of(header, field, path):
    """The column of `field`, with or without its type."""
    names = [name.split(":")[0] for name in header]
    if field.split(":")[0] not in names:
        layout.fail(f"{path}, line 1: there is no field '{field}'; the fields are {', '.join(header)}")
    return names.index(field.split(":")[0])


def benchmark_files(folder):
    """[(file, label)] of the one data set in `folder` that is split into files."""
    try:
        names = os.listdir(folder)
    except OSError as error:
        layout.fail(f"{folder}: cannot be read: {error.strerror}")
    starts = sorted(name[: -len(".train.inter")] for name in names if name.endswith(".train.inter"))
    if len(starts) != 1:
        layout.fail(f"{folder}: holds {len(starts)} files NAME.train.inter, where one is needed; name the files by "
                    "--train, --valid and --test, or one .inter file as the input")
    files = [(f"{starts[0]}.{split}.inter", label) for label, split in enumerate(layout.SPLIT_FILES)]
    return [(os.path.join(folder, name), label) for name, label in files if name in names]


def read(path, arguments, label=None):
    """(user, item, third) of each row: `label` where there is one, else the row's split or time."""
    least_rating = arguments.least_rating
    pairs = []
    try:
        with open(path, encoding="utf-8-sig", newline="\n") as lines:
            first = next(lines, "")
            header = layout.split_fields(first, "\t")
            if not first.strip():
                layout.fail(f"{path}: is empty")
            if not any(":" in name for name in header):
                layout.fail(f"{path}, line 1: the header '{first.strip()[:80]}' has no typed fields such as "
                            "user_id:token; datasets/from_csv.py reads other tables")
            user_place = place_of(header, arguments.user_field, path)
            item_place = place_of(header, arguments.item_field, path)
            time_place = place_of(header, arguments.time_field, path) if arguments.time_field else None
            split_place = place_of(header, arguments.split_field, path) if arguments.split_field else None
            rating_place = place_of(header, arguments.rating_field, path) if least_rating is not None else None
            for line_number, line in enumerate(lines, start=2):
                if not line.strip():
                    continue
                fields = layout.split_fields(line, "\t")
                if len(fields) != len(header):
                    layout.fail(f"{path}, line {line_number}: {len(fields)} fields where the header names "
                                f"{len(header)}")
                user, item = fields[user_place], fields[item_place]
                if not user or not item:
                    layout.fail(f"{path}, line {line_number}: the user or item id is empty")
                numbers = []
                for place in (time_place, rating_place):
                    value = None
                    if place is not None:
                        value = layout.read_number(fields[place])
                        if value is None:
                            layout.fail(f"{path}, line {line_number}: {header[place]} is '{fields[place][:40]}', "
                                        "not a number")
                    numbers.append(value)
                third = numbers[0] if label is None else label
                if split_place is not None:
                    third = layout.read_split(fields[split_place])
                    if third is None:
                        layout.fail(f"{path}, line {line_number}: {header[split_place]} is "
                                    f"'{fields[split_place][:40]}'; it may be 0, 1, 2, train, valid or test")
                if least_rating is None or numbers[1] >= least_rating:
                    pairs.append((user, item, third))
    except OSError as error:
        layout.fail(f"{path}: cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        layout.fail(f"{path}: is not UTF-8 text")
    return pairs


def main():
    parser = layout.ArgumentParser(description="RecBole's atomic .inter file to the layout that sea reads")
    parser.add_argument("input", metavar="INPUT", nargs="?",
                        help="the atomic file, or the folder of NAME.train.inter, NAME.valid.inter and NAME.test.inter")
    layout.add_common_arguments(parser)
    layout.add_split_files(parser)
    parser.add_argument("--user-field", default="user_id", help="default: user_id")
    parser.add_argument("--item-field", default="item_id", help="default: item_id")
    parser.add_argument("--time-field", help="hold out each user's latest items by this field (default: at random)")
    parser.add_argument("--split-field", help="keep the split in this field: 0, 1, 2 or train, valid, test")
    parser.add_argument("--rating-field", default="rating", help="default: rating")
    parser.add_argument("--least-rating", type=float, help="leave out interactions rated lower (default: none)")
    arguments = parser.parse_intermixed_args()
    layout.check_common_arguments(arguments)
    files = layout.split_files(arguments)
    if not files and os.path.isdir(arguments.input):
        files = benchmark_files(arguments.input)
    if files and (arguments.split_field or arguments.time_field):
        layout.fail("files of training, validation and test pairs are a split already; leave out --split-field and "
                    "--time-field")
    if arguments.split_field and arguments.time_field:
        layout.fail("--split-field keeps the split that is there, --time-field draws one; give one of them")
    if files:
        layout.convert_split(arguments, [pair for file, label in files for pair in read(file, arguments, label)])
        return
    pairs = read(arguments.input, arguments)
    if arguments.split_field:
        layout.convert_split(arguments, pairs)
    else:
        layout.convert(arguments, pairs, arguments.time_field is not None)


if __name__ == "__main__":
    main()
