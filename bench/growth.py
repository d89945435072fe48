#!/usr/bin/env python3
"""How time and memory grow with the data: synthetic data sets of growing size, a fresh process for each, and the slope
of a straight line through the logarithms, 1 for linear growth, 2 for quadratic.

  growth.py [--bin DIR] [--threads N] [--steps N] [--device cpu|cuda] [--only edges,users,items,models] [--json FILE]

The first three series are SEA's; `models` is the peak memory of the models that it is compared with as items grow:
linear in all of them but MMSSL, whose discriminator has a quarter of items x items weights. A time of a step is the median of --steps (5, on a GPU 200); build/bin must hold sea and step_bench. Each series grows one
number over a decade and leaves the others alone; features are narrow, so that the item layer does not hide what grows. The cache of
neighbour lists is off. It fails where a slope is above its bound.
"""

import argparse
import datetime
import json
import math
import os
import subprocess
import sys
import tempfile

from baselines.comparison import machine

SERIES = {
    # What grows, its values, the rest of the sizes, and what is fitted: (name, largest slope).
    "edges": {
        "values": (200_000, 400_000, 800_000, 1_400_000, 2_000_000),
        "sizes": {"users": 40_000, "items": 4_000},
        "fits": (("step", 1.15), ("propagation", 1.15), ("peak memory", 1.15)),
    },
    "users": {
        "values": (20_000, 40_000, 80_000, 140_000, 200_000),
        "sizes": {"items": 4_000, "interactions": 1_000_000},
        "fits": (("step", 1.15), ("evaluation", 1.15), ("peak memory", 1.15)),
    },
    "items": {
        "values": (4_000, 8_000, 16_000, 28_000, 40_000),
        "sizes": {"users": 20_000, "interactions": 400_000},
        "fits": (("alignment", 2.2), ("neighbours", 2.2), ("peak memory", 1.15)),
    },
    "models": {
        "values": (4_000, 8_000, 16_000, 40_000),
        "sizes": {"users": 20_000, "interactions": 400_000},
        "fits": (*((name, 1.15) for name in ("freedom", "mmgcn", "dualgnn", "lattice", "slmrec", "bm3", "mgcn", "lgmrec",
                                             "micro", "pamd")), ("mmssl", 2.2)),
    },
}
SYNTH_NAMES = {"edges": "interactions", "models": "items"}
# MMSSL's discriminator is measured with a small batch, which its weights do not depend on, and up to fewer items.
MMSSL, MMSSL_ITEMS = ("--set", "train_batch_size=64"), 16_000
VISUAL_WIDTH, TEXTUAL_WIDTH = 256, 64


def call(command):
    if not os.access(command[0], os.X_OK):
        sys.exit(f"error: {command[0]} is not there; cmake --preset release -DSEA_BENCH=ON and a build make it")
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, env={**os.environ, "SEA_CACHE": ""})
    if done.returncode != 0:
        sys.exit(f"{done.stdout[-2000:]}\nerror: {' '.join(command)} failed")


def measured(data, scratch, arguments, *more):
    path = os.path.join(scratch, "measured.json")
    call([os.path.join(arguments.bin, "step_bench"), data, "--warmup", "1", "--threads", str(arguments.threads),
          "--device", arguments.device, "--json", path, *more])
    with open(path) as file:
        return json.load(file)


def point(series, value, arguments, scratch):
    """Every figure of one size."""
    sizes = {**SERIES[series]["sizes"], SYNTH_NAMES.get(series, series): value}
    data = os.path.join(scratch, "data")
    call([os.path.join(arguments.bin, "sea"), "synth", data, "--visual-dim", str(VISUAL_WIDTH), "--textual-dim",
          str(TEXTUAL_WIDTH), "--seed", "1", *(word for name in sizes for word in (f"--{name}", str(sizes[name])))])
    figures, measurement = (models if series == "models" else sea)(series, sizes, data, scratch, arguments)
    for name in os.listdir(data):
        os.remove(os.path.join(data, name))
    os.rmdir(data)
    # What the data set really has: users without enough history and repeated pairs do not occur in it.
    grown = {"edges": "train_interactions", "models": "items"}.get(series, series)
    return {"value": measurement["sizes"][grown], **figures}, measurement["commit"]


