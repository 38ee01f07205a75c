import numpy as np
import pytest
from scipy import stats


@pytest.fixture
def auc():
    """Demsar (2006), table 6: AUC of C4.5, C4.5+m, C4.5+cf, C4.5+m+cf on 14 data sets.

    Higher is better. On "voting" the last two are both printed as 0.975, yet ranked 2 and 3: the
    fourth digit here restores the order that the paper's ranks show.
    """
    return np.array(
        [
            [0.763, 0.768, 0.771, 0.798],
            [0.599, 0.591, 0.590, 0.569],
            [0.954, 0.971, 0.968, 0.967],
            [0.628, 0.661, 0.654, 0.657],
            [0.882, 0.888, 0.886, 0.898],
            [0.936, 0.931, 0.916, 0.931],
            [0.661, 0.668, 0.609, 0.685],
            [0.583, 0.583, 0.563, 0.625],
            [0.775, 0.838, 0.866, 0.875],
            [1.000, 1.000, 1.000, 1.000],
            [0.940, 0.962, 0.965, 0.962],
            [0.619, 0.666, 0.614, 0.669],
            [0.972, 0.981, 0.9751, 0.975],
            [0.957, 0.978, 0.946, 0.970],
        ]
    )


@pytest.fixture
def accuracy():
    """Garcia and Herrera (2008): accuracy of C4.5, 1-NN, naive Bayes, kernel and CN2.

    30 data sets; higher is better. The data set `data.gh.2008` of the R package scmamp.
    """
    return np.array(
        [
            [0.219, 0.202, 0.249, 0.165, 0.261],
            [0.803, 0.750, 0.813, 0.692, 0.798],
            [0.859, 0.814, 0.845, 0.542, 0.816],
            [0.809, 0.774, 0.673, 0.275, 0.785],
            [0.768, 0.790, 0.727, 0.872, 0.706],
            [0.759, 0.654, 0.734, 0.703, 0.714],
            [0.693, 0.611, 0.572, 0.689, 0.572],
            [0.544, 0.531, 0.558, 0.439, 0.541],
            [0.945, 0.954, 0.978, 0.541, 0.858],
            [0.725, 0.705, 0.739, 0.625, 0.717],
            [0.674, 0.736, 0.721, 0.356, 0.704],
            [0.801, 0.357, 0.520, 0.309, 0.520],
            [0.785, 0.770, 0.841, 0.659, 0.759],
            [0.710, 0.402, 0.728, 0.120, 0.674],
            [0.691, 0.827, 0.667, 0.527, 0.638],
            [0.743, 0.739, 0.830, 0.549, 0.746],
            [0.990, 0.482, 0.941, 0.857, 0.990],
            [0.867, 0.098, 0.915, 0.986, 0.784],
            [0.821, 0.872, 0.815, 0.885, 0.778],
            [0.893, 0.824, 0.902, 0.739, 0.885],
            [0.799, 0.655, 0.925, 0.517, 0.755],
            [0.845, 0.731, 0.693, 0.653, 0.704],
            [0.741, 0.701, 0.591, 0.663, 0.619],
            [0.799, 0.994, 0.603, 0.269, 0.621],
            [0.949, 0.955, 0.989, 0.770, 0.954],
            [0.555, 0.505, 0.569, 0.312, 0.556],
            [0.928, 0.928, 0.945, 0.419, 0.897],
            [0.915, 0.857, 0.860, 0.700, 0.777],
            [0.855, 0.796, 0.857, 0.607, 0.809],
            [0.906, 0.359, 0.895, 0.641, 0.918],
        ]
    )


@pytest.fixture
def learned():
    """Losses (runs, repeats, folds) of two mean learners with the same distribution."""

    def simulate(seed, runs, examples, repeats, folds, edge=0.0):
        rng = np.random.default_rng(seed)
        y = rng.normal(size=(runs, examples))
        order = rng.random((runs, repeats, examples)).argsort(axis=2)

        def fold(t):
            shuffled = np.take_along_axis(t[:, None, :], order, axis=2)
            return shuffled.reshape(runs, repeats, folds, -1)

        losses = []
        for bias in (0.0, edge):
            part = fold(y + bias + rng.normal(size=y.shape))  # the labels for training
            rest = part.sum(axis=(2, 3))[..., None] - part.sum(axis=3)
            guess = rest / (examples - examples // folds)
            losses.append(((guess[..., None] - fold(y)) ** 2).mean(axis=3))
        return losses

    return simulate


@pytest.fixture
def rejections():
    """Assert that p-values, (runs,), of a true hypothesis keep their levels (99.9 % confidence)."""

    def check(p, levels=(0.01, 0.05, 0.2)):
        for level in levels:
            rejected = int(np.sum(np.asarray(p) <= level))
            assert rejected <= stats.binom.ppf(0.999, len(p), level), (level, rejected, len(p))

    return check
