"""Where TensorFlow Datasets downloads from, and whether anything is there."""

import os
import threading

from functional_nets.data.catalogue import KNOWN
from functional_nets.data.contents import FILES, DataError

MIRROR = "FUNCTIONAL_NETS_MIRROR"
"""The environment variable that names another server: a URL below which `mnist/` and `fashion_mnist/` lie."""

CONNECT_SECONDS = 3.0
"""How long a server may take to accept a connection, and again to answer."""


_USUAL = {
    "mnist": "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "fashion_mnist": "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
}
"""The URLs of TFDS's own builders, for which it knows the checksums of the files."""


def url(name: str) -> str:
    """The URL, with a slash at its end, below which the four gzipped files of `name` lie."""
    mirror = os.environ.get(MIRROR)
    return f"{mirror.rstrip('/')}/{name}/" if mirror else _USUAL[name]


def require_reachable(name: str) -> None:
    """Nothing, when data set `name` is to be had at its `url`.

    TFDS tries ten times and waits as long as the system lets it, which without a network can be minutes.
    Asking first, once, with a short time-out, turns those into seconds.

    Raises:
        DataError: It is not, or not within seconds.
    """
    answer = _ask_in_time(f"{url(name)}{FILES[-1]}.gz")
    if answer != "200":
        raise DataError(
            f"Expected to download {KNOWN[name].title} from {url(name)}, found: {answer};"
            " connect to a network, or give the files with --data-dir."
        )


def _ask_in_time(file: str) -> str:
    """`_ask`, but in a thread: looking up a host's name has no time-out of its own."""
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(_ask(file)), daemon=True)
    thread.start()
    thread.join(2 * CONNECT_SECONDS)
    return answers[0] if answers else f"no answer within {2 * CONNECT_SECONDS:g} seconds"


def _ask(file: str) -> str:
    """The HTTP status with which the server has the file at this URL, or why there is none."""
    import requests

    try:
        return str(requests.head(file, timeout=CONNECT_SECONDS, allow_redirects=True).status_code)
    except requests.Timeout:
        return f"no answer within {CONNECT_SECONDS:g} seconds"
    except requests.ConnectionError:
        return "no connection"
    except requests.RequestException as error:
        return " ".join(str(error).split())
