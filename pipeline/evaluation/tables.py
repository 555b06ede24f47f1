"""Scores as text, for the console."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

SHOWN = 20
MOST = 5  # slices and behaviour tests of a comparison


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


def comparison_table(result: Mapping[str, Any]) -> str:
    """Return a comparison as plain text: scores, differences to the first run, labels, verdict.

    Parameters
    ----------
    result : mapping
        As `pipeline.compare` writes it.
    """
    first, *others = result["runs"]
    pairs = result["pairs"]
    rows = [["", "macro_f1", "difference", "95 %", "p", "train s", "sentences/s"]]
    rows.append([first["name"], f"{pairs[0]['scores']['macro_f1']['a']:.3f}", "", "", "", *_cost(first)])
    for run, pair in zip(others, pairs, strict=True):
        score = pair["scores"]["macro_f1"]
        what = [f"{score['b']:.3f}", f"{score['difference']:+.3f}", _range(score), _p(score["p_holm"])]
        rows.append([run["name"], *what, *_cost(run)])
    lines = [f"{result['sentences']} sentences of {result['articles']} articles", "", *_aligned(rows)]
    for run, pair in zip(others, pairs, strict=True):
        alone = [f"only {one['name']} right" for one in (first, run)]
        rows = [["", "F1", "difference", "95 %", "p", *alone, "McNemar p"]]
        for label, one in pair["labels"].items():
            test = one["mcnemar"]
            what = [f"{one['b']:.3f}", f"{one['difference']:+.3f}", _range(one), _p(one["p_holm"])]
            rows.append([label, *what, str(test["only_a"]), str(test["only_b"]), _p(test["p_holm"])])
        lines += ["", f"{run['name']} and {first['name']}:", *_aligned(rows)]
        lines += [*_parts(pair, [first["name"], run["name"]]), "", fixed(pair), sentence(run, first, pair)]
    return "\n".join(lines)


def _parts(pair: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Return the slices and behaviour tests that differ most."""
    slices = [row for row in pair["slices"] if row["difference"] and not row["small"]]
    tests = [row for row in pair["behaviour"] if row["a"] != row["b"]]
    lines: list[str] = []
    if slices:
        rows = [["slices that differ most", "difference", "95 %", "p"]]
        for row in sorted(slices, key=lambda row: -abs(row["difference"]))[:MOST]:
            what = [f"{row['difference']:+.3f}", _range(row), _p(row["p_holm"])]
            rows.append([f"{row['slice']}: {row['value']}", *what])
        lines += ["", *_aligned(rows)]
    if tests:
        rows = [["failures that differ most", *names, "p of more"]]
        for row in sorted(tests, key=lambda row: -1 if row["b"] is None else row["p"])[:MOST]:
            told = ["-", "-"] if row["b"] is None else [f"{row['b']:.1%}", _p(row["p"])]
            rows.append([row["test"], f"{row['a']:.1%}", *told])
        lines += ["", *_aligned(rows)]
    return lines


def fixed(pair: Mapping[str, Any]) -> str:
    """Return in how many decisions one alone is right."""
    changes = [row["change"] for row in pair["changed"]]
    return f"Decisions that changed: {changes.count('fixed')} fixed, {changes.count('broken')} broken."


def sentence(run: Mapping[str, Any], first: Mapping[str, Any], pair: Mapping[str, Any]) -> str:
    """Return in a sentence whether a run differs from the first."""
    score = pair["scores"]["macro_f1"]
    interval = f"95 % interval {score['low']:+.3f} to {score['high']:+.3f}"
    figures = f"macro-F1 {score['difference']:+.3f}, {interval}"
    if pair["verdict"] in ("better", "worse"):
        return f"{run['name']} is {pair['verdict']} than {first['name']}: {figures}."
    return f"There is no evidence of a difference between {run['name']} and {first['name']}: {figures}."


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for first, *others in rows:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]).rstrip())
    return [lines[0], "  ".join("-" * width for width in widths), *lines[1:]]


def _range(score: Mapping[str, float]) -> str:
    return f"[{score['low']:+.3f}, {score['high']:+.3f}]"


def _p(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _cost(run: Mapping[str, Any]) -> list[str]:
    cost = run["train_seconds"], run["sentences_per_second"]
    return ["-" if value is None else f"{value:,.0f}" for value in cost]


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
