#!/usr/bin/env python3
"""SEA in PyTorch, written the way a good user of PyTorch writes it: eager, autograd, nn.Linear, torch.sparse.mm,
full items x items logits, torch.optim.Adam. An opponent that bench/compare_pytorch.sh times; the other, with all that
can be got out of PyTorch, is sea_pytorch_strong.py, which --opponent strong takes.

  sea_pytorch.py DATA --steps N [--warmup N]   time N training steps
  sea_pytorch.py DATA --epochs N               train with early stopping, print the test metrics
  sea_pytorch.py --golden DIR                  replay golden cases in float64, print the largest errors
"""

import argparse
import json
import math
import os
import statistics
import sys
import time

import measure

DEFAULTS = {
    "embedding_size": 64, "train_batch_size": 2048, "eval_batch_size": 4096, "learning_rate": 1e-4, "epochs": 1000,
    "stopping_step": 20, "seed": 999, "knn_k": 10, "mm_image_weight": 0.1, "n_ui_layers": 2, "n_mm_layers": 1,
    "align": "solosim", "distance": "club", "club_pairs": "paper", "alpha": 0.012, "beta": 0.006,
    "temperature": 0.046, "head_hidden": 64, "head_out": 32, "club_width": 32, "club_hidden": 8, "club_steps": 50,
    "club_learning_rate": None, "vision_feature_file": "image_feat.npy", "text_feature_file": "text_feat.npy",
    "topk": [10, 20],
}
CHOICES = {"align": ("solosim", "infonce", "none"), "distance": ("club", "l2", "none"),
           "club_pairs": ("paper", "authors")}


def read_settings(assignments):
    settings = dict(DEFAULTS)
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or key not in settings:
            sys.exit(f"error: --set {assignment}: known keys are {', '.join(sorted(settings))}")
        try:
            settings[key] = json.loads(text)
        except json.JSONDecodeError:
            settings[key] = text.lower() if key in CHOICES else text
        if key in CHOICES and settings[key] not in CHOICES[key]:
            sys.exit(f"error: --set {assignment}: {key} is one of {', '.join(CHOICES[key])}")
    if settings["club_learning_rate"] is None:
        settings["club_learning_rate"] = settings["learning_rate"]
    return settings


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", help="folder in MMRec's layout")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="assignments")
    parser.add_argument("--steps", type=int, help="time this many training steps")
    parser.add_argument("--warmup", type=int, default=2, help="steps before the timed ones")
    parser.add_argument("--epochs", type=int, help="train for at most this many epochs")
    parser.add_argument("--opponent", choices=("eager", "strong"), default="eager")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--json", metavar="FILE", help="write what was measured")
    parser.add_argument("--golden", metavar="DIR", help="replay golden cases")
    arguments = parser.parse_args()
    if not arguments.golden and (arguments.data is None or not (arguments.steps or arguments.epochs)):
        parser.error("name DATA and --steps or --epochs, or --golden DIR")
    if arguments.threads < 1 or arguments.warmup < 0 or any(
            value is not None and value < 1 for value in (arguments.steps, arguments.epochs)):
        parser.error("--threads, --steps and --epochs are at least 1, --warmup at least 0")
    return arguments


if __name__ == "__main__":
    ARGUMENTS = read_arguments()
    measure.prepare_process(ARGUMENTS.threads)

import torch  # noqa: E402  (after the process is prepared)
import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

from sea_data import Data, Sampler, evaluate, graphs  # noqa: E402


class Modality(nn.Module):
    """What SEA learns about one modality: its item linear layer, its tower, its alignment head, its projections."""

    def __init__(self, features, users, s):
        super().__init__()
        width, embedding = features.shape[1], s["embedding_size"]
        self.split = (width // 2, width - width // 2)
        self.register_buffer("features", features, persistent=False)
        self.item_linear = nn.Linear(width, width)
        self.tower = nn.ModuleList((nn.Linear(width, 4 * embedding), nn.Linear(4 * embedding, embedding)))
        hidden = s["head_hidden"]
        self.head = nn.Sequential(
            nn.Linear(self.split[0], hidden), nn.BatchNorm1d(hidden, track_running_stats=False), nn.ReLU(),
            nn.Linear(hidden, hidden), nn.BatchNorm1d(hidden, track_running_stats=False), nn.ReLU(),
            nn.Linear(hidden, s["head_out"]))
        self.generic_projection = nn.Linear(self.split[0], s["club_width"])
        self.unique_projection = nn.Linear(self.split[1], s["club_width"])
        self.user_embedding = nn.Parameter(nn.init.xavier_normal_(torch.empty(users, embedding)))

    def forward(self):
        """Nodes (users then items) x e, and the generic and unique halves of the items."""
        items = self.item_linear(self.features)
        hidden = self.tower[1](F.leaky_relu(self.tower[0](items)))
        nodes = F.normalize(torch.cat((self.user_embedding, hidden)), dim=1)
        return (nodes, *items.split(self.split, dim=1))


class Club(nn.Module):
    """The variational network q of CLUB: a Gaussian over one projection given the other."""

    def __init__(self, width, hidden):
        super().__init__()
        self.mu = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, width))
        self.lv = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, width), nn.Tanh())

    @staticmethod
    def log_likelihood(mu, logvar, y):
        return (-(mu - y) ** 2 / (2 * logvar.exp()) - logvar / 2).sum(dim=1)

    def forward(self, x, y):
        return self.log_likelihood(self.mu(x), self.lv(x), y)

    def bound(self, x, y, permutation):
        """The upper bound of the mutual information of x and y."""
        mu, logvar = self.mu(x), self.lv(x)
        paired, unpaired = (self.log_likelihood(mu, logvar, z) for z in (y, y[permutation]))
        return (paired - unpaired).mean().div(2).clamp(min=0)


