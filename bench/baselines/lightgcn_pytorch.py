#!/usr/bin/env python3
"""LightGCN in PyTorch, trained and evaluated the way MMRec does it: negatives drawn pair by pair in Python, one sparse
product a layer, Adam on the free embeddings; all scores of some users at a time, training items masked, topk, and a
Python loop over users for the metrics. Our own writing.

  lightgcn_pytorch.py DATA --epochs N            time N epochs: training and evaluation apart
  lightgcn_pytorch.py DATA --evaluations N       time N evaluations of random representations (--width)
"""

import argparse
import json
import os
import random
import statistics
import sys
import time

import measure

DEFAULTS = {"embedding_size": 64, "n_layers": 4, "reg_weight": 1e-2, "learning_rate": 1e-3, "train_batch_size": 2048,
            "eval_batch_size": 4096, "seed": 999, "topk": [5, 10, 20, 50],
            "vision_feature_file": None, "text_feature_file": None}


def read_settings(assignments):
    """Settings of other models are passed over, so that one command line serves both sides of a comparison."""
    settings = dict(DEFAULTS)
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            sys.exit(f"error: --set {assignment}: takes KEY=VALUE")
        if key in settings and not key.endswith("_file"):
            try:
                settings[key] = json.loads(text)
            except json.JSONDecodeError:
                sys.exit(f"error: --set {assignment}: the value is no number")
    return settings


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="folder in MMRec's layout")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="assignments")
    parser.add_argument("--epochs", type=int, help="train and evaluate so many epochs")
    parser.add_argument("--evaluations", type=int, help="evaluate random representations so many times")
    parser.add_argument("--width", type=int, help="of random representations; without it SEA's, two embeddings")
    parser.add_argument("--warmup", type=int, default=1, help="evaluations before the timed ones")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--json", metavar="FILE", help="write what was measured")
    arguments = parser.parse_args()
    if bool(arguments.epochs) == bool(arguments.evaluations):
        parser.error("name either --epochs or --evaluations")
    if arguments.threads < 1 or arguments.warmup < 0 or any(
            value is not None and value < 1 for value in (arguments.width, arguments.epochs, arguments.evaluations)):
        parser.error("--threads, --width, --epochs and --evaluations are at least 1, --warmup at least 0")
    return arguments


if __name__ == "__main__":
    ARGUMENTS = read_arguments()
    measure.prepare_process(ARGUMENTS.threads)

import numpy as np  # noqa: E402  (after the process is prepared)
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

from sea_data import Data, interaction_graph  # noqa: E402


class LightGCN(nn.Module):
    def __init__(self, data, adjacency, settings):
        super().__init__()
        self.settings, self.adjacency, self.users = settings, adjacency, data.users
        self.user_embedding = nn.Parameter(nn.init.xavier_uniform_(torch.empty(data.users, settings["embedding_size"])))
        self.item_embedding = nn.Parameter(nn.init.xavier_uniform_(torch.empty(data.items, settings["embedding_size"])))

    def forward(self):
        """The mean of all layers, users and items apart."""
        nodes = torch.cat((self.user_embedding, self.item_embedding))
        layers = [nodes]
        for _ in range(self.settings["n_layers"]):
            nodes = torch.sparse.mm(self.adjacency, nodes)
            layers.append(nodes)
        mean = torch.stack(layers, dim=1).mean(dim=1)
        return mean[:self.users], mean[self.users:]

    def loss(self, user, positive, negative):
        users, items = self()
        difference = (users[user] * (items[positive] - items[negative])).sum(dim=1)
        own = (self.user_embedding[user], self.item_embedding[positive], self.item_embedding[negative])
        regularization = sum(rows.norm() for rows in own) / len(user)
        return F.softplus(-difference).mean() + self.settings["reg_weight"] * regularization


class PairLoader:
    """Shuffled pairs; a negative is drawn again while the user has it, one pair after the other."""

    def __init__(self, data, settings):
        self.random = random.Random(settings["seed"])
        self.pairs, self.batch = data.train.T.copy(), settings["train_batch_size"]
        self.items = np.unique(data.train[1]).tolist()
        self.history = [set() for _ in range(data.users)]
        for user, item in data.train.T.tolist():
            self.history[user].add(item)
        full = [user for user, items in enumerate(self.history) if len(items) == len(self.items)]
        self.pairs = self.pairs[~np.isin(self.pairs[:, 0], full)]

    def negative(self, user):
        item = self.random.choice(self.items)
        while item in self.history[user]:
            item = self.random.choice(self.items)
        return item

    def epoch(self, device):
        np.random.default_rng(self.random.getrandbits(32)).shuffle(self.pairs)
        for start in range(0, len(self.pairs), self.batch):
            users, positives = self.pairs[start:start + self.batch].T
            negatives = [self.negative(user) for user in users.tolist()]
            yield (torch.from_numpy(users.copy()).to(device), torch.from_numpy(positives.copy()).to(device),
                   torch.tensor(negatives, device=device))


