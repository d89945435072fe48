"""The report's sections: what each shows, with the number behind it."""

import numpy

from reporting import numbers, pictures, svg
from reporting.runs import MOST_RUNS, TOP_K, differing_settings, fail

SHOWN_ITEMS = 200
def figure(name, title, drawn, caption):
    return {"title": title, "svg": svg.to_svg(drawn, name, title), "caption": caption}


def number(value):
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def page(runs, data, splits, compared, seed):
    """Everything that the template reads."""
    train = splits[0]
    users = len(runs[0].lists)
    items = len(numbers.item_vectors(runs[0].arrays))
    intro = [f"{len(runs)} run{'s' if len(runs) > 1 else ''} on {data}: {users:,} users, {items:,} items, "
             f"{len(train):,} training pairs, {len(splits[1]):,} for validation, {len(splits[2]):,} for test."]
    for run in runs:
        if not run.finished:
            intro.append(f"{run.name} has not finished: what is shown is its state after epoch "
                         f"{run.epochs[-1]['epoch']}.")
    popular = numbers.popularity(train, items)
    made = [learning(runs), metrics(runs), losses(runs), differences(runs, compared, popular),
            long_tail(runs, popular), neighbourhood(runs, train, popular, users), parts(runs, items, seed)]
    return {"title": f"Runs on {data}", "intro": intro, "sections": [section for section in made if section]}


def section(name, title, text=(), figures=(), tables=(), legend=()):
    return {"id": name, "title": title, "text": text, "figures": [f for f in figures if f], "tables": tables,
            "legend": legend}


def table(head, rows, caption, texts=1):
    """`texts`: so many of the first columns are texts."""
    return {"head": head, "rows": rows, "caption": caption, "texts": texts}


def learning(runs):
    figures = []
    metric = runs[0].metric
    for split, called in (("valid", "validation"), ("test", "test")):
        drawn = pictures.curves(runs, lambda epoch, split=split: epoch.get(split, {}).get(metric))
        if drawn is None:
            continue
        best = [f"{run.name}: {run.best[split][metric]:.4f} at epoch {run.best['epoch']}"
                for run in runs if metric in run.best.get(split, {})]
        figures.append(figure(f"learning-{split}", f"{pictures.title_of(metric)}, {called}", drawn, best))
    return section("learning", "Learning curves", ["The mark is the best epoch on validation, whose state the rest of "
                                                   "this page shows."], figures)


def metrics(runs):
    """Every metric, and the one that training is stopped by in every group, each with its interval."""
    first = runs[0].evaluation
    names, families = list(first["metrics"]), {}
    for name in first["intervals"]:
        families.setdefault(name.partition("@")[0], []).append(name)
    figures = []
    for family, members in families.items():
        titles = {"@" + name.partition("@")[2]: name for name in members}
        drawn = pictures.intervals(runs, list(titles), lambda run, title, titles=titles: interval_of(
            run.evaluation, titles[title]))
        figures.append(figure(f"metric-{family}", f"{pictures.title_of(family)}, {first['split']}", drawn, []))
    main = runs[0].metric if runs[0].metric in first["metrics"] else names[0]
    by_name = [{group["group"]: group for group in run.evaluation["groups"]} for run in runs]
    shown = [group["group"] for group in first["groups"] if group["users"] > 0]
    of_run = dict(zip((run.name for run in runs), by_name))
    drawn = pictures.intervals(runs, shown, lambda run, group: interval_of(of_run[run.name][group], main))
    title = pictures.title_of(main)
    figures.append(figure("metric-groups", f"{title} by group, {first['split']}", drawn, [
        "popularity-1 has the fifth of the items in training that is the most popular; cold items have no training "
        "pair; history-short are the users with at most the median number of training pairs"]))
    rows = [[pictures.title_of(name)] + [with_interval(run.evaluation, name) for run in runs] for name in names]
    tables = [table([first["split"]] + [run.name for run in runs], rows,
                    f"Over {first['users']:,} users, at the best epoch; in brackets 95 % intervals over users.")]
    rows = [[group["group"], f"{group['items']:,}", f"{group['users']:,}"] +
            [with_interval(of_run[run.name][group["group"]], main) for run in runs] for group in first["groups"]]
    tables.append(table(["group", "items", "users"] + [run.name for run in runs], rows, f"{title} by group."))
    return section("metrics", "Metrics, with intervals and by group", [
        "A line reaches over the 95 % interval of a mean over users (bootstrap): how much of a difference is that of the "
        "users who happen to be in the split. It says nothing of other seeds."], figures, tables)


