"""What holds for any text: nothing raises, offsets point at what they say, nothing is lost or added."""

import itertools
import json
import os
import re
from functools import cache

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipeline.bundle import load, save
from pipeline.ingest import ingest
from pipeline.schema import Article, InputError
from pipeline.scoring import predict
from pipeline.text.cleaning import clean
from pipeline.text.readers import read_articles, read_rows
from pipeline.text.sentences import split_article

PIECES = st.sampled_from(
    [
        *(
            "The ministry denied it. ",
            "“No,” he said. ",
            "\n\n",
            "\n",
            " ",
            ". ",
            "?!",
            "U.S. ",
            "&amp;",
            "&#38;#38;",
        ),
        *(
            "é",
            "e\u0301",
            "\u202e",
            "\u200d",
            "\ud800",
            "\x00",
            "👩\u200d👩",
            "Ã©",
            "- ",
            "By A. Meer\n",
            "Photo: x\n",
        ),
        *("1. ", "'", "”"),
    ]
)
TEXTS = st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=20).map("".join))
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@QUICK
@given(TEXTS)
@example("&" + "amp;" * 300 + "lt;x")
def test_cleaning_twice_is_cleaning_once(text):
    assert clean(clean(text)) == clean(text)


@QUICK
@given(TEXTS)
def test_offsets_point_at_what_they_say(text):
    kept, dropped = split_article(Article("a", text))
    for sentence in kept:
        assert clean(text[sentence.start : sentence.end]) == sentence.text
    for segment in dropped:
        assert text[segment.start : segment.end].strip() == segment.text.strip()
    order = sorted((one.start, one.end) for one in [*kept, *dropped])
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(order))


@QUICK
@given(st.lists(TEXTS, min_size=1, max_size=5))
def test_ingest_never_raises_on_any_string(tmp_path, texts):
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    skipped = []
    found = {one.id: one.text for one in read_articles(path, on_error=skipped.append)}
    assert len(found) + len(skipped) == len(texts), "each is read, or is said to be left out"
    assert all("is empty" in str(error) for error in skipped)
    for sentence in ingest(path, on_error=skipped.append):
        assert clean(found[sentence.article][sentence.start : sentence.end]) == sentence.text


@QUICK
@given(TEXTS)
def test_ingest_of_a_plain_file_never_raises_but_in_one_line(tmp_path, text):
    path = tmp_path / "in.md"
    path.write_text(text, encoding="utf-8", errors="replace")
    try:
        list(ingest(path))
    except InputError as error:
        assert str(error).startswith(str(path)) and "\n" not in str(error)


@cache
def loaded(folder):
    return load(folder)


@QUICK
@given(st.lists(TEXTS, max_size=12), st.integers(1, 5), st.randoms(use_true_random=False))
def test_predict_gives_a_row_per_row_whatever_the_batches_and_the_order(trained, texts, size, rng):
    bundle = loaded(trained.bundle)
    rows = [{"text": text, "n": n} for n, text in enumerate(texts)]

    def scored(some, batch_size):
        return [row for batch in predict(bundle, some, batch_size=batch_size) for row in batch]

    whole = scored(rows, 8192)
    assert [row["n"] for row in whole] == list(range(len(texts)))
    assert scored(rows, size) == whole
    shuffled = rng.sample(rows, len(rows))
    assert sorted(scored(shuffled, size), key=lambda row: row["n"]) == whole


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(TEXTS, min_size=1, max_size=30))
def test_predict_is_the_same_with_several_workers(trained, tmp_path_factory, texts):
    from pipeline.scoring import Job, chunks, pieces

    folder = tmp_path_factory.mktemp("workers")
    path = folder / "in.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    bundle, out = loaded(trained.bundle), []
    import pyarrow as pa

    schema = pa.schema([(name, pa.string()) for name in ("text", "labels", "scores")])
    job = Job(str(trained.bundle), str(path), "out.jsonl", ".jsonl", "", schema, 7, False)
    for workers in (1, 2):
        out.append(b"".join(piece.data for piece in pieces(bundle, job, chunks(read_rows(path), 7), workers)))
    assert out[0] == out[1]
    assert out[0].count(b"\n") == len(texts)


@pytest.fixture(scope="module")
def saved(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("again") / "bundle"
    save(loaded(trained.bundle), folder)
    return folder


@QUICK
@given(st.lists(TEXTS, min_size=1, max_size=6))
def test_saving_and_loading_changes_no_score(trained, saved, texts):
    one, other = loaded(trained.bundle), loaded(saved)
    assert np.array_equal(one.probabilities(texts), other.probabilities(texts))
    assert one.label(texts) == other.label(texts)


# --- the same again -----------------------------------------------------------------------------------


def written(folder):
    """The bytes of a bundle and report, but for what names a run: its id, seconds and hour."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            if path.name == "metrics.json":
                data = json.dumps({**json.loads(data), "run_id": "", "seconds": {}}).encode()
            if path.name == "report.html":
                data = re.sub(rb"<dt><b>Run</b></dt>.*", b"", data)
            found[str(path.relative_to(folder))] = data
    return found


@pytest.mark.slow
def test_same_seed_same_bytes_on_one_core_and_on_two(corpus, tmp_path, command, store):
    """In processes of their own, with cores, threads and hash seeds of their own."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        pytest.skip("one core only")
    made = []
    for number, some in enumerate((cores[:1], cores[:2])):
        out = tmp_path / str(number)
        os.sched_setaffinity(0, some)
        try:
            how = [*corpus.overrides(out), f"tracking.uri={store}", "behaviour=false", "model=hybrid"]
            env = {"OMP_NUM_THREADS": str(len(some)), "PYTHONHASHSEED": str(number)}
            done = command("train", *how, env=env)
        finally:
            os.sched_setaffinity(0, cores)
        assert done.code == 0, done.err
        made.append(written(out / "bundle") | written(out / "report"))
    assert [name for name, data in made[0].items() if made[1][name] != data] == []
