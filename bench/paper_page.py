#!/usr/bin/env python3
"""Prints docs/paper.md: the paper's Tables 2 to 5 and Figures 3 and 4 beside what was measured here, from the tables of
docs/results.md and the files bench/results/efficiency_cpu*.json.

    python3 bench/paper_page.py > docs/paper.md
"""

import glob
import json
import os
import re
import sys

REPOSITORY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
METRICS = ("Recall@10", "Recall@20", "NDCG@10", "NDCG@20")
DATASETS = ("baby", "sports", "clothing")
TABLE_2 = {  # test, as METRICS, for each of DATASETS
    "bpr": ((0.0357, 0.0575, 0.0192, 0.0249), (0.0432, 0.0653, 0.0241, 0.0298), (0.0187, 0.0279, 0.0103, 0.0126)),
    "lightgcn": ((0.0479, 0.0754, 0.0257, 0.0328), (0.0569, 0.0864, 0.0311, 0.0387), (0.0340, 0.0526, 0.0188, 0.0236)),
    "layergcn": ((0.0529, 0.0820, 0.0281, 0.0355), (0.0594, 0.0916, 0.0323, 0.0406), (0.0371, 0.0566, 0.0200, 0.0247)),
    "vbpr": ((0.0423, 0.0663, 0.0223, 0.0284), (0.0558, 0.0856, 0.0307, 0.0384), (0.0281, 0.0415, 0.0158, 0.0192)),
    "mmgcn": ((0.0378, 0.0615, 0.0200, 0.0261), (0.0370, 0.0605, 0.0193, 0.0254), (0.0218, 0.0345, 0.0110, 0.0142)),
    "dualgnn": ((0.0448, 0.0716, 0.0240, 0.0309), (0.0568, 0.0859, 0.0310, 0.0385), (0.0454, 0.0683, 0.0241, 0.0299)),
    "lattice": ((0.0547, 0.0850, 0.0292, 0.0370), (0.0620, 0.0953, 0.0335, 0.0421), (0.0492, 0.0733, 0.0268, 0.0330)),
    "slmrec": ((0.0529, 0.0775, 0.0290, 0.0353), (0.0663, 0.0990, 0.0365, 0.0450), (0.0452, 0.0675, 0.0247, 0.0303)),
    "micro": ((0.0584, 0.0929, 0.0318, 0.0407), (0.0679, 0.1050, 0.0367, 0.0463), (0.0521, 0.0772, 0.0283, 0.0347)),
    "pamd": ((0.0618, 0.0957, 0.0334, 0.0422), (0.0723, 0.1101, 0.0393, 0.0491), (0.0634, 0.0942, 0.0344, 0.0421)),
    "bm3": ((0.0564, 0.0883, 0.0301, 0.0383), (0.0656, 0.0980, 0.0355, 0.0438), (0.0422, 0.0621, 0.0231, 0.0281)),
    "mmssl": ((0.0613, 0.0971, 0.0326, 0.0420), (0.0673, 0.1013, 0.0380, 0.0474), (0.0531, 0.0797, 0.0291, 0.0359)),
    "freedom": ((0.0627, 0.0992, 0.0330, 0.0424), (0.0717, 0.1089, 0.0385, 0.0481), (0.0629, 0.0941, 0.0341, 0.0420)),
    "mgcn": ((0.0620, 0.0964, 0.0339, 0.0427), (0.0729, 0.1106, 0.0397, 0.0496), (0.0641, 0.0945, 0.0347, 0.0428)),
    "lgmrec": ((0.0644, 0.1002, 0.0349, 0.0440), (0.0720, 0.1068, 0.0390, 0.0480), (0.0555, 0.0828, 0.0302, 0.0371)),
    "SEAa": ((0.0663, 0.1033, 0.0354, 0.0449), (0.0757, 0.1145, 0.0408, 0.0508), (0.0659, 0.0953, 0.0358, 0.0432)),
}
TABLE_3 = {  # Baby
    "vbpr": (0.0423, 0.0663, 0.0223, 0.0284), "vbpr+sea": (0.0457, 0.0743, 0.0243, 0.0317),
    "freedom": (0.0627, 0.0992, 0.0330, 0.0424), "freedom+sea": (0.0636, 0.1013, 0.0336, 0.0433),
    **{name: None for model in ("lattice", "slmrec", "bm3") for name in (model, model + "+sea")},
}
TABLE_4 = {  # Baby
    "SEAa": (0.0663, 0.1033, 0.0354, 0.0449), "SEAb": (0.0650, 0.1012, 0.0349, 0.0441),
    "SEAc": (0.0657, 0.1026, 0.0348, 0.0449), "SEAd": (0.0644, 0.1007, 0.0345, 0.0436),
}
TABLE_5 = {  # GB and seconds per epoch, for each of DATASETS, in the order of its columns
    "bpr": ((1.59, 0.86), (2.00, 1.24), (2.16, 1.52)), "lightgcn": ((1.69, 1.81), (2.24, 3.74), (2.43, 4.58)),
    "vbpr": ((1.89, 1.04), (2.71, 1.67), (3.02, 2.02)), "mmgcn": ((2.69, 6.35), (3.91, 20.88), (4.24, 26.13)),
    "lattice": ((4.53, 3.42), (19.93, 13.59), (28.22, 23.96)), "freedom": ((2.13, 2.58), (3.34, 4.52), (4.15, 5.74)),
    "SEAd": ((2.54, 4.58), (3.94, 16.13), (4.69, 23.59)), "SEAc": ((3.42, 18.81), (8.83, 60.97), (13.78, 59.25)),
    "SEAb": ((2.54, 3.75), (3.94, 13.75), (4.69, 21.41)), "SEAa": ((3.42, 16.04), (8.83, 58.81), (13.78, 57.35)),
}
VARIANTS = {"SEAa": "SoloSim, CLUB", "SEAb": "SoloSim, l2", "SEAc": "InfoNCE, CLUB", "SEAd": "InfoNCE, l2"}
FIGURE_3 = {"align=none distance=none": "w/o All", "distance=none": "w/o Distancing", "align=none": "w/o Alignment",
            "SEAa": "SEA"}


