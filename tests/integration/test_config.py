"""Every configuration composes, and what it describes can be made."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from pipeline.schema import ConfigError
from pipeline.settings import check

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
    for key in OmegaConf.missing_keys(config):
        OmegaConf.update(config, key, "x")
    check(resolved(config))


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


REFUSED = {
    "unknown key": ("train", ["split.fold=3"], "split.fold: unknown key; did you mean 'split.folds'?"),
    "unknown key elsewhere": ("train", ["fold=3"], "fold: unknown key; did you mean 'split.folds'?"),
    "unknown key added": ("predict", ["+worker=2"], "worker: unknown key; did you mean 'workers'?"),
    "unknown key forced": (
        "train",
        ["++split.fodls=3"],
        "split.fodls: unknown key; did you mean 'split.folds'?",
    ),
    "another stage's group": ("suggest", ["functions=mine"], "functions: unknown key"),
    "unknown key removed": ("train", ["~sed"], "sed: unknown key; did you mean 'seed'?"),
    "unknown choice": ("train", ["model=hybird"], "model=hybird: no such choice; did you mean 'hybrid'?"),
    "choice that is a number": ("train", ["split=3"], "Config group override must be a string"),
    "unfinished value": ("train", ["split.folds={"], "no viable alternative at input '{'"),
    "nothing given": ("predict", ["output=x.jsonl"], "input: must be given, as input="),
    "word for a number": (
        "train",
        ["seed=x"],
        "seed=x: must be a whole number, at least 0 and at most 4,294,967,295",
    ),
    "fraction for a whole number": (
        "train",
        ["split.folds=2.5"],
        "split.folds=2.5: must be a whole number, at least 2",
    ),
    "truth for a number": (
        "predict",
        ["input=a", "output=b", "workers=true"],
        "workers=True: must be a whole number",
    ),
    "negative folds": ("train", ["split.folds=-1"], "split.folds=-1: must be a whole number, at least 2"),
    "ratio over 1": (
        "train",
        ["split.test_ratio=1.5"],
        "split.test_ratio=1.5: must be a number, above 0 and below 1",
    ),
    "not a number": (
        "train",
        ["split.near_duplicate=nan"],
        "split.near_duplicate=nan: must be a number, above 0",
    ),
    "number for a path": ("ingest", ["input=3"], "input=3: must be a path"),
    "list for a path": ("ingest", ["input=[a,b]"], "must be a path"),
    "word for a switch": ("train", ["behaviour=maybe"], "behaviour=maybe: must be true or false"),
    "folds and time": ("train", ["split=time", "split.column=topic"], "has 't', not a date"),
    "two wishes at once": ("predict", ["input=a", "output=b.html", "drift=c.json"], "drift: not for a page"),
    "target": (
        "train",
        ["model.estimator._target_=os.system"],
        "_target_=os.system: not one that a configuration",
    ),
    "target added": (
        "train",
        ["+decision.x={_target_: builtins.eval}"],
        "_target_=builtins.eval: not one that",
    ),
    "target quoted": ("train", ["+decision.x={'_target_': 'os.system'}"], "_target_=os.system: not one that"),
    "target through a module": (
        "train",
        ["model.estimator._target_=sklearn.os.system"],
        "sklearn.os.system: not one",
    ),
    "target of Hydra": (
        "train",
        ["hydra.callbacks.multirun._target_=os.system"],
        "_target_=os.system: not one that",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_wrong_setting_is_one_line(name, stage, corpus, tmp_path, monkeypatch, store):
    monkeypatch.chdir(tmp_path)
    which, arguments, said = REFUSED[name]
    before = sorted(tmp_path.rglob("*"))
    more = [*corpus.overrides(tmp_path), f"tracking.uri={store}"] if which == "train" else []
    assert stage(which, *more, *arguments).refused(said)
    assert {path.name for path in set(tmp_path.rglob("*")) - set(before)} <= {
        *("labelled.parquet", "labelled.json", "labelled.disputed.jsonl"),  # where only the data show it
    }


def test_classifiers_made_of_others_have_them_as_they_are(compose):
    alone = {
        name: resolved(compose("train", [f"model={name}"]))["model"]["estimator"]
        for name in ("ensemble", "hybrid", "convolution", "finetuned", "blend", "distilled")
    }
    linear = alone["hybrid"]
    assert alone["ensemble"]["estimators"] == [linear, alone["convolution"]]
    assert alone["blend"]["estimators"] == [linear, alone["convolution"], alone["finetuned"]]
    assert alone["distilled"]["features"] == linear["steps"][0][1]
    assert alone["distilled"]["network"] == alone["convolution"]


@pytest.mark.parametrize(
    "target", ["os.system", "builtins.eval", "pipeline.models.base.sys.exit", "sklearn.os.PathLike"]
)
def test_a_target_in_a_file_is_refused_before_anything_is_made(target, compose):
    config = compose("train", ["model=hybrid", f"model.estimator.steps.0.1._target_={target}"])
    with pytest.raises(
        ConfigError, match=r"^model\.estimator\.steps\.0\.1\._target_=.*PIPELINE_TRUSTED=MODULE"
    ):
        check(resolved(config))


def test_modules_of_ones_own_are_named_in_the_environment(compose, monkeypatch):
    config = resolved(compose("weak", ["+functions.own={_target_: my_rules.question}", "input=x"]))
    with pytest.raises(ConfigError, match=r"my_rules\.question"):
        check(config)
    monkeypatch.setenv("PIPELINE_TRUSTED", "others, my_rules")
    check(config)
