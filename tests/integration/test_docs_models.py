"""The commands of docs/models.md: all are understood, those that need no encoder are carried out."""

import re
from pathlib import Path

import pytest
from omegaconf import OmegaConf

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
COMMANDS = [
    line.split()[2:]
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("python -m")
]


def test_there_are_commands():
    assert len(COMMANDS) > 3


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_is_understood(compose, command):
    stage, *overrides = command
    assert OmegaConf.to_container(compose(stage.removeprefix("pipeline."), overrides), resolve=True)


@pytest.mark.parametrize("group", re.findall(r"`((?:decision|augmentation)\.\w+)=", PAGE))
def test_every_setting_named_is_one(compose, group):
    config = compose("train", ["augmentation=mask"])
    assert OmegaConf.select(config, group, default="none there") != "none there"


def test_augmented_training(train, trained, tmp_path):
    """It changes what is learnt, neither what is tested nor what a bundle is made of."""
    changed = train(trained.corpus, tmp_path, "augmentation=swap", "behaviour=false")
    before, after = trained.metrics, changed.metrics
    assert before["data"] == after["data"]
    assert before["cross_validation"] != after["cross_validation"]
    for block in ("cross_validation", "test"):
        assert before[block]["sentences"] == after[block]["sentences"]
    texts = [(one.report / "test.parquet").read_bytes() for one in (trained, changed)]
    assert texts[0] == texts[1]
    assert after["test"]["macro_f1"]["value"] > 0.7
    files = [
        sorted(p.relative_to(one.bundle) for p in one.bundle.rglob("*.json")) for one in (trained, changed)
    ]
    assert files[0] == files[1]
    assert "change: swap" in (changed.report / "report.html").read_text()
