"""What the five notebooks print: every number that is not random, by notebook and cell.

Tensors are written as nested lists. Each entry is (cell, what it is, what is printed); what it is
is the key by which the `_published_…` modules answer.
"""

from collections.abc import Iterator

Entry = tuple[str, str, str]

NOTEBOOKS = {
    "000": "Back-propagation, and XOR (000_b72498d540495211)",
    "001": "Back-propagation by hand and with a tape (001_39a70517298d4834)",
    "002": "Back-propagation after the book, and MNIST (002_39fb99c9414514d6)",
    "003": "Autograd and LeNet (003_b68a8d5263953d7e)",
    "004": "Autograd and Fashion-MNIST (004_c8f6f43fae732861)",
}

XOR_LOSSES = "0.6927 0.2574 0.0210 0.0102 0.0067 0.0049 0.0039 0.0032 0.0028 0.0024 0.0021"

FASHION_TRAIN_LOSSES = (
    "2.300957 2.289298 2.264532 2.268130 2.258317 2.226251 2.245830 2.203245 2.204762 2.189622",
    "2.181859 2.175886 2.117176 2.137805 2.105599 2.042927 2.078578 1.991220 1.997236 1.946064",
    "1.961335 1.941225 1.820439 1.859548 1.778859 1.711666",  # The file ends in this epoch.
)
"""The loss of batches 0, 100, 200 and so on of each epoch of 938."""


def _xor() -> Iterator[Entry]:
    yield "In [1]", "derivative of x² at 4", "8.0"
    yield "In [2]", "parameters of the network", "9"
    # Drawn by PyTorch's generator from seed 70, which is MT19937: not random at all.
    yield "In [11]", "hidden weights drawn first", "[-0.0919, -0.1992, -0.2247, -0.3332]"
    yield "In [11]", "hidden biases drawn first", "[0.2342, -0.5175]"
    yield "In [11]", "output weights drawn first", "[0.3162, 0.2359]"
    yield "In [11]", "output bias drawn first", "[-0.5528]"
    yield "In [11]", "sizes of the four", "[4, 2, 2, 1]"
    yield "In [12]", "z = (x + y)² at (1, 3)", "[16.0]"
    yield "In [13]", "dz/dx by the chain rule", "[8.0]"
    yield "In [14]", "dz/dx by autograd", "[8.0]"
    yield "In [15]", "z, its graph recorded", "[16.0]"
    for number, loss in enumerate(XOR_LOSSES.split()):
        yield "In [20]", f"XOR, loss after {1000 * number} steps", loss
    yield "In [20]", "XOR, the same with the loss on logits", XOR_LOSSES
    yield "In [20]", "XOR, predictions", "[False, True, True, False]"
    yield "In [35]", "XOR, predictions as a column", "[[False], [True], [True], [False]]"
    yield "In [22]", "[[1]] ≥ [[0, 1], [3, 4]]", "[[True, True], [False, False]]"
    yield "In [23]", "[[1]] ≥ [0, 1, 3, 4]", "[[True, True, False, False]]"
    yield "In [24]", "[[1, 2, 3, 4]] ≥ [[0, 1], [3, 4]]", "RuntimeError: sizes 4 and 2 do not match"
    yield "In [25]", "shape of [0, 1, 3, 4]", "[4]"
    yield "In [34]", "shapes of a and b and of their views", "[2, 2] [4] [3, 3] [9]"
    yield "In [34]", "b", "[[1, 2, 3], [3, 4, 5], [5, 6, 7]]"
    yield "In [34]", "b.view(-1)", "[1, 2, 3, 3, 4, 5, 5, 6, 7]"
    yield "In [34]", "b.view(3, -1)", "[[1, 2, 3], [3, 4, 5], [5, 6, 7]]"


def _tape() -> Iterator[Entry]:
    for cell, how in (
        ("In [40]", "by hand"),
        ("In [68]", "from creator to creator"),
        ("In [71]", "by recursion"),
        ("In [89]", "by a loop"),
    ):
        yield cell, f"derivative of (exp(x²))² at 0.5, {how}", "3.297442541400256"


