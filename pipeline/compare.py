"""Stage: compare runs on the same sentences, promote the better one, or roll back."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from pipeline.app import ROOT, stage
from pipeline.schema import ConfigError, PipelineError
from pipeline.terminal import say, warn

if TYPE_CHECKING:
    from pipeline.registry import Promotion
    from pipeline.runs import Compared, Found


class NotPromotedError(PipelineError):
    """The comparison speaks against the challenger."""


@stage("compare")
def main(config: DictConfig) -> None:
    """Run the stage."""
    if config.rollback:
        say(rolled_back(config))
        return
    result = compare(config)
    if config.promote:
        say(promoted(config, result))


def compare(config: DictConfig) -> dict[str, Any]:
    """Compare the configured runs, write and log the comparison, and return it.

    Parameters
    ----------
    config : DictConfig
        Composed from `conf/compare.yaml`.

    Raises
    ------
    PipelineError
        For runs that cannot be found, or were tested on different data.
    """
    from pipeline.evaluation.comparison import check_same
    from pipeline.evaluation.comparison import compare as compared_to_first
    from pipeline.evaluation.tables import comparison_table
    from pipeline.files import write_json
    from pipeline.reports.comparison import comparison_page

    runs = runs_of(config)
    names = [run.found.name for run in runs]
    check_same([run.made for run in runs], names)
    pairs = compared_to_first([run.made for run in runs], seed=config.seed)
    result = described(config, runs, pairs)
    page = Path(config.page or Path(config.output).with_suffix(".html"))
    write_json(config.output, result)
    comparison_page(page, result)
    say(comparison_table(result))
    logged = log(config, result, [Path(config.output), page])
    say(f"\nwritten to {config.output} and {page}{f'; logged as {logged}' if logged else ''}")
    return result


def runs_of(config: DictConfig) -> list[Compared]:
    """Return the runs with what they said of each sentence."""
    from pipeline.registry import runs_of as runs_with_an_alias
    from pipeline.runs import fetch, find
    from pipeline.tracking import connected

    wanted = OmegaConf.to_container(config.runs) if not isinstance(config.runs, str) else config.runs
    with ExitStack() as stack:
        client = stack.enter_context(connected(config.tracking.uri, ROOT))
        aliased = runs_with_an_alias(client, config.tracking.register)
        found = find(client, config.tracking.experiment, wanted, aliased)  # type: ignore[arg-type]
        if config.input is not None:
            return scored(found, client, config)
        temporary = stack.enter_context(tempfile.TemporaryDirectory())
        return [fetch(client, one, Path(temporary)) for one in found]


def scored(found: Sequence[Found], client: Any, config: DictConfig) -> list[Compared]:
    """Score the classifiers of runs on a labelled file."""
    from dataclasses import replace

    from pipeline.bundle import load
    from pipeline.evaluate import score
    from pipeline.runs import Compared, bundle_uri
    from pipeline.text.readers import read_rows
    from pipeline.tracking import local_folder

    rows = list(read_rows(config.input))
    runs = []
    for one in found:
        bundle = load(local_folder(bundle_uri(client, one), ROOT, config.tracking.uri))
        began = time.perf_counter()
        made = score(bundle, rows, group="article", where=str(config.input))
        speed = len(rows) / (time.perf_counter() - began)
        numbers = one.numbers | {"sentences_per_second": speed}
        runs.append(Compared(replace(one, numbers=numbers), made, {"model": bundle.card.get("model")}))
    return runs


def described(config: DictConfig, runs: Sequence[Compared], pairs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return all that is known of the comparison: what files, page and console show."""
    from pipeline.reports.blocks import rates

    first = runs[0]
    return {
        "input": None if config.input is None else str(config.input),
        "sentences": len(first.made.y),
        "articles": len(set(first.made.articles)),
        "labels": list(first.made.labels),
        "margin": float(config.margin),
        "runs": [
            {
                "name": run.found.name,
                "run_id": run.found.id,
                "model": run.metrics.get("model"),
                "train_seconds": run.found.numbers.get("seconds/train"),
                "sentences_per_second": run.found.numbers.get("sentences_per_second"),
                "behaviour": rates(run.metrics.get("behaviour") or {}),
            }
            for run in runs
        ],
        "pairs": pairs,
    }


def log(config: DictConfig, result: dict[str, Any], files: Sequence[Path]) -> str:
    """Log the comparison as a run of its own experiment; a store out of reach costs the log only."""
    from pipeline.tracking import TrackingError, run

    experiment = f"{config.tracking.experiment} comparisons"
    names = [one["name"] for one in result["runs"]]
    try:
        with run(config.tracking.uri, experiment, " vs ".join([names[0], *names[1:]]), ROOT) as opened:
            for other, pair in zip(result["runs"][1:], result["pairs"], strict=True):
                last = "" if len(names) == 2 else f"{other['name']}/"
                opened.numbers(
                    {
                        f"{last}{name}/{key}": score[key]
                        for name, score in pair["scores"].items()
                        for key in ("difference", "low", "high", "p")
                    }
                )
            opened.tags({"reference": names[0], "verdict": result["pairs"][-1]["verdict"]})
            for path in files:
                opened.file(path)
            return f"{opened.name} in {experiment!r}"
    except TrackingError as error:
        warn(f"{error} The comparison is not logged.")
        return ""


def promoted(config: DictConfig, result: dict[str, Any]) -> str:
    """Make the second run champion, and say so.

    Raises
    ------
    ConfigError
        Where the runs are not the champion and one other.
    NotPromotedError
        Where the comparison speaks against it.
    """
    from pipeline.evaluation.promotion import objections
    from pipeline.registry import CHAMPION, promote, runs_of
    from pipeline.tracking import connected

    if len(result["runs"]) != 2:
        raise ConfigError(f"promote=true: takes the champion and one other, got {len(result['runs'])} runs")
    champion, challenger = result["runs"]
    with connected(config.tracking.uri, ROOT) as client:
        name = config.tracking.register
        reigning = runs_of(client, name).get(CHAMPION)
        if champion["run_id"] != reigning or not reigning:
            raise ConfigError(f"promote=true: {champion['name']} is not champion; give runs=[champion,RUN]")
        against = objections(
            result["pairs"][0], champion["behaviour"], challenger["behaviour"], margin=config.margin
        )
        if against:
            raise NotPromotedError(f"{challenger['name']} is not promoted: {'; '.join(against)}")
        done = promote(client, name, challenger["run_id"])
    tested = "" if champion["behaviour"] else " No behaviour tests were there to hold."
    return f"{announced(done)}{tested} Back: python -m pipeline.compare rollback=true"


def rolled_back(config: DictConfig) -> str:
    """Give the title back to the champion before, and say so."""
    from pipeline.registry import roll_back
    from pipeline.tracking import connected

    with connected(config.tracking.uri, ROOT) as client:
        return announced(roll_back(client, config.tracking.register))


def announced(done: Promotion) -> str:
    """Return who is champion now."""
    return f"version {done.version} of {done.model!r} is champion now (before: {done.before or 'none'})."


if __name__ == "__main__":
    main()
