"""What is known about the sets and the phantoms, in their .toml files: no entry lacks what is needed, or holds more."""

import re
from dataclasses import fields

import pytest

from medlab.data import medmnist, publishers, real_images
from medlab.data.real_sets import ABOUT, FACTS, READERS, REAL, RealSet
from medlab.phantoms import catalog


def lacking(facts, needed):
    """What of `needed` is missing or empty."""
    return sorted(key for key in needed if not facts.get(key))


def test_every_table_is_of_a_set():
    assert set(FACTS) == {"medmnist", *medmnist.SOURCES, *READERS}
    assert set(catalog.FACTS) == {"template", "made", *catalog.GENERATED}


@pytest.mark.parametrize("name", READERS)
def test_the_entry_of_a_real_set_is_whole(name):
    facts, described = FACTS[name], {field.name for field in fields(RealSet)} - {"info", "read", "publisher"}
    assert lacking(facts, (*ABOUT, "size", "images", "place", "stand_in", "split_by")) == []
    assert set(facts) <= {*ABOUT, "window", *described}
    assert all(f"{end:g}" in facts["unit"] for end in facts.get("window", ()))
    assert facts["stand_in"] in catalog.PHANTOMS
    assert REAL[name].sizes is None or REAL[name].size in REAL[name].sizes
    assert bool(facts.get("publisher_note")) == (REAL[name].publisher is not None)


@pytest.mark.parametrize("name", medmnist.SOURCES)
def test_the_entry_of_a_medmnist_set_is_whole(name):
    needed = {"modality", "source", "citation", "unit", "note", "stand_in"}
    assert lacking(FACTS[name], needed) == [] and set(FACTS[name]) == needed
    assert FACTS[name]["stand_in"] in catalog.PHANTOMS


@pytest.mark.parametrize("name", catalog.PHANTOMS)
def test_the_entry_of_a_phantom_is_whole(name):
    assert lacking(vars(catalog.PHANTOMS[name]), (*ABOUT, "size", "n")) == []


@pytest.mark.parametrize("tables", [FACTS, catalog.FACTS], ids=["sets", "phantoms"])
def test_texts_are_of_one_line(tables):
    texts = [text for facts in tables.values() for text in facts.values() if isinstance(text, str)]
    assert texts and [text for text in texts if re.search(r"\s\s|\n|^\s|\s$", text)] == []


def test_notes_name_the_numbers_of_the_code():
    assert f"block of {real_images.BLOCK} numbers" in FACTS["brain_tumor_t1"]["note"]
    assert f"{publishers.MEDNIST_GAP} files are left out" in FACTS["mednist"]["note"]
    assert "eight Gaussians" in catalog.FACTS["ring"]["note"] and len(catalog.RING) == 8


def test_what_a_table_leaves_out_is_filled_in(tmp_path):
    text = '[a]\nn = 1\nsizes = {from = 16, to = 32, step = 8}\n[b]\nlike = "a"\nn = 2\nclasses = ["x", "y"]\n'
    (tmp_path / "facts.toml").write_text(text)
    facts = catalog.read_facts(tmp_path / "facts.toml")
    assert facts["a"] == {"n": 1, "sizes": range(16, 33, 8)}
    assert facts["b"] == {"n": 2, "sizes": range(16, 33, 8), "classes": ("x", "y")}
