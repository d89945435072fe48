#!/usr/bin/env python3
"""Draws what `sea tune` found: a panel a key of the grid or of a range, the metric against the key's values.

Where a grid has several keys, a value's point is the run that is best on validation among those that have it. Keys whose
values span more than a factor of 20 have a logarithmic axis, and texts stand side by side.

    python3 bench/plot_tune.py SEARCH... --output FILE.svg [--metric recall@20] [--print]
"""

import argparse
import json
import os
import sys


def fail(message):
    print(f"error: {message}", file=sys.stderr)
    sys.exit(1)


def read_search(folder):
    """The tune.json of a folder."""
    file = os.path.join(folder, "tune.json")
    try:
        with open(file, encoding="utf-8") as text:
            search = json.load(text)
    except (OSError, ValueError) as error:
        fail(f"{file}: cannot be read: {error}")
    try:
        search["valid_metric"], search["grid"].items(), [row["state"] for row in search["rows"]]
    except (KeyError, TypeError, AttributeError):
        fail(f"{file}: is not that of a search")
    return search


def points_of(search, key, metric, folder):
    """[(value, validation, test)] of a key, in the order of the grid, ascending for a range; values of which no run has
    finished are left out."""
    points = []
    for value in search["grid"].get(key) or sorted({row["values"][key] for row in search["rows"]}):
        rows = [row for row in search["rows"] if row["state"] == "finished" and row["values"][key] == value]
        if not rows:
            continue
        best = max(rows, key=lambda row: row["valid"][search["valid_metric"]])
        if metric not in best.get("test", {}):
            fail(f"{folder}: has no {metric} on test, but {', '.join(best.get('test', {})) or 'no metric at all'}")
        points.append((value, best["valid"][metric], best["test"][metric]))
    return points


def title_of(metric):
    """Recall@20 of recall@20."""
    name, cutoff = metric.split("@")
    return f"{name.upper() if name in ('ndcg', 'map') else name.capitalize()}@{cutoff}"


def draw(panels, output):
    """`panels`: [(key, metric, points)]."""
    try:
        import matplotlib
    except ImportError:
        fail("a picture needs matplotlib: apt-get install python3-matplotlib")
    matplotlib.use("Agg")
    matplotlib.rcParams["svg.fonttype"] = "none"  # text stays text
    matplotlib.rcParams["svg.hashsalt"] = "sea"  # the same search, the same file
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(panels), figsize=(4 * len(panels), 3.2), squeeze=False)
    for axis, (key, metric, points) in zip(axes[0], panels):
        values = [value for value, _, _ in points]
        numbers = all(isinstance(value, (int, float)) for value in values)
        points = sorted(points) if numbers else points
        x = [value if numbers else ("null" if value is None else value) for value, _, _ in points]
        axis.plot(x, [test for _, _, test in points], "o-", label="test")
        axis.plot(x, [valid for _, valid, _ in points], "s--", label="validation")
        if numbers and min(values) > 0 and max(values) > 20 * min(values):
            axis.set_xscale("log")
        axis.set_xlabel(key)
        axis.set_ylabel(title_of(metric))
        axis.grid(alpha=0.3)
        axis.legend()
    figure.tight_layout()
    try:
        figure.savefig(output, metadata={"Date": None} if output.endswith(".svg") else None)
    except (OSError, ValueError) as error:
        fail(f"{output}: cannot be written: {error}")


def main():
    parser = argparse.ArgumentParser(description="Draws what sea tune found: a panel a key of the grid.")
    parser.add_argument("searches", nargs="+", metavar="SEARCH", help="folder of a search")
    parser.add_argument("--output", required=True, help="the picture; its ending names the format, as in .svg")
    parser.add_argument("--metric", type=str.lower, help="as in recall@20 (default: what the search compared by)")
    parser.add_argument("--print", action="store_true", help="print key, value, validation and test of every point")
    options = parser.parse_args()
    panels = []
    for folder in options.searches:
        search = read_search(folder)
        metric = options.metric or search["valid_metric"]
        for key in [*search["grid"], *search.get("ranges", {})]:
            points = points_of(search, key, metric, folder)
            if not points:
                fail(f"{folder}: no run has finished")
            panels.append((key, metric, points))
    draw(panels, options.output)
    if options.print:
        for key, _, points in panels:
            for value, valid, test in points:
                print(f"{key}\t{value}\t{valid:.6f}\t{test:.6f}")


if __name__ == "__main__":
    main()
