"""The conformance suite: correct strategies pass; each kind of fault fails its check."""

import random
import sys
import textwrap
import time

import numpy as np
import pytest

from metaopt import testing
from metaopt.core.errors import MetaoptError
from metaopt.strategy.base import Strategy
from metaopt.strategy.registry import strategies

CHEAP = ["random", "grid", "sobol"]
DEAR = {"genetic": 40, "pso": 40, "tabu": 40, "skopt": 13, "bayes": 16}
QUICK = [("genetic", "conditional"), ("pso", "mixed"), ("tabu", "finite")]


@pytest.mark.parametrize(("check", "space"), list(testing.cases()))
@pytest.mark.parametrize("name", CHEAP)
def test_fast_strategies_pass_all_checks(name, check, space):
    testing.run_check(name, check, space)


@pytest.mark.parametrize("check", testing.CHECKS)
@pytest.mark.parametrize(("name", "space"), QUICK)
def test_slow_strategies_pass_each_check_on_one_space(name, space, check):
    testing.run_check(name, check, space, trials=30)


@pytest.mark.slow
@pytest.mark.parametrize(("check", "space"), list(testing.cases()))
@pytest.mark.parametrize("name", DEAR)
def test_slow_strategies_pass_all_checks(name, check, space):
    testing.run_check(name, check, space, trials=DEAR[name])


@pytest.mark.parametrize("name", CHEAP)
def test_a_fresh_process_proposes_the_same(name):
    testing.check_fresh_process(name, trials=10)


@pytest.mark.slow
@pytest.mark.parametrize("name", DEAR)
def test_a_fresh_process_proposes_the_same_for_slow_strategies(name):
    testing.check_fresh_process(name, trials=13)


def test_every_strategy_of_metaopt_is_in_a_list_here():
    assert {*CHEAP, *DEAR} <= set(strategies())


# -- strategies that violate one rule each --------------------------------------------------------


class Honest(Strategy):
    name = "honest"

    def _ask(self, rng):
        return self.space.sample(rng)[0], None


class GlobalRandom(Honest):
    """Draws from the module random without seeding it."""

    def _ask(self, rng):
        return self.space.sample(np.random.default_rng(random.getrandbits(32)))[0], None


class GlobalNumpy(Honest):
    def _ask(self, rng):
        np.random.seed(rng.integers(2**31))  # noqa: NPY002
        return self.space.sample(np.random.default_rng(np.random.randint(2**31)))[0], None  # noqa: NPY002


class Clock(Honest):
    def _ask(self, rng):
        return self.space.sample(np.random.default_rng(time.perf_counter_ns()))[0], None


class ClassState(Honest):
    """Shares a counter between all instances."""

    count = 0

    def _ask(self, rng):
        ClassState.count += 1
        return self.space.sample(np.random.default_rng(ClassState.count))[0], None


class Forgetful(Honest):
    """Changes a counter in `_ask` and does not store it."""

    def __init__(self, space, seed=0, budget=None):
        super().__init__(space, seed, budget)
        self.count = 0

    def _ask(self, rng):
        self.count += 1
        return self.space.sample(np.random.default_rng(self.seed + self.count))[0], None


class Seedless(Honest):
    def _ask(self, rng):
        return self.space.sample(np.random.default_rng(len(self.observations)))[0], None


class FalselyRankBased(Honest):
    rank_based = True

    def _ask(self, rng):
        values = self.imputed()
        mean = np.mean(values) if values else 0.5
        return self.space.sample(np.random.default_rng(int(abs(mean) * 1e6)))[0], None


class Outside(Honest):
    def _ask(self, rng):
        return {**self.space.sample(rng)[0], "extra": 1}, None


class Raises(Honest):
    """Raises for a value that is not finite while no trial is complete."""

    def _tell(self, config, note, value, status, curve):
        if not np.isfinite(value):
            raise FloatingPointError("value must be finite")


class RaisesOnFailures(Honest):
    def _tell(self, config, note, value, status, curve):
        assert status == "complete"


class RaisesOnForeign(Honest):
    def _ask(self, rng):
        return self.space.sample(rng)[0], {"wave": 1}

    def _tell(self, config, note, value, status, curve):
        assert note["wave"] == 1


class DividesBySpread(Honest):
    """Scales values by their spread."""

    def _ask(self, rng):
        values = self.imputed()
        spread = (max(values) - min(values)) if len(values) > 3 else 1.0
        return self.space.sample(rng)[0], 1 / float(spread)


class Waits(Honest):
    """Waits until a whole generation was told."""

    def _ask(self, rng):
        if len(self.pending()) >= 10:
            raise RuntimeError("the generation is not complete")
        return self.space.sample(rng)[0], None


class Chdir(Honest):
    def _ask(self, rng):
        import logging

        logging.getLogger().setLevel(logging.ERROR - self.space.names.__len__())
        return self.space.sample(rng)[0], None


class SecretOption(Honest):
    """Does not pass an option on, so that the header is not sufficient to make it again."""

    def __init__(self, space, seed=0, budget=None, *, salt=0):
        super().__init__(space, seed, budget)
        self.salt = salt

    def _ask(self, rng):
        rng = np.random.default_rng([self.salt, self.seed, len(self.observations)])
        return self.space.sample(rng)[0], None


