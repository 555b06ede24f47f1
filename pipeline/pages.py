"""Self-contained HTML pages: nothing is fetched, nothing from the data is executed."""

from __future__ import annotations

import secrets
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.evaluation.drift import LENGTH_EDGES, verdict
from pipeline.files import atomic
from pipeline.schema import Article, LabelSet

# Tol's bright scheme, told apart by people who are colour-blind; lighter tones on dark paper.
COLOURS = (
    {"light": "#ee6677", "dark": "#ff8b98"},
    {"light": "#66a5d6", "dark": "#7db9e8"},
    {"light": "#ccbb44", "dark": "#dccb55"},
    {"light": "#4caf66", "dark": "#62c67c"},
    {"light": "#b072c4", "dark": "#c58ad8"},
    {"light": "#e08a4a", "dark": "#f0a066"},
)


def articles_page(
    output: Path,
    articles: Sequence[Article],
    rows: Iterable[Mapping[str, Any]],
    labels: LabelSet,
    *,
    abstains: bool = False,
) -> None:
    """Write a page that shows articles with their labelled sentences marked.

    Parameters
    ----------
    output : path
    articles : sequence of Article
        Their text tells where paragraphs end; where there is none, each row is a paragraph.
    rows : iterable of mapping
        Labelled sentences, as `pipeline.predict` gives them, in order.
    labels : LabelSet
    abstains : bool
        Whether rows say in `undecided` which labels are left to a person.
    """
    raw = {article.id: article.text for article in articles}
    grouped: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        grouped[str(row.get("article", ""))].append(row)
    counts = Counter(name for same in grouped.values() for row in same for name in row["labels"])
    sentences = sum(map(len, grouped.values()))
    page = _environment().get_template("articles.html.j2")
    text = page.stream(
        title="Labelled news",
        summary=f"{len(grouped)} articles, {sentences} sentences, "
        f"{sum(1 for same in grouped.values() for row in same if row['labels'])} of them labelled.",
        labels=list(labels.names),
        definitions=labels.definitions,
        counts=counts,
        colours=COLOURS,
        nonce=secrets.token_urlsafe(12),
        abstains=abstains,
        articles=(
            {"id": name, "paragraphs": _paragraphs(same, raw.get(name), labels, abstains)}
            for name, same in grouped.items()
        ),
    )
    with atomic(output) as temporary:
        text.dump(str(temporary), encoding="utf-8")


def drift_page(
    output: Path, report: Mapping[str, Any], before: Mapping[str, Any], now: Mapping[str, Any]
) -> None:
    """Write a page of `pipeline.evaluation.drift.compare`'s report and of the two profiles."""
    scores, lengths = np.linspace(0, 0.9, 10).round(1), ["0", *map(str, LENGTH_EDGES)]
    charts = [
        _chart(f"probability of {name}", scores, before["scores"][k], now["scores"][k])
        for k, name in enumerate(report["labels"])
    ]
    charts.append(_chart("words in a sentence", lengths, before["lengths"], now["lengths"]))
    text = _environment().get_template("drift.html.j2")
    page = text.render(
        report=report,
        nonce=secrets.token_urlsafe(12),
        rows=_drift_rows(report),
        charts=charts,
        words=_moved(before, now),
    )
    with atomic(output) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _drift_rows(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = [
        {"name": name, **one["score"], "before": f"{one['rate_before']:.1%}", "now": f"{one['rate_now']:.1%}"}
        for name, one in report["labels"].items()
    ]
    rows.append({"name": "length", **report["length"], "before": "", "now": ""})
    words = report["vocabulary"]
    rare = {side: f"{words[f'rare_{side}']:.1%} other words" for side in ("before", "now")}
    rows.append({"name": "vocabulary", **words, "ks": None, **rare})
    return [row | {"verdict": verdict(row["psi"], report["sentences"]["now"])} for row in rows]


def _chart(name: str, bins: Iterable[object], before: Sequence[int], now: Sequence[int]) -> dict[str, Any]:
    shares = [np.array(counts) / max(sum(counts), 1) for counts in (before, now)]
    top, width = max(map(np.max, shares)) or 1.0, 250 / len(before)
    return {
        "name": name,
        "bars": [
            {
                "name": bin_name,
                "x": round(5 + k * width, 1),
                "width": round(width * 0.42, 1),
                "before": round(95 * one / top, 1),
                "now": round(95 * other / top, 1),
                "tip": f"from {bin_name}: {one:.1%} trained on, {other:.1%} here",
            }
            for k, (bin_name, one, other) in enumerate(zip(bins, *shares, strict=True))
        ],
    }


def _moved(before: Mapping[str, Any], now: Mapping[str, Any], most: int = 15) -> list[dict[str, Any]]:
    """Return the words whose shares differ most, by what each adds to the stability index."""
    p, q = (
        (np.array(one["words"]) + 0.5) / (sum(one["words"]) + len(one["words"]) / 2) for one in (before, now)
    )
    names = [*before["vocabulary"], "all others"]
    order = np.argsort(-(q - p) * np.log(q / p), kind="stable")[:most]
    return [{"name": names[i], "before": 1000 * p[i], "now": 1000 * q[i]} for i in order]


def _paragraphs(
    rows: Sequence[Mapping[str, Any]], raw: str | None, labels: LabelSet, abstains: bool
) -> list[dict[str, Any]]:
    paragraphs: list[dict[str, Any]] = []
    last: Mapping[str, Any] | None = None
    for row in rows:
        headline = row.get("kind") == "headline"
        together = raw is not None and last is not None and "\n" not in raw[last["end"] : row["start"]]
        if not together or headline:
            paragraphs.append({"tag": "h2" if headline else "p", "sentences": []})
        scores = ", ".join(f"{name} {row['scores'][name]:.2f}" for name in labels.names)
        indices = [labels.names.index(name) for name in row["labels"]]
        unsure = [labels.names.index(name) for name in row["undecided"]] if abstains else []
        paragraphs[-1]["sentences"].append(
            {"text": row["text"], "labels": indices, "unsure": unsure, "scores": scores}
        )
        last = row
    return paragraphs


def _environment() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=False,
    )