def table(path, heading, first):
    """The rows, a dictionary each, of the first table under a heading whose first column is `first`."""
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    if heading not in lines:
        sys.exit(f"error: {path} has no heading '{heading}'")
    rows, columns = [], None
    for line in lines[lines.index(heading) + 1:]:
        if line.startswith("## ") or (columns and not line.startswith("|")):
            break
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if columns is None and line.startswith("|") and cells[0] == first:
            columns = cells
        elif columns and not set(line) <= set("|-: "):
            rows.append(dict(zip(columns, cells)))
    if not rows:
        sys.exit(f"error: {path} has no table of '{first}' under '{heading}'")
    return rows


def name_of(row):
    """`vbpr` (and a note) without the quotation marks and the note."""
    return re.match(r"`([^`]+)`", row["model"]).group(1)


class Measured:
    def __init__(self):
        results = os.path.join(REPOSITORY, "docs", "results.md")
        self.tiktok = {name_of(row): row
                       for heading in ("## Models, plug-in and ablations on TikTok", "## Further models on TikTok")
                       for row in table(results, heading, "model")}
        self.sensitivity = table(results, "## Weights and temperature on made data", "alpha")
        self.amazon = {(row["data"], row["model"]): row for row in table(results, "## The Amazon sets", "data")}
        self.efficiency = {}
        for path in sorted(glob.glob(os.path.join(REPOSITORY, "bench", "results", "efficiency_cpu*.json"))):
            with open(path, encoding="utf-8") as file:
                report = json.load(file)
            for row in report["rows"]:
                self.efficiency[row["dataset"], row["model"]] = dict(row, date=report["date"])

    def on_tiktok(self, model):
        row = self.tiktok.get(model)
        return [row[metric] if row else "" for metric in METRICS]


