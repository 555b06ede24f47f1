"""What is wrong with labelled texts, found before anything is trained, named by row."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy import sparse

from pipeline.schema import InputError, LabelSet

SHOWN = 5
ALIKE = 0.85  # of two names' letters, from where one may be a slip for the other
RARE, FREQUENT = 0.2, 20  # a slip has so small a share of the rows that the name itself has, of so many
SEPARATORS = (";", "|", ",")
_DIGITS = re.compile(r"\d+")
GIVES_AWAY, ELSEWHERE, ENOUGH = 0.995, 0.0005, 20  # a topic's own word is not that regular

Places = Mapping[str, str]


def check(
    table: pa.Table, labels: LabelSet, places: Places, folds: int, *, binary: bool = False
) -> tuple[pa.Table, list[str]]:
    """Return the rows that can be used, and a warning for everything that is wrong with some.

    Parameters
    ----------
    table : pyarrow.Table
        See `pipeline.corpora.table.Corpus`.
    labels : LabelSet
    places : mapping of str to str
        For each split what its row numbers count: "train.jsonl: line".
    folds : int
    binary : bool, default=False
        Two classes are expected.

    Raises
    ------
    InputError
        For a label outside the set, several labels where the task has one, one class only.
    """
    _unknown(table, labels, places)
    if labels.task == "multiclass":
        _several(table, places)
    usable, warnings = _usable(table, labels, places)
    train = usable.filter(pc.equal(usable["split"], "train"))
    support = Counter(pc.list_flatten(train["labels"]).to_pylist())
    _one_class(support, labels, train.num_rows, places["train"])
    if binary and len(labels.names) != 2:
        raise InputError(
            f"{places['train'].rpartition(':')[0]}: task=binary needs two classes, found "
            f"{len(labels.names)}: {_some(labels.names)}; task=multiclass takes more"
        )
    warnings += _unseen(usable, support, labels, places)
    warnings += _rare(support, labels, folds)
    warnings += _misspelt(train, support, places["train"])
    warnings += _joined(train, support, places["train"])
    warnings += _contradictions(usable, places)
    warnings += _shared_groups(usable)
    warnings += _mojibake(usable, places)
    warnings += leaks(train["text"].to_pylist(), train["labels"].to_pylist(), labels)
    return usable, warnings


def left_out_rows(table: pa.Table, rows: NDArray[np.int64], places: Places) -> list[str]:
    """Return what to say of training rows that test rows repeat, exactly or nearly."""
    if not len(rows):
        return []
    numbers = table["sentence"].take(rows).to_pylist()
    return [_said("train", numbers, "left out, for the test repeats or nearly repeats it", places)]


def _usable(table: pa.Table, labels: LabelSet, places: Places) -> tuple[pa.Table, list[str]]:
    """Leave out rows that say nothing, and say which."""
    empty = pc.equal(pc.utf8_trim_whitespace(table["text"]), "")
    bare = pc.equal(pc.list_value_length(table["labels"]), 0)
    is_test = pc.equal(table["split"], "test")
    reasons = [
        ("train", "left out: no text", pc.and_(empty, pc.invert(is_test)), True),
        ("test", "without text, scored as empty", pc.and_(empty, is_test), False),
    ]
    if labels.task == "multiclass":
        labelled = pc.and_(bare, pc.invert(empty))
        reasons += [
            (part, "left out: no label", pc.and_(labelled, pc.equal(table["split"], part)), True)
            for part in ("train", "test")
        ]
    warnings, out = [], np.zeros(table.num_rows, bool)
    for part, what, mask, leave in reasons:
        found = mask.to_numpy()
        if found.any():
            warnings.append(_said(part, table["sentence"].filter(mask).to_pylist(), what, places))
            out |= found & leave
    return table.filter(pa.array(~out)), warnings


def _unknown(table: pa.Table, labels: LabelSet, places: Places) -> None:
    unknown = set(pc.unique(pc.list_flatten(table["labels"])).to_pylist()) - set(labels.names)
    if not unknown:
        return
    for part, number, given in _rows(table):
        for name in given:
            if name in unknown:
                try:
                    labels.index(name)
                except InputError as error:
                    raise InputError(f"{places[part]} {number}: {error}") from None


def _several(table: pa.Table, places: Places) -> None:
    wrong = table.filter(pc.greater(pc.list_value_length(table["labels"]), 1))
    for part, number, given in _rows(wrong):
        raise InputError(
            f"{places[part]} {number}: {len(given)} labels ({_some(given)}), and so {wrong.num_rows} of the "
            f"rows, but the task has one a row; task=multilabel takes several"
        )


def _one_class(support: Counter[str], labels: LabelSet, rows: int, place: str) -> None:
    where = place.rpartition(":")[0]
    if not rows:
        raise InputError(f"{where}: no row to train on")
    if not any(0 < support[name] < rows for name in labels.names):
        found = _some([name for name in labels.names if support[name]]) or "none"
        raise InputError(f"{where}: every row has the same label ({found}): there is nothing to tell apart")


def _unseen(table: pa.Table, support: Counter[str], labels: LabelSet, places: Places) -> list[str]:
    numbers = defaultdict(list)
    for part, number, given in _rows(table.filter(pc.equal(table["split"], "test"))):
        for name in given:
            if not support[name]:
                numbers[name].append((part, number))
    known = [name for name in labels.names if support[name]]
    return [
        _said(
            "test",
            [n for _, n in found],
            f"labelled {name!r}, which no training row is{_like(name, known)}",
            places,
        )
        for name, found in numbers.items()
    ]


def _rare(support: Counter[str], labels: LabelSet, folds: int) -> list[str]:
    rare = sorted((n, name) for name in labels.names if 0 < (n := support[name]) < folds)
    if not rare:
        return []
    listed = _some([f"{name} ({n})" for n, name in rare])
    return [
        f"{len(rare)} of {len(labels.names)} labels have fewer examples than split.folds={folds}: {listed}; "
        "their cross-validated scores mean little"
    ]


def _misspelt(train: pa.Table, support: Counter[str], place: str) -> list[str]:
    """Warn of names that differ in case alone, and of rare ones close to a frequent one."""
    slips: dict[str, str] = {}
    folded = defaultdict(list)
    for name, _ in support.most_common():
        folded[name.casefold()].append(name)
    for usual, *others in folded.values():
        slips |= dict.fromkeys(others, usual)
    frequent = [name for name, n in support.most_common() if n >= FREQUENT]
    most = RARE * max(support.values(), default=0)
    rare = [name for name, n in support.items() if n <= most and name not in slips and len(name) > 3]
    if len(rare) * len(frequent) <= 20_000:
        for name in rare:
            much = (other for other in frequent if support[name] <= RARE * support[other])
            if close := next((other for other in much if _alike(name, other)), None):
                slips[name] = close
    return _of_rows(
        train, place, {n: f"label {n!r}; is it {usual!r} misspelt?" for n, usual in slips.items()}
    )


def _joined(train: pa.Table, support: Counter[str], place: str) -> list[str]:
    """Warn of names that are several others', joined by a separator."""
    said = {}
    for name in support:
        for separator in SEPARATORS:
            parts = [part.strip() for part in name.split(separator)]
            if len(parts) > 1 and all(support[part] for part in parts):
                said[name] = (
                    f"label {name!r}, whose parts are labels too; for several labels a row: "
                    f"task=multilabel corpus.separator='{separator}'"
                )
    return _of_rows(train, place, said)


