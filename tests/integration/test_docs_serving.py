"""The commands and the code of docs/serving.md, run; and that no page has a gap left to be filled."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from pipeline.bundle import load

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


SERVERS = [block for block in blocks("sh") if ".venv" in block]
(CURL,) = (block for block in blocks("sh") if block.startswith("curl "))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_no_page_has_a_placeholder(page):
    assert not re.findall(r"\b(?:RESULTS|TODO|TBD|FIXME|XXX)\b", page.read_text(encoding="utf-8"))


def test_every_block_is_run_here_or_needs_docker():
    assert len(SERVERS) == 2
    assert all(block.startswith("docker ") for block in {*blocks("sh")} - {*SERVERS, CURL})


@pytest.fixture
def here(trained, tmp_path):
    """A folder with what the repository has where the page's commands look for it."""
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    for name in ("models/latest", "bundle"):
        shutil.copytree(trained.bundle, tmp_path / name)
    (tmp_path / "docker").symlink_to(ROOT / "docker")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("block", SERVERS, ids=["mlflow", "limits"])
def test_a_server_answers_curl(here, trained, block):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    # A shell without an environment, as the page has it.
    env = {"PATH": os.defpath, "HOME": os.environ.get("HOME", "/"), "MLFLOW_DISABLE_TELEMETRY": "true"}
    shell = {"shell": True, "cwd": here, "env": env}
    with (here / "server.log").open("wb") as log:
        server = subprocess.Popen(
            block.replace("8080", port), start_new_session=True, stdout=log, stderr=log, **shell
        )
    try:
        until = time.monotonic() + 900
        while not answers(port):
            assert server.poll() is None and time.monotonic() < until, (here / "server.log").read_text()
            time.sleep(0.2)
        said = subprocess.run(CURL.replace("8080", port), capture_output=True, check=True, **shell).stdout
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(60)
    rows = json.loads(said)["predictions"]
    sentences = json.loads(re.search(r"-d '(.*)'", CURL)[1])["inputs"]
    bundle = load(trained.bundle)
    assert [row.pop("labels") for row in rows] == bundle.label(sentences)
    assert [list(row.values()) for row in rows] == bundle.probabilities(sentences).tolist()


def answers(port):
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5).status == 200
    except OSError:
        return False


def test_the_python_runs_where_the_project_is_not(here):
    (code,) = blocks("python")
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=here, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