def _book() -> Iterator[Entry]:
    yield "In [3]", "two apples with tax", "220.00000000000003"
    yield "In [4]", "gradients for tax, apple, number", "200 2.2 110.00000000000001"
    yield "In [6]", "apples and oranges with tax", "715.0000000000001"
    yield (
        "In [7]",
        "gradients for apple, number, orange, number, tax",
        "2.2 110.00000000000001 3.3000000000000003 165.0 650",
    )
    yield "In [9]", "mask of x ≤ 0", "[[False, True], [True, False]]"
    yield "In [9]", "x where the mask is not, else 0", "[[1.0, 0.0], [0.0, 3.0]]"
    yield "In [12]", "shape of rand(2, 3)", "(2, 3)"
    yield "In [14]", "shape of rand(2)", "(2,)"
    for leaf, printed in (
        ("w1", "0.00012851625382384843"),
        ("b1", "0.0009881256155063179"),
        ("w2", "0.0028280701437851477"),
        ("b2", "0.06666666678657075"),
    ):
        yield "In [26]", f"mean error of the gradient of {leaf}", printed
    for steps, digit, train, test in (
        (600, 2, "0.0993", "0.1032"),
        (1200, 6, "0.09863333333333334", "0.0958"),
        (1800, 8, "0.09751666666666667", "0.0974"),
    ):
        yield "In [27]", f"train accuracy after {steps} steps: all are taken for {digit}", train
        yield "In [27]", f"test accuracy after {steps} steps: all are taken for {digit}", test
    yield "In [27]", "logits overflow to NaN between these steps", "1800 and 2400"
    yield "In [27]", "train accuracy from 2400 steps on: NaN is taken for 0", "0.09871666666666666"
    yield "In [27]", "test accuracy from 2400 steps on: NaN is taken for 0", "0.098"
    yield "the book", "test accuracy with a softmax for each row, mean of five", "0.969"


def _autograd() -> Iterator[Entry]:
    yield "In [2]", "x", "[[1.0, 1.0], [1.0, 1.0]]"
    yield "In [3]", "y = x + 2", "[[3.0, 3.0], [3.0, 3.0]]"
    yield "In [14]", "z = 3 y²", "[[27.0, 27.0], [27.0, 27.0]]"
    yield "In [14]", "out, the mean of z", "27.0"
    yield "In [17]", "x.grad: 4.5, added up by two backward passes", "[[9.0, 9.0], [9.0, 9.0]]"
    yield "In [31]", "x, drawn once", "[0.1111, 1.6964, 0.8650]"
    yield "In [31]", "y = 2 x, doubled until its norm is 1000", "[113.7798, 1737.1522, 885.8029]"
    yield "In [32]", "vector-Jacobian product with [0.1, 1, 0.0001]", "[1.0240e+02, 1.0240e+03, 1.0240e-01]"
    yield "In [36]", "x equals x.detach()", "True"
    yield "In [49]", "conv1: channels in and out, kernel", "1, 6, (3, 3)"
    yield "In [49]", "conv2: channels in and out, kernel", "6, 16, (3, 3)"
    yield "In [49]", "fc1, fc2, fc3: features in and out", "576 120, 120 84, 84 10"
    yield "In [48]", "what is left of 32 × 32 before fc1", "16 * 6 * 6"
    yield "In [50]", "parameter tensors", "10"
    yield "In [50]", "shape of conv1's weight", "[6, 1, 3, 3]"
    yield "In [60]", "conv1.bias.grad before backward", "[0.0, 0.0, 0.0, 0.0, 0.0, 0.0]"


def _fashion() -> Iterator[Entry]:
    yield "2nd", "loss of the printed weights", "0.7336"
    yield "4th", "gradient of b", "[0.2056, 0.1073, 0.1913]"
    yield "4th", "each of the five rows of w's gradient", "[0.2056, 0.1073, 0.1913]"
    for epoch, losses in enumerate(FASHION_TRAIN_LOSSES, 1):
        for batch, loss in enumerate(losses.split()):
            yield "last", f"epoch {epoch}, training loss of batch {100 * batch}", loss
    yield "last", "epoch 1, test accuracy, %", "44.9"
    yield "last", "epoch 1, test loss", "2.174765"
    yield "last", "epoch 2, test accuracy, %", "56.2"
    yield "last", "epoch 2, test loss", "1.933700"
    yield "PyTorch's tutorial", "epoch 10, test accuracy, %", "71.0"


PUBLISHED: dict[str, tuple[Entry, ...]] = {
    "000": tuple(_xor()),
    "001": tuple(_tape()),
    "002": tuple(_book()),
    "003": tuple(_autograd()),
    "004": tuple(_fashion()),
}
"""By notebook, in the order of its cells."""
