#!/usr/bin/env python3
"""Turns a table of interactions into a data folder that `sea` reads.

    python3 datasets/from_csv.py ratings.csv data/films --user userId --item movieId --time timestamp
    python3 datasets/from_csv.py shop.csv data/shop --user userID --item itemID --split x_label
    python3 datasets/from_csv.py --train a.csv --valid b.csv --test c.csv data/shop --user user --item item

The input has a header and is separated by commas, or by what --separator says. A split that is there is kept: the one
in the column that --split names (0, 1, 2 or train, valid, test), or that of three files. Else each user's items are
split 8:1:1, at random, or by time where --time names a column. Users and items are numbered from 0; `u_id_mapping.csv`
and `i_id_mapping.csv` keep the original ids. Item features are up to you: see README.md beside this file.
"""

import csv
import datetime

import layout


def read_time(text):
    """Seconds since 1970, or a date of ISO 8601, as a number; None where it is neither."""
    value = layout.read_number(text)
    if value is not None:
        return value
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.timezone.utc)
    return moment.timestamp()


def place_of(header, column, option, path):
    if header.count(column) != 1:
        problem = "names no column of" if column not in header else "is not the name of one column alone of"
        layout.fail(f"{option} '{column}' {problem} {path}; its columns are {', '.join(header)}")
    return header.index(column)


def read(path, separator, arguments, label=None):
    """(user, item, third) of each row: `label` where there is one, else the row's split or time."""
    pairs = []
    try:
        with open(path, encoding="utf-8-sig", newline="") as lines:
            table = csv.reader(lines, delimiter=separator, strict=True)
            header = next(table, None)
            if not header:
                layout.fail(f"{path}: is empty")
            user_place = place_of(header, arguments.user, "--user", path)
            item_place = place_of(header, arguments.item, "--item", path)
            time_place = place_of(header, arguments.time, "--time", path) if arguments.time else None
            split_place = place_of(header, arguments.split, "--split", path) if arguments.split else None
            rated = arguments.least_rating is not None
            rating_place = place_of(header, arguments.rating, "--rating", path) if rated else None
            for fields in table:
                if not fields:
                    continue
                if len(fields) != len(header):
                    layout.fail(f"{path}, line {table.line_num}: {len(fields)} columns where the header names "
                                f"{len(header)}")
                user, item, third = fields[user_place], fields[item_place], label
                if not user or not item:
                    layout.fail(f"{path}, line {table.line_num}: the user or item id is empty")
                if "\n" in user + item or "\r" in user + item:
                    layout.fail(f"{path}, line {table.line_num}: a line break stands in the user or item id")
                if time_place is not None:
                    third = read_time(fields[time_place])
                    if third is None:
                        layout.fail(f"{path}, line {table.line_num}: {arguments.time} is "
                                    f"'{fields[time_place][:40]}', neither a number nor a date such as "
                                    "2026-01-31T12:00:00")
                if split_place is not None:
                    third = layout.read_split(fields[split_place])
                    if third is None:
                        layout.fail(f"{path}, line {table.line_num}: {arguments.split} is "
                                    f"'{fields[split_place][:40]}'; it may be 0, 1, 2, train, valid or test")
                if rated:
                    rating = layout.read_number(fields[rating_place])
                    if rating is None:
                        layout.fail(f"{path}, line {table.line_num}: {arguments.rating} is "
                                    f"'{fields[rating_place][:40]}', not a number")
                    if rating < arguments.least_rating:
                        continue
                pairs.append((user, item, third))
    except OSError as error:
        layout.fail(f"{path}: cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        layout.fail(f"{path}: is not UTF-8 text")
    except csv.Error as error:
        layout.fail(f"{path}, line {table.line_num}: {error}")
    return pairs


def main():
    parser = layout.ArgumentParser(description="a table of interactions to the layout that sea reads")
    parser.add_argument("input", metavar="INPUT.csv", nargs="?", help="the table, with a header")
    layout.add_common_arguments(parser)
    layout.add_split_files(parser)
    parser.add_argument("--user", required=True, metavar="COLUMN", help="column of the user's id")
    parser.add_argument("--item", required=True, metavar="COLUMN", help="column of the item's id")
    parser.add_argument("--time", metavar="COLUMN",
                        help="hold out each user's latest items by this column, numbers or ISO dates (default: at "
                             "random)")
    parser.add_argument("--split", metavar="COLUMN",
                        help="keep the split in this column: 0, 1, 2 or train, valid, test")
    parser.add_argument("--rating", default="rating", metavar="COLUMN", help="column of the rating (default: rating)")
    parser.add_argument("--least-rating", type=float, help="leave out interactions rated lower (default: none)")
    parser.add_argument("--separator", default=",", help="one character, or 'tab' (default: a comma)")
    arguments = parser.parse_intermixed_args()
    separator = "\t" if arguments.separator == "tab" else arguments.separator
    if len(separator) != 1 or separator in '"\r\n':
        layout.fail(f"--separator '{arguments.separator}': must be one character, or tab")
    layout.check_common_arguments(arguments)
    files = layout.split_files(arguments)
    if files and (arguments.split or arguments.time):
        layout.fail("--train, --valid and --test are a split already; leave out --split and --time")
    if arguments.split and arguments.time:
        layout.fail("--split keeps the split that is there, --time draws one; give one of them")
    if files:
        layout.convert_split(arguments, [pair for file, label in files
                                         for pair in read(file, separator, arguments, label)])
        return
    pairs = read(arguments.input, separator, arguments)
    if arguments.split:
        layout.convert_split(arguments, pairs)
    else:
        layout.convert(arguments, pairs, arguments.time is not None)


if __name__ == "__main__":
    main()
