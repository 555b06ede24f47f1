import time
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.schema import Article
from pipeline.text.cleaning import clean
from pipeline.text.sentences import spans, split_article

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=120)
NEWSY = st.text(st.sampled_from('AbcMr.!?…"“”’() \n-1$U。é,:'), max_size=80)

# Sentences separated by "|"; each case is joined by one space and has to be cut there again.
CASES = [
    "He lives in the U.S. and works in the U.K. for a bank.|He is 40.",
    "The U.S. Senate met.|It adjourned.",
    "He went to the U.S.|The trip was short.",
    "Mr. J. P. Olsen met Mrs. Dahl and Dr. Wu.|They spoke.",
    "Gen. Sato and Lt. Col. Ito left.|St. Olav remained.",
    "It began on Jan. 5 and ended on Dec. 9.|No. 10 was silent.",
    "Quay Lines Inc. said it bought Delta Corp. for cash.|Shares rose.",
    "He joined Quay Lines Inc.|The firm is small.",
    "It cost $24.2 billion, or 3.5 pct.|Prices fell .5 pct.",
    "They left at 7 p.m. Monday.|They came at 9 a.m.|Nobody slept.",
    "The price was 20 dlrs. a barrel.|It fell.",
    "Is it true?|Nobody knows.|It is!|Good.",
    "“Who pays?” Lena Brandt asked.|Nobody answered.",
    "“Who pays?” he asked.|“You do!” she said.",
    '"Who pays?" Mr. Brandt said.|"They do."',
    "“We paid twice.|We will not pay again,” he said.",
    "“We paid twice.|We will not pay again.”|The court agreed.",
    '"We paid." She left.'.replace('." ', '."|'),
    "He said: “Go home.”|They went.",
    "The firm (formerly Delta Co.) closed.|It had 40 staff.",
    "He left.|(He came back later.)|Then he left again.",
    "Yahoo! Inc. fell.|Others rose.",
    "He waited ... and left.|Then it rained.",
    "I saw it… and then it was gone.|But it came back.",
    "She wrote to Sen. Ruiz (D-Calif.) on Oct. 3.|He replied.",
    "Roe v. Wade was argued.|It was decided.",
    "Ph.D. students protested.|They won.",
    "See Art. 3 and No. 10.|No.|We did not.",
    "“Stop!” the crowd shouted.|“Why?”",
    "Police said no.|Did they?|“Yes.”",
    "The U.N.'s envoy left.|He was tired.",
    "1. Open the door.|It sticks.",
    "iPhone sales fell.|iPads sold.",
    "Prices rose.|$5 was too much.",
    "It ended in 2016.|In 2017 it began again.",
    "“It is over.” [He smiled.]".replace("” [", "”|["),
    "“I do.”|“So do I.”",
    "He was born in St. Louis, Mo., in 1950.|He died in Ft. Worth.",
    "J. K. Moyo and George W. Abara spoke.|Others listened.",
    "“Is that so?”|The minister asked twice.",
    "Who?|Me.|When?|Now.",
    "你好。|我很好。".replace("。|", "。|"),
    "वह गया।|वह आया।",
    "It froze.|``We know,'' she said.|&quot;Go.&quot;|â€œYes,â€\x9d he said.",
    "ASTANA. May 3 (Wire) - The house met.|It voted.",
    "It is 5 ft. 3 in. tall.|It is old.",
    "Él llegó.|¿Por qué?|¡No!",
]


@pytest.mark.parametrize("case", CASES)
def test_boundaries(case):
    expected = case.split("|")
    text = " ".join(expected)
    assert [text[start:end] for start, end in spans(text)] == expected


def test_stray_closing_quote_stays_with_its_sentence():
    text = '"We paid. " She left. “We paid. ” She left.'
    assert [text[a:b] for a, b in spans(text)] == ['"We paid. "', "She left.", "“We paid. ”", "She left."]


def test_missing_space_between_sentences():
    text = "The talks ended.The next round is in May. See example.Com for more."
    assert [text[a:b] for a, b in spans(text)][:2] == ["The talks ended.", "The next round is in May."]


