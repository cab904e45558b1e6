"""The manifest in the how-to guide is one that works, and the guide names every step that is understood."""

from pathlib import Path

from model_service.adding.command import prepare
from model_service.adding.inputs import InputReader
from model_service.adding.resolver import Config
from model_service.archive import LIMITS
from model_service.manifest import load_manifest
from tests.support.zoo import zoo
from tests.unit.docs import pages

GUIDE = "docs/how-to/add-a-model.md"


def test_the_manifest_of_the_guide_works(tmp_path: Path) -> None:
    (text,) = pages.blocks(GUIDE, "yaml")
    (tmp_path / "mine.yaml").write_text(text)
    (tmp_path / "scratch").mkdir()
    said: list[str] = []
    bundle = zoo(tmp_path / "bundle", "images")
    folder, _ = prepare(str(bundle), tmp_path / "scratch", tmp_path / "mine.yaml", None, said.append)
    assert load_manifest(folder).name == "chest_parts"
    shown = pages.blocks(GUIDE, "console")[0]
    assert said[0].split("@")[0] in shown and "made up -> label map of" in said[-3] and "dry run:" in shown


def test_the_guide_names_every_step() -> None:
    for step in InputReader(Config({}), 2, 1).steps:
        assert f"{step}d" in pages.text(GUIDE), step
    assert f"{LIMITS.files} files and {LIMITS.total_bytes // 1024**3} GiB" in pages.text(GUIDE)
