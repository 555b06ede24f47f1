"""Versions of the registered model: who is champion, who challenges, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.schema import PipelineError

CHAMPION, CHALLENGER = "champion", "challenger"
REPLACED = "replaced"  # tag of a champion: the version it took over from


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

    The first version is champion too: somebody has to be.
    """
    if not any(model.name == name for model in client.search_registered_models(f"name = '{name}'")):
        client.create_registered_model(name, description="Classifiers of news sentences.")
    # By its place: `models:/…` would be looked for in the store that is MLflow's default at the time.
    place = client.get_logged_model(model_id).artifact_location
    made = client.create_model_version(name, place, run_id=run_id, model_id=model_id)
    client.set_registered_model_alias(name, CHALLENGER, made.version)
    if CHAMPION not in aliases(client, name):
        client.set_registered_model_alias(name, CHAMPION, made.version)
    return str(made.version)


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


def promote(client: Any, name: str, run_id: str) -> Promotion:
    """Make the version of a run the champion; it remembers whom it replaced.

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
    before = aliases(client, name).get(CHAMPION, "")
    if before == version:
        raise RegistryError(f"promote: version {version} of {name!r} is champion already")
    client.set_model_version_tag(name, version, REPLACED, before)
    client.set_registered_model_alias(name, CHAMPION, version)
    return Promotion(name, version, before)


def roll_back(client: Any, name: str) -> Promotion:
    """Give the title back to the version that the champion took it from.

    Raises
    ------
    RegistryError
        Where there is no champion, or none before it.
    """
    version = aliases(client, name).get(CHAMPION)
    if version is None:
        raise RegistryError(f"rollback: registered model {name!r} has no champion")
    before = client.get_model_version(name, version).tags.get(REPLACED)
    if not before:
        raise RegistryError(f"rollback: version {version} of {name!r} replaced no other")
    client.set_registered_model_alias(name, CHAMPION, before)
    return Promotion(name, before, version)