def salted(space, seed=0, budget=None):
    return SecretOption(space, seed, budget, salt=5)


CHEATS = [
    (GlobalRandom, "same_seed_same_proposals"),
    (GlobalRandom, "touches_no_global_state"),
    (GlobalNumpy, "touches_no_global_state"),
    (Clock, "same_seed_same_proposals"),
    (Clock, "resumed_equals_uninterrupted"),
    (ClassState, "same_seed_same_proposals"),
    (Forgetful, "resumed_equals_uninterrupted"),
    (Forgetful, "resumes_with_pending"),
    (Seedless, "same_seed_same_proposals"),
    (FalselyRankBased, "rank_based_means_invariant"),
    (Outside, "proposals_lie_in_the_space"),
    (Raises, "survives_only_failures"),
    (Raises, "survives_every_outcome"),
    (RaisesOnFailures, "survives_every_outcome"),
    (RaisesOnForeign, "digests_foreign_points"),
    (DividesBySpread, "survives_equal_values"),
    (Waits, "never_waits"),
    (Chdir, "touches_no_global_state"),
    (salted, "is_remade_from_its_header"),
]


@pytest.fixture(autouse=True)
def restored():
    """Restore the global state that a wrong strategy changes."""
    import logging

    state, np_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    level = logging.getLogger().level
    yield
    random.setstate(state)
    np.random.set_state(np_state)  # noqa: NPY002
    logging.getLogger().setLevel(level)


@pytest.mark.parametrize(("cheat", "check"), CHEATS)
def test_a_wrong_strategy_fails_the_check_of_its_rule(cheat, check):
    with pytest.raises(testing.ConformanceError, match=f"{check} on the space 'continuous'"):
        testing.run_check(cheat, check, "continuous")
    with pytest.raises(testing.ConformanceError):
        testing.check_strategy(cheat, trials=20)


@pytest.mark.parametrize("check", testing.CHECKS)
def test_a_correct_strategy_passes_every_check(check):
    testing.run_check(Honest, check, "continuous")
    testing.run_check(Honest, check, "finite")


def test_an_error_names_check_space_and_what_happened():
    with pytest.raises(testing.ConformanceError) as caught:
        testing.run_check(Outside, "never_twice", "mixed")
    message = str(caught.value)
    for part in ("never_twice", "'mixed'", "StrategyError", "extra"):
        assert part in message
    assert isinstance(caught.value, (MetaoptError, AssertionError))


def test_unknown_names_of_checks_spaces_and_strategies_are_refused():
    for arguments in ((Honest, "never_twise", "mixed"), (Honest, "never_twice", "mixt")):
        with pytest.raises(MetaoptError, match="did you mean"):
            testing.run_check(*arguments)
    with pytest.raises(MetaoptError, match="did you mean 'random'"):
        testing.check_strategy("randon")


def test_the_spaces_are_the_seven_that_the_contract_names():
    spaces = {name: make() for name, make in testing.SPACES.items()}
    assert len(spaces) >= 7
    assert all(p.cells is None for p in spaces["continuous"].parameters.values())
    assert {p.kind for p in spaces["mixed"].parameters.values()} == {
        "float",
        "int",
        "ordinal",
        "categorical",
        "constant",
    }
    assert any(p.when for p in spaces["conditional"].parameters.values())
    assert spaces["conditional"].forbid
    assert len(spaces["one_parameter"]) == 1 and spaces["one_point"].size.count == 1
    assert len(spaces["hundred"]) == 100
    assert 1 < spaces["finite"].size.count < testing.TRIALS
    assert len(list(testing.cases())) == len(spaces) * len(testing.CHECKS)


def test_a_registered_strategy_that_depends_on_hashes_is_caught(tmp_path, monkeypatch):
    """Hashes differ between processes only: within this process the class passes the check."""
    (tmp_path / "hashing.py").write_text(
        textwrap.dedent("""
        import numpy as np
        from metaopt.strategy.base import Strategy

        class Hashing(Strategy):
            \"\"\"Depends on the hash of a string.\"\"\"

            def _ask(self, rng):
                names = {"a", "b", "c", "d", "e", "f", "g", "h"}
                order = [sorted(names).index(n) for n in names]
                seed = [self.seed, len(self.observations), len(self.pending()), *order]
                return self.space.sample(np.random.default_rng(seed))[0], None
    """)
    )
    info = tmp_path / "hashing-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hashing\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[metaopt.strategies]\nhashing = hashing:Hashing\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    testing.run_check("hashing", "same_seed_same_proposals", "mixed")
    with pytest.raises(testing.ConformanceError, match="a fresh process makes different proposals"):
        testing.check_fresh_process("hashing", trials=10)
    sys.modules.pop("hashing", None)


def test_cases_are_a_list_as_pytest_wants_them():
    cases = testing.cases()
    assert len(cases) == len(testing.SPACES) * len(testing.CHECKS)
    assert len(set(cases)) == len(cases)
