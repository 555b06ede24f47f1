"""Stage: join annotations to the sentences they label."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from omegaconf import DictConfig

from pipeline.app import stage
from pipeline.files import write_json
from pipeline.labels.aggregation import decide
from pipeline.labels.agreement import Votes, agreement, class_agreement
from pipeline.labels.annotations import by_sentence, check, read_annotations
from pipeline.labels.coders import coders, disputed, without
from pipeline.labels.labelset import label_set
from pipeline.rows import row_writer, write_rows
from pipeline.schema import FINGERPRINT, SENTENCES, Article, InputError, LabelSet
from pipeline.terminal import say
from pipeline.text.cleaning import clean
from pipeline.text.readers import read_articles
from pipeline.text.sentences import split_article
from pipeline.text.tables import rows

METADATA = ("topic", "register", "region", "date", "source", "writer", "split")


def label(
    articles: str | Path,
    metadata: str | Path | None,
    annotations: str | Path,
    labels: LabelSet,
    *,
    rule: str = "majority",
    adjudicator: str | None = None,
    seed: int = 0,
) -> tuple[pa.Table, dict[str, Any], list[dict[str, Any]]]:
    """Return the labelled sentences, what there is to say about them, and the disputed ones.

    Parameters
    ----------
    articles : path
        Whatever `pipeline.ingest` reads.
    metadata : path, optional
        CSV with a column `article` and any of topic, register, region, date, source, writer, split.
    annotations : path
        JSONL, one annotator's labels for one sentence a line.
    labels : LabelSet
    rule, adjudicator
        How one set of labels comes of several; see `pipeline.labels.aggregation.decide`.
    seed : int
        Of the intervals.

    Returns
    -------
    table : pyarrow.Table
        The columns of `schema.SENTENCES`, `labels` (list of names), and those of the metadata.
    statistics : dict
        Counts, co-occurrence, agreement, how annotators compare, who decided how often, and how
        annotated and ingested sentences match. An adjudicator has seen what the others said: nothing
        that compares annotators counts those votes.
    disputed : list of dict
        See `pipeline.labels.coders.disputed`.

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
    decided = decide(list(grouped.values()), labels, by=rule, adjudicator=adjudicator)
    columns: dict[str, list[Any]] = {name: [] for name in (*SENTENCES.names, "labels", *METADATA)}
    position: Counter[str] = Counter()
    for ((article, start, end), same), final in zip(grouped.items(), decided, strict=True):
        row = {
            "article": article,
            "sentence": position[article],
            "kind": same[0].kind,
            "start": start,
            "end": end,
            "text": clean(same[0].text),
            "labels": final.labels,
        }
        position[article] += 1
        known = about.get(article, {})
        for name, column in columns.items():
            column.append(row[name] if name in row else known.get(name, ""))
    table = pa.table(columns, schema=labelled_schema())
    same_sentence = list(grouped.values())
    alone = without(same_sentence, adjudicator)
    statistics = _statistics(table, same_sentence, alone, read, labels, seed)
    known_of = about if metadata else {name: article.meta for name, article in read.items()}
    topics = {name: str(known.get("topic") or "") for name, known in known_of.items()}
    statistics["coders"] = coders(alone, labels, topics, seed=seed)
    statistics["decided_by"] = dict(Counter(one.by for one in decided).most_common())
    return table, statistics, disputed(same_sentence, decided, labels)


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
    for place, row in rows(path, "csv", "article"):
        if row["article"] in found:
            raise InputError(f"{path}: {place}: second row for article {row['article']!r}; keep one")
        found[row["article"]] = row
    return found


def fingerprint(paths: Sequence[str | Path | None], labels: LabelSet, *settings: object) -> str:
    """Return a digest of all files below `paths`, the label set and settings: it tells stale from current."""
    digest = hashlib.sha256(repr((labels, *settings)).encode())
    for path in [Path(path) for path in paths if path]:
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in files:
            digest.update(str(file.relative_to(path)).encode() + b"\0")
            digest.update(hashlib.sha256(file.read_bytes()).digest() if file.is_file() else b"missing")
    return digest.hexdigest()


