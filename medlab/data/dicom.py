"""Readers of single DICOM images: what the header says is checked before the pixels are read."""

import warnings
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medlab.data.folders import told
from medlab.data.nifti import check_size
from medlab.limits import excess

LARGEST_RESCALE = 1e30
CONVERT = "convert the series with dcm2niix and read the result with load_nifti"
TEXT_TAGS = (
    "Rows Columns SamplesPerPixel PhotometricInterpretation ImageType Modality RescaleType SeriesInstanceUID"
).split()
# Where vendors keep the number of tiles of a mosaic: private creator, group, element.
MOSAIC_TAGS = (("SIEMENS MR HEADER", 0x0019, 0x0A), ("Image Private Header", 0x0065, 0x50))


def load_dicom(path: str | Path) -> tuple[NDArray[np.float32], tuple[float, float]]:
    """Read one gray DICOM image: pixels float32 ``(H, W)``, row 0 on top, and the (row, column) spacing in mm.

    Rescale slope and intercept are applied: CT comes in HU; images without them (MR, X-ray) keep their stored values.
    MONOCHROME1, where low values are white, is inverted within the range of the stored bits, so that high is white in
    every image. A warning says so, and says when a CT is not in HU. The spacing is NaN where the file gives none.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not DICOM, in color, a mosaic, of several frames, with an impossible tag, compressed in a way that
            cannot be read here, truncated, or larger than allowed.
    """
    header = read_header(path)
    check_image(path, header)
    spacing = pixel_spacing(path, header, "PixelSpacing")
    if spacing is None:
        spacing = pixel_spacing(path, header, "ImagerPixelSpacing")
    pixels, notes = read_pixels(path)
    told(path, notes)
    return pixels, (np.nan, np.nan) if spacing is None else (float(spacing[0]), float(spacing[1]))


def read_header(path: str | Path, tags: Iterable[str] = (), pixels: bool = False):
    """Read a DICOM file, a pydicom `FileDataset`, without its pixels; that these `tags` can be decoded is checked.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not DICOM, or a damaged header.
    """
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    _check_deflated(path)
    try:
        with _quiet():
            header = dcmread(path, stop_before_pixels=not pixels)
            for tag in (*TEXT_TAGS, *tags):  # pydicom decodes a tag when it is asked for
                header.get(tag)
    except InvalidDicomError as error:
        raise ValueError(f"{path} is not a DICOM file") from error
    except OSError:
        raise
    except Exception as error:  # of many types, from deep within pydicom
        raise ValueError(f"{path}: the header is damaged ({error}); get the file again") from error
    return header


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings of pydicom, which has dozens for a damaged file."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pydicom")
        yield


def _check_deflated(path: str | Path) -> None:
    """Refuse a deflated file that unpacks to more than allowed, which pydicom would do at once.

    Raises:
        ValueError: it is larger, or damaged.
    """
    from pydicom.filereader import _read_file_meta_info, read_preamble
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    with open(path, "rb") as file:
        try:
            read_preamble(file, force=False)
            deflated = _read_file_meta_info(file).get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian
        except Exception:  # `dcmread` says what is wrong
            return
        unpack, size, packed = zlib.decompressobj(-zlib.MAX_WBITS), 0, b""
        while deflated and (packed := unpack.unconsumed_tail or file.read(2**20)):
            try:
                size += len(unpack.decompress(packed, 2**24))
            except zlib.error as error:
                raise ValueError(f"{path} is truncated or damaged ({error}); get the file again") from error
            if more := excess("unpacked_bytes", size):
                raise ValueError(f"{path} unpacks to {size:,} bytes or more, {more}")


def has_image(header) -> bool:
    """Whether a DICOM file is an image; a DICOMDIR, a report or a structure set is none."""
    return bool(header.get("Rows") and header.get("Columns"))


def check_image(path: str | Path, header) -> None:
    """Raise a ValueError for what is no single gray image, by its header, and say what turns it into one."""
    if not has_image(header):
        raise ValueError(f"{path} holds no image (a directory, a report, ...); leave it out")
    photometric = header.get("PhotometricInterpretation")
    if not photometric:
        raise ValueError(f"{path} has no PhotometricInterpretation, so what is white in it is unknown; add the tag")
    if photometric not in ("MONOCHROME1", "MONOCHROME2") or header.get("SamplesPerPixel", 1) != 1:
        raise ValueError(
            f"{path} is a color image (PhotometricInterpretation {photometric}), and only gray ones are read here; "
            "convert it with pydicom.pixels and store it as a picture"
        )
    tiles = [numbers(path, block, element, 1) for block, element in _mosaic_blocks(header)]
    if "MOSAIC" in str(header.get("ImageType", "")).upper() or any(tile is not None and tile > 1 for tile in tiles):
        raise ValueError(
            f"{path} is a mosaic: one picture that holds all slices of a volume as tiles (ImageType MOSAIC); {CONVERT}"
        )
    frames = numbers(path, header, "NumberOfFrames", 1)
    if frames is not None and frames > 1:
        raise ValueError(f"{path} is a multi-frame image ({frames[0]:.0f} frames), no single slice; {CONVERT}")
    slope = numbers(path, header, "RescaleSlope", 1)
    if slope is not None and slope == 0:
        raise ValueError(f"{path}: RescaleSlope is 0, which would make all pixels equal; repair the tag")
    sides = [numbers(path, header, tag, 1) for tag in ("Rows", "Columns")]
    check_size(path, tuple(int(side[0]) for side in sides if side is not None))


