#!/usr/bin/env python3
"""Turns a RecBole atomic file into a data folder that `sea` reads.

    python3 datasets/from_recbole.py ml-100k/ml-100k.inter data/ml-100k

The input is tab-separated with a header of typed fields, `user_id:token item_id:token ...`. Each user's items are
split 8:1:1, at random or by a timestamp field, and users and items are numbered from 0; `u_id_mapping.csv` and
`i_id_mapping.csv` keep the original ids. Item features are up to you: see README.md beside this file.
"""

import layout


def place_of(header, field, path):
    """The column of `field`, with or without its type."""
    names = [name.split(":")[0] for name in header]
    if field.split(":")[0] not in names:
        layout.fail(f"{path}, line 1: there is no field '{field}'; the fields are {', '.join(header)}")
    return names.index(field.split(":")[0])


def read(path, user_field, item_field, time_field, rating_field, least_rating):
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
            user_place = place_of(header, user_field, path)
            item_place = place_of(header, item_field, path)
            time_place = place_of(header, time_field, path) if time_field else None
            rating_place = place_of(header, rating_field, path) if least_rating is not None else None
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
                if least_rating is None or numbers[1] >= least_rating:
                    pairs.append((user, item, numbers[0]))
    except OSError as error:
        layout.fail(f"{path}: cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        layout.fail(f"{path}: is not UTF-8 text")
    return pairs


def main():
    parser = layout.ArgumentParser(description="RecBole's atomic .inter file to the layout that sea reads")
    parser.add_argument("input", metavar="INPUT.inter", help="the atomic file")
    layout.add_common_arguments(parser)
    parser.add_argument("--user-field", default="user_id", help="default: user_id")
    parser.add_argument("--item-field", default="item_id", help="default: item_id")
    parser.add_argument("--time-field", help="hold out each user's latest items by this field (default: at random)")
    parser.add_argument("--rating-field", default="rating", help="default: rating")
    parser.add_argument("--least-rating", type=float, help="leave out interactions rated lower (default: none)")
    arguments = parser.parse_args()
    layout.check_common_arguments(arguments)
    pairs = read(arguments.input, arguments.user_field, arguments.item_field, arguments.time_field,
                 arguments.rating_field, arguments.least_rating)
    layout.convert(arguments.output, pairs, arguments.core, arguments.time_field is not None, arguments.seed)


if __name__ == "__main__":
    main()