def _of_rows(train: pa.Table, place: str, said: Mapping[str, str]) -> list[str]:
    """Return what is to be said of each name, behind the numbers of its rows."""
    numbers = defaultdict(list)
    for _, number, given in _rows(train) if said else ():
        for name in given:
            if name in said:
                numbers[name].append(number)
    return [f"{place} {_numbers(found)}: {said[name]}" for name, found in numbers.items()]


def _alike(one: str, other: str) -> bool:
    if _DIGITS.sub("0", one) == _DIGITS.sub("0", other):  # numbered on purpose
        return False
    matcher = SequenceMatcher(None, one, other)
    return matcher.quick_ratio() >= ALIKE and matcher.ratio() >= ALIKE


def _like(name: str, known: Sequence[str]) -> str:
    close = next(
        (other for other in known if other.casefold() == name.casefold() or _alike(name, other)), None
    )
    return f"; did you mean {close!r}?" if close else ""


def _contradictions(table: pa.Table, places: Places) -> list[str]:
    """Warn of texts that occur twice, but for case and spaces, with different labels."""
    plain = pa.array([" ".join(text.casefold().split()) for text in table["text"].to_pylist()])
    encoded = plain.dictionary_encode()
    counts = np.bincount(encoded.indices.to_numpy(), minlength=len(encoded.dictionary))
    twice = np.flatnonzero(counts[encoded.indices.to_numpy()] > 1)
    seen: dict[str, list[tuple[str, int, tuple[str, ...]]]] = defaultdict(list)
    for text, (part, number, given) in zip(
        plain.take(twice).to_pylist(), _rows(table.take(twice)), strict=True
    ):
        if text:
            seen[text].append((part, number, tuple(sorted(given))))
    odd = [rows for rows in seen.values() if len({given for _, _, given in rows}) > 1]
    if not odd:
        return []
    examples = []
    for rows in odd[:3]:
        other = next(row for row in rows if row[2] != rows[0][2])
        pair = " and ".join(
            f"{places[part]} {n} ({_some(given) or 'none'})" for part, n, given in (rows[0], other)
        )
        examples.append(pair)
    what = "text has" if len(odd) == 1 else "texts have"
    return [f"{len(odd)} {what} different labels in different rows: {'; '.join(examples)}"]


