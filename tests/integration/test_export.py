"""Exporting a bundle: from a folder, a run or an alias, the same bytes each time, usable elsewhere."""

import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from pipeline.bundle import load

TEXTS = ["The ministry denied it.", "", "Prices rose 3 percent."]


def test_a_zip_file_loads_where_it_is_unpacked(stage, trained, tmp_path):
    for name in ("model.zip", "again/model.zip"):
        done = stage("export", f"model_uri={trained.bundle}", f"output={tmp_path / name}")
        assert done.code == 0, done.err
    assert (tmp_path / "model.zip").read_bytes() == (tmp_path / "again" / "model.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "model.zip") as archive:
        archive.extractall(tmp_path / "there")
    folder = tmp_path / "there" / "model"
    wanted = load(trained.bundle).probabilities(TEXTS).tolist()
    assert load(folder).probabilities(TEXTS).tolist() == wanted
    # As printed: the code in the bundle, and neither MLflow nor scikit-learn nor pandas.
    code = (
        f"import sys; sys.path.insert(0, {str(folder / 'code')!r})\n"
        "class Without:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name in ('mlflow', 'sklearn', 'pandas', 'hydra'): raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Without())\n"
        "import pipeline.bundle as b\n"
        f"assert b.__file__.startswith({str(folder)!r})\n"
        f"print(b.load({str(folder)!r}).probabilities({TEXTS!r}).tolist())"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(wanted)
    assert (
        str(tmp_path / "model")
        in stage("export", f"model_uri={trained.bundle}", f"output={tmp_path / 'model.zip'}").out
    )


def test_what_is_printed_works(stage, trained, tmp_path):
    said = stage("export", f"model_uri={trained.bundle}", f"output={tmp_path / 'model.zip'}").out
    lines = [line[14:] for line in said.splitlines()]
    (unpack,) = (line for line in lines if line.startswith("python "))
    subprocess.run([sys.executable, *shlex.split(unpack)[1:]], check=True)
    assert Path(next(line for line in lines if "pip install" in line).split()[-1]).is_file()
    for begin, end in (("import sys", "load("), ("import mlflow", "mlflow.")):
        code = lines[next(i for i, line in enumerate(lines) if line.startswith(begin)) :]
        code = code[: next(i for i, line in enumerate(code) if line.startswith(end)) + 1]
        code[-1] = f"print({code[-1]})"
        done = subprocess.run(
            [sys.executable, "-I", "-c", "\n".join(code)], capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0 and done.stdout, done.stderr


def test_a_folder(stage, trained, tmp_path):
    for _ in range(2):  # a bundle may be replaced
        assert stage("export", f"model_uri={trained.bundle}", f"output={tmp_path / 'model'}").code == 0
        assert load(tmp_path / "model").label(TEXTS) == load(trained.bundle).label(TEXTS)


@pytest.mark.parametrize("name", ["thesis.txt", "manifest.json"])
def test_a_folder_with_other_files_is_left_alone(stage, trained, tmp_path, name):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_text("years of work")
    for output in (tmp_path / "mine", tmp_path / "mine" / ".."):
        done = stage("export", f"model_uri={trained.bundle}", f"output={output}")
        assert done.refused(str(output), "other files", "choose another output")
    assert (tmp_path / "mine" / name).read_text() == "years of work"


@pytest.mark.parametrize("name", ["m.tar.gz", "m.TGZ", "m.7z", "m.gzip", "m.json"])
def test_a_file_of_another_kind(stage, trained, tmp_path, name):
    done = stage("export", f"model_uri={trained.bundle}", f"output={tmp_path / name}")
    assert done.refused(name, "must end in .zip, or be a folder")
    assert not list(tmp_path.iterdir())


def test_a_run_a_version_and_an_alias(stage, trained, store, tmp_path, monkeypatch):
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    client = MlflowClient(tracking_uri=store, registry_uri=store)
    run = trained.metrics["run_id"]
    logged = client.get_run(run).outputs.model_outputs[0].model_id
    client.create_registered_model("exported")
    version = client.create_model_version("exported", f"models:/{logged}", model_id=logged).version
    client.set_registered_model_alias("exported", "champion", version)
    found = set()
    for i, uri in enumerate(
        (f"runs:/{run}/bundle", f"models:/exported/{version}", "models:/exported@champion")
    ):
        done = stage("export", f"model_uri={uri}", f"output={tmp_path / str(i) / 'm.zip'}")
        assert done.code == 0, done.err
        found.add((tmp_path / str(i) / "m.zip").read_bytes())
    assert len(found) == 1
    assert stage("export", "model_uri=models:/exported@nobody", f"output={tmp_path / 'm.zip'}").refused(
        "exported@nobody"
    )


@pytest.mark.parametrize("damage", ["model.json", "manifest.json"])
def test_a_damaged_bundle_is_not_exported(stage, bundle_copy, tmp_path, damage):
    (bundle_copy / damage).write_text("{}")
    assert stage("export", f"model_uri={bundle_copy}", f"output={tmp_path / 'm.zip'}").refused(damage)
    assert not (tmp_path / "m.zip").exists()


def test_the_output_is_not_the_model(stage, bundle_copy):
    assert stage("export", f"model_uri={bundle_copy}", f"output={bundle_copy}").refused("is the model itself")
