"""The bundle: same scores after a round trip, refused when damaged, loaded where nothing is installed."""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.svm import LinearSVC

from pipeline.bundle import MANIFEST, STRUCTURE, WEIGHTS, Bundle, load, save
from pipeline.models.arrow_tfidf import ArrowTfidf
from pipeline.models.decision import Decision
from pipeline.models.portable import portable
from pipeline.models.training import scores
from pipeline.schema import InputError, LabelSet
from tests.conftest import reseal

ROOT = Path(__file__).resolve().parents[2]
TEXTS = [
    "The bank denied that prices rose.",
    "",
    "Police ordered the bank closed",
    "\ud800 prices",
    "x " * 5000,
]


def union():
    parts = [("word", ArrowTfidf(ngram_range=(1, 2))), ("char", TfidfVectorizer(analyzer="char_wb"))]
    return make_pipeline(FeatureUnion(parts), OneVsRestClassifier(LogisticRegression()))


def of_sklearn():
    return make_pipeline(TfidfVectorizer(), OneVsRestClassifier(CalibratedClassifierCV(LinearSVC(), cv=2)))


def described(name):
    """Return a maker of the estimator of conf/model/NAME.yaml."""

    def made(compose):
        from hydra.utils import instantiate

        return instantiate(compose("train", [f"model={name}"]).model.estimator, _convert_="all")

    return made


MODELS = {
    "majority": described("majority"),
    "tfidf_logreg": described("tfidf_logreg"),
    "tfidf_svm": described("tfidf_svm"),
    "union": lambda _: union(),
    "sklearn only": lambda _: of_sklearn(),
}


@pytest.fixture(scope="session")
def made(trained, compose):
    """Bundles of each model, by name, with the scores that the estimator itself gives."""
    from pipeline.labels.labelset import indicator

    labels = load(trained.bundle).labels
    rows = [row for row in trained.corpus.rows if row["annotator"] == "first"]
    texts, y = [row["text"] for row in rows], indicator([row["labels"] for row in rows], labels)
    cache = {}

    def bundle(name):
        if name not in cache:
            model = MODELS[name](compose).fit(texts, y)
            decision = Decision().fit(scores(model, texts), y)
            card = {"model": name, "note": "ä"}
            cache[name] = Bundle(portable(model), decision, labels, card), scores(model, TEXTS)
        return cache[name]

    return bundle


def files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()}


@pytest.mark.parametrize("name", MODELS)
def test_saving_and_loading_changes_no_score(made, tmp_path, name):
    bundle, wanted = made(name)
    save(bundle, tmp_path / "b")
    again = load(tmp_path / "b")
    assert (again.probabilities(TEXTS) == bundle.probabilities(TEXTS)).all()
    assert again.scorer.decision_function(TEXTS) == pytest.approx(wanted, abs=1e-9)
    assert again.label(TEXTS) == bundle.label(TEXTS)
    assert (again.decision.thresholds_ == bundle.decision.thresholds_).all()
    assert (again.labels, again.card) == (bundle.labels, bundle.card)


@pytest.mark.parametrize("name", MODELS)
def test_two_saves_give_the_same_bytes(made, tmp_path, name):
    bundle, _ = made(name)
    save(bundle, tmp_path / "one")
    save(load(tmp_path / "one"), tmp_path / "other")
    assert files(tmp_path / "one") == files(tmp_path / "other")


def test_what_a_bundle_holds(trained):
    found = files(trained.bundle)
    assert {"MLmodel", "manifest.json", "model.json", "weights.safetensors", "requirements.txt"} <= set(found)
    assert not [name for name in found if "__pycache__" in name or name.endswith((".pkl", ".joblib", ".pyc"))]
    assert not [name for name, data in found.items() if str(trained.folder).encode() in data]
    assert set(json.loads(found["manifest.json"])["sha256"]) == set(found) - {"manifest.json"}


