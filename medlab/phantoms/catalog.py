"""All phantoms by name: how their images are generated, and what is known about them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from torch import Tensor

from medlab.phantoms import abdomen, brain, chest, csf, glioma, liver, lung, pet, ring, skin, temporal_lobe, ultrasound
from medlab.phantoms.anatomy import CITATION, LICENSE, TISSUES

MR = "0 = no signal, 1 = brightest; MR intensities have no unit"
TEMPLATE = {
    "note": "Phantom in deformed template anatomy: tests code and ideas, not medical claims.",
    "license": LICENSE,
    "citation": CITATION,
}


@dataclass(frozen=True)
class Phantom:
    """How the images of a phantom are generated, and what is known about them.

    Args:
        generate: gives images and targets of a number of images, their edge length in pixels and a seed.
        modality, task, classes, unit, note, license, citation: see `medlab.data.Info`.
        size: usual edge length in pixels.
        sizes: all edge lengths; None for any multiple of 8 from 16.
        n: usual number of images.
        images_per_patient: of patients 0, 1, ...; those that follow have as many as these, in turn.
        seed_offset: added to the seed, so that two phantoms of one module show other patients.
    """

    generate: Callable[[int, int, int], tuple[Tensor, Tensor]]
    modality: str
    classes: tuple[str, ...]
    unit: str
    note: str
    citation: str
    license: str = "MIT (made by this project)"
    task: str = "multi-class"
    size: int = 128
    sizes: tuple[int, ...] | None = None
    n: int = 400
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


PHANTOMS = {
    "abdomen": Phantom(
        abdomen.make,
        modality="CT (abdomen, portal-venous phase)",
        task="segmentation",
        classes=("background", "pancreas", "kidneys", "liver", "spleen"),
        unit="0 = -160 HU, 1 = 240 HU",
        note="Phantom of simple solids: tests code and ideas, not medical claims.",
        citation="medlab abdomen phantom",
        images_per_patient=(abdomen.SLICES_PER_PATIENT,),
    ),
    "brain": Phantom(
        brain.make,
        modality="MRI (T1-weighted)",
        task="segmentation",
        classes=("background", *TISSUES),
        unit=MR,
        **TEMPLATE,
        images_per_patient=(brain.SLICES_PER_PATIENT,),
    ),
    "chest": Phantom(
        chest.make,
        modality="X-ray (chest)",
        task="segmentation",
        classes=("background", "right lung", "left lung", "heart"),
        unit="0 = least, 1 = most attenuation on the film",
        note="Phantom of simple solids, one image per patient: tests code and ideas, not medical claims. An opacity "
        "hides a part of a lung in patients 0, 4, 8, ...",
        citation="medlab chest phantom",
        n=200,
    ),
    "liver": Phantom(
        liver.make,
        modality="CT",
        classes=("cyst", "metastasis", "hemangioma"),
        unit="0 = -60 HU, 1 = 200 HU",
        note="Phantom of procedural lesions, one per patient: tests code and ideas, not medical claims.",
        citation="medlab liver phantom; classes after Frid-Adar et al., Neurocomputing 321:321-331, 2018",
        size=64,
        n=sum(liver.PATIENTS),
    ),
    "lung": Phantom(
        lung.make,
        modality="CT (high resolution)",
        classes=lung.PATTERNS,
        unit="0 = -1000 HU, 1 = 400 HU",
        note="Phantom of procedural textures: tests code and ideas, not medical claims.",
        citation="medlab lung phantom; patterns after Depeursinge et al., Comput Med Imaging Graph 36(3):227-238, 2012",
        size=32,
        n=1500,
        images_per_patient=(lung.PATCHES_PER_PATIENT,),
    ),
    "pet": Phantom(
        pet.make,
        modality="PET (FDG)",
        classes=pet.STAGES,
        unit="0 = no uptake, 1 = 1.25 x healthy gray matter",
        **TEMPLATE,
        n=600,
        images_per_patient=(pet.SLICES_PER_PATIENT,),
    ),
    "ring": Phantom(
        ring.make,
        modality="points in the plane",
        classes=tuple(f"{360 * k // ring.MODES}°" for k in range(ring.MODES)),
        unit="0 to 1: position in the plane, channel 0 to the right, channel 1 up",
        note="No image: eight Gaussians on a circle, one point a patient. Tests code and ideas, not medical claims.",
        citation="medlab ring; the test after Metz et al., ICLR 2017, arXiv:1611.02163",
        size=1,
        n=4000,
        sizes=(1,),
    ),
    "skin": Phantom(
        skin.make,
        modality="dermoscopy",
        classes=("benign nevus", "melanoma", "seborrheic keratosis"),
        unit="red, green and blue; 0 = black, 1 = white",
        note="Phantom of procedural lesions: tests code and ideas, not medical claims.",
        citation="medlab skin phantom; features after the ABCD rule, Nachbar et al., J Am Acad Dermatol 30(4):551-559, "
        "1994",
        size=64,
        n=1200,
        images_per_patient=skin.IMAGES_PER_PATIENT,
    ),
    "ultrasound": Phantom(
        ultrasound.make,
        modality="ultrasound (breast)",
        classes=("no lesion", "cyst", "solid mass"),
        unit="0 = -60 dB, 1 = 0 dB",
        note="Phantom, one image per patient: tests code and ideas, not medical claims.",
        citation="medlab ultrasound phantom; speckle after Wagner et al., IEEE Trans Sonics Ultrason 30:156-163, 1983",
        n=300,
    ),
    "csf": Phantom(
        csf.make,
        modality="CT (head)",
        task="segmentation",
        classes=("background", "ventricles", "cortical sulci", "basal cisterns"),
        unit="0 = 0 HU, 1 = 80 HU",
        images_per_patient=(csf.SLICES_PER_PATIENT,),
        **TEMPLATE,
    ),
    "glioma": Phantom(
        glioma.make,
        modality="MRI (T1, T1c, T2, FLAIR)",
        task="segmentation",
        classes=("background", "tumor core", "edema", "enhancing rim"),
        unit=MR,
        images_per_patient=(glioma.SLICES_PER_PATIENT,),
        **TEMPLATE
        | {"note": f"{TEMPLATE['note']} The tumor is simulated. Channels: T1, T1 with contrast agent, T2, FLAIR."},
    ),
    "temporal_lobe": Phantom(
        temporal_lobe.make,
        modality="MRI (T1-weighted)",
        task="segmentation",
        classes=("background", "hippocampus"),
        unit=MR,
        size=32,
        n=40,
        **TEMPLATE | {"note": f"{TEMPLATE['note']} Volumes of 56 mm, one per patient, around the left hippocampus."},
    ),
}
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
