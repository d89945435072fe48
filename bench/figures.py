#!/usr/bin/env python3
"""Draws a figure of the paper from finished runs, on any data.

    python3 bench/figures.py 3 RUN... --output FILE.svg [--metric recall@20]   # ablation: bars with and without modules
    python3 bench/figures.py 4 SEARCH... --output FILE.svg [--metric recall@20]  # sensitivity: folders of sea tune
    python3 bench/figures.py 5 RUN --output FILE.svg    # t-SNE of generic and unique parts: of a MICRO run
    python3 bench/figures.py 6 RUN --output FILE.svg    # the same of a SEA run

Runs that differ in their seed alone are one bar of Figure 3, with their standard deviation. --print writes the numbers.
"""

import argparse
import os
import statistics
import subprocess
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")  # sums in one order: the same runs, the same picture
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.dont_write_bytecode = True
BENCH = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(BENCH), "apps"))

try:
    import numpy  # noqa: F401
except ImportError as error:
    sys.exit(f"error: figures need {error.name}: apt-get install python3-{error.name}")

from reporting import numbers, pictures, svg  # noqa: E402
from reporting.runs import Run, export, fail, find_sea, write_whole  # noqa: E402

# Figure 3's bars, by whether there is an alignment and a distance.
ABLATIONS = {(False, False): "no module", (True, False): "alignment", (False, True): "distance", (True, True): "both"}


def save(figure, name, label, options):
    write_whole(options.output, svg.to_svg(figure, name, label, alone=True))


def ablation(options):
    """Figure 3: a group of bars per data set."""
    values = {}
    for folder in options.folders:
        run = Run(folder)
        if run.model != "sea":
            fail(f"{folder}: is a run of {run.model}; Figure 3 is of sea, with and without its modules")
        metric = options.metric or run.metric
        if metric not in run.best.get("test", {}):
            fail(f"{folder}: has no {metric} on test at its best epoch")
        data = os.path.basename(os.path.normpath(run.config["data"]))
        which = tuple(run.config.get(key) != "none" for key in ("align", "distance"))
        values.setdefault((data, metric), {}).setdefault(ABLATIONS[which], {}).setdefault(
            (run.config.get("align"), run.config.get("distance")), []).append(run.best["test"][metric])
    rows = {}
    for (data, metric), bars in values.items():
        for bar, kinds in bars.items():
            if len(kinds) > 1:
                fail(f"the runs on {data} have {' and '.join('/'.join(kind) for kind in kinds)}: one bar, '{bar}', "
                     "is of one align and one distance")
            (seeds,) = kinds.values()
            rows[data, bar] = (statistics.mean(seeds), statistics.stdev(seeds) if len(seeds) > 1 else None)
    data = list(dict.fromkeys(name for name, _ in rows))
    bars = [bar for bar in ABLATIONS.values() if any((name, bar) in rows for name in data)]
    label = pictures.title_of(next(iter(values))[1])
    figure = pictures.bars(data, bars, lambda name, bar: rows.get((name, bar)), label)
    pictures.add_legend(figure.axes[0], [(bar, f"run{place}", "s") for place, bar in enumerate(bars)])
    save(figure, "ablation", f"{label} with and without the modules", options)
    for (name, bar), (mean, deviation) in rows.items():
        yield name, bar, f"{mean:.6f}", "" if deviation is None else f"{deviation:.6f}"


def sensitivity(options):
    """Figure 4 is what plot_tune.py draws of searches over alpha, beta and temperature."""
    words = [sys.executable, "-B", os.path.join(BENCH, "plot_tune.py"), *options.folders, "--output", options.output]
    if options.metric:
        words += ["--metric", options.metric]
    if options.print:
        words += ["--print"]
    sys.stdout.flush()
    sys.exit(subprocess.run(words, check=False).returncode)


def parts(options):
    """Figures 5 and 6: the parts of 200 random items in the plane."""
    if len(options.folders) != 1:
        fail(f"figure {options.number} is of one run")
    run = Run(options.folders[0])
    wanted = {5: "micro", 6: "sea"}[options.number]
    if run.model != wanted:
        fail(f"{run.folder}: is a run of {run.model}; figure {options.number} is of {wanted}")
    arrays = export(find_sea(options.sea), run, options.data, parts=True)
    spaces = numbers.parts_of(arrays)
    if not spaces:
        fail(f"{run.folder}: its parts have several widths, and no space in which they lie together")
    space = spaces[0]
    items = len(numbers.item_vectors(arrays))
    chosen = numbers.draw_items(items, options.items, options.seed)
    rows, labels = space.chosen(chosen)
    figure = pictures.parts(list(space.arrays), numbers.embed(rows, options.seed), len(chosen))
    pictures.add_legend(figure.axes[0], [(label, *pictures.PART_STYLES[label]) for label in space.arrays], below=-0.02)
    save(figure, "parts", f"generic and unique parts of {len(chosen)} items", options)
    yield "space", space.title
    yield "silhouette", f"{numbers.silhouette(rows, labels):.6f}"
    cosine = space.generic_cosine(options.seed)
    if cosine:
        yield "cosine of generic pairs", f"{cosine[0]:.6f}"
        yield "cosine of random pairs", f"{cosine[1]:.6f}"


def main():
    parser = argparse.ArgumentParser(description="Draws a figure of the paper from finished runs.")
    parser.add_argument("number", type=int, choices=(3, 4, 5, 6), help="the figure's number in the paper")
    parser.add_argument("folders", nargs="+", metavar="RUN", help="folders of runs; of searches for figure 4")
    parser.add_argument("--output", required=True, metavar="FILE.svg", help="the picture")
    parser.add_argument("--metric", type=str.lower, help="of figures 3 and 4 (default: the runs' validation metric)")
    parser.add_argument("--items", type=int, default=200, help="of figures 5 and 6: how many (default: 200)")
    parser.add_argument("--seed", type=int, default=0, help="of figures 5 and 6: draws the items (default: 0)")
    parser.add_argument("--data", help="folder of the data set, where it has moved")
    parser.add_argument("--sea", help="the sea command (default: build/bin/sea, or the one on the PATH)")
    parser.add_argument("--print", action="store_true", help="print the numbers too")
    options = parser.parse_args()
    if not options.output.endswith(".svg"):
        fail(f"--output {options.output}: must end in .svg")
    if not 10 <= options.items <= 2000:
        fail(f"--items {options.items}: must be from 10 to 2000")
    if not 0 <= options.seed < 2**32:
        fail(f"--seed {options.seed}: must be from 0 to {2**32 - 1}")
    draw = {3: ablation, 4: sensitivity, 5: parts, 6: parts}[options.number]
    for row in draw(options):
        if options.print:
            print("\t".join(row))


if __name__ == "__main__":
    main()
