import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from metaopt.core.seeds import derive, stream

parts = st.lists(st.integers(-(2**70), 2**70) | st.text(max_size=5), max_size=4)
laws = settings(derandomize=True, deadline=None, max_examples=100)


def first(seed, *path):
    return stream(seed, *path).integers(2**63, size=4).tolist()


@laws
@given(st.integers(0, 2**80), parts)
def test_a_stream_is_a_function_of_seed_and_path(seed, path):
    assert first(seed, *path) == first(seed, *path)
    assert derive(seed, *path) == derive(seed, *path)
    assert 0 <= derive(seed, *path) < 2**31


@laws
@given(st.integers(0, 2**40), parts, st.integers(0, 2**40), parts)
def test_other_seeds_and_paths_give_other_streams(seed, path, other_seed, other):
    same = seed == other_seed and path == other
    assert (first(seed, *path) == first(other_seed, *other)) == same


def test_paths_that_look_alike_give_different_streams():
    paths = [(), ("",), ("a", "b"), ("ab",), ("a b",), ("a\nb",), ("a", 1), ("a", "1"), ("a", -1),
             ("a", 1, 1), ("a", 11), ("'a'",), ("b", "a")]  # fmt: skip
    assert len({tuple(first(0, *p)) for p in paths}) == len(paths)
    assert first(1, 2) != first(12) != first(1, "2")


@pytest.mark.parametrize("number", [np.int64(3), np.int32(3), np.uint8(3)], ids=repr)
def test_a_numpy_integer_gives_the_same_stream(number):
    assert first(7, "ask", number) == first(7, "ask", 3)
    assert derive(number, "ask") == derive(3, "ask")


def test_streams_do_not_depend_on_the_process_or_its_hash_seed():
    shown = "print(stream(5, 'ask', 3).random(), derive(5, 'trial', 3))"
    code = f"from metaopt.core.seeds import *; {shown}"
    here = f"{stream(5, 'ask', 3).random()} {derive(5, 'trial', 3)}"
    for hash_seed in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == here


def test_neighbouring_streams_are_uniform_and_uncorrelated():
    u = np.array([stream(0, "ask", k).random(2) for k in range(4000)])
    assert stats.kstest(u[:, 0], "uniform").pvalue > 0.001
    seeds = np.array([derive(0, "trial", k) for k in range(4000)]) / 2**31
    assert stats.kstest(seeds, "uniform").pvalue > 0.001
    for a, b in ((u[:-1, 0], u[1:, 0]), (u[:, 0], u[:, 1]), (seeds[:-1], seeds[1:])):
        assert abs(np.corrcoef(a, b)[0, 1]) < 3.3 / np.sqrt(4000)


def test_a_stream_can_spawn_and_leaves_the_global_generators_alone():
    before = np.random.get_state()[1].tolist()  # noqa: NPY002 -- to see that it stays
    a, b = stream(1, "x").spawn(2)
    assert a.random() != b.random()
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002
