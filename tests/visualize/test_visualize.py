"""Figures carry the alt text their data call for, reach the page with it, and move when a slider moves."""

import errno
import math
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import matplotlib.figure
import nbformat
import numpy as np
import pytest
import torch
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from torch import nn

from medlab import metrics, visualize
from medlab.data.images import ImageSet, Info
from medlab.metrics import Interval
from medlab.visualize.curves import CHANCE_LOSS
from medlab.visualize.figures import PALETTE, Figure

RNG = np.random.default_rng(0)
HU = RNG.normal(0, 300, (24, 24))
VOLUME = RNG.random((5, 6, 7)).astype(np.float32)
HISTORY = SimpleNamespace(
    train_loss=[1.0, 0.5], val_loss=[1.1, 0.7], metrics={"val_accuracy": [0.5, 0.8]}, lr=[0.1, 0.01]
)


def image_set(task: str = "multi-class", n: int = 12) -> ImageSet:
    generator = torch.Generator().manual_seed(0)
    classes = ("normal", "emphysema", "fibrosis")
    targets = {
        "multi-class": torch.arange(n) % 2,  # no image of fibrosis
        "multi-label": torch.randint(0, 2, (n, 3), generator=generator),
        "segmentation": torch.randint(0, 3, (n, 8, 8), generator=generator),
    }[task]
    info = Info("texture", "CT", task, classes, "MIT", "none", True)
    return ImageSet(torch.rand(n, 1, 8, 8, generator=generator), targets, np.arange(n), info)


def gan_history(second: str, epochs: int = 4, loss: float = 0.8) -> SimpleNamespace:
    values = {"generator_loss": [loss] * epochs, second: np.linspace(0.9, 0.6, epochs).tolist()}
    return SimpleNamespace(train_loss=np.linspace(1, 1.3, epochs).tolist(), metrics=values, lr=[1] * epochs)


def probabilities(n: int = 12) -> np.ndarray:
    return np.random.default_rng(1).dirichlet(np.ones(3), n)