def test_the_thresholds_evaluated_are_the_thresholds_served(trained):
    served = load(trained.bundle)
    for block in ("cross_validation", "test"):
        given = [one["threshold"] for one in trained.metrics[block]["per_label"].values()]
        assert given == served.decision.thresholds_.tolist()


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("tfidf_logreg", []),
        ("sklearn only", ["skops", "scikit-learn"]),
        ("union", ["skops", "scikit-learn"]),
    ],
)
def test_requirements_are_those_of_the_parts(made, tmp_path, name, needed):
    save(made(name)[0], tmp_path / "b")
    pins = dict(line.split("==") for line in (tmp_path / "b" / "requirements.txt").read_text().split())
    usual = {"numpy", "scipy", "pyarrow", "safetensors"}
    assert set(pins) == usual | set(needed)
    assert pins["numpy"] == np.__version__


def test_saving_over_a_bundle_replaces_it(made, tmp_path):
    save(made("tfidf_logreg")[0], tmp_path / "b")
    save(made("majority")[0], tmp_path / "b")
    assert load(tmp_path / "b").card["model"] == "majority"
    assert [p.name for p in tmp_path.iterdir()] == ["b"]


def test_a_bundle_that_cannot_be_written_leaves_the_old(made, tmp_path):
    good = made("tfidf_logreg")[0]
    save(good, tmp_path / "b")
    before = files(tmp_path / "b")
    with pytest.raises(TypeError):
        save(Bundle(good.scorer, good.decision, good.labels, {"not json": object()}), tmp_path / "b")
    assert files(tmp_path / "b") == before
    assert [p.name for p in tmp_path.iterdir()] == ["b"]


@pytest.mark.parametrize(
    "name", [STRUCTURE, WEIGHTS, "MLmodel", "code/pipeline/bundle.py", "requirements.txt"]
)
def test_a_changed_byte_is_refused(bundle_copy, name):
    data = bytearray((bundle_copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle_copy / name).write_bytes(data)
    with pytest.raises(InputError, match=f"{name}: changed since the bundle was written; export it anew"):
        load(bundle_copy)


@pytest.mark.parametrize("name", ["extra.txt", "code/pipeline/evil.py", "code/sitecustomize.py", ".hidden"])
def test_an_extra_file_is_refused(bundle_copy, name):
    (bundle_copy / name).write_text("x")
    with pytest.raises(InputError, match=f"{name}: not in the bundle's manifest"):
        load(bundle_copy)


def test_what_python_and_mlflow_leave_behind_is_no_extra_file(bundle_copy):
    (bundle_copy / "code" / "pipeline" / "__pycache__").mkdir()
    (bundle_copy / "code" / "pipeline" / "__pycache__" / "x.pyc").write_bytes(b"")
    (bundle_copy / "registered_model_meta").write_text("model_name: x")
    load(bundle_copy)


@pytest.mark.parametrize("name", [STRUCTURE, WEIGHTS, "code/pipeline/schema.py", "MLmodel"])
def test_a_missing_file_is_refused(bundle_copy, name):
    (bundle_copy / name).unlink()
    with pytest.raises(InputError, match=f"{name}: listed in the bundle's manifest but missing"):
        load(bundle_copy)


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b"{}", b"\xff\xfe"])
def test_no_manifest_no_model(bundle_copy, content):
    (bundle_copy / MANIFEST).unlink()
    if content is not None:
        (bundle_copy / MANIFEST).write_bytes(content)
    with pytest.raises(InputError, match=r"export (it|the bundle) anew|run python -m pipeline.train first"):
        load(bundle_copy)


def test_no_folder(tmp_path):
    with pytest.raises(InputError, match=r"no trained model here .* run python -m pipeline\.train first"):
        load(tmp_path / "none")


def altered(folder, change):
    structure = json.loads((folder / STRUCTURE).read_text())
    change(structure)
    (folder / STRUCTURE).write_text(json.dumps(structure))
    reseal(folder, STRUCTURE)
    return folder


def test_an_unknown_class_is_refused(bundle_copy):
    altered(bundle_copy, lambda structure: structure["model"].update({"class": "Popen"}))
    with pytest.raises(InputError, match=r"model\.json: class 'Popen' is not one that a bundle may hold"):
        load(bundle_copy)


