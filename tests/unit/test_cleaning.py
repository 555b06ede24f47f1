import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.text.cleaning import clean

DAMAGED = st.text(st.sampled_from(" .,;:!?)(‘’”\"'s-abe\u200d\u200b\x00é́Ãâ€™Â\xa0\n5ن&#38;"), max_size=30)
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=60)


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        ("the port of Varna .", "the port of Varna."),
        ("Varna Lines , citing costs", "Varna Lines, citing costs"),
        ("Norway ‘s fleet", "Norway’s fleet"),
        ("Norway ’s fleet", "Norway’s fleet"),
        ("Norway 's fleet", "Norway's fleet"),
        ("an Oslo -based carrier", "an Oslo-based carrier"),
        ("“we paid ,” she said", "“we paid,” she said"),
        ("“the bill ” arrived", "“the bill” arrived"),
        ("the owners ’ wishes", "the owners’ wishes"),
        ("the spokesman added. .", "the spokesman added."),
        ("it ended .” .", "it ended.”"),
        ("really ?", "really?"),
        ("(a note )", "(a note)"),
        ("two  spaces\tand\xa0more\n", "two spaces and more"),
        ("cafe\u0301", "café"),
        ("zero\u200bwidth\ufeff and soft\u00adhyphen", "zerowidth and softhyphen"),
        ("bell\x07 and\x00 null", "bell and null"),
        ("donâ€™t", "don’t"),
        ("cafÃ© owner", "café owner"),
        ("the bank&#39;s &quot;plan&amp;quot;", 'the bank\'s "plan"'),
        ("ab\u200ccd", "abcd"),
        ("half \ud800 pair", "half \ufffd pair"),
    ],
)
def test_damage_is_repaired(given_text, expected):
    assert clean(given_text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "rose .5 pct",
        "wait ... what",
        "he said . . . that",
        "the talks -- held twice -- failed",
        "“curly” and ‘single’ quotes",
        "rock ’n’ roll",
        "built on .NET",
        "the -40 degree night",
        "from 5 -10 to 6",
        "smile :)",
        "the ‘s’ key",
        "un château âgé",
        "AT&T; R&D costs",
        "نمی\u200cخواهم",
        "क्\u200dष",
        "",
    ],
)
def test_what_is_meant_survives(text):
    assert clean(text) == text


@given(st.one_of(DAMAGED, ANY_TEXT))
@settings(max_examples=600, deadline=None)
def test_idempotent_and_writable(text):
    cleaned = clean(text)
    assert clean(cleaned) == cleaned
    assert cleaned == cleaned.strip()
    cleaned.encode("utf-8")


def test_undamaged_text_imports_no_repairer():
    code = "import sys; from pipeline.text import cleaning as c; c.clean('a , é');"
    code += "sys.exit('ftfy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
