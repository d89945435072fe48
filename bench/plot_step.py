#!/usr/bin/env python3
"""Draws where a training step's time goes: a stacked bar a measurement of `step_bench --profile --json FILE`.

The forward and the backward of an operation are one piece; pieces below 2 % of every bar are drawn as one.

    python3 bench/plot_step.py [NAME=]FILE... --output FILE.svg [--print]
"""

import argparse
import json
import os
import sys

SMALLEST_SHARE = 0.02
DIRECTIONS = ("forward ", "backward ", "update ")


def fail(message):
    print(f"error: {message}", file=sys.stderr)
    sys.exit(1)


def read_pieces(file):
    """Milliseconds a step by piece."""
    try:
        with open(file, encoding="utf-8") as text:
            profile = json.load(text)["profile"]
        pieces = {}
        for part, seconds in profile.items():
            name = next((part[len(word):] for word in DIRECTIONS if part.startswith(word)), part)
            pieces[name] = pieces.get(name, 0.0) + 1e3 * float(seconds)
    except (OSError, ValueError) as error:
        fail(f"{file}: cannot be read: {error}")
    except (KeyError, TypeError, AttributeError):
        fail(f"{file}: has no profile; step_bench --profile --json writes one")
    if not sum(pieces.values()) > 0:
        fail(f"{file}: its profile has no time in it")
    return pieces


def gather(bars):
    """The bars with small pieces as one; the names, the largest first, that one last."""
    large = {name for _, pieces in bars for name, value in pieces.items()
             if value >= SMALLEST_SHARE * sum(pieces.values())}
    gathered = []
    for label, pieces in bars:
        kept = {name: value for name, value in pieces.items() if name in large}
        rest = sum(pieces.values()) - sum(kept.values())
        gathered.append((label, {**kept, "the rest": rest} if rest > 0 else kept))
    totals = {}
    for _, pieces in gathered:
        for name, value in pieces.items():
            totals[name] = totals.get(name, 0.0) + value
    return gathered, sorted(totals, key=lambda name: (name == "the rest", -totals[name]))


def draw(bars, names, output):
    try:
        import matplotlib
    except ImportError:
        fail("a picture needs matplotlib: apt-get install python3-matplotlib")
    matplotlib.use("Agg")
    matplotlib.rcParams["svg.fonttype"] = "none"  # text stays text
    matplotlib.rcParams["svg.hashsalt"] = "sea"  # the same measurement, the same file
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(9, 1.6 + 0.7 * len(bars)))
    colours = pyplot.get_cmap("tab20").colors
    left = [0.0] * len(bars)
    for number, name in enumerate(names):
        widths = [pieces.get(name, 0.0) for _, pieces in bars]
        axis.barh([label for label, _ in bars], widths, left=left, label=name, color=colours[number % len(colours)])
        left = [a + b for a, b in zip(left, widths)]
    axis.invert_yaxis()
    axis.set_xlabel("ms per step")
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.35), ncol=4, frameon=False, fontsize="small")
    try:
        figure.savefig(output, bbox_inches="tight", metadata={"Date": None} if output.endswith(".svg") else None)
    except (OSError, ValueError) as error:
        fail(f"{output}: cannot be written: {error}")


def main():
    parser = argparse.ArgumentParser(description="Draws where a training step's time goes.")
    parser.add_argument("files", nargs="+", metavar="[NAME=]FILE", help="JSON of step_bench --profile; its bar's name")
    parser.add_argument("--output", required=True, help="the picture; its ending names the format, as in .svg")
    parser.add_argument("--print", action="store_true", help="print every bar's pieces and milliseconds")
    options = parser.parse_args()
    bars = []
    for word in options.files:
        label, equals, file = word.partition("=")
        file = file if equals else word
        bars.append((label if equals else os.path.splitext(os.path.basename(file))[0], read_pieces(file)))
    bars, names = gather(bars)
    draw(bars, names, options.output)
    if options.print:
        for label, pieces in bars:
            for name in names:
                if name in pieces:
                    print(f"{label}\t{name}\t{pieces[name]:.3f}")


if __name__ == "__main__":
    main()
