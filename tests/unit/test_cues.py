import json
import string
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from pipeline.models.cue_screen import _Lookup, beginnings, needed
from pipeline.models.cues import CueRules, Cues, compile_cues, read_cues
from pipeline.models.portable import CLASSES, assemble, dismantle
from pipeline.models.tokens import plain
from pipeline.schema import ConfigError

NEWS = Path(__file__).parents[2] / "conf" / "cues" / "news.yaml"
LABELS = ["accusation", "denial", "policy_action", "economic_claim"]

# Sentence; initials of the labels the rules give; groups (label initial/name) that fire.
SENTENCES = [
    ("The union accused the mill of cheating its weighers.", "a", "a/accuse a/fraud"),
    ("Villagers blamed the quarry for the cracks in their walls.", "a", "a/blame"),
    ("The guard allegedly locked the gate.", "a", "a/allege"),
    ("Two clerks were charged with forgery of land deeds.", "a", "a/charged_in_law"),
    ("A porter was charged with theft.", "a", "a/charged_in_law a/crime_named"),
    ("The bishop condemned the “shameful” raid.", "a", "a/condemn a/outrageous a/scare_quotes"),
    ("The teachers denounced the minister as a liar.", "a", "a/condemn a/deceit"),
    ("He is suspected of poisoning the well.", "a", "a/suspected"),
    ("The widow sued the hospital.", "a", "a/sue"),
    ("Human rights abuses by the militia go on, monks said.", "a", "a/rights_abuse"),
    ("They lashed out at the referee.", "a", "a/lash"),
    ("Pilots complained that the airline had ignored warnings.", "a", "a/complain a/negligence"),
    ("The mill flouted safety norms, a miner said.", "a", "a/violate"),
    ("The ferry owner turned a blind eye to rust.", "a", "a/negligence"),
    ("The taxi charged a fee of nothing at all and left.", "", "a/charge_of_other_kinds"),
    ("The phone is charging at the station.", "", ""),
    ("She was put in charge of the choir.", "", "a/charge_of_other_kinds"),
    ("The van slammed into a wall.", "", "a/lookalikes"),
    ("The sprinter claimed a medal in Oslo.", "", ""),
    ("The baker denied that he had watered the milk.", "d", "d/deny d/deny_that a/denied_the_charge"),
    ("A DENIAL FROM THE ABBOT", "d", "d/deny"),
    ("The club dismissed the reports as nonsense.", "d", "d/reject_claim d/dismissed_as"),
    ("The firm rejected claims that its pipes leak.", "d", "d/reject_claim"),
    ("There is no evidence that the bridge was unsafe.", "d", "d/no_evidence"),
    ("Hale pleaded not guilty.", "d", "d/not_guilty"),
    ("The army had nothing to do with the fire, he said.", "d", "d/nothing_to_do"),
    ("There’s no truth in the story.", "d", "d/baseless"),
    ("“We have never sold a single name,” the chairman said.", "d", "d/never_did"),
    ("The letter is a forgery and the claims are baseless.", "d", "d/baseless"),
    ("He insisted the boat was not overloaded.", "d", "d/insisted_not"),
    ("She said her words were taken out of context.", "d", "d/out_of_context"),
    ("The mayor denied any link with the dealer.", "d", "d/deny d/deny_that"),
    ("The travellers were denied entry.", "", "d/refused_not_denied"),
    ("Two fans were denied a seat by mistake.", "", "d/refused_not_denied"),
    ("The bank declined to comment.", "", "d/no_comment"),
    ("He could not be reached on Sunday.", "", "d/no_comment"),
    ("The app is not available.", "", ""),
    ("The council banned horse carts from the square.", "p", "p/authority_bans p/ban"),
    ("Parliament has approved the new bill.", "p", "p/authority_passes p/bill_law"),
    ("A law against dumping came into force on Monday.", "p", "p/bill_law p/in_force"),
    ("The plan was rejected by the Senate.", "p", "p/by_authority"),
    ("The court granted an injunction.", "p", "p/court_rules"),
    ("He was sentenced to nine years in prison.", "p", "p/sentenced"),
    ("The two states signed a ceasefire.", "p", "p/treaty"),
    ("The government imposed a curfew in three towns.", "p", "p/authority_bans p/ban"),
    ("NORWAY CLOSES BERGEN CONSULATE", "p", "p/headline_measure"),
    ("The ministry opened an inquiry into the wreck.", "p", "p/inquiry"),
    ("His mother-in-law runs a law firm.", "", "p/lookalikes"),
    ("Rovers won with a late penalty kick.", "", "p/lookalikes"),
    ("The weather was fine and nobody wore a coat.", "", "p/lookalikes"),
    ("The company made a profit of 10 mln dlrs.", "e", "e/money_word e/profit"),
    ("It cost £3.4m.", "e", "e/money_sign"),
    ("The dam will need Rs 50 crore.", "e", "e/money_word"),
    ("They raised R2bn last year.", "e", "e/money_word"),
    ("The bridge cost $24.2 billion.", "e", "e/money_sign"),
    ("He paid 20,000 pounds for the mare.", "e", "e/money_word"),
    ("Consumer prices rose 4.5 pct in May.", "e", "e/percent_economic e/economic_moves"),
    ("Unemployment fell to 6 per cent.", "e", "e/jobs e/percent_economic"),
    ("Shares in the brewer fell 12 cents.", "e", "e/shares e/up_down_figure"),
    ("The strike has hurt local businesses.", "e", "e/benefit_harm"),
    ("She won 54 percent of the votes.", "", "e/percent_of_people"),
    ("The trade union met in the market square.", "", "e/lookalikes"),
    (
        "The regulator fined the bank $5 million for misleading savers.",
        "ape",
        "p/fine e/money_sign a/punished_for",
    ),
    ("The heron stood in the shallows until dusk.", "", ""),
    ("", "", ""),
]


