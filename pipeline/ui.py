"""Stage: show what was logged, in MLflow's own pages."""

from __future__ import annotations

import os
import sys

from omegaconf import DictConfig

from pipeline.app import ROOT, stage
from pipeline.schema import InputError


@stage("ui")
def main(config: DictConfig) -> None:
    """Say where the runs are, and become MLflow's server unless there is one already."""
    from pipeline.experiments import view_path
    from pipeline.tracking.stores import connected, default_uri

    uri = config.tracking.uri or default_uri(ROOT)
    served = uri.startswith("http")
    with connected(uri, ROOT) as client:
        found = client.get_experiment_by_name(config.tracking.experiment)
    if found is None:
        raise InputError(f"tracking.experiment={config.tracking.experiment}: no runs yet; make train")
    address = uri.rstrip("/") if served else f"http://127.0.0.1:{config.port}"
    sys.stdout.write(f"runs and their scores: {address}{view_path(found.experiment_id)}\n")
    sys.stdout.flush()
    if not served:
        server = [
            sys.executable,
            "-m",
            "mlflow",
            "ui",
            "--backend-store-uri",
            uri,
            "--port",
            str(config.port),
        ]
        os.execv(sys.executable, server)


if __name__ == "__main__":
    main()
