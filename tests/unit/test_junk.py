import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.schema import Article
from pipeline.text.junk import phrases, reason, terminated
from pipeline.text.sentences import split_article

PARAGRAPH = (
    "The harbour board said on Monday that the northern quay would stay closed until the spring. "
    "Two cranes were damaged in the storm."
)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("By Marta Ilves", "byline"),
        ("by Jon Reyes and Ada van der Meer", "byline"),
        ("By AMINA DIALLO, Finance Correspondent", "byline"),
        ("From our Agriculture Correspondent", "byline"),
        ("Gemma Postle, court reporter", "byline"),
        ("Words: Bogna Szcz", "byline"),
        ("Staff Reporter", "byline"),
        ("Photo: Tobin Estey", "credit"),
        ("Photos by Tobin Estey", "credit"),
        ("(Reporting by Ada Meer; Editing by Jon Reyes)", "credit"),
        ("Above: A page from the sketchbook of 2001.", "caption"),
        ("A tug in the bay. (Photo by Ada Meer/Getty Images)", "caption"),
        ("Tugs wait near the quay. Photograph: The Wharf", "caption"),
        ("(With inputs from AFP)", "agency"),
        ("Reuters", "agency"),
        ("The Associated Press contributed to this report.", "agency"),
        ("5 min read", "readtime"),
        ("Reading time: 4 minutes", "readtime"),
        ("Share this article", "share"),
        ("Share on Facebook   Tweet   Copy link", "share"),
        ("Follow us on Twitter", "share"),
        ("Sign up for our newsletter to get the news first.", "form"),
        ("Leave a Reply", "form"),
        ("Your email address will not be published. Required fields are marked *", "form"),
        ("44 comments", "form"),
        ("Read more: Ten recipes for a rainy day", "teaser"),
        ("RELATED: Five things to know about the vote", "teaser"),
        ("You may also like", "teaser"),
        ("Home > World > Europe", "navigation"),
        ("Advertisement", "navigation"),
        ("World news", "navigation"),
        ("Last Updated: Tuesday, 16 November, 2004, 09:07 GMT", "timestamp"),
        ("Published May 30, 2019 3:51pm EDT", "timestamp"),
        ("8:02 a.m.", "timestamp"),
        ("Sunday, January 4, 2009", "timestamp"),
        ("2 hours ago", "timestamp"),
        ("You have read 3 of 5 free articles this month.", "paywall"),
        ("Subscribe to continue reading", "paywall"),
        ("© 2023 Tri-Rivers Publishing. All rights reserved.", "disclaimer"),
        ("This story has been updated with additional information.", "disclaimer"),
        ("The views expressed here are the author's own.", "disclaimer"),
        ("Team\tP\tW\tL", "table"),
        ("1990 12.4 13.1 15.0 9.9", "table"),
        ("n city, and is the largest in the country.", "fragment"),
        ("Foreign affairs.", "fragment"),
        ("* * *", "punctuation"),
    ],
)
def test_boilerplate_is_named(line, why):
    assert reason(line) == why
    assert reason(line, phrases(line)) == why


@pytest.mark.parametrize(
    "sentence",
    [
        "He declined.",
        "No comment.",
        "Wrong.",
        "Money.",
        "By Monday, the river had fallen.",
        "By law, the council must publish the figures.",
        "From Monday the ferry will run twice a day.",
        "Share prices fell 3 percent in Oslo.",
        "Read the bill before you sign it, he told them.",
        "Published in 1998 by a small press, it sold well.",
        "Posted to Lagos in 2003, he learned Yoruba.",
        "Updated on May 3, the list names 40 firms.",
        "Photos taken on Tuesday showed the damage.",
        "Photos by tourists showed the bear at the door.",
        "He sold the picture to Getty Images.",
        "Related industries would suffer too.",
        "Like many on Twitter, he laughed.",
        "With reports of looting growing, police withdrew.",
        "Reporting by the paper led to the inquiry.",
        "Compiled by the bank, the survey found 39 nations at risk.",
        "The views expressed by the minister surprised his party.",
        "This report was published by the bank on Monday.",
        "Comments by the minister angered the union.",
        "The summit can be reached at dawn.",
        "More people came than in 2003.",
        "Home prices rose 5 pct.",
        "Sources close to the talks said no.",
        "8 people died in the fire.",
        "2,000 jobs will go.",
        "The reporter was released.",
        "Next week the court will rule.",
        "Subscribers paid twice, the regulator said.",
        "x rays showed a broken wrist, doctors said.",
        "km after km of road was washed away.",
        '"Follow us," he told the crew.',
    ],
)
def test_sentences_are_kept(sentence):
    assert reason(sentence) is None