def numbers(path: str | Path, dataset, tag, count: int) -> NDArray[np.float64] | None:
    """The value of a tag (keyword, or number in a private block) as `count` floats; None where it is absent or empty.

    Raises:
        ValueError: anything but `count` finite numbers; names the tag and the file.
    """
    try:
        with _quiet():
            value = dataset[tag].value if tag in dataset else None
        if value is None or np.size(value) == 0 or str(value) == "":
            return None
        values = np.atleast_1d(np.asarray(value, np.float64))
    except Exception as error:  # as of `read_header`
        raise ValueError(
            f"{path}: {tag} holds no number ({str(error):.200}); repair the tag or leave the file out"
        ) from error
    if len(values) != count or not np.isfinite(values).all():
        raise ValueError(
            f"{path}: {tag} is {values.tolist()}, expected {count} finite numbers; repair the tag or leave the file out"
        )
    return values


def pixel_spacing(path: str | Path, header, tag: str) -> NDArray[np.float64] | None:
    """The (row, column) spacing that a tag gives, in mm, or None where it is absent.

    Raises:
        ValueError: anything but two lengths above 0; names the tag and the file.
    """
    spacing = numbers(path, header, tag, 2)
    if spacing is not None and spacing.min() <= 0:
        raise ValueError(f"{path}: {tag} is {spacing.tolist()} mm, but must be above 0; repair the tag")
    return spacing


def read_pixels(path: str | Path) -> tuple[NDArray[np.float32], list[str]]:
    """Read the pixels ``(H, W)`` of a file that `check_image` passed, see `load_dicom`, and what there is to say.

    Raises:
        ValueError: compressed in a way that cannot be read here, truncated, or more than one image of pixels.
    """
    from pydicom.pixels import apply_modality_lut
    from pydicom.uid import UncompressedTransferSyntaxes

    dataset, notes = read_header(path, pixels=True), []
    table = "ModalityLUTSequence" in dataset
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The number of bytes of pixel data")  # the shape is checked below
            stored = dataset.pixel_array
        ends = -1 if dataset.PixelRepresentation == 1 else 2**dataset.BitsStored - 1  # lowest and highest together
        if table:
            stored, ends = apply_modality_lut(stored, dataset), 2 ** dataset.ModalityLUTSequence[0].LUTDescriptor[2] - 1
    except Exception as error:  # as of `read_header`
        syntax = dataset.file_meta.get("TransferSyntaxUID")
        said = "the pixels cannot be read, the file may be truncated: get it again"
        if syntax is not None and syntax not in UncompressedTransferSyntaxes:
            said = f"the pixels are compressed with {syntax.name}, and damaged, or nothing installed here reads them: "
            said += 'install "pylibjpeg[all]" with pip, or write an uncompressed copy with gdcmconv --raw'
        raise ValueError(f"{path}: {said} ({' '.join(str(error).split())})") from error
    if stored.shape != (dataset.Rows, dataset.Columns):
        raise ValueError(
            f"{path}: the pixels have shape {stored.shape}, but Rows and Columns say {(dataset.Rows, dataset.Columns)}:"
            " a tag is wrong; repair it or get the file again"
        )
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        stored = ends - stored.astype(np.int64)
        notes.append("inverted, since MONOCHROME1 shows low values white; high values are white now")
    if table:
        return stored.astype(np.float32), [*notes, "values of a modality lookup table"]
    slope, intercept = (numbers(path, dataset, tag, 1) for tag in ("RescaleSlope", "RescaleIntercept"))
    if dataset.get("Modality") == "CT":
        lacking = [tag for tag, x in (("RescaleSlope", slope), ("RescaleIntercept", intercept)) if x is None]
        unit = str(dataset.get("RescaleType") or "HU")
        if lacking:
            notes.append(f"a CT without {' and '.join(lacking)}: stored values, not HU")
        elif unit != "HU":
            notes.append(f"a CT whose RescaleType is {unit}, not HU")
        elif notes:
            notes.append("no HU any more")
    slope, intercept = (1 if slope is None else slope[0]), (0 if intercept is None else intercept[0])
    if not max(abs(slope), abs(intercept)) < LARGEST_RESCALE:
        raise ValueError(
            f"{path}: RescaleSlope {slope:g} and RescaleIntercept {intercept:g} make values that no scan has; "
            "repair the tags"
        )
    return stored.astype(np.float32) * np.float32(slope) + np.float32(intercept), notes


def summary(notes: Sequence[list[str]]) -> list[str]:
    """What there is to say of several files, from the notes of each: every note once, with the number of its files."""
    counts = Counter(note for each in notes for note in each)
    return [note if count == len(notes) else f"{count} of {len(notes)}: {note}" for note, count in counts.items()]


def _mosaic_blocks(header):
    for creator, group, element in MOSAIC_TAGS:
        try:
            yield header.private_block(group, creator), element
        except (KeyError, NotImplementedError):  # none, or a private tag that cannot be decoded
            continue
