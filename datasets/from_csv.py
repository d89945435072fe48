#!/usr/bin/env python3
"""Turns a table of interactions into a data folder that `sea` reads.

    python3 datasets/from_csv.py ratings.csv data/films --user userId --item movieId --time timestamp

The input has a header and is separated by commas, or by what --separator says. Each user's items are split 8:1:1, at
random, or by time where --time names a column; users and items are numbered from 0; `u_id_mapping.csv` and
`i_id_mapping.csv` keep the original ids. Item features are up to you: see README.md beside this file.
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


def read(path, separator, user_column, item_column, time_column):
    pairs = []
    try:
        with open(path, encoding="utf-8-sig", newline="") as lines:
            table = csv.reader(lines, delimiter=separator, strict=True)
            header = next(table, None)
            if not header:
                layout.fail(f"{path}: is empty")
            user_place = place_of(header, user_column, "--user", path)
            item_place = place_of(header, item_column, "--item", path)
            time_place = place_of(header, time_column, "--time", path) if time_column else None
            for fields in table:
                if not fields:
                    continue
                if len(fields) != len(header):
                    layout.fail(f"{path}, line {table.line_num}: {len(fields)} columns where the header names "
                                f"{len(header)}")
                user, item, time = fields[user_place], fields[item_place], None
                if not user or not item:
                    layout.fail(f"{path}, line {table.line_num}: the user or item id is empty")
                if "\n" in user + item or "\r" in user + item:
                    layout.fail(f"{path}, line {table.line_num}: a line break stands in the user or item id")
                if time_place is not None:
                    time = read_time(fields[time_place])
                    if time is None:
                        layout.fail(f"{path}, line {table.line_num}: {time_column} is '{fields[time_place][:40]}', "
                                    "neither a number nor a date such as 2026-01-31T12:00:00")
                pairs.append((user, item, time))
    except OSError as error:
        layout.fail(f"{path}: cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        layout.fail(f"{path}: is not UTF-8 text")
    except csv.Error as error:
        layout.fail(f"{path}, line {table.line_num}: {error}")
    return pairs


def main():
    parser = layout.ArgumentParser(description="a table of interactions to the layout that sea reads")
    parser.add_argument("input", metavar="INPUT.csv", help="the table, with a header")
    layout.add_common_arguments(parser)
    parser.add_argument("--user", required=True, metavar="COLUMN", help="column of the user's id")
    parser.add_argument("--item", required=True, metavar="COLUMN", help="column of the item's id")
    parser.add_argument("--time", metavar="COLUMN",
                        help="hold out each user's latest items by this column, numbers or ISO dates (default: at "
                             "random)")
    parser.add_argument("--separator", default=",", help="one character, or 'tab' (default: a comma)")
    arguments = parser.parse_args()
    separator = "\t" if arguments.separator == "tab" else arguments.separator
    if len(separator) != 1 or separator in '"\r\n':
        layout.fail(f"--separator '{arguments.separator}': must be one character, or tab")
    layout.check_common_arguments(arguments)
    pairs = read(arguments.input, separator, arguments.user, arguments.item, arguments.time)
    layout.convert(arguments.output, pairs, arguments.core, arguments.time is not None, arguments.seed)


if __name__ == "__main__":
    main()
