"""Whether a challenger may become champion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.evaluation.comparison import SIGNIFICANT


def objections(
    pair: Mapping[str, Any],
    champion: Sequence[Mapping[str, Any]],
    challenger: Sequence[Mapping[str, Any]],
    *,
    margin: float,
) -> list[str]:
    """Return what speaks against a challenger; nothing where it may be promoted.

    Parameters
    ----------
    pair : mapping
        Challenger less champion, from `evaluation.comparison.compare`.
    champion, challenger : sequence of mapping
        Behaviour tests of both: `name`, `rate`, `low`, `high`.
    margin : float
        How much lower macro-F1 may at worst be.

    Notes
    -----
    "Not worse" is a test of non-inferiority: the whole 95 % interval of the difference lies above
    -margin. That a difference is not significant would not do: few sentences never show one.
    Piaggio et al. (2012). Reporting of noninferiority and equivalence randomized trials.
    """
    found = []
    score = pair["scores"]["macro_f1"]
    if score["low"] < -margin:
        found.append(
            f"macro-F1 may be {-score['low']:.3f} lower ({score['difference']:+.3f}, 95 % interval "
            f"{score['low']:+.3f} to {score['high']:+.3f}; margin {margin})"
        )
    found += [
        f"{label} is worse (F1 {one['difference']:+.3f}, p {one['mcnemar']['p_holm']:.3f})"
        for label, one in pair["labels"].items()
        if one["difference"] < 0 and one["mcnemar"]["p_holm"] < SIGNIFICANT
    ]
    told = {test["name"]: test for test in challenger}
    for test in champion:
        name = test["name"]
        if name not in told:
            found.append(f"the challenger did not take the behaviour test {name!r}")
        elif told[name]["rate"] > test["high"]:
            found.append(
                f"behaviour test {name!r} fails in {100 * told[name]['rate']:.1f} % of cases, "
                f"the champion in {100 * test['rate']:.1f} % (at most {100 * test['high']:.1f} %)"
            )
    return found
