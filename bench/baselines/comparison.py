"""Turns the measurements of bench/compare_pytorch.sh into a table and one JSON file.

  comparison.py --variant SEAa [--json FILE] DATA ours|theirs FILE [DATA ours|theirs FILE]...
"""

import argparse
import json
import os
import statistics
import sys
import time


def read_rounds(triples):
    """{data: {"ours": [measurement], "theirs": [measurement]}}"""
    rounds = {}
    for data, side, path in zip(triples[0::3], triples[1::3], triples[2::3]):
        with open(path) as file:
            rounds.setdefault(data, {"ours": [], "theirs": []})[side].append(json.load(file))
    return rounds


def summary(measurements):
    """Over the rounds of one side: the median time a step, the largest peak, the median sgemm rate."""
    first = measurements[0]
    return {
        "implementation": first["implementation"],
        "seconds_per_step": statistics.median(m["seconds_per_step_median"] for m in measurements),
        "seconds_per_step_rounds": [m["seconds_per_step_median"] for m in measurements],
        "peak_memory_bytes": max(m["peak_memory_bytes"] for m in measurements),
        "sgemm_gflops": statistics.median(m["sgemm_gflops"] for m in measurements),
        "blas_core": first["blas_core"],
        "loss_first": first["loss_first"], "loss_last": first["loss_last"],
    }


def check_same_work(data, sides):
    """A ratio of two different jobs says nothing."""
    everything = sides["ours"] + sides["theirs"]
    sizes = set.intersection(*(set(m["sizes"]) for m in everything))
    for key in ("threads", "steps", *sorted(sizes)):
        values = [m["sizes"][key] if key in sizes else m[key] for m in everything]
        if any(value != values[0] for value in values):
            sys.exit(f"error: the two sides ran different jobs on {data}: {key} is {values}")
    if any("prescott" in m["blas_core"].lower() for m in everything):
        sys.exit(f"error: a side ran OpenBLAS's Prescott core on {data}: the run is invalid")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", required=True)
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("measurements", nargs="+", metavar="DATA SIDE FILE")
    arguments = parser.parse_args()
    results = []
    for data, sides in read_rounds(arguments.measurements).items():
        check_same_work(data, sides)
        first = sides["ours"][0]
        ours, theirs = summary(sides["ours"]), summary(sides["theirs"])
        ratios = {"speed": theirs["seconds_per_step"] / ours["seconds_per_step"],
                  "memory": ours["peak_memory_bytes"] / theirs["peak_memory_bytes"]}
        results.append({"data": data, "variant": arguments.variant, "threads": first["threads"],
                        "steps": first["steps"], "sizes": first["sizes"], "ours": ours, "theirs": theirs, **ratios})
        sizes = ", ".join(f"{key} {value}" for key, value in first["sizes"].items())
        print(f"\n{arguments.variant} on {data} ({sizes}), {first['threads']} threads, "
              f"{len(sides['ours'])} rounds of {first['steps']} steps")
        print(f"{'':28} {'ms a step':>10} {'peak MiB':>9} {'sgemm GFLOP/s':>14}  core")
        for side in (ours, theirs):
            print(f"{side['implementation']:28} {side['seconds_per_step'] * 1e3:10.1f} "
                  f"{side['peak_memory_bytes'] / 2**20:9.0f} {side['sgemm_gflops']:14.1f}  {side['blas_core']}")
        print(f"a step is {ratios['speed']:.2f} times as fast, peak memory {ratios['memory']:.2f} of PyTorch's")
    if arguments.json:
        os.makedirs(os.path.dirname(os.path.abspath(arguments.json)), exist_ok=True)
        with open(arguments.json, "w") as file:
            json.dump({"date": time.strftime("%Y-%m-%d"), "machine": machine(), "results": results}, file, indent=1)
            file.write("\n")


def machine():
    with open("/proc/cpuinfo") as cpuinfo:
        model = next((line.split(":")[1].strip() for line in cpuinfo if line.startswith("model name")), "unknown")
    return {"processor": model, "cores": len(os.sched_getaffinity(0))}


if __name__ == "__main__":
    main()
