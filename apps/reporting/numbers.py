"""The numbers behind the pictures."""

import numpy

from reporting.runs import TOP_K, fail

BOOTSTRAP_DRAWS = 1000


def users_of(pairs, users):
    """A set of items a user."""
    items = [set() for _ in range(users)]
    for user, item in pairs.tolist():
        items[user].add(item)
    return items


def popularity(train, items):
    """Training pairs of each item."""
    return numpy.bincount(train[:, 1], minlength=items)


def list_counts(lists, items):
    """In how many lists each item stands."""
    return numpy.bincount(lists[lists >= 0], minlength=items)


def tail_curve(counts, popular):
    """Cumulative shares of the items, the most popular first, and of what `counts` counts."""
    order = numpy.argsort(-popular, kind="stable")
    return (numpy.arange(len(order) + 1) / len(order),
            numpy.concatenate([[0.0], numpy.cumsum(counts[order]) / max(counts.sum(), 1)]))


def gini(counts):
    """Of how often items are recommended: 0, all as often; 1, one alone."""
    ordered, n = numpy.sort(counts), len(counts)
    return float(2 * (numpy.arange(1, n + 1) * ordered).sum() / (n * max(ordered.sum(), 1)) - (n + 1) / n)


def overlap(first, second):
    """The mean share of a user's list that the other run's has too."""
    shares = [len(set(a[a >= 0]) & set(b[b >= 0])) / max((a >= 0).sum(), 1) for a, b in zip(first, second)]
    return float(numpy.mean(shares))


def unit_rows(matrix):
    matrix = matrix.astype(numpy.float64)
    return matrix / numpy.maximum(numpy.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)


def item_vectors(arrays):
    """What a model ranks items by: its item array, or several side by side (pamd)."""
    parts = [arrays[name] for name in arrays if name.startswith("item_")]
    return numpy.concatenate(parts, axis=1)


def neighbours(arrays, item, count):
    """[(item, cosine)] of the nearest by cosine, without the item itself."""
    rows = unit_rows(item_vectors(arrays))
    cosines = rows @ rows[item]
    cosines[item] = -numpy.inf
    order = numpy.argsort(-cosines, kind="stable")[:count]
    return [(int(other), float(cosines[other])) for other in order]


class Parts:
    """Generic and unique parts of items in one space: what Figures 5 and 6 of the paper show."""

    def __init__(self, title, arrays):
        self.title = title
        self.arrays = arrays  # by label, (items, width) each; generic ones begin with "generic"

    def chosen(self, items):
        """Unit rows of some items, part after part, and the number of each row's part."""
        rows = numpy.concatenate([unit_rows(array[items]) for array in self.arrays.values()])
        return rows, numpy.repeat(numpy.arange(len(self.arrays)), len(items))

    def generic_cosine(self, seed):
        """Mean cosine of the items' two generic parts, and of those of two different items; None of one part alone."""
        generic = [array for label, array in self.arrays.items() if label.startswith("generic ")]
        return pair_cosines(*generic, seed) if len(generic) == 2 else None


def pair_cosines(first, second, seed):
    """Mean cosine over rows of the same item, and over the rows in random pairs."""
    a, b = unit_rows(first), unit_rows(second)
    shuffled = numpy.random.default_rng(seed).permutation(len(b))
    return float((a * b).sum(axis=1).mean()), float((a * b[shuffled]).sum(axis=1).mean())


def parts_of(arrays):
    """The spaces in which a run's parts can be shown together, the trained one first."""
    def collect(title, names):
        found = {label: arrays[name] for label, name in names if name in arrays}
        if len(found) == len(names) and len({array.shape[1] for array in found.values()}) == 1:
            return [Parts(title, found)]
        return []

    unique = [("unique visual", "visual_unique"), ("unique textual", "textual_unique")]
    projections = [(label, name + "_projection") for label, name in unique]
    if "generic" in arrays:
        return collect("fused view, and what is left of each", [("generic, of both", "generic")] + unique)
    aligned = "visual_aligned" in arrays
    read_by_losses = [(f"generic {name}", f"{name}_aligned" if aligned else f"{name}_generic_projection")
                      for name in ("visual", "textual")]
    halves = [(f"generic {name}", f"{name}_generic") for name in ("visual", "textual")] + unique
    return collect("as the losses read them", read_by_losses + projections) + collect("the parts themselves", halves)


def silhouette(rows, labels):
    """Of the parts as clusters, by cosine: 1, apart; 0, on top of each other."""
    return float(_sklearn("metrics").silhouette_score(rows, labels, metric="cosine"))


def embed(rows, seed):
    """t-SNE of rows in the plane."""
    perplexity = min(30.0, (len(rows) - 1) / 3)
    return _sklearn("manifold").TSNE(n_components=2, perplexity=perplexity, init="pca", learning_rate="auto",
                                     random_state=seed, n_jobs=1).fit_transform(rows)


def _sklearn(module):
    try:
        from sklearn import manifold, metrics
    except ImportError:
        fail("t-SNE and silhouettes need scikit-learn: apt-get install python3-sklearn")
    return {"manifold": manifold, "metrics": metrics}[module]


def draw_items(items, count, seed):
    """Some items, without repetition, in order."""
    return numpy.sort(numpy.random.default_rng(seed).permutation(items)[:count])


def neighbour_queries(popular, count=4):
    """Items whose neighbours are listed: at even steps from the most popular to the middle of those in training."""
    known = numpy.argsort(-popular, kind="stable")[:max(int((popular > 0).sum()), 1)]
    places = numpy.unique(numpy.linspace(0, (len(known) - 1) // 2, count).astype(int))
    return [int(known[place]) for place in places]


def shared_users(users_by_item, first, second):
    return len(users_by_item[first] & users_by_item[second])
