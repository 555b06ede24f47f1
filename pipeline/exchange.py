"""Stage: give sentences to an annotation tool, and take its annotations back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from pipeline.app import ROOT, stage
from pipeline.labels.annotations import Annotation, by_sentence, check, read_annotations
from pipeline.labels.labelset import label_set
from pipeline.labels.tasks import Names, Task, merge, task_of
from pipeline.schema import Article, ConfigError, InputError, LabelSet
from pipeline.terminal import say
from pipeline.toolfiles import format_of, read_export, write_tasks

ANNOTATED = ("skip", "only")


def tasks_of(source: str | Path, unit: str) -> list[Task]:
    """Return the sentences of articles, or of a table with a sentence a row.

    Parameters
    ----------
    source : path
    unit : {"article", "sentence"}
        See `labels.tasks.task_of` for the rows of a table.
    """
    from pipeline.text.readers import read_articles
    from pipeline.text.sentences import split_article

    tasks = []
    for article in read_articles(source):
        if unit == "sentence":
            tasks.append(task_of(article, str(source)))
            continue
        found = split_article(article)[0]
        for i, s in enumerate(found):
            before = found[i - 1].text if i else ""
            after = found[i + 1].text if i + 1 < len(found) else ""
            tasks.append(Task(s.article, s.start, s.end, s.kind, s.text, before, after))
    return tasks


def unseen(tasks: Iterable[Task], votes: Iterable[Annotation]) -> list[Task]:
    """Return the tasks that share no character with an annotated sentence."""
    spans: dict[str, list[tuple[int, int]]] = {}
    for vote in votes:
        spans.setdefault(vote.article, []).append((vote.start, vote.end))
    return [
        task
        for task in tasks
        if not any(low < task.end and task.start < high for low, high in spans.get(task.article, ()))
    ]


def with_votes(tasks: Iterable[Task], votes: Iterable[Annotation], *, unit: str) -> list[Task]:
    """Return a task for each annotated sentence, with what was said of it and its neighbours.

    Of articles, those that were annotated, as the annotators saw them; of a table, its rows.
    """
    from pipeline.text.cleaning import clean

    known = {(task.article, task.start, task.end): task for task in tasks}
    found = []
    for place, same in by_sentence(votes).items():
        task = known.get(place)
        if task is None and unit == "sentence":
            continue
        task = task or Task(*place, same[0].kind, clean(same[0].text))
        found.append(replace(task, votes=tuple(same)))
    return found


def suggested(tasks: Sequence[Task], model_uri: str) -> list[Task]:
    """Return the tasks with the labels of a classifier."""
    from pipeline.bundle import load
    from pipeline.tracking.locate import local_folder

    bundle = load(local_folder(model_uri, ROOT))
    given = bundle.label([task.text for task in tasks])
    return [replace(task, suggested=tuple(names)) for task, names in zip(tasks, given, strict=True)]


def fitted(one: Annotation, articles: dict[str, Article], labels: LabelSet) -> Annotation:
    """Return the annotation with the article's own characters where the tool had the cleaned ones.

    Raises
    ------
    InputError
        Where it does not fit its article or the label set.
    """
    from pipeline.text.cleaning import clean

    if article := articles.get(one.article):
        raw = article.text[max(one.start, 0) : max(one.end, 0)]
        if raw != one.text and clean(raw) == clean(one.text):
            one = replace(one, text=raw)
    check(one, articles, labels)
    return one


def give_out(config: DictConfig, labels: LabelSet) -> str:
    """Write sentences for a tool and return what to say about it."""
    form = format_of(config.export, config.format)
    if config.unit not in ("article", "sentence"):
        raise ConfigError(f"unit={config.unit}: must be article or sentence")
    if config.annotated not in ANNOTATED:
        raise ConfigError(f"annotated={config.annotated}: must be one of {', '.join(ANNOTATED)}")
    if config.sample is not None and config.sample < 1:
        raise ConfigError(f"sample={config.sample}: must be at least 1, or null for all")
    known = Path(config.annotations).is_file() if config.annotations else False
    votes = list(read_annotations(config.annotations)) if known else []
    tasks = tasks_of(config.input, config.unit)
    again = config.annotated == "only"
    tasks = with_votes(tasks, votes, unit=config.unit) if again else unseen(tasks, votes)
    tasks = _drawn(tasks, config.sample, config.seed)
    if not tasks:
        raise InputError(f"{config.input}: no sentences to give out with annotated={config.annotated}")
    if config.model_uri:
        tasks = suggested(tasks, config.model_uri)
    files = write_tasks(config.export, form, tasks, labels)
    return f"{len(tasks)} sentences written to {' and '.join(map(str, files))}"


def take_back(config: DictConfig, labels: LabelSet) -> str:
    """Add a tool's annotations to the file of annotations and return what to say about it."""
    from pipeline.files import atomic
    from pipeline.text.readers import read_articles

    form = format_of(config["import"], config.format)
    target = Path(config.annotations)
    known = {str(key): str(value) for key, value in (config.annotators or {}).items()}
    names = Names(config.annotator or "", known)
    articles = {article.id: article for article in read_articles(config.corpus.articles)}
    given, skipped = [], 0
    for one in read_export(config["import"], form, labels, names):
        if one is None:
            skipped += 1
        else:
            given.append(fitted(one, articles, labels))
    if not given:
        raise InputError(f"{config['import']}: no annotations among {skipped} rows; nothing written")
    merged, counts = merge(read_annotations(target) if target.is_file() else (), given)
    by_sentence(merged)
    with atomic(target) as temporary:
        lines = (f"{json.dumps(one.row(), ensure_ascii=False)}\n" for one in merged)
        temporary.write_text("".join(lines), encoding="utf-8")
    tally = ", ".join(f"{number} {name}" for name, number in counts.items())
    who = ", ".join(sorted({one.annotator for one in given}))
    left = f"; {skipped} skipped or not done" if skipped else ""
    return f"annotations of {who}: {tally}{left}\nwritten to {target}"


@stage("exchange")
def main(config: DictConfig) -> None:
    """Run the stage."""
    labels = label_set(OmegaConf.to_container(config.labels, resolve=True))  # type: ignore[arg-type]
    if bool(config.export) == bool(config["import"]):
        raise ConfigError("set either export=FILE or import=FILE")
    say(give_out(config, labels) if config.export else take_back(config, labels))


def _drawn(tasks: list[Task], sample: int | None, seed: int) -> list[Task]:
    if sample is None or sample >= len(tasks):
        return tasks
    import random

    return [tasks[i] for i in sorted(random.Random(seed).sample(range(len(tasks)), sample))]


if __name__ == "__main__":
    main()
