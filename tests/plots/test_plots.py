import itertools
import re
import subprocess
import sys
import threading
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import rcParams
from matplotlib.colors import to_hex, to_rgb

from metaopt import plots
from metaopt.core.errors import StudyError
from metaopt.stats import StatisticsError, band, best_so_far

LABELS = ["random", "sobol", "genetic", "pso", "tabu", "grid", "skopt"]


@pytest.fixture
def repeats():
    rng = np.random.default_rng(0)
    return {label: rng.uniform(1, 2, size=(8, 30)) for label in LABELS}


def lines(axes):
    return {line.get_label(): line for line in axes.get_lines() if line.get_label()[0] != "_"}


def test_curves_show_the_median_and_the_quartiles_of_the_best_so_far(repeats):
    (axes,) = plots.curves(repeats).axes
    drawn = lines(axes)
    assert list(drawn) == LABELS
    for label, polygon in zip(LABELS, axes.collections, strict=True):
        expected = band(best_so_far(repeats[label]))
        assert np.array_equal(drawn[label].get_ydata(), expected.median)
        assert drawn[label].get_xdata().tolist() == list(range(1, 31))
        (path,) = polygon.get_paths()
        assert path.vertices[:, 1].min() == expected.lower.min()
        assert path.vertices[:, 1].max() == expected.upper.max()


def test_curves_of_best_values_so_far_give_the_same_figure(repeats):
    raw = plots.curves(repeats).axes[0]
    best = plots.curves({k: best_so_far(v) for k, v in repeats.items()}).axes[0]
    for a, b in zip(raw.get_lines(), best.get_lines(), strict=True):
        assert np.array_equal(a.get_ydata(), b.get_ydata())


def test_curves_of_unequal_length_and_with_failures_are_drawn():
    figure = plots.curves({"a": [[3.0, None, 1.0], [2.0]], "b": [[None, None]]})
    drawn = lines(figure.axes[0])
    assert drawn["a"].get_ydata().tolist() == [2.5, 2.5, 1.5]
    assert np.isnan(drawn["b"].get_ydata()).all()
    figure.draw_without_rendering()


def test_curves_to_the_optimum_show_the_distance_in_either_direction():
    low = plots.curves({"a": [[5.0, 3.0]]}, optimum=1.0).axes[0]
    high = plots.curves({"a": [[-5.0, -3.0]]}, optimum=-1.0, direction="maximize").axes[0]
    for axes in (low, high):
        assert lines(axes)["a"].get_ydata().tolist() == [4.0, 2.0]
        assert axes.get_ylabel() == "distance to optimum"


def test_the_value_axis_is_logarithmic_when_positive_values_span_a_factor_of_ten():
    assert plots.curves({"a": [[10.0, 1.0]]}).axes[0].get_yscale() == "log"
    assert plots.curves({"a": [[9.0, 1.0]]}).axes[0].get_yscale() == "linear"
    assert plots.curves({"a": [[10.0, 0.0]]}).axes[0].get_yscale() == "linear"
    assert not plots.wants_log(np.array([np.nan, np.inf]))
    assert plots.wants_log(np.array([np.nan, np.inf, 1.0, 30.0]))


def test_a_bad_start_does_not_flatten_the_rest_of_a_linear_axis():
    values = np.concatenate([[50.0, 40.0], np.linspace(-1, -2, 38)])
    low, high = plots.curves({"a": [values]}).axes[0].get_ylim()
    assert -2.1 < low < -2 and -1.1 < high < 0


def test_ranks_are_dots_with_intervals_best_on_top():
    means = {"b": 2.5, "a": 1.25, "c": 2.25}
    intervals = {label: (mean - 0.5, mean + 0.25) for label, mean in means.items()}
    (axes,) = plots.ranks(means, intervals, colors=["a", "b", "c"]).axes
    assert [t.get_text() for t in axes.get_yticklabels()] == ["a", "c", "b"]
    assert axes.yaxis_inverted()
    drawn = lines(axes)
    for row, label in enumerate(["a", "c", "b"]):
        assert (drawn[label].get_xdata()[0], drawn[label].get_ydata()[0]) == (means[label], row)
    spans = [tuple(x.get_xdata()) for x in axes.get_lines() if len(x.get_xdata()) == 2]
    assert spans == [intervals[label] for label in ["a", "c", "b"]]
    low, high = axes.get_xlim()
    assert low < 0.75 and high > 3


