"""Peak memory, speed and start-up of `python -m pipeline.predict`.

    python benchmarks/memory.py [bundle=models/latest] [news=../shared/news/articles.jsonl]
        [sizes=100000,1000000] [workers=1] [form=jsonl]

Labels tables of that many real sentences, and articles from JSON lines to JSON lines; prints the largest
resident memory of the process and its workers together, sampled ten times a second, and sentences a
second of processor and of wall time. Then the time to the first label of one short article beside that
of `import sklearn.linear_model`, the medians of five alternating rounds.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[1]
SHORT = "The ministry denied on Monday that it had leaked the list. Prices rose 3 percent in May."


def main() -> None:
    """Print both tables."""
    options = dict(argument.split("=", 1) for argument in sys.argv[1:])
    news = Path(options.get("news", ROOT.parent / "shared" / "news" / "articles.jsonl"))
    bundle = options.get("bundle", str(ROOT / "models" / "latest"))
    common = [f"model_uri={bundle}", f"workers={options.get('workers', 1)}"]
    form = options.get("form", "jsonl")
    rows = list(map(json.loads, news.read_text(encoding="utf-8").splitlines()))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print("input                  sentences   peak MB   sentences/s of processor   of wall time")
        for size in map(int, options.get("sizes", "100000,1000000").split(",")):
            for unit in ("sentence", "article"):
                source = write(folder, rows, size, unit, form if unit == "sentence" else "jsonl")
                command = [f"input={source}", f"output={folder / 'out'}.{form}", f"unit={unit}", *common]
                peak, used, wall = watched([sys.executable, "-m", "pipeline.predict", *command])
                print(
                    f"{unit + 's, ' + source.suffix:<20}{size:12,}{peak:10.0f}{size / used:24,.0f}"
                    f"{size / wall:18,.0f}"
                )
                source.unlink()
        (folder / "one.txt").write_text(SHORT)
        predict = [
            "-m",
            "pipeline.predict",
            f"input={folder / 'one.txt'}",
            f"output={folder}/one.jsonl",
            common[0],
        ]
        first_label([sys.executable, *predict], [sys.executable, "-c", "import sklearn.linear_model"])


def write(folder: Path, rows: list[dict[str, str]], size: int, unit: str, form: str) -> Path:
    """Write a table of so many sentences, or of articles of about as many."""
    path = folder / f"in.{form}"
    if form == "parquet":
        some = [row["text"] for row in items(rows, size, unit)]
        pq.write_table(pa.table({"n": range(len(some)), "text": some}), path)
        return path
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in items(rows, size, unit))
    return path


def items(rows: list[dict[str, str]], size: int, unit: str) -> Iterator[dict[str, str]]:
    """Yield sentences or articles, over and over, with words of their own so that none is the same."""
    from pipeline.schema import Article
    from pipeline.text.sentences import split_article

    done = turn = 0
    cut = [(row, split_article(Article("x", row["text"]))[0]) for row in rows]
    while True:
        for row, sentences in cut:
            if unit == "article":
                yield {
                    "id": f"{turn}-{row['id']}",
                    "text": f"{row['text']}\nReport w{done} ended in {turn}x{done}.",
                }
                done += len(sentences) + 1
            else:
                for sentence in sentences[: size - done]:
                    yield {"id": f"{done}", "text": f"{sentence.text} w{done}"}
                    done += 1
            if done >= size:
                return
        turn += 1


def watched(command: list[str]) -> tuple[float, float, float]:
    """Return peak megabytes, processor seconds and seconds of a command and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began, peak = time.perf_counter(), 0.0
    job = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while job.poll() is None:
        peak = max(peak, sum(map(resident, family(job.pid))))
        time.sleep(0.1)
    wall = time.perf_counter() - began
    if job.returncode:
        raise SystemExit(job.stderr.read() if job.stderr else "")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return peak, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, wall


def family(pid: int) -> list[int]:
    """Return a process and its children."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return [pid]
    return [pid, *map(int, children)]


def resident(pid: int) -> float:
    """Return the megabytes that a process has in memory."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    except OSError:
        return 0.0


def first_label(ours: list[str], theirs: list[str]) -> None:
    """Print the medians of both, and their ratio."""
    seconds: dict[str, list[float]] = {"ours": [], "theirs": []}
    for _ in range(5):
        for name, command in (("ours", ours), ("theirs", theirs)):
            seconds[name].append(watched(command)[1])
    one, other = (statistics.median(seconds[name]) for name in seconds)
    print(
        f"\nprocessor seconds: first label {one:.2f}, import sklearn.linear_model {other:.2f}, "
        f"ratio {one / other:.2f}"
    )


if __name__ == "__main__":
    main()