IMAGES, LABELS = image_set(), image_set().targets.numpy()
MAPS = torch.zeros(3, 8, 8, dtype=torch.int64)
MAPS[:, 2:4] = 1
WITH_ORGANS = ImageSet(0.1 + 0.8 * MAPS[:, None].float(), MAPS, range(3), image_set("segmentation").info)
CALIBRATION = metrics.calibration(np.eye(2)[[0, 0]] * 0.8 + 0.1, [0, 1])
MEASURED = np.linspace(0.4, 0.5, 30)
AGREEMENTS = {
    name: metrics.limits_of_agreement(MEASURED + RNG.normal(0.01, s, 30), MEASURED)
    for name, s in (("S", 0.03), ("S and critic", 0.02))
}
DICE = {
    "U-Net": {"liver": Interval(0.95, 0.94, 0.96), "spleen": Interval(0.7, math.nan, math.nan)},
    "DRINet": {"spleen": Interval(0.8, 0.7, 0.85), "liver": Interval(0.96, 0.95, 0.97)},
}
SHARES = {"healthy": 50.0, "ill": 50.0}
GROUPS = ("groups", "groups_numbers", "many_groups")  # of which the categories say what the horizontal axis is
REPORT = metrics.classification_report(np.eye(2)[[0, 0, 1, 1]] * 0.8 + 0.1, [0, 1, 1, 1], resamples=5)
FIGURES = {
    "grid": (lambda: visualize.image_grid(IMAGES.images, LABELS, IMAGES.info.classes), "12 images in rows of 8"),
    "color": (lambda: visualize.image_grid(torch.rand(2, 3, 8, 8) * 2 - 1, title="Fakes"), "Fakes: 2 images"),
    "volumes": (lambda: visualize.image_grid(torch.rand(3, 1, 4, 8, 8)), "3 images"),
    "class_grid": (lambda: visualize.class_grid(IMAGES, 4), r"emphysema \(6 in the set\), fibrosis \(0 in the set\)"),
    "multi_label": (lambda: visualize.class_grid(image_set("multi-label")), "one row for each class"),
    "histogram": (
        lambda: visualize.intensity_histogram(IMAGES),
        r"Mean gray value: normal 0\.\d\d, emphysema 0\.\d\d\.",
    ),
    "organs": (
        lambda: visualize.intensity_histogram(WITH_ORGANS),
        r"Mean gray value: normal 0\.10, emphysema 0\.90\.",  # no pixel of fibrosis
    ),
    "window": (lambda: visualize.window_level(np.array([[-500.0, 0], [100, 900]]), 40, 400), r"240 HU and above.*25 %"),
    "ortho": (lambda: visualize.orthoviews(VOLUME, spacing=(3, 1, 1)), "Axial slice 2, coronal slice 3 and sagittal"),
    "ortho_masks": (
        lambda: visualize.orthoviews(VOLUME, masks={"truth": VOLUME > VOLUME.mean(), "nothing": 0 * VOLUME}),
        r"Outlined voxels: truth \d+, nothing 0\.",
    ),
    "learning": (
        lambda: visualize.learning_curves(HISTORY),
        "validation 1.1 to 0.7; validation score: accuracy 0.5",
    ),
    "roc": (
        lambda: visualize.roc_curves(np.array([[0.9, 0.1], [0.4, 0.6]]), [0, 1], ["well", "ill"]),
        "AUC ill 1.00",
    ),
    "roc_multi": (
        lambda: visualize.roc_curves(probabilities(), LABELS, IMAGES.info.classes),
        r"normal 0\.\d\d, emphysema 0\.\d\d\.",
    ),
    "confusion": (
        lambda: visualize.confusion_matrix(REPORT.confusion, ["well", "ill"]),
        "Correctly predicted: well 100 % of 1, ill 67 % of 3",
    ),
    "reliability": (
        lambda: visualize.reliability_diagram(CALIBRATION),
        "error 0.400; on average the model is overconfident",
    ),
    "compare": (lambda: visualize.compare({"a": [1, 2, 3], "b": [4.0]}, "F1"), r"a 2 \(-0.484 to 4.48\), b 4\."),
    "compare_two": (lambda: visualize.compare({"a": [1, 2]}, "F1"), r"F1 per seed; mean: a 1\.5\."),
    "sample_size_curves": (
        lambda: visualize.sample_size_curves(
            {"F1": {"alone": {3: [0.5, 0.7], 12: [0.8, 0.8]}, "GAN": {3: [0.4]}}}, "patients"
        ),
        "by patients. F1, alone: 0.6 at 3, 0.8 at 12; F1, GAN: 0.4 at 3",
    ),
    "gan_curves": (
        lambda: visualize.gan_curves(gan_history("accuracy")),
        r"4 epochs.*discriminator 1 to 1.3, generator 0.8 to 0.8. Accuracy of the discriminator 0.9 to 0.6",
    ),
    "gan_curves_wgan": (
        lambda: visualize.gan_curves(gan_history("gap", 40, -1)),
        "40 epochs.*critic 1 to 1.3, generator -1 to -1. Gap of the critic 0.9 to 0.6",
    ),
    "bland_altman": (
        lambda: visualize.bland_altman(AGREEMENTS, "ratio"),
        r"of the ratio\. S: bias 0\..*; S and critic: ",
    ),
    "groups": (
        lambda: visualize.grouped_bars(DICE, "Dice"),
        r"spleen: U-Net 0\.7 \[no interval\], DRINet 0\.8 \[0\.7,",
    ),
    "groups_numbers": (
        lambda: visualize.grouped_bars({"training": SHARES, "DCGAN": SHARES | {"healthy": 90.0}}, "images (%)"),
        r"images \(%\)\. healthy: training 50, DCGAN 90; ill: training 50, DCGAN 50\.",
    ),
    "many_groups": (
        lambda: visualize.grouped_bars({"a": dict.fromkeys("abcdefgh", 0.125)}, "share"),
        "h: a 0.125",
    ),
    "bars": (lambda: visualize.bars({"AVX2": 6100, "SSE": 1800.4}, "patches/s"), "patches/s: AVX2 6,100, SSE 1,800"),
    "filters": (lambda: visualize.filters(torch.ones(4, 2, 3, 3)), "4 filters x 2 input channels of 3 x 3"),
    "cam": (
        lambda: visualize.cam_overlay(torch.rand(2, 1, 4, 4), np.eye(4)[None] * [[[1]], [[0]]], ["x", "y"]),
        "y nowhere",
    ),
    "errors": (
        lambda: visualize.error_gallery(IMAGES, probabilities(), 3),
        r"3 most confident of \d+ mistakes.*true .* predicted",
    ),
    "no_errors": (lambda: visualize.error_gallery(IMAGES, np.eye(3)[LABELS]), "no mistake among 12 images"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_says_what_it_shows(name):
    draw, alt = FIGURES[name]
    fig = draw()
    assert isinstance(fig, Figure) and re.search(alt, fig.alt), fig.alt
    png = fig.png()
    assert png.startswith(b"\x89PNG") and len(png) < 150_000
    for ax in fig.axes:
        if len(ax.get_xticks()) and ax.lines and name not in ("compare", "compare_two", "bland_altman", *GROUPS):
            assert ax.get_xlabel() and ax.get_ylabel()


def test_pyplot_is_left_alone():
    code = (
        "import sys, matplotlib\n"
        "look = lambda: {k: matplotlib.rcParams[k] for k in matplotlib.rcParams if k != 'backend'}; before = look()\n"
        "from medlab import visualize; visualize.bars({'a': 1}, 'x').png()\n"
        "assert look() == before\n"
        "print([m for m in ('matplotlib.pyplot', 'sklearn', 'torchmetrics') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_figure_needs_alt_text():
    for alt in ("", " ", None):
        with pytest.raises(ValueError, match="needs alt text"):
            visualize.subplots(alt=alt)
    fig, axes = visualize.subplots(2, 3, alt="six panels")
    assert axes.shape == (2, 3) and fig.alt == "six panels"
    fig, ax = visualize.subplots(alt="two lines")
    first, second = ax.plot([0, 1])[0], ax.plot([1, 0])[0]
    assert (first.get_color(), second.get_color()) == PALETTE[:2]
    assert first.get_linestyle() != second.get_linestyle() and first.get_marker() != second.get_marker()


def test_a_picture_is_saved_whole_or_not_at_all(tmp_path, monkeypatch):
    fig = visualize.bars({"a": 1}, "mm")
    for name in ("a.png", "b", "c.svg"):
        fig.savefig(tmp_path / name)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.png", "b.png", "c.svg"]
    before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
    assert before["a.png"] == before["b.png"] and before["c.svg"].startswith(b"<?xml")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(
        OSError, match=r"could not write .*a.png: No space left .*it needs [\d,]+ bytes, [\d,]+ are free"
    ):
        visualize.bars({"b": 2}, "mm").savefig(str(tmp_path / "a.png"))
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == before


def test_the_same_data_give_the_same_picture():
    draw = FIGURES["class_grid"][0]
    assert draw().png() == draw().png()


def test_alt_text_reaches_the_page_once():
    """Executed with pyplot's inline backend on, whose own formatter would drop the alt text."""
    code = "import matplotlib.pyplot as plt\nfrom medlab.visualize import bars\nplt.figure(); plt.close()\n"
    code += "bars({'a <b>': 1}, 'speed')"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    [output] = notebook.cells[0].outputs
    assert output.data["text/plain"] == "speed: a <b> 1."
    assert output.metadata["image/png"]["alt"] == "speed: a <b> 1."
    html = HTMLExporter(template_name="lab").from_notebook_node(notebook)[0]
    images = [tag for tag in re.findall(r"<img[^>]*>", html) if "data:image/png" in tag]
    assert len(images) == 1
    assert re.search(r'alt="speed: a (&lt;|<)b(&gt;|>) 1\."', images[0]), images[0][:200]


def test_numbers_of_bars_stay_within_the_axes():
    fig = visualize.bars({"up": 0.0594, "down": -0.00522}, "push")
    fig.draw_without_rendering()
    frame = fig.axes[0].get_window_extent()
    for text in fig.axes[0].texts:
        assert frame.x0 < text.get_window_extent().x0 and text.get_window_extent().x1 < frame.x1


PANELS = {  # what draws into given axes, and how many it takes
    "learning": (lambda ax: visualize.learning_curves(HISTORY, ax=ax), 3),
    "gan_curves": (lambda ax: visualize.gan_curves(gan_history("gap"), ax=ax), 2),
    "roc": (lambda ax: visualize.roc_curves(probabilities(), LABELS, IMAGES.info.classes, ax=ax), 1),
    "reliability": (lambda ax: visualize.reliability_diagram(CALIBRATION, ax=ax), 1),
    "sizes": (lambda ax: visualize.sample_size_curves({"F1": {"a": {3: [0.5]}}}, "patients", ax=ax), 1),
    "bars": (lambda ax: visualize.bars({"a": 1}, "u", ax=ax), 1),
    "groups": (lambda ax: visualize.grouped_bars(DICE, "Dice", ax=ax), 1),
    "compare": (lambda ax: visualize.compare({"a": [1, 2, 3]}, "F1", ax=ax), 1),
    "confusion": (lambda ax: visualize.confusion_matrix(REPORT.confusion, ["well", "ill"], ax=ax), 1),
    "bland_altman": (lambda ax: visualize.bland_altman(AGREEMENTS, "ratio", ax=ax), 2),
}


@pytest.mark.parametrize("name", PANELS)
def test_given_axes_are_drawn_into_and_their_figure_is_returned(name):
    draw, n = PANELS[name]
    fig, axes = visualize.subplots(1, n + 1, alt="ours", size=(12, 3))
    assert draw(axes[0] if n == 1 else axes[:n]) is fig and fig.alt == "ours"
    drawn = [bool(ax.lines or ax.patches or ax.images) for ax in axes]
    assert drawn == [True] * n + [False]
    assert not fig.legends  # a legend belongs to its panel
    with pytest.raises(ValueError, match=rf"has {n} panels.*got {n + 1} axes"):
        draw(axes)
    fig = matplotlib.figure.Figure()
    assert draw(fig.subplots(1, n)) is fig  # as pyplot makes them


def test_both_kinds_of_groups_are_drawn_by_name():
    ax = visualize.grouped_bars(DICE, "Dice").axes[0]
    unet, drinet = ax.containers
    assert unet[0].get_ydata().tolist() == [0.95, 0.7] and drinet[0].get_ydata().tolist() == [0.96, 0.8]
    low, high = drinet[2][0].get_segments()[1][:, 1]
    assert (low, high) == pytest.approx((0.7, 0.85)) and ax.get_ylabel() == "Dice"
    assert [label.get_text() for label in ax.get_xticklabels()] == ["liver", "spleen"]
    ax = visualize.grouped_bars({"training": SHARES, "DCGAN": {"ill": 10.0, "healthy": 90.0}}, "images (%)").axes[0]
    assert [[bar.get_height() for bar in bars] for bars in ax.containers] == [[50, 50], [90, 10]]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["healthy", "ill"]


def test_bland_altman_panels_share_one_scale():
    first, second = visualize.bland_altman(AGREEMENTS, "ratio").axes
    assert first.get_ylim() == second.get_ylim() and first.get_ylim()[1] > 0.05


def test_gan_curves_mark_the_losses_at_chance():
    def levels(fig):
        return [line.get_ydata()[0] for line in fig.axes[0].lines if line.get_linestyle() == ":"]

    assert levels(visualize.gan_curves(gan_history("accuracy"))) == [2 * CHANCE_LOSS, CHANCE_LOSS]
    assert levels(visualize.gan_curves(gan_history("accuracy", loss=-0.2))) == [2 * CHANCE_LOSS, -CHANCE_LOSS]
    assert levels(visualize.gan_curves(gan_history("gap"))) == []


def test_roc_is_drawn_from_0_to_1():
    ax = visualize.roc_curves(probabilities(), LABELS, IMAGES.info.classes).axes[0]
    assert ax.get_xlabel().startswith("false positive rate") and ax.get_ylabel().startswith("true positive rate")
    for line in ax.lines:
        assert line.get_xydata()[0].tolist() == [0, 0] and line.get_xydata()[-1].tolist() == [1, 1]


def test_reliability_shows_accuracy_over_the_share_of_the_predictions():
    ax = visualize.reliability_diagram(CALIBRATION).axes[0]
    model = next(line for line in ax.lines if line.get_label() == "model")
    shown = model.get_xydata()[~np.isnan(model.get_ydata().astype(float))]
    assert shown == pytest.approx(np.array([[90, 50]]))  # 90 % sure of both, right in one
    assert np.nanmax(ax.patches[0].get_data().values) == 100  # all predictions in one bin


def test_compare_joins_the_scores_of_a_seed_where_all_variants_have_them():
    ax = visualize.compare({"a": [1, 2, 3], "b": [2, 3, 5]}, "F1").axes[0]
    assert [list(line.get_ydata()) for line in ax.lines[:3]] == [[1, 2], [2, 3], [3, 5]]
    ax = visualize.compare({"a": [1, 2, 3], "b": [2, 3]}, "F1").axes[0]
    assert not any(line.get_xdata()[0] < 0 < line.get_xdata()[-1] for line in ax.lines)


def test_an_interval_beyond_the_scale_is_cut_and_said_to_be():
    ax = visualize.compare({"a": [0.1, 0.9, 1]}, "F1", within=(0, 1)).axes[0]
    assert ax.get_ylim() == (-0.02, 1.02) and ax.get_title().endswith("interval, cut at 0 and 1")
    ax = visualize.compare({"a": [0.4, 0.5, 0.6]}, "F1", within=(0, 1)).axes[0]
    assert ax.get_ylim()[0] > 0.1 and ax.get_ylim()[1] < 0.9 and ax.get_title().endswith("interval")


def test_window_is_drawn_as_asked():
    fig = visualize.window_level(HU, 50, 350)
    assert fig.axes[0].images[0].get_clim() == (-125, 225)
    with pytest.raises(ValueError, match="width above 0"):
        visualize.window_level(HU, 50, 0)
    with pytest.raises(ValueError, match=r"\(H, W\)"):
        visualize.window_level(HU[0], 50, 1)


def test_planes_are_the_right_slices_in_mm():
    fig = visualize.orthoviews(VOLUME, (1, 2, 3), spacing=(3, 2, 1))
    for axis, ax in enumerate(fig.axes):
        assert (ax.images[0].get_array() == VOLUME.take((1, 2, 3)[axis], axis)).all()
    axial, coronal, _ = fig.axes
    assert axial.images[0].get_extent() == [-0.5, 6.5, -1, 11]
    assert coronal.lines[0].get_ydata()[0] == 3  # depth 1, slices 3 mm apart
    assert axial.get_ylim()[1] > axial.get_ylim()[0] and axial.images[0].origin == "lower"  # the front is on top
    for index in ((5, 0, 0), (0, 0)):
        with pytest.raises(ValueError, match="outside the volume"):
            visualize.orthoviews(VOLUME, index)
    with pytest.raises(ValueError, match="spacing"):
        visualize.orthoviews(VOLUME, spacing=(1, 1, 0))
    with pytest.raises(ValueError, match=r"must be \(D, H, W\)"):
        visualize.orthoviews(VOLUME[0])


def test_orthoviews_outline_masks_where_they_are():
    volume, mask = np.random.default_rng(0).random((6, 8, 10)), np.zeros((6, 8, 10), int)
    mask[2:5, 3:6, 4:8] = 2
    fig = visualize.orthoviews(volume, (3, 4, 5), spacing=(2, 1, 1), masks={"truth": mask, "all": mask * 0 + 1})
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["truth", "all"]
    axial, coronal, sagittal = ([c for c in ax.collections if len(c.get_paths())] for ax in fig.axes)
    assert len(axial) == len(coronal) == len(sagittal) == 1  # a mask that fills the plane has no outline
    boxes = [one[0].get_paths()[0].get_extents().extents.tolist() for one in (axial, coronal)]
    assert boxes == [[3.5, 2.5, 7.5, 5.5], [3.5, 3, 7.5, 9]]  # mm; half a voxel around it
    with pytest.raises(ValueError, match=r"mask 'truth' is \(8, 10\), but the volume \(6, 8, 10\)"):
        visualize.orthoviews(volume, masks={"truth": mask[0]})


def test_error_gallery_shows_the_most_confident_mistakes():
    probs = np.full((12, 3), 0.1)
    probs[np.arange(12), LABELS] = 0.8
    probs[[3, 4]] = [[0.6, 0.3, 0.1], [0.02, 0.03, 0.95]]  # 3 is emphysema, 4 is normal
    texts = [text.get_text() for text in visualize.error_gallery(IMAGES, probs, 1).axes[0].texts]
    assert [" ".join(text.split()) for text in texts] == ["true normal predicted fibrosis confidence 95%"]
    with pytest.raises(ValueError, match="multi-class set"):
        visualize.error_gallery(image_set("segmentation"), probs)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: visualize.image_grid([]), "at least one image"),
        (lambda: visualize.image_grid(IMAGES.images, [1]), "one label per image"),
        (lambda: visualize.class_grid(image_set("segmentation")), "use segmentation_grid"),
        (lambda: visualize.confusion_matrix(np.eye(3), ["a", "b"]), r"must be \(2, 2\)"),
        (lambda: visualize.roc_curves(np.eye(2), [1, 1], ["a", "b"]), "no ROC curve"),
        (lambda: visualize.compare({}, "F1"), "nothing to compare"),
        (lambda: visualize.sample_size_curves({"F1": {}}, "patients"), "at least one line"),
        (lambda: visualize.bland_altman({}, "ratio"), "nothing to draw"),
        (lambda: visualize.grouped_bars({}, "Dice"), "same categories"),
        (lambda: visualize.grouped_bars({**DICE, "x": {"liver": Interval(1, 1, 1)}}, "Dice"), "same categories"),
        (lambda: visualize.gan_curves(SimpleNamespace(train_loss=[], metrics={})), "at least one epoch of fit_gan"),
        (lambda: visualize.gan_curves(SimpleNamespace(train_loss=[1], metrics={"val_auc": [1]})), "epoch of fit_gan"),
        (lambda: visualize.filters(torch.ones(3, 3)), "2-D convolution"),
        (lambda: visualize.learning_curves(SimpleNamespace(train_loss=[])), "train for at least one epoch"),
    ],
)
def test_bad_input_says_what_to_do(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()


def small_network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout(), nn.Flatten(), nn.Linear(144, 2)
    )


