"""A model of an H200, by which sass_report predicts a kernel's time from its machine code and its launch.

Nothing of it was measured here. A multiprocessor has four parts, each of which issues one instruction of a warp a cycle.
What an instruction keeps of its unit, in cycles of a part, is in UNIT_CYCLES; the busiest unit decides. Blocks go out in
waves of as many as fit, and a wave is paid whole: a block alone takes as long as among its neighbours. Latencies, bank
conflicts and clocks that fall under load are not in it.

A step's launches lie on streams: one begins when the one before it on its stream and those that it waits for have ended.
`path` lets streams run side by side as if each had the device to itself: that is the least the graph allows. `shared`
lets them share the multiprocessors: a launch asks for as many as it has blocks, the narrow stream gets what it asks for,
the others share the rest; the gap before a launch takes none.
"""

import dataclasses
import math
import re

import sass

MULTIPROCESSORS = 132
GHZ = 1.75
PARTS = 4                       # of a multiprocessor
L2_BYTES_US = 5.5e6
MEMORY_BYTES_US = 4.0e6
SHORTEST_US = 1.3               # of a kernel: a chain of reads, and its start
GAP_US = 1.2                    # between dependent nodes of a graph
GRID_BARRIER_US = 1.5
SHARED_BYTES = 228 * 1024       # of a multiprocessor; 1 KB of each block is the system's
REGISTERS = 65536
HMMA_CYCLES = 6.15              # mma.sync m16n8k8 TF32 and m16n8k16 half: 62 % of the tensor peak


class UnknownKernel(Exception):
    pass


@dataclasses.dataclass
class Launch:
    """One launch of a step. `trips` says how often in all a warp goes through a loop, named by
    what it holds (`loops_named`); other loops run once. `repeats` counts all loops again. Bytes are of the whole
    launch."""
    part: str
    label: str
    kernel: str                 # an expression for the kernel's name
    blocks: int = 1
    threads: int = 256
    shared: int = 0
    trips: dict = dataclasses.field(default_factory=dict)
    repeats: int = 1            # of all loops, as the steps of a fit
    barriers: int = 0           # of the grid
    l2: float = 0
    memory: float = 0
    stream: str = "main"
    after: tuple = ()           # marks of launches of other streams that it waits for
    mark: str = ""


@dataclasses.dataclass
class Time:
    kernel: object
    blocks_per_multiprocessor: int
    issue: float
    tensor: float
    shared: float
    l2: float
    memory: float
    bound: float
    us: float                   # with the gap to the next launch


def width_bytes(opcode):
    return 16 if ".128" in opcode else 8 if ".64" in opcode else 4


def unit_cycles(opcode, kind):
    """(unit, cycles of a multiprocessor's part) of one instruction of a warp."""
    if kind == "HMMA":
        return "tensor", HMMA_CYCLES
    if kind == "MUFU" or kind == "convert" and not opcode.startswith(("F2FP", "I2FP")):
        return "special", 8
    if kind == "FP64":
        return "double", 2
    if kind == "FP32" or opcode.startswith("IMAD"):
        return "float", 1
    if kind == "integer" or kind == "convert":
        return "integer", 2
    if kind in ("LDS", "STS"):  # 128 bytes a cycle for the four parts
        matrices = 4 if opcode.endswith(".4") and "LDSM" in opcode else 2 if "LDSM" in opcode else 0
        return "shared", matrices * 4 if matrices else width_bytes(opcode)
    if kind == "LDGSTS":
        return "shared", width_bytes(opcode)
    return "none", 0


