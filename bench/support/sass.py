"""Reads the machine code of CUDA kernels: instructions, loops and resources, by cuobjdump."""

import collections
import os
import pathlib
import re
import shutil
import subprocess

KINDS = ["HMMA", "FP32", "FP64", "MUFU", "integer", "convert", "LDS", "STS", "LDG", "STG", "LDGSTS", "local", "branch",
         "barrier", "other"]
PRECISIONS = {"0": "float32", "1": "tf32x3", "2": "tf32", "3": "fp16x3"}
WALKS = {"0": "sums", "1": "attend", "2": "attend_by_keys", "3": "attend_by_both"}


class Failure(Exception):
    pass


def kind_of(opcode):
    """The kind of an instruction, from its opcode with modifiers."""
    base = opcode.split(".")[0]
    if base in ("HMMA", "HGMMA", "IMMA", "DMMA"):
        return "HMMA"
    if base in ("FFMA", "FADD", "FMUL", "FSETP", "FSEL", "FMNMX", "FSET", "FCHK", "FSWZADD", "HFMA2", "HADD2", "HMUL2"):
        return "FP32"
    if base in ("DFMA", "DADD", "DMUL", "DSETP"):
        return "FP64"
    if base == "MUFU":
        return "MUFU"
    if base in ("F2F", "F2I", "I2F", "FRND", "F2FP", "I2FP", "I2I"):
        return "convert"
    if base in ("LDS", "LDSM"):
        return "LDS"
    if base in ("STS", "STSM", "ATOMS"):
        return "STS"
    if base in ("LDG", "LD"):
        return "LDG"
    if base in ("STG", "ST", "RED", "ATOM", "ATOMG"):
        return "STG"
    if base == "LDGSTS":
        return "LDGSTS"
    if base in ("LDL", "STL"):
        return "local"
    if base in ("BRA", "BRX", "JMP", "BSSY", "BSYNC", "CALL", "RET", "EXIT", "BREAK", "WARPSYNC", "YIELD", "BMOV"):
        return "branch"
    if base in ("BAR", "DEPBAR", "LDGDEPBAR", "MEMBAR", "ERRBAR", "CCTL", "VOTE", "SHFL"):
        return "barrier"
    if base.startswith("I") or base in ("LOP3", "PLOP3", "SHF", "SEL", "LEA", "PRMT", "VABSDIFF", "POPC", "FLO", "BREV",
                                        "SGXT", "BMSK", "VIADD", "VIMNMX", "P2R", "R2P", "LOP", "SHL", "SHR"):
        return "integer"
    return "other"


class Loop:
    """The instructions between a backward branch and its target; `own` leaves out those of loops inside."""

    def __init__(self, first, last):
        self.first, self.last = first, last
        self.inner = []
        self.own = []

    def holds(self, address):
        return self.first <= address <= self.last

    def is_innermost(self):
        return not self.inner


class Kernel:
    def __init__(self, file, mangled):
        self.file, self.mangled, self.name = file, mangled, mangled
        self.instructions = []  # (address, opcode)
        self.branches = []      # (address, target)
        self.registers = self.stack = self.shared = self.local = 0
        self.loops = []
        self.straight = []      # opcodes outside every loop

    def find_loops(self):
        last_of = {}
        for address, target in self.branches:
            if target < address:  # several branches back to one place are one loop
                last_of[target] = max(address, last_of.get(target, 0))
        # The disassembly ends in a branch to itself, which never runs: target == address is left out above.
        self.loops = [Loop(first, last) for first, last in sorted(last_of.items())]
        for outer in self.loops:
            outer.inner = [loop for loop in self.loops
                           if loop is not outer and outer.holds(loop.first) and outer.holds(loop.last)]
        for address, opcode in self.instructions:
            around = [loop for loop in self.loops if loop.holds(address)]
            if around:
                min(around, key=lambda loop: loop.last - loop.first).own.append(opcode)
            else:
                self.straight.append(opcode)

    def counts(self, opcodes):
        return collections.Counter(kind_of(opcode) for opcode in opcodes)

    def spills(self):
        return sum(1 for _, opcode in self.instructions if kind_of(opcode) == "local")


