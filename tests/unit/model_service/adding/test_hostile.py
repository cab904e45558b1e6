"""Bundles that want more than to be read, and bundles that are wrong: a typed error says so, and nothing runs."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model_service.adding.command import prepare
from model_service.adding.inputs import InputReader
from model_service.adding.resolver import Config
from model_service.errors import BundleError
from tests.support.zoo import Kind, change, configuration, manifest, network, write_manifest, zoo


def silent(_text: str) -> None:
    return


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return zoo(tmp_path_factory.mktemp("images") / "bundle", "images")


@pytest.fixture
def bundle(images: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(images, tmp_path / "bundle"))


def refused(bundle: Path, tmp_path: Path, match: str) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with pytest.raises(BundleError, match=match):
        prepare(str(bundle), scratch, None, None, silent)
    assert not os.environ.get("CANARY")


CODE = "__import__('os').environ.__setitem__('CANARY', '1')"


@pytest.mark.parametrize(
    "changes",
    [
        {"network_def": f"${CODE}"},
        {"network_def": {"_target_": "UNet", "spatial_dims": f"${CODE}"}},
        {"network_def": {"_target_": "UNet", "spatial_dims": "$import os"}},
        {"network_def": {"_target_": "UNet", f"${CODE}": 1}},
        {"network_def": {"_target_": "os.system", "command": "true"}},
        {"network_def": {"_target_": "monai.networks.nets.os.system"}},
        {"network_def": {"_target_": "UNet", "_mode_": "debug", "spatial_dims": 2}},
        {"network_def": "@evil", "evil": f"$@classes and {CODE}"},
        {"network_def": "%other.json#network"},
        {"network_def": "@@network_def"},
        {"network_def": "@network_def"},
        {"network_def": "@nothing"},
        {"network_def": {"_target_": "UNet", "norm": {"_target_": "subprocess.run"}}},
        {"preprocessing": f"${CODE}"},
        {"preprocessing": {"_target_": "Compose", "transforms": f"${CODE}"}},
        {"preprocessing": [{"_target_": "Lambdad", "keys": "image", "func": f"${CODE}"}]},
        {"preprocessing": [{"_target_": "os.system", "command": "true"}]},
        {"preprocessing": [{"_target_": "LoadImaged", "keys": f"${CODE}"}]},
        {"preprocessing": [{"_target_": "LoadImaged", "keys": "image", "_disabled_": f"${CODE}"}]},
        {"inferer": {"_target_": "scripts.inferer.Mine"}},
        {"inferer": {"_target_": "SlidingWindowInferer", "roi_size": f"${CODE}"}},
        {"postprocessing": [{"_target_": "Activationsd", "other": f"${CODE}"}]},
        {"postprocessing": [{"_target_": "Activationsd", "softmax": f"${CODE}"}]},
    ],
    ids=lambda changes: json.dumps(changes)[:70],
)
def test_no_part_of_a_configuration_is_run(bundle: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    change(bundle, **changes)
    refused(bundle, tmp_path, ".")


def test_what_is_refused_is_named_with_what_to_write_instead(bundle: Path, tmp_path: Path) -> None:
    steps = configuration("images")["preprocessing"]["transforms"]
    change(bundle, preprocessing=[*steps, {"_target_": "Flipd", "keys": "image"}])
    refused(bundle, tmp_path, r"preprocessing\.4 \(Flip\): .* write `input` in firstread.yaml instead")


class Evil:
    def __reduce__(self) -> tuple[Callable[[str, str], None], tuple[str, str]]:
        return os.putenv, ("CANARY", "1")


@pytest.mark.parametrize("how", ["torch", "pickle", "nested", "noise", "module"])
def test_weights_that_are_more_than_tensors_are_refused(bundle: Path, tmp_path: Path, how: str) -> None:
    file = bundle / "models" / "model.pt"
    if how == "noise":
        file.write_bytes(b"\x80\x04noise")
    elif how == "pickle":
        file.write_bytes(pickle.dumps({"a": Evil()}))
    else:
        state = {"torch": {"a": Evil()}, "nested": {"model": network("images").state_dict(), "x": Evil()}}
        torch.save(state.get(how, network("images")), file)
    refused(bundle, tmp_path, "model.pt holds more than tensors")
    assert not list(tmp_path.rglob("*.safetensors"))


@pytest.mark.parametrize("how", ["state_dict", "wrapped"])
def test_usual_checkpoints_are_read(bundle: Path, tmp_path: Path, how: str) -> None:
    state = torch.load(bundle / "models" / "model.pt", weights_only=True)
    usual = {
        "state_dict": {"state_dict": state, "epoch": 3},
        "wrapped": {f"module.{name}": each for name, each in state.items()},
    }
    torch.save(usual[how], bundle / "models" / "model.pt")
    (tmp_path / "scratch").mkdir()
    folder, _ = prepare(str(bundle), tmp_path / "scratch", None, None, silent)
    assert (folder / "models" / "model.safetensors").is_file()


def edited(bundle: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    content = manifest("images")
    edit(content)
    write_manifest(bundle, content)


@pytest.mark.parametrize(
    ("edit", "match"),
    [
        (lambda m: m.pop("title"), "title: Field required"),
        (lambda m: m.update(research_use_only=False), "research_use_only"),
        (lambda m: m.update(version="9.9.9"), "different versions"),
        (lambda m: m.update(surprise=1), "surprise"),
        (lambda m: m["output"].pop("segments"), "segments"),
        (lambda m: m["output"]["segments"].pop(), "3|channels"),
        (
            lambda m: m.update(weights={"file": "models/model.safetensors", "sha256": "0" * 64, "bytes": 1}),
            "does not have the weights",
        ),
        (
            lambda m: m.update(
                input={"kind": "image", "channels": 3, "multiple_of": 4, "intensity": {"kind": "zscore"}}
            ),
            "1 channels of the input",
        ),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(
    bundle: Path, tmp_path: Path, edit: Callable[[dict[str, Any]], object], match: str
) -> None:
    edited(bundle, edit)
    refused(bundle, tmp_path, match)


def test_a_wrong_digest_is_refused(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    taken, _ = prepare(str(bundle), tmp_path / "first", None, None, silent)
    weights = taken / "models" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    refused(taken, tmp_path, "digest")


def test_weights_of_another_network_are_refused(bundle: Path, tmp_path: Path) -> None:
    torch.save(network("detector").state_dict(), bundle / "models" / "model.pt")
    refused(bundle, tmp_path, "do not fit")


@pytest.mark.parametrize("file", ["configs/inference.json", "configs/metadata.json", "firstread.yaml"])
@pytest.mark.parametrize("content", ["[]", "{", "!!python/object/apply:os.getcwd []", "\x00"])
def test_files_that_are_not_what_they_should_be(
    bundle: Path, tmp_path: Path, file: str, content: str
) -> None:
    (bundle / file).write_text(content)
    refused(bundle, tmp_path, "cannot be read|is not a mapping")


def test_yaml_that_explodes_is_refused(bundle: Path, tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    (bundle / "configs" / "inference.json").unlink()
    (bundle / "configs" / "inference.yaml").write_text("\n".join([*lines, "network_def: *a11"]))
    refused(bundle, tmp_path, "nested too deep")


def test_links_are_not_followed(bundle: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("x")
    (bundle / "docs" / "link.md").symlink_to(secret)
    (bundle / "scripts").mkdir()
    (bundle / "scripts" / "__init__.py").write_text(CODE)
    (tmp_path / "scratch").mkdir()
    folder, told = prepare(str(bundle), tmp_path / "scratch", None, None, silent)
    assert told["left_out"] == ["docs/link.md", "scripts/__init__.py"]
    assert not (folder / "docs" / "link.md").exists() and not (folder / "scripts").exists()


def test_what_is_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", tmp_path, "no bundle")
    shutil.rmtree(tmp_path / "scratch")
    refused(tmp_path / "missing.zip", tmp_path, "cannot be read")


TEXT = st.text("@$%#:{}[]()'\"\\ ab_1,.+-*/=\n", max_size=40)
TREE = st.recursive(
    TEXT | st.integers() | st.booleans() | st.none(),
    lambda each: st.lists(each, max_size=4) | st.dictionaries(TEXT, each, max_size=4),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(content=st.dictionaries(st.sampled_from(["a", "b", "_1", "x"]), TREE, max_size=4), tree=TREE)
def test_whatever_a_configuration_holds_it_becomes_data_or_an_error(
    content: dict[str, Any], tree: object
) -> None:
    try:
        found = Config(content).data(tree, "it")
    except BundleError:
        return
    json.dumps(found)


STEPS = st.lists(
    st.fixed_dictionaries(
        {
            "_target_": st.sampled_from(
                ["LoadImaged", "Spacingd", "Resized", "ScaleIntensityd", "CropForegroundd"]
            )
        },
        optional={
            "keys": st.sampled_from(["image", "label", ["image", "label"], 3]),
            "pixdim": TREE,
            "spatial_size": TREE,
            "minv": TREE,
            "margin": TREE,
        },
    ),
    max_size=4,
)


@settings(max_examples=150, deadline=None)
@given(steps=STEPS, dimensions=st.sampled_from([2, 3]))
def test_whatever_a_preprocessing_holds_it_is_understood_or_refused(
    steps: list[dict[str, Any]], dimensions: int
) -> None:
    try:
        InputReader(Config({"preprocessing": steps}), dimensions, 1).read()
    except BundleError:
        return


@pytest.mark.parametrize("kind", ["classifier", "images"])
def test_an_activation_that_nobody_says_is_asked_for(tmp_path: Path, kind: Kind) -> None:
    bundle = zoo(tmp_path / "bundle", kind)
    change(bundle, postprocessing=None)
    refused(bundle, tmp_path, "write `output.activation`")


def test_the_manifest_is_asked_for(bundle: Path, tmp_path: Path) -> None:
    (bundle / "firstread.yaml").unlink()
    refused(bundle, tmp_path, "there is no firstread.yaml")
