"""The folder of a training run: metrics, predictions, errors, plots and page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

# What tells the folder of a run, or one with nothing but an evaluation in it, from another.
MARKS = (("metrics.json", "predictions.parquet"), ("external.json",))

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pipeline.evaluation.data import Data
    from pipeline.models.training import CrossValidated


def report(
    folder: Path,
    metrics: dict[str, Any],
    data: Data,
    predicted: dict[str, Any],
    bundle: Any,
    configured: str,
    crossed: CrossValidated,
    origin: dict[str, str],
) -> None:
    """Write metrics, errors, plots and page of the test articles; replaces only a report, as a whole."""
    import json

    from pipeline.evaluation.errors import error_rows, write_errors
    from pipeline.evaluation.plots import draw, draw_abstention
    from pipeline.files import atomic

    rows = data.split.test
    with atomic(folder, *MARKS) as temporary:
        temporary.mkdir()
        (temporary / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
        errors = error_rows(
            data.table.take(rows),
            data.y[rows],
            predicted["predicted"],
            predicted["probabilities"],
            data.labels,
        )
        write_errors(temporary / "errors.csv", errors)
        title = f"{metrics['model']}, {len(rows)} sentences of the test articles"
        draw(
            temporary / "plots",
            data.y[rows],
            predicted["predicted"],
            predicted["probabilities"],
            data.labels.names,
            title,
        )
        draw_abstention(temporary / "plots", metrics["abstention"]["curve"], data.labels.names, title)
        tables(temporary, metrics, data, predicted["probabilities"])
        page(temporary, metrics, data, predicted, bundle, configured, origin)
        out_of_fold(temporary / "out_of_fold.parquet", data, crossed)


def page(
    folder: Path,
    metrics: dict[str, Any],
    data: Data,
    predicted: dict[str, Any],
    bundle: Any,
    configured: str,
    origin: dict[str, str],
) -> None:
    """Write the page that shows the run, and the predictions that it is compared by."""
    from pipeline.evaluation.predictions import FILE, predictions, write_predictions
    from pipeline.reports.run import run_page

    rows = data.split.test
    names = data.labels.names
    made = predictions(
        data.table.take(rows), data.y[rows], predicted["predicted"], predicted["probabilities"], names
    )
    write_predictions(folder / FILE, made)
    run_page(
        folder / "report.html",
        title=metrics["model"],
        bundle=bundle,
        blocks={"cross-validation": metrics["cross_validation"], "test": metrics["test"]},
        made=made,
        metrics=metrics,
        settings=configured,
        origin=origin,
    )


def tables(folder: Path, metrics: dict[str, Any], data: Data, probabilities: NDArray[np.float64]) -> None:
    """Write what `dvc metrics` and `dvc plots` show, and the test sentences for `pipeline.evaluate`."""
    import json

    from pipeline.evaluation.curves import precision_recall_rows
    from pipeline.rows import write_rows

    rows = data.split.test
    (folder / "scores.json").write_text(json.dumps(scores(metrics), indent=1) + "\n", encoding="utf-8")
    test = data.table.take(rows)
    write_rows(folder / "test.parquet", test.to_batches(), test.schema)
    curves = precision_recall_rows(data.y[rows], probabilities, data.labels.names)
    write_rows(folder / "precision_recall.csv", [curves], curves.schema)


def out_of_fold(path: Path, data: Data, crossed: CrossValidated) -> None:
    """Write the training sentences with the probabilities of models that had not seen them."""
    import pyarrow as pa

    from pipeline.rows import write_rows

    table = data.table.take(data.split.train[crossed.rows])
    columns = [pa.array(column) for column in crossed.probabilities.T]
    table = table.append_column("scores", pa.StructArray.from_arrays(columns, names=list(data.labels.names)))
    write_rows(path, table.to_batches(), table.schema)


def scores(metrics: dict[str, Any]) -> dict[str, Any]:
    """Return the few scores that runs are compared by."""
    return {
        short: {
            "macro_f1": metrics[block]["macro_f1"]["value"],
            "micro_f1": metrics[block]["micro_f1"]["value"],
            "subset_accuracy": metrics[block]["subset_accuracy"]["value"],
            **{name: one["f1"] for name, one in metrics[block]["per_label"].items()},
        }
        for short, block in (("cv", "cross_validation"), ("test", "test"))
    }
