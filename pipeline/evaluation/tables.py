"""Scores as text, for the console."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def score_table(blocks: Mapping[str, Mapping[str, Any]]) -> str:
    """Return blocks of scores side by side as plain text, with 95 % intervals.

    Parameters
    ----------
    blocks : mapping of str to mapping
        Title of a column to a block from `evaluation.metrics.evaluate`.
    """
    labels = list(next(iter(blocks.values()))["per_label"])
    rows = [["", *(f"{title} ({block['sentences']})" for title, block in blocks.items())]]
    for name in ("macro_f1", "micro_f1", "subset_accuracy"):
        rows.append([name, *(_with_interval(block[name]) for block in blocks.values())])
    for label in labels:
        rows.append([label, *(_label(block["per_label"][label]) for block in blocks.values())])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table, head first, its columns padded to equal width."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [f"| {' | '.join(cell.ljust(w) for cell, w in zip(row, widths, strict=True))} |" for row in rows]
    return "\n".join([lines[0], f"|{'|'.join('-' * (width + 2) for width in widths)}|", *lines[1:]])


def _with_interval(score: Mapping[str, float]) -> str:
    return f"{score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}]"


def _label(score: Mapping[str, Any]) -> str:
    return (
        f"{score['f1']:.3f} [{score['f1_low']:.3f}, {score['f1_high']:.3f}]"
        f"  P {score['precision']:.2f} R {score['recall']:.2f} n {score['support']}"
    )