class SEA(nn.Module):
    def __init__(self, features, users, interactions, item_item, settings):
        super().__init__()
        self.settings, self.users = settings, users
        self.interactions, self.item_item = interactions, item_item
        self.modalities = list(features)
        for name, values in features.items():
            self.add_module(name, Modality(values, users, settings))
        if len(features) == 2:
            draw = nn.init.xavier_normal_(torch.empty(users, 2, 1))
            self.user_modality_weight = nn.Parameter(draw.softmax(dim=1))
        elif settings["align"] != "none":
            sys.exit("error: one modality alone has nothing to align with; use --set align=none")
        self.club = Club(settings["club_width"], settings["club_hidden"]).requires_grad_(False)

    def model_parameters(self):
        return [parameter for name, parameter in self.named_parameters() if not name.startswith("club.")]

    def forward(self):
        """The user and item representations, and each modality's generic and unique halves."""
        propagated, halves = [], {}
        for name in self.modalities:
            nodes, *halves[name] = getattr(self, name)()
            total = nodes
            for _ in range(self.settings["n_ui_layers"]):
                nodes = torch.sparse.mm(self.interactions, nodes)
                total = total + nodes
            propagated.append(total)
        users = [nodes[:self.users] for nodes in propagated]
        if len(users) == 2:
            users = [self.user_modality_weight[:, m] * nodes for m, nodes in enumerate(users)]
        items = neighbours = torch.cat([nodes[self.users:] for nodes in propagated], dim=1)
        for _ in range(self.settings["n_mm_layers"]):
            neighbours = torch.sparse.mm(self.item_item, neighbours)
        return torch.cat(users, dim=1), items + neighbours, halves

    def projections(self, halves):
        return {name: (getattr(self, name).generic_projection(generic), getattr(self, name).unique_projection(unique))
                for name, (generic, unique) in halves.items()}

    def alignment(self, halves):
        visual, textual = (F.normalize(getattr(self, m).head(halves[m][0]), dim=1) for m in ("visual", "textual"))
        logits = textual @ visual.T / self.settings["temperature"]
        itself = torch.arange(len(logits), device=logits.device)
        loss = F.cross_entropy(logits, itself)
        return loss if self.settings["align"] == "solosim" else (loss + F.cross_entropy(logits.T, itself)) / 2

    def distances(self, projections, permutations):
        if self.settings["distance"] == "l2":
            return [-F.mse_loss(generic, unique) for generic, unique in projections.values()]
        return [self.club.bound(*projections[name], permutations[name]) for name in self.modalities]

    def losses(self, batch, permutations):
        """The loss and its terms, the representations, and the projections for the fit of q."""
        users, items, halves = self()
        user, positive, negative = batch
        difference = (users[user] * (items[positive] - items[negative])).sum(dim=1)
        terms = {"bpr": F.softplus(-difference).mean() / math.log(2), "align": 0.0, "distance": 0.0}
        projections = {}
        if self.settings["align"] != "none":
            terms["align"] = self.alignment(halves)
        if self.settings["distance"] != "none":
            projections = self.projections(halves)
            terms["distance"] = sum(self.distances(projections, permutations)) / len(projections)
        terms["loss"] = terms["bpr"] + self.settings["alpha"] * terms["align"] + self.settings["beta"] * terms["distance"]
        return terms, (users, items), projections


