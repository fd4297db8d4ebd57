"""Single DICOM images: what their pixels mean, and what is refused; written here from samples that pydicom carries."""

import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import Decoder
from pydicom.uid import MPEG2MPML, JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless

from medlab import limits
from medlab.data import load_dicom


def write_image(path, sample="CT_small.dcm", **tags):
    """pydicom's sample with other tags; None removes one."""
    image = pydicom.dcmread(get_testdata_file(sample))
    for tag, value in tags.items():
        if value is None:
            del image[tag]
        else:
            setattr(image, tag, value)
    image.save_as(path)
    return path


def test_one_dicom_image_in_hu():
    image, spacing = load_dicom(get_testdata_file("CT_small.dcm"))
    assert image.shape == (128, 128) and image.dtype == np.float32
    assert (image.min(), image.max()) == (128 - 1024, 2191 - 1024)
    assert spacing == (0.661468, 0.661468)


def test_bad_dicom_files(tmp_path, monkeypatch):
    (tmp_path / "text.dcm").write_text("hello")
    with pytest.raises(ValueError, match="text.dcm is not a DICOM file"):
        load_dicom(tmp_path / "text.dcm")
    whole = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    whole.PixelData = whole.PixelData[:1000]
    whole.save_as(tmp_path / "short.dcm")
    with pytest.raises(ValueError, match="short.dcm: the pixels cannot be read, the file may be truncated"):
        load_dicom(tmp_path / "short.dcm")
    whole.NumberOfFrames = 3
    whole.save_as(tmp_path / "frames.dcm")
    with pytest.raises(ValueError, match="frames.dcm is a multi-frame image .3 frames.*convert .* with dcm2niix"):
        load_dicom(tmp_path / "frames.dcm")
    monkeypatch.setitem(limits._LIMITS, "volume_bytes", 1000)
    with pytest.raises(ValueError, match=r"CT_small.dcm: shape \(128, 128\) needs"):
        load_dicom(get_testdata_file("CT_small.dcm"))


@pytest.mark.parametrize(
    ("bits", "signed", "expected"),
    [(16, 1, lambda x: -1 - x), (16, 0, lambda x: 65535 - x), (12, 0, lambda x: 4095 - x)],
)
def test_monochrome1_is_inverted_once_within_its_bits(tmp_path, bits, signed, expected):
    tags = {"Modality": "CR", "RescaleSlope": None, "RescaleIntercept": None, "BitsStored": bits, "HighBit": bits - 1}
    tags |= {"PixelRepresentation": signed, "PresentationLUTShape": "INVERSE"}
    stored, _ = load_dicom(write_image(tmp_path / "two.dcm", PhotometricInterpretation="MONOCHROME2", **tags))
    one = write_image(tmp_path / "one.dcm", PhotometricInterpretation="MONOCHROME1", **tags)
    with pytest.warns(UserWarning, match="one.dcm: inverted, since MONOCHROME1 shows low values white"):
        image, _ = load_dicom(one)
    np.testing.assert_array_equal(image, expected(stored))
    assert image.dtype == np.float32


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({"RescaleSlope": None}, "a CT without RescaleSlope: stored values, not HU"),
        ({"RescaleSlope": None, "RescaleIntercept": None}, "without RescaleSlope and RescaleIntercept: stored values"),
        ({"RescaleSlope": ""}, "a CT without RescaleSlope: stored values, not HU"),
        ({"RescaleType": "US"}, "a CT whose RescaleType is US, not HU"),
        ({"PhotometricInterpretation": "MONOCHROME1"}, "inverted.*no HU any more"),
    ],
)
def test_a_ct_that_is_not_in_hu_says_so(tmp_path, tags, said):
    with pytest.warns(UserWarning, match=said):
        load_dicom(write_image(tmp_path / "ct.dcm", **tags))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # an MR image has no unit to lose
        load_dicom(write_image(tmp_path / "mr.dcm", Modality="MR", RescaleSlope=None))


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "PALETTE COLOR", "HSV"])
def test_color_is_refused(tmp_path, photometric):
    samples = 1 if photometric == "PALETTE COLOR" else 3
    tags = {"PhotometricInterpretation": photometric, "SamplesPerPixel": samples}
    with pytest.raises(ValueError, match=f"is a color image .PhotometricInterpretation {photometric}."):
        load_dicom(write_image(tmp_path / "color.dcm", **tags))


def test_what_is_white_must_be_known(tmp_path):
    with pytest.raises(ValueError, match="none.dcm has no PhotometricInterpretation"):
        load_dicom(write_image(tmp_path / "none.dcm", PhotometricInterpretation=None))


