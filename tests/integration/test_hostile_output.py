"""What comes out: nothing from the data is executed, forged or given away wherever it is shown."""

import codecs
import csv
import html
import json
import os
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

# Each leaves a trace in `window.ran` where a browser runs it.
SCRIPTS = [
    "<script>window.ran=1</script>",
    "</title><script>window.ran=2</script>",
    "</style><script>window.ran=3</script>",
    "</script><script>window.ran=4</script>",
    "<img src=x onerror=window.ran=5>",
    '"><svg onload=window.ran=6>',
    "' onmouseover=window.ran=7 tabindex=1 autofocus onfocus=window.ran=7 x='",
    "<iframe srcdoc='<script>parent.ran=8</script>'></iframe>",
    "<a href=javascript:window.ran=9>x</a>",
    "<meta http-equiv=refresh content=0;url=javascript:window.ran=10>",
    "{{ 7 * 7 }}{% for x in [].__class__.__mro__ %}{% endfor %}",
    "<base href=https://example.org/><link rel=stylesheet href=x.css>",
    "<style>@import 'https://example.org/x.css'; body { background: url(https://example.org/y) }</style>",
    "&lt;script&gt;window.ran=13&lt;/script&gt;",
    "\u202e<script>window.ran=14</script>",
    "<!--<script>window.ran=15</script>",
]
LABELS = ("<b onclick=ran=1>yes", '"><script>window.ran=20</script>')
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">')


@pytest.fixture(scope="module")
def pages(tmp_path_factory, compose, store):
    """Every kind of page, of a corpus of scripts: texts, ids, titles and labels."""
    from pipeline.compare import compare
    from pipeline.train import train

    folder = tmp_path_factory.mktemp("scripts")
    rows = []
    for n in range(48):
        text = f"{SCRIPTS[n % len(SCRIPTS)]} said {'good' if n % 2 else 'bad'} news {n} on Monday."
        rows.append({"text": text, "labels": [LABELS[n % 2]], "article": f"{n}{SCRIPTS[n % len(SCRIPTS)]}"})
    table = folder / "train.jsonl"
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    before = Path.cwd()
    os.chdir(Path(store.removeprefix("sqlite:///")).parent)
    try:
        for name in ("tfidf_logreg", "tfidf_svm"):
            how = [
                "corpus=table",
                f"corpus.train={table}",
                f"model={name}",
                "split.folds=2",
                "split.leakage=off",
            ]
            how += ["split.near_duplicate=1", "behaviour=false", f"tracking.uri={store}"]
            how += ["tracking.experiment=scripts", "tracking.register=null"]
            train(compose("train", [*how, f"output={folder / name}", f"report={folder / 'reports' / name}"]))
        both = [str(folder / "reports" / name) for name in ("tfidf_logreg", "tfidf_svm")]
        compare(compose("compare", [f"runs=[{both[0]},{both[1]}]", f"output={folder / 'comparison.json'}"]))
    finally:
        os.chdir(before)
    return folder, table


@pytest.fixture(scope="module")
def written(pages):
    """The pages by name, with those that the classifier's own predictions make."""
    import sys
    from importlib import import_module

    from hydra.core.global_hydra import GlobalHydra

    folder, table = pages
    for output, more in (("news.html", []), ("news.jsonl", [f"drift={folder / 'drift.html'}"])):
        GlobalHydra.instance().clear()
        before, sys.argv = sys.argv, ["predict", f"input={table}", f"output={folder / output}", *more]
        sys.argv += ["unit=sentence", f"model_uri={folder / 'tfidf_logreg'}"]
        try:
            import_module("pipeline.predict").main()
        finally:
            sys.argv = before
    return {
        "report": folder / "reports" / "tfidf_logreg" / "report.html",
        "comparison": folder / "comparison.html",
        "articles": folder / "news.html",
        "drift": folder / "drift.html",
    }


KINDS = ("report", "comparison", "articles", "drift")


@pytest.mark.parametrize("kind", KINDS)
def test_pages_have_a_strict_policy_and_no_markup_of_the_data(kind, written):
    page = written[kind].read_text(encoding="utf-8")
    policy = dict(part.split(" ", 1) for part in html.unescape(POLICY.search(page)[1]).split("; "))
    assert page.index("Content-Security-Policy") < page.index("<title>"), "before anything of the data"
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert set(policy) <= {"default-src", "style-src", "script-src", "base-uri", "form-action"}
    for source in (policy["style-src"], policy.get("script-src", "'nonce-")):
        assert re.match(r"'(?:nonce-|sha256-)", source) and "unsafe" not in source
    body = page.partition("</head>")[2]
    ours = re.sub(r'<script nonce="[^"]*">', "", body)  # the page of articles filters by label
    assert not re.search(r"<(?:script|style|iframe|base|link|meta|img src=x|svg onload)", ours)
    assert "window.ran" in page, "the data are there"


