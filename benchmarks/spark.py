"""Sentences a second on Spark with one core and two, beside the local engine, in one run.

    python benchmarks/spark.py [n=2000000] [model=models/latest] [articles=…/articles.jsonl]
        [kinds=jsonl,parquet] [rounds=1]

The sentences of `articles` (by default the repository's corpus) are repeated up to `n` and written as
JSON lines and as Parquet; each engine is a process of its own, as users run it, timed from start to
end. "start" is the time for one sentence: what a job costs whatever its size; "steady" leaves it out.
"cpu" is the processor time of all processes of the run, which other work on the machine hardly changes.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[1]
ENGINES = {
    "local, 1 core": [],
    "local, 2 cores": ["workers=2"],
    "spark, 1 core": ["engine=spark", "spark.master='local[1]'"],
    "spark, 2 cores": ["engine=spark", "spark.master='local[2]'"],
}


def settings() -> dict[str, str]:
    """Return the defaults with what the command line changes."""
    known = {"n": "2000000", "model": str(ROOT / "models" / "latest"), "rounds": "1"}
    known["kinds"] = "jsonl,parquet"
    known["articles"] = str(ROOT / "data" / "articles")
    known |= dict(argument.split("=", 1) for argument in sys.argv[1:])
    return known


def write(folder: Path, name: str, articles: Path, n: int) -> dict[str, Path]:
    """Write the first `n` of the sentences, repeated, in both formats."""
    from pipeline.ingest import ingest

    texts = list(itertools.islice(ingest(articles), n))
    lines, table = folder / f"{name}.jsonl", folder / f"{name}.parquet"
    schema = pa.schema([("id", pa.int64()), ("text", pa.string())])
    with lines.open("w", encoding="utf-8") as file, pq.ParquetWriter(table, schema) as writer:
        for first in range(0, n, 100_000):
            rows = [
                {"id": i, "text": texts[i % len(texts)].text} for i in range(first, min(n, first + 100_000))
            ]
            file.writelines(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
            writer.write_batch(pa.RecordBatch.from_pylist(rows, schema))
    return {"jsonl": lines, "parquet": table}


def seconds(engine: str, source: Path, output: Path, model: str) -> tuple[float, float]:
    """Return the wall time of one run, and the processor time of it and all that it starts."""
    stage = [sys.executable, "-m", "pipeline.predict", "unit=sentence", f"model_uri={model}"]
    command = [*stage, f"input={source}", f"output={output}", *ENGINES[engine]]
    spent: dict[int, float] = {}
    began = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = psutil.Popen(command, stdout=said, stderr=said)
        while process.poll() is None:  # the JVM is not waited for, so its times have to be looked up
            with contextlib.suppress(psutil.Error):
                for one in (process, *process.children(recursive=True)):
                    times = one.cpu_times()
                    spent[one.pid] = times.user + times.system
            time.sleep(0.2)
        wall = time.perf_counter() - began
        if process.returncode:
            said.seek(0)
            raise SystemExit(said.read().decode()[-2000:])
    return wall, sum(spent.values())


def main() -> None:
    """Time each engine on both formats, alternating, and print medians and ratios."""
    given = settings()
    n, rounds = int(given["n"]), int(given["rounds"])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        many, one = (write(folder, w, Path(given["articles"]), k) for w, k in (("many", n), ("one", 1)))
        for kind in given["kinds"].split(","):
            took: dict[str, list[tuple[float, float]]] = {engine: [] for engine in ENGINES}
            start: dict[str, list[tuple[float, float]]] = {engine: [] for engine in ENGINES}
            for _ in range(rounds):
                for engine in ENGINES:
                    output = folder / f"{engine.replace(', ', '-')}.{kind}"
                    start[engine].append(seconds(engine, one[kind], output, given["model"]))
                    took[engine].append(seconds(engine, many[kind], output, given["model"]))
            print(f"{kind}, {n:,} sentences, {given['model']}")
            print(
                f"{'':<18}{'start s':>9}{'wall s':>9}{'cpu s':>9}{'all/s':>9}{'steady/s':>10}"
                "  of local, as many cores: both"
            )
            base: dict[str, tuple[float, float]] = {}
            for engine in ENGINES:
                wall, cpu = (statistics.median(column) for column in zip(*took[engine], strict=True))
                begin, _ = (statistics.median(column) for column in zip(*start[engine], strict=True))
                rates = n / wall, n / max(wall - begin, 1e-9)
                local = base.setdefault(engine.partition(", ")[2], rates)
                shares = ", ".join(f"{rate / other:.2f}" for rate, other in zip(rates, local, strict=True))
                numbers = f"{begin:9.1f}{wall:9.1f}{cpu:9.1f}{rates[0]:9,.0f}{rates[1]:10,.0f}"
                print(f"  {engine:<16}{numbers}  {shares}", flush=True)


if __name__ == "__main__":
    main()
