"""Stage: join annotations to the sentences they label."""

from __future__ import annotations

import csv
import hashlib
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from omegaconf import DictConfig

from pipeline.app import stage
from pipeline.files import write_json, write_rows
from pipeline.labels.agreement import agreement
from pipeline.labels.annotations import Annotation, by_sentence, check, majority, read_annotations
from pipeline.labels.labelset import label_set
from pipeline.schema import FINGERPRINT, SENTENCES, Article, InputError, LabelSet
from pipeline.text.cleaning import clean
from pipeline.text.decoding import open_text
from pipeline.text.readers import read_articles
from pipeline.text.sentences import split_article

METADATA = ("topic", "register", "region", "date", "source", "writer", "split")


def label(
    articles: str | Path, metadata: str | Path | None, annotations: str | Path, labels: LabelSet
) -> tuple[pa.Table, dict[str, Any]]:
    """Return the labelled sentences and what there is to say about them.

    Parameters
    ----------
    articles : path
        Whatever `pipeline.ingest` reads.
    metadata : path, optional
        CSV with a column `article` and any of topic, register, region, date, source, writer, split.
    annotations : path
        JSONL, one annotator's labels for one sentence a line.
    labels : LabelSet

    Returns
    -------
    table : pyarrow.Table
        The columns of `schema.SENTENCES`, `labels` (list of names), and those of the metadata.
    statistics : dict
        Counts, co-occurrence, agreement, and how annotated and ingested sentences match.

    Raises
    ------
    InputError
        Naming the row of an annotation that does not fit its article.
    """
    read = {article.id: article for article in read_articles(articles)}
    about = read_metadata(metadata) if metadata else {}
    votes = []
    for annotation in read_annotations(annotations):
        check(annotation, read, labels)
        votes.append(annotation)
    grouped = by_sentence(votes)
    columns: dict[str, list[Any]] = {name: [] for name in (*SENTENCES.names, "labels", *METADATA)}
    position: Counter[str] = Counter()
    for (article, start, end), same in grouped.items():
        row = {
            "article": article,
            "sentence": position[article],
            "kind": same[0].kind,
            "start": start,
            "end": end,
            "text": clean(same[0].text),
            "labels": majority(same, labels),
        }
        position[article] += 1
        known = about.get(article, {})
        for name, column in columns.items():
            column.append(row[name] if name in row else known.get(name, ""))
    table = pa.table(columns, schema=labelled_schema())
    return table, _statistics(table, list(grouped.values()), read, labels)


def labelled_schema() -> pa.Schema:
    """Return the columns of labelled sentences."""
    extra = [pa.field("labels", pa.list_(pa.string())), *(pa.field(name, pa.string()) for name in METADATA)]
    return pa.schema([*SENTENCES, *extra])


def read_metadata(path: str | Path) -> dict[str, dict[str, str]]:
    """Return the columns of each article, by article id."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; set corpus.metadata to a CSV file, or to null")
    found: dict[str, dict[str, str]] = {}
    with open_text(path, newline="") as file:
        reader = csv.DictReader(file)
        if "article" not in (reader.fieldnames or []):
            raise InputError(f"{path}: no column 'article'; found {', '.join(reader.fieldnames or [])}")
        for row in reader:
            if row["article"] in found:
                raise InputError(f"{path}:{reader.line_num}: second row for article {row['article']!r}")
            found[row["article"]] = row
    return found


def fingerprint(paths: Sequence[str | Path | None], labels: LabelSet) -> str:
    """Return a digest of all files below `paths` and of the label set: it tells stale from current."""
    digest = hashlib.sha256(repr(labels).encode())
    for path in [Path(path) for path in paths if path]:
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in files:
            digest.update(str(file.relative_to(path)).encode() + b"\0")
            digest.update(hashlib.sha256(file.read_bytes()).digest() if file.is_file() else b"missing")
    return digest.hexdigest()


def prepare(config: DictConfig, *, output: Path, statistics: Path) -> dict[str, Any]:
    """Label the configured corpus into `output`, with its fingerprint, and return the statistics."""
    labels = label_set(config.labels)
    corpus = config.corpus
    table, found = label(corpus.articles, corpus.metadata, corpus.annotations, labels)
    found["fingerprint"] = fingerprint([corpus.articles, corpus.metadata, corpus.annotations], labels)
    schema = table.schema.with_metadata({FINGERPRINT: found["fingerprint"].encode()})
    write_rows(output, table.replace_schema_metadata(schema.metadata).to_batches(), schema)
    write_json(statistics, found)
    return found


def _statistics(
    table: pa.Table, votes: Sequence[Sequence[Annotation]], articles: dict[str, Article], labels: LabelSet
) -> dict[str, Any]:
    given = table["labels"].to_pylist()
    spans = {(v[0].article, v[0].start, v[0].end) for v in votes}
    ingested = {
        (s.article, s.start, s.end)
        for name in sorted({article for article, _, _ in spans})
        for s in split_article(articles[name])[0]
    }
    pairs = Counter((a, b) for names in given for i, a in enumerate(names) for b in names[i + 1 :])
    return {
        "articles": len({article for article, _, _ in spans}),
        "sentences": len(given),
        "votes": sum(map(len, votes)),
        "counts": {name: sum(name in names for names in given) for name in labels.names},
        "without_label": sum(not names for names in given),
        "with_several": sum(len(names) > 1 for names in given),
        "together": {f"{a} + {b}": n for (a, b), n in pairs.most_common()},
        "agreement": agreement(votes, labels),
        "sentences_with_two_votes": sum(len(same) > 1 for same in votes),
        "ingest_finds": len(spans & ingested),
        "ingest_finds_besides": len(ingested - spans),
    }


def summary(statistics: dict[str, Any]) -> str:
    """Return what the console shows of the statistics."""
    lines = [
        f"{statistics['sentences']} sentences of {statistics['articles']} articles; "
        f"{statistics['without_label']} without a label, {statistics['with_several']} with several"
    ]
    for name, count in statistics["counts"].items():
        agreed = statistics["agreement"].get(name)
        tail = f"   alpha {agreed['value']:.2f} [{agreed['low']:.2f}, {agreed['high']:.2f}]" if agreed else ""
        lines.append(f"  {name:<16}{count:>6}  {count / max(statistics['sentences'], 1):6.1%}{tail}")
    lines.append("  together: " + ", ".join(f"{k} {n}" for k, n in list(statistics["together"].items())[:6]))
    if shared := statistics["sentences_with_two_votes"]:
        lines.append(f"  Krippendorff's alpha over {shared} sentences labelled twice or more")
    lines.append(
        f"  ingest finds {statistics['ingest_finds'] / max(statistics['sentences'], 1):.1%} of the annotated "
        f"sentences exactly, and {statistics['ingest_finds_besides']} segments besides"
    )
    return "\n".join(lines)


@stage("label")
def main(config: DictConfig) -> None:
    """Run the stage."""
    statistics = prepare(config, output=Path(config.output), statistics=Path(config.statistics))
    sys.stdout.write(f"{summary(statistics)}\nwritten to {config.output} and {config.statistics}\n")


if __name__ == "__main__":
    main()
