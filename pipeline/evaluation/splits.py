"""Folds that keep articles and near-duplicates together and labels in proportion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from pipeline.models.tokens import words
from pipeline.schema import ConfigError

Ints = NDArray[np.int64]
Labels = NDArray[np.int8]
SHINGLE = 3
COMMON = 50
TEST, LEFT_OUT = -1, -2
REDEAL = 0.3


def near_duplicates(texts: Sequence[str], threshold: float = 0.7) -> Ints:
    """Return pairs of rows whose sets of three-word shingles overlap by `threshold` (Jaccard).

    Texts of fewer than three words pair when all their words are the same.

    Returns
    -------
    ndarray of shape (n_pairs, 2)
        Row numbers, the smaller first.

    Notes
    -----
    Broder, A. (1997). On the resemblance and containment of documents. Candidates share a shingle
    that 50 texts or fewer have, so that the product that finds them stays sparse; their overlap is
    then counted exactly. A phrase in more texts than that is boilerplate: its copies are not paired,
    or they would tie all articles together.
    """
    shingles = _shingles(texts)
    df = np.asarray(shingles.sum(axis=0)).ravel()
    rare = shingles[:, (df > 1) & (df <= COMMON)]
    sizes = np.diff(shingles.indptr)
    common = sizes - np.diff(shingles[:, df <= COMMON].indptr)
    pairs = sparse.triu(rare @ rare.T, k=1).tocoo()
    one, other = pairs.row, pairs.col
    most = pairs.data + np.minimum(common[one], common[other])
    possible = most >= threshold * (sizes[one] + sizes[other] - most)
    one, other = one[possible], other[possible]
    shared = np.asarray(shingles[one].multiply(shingles[other]).sum(axis=1)).ravel()
    near = shared >= threshold * (sizes[one] + sizes[other] - shared)
    return np.column_stack([one[near], other[near]]).astype(np.int64)


def merge_groups(groups: Sequence[object], pairs: Ints) -> Ints:
    """Return group numbers in which the groups of paired rows are one."""
    _, ids = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    n = int(ids.max(initial=-1)) + 1
    links = sparse.coo_matrix((np.ones(len(pairs)), (ids[pairs[:, 0]], ids[pairs[:, 1]])), shape=(n, n))
    _, component = connected_components(links, directed=False)
    return component[ids].astype(np.int64)


def grouped_folds(y: Labels, groups: Ints, n_folds: int, *, seed: int, jitter: float = 0.0) -> Ints:
    """Return the fold of each row: no group in two folds, labels and their combinations in proportion.

    Parameters
    ----------
    y : ndarray of shape (n_rows, n_labels)
    groups : ndarray of shape (n_rows,)
    n_folds : int
    seed : int
        Breaks ties between groups of equal make-up.
    jitter : float
        Standard deviation, in logarithms, of what the order of placement is disturbed by. Without it,
        two seeds put three in four pairs of companions together again: too alike for repeated folds.

    Returns
    -------
    ndarray of shape (n_rows,)

    Notes
    -----
    Greedy, as in `sklearn.model_selection.StratifiedGroupKFold`, over several labels: the groups
    with the most uneven counts are placed first, each in the fold that then differs least from the
    others, in units of each column's total. Columns are the labels, the label combinations
    (Sechidis et al. 2011), rows without a label, and rows.
    """
    _, ids = np.unique(groups, return_inverse=True)
    counts = _shares(y, ids)
    size, columns = counts.shape
    if size < n_folds:
        raise ValueError(f"{n_folds} folds need as many articles, got {size}")
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(size)
    unevenness = _deviations(counts)[shuffled] * np.exp(jitter * rng.standard_normal(size))
    order = shuffled[np.argsort(-unevenness, kind="stable")]
    load = [[0.0] * n_folds for _ in range(columns)]
    fold_of = np.zeros(size, np.int64)
    bounds, held, shares = counts.indptr.tolist(), counts.indices.tolist(), counts.data.tolist()
    for group in order.tolist():
        # Adding c to fold f changes the squared deviation by 2 c (load_f - mean) + const.
        own = [(load[held[i]], shares[i]) for i in range(bounds[group], bounds[group + 1])]
        costs = [sum(column[fold] * share for column, share in own) for fold in range(n_folds)]
        fold_of[group] = fold = costs.index(min(costs))
        for column, share in own:
            column[fold] += share
    return fold_of[ids]


def _shares(y: Labels, ids: Ints) -> sparse.csr_matrix:
    """Return of each group its shares of the columns that have rows: labels, combinations, rows."""
    rows, labels = np.nonzero(y)
    bounds = np.searchsorted(rows, np.arange(len(y) + 1)).tolist()
    seen: dict[bytes, int] = {}
    combination = [seen.setdefault(labels[begin:end].tobytes(), len(seen)) for begin, end in pairwise(bounds)]
    every = np.arange(len(y))
    column = np.concatenate(
        [labels, y.shape[1] + np.array(combination), np.full(len(y), y.shape[1] + len(seen))]
    )
    _, column = np.unique(column, return_inverse=True)
    group = ids[np.concatenate([rows, every, every])]
    counts = sparse.csr_matrix((np.ones(len(group)), (group, column)))
    counts.data /= np.asarray(counts.sum(axis=0)).ravel()[counts.indices]
    return counts


def _deviations(counts: sparse.csr_matrix) -> NDArray[np.float64]:
    """Return the standard deviation of each row."""
    columns, filled = counts.shape[1], np.diff(counts.indptr)
    mean = np.asarray(counts.sum(axis=1)).ravel() / columns
    from_mean = counts.copy()
    from_mean.data = (counts.data - np.repeat(mean, filled)) ** 2
    squares = np.asarray(from_mean.sum(axis=1)).ravel()
    return np.sqrt((squares + (columns - filled) * mean**2) / columns)


@dataclass(slots=True)
class Split:
    """Which rows train, in which fold, and which test.

    Attributes
    ----------
    folds : ndarray of shape (n_rows,)
        Fold of a training row, `TEST` for a test row, `LEFT_OUT` for a training row that a row on
        another side nearly repeats.
    again : tuple of ndarray of shape (n_rows,)
        The same with the training rows dealt anew, for each repeat after the first.
    about : dict
        How it was made, for the report.
    """

    folds: Ints
    again: tuple[Ints, ...] = ()
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def dealt(self) -> Ints:
        """Folds of the training rows, of shape (n_repeats, n_train)."""
        return np.stack([self.folds, *self.again])[:, self.train]

    @property
    def train(self) -> Ints:
        """Row numbers to train on."""
        return np.flatnonzero(self.folds >= 0)

    @property
    def test(self) -> Ints:
        """Row numbers to test on."""
        return np.flatnonzero(self.folds == TEST)

    @property
    def left_out(self) -> Ints:
        """Row numbers of neither."""
        return np.flatnonzero(self.folds == LEFT_OUT)


def split_rows(
    texts: Sequence[str],
    y: Labels,
    articles: Sequence[str],
    fixed_test: NDArray[np.bool_],
    *,
    folds: int,
    test_ratio: float,
    near_duplicate: float,
    seed: int,
    repeats: int = 1,
) -> Split:
    """Hold out test articles and deal the others into folds; near-duplicates never straddle.

    Parameters
    ----------
    texts, y, articles
        Sentences, their 0/1 labels of shape (n_rows, n_labels), their article ids.
    fixed_test : ndarray of bool of shape (n_rows,)
        Rows of articles that are the test set; where none is, `test_ratio` of the rows is drawn.
    folds : int
        At least 2.
    test_ratio : float
        Between 0 and 1.
    near_duplicate : float
        See `near_duplicates`.
    seed : int
    repeats : int
        How often the training rows are dealt into folds; the test rows stay.

    Raises
    ------
    ConfigError
        For a value out of range, or more folds than articles.

    Notes
    -----
    Articles that share a near-duplicate go to the same fold. A fixed test article stays where it is:
    the training sentence that it nearly repeats is left out instead. A drawn test leaves every label
    an article to be learnt from.
    """
    check_settings(folds=folds, test_ratio=test_ratio, near_duplicate=near_duplicate, repeats=repeats)
    pairs = near_duplicates(texts, near_duplicate)
    straddling = fixed_test[pairs[:, 0]] != fixed_test[pairs[:, 1]]
    repeated = np.zeros(len(texts), bool)
    repeated[pairs[straddling].ravel()] = True
    groups = merge_groups(articles, pairs[~straddling])
    try:
        test = fixed_test
        if not fixed_test.any():
            drawn = grouped_folds(y, groups, max(2, round(1 / test_ratio)), seed=seed) == 0
            test = _sparing(drawn, y, groups)
        result = np.where(test, TEST, LEFT_OUT)
        train = ~test & ~repeated
        if not train.any():
            why = "the test repeats all others" if repeated.any() else "mark fewer as 'test' in the metadata"
            raise ConfigError(f"split: no article is left to train on; {why}")
        deals = [result.copy() for _ in range(repeats)]
        for n, deal in enumerate(deals):
            jitter = REDEAL if n else 0.0
            deal[train] = grouped_folds(y[train], groups[train], folds, seed=seed + n, jitter=jitter)
    except ValueError as error:
        raise ConfigError(f"split.folds={folds}: {error}; lower it or add articles") from None
    return Split(deals[0], tuple(deals[1:]))


def _sparing(test: NDArray[np.bool_], y: Labels, groups: Ints) -> NDArray[np.bool_]:
    """Return the test rows but for the smallest group of each label that training would have none of."""
    spared, sizes = test.copy(), np.bincount(groups)
    there = y.sum(axis=0)
    for label in np.flatnonzero((there > 0) & (y[test].sum(axis=0) == there)):
        own = np.flatnonzero(y[:, label])
        if spared[own].all():
            spared[groups == groups[own[np.argmin(sizes[groups[own]])]]] = False
    return spared if spared.any() else test


def check_settings(*, folds: Any, test_ratio: Any, near_duplicate: Any, repeats: Any = 1) -> None:
    """Raise ConfigError for a setting that no split can be made by."""
    if not isinstance(folds, int) or folds < 2:
        raise ConfigError(f"split.folds={folds}: must be at least 2")
    if not isinstance(test_ratio, int | float) or not 0 < test_ratio < 1:
        raise ConfigError(f"split.test_ratio={test_ratio}: must be between 0 and 1")
    if not isinstance(near_duplicate, int | float) or not 0 < near_duplicate <= 1:
        raise ConfigError(f"split.near_duplicate={near_duplicate}: must be above 0 and at most 1")
    if not isinstance(repeats, int) or repeats < 1:
        raise ConfigError(f"split.repeats={repeats}: must be at least 1")


def _shingles(texts: Sequence[str]) -> sparse.csr_matrix:
    tokens, lengths = words(texts)
    encoded = tokens.dictionary_encode()
    ids = encoded.indices.to_numpy().astype(np.int64)
    size = len(encoded.dictionary) + 1
    rows = np.repeat(np.arange(len(texts)), lengths)
    place = np.arange(len(ids)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    key = ids + 1
    for step in range(1, SHINGLE):
        following = np.zeros_like(ids)
        inside = rows[step:] == rows[: len(rows) - step]
        following[: len(ids) - step][inside] = ids[step:][inside] + 1
        key = key * size + following
    # A shingle starts at every word that has two after it, or at the first word of a short text.
    starts = (place + SHINGLE <= lengths[rows]) | (place == 0)
    _, column = np.unique(key[starts], return_inverse=True)
    data = np.ones(int(starts.sum()), np.int32)
    matrix = sparse.csr_matrix((data, (rows[starts], column)), shape=(len(texts), column.max(initial=-1) + 1))
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix
