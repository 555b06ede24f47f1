"""Sentence encoders: frozen and fine-tuned. What needs torch or real weights is skipped without them."""

import json
import warnings
from importlib.util import find_spec

import numpy as np
import pyarrow as pa
import pytest

from pipeline.models.encoder import CACHE_BYTES, EmbeddingCache, Encoder
from pipeline.models.finetuned import FineTuned
from pipeline.models.onnx_export import DEFAULT, PACKAGE, onnx_file, source_folder
from pipeline.models.portable import assemble, dismantle, portable
from pipeline.schema import ConfigError

pytestmark = pytest.mark.extra
pytest.importorskip("onnxruntime", reason="onnxruntime is missing: make extra-finetune")
pytest.importorskip("tokenizers", reason="tokenizers is missing: make extra-finetune")
needs_torch = pytest.mark.skipif(
    not (find_spec("torch") and find_spec("transformers")),
    reason="torch or transformers is missing: make extra-finetune",
)

SENTENCE = "the minister denied it and prices rose by ten percent . police accused him of theft a new law"
WORDS = SENTENCE.split()
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
TEXTS = [
    "The minister denied it.",
    "Prices rose by ten percent.",
    "",
    "Police accused him of theft .",
    "¿Qué? “你好” \ud83d",
    "a new law " * 1000,
    "The minister denied it and prices rose by ten percent and police accused him of theft .",
    "The minister denied it.",
]
MAX_LENGTH = 16


def write_tokenizer(folder):
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    vocabulary = {word: i for i, word in enumerate(dict.fromkeys(SPECIAL + WORDS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    tokenizer.save(str(folder / "tokenizer.json"))
    return len(vocabulary)


def field(number, value):
    """One field of a protocol buffer: a number, or bytes."""

    def varint(n):
        return bytes([n]) if n < 128 else bytes([n % 128 + 128]) + varint(n // 128)

    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def look_up_model(table):
    """An ONNX file that looks up each token in a table: as much of an encoder as needs no torch."""

    def value(name, kind, *dimensions):
        shape = b"".join(field(1, field(2, d)) for d in dimensions)
        return field(1, name) + field(2, field(1, field(1, kind) + field(2, shape)))

    int64, float32 = 7, 1
    tensor = b"".join(field(1, n) for n in table.shape) + field(2, float32) + field(8, "table")
    node = field(1, "table") + field(1, "input_ids") + field(2, "last_hidden_state") + field(4, "Gather")
    graph = field(1, node) + field(2, "look-up") + field(5, tensor + field(9, table.tobytes()))
    graph += field(11, value("input_ids", int64, "texts", "tokens"))
    graph += field(12, value("last_hidden_state", float32, "texts", "tokens", "dimensions"))
    return field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 17))


@pytest.fixture(scope="module")
def look_up(tmp_path_factory):
    folder = tmp_path_factory.mktemp("look-up")
    size = write_tokenizer(folder)
    (folder / "onnx").mkdir()
    table = np.random.default_rng(0).normal(size=(size, 8)).astype(np.float32)
    (folder / "onnx" / "model.onnx").write_bytes(look_up_model(table))
    return folder


@pytest.fixture(scope="module")
def tiny_bert(tmp_path_factory):
    """A randomly initialised BERT of two small layers."""
    torch = pytest.importorskip("torch")
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("tiny-bert")
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=write_tokenizer(folder), **shape)).save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def own_cache(request, tmp_path_factory, monkeypatch):
    """Nothing in the user's cache, but for the one real encoder."""
    if "real" not in request.node.nodeid:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


def real_source():
    if not find_spec(PACKAGE):
        pytest.skip(f"{PACKAGE} is missing: make extra-finetune")
    try:
        onnx_file(source_folder(DEFAULT), "fp32")
    except ConfigError as error:
        pytest.skip(str(error))
    return DEFAULT


@pytest.fixture(params=["look-up", pytest.param("bert", marks=needs_torch), "real"])
def source(request, look_up):
    if request.param == "look-up":
        return str(look_up)
    return str(request.getfixturevalue("tiny_bert")) if request.param == "bert" else real_source()


@pytest.fixture
def encoder(source):
    return Encoder(source=source, max_length=MAX_LENGTH, batch_size=3).fit(TEXTS)


