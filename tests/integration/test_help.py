"""Every stage says how it is used."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "pipeline"
STAGES = sorted(path.stem for path in PACKAGE.glob("*.py") if "\n@stage(" in path.read_text(encoding="utf-8"))


def test_the_stages_are_found():
    assert {"ingest", "label", "train", "evaluate", "predict"} <= set(STAGES)


@pytest.mark.parametrize("name", STAGES)
def test_help(command, name):
    done = command(name, "--help")
    assert done.code == 0
    assert done.err == ""
    assert f"python -m pipeline.{name}" in done.out
    assert "Powered by Hydra" not in done.out


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_is_named_by_its_file_and_documented(name):
    tree = ast.parse((PACKAGE / f"{name}.py").read_text(encoding="utf-8"))
    assert ast.get_docstring(tree).startswith("Stage: ")
    main = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main")
    decorator = next(d for d in main.decorator_list if isinstance(d, ast.Call))
    assert [argument.value for argument in decorator.args] == [name]
    assert (PACKAGE.parent / "conf" / f"{name}.yaml").is_file()


def test_an_unknown_key_is_named(command):
    done = command("predict", "inptu=x")
    assert done.code != 0
    assert "inptu" in done.err