@pytest.fixture(scope="module")
def cues():
    return Cues(NEWS).fit()


@pytest.fixture(scope="module")
def rules():
    return CueRules(NEWS, labels=LABELS).fit()


@pytest.mark.parametrize(("text", "initials", "groups"), SENTENCES, ids=[row[0][:40] for row in SENTENCES])
def test_sentences(cues, rules, text, initials, groups):
    names = cues.get_feature_names_out()[cues.transform([text]).indices]
    fired = {f"{name[0]}/{name.partition('/')[2]}" for name in names}
    assert set(groups.split()) <= fired
    given = "".join(label[0] for label, yes in zip(LABELS, rules.predict([text])[0], strict=True) if yes)
    assert given == initials, sorted(fired)


def test_patterns_are_ascii_or_currency_and_hold_no_stray_blank():
    for group in compile_cues(read_cues(NEWS)):
        assert set("".join(group.patterns)) <= set(string.printable) | set("£€¥₹₦"), group.name
        assert "|)" not in group.regex and "(?:|" not in group.regex and "||" not in group.regex, group.name


def test_every_group_of_a_label_has_its_own_name_and_a_weight(cues):
    assert len(set(cues.get_feature_names_out())) == len(cues.groups_)
    assert all(group.weight for group in cues.groups_)
    assert list(dict.fromkeys(group.label for group in cues.groups_)) == LABELS


@pytest.mark.parametrize(
    "unit", ["a", "the government ", "said ", "no ", "1,", "prices rose ", "'s ", "u.s. ", "“"]
)
def test_time_grows_linearly(cues, unit):
    short, long = 2_000, 20_000
    for group in cues.groups_:
        seconds = []
        for size in (short, long):
            line = plain([(unit * size)[:size]])
            began = time.process_time()
            pc.match_substring_regex(line, group.regex)
            seconds.append(time.process_time() - began)
        # Ten times the text: quadratic time would be a hundredfold. A floor keeps noise out.
        assert seconds[1] < 40 * max(seconds[0], 0.002), (group.name, seconds)