@pytest.mark.parametrize("kind", ["type", "siemens", "united"])
def test_a_mosaic_is_refused_and_what_converts_it_is_named(tmp_path, kind):
    image = pydicom.dcmread(get_testdata_file("MR_small.dcm"))
    if kind == "type":
        image.ImageType = ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]
    elif kind == "siemens":
        image.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0A, "US", 48)
    else:
        image.private_block(0x0065, "Image Private Header", create=True).add_new(0x50, "DS", "48")
    image.save_as(tmp_path / "mosaic.dcm")
    with pytest.raises(ValueError, match="mosaic.dcm is a mosaic: .* as tiles .*convert the series with dcm2niix"):
        load_dicom(tmp_path / "mosaic.dcm")


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({"Rows": 64}, r"the pixels have shape \(2, 64, 128\), but Rows and Columns say \(64, 128\)"),
        ({"Columns": 32}, r"the pixels have shape \(4, 128, 32\)"),
        ({"Rows": 256}, "the pixels cannot be read, the file may be truncated"),
        ({"PixelSpacing": [0, 0]}, "PixelSpacing is .0.0, 0.0. mm, but must be above 0"),
        ({"PixelSpacing": [0.5]}, "PixelSpacing is .0.5., expected 2 finite numbers"),
        ({"PixelSpacing": None, "ImagerPixelSpacing": [0.1, 0]}, "ImagerPixelSpacing is .0.1, 0.0. mm"),
        ({"RescaleSlope": 0}, "RescaleSlope is 0"),
        ({"Rows": None}, "holds no image"),
        ({"Rows": []}, "holds no image"),
        ({"Rows": [128, 128]}, "Rows is .128.0, 128.0., expected 1 finite numbers"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_impossible_tags_are_refused_by_name(tmp_path, tags, said):
    with pytest.raises(ValueError, match=f"bad.dcm.*{said}"):
        load_dicom(write_image(tmp_path / "bad.dcm", **tags))


@pytest.mark.parametrize("tag", ["Modality", "ImageType", "PixelSpacing"])
def test_a_tag_that_cannot_be_decoded_is_a_damaged_header(tmp_path, tag):
    place = pydicom.dcmread(get_testdata_file("CT_small.dcm")).get_item(tag).value_tell
    damaged = bytearray(Path(get_testdata_file("CT_small.dcm")).read_bytes())
    damaged[place - 4 : place - 2] = b"C2"  # the type of its value
    (tmp_path / "bad.dcm").write_bytes(damaged)
    with pytest.raises(ValueError, match="bad.dcm: .*Unknown Value Representation"):
        load_dicom(tmp_path / "bad.dcm")


def test_a_file_that_ends_within_the_tag_after_its_pixels_is_damaged(tmp_path):
    place = pydicom.dcmread(get_testdata_file("CT_small.dcm")).get_item("DataSetTrailingPadding").value_tell
    (tmp_path / "bad.dcm").write_bytes(Path(get_testdata_file("CT_small.dcm")).read_bytes()[: place - 2])
    with pytest.raises(ValueError, match="bad.dcm: the header is damaged"):
        load_dicom(tmp_path / "bad.dcm")


@pytest.mark.parametrize(("photometric", "inverted"), [("MONOCHROME1", True), ("MONOCHROME2", False)])
@pytest.mark.filterwarnings("ignore:.*lookup table")
def test_values_of_a_lookup_table_are_inverted_after_the_look_up(tmp_path, photometric, inverted):
    table = pydicom.Dataset()
    table.LUTDescriptor, table.ModalityLUTType = [3000, 0, 16], "US"
    table.add_new("LUTData", "US", (np.arange(3000) // 2).tolist())
    tags = {"Modality": "CR", "RescaleSlope": None, "RescaleIntercept": None, "PixelRepresentation": 0}
    stored, _ = load_dicom(write_image(tmp_path / "stored.dcm", **tags))
    tags |= {"PhotometricInterpretation": photometric, "ModalityLUTSequence": [table]}
    image, _ = load_dicom(write_image(tmp_path / "table.dcm", **tags))
    np.testing.assert_array_equal(image, 65535 - stored // 2 if inverted else stored // 2)


def test_spacing_comes_from_the_detector_or_is_unknown(tmp_path):
    given = write_image(tmp_path / "a.dcm", PixelSpacing=None, ImagerPixelSpacing=[0.1, 0.2])
    assert load_dicom(given)[1] == (0.1, 0.2)
    assert np.isnan(load_dicom(write_image(tmp_path / "b.dcm", PixelSpacing=None))[1]).all()


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEGLosslessSV1, JPEG2000Lossless, MPEG2MPML])
def test_compression_without_a_decoder_is_named_and_what_to_install(tmp_path, monkeypatch, syntax):
    image = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    image.file_meta.TransferSyntaxUID = syntax
    image.PixelData = encapsulate([bytes(1000)])
    image.save_as(tmp_path / "small.dcm")
    monkeypatch.setattr(Decoder, "is_available", False)
    with pytest.raises(ValueError) as error:
        load_dicom(tmp_path / "small.dcm")
    assert f"the pixels are compressed with {syntax.name}" in str(error.value) and "truncated" not in str(error.value)
    assert error.match(r'install "pylibjpeg\[all\]" with pip, or write an uncompressed copy with gdcmconv')


def test_damaged_compressed_pixels_name_the_compression(tmp_path):
    image = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    image.file_meta.TransferSyntaxUID = JPEG2000Lossless
    image.PixelData = encapsulate([bytes(1000)])
    image.save_as(tmp_path / "small.dcm")
    with pytest.raises(ValueError, match="small.dcm: the pixels are compressed with JPEG 2000 .*and damaged, or"):
        load_dicom(tmp_path / "small.dcm")