def test_class_activation_map_by_hand():
    """One filter that copies the image, and a head that averages: the evidence is the image itself."""
    model = nn.Sequential(
        nn.Conv2d(1, 1, 1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 2, bias=False)
    )
    model[0].weight.data.fill_(1.0)
    model[3].weight.data = torch.tensor([[-1.0], [2.0]])
    images = torch.rand(3, 1, 5, 5)
    heat = visualize.class_activation_map(model, model[0], images)
    assert torch.allclose(heat, images[:, 0] / images[:, 0].amax((1, 2), keepdim=True), atol=1e-6)
    assert visualize.class_activation_map(model, model[0], images, torch.zeros(3)).abs().max() == 0  # evidence against


@pytest.mark.parametrize("frozen", [False, True])
def test_class_activation_map_leaves_the_model_as_it_was(frozen):
    model = small_network().requires_grad_(not frozen).train()
    model[3].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        heat = visualize.class_activation_map(model, model[0], torch.rand(2, 1, 8, 8))
    assert heat.shape == (2, 8, 8) and heat.min() >= 0 and heat.max() <= 1 and not heat.requires_grad
    assert model.training and model[1].training and not model[3].training
    assert all(parameter.grad is None for parameter in model.parameters()) and not model[0]._forward_hooks
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_class_activation_map_bad_layer():
    model, images = small_network(), torch.rand(2, 1, 8, 8)
    with pytest.raises(ValueError, match="not a module of this"):
        visualize.class_activation_map(model, nn.Conv2d(1, 1, 1), images)
    with pytest.raises(ValueError, match=r"feature maps \(N, C, h, w\), but it is a Linear"):
        visualize.class_activation_map(model, model[5], images)
    assert model.training and not model[5]._forward_hooks


