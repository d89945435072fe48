"""Plants mistakes in the kernels and runs the tests that should notice. Started by run.sh; README.md has the format of lists/."""

import argparse
import collections
import concurrent.futures
import dataclasses
import json
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
LISTS = pathlib.Path(__file__).resolve().parent / "lists"
BUILD = ROOT / "build"
SCRATCH = BUILD / "mutants"
TESTS = "tests/simt"  # whose files instantiate kernels as well
SECONDS = 900  # of a test run; a mistake may make a kernel wait for ever


@dataclasses.dataclass
class Mutant:
    kernel: str
    units: list
    tests: str
    program: str
    name: str
    anchor: str = ""
    old: str = ""
    new: str = ""
    unseen: str = ""  # why no test can see it
    number: int = 0

    def __str__(self):
        return f"{self.kernel}: {self.name}"


def read_lists():
    """The mutants of all lists, in order."""
    mutants = []
    for file in sorted(LISTS.glob("*.txt")):
        header = {}
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            key, _, text = line.partition(" ")
            if not line:
                continue
            if key == "kernel":
                header = {"kernel": text, "units": [text], "tests": "", "program": "operator_tests_emulated"}
            elif key in ("units", "tests", "program"):
                header[key] = text.split() if key == "units" else text
            elif key == "*":
                if not header.get("tests"):
                    sys.exit(f"{file}:{number}: {text}: the kernel has no tests")
                mutants.append(Mutant(name=text, number=len(mutants), **header))
            elif key in "@-+?":
                field = {"@": "anchor", "-": "old", "+": "new", "?": "unseen"}[key]
                before = getattr(mutants[-1], field)
                setattr(mutants[-1], field, before + "\n" + text if before else text)
            else:
                sys.exit(f"{file}:{number}: a line begins with kernel, units, tests, program, *, @, -, + or ?")
    return mutants


def pattern(text):
    """`text` with any white space where it has some, so that a formatter may break its lines anew."""
    return re.compile(r"\s+".join(re.escape(word) for word in text.split()))


def plant(mutant):
    """The kernel's text with the mistake in it; None where its old text is not there just once."""
    file = ROOT / "kernels" / mutant.kernel
    if not file.exists():
        return None
    text = file.read_text(encoding="utf-8")
    begin = 0
    if mutant.anchor:
        anchors = list(pattern(mutant.anchor).finditer(text))
        if len(anchors) != 1:
            return None
        begin = anchors[0].end()
    places = list(pattern(mutant.old).finditer(text, begin))
    if not places or (len(places) > 1 and not mutant.anchor):
        return None
    first = places[0]
    return text[: first.start()] + mutant.new + text[first.end() :]


def compile_commands():
    """Of each kernel file, and each test of the emulation, the command that compiles it for the emulator."""
    commands = {}
    for entry in json.loads((BUILD / "compile_commands.json").read_text(encoding="utf-8")):
        file = pathlib.Path(entry["file"])
        if file.is_relative_to(ROOT / "kernels") and "sea_cuda_simt" in entry["command"]:
            commands[str(file.relative_to(ROOT / "kernels"))] = shlex.split(entry["command"])
        elif file.is_relative_to(ROOT / TESTS):
            commands[str(file.relative_to(ROOT))] = shlex.split(entry["command"])
    return commands


def link_command(program):
    ninja = ["ninja", "-C", str(BUILD), "-t", "commands", program]
    lines = subprocess.run(ninja, check=True, capture_output=True, text=True).stdout.splitlines()
    command = lines[-1].removeprefix(": && ").removesuffix(" && :")
    return shlex.split(command)


