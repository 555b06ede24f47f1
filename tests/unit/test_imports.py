"""The floors of the house: imports go down, never up, and never sideways."""

import ast
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from runpy import run_path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "pipeline"
GROUND, DOMAIN, SERVICE, ENGINE, STAGE = range(5)
ON_THE_GROUND = {"schema", "files", "processes", "progress", "resume", "rows", "settings", "terminal"}
DOMAINS = {"text", "labels", "models", "evaluation"}
# Sideways all the same, each for a reason.
ALLOWED = {
    ("evaluation", "models.tokens"),  # near-duplicates are told by the words that the models read
    ("models", "evaluation.perturbations"),  # what a behaviour test changes, a classifier can be trained with
    ("models", "evaluation.proper_names"),
    ("scoring", "bundle"),  # each worker loads the bundle that it scores with
    ("train", "label"),  # prepares its inputs where they are missing or stale
    ("compare", "evaluate"),  # scores classifiers on a labelled file as evaluate does
    ("tracking", "experiments"),  # how runs are named, ended and shown, by the client it is given
    ("tracking", "registry"),  # a logged model becomes a version, by the client it is given
    ("leaderboard", "train"),  # train many times, and
    ("leaderboard", "evaluate"),  # score on other news
    ("sweep", "train"),
    ("record", "tracking.run"),  # what a training logs, to the run it is given
    ("record", "tracking.provenance"),
    ("families", "tracking.run"),  # what has no MLflow of its own
    ("families", "tracking.provenance"),
    ("families", "tracking.stores"),
    ("multirun", "families"),
    ("speed", "bundle"),  # loads it in a process of its own
    ("suggest", "evaluate"),  # labels of a row
    ("worklist", "toolfiles"),  # suggestions go out as any sentences do
    ("estimate", "evaluate"),
    ("curve", "train"),  # the same data, split the same way
    ("curve", "evaluate"),
}
BENCHMARKS = PACKAGE.parent / "benchmarks"
OPTIONAL = {"blingfire", "fasttext", "punkt", "pysbd", "sentence_transformers", "setfit", "syntok", "torch"}
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if "__pycache__" not in path.parts and path != PACKAGE / "__init__.py"
}


def imported(path, *, lazily=True):
    """Return the modules that a file imports; with `lazily`, also within functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree) if lazily else tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def ours(path):
    """Return the modules of this package that a file imports, such as `models.tokens`."""
    names = set()
    for name in imported(path):
        root, _, rest = name.partition(".")
        if root == "pipeline":
            names.add(rest if rest in MODULES else rest.rpartition(".")[0])
    return names & set(MODULES)


def is_stage(path):
    return any(
        isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == "stage"
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
        for decorator in node.decorator_list
    )


def box(module):
    return module.partition(".")[0]


def floor(module):
    if box(module) in DOMAINS:
        return DOMAIN
    if box(module) == "engines":
        return ENGINE
    if module in ON_THE_GROUND:
        return GROUND
    return STAGE if is_stage(MODULES[module]) else SERVICE


def test_the_known_rooms_are_on_their_floors():
    assert {name for name in MODULES if floor(name) == STAGE} >= {
        *("ingest", "label", "train", "evaluate", "predict", "leaderboard", "sweep")
    }
    assert floor("bundle") == floor("tracking.run") == floor("corpora.table") == SERVICE
    assert floor("models.decision") == DOMAIN
    assert floor("engines.spark") == ENGINE


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down(module):
    wrong = [
        other
        for other in ours(MODULES[module])
        if floor(other) > floor(module)
        or (floor(other) == floor(module) and floor(module) != GROUND and box(other) != box(module))
    ]
    assert not [other for other in wrong if (box(module), other) not in ALLOWED]


def test_the_exceptions_are_still_needed():
    found = {(box(name), other) for name, path in MODULES.items() for other in ours(path)}
    assert found >= ALLOWED


def test_imports_have_no_circle():
    state = {}

    def visit(name, trail):
        assert state.get(name) != "open", " -> ".join([*trail, name])
        if name not in state:
            state[name] = "open"
            for other in sorted(ours(MODULES[name]) - {name}):
                visit(other, [*trail, name])
            state[name] = "closed"

    for name in MODULES:
        visit(name, [])


def users(package):
    return {
        name for name, path in MODULES.items() if package in {one.partition(".")[0] for one in imported(path)}
    }


def test_only_tracking_knows_mlflow():
    assert {box(name) for name in users("mlflow")} == {"tracking"}


def test_only_stages_and_their_frame_know_hydra():
    allowed = {name for name in MODULES if floor(name) == STAGE} | {"app", "multirun"}  # Hydra calls it
    assert users("hydra") | users("omegaconf") <= allowed
    assert "app" in users("hydra")


@pytest.mark.parametrize("package", ["pickle", "joblib", "cloudpickle", "dill"])
def test_nobody_pickles(package):
    side_by_side = {"models.training"}  # what its processes hand each other is never on disk
    assert users(package) == (side_by_side if package == "joblib" else set())


def test_only_search_knows_optuna():
    assert users("optuna") == {"search"}


def test_only_engines_know_spark():
    assert {box(name) for name in users("pyspark")} == {"engines"}


def test_what_goes_to_executors_needs_neither_hydra_nor_sklearn_to_import():
    assert not loaded_by("pipeline.engines.partition") & (
        HEAVY | {"hydra", "omegaconf", "pyspark", "sklearn"}
    )


def test_only_plots_draw():
    assert {name for name in users("matplotlib") if floor(name) != STAGE} <= {
        "evaluation.plots",
        "evaluation.charts",
        "evaluation.curve_charts",
        "evaluation.lettering",
    }


def loaded_by(module):
    code = f"import sys, {module}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    return set(done.stdout.split())


HEAVY = {"mlflow", "torch", "datasets", "matplotlib", "trafilatura", "dvc", "transformers", "optuna"}


def test_importing_predict_loads_next_to_nothing():
    assert not loaded_by("pipeline.predict") & (HEAVY | {"pandas", "sklearn", "scipy"})


def test_importing_the_bundle_loads_what_scoring_needs():
    modules = ("bundle", "models.arrow_tfidf", "models.linear", "models.static", "models.cues")
    found = loaded_by(", ".join(f"pipeline.{name}" for name in modules))
    assert not found & (HEAVY | {"hydra", "omegaconf", "rich", "jinja2", "pandas", "sklearn"})
    assert "scipy" in found


@pytest.mark.parametrize("module", sorted(name for name in MODULES if floor(name) == STAGE))
def test_stages_start_quickly(module):
    """What only a run needs is imported in the run, so that --help answers at once."""
    eager = {name.partition(".")[0] for name in imported(MODULES[module], lazily=False)}
    assert not eager & (HEAVY | {"pandas", "sklearn"})


@pytest.mark.parametrize("path", sorted(BENCHMARKS.glob("*.py")), ids=lambda path: path.stem)
def test_benchmarks_import_what_there_is(path, monkeypatch):
    """What they import on the way, too; those that they compare with may be missing."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    run_path(str(path), run_name="imported")
    for name in imported(path):
        root = name.partition(".")[0]
        if root in ("pipeline", "tests") or (BENCHMARKS / f"{root}.py").is_file():
            module, _, attribute = name.rpartition(".")
            try:
                assert not module or hasattr(import_module(module), attribute) or find_spec(name), name
            except ModuleNotFoundError as error:
                assert error.name in OPTIONAL, name
        else:
            assert find_spec(root) or root in OPTIONAL, name
