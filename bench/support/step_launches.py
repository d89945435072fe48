"""The launches of one training step of SEAa, in their order and on their streams, with the geometry that kernels/*.cu gives them.

A table by hand: who changes a launch in kernels/ changes it here. Assumed: the paper's widths (4,096 visual and 384
textual features), the default settings, 2,048 pairs a batch, twenty neighbours of an item. Bytes of device memory are
those that cannot lie in the second-level cache from the launch before; everything else that is read counts for L2.
"""

import dataclasses
import math

from h200_model import Launch, MULTIPROCESSORS


@dataclasses.dataclass
class Size:
    users: int
    items: int
    pairs: int

    @property
    def nodes(self):
        return self.users + self.items

    @property
    def edges(self):
        return 2 * self.pairs

    @property
    def neighbours(self):
        return 20 * self.items


SIZES = {"baby": Size(19445, 7050, 118551), "sports": Size(35598, 18357, 218409), "clothing": Size(39387, 23033, 197338)}
BATCH = 2048
VISUAL, TEXTUAL = 4096, 384
HEAD, TOWER, EMBEDDING, CLUB = 64, 256, 64, 32
OUTPUTS = HEAD + CLUB + TOWER + CLUB
FIT_STEPS = 50
CACHED = 40e6  # bytes that stay in the second-level cache from one launch to the next


def blocks_of(count, size):
    return math.ceil(count / size)


def memory_of(bytes_):
    """Bytes that come from memory, of a matrix that was written just before."""
    return bytes_ if bytes_ > CACHED else 0


