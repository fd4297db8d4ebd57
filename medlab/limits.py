"""How large a file of somebody else may be: what promises to be larger is refused before memory is taken for it."""

from collections.abc import Iterator
from contextlib import contextmanager

from medlab.errors import unknown_name_error, whole_number

_LIMITS = {
    "volume_bytes": 2 * 2**30,  # float32 values of a volume, or of the images of a set
    "array_bytes": 2 * 2**30,  # an array of an .npz archive whose shape is not known beforehand
    "unpacked_bytes": 2**28,  # a deflated DICOM file: a film of 8192 x 8192 pixels takes half of it
    "picture_side": 8192,  # pixels; ISIC 2017 has 6748
    "plan_characters": 100_000,  # a plan or a table of parameters, in YAML
    "card_bytes": 2**20,  # the card of a saved network
}


def excess(name: str, size: int) -> str:
    """What to say of `size` if it is larger than the limit of this name, and else nothing."""
    if size <= _LIMITS[name]:
        return ""
    return f"allowed are {_LIMITS[name]:,}; if you trust the file: with medlab.data.raise_limits({name}={size})"


@contextmanager
def raise_limits(**limits: int) -> Iterator[None]:
    """Allow larger files inside the block, such as ``with raise_limits(picture_side=20_000):``.

    Args:
        limits: `volume_bytes` of a volume or a set as float32, `array_bytes` of an array of an archive,
            `unpacked_bytes` of a deflated DICOM file, `picture_side` in pixels, `plan_characters`, `card_bytes`.

    Raises:
        ValueError: another name, or no whole number from 1.
    """
    before = dict(_LIMITS)
    for name, value in limits.items():
        if name not in before:
            raise unknown_name_error("limit", name, before)
        whole_number(name, value, 1)
    try:
        _LIMITS.update(limits)
        yield
    finally:
        _LIMITS.update(before)
