#!/usr/bin/env python3
"""Turns the public Amazon review data of 2014 into a data folder that `sea` reads, like Baby, Sports and Clothing.

    python3 datasets/from_amazon.py reviews_Baby_5.json.gz meta_Baby.json.gz image_features_Baby.b data/baby

The three files are those of one category: the 5-core reviews, the metadata, and the visual features. Done as MMRec's
notebooks do it: users and items that have fewer than five reviews go, again and again; ids are numbered by first
appearance; each user's items are split 8:1:1 at random; features stand in the order of the items, and an item without a
record gets the mean of the others. Text is title, brand, categories and description of an item, encoded by

    --text sentence-transformers   all-MiniLM-L6-v2, 384 wide, as MMRec does (the default; needs that package)
    --text tfidf                   tf-idf and a truncated SVD to 384 (needs scikit-learn)
    --text FILE.npy                encoded elsewhere: row i belongs to item number i
    --text none                    no text_feat.npy

All else is Python's standard library. The files are read as streams, so memory holds only what is kept.
"""

import argparse
import array
import ast
import gzip
import json
import math
import os
import re
import shutil
import sys
import zlib

import layout

ASIN_BYTES, IMAGE_WIDTH = 10, 4096
RECORD_BYTES = ASIN_BYTES + 4 * IMAGE_WIDTH
TEXT_WIDTH = 384
# Where a line names its item, so that only lines of items that are kept have to be parsed.
ASIN = re.compile(rb"""['"]asin['"]\s*:\s*['"]([^'"]*)['"]""")


def open_bytes(path):
    """The bytes of a file, unpacked where it is gzip."""
    try:
        file = open(path, "rb")
    except OSError as error:
        layout.fail(f"{path}: cannot be read: {error.strerror}")
    if file.peek(2)[:2] == b"\x1f\x8b":
        return gzip.open(file)
    return file


def lines_of(path):
    """(number, line) of a text file, blank lines left out; fails where the file is damaged."""
    number = 0
    try:
        with open_bytes(path) as lines:
            for line in lines:
                number += 1
                if line.strip():
                    yield number, line
    except EOFError:
        layout.fail(f"{path}: is cut off after line {number}; fetch it again")
    except (OSError, zlib.error) as error:
        layout.fail(f"{path}: is damaged after line {number}: {getattr(error, 'strerror', None) or error}")
    if number == 0:
        layout.fail(f"{path}: is empty")


def text_field(record, name, path, number):
    value = record.get(name) if isinstance(record, dict) else None
    if not isinstance(value, str) or not value or any(c in value for c in "\t\n\r"):
        layout.fail(f"{path}, line {number}: has no {name}; a line is a review such as "
                    '{"reviewerID": "A2...", "asin": "B0...", ...}')
    return sys.intern(value)


def read_reviews(path):
    """(user, item, None) of each review, in their order."""
    pairs = []
    for number, line in lines_of(path):
        try:
            record = json.loads(line)
        except ValueError:
            layout.fail(f"{path}, line {number}: is not JSON: {shown(line)}")
        pairs.append((text_field(record, "reviewerID", path, number), text_field(record, "asin", path, number), None))
    return pairs


def shown(line):
    """The beginning of a line, for a message."""
    text = line[:60].decode("ascii", "replace").strip()
    return "".join(c if c.isprintable() else "?" for c in text)


def parse_metadata(line, path, number):
    """A line of metadata: JSON, or what Python prints of a dictionary, as in the files of 2014."""
    try:
        text = line.decode("utf-8").strip()
        try:
            record = json.loads(text)
        except ValueError:
            record = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        layout.fail(f"{path}, line {number}: is neither JSON nor a Python dictionary: {shown(line)}")
    if not isinstance(record, dict) or not isinstance(record.get("asin"), str):
        layout.fail(f"{path}, line {number}: names no asin: {shown(line)}")
    return record


def sentence_of(record):
    """Title, brand, categories and description in one line, as MMRec puts them together."""
    def text(name):
        value = record.get(name)
        return value if isinstance(value, str) and value else " "

    categories = record.get("categories")
    first = categories[0] if isinstance(categories, list) and categories else []
    words = "".join(f"{word} " for word in first) if isinstance(first, list) else f"{first} "
    return f"{text('title')} {text('brand')} {words}{text('description')}".replace("\n", " ")


