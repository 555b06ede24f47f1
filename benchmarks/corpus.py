"""Measure the corpus, and write the tables and plots of its datasheet.

    python benchmarks/corpus.py [--news ARTICLES.jsonl] [--gold SENTENCES.jsonl] [--write]

`--news` is a file of real articles (fields id, title, text), `--gold` one of real sentences with three
votes each (fields text, labels, votes, sample): their figures are set beside the corpus's, nothing of
their text is kept. Without them, the figures of the last time are taken from data/figures/figures.json.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from omegaconf import OmegaConf

from pipeline.evaluation.splits import grouped_folds, near_duplicates
from pipeline.labels.agreement import alpha_interval, vote_matrix
from pipeline.labels.annotations import Annotation, by_sentence, check, majority, read_annotations
from pipeline.labels.labelset import indicator, label_set
from pipeline.schema import Article
from pipeline.text.cleaning import clean
from pipeline.text.readers import read_articles
from pipeline.text.sentences import split_article

ROOT = Path(__file__).resolve().parents[1]
DATA, FIGURES = ROOT / "data", ROOT / "data" / "figures"
PAGE, STORE = DATA / "README.md", FIGURES / "figures.json"
LABELS = label_set(OmegaConf.load(ROOT / "conf" / "labels" / "news.yaml"))
SAMPLE = 100_000  # words: what counts of distinct words are taken from
SEED = 0
COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44")
Figures = dict[str, Any]

# The writers named regions freely; the first pattern that is found decides.
REGIONS = {
    "Middle East and North Africa": "middle east|north africa|gulf|egypt|libya|iran|jordan|southwest asia",
    "Africa": "africa|kenya|nigeria|ghana|sahel|malawi|botswana|chad|mali|uganda|ethiop|sudan|ivory|zimbab",
    "Caucasus and Central Asia": "caucas|central asia|armenia|georgia|kazakh",
    "South Asia": "south asia|india(?!n ocean)|pakistan|bangla|lanka|nepal|afghan",
    "Rest of Asia": "asia|japan|china|korea|taiwan|hong|philip|cambod|indones",
    "Britain and Ireland": r"\buk\b|united kingdom|brit|engl|scot|wales|ireland|channel",
    "US and Canada": r"\bus\b|usa|united states|canada|north america|greenland",
    "Latin America": "latin|carib|central am|south am|peru|andes|braz|colom|mexic|argen|chile|ecuador|haiti",
    "Oceania": "austral|zealand|pacific|oceania|fiji|solomon|nauru|queensland",
    "Rest of Europe": (
        r"europ|balkan|nordic|baltic|scandi|\beu\b|\bec\b|mediterr|black sea|german|ital|france|spain|portug"
        "|poland|sweden|turkey|nether|switz|greece|belg|croat|russia|malta|lithu|land$|denm|roman|serbia"
        "|austria|hungary|ukrain|bulgar"
    ),
}


@dataclass
class Corpus:
    """The corpus as a reader of its files finds it."""

    articles: dict[str, Article]
    meta: dict[str, dict[str, str]]
    votes: dict[tuple[str, int, int], list[Annotation]]
    junk: list[dict[str, Any]]

    @cached_property
    def keys(self) -> list[tuple[str, int, int]]:
        """Article, start and end of each sentence."""
        return list(self.votes)

    @cached_property
    def texts(self) -> list[str]:
        """Cleaned sentences, in the order of `keys`."""
        return [clean(same[0].text) for same in self.votes.values()]

    @cached_property
    def labels(self) -> NDArray[np.int8]:
        """The settled labels, shape (n_sentences, n_labels)."""
        return indicator([majority(same, LABELS) for same in self.votes.values()], LABELS)

    def column(self, name: str) -> list[str]:
        """Return a field of the metadata for each sentence."""
        return [self.meta[article][name] for article, _, _ in self.keys]

    @cached_property
    def body(self) -> dict[str, list[str]]:
        """Body sentences of each article."""
        found: dict[str, list[str]] = defaultdict(list)
        for (article, _, _), same, text in zip(self.keys, self.votes.values(), self.texts, strict=True):
            if same[0].kind == "body":
                found[article].append(text)
        return dict(found)


def read_corpus() -> Corpus:
    """Read and check the files below data/."""
    articles = {article.id: article for article in read_articles(DATA / "articles")}
    votes = []
    for vote in read_annotations(DATA / "annotations.jsonl"):
        check(vote, articles, LABELS)
        votes.append(vote)
    with (DATA / "articles.csv").open(encoding="utf-8", newline="") as file:
        meta = {row["article"]: row for row in csv.DictReader(file)}
    lines = (DATA / "junk.jsonl").read_text(encoding="utf-8").splitlines()
    return Corpus(articles, meta, by_sentence(votes), [json.loads(line) for line in lines])


def ingested(path: Path) -> dict[str, list[str]]:
    """Return the body sentences that the pipeline finds in each article of a file."""
    return {
        article.id: [s.text for s in split_article(article)[0] if s.kind == "body"]
        for article in read_articles(path)
    }


# What the corpus is made of


def region(name: str) -> str:
    """Return the part of the world that a writer's name of a region lies in."""
    return next((part for part, what in REGIONS.items() if re.search(what, name.lower())), "World and other")