@given(st.one_of(ANY_TEXT, NEWSY))
@example("\0. A\ud800. B")
@settings(max_examples=800, deadline=None)
def test_spans_cover_the_text_in_order(text):
    found = spans(text)
    assert all(0 <= start < end <= len(text) for start, end in found)
    assert all(before[1] <= after[0] for before, after in pairwise(found))
    assert all(text[start:end] == text[start:end].strip() for start, end in found)
    assert "".join("".join(text[start:end] for start, end in found).split()) == "".join(text.split())


@given(st.one_of(ANY_TEXT, NEWSY))
@example("\0. A\ud800. B")
@settings(max_examples=500, deadline=None)
def test_articles_keep_every_character_somewhere(text):
    kept, dropped = split_article(Article("a", text))
    parts = sorted((one.start, one.end) for one in [*kept, *dropped])
    assert all(0 <= start < end <= len(text) for start, end in parts)
    assert all(before[1] <= after[0] for before, after in pairwise(parts))
    assert [one.sentence for one in kept] == list(range(len(kept)))
    for one in kept:
        assert one.text == clean(text[one.start : one.end]) != ""
    for one in dropped:
        assert one.text == text[one.start : one.end]


def test_sentences_do_not_cross_lines():
    text = "Harbour closed\nThe quay is closed\nuntil the spring. It froze."
    assert [one.text for one in split_article(Article("a", text))[0]] == text.replace(". ", ".\n").split("\n")


def test_an_attribution_cut_off_from_its_quotation_is_joined():
    text = "Harbour closed\n“It was a long week,”\nBrandt added.\nIt froze."
    kept, _ = split_article(Article("a", text))
    assert kept[1].text == "“It was a long week,” Brandt added."
    assert text[kept[1].start : kept[1].end] == "“It was a long week,”\nBrandt added."


def test_hard_wrapped_text_is_unwrapped():
    text = (
        "Council approves a wider ring road around the harbour\n\n"
        "The council on Tuesday approved the wider ring road around the old\n"
        "harbour, after two years of argument about its cost. It will have four\n"
        "lanes. Opponents of the plan said that they would go to court over the\n"
        "noise.\n\n"
        "Work is to begin in May, the ministry said, and the first section should\n"
        "open by the end of next year if the weather holds.\n"
    )
    assert [one.text.split()[0] for one in split_article(Article("a", text))[0]] == [
        *("Council", "The", "It", "Opponents", "Work"),
    ]


def test_list_marks_stay_out_of_the_sentence():
    text = "Harbour closed\n- The quay is shut for the winter\n• The cranes are damaged"
    kept, _ = split_article(Article("a", text))
    assert [one.text for one in kept[1:]] == ["The quay is shut for the winter", "The cranes are damaged"]
    assert text[kept[1].start - 2 : kept[1].start] == "- "


@pytest.mark.parametrize(
    "unit",
    [".", '."', ". ", '" ', "A. ", ".’ ’ ", '. "', "5 a.m. ", "?” A ", "Mr. ", "a\n", ".\n", " ", "1. "],
)
def test_time_is_linear(unit):
    begun = time.process_time()
    split_article(Article("a", unit * 20_000))
    assert time.process_time() - begun < 2


def test_codes_of_an_agency_around_a_short_item_are_not_its_sentences():
    told = "The ministers of Zambia and Malawi ended two days of talks in Chipata on Wednesday. "
    told += "They will meet again next month to complete work on a joint survey of their common frontier. "
    told += "Neither would say whether they had discussed the shooting of two fishermen in January."
    text = (
        f"ABUJA-0107 AFR/POL 09-NOV-94\n\nMinisters end talks on the frontier\n\n{told}\n\nwpa krp/sb 181441"
    )
    found, dropped = split_article(Article("a", text))[:2]
    assert [one.kind for one in found] == ["headline", *["body"] * 3]
    assert found[0].text == "Ministers end talks on the frontier"
    assert [one.reason for one in dropped] == ["agency", "agency"]
