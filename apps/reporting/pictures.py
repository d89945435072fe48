"""The report's pictures. Each takes runs and numbers and gives a matplotlib figure."""

import numpy
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from reporting import svg

PART_STYLES = {  # (colour, marker)
    "generic visual": ("run7", "o"),
    "generic textual": ("run5", "o"),
    "generic, of both": ("run3", "o"),
    "unique visual": ("run7", "x"),
    "unique textual": ("run5", "x"),
}


def title_of(metric):
    """Recall@20 of recall@20."""
    name, _, cutoff = metric.partition("@")
    spaced = {"averagepopularity": "Average popularity", "itemcoverage": "Item coverage", "giniindex": "Gini index"}
    name = spaced.get(name) or (name.upper() if name in ("ndcg", "map", "mrr") else name.capitalize())
    return f"{name}@{cutoff}" if cutoff else name


def few_ticks(axis, x=5, y=5):
    if x:
        axis.xaxis.set_major_locator(MaxNLocator(x, integer=True))
    if y:
        axis.yaxis.set_major_locator(MaxNLocator(y))


def curves(runs, values_of, axis=None):
    """A line per run over the epochs; `values_of` gives an epoch's value or None. The best epoch is marked.

    None where no run has a value.
    """
    axis = axis or svg.make_figure()[1][0]
    drawn = False
    for number, run in enumerate(runs):
        points = [(epoch["epoch"], values_of(epoch)) for epoch in run.epochs]
        points = [(epoch, value) for epoch, value in points if value is not None]
        if not points:
            continue
        drawn = True
        axis.plot(*zip(*points), color=svg.run_colour(number), linewidth=1.5,
                  marker=svg.MARKERS[number % len(svg.MARKERS)] if len(points) == 1 else None)
        for epoch, value in points:
            if epoch == run.best["epoch"]:
                axis.plot([epoch], [value], svg.MARKERS[number % len(svg.MARKERS)], color=svg.run_colour(number))
    axis.set_xlabel("epoch")
    few_ticks(axis)
    return axis.figure if drawn else None


def intervals(runs, rows, values_of, zero=False, axis=None):
    """A mark and its interval per row and run; `values_of(run, row)` gives (value, low, high) or None.

    `zero`: with a line at 0.
    """
    step = 0.7 / max(len(runs), 1)
    axis = axis or svg.make_figure(height=0.9 + len(rows) * (0.22 + 0.13 * len(runs)))[1][0]
    for number, run in enumerate(runs):
        for place, row in enumerate(rows):
            found = values_of(run, row)
            if found is None:
                continue
            value, low, high = found
            y = place + (number - (len(runs) - 1) / 2) * step
            axis.plot([low, high], [y, y], color=svg.run_colour(number), linewidth=1.5)
            axis.plot([value], [y], svg.MARKERS[number % len(svg.MARKERS)], color=svg.run_colour(number), markersize=5)
    if zero:
        axis.axvline(0.0, color=svg.colour("muted"), linewidth=1.0)
    axis.set_yticks(range(len(rows)), rows)
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.grid(axis="y", visible=False)
    axis.xaxis.set_major_locator(MaxNLocator(4))
    return axis.figure


def tails(named_curves):
    """Shares of what is recommended against shares of the items: [(colour, dashed, (x, y))]."""
    figure, (axis,) = svg.make_figure()
    for colour, dashed, (x, y) in named_curves:
        # A curve of thousands of items needs no more points than pixels.
        keep = numpy.unique(numpy.linspace(0, len(x) - 1, 300).astype(int))
        axis.plot(x[keep], y[keep], color=svg.colour(colour), linewidth=1.5, linestyle="--" if dashed else "-")
    axis.set_xlabel("share of the items, the most popular first")
    shares = (0, 0.25, 0.5, 0.75, 1)
    for place in (axis.xaxis, axis.yaxis):
        place.set_ticks(shares, [f"{share:.0%}" for share in shares])
    axis.tick_params(axis="x", pad=6)
    axis.set_xlim(0, 1)
    axis.set_ylim(-0.03, 1.02)
    return figure


def parts(labels, points, count, axis=None):
    """The plane of the t-SNE; `points` part after part, `count` of each."""
    axis = axis or svg.make_figure(height=4.2)[1][0]
    for place, label in enumerate(labels):
        colour, marker = PART_STYLES[label]
        x, y = points[place * count:(place + 1) * count].T
        axis.plot(x, y, marker, color=svg.colour(colour), markersize=4, alpha=0.75, linestyle="none",
                  markeredgewidth=1.0 if marker == "x" else 0.0)
    axis.set_xticks([])
    axis.set_yticks([])
    axis.grid(visible=False)
    for side in ("top", "right"):
        axis.spines[side].set_visible(True)
    return axis.figure


def bars(groups, names, values_of, label):
    """Bars side by side: a group per entry of `groups`, a colour per name; (value, deviation or None)."""
    width = 0.8 / len(names)
    figure, (axis,) = svg.make_figure(height=3.4, width=max(svg.WIDTH, 1.6 * len(groups) * len(names) * 0.5))
    low = []
    for number, name in enumerate(names):
        for place, group in enumerate(groups):
            found = values_of(group, name)
            if found is None:
                continue
            value, deviation = found
            low.append(value - (deviation or 0.0))
            axis.bar(place + (number - (len(names) - 1) / 2) * width, value, width * 0.92, color=svg.run_colour(number),
                     yerr=deviation, ecolor=svg.colour("ink"), capsize=2, error_kw={"elinewidth": 1})
    axis.set_xticks(range(len(groups)), groups)
    axis.grid(axis="x", visible=False)
    axis.set_ylabel(label)
    axis.yaxis.set_major_locator(MaxNLocator(5))
    return figure


def overview(runs, labels, points, count):
    """Learning curves, metrics and one run's parts side by side, as one picture that stands alone."""
    figure, (first, second, third) = svg.make_figure(height=3.9, panels=3, width=12.5)
    metric = runs[0].metric
    curves(runs, lambda epoch: epoch.get("valid", {}).get(metric), first)
    first.set_title(f"{title_of(metric)} on validation", fontsize=11)
    add_legend(first, [(run.name, f"run{place}", None) for place, run in enumerate(runs)], below=-0.16)
    names = {title_of(name): name for name in runs[0].evaluation["intervals"] if name.startswith(("recall", "ndcg"))}

    def value_of(run, title):
        value, ends = run.evaluation["metrics"][names[title]], run.evaluation["intervals"][names[title]]
        return (value, *ends)

    intervals(runs, list(names), value_of, axis=second)
    second.set_title(f"{runs[0].evaluation['split']}, 95 % intervals over users", fontsize=11)
    parts(labels, points, count, third)
    third.set_title(f"{runs[0].name}: parts of {count} items, t-SNE", fontsize=11)
    add_legend(third, [(label, *PART_STYLES[label]) for label in labels], below=-0.02)
    return figure


def add_legend(axis, entries, columns=2, below=-0.12):
    """A legend below, for a picture that stands alone: [(name, colour, marker or None)]."""
    handles = [Line2D([], [], color=svg.colour(colour), marker=marker, linestyle="none" if marker else "-", label=name)
               for name, colour, marker in entries]
    axis.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, below), ncol=columns, frameon=False,
                fontsize=10)
