"""What others would do with the same events: clustering without labels, and classifiers that have seen labels.

Clusters are named by the label that most of their events have, which nobody could do without the labels: the scores of
`by_clustering` are what clustering could reach with a perfect eye. `by_classifiers` learns from four fifths of the very
tube and names the last fifth: a ceiling for what the channels hold, not a method for a new tube.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

Floats = NDArray[np.float64]
Names = NDArray[Any]
CLUSTERING = ("GaussianMixture", "KMeans")
CLASSIFIERS = ("extra trees", "boosted trees", "k neighbours", "LDA")
#: Most events that clusters are fitted on, and a classifier in each fold: more change the third decimal, and take time.
MOST_CLUSTERED, MOST_LEARNT, FOLDS = 10_000, 20_000, 5
#: Components among which a mixture is chosen by BIC, and clusters of k-means: more than there are populations, since
#: populations are not round.
COMPONENTS, CLUSTERS = (10, 20), 20
SEED = 0


def by_clustering(display: Floats, truth: Names) -> Iterator[tuple[str, Names]]:
    """Name every event by its cluster: yields method and names, shape (n_events,)."""
    scaled = standardised(display)
    fitted = _some(np.random.default_rng(SEED), len(scaled), MOST_CLUSTERED)
    for method, cluster in ((CLUSTERING[0], _mixture), (CLUSTERING[1], _k_means)):
        with threadpool_limits(1):  # the order of a sum over threads would be another every time
            clusters = cluster(scaled, fitted)
        yield method, _majority(clusters, truth)


def by_classifiers(display: Floats, truth: Names, *, folds: int = FOLDS) -> Iterator[tuple[str, Names]]:
    """Name every event by a classifier that was fitted on the other folds: yields method and names."""
    from sklearn.model_selection import StratifiedKFold

    scaled = standardised(display)
    held_out = StratifiedKFold(folds, shuffle=True, random_state=SEED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class with fewer events than folds
        splits = list(held_out.split(scaled, truth))
    for method, make in _classifiers():
        named = np.full(len(truth), "other", dtype=truth.dtype)
        for fold, (learnt, asked) in enumerate(splits):
            few = learnt[_some(np.random.default_rng([SEED, fold]), len(learnt), MOST_LEARNT)]
            if len(np.unique(truth[few])) > 1:
                with threadpool_limits(1):
                    named[asked] = make().fit(scaled[few], truth[few]).predict(scaled[asked])
        yield method, named


def standardised(display: Floats) -> Floats:
    """Every channel with the same spread: neither method has units."""
    spread = display.std(axis=0)
    scaled: Floats = (display - display.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return scaled


def _some(rng: np.random.Generator, n: int, most: int) -> NDArray[np.intp]:
    return np.sort(rng.permutation(n)[:most])


def _mixture(scaled: Floats, fitted: NDArray[np.intp]) -> NDArray[np.intp]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        sizes = [n for n in COMPONENTS if n * 20 <= len(fitted)] or [min(COMPONENTS[0], max(len(fitted) // 20, 1))]
        models = [GaussianMixture(n, reg_covar=1e-4, max_iter=60, random_state=SEED).fit(scaled[fitted]) for n in sizes]
    best = min(models, key=lambda model: float(model.bic(scaled[fitted])))
    return np.asarray(best.predict(scaled))


def _k_means(scaled: Floats, fitted: NDArray[np.intp]) -> NDArray[np.intp]:
    from sklearn.cluster import KMeans

    model = KMeans(min(CLUSTERS, len(fitted)), n_init=3, random_state=SEED).fit(scaled[fitted])
    return np.asarray(model.predict(scaled))


def _majority(clusters: NDArray[np.intp], truth: Names) -> Names:
    names, codes = np.unique(truth, return_inverse=True)
    table = np.zeros((int(clusters.max()) + 1, len(names)), np.int64)
    np.add.at(table, (clusters, codes), 1)
    return np.asarray(names[table.argmax(axis=1)][clusters])


def _classifiers() -> Iterator[tuple[str, Callable[[], Any]]]:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
    from sklearn.neighbors import KNeighborsClassifier

    yield CLASSIFIERS[0], lambda: ExtraTreesClassifier(100, min_samples_leaf=2, random_state=SEED)
    # Without a penalty boosting diverges where a class has a hundred events among tens of thousands.
    yield (
        CLASSIFIERS[1],
        lambda: HistGradientBoostingClassifier(
            max_iter=60, l2_regularization=1.0, early_stopping=False, random_state=SEED
        ),
    )
    yield CLASSIFIERS[2], lambda: KNeighborsClassifier(15)
    yield CLASSIFIERS[3], lambda: LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