def read_sentences(path, items):
    """The text of each item by number; None of those without metadata."""
    wanted = {asin.encode(): place for asin, place in items.items()}
    sentences = [None] * len(items)
    for number, line in lines_of(path):
        named = ASIN.findall(line)
        if named and not any(asin in wanted for asin in named):
            continue
        record = parse_metadata(line, path, number)
        place = items.get(record["asin"])
        if place is not None and sentences[place] is None:
            sentences[place] = sentence_of(record)
    if not any(sentences):
        layout.fail(f"{path}: has metadata of none of the {len(items):,} items; is it of the same category?")
    return sentences


def npy_header(rows, width):
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {width}), }}"
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def little_endian(values):
    if sys.byteorder == "big":
        values.byteswap()
    return values


class FeatureFile:
    """A .npy file of float32 whose rows are written in any order; rows that are not get the mean of the others."""

    def __init__(self, path, rows, width):
        self.rows, self.width = rows, width
        self.written = bytearray(rows)
        self.file = open(path, "w+b")
        self.begin = self.file.write(npy_header(rows, width))
        self.file.truncate(self.begin + 4 * rows * width)

    def write(self, row, values):
        self.file.seek(self.begin + 4 * row * self.width)
        self.file.write(values)
        self.written[row] = 1

    def close(self):
        """How many rows got the mean."""
        missing = [row for row in range(self.rows) if not self.written[row]]
        if missing:
            sums = [0.0] * self.width
            self.file.seek(self.begin)
            for row in range(self.rows):
                data = self.file.read(4 * self.width)
                if self.written[row]:
                    values = little_endian(array.array("f", data))
                    sums = [total + value for total, value in zip(sums, values)]
            count = self.rows - len(missing)
            mean = little_endian(array.array("f", (total / count for total in sums))).tobytes()
            for row in missing:
                self.file.seek(self.begin + 4 * row * self.width)
                self.file.write(mean)
        self.file.close()
        return len(missing)


def write_images(path, items, output):
    """Copies the records of `items` to the .npy file `output`; how many items have none."""
    wanted = {asin.encode(): place for asin, place in items.items()}
    features = FeatureFile(output, len(items), IMAGE_WIDTH)
    number = 0
    with open_bytes(path) as records:
        while True:
            try:
                record = records.read(RECORD_BYTES)
            except (EOFError, OSError, zlib.error):
                layout.fail(f"{path}: is damaged or cut off in record {number + 1}")
            if not record:
                break
            number += 1
            if len(record) < RECORD_BYTES:
                layout.fail(f"{path}: record {number} is short: {len(record):,} of {RECORD_BYTES:,} bytes, an asin of "
                            f"{ASIN_BYTES} characters and {IMAGE_WIDTH:,} float32")
            asin = record[:ASIN_BYTES]
            if not asin.isalnum():
                layout.fail(f"{path}: record {number} begins with {asin!r}, which is no asin")
            place = wanted.get(asin)
            if place is None:
                continue
            values = record[ASIN_BYTES:]
            if not math.isfinite(sum(little_endian(array.array("f", values)))):
                layout.fail(f"{path}: record {number}, of {asin.decode()}, holds NaN or infinity")
            features.write(place, values)
    if not any(features.written):
        layout.fail(f"{path}: has features of none of the {len(items):,} items; is it of the same category?")
    return features.close()


def write_rows(rows, places, count, output):
    """Writes row i of `rows` as that of item places[i]; how many items have none."""
    features = None
    for place, row in zip(places, rows):
        values = little_endian(array.array("f", map(float, row)))
        features = features or FeatureFile(output, count, len(values))
        features.write(place, values.tobytes())
    return features.close()


def sentence_encoder():
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        layout.fail("the Python package sentence-transformers, which makes the paper's text features, is not "
                    "installed; --text tfidf needs scikit-learn alone, --text FILE.npy takes features made elsewhere, "
                    "--text none leaves them out")
    try:
        model = SentenceTransformer("all-MiniLM-L6-v2")
    except Exception as error:  # of any of the libraries below it
        reason = str(error).splitlines()[0] if str(error) else repr(error)
        layout.fail(f"the model all-MiniLM-L6-v2 cannot be loaded: {reason}")
    return lambda sentences: model.encode(sentences, show_progress_bar=False)