def label_counts(y: NDArray[np.int8]) -> Figures:
    """Return how often labels occur, alone and together."""
    per_row = y.sum(axis=1)
    return {
        "sentences": len(y),
        "labels": dict(zip(LABELS.names, y.sum(axis=0).tolist(), strict=True)),
        "none": int((per_row == 0).sum()),
        "several": int((per_row > 1).sum()),
        "together": (y.T.astype(int) @ y).tolist(),
    }


def composition(corpus: Corpus) -> Figures:
    """Return sizes, articles by kind, labels by kind and second votes by topic."""
    meta = corpus.meta.values()
    twice = np.array([len(same) > 1 for same in corpus.votes.values()])
    train = np.array([split == "train" for split in corpus.column("split")])
    topics = np.array(corpus.column("topic"))
    return {
        "articles": len(corpus.meta),
        "votes": sum(map(len, corpus.votes.values())),
        "headlines": sum(same[0].kind == "headline" for same in corpus.votes.values()),
        "sources": len({row["source"] for row in meta}),
        "by": {
            "topic": Counter(row["topic"] for row in meta),
            "register": Counter(row["register"] for row in meta),
            "region": Counter(region(row["region"]) for row in meta),
            "decade": Counter(f"{row['date'][:3]}0s" for row in meta),
            "writer": Counter(row["writer"] for row in meta),
            "split": Counter(row["split"] for row in meta),
        },
        "all": label_counts(corpus.labels),
        "train": label_counts(corpus.labels[train]),
        "test": label_counts(corpus.labels[~train]),
        "topics": {
            topic: label_counts(corpus.labels[topics == topic])
            | {"twice": float(twice[topics == topic].mean())}
            for topic in sorted(set(topics))
        },
        "held_out": sorted(set(topics) - set(topics[train])),
    }


# How it reads, beside real news

WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
NAME = re.compile(r"(?<![\w'’])[^\W\d_a-zà-ÿ][\w'’.-]*")
NO_NAMES = re.compile(
    "(I|I['’](m|ve|d|ll)|(Mon|Tues?|Wednes|Thurs?|Fri|Satur|Sun)(day)?|Jan(uary)?|Feb(ruary)?|March|April|May|June"
    "|July|Aug(ust)?|Sept?(ember)?|Oct(ober)?|Nov(ember)?|Dec(ember)?|Mr|Mrs|Ms|Dr|Sir|A.M|P.M)(['’]s)?"
)


HYPHENATED = re.compile(r"\b[A-ZÀ-Þ][\w’']+-[A-ZÀ-Þ][a-zà-ÿ]+\b")


def words(text: str) -> list[str]:
    """Return the words of a text in lower case."""
    return WORD.findall(text.lower())


def names(text: str) -> list[tuple[int, str]]:
    """Return place and form of capitalised words inside a sentence, but for dates, titles and "I".

    The first word and whatever follows an opening quote or a colon may be no name, and is left out.
    """
    opened = len(text) - len(text.lstrip("\"'“‘(`[ "))
    return [
        (m.start(), m.group().rstrip(".'’-"))
        for m in NAME.finditer(text)
        if m.start() > opened
        and not text[: m.start()].rstrip(" ").endswith(("“", '"', "‘", "`", ":", " -", "--", "—", "–"))
        and not NO_NAMES.fullmatch(m.group().rstrip(".'’-"))
    ]


def sampled(articles: dict[str, list[str]], size: int) -> dict[str, list[str]]:
    """Return whole articles in random order until they have `size` words."""
    order, found, total = sorted(articles), {}, 0
    np.random.default_rng(SEED).shuffle(order)
    for article in order:
        if total >= size:
            break
        found[article] = articles[article]
        total += sum(len(words(text)) for text in articles[article])
    return found


def repeated_5grams(articles: dict[str, list[str]]) -> tuple[float, int]:
    """Return the share of sentences with a 5-gram of another article, and the most articles of one."""
    where: dict[tuple[str, ...], set[str]] = defaultdict(set)
    grams = []
    for article, texts in articles.items():
        for text in texts:
            w = words(text)
            grams.append({tuple(w[i : i + 5]) for i in range(len(w) - 4)})
            for gram in grams[-1]:
                where[gram].add(article)
    share = np.mean([any(len(where[gram]) > 1 for gram in some) for some in grams])
    return float(share), max(map(len, where.values()))


def minhash_pairs(texts: Sequence[str], threshold: float = 0.7) -> set[tuple[int, int]]:
    """Return pairs of texts whose MinHash signatures of 3-word shingles agree by `threshold`."""
    from datasketch import MinHash, MinHashLSH

    shingles = []
    for text in texts:
        w = re.findall(r"\w\w+", text.lower())
        shingles.append([" ".join(w[i : i + 3]).encode() for i in range(max(len(w) - 2, 1))])
    index, pairs = MinHashLSH(threshold=threshold, num_perm=128), set()
    hashes = list(MinHash.generator(shingles, num_perm=128, seed=1))
    for row, signature in enumerate(hashes):
        for other in index.query(signature):
            if hashes[other].jaccard(signature) >= threshold:
                pairs.add((other, row))
        index.insert(row, signature)
    return pairs


