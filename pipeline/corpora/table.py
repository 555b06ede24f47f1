"""A labelled corpus from tables: texts and labels as found, with everything wrong about them named."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from pipeline.corpora.sources import Source, dataset_splits, has_test, open_dataset, open_path
from pipeline.labels.labelset import label_set
from pipeline.labels.values import flagged, is_number, label_names
from pipeline.rows import encodable
from pipeline.schema import FINGERPRINT, ConfigError, InputError, LabelSet

SCHEMA = pa.schema(
    [
        ("article", pa.string()),
        ("sentence", pa.int32()),
        ("text", pa.string()),
        ("labels", pa.list_(pa.string())),
        ("split", pa.string()),
    ]
)
TASKS = ("multilabel", "multiclass", "binary")
GROUP = "article"  # read where it is there; any other name is the user's, and must be
_CHUNK = 8192


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns of a table mean what.

    Attributes
    ----------
    text : str
    label : str or sequence of str
        One column, or one for each label.
    group : str, optional
        Texts that belong together, never split between training and test.
    separator : str
        Between the names in a string of several.
    """

    text: str
    label: str | Sequence[str]
    group: str | None
    separator: str

    @property
    def wanted(self) -> list[str]:
        """Columns that must be there."""
        labels = [self.label] if isinstance(self.label, str) else list(self.label)
        own = [self.group] if self.group and self.group != GROUP else []
        return [self.text, *labels, *own]


@dataclass(slots=True)
class Corpus:
    """Labelled texts, as training takes them.

    Attributes
    ----------
    table : pyarrow.Table
        `article` (the group, else the row itself), `sentence` (number of the row in its file), `text`,
        `labels` (list of names), `split` ("train" or "test").
    labels : LabelSet
    warnings : list of str
        What is wrong with single rows, with their numbers.
    places : dict of str to str
        For each split what its numbers count: "train.jsonl: line".
    """

    table: pa.Table
    labels: LabelSet
    warnings: list[str]
    places: dict[str, str]


def read_corpus(settings: Mapping[str, Any], labels: Mapping[str, Any], folds: int) -> Corpus:
    """Read the tables that `conf/corpus/table.yaml` or `hub.yaml` describes, and check them.

    Parameters
    ----------
    settings : mapping
        The keys of those files.
    labels : mapping
        `task`, `names` and `definitions`; where the first two are missing they are found in the data.
    folds : int
        A label needs as many texts.

    Raises
    ------
    InputError, ConfigError
        For what cannot be trained on; with `strict`, also for what is wrong with single rows.
    """
    from pipeline.corpora.problems import check

    task, names = labels.get("task"), labels.get("names")
    if task not in (None, *TASKS):
        raise ConfigError(f"task={task}: must be one of {', '.join(TASKS)}")
    columns = Columns(settings["text"], settings["label"], settings["group"], settings["separator"])
    several = task in (None, "multilabel")
    sources, table, cells = _read_all(settings, columns, names, several)
    taken: list[str] = []
    if task is None:
        task = _told(table, cells)
        if task == "multiclass" and cells.joined:
            taken = sorted(cells.joined)
            sources, table, _ = _read_all(settings, columns, names, several=False)
    places = {part: f"{source.name}: {source.noun}" for part, source in sources}
    places.setdefault("test", places["train"])
    found = _label_set(table, labels, task)
    table, warnings = check(table, found, places, folds, binary=task == "binary")
    if taken:
        warnings.append(f"labels taken for one name each, unless task=multilabel: {', '.join(taken[:5])}")
    if settings["strict"] and warnings:
        raise InputError(f"{warnings[0]} (with corpus.strict=false training goes on)")
    return Corpus(_fingerprinted(table, found), found, warnings, places)


@dataclass(slots=True)
class _Cells:
    """How labels are written: the names of strings that hold several; whether lists hold none or several."""

    joined: dict[str, Sequence[str]] = field(default_factory=dict)
    lists: bool = False

    def note(self, value: Any, given: Sequence[str]) -> None:
        """Take in a cell that does not hold one name."""
        if isinstance(value, list | tuple) or (isinstance(value, str) and value.lstrip().startswith("[")):
            self.lists = True
        elif given:
            self.joined[str(value).strip()] = given


def _read_all(
    settings: Mapping[str, Any], columns: Columns, names: Sequence[str] | None, several: bool
) -> tuple[list[tuple[str, Source]], pa.Table, _Cells]:
    sources, cells = _sources(settings, columns), _Cells()
    parts = [_read(source, part, columns, names, several, cells) for part, source in sources]
    return sources, pa.concat_tables(parts), cells


