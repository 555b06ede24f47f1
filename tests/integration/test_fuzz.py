"""Readers and splitter on bytes that a fuzzer makes, for a bounded time."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

TARGET = Path(__file__).parents[1] / "fuzz" / "target.py"
SECONDS = 20


@pytest.mark.slow
@pytest.mark.extra
def test_no_bytes_break_readers_or_splitter(tmp_path):
    pytest.importorskip("atheris", reason="make extra-fuzz installs atheris")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    text = "“We paid twice . We will not,” Mr. Olsen said.\n\nBy A. Meer &amp;#38; staff\n\n- The U.S. ..."
    row = json.dumps({"id": 1, "title": "Quay shut", "text": text}).encode() + b"\n"
    page = f"<html><meta charset=utf-8><body><h1>Quay</h1><p>{text}</p></body></html>".encode()
    seeds = [
        text.encode(),
        f"# A [b](c) **d**\n\n{text}".encode(),
        page,
        row,
        b'text,b\n"x ""y""",2\n',
        b"text\tb\nx\t2\n",
    ]
    seeds += [b"PAR1" + bytes(40) + b"PAR1", gzip.compress(row)]
    for kind, seed in enumerate(seeds):
        (corpus / str(kind)).write_bytes(bytes([kind]) + seed)
    limits = [f"-max_total_time={SECONDS}", "-max_len=4096", "-timeout=20", "-rss_limit_mb=3000", "-seed=7"]
    done = subprocess.run(
        [sys.executable, str(TARGET), *limits, f"-artifact_prefix={tmp_path}/", str(corpus)],
        capture_output=True, text=True, timeout=SECONDS * 12, cwd=TARGET.parents[2],
    )  # fmt: skip
    found = [path.read_bytes() for path in tmp_path.glob("*-*") if path.is_file()]
    assert done.returncode == 0, (done.stderr[-3000:], found)
    assert "DONE" in done.stderr or "Done" in done.stderr