@pytest.mark.slow
@pytest.mark.extra
@pytest.mark.parametrize("kind", KINDS)
def test_no_browser_runs_it(kind, written, browser, tmp_path):
    page = browser.new_page()
    asked, blocked, dialogs = [], [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("requestfailed", lambda request: blocked.append((request.url, request.failure)))
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    address = written[kind].as_uri()
    page.goto(address)
    every = "for (const e of document.querySelectorAll('*'))"
    page.evaluate(f"{every} {{ e.dispatchEvent(new Event('mouseover')); e.click?.() }}")
    page.wait_for_timeout(300)
    assert page.evaluate("window.ran") is None
    assert [url for url in asked if not url.startswith(address)] == []
    assert dialogs == []
    assert page.evaluate("document.querySelectorAll('iframe, base, link, object, embed').length") == 0
    # The policy holds even where escaping would not.
    leaky = tmp_path / "leaky.html"
    leak = "<script>window.ran=1</script><img src=https://example.org/x onerror=window.ran=2>"
    leaky.write_text(
        written[kind].read_text(encoding="utf-8").replace("</body>", f"{leak}</body>"), encoding="utf-8"
    )
    asked.clear()
    page.goto(leaky.as_uri())
    page.wait_for_timeout(300)
    assert page.evaluate("window.ran") is None
    assert blocked == [("https://example.org/x", "csp")]
    page.close()


FORMULAS = ["=1+1", "+1+1", "-1+cmd|' /C calc'!A0", "@SUM(1)", "\t=1", "\r=1", "＝1", "'=1"]


def test_no_cell_is_a_formula(stage, trained, tmp_path):
    rows = [{"text": f"{cell} said on Monday.", "note": cell, "n": "-5", "=x": 1} for cell in FORMULAS]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    files = [f"input={tmp_path / 'in.jsonl'}", f"output={tmp_path / 'out.csv'}"]
    done = stage("predict", *files, "unit=sentence", f"model_uri={trained.bundle}")
    assert done.code == 0, done.err
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        cells = list(csv.reader(file))
    assert "'=x" in cells[0] and len(cells) == 1 + len(FORMULAS)
    assert not [cell for row in cells for cell in row if re.match(r"[=+\-@\t\r＝]", cell) and cell != "-5"]
    assert [row[1] for row in cells[1:]] == [f"'{cell}" for cell in FORMULAS]
    assert {row[2] for row in cells[1:]} == {"-5"}, "a number stays one"


def test_nor_in_the_errors(tmp_path):
    from pipeline.evaluation.errors import write_errors

    row = {"error": "missed", "label": "@x", "text": "=1+1", "probability": -0.5}
    write_errors(tmp_path / "errors.csv", [row])
    assert (tmp_path / "errors.csv").read_bytes().startswith(codecs.BOM_UTF8)
    assert (tmp_path / "errors.csv").read_text().splitlines()[1] == "missed,'@x,-0.5,,,,'=1+1"


def test_the_terminal_gets_no_control_characters(stage, tmp_path):
    evil = "\x1b]0;owned\x07\x1b[2J\x9b31m\x08\u202ekcab"
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / f"a{evil}\nskipped: forged.txt").write_bytes(b"Caf\xe9")
    rows = [{"id": f"x{evil}\nerror: forged", "text": f"By {evil}\n\nHe said so on Monday."}] * 2
    (tmp_path / "in" / "b.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / "out.jsonl"
    done = stage("ingest", f"input={tmp_path / 'in'}", f"output={out}", "on_error=skip", "explain=true")
    assert done.code == 0, done.err
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", done.out + done.err)
    assert [line[:9] for line in done.err.splitlines()] == ["skipped: ", "skipped: "]
    assert "2 files or rows skipped" in done.out


def test_labels_of_a_table_may_hold_none(stage, tmp_path, store):
    rows = [{"text": f"word {n}", "labels": ["\x1b[2Ja" if n % 2 else "b"]} for n in range(9)]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    where = [f"corpus.train={tmp_path / 't.jsonl'}", f"output={tmp_path / 'b'}", f"tracking.uri={store}"]
    done = stage("train", "corpus=table", *where)
    assert done.refused("labels: '\\x1b[2Ja' has a control character; rename it")
    assert "\x1b" not in done.err + done.out


SECRET = "hunter2"


@pytest.mark.parametrize(
    "text",
    [
        f"http://me:{SECRET}@example.org/x",
        f"postgresql+psycopg2://me:{SECRET}@db:5432/mlflow failed",
        f"two https://{SECRET}@a.org and s3://k:{SECRET}@b",
        f"https://example.org/x?a=1&token={SECRET}&b=2",
        f"https://example.org/x?sig={SECRET}",
    ],
)
def test_credentials_in_addresses_are_hidden(text):
    from pipeline.terminal import one_line

    assert SECRET not in one_line(text)
    assert "***" in one_line(text)


def test_secrets_reach_no_log_parameter_or_report(train, corpus, tmp_path, store, capfd, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", f"{SECRET}-in-environment")
    made = train(corpus, tmp_path, f"tracking.uri='{store}?password={SECRET}'", "behaviour=false")
    said = capfd.readouterr()
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=store)
    run = client.get_run(made.metrics["run_id"])
    logged = Path(client.download_artifacts(run.info.run_id, "", str(tmp_path)))
    written = [path for root in (made.report, made.bundle, logged) for path in root.rglob("*")]
    assert [path for path in written if path.is_file() and SECRET.encode() in path.read_bytes()] == []
    assert {"config.yaml", "report.html"} <= {path.name for path in written}
    assert SECRET not in said.out + said.err + str(run.data.params) + str(run.data.tags)
    assert run.data.params["tracking.uri"].endswith("?password=***")


def test_nor_the_warning_where_the_store_is_out_of_reach(train, corpus, tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    train(corpus, tmp_path, f"tracking.uri='http://me:{SECRET}@127.0.0.1:9'", "behaviour=false")
    said = capfd.readouterr()
    assert "warning: tracking.uri=http://***@127.0.0.1:9" in said.err
    assert SECRET not in said.out + said.err


def test_a_parquet_file_keeps_the_text_as_it_is(stage, trained, tmp_path):
    pq.write_table(pa.table({"text": FORMULAS}), tmp_path / "in.parquet")
    files = [f"input={tmp_path / 'in.parquet'}", f"output={tmp_path / 'out.parquet'}"]
    done = stage("predict", *files, "unit=sentence", f"model_uri={trained.bundle}")
    assert done.code == 0, done.err
    assert pq.read_table(tmp_path / "out.parquet")["text"].to_pylist() == FORMULAS
