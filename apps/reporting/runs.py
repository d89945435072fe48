"""Runs of `sea train`: their files, and what the `sea` command says of them."""

import json
import os
import shutil
import subprocess
import sys
import tempfile

import numpy

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOP_K = 20
CUTOFFS = "10,20"
MOST_RUNS = 8  # as many as there are colours
# Settings that say where a run was made, and nothing of what was trained.
NOT_SETTINGS = ("model", "data", "device", "threads", "checkpoint_seconds", "fingerprint", "interactions_fingerprint",
                "ids_fingerprint", "version")
PRESETS = {("solosim", "club"): "SEAa", ("solosim", "l2"): "SEAb", ("infonce", "club"): "SEAc",
           ("infonce", "l2"): "SEAd"}


def fail(message):
    print(f"error: {message}", file=sys.stderr)
    sys.exit(1)


def find_sea(path):
    """The sea command: the one that is named, the one that is built here, or the one on the PATH."""
    candidates = [path] if path else [os.path.join(REPOSITORY, "build", "bin", "sea"), shutil.which("sea")]
    for candidate in candidates:
        if candidate and os.path.isfile(candidate) and os.access(candidate, os.X_OK):
            return candidate
    fail(f"{path}: is no program" if path else "there is no sea command; build it, or name it by --sea")


def read_json(file):
    try:
        with open(file, encoding="utf-8") as text:
            return json.load(text)
    except (OSError, ValueError) as error:
        fail(f"{file}: cannot be read: {error}")


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


class Run:
    """A run's folder. Everything that is read is checked here, so that the rest may rely on it."""

    def __init__(self, folder, name=None):
        self.folder = folder
        self.name = name
        file = os.path.join(folder, "config.json")
        if not os.path.isfile(file):
            fail(f"{folder}: is no run of sea train: it has no config.json")
        self.config = read_json(file)
        if not isinstance(self.config, dict) or not all(
                isinstance(self.config.get(key), str)
                for key in ("model", "data", "interactions_fingerprint", "valid_metric")):
            fail(f"{file}: is not that of a run")
        self.model = self.config["model"]
        self.metric = self.config["valid_metric"].lower()
        self.epochs = self._read_epochs(os.path.join(folder, "metrics.jsonl"))
        self.best = self._best_epoch()

    def _read_epochs(self, file):
        """The lines of metrics.jsonl."""
        epochs = []
        try:
            with open(file, encoding="utf-8") as text:
                lines = text.read().splitlines()
        except (OSError, ValueError) as error:
            fail(f"{file}: cannot be read: {error}")
        for number, line in enumerate(lines, 1):
            try:
                epoch = json.loads(line)
                parts = [epoch["train_loss"], epoch.get("valid", {}), epoch.get("test", {})]
                whole = is_number(epoch["epoch"]) and all(
                    is_number(value) for part in parts for value in part.values())
            except (ValueError, KeyError, TypeError, AttributeError):
                whole = False
            if not whole:
                fail(f"{file}:{number}: is no epoch of a training")
            epochs.append(epoch)
        if not epochs:
            fail(f"{file}: has no epoch yet")
        return epochs

    def _best_epoch(self):
        """The epoch whose state is in best.safetensors."""
        file = os.path.join(self.folder, "result.json")
        if os.path.exists(file):
            result = read_json(file)
            best = result.get("best_epoch") if isinstance(result, dict) else None
            found = [epoch for epoch in self.epochs if epoch["epoch"] == best]
            if not found:
                fail(f"{file}: its best_epoch is none of metrics.jsonl")
            return found[0]
        evaluated = [epoch for epoch in self.epochs if self.metric in epoch.get("valid", {})]
        return max(evaluated, key=lambda epoch: epoch["valid"][self.metric]) if evaluated else self.epochs[-1]

    @property
    def finished(self):
        return os.path.exists(os.path.join(self.folder, "result.json"))

    def settings(self):
        return {key: value if isinstance(value, str) else json.dumps(value)
                for key, value in self.config.items() if key not in NOT_SETTINGS}


def read_runs(words):
    """Runs of [NAME=]FOLDER, with names that tell them apart. All must be of the same interactions."""
    runs = []
    for word in words:
        name, equals, folder = word.partition("=")
        if not equals or os.path.isdir(word):
            name, folder = None, word
        runs.append(Run(folder, name))
    for run in runs[1:]:
        if run.config["interactions_fingerprint"] != runs[0].config["interactions_fingerprint"]:
            fail(f"{run.folder}: was trained on {run.config['data']}, other interactions than those of "
                 f"{runs[0].folder} ({runs[0].config['data']})")
    for run in runs:
        if run.name is None:
            run.name = name_of(run, [other for other in runs if other.model == run.model])
    for i, run in enumerate(runs):
        if any(other.name == run.name for other in runs[:i]):
            fail(f"{run.folder}: two runs would be called '{run.name}'; name them, as in NAME=FOLDER")
    return runs


