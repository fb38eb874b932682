"""The catalogue of data sets: their properties, known before any file is read, and how their files are found."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from neuroprune.choices import check_choice
from neuroprune.data import find
from neuroprune.data.codings import Kind
from neuroprune.data.types import Augmentation, Split


@dataclass(frozen=True)
class DatasetInfo:
    """The properties of a data set, known before its files are read; `load_dataset` takes one of your own or a name.

    shape: (channels, height, width) of a frame; recordings: whether samples are events, of which each is binned to T
    frames; steps: T, where samples are sequences of that many frames as they come. find: from the data folder and T
    (None for images that are shown as they are) to the training and the test split, or None where there are no files.
    files: what is looked for below the data folder, in words; source: where they come from; torchvision: the class of
    torchvision.datasets that can download them, "" where there is none. path: of data of one's own, which `find` reads.
    full_scale: the value of a white pixel.
    """

    name: str
    title: str
    shape: tuple[int, int, int]
    train_samples: int
    test_samples: int
    classes: tuple[str, ...]
    augmentation: Augmentation
    find: Callable[[Path, int | None], tuple[Split, Split] | None]
    files: str = ""
    source: str = ""
    torchvision: str = ""
    recordings: bool = False
    full_scale: int = 255
    steps: int | None = None
    path: Path | None = None

    def steps_of(self, coding: Kind) -> int | None:
        """T where samples in that coding have no other; None where it is to be chosen."""
        return self.shape[1] if coding == "rows" else self.steps


_DIGITS = tuple("0123456789")
_CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
_GESTURES = (
    "hand clapping",
    "right hand wave",
    "left hand wave",
    "right arm clockwise",
    "right arm counter-clockwise",
    "left arm clockwise",
    "left arm counter-clockwise",
    "arm roll",
    "air drums",
    "air guitar",
    "other gestures",
)
_SPOKEN = tuple(f"{language} {digit}" for language in ("English", "German") for digit in _DIGITS)
_IDX_FILES = "{train,t10k}-images-idx3-ubyte and {train,t10k}-labels-idx1-ubyte (or .gz)"

DATASETS = (
    DatasetInfo(
        "digits",
        "handwritten digits of scikit-learn",
        (1, 8, 8),
        1437,
        360,
        _DIGITS,
        Augmentation(1),
        find.find_digits,
        full_scale=16,
    ),
    DatasetInfo(
        "mnist",
        "handwritten digits",
        (1, 28, 28),
        60_000,
        10_000,
        _DIGITS,
        Augmentation(2),
        find.find_mnist,
        f"{_IDX_FILES} in MNIST/raw, mnist or the folder itself",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "MNIST",
    ),
    DatasetInfo(
        "fashion-mnist",
        "Zalando's articles of clothing",
        (1, 28, 28),
        60_000,
        10_000,
        _CLOTHES,
        Augmentation(2, flip=True),
        find.find_fashion_mnist,
        f"{_IDX_FILES} in FashionMNIST/raw, fashion-mnist or the folder itself",
        "https://github.com/zalandoresearch/fashion-mnist",
        "FashionMNIST",
    ),
    DatasetInfo(
        "cifar10",
        "small colour photographs of ten kinds",
        (3, 32, 32),
        50_000,
        10_000,
        find.CIFAR10,
        Augmentation(4, flip=True),
        find.find_cifar10,
        "data_batch_1 to data_batch_5 and test_batch, in cifar-10-batches-py or (each with .bin) cifar-10-batches-bin",
        "https://www.cs.toronto.edu/~kriz/cifar.html",
        "CIFAR10",
    ),
    DatasetInfo(
        "cifar100",
        "small colour photographs of a hundred kinds",
        (3, 32, 32),
        50_000,
        10_000,
        tuple(str(number) for number in range(100)),
        Augmentation(4, flip=True),
        find.find_cifar100,
        "train.bin and test.bin in cifar-100-binary, or train and test in cifar-100-python",
        "https://www.cs.toronto.edu/~kriz/cifar.html",
        "CIFAR100",
    ),
    DatasetInfo(
        "n-mnist",
        "handwritten digits, recorded by an event camera",
        (2, 34, 34),
        60_000,
        10_000,
        _DIGITS,
        Augmentation(2),
        find.find_nmnist,
        "{Train,Test}/<digit>/*.bin in N-MNIST, NMNIST, n-mnist or the folder itself",
        "https://www.garrickorchard.com/datasets/n-mnist",
        recordings=True,
    ),
    DatasetInfo(
        "poker-dvs",
        "pips of cards that pass an event camera",
        (2, 35, 35),
        48,
        20,
        ("club", "heart", "diamond", "spade"),
        Augmentation(2),
        find.find_poker,
        "pips_{train,test}.tar.gz, or unpacked pips_{train,test}/<cl,he,di,sp>/*.npy, in POKERDVS, poker-dvs or the "
        "folder itself",
        "https://github.com/neuromorphs/tonic",
        recordings=True,
    ),
    DatasetInfo(
        "tiny-imagenet",
        "colour photographs of two hundred kinds",
        (3, 64, 64),
        100_000,
        10_000,
        tuple(str(number) for number in range(200)),
        Augmentation(4, flip=True),
        find.find_tiny_imagenet,
        "wnids.txt, train/<class>/images/*.JPEG, val/val_annotations.txt and val/images, in tiny-imagenet-200, "
        "tiny-imagenet or the folder itself",
        "http://cs231n.stanford.edu/tiny-imagenet-200.zip",
    ),
    DatasetInfo(
        "dvs128-gesture",
        "gestures of hands and arms, recorded by an event camera",
        (2, 128, 128),
        1_176,
        288,
        _GESTURES,
        Augmentation(),
        find.find_dvs_gesture,
        "events_np/{train,test}/<class>/*.npz of SpikingJelly, ibmGesture{Train,Test}/<user>/<class>.npy of tonic "
        "(1,077 and 264 samples), or DvsGesture/*.aedat as distributed, in DVS128Gesture, DVSGesture, dvs128-gesture "
        "or the folder itself",
        "https://research.ibm.com/interactive/dvsgesture",
        recordings=True,
    ),
    DatasetInfo(
        "cifar10-dvs",
        "photographs of CIFAR-10, moved before an event camera",
        (2, 128, 128),
        9_000,
        1_000,
        find.CIFAR10,
        Augmentation(4, flip=True),
        find.find_cifar10_dvs,
        "<class>/*.npz in events_np, or <class>/*.aedat in extract, in CIFAR10DVS, cifar10-dvs or the folder itself",
        "https://figshare.com/articles/dataset/CIFAR10-DVS_New/4724671",
        recordings=True,
    ),
    DatasetInfo(
        "shd",
        "Heidelberg digits, spoken, as spikes of a model of the inner ear",
        (1, 1, 700),
        8_156,
        2_264,
        _SPOKEN,
        Augmentation(),
        find.find_shd,
        "shd_train.h5 and shd_test.h5, in SHD, shd or the folder itself",
        "https://zenkelab.org/resources/spiking-heidelberg-datasets-shd/",
        recordings=True,
    ),
)


def list_datasets() -> tuple[DatasetInfo, ...]:
    """All data sets that `load_dataset` knows by name, the default first.

    >>> from neuroprune import list_datasets
    >>> [info.name for info in list_datasets() if info.recordings]
    ['n-mnist', 'poker-dvs', 'dvs128-gesture', 'cifar10-dvs', 'shd']
    """
    return DATASETS


def find_dataset(name: str) -> DatasetInfo:
    """The entry of the data set `name`. Raises InputError when there is none."""
    check_choice("data set", name, DATASETS)
    return next(info for info in DATASETS if info.name == name)
