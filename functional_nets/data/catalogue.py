"""The data sets that this package knows: titles, classes, and the digests that identify them."""

from typing import NamedTuple


class Known(NamedTuple):
    """A data set, or a part of one, identified by its content.

    Attributes:
        title: Its name for people.
        class_names: What each label means, by label.
        digests: SHA-256, in hexadecimal, of the four uncompressed IDX files: training images, training
            labels, test images, test labels.
    """

    title: str
    class_names: tuple[str, ...]
    digests: tuple[str, str, str, str]


_CLOTHES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

KNOWN = {
    "mnist": Known(
        title="MNIST",
        class_names=("0", "1", "2", "3", "4", "5", "6", "7", "8", "9"),
        digests=(
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
    "fashion_mnist": Known(
        title="Fashion-MNIST",
        class_names=_CLOTHES,
        digests=(
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
    ),
}
"""All 60,000 training and 10,000 test images, as published."""

PARTS = {
    "fashion_mnist": Known(
        title="the embedded part of Fashion-MNIST",
        class_names=_CLOTHES,
        digests=(
            "ebca61dfa5a101cb86d00ab67cce10677c151a672c0bb2792a1b31671203ef63",
            "25857998263ee097596289d01b87542b831c33a173fd7f8afb29b1819688a0e8",
            "c5a714c8333128198c435d5cf34112694a2c057d95b12102e9d5434f1044f047",
            "84f6e9c5744eb537b58f75e5923734c39754a0b9be2c13800594fe461de74a1c",
        ),
    ),
}
"""What `scripts/make_embedded_data.py` chooses of a set that is too large to embed."""