@pytest.fixture(autouse=True)
def silent():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*max_length")
        yield


def test_a_row_per_row_of_unit_length(encoder):
    found = encoder.transform([*TEXTS, None])
    assert found.dtype == np.float32
    assert len(found) == len(TEXTS) + 1
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert encoder.transform([]).shape == (0, found.shape[1])


def test_null_is_the_empty_string_and_duplicates_are_equal(encoder):
    found = encoder.transform([*TEXTS, None])
    assert np.array_equal(found[-1], found[TEXTS.index("")])
    assert np.array_equal(found[0], found[7])
    assert not np.allclose(found[0], found[1])


def test_lists_and_tables_mean_the_same(encoder):
    texts = [text for text in TEXTS if text.isascii()]
    assert np.array_equal(encoder.transform(pa.table({"text": texts})), encoder.transform(texts))


@pytest.mark.parametrize("batch_size", [1, 2, 50])
def test_neither_order_nor_batch_matters(source, encoder, batch_size):
    wanted = encoder.transform(TEXTS)
    other = Encoder(source=source, max_length=MAX_LENGTH, batch_size=batch_size, threads=2).fit([])
    assert np.allclose(other.transform(TEXTS[::-1])[::-1], wanted, atol=1e-5)
    assert np.allclose(np.vstack([other.transform([text]) for text in TEXTS]), wanted, atol=1e-5)


def test_truncated_texts_are_counted_and_reported(source):
    encoder = Encoder(source=source, max_length=MAX_LENGTH)
    assert encoder.fit(TEXTS[:4]).truncated_ == 0
    assert encoder.fit(TEXTS).truncated_ == 2
    with pytest.warns(UserWarning, match=r"1 of 1 texts were cut at 16 tokens \(max_length\)"):
        Encoder.from_state(encoder.state()).transform(["law " * 16])


def test_ten_thousand_characters_are_their_beginning(encoder):
    found = encoder.transform(["a new law " * 1000, "a new law " * 50])
    assert np.allclose(found[0], found[1], atol=1e-5)


def test_state_makes_the_same_encoder(encoder):
    again = assemble(*dismantle(portable(encoder)))
    assert np.array_equal(again.transform(TEXTS), encoder.transform(TEXTS))
    json.dumps(encoder.state()["parameters"])
    assert "/" not in encoder.state()["parameters"]["source"]


def test_pooling_is_the_mean_over_the_tokens_alone(look_up):
    found = Encoder(source=str(look_up)).fit([]).transform(["law", "the minister denied it"])
    table = np.random.default_rng(0).normal(size=(len(SPECIAL) + len(set(WORDS)), 8))
    mean = table[[2, len(table) - 1, 3]].mean(axis=0)  # [CLS] law [SEP]; "law" is the last word
    assert np.allclose(found[0], mean / np.linalg.norm(mean), atol=1e-6)


def test_each_text_is_encoded_once_in_a_process(look_up, monkeypatch):
    texts = [f"law {word}" for word in WORDS]
    encoder = Encoder(source=str(look_up), batch_size=7).fit(texts)
    wanted = encoder.transform(texts)
    monkeypatch.setattr(type(encoder.model_), "_batch", None)
    again = Encoder(source=str(look_up), batch_size=7).fit(texts[:5])
    assert np.array_equal(again.transform(texts[::-1])[::-1], wanted)
    with pytest.raises(TypeError):
        Encoder.from_state(encoder.state()).transform(texts)


def test_the_memory_of_embeddings_is_bounded():
    cache = EmbeddingCache(10_000)
    for i in range(100):
        found = cache.exchange([f"text {i}"], {f"text {i}": np.full(100, i, np.float32)})
        assert found[f"text {i}"][0] == i
        assert cache.size <= 10_000
    assert list(cache.rows)[-1] == "text 99"
    assert 5 < len(cache.rows) < 20
    assert CACHE_BYTES < 2**30


@pytest.mark.parametrize("source", ["./nowhere", "/nowhere/at/all", "", "nobody/nothing"])
def test_a_missing_source_names_the_remedy(source, monkeypatch):
    def unreachable(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.snapshot_download", unreachable)
    with pytest.raises(ConfigError, match="give a sentence-transformers folder"):
        Encoder(source=source).fit([])


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"precision": "int4"}, "fp32, int8"), ({"max_length": 0}, "max_length=0")],
)
def test_impossible_settings_are_refused(look_up, settings, message):
    with pytest.raises(ConfigError, match=message):
        Encoder(source=str(look_up), **settings).fit([])