def segments(width):
    """(columns, rows of C) between borders of heads."""
    return [(width // 2, HEAD + CLUB + TOWER), (width - width // 2, TOWER + CLUB)]


# ---- products

SCRATCH_FLOATS = 16 << 20
DEPTH = 32  # of k in a step
# Rows and columns of a tile, time of a step, blocks of a multiprocessor.
LARGE, SMALL, HALVES = (128, 4.0, 1), (64, 1.2, 3), (128, 3.0, 1)
PRECISIONS = {"tf32x3": (LARGE, SMALL), "fp16x3": (HALVES, SMALL)}
tilings_of_products = PRECISIONS["tf32x3"]


LAUNCH = 8  # time of one more kernel


def plan(m, n, k, tilings=None):
    """Time, tiling, parts and steps of a part, as split_product.cu chooses them with tuned.cuh."""
    best = None
    steps = blocks_of(k, DEPTH)
    for tiling in tilings or tilings_of_products:
        size, step_time, together = tiling
        tiles = blocks_of(m, size) * blocks_of(n, size)
        for parts in range(1, min(64, steps) + 1):
            if parts > 1 and parts * m * (n + 1) > SCRATCH_FLOATS:
                break
            each = blocks_of(steps, parts)
            if blocks_of(steps, each) != parts:
                continue
            wave, blocks = MULTIPROCESSORS * together, tiles * parts
            in_turn = blocks // wave * together + blocks_of(blocks % wave, MULTIPROCESSORS)
            time = in_turn * (each + 3) * step_time + (LAUNCH + parts * m * n / 2.5e5 if parts > 1 else 0)
            if best is None or time < best[0]:
                best = (time, tiling, parts, each)
    return best


def product(part, label, m, n, k, a_new=0.0, along="true, true", **more):
    """C (m x n) = A B over k; `along`: which operands have k side by side in memory; `a_new`: bytes of operands that
    come from memory."""
    _, tiling, parts, each = plan(m, n, k)
    size = tiling[0]
    tiles = blocks_of(m, size) * blocks_of(n, size)
    if tiling == HALVES:
        kernel, threads = f"^half_product_kernel<Tiling<128, 128, 64, 32, 1, 2>, {along}>", 256
        shared = 2 * 4 * 2 * 128 * 32 + sum(4 * (128 * 40 if one == "true" else 32 * 136) for one in along.split(", ")) + 128
        trips = {"tensor": 0, "halves": 2 * each, "around tensor": each}
    else:
        name, threads = ("128, 128, 64, 32, 1, 3", 256) if size == 128 else ("64, 64, 32, 32, 3, 3", 128)
        kernel = f"^split_product_kernel<Tiling<{name}>, {along}, 4>"
        shared = 3 * 4 * sum(size * 40 if one == "true" else 32 * (size + 4) for one in along.split(", "))
        trips = {"tensor": 2 * each, "around tensor": each}
    launches = [Launch(part, f"{label}, {parts} parts", kernel, tiles * parts, threads, shared, trips=trips,
                       l2=4.0 * tiles * parts * each * DEPTH * 2 * size + 4.0 * parts * m * n, memory=a_new, **more)]
    if parts > 1:
        launches.append(Launch(part, f"{label}, sum of parts", "^sum_parts_kernel",
                               blocks_of(m, 4) * blocks_of(n, 64), 256,
                               trips={"largest": parts / 4}, l2=4.0 * (parts + 1) * m * n, **more))
    return launches


# ---- kernels over rows and elements

def elementwise(part, label, kernel, rows, columns, reads, new=False, **more):
    bytes_ = 4.0 * rows * columns
    packs = columns // 4
    across = 1
    while across < packs and across < 256:
        across *= 2
    blocks = blocks_of(rows, 256 // across) * blocks_of(packs, across)
    return Launch(part, label, kernel, blocks, 256, l2=bytes_ * (reads + 1),
                  memory=memory_of(bytes_) * (reads + 1) if not new else bytes_ * (reads + 1), **more)


def warp_rows(part, label, kernel, rows, columns, moved, **more):
    """A warp per row, eight rows per block, `moved` floats per element."""
    bytes_ = 4.0 * rows * columns * moved
    return Launch(part, label, kernel, blocks_of(rows, 8), 256, l2=bytes_, memory=memory_of(bytes_), **more)


def batch_norm(part, label, kernels, rows, columns, moved, **more):
    chunks = min(64, blocks_of(rows, 128))
    return [Launch(part, label, kernel, blocks_of(columns, 32) * chunks, 256, 4096,
                   trips={"largest": rows / chunks / 8}, l2=4.0 * rows * columns * m, **more)
            for kernel, m in zip(kernels, moved)]


def linear(part, label, n, inputs, outputs):
    return product(part, label, n, outputs, inputs)


def linear_backward(part, label, n, inputs, outputs):
    """dW = dY^T X in parts and dX = dY W in one launch, then the sum of the first one's parts."""
    first_time, _, first_parts, first_each = plan(outputs, inputs, n, [SMALL])
    second_time, _, second_parts, second_each = plan(n, inputs, outputs, [SMALL])
    apart = plan(outputs, inputs, n)[0] + plan(n, inputs, outputs)[0] + LAUNCH
    if second_parts > 1 or first_time + second_time > apart:
        return (product(part, label + " dW, db", outputs, inputs, n, along="false, false")
                + product(part, label + " dX", n, inputs, outputs, along="true, false"))
    first = blocks_of(outputs, 64) * blocks_of(inputs, 64) * first_parts
    second = blocks_of(n, 64) * blocks_of(inputs, 64)
    blocks, name = first + second, "64, 64, 32, 32, 3, 3"
    # A block has one of the two loops: the mean over the blocks.
    steps = {"first": first_each * first / blocks, "second": second_each * second / blocks}
    shared = 3 * 4 * (64 * 40 + 32 * 68)
    bytes_ = 4.0 * DEPTH * 2 * 64 * (first * first_each + second * second_each)
    launches = [Launch(part, f"{label} dW, db, {first_parts} parts, dX", f"^two_products_kernel<Tiling<{name}>, 4>",
                       blocks, 128, shared,
                       trips={f"{which} tensor": 2 * count for which, count in steps.items()}
                       | {f"around {which} tensor": count for which, count in steps.items()},
                       l2=bytes_ + 4.0 * (first_parts * outputs * inputs + n * inputs))]
    if first_parts > 1:
        launches.append(Launch(part, f"{label} dW, db, sum of parts", "^sum_parts_kernel",
                               blocks_of(outputs, 4) * blocks_of(inputs, 64), 256,
                               trips={"largest": first_parts / 4}, l2=4.0 * (first_parts + 1) * outputs * inputs))
    return launches


def spmm(part, label, rows, edges, columns, residual, **more):
    return Launch(part, label, "^spmm_kernel<SpmmTiling<256, 8>, 32, 4>", blocks_of(rows, 8), 256, 4096,
                  trips={"largest": blocks_of(edges / rows, 8)},
                  l2=edges * columns * 4.0, memory=4.0 * rows * columns * (2 + residual), **more)


# ---- losses

ALIGNMENT_THREADS, ALIGNMENT_SHARED = 128, 37888


def alignment_splits(items):
    tiles, best = blocks_of(items, 64), None
    for splits in range(1, 17):
        if splits > 1 and splits * 4 > tiles:
            break
        each = blocks_of(tiles, splits)
        cut = blocks_of(tiles, each)
        time = blocks_of(blocks_of(items, 128) * cut, 396) * (each + 2)
        if best is None or time < best[0]:
            best = (time, each, cut)
    return best[1:]


def alignment(items):
    part = "alignment"
    tiles, splits = alignment_splits(items)
    row_blocks = blocks_of(items, 32)
    packed = 8.0 * items * 32

    def walk(kind):
        blocks = blocks_of(items, 128) * splits
        return Launch(part, f"walk, {kind}", f"^tensor_walk_kernel<WalkTiling<128, 64, 3>, {kind}>", blocks, ALIGNMENT_THREADS, ALIGNMENT_SHARED,
                      trips={"tensor": tiles * 8, "around tensor": tiles}, l2=blocks * tiles * 64 * 256.0)

    attended = 4.0 * items * 32 * splits
    return [Launch(part, "pack", "^pack_kernel", 2 * row_blocks, 256, 256, trips={"largest": 4}, l2=3.0 * packed),
            walk("attend"),
            Launch(part, "finish queries", "^finish_queries_kernel", row_blocks, 256, 256,
                   trips={"largest": splits / 4}, l2=attended + 16.0 * items * 32),
            walk("attend_by_keys"),
            Launch(part, "add attended, loss", "^add_attended_kernel", row_blocks, 256, 256,
                   trips={"largest": splits / 4}, l2=attended + 8.0 * items * 32)]


def club(items):
    part = "CLUB"
    blocks = min(blocks_of(items, 8), 1024)
    rows = Launch(part, "rows", "^club_rows_32_8_kernel", blocks, 256, 256, trips={"largest": blocks_of(items, 8 * blocks)},
                  l2=4.0 * items * 32 * 5)
    return [rows, Launch(part, "finish", "^club_finish_kernel", blocks_of(items, 8), 256, 256, l2=4.0 * items * 32 * 2)]


def fit(items):
    """The fit of q, two pairs, in tiles of 64 rows; parts of the gradient from every block to every block."""
    tiles = 2 * blocks_of(items, 64)
    chunks = min(tiles, 64)
    blocks = min(chunks, MULTIPROCESSORS // 2)
    per_block = blocks_of(blocks_of(tiles, chunks), 1) * blocks_of(chunks, blocks)
    shared = min(43968 + 18432 * per_block, 227 * 1024)
    parameters = 1104
    streamed = max(0, per_block - (227 * 1024 - 43968) // 18432) * blocks * 2.0 * 64 * 32 * 4
    return Launch("fit of q", "fit", "^fit_tiles_kernel", blocks, 256, shared, repeats=FIT_STEPS, barriers=FIT_STEPS,
                  trips={"around special": per_block, "special": 2 * per_block, "beside special": 4 * per_block,
                         "gathers": blocks_of(parameters, 256) * chunks / 16, "copies": 0}, l2=FIT_STEPS * (blocks * chunks * parameters * 4.0 + streamed))


# ---- the step

def modality(name, size, width):
    """The launches of one modality by what they belong to."""
    items = size.items
    part, tower = f"{name} item layer", "towers and heads"
    weight_bytes = 4.0 * width * width
    layer = [Launch(part, "pack C", "^factored_linear_pack_kernel", OUTPUTS, 256, 128,
                    trips={"largest": width / 256}, l2=12.0 * OUTPUTS * width)]
    for columns, rows in segments(width):
        layer += product(part, "M = C W", rows, width, columns, memory_of(weight_bytes) * columns / width, "true, false")
    layer += product(part, "Y = X M^T", items, OUTPUTS, width, memory_of(4.0 * items * width))
    nodes = [elementwise(tower, f"{name} leaky_relu", "^elementwise_kernel<4, LeakyRelu>", items, TOWER, 1)]
    nodes += linear(tower, f"{name} tower", items, TOWER, EMBEDDING)
    users = warp_rows(tower, f"{name} users' row_normalize", "^row_normalize_kernel", size.users, EMBEDDING, 2)
    nodes.append(warp_rows(tower, f"{name} items' row_normalize", "^row_normalize_kernel", items, EMBEDDING, 2))
    kernels = ["^batch_norm_sums_kernel", "^batch_norm_kernel"]
    head = batch_norm(tower, f"{name} batch_norm", kernels, items, HEAD, (1, 2))
    head += linear(tower, f"{name} head", items, HEAD, HEAD)
    head += batch_norm(tower, f"{name} batch_norm", kernels, items, HEAD, (1, 2))
    head += linear(tower, f"{name} head", items, HEAD, CLUB)
    head.append(warp_rows(tower, f"{name} head's row_normalize", "^row_normalize_kernel", items, CLUB, 2))

    kernels = ["^batch_norm_backward_sums_kernel", "^batch_norm_backward_kernel"]
    head_backward = [warp_rows(tower, f"{name} head's row_normalize'", "^row_normalize_backward_kernel", items, CLUB, 3)]
    head_backward += linear_backward(tower, f"{name} head", items, HEAD, CLUB)
    head_backward += batch_norm(tower, f"{name} batch_norm'", kernels, items, HEAD, (3, 4))
    head_backward += linear_backward(tower, f"{name} head", items, HEAD, HEAD)
    head_backward += batch_norm(tower, f"{name} batch_norm'", kernels, items, HEAD, (3, 4))
    nodes_backward = [
        warp_rows(tower, f"{name} items' row_normalize'", "^row_normalize_backward_kernel", items, EMBEDDING, 3),
        warp_rows(tower, f"{name} users' row_normalize'", "^row_normalize_backward_kernel", size.users, EMBEDDING, 3)]
    nodes_backward += linear_backward(tower, f"{name} tower", items, TOWER, EMBEDDING)
    nodes_backward.append(elementwise(tower, f"{name} leaky_relu'", "^elementwise_kernel<4, LeakyReluBackward>", items,
                                      TOWER, 2))
    layer_backward = product(part, "dM = dY^T X, sums", OUTPUTS, width, items, memory_of(4.0 * items * width), "false, false")
    for columns, rows in segments(width):
        layer_backward += product(part, "dC = dM W^T", rows, columns, width, memory_of(weight_bytes) * columns / width)
    layer_backward.append(Launch(part, "dC, db", "^factored_linear_gradient_kernel", blocks_of(width, 32), 256, 1024,
                                 trips={"largest": OUTPUTS / 8 / 4}, l2=12.0 * OUTPUTS * width))

    depths = sum(blocks_of(rows, 16) for rows in (HEAD, CLUB, TOWER, CLUB)) - (blocks_of(HEAD, 16) + 2 * blocks_of(CLUB, 16)) / 2
    blocks = blocks_of(width, 64) * blocks_of(width, 128)
    update = [Launch(f"{name} update", "powers", "^adam_step_kernel", 1, 1),
              Launch(f"{name} update", "dW and Adam", "^weight_gradient_kernel<UpdateTiling<64, 128, 16, 3, 2>, tf32x3, 4, UpdateWeight>", blocks, 256, 39936,
                     trips={"tensor": 2 * depths, "around tensor": depths}, l2=blocks * depths * 16 * 192 * 4.0,
                     memory=24.0 * width * width)]
    return {"layer": layer, "users": [users], "nodes": nodes, "head": head, "layer'": layer_backward, "nodes'": nodes_backward,
            "head'": head_backward, "update": update}


class Streams:
    """Launches in the order in which a step asks for them, each on its stream."""

    def __init__(self):
        self.launches = []

    def add(self, stream, launches, after=(), mark=""):
        """They follow what is marked `after`, and are marked themselves."""
        for launch in launches:
            launch.stream = stream
        launches[0].after = tuple(after)
        launches[-1].mark = mark
        self.launches += launches


def step(name, precision="fp16x3"):
    global tilings_of_products
    tilings_of_products = PRECISIONS[precision]
    size = SIZES[name]
    items, users, nodes = size.items, size.users, size.nodes
    visual, textual = modality("visual", size, VISUAL), modality("textual", size, TEXTUAL)
    other, graph, both = "the rest", "propagation", 2 * EMBEDDING
    streams = Streams()
    # What narrow's draws and CUB's sort of the batch take is left out: they are over long before the batch is read.
    streams.add("narrow", visual["users"] + textual["users"], mark="users")
    streams.add("main", visual["layer"], mark="visual layer")
    streams.add("main", visual["nodes"])
    streams.add("beside", textual["layer"], mark="textual layer")
    streams.add("beside", textual["nodes"], mark="textual nodes")
    streams.add("narrow", textual["head"], after=["textual layer"], mark="textual head")
    streams.add("beside", visual["head"], after=["visual layer"])
    propagation = [spmm(graph, "A X", nodes, size.edges, both, 1), spmm(graph, "A X", nodes, size.edges, both, 1),
                   warp_rows(other, "modality_weight", "^modality_weight_kernel", users, both, 2),
                   spmm(graph, "S X", items, size.neighbours, both, 1)]
    streams.add("main", propagation, after=["textual nodes", "users"])
    bpr = [Launch(other, "bpr loss", "^bpr_loss_kernel<4>", max(blocks_of(BATCH, 8), 2 * MULTIPROCESSORS), 256,
                  trips={"largest": nodes / 8 / 264}, memory=4.0 * nodes * both, l2=BATCH * 3 * 512.0),
           Launch(other, "bpr gradient", "^bpr_gradient_kernel<4>", blocks_of(3 * BATCH, 8) + 1, 256, 256,
                  l2=BATCH * 6 * 512.0)]
    streams.add("main", bpr)
    streams.add("beside", alignment(items), after=["textual head"])
    streams.add("narrow", club(items), after=["visual layer"])
    streams.add("narrow", club(items), after=["textual layer"], mark="CLUB")
    streams.add("narrow", [fit(items)], mark="fit")

    backward = [spmm(graph, "S^T X", items, size.neighbours, both, 1),
                warp_rows(other, "modality_weight'", "^modality_weight_backward_kernel", users, both, 3),
                spmm(graph, "A^T X", nodes, size.edges, both, 1), spmm(graph, "A^T X", nodes, size.edges, both, 1)]
    streams.add("main", backward, mark="propagation'")
    streams.add("beside", visual["head'"], mark="visual head'")
    streams.add("beside", textual["head'"])
    streams.add("beside", textual["nodes'"], after=["propagation'"])
    streams.add("beside", textual["layer'"], after=["CLUB"])
    streams.add("main", visual["nodes'"])
    streams.add("main", visual["layer'"], after=["visual head'", "CLUB"])
    streams.add("main", visual["update"])
    streams.add("beside", textual["update"], mark="textual update")
    parameters = 2 * users * EMBEDDING + 2 * users + OUTPUTS * (VISUAL + TEXTUAL) + 2 * (TOWER * EMBEDDING + HEAD * HEAD)
    streams.add("main", [Launch(other, "adam", "^adam_kernel<4>", MULTIPROCESSORS * 5, 256, 64,
                                trips={"largest": parameters / 4 / (MULTIPROCESSORS * 5 * 256)},
                                memory=28.0 * parameters)], after=["textual update"])
    streams.launches[-1].mark = "adam"
    streams.add("main", [Launch(other, "advance_step", "^advance_step_kernel", 1, 32)], after=["fit"])
    streams.add("beside", [Launch(other, "accumulate_losses", "^accumulate_losses_kernel", 1, 32)],
                after=["adam", "fit"])
    return streams.launches
