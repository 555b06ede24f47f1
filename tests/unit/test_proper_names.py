"""Names are told from other words with a capital."""

import pytest

from pipeline.evaluation.proper_names import PLACEHOLDER, NameFinder

TEXTS = [
    "The court in Ostrava heard Mr Aldana on Monday.",
    "Aldana told the Court that the bank of Ostrava had lied.",
    "In March the Bank fired Jean-Luc Petrov and O'Neill, who live in La Paz.",
    "Union Leaders Blame Ministry For Strike In Harbour Towns",
    "“Nobody came,” said Petrov’s sister.",
]


@pytest.fixture(scope="module")
def finder():
    return NameFinder(TEXTS)


def test_names_are_found_and_others_are_not(finder):
    assert finder.words >= {"Ostrava", "Aldana", "Jean-Luc", "Petrov", "O'Neill", "La", "Paz"}
    assert not finder.words & {
        "Court",
        "Bank",
        "Mr",
        "Monday",
        "March",
        "The",
        "In",
        "Nobody",
        "Union",
        "Ministry",
    }


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Aldana's court sits in La Paz.", "{0}'s court sits in {0}."),
        ("Jean-Luc Petrov and O'Neill met.", "{0} and {0} met."),
        ("Petrov’s bank", "{0}’s bank"),
        ("Nobody of that name.", "Nobody of that name."),
        ("", ""),
    ],
)
def test_each_name_becomes_one(finder, text, masked):
    assert finder.replace(text) == masked.format(PLACEHOLDER)


def test_a_name_keeps_its_words_together_but_not_across_a_comma(finder):
    text = "Paz, Ostrava and La Paz"
    assert [text[begin:end] for begin, end in finder.spans(text)] == ["Paz", "Ostrava", "La Paz"]


def test_what_is_mostly_in_lower_case_is_no_name():
    texts = ["They saw the Falcon.", *["They saw a falcon."] * 2]
    assert "Falcon" not in NameFinder(texts).words
    assert "Falcon" in NameFinder(texts[:1]).words