def test_class_activation_map_before_an_activation_in_place():
    torch.manual_seed(0)
    conv, rest = nn.Conv2d(1, 4, 3), [nn.Flatten(), nn.Linear(144, 2)]
    in_place, apart = nn.Sequential(conv, nn.ReLU(inplace=True), *rest), nn.Sequential(conv, nn.ReLU(), *rest)
    heat = [visualize.class_activation_map(model, conv, torch.ones(1, 1, 8, 8)) for model in (in_place, apart)]
    assert torch.equal(*heat) and in_place[1].inplace


def test_class_activation_map_of_an_image_does_not_depend_on_its_batch():
    model, images = small_network(), torch.rand(3, 1, 8, 8)
    heat = visualize.class_activation_map(model, model[0], images)
    alone = [visualize.class_activation_map(model, model[0], image[None])[0] for image in images]
    torch.testing.assert_close(heat, torch.stack(alone))


WIDGETS = {
    "slices": lambda: visualize.slice_widget(VOLUME, spacing=(3, 1, 1)),
    "slices_masks": lambda: visualize.slice_widget(VOLUME, masks={"truth": VOLUME > VOLUME.mean()}),
    "browse": lambda: visualize.browse(
        lambda x, n: visualize.bars({"x": x, "n": n}, "u"), x=(0, 1, 0.5, 0.5), n=(1, 3, 1, 2)
    ),
    "window": lambda: visualize.browse(
        lambda level, width: visualize.window_level(HU, level, width),
        level=(-1000, 1000, 10, 40, "Level (HU)"),
        width=(10, 3000, 10, 400, "Width (HU)"),
    ),
}