def interval_of(evaluation, name):
    """(value, low, high), or None where the group has no user."""
    value, ends = evaluation["metrics"].get(name), evaluation["intervals"].get(name)
    return (value, *ends) if value is not None and ends else None


def with_interval(evaluation, name):
    value = evaluation["metrics"].get(name)
    if value is None:
        return ""
    digits = 4 if abs(value) < 10 else 1
    ends = evaluation["intervals"].get(name)
    return f"{value:.{digits}f}" + (f" ({ends[0]:.{digits}f} to {ends[1]:.{digits}f})" if ends else "")


def losses(runs):
    terms = list(dict.fromkeys(term for run in runs for term in run.epochs[-1]["train_loss"]))
    figures = []
    for term in terms:
        drawn = pictures.curves(runs, lambda epoch, term=term: epoch["train_loss"].get(term))
        if drawn is None:
            continue
        caption = [f"{run.name}: {number(run.best['train_loss'][term])} at the best epoch"
                   for run in runs if term in run.best["train_loss"]]
        figures.append(figure(f"loss-{term.replace('_', '-')}", term, drawn, caption))
    return section("losses", "Loss terms", ["Means over an epoch's steps, unweighted; models call different things by "
                                            "one name, so compare runs of one model."], figures)


def differences(runs, compared, popular):
    if len(runs) < 2:
        return None
    of_run = dict(zip((run.name for run in runs[1:]), compared))
    metric_names = {pictures.title_of(name): name for name in compared[0]}

    def difference(run, title):
        found = of_run.get(run.name, {}).get(metric_names[title])
        return found and (found["difference"], *found["interval"])

    drawn = pictures.intervals(runs, list(metric_names), difference, zero=True)
    figures = [figure("difference-metrics", f"Difference to {runs[0].name}, {runs[0].evaluation['split']}", drawn, [
        "the mean over users of their own differences, and its 95 % interval (bootstrap)"])]
    rows = [[run.name, title, f"{of_run[run.name][name]['difference']:+.4f}",
             "{:+.4f} to {:+.4f}".format(*of_run[run.name][name]["interval"]),
             f"{of_run[run.name][name]['p_holm']:.2g}"]
            for run in runs[1:] for title, name in metric_names.items()]
    tables = [table(["run", "metric", "difference", "95 % interval", "p"], rows, f"Against {runs[0].name}, user by user; "
                    "p of Wilcoxon's signed-rank test, corrected by Holm's method.", texts=2)]
    keys = differing_settings(runs)
    if keys:
        rows = [[key] + [run.settings().get(key, "") for run in runs] for key in keys]
        tables.append(table(["setting"] + [run.name for run in runs], rows, "Settings in which the runs differ.",
                            texts=1 + len(runs)))
    counts = [numbers.list_counts(run.lists, len(popular)) for run in runs]
    rows = []
    for a in range(len(runs)):
        for b in range(a + 1, len(runs)):
            rows.append([runs[a].name, runs[b].name, f"{numbers.overlap(runs[a].lists, runs[b].lists):.3f}"])
    tables.append(table(["run", "and", "share of a list"], rows, f"How much of a user's {TOP_K} items two runs share, "
                        "the mean over users.", texts=2))
    spread = numpy.max(counts, axis=0) - numpy.min(counts, axis=0)
    largest = numpy.argsort(-spread, kind="stable")[:8]
    rows = [[int(item), int(popular[item])] + [int(count[item]) for count in counts]
            for item in largest if spread[item] > 0]
    if rows:
        tables.append(table(["item", "training users"] + [run.name for run in runs], rows,
                            f"Items that the runs recommend most differently: in how many users' {TOP_K} items each "
                            "stands.", texts=0))
    return section("differences", "The largest differences between the runs", [], figures, tables)


