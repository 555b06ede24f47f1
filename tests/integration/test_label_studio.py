"""The road through a real Label Studio: tasks in by its API, annotations out, and back into the corpus."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.labels.annotations import read_annotations

VERSION = "1.23.2"
TOKEN = "0123456789abcdef0123456789abcdef01234567"
EMAIL = "anna@example.org"
pytestmark = pytest.mark.slow


def environment() -> Path:
    """An environment with Label Studio, made once and kept; it needs other versions than ours."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = home / "news-pipeline" / f"label-studio-{VERSION}"
    program = folder / "bin" / "label-studio"
    if not program.is_file():
        uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        if uv is None:
            pytest.skip("no uv to install Label Studio with")
        python = str(folder / "bin" / "python")
        for arguments in (
            ["venv", "--quiet", "--clear", "--python", sys.executable, str(folder)],
            [
                "pip",
                "install",
                "--quiet",
                "--python",
                python,
                "--compile-bytecode",
                f"label-studio=={VERSION}",
            ],
        ):
            done = subprocess.run([uv, *arguments], capture_output=True, text=True, timeout=900)
            if done.returncode:
                shutil.rmtree(folder, ignore_errors=True)
                pytest.skip(f"Label Studio cannot be installed: {done.stderr.strip()[-200:]}")
    return program