def paired_share(pairs: Iterable[Sequence[int]], n: int) -> float:
    """Return the share of `n` rows that are in a pair."""
    return len({int(row) for pair in pairs for row in pair}) / n


def reading(articles: dict[str, list[str]]) -> Figures:
    """Return how body sentences read: lengths, repetition, vocabulary, quotes, numbers, names."""
    texts = [text for some in articles.values() for text in some]
    lengths = np.array([len(text.split()) for text in texts])
    per_article = np.array([len(some) for some in articles.values()])
    few = sampled(articles, SAMPLE)
    tokens = [w for some in few.values() for text in some for w in words(text)][:SAMPLE]
    counts = Counter(tokens)
    repeated, formula = repeated_5grams(sampled(articles, 3 * SAMPLE))
    found = [names(text) for text in texts]
    return {
        "articles": len(articles),
        "sentences": len(texts),
        "words": int(lengths.sum()),
        "per_article": [float(per_article.mean()), float(per_article.std())],
        "length": [float(lengths.mean()), float(lengths.std())],
        "quantiles": np.percentile(lengths, [10, 50, 90]).astype(int).tolist(),
        "short": float((lengths < 8).mean()),
        "long": float((lengths > 35).mean()),
        "histogram": np.bincount(np.minimum(lengths, 70), minlength=71).tolist(),
        "repeated": repeated,
        "formula": formula,
        "minhash": paired_share(minhash_pairs(texts), len(texts)),
        "exact": paired_share(near_duplicates(texts, 0.7), len(texts)),
        "types": len(counts) / len(tokens),
        "once": sum(n == 1 for n in counts.values()) / len(counts),
        "quotes": float(np.mean([bool(re.search("[\"“”]|``|''|‘.{3,}’", text)) for text in texts])),
        "numbers": float(np.mean([bool(re.search(r"\d", text)) for text in texts])),
        "names": float(np.mean([bool(some) for some in found])),
        "hyphenated": 1000 * len(HYPHENATED.findall("\n".join(texts))) / len(texts),
        "names_per_100": 100 * sum(map(len, found)) / int(lengths.sum()),
    }


def coverage(articles: dict[str, list[str]], known: dict[str, list[str]]) -> float:
    """Return the share of the running words of a sample whose form occurs in a sample of `known`."""
    forms = {w for some in sampled(known, SAMPLE).values() for text in some for w in words(text)}
    running = [w for some in sampled(articles, SAMPLE).values() for text in some for w in words(text)]
    return sum(w in forms for w in running) / len(running)


def beside(corpus: dict[str, list[str]], news: dict[str, list[str]]) -> Figures:
    """Return how far the corpus has the words of real news, and how far real news has its own."""
    order = sorted(news)
    np.random.default_rng(SEED).shuffle(order)
    one, other = ({a: news[a] for a in order[half::2]} for half in (0, 1))
    return {
        "news_in_corpus": coverage(news, corpus),
        "corpus_in_news": coverage(corpus, news),
        "news_in_news": coverage(one, other),
    }


# Sentences and junk found again


def ratio(part: int, given: int, wanted: int) -> Figures:
    """Return precision, recall and F1."""
    precision, recall = part / max(given, 1), part / max(wanted, 1)
    return {"precision": precision, "recall": recall, "f1": 2 * part / max(given + wanted, 1)}


def splitting(corpus: Corpus) -> Figures:
    """Compare what `split_article` keeps and drops with the sentences and junk that were recorded."""
    kept, dropped = set(), []
    for article in corpus.articles.values():
        sentences, rest = split_article(article)
        kept |= {(s.article, s.start, s.end) for s in sentences}
        dropped += [(d.article, d.start, d.end) for d in rest]
    recorded = [(row["article"], row["start"], row["end"]) for row in corpus.junk]
    given, wanted = {(a, end) for a, _, end in kept}, {(a, end) for a, _, end in corpus.keys}
    found = [hit >= 0.9 for hit in _covered(recorded, dropped)]
    good = sum(hit >= 0.9 for hit in _covered(dropped, recorded)) / len(dropped)
    recall = sum(found) / len(recorded)
    reasons = Counter(row["reason"] for row in corpus.junk)
    hits = Counter(row["reason"] for row, hit in zip(corpus.junk, found, strict=True) if hit)
    return {
        "boundaries": ratio(len(given & wanted), len(given), len(wanted)),
        "sentences": ratio(len(kept & set(corpus.keys)), len(kept), len(corpus.keys)),
        "junk": {
            "recorded": len(recorded),
            "articles": len({row[0] for row in recorded}),
            "precision": good,
            "recall": recall,
            "f1": 2 * good * recall / (good + recall),
            "sentences_lost": sum(hit > 0.5 for hit in _covered(corpus.keys, dropped)),
            "by_reason": {name: [hits[name], n] for name, n in reasons.most_common()},
        },
    }


def _covered(spans: Sequence[tuple[str, int, int]], others: Sequence[tuple[str, int, int]]) -> list[float]:
    """Return how much of each span lies in spans of the other list, which do not overlap."""
    by_article: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for article, start, end in others:
        by_article[article].append((start, end))
    return [
        sum(max(0, min(end, e) - max(start, s)) for s, e in by_article[article]) / (end - start)
        for article, start, end in spans
    ]


# How far the annotators agree


