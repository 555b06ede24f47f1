"""Stage: train and measure every classifier under the same folds, in one table."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from pipeline.app import CONF, ROOT, composed, stage
from pipeline.processes import with_this_code
from pipeline.schema import ConfigError, InputError, PipelineError, nearest
from pipeline.terminal import say

if TYPE_CHECKING:
    from pipeline.tracking.run import Run

# What a training takes from this stage's configuration; the model is its own.
SHARED = ("labels", "corpus", "split", "decision", "tracking", "seed", "paths", "labelled")
# What the result of a training depends on, besides code.
DECIDES = ("model", "labels", "corpus", "split", "decision", "seed")
BEGIN, END = "<!-- leaderboard -->\n", "<!-- end -->"
UNFINISHED = "unfinished"
Entry = dict[str, Any]


@stage("leaderboard")
def main(config: DictConfig) -> None:
    """Run the stage."""
    page = Path(config.write) if config.write else None
    if page:
        marked(page)
    leaderboard(config)
    table = (Path(config.output) / "leaderboard.md").read_text(encoding="utf-8")
    if page:
        replace(page, table)
    say(f"\n{table}\nwritten to {config.output}: leaderboard.md, leaderboard.json, pareto.png")


def leaderboard(config: DictConfig) -> list[Entry]:
    """Train and measure what is not kept yet, write and log the table, and return its entries.

    Parameters
    ----------
    config : DictConfig
        Composed from `conf/leaderboard.yaml`.

    Returns
    -------
    list of dict
        As `evaluation.standings.standings` takes them: a classifier that cannot be trained here has
        `skipped`, the reason.

    Raises
    ------
    PipelineError
        For an unknown classifier, or data that none could be trained on.
    """
    from pipeline.evaluation.standings import ranked
    from pipeline.families import family, log_may_fail
    from pipeline.files import atomic
    from pipeline.train import labelled_sentences

    names, output = chosen(config.models), Path(config.output)
    external = labelled_rows(config)
    labelled_sentences(config)
    unfinished = output / UNFINISHED
    before = unfinished.read_text().strip() if unfinished.is_file() else None
    tracking, entries = config.tracking, []
    with family(tracking.uri, tracking.experiment, "leaderboard", ROOT, resume=before) as parent:
        if parent:
            with atomic(unfinished) as temporary:
                temporary.write_text(parent.id)
        for n, name in enumerate(names, 1):
            sys.stdout.write(f"\n{n} of {len(names)}: {name}\n")
            sys.stdout.flush()
            entries.append(entry(name, config, external, parent))
            write_tables(output, entries, config)
        if parent:
            with log_may_fail():
                log(parent, config)
    unfinished.unlink(missing_ok=True)
    return ranked(entries)  # type: ignore[return-value]


def chosen(models: Any) -> list[str]:
    """Return the configured names, or all there are."""
    known = sorted(path.stem for path in (CONF / "model").glob("*.yaml"))
    for name in models or ():
        if name not in known:
            raise ConfigError(f"models: no classifier {name!r}{nearest(str(name), known)}")
    return list(dict.fromkeys(models)) if models else known


def labelled_rows(config: DictConfig) -> list[dict[str, Any]]:
    """Return the rows of the external file, checked before anything is trained."""
    from pipeline.text.readers import read_rows

    if not (path := config.evaluation.external):
        return []
    rows = list(read_rows(path))
    if not rows:
        raise InputError(f"{path}: no rows")
    if (by := config.evaluation.by) and by not in rows[0]:
        raise ConfigError(f"evaluation.by={by}: no such column in {path}{nearest(by, list(rows[0]))}")
    return rows


def entry(name: str, config: DictConfig, external: list[dict[str, Any]], parent: Run | None) -> Entry:
    """Return what there is to say of one classifier, from what is kept or measured now."""
    from pipeline.families import log_may_fail
    from pipeline.kept import content_key, kept
    from pipeline.speed import speed

    folder = Path(config.output) / "models" / name
    made = training(config, name, folder)
    settings: Any = OmegaConf.to_container(made, resolve=True)
    key = content_key({part: settings[part] for part in DECIDES})
    try:
        result = kept(folder / "trained.json", key, lambda: train_in_a_process(made))
    except PipelineError as error:
        return {"model": name, "skipped": str(error)}
    result["speed"] = kept(folder / "speed.json", key, lambda: speed(folder / "bundle", sentences(folder)))
    if external:
        about = dict(config.evaluation)
        result |= kept(
            folder / "external.json",
            content_key(key, about),
            lambda: score(folder / "bundle", external, config),
        )
    if parent:
        with log_may_fail():
            log_child(result, parent, config)
    return {"model": name, **result}


def training(config: DictConfig, name: str, folder: Path) -> DictConfig:
    """Return the configuration that trains one classifier into a folder."""
    own = {"output": str(folder / "bundle"), "report": str(folder / "report")}
    made = composed("train", [f"model={name}"], **{key: config[key] for key in SHARED}, **own)
    made.split = {**config.split, "score_folds": config.score_folds.get(name, config.split.score_folds)}
    return made


def train_in_a_process(config: DictConfig) -> Entry:
    """Train in a process of its own: nothing left over from others, and no harm to them."""
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    with_this_code()
    container: Any = OmegaConf.to_container(config, resolve=True)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_end_with_parent) as pool:
        try:
            return pool.submit(_train, container).result()
        except BrokenProcessPool:
            raise PipelineError("its process was ended, perhaps for want of memory") from None


def _train(container: dict[str, Any]) -> Entry:
    from pipeline.progress import SPENT
    from pipeline.train import train

    metrics = train(OmegaConf.create(container))
    rate = metrics["data"]["train"] / SPENT["fit"]
    kept = ("run_id", "data", "cross_validation", "test")
    return {
        **{name: metrics[name] for name in kept},
        "training": {"processor_seconds": SPENT["fit"], "sentences_per_second": rate},
    }


def _end_with_parent() -> None:
    """End this process when the one that started it is gone, so that it writes nothing behind its back."""
    import os
    from multiprocessing import parent_process
    from multiprocessing.connection import wait
    from threading import Thread

    parent = parent_process()

    def watch() -> None:
        if parent:
            wait([parent.sentinel])
            os._exit(1)

    Thread(target=watch, daemon=True).start()


def sentences(folder: Path) -> list[str]:
    """Return the test sentences of a trained classifier."""
    import pyarrow.parquet as pq

    return pq.read_table(folder / "report" / "test.parquet", columns=["text"])["text"].to_pylist()


def score(bundle: Path, rows: list[dict[str, Any]], config: DictConfig) -> Entry:
    """Return a bundle's scores on the external rows."""
    from pipeline.bundle import load
    from pipeline.evaluate import evaluate

    about = config.evaluation
    return evaluate(
        load(bundle), rows, by=about.by, group=about.group, seed=config.seed, where=str(about.external)
    )


