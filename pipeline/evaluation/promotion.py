"""Whether a challenger may become champion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.evaluation.comparison import SIGNIFICANT


def objections(pair: Mapping[str, Any], *, margin: float) -> list[str]:
    """Return what speaks against a challenger; nothing where it may be promoted.

    Parameters
    ----------
    pair : mapping
        Challenger less champion, from `evaluation.comparison.compare`, with `behaviour`, from
        `evaluation.behaviour_comparison`.
    margin : float
        How much lower macro-F1 may at worst be.

    Notes
    -----
    "Not worse" is a test of non-inferiority: the whole 95 % interval of the difference lies above
    -margin. That a difference is not significant would not do: few sentences never show one.
    Piaggio et al. (2012). Reporting of noninferiority and equivalence randomized trials.

    A label is worse by the paired bootstrap of its F1: McNemar's test asks for sentences labelled
    right, of which there may be more while F1 is lower. Behaviour tests are not adjusted for their
    number: each is to be passed, and one more must not make the others easier.
    """
    found = []
    score = pair["scores"]["macro_f1"]
    if score["low"] < -margin:
        found.append(
            f"macro-F1 may be {-score['low']:.3f} lower ({score['difference']:+.3f}, 95 % interval "
            f"{score['low']:+.3f} to {score['high']:+.3f}; margin {margin})"
        )
    found += [
        f"{label} is worse (F1 {one['difference']:+.3f}, p {one['p_holm']:.3f})"
        for label, one in pair["labels"].items()
        if one["difference"] < 0 and one["p_holm"] < SIGNIFICANT
    ]
    for test in pair["behaviour"]:
        name = test["test"]
        if test["b"] is None:
            found.append(f"the challenger did not take the behaviour test {name!r}")
        elif test["p"] < SIGNIFICANT:
            found.append(
                f"behaviour test {name!r} fails in {test['b']:.1%} of cases, "
                f"the champion's in {test['a']:.1%} (p {test['p']:.3f})"
            )
    return found