def tool():
    named = os.environ.get("CUOBJDUMP", "cuobjdump")
    found = shutil.which(named)
    if found is None:
        raise Failure("there is no cuobjdump; $CUOBJDUMP may name it (it is in the Python package nvidia-cuda-cuobjdump)")
    return found


def run(command):
    environment = dict(os.environ)
    environment["PATH"] = str(pathlib.Path(command[0]).resolve().parent) + os.pathsep + environment["PATH"]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if result.returncode != 0:
        raise Failure(f"{' '.join(command)} failed: {result.stderr.strip() or result.stdout.strip()}")
    return result.stdout


def readable(names):
    """Names without namespaces, types of arguments and views; numbers of enumerations as their names."""
    answer = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True, check=True).stdout
    result = []
    for name in answer.splitlines():
        name = re.sub(r"(sea|cuda|split|detail|\(anonymous namespace\))::|void ", "", name)
        name = re.sub(r"\(MatmulPrecision\)(\d)", lambda match: PRECISIONS.get(match[1], match[0]), name)
        name = re.sub(r"\(WalkKind\)(\d)", lambda match: WALKS.get(match[1], match[0]), name)
        name = re.sub(r"\((int|bool)\)", "", name)
        name = re.sub(r", BasicMatrixView<[^>]*>", "", name).replace(" >", ">")
        result.append(re.sub(r"\(.*", "", name))
    return result


INSTRUCTION = re.compile(r"^\s*/\*([0-9a-f]{4,})\*/\s+(?:\{\s*)?(@!?U?P\w+\s+)?([A-Z][\w.]*)\s*(.*?);")


def parse_sass(text):
    """Kernels by their mangled names, from `cuobjdump -sass`."""
    kernels, file, kernel = {}, "", None
    for line in text.splitlines():
        if line.startswith(("member ", "Fatbin elf")) or ".o:" in line and line.strip().endswith(":"):
            named = re.search(r"([\w.]+\.cu)\.o", line)
            if named:
                file = named[1]
        elif "Function :" in line:
            mangled = line.split("Function :")[1].strip()
            kernel = kernels.setdefault(mangled, Kernel(file, mangled))
            kernel.instructions, kernel.branches = [], []
        elif kernel is not None:
            match = INSTRUCTION.match(line)
            if match is None:
                continue
            address, opcode, operands = int(match[1], 16), match[3], match[4]
            if match[2] and match[2].strip() == "@!PT":  # never done: the compiler's way around a hazard
                opcode = "NOP"
            kernel.instructions.append((address, opcode))
            target = re.search(r"0x([0-9a-f]+)\s*$", operands)
            if opcode.split(".")[0] == "BRA" and target:
                kernel.branches.append((address, int(target[1], 16)))
    for kernel in kernels.values():
        while kernel.instructions and kernel.instructions[-1][1] == "NOP":
            kernel.instructions.pop()
        kernel.find_loops()
    return kernels


def add_resources(kernels, text):
    """Adds what `cuobjdump --dump-resource-usage` says."""
    kernel = None
    for line in text.splitlines():
        if line.startswith(" Function "):
            kernel = kernels.get(line[len(" Function "):].rstrip(":").strip())
        elif kernel is not None and "REG:" in line:
            values = dict(re.findall(r"(\w+):(\d+)", line))
            kernel.registers, kernel.stack = int(values["REG"]), int(values["STACK"])
            kernel.shared, kernel.local = int(values["SHARED"]), int(values["LOCAL"])


def read_library(path):
    cuobjdump = tool()
    kernels = parse_sass(run([cuobjdump, "-arch", "sm_90", "-sass", str(path)]))
    add_resources(kernels, run([cuobjdump, "-arch", "sm_90", "--dump-resource-usage", str(path)]))
    if not kernels:
        raise Failure(f"{path} has no machine code for sm_90")
    kernels = [kernel for kernel in kernels.values() if not re.search(r"cub|thrust", kernel.mangled)]
    for kernel, name in zip(kernels, readable([kernel.mangled for kernel in kernels])):
        kernel.name = name
    return sorted(kernels, key=lambda kernel: (kernel.file, kernel.name))
