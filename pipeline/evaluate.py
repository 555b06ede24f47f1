"""Stage: score a bundle on any labelled file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from pipeline.app import ROOT, stage
from pipeline.labels.values import label_names
from pipeline.schema import ConfigError, InputError, nearest
from pipeline.terminal import say

if TYPE_CHECKING:
    from pipeline.bundle import Bundle
    from pipeline.evaluation.predictions import Predictions


def evaluate(
    bundle: Bundle,
    rows: Sequence[dict[str, Any]],
    *,
    by: str | None = None,
    group: str | None = None,
    behaviour: str | Path | None = None,
    seed: int = 0,
    where: str = "input",
    made: Predictions | None = None,
) -> dict[str, Any]:
    """Return the scores of a bundle on labelled rows.

    Parameters
    ----------
    bundle : Bundle
    rows : sequence of dict
        With `text` and `labels`: names as `pipeline.labels.values` reads them.
    by : str, optional
        Column whose every value gets a block of its own.
    group : str, optional
        Column of the article; where the rows have none, rows are resampled.
    behaviour : path, optional
        Folder of behaviour tests to run, on the rows' texts too.
    seed : int
        Of the resampling.
    where : str
        Name of the input in error messages.
    made : Predictions, optional
        What `score` gave for the rows, where it is known already.

    Returns
    -------
    dict
        `external`, a block of scores; `truncated`, how many rows are longer than the encoder reads, None
        where there is none; `by`, one block for each value of the column; `slices`, see
        `evaluation.slices`; `behaviour`, see `evaluation.behaviour`; `abstention`, see
        `evaluation.abstention`, where the bundle leaves sentences to a person.

    Raises
    ------
    InputError, ConfigError
        For labels the bundle does not know, or a column the rows do not have.
    """
    import numpy as np

    from pipeline.evaluation import metrics
    from pipeline.evaluation.abstention import abstention
    from pipeline.evaluation.behaviour import run_tests
    from pipeline.evaluation.behaviour_tests import read_tests
    from pipeline.evaluation.slices import COLUMNS, slices

    if not rows:
        raise InputError(f"{where}: no rows")
    if by and by not in rows[0]:
        raise ConfigError(f"by={by}: no such column in {where}{nearest(by, list(rows[0]))}")
    made = made or score(bundle, rows, group=group, where=where)
    texts = [row["text"] or "" for row in rows]
    groups = None
    if group and any(row.get(group) is not None for row in rows):
        # A row without an article is one of its own.
        own = (row.get(group) for row in rows)
        groups = np.array([f"row {n}" if one is None else f"article {one}" for n, one in enumerate(own)])

    def block(chosen: Any) -> dict[str, Any]:
        return metrics.evaluate(
            made.y[chosen],
            made.predicted[chosen],
            made.scores[chosen],
            labels=bundle.labels.names,
            thresholds=bundle.decision.reported_thresholds(),
            groups=None if groups is None else groups[chosen],
            seed=seed,
        )

    result: dict[str, Any] = {"external": block(slice(None)), "truncated": bundle.truncated(texts)}
    if by:
        values = np.array([str(row.get(by)) for row in rows])
        result["by"] = {value: block(values == value) for value in sorted(set(values.tolist()))}
    columns = {name: [row.get(name) for row in rows] for name in COLUMNS}
    result["slices"] = slices(
        bundle.score,
        texts,
        columns,
        made.y,
        made.predicted,
        labels=bundle.labels.names,
        groups=None if groups is None else groups.tolist(),
        seed=seed,
    )
    if bundle.abstains:
        undecided, exclusive = bundle.decision.undecided(made.scores), bundle.labels.task == "multiclass"
        point = abstention(
            made.y, made.predicted, undecided, labels=bundle.labels.names, groups=groups, exclusive=exclusive
        )
        rate = bundle.decision.error_rate
        result["abstention"] = {"error_rate": rate, "curve": [{"error_rate": rate, **point}]}
    if behaviour:
        tests = read_tests(behaviour, texts)
        result["behaviour"] = run_tests(bundle.score, tests, bundle.labels.names, texts, seed=seed)
    return result


def score(
    bundle: Bundle, rows: Sequence[dict[str, Any]], *, group: str | None = None, where: str = "input"
) -> Predictions:
    """Return what a bundle says of labelled rows, beside their true labels; see `evaluate`.

    Columns of text are carried over.
    """
    import pyarrow as pa

    from pipeline.evaluation.predictions import predictions
    from pipeline.labels.labelset import indicator

    if not rows:
        raise InputError(f"{where}: no rows")
    given = [names(row, f"{where}: row {n}") for n, row in enumerate(rows, 1)]
    try:
        y = indicator(given, bundle.labels)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    probabilities = bundle.probabilities([row["text"] for row in rows])
    every = {name: [row.get(name) for row in rows] for name in rows[0] if name != "labels"}
    columns = {
        name: pa.array(values, pa.string())
        for name, values in every.items()
        if all(value is None or isinstance(value, str) for value in values)
    }
    if group and any(row.get(group) is not None for row in rows):
        own = (row.get(group) for row in rows)
        columns["article"] = pa.array([None if one is None else str(one) for one in own], pa.string())
    else:
        columns.pop("article", None)
    predicted = bundle.decision.labels(probabilities)
    return predictions(pa.table(columns), y, predicted, probabilities, bundle.labels.names)


def names(row: dict[str, Any], where: str) -> list[str]:
    """Return the labels of a row."""
    if "labels" not in row:
        raise InputError(f"{where}: no column 'labels'{nearest('labels', list(row))}")
    try:
        return label_names(row["labels"])
    except InputError as error:
        raise InputError(f"{where}: field 'labels': {error}") from None


@stage("evaluate")
def main(config: DictConfig) -> None:
    """Run the stage."""
    from pipeline.bundle import load
    from pipeline.evaluation.abstention import abstention_line
    from pipeline.evaluation.behaviour_report import behaviour_table, weakest_line
    from pipeline.evaluation.tables import score_table
    from pipeline.files import write_json
    from pipeline.reports.run import run_page
    from pipeline.text.readers import read_rows
    from pipeline.tracking.locate import local_folder

    bundle = load(local_folder(config.model_uri, ROOT))
    rows = list(read_rows(config.input))
    made = score(bundle, rows, group=config.group, where=str(config.input))
    result = evaluate(
        bundle,
        rows,
        by=config.by,
        group=config.group,
        behaviour=config.behaviour_tests if config.behaviour else None,
        seed=config.seed,
        where=str(config.input),
        made=made,
    )
    header = {
        "input": str(config.input),
        "model": bundle.card.get("model"),
        "model_uri": str(config.model_uri),
    }
    write_json(Path(config.output), header | result)
    blocks = {"all": result["external"], **result.get("by", {})}
    page = Path(config.page or Path(config.output).with_suffix(".html"))
    title = f"{bundle.card.get('model', 'classifier')} on {Path(config.input).name}"
    external = {Path(config.input).name: result["external"]}
    run_page(page, title=title, bundle=bundle, blocks=external, made=made, metrics=result)
    said = [score_table(blocks), "intervals: 95 %"]
    said += [line] if (line := weakest_line(result["slices"])) else []
    said += [f"cut at max_length: {result['truncated']} sentences"] if result["truncated"] else []
    said += [abstention_line(result["abstention"]["curve"][0])] if bundle.abstains else []
    said += ["", behaviour_table(result["behaviour"]), ""] if config.behaviour else []
    say("\n".join([*said, f"written to {config.output} and {page}"]))


if __name__ == "__main__":
    main()
