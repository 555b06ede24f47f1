"""Scores as text, for the console."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SHOWN = 20


def score_table(blocks: Mapping[str, Mapping[str, Any]]) -> str:
    """Return blocks of scores side by side as plain text, with 95 % intervals.

    Parameters
    ----------
    blocks : mapping of str to mapping
        Title of a column to a block from `evaluation.metrics.evaluate`.
    """
    support = {name: one["support"] for name, one in next(iter(blocks.values()))["per_label"].items()}
    # Of very many, those of the most sentences, in their order.
    frequent = sorted(support, key=lambda name: -support[name])[:SHOWN]
    labels = [name for name in support if name in frequent]
    rows = [["", *(f"{title} ({block['sentences']})" for title, block in blocks.items())]]
    for name in ("macro_f1", "micro_f1", "subset_accuracy"):
        rows.append([name, *(_with_interval(block[name]) for block in blocks.values())])
    for label in labels:
        rows.append([label, *(_label(block["per_label"][label]) for block in blocks.values())])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    if len(support) > SHOWN:
        lines.append(f"and {len(support) - SHOWN} more labels")
    return "\n".join(line.rstrip() for line in lines)


def _with_interval(score: Mapping[str, float]) -> str:
    return f"{score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}]"


def _label(score: Mapping[str, Any]) -> str:
    return (
        f"{score['f1']:.3f} [{score['f1_low']:.3f}, {score['f1_high']:.3f}]"
        f"  P {score['precision']:.2f} R {score['recall']:.2f} n {score['support']}"
    )