def test_values_show_every_repeat_and_the_median_of_each_problem():
    finals = {"p": {"a": [1.0, 2.0, 4.0], "b": [np.nan, 3.0]}, "q": {"b": [0.001, 10.0]}}
    p, q = plots.values(finals).axes
    assert lines(p)["a"].get_xdata().tolist() == [1, 2, 4]
    assert lines(p)["b"].get_xdata().tolist() == [3]
    medians = [line.get_xdata()[0] for line in p.get_lines() if line.get_label()[0] == "_"]
    assert medians == [2, 3]
    assert [t.get_text() for t in p.texts] == ["1 failed"]
    assert [t.get_text() for t in p.get_yticklabels()] == ["a", "b"]
    assert (
        round(float(lines(q)["b"].get_ydata().mean()), 9) == 1
    )  # b stays in its row, though a is missing
    assert (p.get_xscale(), q.get_xscale()) == ("linear", "log")
    assert (p.get_title(loc="left"), q.get_title(loc="left")) == ("p", "q")


def test_a_strategy_has_the_same_colour_in_every_figure(repeats):
    subset = {label: repeats[label] for label in ("tabu", "random")}
    figures = [
        plots.curves(subset, colors=LABELS),
        plots.ranks({"tabu": 1.0, "random": 2.0}, colors=LABELS),
        plots.values({"p": {"tabu": [1.0, 2.0], "random": [1.5, 3.0]}}, colors=LABELS),
    ]
    for figure in figures:
        drawn = lines(figure.axes[0])
        assert to_hex(drawn["random"].get_color()).upper() == plots.PALETTE[0]
        assert to_hex(drawn["tabu"].get_color()).upper() == plots.PALETTE[4]


def test_thirty_two_labels_have_different_styles():
    looks = plots.styles(f"s{i}" for i in range(32))
    assert len(set(looks.values())) == 32
    assert len({look.color for look in looks.values()}) == 8
    assert looks["s8"].line != looks["s0"].line


def test_no_labels_of_curves_overlap_or_leave_the_figure(repeats):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = plots.curves({k: np.ones((2, 5)) + i * 1e-9 for i, k in enumerate(repeats)})
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    texts = figure.axes[0].texts
    boxes = [text.get_window_extent(canvas.get_renderer()) for text in texts]
    assert [text.get_text() for text in texts] == LABELS
    for box, above in itertools.pairwise(boxes):
        assert box.y1 <= above.y0 + 1
    assert max(b.x1 for b in boxes) <= figure.bbox.x1 and min(b.y0 for b in boxes) >= 0


@given(st.lists(st.floats(-0.5, 1.5), min_size=1, max_size=20))
def test_labels_are_spread_in_order_within_the_axes(wanted):
    got = plots.spread_apart(np.sort(wanted), 0.06)
    gap = min(0.06, 1 / max(1, len(wanted) - 1))
    assert np.all(np.diff(got) >= gap - 1e-9)
    assert got[0] >= -1e-9 and got[-1] <= 1 + 1e-9


def test_labels_that_do_not_overlap_are_not_moved():
    wanted = np.array([0.1, 0.5, 0.9])
    assert plots.spread_apart(wanted, 0.06) == pytest.approx(wanted)


def test_saving_writes_the_same_png_and_svg_each_time(repeats, tmp_path):
    first = plots.save(plots.curves(repeats), tmp_path / "new" / "run.v1")
    again = plots.save(plots.curves(repeats), tmp_path / "again")
    assert [path.name for path in first] == ["run.v1.png", "run.v1.svg"]
    for a, b in zip(first, again, strict=True):
        assert a.read_bytes() == b.read_bytes()
    assert b"dc:date" not in first[1].read_bytes()
    assert first[0].read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_repeated_saving_gives_the_same_files_and_keeps_the_users_axes(repeats, tmp_path):
    figure = plots.curves(repeats)
    own = figure.add_axes((0.5, 0.5, 0.2, 0.2))
    first = plots.save(figure, tmp_path / "first", ["svg", "png", "pdf"])
    again = plots.save(figure, tmp_path / "again", ["png", "pdf", "svg"])
    for path in first:
        other = next(p for p in again if p.suffix == path.suffix)
        assert path.read_bytes() == other.read_bytes()
    assert own.get_position().bounds == pytest.approx((0.5, 0.5, 0.2, 0.2))


