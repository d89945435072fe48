"""Times training steps, epochs or evaluations of two programs on the same data, in turns, each turn in a fresh process, and
prints a table with ratios. bench/compare_pytorch.sh calls it, and says which programs.

  comparison.py --what step|epoch|evaluation --variant NAME --device cpu|cuda --threads N --count N --warmup N
                --rounds N [--busy] [--set KEY=VALUE]... [--json FILE] --ours PROGRAM --theirs PROGRAM DATA...

With --busy the result of a machine that is busy with other work stands too, with the share that other processes used
in the file; its times are upper bounds.
"""

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

BUSY_SHARE = 0.05  # of the cores' time, used by others: above it a timing is of the machine's load, not of a program


def busy_seconds():
    """Processor time of the whole machine, what a hypervisor took included."""
    with open("/proc/stat") as stat:
        user, nice, system, _, _, irq, softirq, steal = (int(x) for x in stat.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def run(program, data, arguments):
    """One turn: what the program measured, and the share of the cores that other processes used meanwhile."""
    with tempfile.TemporaryDirectory() as scratch:
        path = os.path.join(scratch, "measured.json")
        command = [*shlex.split(program), data, f"--{arguments.what}s", str(arguments.count), "--warmup",
                   str(arguments.warmup), "--threads", str(arguments.threads), "--device", arguments.device,
                   "--json", path]
        for assignment in arguments.assignments:
            command += ["--set", assignment]
        started, busy = time.monotonic(), busy_seconds()
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
            _, status, usage = os.wait4(process.pid, 0)
            if status != 0:
                log.seek(0)
                sys.exit(f"{log.read().decode()[-4000:]}\nerror: {shlex.join(command)} failed")
        others = busy_seconds() - busy - usage.ru_utime - usage.ru_stime
        with open(path) as file:
            measured = json.load(file)
        measured["others_share"] = max(0.0, others) / (time.monotonic() - started) / os.cpu_count()
        return measured


def summary(measurements, what):
    """Over the rounds of one side: the median time, the largest peak, the median sgemm rate."""
    first, seconds = measurements[0], f"seconds_per_{what}"
    return {
        "implementation": first["implementation"],
        seconds: statistics.median(m[f"{seconds}_median"] for m in measurements),
        f"{seconds}_rounds": [m[f"{seconds}_median"] for m in measurements],
        "peak_memory_bytes": max(m["peak_memory_bytes"] for m in measurements),
        "sgemm_gflops": statistics.median(m["sgemm_gflops"] for m in measurements),
        "blas_core": first["blas_core"],
        "others_share": max(m["others_share"] for m in measurements),
        **{key: first[key] for key in ("loss_first", "loss_last") if key in first},
        **{key: statistics.median(m[key] for m in measurements) for key in (f"processor_{seconds}_median",)
           if key in first},
    }


def check_same_work(data, everything, what):
    """A ratio of two different jobs says nothing."""
    sizes = set.intersection(*(set(m["sizes"]) for m in everything))
    for key in ("threads", f"{what}s", *sorted(sizes)):
        values = [m["sizes"][key] if key in sizes else m[key] for m in everything]
        if any(value != values[0] for value in values):
            sys.exit(f"error: the two sides ran different jobs on {data}: {key} is {values}")
    if any("prescott" in m["blas_core"].lower() for m in everything):
        sys.exit(f"error: a side ran OpenBLAS's Prescott core on {data}: the run is invalid")


def compare(folder, arguments):
    data = os.path.basename(os.path.abspath(folder))
    sides = {"ours": [], "theirs": []}
    for turn in range(arguments.rounds):
        for side, program in (("ours", arguments.ours), ("theirs", arguments.theirs)):
            print(f"{data}, round {turn + 1} of {arguments.rounds}: {side}", file=sys.stderr, flush=True)
            sides[side].append(run(program, folder, arguments))
    check_same_work(data, sides["ours"] + sides["theirs"], arguments.what)
    ours, theirs = (summary(sides[side], arguments.what) for side in ("ours", "theirs"))
    seconds = f"seconds_per_{arguments.what}"
    processor = f"processor_{seconds}_median"
    more = {"processor_speed": theirs[processor] / ours[processor]} if processor in ours and processor in theirs else {}
    return {"data": data, "variant": arguments.variant, "settings": arguments.assignments, "what": arguments.what,
            "device": arguments.device, "threads": arguments.threads, f"{arguments.what}s": arguments.count,
            "rounds": arguments.rounds, "sizes": sides["ours"][0]["sizes"], "ours": ours, "theirs": theirs,
            "speed": theirs[seconds] / ours[seconds], **more,
            "memory": ours["peak_memory_bytes"] / theirs["peak_memory_bytes"]}


def show(result):
    what = result["what"]
    sizes = ", ".join(f"{key} {value}" for key, value in result["sizes"].items())
    print(f"\n{result['variant']} on {result['data']} ({sizes}), {result['device']}, {result['threads']} threads, "
          f"{result['rounds']} rounds of {result[what + 's']} {what}s")
    print(f"{'':34} {'ms':>10} {'peak MiB':>9} {'sgemm GFLOP/s':>14}  core")
    for side in (result["ours"], result["theirs"]):
        print(f"{side['implementation']:34} {side['seconds_per_' + what] * 1e3:10.1f} "
              f"{side['peak_memory_bytes'] / 2**20:9.0f} {side['sgemm_gflops']:14.1f}  {side['blas_core']}")
    article = "a" if what == "step" else "an"
    print(f"{article} {what} is {result['speed']:.2f} times as fast, peak memory {result['memory']:.2f} of theirs")
    if "processor_speed" in result:
        print(f"by the processor's time {result['processor_speed']:.2f} times; other processes used up to "
              f"{max(result[side]['others_share'] for side in ('ours', 'theirs')):.0%} of the cores")


def machine():
    with open("/proc/cpuinfo") as cpuinfo:
        model = next((line.split(":")[1].strip() for line in cpuinfo if line.startswith("model name")), "unknown")
    return {"processor": model, "cores": os.cpu_count()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--what", choices=("step", "epoch", "evaluation"), required=True)
    for name in ("--variant", "--device", "--ours", "--theirs"):
        parser.add_argument(name, required=True)
    for name in ("--threads", "--count", "--warmup", "--rounds"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--set", action="append", default=[], dest="assignments", metavar="KEY=VALUE")
    parser.add_argument("--busy", action="store_true")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("data", nargs="+")
    arguments = parser.parse_args()
    results = []
    for folder in arguments.data:
        results.append(compare(folder, arguments))
        show(results[-1])
    busiest = max(result[side]["others_share"] for result in results for side in ("ours", "theirs"))
    if busiest > BUSY_SHARE and not arguments.busy:
        sys.exit(f"error: other processes used {busiest:.0%} of the cores during a turn: these times are invalid, "
                 "and nothing is written; run again on an idle machine")
    if arguments.json:
        os.makedirs(os.path.dirname(os.path.abspath(arguments.json)), exist_ok=True)
        with open(arguments.json, "w") as file:
            json.dump({"date": time.strftime("%Y-%m-%d"), "machine": machine(), "results": results}, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
