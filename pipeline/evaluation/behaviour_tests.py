"""Behaviour tests as data files: what is changed in a sentence, and what should come of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from random import Random
from typing import Any

from pipeline.evaluation.perturbations import SIMPLE, Perturb, found_names, listed
from pipeline.schema import InputError, nearest

EFFECTS = ("same", "up", "down", "labels")
KEYS = (
    "name",
    "about",
    "effect",
    "label",
    "labels",
    "swap",
    "perturb",
    "aligned",
    "names",
    "held_out",
    "cases",
)
VARIANTS = 4
_SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Case:
    """A sentence and its changed versions; none where the sentence itself is what is tested."""

    before: str
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BehaviourTest:
    """One test of behaviour.

    Attributes
    ----------
    name : str
    effect : {"same", "up", "down", "labels"}
        The labels stay; the probability of a label rises or falls; the labels are those given.
    labels : tuple of str
        The label that rises or falls, or all that the sentences carry.
    cases : tuple of Case
    names : bool
        Counts for the name-swap flip rate.
    perturb : callable, optional
        The same change for sentences that nobody wrote for the test.
    """

    name: str
    effect: str
    labels: tuple[str, ...]
    cases: tuple[Case, ...]
    names: bool = False
    about: str = ""
    perturb: Perturb | None = field(default=None, compare=False)


def read_tests(folder: str | Path, held_out: Sequence[str] = ()) -> list[BehaviourTest]:
    """Return the tests of all files of a folder.

    Parameters
    ----------
    folder : path
        With YAML files: `tests`, and what these share, `slots` and `sentences`.
    held_out : sequence of str
        What names are learnt from, for the changes of names that a list cannot know.

    Raises
    ------
    InputError
        For a file or test that is not understood; names both.
    """
    import yaml

    paths = sorted(Path(folder).glob("*.yaml"))
    if not paths:
        raise InputError(f"{folder}: no behaviour tests (*.yaml) here; set behaviour_tests to their folder")
    tests: list[BehaviourTest] = []
    for path in paths:
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: not YAML ({str(error).splitlines()[0]})") from None
        if not isinstance(content, dict) or not isinstance(content.get("tests"), list):
            raise InputError(f"{path}: expected a list `tests`")
        tests += [_test(path, one, content, held_out) for one in content["tests"]]
    names = [test.name for test in tests]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"{folder}: two tests are called {twice[0]!r}; rename one")
    return tests


def _test(path: Path, given: Any, shared: Mapping[str, Any], held_out: Sequence[str]) -> BehaviourTest:
    where = f"{path}: test {given.get('name')!r}" if isinstance(given, dict) else f"{path}: a test"
    if not isinstance(given, dict) or not isinstance(given.get("name"), str):
        raise InputError(f"{where}: expected a mapping with a name")
    if unknown := sorted(set(given) - set(KEYS)):
        raise InputError(f"{where}: unknown key {unknown[0]!r}{nearest(unknown[0], KEYS)}")
    effect = given.get("effect")
    if effect not in EFFECTS:
        raise InputError(f"{where}: effect {effect!r} must be one of {', '.join(EFFECTS)}")
    labels = given.get("labels", []) if effect == "labels" else [given["label"]] if "label" in given else []
    if effect in ("up", "down") and not labels:
        raise InputError(f"{where}: effect {effect!r} needs a `label`")
    sentences = given.get("cases") or shared.get("sentences")
    if not isinstance(sentences, list) or not sentences:
        raise InputError(f"{where}: no `cases`, and no `sentences` in the file")
    perturb = _perturbation(where, given, shared, held_out)
    return BehaviourTest(
        given["name"],
        effect,
        tuple(labels),
        tuple(filter(None, (_case(where, one, given, shared, perturb) for one in sentences))),
        bool(given.get("names")),
        str(given.get("about", "")),
        perturb if given.get("held_out") else None,
    )


def _perturbation(
    where: str, given: Mapping[str, Any], shared: Mapping[str, Any], held_out: Sequence[str]
) -> Perturb | None:
    name, slots = given.get("perturb"), shared.get("slots", {})
    known = (*SIMPLE, "listed", "names")
    if name is None:
        return None
    if name == "listed":
        return listed([slots[slot] for slot in given.get("swap", slots)])
    if name == "names":
        return found_names(held_out, [name for slot in given.get("swap", slots) for name in slots[slot]])
    if name not in SIMPLE:
        raise InputError(f"{where}: unknown change {name!r}{nearest(str(name), known)}")
    return SIMPLE[name]


def _case(
    where: str, one: Any, given: Mapping[str, Any], shared: Mapping[str, Any], perturb: Perturb | None
) -> Case | None:
    """Return a case; None where the change finds nothing to change."""
    effect = given["effect"]
    if isinstance(one, list) and len(one) == 2 and all(isinstance(text, str) for text in one):
        return Case(one[0], (one[1],))
    if not isinstance(one, str):
        raise InputError(f"{where}: expected a sentence, or two: before and after; got {one!r}")
    if effect == "labels":
        return Case(one)
    if _SLOT.search(one):
        filled = _filled(where, one, shared.get("slots", {}))
        return Case(filled[0], tuple(filled[1:]))
    if perturb is None:
        raise InputError(f"{where}: {one!r} has no {{slot}}, no second version, and the test no `perturb`")
    # Seeded by the sentence: the same change in every run, whichever sentences come before.
    changed = perturb(one, Random(one))
    return Case(one, (changed,)) if changed != one else None


def _filled(where: str, template: str, slots: Mapping[str, Any]) -> list[str]:
    """Return the template with its slots filled several times, always the same."""
    for name in _SLOT.findall(template):
        if not isinstance(slots.get(name), list):
            raise InputError(f"{where}: no slot {name!r} in the file{nearest(name, list(slots))}")
    rng = Random(template)
    # Shuffled once and dealt in turn: a word comes back only when all others had theirs.
    words = {
        name: cycle(rng.sample(slots[name], len(slots[name])))
        for name in dict.fromkeys(_SLOT.findall(template))
    }
    filled = [_SLOT.sub(lambda match: next(words[match.group(1)]), template) for _ in range(VARIANTS + 1)]
    return [text[0].upper() + text[1:] for text in filled]
