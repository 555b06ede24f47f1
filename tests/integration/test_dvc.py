"""dvc.yaml runs the same stages, runs only those whose inputs changed, and shares what they wrote."""

from __future__ import annotations

import ast
import configparser
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT, make_corpus

STAGES = ("ingest", "label", "train", "evaluate")
# Read by a stage, but no result depends on them.
NO_RESULT = {"pipeline/__init__.py", "pipeline/progress.py", "pipeline/tracking", "conf/tracking"}
# Names and marks of runs: as little.
NO_RESULT |= {"pipeline/experiments.py", "pipeline/registry.py"}
# Train asks label.py only whether its output is current; that output is a dependency. Tables and Spark
# are not what dvc.yaml runs.
NOT_FOLLOWED = {
    "train": {
        "pipeline/label.py",
        "pipeline/corpora/table.py",
        "pipeline/corpora/problems.py",
        "pipeline/unlabelled.py",
    },
    "ingest": {"pipeline/engines/spark.py"},
}


def dvc_file() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))


def covered(path: str, dependencies: list[str]) -> bool:
    return any(path == one or path.startswith(f"{one}/") for one in dependencies)


def imported(path: Path) -> Iterator[Path]:
    """The files of `pipeline` that a file imports, at its top or in a function, but not for types only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            node.body = []
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "pipeline":
            base = ROOT / (node.module or "").replace(".", "/")
            for found in (base.with_suffix(".py"), *(base / f"{alias.name}.py" for alias in node.names)):
                if found.is_file():
                    yield found


def closure(name: str) -> set[str]:
    found: set[str] = set()
    todo = [ROOT / "pipeline" / f"{name}.py"]
    while todo:
        path = todo.pop()
        inside = path.relative_to(ROOT).as_posix()
        if inside in found or covered(inside, [*NO_RESULT, *NOT_FOLLOWED.get(name, ())]):
            continue
        found.add(inside)
        todo += imported(path)
    return found


@pytest.mark.parametrize("name", STAGES)
def test_what_a_stage_imports_is_a_dependency(name):
    dependencies = dvc_file()["stages"][name]["deps"]
    assert [path for path in sorted(closure(name)) if not covered(path, dependencies)] == []


@pytest.mark.parametrize("name", STAGES)
def test_what_configures_a_stage_is_a_dependency(name):
    dependencies = dvc_file()["stages"][name]["deps"]
    files = {"conf/common.yaml", f"conf/{name}.yaml"}
    for default in yaml.safe_load((ROOT / "conf" / f"{name}.yaml").read_text(encoding="utf-8"))["defaults"]:
        for group, choice in default.items() if isinstance(default, dict) else ():
            if choice and not group.startswith(("override ", "optional ")):
                files.add(f"conf/{group}/{choice}.yaml")
    # A model may name files or groups of its own, such as conf/cues.
    if name == "train":
        for model in (ROOT / "conf" / "model").glob("*.yaml"):
            text = model.read_text(encoding="utf-8")
            files.update(f"conf/{group}" for group in re.findall(r"(?:/conf|^ *- )/(\w+)", text, re.M))
    # Train reads the labels, the corpus and the code that labels it by way of label's output.
    by_label = {"conf/labels", "conf/corpus"} if name == "train" else set()
    missing = [f for f in sorted(files) if not covered(f, [*dependencies, *NO_RESULT, *by_label])]
    assert missing == []


def test_parameters_are_the_defaults_of_the_configuration(compose):
    given = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    assert set(given) == {"model", "decision", "seed", "corpus"}
    assert {name: str(ROOT / path) for name, path in given.pop("corpus").items()} == compose("train").corpus
    assert compose("train", [f"{key}={value}" for key, value in given.items()]) == compose("train")


def test_settings_travel():
    config = configparser.ConfigParser()
    config.read_string(re.sub(r"(?m)^\s+", "", (ROOT / ".dvc" / "config").read_text(encoding="utf-8")))
    assert {key: config["core"][key] for key in ("analytics", "autostage")} == {
        "analytics": "false",
        "autostage": "false",
    }
    assert config.sections() == ["core"], "remotes are one's own: dvc remote add --local"


class Checkout:
    """A small repository with the stages, run as a user would in an activated environment."""

    def __init__(self, folder: Path, store: Path) -> None:
        self.folder = folder
        site = {"DVC_SITE_CACHE_DIR": store / "site", "DVC_GLOBAL_CONFIG_DIR": store, "DVC_NO_ANALYTICS": 1}
        author = {f"GIT_{who}_{key}": "a@b" for who in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
        outside = {k: v for k, v in os.environ.items() if k != "PYTHONPATH" and not k.startswith("GIT_")}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.env = outside | {k: str(v) for k, v in (site | author).items()} | {"PATH": path}

    def __call__(self, *command: str) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def dvc(self, *arguments: str) -> str:
        return self("dvc", *arguments)

    def repro(self, *targets: str) -> list[str]:
        """Names of the stages that ran."""
        return re.findall(r"^Running stage '(\w+)'", self.dvc("repro", *targets), re.MULTILINE)

    def changed(self) -> set[str]:
        """Names of the stages whose own inputs changed; those after them may follow."""
        return set(json.loads(self.dvc("status", "--json")))

    def replace(self, path: str, old: str, new: str) -> None:
        text = (self.folder / path).read_text(encoding="utf-8")
        assert old in text
        (self.folder / path).write_text(text.replace(old, new, 1), encoding="utf-8")

    def reset(self) -> None:
        self("git", "checkout", "-q", ".")
        self.dvc("checkout", "-q")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A repository over a small corpus, reproduced once and committed."""
    base = tmp_path_factory.mktemp("dvc")
    checkout = Checkout(base / "repo", base)
    unwanted = shutil.ignore_patterns("__pycache__", "local")
    for name in ("pipeline", "conf"):
        shutil.copytree(ROOT / name, checkout.folder / name, ignore=unwanted)
    shutil.copytree(
        ROOT / ".dvc", checkout.folder / ".dvc", ignore=lambda *_: ["cache", "tmp", "config.local"]
    )
    for name in ("dvc.yaml", "params.yaml", ".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, checkout.folder)
    checkout.replace("params.yaml", "model: ensemble", "model: tfidf_logreg")
    make_corpus(checkout.folder / "data")
    for name in ("behaviour", "vectors"):
        shutil.copytree(ROOT / "data" / name, checkout.folder / "data" / name)
    checkout("git", "init", "-q", "-b", "main")
    checkout("git", "add", "-A")
    checkout("git", "commit", "-q", "-m", "start")
    assert checkout.repro() == list(STAGES)
    checkout("git", "add", "dvc.lock")
    checkout("git", "commit", "-q", "-m", "baseline")
    return checkout


@pytest.fixture
def repo(built: Checkout) -> Iterator[Checkout]:
    """The same, put back afterwards."""
    yield built
    built.reset()


@pytest.mark.slow
def test_second_time_nothing_runs_and_git_is_clean(repo):
    assert repo("git", "status", "--porcelain") == ""
    assert repo.repro() == []
    repo("python", "-c", "from pipeline.bundle import load; load('models/latest').label(['Prices rose.'])")
    assert repo.changed() == set(), "loading the model changes no output"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "old", "new", "stages"),
    [
        ("conf/model/tfidf_logreg.yaml", "C: 10.0", "C: 9.0", {"train"}),
        ("conf/decision/f1.yaml", "beta: 1.0", "beta: 2.0", {"train"}),
        ("params.yaml", "seed: 7", "seed: 8", {"train", "evaluate"}),
        ("data/articles/story-01.txt", "Prices", "Costs", {"ingest", "label"}),
        ("data/annotations.jsonl", '["denial"]', "[]", {"label"}),
        ("data/articles.csv", "story-01,t", "story-01,u", {"label"}),
        ("conf/labels/news.yaml", "States", "Says", {"label"}),
        ("pipeline/text/junk.py", '"""', '"""Now: ', {"ingest", "label", "evaluate"}),
        ("pipeline/tracking/run.py", '"""', '"""Now: ', set()),
    ],
)
def test_a_change_concerns_what_depends_on_it(repo, path, old, new, stages):
    repo.replace(path, old, new)
    assert repo.changed() == stages


