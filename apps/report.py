#!/usr/bin/env python3
"""Makes one self-contained page of finished runs: curves, metrics, differences, the long tail, neighbours, and the
generic and unique parts of the items in the plane. It needs no network, and follows the reader's light or dark scheme.

    python3 apps/report.py [NAME=]RUN... --output report.html [--data DIR] [--sea build/bin/sea] [--seed 0]

The runs must be of the same interactions. Debian has what it needs: `report_packages` of apps/setup.sh.
"""

import argparse
import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")  # sums in one order: the same runs, the same page
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

try:
    import numpy  # noqa: F401
except ImportError:
    sys.exit("error: a report needs numpy: apt-get install python3-numpy")

from reporting.runs import (MOST_RUNS, compare, evaluate, export, fail, find_sea, read_interactions,  # noqa: E402
                            read_runs, recommend, write_whole)


def main():
    parser = argparse.ArgumentParser(description="Makes one self-contained page of finished runs.")
    parser.add_argument("runs", nargs="+", metavar="[NAME=]RUN", help="folder of a run; what it is called")
    parser.add_argument("--output", required=True, metavar="FILE.html", help="the page")
    parser.add_argument("--data", help="folder of the data set, where it has moved")
    parser.add_argument("--sea", help="the sea command (default: build/bin/sea, or the one on the PATH)")
    parser.add_argument("--picture", metavar="FILE.svg", help="the first run's parts, and the runs' curves and metrics, too")
    parser.add_argument("--seed", type=int, default=0, help="draws items and intervals (default: 0)")
    options = parser.parse_args()
    if not options.output.lower().endswith((".html", ".htm")):
        fail(f"--output {options.output}: must end in .html")
    if options.picture and not options.picture.endswith(".svg"):
        fail(f"--picture {options.picture}: must end in .svg")
    if not 0 <= options.seed < 2**32:
        fail(f"--seed {options.seed}: must be from 0 to {2**32 - 1}")
    if len(options.runs) > MOST_RUNS:
        fail(f"{len(options.runs)} runs are more than the {MOST_RUNS} that can be told apart")
    for file in filter(None, (options.output, options.picture)):
        if not os.path.isdir(os.path.dirname(os.path.abspath(file))):
            fail(f"{file}: there is no folder {os.path.dirname(os.path.abspath(file))}")
    runs = read_runs(options.runs)
    sea = find_sea(options.sea)
    data = options.data or runs[0].config["data"]
    splits = read_interactions(data)
    split = "test" if len(splits[2]) else "valid"
    for run in runs:
        run.evaluation = evaluate(sea, run, options.data, split, options.seed)
        run.arrays = export(sea, run, options.data, parts=True)
        run.lists = recommend(sea, run, options.data)
    compared = compare(sea, runs, options.data, split, options.seed) if len(runs) > 1 else []
    # Imported last: what is refused is refused at once.
    try:
        from jinja2 import Environment, FileSystemLoader
    except ImportError:
        fail("a report needs Jinja2: apt-get install python3-jinja2")
    from reporting import sections, svg
    page = sections.page(runs, os.path.basename(os.path.normpath(data)), splits, compared, options.seed)
    loader = FileSystemLoader(os.path.join(os.path.dirname(os.path.abspath(__file__)), "reporting"))
    template = Environment(loader=loader, autoescape=True).get_template("page.html")
    if options.picture:
        write_whole(options.picture, sections.picture(runs, options.seed))
    write_whole(options.output, template.render(palette=svg.style(), runs=runs, **page))


if __name__ == "__main__":
    main()