def long_tail(runs, popular):
    known = popular.sum() > 0
    lines, caption = [], []
    fifth = max(len(popular) // 5, 1)
    head = numpy.argsort(-popular, kind="stable")[:fifth]
    for place, run in enumerate(runs):
        counts = numbers.list_counts(run.lists, len(popular))
        lines.append((f"run{place % MOST_RUNS}", False, numbers.tail_curve(counts, popular)))
        caption.append(f"{run.name}: {counts[head].sum() / max(counts.sum(), 1):.1%} of the recommendations are of the "
                       f"most popular fifth; {(counts > 0).mean():.1%} of the items are recommended to somebody; Gini "
                       f"{numbers.gini(counts):.3f}")
    if known:
        lines.append(("muted", True, numbers.tail_curve(popular, popular)))
        caption.append(f"training pairs: {popular[head].sum() / popular.sum():.1%} are of the most popular fifth")
    drawn = pictures.tails(lines)
    return section("tail", "The long tail", [f"Cumulative share of all users' {TOP_K} items, over the items from the "
                                             "most popular in training to the least."],
                   [figure("tail-curve", "Share of the recommendations", drawn, caption)],
                   legend=[{"name": "training pairs", "colour": "muted", "kind": "dashed"}])


def neighbourhood(runs, train, popular, users):
    by_item = numbers.users_of(train[:, ::-1], len(popular))
    rows = []
    for item in numbers.neighbour_queries(popular):
        for run in runs:
            near = numbers.neighbours(run.arrays, item, 5)
            rows.append([f"{item} ({popular[item]} users)", run.name] +
                        [f"{other} ({cosine:.3f}, {numbers.shared_users(by_item, item, other)})"
                         for other, cosine in near])
    width = max(len(row) for row in rows) - 2
    rows = [row + [""] * (width + 2 - len(row)) for row in rows]
    head = ["item", "run"] + [f"neighbour {place + 1}" for place in range(width)]
    return section("neighbours", "Neighbours of a few items", [
        "The items of highest cosine to an item's representation; in brackets the cosine, and how many training users have "
        "both."],
                   tables=[table(head, rows, "Items from the most popular to the middle of those in training.",
                                 texts=len(head))])


def parts(runs, items, seed):
    chosen = numbers.draw_items(items, SHOWN_ITEMS, seed)
    figures, lacking = [], []
    for place, run in enumerate(runs):
        spaces = numbers.parts_of(run.arrays)
        if not spaces:
            lacking.append(run.name)
        for which, space in enumerate(spaces):
            figures.append(parts_figure(run, space, chosen, seed, f"parts-{place}-{which}"))
    text = [f"t-SNE of the parts of the same {len(chosen)} random items, as unit vectors. Where losses read projections "
            "or heads of the parts, these are shown first and the parts themselves after them. MICRO has one generic "
            "part, the attended mean of its modalities' views; what that leaves of a view is the unique part. The "
            "silhouette is that of the parts as clusters in the space itself, by cosine: near 1 they lie apart, near 0 on "
            "top of each other."]
    if lacking:
        text.append(f"No parts that lie in one space: {', '.join(lacking)}.")
    return section("parts", "Generic and unique parts", text, figures,
                   legend=[{"name": label, "colour": colour, "kind": "cross" if marker == "x" else "dot"}
                           for label, (colour, marker) in pictures.PART_STYLES.items()])


def picture(runs, seed):
    """What stands for the page in one picture."""
    spaces = numbers.parts_of(runs[0].arrays)
    if not spaces:
        fail(f"{runs[0].folder}: has no parts that lie in one space, which --picture shows")
    chosen = numbers.draw_items(len(numbers.item_vectors(runs[0].arrays)), SHOWN_ITEMS, seed)
    points = numbers.embed(spaces[0].chosen(chosen)[0], seed)
    drawn = pictures.overview(runs, list(spaces[0].arrays), points, len(chosen))
    return svg.to_svg(drawn, "overview", "learning curves, metrics, and parts of the items", alone=True)


def parts_figure(run, space, chosen, seed, name):
    rows, labels = space.chosen(chosen)
    drawn = pictures.parts(list(space.arrays), numbers.embed(rows, seed), len(chosen))
    caption = [f"silhouette of the {len(space.arrays)} parts {numbers.silhouette(rows, labels):.3f}"]
    cosine = space.generic_cosine(seed)
    if cosine:
        caption.append(f"generic parts of an item: mean cosine {cosine[0]:.3f}; of two random items {cosine[1]:.3f}")
    else:
        caption.append("one generic part: its cosine with itself is 1")
    if run.config.get("distance") == "club" and "distance" in run.best["train_loss"]:
        caption.append(f"CLUB's bound at the best epoch {number(run.best['train_loss']['distance'])}")
    else:
        caption.append("CLUB's bound: not part of this run")
    return figure(name, f"{run.name}: {space.title}", drawn, caption)
