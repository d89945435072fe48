"""Replays golden SEA runs with a PyTorch baseline in float64: the proof that the opponent computes the same model.

The layout: manifest.json, NAME.inter and features, graphs/, batches/N/, parameters/, cases/CASE/.
"""

import json
import os
import tempfile

import numpy as np
import torch

from sea_data import Data, evaluate, interaction_graph, item_graph, nearest_neighbours
from sea_pytorch import DEFAULTS

BOUND = 1e-9          # float64 against float64
GRAPH_BOUND = 1e-6    # the golden item graph has 1/(k + 1e-7) where the specification has 1/k


def load_arrays(folder):
    return {name[:-4]: torch.from_numpy(np.load(os.path.join(folder, name)))
            for name in sorted(os.listdir(folder)) if name.endswith(".npy")}


def relative_error(value, golden, floor=0.0):
    value, golden = (torch.as_tensor(x, dtype=torch.float64) for x in (value, golden))
    return float((value - golden.reshape(value.shape)).norm() / max(float(golden.norm()), floor, 1e-300))


def scalar_error(value, golden):
    return abs(float(value) - golden) / max(1.0, abs(golden))


def worst(errors):
    """The largest error, or NaN where one is."""
    return float(np.max(list(errors)))


class Replay:
    def __init__(self, folder, model_class, trainer_class):
        self.folder, self.failed = folder, False
        self.model_class, self.trainer_class = model_class, trainer_class
        with open(os.path.join(folder, "manifest.json")) as file:
            self.manifest = json.load(file)
        sizes = self.manifest["sizes"]
        self.settings = dict(
            DEFAULTS, embedding_size=sizes["dim"], head_hidden=sizes["hh"], head_out=sizes["ho"],
            club_width=sizes["cd"], club_hidden=sizes["ch"], club_steps=sizes["inner"], knn_k=sizes["k"],
            alpha=self.manifest["alpha"], beta=self.manifest["beta"], temperature=self.manifest["temperature"],
            learning_rate=self.manifest["lr"], club_learning_rate=self.manifest["lr"])
        self.data = self.read_data()
        self.batches = [load_arrays(os.path.join(folder, "batches", str(step))) for step in range(sizes["steps"])]
        self.item_item = torch.from_numpy(np.load(os.path.join(folder, "graphs", "item_item.npy")))

    def read_data(self):
        """The reader expects FOLDER/FOLDER.inter; a link gives the folder that name."""
        name = next(name for name in os.listdir(self.folder) if name.endswith(".inter"))[:-len(".inter")]
        with tempfile.TemporaryDirectory() as scratch:
            link = os.path.join(scratch, name)
            os.symlink(os.path.abspath(self.folder), link)
            data = Data(link, self.settings)
        data.features = {m: x.double() for m, x in data.features.items()}
        return data

    def report(self, case, what, error, bound=BOUND):
        self.failed |= not error <= bound
        print(f"{case:16} {what:20} {error:9.2e}  bound {bound:.0e}{'' if error <= bound else '  FAILED'}")

    def graphs(self):
        graphs = load_arrays(os.path.join(self.folder, "graphs"))
        neighbours = {m: nearest_neighbours(x, self.settings["knn_k"]) for m, x in self.data.features.items()}
        same = all(torch.equal(ids.sort(dim=1).values, graphs[f"knn_{m}"].long().sort(dim=1).values)
                   for m, ids in neighbours.items())
        self.report("graphs", "neighbour ids", 0.0 if same else 1.0)
        visual = self.settings["mm_image_weight"]
        item_item = item_graph(neighbours, {"visual": visual, "textual": 1 - visual}, torch.float64).to_dense()
        self.report("graphs", "item graph", relative_error(item_item, graphs["item_item"]), GRAPH_BOUND)
        interactions = interaction_graph(self.data, torch.float64).to_dense()
        self.report("graphs", "interaction graph", relative_error(interactions, graphs["interaction"]))

    def case(self, name, case):
        settings = dict(self.settings, **{key: case[key] for key in ("align", "distance", "club_pairs")})
        data, folder = self.data, os.path.join(self.folder, "cases", name)
        interactions = interaction_graph(data, torch.float64)
        model = self.model_class(data.features, data.users, interactions, self.item_item.to_sparse(), settings).double()
        model.load_state_dict(load_arrays(os.path.join(self.folder, "parameters")))
        trainer = self.trainer_class(model, settings)
        loss_error = fit_error = 0.0
        for step, (golden, arrays) in enumerate(zip(case["steps"], self.batches)):
            batch = [arrays[key] for key in ("user", "positive", "negative")]
            permutations = {m: arrays[f"club_permutation_{m}"] for m in model.modalities}
            terms, fits, representations, projections = trainer.step(batch, permutations)
            if step == 0:
                self.first_step(name, folder, model, representations, projections)
            loss_error = worst([loss_error] + [scalar_error(terms[key], golden[key]) for key in terms])
            goldens = golden.get("club_fit_losses", [])
            if len(fits) != len(goldens):
                fit_error = float("inf")
            fit_error = worst([fit_error] + [scalar_error(*pair) for pair in zip(fits, goldens)])
        self.report(name, "losses", loss_error)
        self.report(name, "fit losses", fit_error)
        after = load_arrays(os.path.join(folder, "parameters_after"))
        skipped = self.manifest["not_compared"]
        values = model.state_dict()
        self.report(name, "parameters after", worst(relative_error(values[key], golden)
                                                    for key, golden in after.items() if key not in skipped))
        if name == "a":
            self.metrics(name, model)

    def first_step(self, name, folder, model, representations, projections):
        golden = load_arrays(folder)
        self.report(name, "representations", worst(
            relative_error(value.detach(), golden[key])
            for key, value in zip(("user_representation", "item_representation"), representations)))
        if projections:
            self.report(name, "projections", worst(
                relative_error(value.detach(), golden[f"{modality}_{half}"])
                for modality, pair in projections.items() for half, value in zip(("generic", "unique"), pair)))
        gradients = load_arrays(os.path.join(folder, "gradients"))
        ours = {key: value.grad for key, value in model.named_parameters() if value.grad is not None
                and not key.startswith("club.")}
        if set(ours) != set(gradients):
            print(f"gradients of other parameters: {sorted(set(ours) ^ set(gradients))}")
            self.failed = True
        floor = 1e-3 * max(float(golden.norm()) for golden in gradients.values())
        self.report(name, "gradients", worst(
            relative_error(ours[key], golden, floor) for key, golden in gradients.items()
            if key in ours and key not in self.manifest["not_compared"]))

    def metrics(self, name, model):
        with torch.no_grad():
            users, items, _ = model()
        for split, golden in self.manifest["metrics_after_case_a"].items():
            top_k = sorted({int(key.split("@")[1]) for key in golden})
            ours = evaluate((users, items), self.data, getattr(self.data, split), top_k)
            self.report(name, f"{split} metrics", worst(abs(ours[key] - value) for key, value in golden.items()))


def replay(folder, model_class, trainer_class):
    """The exit status: 0 where every error is within its bound."""
    run = Replay(folder, model_class, trainer_class)
    run.graphs()
    for name, case in run.manifest["cases"].items():
        run.case(name, case)
    print("golden replay: " + ("FAILED" if run.failed else "all within bounds"))
    return int(run.failed)