def roles(*lines):
    """Map each line of an article to "headline", "body" or the reason it was dropped."""
    text = "\n".join(lines)
    kept, dropped = split_article(Article("a", text))
    found = {(one.start, one.kind) for one in kept} | {(one.start, one.reason) for one in dropped}
    return [next(role for start, role in sorted(found) if text[start:].startswith(line)) for line in lines]


def test_headings_and_teasers_stand_out_among_paragraphs():
    assert roles(
        "Harbour stays closed until spring",
        PARAGRAPH,
        "a long list of repairs",
        PARAGRAPH.replace("northern", "southern"),
        "Why the storm of the century caught every forecaster in the north by surprise",
        PARAGRAPH.replace("northern", "western"),
        "Who pays for the cranes of the harbour of Varna?",
        PARAGRAPH.replace("northern", "outer"),
        "The man who built the first breakwater and lost his house to the sea",
        PARAGRAPH.replace("northern", "inner"),
    ) == ["headline", "body", "heading", "body", "teaser", "body", "teaser", "body", "teaser", "body"]


@pytest.mark.parametrize(
    "line",
    [
        "So what happens to the cranes now?",
        "He said the board would meet again",
        '"We were not told"',
        "The board wants three things:",
        "- a longer breakwater on the northern side",
    ],
)
def test_unfinished_lines_that_are_no_headings(line):
    text = line.removeprefix("- ")
    found = split_article(Article("a", "\n".join(["Head of it", PARAGRAPH, PARAGRAPH, line, PARAGRAPH])))[0]
    assert text in [one.text for one in found]


def test_unfinished_lines_are_kept_where_paragraphs_are_unfinished_too():
    lines = ["Head of it", *(f"{PARAGRAPH.rstrip('.')} and {n}" for n in range(4)), "a short line"]
    assert split_article(Article("a", "\n".join(lines)))[1] == []


@pytest.mark.parametrize("first", ["By Ada Meer", "World news", "Monday, May 14, 2012", "Photo: Ada Meer"])
def test_the_headline_may_come_after_furniture(first):
    kept, dropped = split_article(Article("a", f"{first}\nHarbour stays closed\n{PARAGRAPH}"))
    assert [one.text for one in dropped] == [first]
    assert [one.kind for one in kept] == ["headline", "body", "body"]


def test_an_article_may_have_no_headline():
    kept, _ = split_article(Article("a", f"OSLO (Wire) - {PARAGRAPH}\n{PARAGRAPH}"))
    assert {one.kind for one in kept} == {"body"}


@given(st.text(st.characters(exclude_categories=()), min_size=1, max_size=80).filter(str.strip))
@settings(max_examples=400, deadline=None)
def test_never_raises(text):
    line = text.strip()
    assert reason(line) == reason(line, phrases(line))
    terminated(line)


@pytest.mark.parametrize("unit", ["by ", "a | ", "(", "share ", "A ", "1 ", "x", ". ", "photo: ", "monday, "])
def test_adversarial_lines_are_judged_fast(unit):
    line = (unit * 300)[:300].strip()
    begun = time.perf_counter()
    reason(line)
    assert time.perf_counter() - begun < 0.2