def models(series, sizes, data, scratch, arguments):
    """The peak memory of each model's process: two steps, of which the first one builds what an epoch begins with."""
    figures = {}
    for name, _ in SERIES[series]["fits"]:
        if name != "mmssl" or sizes["items"] <= MMSSL_ITEMS:
            steps = measured(data, scratch, arguments, "--model", name, "--steps", "1", *(MMSSL if name == "mmssl" else ()))
            figures[name] = steps["peak_memory_bytes"]
    return figures, steps


def sea(series, sizes, data, scratch, arguments):
    steps = measured(data, scratch, arguments, "--steps", str(arguments.steps))
    parts = measured(data, scratch, arguments, "--steps", str(arguments.steps), "--profile")["profile"]
    figures = {
        "step": steps["seconds_per_step_median"],
        "peak memory": steps["peak_memory_bytes"],
        "neighbours": steps["preparation_seconds"]["stages"]["neighbours of image_feat.npy"],
        "propagation": sum(seconds for part, seconds in parts.items() if "propagate" in part),
        "alignment": sum(seconds for part, seconds in parts.items() if "align" in part),
    }
    if any(name == "evaluation" for name, _ in SERIES[series]["fits"]):
        evaluations = measured(data, scratch, arguments, "--evaluations", str(arguments.steps))
        figures["evaluation"] = evaluations["seconds_per_evaluation_median"]
    return figures, steps


def slope(xs, ys):
    """Of the least-squares line through (log x, log y)."""
    xs, ys = [math.log(x) for x in xs], [math.log(y) for y in ys]
    x_mean, y_mean = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys)) / sum((x - x_mean) ** 2 for x in xs)


def text(series, name, point):
    if name not in point:
        return "-"
    if series == "models" or name == "peak memory":
        return f"{point[name] / 2**20:.0f} MiB"
    return f"{point[name] * 1e3:.1f} ms"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.path.join(os.path.dirname(__file__), "..", "build", "bin"))
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--steps", type=int)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", default=",".join(SERIES))
    parser.add_argument("--json", metavar="FILE")
    arguments = parser.parse_args()
    arguments.steps = arguments.steps or (200 if arguments.device == "cuda" else 5)
    unknown = [name for name in arguments.only.split(",") if name not in SERIES]
    if unknown:
        parser.error(f"--only takes some of {', '.join(SERIES)}, not {unknown[0]}")

    result = {"date": datetime.date.today().isoformat(), **machine(), "threads": arguments.threads,
              "device": arguments.device, "series": {}}
    too_steep = []
    for series in arguments.only.split(","):
        fits = SERIES[series]["fits"]
        print(f"\n{series:>12}" + "".join(f"{name:>16}" for name, _ in fits), flush=True)
        points = []
        for value in SERIES[series]["values"]:
            with tempfile.TemporaryDirectory() as scratch:
                measured_point, result["commit"] = point(series, value, arguments, scratch)
            points.append(measured_point)
            print(f"{points[-1]['value']:>12,}" + "".join(f"{text(series, n, points[-1]):>16}" for n, _ in fits),
                  flush=True)
        slopes = {name: slope(*zip(*((p["value"], p[name]) for p in points if name in p))) for name, _ in fits}
        print(f"{'slope':>12}" + "".join(f"{slopes[name]:>16.2f}" for name, _ in fits))
        too_steep += [f"{name} in {series} ({slopes[name]:.2f}, at most {bound})"
                      for name, bound in fits if slopes[name] > bound]
        result["series"][series] = {"points": points, "slopes": slopes, "bounds": dict(fits)}
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(result, file, indent=1)
            file.write("\n")
    if too_steep:
        sys.exit(f"error: steeper than allowed: {', '.join(too_steep)}")


if __name__ == "__main__":
    main()
