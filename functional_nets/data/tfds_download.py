"""Let TensorFlow Datasets download and prepare a data set, on a machine with or without TensorFlow.

TFDS's own builder needs TensorFlow for three things, none of which takes it: to gunzip a file, to open it,
and to encode a PNG. The builder here is TFDS's own but for those, so what it prepares is TFDS's own data set.

Import this late: it imports TFDS, which takes a second.
"""

import contextlib
import functools
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from numpy.typing import NDArray
from tensorflow_datasets.core.download import download_manager, downloader
from tensorflow_datasets.core.utils import tqdm_utils

from functional_nets.data import idx, png, server
from functional_nets.data.catalogue import KNOWN
from functional_nets.data.contents import FILES, DataError

STALL_SECONDS = 30.0
"""How long a download may stand still."""

_FAILURES = (OSError, ValueError, ImportError, tfds.download.DownloadError, download_manager.NonMatchingChecksumError)


def prepare(name: str, root: Path) -> Path:
    """Downloads data set `name` and prepares it in `root/NAME/VERSION`, which is returned.

    TFDS verifies the checksums of the files where they come from the usual server; their content is verified
    wherever they come from. The downloaded files are not kept: the prepared ones hold the same.

    Raises:
        DataError: The server sends nothing or something else, or `root` cannot be written.
    """
    url = server.url(name)
    target = None
    try:
        root.mkdir(parents=True, exist_ok=True)
        with (
            # The thread of an interrupted download may still write into it.
            tempfile.TemporaryDirectory(dir=root, prefix="downloads-", ignore_cleanup_errors=True) as downloads,
            _bounds(),
            _progress(),
        ):
            builder = _builder_class(name, url)(data_dir=root, file_format="array_record")
            target = Path(builder.data_dir)
            builder.download_and_prepare(download_dir=downloads)
    except DataError:
        raise
    except _FAILURES as error:
        # Another process that prepared the same was quicker: then its folder is as good.
        if target is None or not (target / "dataset_info.json").is_file():
            raise DataError(
                f"Expected to download {KNOWN[name].title} from {url} and prepare it in {root}, found:"
                f" {type(error).__name__}: {' '.join(str(error).split())}; try again, or give the files with"
                " --data-dir."
            ) from error
    return target


def _builder_class(name: str, url: str) -> Any:
    """TFDS's own builder of data set `name`, which does without TensorFlow and downloads from `url`."""
    tfds_builder: Any = tfds.builder_cls(name)

    class Builder(tfds_builder, skip_registration=True):  # type: ignore[call-arg]  # Its base is Any.
        name = tfds_builder.name

        def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
            # One after another: so no thread goes on writing after another one has failed.
            paths = [Path(dl_manager.download(f"{url}{file}.gz")) for file in FILES]
            contents = idx.load_files(name, paths)
            return {
                "train": self._generate_examples(contents.x_train, contents.y_train),
                "test": self._generate_examples(contents.x_test, contents.y_test),
            }

        def _generate_examples(
            self, images: NDArray[np.uint8], labels: NDArray[np.uint8]
        ) -> Iterator[tuple[int, dict[str, Any]]]:
            for index, (image, label) in enumerate(zip(images, labels, strict=True)):
                yield index, {"image": png.encode(image), "label": int(label)}

    return Builder


@contextlib.contextmanager
def _bounds() -> Iterator[None]:
    """Limits how long TFDS waits for a server that says nothing, and how much it takes from one that never ends.

    TFDS sets no time-out, tries ten times and writes all that comes, and the threads it waits in do not listen to
    Ctrl-C. It has no option for any of it, so its function is replaced for the while; where a later TFDS has none of
    that name, it is as patient as it likes.
    """
    names = {"_open_with_requests", "MAX_RETRIES"}
    before = {name: getattr(downloader, name) for name in names if hasattr(downloader, name)}
    if before.keys() == names:
        downloader._open_with_requests = functools.partial(_open_bounded, before["_open_with_requests"])
        downloader.MAX_RETRIES = 2
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(downloader, name, value)


@contextlib.contextmanager
def _open_bounded(open_url: Callable[..., Any], url: str, **options: Any) -> Iterator[tuple[Any, Iterator[bytes]]]:
    """TFDS's own `open_url` with a time-out, no name from the server, and no more than the largest file has."""
    with open_url(url, timeout=(server.CONNECT_SECONDS, STALL_SECONDS), **options) as (response, blocks):
        response.headers.pop("content-disposition", None)  # TFDS calls the file by the end of the URL then.
        yield response, _at_most(idx.LARGEST["images"], blocks, url)


def _at_most(largest: int, blocks: Iterable[bytes], url: str) -> Iterator[bytes]:
    size = 0
    for block in blocks:
        size += len(block)
        if size > largest:
            raise DataError(f"Expected at most {largest:,} bytes, found more at {url}; choose another server.")
        yield block


@contextlib.contextmanager
def _progress() -> Iterator[None]:
    """TFDS's progress bars where somebody watches them, and its messages on standard error too."""
    before = getattr(tqdm_utils, "_active", True)
    tfds.display_progress_bar(before and sys.stderr.isatty())
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        tfds.display_progress_bar(before)
