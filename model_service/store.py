"""Where a worker finds the bundle of a registered model: in its own image, or in the models bucket."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from firstread.environment import ModelsBucketSettings
from firstread.errors import NotFoundError
from firstread.routing import RegisteredModel
from firstread.storage import Bucket
from model_service.archive import unpack
from model_service.errors import BundleError
from model_service.registry import bundles, digest


class BundleStore:
    """The bundles of the registered models.

    Parameters
    ----------
    shipped
        Model id -> folder of the bundles that come with the program.
    bucket
        The models bucket.
    cache
        Where bundles of the bucket are kept, a folder per digest; made where missing. Several workers may share it.
    """

    def __init__(self, shipped: Mapping[str, Path], bucket: Bucket, cache: Path) -> None:
        self._shipped, self._bucket, self._cache = shipped, bucket, cache

    def folder(self, model: RegisteredModel) -> Path:
        """Return the folder of a model's bundle; its files are those that were registered.

        Parameters
        ----------
        model
            As the pipeline knows it.

        Raises
        ------
        BundleError
            If this service does not have the bundle, or what is there has another digest.
        """
        return self._fetched(model) if model.bundle_key else self._own(model)

    def _own(self, model: RegisteredModel) -> Path:
        folder = self._shipped.get(model.model_id)
        if folder is None:
            raise BundleError("this service does not have the model")
        return _checked(folder, model)

    def _fetched(self, model: RegisteredModel) -> Path:
        target = self._cache / model.bundle_sha256
        if target.is_dir():
            if digest(target) == model.bundle_sha256:
                return target
            self._remove(target)
        self._cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Unpacked and checked beside it, then renamed: whoever looks sees all of it or nothing.
        made = Path(tempfile.mkdtemp(dir=self._cache, prefix="."))
        try:
            self._unpack(model, made)
            _checked(made, model).rename(target)
        except OSError:
            if not target.is_dir():
                raise
            return _checked(target, model)  # another worker was faster
        finally:
            shutil.rmtree(made, ignore_errors=True)
        return target

    def _unpack(self, model: RegisteredModel, folder: Path) -> None:
        try:
            with self._bucket.open(model.bundle_key) as file:
                unpack(file, folder)
        except NotFoundError:
            raise BundleError("the bundle is not in the models bucket") from None

    def _remove(self, damaged: Path) -> None:
        """Take a damaged folder away in one step: another worker may be looking at it."""
        aside = Path(tempfile.mkdtemp(dir=self._cache, prefix="."))
        try:
            damaged.rename(aside / "damaged")
        except FileNotFoundError:
            pass  # another worker has done it
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def _checked(folder: Path, model: RegisteredModel) -> Path:
    if digest(folder) != model.bundle_sha256:
        raise BundleError("the bundle is not the one that was registered: its digest differs")
    return folder


def open_store(settings: ModelsBucketSettings) -> BundleStore:
    """Return the store of this process."""
    # Below the scratch space of a container; on a machine of many users, everybody has one.
    cache = Path(tempfile.gettempdir()) / f"firstread-bundles-{os.getuid()}"
    return BundleStore(bundles(), Bucket(settings.models_bucket), cache)