def blocks_per_multiprocessor(kernel, launch):
    registers = math.ceil(kernel.registers * 32 / 256) * 256 * math.ceil(launch.threads / 32)
    return max(1, min(32, 2048 // launch.threads, REGISTERS // max(registers, 1),
                      SHARED_BYTES // (launch.shared + 1024)))


def find(launch, kernels):
    found = [kernel for kernel in kernels if re.search(launch.kernel, kernel.name)]
    names = {kernel.name for kernel in found}  # one of `common/` is compiled into each file that launches it
    if len(names) != 1:
        raise UnknownKernel(f"{launch.label}: {launch.kernel!r} names {len(names)} kernels of the library, not one")
    return found[0]


def loops_named(kernel, selector):
    innermost = [loop for loop in kernel.loops if loop.is_innermost()]
    around = lambda found: [loop for loop in kernel.loops if any(inner in found for inner in loop.inner)]
    holding = lambda kind: [loop for loop in innermost if any(sass.kind_of(opcode) == kind for opcode in loop.own)]
    if selector == "largest":
        return [max(innermost, key=lambda loop: len(loop.own))] if innermost else []
    if selector == "copies":
        return holding("LDGSTS")
    if selector == "tensor":
        return holding("HMMA")
    if selector == "halves":  # of a kernel that has a second way, in TF32
        return [loop for loop in holding("HMMA") if any(opcode.startswith("LDSM") for opcode in loop.own)]
    if selector == "around tensor":
        return around(holding("HMMA"))
    if selector.split()[-2:] in (["first", "tensor"], ["second", "tensor"]):
        own = holding("HMMA")[0 if "first" in selector else 1:][:1]
        return around(own) if selector.startswith("around") else own
    special = holding("MUFU")
    tiles = min(around(special), key=lambda loop: loop.last - loop.first, default=None)
    if selector == "special":
        return special
    if selector == "around special":
        return [tiles] if tiles else []
    if selector == "beside special":  # the loop with most arithmetic in the same loop
        beside = [loop for loop in (tiles.inner if tiles else []) if loop not in special]
        return sorted(beside, key=lambda loop: -kernel.counts(loop.own)["FP32"])[:1]
    if selector == "gathers":
        return [loop for loop in holding("LDG") if kernel.counts(loop.own)["FP32"] >= 4]
    raise ValueError(f"no such loops: {selector}")


def opcodes_with_trips(kernel, launch):
    """(opcode, times) for all that one warp executes."""
    times = {id(loop): 1 for loop in kernel.loops}
    for selector, trips in launch.trips.items():
        for loop in loops_named(kernel, selector):
            times[id(loop)] = trips
    for opcode in kernel.straight:
        yield opcode, 1
    for loop in kernel.loops:
        for opcode in loop.own:
            yield opcode, times[id(loop)] * launch.repeats


def predict(launch, kernels):
    from_l2, from_memory = launch.l2 / L2_BYTES_US, launch.memory / MEMORY_BYTES_US
    kernel = find(launch, kernels)
    units = {"issue": 0.0, "tensor": 0.0, "shared": 0.0, "special": 0.0, "integer": 0.0, "float": 0.0, "double": 0.0}
    for opcode, times in opcodes_with_trips(kernel, launch):
        units["issue"] += times
        unit, cycles = unit_cycles(opcode, sass.kind_of(opcode))
        if cycles:
            units[unit] += cycles * times
    together = blocks_per_multiprocessor(kernel, launch)
    # Blocks of a wave that the device does not fill lie on a multiprocessor each, as far as they go round.
    waves = math.ceil(launch.blocks / (MULTIPROCESSORS * together))
    per_multiprocessor = waves * together if waves > 1 else math.ceil(launch.blocks / MULTIPROCESSORS)
    warps_of_part = per_multiprocessor * math.ceil(launch.threads / 32) / PARTS
    us = {unit: cycles * warps_of_part / GHZ / 1e3 for unit, cycles in units.items()}
    issue = max(us[unit] for unit in ("issue", "special", "integer", "float", "double"))
    bound = max(issue, us["tensor"], us["shared"], from_l2, from_memory, SHORTEST_US)
    bound += launch.barriers * GRID_BARRIER_US
    return Time(kernel, together, issue, us["tensor"], us["shared"], from_l2, from_memory, bound, bound + GAP_US)


@dataclasses.dataclass
class Path:
    us: float
    launches: list              # of the critical path, in their order


def predecessors(launches):
    """For each launch the numbers of those that it waits for."""
    last_of, marked, result = {}, {}, []
    for i, launch in enumerate(launches):
        before = [marked[mark] for mark in launch.after]
        if launch.stream in last_of:
            before.append(last_of[launch.stream])
        result.append(before)
        last_of[launch.stream] = i
        if launch.mark:
            marked[launch.mark] = i
    return result


def path(launches, times):
    """The longest chain of launches that wait for each other."""
    before, ends = predecessors(launches), []
    for i, time in enumerate(times):
        ends.append(time.us + max((ends[j] for j in before[i]), default=0.0))
    chain = [max(range(len(launches)), key=lambda i: ends[i])]
    while before[chain[-1]]:
        chain.append(max(before[chain[-1]], key=lambda j: ends[j]))
    return Path(ends[chain[0]], [launches[i] for i in reversed(chain)])


def shared(launches, times):
    """Microseconds of a step whose streams share the multiprocessors."""
    waits = [set(before) for before in predecessors(launches)]
    gap = [GAP_US] * len(launches)
    work = [time.bound for time in times]
    part = [min(1.0, launch.blocks / MULTIPROCESSORS) for launch in launches]
    left, now = set(range(len(launches))), 0.0
    while left:
        running = [i for i in sorted(left) if not waits[i]]
        busy = [i for i in running if gap[i] <= 1e-9]
        free = 1.0
        rate = {}
        for narrow in (True, False):
            wanted = [i for i in busy if (launches[i].stream == "narrow") == narrow]
            asked = sum(part[i] for i in wanted)
            for i in wanted:
                rate[i] = min(1.0, free / asked)
            free = max(0.05, free - asked)  # never quite none: blocks end, and others take their places
        step = min([gap[i] for i in running if i not in rate] + [work[i] / rate[i] for i in busy])
        now += step
        for i in running:
            if i in rate:
                work[i] -= step * rate[i]
            else:
                gap[i] -= step
        for i in [i for i in busy if work[i] <= 1e-9]:
            left.discard(i)
            for others in waits:
                others.discard(i)
    return now
