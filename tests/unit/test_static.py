"""Word vectors: means and anchors, on a table small enough to count by hand."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from pipeline.models.pieces import Speller
from pipeline.models.static import Static, WordVectors, unit
from pipeline.schema import ConfigError

# Pairs of near-synonyms along each axis, and two words that no other is near.
VECTORS = {
    "criticised": [1, 0, 0, 0],
    "lambasted": [0.98, 0.1, 0, 0],
    "prices": [0, 1, 0, 0],
    "costs": [0, 0.97, 0.1, 0],
    "ministry": [0, 0, 1, 0],
    "government": [0, 0, 0.95, 0.1],
    "rain": [0, 0, 0, 1],
    "said": [0.5, 0.5, 0.5, 0.5],
}
NEWS = [
    "ministry criticised prices",
    "ministry criticised prices rain",
    "rain said ministry",
    "prices criticised ministry",
    "rain said ministry prices",
]
TEXTS = st.lists(
    st.one_of(
        st.text(max_size=15),
        st.lists(st.sampled_from([*VECTORS, "unknown", "zzz", "éé", "中文"]), max_size=6).map(" ".join),
    ),
    max_size=6,
)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A model2vec folder: a token for each word; their letters mean nothing, others have no token."""
    from safetensors.numpy import save_file
    from tokenizers import Tokenizer, models, pre_tokenizers

    path = tmp_path_factory.mktemp("vectors")
    merges = [(word[:i], word[i]) for word in VECTORS for i in range(1, len(word))]
    starts = {part for pair in merges for part in pair} - set(VECTORS)
    vocabulary = {token: i for i, token in enumerate([*VECTORS, *sorted(starts)])}
    tokenizer = Tokenizer(models.BPE(vocabulary, list(dict.fromkeys(merges))))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(path / "tokenizer.json"))
    table = np.zeros((len(vocabulary), 4), np.float32)
    table[: len(VECTORS)] = list(VECTORS.values())
    save_file({"embeddings": table}, path / "model.safetensors")
    return str(path)


@pytest.fixture(scope="session")
def fitted(folder):
    return Static(source=folder, anchors=5, min_df=1).fit(NEWS)


def mean_of(text):
    rows = [unit(np.array([VECTORS[word]], float))[0] for word in text.split() if word in VECTORS]
    return unit(np.array([np.sum(rows, axis=0)]))[0] if rows else np.zeros(4)


@pytest.mark.parametrize("text", [*NEWS, "lambasted", "rain rain costs", "unknown rain", "unknown", ""])
def test_the_mean_by_hand(folder, text):
    found = Static(source=folder, anchors=0).fit(NEWS).transform([text]).toarray()[0]
    assert found == pytest.approx(mean_of(text), abs=2e-3)  # the table has half precision


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=TEXTS)
def test_one_row_per_text_whatever_it_is(fitted, texts):
    found = fitted.transform(texts)
    assert found.shape == (len(texts), 4 + fitted.index_.width)
    assert np.isfinite(found.data).all()
    alone = [fitted.transform([text]).toarray() for text in texts]
    for row, one in zip(found.toarray(), alone, strict=True):
        assert row == pytest.approx(one[0], abs=1e-6)


