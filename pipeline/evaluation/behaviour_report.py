"""Results of behaviour tests and slices as lines, as a table and as single figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WORST = 3


def behaviour_line(found: Mapping[str, Any]) -> str:
    """Return the name-swap flip rates and the tests that fail most, on one line."""
    tests = {name: one for name, one in found["tests"].items() if one["failures"]}
    worst = sorted(tests, key=lambda name: -tests[name]["rate"])[:WORST]
    said = [f"{name} {tests[name]['failures']} of {tests[name]['cases']}" for name in worst]
    return (
        f"behaviour: {flips_line(found['name_swap_flip_rate'])}; "
        f"{len(tests)} of {len(found['tests'])} tests have failures"
        + (f": {', '.join(said)}" if said else "")
    )


def flips_line(rate: Mapping[str, Any]) -> str:
    """Return of how many swaps of names the labels change, in written sentences and in held-out ones."""
    parts = {"written sentences": rate, "held-out sentences": rate["held_out"]}
    shares = [f"{_share(one)} in {what} ({one['swaps']})" for what, one in parts.items() if one["swaps"]]
    return f"name swaps that change the labels: {', '.join(shares) or 'none were made'}"


def behaviour_table(found: Mapping[str, Any]) -> str:
    """Return a line for each test: failures of the written sentences, and of those changed for it."""
    rows = [("test", "wanted", "failed", "", "other sentences", "")]
    for name, one in found["tests"].items():
        rows.append((name, _wanted(one["effect"]), *_failed(one), *_failed(one.get("held_out"))))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(n) for cell, n in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    lines.append(flips_line(found["name_swap_flip_rate"]))
    if found["skipped"]:
        lines.append(f"skipped, for labels that are not here: {', '.join(found['skipped'])}")
    return "\n".join(lines)


def behaviour_numbers(found: Mapping[str, Any]) -> dict[str, float]:
    """Return `behaviour/name_swap_flip_rate`, `behaviour/TEST/failure_rate`, ..."""
    rate = found["name_swap_flip_rate"]
    numbers = {"behaviour/name_swap_flip_rate": rate["value"]}
    if rate["held_out"]["swaps"]:
        numbers["behaviour/name_swap_flip_rate_held_out"] = rate["held_out"]["value"]
    for name, one in found["tests"].items():
        numbers[f"behaviour/{name}/failure_rate"] = one["rate"]
        if "held_out" in one:
            numbers[f"behaviour/{name}/failure_rate_held_out"] = one["held_out"]["rate"]
    return numbers


def weakest_line(slices: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the part of lowest macro-F1 among those that are not small, on one line; "" for none."""
    parts = [
        (block["macro_f1"]["value"], facet, value, block)
        for facet, values in slices.items()
        for value, block in values.items()
        # By the number of their labels, sentences differ in what F1 can be.
        if facet not in ("labels", "names") and not block["small"] and block["macro_f1"]
    ]
    if not parts:
        return ""
    value, facet, name, block = min(parts, key=lambda part: part[0])
    score = block["macro_f1"]
    return (
        f"weakest part: {facet} = {name}, macro_f1 {value:.3f} [{score['low']:.3f}, {score['high']:.3f}], "
        f"{block['sentences']} sentences"
    )


def _wanted(effect: str) -> str:
    return {"same": "same labels", "up": "label up", "down": "label down", "labels": "these labels"}[effect]


def _failed(one: Mapping[str, Any] | None) -> tuple[str, str]:
    if one is None:
        return "", ""
    return f"{one['failures']} of {one['cases']}", f"{one['rate']:.1%} [{one['low']:.1%}, {one['high']:.1%}]"


def _share(rate: Mapping[str, float]) -> str:
    return f"{rate['value']:.1%} [{rate['low']:.1%}, {rate['high']:.1%}]"