@pytest.mark.slow
def test_a_model_setting_trains_and_evaluates_only(repo):
    repo.replace("conf/model/tfidf_logreg.yaml", "C: 10.0", "C: 0.01")
    assert repo.repro() == ["train", "evaluate"]
    assert repo.repro() == []
    assert any(
        path.startswith("reports/latest/") for path in json.loads(repo.dvc("metrics", "diff", "--json"))
    )
    repo.reset()
    assert repo.changed() == set(), "git checkout and dvc checkout bring the former results back"


@pytest.mark.slow
def test_experiments_run_and_compare(repo):
    repo.dvc("exp", "run", "--name", "baseline-model", "-S", "model=majority")
    shown = json.loads(repo.dvc("exp", "show", "--json"))
    (commit,) = [row for row in shown if row["rev"] != "workspace"]
    (experiment,) = commit["experiments"]
    (revision,) = experiment["revs"]
    assert revision["data"]["params"]["params.yaml"]["data"]["model"] == "majority"
    assert json.loads(repo.dvc("params", "diff", "--json"))["params.yaml"]["model"] == {
        "old": "tfidf_logreg",
        "new": "majority",
    }
    assert "macro_f1" in repo.dvc("metrics", "show")
    assert json.loads(repo.dvc("metrics", "diff", "--json", "HEAD", "baseline-model"))
    said = repo.dvc("plots", "diff", "-o", "plots", "HEAD", "baseline-model")
    page = Path(said.strip().removeprefix("file://"))
    text = page.read_text(encoding="utf-8")
    assert "vegaEmbed" in text and "confusion.png" in text
    shutil.rmtree(page.parent)
    repo.reset()
    repo.dvc("exp", "apply", "baseline-model")
    assert "model: majority" in (repo.folder / "params.yaml").read_text()
    assert repo.changed() == set()