def test_saving_from_threads_changes_no_global_setting(repeats, tmp_path):
    before = dict(rcParams)

    def draw(i):
        plots.save(plots.ranks({"a": 1.0, "b": 2.0}), tmp_path / str(i))

    threads = [threading.Thread(target=draw, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(tmp_path.iterdir())) == 8
    assert dict(rcParams) == before


def test_matplotlib_is_imported_by_the_first_figure_and_pyplot_never():
    code = (
        "import sys; from metaopt import plots\n"
        "assert 'matplotlib' not in sys.modules\n"
        "plots.ranks({'a': 1.0})\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.curves({}), "at least one label, got none"),
        (lambda: plots.values({}), "at least one label, got none"),
        (lambda: plots.ranks({"a": np.nan}), "mean rank of 'a' must be finite, got nan"),
        (lambda: plots.ranks({"pso": 1.0}, colors=["ps0"]), "'pso' is missing; did you mean"),
        (lambda: plots.styles(str(i) for i in range(33)), "at most 32 labels .* got 33"),
    ],
)
def test_invalid_input_is_rejected_with_the_expected_values(call, message):
    with pytest.raises(StatisticsError, match=message):
        call()


def test_an_svg_for_a_page_has_unique_ids_and_the_colour_of_the_text():
    figure = plots.ranks({"a <b>": 1.0, "c": 2.0})
    text = plots.svg(figure, "fig1", alt='"a <b>" is first')
    assert text.startswith("<svg") and text.endswith("</svg>")
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids)) and all(name.startswith("fig1-") for name in ids)
    used = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', text)
    assert used and {a or b for a, b in used} <= set(ids)
    assert "currentColor" in text and plots.style.INK.lower() not in text.lower()
    root = ElementTree.fromstring(text)
    assert root.attrib["role"] == "img" and root.attrib["aria-label"] == '"a <b>" is first'
    assert text == plots.svg(figure, "fig1", alt='"a <b>" is first')
    assert "fill: #ffffff" not in text


def test_a_pdf_is_reproducible_and_an_unknown_format_is_rejected(repeats, tmp_path):
    first, again = (
        plots.save(plots.curves(repeats), tmp_path / name, ["pdf"])[0] for name in ("a", "b")
    )
    assert first.read_bytes() == again.read_bytes() and b"CreationDate" not in first.read_bytes()
    with pytest.raises(StudyError, match="one of png, svg, pdf, got 'gif'"):
        plots.save(plots.curves(repeats), tmp_path / "c", ["gif"])


MACHADO = {  # Machado, Oliveira and Fernandes (2009): full protanopia, deuteranopia, tritanopia
    "normal": np.eye(3),
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritan": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)


def linear(color):
    c = np.array(to_rgb(color))
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    t = XYZ @ np.clip(rgb, 0, 1) / (XYZ @ np.ones(3))
    f = np.where(t > 0.008856, np.cbrt(t), 7.787 * t + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("eye", MACHADO)
def test_colours_differ_for_every_kind_of_vision(eye):
    seen = [lab(np.array(MACHADO[eye]) @ linear(c)) for c in plots.PALETTE]
    apart = [np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)]
    assert min(apart) > 15  # a difference of 2.3 is just noticeable


@pytest.mark.parametrize("page", ["#FFFFFF", "#14171C"])
def test_colours_stand_out_on_a_light_and_a_dark_page(page):
    """WCAG requires a contrast ratio of 3 for graphics; the curves have labels, so 2 is enough."""
    paper = (XYZ @ linear(page))[1] + 0.05
    for color in plots.PALETTE:
        ink = (XYZ @ linear(color))[1] + 0.05
        assert max(ink, paper) / min(ink, paper) > 2.0, color
