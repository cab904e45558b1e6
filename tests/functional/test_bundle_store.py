"""Bundles of the models bucket: fetched once, checked always, whatever several workers do at the same time."""

import io
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from firstread.environment import ModelsBucketSettings
from firstread.routing import RegisteredModel, RoutingRule
from firstread.storage import Bucket, bundle_key
from model_service import archive
from model_service.archive import pack
from model_service.errors import BundleError
from model_service.registry import bundles, digest, registration
from model_service.store import BundleStore, open_store
from tests.support.cloud import Cloud

pytestmark = pytest.mark.usefixtures("cloud")
MODELS = Bucket("models")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    made = tmp_path / "bundle"
    (made / "models").mkdir(parents=True)
    (made / "firstread.yaml").write_text("name: a\n")
    (made / "models" / "model.safetensors").write_bytes(bytes(range(256)) * 500)
    return made


def uploaded(folder: Path) -> RegisteredModel:
    sha256 = digest(folder)
    target = io.BytesIO()
    pack(folder, target)
    MODELS.put(bundle_key(sha256), target.getvalue(), "application/zip")
    return registered(sha256, bundle_key(sha256))


def registered(sha256: str, key: str) -> RegisteredModel:
    return RegisteredModel(
        model_id="a@1.0.0",
        title="a",
        intended_use="tests",
        rule=RoutingRule(),
        bundle_sha256=sha256,
        bundle_key=key,
    )


@pytest.fixture
def store(tmp_path: Path) -> BundleStore:
    return BundleStore({}, MODELS, tmp_path / "cache")


def left(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "cache").iterdir())


def test_a_bundle_is_fetched_once(store: BundleStore, bundle: Path, tmp_path: Path, cloud: Cloud) -> None:
    model = uploaded(bundle)
    found = store.folder(model)
    assert digest(found) == model.bundle_sha256 and left(tmp_path) == [model.bundle_sha256]
    cloud.s3.delete_object(Bucket="models", Key=model.bundle_key)
    assert store.folder(model) == found
    assert BundleStore({}, MODELS, tmp_path / "cache").folder(model) == found


def test_what_changed_in_the_cache_is_fetched_again(store: BundleStore, bundle: Path, tmp_path: Path) -> None:
    model = uploaded(bundle)
    (store.folder(model) / "models" / "model.safetensors").write_bytes(b"planted")
    assert digest(store.folder(model)) == model.bundle_sha256
    assert left(tmp_path) == [model.bundle_sha256]


def test_what_is_not_what_was_registered_is_never_used(
    store: BundleStore, bundle: Path, tmp_path: Path
) -> None:
    model = uploaded(bundle)
    wrong = registered("0" * 64, model.bundle_key)
    with pytest.raises(BundleError, match="digest"):
        store.folder(wrong)
    with pytest.raises(BundleError, match="not in the models bucket"):
        store.folder(registered("1" * 64, bundle_key("1" * 64)))
    MODELS.put("bundles/none.zip", b"no archive", "application/zip")
    with pytest.raises(BundleError, match="cannot be read"):
        store.folder(registered("2" * 64, "bundles/none.zip"))
    assert left(tmp_path) == []


def test_two_workers_at_once_both_have_it(
    store: BundleStore, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = uploaded(bundle)
    both = threading.Barrier(2, timeout=120)
    original = archive.unpack

    def unpack(*arguments: object) -> None:
        original(*arguments)  # type: ignore[arg-type]
        both.wait()

    monkeypatch.setattr("model_service.store.unpack", unpack)
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(lambda _: store.folder(model), range(2))
    assert one == two and digest(one) == model.bundle_sha256
    assert left(tmp_path) == [model.bundle_sha256]


def test_a_worker_that_dies_leaves_nothing_that_is_used(
    store: BundleStore, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = uploaded(bundle)

    def killed(_file: object, folder: Path) -> None:
        (folder / "firstread.yaml").write_text("name: a\n")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("model_service.store.unpack", killed)
        patched.setattr(shutil, "rmtree", lambda *_a, **_o: None)
        with pytest.raises(KeyboardInterrupt):
            store.folder(model)
    assert not (tmp_path / "cache" / model.bundle_sha256).exists()
    assert digest(store.folder(model)) == model.bundle_sha256


def test_a_shipped_bundle_is_used_where_it_lies_and_is_checked(bundle: Path, tmp_path: Path) -> None:
    store = BundleStore({"a@1.0.0": bundle}, MODELS, tmp_path / "cache")
    assert store.folder(registered(digest(bundle), "")) == bundle
    with pytest.raises(BundleError, match="digest"):
        store.folder(registered("0" * 64, ""))
    with pytest.raises(BundleError, match="does not have"):
        BundleStore({}, MODELS, tmp_path / "cache").folder(registered(digest(bundle), ""))


def test_the_store_of_a_worker_has_every_shipped_bundle() -> None:
    store = open_store(ModelsBucketSettings())
    for folder in bundles().values():
        assert store.folder(registration(folder)) == folder
