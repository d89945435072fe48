#!/usr/bin/env python3
"""A Markdown table of finished runs: test metrics at the best validation epoch, the mean over seeds and its standard
deviation, and, of bpr, lightgcn and layergcn on the paper's Amazon data, the share of the paper's figure. The paper's other
models need the real features, which are not distributed with the interactions.

    python3 bench/results_table.py FOLDER... [--metrics recall@10,recall@20,ndcg@10,ndcg@20]

A FOLDER is a run of `sea train`, or holds some at any depth. Runs that differ in their seed alone are one row; beside a
model's name stand the settings in which its rows differ.
"""

import argparse
import json
import os
import statistics
import sys

METRICS = ("recall@10", "recall@20", "ndcg@10", "ndcg@20")
PAPER = {  # Table 2, test
    ("baby", "bpr"): (0.0357, 0.0575, 0.0192, 0.0249),
    ("baby", "lightgcn"): (0.0479, 0.0754, 0.0257, 0.0328),
    ("baby", "layergcn"): (0.0529, 0.0820, 0.0281, 0.0355),
    ("sports", "bpr"): (0.0432, 0.0653, 0.0241, 0.0298),
    ("sports", "lightgcn"): (0.0569, 0.0864, 0.0311, 0.0387),
    ("sports", "layergcn"): (0.0594, 0.0916, 0.0323, 0.0406),
    ("clothing", "bpr"): (0.0187, 0.0279, 0.0103, 0.0126),
    ("clothing", "lightgcn"): (0.0340, 0.0526, 0.0188, 0.0236),
    ("clothing", "layergcn"): (0.0371, 0.0566, 0.0200, 0.0247),
}
NOT_SETTINGS = ("model", "seed", "device", "threads")


def runs_in(folder):
    """(data, configuration, result) of every finished run in a folder."""
    for path, folders, files in os.walk(folder):
        folders.sort()
        if "result.json" not in files:
            continue
        with open(os.path.join(path, "result.json"), encoding="utf-8") as file:
            result = json.load(file)
        with open(os.path.join(path, "config.json"), encoding="utf-8") as file:
            data = json.load(file)["data"]
        yield os.path.basename(data), result["config"], result


def text(value):
    return value if isinstance(value, str) else json.dumps(value)


def rows_of(runs):
    """{(data, model, settings): results}; the settings are those in which a model's rows differ."""
    grouped = {}
    for data, config, result in runs:
        settings = tuple((key, text(value)) for key, value in config.items() if key not in NOT_SETTINGS)
        results = grouped.setdefault((data, config["model"], settings), {})
        if result["seed"] in results:
            sys.exit(f"error: {config['model']} on {data} has seed {result['seed']} twice with the same settings")
        results[result["seed"]] = result
    rows = {}
    for (data, model, settings), results in grouped.items():
        others = [dict(s) for d, m, s in grouped if (d, m) == (data, model)]
        shown = tuple(f"{key}={value}" for key, value in settings if any(o.get(key) != value for o in others))
        rows[data, model, shown] = results
    return rows


def cell(values, paper):
    mean = statistics.mean(values)
    deviation = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
    share = f" ({mean / paper:.3f})" if paper else ""
    return f"{mean:.4f}{deviation}{share}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", metavar="FOLDER")
    parser.add_argument("--metrics", default=",".join(METRICS))
    arguments = parser.parse_args()
    metrics = arguments.metrics.split(",")
    rows = rows_of(run for folder in arguments.folders for run in runs_in(folder))
    if not rows:
        sys.exit(f"error: no finished run is in {', '.join(arguments.folders)}")
    print("| data | model | seeds | best epoch | " + " | ".join(metrics) + " |")
    print("| --- | --- | --- | --- |" + " --- |" * len(metrics))
    for (data, model, settings), results in rows.items():
        paper = dict(zip(METRICS, PAPER.get((data, model), ())))
        for metric in metrics:
            if any(metric not in result["test"] for result in results.values()):
                sys.exit(f"error: a run of {model} on {data} has no {metric}; its topk leaves it out")
        print(f"| {data} | {' '.join((model, *settings))} | {', '.join(str(seed) for seed in sorted(results))} | "
              + ", ".join(str(results[seed]["best_epoch"]) for seed in sorted(results)) + " | "
              + " | ".join(cell([r["test"][metric] for r in results.values()], paper.get(metric)) for metric in metrics)
              + " |")


if __name__ == "__main__":
    main()
