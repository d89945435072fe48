#!/usr/bin/env python3
"""LATTICE, MMGCN and BM3 in PyTorch, written and trained the way MMRec does it: dense items x items graphs (LATTICE),
all rows of every table in every step, negatives drawn pair by pair in Python, one Adam over every array. Our own writing.
Where MMRec is needlessly slow it is left the faster way: LATTICE's Laplacian scales rows and columns in place of two
products with diagonal matrices, MMGCN propagates by a sparse product in place of a gather and a scatter of all edges.

  company_pytorch.py DATA --model lattice|mmgcn|bm3 --epochs N [--warmup N]    time N epochs of training
  company_pytorch.py --golden DIR                                             replay golden cases in float64
"""

import argparse
import json
import os
import statistics
import sys
import time

import measure

COMMON = {"embedding_size": 64, "learning_rate": 1e-3, "train_batch_size": 2048, "seed": 999,
          "vision_feature_file": "image_feat.npy", "text_feature_file": "text_feat.npy"}
DEFAULTS = {
    "lattice": {**COMMON, "feat_embed_dim": 64, "knn_k": 10, "lambda_coeff": 0.9, "n_ui_layers": 2, "n_layers": 1,
                "reg_weight": 1e-3, "learning_rate_scheduler": [0.96, 50]},
    "mmgcn": {**COMMON, "reg_weight": 0.0, "learning_rate_scheduler": [1.0, 50]},
    "bm3": {**COMMON, "n_layers": 2, "cl_weight": 2.0, "dropout": 0.5, "reg_weight": 0.01,
            "learning_rate_scheduler": [1.0, 50]},
}


def read_settings(model, assignments):
    settings = dict(DEFAULTS[model])
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or key not in settings:
            sys.exit(f"error: --set {assignment}: known keys of {model} are {', '.join(sorted(settings))}")
        try:
            settings[key] = json.loads(text)
        except json.JSONDecodeError:
            settings[key] = text
        wanted = str if key.endswith("_file") else type(DEFAULTS[model][key])
        if not isinstance(settings[key], (int, float) if wanted is float else wanted):
            sys.exit(f"error: --set {assignment}: {key} is like {json.dumps(DEFAULTS[model][key])}")
    return settings


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", help="folder in MMRec's layout, with both feature files")
    parser.add_argument("--model", choices=sorted(DEFAULTS))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="assignments")
    parser.add_argument("--epochs", type=int, help="time so many epochs of training")
    parser.add_argument("--warmup", type=int, default=1, help="epochs before the timed ones")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--json", metavar="FILE", help="write what was measured")
    parser.add_argument("--golden", metavar="DIR", help="replay golden cases; all that DIR has of these models")
    arguments = parser.parse_args()
    if not arguments.golden and not (arguments.data and arguments.model and arguments.epochs):
        parser.error("name DATA, --model and --epochs, or --golden DIR")
    if arguments.threads < 1 or arguments.warmup < 0 or (arguments.epochs is not None and arguments.epochs < 1):
        parser.error("--threads and --epochs are at least 1, --warmup at least 0")
    return arguments


if __name__ == "__main__":
    ARGUMENTS = read_arguments()
    measure.prepare_process(ARGUMENTS.threads)

import torch  # noqa: E402  (after the process is prepared)
import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

from lightgcn_pytorch import PairLoader, timed  # noqa: E402
from sea_data import Data, interaction_graph, sparse  # noqa: E402

SIDES = {"visual": "image", "textual": "text"}


def xavier_uniform(rows, columns):
    return nn.Parameter(nn.init.xavier_uniform_(torch.empty(rows, columns)))


def table(values):
    """An array under the name NAME.weight, as an nn.Embedding has it."""
    return nn.Embedding.from_pretrained(values.clone(), freeze=False)


def linear(inputs, outputs, xavier=False):
    layer = nn.Linear(inputs, outputs)
    if xavier:
        nn.init.xavier_normal_(layer.weight)
    return layer


