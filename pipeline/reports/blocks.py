"""Slices and behaviour tests of a metrics file, as rows for tables; what is not there is left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

FEW = 30  # sentences below which a slice's score says little


def slice_rows(slices: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each slicing, from any nest of mappings that ends in blocks of scores.

    Returns
    -------
    dict of str to list of dict
        Such as "kind" to rows with `value`, `sentences`, `macro_f1` (value, low, high) and `few`.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for path, block in _ends(slices, "macro_f1"):
        score = block["macro_f1"]
        if not isinstance(score, Mapping):
            score = {"value": score, "low": score, "high": score}
        sentences = block.get("sentences")
        few = block.get("few", block.get("small", sentences is not None and sentences < FEW))
        row = {"value": " ".join(path[1:]) or path[0], "sentences": sentences, "few": bool(few)}
        found.setdefault(path[0], []).append(row | {"macro_f1": dict(score)})
    return found


def behaviour_rows(behaviour: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of behaviour tests, from any nest of mappings that ends in rates of failure.

    Returns
    -------
    list of dict
        `name`, `effect`, `cases`, `rate`, `low`, `high`.
    """
    found = []
    for path, test in _ends(behaviour, "failure_rate"):
        rate = test["failure_rate"]
        if not isinstance(rate, Mapping):
            rate = {"value": rate, **{bound: test.get(bound, rate) for bound in ("low", "high")}}
        found.append(
            {
                "name": " ".join(path),
                "effect": str(test.get("effect", test.get("expected", test.get("kind", "")))),
                "cases": test.get("cases"),
                "rate": rate["value"],
                "low": rate["low"],
                "high": rate["high"],
            }
        )
    return found


Path = tuple[str, ...]


def _ends(nest: Any, key: str, path: Path = ()) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield path and mapping wherever a mapping has the key."""
    if not isinstance(nest, Mapping):
        return
    if key in nest and path:
        yield path, nest
        return
    for name, inner in nest.items():
        yield from _ends(inner, key, (*path, str(name)))
