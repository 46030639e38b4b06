"""What a trained network takes a photo or a drawing for: `python -m experiments.predict RUN IMAGES…`.

An image may have any size, be dark on light or light on dark, grey, coloured or transparent; it is centred and scaled
as the images that the network was trained on. With `--serve` a page on this machine lets you draw instead.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments._command import OptionError, argument, option, printable
from experiments._main import main
from experiments._network import Network, Seen
from experiments._runs import read_run
from functional_nets.data import DataError
from functional_nets.data.bounded import read
from functional_nets.data.drawing import MOST_BYTES, read_drawing

BAR = 30  # Characters.


@dataclass(frozen=True)
class Config:
    """What can be set."""

    run: Path = argument("folder of the run, such as runs/mnist/…")
    images: tuple[Path, ...] = argument("image files, such as PNG or JPEG", optional=True)
    serve: bool = option(False, "serve a page to draw on, at this machine's own address 127.0.0.1")
    port: int = option(8000, "where the page is served; 0 takes any that is free")

    def check(self) -> None:
        """Raises OptionError for the first value that cannot be used."""
        if not self.images and not self.serve:
            raise OptionError("Expected IMAGES or --serve, found neither: name an image file, or say --serve to draw.")
        if not 0 <= self.port < 2**16:
            raise OptionError(f"Expected --port from 0 to {2**16 - 1}, found {self.port}: choose one of those.")


def run(config: Config) -> list[Seen]:
    """Prints what the network takes each image for; then serves the page, if that is asked for."""
    config.check()
    network = Network(read_run(config.run))
    found = []
    for path in config.images:
        found.append(network.look(_image(path, network.dataset)))
        print(in_words(printable(str(path)), found[-1], network.class_names), flush=True)
    if config.serve:
        from experiments._drawing_server import serve

        serve(network, str(config.run), config.port)
    return found


def _image(path: Path, dataset: str) -> np.ndarray:
    try:
        return read_drawing(read(path, MOST_BYTES, "make it smaller, or name another"), dataset)
    except DataError as error:
        raise OptionError(f"{path}: {error}") from None


def in_words(name: str, seen: Seen, class_names: tuple[str, ...]) -> str:
    """Returns the likeliest class and a bar for each."""
    width = max(map(len, class_names))
    best = int(seen.probabilities.argmax())
    lines = [f"{name}: {class_names[best]}, {seen.probabilities[best]:.1%}"]
    for class_name, probability in zip(class_names, seen.probabilities, strict=True):
        lines.append(f"  {class_name:>{width}} {'█' * round(BAR * probability):<{BAR}} {probability:6.1%}")
    return "\n".join(lines)


if __name__ == "__main__":
    main(Config, "predict", __doc__, run)