def test_words_without_a_vector_do_not_shift_those_of_others(folder):
    vectors = WordVectors.load(folder)

    def looked_up(words):
        rows = vectors.look_up(words)
        return vectors.vectors[rows]

    first = looked_up(["zzz", "rain", "qqq"])
    assert first.shape == (3, 4)
    assert first[1] == pytest.approx([0, 0, 0, 1], abs=1e-3)
    assert not first[0].any() and not first[2].any()
    second = looked_up(["prices", "qqq", "rain", "new"])
    assert second[:3] == pytest.approx(np.array([[0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]), abs=1e-3)


def test_a_word_is_read_as_the_frequent_word_nearest_to_it(fitted):
    ngrams = slice(4, None)
    one, other = fitted.transform(["government lambasted costs", "ministry criticised prices"]).toarray()
    assert one[ngrams] == pytest.approx(other[ngrams])
    assert one[ngrams].any()
    turned = fitted.transform(["prices criticised ministry"]).toarray()[0]
    assert turned[:4] == pytest.approx(other[:4], abs=1e-6)
    assert (turned[ngrams] != other[ngrams]).any()


def test_a_word_without_a_vector_adds_nothing_to_the_mean(fitted):
    found = fitted.transform(["unknown zzz", "zzz rain"]).toarray()
    assert not found[0, :4].any()
    assert found[1, :4] == pytest.approx([0, 0, 0, 1], abs=1e-3)


def test_both_blocks_have_unit_length(fitted):
    found = fitted.transform(NEWS).toarray()
    assert np.linalg.norm(found[:, :4], axis=1) == pytest.approx(1, abs=1e-6)
    assert np.linalg.norm(found[:, 4:], axis=1) == pytest.approx(1)


@pytest.mark.parametrize("anchors", [0, 3, 100])
@pytest.mark.parametrize("ngram_range", [(1, 1), (1, 2)])
def test_state_round_trip(folder, anchors, ngram_range):
    model = Static(source=folder, anchors=anchors, ngram_range=ngram_range, min_df=1).fit(NEWS)
    state = model.state()
    again = Static.from_state(state)
    texts = [*NEWS, "lambasted government", "", "zzz"]
    assert (again.transform(texts) != model.transform(texts)).nnz == 0
    assert {k: v.tolist() for k, v in again.state()["arrays"].items()} == {
        k: v.tolist() for k, v in state["arrays"].items()
    }


def test_a_bundle_needs_no_vectors_of_its_own_package(folder, tmp_path):
    import shutil

    moved = shutil.copytree(folder, tmp_path / "vectors")
    state = Static(source=str(moved), anchors=3, min_df=1).fit(NEWS).state()
    shutil.rmtree(moved)
    assert Static.from_state(state).transform(["rain"]).shape[0] == 1


def test_what_is_looked_up_does_not_depend_on_what_was_before(folder):
    first, second = (Static(source=folder, anchors=4, min_df=1).fit(NEWS) for _ in range(2))
    first.transform(["costs government zzz", "lambasted"])
    assert (first.transform(NEWS) != second.transform(NEWS)).nnz == 0


@pytest.fixture
def speller(folder):
    return Speller((Path(folder) / "tokenizer.json").read_text())


@pytest.fixture
def encoded(speller):
    """The words that its tokenizer is given, call by call."""
    calls, tokenizer = [], speller.tokenizer

    def encode_batch(words, **options):
        calls.append(list(words))
        return tokenizer.encode_batch(words, **options)

    speller.tokenizer = SimpleNamespace(encode_batch=encode_batch)
    return calls


def test_words_of_the_last_call_are_not_spelt_again(speller, encoded):
    for words in (["rain", "costs"], ["rain", "costs"], ["said", "costs"]):
        speller.spelt(words)
    assert [word for words in encoded for word in words] == ["rain", "costs", "said"]


def test_words_of_two_calls_ago_are_forgotten(speller, encoded):
    for words in (["rain", "costs"], ["costs"], ["rain"]):
        speller.spelt(words)
    assert encoded[-1] == ["rain"]


def test_known_and_new_words_are_spelt_in_the_order_they_are_given_in(speller):
    words = ["prices", "saidrain", "rain", "costsaid", "said"]
    wanted = [speller.tokenizer.encode(word).ids for word in words]
    speller.spelt(["said", "costs", "saidrain"])
    assert speller.spelt(words) == wanted
    assert len(wanted[1]) > 1


def test_no_vectors(tmp_path):
    with pytest.raises(ConfigError, match="source=/nowhere: no such folder"):
        Static(source="/nowhere").fit(NEWS)
    with pytest.raises(ConfigError, match=f"source={tmp_path}: expected 'minilm' or a model2vec folder"):
        Static(source=str(tmp_path)).fit(NEWS)


def test_unfitted_and_parameters(folder):
    with pytest.raises(NotFittedError):
        Static(source=folder).transform(NEWS)
    model = Static(source=folder, anchors=3)
    assert clone(model).get_params() == model.get_params()


def test_packaged_vectors_know_synonyms():
    memory = WordVectors.load("minilm")
    rows = memory.look_up(["criticised", "criticized", "banana", "été", "x" * 3000])
    vectors = memory.vectors[rows]
    assert vectors.shape == (5, 256)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-3)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2
