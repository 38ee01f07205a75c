"""Random spaces for property tests, and a simple reference implementation of spaces."""

import itertools
from decimal import Decimal

from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st

from metaopt.core.errors import SpaceError
from metaopt.space import Categorical, Constant, Float, Int, Ordinal, Space

SCALARS = (
    True,
    False,
    1,
    0,
    1.0,
    0.0,
    -3,
    0.1,
    1e300,
    "1",
    "True",
    "a",
    "b",
    "",
    'ü\n"',
    None,
)
NAMES = ("lr", "x", "a b", "ü", "0", "when", "kind", "self", "forbid")

# The same examples in every run, so that failures are reproducible.
laws = settings(
    derandomize=True,
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
seeds = st.integers(0, 2**32 - 1)


def typed(value):
    return (type(value), value)


@st.composite
def stepped_floats(draw, small=False):
    """Decimals: low, low + step, ..., each the float nearest to the exact sum."""
    digits = draw(st.integers(0, 6))
    unit = Decimal(1).scaleb(-digits)
    low = draw(st.integers(-1000, 1000)) * unit
    step = draw(st.integers(1, 50)) * unit
    high = low + step * draw(st.integers(2, 3 if small else 40))
    if not small:
        high += step * draw(st.sampled_from([Decimal(0), Decimal("0.5")]))
    log = low > 0 and draw(st.booleans())
    return Float(float(low), float(high), step=float(step), log=log)


@st.composite
def floats(draw):
    if draw(st.booleans()):
        low, high = sorted(draw(st.tuples(*[st.floats(1e-12, 1e12)] * 2)))
        assume(high > low * (1 + 1e-6))
        return Float(low, high, log=True)
    low, high = sorted(draw(st.tuples(*[st.floats(-1e9, 1e9)] * 2)))
    assume(high - low > 1e-6 * max(1.0, abs(low), abs(high)))
    return Float(low, high)


@st.composite
def ints(draw, small=False):
    log = draw(st.booleans())
    low = (
        draw(st.integers(1 if log else -5, 8))
        if small
        else draw(st.integers(1 if log else -(2**30), 2**30))
    )
    high = low + draw(st.integers(1, 3 if small else 2**30))
    step = draw(st.none() | st.integers(1, min(high - low, 1000)))
    return Int(low, high, log=log, step=step)


@st.composite
def listed(draw):
    kind = draw(st.sampled_from([Ordinal, Categorical, Constant]))
    if kind is Constant:
        return Constant(draw(st.sampled_from(SCALARS)))
    unique = st.lists(st.sampled_from(SCALARS), min_size=1, max_size=4, unique_by=typed)
    return kind(draw(unique))


discrete = listed() | ints(small=True) | stepped_floats(small=True)
anything = discrete | ints() | floats() | stepped_floats()


def values_of(parameter):
    """All values of a discrete parameter, by its documented definition."""
    if isinstance(parameter, Constant):
        return [parameter.value]
    if isinstance(parameter, Categorical):
        return list(parameter.choices)
    if isinstance(parameter, Ordinal):
        return list(parameter.values)
    if isinstance(parameter, Int):
        return list(range(parameter.low, parameter.high + 1, parameter.step or 1))
    assert parameter.step is not None
    low, high, step = (Decimal(repr(v)) for v in (parameter.low, parameter.high, parameter.step))
    return [float(low + k * step) for k in range(int((high - low) / step) + 1)]


def with_condition(parameter, when):
    fields = dict(vars(parameter))
    return type(parameter)(**{**fields, "when": when})


def _some_values(draw, parameter):
    return draw(
        st.lists(st.sampled_from(values_of(parameter)), min_size=1, max_size=2, unique_by=typed)
    )


@st.composite
def spaces(draw, finite=False, most=6):
    """Spaces of all kinds, with nested conditions in any declared order, and forbidden entries."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=most, unique=True))
    made = {}
    parents = []  # discrete and small
    for name in names:
        first = draw(discrete if finite else discrete | anything)
        when = {}
        if parents and draw(st.booleans()):
            for parent in draw(st.lists(st.sampled_from(parents), max_size=2, unique=True)):
                when[parent] = _some_values(draw, made[parent])
        made[name] = with_condition(first, when)
        if first.count is not None and first.count <= 42:
            parents.append(name)
    forbid = []
    if parents:
        for _ in range(draw(st.integers(0, 2))):
            entry = draw(st.lists(st.sampled_from(parents), min_size=1, max_size=2, unique=True))
            forbid.append({name: _some_values(draw, made[name]) for name in entry})
    order = draw(st.permutations(names))
    try:
        return Space({name: made[name] for name in order}, forbid=forbid)
    except SpaceError as error:
        assert "forbid leaves no configuration" in str(error)
        assume(False)


def active_names(space, config):
    """Names of the active parameters, given the values, by the documented definition."""
    active = set()
    while True:
        more = {
            name
            for name, p in space.parameters.items()
            if all(
                parent in active and typed(config.get(parent)) in map(typed, values)
                for parent, values in p.when.items()
            )
        }
        if more == active:
            return active
        active = more


def is_member(space, config):
    """Whether a configuration is valid by the documented definition; discrete parameters only."""
    if set(config) != active_names(space, config):
        return False
    if any(typed(v) not in map(typed, values_of(space.parameters[n])) for n, v in config.items()):
        return False
    return not any(
        all(n in config and typed(config[n]) in map(typed, values) for n, values in entry.items())
        for entry in space.forbid
    )


ABSENT = object()


def brute_force(space):
    """All configurations of a small finite space, by trying every combination."""
    columns = [[ABSENT, *values_of(p)] for p in space.parameters.values()]
    for row in itertools.product(*columns):
        config = {n: v for n, v in zip(space.names, row, strict=True) if v is not ABSENT}
        if is_member(space, config):
            yield config


def identity(config):
    return tuple((name, typed(value)) for name, value in config.items())
