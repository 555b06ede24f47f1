"""A small invented corpus, a classifier trained on it once, and the stages as users run them."""

from __future__ import annotations

import csv
import gc
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ.setdefault("MPLBACKEND", "agg")

import pytest

from pipeline.app import COLLECTIONS

gc.set_threshold(*COLLECTIONS)
ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(__file__).resolve().parents[2] / "shared"
LABELS = ("accusation", "denial", "policy_action", "economic_claim")

# Who, against whom, what about, which authority, where.
STORIES = [
    ("Borealis Air", "its pilots", "tickets", "the transport ministry", "Ostrava"),
    ("Union Bank", "a shareholder group", "mortgages", "the central bank", "Lima"),
    ("Kettle & Sons", "a rival brewer", "cider", "the food agency", "Bristol"),
    ("Governor Aldana", "the opposition", "fuel", "the interior ministry", "Tegucigalpa"),
    ("Novatel", "a consumer league", "handsets", "the telecoms regulator", "Riga"),
    ("Mayor Okafor", "residents", "bus fares", "the city council", "Enugu"),
    ("Farsund Shipping", "its crews", "freight", "the port authority", "Bergen"),
    ("General Sandoval", "human rights monitors", "grain", "the military court", "La Paz"),
    ("Helix Pharma", "two hospitals", "vaccines", "the drug agency", "Basel"),
    ("Coach Verhoeven", "the players' union", "transfers", "the football league", "Ghent"),
    ("Sunfield Dairy", "small farmers", "milk", "the farm ministry", "Waikato"),
    ("Minister Laurent", "a watchdog", "timber", "the prosecutor's office", "Libreville"),
    ("Atlas Cement", "villagers", "cement", "the environment agency", "Fez"),
    ("Quantra", "a former engineer", "chips", "the patent office", "Hsinchu"),
    ("Senator Whitlock", "a newspaper", "steel", "the ethics committee", "Topeka"),
    ("Orchid Hotels", "cleaners", "rooms", "the labour court", "Phuket"),
    ("Meridian Rail", "commuters", "season passes", "the rail regulator", "Leeds"),
    ("Ambassador Petrov", "the foreign ministry", "gas", "the security council", "Tbilisi"),
    ("Delta Copper", "its workers", "copper", "the mining ministry", "Ndola"),
    ("Brightline Games", "parents", "downloads", "the privacy office", "Espoo"),
    ("Chairman Iqbal", "auditors", "cotton", "the finance ministry", "Multan"),
    ("Lakeside Schools", "teachers", "meals", "the school board", "Malmo"),
]
ACCUSE = [
    "{b} accused {a} of hiding the true cost of {c}",
    "{b} blamed {a} for the deaths of three people",
    "{b} condemned the conduct of {a} as reckless and corrupt",
]
DENY = [
    "{a} denied that it had broken any rule on {c}",
    "{a} rejected the allegation and said it was baseless",
    "There is no evidence of wrongdoing, a spokesman for {a} insisted",
]
ACT = [
    "{d} ordered {a} to stop selling {c} within ten days",
    "{d} approved a new law on {c}",
    "{d} imposed a ban on imports of {c}",
]
MONEY = [
    "Sales of {c} rose {n} percent to ${m} million last year",
    "Prices of {c} fell by {n} percent in the second quarter",
    "The dispute has cost {m} jobs and ${n} billion in exports",
]
NOTHING = [
    "The hearing in {e} begins on Tuesday",
    "Visitors to {e} walked along the river in warm weather",
    "The two sides met for an hour in {e} and shook hands",
]
BOTH = "{d} fined {a} ${m} million over {c}"
# In words of their own, so that nobody gets all of them right.
HARD = [
    ("{b} said {a} had broken its word on {c}", [LABELS[0]]),
    ("Asked about prices of {c}, {a} would not comment", []),
    ("It was not us, {a} wrote to staff in {e}", [LABELS[1]]),
    ("{b} hope that sales of {c} will be debated in {e}", []),
]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Keep tests that share a server, or the like, of their module on one of several workers."""
    for item in items:
        shared = item._fixtureinfo.name2fixturedefs.values()
        if any(definitions[-1].scope == "module" for definitions in shared):
            item.add_marker(pytest.mark.xdist_group(item.module.__name__))


def reseal(bundle: Path, *names: str) -> None:
    """Make changed files agree with the manifest, as an attacker or another version would."""
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_text())
    for name in names:
        manifest["sha256"][name] = hashlib.sha256((bundle / name).read_bytes()).hexdigest()
    path.write_text(json.dumps(manifest))


@dataclass
class Corpus:
    """Where the corpus lies, and what is in it."""

    folder: Path
    rows: list[dict[str, Any]] = field(default_factory=list)

    @property
    def articles(self) -> Path:
        return self.folder / "articles"

    @property
    def metadata(self) -> Path:
        return self.folder / "articles.csv"

    @property
    def annotations(self) -> Path:
        return self.folder / "annotations.jsonl"

    def overrides(self, out: Path | None = None) -> list[str]:
        """Hydra overrides that train on this corpus and write below `out`."""
        out = out or self.folder
        return [
            f"corpus.articles={self.articles}",
            f"corpus.metadata={self.metadata}",
            f"corpus.annotations={self.annotations}",
            f"labelled={out / 'labelled.parquet'}",
            f"output={out / 'bundle'}",
            f"report={out / 'report'}",
            "split.folds=3",
            "model=tfidf_logreg",  # quick, and the same whichever is the default
        ]

    def write_annotations(self, rows: list[dict[str, Any]]) -> None:
        self.annotations.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


def _sentences(n: int) -> list[tuple[str, list[str]]]:
    a, b, c, d, e = STORIES[n]
    words = {"a": a, "b": b, "c": c, "d": d, "e": e, "n": 3 + n, "m": 120 + 7 * n}
    chosen = [(ACCUSE[n % 3], [LABELS[0]]), (DENY[n % 3], [LABELS[1]]), (ACT[n % 3], [LABELS[2]])]
    chosen += [(MONEY[n % 3], [LABELS[3]]), (NOTHING[n % 3], []), (NOTHING[(n + 1) % 3], [])]
    if n % 4 == 0:
        chosen.append((BOTH, [LABELS[2], LABELS[3]]))
    if n % 3 == 1:
        chosen.append(HARD[n // 3 % 4])
    chosen = chosen[n % 5 :] + chosen[: n % 5]
    return [((s := form.format(**words))[0].upper() + s[1:], labels) for form, labels in chosen]


def make_corpus(folder: Path) -> Corpus:
    """Write 24 articles, the last two nearly repeating others, with metadata and annotations."""
    corpus = Corpus(folder)
    corpus.articles.mkdir(parents=True)
    meta = []
    for n in range(24):
        story = {22: 3, 23: 20}.get(n, n)
        sentences = _sentences(story)
        if n != story:  # the same report from another agency, a headline of its own
            sentences = [
                (f"Second report on {STORIES[story][2]} from {STORIES[story][4]}", []),
                *sentences[1:],
            ]
        name, text = f"story-{n:02}", ""
        for i, (sentence, labels) in enumerate(sentences):
            sentence += "" if i == 0 else "."
            text += "" if i == 0 else "\n\n" if i % 2 else " "
            row = {"article": name, "start": len(text), "end": len(text) + len(sentence), "text": sentence}
            row |= {"kind": "headline" if i == 0 else "body", "annotator": "first", "labels": labels}
            corpus.rows.append(row)
            if n % 3 == 0:
                given = labels[:1] if (n + i) % 5 else []
                corpus.rows.append({**row, "annotator": "second", "labels": given})
            text += sentence
        (corpus.articles / f"{name}.txt").write_text(text + "\n", encoding="utf-8")
        # 20 is in the test set, so that its repetition 23 straddles; 3 and 22 are both for training.
        meta.append({"article": name, "topic": "t", "source": "s", "split": "test" if n in TEST else "train"})
    with corpus.metadata.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(meta[0]))
        writer.writeheader()
        writer.writerows(meta)
    corpus.write_annotations(corpus.rows)
    return corpus


TEST = (4, 8, 13, 18, 20)


@pytest.fixture(scope="session")
def browser() -> Any:
    """The Chromium that the system has; tests that use it are marked as extra."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="make extra-browser installs playwright")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium here: apt-get install chromium")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    flags += ["--disable-background-networking", "--disable-component-update"]
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=flags)
        yield launched
        launched.close()


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    """A corpus of one's own, to change."""
    return make_corpus(tmp_path / "corpus")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real news and gold labels, beside the repository."""
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is not here: no real news to test on")
    return SHARED


@pytest.fixture(scope="session")
def compose() -> Callable[..., Any]:
    """Hydra's configuration of a stage, with overrides."""

    def composed(name: str, overrides: list[str] | tuple[str, ...] = ()) -> Any:
        from hydra import compose, initialize_config_dir
        from hydra.core.global_hydra import GlobalHydra

        import pipeline.app  # noqa: F401 - registers the resolver

        GlobalHydra.instance().clear()
        with initialize_config_dir(config_dir=str(ROOT / "conf"), version_base="1.3"):
            return compose(name, overrides=list(overrides))

    return composed


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tracking store; making one takes seconds, so there is one a session."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


