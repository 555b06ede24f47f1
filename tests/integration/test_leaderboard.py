"""All classifiers in one table: what is measured, kept, logged and written."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline import leaderboard as module
from pipeline.leaderboard import leaderboard
from pipeline.schema import ConfigError, InputError
from tests.conftest import runs_of_news

MODELS = "models=[majority,tfidf_logreg]"
SPEED = {"sentences_per_second": 1000.0, "first_label_seconds": 1.0, "megabytes": 1.0}


@pytest.fixture
def external(corpus, tmp_path):
    """Labelled sentences of other news: every label, from two sources."""
    path = tmp_path / "external.jsonl"
    rows = [row for row in corpus.rows if row["annotator"] == "first"][::3]
    path.write_text(
        "".join(
            json.dumps({"text": row["text"], "labels": row["labels"], "source": "ab"[n % 2]}) + "\n"
            for n, row in enumerate(rows)
        )
    )
    return path


@pytest.fixture
def trainings(monkeypatch):
    """Names of what is trained, in this process and without measuring speed."""
    names = []

    def train(config):
        names.append(config.model.name)
        return module._train(module.OmegaConf.to_container(config, resolve=True))

    monkeypatch.setattr(module, "train_in_a_process", train)
    monkeypatch.setattr("pipeline.speed.speed", lambda folder, texts: dict(SPEED))
    return names


@pytest.fixture
def arguments(corpus, tmp_path, store):
    """A leaderboard over the small corpus."""
    given = [one for one in corpus.overrides(tmp_path) if not one.startswith(("output", "report", "model"))]
    return [*given, f"output={tmp_path / 'board'}", f"tracking.uri={store}"]


@pytest.fixture
def board(compose, arguments, store, tmp_path, monkeypatch):
    monkeypatch.chdir(Path(store.removeprefix("sqlite:///")).parent)
    return lambda *overrides: leaderboard(compose("leaderboard", [*arguments, *overrides]))


def runs(store, **tags):
    found = runs_of_news(store)
    return [
        run for run in found if all(run.data.tags.get(k.replace("_", ".", 1)) == v for k, v in tags.items())
    ]


def test_one_table_of_all(board, trainings, external, tmp_path, capsys):
    found = board(MODELS, f"evaluation.external={external}", "evaluation.by=source")
    assert [one["model"] for one in found] == ["tfidf_logreg", "majority"]
    for one in found:
        assert one["speed"] == SPEED
        assert one["training"]["sentences_per_second"] > 0
        assert one["external"]["sentences"] == sum(block["sentences"] for block in one["by"].values())
        assert set(one["by"]) == {"a", "b"}
    assert len({(one["test"]["sentences"], one["cross_validation"]["folds"]["all"]) for one in found}) == 1
    written = json.loads((tmp_path / "board" / "leaderboard.json").read_text())
    assert written == json.loads(json.dumps(found))
    text = (tmp_path / "board" / "leaderboard.md").read_text()
    score = found[0]["external"]["macro_f1"]
    assert f"{score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}]" in text
    assert found[0]["data"]["digest"][:12] in text
    assert (tmp_path / "board" / "pareto.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_kept_is_not_done_again(board, trainings, external, tmp_path):
    first = board(MODELS)
    assert board(MODELS) == first
    assert trainings == ["majority", "tfidf_logreg"]
    more = board("models=[nbsvm,tfidf_logreg]", f"evaluation.external={external}")
    assert trainings == ["majority", "tfidf_logreg", "nbsvm"], "other news are scored with what is kept"
    assert {one["model"] for one in more} == {"nbsvm", "tfidf_logreg"} and all("external" in o for o in more)
    board("models=[majority]", "seed=8")
    assert trainings[3:] == ["majority"]


def test_a_changed_corpus_is_trained_on(board, trainings, corpus):
    (before,) = board("models=[majority]")
    for row in corpus.rows:
        if row["article"] == "story-01":
            row["labels"] = []
    corpus.write_annotations(corpus.rows)
    (found,) = board("models=[majority]")
    assert trainings == ["majority", "majority"]
    assert found["data"]["support"] != before["data"]["support"]


def test_slow_ones_are_scored_on_fewer_folds(board, trainings, tmp_path):
    found = board(MODELS, "+score_folds.tfidf_logreg=1")
    folds = {one["model"]: one["cross_validation"]["folds"] for one in found}
    assert folds == {"tfidf_logreg": {"scored": 1, "all": 3}, "majority": {"scored": 3, "all": 3}}
    assert "(1 of 3 folds)" in (tmp_path / "board" / "leaderboard.md").read_text()


def test_what_cannot_be_trained_here_is_skipped(board, monkeypatch, trainings, tmp_path):
    usual = module.train_in_a_process

    def train(config):
        if config.model.name == "finetuned":
            raise ConfigError("fine-tuning needs the package torch: make extra-finetune")
        return usual(config)

    monkeypatch.setattr(module, "train_in_a_process", train)
    found = board("models=[finetuned,majority]")
    assert found[1] == {
        "model": "finetuned",
        "skipped": "fine-tuning needs the package torch: make extra-finetune",
    }
    assert "- finetuned skipped: fine-tuning needs" in (tmp_path / "board" / "leaderboard.md").read_text()


def test_the_runs_are_a_family(board, trainings, external, store):
    found = board(MODELS, f"evaluation.external={external}", "evaluation.by=source")
    known = {one["run_id"]: one for one in found}
    children = [run for run in runs(store) if run.info.run_id in known]
    (parent,) = {run.data.tags["mlflow.parentRunId"] for run in children}
    assert len(children) == 2
    for run in children:
        one = known[run.info.run_id]
        assert run.data.metrics["external/macro_f1"] == pytest.approx(one["external"]["macro_f1"]["value"])
        assert run.data.metrics["external/a/macro_f1"] == pytest.approx(one["by"]["a"]["macro_f1"]["value"])
        assert run.data.metrics["scoring/sentences_per_second"] == 1000.0
    board(MODELS)
    again = {run.data.tags["mlflow.parentRunId"] for run in runs(store) if run.info.run_id in known}
    assert again != {parent}, "what is kept belongs to the last leaderboard that shows it"


def test_a_store_out_of_reach_costs_only_the_log(board, trainings, capsys):
    (found,) = board("models=[majority]", "tracking.uri=x://y")
    assert found["run_id"] == ""
    assert "Going on without a log" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("overrides", "error", "said"),
    [
        (["models=[majorty]"], ConfigError, "no classifier 'majorty'; did you mean 'majority'"),
        (["evaluation.external=/no/such.jsonl"], InputError, "/no/such.jsonl"),
        (["evaluation.external={external}", "evaluation.by=sorce"], ConfigError, "did you mean 'source'"),
        (["output=/dev/null/x"], InputError, "/dev/null/x"),
    ],
)
def test_refused_before_anything_is_trained(board, trainings, external, overrides, error, said):
    with pytest.raises(error, match=said):
        board(*(one.format(external=external) for one in overrides))
    assert trainings == []


def test_into_a_page(stage, arguments, trainings, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "commit", lambda: "abc1234")
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- leaderboard -->\nold\n<!-- end -->\nafter\n")
    done = stage("leaderboard", *arguments, "models=[majority]", f"write={page}")
    assert done.code == 0, done.err
    text = page.read_text()
    assert text.startswith("before\n<!-- leaderboard -->\n| model ") and text.endswith(
        "\n<!-- end -->\nafter\n"
    )
    assert "Commit abc1234, corpus" in text and "\nold\n" not in text
    assert text.partition("<!-- leaderboard -->\n")[2].partition("<!-- end -->")[0] in done.out


def test_the_commit_is_that_of_the_code():
    git = ["git", "-C", str(module.ROOT), "rev-parse", "HEAD"]
    head = subprocess.run(git, capture_output=True, text=True).stdout.strip()
    if not head:
        pytest.skip("not a checkout")
    assert head.startswith(module.commit().partition(",")[0])


def test_a_page_without_marks_is_refused_at_once(stage, arguments, trainings, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("no marks\n")
    assert stage("leaderboard", *arguments, f"write={page}").refused(str(page), "<!-- leaderboard -->")
    assert trainings == [] and page.read_text() == "no marks\n"


@pytest.mark.slow
def test_killed_it_goes_on(arguments, store, tmp_path):
    """For real: processes of their own, speed measured, killed while the second one trains."""
    command = [sys.executable, "-m", "pipeline.leaderboard", *arguments, MODELS]
    first = tmp_path / "board" / "models" / "majority" / "speed.json"
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if line.startswith("2 of 2"):
            break
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before, kept = first.stat().st_mtime_ns, (tmp_path / "board" / "unfinished").read_text()
    time.sleep(2)  # its child notices
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    assert first.stat().st_mtime_ns == before
    found = json.loads((tmp_path / "board" / "leaderboard.json").read_text())
    assert {one["model"] for one in found} == {"majority", "tfidf_logreg"}
    for one in found:
        assert one["speed"]["sentences_per_second"] > 1000
        assert 0.3 < one["speed"]["first_label_seconds"] < 60
        bundle = tmp_path / "board" / "models" / one["model"] / "bundle"
        size = sum(p.stat().st_size for p in bundle.rglob("*") if "__pycache__" not in p.parts)
        assert one["speed"]["megabytes"] == size / 1e6
    (parent,) = [run for run in runs(store) if run.info.run_id == kept]
    assert parent.info.status == "FINISHED"
    children = [run for run in runs(store) if run.data.tags.get("mlflow.parentRunId") == kept]
    assert {one["run_id"] for one in found} <= {run.info.run_id for run in children}
    assert not (tmp_path / "board" / "unfinished").exists()
