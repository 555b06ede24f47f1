"""What people see: MLflow's pages on runs logged over HTTP, and the report inside them.

With FIGURES=docs/figures the screenshots that the documentation shows are made anew.
"""

import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

from pipeline.experiments import view_path

WAIT = 240_000  # milliseconds: the machine may be busy

pytestmark = [pytest.mark.slow, pytest.mark.extra]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """An MLflow server of its own, and its address."""
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--backend-store-uri",
        f"sqlite:///{folder}/mlflow.db",
    ]
    command += ["--artifacts-destination", str(folder / "artifacts"), "--host", "127.0.0.1"]
    env = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--port", str(port), "--workers", "1"], stdout=log, stderr=log, env=env
        )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                with urlopen(f"{address}/health", timeout=5):
                    break
            except OSError:
                assert process.poll() is None, (folder / "log").read_text()
                time.sleep(1)
        yield address
    finally:
        process.terminate()
        process.wait(120)


@pytest.fixture(scope="module")
def runs(server, trained, train, tmp_path_factory):
    """Two trainings, logged to the server over HTTP."""
    return [
        train(trained.corpus, tmp_path_factory.mktemp(model), f"model={model}", f"tracking.uri={server}")
        for model in ("tfidf_logreg", "tfidf_svm")
    ]


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1480, "height": 640})
    opened = context.new_page()
    opened.set_default_timeout(WAIT)
    yield opened
    context.close()


def shoot(page, name, tmp_path):
    folder = Path(os.environ.get("FIGURES") or tmp_path)
    assistant = page.locator("[data-component-id='mlflow.assistant.chat_panel.close']")
    if assistant.count():
        assistant.first.click()
    page.wait_for_timeout(1500)  # what moves comes to rest
    page.screenshot(path=folder / f"{name}.png")
    assert (folder / f"{name}.png").stat().st_size > 5000


def client(server):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=server)


def test_the_list_of_runs_has_the_scores_as_columns(server, runs, page, tmp_path):
    experiment = client(server).get_experiment_by_name("news").experiment_id
    page.goto(f"{server}{view_path(experiment)}")
    for run in runs:
        page.get_by_text(run.metrics["model"], exact=True).first.wait_for()
        page.get_by_text(str(run.metrics["test"]["macro_f1"]["value"])[:6]).first.wait_for()
    for column in ("test/macro_f1", "test/accusation/f1"):
        page.get_by_text(column, exact=True).first.wait_for()
    shoot(page, "runs", tmp_path)


def test_runs_side_by_side(server, runs, page, tmp_path):
    ids = [run.metrics["run_id"] for run in runs]
    experiment = client(server).get_experiment_by_name("news").experiment_id
    page.goto(f"{server}/#/compare-runs?runs={json.dumps(ids)}&experiments={json.dumps([experiment])}")
    for run in runs:
        page.get_by_text(run.metrics["model"]).first.wait_for()
    # Of a long list of metrics, MLflow draws those that are in view.
    page.get_by_text(re.compile(r"^(behaviour|cv|test)/")).first.wait_for()
    shoot(page, "side_by_side", tmp_path)


def test_the_report_opens_among_the_artifacts(server, runs, page, tmp_path):
    blocked = []
    page.on("console", lambda said: blocked.append(said.text) if "Content Security" in said.text else None)
    run = runs[0].metrics["run_id"]
    experiment = client(server).get_experiment_by_name("news").experiment_id
    page.goto(f"{server}/#/experiments/{experiment}/runs/{run}/artifacts/report.html")
    report = page.frame_locator("iframe").first
    report.get_by_role("heading", name="tfidf_logreg").wait_for()
    bold = report.get_by_role("heading", name="tfidf_logreg").evaluate("e => getComputedStyle(e).fontSize")
    assert bold == "25.6px", "the style sheet is let through by the page's own policy"
    assert [said for said in blocked if "sha256" in said] == []
    shoot(page, "artifact", tmp_path)


def test_the_comparison_over_http(server, runs, stage, browser, tmp_path):
    done = stage("compare", "runs=last 2", f"output={tmp_path / 'comparison.json'}", f"tracking.uri={server}")
    assert done.code == 0, done.err
    assert done.err == ""
    page = browser.new_page(viewport={"width": 1100, "height": 900})
    page.goto((tmp_path / "comparison.html").as_uri())
    page.get_by_role("heading", name="Sentences that changed").wait_for()
    for run in runs:
        assert page.get_by_role("rowheader", name=run.metrics["model"], exact=True).count() == 1
    shoot(page, "comparison", tmp_path)
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_by_themselves_fetch_nothing_and_are_read_by_machines(runs, browser, scheme, tmp_path):
    context = browser.new_context(color_scheme=scheme, viewport={"width": 1100, "height": 900})
    page = context.new_page()
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    address = (runs[0].report / "report.html").as_uri()
    page.goto(address)
    assert asked == [address]
    assert said == []
    ink, paper = page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    assert contrast(ink, paper) > 7
    soft = page.evaluate("getComputedStyle(document.querySelector('.soft')).color")
    assert contrast(soft, paper) > 4.5
    for role, least in (("navigation", 1), ("main", 1), ("table", 4), ("img", 12)):
        assert page.get_by_role(role).count() >= least
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing runs off the page"
    shoot(page, f"report_{scheme}", tmp_path)
    page.emulate_media(media="print", color_scheme=scheme)
    assert not page.get_by_role("navigation").is_visible()
    folded = page.locator("details:not([open]) table")
    assert folded.count() and folded.first.is_visible(), "on paper nothing can be unfolded"
    context.close()


def contrast(*colours):
    """WCAG 2.1's contrast ratio of two `rgb(...)`."""
    bright = []
    for colour in colours:
        parts = [int(n) / 255 for n in colour[4:-1].split(",")]
        linear = [n / 12.92 if n <= 0.04045 else ((n + 0.055) / 1.055) ** 2.4 for n in parts]
        bright.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(bright) + 0.05) / (min(bright) + 0.05)