def mean_graph(data, self_loops, dtype):
    """Rows divided by the number of their entries."""
    users, items = (torch.from_numpy(ids) for ids in data.train)
    nodes = data.users + data.items
    rows, columns = torch.cat((users, items + data.users)), torch.cat((items + data.users, users))
    if self_loops:
        rows, columns = (torch.cat((ids, torch.arange(nodes))) for ids in (rows, columns))
    degree = torch.bincount(rows, minlength=nodes).to(torch.float64)
    return sparse(rows, columns, degree[rows].reciprocal().to(dtype), (nodes, nodes))


def layer_mean(graph, nodes, layers):
    every = [nodes]
    for _ in range(layers):
        every.append(torch.sparse.mm(graph, every[-1]))
    return torch.stack(every, dim=1).mean(dim=1)


def bpr(users, items, batch):
    user, positive, negative = batch
    difference = (users[user] * (items[positive] - items[negative])).sum(dim=1)
    return F.softplus(-difference).mean()


def nearest_cosines(features, k):
    """items x items, dense: of each row the k largest cosines, all else 0."""
    unit = features / features.norm(dim=1, keepdim=True)
    values, columns = (unit @ unit.T).topk(k, dim=1)
    return torch.zeros(len(unit), len(unit), dtype=unit.dtype, device=unit.device).scatter(1, columns, values)


def laplacian(graph):
    scale = graph.sum(dim=1).pow(-0.5)
    scale = torch.where(torch.isinf(scale), torch.zeros_like(scale), scale)
    return scale[:, None] * graph * scale


class Lattice(nn.Module):
    def __init__(self, data, settings, dtype=torch.float32):
        super().__init__()
        self.settings, self.users, width = settings, data.users, settings["embedding_size"]
        self.user_embedding, self.item_id_embedding = (
            table(nn.init.xavier_uniform_(torch.empty(rows, width))) for rows in (data.users, data.items))
        for modality, side in SIDES.items():
            features = data.features[modality]
            self.add_module(f"{side}_embedding", table(features))
            self.add_module(f"{side}_trs", linear(features.shape[1], settings["feat_embed_dim"]))
            self.register_buffer(f"{side}_original",
                                 laplacian(nearest_cosines(features, settings["knn_k"])), persistent=False)
        self.modal_weight = nn.Parameter(torch.tensor([0.5, 0.5]))
        self.register_buffer("graph", mean_graph(data, True, dtype), persistent=False)
        self.begin_epoch()

    def begin_epoch(self):
        """The next batch builds the item graph."""
        self.item_graph, self.detached = None, False

    def learned_graph(self):
        weight, kept = self.modal_weight.softmax(dim=0), self.settings["lambda_coeff"]
        learned = sum(weight[m] * nearest_cosines(getattr(self, f"{side}_trs")(getattr(self, f"{side}_embedding").weight),
                                                  self.settings["knn_k"]) for m, side in enumerate(SIDES.values()))
        original = sum(weight[m] * getattr(self, f"{side}_original") for m, side in enumerate(SIDES.values()))
        return (1 - kept) * laplacian(learned) + kept * original

    def forward(self):
        neighbours = self.item_id_embedding.weight
        for _ in range(self.settings["n_layers"]):
            neighbours = self.item_graph @ neighbours
        nodes = layer_mean(self.graph, torch.cat((self.user_embedding.weight, self.item_id_embedding.weight)),
                           self.settings["n_ui_layers"])
        return nodes[:self.users], nodes[self.users:] + F.normalize(neighbours, dim=1)

    def loss(self, batch):
        if self.item_graph is None:
            self.item_graph = self.learned_graph()
        elif not self.detached:  # the epoch's other batches take the first one's for a constant
            self.item_graph, self.detached = self.item_graph.detach(), True
        users, items = self()
        user, positive, negative = batch
        squares = sum((rows ** 2).sum() / 2 for rows in (users[user], items[positive], items[negative]))
        return bpr(users, items, batch) + self.settings["reg_weight"] * squares / self.settings["train_batch_size"]

    def representations(self):
        self.item_graph = self.learned_graph()
        return self()


