"""Every regular expression, and what reads text with them, takes linear time on whatever comes.

For each pattern, strings that it matches are drawn from its own syntax, and each short piece of them is
repeated many times before an end that fits nothing. A pattern that backtracks shows in how time grows.
"""

import importlib
import pkgutil
import re
import time
from functools import cache
from random import Random

import pytest
from re import _parser  # isort: skip

import pipeline

# How a pattern is used where it is not searched for in a whole text: by `match`, within so many characters.
# With the function that sees to it.
MATCHED = {
}
BOUNDED = {
}
SHORT = 700
STEADY = 0.003  # seconds of SHORT characters that nobody would call slow


def compiled():
    """Return the patterns of all modules by where they are."""
    found = {}
    for module in pkgutil.walk_packages(pipeline.__path__, "pipeline."):
        try:
            names = vars(importlib.import_module(module.name))
        except ImportError:  # of an extra that is not here
            continue
        for name, value in names.items():
            for place, pattern in nested(f"{module.name.removeprefix('pipeline.')}.{name}", value):
                found.setdefault((pattern.pattern, pattern.flags), (place, pattern))
    return dict(found.values())


def nested(place, value):
    if isinstance(value, re.Pattern):
        yield place, value
    elif isinstance(value, dict | list | tuple) and not place.endswith("]]]"):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from nested(f"{place}[{key}]", one)


def witness(parsed, rng, depth=0):
    """Return a string that a parsed pattern may match; what looks around is passed over."""
    text = ""
    for code, given in parsed:
        name = str(code)
        if name in ("LITERAL", "NOT_LITERAL"):
            text += chr(given) if name == "LITERAL" else ("x" if given != ord("x") else "y")
        elif name == "ANY":
            text += rng.choice("a 1")
        elif name == "IN":
            text += member(given, rng)
        elif name == "BRANCH":
            text += witness(rng.choice(given[1]), rng, depth + 1)
        elif name == "SUBPATTERN":
            text += witness(given[3], rng, depth + 1)
        elif name == "ATOMIC_GROUP":
            text += witness(given, rng, depth + 1)
        elif name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            low, high, inner = given
            for _ in range(min(max(low, rng.choice((1, 2))), high, 4 if low < 4 else low)):
                text += witness(inner, rng, depth + 1)
        elif name == "CATEGORY":
            text += category(given)
    return text


def category(code):
    return {"DIGIT": "1", "NOT_DIGIT": "a", "SPACE": " ", "NOT_SPACE": "a", "WORD": "a"}.get(str(code)[9:], ".")


def member(given, rng):
    if str(given[0][0]) == "NEGATE":
        inside = re.compile("[" + "".join(re.escape(member([one], rng)) for one in given[1:]) + "]")
        return next((one for one in rng.sample("aA1 .,'-(“", 10) if not inside.match(one)), "z")
    code, value = rng.choice(given)
    if str(code) == "RANGE":
        return chr(rng.randint(*value))
    return chr(value) if str(code) == "LITERAL" else category(value)


def pumped(pattern, times=4):
    """Return (before, piece, after): repeating the piece is what a pattern may stumble over."""
    source = pattern.pattern
    parsed = _parser.parse(source, pattern.flags & ~re.DEBUG)
    rng = Random(source if isinstance(source, str) else source.decode())
    found = {}
    for _ in range(times):
        text = witness(parsed, rng)[:60]
        for width in (1, 2, len(text)):
            for at in range(0, max(len(text) - width, 0) + 1, max(1, len(text) // 12)):
                found[text[:at], text[at : at + width], rng.choice(("", "\x00", "\n!"))] = None
    return [one for one in found if one[1]]


def filled(before, piece, after, length):
    return before + piece * (length // len(piece)) + after


def seconds(run, text):
    begun = time.process_time()
    run(text)
    return time.process_time() - begun


def grows(run, attack):
    """Return whether four times the text takes more than ten times as long, where it takes long at all."""
    if seconds(run, filled(*attack, SHORT)) < STEADY:
        return False
    short, long = (
        min(seconds(run, filled(*attack, length)) for _ in range(3)) for length in (SHORT, 4 * SHORT)
    )
    return short > STEADY and long > 10 * short


PATTERNS = compiled()


def test_there_are_patterns():
    assert len(PATTERNS) > 80
    assert {*MATCHED, *BOUNDED} <= set(PATTERNS), "no exception for what is gone"


@pytest.mark.parametrize("place", PATTERNS)
def test_a_pattern_takes_linear_time(place):
    pattern = PATTERNS[place]
    bytes_too = isinstance(pattern.pattern, bytes)
    how = pattern.match if place in MATCHED else pattern.search

    def run(text):
        text = text[: BOUNDED.get(place)]
        how(text.encode("utf-8", "replace") if bytes_too else text)

    slow = [attack for attack in pumped(pattern) if grows(run, attack)]
    assert slow == []


def test_a_slow_pattern_is_found():
    for slow in (r"\s*\d", r"#\s+(.*?)\s*#*$", r"\[[^\]]*\]"):
        pattern = re.compile(slow)
        assert any(grows(pattern.search, attack) for attack in pumped(pattern, 12)), slow