def line(cells):
    return "| " + " | ".join(cells) + " |"


def head(titles, text_columns):
    return [line(titles), line(["---"] * text_columns + ["---:"] * (len(titles) - text_columns))]


def four(values):
    return [f"{value:.4f}" for value in values] if values else [""] * 4


def table_2(measured):
    lines = []
    for i, dataset in enumerate(DATASETS):
        lines += ["", f"**{dataset.capitalize()}**, the paper's four figures, then ours with their share of the paper's:", ""]
        lines += head(["model", *METRICS, *(f"ours, {metric}" for metric in METRICS)], 1)
        for model, figures in TABLE_2.items():
            row = measured.amazon.get((dataset, model))
            lines.append(line([f"`{model}`", *four(figures[i]), *([row[m] for m in METRICS] if row else [""] * 4)]))
    lines += ["", "**TikTok**, ours, which the paper does not have:", ""]
    lines += head(["model", *METRICS], 1)
    for model in TABLE_2:
        if model in measured.tiktok:
            lines.append(line([f"`{model}`", *measured.on_tiktok(model)]))
    return lines


def beside_tiktok(rows, measured, titles):
    lines = ["", *head([*titles, *(f"paper, {metric}" for metric in METRICS), *(f"ours, {metric}" for metric in METRICS)],
                       len(titles))]
    for key, (cells, figures) in rows.items():
        if figures or key in measured.tiktok:
            lines.append(line([*cells, *four(figures), *measured.on_tiktok(key)]))
    return lines


def table_5(measured):
    lines = ["", *head(["data", "model", "paper, GB", "ours, GB", "ratio", "paper, s/epoch", "ours, s/epoch", "ratio",
                        "ours measured"], 2)]
    for i, dataset in enumerate(DATASETS):
        others = [model for data, model in measured.efficiency if data == dataset and model not in TABLE_5]
        for model in (*TABLE_5, *others):
            paper_memory, paper_seconds = TABLE_5[model][i] if model in TABLE_5 else (None, None)
            row = measured.efficiency.get((dataset, model))
            cells = [dataset, f"`{model}`", f"{paper_memory:.2f}" if paper_memory else "", "", "",
                     f"{paper_seconds:.2f}" if paper_seconds else "", "", "", ""]
            if row:
                # One thread's own time is what other processes on the machine disturb least.
                single = row["threads"] == 1 and "processor_seconds_per_epoch" in row
                seconds = row["processor_seconds_per_epoch" if single else "seconds_per_epoch"]
                cells[3] = f"{row['memory_gb']:.2f}"
                cells[4] = f"{paper_memory / row['memory_gb']:.1f}" if paper_memory else ""
                cells[6] = ("~" if row["scaled"] else "") + f"{seconds:.3g}"
                cells[7] = f"{paper_seconds / seconds:.2f}" if paper_seconds else ""
                cells[8] = row["date"] + (", one thread" if single else "")
            lines.append(line(cells))
    return lines