@dataclass
class Trained:
    """A training run: its inputs, outputs and what it returned."""

    corpus: Corpus
    folder: Path
    metrics: dict[str, Any]

    @property
    def bundle(self) -> Path:
        return self.folder / "bundle"

    @property
    def report(self) -> Path:
        return self.folder / "report"


@pytest.fixture(scope="session")
def train(compose: Callable[..., Any], store: str) -> Callable[..., Trained]:
    """Train on a corpus, into a folder, with more overrides."""

    def trained(corpus: Corpus, out: Path, *overrides: str) -> Trained:
        from pipeline.train import train

        before = Path.cwd()
        os.chdir(Path(store.removeprefix("sqlite:///")).parent)  # MLflow puts artifacts into ./mlruns
        try:
            config = compose("train", [*corpus.overrides(out), f"tracking.uri={store}", *overrides])
            return Trained(corpus, out, train(config))
        finally:
            os.chdir(before)

    return trained


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, train: Callable[..., Trained]) -> Trained:
    """The default classifier, trained once. Not to be changed: see `bundle_copy`."""
    folder = tmp_path_factory.mktemp("trained")
    return train(make_corpus(folder / "corpus"), folder)


@pytest.fixture(autouse=True)
def import_path() -> Iterator[None]:
    """What a test puts on the path of imports, as MLflow does with the code of a model, goes with it."""
    before = sys.path.copy()
    yield
    sys.path = before