class Trainer:
    """A step: the loss and its gradient with the q of the step before, the fit of q, Adam."""

    def __init__(self, model, settings):
        self.model, self.settings = model, settings
        self.optimizer = torch.optim.Adam(model.model_parameters(), lr=settings["learning_rate"])
        self.club_optimizer = torch.optim.Adam(model.club.parameters(), lr=settings["club_learning_rate"])

    def step(self, batch, permutations):
        self.optimizer.zero_grad()
        terms, representations, projections = self.model.losses(batch, permutations)
        terms["loss"].backward()
        fit_losses = self.fit_club(projections) if self.settings["distance"] == "club" else []
        self.optimizer.step()
        return {name: float(value) for name, value in terms.items()}, fit_losses, representations, projections

    def fit_pairs(self, projections):
        pairs = [(generic.detach(), unique.detach()) for generic, unique in projections.values()]
        if self.settings["club_pairs"] == "authors" and len(pairs) == 2:
            pairs = list(zip(*reversed(pairs)))  # (G_textual, G_visual) and (O_textual, O_visual)
        return pairs

    def fit_club(self, projections):
        pairs = self.fit_pairs(projections)
        club, losses = self.model.club, []
        club.requires_grad_(True)
        for _ in range(self.settings["club_steps"]):
            self.club_optimizer.zero_grad()
            loss = -sum(club(x, y).mean() for x, y in pairs)
            loss.backward()
            self.club_optimizer.step()
            losses.append(loss.detach())
        club.requires_grad_(False)
        return losses

    def permutations(self, items):
        device = self.model.interactions.device
        return {name: torch.randperm(items, device=device) for name in self.model.modalities}


def opponent(name):
    """The classes of a model and its trainer."""
    if name == "eager":
        return SEA, Trainer
    import sea_pytorch_strong
    return sea_pytorch_strong.StrongSEA, sea_pytorch_strong.StrongTrainer


def build(arguments, settings):
    torch.manual_seed(settings["seed"])
    data = Data(arguments.data, settings)
    made = [graph.to(arguments.device) for graph in graphs(data, settings)]
    features = {name: values.to(arguments.device) for name, values in data.features.items()}
    model_class, trainer_class = opponent(arguments.opponent)
    model = model_class(features, data.users, *made, settings).to(arguments.device)
    return data, trainer_class(model, settings)


def to_device(batch, arguments):
    return tuple(ids.to(arguments.device) for ids in batch)


def time_steps(arguments, settings):
    core = measure.library_of(torch, arguments.device)
    data, trainer = build(arguments, settings)
    sampler = Sampler(data, settings)
    seconds, losses = [], []
    while len(seconds) < arguments.warmup + arguments.steps:
        batches = sampler.epoch()
        while len(seconds) < arguments.warmup + arguments.steps:
            start = time.perf_counter()
            batch = next(batches, None)
            if batch is None:
                break
            terms = trainer.step(to_device(batch, arguments), trainer.permutations(data.items))[0]
            seconds.append(time.perf_counter() - start)
            losses.append(terms["loss"])
    timed = seconds[arguments.warmup:]
    result = {
        "implementation": f"PyTorch {torch.__version__}, {arguments.opponent}",
        "seconds_per_step_median": statistics.median(timed), "seconds_per_step_mean": statistics.fmean(timed),
        "peak_memory_bytes": measure.peak_memory_bytes(torch, arguments.device),
        "sgemm_gflops": measure.sgemm_gflops(torch, arguments.device),
        "blas_core": core, "threads": arguments.threads, "steps": arguments.steps,
        "loss_first": losses[0], "loss_last": losses[-1],
        "sizes": {"users": data.users, "items": data.items, "train_interactions": data.train.shape[1],
                  **{f"{m}_dim": x.shape[1] for m, x in data.features.items()},
                  "embedding_size": settings["embedding_size"], "train_batch_size": settings["train_batch_size"]},
    }
    for key, value in result.items():
        print(f"{key:24} {value}")
    return result


def train(arguments, settings):
    data, trainer = build(arguments, settings)
    sampler = Sampler(data, settings)
    best, best_epoch, result, since = -1.0, 0, {}, 0
    for epoch in range(arguments.epochs):
        start = time.perf_counter()
        losses = [trainer.step(to_device(batch, arguments), trainer.permutations(data.items))[0]["loss"]
                  for batch in sampler.epoch()]
        with torch.no_grad():
            users, items, _ = (part.cpu() if torch.is_tensor(part) else part for part in trainer.model())
        valid, test = (evaluate((users, items), data, split, sorted({*settings["topk"], 20}), settings["eval_batch_size"])
                       for split in (data.valid, data.test))
        since += 1
        if valid["recall@20"] > best:
            best, best_epoch, result, since = valid["recall@20"], epoch, test, 0
        print(f"epoch {epoch}: loss {statistics.fmean(losses):.5f}, valid recall@20 {valid['recall@20']:.4f}, "
              f"{time.perf_counter() - start:.1f} s", flush=True)
        if since > settings["stopping_step"]:
            break
    print(f"test, best epoch {best_epoch}: " + ", ".join(f"{name} {value:.4f}" for name, value in result.items()))
    return {"best_epoch": best_epoch, "epochs_run": epoch + 1, "valid_recall@20": best, "test": result}


def main(arguments):
    torch.set_num_threads(arguments.threads)
    if arguments.golden:
        import sea_pytorch_golden
        sys.exit(sea_pytorch_golden.replay(arguments.golden, *opponent(arguments.opponent)))
    settings = read_settings(arguments.assignments)
    result = time_steps(arguments, settings) if arguments.steps else train(arguments, settings)
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(result, file, indent=1)


if __name__ == "__main__":
    main(ARGUMENTS)
