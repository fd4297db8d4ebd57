"""Images: load them by name, look at them, split them by patient, batch and augment them on the device."""

from medlab.data.augment import Augment
from medlab.data.augment_volumes import AugmentVolumes
from medlab.data.dicom import load_dicom, load_dicom_series
from medlab.data.images import ImageSet, Info
from medlab.data.nifti import Volume, load_nifti, load_nifti_pair
from medlab.data.registry import available, load
from medlab.data.subsets import channels_as_images

__all__ = [
    "Augment",
    "AugmentVolumes",
    "ImageSet",
    "Info",
    "Volume",
    "available",
    "load",
    "load_dicom",
    "load_dicom_series",
    "load_nifti",
    "load_nifti_pair",
    "channels_as_images",
]
