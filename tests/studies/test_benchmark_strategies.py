"""The benchmark of strategies: its arithmetic, and that recorded runs are not repeated."""

import importlib
import sys
from pathlib import Path

import pytest

from metaopt import Categorical, Float, Int, Ordinal, Space

STUDIES = Path(__file__).parents[2] / "studies"


@pytest.fixture
def load(monkeypatch):
    """Import a module of the study, and remove it from `sys.modules` afterwards."""
    monkeypatch.syspath_prepend(str(STUDIES))
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(variable, "1")  # the study sets them; this restores them
    yield importlib.import_module
    for name in [n for n in sys.modules if n.startswith(("strategy_bench", "benchmark_strat"))]:
        del sys.modules[name]


def runs(values, **more):
    return [{"values": [v] * 100, "optimum": 1.0, "group": "a", "cpu": 0.1, **more} for v in values]


def test_a_ratio_is_relative_to_random_search_and_has_a_lower_limit(load):
    report = load("strategy_bench.report")
    made = {}
    for task in ("t", "u"):
        made["random", task] = runs([3.0, 5.0, 9.0])
        made["bayes", task] = runs([2.0, 3.0, 1.0])
        made["good", task] = runs([1.0, 1.0, 1.0])
    found = report.ratios(made, 100, ["random", "bayes", "good"])
    assert found["t"] == {"random": 1.0, "bayes": 0.25, "good": report.FLOOR}
    text = report.quality(made)
    assert "| good | 1.00 |" in text and "0-2, p = " in text


def test_a_recorded_run_is_not_repeated(load, tmp_path):
    bench = load("benchmark_strategies").Bench(tmp_path, range(1), False)
    assert bench.record("part/a__b__0", lambda: {"values": [1.0]}) == {"values": [1.0]}
    assert bench.record("part/a__b__0", lambda: pytest.fail("ran again")) == {"values": [1.0]}


def test_a_search_records_values_and_time(load):
    parts, tasks = load("strategy_bench.parts"), load("strategy_bench.tasks")
    found = parts.search("random", tasks.own("branin"), 0, trials=10, batch=4)
    assert len(found["values"]) == 10 and found["cpu"] > 0.0
    assert parts.search("random", tasks.own("branin"), 0, 10, 4)["values"] == found["values"]


def test_optuna_suggests_every_kind_of_parameter(load):
    pytest.importorskip("optuna")
    space = Space(
        kind=Categorical(["a", "b"]),
        lr=Float(1e-4, 1.0, log=True),
        n=Int(1, 9),
        width=Ordinal([16, 32, 64]),
        rate=Float(0, 1, step=0.25, when={"kind": ["a"]}),
    )
    made = load("strategy_bench.peers").make("optuna-tpe", space, None, 0)
    for _ in range(20):
        (config,) = made.ask()
        assert space.contains(config), config
        made.tell(config["lr"])
    assert made.recommend()