def run_mutant(mutant, commands, links):
    """caught, escaped, stale, or does not compile."""
    text = plant(mutant)
    if text is None:
        return "stale"
    folder = SCRATCH / str(mutant.number)
    shutil.rmtree(folder, ignore_errors=True)
    # All of them, since a header finds its neighbours before anything that the command names.
    shutil.copytree(ROOT / "kernels", folder / "kernels")
    planted = folder / "kernels" / mutant.kernel
    planted.write_text(text, encoding="utf-8")
    objects = []
    link = list(links[mutant.program])
    try:
        for unit in mutant.units:
            command = list(commands[unit])
            place_of_object = command.index("-o") + 1
            if unit.startswith(TESTS):
                source, built = ROOT / unit, folder / (pathlib.Path(unit).name + ".o")
                link.remove(command[place_of_object])  # a test must not be there twice
            else:
                source = folder / "kernels" / unit
                built = pathlib.Path(str(source) + ".o")
            command[place_of_object] = str(built)
            command[command.index("-c") + 1] = str(source)
            place = next(i for i, word in enumerate(command) if word.startswith("-D"))
            command[place:place] = [f"-I{folder}/kernels"]
            command += ["-O1", "-w", "-Wno-error"]  # most of the time goes into compiling
            done = subprocess.run(command, cwd=BUILD, capture_output=True, text=True)
            if done.returncode != 0:
                (folder / "log").write_text(done.stdout + done.stderr, encoding="utf-8")
                return "does not compile"
            objects.append(str(built))
        command = link
        place = command.index("-o")
        program = folder / mutant.program
        command[place + 1] = str(program)
        command[place:place] = objects + ["-fuse-ld=gold"] * (shutil.which("ld.gold") is not None)
        done = subprocess.run(command, cwd=BUILD, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{mutant} cannot be linked:\n{done.stderr}")
        try:
            done = subprocess.run([program, "--abort", mutant.tests], capture_output=True, text=True, timeout=SECONDS,
                                  errors="replace")
        except subprocess.TimeoutExpired:
            return "caught"
        output = done.stdout + done.stderr
        (folder / "log").write_text(output, encoding="utf-8")
        if "No test" in output:
            sys.exit(f"{mutant}: no test is called {mutant.tests}")
        return "caught" if done.returncode != 0 else "escaped"
    finally:
        for file in [*objects, folder / mutant.program]:
            pathlib.Path(file).unlink(missing_ok=True)
        shutil.rmtree(folder / "kernels", ignore_errors=True)


def report(results):
    """A row per kernel, and what was not caught by name."""
    rows = collections.defaultdict(collections.Counter)
    for mutant, outcome in results:
        rows[mutant.kernel]["planted"] += 1
        rows[mutant.kernel]["unseen" if outcome == "escaped" and mutant.unseen else outcome] += 1
    outcomes = ["planted", "caught", "escaped", "unseen", "does not compile", "stale"]
    print(f"| {'kernel':32} | " + " | ".join(outcomes) + " |")
    print("| --- |" + " ---: |" * len(outcomes))
    for kernel in [*sorted(rows), "all"]:
        counts = sum(rows.values(), collections.Counter()) if kernel == "all" else rows[kernel]
        print(f"| {kernel:32} | " + " | ".join(str(counts[outcome]) for outcome in outcomes) + " |")
    for mutant, outcome in results:
        if outcome != "caught" and not (outcome == "escaped" and mutant.unseen):
            print(f"{outcome}: {mutant}")


def main():
    parser = argparse.ArgumentParser(prog="run.sh")
    parser.add_argument("kernel", nargs="*")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--again", type=pathlib.Path)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()

    mutants = read_lists()
    if arguments.again:
        caught = {line[8:] for line in arguments.again.read_text(encoding="utf-8").splitlines() if line.startswith("caught: ")}
        mutants = [mutant for mutant in mutants if str(mutant) not in caught]
    if arguments.kernel:
        mutants = [mutant for mutant in mutants if any(word in mutant.kernel for word in arguments.kernel)]
    if not mutants:
        sys.exit("no mistake belongs to that")
    stale = [mutant for mutant in mutants if plant(mutant) is None]
    for mutant in stale:
        print(f"stale: {mutant}: its text is not in the kernel, or more than once")
    if arguments.check or stale:
        sys.exit(1 if stale else 0)

    commands = compile_commands()
    links = {program: link_command(program) for program in {mutant.program for mutant in mutants}}
    results = []
    SCRATCH.mkdir(parents=True, exist_ok=True)
    with open(SCRATCH / "results.txt", "w", encoding="utf-8") as file:
        with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
            outcomes = pool.map(lambda mutant: run_mutant(mutant, commands, links), mutants)
            for mutant, outcome in zip(mutants, outcomes):
                results.append((mutant, outcome))
                print(f"{outcome}: {mutant}", file=file, flush=True)
                print(f"{len(results)}/{len(mutants)} {outcome}: {mutant}", flush=True)
    report(results)
    escaped = [mutant for mutant, outcome in results if outcome == "escaped" and not mutant.unseen]
    sys.exit(1 if escaped or any(outcome in ("stale", "does not compile") for _, outcome in results) else 0)


main()