def test_a_later_format_is_refused(bundle_copy):
    (bundle_copy / MANIFEST).write_text('{"format": 99, "digests": []}')
    with pytest.raises(InputError, match="bundle of format 99, this version reads 1; upgrade"):
        load(bundle_copy)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s["model"]["parts"][0]["parameters"].update({"surprise": 1}),
        lambda s: s["model"]["parts"].reverse(),
        lambda s: s.pop("decision"),
        lambda s: s["decision"].update({"class": "LinearHead"}),
    ],
    ids=["parameter", "order", "no decision", "another class"],
)
def test_a_structure_that_does_not_fit_its_arrays_is_refused(bundle_copy, change):
    altered(bundle_copy, change)
    with pytest.raises(InputError, match=r"model\.json: does not fit .*; export it anew"):
        load(bundle_copy)


@pytest.mark.parametrize(
    "wrap",
    [
        list,
        tuple,
        np.array,
        pd.Series,
        pa.array,
        lambda texts: pd.DataFrame({"id": range(len(texts)), "text": texts, "z": None}),
        lambda texts: pa.table({"text": texts}),
        lambda texts: {"text": texts},
        lambda texts: pd.Series([text or None for text in texts]),
        lambda texts: [text or None for text in texts],
    ],
)
def test_any_container_gives_a_row_per_row(trained, wrap):
    bundle = load(trained.bundle)
    texts = [text for text in TEXTS if "\ud800" not in text]
    assert (bundle.probabilities(wrap(texts)) == bundle.probabilities(texts)).all()


@pytest.mark.parametrize(
    "texts", [[], pd.Series([], dtype=str), pd.DataFrame({"text": []}), pa.array([], pa.string())]
)
def test_nothing_in_nothing_out(trained, texts):
    bundle = load(trained.bundle)
    assert bundle.probabilities(texts).shape == (0, 4)
    assert bundle.label(texts) == []


def test_probabilities_lie_between_0_and_1_and_labels_follow_thresholds(trained):
    bundle = load(trained.bundle)
    texts = [row["text"] for row in trained.corpus.rows]
    found = bundle.probabilities(texts)
    assert ((found >= 0) & (found <= 1)).all()
    names = np.array(bundle.labels.names)
    wanted = [names[row >= bundle.decision.thresholds_].tolist() for row in found]
    assert bundle.label(texts) == wanted
    assert any(wanted)


def test_a_row_does_not_depend_on_the_others(trained):
    bundle = load(trained.bundle)
    texts = [row["text"] for row in trained.corpus.rows][:40]
    alone = np.vstack([bundle.probabilities([text]) for text in texts])
    assert alone == pytest.approx(bundle.probabilities(texts), abs=1e-12)


def test_multiclass_travels(tmp_path):
    texts = ["good good", "bad bad", "plain plain"] * 5
    y = np.tile(np.eye(3, dtype=np.int8), (5, 1))
    model = make_pipeline(ArrowTfidf(), OneVsRestClassifier(LogisticRegression())).fit(texts, y)
    decision = Decision(task="multiclass").fit(scores(model, texts), y)
    save(Bundle(portable(model), decision, LabelSet(("g", "b", "p"), {}, "multiclass")), tmp_path / "b")
    bundle = load(tmp_path / "b")
    assert bundle.labels.task == "multiclass"
    assert bundle.label(["good", "bad", "plain", ""])[:3] == [["g"], ["b"], ["p"]]
    assert all(len(names) == 1 for names in bundle.label(["good", "", "unseen"]))
    assert bundle.probabilities(["good", ""]).sum(axis=1) == pytest.approx(1)


# --- MLflow -------------------------------------------------------------------------------------------

SENTENCES = ["The bank denied that prices rose.", "", "Police ordered the bank closed"]


@pytest.fixture(scope="module")
def pyfunc(trained):
    import mlflow

    return mlflow.pyfunc.load_model(str(trained.bundle))