@pytest.mark.slow
def test_experiments_from_the_queue(repo):
    """As docs/data.md has it: one for each value, shown side by side, and a branch of one."""
    repo.dvc("exp", "run", "--queue", "-S", "model=majority,nbsvm")
    assert repo.dvc("queue", "status").count("Queued") == 2
    repo.dvc("exp", "run", "--run-all")
    assert repo.dvc("queue", "status").count("Success") == 2
    shown = repo.dvc("exp", "show", "--only-changed", "--drop", "conf|data|models|pipeline|reports", "--csv")
    head, *rows = [line.split(",") for line in shown.splitlines()]
    model = head.index("model")
    named = {row[model]: row[head.index("Experiment")] for row in rows if row[model] in ("majority", "nbsvm")}
    assert set(named) == {"majority", "nbsvm"} and any("macro_f1" in name for name in head)
    repo.dvc("exp", "branch", named["nbsvm"], "tried")
    assert "model: nbsvm" in repo("git", "show", "tried:params.yaml")
    assert repo("git", "status", "--porcelain") == "", "the working tree is left alone"


@pytest.mark.slow
def test_an_empty_clone_pulls_from_a_folder(repo, tmp_path):
    repo.dvc("remote", "add", "--local", "--default", "store", str(tmp_path / "store"))
    repo.dvc("push")
    clone = Checkout(tmp_path / "clone", tmp_path)
    repo("git", "clone", "-q", str(repo.folder), str(clone.folder))
    assert not (clone.folder / "models").exists()
    clone.dvc("remote", "add", "--local", "--default", "store", str(tmp_path / "store"))
    clone.dvc("pull")
    assert clone.changed() == set()
    assert clone.repro() == []
    for name in ("models/latest/manifest.json", "reports/latest/metrics.json", "data/interim/labelled.json"):
        assert (clone.folder / name).read_bytes() == (repo.folder / name).read_bytes()
    (tmp_path / "in.txt").write_text("Prices rose 3 percent in May.\n")
    out = tmp_path / "out.jsonl"
    clone("python", "-m", "pipeline.predict", f"input={tmp_path / 'in.txt'}", f"output={out}")
    assert "Prices rose" in out.read_text()


@pytest.mark.slow
def test_a_corpus_of_ones_own_is_tracked_and_labelled(repo, tmp_path):
    """What docs/data.md says, in a clone."""
    own = Checkout(tmp_path / "clone", tmp_path)
    repo("git", "clone", "-q", str(repo.folder), str(own.folder))
    make_corpus(own.folder / "data" / "own")
    own.dvc("remote", "add", "--local", "--default", "store", str(tmp_path / "store"))
    own.dvc("add", "data/own")
    assert "/own" in (own.folder / "data" / ".gitignore").read_text()
    own.dvc("push", "data/own.dvc")
    for folder in ("data/own", ".dvc/cache"):
        shutil.rmtree(own.folder / folder)
    own.dvc("pull", "data/own.dvc")
    assert len(list((own.folder / "data/own/articles").iterdir())) == 24
    params = own.folder / "params.yaml"
    params.write_text(params.read_text().replace(": data/", ": data/own/"))
    assert own.repro("label") == ["label"]
    assert own.repro("label") == []
    own("git", "add", "-A")
    assert "data/own/articles" not in own("git", "diff", "--cached", "--name-only")
