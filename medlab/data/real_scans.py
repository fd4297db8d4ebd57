"""Real sets that are volumes in NIfTI files, in slices or whole, and what is known about each."""

from dataclasses import replace
from pathlib import Path

from medlab.data.images import ImageSet, Info
from medlab.data.listing import Listing
from medlab.data.nifti import Volume, load_nifti
from medlab.data.scans import Scan, list_slices, up_to_percentile, window
from medlab.data.volumes import load_decathlon, slice_set, volume_set

ENDING = ".nii.gz"
SEQUENCES = ("t1", "t1c", "t2", "fla")  # of `tcga_lgg`, as its files are named
TUMOR_LABELS = (0, 1, 2, 4)

HIPPOCAMPUS = Info(
    name="hippocampus",
    modality="MR",
    task="segmentation",
    classes=("background", "anterior", "posterior"),
    license="CC BY-SA 4.0",
    citation="Antonelli et al., Nature Communications 13:4128, 2022; Simpson et al., arXiv:1902.09063, 2019",
    unit="0 = 0.5th, 1 = 99.5th percentile of the case; padding is 0",
    note="Axial slices of crops around one hippocampus, front up, the patient's right on the left. Ids are those of "
    "the crops: some people gave two, and the numbering does not say which.",
)
HIPPOCAMPUS_VOLUMES = replace(
    HIPPOCAMPUS,
    name="hippocampus_volumes",
    note="Crops of 40 x 48 x 32 mm around one hippocampus; slices from the feet up, front up, the patient's right on "
    "the left. Ids are those of the crops: some people gave two, and the numbering does not say which.",
)
LUNG_CT = Info(
    name="lung_ct",
    modality="CT",
    task="multi-class",
    classes=("chest CT",),
    license="CC BY 3.0 (LIDC-IDRI), CC BY 4.0 (Lung-PET-CT-Dx)",
    citation="Armato et al., Medical Physics 38:915, 2011, doi 10.7937/K9/TCIA.2015.LO9QL9SX; Li et al., "
    "Lung-PET-CT-Dx, TCIA, 2020, doi 10.7937/TCIA.2020.NNC2-0461; Clark et al., J Digit Imaging 26:1045, 2013",
    unit="0 = -1000 HU or less, 1 = 400 HU or more",
    note="All axial slices, 432 mm wide, of three patients: one scan at 3 mm and in 20 fine slices, one with a sharp "
    "kernel, one with a sharp and a soft kernel (the same slices twice). Two have lung cancer, the third is from a set "
    "of nodules: no healthy lungs.",
)
STS_PET = Info(
    name="sts_pet",
    modality="PET",
    task="segmentation",
    classes=("background", "tumor"),
    license="CC BY 3.0",
    citation="Vallieres et al., Physics in Medicine and Biology 60:5471, 2015, doi 10.7937/K9/TCIA.2015.7GO2GSKS; "
    "Clark et al., Journal of Digital Imaging 26:1045, 2013; IBSI (Zwanenburg)",
    unit="0 = SUV 0, 1 = SUV 10 or more",
    note="FDG in soft-tissue sarcoma: all axial slices, 320 mm wide, of crops that end 5 cm from the tumor (limbs and "
    "trunk), padded with 0; front up, the patient's right on the left. Masks are the authors' gross tumor volumes.",
)
BRAIN_PET_MAPS = Info(
    name="brain_pet_maps",
    modality="PET",
    task="multi-class",
    classes=("average brain PET",),
    license="MIT (FDG), CC0 (receptors)",
    citation="Wang et al., Scientific Data 8:305, 2021; Savli et al., NeuroImage 63:447, 2012; Kantonen et al., "
    "NeuroImage 217:116922, 2020; Alakurtti et al., JCBFM 35:1199, 2015; Dukart et al., Human Brain Mapping "
    "42:555, 2021",
    unit="0 = no uptake, 1 = 99.5th percentile of the map",
    note="No patients: seven averages of 7 to 204 people in MNI space, one of FDG and six of receptors, scaled by "
    "their authors. Each map counts as a patient, though all show one average brain. Axial slices, 224 mm wide, of "
    "which a tenth is brain.",
)
IXI = Info(
    name="ixi",
    modality="MR",
    task="multi-class",
    classes=("healthy brain",),
    license="CC BY-SA 3.0; region labels: NiChart software license",
    citation="IXI dataset, brain-development.org; region labels: NiChart (DLMUSE), CBICA, University of Pennsylvania",
    unit="0 = 0, 1 = 99.5th percentile of the scan",
    note="T1 of healthy adults from one scanner (Philips 3 T), not defaced: axial slices, 240 mm wide, of which a "
    "tenth is brain, front up, the patient's right on the left. One class, for networks that learn the healthy brain; "
    "age and sex are in participants.csv. The region labels are a network's output, no ground truth.",
)
TCGA_LGG = Info(
    name="tcga_lgg",
    modality="MR",
    task="segmentation",
    classes=("background", "necrosis", "edema", "enhancing tumor"),
    license="CC BY 3.0",
    citation="Pedano et al., TCGA-LGG, TCIA, 2016, doi 10.7937/K9/TCIA.2016.L4LTD3TK; Kofler et al., BraTS Toolkit, "
    "Frontiers in Neuroscience 14:125, 2020",
    unit="0 = outside the brain, 1 = 99.5th percentile of the brain in that sequence",
    note="Channels are T1, T1 with contrast, T2 and FLAIR. Masks are the fused output of five networks, no ground "
    "truth. Two patients, so there are no three splits. Axial slices, 240 mm wide, of which a tenth is brain, front "
    "up, the patient's right on the left.",
)