@pytest.mark.parametrize("name", WIDGETS)
def test_both_ends_of_every_slider_show_another_picture(name):
    widget = WIDGETS[name]()
    *sliders, picture = widget.children
    for slider in sliders:
        assert slider.continuous_update is False and slider.description
        seen = [picture.value]
        for value in (slider.min, slider.max):
            slider.value = value
            seen.append(picture.value)
        assert len(set(seen)) == 3, slider.description
        assert all(re.match(r'<img alt="[^"]+"', html) for html in seen)


def test_a_slider_has_the_name_of_its_argument_or_a_label():
    sliders = {name: [child.description for child in make().children[:-1]] for name, make in WIDGETS.items()}
    assert sliders["browse"] == ["x", "n"] and sliders["window"] == ["Level (HU)", "Width (HU)"]
    assert sliders["slices"] == ["Axial slice", "Coronal slice", "Sagittal slice"]


def test_widget_shows_and_raises_an_error_of_its_drawing():
    def draw(n: int) -> Figure:
        if n > 1:
            raise RuntimeError("no slice <2>")
        return visualize.bars({"n": n}, "u")

    widget = visualize.browse(draw, n=(0, 2, 1, 0))
    slider, picture = widget.children
    with pytest.raises(RuntimeError):
        slider.value = 2
    assert "RuntimeError: no slice &lt;2&gt;" in picture.value
    slider.value = 1
    assert picture.value.startswith("<img")
    with pytest.raises(RuntimeError):
        visualize.browse(draw, n=(0, 2, 1, 2))


@pytest.mark.parametrize(
    ("sliders", "message"),
    [
        ({}, "at least one slider"),
        ({"n": (0, 2, 1, 5)}, "cannot start at 5"),
        ({"n": (0, 2)}, r"got \(0, 2\); give \(low"),
    ],
)
def test_bad_slider(sliders, message):
    with pytest.raises(ValueError, match=message):
        visualize.browse(lambda n: visualize.bars({"n": n}, "u"), **sliders)