@pytest.mark.parametrize(
    "wrap",
    [
        list,
        lambda texts: pd.DataFrame({"text": texts}),
        lambda texts: pd.DataFrame({"id": [1, 2, 3], "text": texts, "date": pd.Timestamp("2024-01-01")}),
        lambda texts: pd.DataFrame({"text": texts}, index=[5, 5, 1]),
        lambda texts: [text or None for text in texts],
        lambda texts: pd.DataFrame({"text": [text or None for text in texts]}),
        np.array,
        pd.Series,
    ],
    ids=["list", "frame", "extra columns", "odd index", "None", "null", "array", "series"],
)
def test_pyfunc_gives_the_bundles_rows(trained, pyfunc, wrap):
    bundle = load(trained.bundle)
    found = pyfunc.predict(wrap(SENTENCES))
    assert list(found.columns) == ["labels", *bundle.labels.names]
    assert found["labels"].tolist() == bundle.label(SENTENCES)
    assert (found[list(bundle.labels.names)].to_numpy() == bundle.probabilities(SENTENCES)).all()


@pytest.mark.parametrize("empty", [[], pd.DataFrame({"text": pd.Series([], dtype=str)})])
def test_pyfunc_of_nothing(pyfunc, empty):
    found = pyfunc.predict(empty)
    assert len(found) == 0
    assert found.columns[0] == "labels"


def test_pyfunc_names_the_column_that_is_missing(pyfunc):
    with pytest.raises(Exception, match="text"):
        pyfunc.predict(pd.DataFrame({"body": SENTENCES}))


def test_pyfunc_signature_and_example(trained, pyfunc):
    assert pyfunc.metadata.get_input_schema().input_names() == ["text"]
    assert pyfunc.metadata.get_output_schema().input_names() == ["labels", *load(trained.bundle).labels.names]
    example = pyfunc.metadata.load_input_example(str(trained.bundle))
    assert len(pyfunc.predict(example)) == len(example) == 3


# --- a fresh interpreter ------------------------------------------------------------------------------


def fresh(code, *arguments):
    """Run code where site-packages is on the path, yet no .pth file makes `pipeline` importable."""
    before = f"import sys; sys.path.append({sysconfig.get_paths()['purelib']!r})\n"
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", before + code, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd="/",
        env={"PATH": os.environ["PATH"], "MLFLOW_DISABLE_TELEMETRY": "true"},
        timeout=120,
    )


def test_the_project_is_not_importable_in_a_fresh_interpreter():
    assert "No module named 'pipeline'" in fresh("import pipeline").stderr


@pytest.mark.parametrize("name", ["tfidf_logreg", "union"])
def test_a_bundle_brings_its_own_code(made, tmp_path, name):
    bundle, _ = made(name)
    save(bundle, tmp_path / "b")
    code = """
import json
folder = sys.argv[1]
sys.path.insert(0, folder + "/code")
from pipeline.bundle import load
bundle = load(folder)
import pipeline
assert pipeline.__file__.startswith(folder), pipeline.__file__
found = bundle.probabilities(json.loads(sys.argv[2])).tolist()
roots = sorted({name.partition(".")[0] for name in sys.modules})
print(json.dumps([found, bundle.label([""]), roots]))
"""
    done = fresh(code, tmp_path / "b", json.dumps(SENTENCES))
    assert done.returncode == 0, done.stderr
    found, labels, modules = json.loads(done.stdout)
    assert found == bundle.probabilities(SENTENCES).tolist()
    assert labels == bundle.label([""])
    unwanted = {"mlflow", "datasets", "matplotlib", "hydra", "omegaconf", "torch", "trafilatura"}
    unwanted -= {"torch"} if name == "union" else set()  # skops imports it where it finds it
    assert unwanted.isdisjoint(modules), unwanted.intersection(modules)
    assert ("skops" in modules) == (name == "union")


def test_mlflow_loads_a_bundle_where_the_project_is_not_installed(trained):
    code = """
import mlflow, pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
import pipeline
assert pipeline.__file__.startswith(sys.argv[1]), pipeline.__file__
print(model.predict(pd.DataFrame({"text": ["The bank denied it.", ""]})).shape)
"""
    done = fresh(code, trained.bundle)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "(2, 5)"