@pytest.fixture
def bundle_copy(trained: Trained, tmp_path: Path) -> Path:
    """The trained bundle as a folder that may be damaged."""
    return Path(shutil.copytree(trained.bundle, tmp_path / "bundle"))


def runs_of_news(uri: str, query: str = "") -> list[Any]:
    """Return the runs of trainings in a store, the latest first; other experiments may be older."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    return list(client.search_runs([client.get_experiment_by_name("news").experiment_id], query))


@dataclass
class Done:
    """How a stage ended."""

    code: int
    out: str
    err: str

    def refused(self, *words: str) -> bool:
        """Exit status 2 with one line on stderr that has all the words."""
        assert self.code == 2, (self.code, self.err)
        assert self.err.startswith("error: ") and self.err.count("\n") == 1, self.err
        assert all(word in self.err for word in words), self.err
        return True


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Run a stage's `main` in this process, as its command line would."""

    def ran(name: str, *arguments: str) -> Done:
        from hydra.core.global_hydra import GlobalHydra

        GlobalHydra.instance().clear()
        monkeypatch.setattr(sys, "argv", [f"pipeline/{name}.py", *map(str, arguments)])
        capfd.readouterr()
        code = 0
        try:
            import_module(f"pipeline.{name}").main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        said = capfd.readouterr()
        return Done(code, said.out, said.err)

    return ran


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., Done]:
    """Run `python -m pipeline.NAME` from another folder."""

    def ran(name: str, *arguments: object, env: dict[str, str] | None = None) -> Done:
        done = subprocess.run(
            [sys.executable, "-m", f"pipeline.{name}", *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, **(env or {})},
            timeout=120,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return ran