def agreement(corpus: Corpus) -> Figures:
    """Return agreement of the two blind votes, and what became of the disagreements.

    The third vote exists only where the first two differ, so it is kept out of alpha.
    """
    read = {key: {v.annotator: v for v in same} for key, same in corpus.votes.items() if len(same) > 1}
    pairs = [[votes["writer"], votes["reader-a"]] for votes in read.values()]
    differ = {key: v for key, v in read.items() if set(v["writer"].labels) != set(v["reader-a"].labels)}
    third = [votes for votes in differ.values() if "reader-b" in votes]
    row = {key: n for n, key in enumerate(corpus.keys)}
    settled = corpus.labels[[row[key] for key in read]]
    written = indicator([votes["writer"].labels for votes in read.values()], LABELS)
    result: Figures = {
        "twice": len(read),
        "differ": len(differ),
        "third": len(third),
        "left_to_writer": len(differ) - len(third),
        "third_with_writer": sum(set(v["reader-b"].labels) == set(v["writer"].labels) for v in third),
        "third_with_reader": sum(set(v["reader-b"].labels) == set(v["reader-a"].labels) for v in third),
        "labels": {},
    }
    for k, label in enumerate(LABELS.names):
        given = Counter((label in one.labels, label in other.labels) for one, other in pairs)
        one, both = int(written[:, k].sum()), int((written[:, k] & settled[:, k]).sum())
        result["labels"][label] = {
            "alpha": alpha_interval(vote_matrix(pairs, label)),
            "both": given[True, True],
            "writer_only": given[True, False],
            "reader_only": given[False, True],
            "neither": given[False, False],
            "writer_vs_settled": ratio(both, one, int(settled[:, k].sum())),
        }
    return result


def gold_figures(path: Path) -> Figures:
    """Return label shares and agreement of real sentences with three votes each."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    letters = {label[0]: label for label in LABELS.names}
    votes = [
        [
            Annotation("", n, n + 1, "", tuple(letters[c] for c in vote), str(who), "body", "")
            for who, vote in enumerate(row["votes"])
        ]
        for n, row in enumerate(rows)
    ]
    plain = [n for n, row in enumerate(rows) if row["sample"] == "uniform"]
    y = indicator([rows[n]["labels"] for n in plain], LABELS)
    return {
        "sentences": len(rows),
        "uniform": label_counts(y),
        "alpha": {label: alpha_interval(vote_matrix(votes, label)) for label in LABELS.names},
        "alpha_uniform": {
            label: alpha_interval(vote_matrix([votes[n] for n in plain], label)) for label in LABELS.names
        },
    }


# What names alone give away

OFFICES = re.compile(
    r"court|minist|commission|council|parliament|senat|congress|assembl|committee|government|department|agency"
    r"|authorit|police|army|navy|force|guard|treasury|reserve|federal|national|central|bureau|tribunal|cabinet"
    r"|union|united|nations|bank|office|board|secretar|president|prime|premier|governor|mayor|judge|justice"
    r"|prosecutor|attorney|chancell|chamber|house|lords?$|commons|lawmaker|republican|democrat|labour|labor"
    r"|conservative|party|general|chief|director|chair|colonel|captain|lieutenant|major|sergeant|inspector"
    r"|superintendent|commissioner|representative|mp|mps|cllr|councillor|act|bill|law|treaty|convention|european|fund"
    r"|organi[sz]ation|society|association|federation|league|university|school|college|hospital|institute",
    re.IGNORECASE,
)
ACRONYM = re.compile(r"[A-Z.&]{2,5}")
COUNTRIES = frozenset(("US", "U.S", "UK", "U.K", "USA", "U.S.A", "UAE"))
DATELINE = re.compile(
    r"[A-Z][^a-z:]{2,40}(?:, (?:\w{3,9}\.? \d+|[^()]{2,20}))? ?(?:\([^)]{2,40}\) ?)?(?:-+|–|—|:) "
    r"|[A-Z][^()]{2,50}\([^)]{2,40}\) ?(?:-+|–|—) "
)
MONEY = re.compile(r"\b[A-Z]{1,3}\$|\b(Rs|Sh|Ksh|CFA|HK|RM|Tk|Fr|DM)\b\.?")
COMPANIES = re.compile(
    r"(?:inc|plc|ltd|corp|co|llc|gmbh|ag|sa|group|holdings?|airlines?|airways|motors?|steel|energy|oil|industries|"
    r"capital|partners|systems|foods?|stores?|pharma\w*|telecom\w*|mining|resources|insurance)$",
    re.IGNORECASE,
)


def name_runs(text: str) -> list[list[str]]:
    """Return names that stand together as one: "Central Bank of Peru" is a run."""
    runs: list[list[str]] = []
    last = -9
    for start, name in names(text):
        between = text[last:start] if last >= 0 else "|"
        if runs and re.fullmatch(r"[ .]+(?:(?:of|for|and|the|de|du|al|on) )*", between):
            runs[-1].append(name)
        else:
            runs.append([name])
        last = start + len(name)
    return runs


def only(text: str, keep: str) -> str:
    """Return the names of a sentence: "all" of them, or only of "people" (and places), or "offices"."""
    found = []
    for run in name_runs(MONEY.sub(" ", DATELINE.sub("", text, count=1) if DATELINE.match(text) else text)):
        kind = "people"
        if any(OFFICES.match(name) or (ACRONYM.fullmatch(name) and name not in COUNTRIES) for name in run):
            kind = "offices"
        elif any(COMPANIES.match(name) for name in run):
            kind = "companies"
        if keep in ("all", kind):
            found += [re.sub(r"['’]s?$", "", name) for name in run if not re.search(r"\d", name)]  # no "Rs5"
    return " ".join(found)


def learnable(texts: Sequence[str], y: NDArray[np.int8], folds: NDArray[np.int64]) -> Figures:
    """Return how well TF-IDF with logistic regression labels held-out articles by these texts."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import average_precision_score, roc_auc_score
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline

    from pipeline.models.arrow_tfidf import ArrowTfidf
    from pipeline.models.decision import Decision
    from pipeline.models.training import cross_validate

    head = LogisticRegression(C=1.0, class_weight="balanced", solver="liblinear", random_state=SEED)
    model = make_pipeline(ArrowTfidf(min_df=2, sublinear_tf=True), OneVsRestClassifier(head))
    done = cross_validate(model, Decision(), texts, y, folds)
    hit = (y & done.predicted).sum(axis=0)
    f1 = 2 * hit / np.maximum(y.sum(axis=0) + done.predicted.sum(axis=0), 1)
    return {
        "macro_f1": float(f1.mean()),
        "f1": f1.tolist(),
        "average_precision": [float(average_precision_score(*pair)) for pair in _columns(y, done.scores)],
        "auc": [float(roc_auc_score(*pair)) for pair in _columns(y, done.scores)],
    }


