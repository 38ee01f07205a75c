import subprocess
import sys

import pytest

import metaopt
from metaopt.core.errors import MetaoptError, StrategyError, UnknownNameError, unknown_name
from metaopt.space import Float, Space
from metaopt.strategy.base import Strategy
from metaopt.strategy.registry import load_strategy, make_strategy, option_names, strategies

SPACE = Space(x=Float(0, 1))
OURS = {"random", "grid", "sobol", "skopt", "genetic", "pso", "tabu"}

FOREIGN = '''
from metaopt.strategy.base import Strategy

class Corner(Strategy):
    """Prefers a corner."""

    def __init__(self, space, seed=0, budget=None, *, side=1):
        super().__init__(space, seed, budget, side=side)

    def _ask(self, rng):
        return self.space.sample(rng)[0], None

NOT_A_STRATEGY = 3
'''


@pytest.fixture
def foreign(tmp_path, monkeypatch):
    """A third-party distribution on the path, as pip would install it."""
    (tmp_path / "corner_search.py").write_text(FOREIGN)
    info = tmp_path / "corner_search-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: corner-search\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[metaopt.strategies]\ncorner = corner_search:Corner\n"
        "broken = corner_search_missing:Nothing\nwrong = corner_search:NOT_A_STRATEGY\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("corner_search", None)


def test_every_strategy_is_listed_with_one_line():
    listed = strategies()
    assert set(listed) >= OURS
    assert list(listed) == sorted(listed)
    for line in listed.values():
        assert line and "\n" not in line and "cannot be loaded" not in line


@pytest.mark.parametrize("name", sorted(OURS))
def test_a_strategy_made_by_name_has_that_name(name):
    strategy = make_strategy(name, SPACE, 3, 20)
    assert isinstance(strategy, Strategy) and strategy.name == name == load_strategy(name).name
    assert (strategy.seed, strategy.budget, strategy.space) == (3, 20, SPACE)


def test_the_error_for_an_unknown_name_lists_names_and_suggests_one():
    with pytest.raises(UnknownNameError) as caught:
        make_strategy("genetik", SPACE)
    assert "'genetik'; did you mean 'genetic'?" in str(caught.value)
    assert "random" in str(caught.value)
    assert isinstance(caught.value, (MetaoptError, LookupError))


@pytest.mark.parametrize("name", sorted(OURS))
def test_an_unknown_option_is_refused_by_name(name):
    with pytest.raises(UnknownNameError, match=f"option of the strategy '{name}'.*'poppulation'"):
        make_strategy(name, SPACE, poppulation=3)


def test_an_unknown_option_is_refused_by_the_class_as_well():
    with pytest.raises((TypeError, MetaoptError), match="sede"):
        load_strategy("random")(SPACE, sede=3)


def test_options_are_kept_in_the_header():
    strategy = make_strategy("grid", SPACE, levels=7)
    assert strategy.options == {"levels": 7} == strategy.header()["options"]
    assert option_names(load_strategy("grid")) == ["levels"]
    assert option_names(load_strategy("random")) == []


def test_a_third_partys_strategy_is_found_like_ours(foreign):
    assert strategies()["corner"] == "Prefers a corner."
    strategy = make_strategy("corner", SPACE, 1, side=2)
    assert strategy.name == "corner" and strategy.options == {"side": 2}
    study = metaopt.Study(SPACE, "corner")
    assert study.optimize(lambda t: t["x"], n_trials=3).reason == "n_trials"


def test_a_broken_package_does_not_hide_the_others(foreign):
    listed = strategies()
    assert "cannot be loaded" in listed["broken"] and set(listed) >= OURS
    with pytest.raises(StrategyError, match=r"'wrong'.*not a metaopt Strategy"):
        load_strategy("wrong")
    with pytest.raises(MetaoptError, match="broken"):
        load_strategy("broken")


def test_without_installation_the_error_says_what_to_do(monkeypatch):
    monkeypatch.setattr("metaopt.strategy.registry.entry_points", lambda group: [])
    with pytest.raises(StrategyError, match="make install"):
        make_strategy("random", SPACE)


def test_importing_the_library_loads_no_strategy_and_nothing_heavy():
    heavy = ["torch", "sklearn", "skopt", "deap", "pyswarms", "pandas", "matplotlib", "scipy.stats",
             "metaopt_strategies"]  # fmt: skip
    code = f"import sys, metaopt; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_long_list_of_names_is_cut_but_one_is_suggested():
    known = [f"study/{i:03}" for i in range(100)]
    text = str(unknown_name("study", "study/99", known))
    assert "did you mean 'study/099'" in text
    assert "study/023, and 76 more)" in text
    assert "study/024" not in text