class ModalityNetwork(nn.Module):
    """MMGCN's of one modality: three layers, of which each has a product C, a linear layer J and a linear layer G."""

    def __init__(self, features, users, width, hidden):
        super().__init__()
        inputs = hidden or features.shape[1]
        self.hidden = hidden
        self.register_buffer("features", features, persistent=False)
        self.register_buffer("preference", nn.init.xavier_normal_(torch.empty(users, inputs)))
        if hidden:
            self.MLP = linear(features.shape[1], hidden)
        for layer, size in ((1, inputs), (2, width), (3, width)):
            self.add_module(f"conv_embed_{layer}", table(nn.init.xavier_normal_(torch.empty(size, size))))
            self.add_module(f"linear_layer{layer}", linear(size, width, xavier=True))
            self.add_module(f"g_layer{layer}", linear(size + width, width, xavier=layer == 1))

    def forward(self, graph, identity):
        items = self.MLP(self.features) if self.hidden else self.features
        nodes = F.normalize(torch.cat((self.preference, items)), dim=1)
        for layer in (1, 2, 3):
            gathered = F.leaky_relu(torch.sparse.mm(graph, nodes @ getattr(self, f"conv_embed_{layer}").weight))
            own = F.leaky_relu(getattr(self, f"linear_layer{layer}")(nodes)) + identity
            nodes = F.leaky_relu(getattr(self, f"g_layer{layer}")(torch.cat((gathered, own), dim=1)))
        return nodes


class Mmgcn(nn.Module):
    def __init__(self, data, settings, dtype=torch.float32):
        super().__init__()
        self.settings, self.users, width = settings, data.users, settings["embedding_size"]
        self.register_buffer("id_embedding", nn.init.xavier_normal_(torch.empty(data.users + data.items, width)))
        self.v_gcn = ModalityNetwork(data.features["visual"], data.users, width, 256)
        self.t_gcn = ModalityNetwork(data.features["textual"], data.users, width, None)
        self.register_buffer("graph", mean_graph(data, False, dtype), persistent=False)

    def begin_epoch(self):
        pass

    def forward(self):
        nodes = (self.v_gcn(self.graph, self.id_embedding) + self.t_gcn(self.graph, self.id_embedding)) / 2
        return nodes[:self.users], nodes[self.users:]

    def loss(self, batch):
        users, items = self()
        total = bpr(users, items, batch)
        if self.settings["reg_weight"]:  # of arrays that nothing trains: in the reported loss alone
            user, positive, negative = (self.id_embedding[ids] for ids in
                                        (batch[0], batch[1] + self.users, batch[2] + self.users))
            total = total + self.settings["reg_weight"] * (
                (user ** 2 + (positive ** 2 + negative ** 2) / 2).mean() + (self.v_gcn.preference ** 2).mean())
        return total

    def representations(self):
        return self()


