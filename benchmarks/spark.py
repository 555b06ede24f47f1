"""Sentences a second on Spark with one core and two, beside the local engine, in one run.

    python benchmarks/spark.py [n=2000000] [model=models/latest] [articles=…/articles.jsonl] [rounds=1]

The sentences of `articles` (by default the repository's corpus) are repeated up to `n` and written as
JSON lines and as Parquet; each engine is a process of its own, as users run it, timed from start to
end. The row "start" labels one sentence: what a job costs whatever its size; "steady" leaves it out.
"""

from __future__ import annotations

import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[1]
ENGINES = {
    "local": [],
    "spark, 1 core": ["engine=spark", "spark.master=local[1]"],
    "spark, 2 cores": ["engine=spark", "spark.master=local[2]"],
}


def settings() -> dict[str, str]:
    """Return the defaults with what the command line changes."""
    known = {"n": "2000000", "model": str(ROOT / "models" / "latest"), "rounds": "1"}
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


def seconds(engine: str, source: Path, output: Path, model: str) -> float:
    """Return the wall time of one run."""
    stage = [sys.executable, "-m", "pipeline.predict", "unit=sentence", f"model_uri={model}"]
    began = time.perf_counter()
    done = subprocess.run(
        [*stage, f"input={source}", f"output={output}", *ENGINES[engine]], capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return time.perf_counter() - began


def main() -> None:
    """Time each engine on both formats, alternating, and print medians and ratios."""
    given = settings()
    n, rounds = int(given["n"]), int(given["rounds"])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        many, one = (write(folder, w, Path(given["articles"]), k) for w, k in (("many", n), ("one", 1)))
        for kind in ("jsonl", "parquet"):
            took: dict[str, list[float]] = {engine: [] for engine in ENGINES}
            start: dict[str, list[float]] = {engine: [] for engine in ENGINES}
            for _ in range(rounds):
                for engine in ENGINES:
                    output = folder / f"out.{kind}"
                    start[engine].append(seconds(engine, one[kind], output, given["model"]))
                    took[engine].append(seconds(engine, many[kind], output, given["model"]))
            print(f"{kind}, {n:,} sentences, {given['model']}")
            print(f"  {'':<16}{'seconds':>9}{'start':>8}{'all/s':>10}{'steady/s':>10}  of local: all, steady")
            base = None
            for engine in ENGINES:
                total, begin = statistics.median(took[engine]), statistics.median(start[engine])
                rates = n / total, n / max(total - begin, 1e-9)
                base = base or rates
                shares = ", ".join(f"{rate / other:.2f}" for rate, other in zip(rates, base, strict=True))
                print(f"  {engine:<16}{total:9.1f}{begin:8.1f}{rates[0]:10,.0f}{rates[1]:10,.0f}  {shares}")


if __name__ == "__main__":
    main()
