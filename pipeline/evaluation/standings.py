"""The table of a leaderboard, as Markdown that reads well in a console too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.evaluation.tables import aligned

Entry = Mapping[str, Any]


def ranked(entries: Sequence[Entry]) -> list[Entry]:
    """Return entries by macro-F1 on other news where there is some, else on the test; skipped ones last."""
    return sorted(entries, key=lambda e: -judged(e)["macro_f1"]["value"] if "test" in e else 1.0)


def judged(entry: Entry) -> Mapping[str, Any]:
    """Return the block of scores that an entry is ranked by."""
    return entry.get("external") or entry["test"]


def standings(entries: Sequence[Entry]) -> str:
    """Return two tables: macro-F1, speed and size of each classifier, and its F1 for each label.

    Parameters
    ----------
    entries : sequence of mapping
        `model`, and either `skipped` (a reason) or `cross_validation`, `test`, optionally `external`
        and `by` (blocks from `evaluation.metrics.evaluate`), `training` and `speed`.
    """
    done = [entry for entry in ranked(entries) if "test" in entry]
    skipped = [f"- {entry['model']} skipped: {entry['skipped']}" for entry in entries if "skipped" in entry]
    if not done:
        return "\n".join(skipped)
    others = [(value, len(block)) for value, block in done[0].get("by", {}).items()]
    head = ["model", "cross-validation", _title("test", done[0]["test"])]
    if "external" in done[0]:
        head.append(_title("external", done[0]["external"]))
    head += [_title(value, done[0]["by"][value]) for value, _ in others]
    head += ["training, sentences/s", "scoring, sentences/s", "first label, s", "bundle, MB"]
    parts = [aligned([head, *(_row(entry) for entry in done)]), _by_label(done)]
    return "\n\n".join([*parts, "\n".join(skipped)] if skipped else parts)


def _row(entry: Entry) -> list[str]:
    folds = entry["cross_validation"]["folds"]
    part = f" ({folds['scored']} of {folds['all']} folds)" if folds["scored"] < folds["all"] else ""
    blocks = [entry["test"], *([entry["external"]] if "external" in entry else [])]
    speed = entry["speed"]
    return [
        entry["model"],
        _interval(entry["cross_validation"]) + part,
        *(_interval(block) for block in [*blocks, *entry.get("by", {}).values()]),
        _rate(entry["training"]["sentences_per_second"]),
        _rate(speed["sentences_per_second"]),
        f"{speed['first_label_seconds']:.1f}",
        f"{speed['megabytes']:.1f}",
    ]


def _by_label(done: Sequence[Entry]) -> str:
    labels = list(judged(done[0])["per_label"])
    where = "external" if "external" in done[0] else "test"
    rows = [[f"F1, {where}", *labels]]
    for entry in done:
        scores = judged(entry)["per_label"]
        rows.append([entry["model"], *(f"{scores[label]['f1']:.3f}" for label in labels)])
    return aligned(rows)


def _title(name: str, block: Mapping[str, Any]) -> str:
    return f"{name} ({block['sentences']:,})"


def _interval(block: Mapping[str, Any]) -> str:
    score = block["macro_f1"]
    return f"{score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}]"


def _rate(value: float) -> str:
    """Return a rate to two digits: the third is noise."""
    return f"{float(f'{value:.2g}'):,.0f}" if value >= 10 else f"{value:.1f}"
