"""Every regular expression, and what reads text with them, takes linear time on whatever comes.

For each pattern, strings that it matches are drawn from its own syntax, and each short piece of them is
repeated many times before an end that fits nothing. A pattern that backtracks shows in how time grows.
"""

import importlib
import pkgutil
import re
import time
from random import Random
from re import _parser

import pytest

import pipeline
from pipeline.schema import Article
from pipeline.text.cleaning import clean
from pipeline.text.pages import markdown_text
from pipeline.text.sentences import split_article

# How a pattern is used where it is not searched for in a whole text: by `match`, within so many characters.
# With the function that sees to it.
MATCHED = {
    *("app._ADDED", "rows._FORMULA", "evaluation.perturbations._OBJECT"),
    *("text.layout._SPEAKER", "text.layout._BULLET", "labels.values._FRACTION"),
}
BOUNDED = {
    "app._NO_CHOICE": 4000,  # plainly
    "evaluation.proper_names._OPENING": 4,
    "text.boundaries._ATTRIBUTION": 120,
    "text.boundaries._LEFT_TOKEN": 24,
    "text.boundaries._RIGHT_WORD": 24,
    "text.boundaries._DOTTED": 24,
    "text.pages._CHARSET": 4096,
}
JUNK = 300  # characters: what is longer is no junk
SHORT = 2000
STEADY = 0.001  # seconds of SHORT characters that nobody would call slow


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
    return {"DIGIT": "1", "NOT_DIGIT": "a", "SPACE": " ", "NOT_SPACE": "a", "WORD": "a"}.get(
        str(code)[9:], "."
    )


def member(given, rng):
    if str(given[0][0]) == "NEGATE":
        inside = re.compile("[" + "".join(re.escape(member([one], rng)) for one in given[1:]) + "]")
        return next((one for one in rng.sample("aA1 .,'-(“", 10) if not inside.match(one)), "z")
    code, value = rng.choice(given)
    if str(code) == "RANGE":
        return chr(rng.randint(*value))
    return chr(value) if str(code) == "LITERAL" else category(value)


def pumped(pattern, times=2):
    """Return (before, piece, after): repeating the piece is what a pattern may stumble over."""
    source = pattern.pattern
    parsed = _parser.parse(source, pattern.flags & ~re.DEBUG)
    rng = Random(repr(source))
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
        text = text[: JUNK if place.startswith(("text.junk", "text.patterns")) else BOUNDED.get(place)]
        how(text.encode("utf-8", "replace") if bytes_too else text)

    slow = [attack for attack in pumped(pattern) if grows(run, attack)]
    assert slow == []


def test_a_slow_pattern_is_found():
    for slow in (r"\s*\d", r"#\s+(.*?)\s*#*$", r"\[[^\]]*\]"):
        pattern = re.compile(slow)
        assert any(grows(pattern.search, attack) for attack in pumped(pattern, 6)), slow


READERS = {
    "cleaning": clean,
    "markdown": markdown_text,
    "splitting": lambda text: split_article(Article("a", text)),
}
ATTACKS = [
    *(
        "&amp;",
        "amp;",
        "&#38;",
        "&#5",
        "&",
        "a &#x26;",
        "&lt;",
        " ,",
        " ’s",
        " .",
        "Ã¢â‚¬",
        "ï¿½",
        "\u200d",
        "é\u0301",
    ),
    *("[", "![", "[a](", "![a](b", "[a](b(", "# ", "#", "*", "*a", "_a_", "**a", "> ", "a  ", "\t", "---\n"),
    *(
        "'a ",
        "’",
        "“",
        "(",
        "(a",
        "A. ",
        "Mr. ",
        "U.S. ",
        "a.m. ",
        "1. ",
        "... ",
        "?!",
        "\n",
        "\n\n",
        " \n",
        "A\n",
        "a-\n",
    ),
    *(
        "By A ",
        "Photo: ",
        "| a ",
        "@a ",
        "http://a.",
        "said ",
        "He said ",
        ",” said ",
        "\u2028",
        "\x00",
        "\u202e",
        "क्‍",
    ),
]


@pytest.mark.parametrize("name", READERS)
def test_what_reads_text_takes_linear_time(name):
    """Ten times the text, less than forty times as long; square growth would be a hundred times."""
    for unit in ATTACKS:
        for before, after in (("", ""), ("&", "!"), ("# ", "x")):
            short, long = (
                seconds(READERS[name], before + unit * (length // len(unit)) + after)
                for length in (2_000, 20_000)
            )
            if long > 0.2 and long > 40 * short:
                short, long = (
                    min(seconds(READERS[name], before + unit * (n // len(unit)) + after) for _ in range(3))
                    for n in (2_000, 20_000)
                )
                assert long < 40 * short, (unit, short, long)


def test_entities_of_entities_are_read_in_one_pass():
    deep = "&" + "amp;" * 200_000 + "lt;"
    assert seconds(clean, deep) < 5
    assert clean("a &" + "amp;" * 50 + "lt; b") == "a < b"
    assert clean("&#38;#38;#3&#56;;quot;x&#59;") == '"x;'
