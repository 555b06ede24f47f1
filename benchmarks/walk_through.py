"""What the walk-through gives: its commands on a pile of articles, with stand-ins for the coders.

    python benchmarks/walk_through.py [NEWS] [--coder models/latest] [--external FILE] [--model NAME]
        [--write docs/walk-through.md]

NEWS is a .jsonl file of articles: anna is then a trained classifier, ben the project's rules. Without
it the articles are the corpus's, and the coders its annotators. Times are of the commands, start-up
included; reading and deciding takes people longer. The classifiers of both rounds are scored on the
page's random sample, as anna labelled it, and on FILE.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from public import write

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.integration.test_label_docs import (  # noqa: E402 - the page's commands, as tested
    Coder,
    by_rules,
    checked_out,
    coder,
    corpus_as_news,
    program,
    walk,
)


def coders(given: argparse.Namespace, news: Path) -> tuple[Coder, Coder]:
    """Write the pile and return those who label it."""
    from pipeline.bundle import load

    if given.news:
        shutil.copy(given.news, news)
        return program(news, load(given.coder).label), program(news, by_rules)
    corpus_as_news(news)
    return coder("reader-a", "writer"), coder("writer", "reader-a")


def table(found: dict[str, Any], folder: Path, external: Path | None) -> str:
    """Return macro-F1 with intervals as Markdown, and the seconds of the commands."""
    from pipeline.bundle import load
    from pipeline.evaluate import evaluate
    from pipeline.text.readers import read_rows

    sets = {"random sample": list(read_rows(folder / "test.jsonl"))}
    if external:
        sets["labelled by people"] = list(read_rows(external))
    titles = [f"{name} ({len(rows):,})" for name, rows in sets.items()]
    lines = [f"| | sentences labelled | {' | '.join(titles)} |", "| --- " * (2 + len(sets)) + "|"]
    for name in ("first", "second"):
        bundle = load(folder / name)
        data = bundle.card["data"]
        cells = [f"{data['train'] + data['test'] + data['left_out']:,}"]
        for rows in sets.values():
            score = evaluate(bundle, rows, group="article")["external"]["macro_f1"]
            cells.append(f"{score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}]")
        lines.append(f"| {name} classifier | {' | '.join(cells)} |")
    seconds = ", ".join(f"`{step}` {took:g} s" for step, took in found["seconds"].items())
    return "\n".join([*lines, "", f"Commands: {seconds}."])


def main() -> None:
    """Walk, score, and print or write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("news", type=Path, nargs="?")
    parser.add_argument("--coder", type=Path, default=ROOT / "models" / "latest")
    parser.add_argument("--external", type=Path, help="labelled by people")
    parser.add_argument("--model", help="name under conf/model; default: the default")
    parser.add_argument("--write", type=Path, help="page whose table is to be replaced")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = checked_out(Path(name))
        anna, ben = coders(given, folder / "news.jsonl")
        found = walk(folder, anna, ben, *([f"model={given.model}"] if given.model else []))
        text = table(found, folder, given.external)
    print(text)
    if given.write:
        write(given.write, "table", text)


if __name__ == "__main__":
    main()