class Bm3(nn.Module):
    def __init__(self, data, settings, dtype=torch.float32):
        super().__init__()
        self.settings, self.users, width = settings, data.users, settings["embedding_size"]
        self.user_embedding, self.item_id_embedding = (
            table(nn.init.xavier_uniform_(torch.empty(rows, width))) for rows in (data.users, data.items))
        for modality, side in SIDES.items():
            features = data.features[modality]
            self.add_module(f"{side}_embedding", table(features))
            self.add_module(f"{side}_trs", linear(features.shape[1], width, xavier=True))
        self.predictor = linear(width, width, xavier=True)
        self.register_buffer("graph", interaction_graph(data, dtype, 1e-7), persistent=False)
        self.given_masks = None

    def begin_epoch(self):
        pass

    def forward(self):
        nodes = layer_mean(self.graph, torch.cat((self.user_embedding.weight, self.item_id_embedding.weight)),
                           self.settings["n_layers"])
        return nodes[:self.users], nodes[self.users:] + self.item_id_embedding.weight

    def target(self, name, values):
        if self.given_masks:
            return values.detach() * self.given_masks[f"dropout_{name}"]
        return F.dropout(values.detach(), self.settings["dropout"])

    def loss(self, batch):
        users, items = self()
        tables = {"user": users, "item": items,
                  **{side: getattr(self, f"{side}_trs")(getattr(self, f"{side}_embedding").weight)
                     for side in SIDES.values()}}
        targets = {name: self.target(name, values) for name, values in tables.items()}
        online = {name: self.predictor(values) for name, values in tables.items()}
        rows = {name: batch[0] if name == "user" else batch[1] for name in tables}

        def apart(name, other):
            return 1 - F.cosine_similarity(online[name][rows[name]], targets[other][rows[other]]).mean()

        modalities = sum(apart(side, "item") + apart(side, side) for side in SIDES.values())
        norms = (users.norm() + items.norm()) / len(items)
        return (apart("user", "item") + apart("item", "user") + self.settings["cl_weight"] * modalities
                + self.settings["reg_weight"] * norms)

    def representations(self):
        users, items = self()
        return self.predictor(users), self.predictor(items)


MODELS = {"lattice": Lattice, "mmgcn": Mmgcn, "bm3": Bm3}


class Trainer:
    def __init__(self, model, settings):
        self.model = model
        self.optimizer = torch.optim.Adam(model.parameters(), lr=settings["learning_rate"])
        factor, period = settings["learning_rate_scheduler"]
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda epoch: factor ** (epoch / period))

    def step(self, batch):
        # Zeros and not None: an array that has no gradient in this batch is moved by its moments, as in PyTorch 1.
        self.optimizer.zero_grad(set_to_none=False)
        loss = self.model.loss(batch)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def epoch(self, batches):
        self.model.begin_epoch()
        losses = [self.step(batch) for batch in batches]
        self.schedule.step()
        return losses


def time_epochs(arguments):
    settings, core = read_settings(arguments.model, arguments.assignments), measure.library_of(torch, arguments.device)
    torch.manual_seed(settings["seed"])
    data = Data(arguments.data, settings)
    trainer = Trainer(MODELS[arguments.model](data, settings).to(arguments.device), settings)
    loader = PairLoader(data, settings)
    seconds, processor, losses = [], [], []
    for _ in range(arguments.warmup + arguments.epochs):
        started = time.process_time()
        spent, losses = timed(arguments.device, lambda: trainer.epoch(loader.epoch(arguments.device)))
        processor.append(time.process_time() - started)
        seconds.append(spent)
    return {
        "implementation": f"PyTorch {torch.__version__}, {arguments.model} as MMRec has it",
        "seconds_per_epoch_median": statistics.median(seconds[arguments.warmup:]),
        "processor_seconds_per_epoch_median": statistics.median(processor[arguments.warmup:]),
        "peak_memory_bytes": measure.peak_memory_bytes(torch, arguments.device),
        "sgemm_gflops": measure.sgemm_gflops(torch, arguments.device), "blas_core": core,
        "threads": arguments.threads, "epochs": arguments.epochs, "loss_last": losses[-1],
        "sizes": {"users": data.users, "items": data.items, "train_interactions": data.train.shape[1],
                  **{f"{m}_dim": x.shape[1] for m, x in data.features.items()},
                  "embedding_size": settings["embedding_size"], "train_batch_size": settings["train_batch_size"]}}


def main(arguments):
    torch.set_num_threads(arguments.threads)
    if arguments.golden:
        import company_pytorch_golden
        sys.exit(company_pytorch_golden.replay(arguments.golden))
    result = time_epochs(arguments)
    for key, value in result.items():
        print(f"{key:36} {value}")
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(result, file, indent=1)


if __name__ == "__main__":
    main(ARGUMENTS)