def _columns(y: NDArray[np.int8], scores: NDArray[np.float64]) -> Iterable[tuple[Any, Any]]:
    return zip(y.T, scores.T, strict=True)


def telling(texts: Sequence[str], y: NDArray[np.int8], articles: Sequence[str], count: int = 8) -> Figures:
    """Return for each label the names in 8 articles or more that raise its share of sentences most."""
    where: dict[str, list[int]] = defaultdict(list)
    for n, text in enumerate(texts):
        for name in set(text.split()):
            where[name].append(n)
    spread = {name: n for name, n in where.items() if len({articles[i] for i in n}) >= 8}
    share = y.mean(axis=0)
    found = {}
    for k, label in enumerate(LABELS.names):
        # z of the share among the sentences with the name against the share in all
        z = {
            name: (y[rows, k].mean() - share[k]) / np.sqrt(share[k] * (1 - share[k]) / len(rows))
            for name, rows in spread.items()
        }
        top = sorted(z, key=z.__getitem__, reverse=True)[:count]
        found[label] = [[name, len(spread[name]), float(y[spread[name], k].mean())] for name in top]
    return found


@dataclass
class Body:
    """Body sentences with their settled labels, articles and folds."""

    texts: list[str]
    y: NDArray[np.int8]
    articles: list[str]
    folds: NDArray[np.int64]

    def view(self, kind: str) -> list[str]:
        """Return nothing but the names of each sentence; see `only`."""
        return [only(text, kind) for text in self.texts]

    def shuffled(self) -> NDArray[np.int8]:
        """Return the labels of the sentences, dealt to others."""
        return self.y[np.random.default_rng(SEED).permutation(len(self.y))]


def body(corpus: Corpus) -> Body:
    """Return the body sentences, in five folds by article."""
    rows = [n for n, same in enumerate(corpus.votes.values()) if same[0].kind == "body"]
    articles = [corpus.keys[n][0] for n in rows]
    _, groups = np.unique(articles, return_inverse=True)
    y = corpus.labels[rows]
    return Body([corpus.texts[n] for n in rows], y, articles, grouped_folds(y, groups, 5, seed=SEED))


def names_only(corpus: Corpus) -> Figures:
    """Train on nothing but the names in body sentences, and on controls."""
    b = body(corpus)
    views = {kind: b.view(kind) for kind in ("all", "people", "companies", "offices")}
    share = b.y.mean(axis=0)
    return {
        "sentences": len(b.texts),
        "prevalence": share.tolist(),
        "always": float((2 * share / (1 + share)).mean()),
        "views": {kind: learnable(view, b.y, b.folds) for kind, view in views.items()}
        | {
            "shuffled": learnable(views["all"], b.shuffled(), b.folds),
            "words": learnable(b.texts, b.y, b.folds),
        },
        "telling": {kind: telling(views[kind], b.y, b.articles) for kind in ("people", "offices")},
    }


# The page