def prepare(config: DictConfig, *, output: Path, statistics: Path) -> dict[str, Any]:
    """Label the configured corpus into `output`, with its fingerprint, and return the statistics.

    The disputed sentences go beside the output, into NAME.disputed.jsonl.
    """
    corpus = config.corpus
    table, found, disagreed = label(
        corpus.articles,
        corpus.metadata,
        corpus.annotations,
        label_set(config.labels),
        rule=config.aggregation.rule,
        adjudicator=config.aggregation.adjudicator,
        seed=config.seed,
    )
    found["fingerprint"] = current(config)
    schema = table.schema.with_metadata({FINGERPRINT: found["fingerprint"].encode()})
    write_rows(output, table.replace_schema_metadata(schema.metadata).to_batches(), schema)
    write_json(statistics, found)
    with row_writer(output.with_suffix(".disputed.jsonl"), pa.schema([])) as write:
        write(disagreed)
    return found


def current(config: DictConfig) -> str:
    """Return the fingerprint of the configured corpus and labels."""
    corpus, how = config.corpus, config.aggregation
    paths = [corpus.articles, corpus.metadata, corpus.annotations]
    return fingerprint(paths, label_set(config.labels), how.rule, how.adjudicator)


def _statistics(
    table: pa.Table, votes: Votes, alone: Votes, articles: dict[str, Article], labels: LabelSet, seed: int
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
        "agreement": agreement(alone, labels, seed=seed),
        "agreement_on_classes": class_agreement(alone, labels, seed=seed),
        "sentences_with_two_votes": sum(len(same) > 1 for same in alone),
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
        tail = f"   {_alpha(agreed)}" if agreed else ""
        lines.append(f"  {name:<16}{count:>6}  {count / max(statistics['sentences'], 1):6.1%}{tail}")
    lines.append("  together: " + ", ".join(f"{k} {n}" for k, n in list(statistics["together"].items())[:6]))
    if shared := statistics["sentences_with_two_votes"]:
        lines.append(f"  Krippendorff's alpha over {shared} sentences labelled twice or more")
        if agreed := statistics["agreement_on_classes"]:
            lines[-1] += f"; of all classes {_alpha(agreed)}"
        lines += _coder_lines(statistics["coders"], list(statistics["counts"]))
    if len(statistics["decided_by"]) > 1:
        lines.append("  decided by: " + ", ".join(f"{k} {n}" for k, n in statistics["decided_by"].items()))
    lines.append(
        f"  ingest finds {statistics['ingest_finds'] / max(statistics['sentences'], 1):.1%} of the annotated "
        f"sentences exactly, and {statistics['ingest_finds_besides']} segments besides"
    )
    return "\n".join(lines)


def _alpha(found: dict[str, float]) -> str:
    return f"alpha {found['value']:.2f} [{found['low']:.2f}, {found['high']:.2f}]"


def _coder_lines(compared: dict[str, Any], labels: Sequence[str]) -> list[str]:
    """Return the table of F1 between each annotator and the others."""
    lines = [f"  {'F1 with the others':<22}{'read':>7}" + "".join(f"{name:>16}" for name in labels)]
    for name, one in compared["annotators"].items():
        cells = [f"{one['f1'][label]['value']:.2f}" if label in one["f1"] else "-" for label in labels]
        lines.append(f"  {name:<22}{one['sentences']:>7}" + "".join(f"{cell:>16}" for cell in cells))
    return lines


@stage("label")
def main(config: DictConfig) -> None:
    """Run the stage."""
    statistics = prepare(config, output=Path(config.output), statistics=Path(config.statistics))
    beside = Path(config.output).with_suffix(".disputed.jsonl")
    say(f"{summary(statistics)}\nwritten to {config.output}, {config.statistics} and {beside}")


if __name__ == "__main__":
    main()