def screened(groups, texts):
    """Indicators by screen, and by every regular expression over every text."""
    lines = plain(texts)
    wanted = [pc.match_substring_regex(lines, group.regex).to_pylist() for group in groups]
    cues = Cues({})
    cues.groups_ = groups
    found = cues._screened(texts, cues._screen)
    return [np.isin(np.arange(len(texts)), rows).tolist() for rows in found], wanted


def test_a_server_asked_again_and_again_prepares_the_screen(cues):
    texts = [text for text, _, _ in SENTENCES[:3]]
    asked = Cues(cues.cues_).fit()
    before = asked.transform(texts).toarray()
    assert "_screen" not in asked.__dict__, "a second that a single article need not wait for"
    for _ in range(10):
        assert (asked.transform(texts).toarray() == before).all()
    assert "_screen" in asked.__dict__


def test_screen_never_hides_a_match(cues):
    found, wanted = screened(cues.groups_, [text for text, _, _ in SENTENCES])
    for group, ours, theirs in zip(cues.groups_, found, wanted, strict=True):
        assert ours == theirs, group.name


def test_long_texts_are_matched_as_short_ones_are(cues):
    texts = [f"{text} " * 60 for text, _, _ in SENTENCES[::7]] + ["the said " * 20000]
    found, wanted = screened(cues.groups_, texts)
    assert found == wanted


def test_many_texts_and_few_give_the_same(cues):
    texts = [text for text, _, _ in SENTENCES]
    many = cues.transform(texts * 40).toarray()
    assert np.array_equal(many, np.tile(cues.transform(texts).toarray(), (40, 1)))


PATTERNS = st.recursive(
    st.sampled_from(["ab", "b", "a ", " a", "1", "[ab]", "[^a]", r"\d", r"\w", ".", "'", r"\b", "^", "$"]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
        st.tuples(inner, st.sampled_from(["?", "*", "+", "{0,2}", "{2}"])).map(lambda p: f"(?:{p[0]}){p[1]}"),
    ),
    max_leaves=8,
)


@settings(deadline=None, max_examples=300)
@given(PATTERNS, st.lists(st.text("ab1 'é.", max_size=12), min_size=1, max_size=8))
def test_screen_is_sound_for_any_pattern(pattern, texts):
    cues = {"labels": {"x": [{"name": "y", "weight": 1, "patterns": [pattern]}]}}
    try:
        (group,) = compile_cues(cues)
    except ConfigError:  # matches the empty text
        return
    found, wanted = screened([group], texts)
    assert found == wanted


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("denie[sd]", [[{"denies", "denied"}]]),
        (r"reject\w* (?:the )?claims?", [[{"reject", "reject*"}, {"claim", "claims"}]]),
        (r"the (?:\w+ )?embargo(?:es)?", [[{"embargo", "embargoes"}]]),
        (r"denied|\d+ ?pct", [[{"denied"}], [{"0*"}]]),
        (r"\w+", None),
        (r"denied|\w+", None),
        (r"\pN+", None),
    ],
)
def test_words_a_pattern_needs(pattern, words):
    assert needed([pattern]) == words


@pytest.mark.parametrize(
    ("patterns", "words"),
    [
        (["denie[sd] it", "the claims?"], {"denies", "denied", "the"}),
        (["denied", r"\w+ denied"], None),
        ([r"\bdenied"], None),
        (["(?:denied|^rejected)"], None),
        ([r"reject\w* it"], {"reject", "reject*"}),
    ],
)
def test_words_a_match_begins_with(patterns, words):
    assert beginnings(patterns) == words


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("0", {0, 1}),
        ("00", {0}),
        ("re", {2}),
        ("red", {2, 3}),
        ("r", set()),
        ("reduced", {2, 3}),
        ("red0", {2, 3}),
    ],
)
def test_words_are_looked_up_by_their_beginnings(word, found):
    lookup = _Lookup([(frozenset(some), i) for i, some in enumerate([{"0*"}, {"0"}, {"re*"}, {"red*", "x"}])])
    assert set(lookup(word)) == found