class Server:
    """A running Label Studio and its API."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def __call__(self, path: str, body: Any = None, method: str | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Token {TOKEN}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}{path}", data, headers, method=method)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
            return json.loads(answer.read())


@pytest.fixture(scope="module")
def label_studio() -> Iterator[Server]:
    program = environment()
    memory = Path("/dev/shm")  # its first start writes hundreds of small transactions
    folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = ["start", "--no-browser", "--data-dir", str(folder), "--internal-host", "127.0.0.1"]
    arguments += ["--port", str(port), "--username", EMAIL, "--password", "only-for-this-test"]
    arguments += ["--user-token", TOKEN, "--enable-legacy-api-token"]
    own = {"LATEST_VERSION_CHECK": "false", "COLLECT_ANALYTICS": "false", "HOME": str(folder)}
    with (folder / "log").open("w") as log:
        started = subprocess.Popen(
            [str(program), *arguments],
            env=os.environ | own,
            cwd=folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    server, until = Server(port), time.monotonic() + 600
    try:
        while True:
            assert started.poll() is None, (folder / "log").read_text()[-2000:]
            try:
                assert server("/health")["status"] == "UP"
                break
            except (urllib.error.URLError, OSError):
                assert time.monotonic() < until, (folder / "log").read_text()[-2000:]
                time.sleep(1)
        yield server
    finally:
        os.killpg(started.pid, signal.SIGTERM)
        started.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def result(labels: list[str], notes: str) -> list[dict[str, Any]]:
    """What the interface sends for ticked boxes and a note."""
    parts = []
    if labels:
        parts.append({"from_name": "labels", "type": "choices", "value": {"choices": labels}})
    if notes:
        parts.append({"from_name": "notes", "type": "textarea", "value": {"text": [notes]}})
    return [{"to_name": "text", **part} for part in parts]


SAID = [
    (["accusation", "denial"], ""),
    (["policy_action"], "a court, so an authority"),
    ([], ""),
    ([], "=1+1 is no formula here; ‘quotes’ & <tags>"),
    (["economic_claim"], ""),
]


def test_there_and_back(label_studio, corpus, stage, tmp_path):
    rows = [row for row in corpus.rows if row["annotator"] == "first"]
    earlier, new = rows[:2], rows[2:8]
    corpus.write_annotations(
        [*earlier, {**earlier[0], "annotator": "second", "labels": [], "time": "2024-01-02"}]
    )
    table = tmp_path / "new.jsonl"
    table.write_text("".join(json.dumps({**row, "labels": ["denial"]}) + "\n" for row in new))
    where = [f"corpus.articles={corpus.articles}", f"annotations={corpus.annotations}"]

    tasks = tmp_path / "tasks.json"
    done = stage("exchange", f"export={tasks}", f"input={table}", "unit=sentence", *where)
    assert done.code == 0 and "6 sentences" in done.out, done.err
    interface = (tmp_path / "tasks.config.xml").read_text(encoding="utf-8")
    project = label_studio("/api/projects", {"title": "sentences", "label_config": interface})["id"]
    sent = json.loads(tasks.read_text(encoding="utf-8"))
    imported = label_studio(f"/api/projects/{project}/import?return_task_ids=true", sent)["task_ids"]
    assert len(imported) == len(new)
    shown = label_studio(f"/api/tasks/{imported[0]}/")
    assert shown["predictions"][0]["result"][0]["value"] == {"choices": ["denial"]}

    for number, (labels, notes) in zip(imported, SAID, strict=False):
        body = {"result": result(labels, notes), "lead_time": 4.5}
        label_studio(f"/api/tasks/{number}/annotations/", body)
    label_studio(f"/api/tasks/{imported[5]}/annotations/", {"result": [], "was_cancelled": True})

    before = list(read_annotations(corpus.annotations))
    for form in ("JSON", "JSON_MIN"):
        export = tmp_path / f"{form}.json"
        export.write_text(json.dumps(label_studio(f"/api/projects/{project}/export?exportType={form}")))
        known = "annotators={anna@example.org:anna,1:anna}"
        target = tmp_path / f"{form}.jsonl"
        shutil.copy(corpus.annotations, target)
        done = stage("exchange", f"import={export}", known, where[0], f"annotations={target}")
        assert done.code == 0, done.err
        found = list(read_annotations(target))
        assert [one.row() for one in found[:3]] == [one.row() for one in before]
        assert "5 added, 0 changed" in done.out
        for one, row, (labels, notes) in zip(found[3:], new, SAID, strict=False):
            assert (one.article, one.start, one.end, one.text) == tuple(
                row[name] for name in ("article", "start", "end", "text")
            )
            assert (sorted(one.labels), one.notes, one.annotator) == (sorted(labels), notes, "anna")
            assert one.time.startswith("20") and one.seconds == 4.5
        again = stage("exchange", f"import={export}", known, where[0], f"annotations={target}")
        assert "0 added, 0 changed, 5 unchanged" in again.out


def test_suggestions_there_and_back(label_studio, trained, stage, tmp_path):
    tasks = tmp_path / "next.json"
    where = f"input={trained.corpus.articles}", f"model_uri={trained.bundle}", "predictions=true"
    done = stage("suggest", f"output={tasks}", "count=5", *where)
    assert done.code == 0, done.err
    interface = (tmp_path / "next.config.xml").read_text(encoding="utf-8")
    project = label_studio("/api/projects", {"title": "next", "label_config": interface})["id"]
    sent = json.loads(tasks.read_text(encoding="utf-8"))
    imported = label_studio(f"/api/projects/{project}/import?return_task_ids=true", sent)["task_ids"]
    for number in imported:
        label_studio(f"/api/tasks/{number}/annotations/", {"result": result(["denial"], "")})
    export = tmp_path / "export.json"
    export.write_text(json.dumps(label_studio(f"/api/projects/{project}/export?exportType=JSON")))
    back = tmp_path / "back.jsonl"
    articles = f"corpus.articles={trained.corpus.articles}"
    done = stage("exchange", f"import={export}", "annotators={1:anna}", articles, f"annotations={back}")
    assert "anna: 5 added" in done.out, done.err
    assert [one.article for one in read_annotations(back)] == [one["data"]["article"] for one in sent]


def test_what_was_said_before_is_carried_and_shown(label_studio, corpus, stage, tmp_path):
    """The two hundred odd annotations of the corpus, with notes and times, through the server and back."""
    rows = [
        {**row, "time": f"2024-05-{n % 28 + 1:02}T10:00:00Z", "notes": "x" * (n % 3), "seconds": n / 4}
        for n, row in enumerate(corpus.rows)
    ]
    corpus.write_annotations(rows)
    before = [one.row() for one in read_annotations(corpus.annotations)]
    tasks = tmp_path / "tasks.json"
    where = f"corpus.articles={corpus.articles}"
    stage("exchange", f"export={tasks}", "annotated=only", where, f"annotations={corpus.annotations}")
    interface = (tmp_path / "tasks.config.xml").read_text(encoding="utf-8")
    assert '"$said"' in interface
    project = label_studio("/api/projects", {"title": "all", "label_config": interface})["id"]
    label_studio(f"/api/projects/{project}/import", json.loads(tasks.read_text(encoding="utf-8")))
    export = tmp_path / "export.json"
    address = f"/api/projects/{project}/export?exportType=JSON&download_all_tasks=true"
    export.write_text(json.dumps(label_studio(address)))
    done = stage("exchange", f"import={export}", where, f"annotations={tmp_path / 'back.jsonl'}")
    assert done.code == 0, done.err
    after = [one.row() for one in read_annotations(tmp_path / "back.jsonl")]
    key = json.dumps
    assert sorted(after, key=key) == sorted(before, key=key)
