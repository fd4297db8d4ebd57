"""The real sets: what is known about each, from sets.toml; where those beside MedMNIST lie, and how they are read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from medlab.data import real_images, real_scans, xrays
from medlab.data.files import cache_folder, fetch_folder, find_path, from_mirror, hashes, mirror_url
from medlab.data.images import ImageSet, Info
from medlab.data.publishers import PUBLISHERS, Publisher
from medlab.phantoms.catalog import read_facts

FACTS = read_facts(Path(__file__).with_name("sets.toml"))  # of MedMNIST, too
ABOUT = ("modality", "task", "classes", "license", "citation", "unit", "note")
Read = Callable[[Path, int, Info], ImageSet]


def make_info(name: str, facts: Mapping, phantom: bool = False) -> Info:
    """The `Info` of a set out of what is known about it."""
    window = tuple(facts["window"]) if "window" in facts else None
    return Info(name=name, phantom=phantom, window=window, **{key: facts[key] for key in ABOUT})


def locate(name: str, place: str, contents: str = "", stand_in: str = "brain", cached: str | None = None) -> Path:
    """Where a set lies, fetched from the mirror where there is one, or where it will be downloaded to.

    The arguments are as of `RealSet`.

    Raises:
        FileNotFoundError: it is not there and must be put there by hand.
        ValueError, ConnectionError, OSError: see `fetch_folder`.
    """
    if path := find_set(place, cached):
        return path
    folder = place.partition("/")[0]
    if hashes(folder) and mirror_url():
        try:
            fetch_folder(folder, stand_in)
            return cache_folder() / place
        except ConnectionError:  # a mirror need not hold what can be downloaded elsewhere
            if cached is None:
                raise
    if cached is None:
        made = (
            " (data/makers/README.md says how to make it), or MEDLAB_MIRROR to the address of a web server that has it"
        )
        raise FileNotFoundError(
            f"{name} is not downloaded by medlab: set MEDLAB_DATA to a folder that holds {place}{contents}"
            f'{made if hashes(folder) else ""}; until then a phantom can stand in, e.g. load("{stand_in}")'
        )
    return cache_folder() / cached


def find_set(place: str, cached: str | None = None) -> Path | None:
    """Where a set lies, or None; the arguments are as of `RealSet`."""
    path = find_path(place) if cached is None else find_path(place, cached)
    if path is None and from_mirror(place.partition("/")[0]):
        return cache_folder() / place
    return path or find_path(in_cache=cached)


@dataclass(frozen=True)
class RealSet:
    """A real set beside MedMNIST.

    Args:
        info: what is known about it.
        read: reads the set in a given size from its path; a `Listing` is read when it is known what of it is wanted.
        size: usual edge length in pixels.
        images: how many.
        place: its path under `MEDLAB_DATA`.
        sizes: all edge lengths; None for any multiple of 8 from 16.
        contents: what must be found there.
        stand_in: a phantom to use where it is not.
        cached: its path in the cache folder, where `read` downloads it; None for a set that is not downloaded.
        split_by: what is kept whole when the set is split.
        publisher: reads the publisher's files in place of our folder; None where that is not offered.
        publisher_note: the note of `info` where it does.
    """

    info: Info
    read: Read
    size: int
    images: int | str
    place: str
    sizes: Sequence[int] | None = None
    contents: str = ""
    stand_in: str = "lung"
    cached: str | None = None
    split_by: str = "patient"
    publisher: Publisher | None = None
    publisher_note: str = ""

    def find(self) -> Path | None:
        """Where the set lies, in our folders or as its publisher lays it out, or None."""
        return find_set(self.place, self.cached) or (self.publisher.find() if self.publisher else None)

    def locate(self) -> Path:
        """Where the set lies, see the function `locate`."""
        return locate(self.info.name, self.place, self.contents, self.stand_in, self.cached)

    def load(self, size: int) -> ImageSet:
        """Read the set: our folder, else the publisher's files, else what can be downloaded.

        Raises:
            FileNotFoundError: it is not there and must be put there by hand.
        """
        theirs = self.publisher.find() if self.publisher else None
        if theirs is None or find_set(self.place, self.cached):
            try:
                return self.read(self.locate(), size, self.info)
            except (FileNotFoundError, ConnectionError):  # perhaps a folder of ours that holds the publisher's files
                if theirs is None and (self.publisher is None or self.publisher.fetch is None):
                    raise
        info = replace(self.info, note=self.publisher_note)
        return self.publisher.list(theirs or self.publisher.fetch(), size, info)  # type: ignore[misc, union-attr]


READERS: dict[str, Read] = {
    "hippocampus": real_scans.read_hippocampus,
    "hippocampus_volumes": real_scans.read_hippocampus_volumes,
    "nuclei": real_images.read_nuclei,
    "jsrt": xrays.load_jsrt,
    "montgomery": xrays.load_montgomery,
    "bccd": real_images.list_splits,
    "isic2017": real_images.list_isic2017,
    "isic2017_masks": real_images.list_isic2017,
    "mednist": real_images.list_splits,
    "pancreas_ct": partial(real_images.list_ct_slices, patient="patient", ending=".png"),
    "liver_ct": partial(real_images.list_ct_slices, patient="volume", ending=".jpg"),
    "lung_ct_patches": real_images.list_lung_ct_patches,
    "lung_ct": partial(real_scans.list_scans, cases=real_scans.lungs, field=432),
    "nih_chestxray": real_images.list_nih_chestxray,
    "sts_pet": partial(real_scans.list_scans, cases=real_scans.pets, field=320, labels=(0, 1)),
    "brain_pet_maps": partial(real_scans.list_scans, cases=real_scans.maps, field=224, body=real_scans.bright),
    "ixi": partial(real_scans.list_scans, cases=real_scans.heads, field=240, body=real_scans.brain),
    "brain_tumor_t1": real_images.list_brain_tumor_t1,
    "tcga_lgg": partial(
        real_scans.list_scans,
        cases=real_scans.gliomas,
        field=240,
        labels=real_scans.TUMOR_LABELS,
        body=real_scans.bright,
    ),
}


def _real_set(name: str, read: Read) -> RealSet:
    facts = FACTS[name]
    rest = {key: value for key, value in facts.items() if key not in (*ABOUT, "window")}
    publisher = PUBLISHERS.get(facts["place"].partition("/")[0])
    return RealSet(make_info(name, facts), read, publisher=publisher, **rest)


REAL = {name: _real_set(name, read) for name, read in READERS.items()}