PAGE = """# The paper's tables and figures, beside ours

This page is printed by `python3 bench/paper_page.py` from the tables of [results](results.md) and the files
`bench/results/efficiency_cpu*.json`, where commands, seeds and dates stand. The paper is "It is Never Too Late to Mend:
Separate Learning for Multimedia Recommendation". An empty cell is one that the side does not have.

| data | interactions | item features | what can be compared with the paper |
| --- | --- | --- | --- |
| `baby`, `sports`, `clothing` | real, of the paper's users and items, split 8:1:1 by another draw | none: the paper's are not distributed with them | quality of the models that read no features; memory and time of all (with made features of the paper's widths) |
| `tiktok` | real | real, image and audio, 128 wide each | no single figure: the paper does not have this data set. The order of models and the effect of a module can be set beside it |

No figure of a model that reads features is measured here on the paper's data: with made features it would say nothing.

## Table 2: quality

Test, at the best validation epoch. Paper: the figures of other papers for all models but SEA, on MMRec's split. Ours, on the
Amazon sets: one seed each, published settings and a short search (results.md); another draw of the split, so a few percent
either way say nothing.
{table_2}

TikTok: {tiktok_note}

## Table 3: SEA's modules plugged into other models

Paper: Baby. Ours: TikTok, mean and standard deviation over seeds. The absolute figures cannot be compared; whether the modules
help can. Weights of the plugged-in modules were not searched here. Rows without a standard deviation are one seed
(999); those without the paper's figures are ours alone.
{table_3}

## Table 4: the four variants

Paper: Baby, one figure each. Ours: TikTok, three seeds.
{table_4}

The paper's largest difference in Recall@20 is 2.6 %. Ours, 1.6 %, is within the spread of the seeds; its order is
the paper's in Recall@20 and another one in the other metrics.

## Table 5: memory and time of an epoch

Paper: a GPU that it does not name; its memory is that of the GPU. Ours: the processor, interactions of the paper's data with
made features 4096 and 384 wide; memory is the most that the process had resident, in 10^9 bytes. `~`: fewer batches than an
epoch's were timed, and scaled; what a model does once per epoch or before (item graphs, pruning, PAMD's pretraining) is left out. Times are those of two threads on an idle machine; where the last column says "one thread",
the machine was busy with other work, and the time is that of the processor: what one thread takes, and at most so much.
The ratio is the paper's figure over ours: above 1 is less memory, or faster. It compares different machines: the memory
says what a model needs, the time does not say which program is better. Models that the paper's table leaves out have ours
alone.
{table_5}

## Figure 3: without the modules

The paper draws it for Baby, Sports and Clothing and prints no figures; its text says that either module improves the results and both
together are the best. Ours: TikTok, mean and standard deviation of three seeds.
{figure_3}

Nothing here shows that either module helps on this data: SEA with both is the lowest, by no more than seeds differ.

## Figure 4: the weights of the modules and the temperature

The paper draws it for Baby and Sports against alpha, beta and the temperature and prints no figures; its text says that the
performance tends to rise and then to fall in each. Ours: made data (`sea synth --preset small`), one seed, by
`bash bench/sensitivity.sh DATA OUT`; test Recall@20 at the best validation epoch. `*`: the default.
{figure_4}

The data cannot be compared with the paper's: what aligning and parting do to features that are made of blocks says little of real
ones."""


def main():
    measured = Measured()
    lacking = [f"`{model}`" for model in TABLE_2 if model not in measured.tiktok]
    single = [f"`{model}`" for model in TABLE_2 if "," not in measured.tiktok.get(model, {}).get("seeds", ",")]
    print(PAGE.format(
        table_2="\n".join(table_2(measured)),
        tiktok_note="three seeds to early stop each" + (f", but one of {', '.join(single)}" if single else "") + "."
        + (f" {', '.join(lacking)} were not trained to an end there." if lacking else ""),
        table_3="\n".join(beside_tiktok({m: ([f"`{m}`"], f) for m, f in TABLE_3.items()}, measured, ["model"])),
        table_4="\n".join(beside_tiktok({m: ([f"`{m}`", VARIANTS[m]], f) for m, f in TABLE_4.items()}, measured,
                                        ["variant", "alignment, distance"])),
        table_5="\n".join(table_5(measured)),
        figure_4="\n".join(["", *head(list(measured.sensitivity[0]), 0),
                            *(line(list(row.values())) for row in measured.sensitivity)]),
        figure_3="\n".join(["", *head(["", "settings", *METRICS], 2),
                            *(line([title, f"`{key}`", *measured.on_tiktok(key)]) for key, title in FIGURE_3.items())])))


if __name__ == "__main__":
    main()