HEADS = st.tuples(st.text("ab0", min_size=1, max_size=4), st.sampled_from(["", "*"])).map("".join)


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.frozensets(HEADS, max_size=4), max_size=5),
    st.lists(st.text("ab0", min_size=1, max_size=6), max_size=20),
)
def test_words_looked_up_are_those_of_brute_force(sets, words):
    def holds(some, word):
        return any(word.startswith(head[:-1]) if head.endswith("*") else word == head for head in some)

    table = _Lookup([(some, i) for i, some in enumerate(sets)]).table(words)
    assert table.tolist() == [[holds(some, word) for word in words] for some in sets]


def test_round_trip_through_json(cues, rules):
    texts = [text for text, _, _ in SENTENCES]
    for part, method in ((cues, "transform"), (rules, "decision_function")):
        structure, arrays = dismantle(part)
        rebuilt = assemble(json.loads(json.dumps(structure)), arrays)
        before, after = (
            np.asarray(getattr(p, method)(texts).todense())
            if method == "transform"
            else getattr(p, method)(texts)
            for p in (part, rebuilt)
        )
        assert np.array_equal(before, after)
    assert {"Cues", "CueRules"} <= set(CLASSES)


def test_clone_and_shapes(cues, rules):
    assert clone(rules).fit(["x"], np.zeros((1, 4))).decision_function([]).shape == (0, 4)
    assert cues.transform([]).shape == (0, len(cues.groups_))
    assert cues.transform(pa.array(["He denied it.", None])).shape == (2, len(cues.groups_))
    assert cues.transform(["\ud800 denied it"]).sum() > 0
    assert rules.decision_function([""]).tolist() == [[-0.5] * 4]


def test_labels_choose_columns(rules):
    turned = CueRules(NEWS, labels=["denial", "accusation"]).fit()
    text = ["He denied it."]
    assert turned.decision_function(text).tolist() == rules.decision_function(text)[:, [1, 0]].tolist()


def group(**changes):
    return {"labels": {"denial": [{"name": "deny", "weight": 1.0, "patterns": ["denie[sd]"]} | changes]}}


@pytest.mark.parametrize(
    ("cues", "message"),
    [
        (group(patterns=["fine", "deni(ed"]), r"denial/deny: pattern 'deni\(ed'"),
        (group(patterns=["(?=denied)"]), r"denial/deny: pattern"),
        (group(patterns=["denied|"]), "matches the empty text"),
        (group(patterns=["Denied"]), "lower-cased"),
        (group(patterns=["<person> denied"]), r"unknown <person>"),
        (group(patterns=[]), "expected a list of patterns"),
        (group(patterns=[False]), "pattern False is not text"),
        (group(weight="1"), "weight '1' is not a number"),
        (group(wieght=1), "group 1: expected name, weight and patterns"),
        ({"denial": []}, "expected a mapping with `labels`"),
        ({"labels": {"denial": group()["labels"]["denial"] * 2}}, "two groups of this name"),
    ],
)
def test_bad_cues_are_named(cues, message):
    with pytest.raises(ConfigError, match=message):
        Cues(cues).fit()


def test_missing_file_and_label_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nothing\.yaml"):
        Cues(tmp_path / "nothing.yaml").fit()
    with pytest.raises(ConfigError, match="no groups for label 'denail'; did you mean 'denial'"):
        CueRules(NEWS, labels=["denail"]).fit()
    with pytest.raises(ConfigError, match="4 labels have groups"):
        CueRules(NEWS).fit(["x"], np.zeros((1, 3)))


def test_words_of_words_of_words_are_not_written_out_without_end():
    words = {"a": ["yes|no"]} | {n: ["|".join([f"<{m}>x"] * 10)] for m, n in pairwise("abcdefgh")}
    cues = {"words": words, "labels": {"it": [{"name": "one", "weight": 1.0, "patterns": ["<h>"]}]}}
    with pytest.raises(ConfigError, match=r"words/[a-h]: .* characters with its words written out, at most"):
        compile_cues(cues)
