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
    if (config.promote or config.rollback) and not config.tracking.register:
        what = "rollback" if config.rollback else "promote"
        raise ConfigError(f"{what}=true: tracking.register=null names no model that could have a champion")
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
    from pipeline.evaluation.behaviour_comparison import behaviour_differences
    from pipeline.evaluation.comparison import check_same
    from pipeline.evaluation.comparison import compare as compared_to_first
    from pipeline.evaluation.tables import comparison_table
    from pipeline.files import write_json
    from pipeline.reports.comparison import comparison_page

    runs = runs_of(config)
    names = [run.found.name for run in runs]
    check_same([run.made for run in runs], names)
    pairs = compared_to_first([run.made for run in runs], seed=config.seed)
    for run, pair in zip(runs[1:], pairs, strict=True):
        one, other = (some.metrics.get("behaviour") for some in (runs[0], run))
        pair["behaviour"] = behaviour_differences(one, other) if one and other else []
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
    from pipeline.tracking.stores import connected

    wanted = OmegaConf.to_container(config.runs) if not isinstance(config.runs, str) else config.runs
    with ExitStack() as stack:
        client = stack.enter_context(connected(config.tracking.uri, ROOT))
        aliased = runs_with_an_alias(client, config.tracking.register)
        found = find(client, config.tracking.experiment, wanted, aliased)  # type: ignore[arg-type]
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if config.input is not None:
            return scored(found, client, config, folder)
        return [fetch(client, one, folder) for one in found]


def scored(found: Sequence[Found], client: Any, config: DictConfig, folder: Path) -> list[Compared]:
    """Score the classifiers of runs on a labelled file; what else is known of them is of their training."""
    from dataclasses import replace

    from pipeline.bundle import load
    from pipeline.evaluate import score
    from pipeline.runs import Compared, bundle_uri, metrics_of
    from pipeline.text.readers import read_rows
    from pipeline.tracking.locate import local_folder

    rows = list(read_rows(config.input))
    runs = []
    for one in found:
        bundle = load(local_folder(bundle_uri(client, one), ROOT, config.tracking.uri))
        began = time.perf_counter()
        made = score(bundle, rows, group="article", where=str(config.input))
        speed = len(rows) / (time.perf_counter() - began)
        numbers = one.numbers | {"sentences_per_second": speed}
        metrics = metrics_of(client, one, folder) | {"model": bundle.card.get("model")}
        runs.append(Compared(replace(one, numbers=numbers), made, metrics))
    return runs


def described(config: DictConfig, runs: Sequence[Compared], pairs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return all that is known of the comparison: what files, page and console show."""
    from pipeline.runs import cost

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
                **cost(run),
                "behaviour_tested": "behaviour" in run.metrics,
            }
            for run in runs
        ],
        "pairs": pairs,
    }


def log(config: DictConfig, result: dict[str, Any], files: Sequence[Path]) -> str:
    """Log the comparison as a run of its own experiment; a store out of reach costs the log only."""
    from pipeline.tracking.run import metric_names, run
    from pipeline.tracking.stores import TrackingError

    experiment = f"{config.tracking.experiment} comparisons"
    names = [one["name"] for one in result["runs"]]
    # Of two runs there is one pair, whose name says nothing.
    prefixes = [""] if len(names) == 2 else [f"{name}/" for name in metric_names(names[1:])]
    try:
        with run(config.tracking.uri, experiment, " vs ".join(names), ROOT) as opened:
            opened.tags({"reference": names[0]})
            for prefix, pair in zip(prefixes, result["pairs"], strict=True):
                opened.numbers({f"{prefix}{name}": value for name, value in numbers(pair).items()})
                opened.tags({f"{prefix}verdict": pair["verdict"]})
            for path in files:
                opened.file(path)
            return f"{opened.name} in {experiment!r}"
    except TrackingError as error:
        warn(f"{error} The comparison is not logged.")
        return ""


def numbers(pair: dict[str, Any]) -> dict[str, float]:
    """Return differences and their adjusted p-values under names that MLflow allows."""
    from pipeline.tracking.run import metric_names

    tests = pair["scores"] | pair["labels"]
    kinds = {"difference": "difference", "low": "low", "high": "high", "p": "p_holm"}
    return {
        f"{name}/{kind}": test[key]
        for name, test in zip(metric_names(list(tests)), tests.values(), strict=True)
        for kind, key in kinds.items()
        if key in test
    }


def promoted(config: DictConfig, result: dict[str, Any]) -> str:
    """Make the second run champion, and say so.

    Raises
    ------
    ConfigError
        Where the runs are not the champion and one other, or behaviour tests are missing.
    NotPromotedError
        Where the comparison speaks against it.
    """
    from pipeline.evaluation.promotion import objections
    from pipeline.registry import CHAMPION, promote, runs_of
    from pipeline.tracking.stores import connected

    if len(result["runs"]) != 2:
        raise ConfigError(f"promote=true: takes the champion and one other, got {len(result['runs'])} runs")
    (champion, challenger), (pair,) = result["runs"], result["pairs"]
    with connected(config.tracking.uri, ROOT) as client:
        name = config.tracking.register
        reigning = runs_of(client, name).get(CHAMPION)
        if champion["run_id"] != reigning or not reigning:
            raise ConfigError(f"promote=true: {champion['name']} is not champion; give runs=[champion,RUN]")
        if config.behaviour:
            check_behaviour([champion, challenger])
        else:
            pair = pair | {"behaviour": []}
        if against := objections(pair, margin=config.margin):
            raise NotPromotedError(f"{challenger['name']} is not promoted: {'; '.join(against)}")
        done = promote(client, name, challenger["run_id"])
    tested = "" if config.behaviour else " Behaviour tests were left aside."
    return f"{announced(done)}{tested} Back: python -m pipeline.compare rollback=true"


def check_behaviour(runs: Sequence[dict[str, Any]]) -> None:
    """Raise ConfigError for a run without behaviour tests: nothing says that it behaves no worse."""
    if without := [run["name"] for run in runs if not run["behaviour_tested"]]:
        raise ConfigError(
            f"promote=true: no behaviour tests were run for {' and '.join(without)}; train with "
            "behaviour=true, or promote without them: behaviour=false"
        )


def rolled_back(config: DictConfig) -> str:
    """Give the title back to the champion before, and say so."""
    from pipeline.registry import roll_back
    from pipeline.tracking.stores import connected

    with connected(config.tracking.uri, ROOT) as client:
        return announced(roll_back(client, config.tracking.register))


def announced(done: Promotion) -> str:
    """Return who is champion now."""
    return f"version {done.version} of {done.model!r} is champion now (before: {done.before or 'none'})."


if __name__ == "__main__":
    main()