def differing_settings(runs):
    """The settings in which runs differ, in the order of the first that has each."""
    keys = dict.fromkeys(key for run in runs for key in run.settings())
    return [key for key in keys if len({run.settings().get(key) for run in runs}) > 1]


def name_of(run, of_the_model):
    """The model, or SEA's variant, and the settings in which it differs from the others of its model."""
    settings = run.settings()
    name, told = run.model, ()
    if run.model == "sea":
        modules = (settings.get("align"), settings.get("distance"))
        told = ("align", "distance")
        name = PRESETS.get(modules) or {
            ("none", "none"): "SEA without modules"}.get(modules) or f"SEA align={modules[0]} distance={modules[1]}"
    more = [f"{key}={settings[key]}" for key in differing_settings(of_the_model)
            if key not in told and key in settings]
    return " ".join([name] + more)


def call_sea(sea, words):
    """Runs the command; (exit code, its first error)."""
    result = subprocess.run([sea, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    return result.returncode, (errors or [f"error: sea {words[0]} failed"])[0][len("error: "):]


def must_call(sea, words):
    code, error = call_sea(sea, words)
    if code != 0:
        fail(error)


def export(sea, run, data, parts):
    """The arrays of `sea export`; of a model that has no parts without them."""
    with tempfile.TemporaryDirectory() as scratch:
        file = os.path.join(scratch, "export.npz")
        code = 2
        if parts:
            words = ["--data", data] if data else []
            code, error = call_sea(sea, ["export", run.folder, "--output", file, "--parts", *words])
            if code not in (0, 2):
                fail(error)
        if code != 0:
            must_call(sea, ["export", run.folder, "--output", file])
        with numpy.load(file) as arrays:
            return {name: arrays[name] for name in arrays.files}


def evaluate(sea, run, data, split, seed):
    """What `sea evaluate` writes: every metric with its interval, of all users and by groups."""
    with tempfile.TemporaryDirectory() as scratch:
        file = os.path.join(scratch, "evaluation.json")
        words = ["--data", data] if data else []
        must_call(sea, ["evaluate", run.folder, "--split", split, "--top-k", CUTOFFS, "--metrics", "all", "--groups",
                        "all", "--intervals", "1000", "--seed", str(seed), "--output", file, *words])
        return read_json(file)


def compare(sea, runs, data, split, seed):
    """What `sea compare` writes of each run but the first, against it: by metric, paired over users."""
    with tempfile.TemporaryDirectory() as scratch:
        file = os.path.join(scratch, "comparison.json")
        words = ["--data", data] if data else []
        must_call(sea, ["compare", *(run.folder for run in runs), "--split", split, "--top-k", CUTOFFS, "--metrics",
                        "recall,ndcg", "--intervals", "1000", "--seed", str(seed), "--output", file, *words])
        return [comparison["metrics"] for comparison in read_json(file)["comparisons"]]


def recommend(sea, run, data):
    """Each user's TOP_K items, as an array (users, TOP_K)."""
    with tempfile.TemporaryDirectory() as scratch:
        file = os.path.join(scratch, "lists.npz")
        words = ["--data", data] if data else []
        must_call(sea, ["recommend", run.folder, "--all", "--exclude", "train", "--top-k", str(TOP_K), "--output", file,
                        *words])
        with numpy.load(file) as arrays:
            return arrays["itemID"]


def read_interactions(folder):
    """Pairs of a data folder by split, as an array (pairs, 2) each: train, valid, test. Like `sea`, without the
    held-out pairs of users who have no training pair."""
    file = os.path.join(folder, os.path.basename(os.path.normpath(folder)) + ".inter")
    try:
        with open(file, encoding="utf-8") as text:
            header = text.readline().rstrip("\r\n").split("\t")
            columns = [header.index(name) for name in ("userID", "itemID", "x_label")]
            table = numpy.loadtxt(text, dtype=numpy.int64, delimiter="\t", usecols=columns, ndmin=2)
    except (OSError, ValueError) as error:
        fail(f"{file}: cannot be read: {error}")
    train = {(user, item) for user, item, label in table.tolist() if label == 0}
    trained = {user for user, _ in train}
    splits = [sorted(train)]
    for split in (1, 2):
        splits.append(sorted({(user, item) for user, item, label in table.tolist()
                              if label == split and user in trained} - train))
    return [numpy.array(pairs, dtype=numpy.int64).reshape(-1, 2) for pairs in splits]


def write_whole(file, text):
    """The file is there whole or not at all."""
    scratch = None
    try:
        folder = os.path.dirname(os.path.abspath(file))
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=folder, delete=False) as out:
            scratch = out.name
            out.write(text)
        os.chmod(scratch, 0o644)
        os.replace(scratch, file)
    except OSError as error:
        if scratch is not None and os.path.exists(scratch):
            os.unlink(scratch)
        fail(f"{file}: cannot be written: {error.strerror}")
