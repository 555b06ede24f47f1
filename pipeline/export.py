"""Stage: write a trained classifier as one file to take along."""

from __future__ import annotations

import re
import sys
import zipfile
from pathlib import Path

from omegaconf import DictConfig

from pipeline.app import ROOT, stage
from pipeline.schema import ConfigError, InputError

USE = """\
{output}: {model}, {labels}
{unpack}  needs       Python 3.11; pip install -r {folder}/requirements.txt
  Python      import sys; sys.path.insert(0, "{folder}/code")
              from pipeline.bundle import load
              load("{folder}").label(["The ministry denied it."])
  MLflow      needs mlflow-skinny and pandas, too
              import mlflow
              mlflow.pyfunc.load_model("{folder}").predict(["The ministry denied it."])
  a server    needs them, too; where the environment with them is activated:
              mlflow models serve -m {folder} --env-manager local
"""
UNPACK = "  unpack      python -m zipfile -e {output} {parent}\n"
# What looks like a file, where a folder would be made: `model-1.2` does not.
ARCHIVE = re.compile(r"\.(?:tar|tgz|gz|bz2|xz|zst|7z|rar|json|onnx|pkl|\w*zip)$", re.IGNORECASE)


@stage("export")
def main(config: DictConfig) -> None:
    """Run the stage."""
    from pipeline.bundle import load
    from pipeline.tracking.locate import local_folder

    folder, output = local_folder(config.model_uri, ROOT), Path(config.output)
    if output.suffix != ".zip" and ARCHIVE.search(output.name):
        raise ConfigError(f"output={output}: must end in .zip, or be a folder")
    if output.resolve() == folder.resolve():
        raise InputError(f"output={output}: is the model itself; choose another output")
    bundle = load(folder)
    export(folder, output)
    text = USE.format(
        output=output,
        model=bundle.card.get("model", "a classifier"),
        labels=", ".join(bundle.labels.names),
        unpack=UNPACK.format(output=output, parent=output.parent) if output.suffix == ".zip" else "",
        folder=output.with_suffix("") if output.suffix == ".zip" else output,
    )
    sys.stdout.write(text)


def export(folder: Path, output: Path) -> None:
    """Write a bundle's files, checked before, as a folder, or as a zip file of one.

    The same bundle gives the same bytes: names are sorted, and dates those of the format's beginning.
    """
    import json
    import shutil

    from pipeline.bundle import MANIFEST, MARKS
    from pipeline.files import atomic

    names = sorted({MANIFEST, *json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["sha256"]})
    with atomic(output, MARKS) as temporary:
        if output.suffix != ".zip":
            for name in names:
                (temporary / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(folder / name, temporary / name)
            return
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in names:
                entry = zipfile.ZipInfo(f"{output.stem}/{name}")  # of 1980
                entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                archive.writestr(entry, (folder / name).read_bytes())


if __name__ == "__main__":
    main()