def _told(table: pa.Table, cells: _Cells) -> str:
    """Return the task that the labels are written for.

    A string is several names only where one of its parts is a label elsewhere, too. Where most rows of a
    column of single names have one, the others miss theirs.
    """
    import pyarrow.compute as pc

    sizes = pc.list_value_length(table["labels"])
    alone = set(pc.unique(pc.list_flatten(table.filter(pc.equal(sizes, 1))["labels"])).to_pylist())
    parts = Counter(name for names in cells.joined.values() for name in names)
    bare = pc.sum(pc.and_(pc.equal(sizes, 0), pc.equal(table["split"], "train"))).as_py() or 0
    several = cells.lists or any(name in alone or n > 1 for name, n in parts.items())
    unclear = bare and (len(alone) + len(cells.joined) < 2 or 2 * bare > table.num_rows)
    return "multilabel" if several or unclear else "multiclass"


def _sources(settings: Mapping[str, Any], columns: Columns) -> list[tuple[str, Source]]:
    group = [GROUP] if columns.group == GROUP else []
    wanted, train, test = columns.wanted, settings["train"], settings["test"]
    if settings["kind"] == "hub":
        name, config, revision = settings["name"], settings["config"], settings.get("revision")
        test = test or ("test" if "test" in dataset_splits(name, config, revision) else None)
        parts = [("train", train), ("test", test)]
        return [
            (p, open_dataset(name, config, split, wanted, group, revision)) for p, split in parts if split
        ]
    test = test or (train if has_test(train) else None)
    found = [("train", open_path(train, wanted, group if test else [*group, "split"]))]
    return [*found, ("test", open_path(test, wanted, group, part="test"))] if test else found


def _read(
    source: Source,
    part: str,
    columns: Columns,
    names: Sequence[str] | None,
    several: bool,
    cells: _Cells,
) -> pa.Table:
    """Read one source; `several` labels may stand in one string."""
    separator = columns.separator if several else None
    one = columns.label if isinstance(columns.label, str) else None
    known = source.class_names.get(one or "") or _numbered(names)
    rows: list[dict[str, Any]] = []
    chunks = []
    for number, row in source.rows:
        try:
            text = _text(row[columns.text], columns.text)
            given = (
                label_names(row[one], separator=separator, class_names=known)
                if one
                else flagged(row, columns.label)
            )
        except InputError as error:
            raise InputError(f"{source.name}: {source.noun} {number}: {error}") from None
        if len(given) != 1:
            cells.note(row[one] if one else [], given)
        group = row.get(columns.group) if columns.group else None
        rows.append(
            {
                "article": f"{part} {source.noun} {number}" if group is None else str(group),
                "sentence": number,
                "text": text,
                "labels": given,
                "split": "test" if row.get("split") == "test" else part,
            }
        )
        if len(rows) == _CHUNK:
            chunks.append(pa.RecordBatch.from_pylist(rows, SCHEMA))
            rows = []
    chunks.append(pa.RecordBatch.from_pylist(rows, SCHEMA))
    table = pa.Table.from_batches(chunks)
    if not table.num_rows:
        raise InputError(f"{source.name}: has no rows")
    return table


def _numbered(names: Sequence[str] | None) -> list[str] | None:
    """Return configured names that whole numbers in the table stand for: not where they are numbers."""
    return None if names is None or all(is_number(str(n)) for n in names) else [str(n) for n in names]


def _text(value: Any, column: str) -> str:
    if value is None or (isinstance(value, float) and value != value):
        return ""
    if not isinstance(value, str):
        raise InputError(f"{column!r} must be a string, got {type(value).__name__}")
    return encodable(value)


def _label_set(table: pa.Table, labels: Mapping[str, Any], task: str) -> LabelSet:
    """Return the configured label set, completed by what the rows have."""
    import pyarrow.compute as pc

    flat = pc.list_flatten(table["labels"])
    if not (names := labels.get("names")):
        names = sorted(pc.unique(flat).to_pylist())
        if all(map(is_number, names)):
            names.sort(key=int)
    if not names:
        raise InputError("no row has a label; check corpus.label")
    kind = "multilabel" if task == "multilabel" else "multiclass"
    return label_set({"names": names, "task": kind, "definitions": labels.get("definitions")})


def _fingerprinted(table: pa.Table, labels: LabelSet) -> pa.Table:
    """Return the table with a digest of what is in it: it tells data sets apart."""
    digest = hashlib.sha256(repr(labels).encode())
    for batch in _even(table):
        digest.update(batch.serialize())
    return table.replace_schema_metadata({FINGERPRINT: digest.hexdigest().encode()})


def _even(table: pa.Table) -> Iterator[pa.RecordBatch]:
    """Yield batches whose borders do not depend on how the table was read."""
    whole = table.combine_chunks()
    for begin in range(0, len(whole), _CHUNK):
        yield from whole.slice(begin, _CHUNK).combine_chunks().to_batches()
