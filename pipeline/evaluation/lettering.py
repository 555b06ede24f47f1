"""Names in any script on plots: in an installed font that has it, else as numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache

USUAL = "DejaVu Sans"  # matplotlib brings it
_BOXES = "Last Resort"  # has every character, as a box


@contextmanager
def lettering(names: Sequence[str], kind: str = "label") -> Iterator[list[str]]:
    """Give names as they can be drawn within the block: as they are, or as "label 3".

    Parameters
    ----------
    names : sequence of str
    kind : str
        What they are, for those that no installed font has: numbered from 1.

    Notes
    -----
    Fonts are added to those of matplotlib's settings until the block ends. "$" means no formula.
    """
    from matplotlib import rc_context, rcParams

    missing = frozenset(character for name in names for character in name if character.isprintable())
    missing -= _characters_of_usual()
    families, unknown = _families(missing) if missing else ((), frozenset())
    shown = [
        f"{kind} {n}" if unknown & set(name) else name.replace("$", r"\$") for n, name in enumerate(names, 1)
    ]
    before = [name for name in rcParams["font.family"] if name != "sans-serif"] or [USUAL]
    with rc_context({"font.family": [*before, *families]}):
        yield shown


def _characters_of_usual() -> frozenset[str]:
    from matplotlib.font_manager import findfont

    return _characters(findfont(USUAL))


@lru_cache(maxsize=1024)
def _characters(path: str) -> frozenset[str]:
    """Return what a font file has."""
    from matplotlib.ft2font import FT2Font

    return frozenset(map(chr, FT2Font(path).get_charmap()))


@lru_cache(maxsize=32)
def _families(missing: frozenset[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return installed fonts that have the characters between them, and the characters that none has."""
    from matplotlib.font_manager import fontManager

    found: list[str] = []
    known: dict[str, frozenset[str]] = {}
    for entry in fontManager.ttflist:
        if entry.style == "normal" and entry.name not in known and not entry.name.startswith(_BOXES):
            try:
                known[entry.name] = _characters(entry.fname) & missing
            except (OSError, RuntimeError):  # gone since matplotlib listed it, or no font
                continue
    while missing and known:
        best = max(sorted(known), key=lambda name: len(known[name] & missing))
        if not known[best] & missing:
            break
        found.append(best)
        missing -= known.pop(best)
    return tuple(found), missing
