"""Data in MMRec's layout for the PyTorch baseline: reading, sampling, the graphs, and full-sort evaluation."""

import math
import os

import numpy as np
import torch
import torch.nn.functional as F


class Data:
    """Interactions by split and the features, with MMRec's conventions."""

    def __init__(self, folder, settings):
        name = os.path.basename(os.path.abspath(folder))
        path = os.path.join(folder, name + ".inter")
        with open(path) as file:
            header = file.readline().split()
        columns = [header.index(column) for column in ("userID", "itemID", "x_label")]
        users, items, labels = np.loadtxt(path, dtype=np.int64, skiprows=1, usecols=columns, ndmin=2, delimiter="\t").T
        self.users, self.items = int(users.max()) + 1, int(items.max()) + 1
        codes = users * self.items + items
        self.train_codes = np.unique(codes[labels == 0])
        held_out = [np.setdiff1d(codes[labels == label], self.train_codes) for label in (1, 2)]
        self.train = np.stack(np.divmod(self.train_codes, self.items))
        self.train_rows = np.searchsorted(self.train[0], np.arange(self.users + 1))
        has_history = np.diff(self.train_rows) > 0
        self.valid, self.test = (split[:, has_history[split[0]]]
                                 for split in (np.stack(np.divmod(c, self.items)) for c in held_out))
        self.features = {}
        for modality, key in (("visual", "vision_feature_file"), ("textual", "text_feature_file")):
            if settings[key]:
                features = np.load(os.path.join(folder, settings[key])).astype(np.float32)
                self.features[modality] = torch.from_numpy(features)


class Sampler:
    """Shuffled batches of (user, positive, negative)."""

    def __init__(self, data, settings):
        self.random = np.random.default_rng(settings["seed"])
        self.data, self.batch = data, settings["train_batch_size"]
        self.candidates = np.unique(data.train[1])
        # A user who has every item leaves no negative to draw.
        self.pairs = data.train[:, np.diff(data.train_rows)[data.train[0]] < len(self.candidates)]

    def epoch(self):
        order = self.random.permutation(self.pairs.shape[1])
        for start in range(0, len(order), self.batch):
            users, positives = self.pairs[:, order[start:start + self.batch]]
            yield tuple(torch.from_numpy(ids) for ids in (users, positives, self.negatives(users)))

    def negatives(self, users):
        items = self.random.choice(self.candidates, len(users))
        redraw = np.arange(len(users))
        while len(redraw):
            codes = users[redraw] * self.data.items + items[redraw]
            place = np.minimum(np.searchsorted(self.data.train_codes, codes), len(self.data.train_codes) - 1)
            redraw = redraw[self.data.train_codes[place] == codes]
            items[redraw] = self.random.choice(self.candidates, len(redraw))
        return items


def sparse(rows, columns, values, shape):
    """COO: torch's CSR product has no transposed backward on the CPU that is as fast."""
    indices = torch.stack((torch.as_tensor(rows), torch.as_tensor(columns)))
    return torch.sparse_coo_tensor(indices, values, shape).coalesce()


def interaction_graph(data, dtype=torch.float32, floor=0.0):
    """1 / sqrt(degree degree), no self loops; `floor` is added to every degree."""
    users, items = (torch.from_numpy(ids) for ids in data.train)
    rows, columns = torch.cat((users, items + data.users)), torch.cat((items + data.users, users))
    nodes = data.users + data.items
    degree = torch.bincount(rows, minlength=nodes).to(torch.float64) + floor
    return sparse(rows, columns, (degree[rows] * degree[columns]).rsqrt().to(dtype), (nodes, nodes))


def nearest_neighbours(features, k, block=1024):
    """items x k: by cosine similarity, the lower id first among equals."""
    unit = F.normalize(features.double(), dim=1)
    neighbours = []
    for rows in unit.split(block):
        scores, ids = (rows @ unit.T).topk(min(k + 16, len(unit)), dim=1)
        ids, order = ids.sort(dim=1)
        order = scores.gather(1, order).sort(dim=1, descending=True, stable=True).indices
        neighbours.append(ids.gather(1, order)[:, :k])
    return torch.cat(neighbours)


def item_graph(neighbours, weights, dtype=torch.float32):
    """The weighted sum over modalities of the neighbour graphs, whose values are 1/k."""
    items, k = next(iter(neighbours.values())).shape
    rows = torch.arange(items).repeat_interleave(k)
    columns = [ids.flatten() for ids in neighbours.values()]
    values = torch.cat([torch.full((items * k,), weights[m] / k, dtype=dtype) for m in neighbours])
    return sparse(rows.repeat(len(columns)), torch.cat(columns), values, (items, items))


def graphs(data, settings):
    neighbours = {m: nearest_neighbours(x, settings["knn_k"]) for m, x in data.features.items()}
    visual = settings["mm_image_weight"] if len(neighbours) == 2 else 1.0
    textual = 1 - visual if len(neighbours) == 2 else 1.0
    return interaction_graph(data), item_graph(neighbours, {"visual": visual, "textual": textual})


@torch.no_grad()
def evaluate(representations, data, split, top_k, batch=4096):
    """Recall and NDCG at each K over every item, the training items left out."""
    users, items = representations
    held_out = np.unique(split[0] * data.items + split[1])
    evaluated, counts = np.unique(split[0], return_counts=True)
    hits = []
    for start in range(0, len(evaluated), batch):
        ids = evaluated[start:start + batch]
        scores = users[torch.from_numpy(ids)] @ items.T
        sizes = (data.train_rows[ids + 1] - data.train_rows[ids])
        rows = np.repeat(np.arange(len(ids)), sizes)
        columns = np.concatenate([data.train[1, data.train_rows[u]:data.train_rows[u + 1]] for u in ids])
        scores[torch.from_numpy(rows), torch.from_numpy(columns)] = -math.inf
        ranked = scores.topk(min(max(top_k), data.items), dim=1).indices.numpy()
        hits.append(np.isin(ids[:, None] * data.items + ranked, held_out))
    hits = np.concatenate(hits)
    gains = 1 / np.log2(np.arange(hits.shape[1]) + 2)
    ideal = np.cumsum(gains)
    metrics = {}
    for k in top_k:
        metrics[f"recall@{k}"] = float((hits[:, :k].sum(axis=1) / counts).mean())
        metrics[f"ndcg@{k}"] = float(((hits * gains)[:, :k].sum(axis=1) / ideal[np.minimum(k, counts) - 1]).mean())
    return metrics