def _shared_groups(table: pa.Table) -> list[str]:
    is_test = pc.equal(table["split"], "test")
    inside, outside = (
        set(pc.unique(table["article"].filter(m)).to_pylist()) for m in (pc.invert(is_test), is_test)
    )
    both = sorted(inside & outside)
    if not both:
        return []
    return [f"{len(both)} groups (corpus.group) have rows in both training and test: {_some(both)}"]


def _mojibake(table: pa.Table, places: Places) -> list[str]:
    """Warn of texts that were decoded wrongly once, such as "FranÃ§ois"."""
    from ftfy.badness import is_bad

    other = table.filter(pc.invert(pc.string_is_ascii(table["text"])))
    found = defaultdict(list)
    for text, (part, number, _) in zip(other["text"].to_pylist(), _rows(other), strict=True):
        if is_bad(text) or "\ufffd" in text:
            found[part].append(number)
    what = "text decoded wrongly before it was saved (such as 'Ã©' for 'é'); ftfy mends it"
    return [f"{places[part]} {_numbers(numbers)}: {what}" for part, numbers in found.items()]


def leaks(texts: Sequence[str], given: Sequence[Sequence[str]], labels: LabelSet) -> list[str]:
    """Warn of words that give a label away: in nearly all of its texts, and in nearly no others.

    Kaufman, S. et al. (2012). Leakage in data mining: such a word is often a mark that whoever
    labels new texts will not have.
    """
    from pipeline.labels.labelset import indicator
    from pipeline.models.tokens import words

    tokens, counts = words(texts)
    encoded = tokens.dictionary_encode()
    ids = encoded.indices.to_numpy()
    owner = np.repeat(np.arange(len(texts)), counts)
    shape = (len(texts), len(encoded.dictionary))
    has = sparse.csr_matrix((np.ones(len(ids), np.float32), (owner, ids)), shape=shape)
    has.data[:] = 1
    y = sparse.csr_matrix(indicator(given, labels).astype(np.float32))
    support = np.asarray(y.sum(axis=0)).ravel()
    frequency = np.asarray(has.sum(axis=0)).ravel()
    inside = (y.T @ has).tocoo()
    others = len(texts) - support[inside.row]
    mark = (
        (support[inside.row] >= ENOUGH)
        & (inside.data >= GIVES_AWAY * support[inside.row])
        & (frequency[inside.col] - inside.data <= ELSEWHERE * others)
    )
    found: dict[int, list[str]] = defaultdict(list)
    for label, word in zip(inside.row[mark], inside.col[mark], strict=True):
        found[label].append(encoded.dictionary[int(word)].as_py())
    return [
        f"label {labels.names[label]!r} is given away by {_some(sorted(marks))}: in nearly all of its texts "
        "and nearly no others; is it part of the text that you will have?"
        for label, marks in found.items()
    ]


def _rows(table: pa.Table) -> Iterable[tuple[str, int, list[str]]]:
    columns: list[list[Any]] = [table[name].to_pylist() for name in ("split", "sentence", "labels")]
    return zip(*columns, strict=True)


def _said(part: str, numbers: Sequence[int], what: str, places: Places) -> str:
    return f"{places[part]} {_numbers(numbers)}: {what}"


def _numbers(numbers: Sequence[int]) -> str:
    return _some([str(number) for number in numbers])


def _some(names: Sequence[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