def read_hippocampus(folder: Path, size: int) -> ImageSet:
    """Read Decathlon task 4, downloaded where it is not there, in slices."""
    spacing = None if size >= 48 else 48 / size  # mm: 48 mm hold all of it
    return slice_set(load_decathlon(folder, download=True)[0], HIPPOCAMPUS, size, spacing=spacing)


def read_hippocampus_volumes(folder: Path, size: int) -> ImageSet:
    """Read Decathlon task 4, downloaded where it is not there, in volumes."""
    shape = (5 * size // 6, size, 2 * size // 3)  # 40 x 48 x 32 mm cut off no labeled voxel of 100 cases
    return volume_set(load_decathlon(folder, download=True)[0], HIPPOCAMPUS_VOLUMES, shape)


def list_lung_ct(folder: Path, size: int) -> Listing:
    """List the slices of the chest CTs: ``PATIENT_SCAN.nii.gz``."""
    paths = sorted(folder.glob(f"*{ENDING}"))
    scans = [Scan(path.name.split("_")[0], (path,)) for path in paths]
    return list_slices(scans, LUNG_CT, size, 432, window(-1000, 400))


def list_sts_pet(folder: Path, size: int) -> Listing:
    """List the PET slices of the sarcomas: ``PATIENT/PET_image.nii.gz``, ``PATIENT/PET_mask.nii.gz``."""
    scans = [
        Scan(path.parent.name, (path,), path.with_name(f"PET_mask{ENDING}"))
        for path in sorted(folder.glob(f"*/PET_image{ENDING}"))
    ]
    return list_slices(scans, STS_PET, size, 320, window(0, 10), labels=(0, 1))


def list_brain_pet_maps(folder: Path, size: int) -> Listing:
    """List the slices of the average PET: ``MAP.nii.gz``."""
    scans = [Scan(stem(path), (path,)) for path in sorted(folder.glob(f"*{ENDING}")) if "mask" not in path.name]
    return list_slices(scans, BRAIN_PET_MAPS, size, 224, up_to_percentile, body=_bright)


def list_ixi(folder: Path, size: int) -> Listing:
    """List the slices of IXI: ``T1/SUBJECT_T1.nii.gz``; ``DLMUSE/SUBJECT_DLMUSE.nii.gz`` says where the brain is."""
    scans = [Scan(stem(path)[:-3], (path,), region_labels(path)) for path in sorted((folder / "T1").glob(f"*{ENDING}"))]
    return list_slices(scans, IXI, size, 240, up_to_percentile, body=lambda scan: load_nifti(scan.labels))


def list_tcga_lgg(folder: Path, size: int) -> Listing:
    """List the slices of the gliomas: ``PATIENT/PATIENT_SEQUENCE.nii.gz``, ``PATIENT/PATIENT_seg_fused.nii.gz``."""
    scans = [
        Scan(
            path.parent.name,
            tuple(path.with_name(f"{path.parent.name}_{sequence}{ENDING}") for sequence in SEQUENCES),
            path,
        )
        for path in sorted(folder.glob(f"*/*_seg_fused{ENDING}"))
    ]
    return list_slices(scans, TCGA_LGG, size, 240, up_to_percentile, labels=TUMOR_LABELS, body=_bright)


def region_labels(path: Path) -> Path:
    """The label map of an image of IXI."""
    return path.parents[1] / "DLMUSE" / path.name.replace("_T1.", "_DLMUSE.")


def stem(path: Path) -> str:
    """The name of a file without .nii.gz."""
    return path.name.removesuffix(ENDING)


def _bright(scan: Scan) -> Volume:
    volume = load_nifti(scan.images[0])
    return replace(volume, voxels=up_to_percentile(volume.voxels) > 0.05)