def write_tables(output: Path, entries: list[Entry], config: DictConfig) -> None:
    """Write table, figures and plot of what was measured so far."""
    from pipeline.evaluation.charts import pareto
    from pipeline.evaluation.standings import judged, ranked, standings
    from pipeline.files import atomic, write_json

    write_json(output / "leaderboard.json", ranked(entries))
    done = [one for one in entries if "test" in one]
    with atomic(output / "leaderboard.md") as temporary:
        temporary.write_text(f"{standings(entries)}\n\n{notes(done, config)}\n", encoding="utf-8")
    points = [
        {"name": one["model"], "rate": one["speed"]["sentences_per_second"], **judged(one)["macro_f1"]}
        for one in done
    ]
    where = Path(config.evaluation.external).name if config.evaluation.external else "the test articles"
    if points:
        size = judged(done[0])["sentences"]
        with atomic(output / "pareto.png") as temporary:
            pareto(temporary, points, f"Quality and speed, {size:,} sentences of {where}")


def notes(done: list[Entry], config: DictConfig) -> str:
    """Return what a reader of the table has to know, with the commit it came from."""
    if not done:
        return f"Commit {commit()}."
    data = done[0]["data"]
    external = f" External: {Path(config.evaluation.external).name}." if config.evaluation.external else ""
    return (
        f"Macro-F1 with 95 % intervals, articles resampled; {data['train']:,} sentences to train on, in the "
        f"same {done[0]['cross_validation']['folds']['all']} folds for all.{external} Seconds are processor "
        "time. Training: cross-validation and the last fit. Scoring: on one core. First label: a new Python "
        "process until it has labelled one sentence. "
        f"Commit {commit()}, corpus {data['digest'][:12]}, seed {config.seed}."
    )


def commit() -> str:
    """Return the short name of the commit, marked where files differ from it."""
    git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=, changed since", "--exclude=*"]
    try:
        return subprocess.run(git, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def log_child(result: Entry, parent: Run, config: DictConfig) -> None:
    """Log to the run of a training what was measured after it, and make it a child."""
    from pipeline.tracking.run import logged

    run = logged(config.tracking.uri, result["run_id"], ROOT) if result["run_id"] else None
    if run is None:  # kept from another store
        return
    parent.adopt(run)
    if "external" in result:
        run.metrics(result["external"], "external")
    for value, block in result.get("by", {}).items():
        run.metrics(block, f"external/{value}")
    run.numbers({f"training/{name}": value for name, value in result["training"].items()})
    run.numbers({f"scoring/{name}": value for name, value in result["speed"].items()})


def log(parent: Run, config: DictConfig) -> None:
    """Log the table to the parent run."""
    parent.parameters(OmegaConf.to_container(config, resolve=True))  # type: ignore[arg-type]
    for name in ("leaderboard.md", "leaderboard.json", "pareto.png"):
        if (path := Path(config.output) / name).is_file():
            parent.file(path)


def marked(page: Path) -> tuple[str, str]:
    """Return what is before and after the marked lines of a page.

    Raises
    ------
    InputError
        For a page without the marks.
    """
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise InputError(
            f"write={page}: no lines {BEGIN.strip()} and {END} in it; put them where the table goes"
        )
    return before, after


def replace(page: Path, table: str) -> None:
    """Put a table between the marks of a page."""
    from pipeline.files import atomic

    before, after = marked(page)
    with atomic(page) as temporary:
        temporary.write_text(f"{before}{BEGIN}{table}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
