"""Replays golden cases of LATTICE, MMGCN and BM3 with the PyTorch baselines in float64: the proof that the opponents
compute the same models.

The layout: manifest.json, CASE/parameters, gradients, inputs, user_representation.npy, item_representation.npy,
scores.npy and, where an epoch is given, parameters_after; data and batches lie in the folder golden beside it.
"""

import json
import os
import sys
import tempfile

import torch

from company_pytorch import DEFAULTS, MODELS, Trainer
from sea_data import Data
from sea_pytorch_golden import BOUND, load_arrays, relative_error, scalar_error, worst


def read_data(folder):
    """The reader expects FOLDER/FOLDER.inter; a link gives the folder that name."""
    name = next(name for name in os.listdir(folder) if name.endswith(".inter"))[:-len(".inter")]
    with tempfile.TemporaryDirectory() as scratch:
        link = os.path.join(scratch, name)
        os.symlink(os.path.abspath(folder), link)
        data = Data(link, {"vision_feature_file": "image_feat.npy", "text_feature_file": "text_feat.npy"})
    data.features = {modality: values.double() for modality, values in data.features.items()}
    return data


class Replay:
    def __init__(self, folder):
        self.folder, self.failed, self.cases = folder, False, 0
        beside = os.path.join(os.path.dirname(os.path.abspath(folder)), "golden")
        with open(os.path.join(folder, "manifest.json")) as file:
            self.manifest = json.load(file)
        self.data = read_data(beside)
        self.batches = []
        while os.path.isdir(os.path.join(beside, "batches", str(len(self.batches)))):
            arrays = load_arrays(os.path.join(beside, "batches", str(len(self.batches))))
            self.batches.append(tuple(arrays[key].long() for key in ("user", "positive", "negative")))

    def report(self, case, what, error):
        self.failed |= not error <= BOUND
        print(f"{case:18} {what:18} {error:9.2e}  bound {BOUND:.0e}{'' if error <= BOUND else '  FAILED'}")

    def make(self, name, case):
        """The model with a case's settings, parameters and given draws."""
        known = DEFAULTS[case["model"]]
        settings = dict(known, **{key: value for key, value in case.items() if key in known})
        torch.set_default_dtype(torch.float64)
        model = MODELS[case["model"]](self.data, settings, torch.float64)
        inputs = os.path.join(self.folder, name, "inputs")
        inputs = load_arrays(inputs) if os.path.isdir(inputs) else {}
        state = load_arrays(os.path.join(self.folder, name, "parameters"))
        if case["model"] == "mmgcn":
            state.update(inputs)
        model.load_state_dict(state)
        if "dropout_user" in inputs:
            model.given_masks = inputs
        if "item_graph" in inputs:
            model.item_graph = inputs["item_graph"]
        return model, settings

    def case(self, name, case):
        self.cases += 1
        folder = os.path.join(self.folder, name)
        model, _ = self.make(name, case)
        loss = model.loss(self.batches[case["batch"]])
        loss.backward()
        self.report(name, "loss", scalar_error(loss.detach(), case["loss"]))
        goldens = load_arrays(os.path.join(folder, "gradients"))
        ours = {key: value.grad for key, value in model.named_parameters() if value.grad is not None}
        if set(ours) != set(goldens):
            print(f"{name}: gradients of other parameters: {sorted(set(ours) ^ set(goldens))}")
            self.failed = True
        floor = 1e-3 * max(float(golden.norm()) for golden in goldens.values())
        self.report(name, "gradients", worst(relative_error(ours[key], goldens[key], floor)
                                             for key in goldens if key in ours))
        model.given_masks = None
        with torch.no_grad():
            users, items = model.representations()
        arrays = load_arrays(folder)
        self.report(name, "representations", worst((relative_error(users, arrays["user_representation"]),
                                                    relative_error(items, arrays["item_representation"]))))
        self.report(name, "scores", relative_error(users @ items.T, arrays["scores"]))
        if "epoch" in case:
            self.epoch(name, case)

    def epoch(self, name, case):
        """One epoch over all batches in their order."""
        model, settings = self.make(name, case)
        trainer = Trainer(model, dict(settings, learning_rate=case["epoch"]["learning_rate"]))
        losses = trainer.epoch(self.batches)
        if len(losses) != len(case["epoch"]["losses"]):
            sys.exit(f"error: {name} has {len(case['epoch']['losses'])} losses for {len(losses)} batches")
        self.report(name, "epoch's losses", worst(scalar_error(*pair) for pair in zip(losses, case["epoch"]["losses"])))
        after, values = load_arrays(os.path.join(self.folder, name, "parameters_after")), model.state_dict()
        self.report(name, "parameters after", worst(relative_error(values[key], after[key]) for key in after))


def replay(folder):
    """The exit status: 0 where every error is within its bound."""
    run = Replay(folder)
    for name, case in run.manifest.items():
        if isinstance(case, dict) and case.get("model") in MODELS:
            run.case(name, case)
    if run.cases == 0:
        sys.exit(f"error: {folder} has no case of {', '.join(sorted(MODELS))}")
    print("golden replay: " + ("FAILED" if run.failed else f"{run.cases} cases, all within bounds"))
    return int(run.failed)
