"""Self-contained HTML pages: nothing is fetched, nothing from the data is executed."""

from __future__ import annotations

import secrets
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

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
    output: Path, articles: Sequence[Article], rows: Iterable[Mapping[str, Any]], labels: LabelSet
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
    """
    raw = {article.id: article.text for article in articles}
    grouped: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        grouped[str(row.get("article", ""))].append(row)
    counts = Counter(name for same in grouped.values() for row in same for name in row["labels"])
    sentences = sum(map(len, grouped.values()))
    page = _environment().get_template("articles.html.j2")
    text = page.render(
        title="Labelled news",
        summary=f"{len(grouped)} articles, {sentences} sentences, "
        f"{sum(1 for same in grouped.values() for row in same if row['labels'])} of them labelled.",
        labels=list(labels.names),
        definitions=labels.definitions,
        counts=counts,
        colours=COLOURS,
        nonce=secrets.token_urlsafe(12),
        articles=[
            {"id": name, "paragraphs": _paragraphs(same, raw.get(name), labels)}
            for name, same in grouped.items()
        ],
    )
    with atomic(output) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _paragraphs(rows: Sequence[Mapping[str, Any]], raw: str | None, labels: LabelSet) -> list[dict[str, Any]]:
    paragraphs: list[dict[str, Any]] = []
    last: Mapping[str, Any] | None = None
    for row in rows:
        headline = row.get("kind") == "headline"
        together = raw is not None and last is not None and "\n" not in raw[last["end"] : row["start"]]
        if not together or headline:
            paragraphs.append({"tag": "h2" if headline else "p", "sentences": []})
        scores = ", ".join(f"{name} {row['scores'][name]:.2f}" for name in labels.names)
        indices = [labels.names.index(name) for name in row["labels"]]
        paragraphs[-1]["sentences"].append({"text": row["text"], "labels": indices, "scores": scores})
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
