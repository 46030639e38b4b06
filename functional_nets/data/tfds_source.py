"""MNIST and Fashion-MNIST through TensorFlow Datasets, with or without TensorFlow.

Three steps, the first that has the data wins: the cached copy, a folder that TFDS prepared (this package or
anybody), a download that TFDS makes and prepares. Only the last imports TFDS into this process.
"""

import os
from pathlib import Path

from functional_nets.data import cache, server, tfds_prepared
from functional_nets.data.contents import Contents, DataError


def load(name: str, data_dir: Path | None) -> Contents:
    """All of data set `name`, in the published order, verified.

    Args:
        name: A key of `KNOWN`.
        data_dir: The folder in which TFDS keeps its data sets, each in `NAME/VERSION`. None means TFDS's own
            (`TFDS_DATA_DIR`, or `~/tensorflow_datasets`), which is read but never written: what has to be
            prepared or cached goes into the user's cache folder then.

    Raises:
        DataError: The data could not be downloaded, or what was found is damaged or something else.
    """
    root = cache.root(data_dir)
    if contents := cache.read(name, root):
        return contents
    contents = tfds_prepared.read(name, prepared(name, data_dir) or _download(name, root))
    cache.write(name, root, contents)
    return contents


def _download(name: str, root: Path) -> Path:
    """The folder into which TFDS has downloaded and prepared data set `name`."""
    server.require_reachable(name)  # Before TFDS is imported, which takes longer than to find no network.
    try:
        from functional_nets.data import tfds_download
    except ImportError as error:
        raise DataError(
            f"Expected TensorFlow Datasets, found: {error}; install functional-nets again, or choose another source."
        ) from error
    return tfds_download.prepare(name, root)


def prepared(name: str, data_dir: Path | None) -> Path | None:
    """The folder in which TFDS has prepared data set `name`, where `load` looks; None when it has not."""
    if data_dir is None:
        folders = [cache.of_user(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets")]
    else:
        folders = [data_dir]
    for folder in (*folders, cache.root(data_dir)):
        # The newest version. While TFDS prepares one, its folder has another name.
        if versions := sorted(folder.glob(f"{name}/[0-9]*/dataset_info.json")):
            return versions[-1].parent
    return None


def is_local(name: str, data_dir: Path | None) -> bool:
    """Whether `load` needs no download."""
    return cache.path(name, cache.root(data_dir)).is_file() or prepared(name, data_dir) is not None