def test_other_pooling_is_refused(look_up, tmp_path):
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "tokenizer.json").write_text((look_up / "tokenizer.json").read_text())
    (tmp_path / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": false}')
    with pytest.raises(ConfigError, match="mean"):
        Encoder(source=str(tmp_path)).fit([])


@pytest.mark.parametrize("extra", ["torch", "transformers"])
def test_a_missing_package_names_the_extra(look_up, tmp_path, monkeypatch, extra):
    monkeypatch.setattr("pipeline.schema.find_spec", lambda name: None if name == extra else 1)
    (tmp_path / "tokenizer.json").write_text((look_up / "tokenizer.json").read_text())
    for model in (Encoder(source=str(tmp_path)), FineTuned(source=str(tmp_path))):
        with pytest.raises(ConfigError, match=f"needs the package {extra}: make extra-finetune"):
            model.fit(["law"], [[1]])


@needs_torch
def test_int8_is_near_and_independent_of_neighbours(tiny_bert):
    pytest.importorskip("onnx", reason="onnx is missing: make extra-finetune")
    exact = Encoder(source=str(tiny_bert)).fit([]).transform(TEXTS)
    encoder = Encoder(source=str(tiny_bert), precision="int8").fit([])
    found = Encoder.from_state(encoder.state()).transform(TEXTS)
    assert (found * exact).sum(axis=1).min() > 0.95
    assert np.array_equal(encoder.transform(TEXTS[::-1])[::-1], found)
    assert np.array_equal(encoder.transform(TEXTS[:1]), found[:1])


@needs_torch
def test_int8_of_a_fine_tuned_encoder_is_near(tiny_bert, tmp_path):
    pytest.importorskip("onnx", reason="onnx is missing: make extra-finetune")
    exact, small = (
        fine_tuned(tiny_bert, tmp_path, epochs=8, precision=precision).fit(SENTENCES, Y)
        for precision in ("fp32", "int8")
    )
    wanted, found = exact.decision_function(SENTENCES), small.decision_function(SENTENCES)
    assert not np.array_equal(wanted, found)
    assert np.corrcoef(wanted.ravel(), found.ravel())[0, 1] > 0.99
    assert ((wanted > 0) == (found > 0)).mean() > 0.97


def test_a_bundle_tells_how_many_texts_it_cuts(look_up, tmp_path):
    from pipeline.bundle import Bundle, load, save
    from pipeline.models.decision import Decision
    from pipeline.models.linear import Chain, LinearHead
    from pipeline.schema import LabelSet
    from pipeline.scoring import CUT, labelled, tally

    encoder = Encoder(source=str(look_up), max_length=MAX_LENGTH).fit(TEXTS)
    width = encoder.transform(TEXTS).shape[1]
    head = LinearHead(np.ones((2, width)), np.zeros(2))
    decision = Decision().fit(np.array([[0.0, 1.0], [1.0, 0.0]]), np.eye(2, dtype=np.int8))
    save(Bundle(Chain([encoder, head]), decision, LabelSet(("a", "b"))), tmp_path / "bundle")
    bundle = load(tmp_path / "bundle")
    long = encoder.truncated_
    assert 0 < long < len(TEXTS)
    assert bundle.truncated(TEXTS) == long
    assert bundle.truncated(pa.table({"text": TEXTS[:3]})) == 0
    rows = [{"text": text} for text in TEXTS]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a count takes the warning's place
        found = labelled(bundle, rows, 3)
    assert tally(bundle, found)[CUT] == long
    assert Bundle(head, decision, LabelSet(("a", "b"))).truncated(TEXTS) is None


@pytest.mark.skipif(not find_spec("sentence_transformers"), reason="sentence-transformers is missing")
def test_real_encoder_is_that_of_sentence_transformers():
    from sentence_transformers import SentenceTransformer

    other = SentenceTransformer(str(source_folder(real_source())), device="cpu")
    other.max_seq_length = 64
    texts = [text for text in TEXTS if "\ud83d" not in text]
    found = Encoder(max_length=64).fit(texts).transform(texts)
    assert np.allclose(found, other.encode(texts, show_progress_bar=False), atol=1e-5)


SENTENCES = [f"{who} {what} {n}" for n in "abcde" for who in ("the minister", "police") for what in
             ("denied it", "accused him of theft", "new law", "prices rose by ten percent")]  # fmt: skip
Y = np.array([[["denied", "accused", "law", "prices"][k] in s for k in range(4)] for s in SENTENCES], np.int8)


def fine_tuned(source, checkpoints, **settings):
    settings = {"epochs": 3, "batch_size": 8, "encoder_rate": 1e-2, "head_rate": 1e-2} | settings
    return FineTuned(source=str(source), checkpoints=str(checkpoints), random_state=3, **settings)


@needs_torch
def test_fine_tuning_learns_and_is_the_same_again(tiny_bert, tmp_path):
    assert len(SENTENCES) == 40
    model = fine_tuned(tiny_bert, tmp_path / "one", epochs=8).fit(SENTENCES, Y)
    found = model.decision_function(SENTENCES)
    assert found.shape == (40, 4)
    assert ((found > 0) == Y).mean() > 0.95
    assert model.losses_[-1] < model.losses_[0] / 2
    again = fine_tuned(tiny_bert, tmp_path / "two", epochs=8).fit(SENTENCES, Y)
    assert np.allclose(again.decision_function(SENTENCES), found, atol=1e-3)


@needs_torch
def test_onnx_scores_as_torch_does_and_travels(tiny_bert, tmp_path):
    import torch

    from pipeline.models.finetuning import Recipe, train
    from pipeline.models.onnx_text import Tokens, padded

    model = fine_tuned(tiny_bert, tmp_path).fit(SENTENCES, Y)
    shared = {k: v for k, v in model.get_params().items() if k in Recipe.__dataclass_fields__}
    recipe = Recipe(**shared, seed=3)
    network, losses = train(tiny_bert, SENTENCES, Y.astype(np.float32), recipe, tmp_path, "cpu")
    assert losses == model.losses_, "a finished training is taken up as it is"
    texts = [*TEXTS, *SENTENCES]
    tokens, _ = Tokens((tiny_bert / "tokenizer.json").read_text(), 96)(texts)
    with torch.no_grad():
        wanted = network(*(torch.from_numpy(array) for array in padded(tokens))).numpy()
    assert np.allclose(model.decision_function(texts), wanted, atol=1e-4)
    again = assemble(*dismantle(portable(model)))
    assert np.array_equal(again.decision_function(texts), model.decision_function(texts))
    assert again.decision_function([]).shape == (0, 4)


@needs_torch
def test_an_interrupted_training_goes_on(tiny_bert, tmp_path, monkeypatch):
    from safetensors.numpy import load_file

    from pipeline.models.finetuning import Training

    fine_tuned(tiny_bert, tmp_path / "straight").fit(SENTENCES, Y)
    epoch = Training._epoch

    def interrupted(self, number, advance):
        if number == 1:
            raise KeyboardInterrupt
        return epoch(self, number, advance)

    model = fine_tuned(tiny_bert, tmp_path / "stopped")
    with monkeypatch.context() as patch:
        patch.setattr(Training, "_epoch", interrupted)
        with pytest.raises(KeyboardInterrupt):
            model.fit(SENTENCES, Y)
    done = []
    with monkeypatch.context() as patch:
        patch.setattr(Training, "_epoch", lambda *a: done.append(a[1]) or epoch(*a))
        model.fit(SENTENCES, Y)
    assert done == [1, 2]
    (straight,) = (tmp_path / "straight").iterdir()
    (resumed,) = (tmp_path / "stopped").iterdir()
    assert straight.name == resumed.name
    wanted, found = load_file(straight), load_file(resumed)
    assert set(wanted) == set(found)
    assert not any(name.startswith("optimizer") for name in found), "not needed any more"
    assert all(np.allclose(found[name], wanted[name], atol=1e-5) for name in wanted)


@needs_torch
def test_another_training_has_another_checkpoint(tiny_bert, tmp_path):
    from pipeline.models.finetuning import KEPT

    for settings in ({}, {"dropout": 0.2}, {"class_weight": "balanced"}, {"precision": "fp32"}):
        fine_tuned(tiny_bert, tmp_path, epochs=1, **settings).fit(SENTENCES, Y)
    assert len(list(tmp_path.iterdir())) == 3
    for n in range(4):
        fine_tuned(tiny_bert, tmp_path, epochs=1).fit(SENTENCES[n:], Y[n:])
    assert len(list(tmp_path.iterdir())) == KEPT


@needs_torch
def test_a_training_that_fails_says_so(tiny_bert, tmp_path):
    with pytest.raises(ConfigError, match="encoder_rate"):
        fine_tuned(tiny_bert, tmp_path, encoder_rate=float("inf")).fit(SENTENCES, Y)


@needs_torch
def test_batches_have_every_row_once_and_the_rate_rises_and_falls():
    from pipeline.models.finetuning import buckets, rate_share

    lengths = np.random.default_rng(1).integers(3, 90, 1003)
    batches = list(buckets(lengths, 16, np.random.default_rng(0)))
    assert sorted(np.concatenate(batches)) == list(range(1003))
    assert np.mean([np.ptp(lengths[rows]) for rows in batches]) < 10
    shares = [rate_share(step, 100, 0.1) for step in range(100)]
    assert np.argmax(shares) == 9 and shares[9] == 1.0
    assert 0 < shares[0] <= 0.1 and 0 < shares[-1] < 0.02


# --- pairs (SetFit) -------------------------------------------------------------------------------------


@needs_torch
def test_pairs_are_drawn_for_rare_labels_as_for_frequent_ones():
    from pipeline.models.contrastive import drawn_pairs

    y = np.zeros((200, 3), bool)
    y[:100, 0] = True
    y[95:105, 1] = True  # half of them have the first label, too
    y[110:112, 2] = True
    one, other, alike = drawn_pairs(y, 10, np.random.default_rng(0))
    assert (one != other).all()
    assert len(one) == pytest.approx(2 * 10 * 200, rel=0.1)
    sets = [frozenset(np.flatnonzero(row)) or {"none"} for row in y]
    wanted = [len(sets[a] & sets[b]) / len(sets[a] | sets[b]) for a, b in zip(one, other, strict=True)]
    assert alike == pytest.approx(wanted)
    assert set(np.round(alike, 2)) == {0.0, 0.5, 1.0}
    rare = y[one, 2] & y[other, 2]
    assert rare.sum() == pytest.approx(500, rel=0.01), "a quarter of the like pairs"
    assert 0.45 < (alike == 0).mean() < 0.55


@needs_torch
@pytest.mark.parametrize("y", [np.zeros((6, 2), bool), np.eye(6, dtype=bool)])
def test_pairs_of_one_kind_only_are_refused(y):
    from pipeline.models.contrastive import drawn_pairs

    with pytest.raises(ConfigError, match="objective=contrastive: needs sentences with labels in common"):
        drawn_pairs(y, 2, np.random.default_rng(0))


@needs_torch
def test_hours_of_pairs_are_refused():
    from pipeline.models.contrastive import drawn_pairs

    with pytest.raises(ConfigError, match=r"20000 sentences make 400000 pairs.*lower pairs"):
        drawn_pairs(np.arange(20_000)[:, None] % 2 > 0, 10, np.random.default_rng(0))


@needs_torch
def test_contrastive_training_brings_like_sentences_together_and_scores_without_torch(tiny_bert, tmp_path):
    settings = {"objective": "contrastive", "pairs": 6, "encoder_rate": 3e-3, "epochs": 2}
    model = fine_tuned(tiny_bert, tmp_path / "one", **settings).fit(SENTENCES, Y)
    found = model.decision_function(SENTENCES)
    assert ((found > 0) == Y).mean() > 0.95
    assert model.losses_[-1] < model.losses_[0]
    stored = assemble(*dismantle(portable(model)))
    assert np.array_equal(stored.decision_function(SENTENCES), found)
    again = fine_tuned(tiny_bert, tmp_path / "one", **settings).fit(SENTENCES, Y)
    assert again.losses_ == model.losses_, "a finished training is taken up as it is"
    assert np.allclose(again.decision_function(SENTENCES), found, atol=1e-5)
    assert len(list((tmp_path / "one").iterdir())) == 1


@needs_torch
def test_a_contrastive_head_is_scikit_learns_on_unit_vectors(tiny_bert, tmp_path):
    import torch
    from sklearn.linear_model import LogisticRegression

    from pipeline.models.contrastive import Contrastive, PairRecipe
    from pipeline.models.finetuning import train
    from pipeline.models.onnx_text import Tokens, padded

    model = fine_tuned(tiny_bert, tmp_path, objective="contrastive", pairs=2, epochs=1).fit(SENTENCES, Y)
    shared = {k: v for k, v in model.get_params().items() if k in PairRecipe.__dataclass_fields__}
    recipe = PairRecipe(**shared, seed=3)
    y = Y.astype(np.float32)
    network, _ = train(tiny_bert, SENTENCES, y, recipe, tmp_path, "cpu", Contrastive)
    tokens, _ = Tokens((tiny_bert / "tokenizer.json").read_text(), 96)(SENTENCES)
    with torch.no_grad():
        vectors = network.embed(*(torch.from_numpy(array) for array in padded(tokens))).numpy()
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    head = LogisticRegression(max_iter=1000).fit(vectors, Y[:, 0])
    assert model.decision_function(SENTENCES)[:, 0] == pytest.approx(
        head.decision_function(vectors), abs=0.01
    )


@needs_torch
def test_an_interrupted_contrastive_training_goes_on(tiny_bert, tmp_path, monkeypatch):
    from pipeline.models.finetuning import Training

    settings = {"objective": "contrastive", "pairs": 2, "epochs": 2, "encoder_rate": 1e-3}
    straight = fine_tuned(tiny_bert, tmp_path / "straight", **settings).fit(SENTENCES, Y)
    epoch, done = Training._epoch, []

    def interrupted(self, number, advance):
        if number == 1 and not done:
            done.append(number)
            raise KeyboardInterrupt
        return epoch(self, number, advance)

    monkeypatch.setattr(Training, "_epoch", interrupted)
    model = fine_tuned(tiny_bert, tmp_path / "stopped", **settings)
    with pytest.raises(KeyboardInterrupt):
        model.fit(SENTENCES, Y)
    model.fit(SENTENCES, Y)
    assert model.losses_ == pytest.approx(straight.losses_, abs=1e-5)


def test_an_unknown_objective_is_named():
    with pytest.raises(ConfigError, match="objective=pairs: must be one of labels, contrastive"):
        FineTuned(objective="pairs").fit(["a"], [[1]])


def test_tables_with_an_encoder_use_it_and_travel(look_up, tmp_path):
    """Also of words that training never saw, which have a vector as any other."""
    from pipeline.bundle import Bundle, load, save
    from pipeline.models.adaptive import SENTENCES as ENCODED
    from pipeline.models.adaptive import Adaptive
    from pipeline.models.decision import Decision
    from pipeline.schema import LabelSet

    y = Y[:, :2]
    given = Adaptive(encoder=str(look_up))
    settled = given.settled(SENTENCES, y)
    fitted = settled.fit(SENTENCES, y)
    assert fitted.choice_.kinds[-1] == ENCODED and "sentence encoder; linear SVM" in str(fitted.choice_)
    assert settled.encoder == given.encoder and settled.choice == fitted.choice_
    plain = Adaptive().fit(SENTENCES, y)
    unseen = ["zzz", "the"]
    assert not np.allclose(fitted.decision_function(unseen), plain.decision_function(unseen))
    decision = Decision().fit(fitted.decision_function(SENTENCES), y)
    save(Bundle(portable(fitted), decision, LabelSet(("denial", "accusation"))), tmp_path / "bundle")
    again = load(tmp_path / "bundle")
    assert np.array_equal(again.scorer.decision_function(TEXTS), fitted.decision_function(TEXTS))
    assert "onnxruntime" in (tmp_path / "bundle" / "requirements.txt").read_text()


@pytest.mark.parametrize(("encoder", "more"), [(None, 0), ("all-MiniLM-L6-v2", 1)])
def test_an_encoder_is_one_more_kind_of_feature(encoder, more):
    from pipeline.models.adaptive import affordable

    texts = ["a"] * 60_000  # too many for word vectors: an encoder that is asked for stays
    few = affordable(texts[:10], np.zeros((10, 2), np.int8), encoder)
    many = affordable(texts, np.zeros((60_000, 2), np.int8), encoder)
    assert (len(few.kinds), len(many.kinds)) == (3 + more, 2 + more)
