"""Image sets: load them by name or from files, split them by patient, augment them, cut patches."""

from medlab.data.augment import Augment, AugmentVolumes
from medlab.data.class_folders import load_class_folders
from medlab.data.corruptions import simulate_phone_photo
from medlab.data.dicom import load_dicom
from medlab.data.dicom_series import load_dicom_series
from medlab.data.grids import to_nifti
from medlab.data.image_files import load_image_files
from medlab.data.images import ImageSet, Info
from medlab.data.lesions import PER_LESION, augment_lesions
from medlab.data.nifti import Volume, load_nifti, load_nifti_labels, load_nifti_pair
from medlab.data.patches import VIEWS, extract_patches, patch_set, region_mask, sample_centers
from medlab.data.png import load_png_folder
from medlab.data.registry import PHANTOMS, available, load, read_volume
from medlab.data.samples import load_sample
from medlab.data.subsets import channels_as_images, find_repeats, folds, join, oversample
from medlab.data.volumes import Case, load_decathlon, slice_set, volume_set
from medlab.limits import raise_limits

__all__ = [
    "PER_LESION",
    "PHANTOMS",
    "VIEWS",
    "Augment",
    "AugmentVolumes",
    "Case",
    "ImageSet",
    "Info",
    "Volume",
    "augment_lesions",
    "available",
    "channels_as_images",
    "extract_patches",
    "find_repeats",
    "folds",
    "join",
    "load",
    "load_class_folders",
    "load_decathlon",
    "load_dicom",
    "load_dicom_series",
    "load_image_files",
    "load_nifti",
    "load_nifti_labels",
    "load_nifti_pair",
    "load_png_folder",
    "load_sample",
    "oversample",
    "patch_set",
    "raise_limits",
    "read_volume",
    "region_mask",
    "sample_centers",
    "simulate_phone_photo",
    "slice_set",
    "to_nifti",
    "volume_set",
]
