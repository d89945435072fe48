"""Pictures as SVG whose colours are the page's: they follow its light or dark scheme, and texts stay texts."""

import html
import io
import re

from reporting.runs import MOST_RUNS, fail

try:
    import matplotlib
except ImportError:
    fail("pictures need matplotlib: apt-get install python3-matplotlib")
matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

# (light, dark). A picture is drawn in stand-ins, of which `to_svg` makes names.
PALETTE = {
    "ink": ("#1b1f24", "#e6e8eb"),
    "muted": ("#59636e", "#9aa4af"),
    "grid": ("#d8dde3", "#343b44"),
    "ground": ("#ffffff", "#14171b"),
    "run0": ("#0b62a8", "#6cb6f5"),
    "run1": ("#b34700", "#f0a060"),
    "run2": ("#1a7f4b", "#5fd39a"),
    "run3": ("#8a3fa0", "#d79be8"),
    "run4": ("#7a6000", "#dcc34a"),
    "run5": ("#b0245c", "#f58fb4"),
    "run6": ("#4a5561", "#b4bec9"),
    "run7": ("#00788a", "#58cfe0"),
}
STAND_INS = {name: f"#{0xfe0000 + number:06x}" for number, name in enumerate(PALETTE)}
MARKERS = "osD^vPX*"
WIDTH = 5.0  # inches of 72 units

matplotlib.rcParams.update({
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "sea",  # the same runs, the same file
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": STAND_INS["muted"],
    "axes.labelcolor": STAND_INS["ink"],
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": STAND_INS["grid"],
    "text.color": STAND_INS["ink"],
    "xtick.color": STAND_INS["muted"],
    "ytick.color": STAND_INS["muted"],
    "xtick.labelcolor": STAND_INS["ink"],
    "ytick.labelcolor": STAND_INS["ink"],
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
})


def colour(name):
    """The stand-in of a name of the palette, for matplotlib."""
    return STAND_INS[name]


def run_colour(number):
    return colour(f"run{number % MOST_RUNS}")


def make_figure(height=3.2, panels=1, width=WIDTH):
    """A figure and its axes, side by side."""
    figure, axes = pyplot.subplots(1, panels, figsize=(width, height), squeeze=False, layout="constrained")
    return figure, list(axes[0])


def style(scheme=None):
    """CSS of the palette: of both schemes, or of one alone."""
    def block(which):
        return " ".join(f"--{name}: {colours[which]};" for name, colours in PALETTE.items())

    if scheme is not None:
        return f":root {{ {block(0 if scheme == 'light' else 1)} }}"
    return f":root {{ {block(0)} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {block(1)} }} }}"


def to_svg(figure, name, label, alone=False):
    """The figure as an <svg> element. `name` begins its ids, `label` is what is read aloud.

    `alone`: as a file of its own, with the palette and a ground.
    """
    for axis in figure.axes:
        axis.tick_params(length=3)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    pyplot.close(figure)
    text = buffer.getvalue()
    text = text[text.index("<svg"):]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    for palette_name, stand_in in STAND_INS.items():
        text = text.replace(stand_in, f"var(--{palette_name})")
    # Coordinates to a hundredth; what stands between the tags, the labels, stays as it is.
    text = re.sub(r"<[^>]*>", lambda tag: re.sub(r"(\d+\.\d\d)\d+", r"\1", tag[0]), text)
    # Ids of matplotlib's groups say nothing; the others are met once a page.
    text = re.sub(r' id="[a-z_]+[a-z]*_\d+"', "", text)
    text = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{name}-", text)
    text = text.replace("xlink:href", "href")
    text = re.sub(r"'DejaVu Sans'[^;\"]*", "'DejaVu Sans', Verdana, sans-serif", text)
    box = re.search(r'viewBox="([^"]*)"', text).group(1)
    head = f'<svg id="{name}" viewBox="{box}" role="img" aria-label="{html.escape(label)}"'
    ground = ""
    if alone:
        width, height = box.split()[2:]
        head += f' width="{width}" height="{height}" xmlns="http://www.w3.org/2000/svg"'
        ground = f'<style>{style()}</style><rect width="100%" height="100%" fill="var(--ground)"/>\n'
    return re.sub(r"<svg[^>]*>", head + ">\n" + ground, text, count=1).strip() + "\n"
