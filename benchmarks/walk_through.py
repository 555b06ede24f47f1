"""What the walk-through gives: its commands on the corpus, with the corpus's annotators as the people.

    python benchmarks/walk_through.py [--external FILE] [--write docs/walk-through.md]

Times are of the commands, start-up included; reading and deciding takes people longer. The classifiers of
both rounds are scored on the sentences of the corpus that nobody labelled in either, and on FILE.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.integration.test_label_docs import coder, walk  # noqa: E402 - the page's commands, as tested


def unlabelled(folder: Path) -> list[dict[str, Any]]:
    """Return the corpus's labelled sentences that are in neither round."""
    from pipeline.label import label
    from pipeline.labels.annotations import read_annotations
    from pipeline.schema import LabelSet
    from tests.conftest import LABELS

    labels = LabelSet(LABELS)
    seen = {(one.article, one.start) for one in read_annotations(folder / "mine.jsonl")}
    table, _, _ = label(folder / "data/articles", None, folder / "data/annotations.jsonl", labels)
    return [row for row in table.to_pylist() if (row["article"], row["start"]) not in seen]


def main() -> None:
    """Walk, score, and print or write the table."""
    from pipeline.bundle import load
    from pipeline.evaluate import evaluate
    from pipeline.text.readers import read_rows

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--external", type=Path)
    parser.add_argument("--write", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("pipeline", "conf", "data"):
            shutil.copytree(
                ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__", "interim")
            )
        found = walk(folder, coder(folder, "reader-a", "writer"), coder(folder, "writer", "reader-a"))
        sets = {"rest of the corpus": unlabelled(folder)}
        if given.external:
            sets["real news"] = list(read_rows(given.external))
        lines = [
            "| | sentences labelled | " + " | ".join(f"{k} ({len(v):,})" for k, v in sets.items()) + " |"
        ]
        lines.append("| --- " * (2 + len(sets)) + "|")
        for step in ("first", "second"):
            data = found[step]["data"]
            total = data["train"] + data["test"] + data["left_out"]
            cells = []
            for rows in sets.values():
                score = evaluate(load(folder / step), rows, group="article")["external"]["macro_f1"]
                cells.append(f"{score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}]")
            lines.append(f"| {step} classifier | {total} | {' | '.join(cells)} |")
    seconds = ", ".join(f"`{step}` {took:g} s" for step, took in found["seconds"].items())
    text = "\n".join([*lines, "", f"Commands: {seconds}."])
    print(text)
    print(json.dumps(found["seconds"]))
    if given.write:
        from public import write

        write(given.write, "table", text)


if __name__ == "__main__":
    main()
