"""All that knows Optuna: what is tried next, what was tried, and what mattered."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.schema import ConfigError

RANGE = {"low", "high", "log"}
STARTUP = 6  # random ones, before the sampler has something to go by
Space = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Trial:
    """One choice of settings.

    Attributes
    ----------
    number : int
        From 1, without those that were broken off.
    settings : dict of str to object
        Key to value.
    value : float or None
        What is maximised; None where the settings cannot be used.
    about : dict
        What was kept with it.
    """

    number: int
    settings: dict[str, Any]
    value: float | None
    about: dict[str, Any]


class Search:
    """A study in a SQLite file. Broken off and gone on with, it has the trials that it would have had.

    Parameters
    ----------
    path : path
        Other studies may be in it too.
    name : str
        Of the study: its trials have the same space, data and code.
    space : mapping of str to object
        Key to a range (`low`, `high`, optionally `log`) or a list of choices.
    seed : int

    References
    ----------
    Bergstra, J. et al. (2011). Algorithms for hyper-parameter optimization: the tree-structured Parzen
    estimator that proposes settings.
    Hutter, F., Hoos, H. & Leyton-Brown, K. (2014). An efficient approach for assessing hyperparameter
    importance.
    """

    def __init__(self, path: Path, name: str, space: Space, seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.seed = seed
        self.distributions = {key: _distribution(key, value) for key, value in space.items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
        self.study = optuna.create_study(
            storage=storage, study_name=name, direction="maximize", load_if_exists=True
        )
        self._requeue()

    @property
    def run(self) -> str | None:
        """Id of the tracking run that the study belongs to."""
        return self.study.user_attrs.get("run")

    @run.setter
    def run(self, run_id: str) -> None:
        self.study.set_user_attr("run", run_id)

    def trials(self) -> list[Trial]:
        """Return what was tried, in order."""
        from optuna.trial import TrialState

        ended = [t for t in self.study.get_trials(deepcopy=False) if t.state == TrialState.COMPLETE]
        failed = [t for t in self.study.get_trials(deepcopy=False) if "error" in t.user_attrs]
        ordered = sorted([*ended, *failed], key=lambda t: t.number)
        return [
            Trial(n, dict(t.params), t.value if t.values else None, dict(t.user_attrs))
            for n, t in enumerate(ordered, 1)
        ]

    def best(self) -> Trial | None:
        """Return the trial of highest value, the first of equals."""
        scored = [trial for trial in self.trials() if trial.value is not None]
        return max(scored, key=lambda trial: trial.value or 0.0, default=None)

    def ask(self) -> Any:
        """Return Optuna's next trial, with `params`."""
        import optuna

        # A seed for each trial: what comes next depends on what was tried, not on when it was.
        self.study.sampler = optuna.samplers.TPESampler(
            seed=self.seed + len(self.trials()), n_startup_trials=STARTUP
        )
        return self.study.ask(self.distributions)

    def tell(self, trial: Any, value: float | None, about: Mapping[str, Any]) -> None:
        """Record the value of a trial, or with None that its settings cannot be used (`about["error"]`)."""
        from optuna.trial import TrialState

        for key, one in about.items():
            trial.set_user_attr(key, one)
        self.study.tell(trial, value, state=TrialState.FAIL if value is None else TrialState.COMPLETE)

    def importances(self) -> dict[str, float]:
        """Return each setting's share in the variance of the values; empty where they do not vary."""
        from optuna.importance import FanovaImportanceEvaluator, get_param_importances

        values = {trial.value for trial in self.trials() if trial.value is not None}
        if len(values) < 2 or not self.distributions:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return get_param_importances(self.study, evaluator=FanovaImportanceEvaluator(seed=self.seed))

    def _requeue(self) -> None:
        """Try first what was being tried when an earlier run was broken off."""
        from optuna.trial import TrialState

        for trial in self.study.get_trials(states=[TrialState.RUNNING]):
            self.study.tell(trial.number, state=TrialState.FAIL)
            self.study.enqueue_trial(trial.params)


def _distribution(key: str, value: Any) -> Any:
    """Return Optuna's distribution of a range or a list of choices."""
    from optuna import distributions

    if isinstance(value, list) and value:
        return distributions.CategoricalDistribution(value)
    if not isinstance(value, Mapping) or not {"low", "high"} <= set(value) <= RANGE:
        raise ConfigError(f"sweep.space: {key}: expected a list of choices, or low, high and maybe log: true")
    low, high, log = value["low"], value["high"], bool(value.get("log", False))
    whole = isinstance(low, int) and isinstance(high, int)
    kind = distributions.IntDistribution if whole else distributions.FloatDistribution
    try:
        return kind(low, high, log=log)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"sweep.space: {key}: {error}") from None
