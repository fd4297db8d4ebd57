"""All phantoms by name: how their images are generated, and what is known about them, from phantoms.toml."""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from torch import Tensor

from medlab.phantoms import abdomen, brain, chest, csf, glioma, liver, lung, pet, ring, skin, temporal_lobe, ultrasound
from medlab.phantoms.anatomy import TISSUES


@dataclass(frozen=True)
class Phantom:
    """How the images of a phantom are generated, and what is known about them.

    Args:
        generate: gives images and targets of a number of images, their edge length in pixels and a seed.
        modality, task, classes, unit, note, license, citation: see `medlab.data.Info`.
        size: usual edge length in pixels.
        n: usual number of images.
        sizes: all edge lengths; None for any multiple of 8 from 16.
        images_per_patient: of patients 0, 1, ...; those that follow have as many as these, in turn.
        seed_offset: added to the seed, so that two phantoms of one module show other patients.
    """

    generate: Callable[[int, int, int], tuple[Tensor, Tensor]]
    modality: str
    task: str
    classes: tuple[str, ...]
    unit: str
    note: str
    citation: str
    license: str
    size: int
    n: int
    sizes: tuple[int, ...] | None = None
    images_per_patient: tuple[int, ...] = (1,)
    seed_offset: int = 0

    def make(self, n: int, size: int, seed: int) -> tuple[Tensor, Tensor, np.ndarray]:
        """Generate `n` images and their targets, each with the patient that it is of, ``(n,)``."""
        images, targets = self.generate(n, size, seed + self.seed_offset)
        times = -(-n // sum(self.images_per_patient))
        counts = self.images_per_patient * times
        return images, targets, np.repeat(np.arange(len(counts)), counts)[:n]

    def images_of(self, patients: int) -> int:
        """The number of images that the first `patients` patients have together."""
        times, rest = divmod(patients, len(self.images_per_patient))
        return times * sum(self.images_per_patient) + sum(self.images_per_patient[:rest])


def read_facts(path: Path) -> dict[str, dict]:
    """Read a table for each name from a .toml file; what it leaves out is filled in from the one that `like` names.

    Lists are tuples, and ``{from = 16, to = 64, step = 8}`` is the range of these numbers.
    """
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    whole = {name: tables[facts["like"]] | facts if "like" in facts else facts for name, facts in tables.items()}
    return {name: {key: _value(facts[key]) for key in facts if key != "like"} for name, facts in whole.items()}


def _value(value):
    if isinstance(value, dict):
        return range(value["from"], value["to"] + 1, value["step"])
    return tuple(value) if isinstance(value, list) else value


FACTS = read_facts(Path(__file__).with_name("phantoms.toml"))
RING = tuple(f"{360 * k // ring.MODES}°" for k in range(ring.MODES))
# Beside what phantoms.toml says: how images are made, and what follows from that.
GENERATED: dict[str, dict] = {
    "abdomen": {"generate": abdomen.make, "images_per_patient": (abdomen.SLICES_PER_PATIENT,)},
    "brain": {
        "generate": brain.make,
        "classes": ("background", *TISSUES),
        "images_per_patient": (brain.SLICES_PER_PATIENT,),
    },
    "chest": {"generate": chest.make},
    "csf": {"generate": csf.make, "images_per_patient": (csf.SLICES_PER_PATIENT,)},
    "glioma": {"generate": glioma.make, "images_per_patient": (glioma.SLICES_PER_PATIENT,)},
    "liver": {"generate": liver.make, "n": sum(liver.PATIENTS)},
    "lung": {"generate": lung.make, "classes": lung.PATTERNS, "images_per_patient": (lung.PATCHES_PER_PATIENT,)},
    "pet": {"generate": pet.make, "classes": pet.STAGES, "images_per_patient": (pet.SLICES_PER_PATIENT,)},
    "ring": {"generate": ring.make, "classes": RING},
    "skin": {"generate": skin.make, "images_per_patient": skin.IMAGES_PER_PATIENT},
    "temporal_lobe": {"generate": temporal_lobe.make},
    "ultrasound": {"generate": ultrasound.make},
}
PHANTOMS = {name: Phantom(**FACTS[name] | generated) for name, generated in GENERATED.items()}
PHANTOMS |= {
    "chest_b": replace(
        PHANTOMS["chest"],
        generate=partial(chest.make, hospital=chest.BEDSIDE),
        citation="medlab chest phantom, hospital B (bedside)",
        seed_offset=500_009,
    ),
    "glioma_sagittal": replace(PHANTOMS["glioma"], generate=partial(glioma.make, plane="sagittal")),
    "pet_coronal": replace(PHANTOMS["pet"], generate=partial(pet.make, plane="coronal"), seed_offset=700_001),
    "pet_sagittal": replace(PHANTOMS["pet"], generate=partial(pet.make, plane="sagittal"), seed_offset=800_011),
}
PHANTOMS = dict(sorted(PHANTOMS.items()))
