"""Whether one classifier fails behaviour tests more often than another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def behaviour_differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return how often both fail each behaviour test, and whether the second does so more often.

    Parameters
    ----------
    a, b : mapping
        From `evaluation.behaviour.run_tests`.

    Returns
    -------
    list of dict
        Of the name swaps, of all written sentences together, and of each test, on written sentences and
        on test sentences: `test`, the rates `a` and `b` (None where b did not take it), `paired`, and
        `p`, one-sided, of b failing no more often.

    Notes
    -----
    On the same cases an exact sign test: of the cases in which one fails more versions than the other,
    how many are b's. Where the cases differ (another seed, other test sentences), or were not kept one
    by one, Fisher's exact test, which needs larger differences.
    """
    told = _measured(b)
    return [{"test": name} | _difference(one, told.get(name)) for name, one in _measured(a).items()]


def _measured(behaviour: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return all that was measured, by name, each with `rate` and `cases`."""
    flips, tests = behaviour["name_swap_flip_rate"], behaviour["tests"]
    found = {
        "name swap flip rate": _as_test(flips),
        "name swap flip rate, test sentences": _as_test(flips["held_out"]),
        "all written sentences": _together(list(tests.values())),
    }
    for name, one in tests.items():
        found |= {name: one, f"{name}, test sentences": one.get("held_out", {})}
    return {name: one for name, one in found.items() if one.get("cases")}


def _as_test(flips: Mapping[str, Any]) -> dict[str, Any]:
    return {**flips, "rate": flips["value"], "cases": flips["sentences"]}


def _together(tests: list[Mapping[str, Any]]) -> dict[str, Any]:
    cases = sum(one["cases"] for one in tests)
    found = {"cases": cases, "rate": sum(one["failures"] for one in tests) / max(cases, 1)}
    if all("failed" in one for one in tests):
        found |= {key: " ".join(one[key] for one in tests) for key in ("failed", "digest")}
    return found


def _difference(a: Mapping[str, Any], b: Mapping[str, Any] | None) -> dict[str, Any]:
    if b is None:
        return {"a": a["rate"], "b": None, "paired": False, "p": None}
    paired = "digest" in a and a["digest"] == b.get("digest")
    p = _sign_test(a["failed"], b["failed"]) if paired else _fisher(a, b)
    return {"a": a["rate"], "b": b["rate"], "paired": paired, "p": p}


def _sign_test(a: str, b: str) -> float:
    from scipy.stats import binomtest

    more, fewer = (sum(x < y for x, y in zip(*both, strict=True)) for both in ((a, b), (b, a)))
    return float(binomtest(more, more + fewer, alternative="greater").pvalue) if more + fewer else 1.0


def _fisher(a: Mapping[str, Any], b: Mapping[str, Any]) -> float:
    from scipy.stats import fisher_exact

    failures = [round(one["rate"] * one["cases"]) for one in (b, a)]
    table = [[n, one["cases"] - n] for n, one in zip(failures, (b, a), strict=True)]
    return float(fisher_exact(table, alternative="greater").pvalue)