def percent(x: float, digits: int = 1) -> str:
    """Return a share as text."""
    return f"{100 * x:.{digits}f} %"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table; whole numbers get thousands separators."""
    lines = [head, ["---"] * len(head), *rows]
    cells = [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def size_table(f: Figures) -> str:
    """Return sizes and label shares of all, training and test sentences, beside real ones."""
    c, parts = f["composition"], [f["composition"][name] for name in ("all", "train", "test")]
    gold = f.get("gold")
    if gold:
        parts.append(gold["uniform"])
    split = c["by"]["split"]
    rows: list[list[object]] = [
        ["articles", c["articles"], split["train"], split["test"], "-"],
        ["sentences", *(p["sentences"] for p in parts)],
    ]
    for name in LABELS.names:
        rows.append([name, *(f"{p['labels'][name]:,} ({percent(_share(p, name))})" for p in parts)])
    for key, text in (("none", "no label"), ("several", "two labels or more")):
        rows.append([text, *(f"{p[key]:,} ({percent(p[key] / p['sentences'])})" for p in parts)])
    head = ["", "corpus", "train", "test", "real news, drawn at random"]
    wide = 5 if gold else 4
    return table(head[:wide], [row[:wide] for row in rows])


def _share(part: Figures, label: str) -> float:
    return part["labels"][label] / part["sentences"]


def together_table(f: Figures) -> str:
    """Return how many sentences carry both of two labels."""
    counts = f["composition"]["all"]["together"]
    return table(["", *LABELS.names], [[a, *counts[i]] for i, a in enumerate(LABELS.names)])


def kinds_table(f: Figures) -> str:
    """Return the articles by register, region, decade and writer."""
    by = f["composition"]["by"]
    rows = []
    for kind in ("register", "region", "decade", "writer"):
        order = sorted(by[kind].items(), key=lambda one: one if kind == "decade" else -one[1])
        rows.append([kind, ", ".join(f"{name} {n}" for name, n in order)])
    return table(["articles by", ""], rows)


def topics_table(f: Figures) -> str:
    """Return articles, sentences, label shares and second votes of each topic."""
    c = f["composition"]
    rows = [
        [
            f"**{topic}** (test only)" if topic in c["held_out"] else topic,
            c["by"]["topic"][topic],
            part["sentences"],
            *(percent(_share(part, name), 0) for name in LABELS.names),
            percent(part["none"] / part["sentences"], 0),
            percent(part["twice"], 0),
        ]
        for topic, part in sorted(c["topics"].items(), key=lambda one: -one[1]["sentences"])
    ]
    return table(["topic", "articles", "sentences", *LABELS.names, "none", "read twice"], rows)


def reading_table(f: Figures) -> str:
    """Return how body sentences read, beside real news."""
    columns = [f["reading"], *([f["news"]] if f.get("news") else [])]

    def line(name: str, form: Any) -> list[object]:
        return [name, *(form(column) for column in columns)]

    rows = [
        line("articles", lambda r: r["articles"]),
        line("body sentences", lambda r: r["sentences"]),
        line("words", lambda r: r["words"]),
        line("body sentences an article, mean (sd)", lambda r: "{:.1f} ({:.1f})".format(*r["per_article"])),
        line("words a sentence, mean (sd)", lambda r: "{:.1f} ({:.1f})".format(*r["length"])),
        line("words a sentence, 10th, 50th, 90th percentile", lambda r: "{}, {}, {}".format(*r["quantiles"])),
        line("sentences of 7 words or fewer", lambda r: percent(r["short"])),
        line("sentences of more than 35 words", lambda r: percent(r["long"])),
        line(f"distinct words in {SAMPLE:,} running words", lambda r: percent(r["types"])),
        line("of these, used once", lambda r: percent(r["once"])),
        line("sentences with a quotation mark", lambda r: percent(r["quotes"])),
        line("sentences with a digit", lambda r: percent(r["numbers"])),
        line("sentences with a name inside", lambda r: percent(r["names"])),
        line("words of names in 100 words", lambda r: f"{r['names_per_100']:.1f}"),
        line("hyphenated names in 1,000 sentences", lambda r: f"{r['hyphenated']:.0f}"),
        line(f"with another article's 5-gram ({3 * SAMPLE:,} words)", lambda r: percent(r["repeated"])),
        line("articles with the commonest 5-gram, in the same", lambda r: r["formula"]),
        line("sentences with a near-duplicate, MinHash", lambda r: percent(r["minhash"], 2)),
        line("sentences with a near-duplicate, exact", lambda r: percent(r["exact"], 2)),
    ]  # fmt: skip
    return table(["body sentences", "corpus", "real news"][: len(columns) + 1], rows)


def beside_table(f: Figures) -> str:
    """Return how much of one vocabulary another covers."""
    b = f.get("beside")
    if not b:
        return "Not measured: run with `--news`."
    rows = [
        ["real news", "corpus", percent(b["news_in_corpus"])],
        ["corpus", "real news", percent(b["corpus_in_news"])],
        ["one half of real news", "the other half", percent(b["news_in_news"])],
    ]
    return table([f"running words of ({SAMPLE:,})", f"occur in ({SAMPLE:,} words of)", "share"], rows)


def junk_table(f: Figures) -> str:
    """Return how well sentences and junk are found again."""
    s, junk = f["splitting"], f["splitting"]["junk"]
    rows = [
        [name, *(f"{s[key][part]:.3f}" for part in ("precision", "recall", "f1"))]
        for name, key in (("sentence ends", "boundaries"), ("whole sentences", "sentences"))
    ]
    rows.append(["junk segments", *(f"{junk[part]:.3f}" for part in ("precision", "recall", "f1"))])
    reasons = ", ".join(f"{name} {hit}/{n}" for name, (hit, n) in junk["by_reason"].items())
    text = f"{junk['recorded']} junk segments in {junk['articles']} articles; found, by reason: {reasons}."
    return (
        f"{table(['found again', 'precision', 'recall', 'F1'], rows)}\n\n"
        f"{text} Sentences dropped as junk: {junk['sentences_lost']}."
    )


def agreement_table(f: Figures) -> str:
    """Return alpha, the four cells of writer against reader, and what became of the disagreements."""
    a, gold = f["agreement"], f.get("gold")
    rows = []
    for name, one in a["labels"].items():
        row = [name, _alpha(one["alpha"])]
        row += [one[cell] for cell in ("both", "writer_only", "reader_only", "neither")]
        row.append("{precision:.3f} / {recall:.3f}".format(**one["writer_vs_settled"]))
        rows.append([*row, *([_alpha(gold["alpha"][name])] if gold else [])])
    head = ["", "alpha, writer and reader-a", "both", "only writer", "only reader-a", "neither"]
    head += ["writer's precision / recall", *(["alpha on real sentences"] if gold else [])]
    others = a["third"] - a["third_with_reader"] - a["third_with_writer"]
    text = (
        f"Read twice: {a['twice']:,} sentences. The two votes differ in {a['differ']} "
        f"({percent(a['differ'] / a['twice'])}). A third reader read {a['third']} of these and took "
        f"reader-a's labels in {a['third_with_reader']}, the writer's in {a['third_with_writer']}, others "
        f"in {others}. {a['left_to_writer']} were not read a third time: the writer's labels stand."
    )
    return f"{table(head, rows)}\n\n{text}"


def _alpha(one: Figures) -> str:
    return f"{one['value']:.2f} [{one['low']:.2f}, {one['high']:.2f}]"


def names_table(f: Figures) -> str:
    """Return what names alone give away."""
    n = f["names"]
    texts = {
        "people": "names of people and places",
        "companies": "names of companies by form (Inc, Group)",
        "offices": "names of institutions and offices",
        "all": "all names",
        "shuffled": "all names, labels shuffled",
        "words": "all words",
    }
    rows = [["always yes", f"{n['always']:.3f}", *(f"{p:.3f} / 0.500" for p in n["prevalence"])]]
    for kind, name in texts.items():
        v = n["views"][kind]
        pairs = zip(v["average_precision"], v["auc"], strict=True)
        rows.append([name, f"{v['macro_f1']:.3f}", *(f"{ap:.3f} / {auc:.3f}" for ap, auc in pairs)])
    told = [
        f"{label} " + ", ".join(f"{name} ({percent(share, 0)} of {n})" for name, n, share in top[:6])
        for label, top in n["telling"]["people"].items()
    ]
    offices = [
        f"{label} " + ", ".join(f"{name} ({percent(share, 0)} of {n})" for name, n, share in top[:6])
        for label, top in n["telling"]["offices"].items()
    ]
    return (
        f"{table(['learned from', 'macro-F1', *LABELS.names], rows)}\n\n"
        f"Most telling people and places (in 8 articles or more): {'; '.join(told)}.\n\n"
        f"Most telling institutions: {'; '.join(offices)}."
    )


TABLES = {
    "size": size_table,
    "together": together_table,
    "kinds": kinds_table,
    "topics": topics_table,
    "reading": reading_table,
    "vocabulary": beside_table,
    "junk": junk_table,
    "agreement": agreement_table,
    "names": names_table,
}


def replaced(page: str, f: Figures) -> str:
    """Return the page with the tables between its marks replaced."""
    for name, draw in TABLES.items():
        begin, end = f"<!-- figures: {name} -->\n", "<!-- end -->"
        before, mark, rest = page.partition(begin)
        if not mark or end not in rest:
            raise SystemExit(f"{PAGE}: no marks {begin.strip()} … {end}; restore them")
        page = f"{before}{begin}{draw(f)}\n{end}{rest.partition(end)[2]}"
    return page


# Plots


def plots(f: Figures) -> None:
    """Draw the sheet data/figures/*.png."""
    from matplotlib.figure import Figure

    FIGURES.mkdir(parents=True, exist_ok=True)
    for name, size, draw in (
        ("labels", (10, 4.2), _plot_labels),
        ("kinds", (10, 7.6), _plot_kinds),
        ("topics", (10, 7.6), _plot_topics),
        ("lengths", (10, 3.6), _plot_lengths),
        ("agreement", (10, 3.4), _plot_agreement),
    ):
        figure = Figure(figsize=size, layout="constrained", dpi=90)
        draw(figure, f)
        figure.savefig(FIGURES / f"{name}.png", metadata={"Software": None})


def _plot_labels(figure: Any, f: Figures) -> None:
    left, right = figure.subplots(1, 2, width_ratios=(1.1, 1))
    parts = {name: f["composition"][name] for name in ("train", "test")}
    if f.get("gold"):
        parts["real news, at random"] = f["gold"]["uniform"]
    shown = [*LABELS.names, "none", "several"]
    for n, (name, part) in enumerate(parts.items()):
        values = [part["labels"].get(x, part.get(x)) / part["sentences"] * 100 for x in shown]
        at = np.arange(len(shown)) + 0.27 * (n - (len(parts) - 1) / 2)
        left.barh(at, values, 0.25, label=f"{name} ({part['sentences']:,})", color=COLOURS[n])
    left.set_yticks(range(len(shown)), [*LABELS.names, "no label", "two or more"])
    left.invert_yaxis()
    left.set(xlabel="% of sentences", title="How many sentences carry a label")
    left.legend(fontsize=8)
    counts = np.array(f["composition"]["all"]["together"])
    _cells(right, counts, counts / counts.diagonal()[:, None], LABELS.names, LABELS.names)
    right.set_title("Sentences that carry both labels")


def _cells(axes: Any, text: Any, shade: Any, rows: Sequence[str], columns: Sequence[str]) -> None:
    axes.imshow(shade, cmap="Blues", vmin=0, vmax=max(float(np.max(shade)), 1e-9) * 1.15, aspect="auto")
    for (i, j), value in np.ndenumerate(np.asarray(text)):
        dark = shade[i, j] > 0.7 * np.max(shade)
        axes.text(
            j, i, f"{value:,}", ha="center", va="center", color="white" if dark else "black", fontsize=8
        )
    axes.set_xticks(range(len(columns)), columns, fontsize=8)
    axes.set_yticks(range(len(rows)), rows, fontsize=8)


def _plot_kinds(figure: Any, f: Figures) -> None:
    by = f["composition"]["by"]
    for axes, kind in zip(
        figure.subplots(2, 2).ravel(), ("register", "region", "writer", "decade"), strict=True
    ):
        order = sorted(by[kind].items(), key=lambda one: one if kind == "decade" else -one[1])
        bars = axes.barh([name for name, _ in order], [n for _, n in order], color=COLOURS[0])
        axes.bar_label(bars, fontsize=8, padding=2)
        axes.invert_yaxis()
        axes.tick_params(axis="y", labelsize=8)
        axes.margins(x=0.12)
        axes.set_title(f"Articles by {kind}")


def _plot_topics(figure: Any, f: Figures) -> None:
    c = f["composition"]
    topics = sorted(c["topics"].items(), key=lambda one: -one[1]["sentences"])
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.2), sharey=True)
    bars = left.barh(range(len(topics)), [part["sentences"] for _, part in topics], color=COLOURS[0])
    left.bar_label(bars, fontsize=7, padding=2)
    left.margins(x=0.12, y=0.01)
    left.set_title("Sentences by topic")
    share = np.array(
        [
            [_share(part, name) for name in LABELS.names] + [part["none"] / part["sentences"], part["twice"]]
            for _, part in topics
        ]
    )
    names_ = [f"{topic} *" if topic in c["held_out"] else topic for topic, _ in topics]
    columns = ["accusation", "denial", "policy", "economic", "no label", "read twice"]
    _cells(right, np.round(100 * share).astype(int), share, names_, columns)
    right.tick_params(axis="y", labelleft=False)
    left.set_yticks(range(len(topics)), names_, fontsize=8)
    right.set_title("% of the topic's sentences (* held out for testing)")


def _plot_lengths(figure: Any, f: Figures) -> None:
    axes = figure.subplots()
    series = {"corpus": f["reading"]} | ({"real news": f["news"]} if f.get("news") else {})
    for n, (name, r) in enumerate(series.items()):
        counts = np.array(r["histogram"]) / r["sentences"] * 100
        axes.step(range(len(counts)), counts, where="mid", color=COLOURS[n], label=name)
    axes.set(xlabel="words in a body sentence (the last point: 70 or more)", ylabel="% of sentences")
    axes.set_title("Sentence lengths")
    axes.legend()
    axes.grid(alpha=0.25)


def _plot_agreement(figure: Any, f: Figures) -> None:
    for axes, (name, one) in zip(figure.subplots(1, 4), f["agreement"]["labels"].items(), strict=True):
        cells = np.array([[one["both"], one["writer_only"]], [one["reader_only"], one["neither"]]])
        _cells(axes, cells, cells / cells.sum(), ("writer yes", "writer no"), ("reader yes", "reader no"))
        axes.set_title(f"{name}\nalpha {_alpha(one['alpha'])}", fontsize=9)


def measure(news: Path | None = None, gold: Path | None = None) -> Figures:
    """Return all figures; real news as last stored where no file of it is given."""
    corpus = read_corpus()
    stored = json.loads(STORE.read_text(encoding="utf-8")) if STORE.is_file() else {}
    found: Figures = {
        "composition": composition(corpus),
        "reading": reading(corpus.body),
        "splitting": splitting(corpus),
        "agreement": agreement(corpus),
        "names": names_only(corpus),
        "news": stored.get("news"),
        "beside": stored.get("beside"),
        "gold": gold_figures(gold) if gold else stored.get("gold"),
    }
    if news:
        articles = ingested(news)
        found["news"], found["beside"] = reading(articles), beside(corpus.body, articles)
    return found


def main() -> None:
    """Print the tables; or write them, the figures and the plots."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--news", type=Path, help="real articles, JSONL")
    parser.add_argument("--gold", type=Path, help="real sentences with votes, JSONL")
    parser.add_argument("--write", action="store_true", help="rewrite data/README.md and data/figures")
    chosen = parser.parse_args()
    found = measure(chosen.news, chosen.gold)
    if not chosen.write:
        for name, draw in TABLES.items():
            print(f"## {name}\n\n{draw(found)}\n")
        return
    text = replaced(PAGE.read_text(encoding="utf-8"), found)
    FIGURES.mkdir(exist_ok=True)
    STORE.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(text, encoding="utf-8")
    plots(found)


if __name__ == "__main__":
    main()