class Evaluation:
    """Recall, NDCG, precision and MAP of one split at each K."""

    def __init__(self, data, split, settings, device):
        self.settings, self.device = settings, device
        self.users = np.unique(split[0])
        held_out = {user: set() for user in self.users.tolist()}
        for user, item in split.T.tolist():
            held_out[user].add(item)
        self.held_out = [held_out[user] for user in self.users.tolist()]
        self.batches = []
        for start in range(0, len(self.users), settings["eval_batch_size"]):
            users = self.users[start:start + settings["eval_batch_size"]]
            sizes = data.train_rows[users + 1] - data.train_rows[users]
            rows = np.repeat(np.arange(len(users)), sizes)
            columns = np.concatenate([data.train[1, data.train_rows[u]:data.train_rows[u + 1]] for u in users])
            self.batches.append(tuple(torch.from_numpy(ids).to(device) for ids in (users, rows, columns)))

    @torch.no_grad()
    def ranked(self, users, items):
        most = max(self.settings["topk"])
        found = []
        for ids, rows, columns in self.batches:
            scores = users[ids] @ items.T
            scores[rows, columns] = -1e10
            found.append(scores.topk(min(most, len(items)), dim=1).indices)
        return torch.cat(found).cpu().numpy()

    def metrics(self, users, items):
        hits = []
        for held_out, found in zip(self.held_out, self.ranked(users, items)):
            hits.append([item in held_out for item in found])
        hits, counts = np.array(hits), np.array([len(items) for items in self.held_out])
        ranks = np.arange(1, hits.shape[1] + 1)
        gains, ideal = hits / np.log2(ranks + 1), np.cumsum(1 / np.log2(ranks + 1))
        precisions = np.cumsum(hits, axis=1) / ranks
        result = {}
        for k in self.settings["topk"]:
            k = min(k, hits.shape[1])
            most = np.minimum(k, counts)
            result[f"recall@{k}"] = float((hits[:, :k].sum(axis=1) / counts).mean())
            result[f"ndcg@{k}"] = float((gains[:, :k].sum(axis=1) / ideal[most - 1]).mean())
            result[f"precision@{k}"] = float((hits[:, :k].sum(axis=1) / k).mean())
            result[f"map@{k}"] = float(((precisions * hits)[:, :k].sum(axis=1) / most).mean())
        return result


def wait(device):
    if device == "cuda":
        torch.cuda.synchronize()


def timed(device, work):
    wait(device)
    start = time.perf_counter()
    result = work()
    wait(device)
    return time.perf_counter() - start, result


def common(arguments, data, core, what):
    return {"implementation": f"PyTorch {torch.__version__}, {what}",
            "peak_memory_bytes": measure.peak_memory_bytes(torch, arguments.device),
            "sgemm_gflops": measure.sgemm_gflops(torch, arguments.device), "blas_core": core,
            "threads": arguments.threads,
            "sizes": {"users": data.users, "items": data.items, "train_interactions": data.train.shape[1]}}


def time_epochs(arguments, settings, data, core):
    device = arguments.device
    model = LightGCN(data, interaction_graph(data).to(device), settings).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=settings["learning_rate"])
    loader = PairLoader(data, settings)
    splits = [Evaluation(data, split, settings, device) for split in (data.valid, data.test)]

    def train():
        losses = []
        for batch in loader.epoch(device):
            optimizer.zero_grad()
            loss = model.loss(*batch)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return statistics.fmean(losses)

    def evaluate():
        with torch.no_grad():
            representations = model()
        return [split.metrics(*representations) for split in splits]

    training, evaluation = [], []
    for epoch in range(arguments.epochs):
        seconds, loss = timed(device, train)
        training.append(seconds)
        seconds, (valid, test) = timed(device, evaluate)
        evaluation.append(seconds)
        print(f"epoch {epoch}: loss {loss:.5f}, valid recall@20 {valid.get('recall@20', 0.0):.4f}, "
              f"training {training[-1]:.2f} s, evaluation {evaluation[-1]:.2f} s", flush=True)
    return {**common(arguments, data, core, "LightGCN as MMRec has it"),
            "seconds_per_epoch_median": statistics.median(training),
            "seconds_per_evaluation_median": statistics.median(evaluation), "epochs": arguments.epochs, "test": test}


def time_evaluations(arguments, settings, data, core):
    random_rows = torch.Generator().manual_seed(settings["seed"])
    width = arguments.width or 2 * settings["embedding_size"]
    users, items = (torch.randn(count, width, generator=random_rows).to(arguments.device)
                    for count in (data.users, data.items))
    splits = [Evaluation(data, split, settings, arguments.device) for split in (data.valid, data.test)]
    seconds = [timed(arguments.device, lambda: [split.metrics(users, items) for split in splits])[0]
               for _ in range(arguments.warmup + arguments.evaluations)][arguments.warmup:]
    result = common(arguments, data, core, "MMRec's way")
    result["sizes"].update(width=width, evaluated_users=sum(len(split.users) for split in splits))
    return {**result, "seconds_per_evaluation_median": statistics.median(seconds),
            "seconds_per_evaluation_mean": statistics.fmean(seconds), "evaluations": arguments.evaluations}


def main(arguments):
    torch.set_num_threads(arguments.threads)
    settings = read_settings(arguments.assignments)
    core = measure.library_of(torch, arguments.device)
    torch.manual_seed(settings["seed"])
    data = Data(arguments.data, settings)
    result = (time_epochs if arguments.epochs else time_evaluations)(arguments, settings, data, core)
    for key, value in result.items():
        print(f"{key:30} {value}")
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(result, file, indent=1)


if __name__ == "__main__":
    main(ARGUMENTS)
