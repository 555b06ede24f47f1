"""Every configuration composes, and what it describes can be made."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

CONF = Path(__file__).resolve().parents[2] / "conf"


def composable():
    return [path.stem for path in sorted(CONF.glob("*.yaml")) if path.stem != "common"]


def groups_of(name):
    """Return the groups of a primary config's defaults list."""
    found = []
    for item in OmegaConf.load(CONF / f"{name}.yaml").get("defaults", []):
        if not isinstance(item, str):
            found += [key.split()[-1] for key in item if not key.startswith("override")]
    return [group for group in found if (CONF / group).is_dir()]


CHOICES = [
    (name, group, choice.stem)
    for name in composable()
    for group in groups_of(name)
    for choice in sorted((CONF / group).glob("*.yaml"))
    if choice.stem not in ("table", "hub") or name in ("train", "curve")  # tables need no joining
]


def resolved(config):
    return OmegaConf.to_container(config, resolve=True, throw_on_missing=False)


@pytest.mark.parametrize("name", composable())
def test_primary_configs_compose_and_resolve(compose, name):
    found = resolved(compose(name))
    assert isinstance(found["seed"], int)
    assert Path(found["paths"]["root"]) == CONF.parent


def test_there_are_choices():
    assert {("train", "model", "tfidf_logreg"), ("label", "labels", "news")} <= set(CHOICES)


@pytest.mark.parametrize(("name", "group", "choice"), CHOICES, ids=lambda value: value)
def test_every_choice_composes_and_resolves(compose, name, group, choice):
    prefix = "+" if group == "experiment" else ""
    config = compose(name, [f"{prefix}{group}={choice}"])
    for key in ("train", "name"):
        if "corpus" in config and OmegaConf.is_missing(config.corpus, key):
            config.corpus[key] = "x"
    assert resolved(config)


MODELS = [path.stem for path in sorted((CONF / "model").glob("*.yaml"))]


@pytest.mark.parametrize("choice", MODELS)
def test_every_model_can_be_made(compose, choice):
    from hydra.utils import instantiate
    from sklearn.base import clone

    config = compose("train", [f"model={choice}", "seed=11"])
    model = instantiate(config.model.estimator, _convert_="all")
    clone(model)
    assert callable(model.fit)
    assert config.model.name == choice
    states = {value for key, value in model.get_params().items() if key.endswith("random_state")}
    assert states - {None} <= {11}, "a seed of its own"


@pytest.mark.parametrize("choice", [path.stem for path in sorted((CONF / "decision").glob("*.yaml"))])
def test_every_decision_can_be_made_and_fitted(compose, choice):
    import numpy as np
    from hydra.utils import instantiate

    decision = instantiate(compose("train", [f"decision={choice}"]).decision, task="multilabel")
    decision.fit(np.array([[0.0], [1.0], [2.0]]), np.array([[0], [1], [1]], np.int8))
    assert decision.thresholds_.shape == (1,)


@pytest.mark.parametrize("choice", [path.stem for path in sorted((CONF / "labels").glob("*.yaml"))])
def test_every_label_set_is_one(compose, choice):
    from pipeline.labels.labelset import label_set

    config = compose("train", [f"labels={choice}"]).labels
    if choice == "found":
        config.names = ["a", "b"]  # told from the data
    found = label_set(OmegaConf.to_container(config, resolve=True))
    assert len(found.names) > 1
    assert set(found.definitions) in (set(), set(found.names))


@pytest.mark.parametrize("path", sorted(CONF.rglob("*.yaml")), ids=lambda path: str(path.relative_to(CONF)))
def test_every_file_says_what_it_is(path):
    first = path.read_text(encoding="utf-8").splitlines()[:3]
    assert any(line.startswith("# ") and "@package" not in line for line in first)


def test_one_seed():
    """Whatever is random takes it from the one in the configuration."""
    for path in sorted(CONF.rglob("*.yaml")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if "random_state:" in line:
                assert "${seed}" in line, path