def tfidf_encoder():
    try:
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.preprocessing import normalize
    except ImportError:
        layout.fail("the Python package scikit-learn, which --text tfidf needs, is not installed (Debian: "
                    "python3-sklearn)")

    def encode(sentences):
        try:
            terms = TfidfVectorizer(sublinear_tf=True, stop_words="english", max_features=50_000).fit_transform(
                sentences)
        except ValueError:
            layout.fail("the metadata holds no words to make text features of")
        width = min(TEXT_WIDTH, *terms.shape)
        if width < 2:
            layout.fail("the metadata holds too few words to make text features of")
        if width < TEXT_WIDTH:
            layout.note(f"text features are {width} wide: there are {terms.shape[0]:,} texts and {terms.shape[1]:,} "
                        "words")
        return normalize(TruncatedSVD(width, random_state=0).fit_transform(terms))

    return encode


def check_text_file(path, count=None):
    """Fails where `path` is no .npy file, or not one of `count` rows."""
    try:
        with open(path, "rb") as file:
            magic = file.read(8)
            length = int.from_bytes(file.read(2 if magic[6:7] == b"\x01" else 4), "little")
            shape = ast.literal_eval(file.read(length).decode("latin-1"))["shape"]
    except OSError as error:
        layout.fail(f"--text {path}: cannot be read: {error.strerror}")
    except (ValueError, SyntaxError, KeyError, TypeError, MemoryError):
        shape = None
    if magic[:6] != b"\x93NUMPY" or not isinstance(shape, tuple) or len(shape) != 2:
        layout.fail(f"--text {path}: is no .npy file of a matrix")
    if count is not None and shape[0] != count:
        layout.fail(f"--text {path}: has {shape[0]:,} rows, and there are {count:,} items")


def text_writer(choice, metadata):
    """What writes text_feat.npy, given the items and the file's name; None for no text. Fails early."""
    if choice == "none":
        return None
    if choice.endswith(".npy"):
        check_text_file(choice)

        def copy(items, output):
            shutil.copyfile(choice, output)
            return 0

        return copy
    encoders = {"sentence-transformers": sentence_encoder, "tfidf": tfidf_encoder}
    if choice not in encoders:
        layout.fail(f"--text {choice}: must be {', '.join(encoders)}, none or a file that ends in .npy")
    encode = encoders[choice]()

    def write(items, output):
        sentences = read_sentences(metadata, items)
        places = [place for place, sentence in enumerate(sentences) if sentence is not None]
        return write_rows(encode([sentences[place] for place in places]), places, len(items), output)

    return write


def main():
    parser = layout.ArgumentParser(description="Amazon's review data of 2014 to the layout that sea reads",
                                   formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("reviews", metavar="REVIEWS", help="reviews_CATEGORY_5.json.gz")
    parser.add_argument("metadata", metavar="META", help="meta_CATEGORY.json.gz")
    parser.add_argument("images", metavar="IMAGE_FEATURES", help="image_features_CATEGORY.b")
    parser.add_argument("output", metavar="OUTPUT", help="folder to make; it must not exist")
    parser.add_argument("--text", default="sentence-transformers", metavar="HOW",
                        help="sentence-transformers, tfidf, none, or FILE.npy with a row per item")
    parser.add_argument("--core", type=int, default=5, metavar="K",
                        help="drop users and items with fewer than K reviews, again and again")
    parser.add_argument("--seed", type=int, default=layout.DEFAULT_SEED, help="of the split")
    arguments = parser.parse_args()
    layout.check_common_arguments(arguments)
    write_text = text_writer(arguments.text, arguments.metadata)
    for path in (arguments.metadata, arguments.images):  # missed now, not after the reviews
        open_bytes(path).close()
    pairs = layout.prepare(read_reviews(arguments.reviews), arguments.core)
    users, items = layout.numbered(pairs, by_value=False)
    if arguments.text.endswith(".npy"):
        check_text_file(arguments.text, len(items))
    rows = layout.split(pairs, users, items, False, arguments.seed)

    missing = {}

    def add_files(folder):
        # The encoder may take minutes: it comes last.
        missing["visual features"] = write_images(arguments.images, items, os.path.join(folder, "image_feat.npy"))
        if write_text:
            missing["metadata"] = write_text(items, os.path.join(folder, "text_feat.npy"))

    layout.write(arguments.output, rows, users, items, "asin", add_files)
    for what, count in missing.items():
        if count:
            layout.note(f"{count:,} of {len(items):,} items have no {what} and got the mean of the others")


if __name__ == "__main__":
    main()
