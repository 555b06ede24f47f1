"""Versions of the registered model: who is champion, who challenges, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.schema import PipelineError

CHAMPION, CHALLENGER = "champion", "challenger"
CHAMPIONS = "champions"  # tag of a registered model: its champions up to this one, less those rolled back
REMEMBERED = 100


class RegistryError(PipelineError):
    """A registered model, version or alias that is not there."""


@dataclass(frozen=True, slots=True)
class Promotion:
    """Who is champion now, and who was.

    Attributes
    ----------
    model : str
    version, before : str
        Numbers of versions; `before` is empty where there was no champion.
    """

    model: str
    version: str
    before: str


def challenge(client: Any, name: str, model_id: str, run_id: str) -> str:
    """Register a logged model as a new version with the alias `challenger`, and return its number.

    Of the jobs of a multirun, the best by cross-validation keeps the alias. The first version is champion
    too: somebody has to be.
    """
    if not any(model.name == name for model in client.search_registered_models(f"name = '{name}'")):
        client.create_registered_model(name, description="Classifiers of news sentences.")
    # By its place: `models:/…` would be looked for in the store that is MLflow's default at the time.
    place = client.get_logged_model(model_id).artifact_location
    made = client.create_model_version(name, place, run_id=run_id, model_id=model_id)
    if not _better_sibling(client, run_id, runs_of(client, name).get(CHALLENGER)):
        client.set_registered_model_alias(name, CHALLENGER, made.version)
    if CHAMPION not in aliases(client, name):
        client.set_registered_model_alias(name, CHAMPION, made.version)
    return str(made.version)


def _better_sibling(client: Any, run_id: str, challenger: str | None) -> bool:
    """Return whether the challenger's run has the same parent and no lower cross-validated score."""
    run = client.get_run(run_id)
    parent = run.data.tags.get("mlflow.parentRunId")
    if parent is None or challenger is None:
        return False
    query = f"tags.`mlflow.parentRunId` = '{parent}' AND attributes.run_id = '{challenger}'"
    siblings = client.search_runs([run.info.experiment_id], query)
    score, *others = (one.data.metrics.get("cv/macro_f1", -1.0) for one in (run, *siblings))
    return any(other >= score for other in others)


def aliases(client: Any, name: str | None) -> dict[str, str]:
    """Return alias to number of version; nothing where there is no such model."""
    for model in client.search_registered_models(f"name = '{name}'") if name else ():
        if model.name == name:
            return {alias: str(version) for alias, version in model.aliases.items()}
    return {}


def version_of(client: Any, name: str, run_id: str) -> str | None:
    """Return the latest version that a run made."""
    found = [v for v in client.search_model_versions(f"name = '{name}'") if v.run_id == run_id]
    return str(max(int(v.version) for v in found)) if found else None


def runs_of(client: Any, name: str | None) -> dict[str, str]:
    """Return alias to the id of the run that made its version."""
    return {
        alias: str(client.get_model_version(name, version).run_id)
        for alias, version in aliases(client, name).items()
    }


def champions(client: Any, name: str) -> list[str]:
    """Return the champions so far without those that were rolled back; the last one is champion now."""
    if (current := aliases(client, name).get(CHAMPION)) is None:
        return []
    found = str(client.get_registered_model(name).tags.get(CHAMPIONS, "")).split()
    return found if found[-1:] == [current] else [*found, current]  # an alias may be moved by hand


def promote(client: Any, name: str, run_id: str) -> Promotion:
    """Make the version of a run the champion, and remember whom it replaced.

    Raises
    ------
    RegistryError
        Where the run made no version.
    """
    version = version_of(client, name, run_id)
    if version is None:
        raise RegistryError(
            f"promote: run {run_id} is no version of {name!r}; train it with tracking.register={name}"
        )
    past = champions(client, name)
    if past[-1:] == [version]:
        raise RegistryError(f"promote: version {version} of {name!r} is champion already")
    _crown(client, name, [*past, version])
    return Promotion(name, version, past[-1] if past else "")


def roll_back(client: Any, name: str) -> Promotion:
    """Give the title back to the version that the champion took it from.

    Raises
    ------
    RegistryError
        Where there is no champion, or none before it.
    """
    past = champions(client, name)
    if not past:
        raise RegistryError(f"rollback: registered model {name!r} has no champion")
    if len(past) < 2:
        raise RegistryError(f"rollback: version {past[0]} of {name!r} replaced no other")
    _crown(client, name, past[:-1])
    return Promotion(name, past[-2], past[-1])


def _crown(client: Any, name: str, past: list[str]) -> None:
    client.set_registered_model_tag(name, CHAMPIONS, " ".join(past[-REMEMBERED:]))
    client.set_registered_model_alias(name, CHAMPION, past[-1])
