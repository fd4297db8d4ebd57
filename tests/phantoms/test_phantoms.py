"""Phantoms: shapes, repeatability, and that their images show what their labels say."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from medlab.data import load
from medlab.metrics import psnr_ssim
from medlab.phantoms import anatomy, brain, chest, glioma, lung, pet, ring, temporal_lobe
from medlab.phantoms.catalog import PHANTOMS

VOLUMES = ("temporal_lobe",)  # phantoms of three axes; the others are slices
CHANNELS = {"skin": 3, "glioma": 4, "glioma_sagittal": 4}
SCANS = [name for name in PHANTOMS if name != "ring"]  # which are points


def made(name, n=30, size=48, seed=0):
    return PHANTOMS[name].make(n, size, seed)


def means(images, labels, classes):
    """Mean intensity of each class: by pixel for label maps, by image for classes."""
    values = images[:, 0] if labels.ndim == 3 else images.flatten(1).mean(1)
    return [values[labels == k].mean().item() for k in range(classes)]


@pytest.mark.parametrize("name", SCANS)
@pytest.mark.parametrize("n, size", [(1, 16), (33, 40), (7, 72)])
def test_shapes_types_and_range(name, n, size):
    images, targets, patients = made(name, n, size)
    sides = (size,) * (3 if name in VOLUMES else 2)
    assert images.shape == (n, CHANNELS.get(name, 1), *sides) and images.dtype == torch.float32
    assert images.min() >= 0 and images.max() <= 1 and images.std() > 0.01
    segmentation = PHANTOMS[name].task == "segmentation"
    assert targets.shape == ((n, *sides) if segmentation else (n,))
    assert targets.dtype == (torch.uint8 if segmentation else torch.int64)
    assert targets.max() < len(PHANTOMS[name].classes) and patients.shape == (n,)


@pytest.mark.parametrize("name", PHANTOMS)
@pytest.mark.parametrize("patients", [1, 5])
def test_a_patient_has_as_many_images_as_the_phantom_says(name, patients):
    phantom = PHANTOMS[name]
    size = 16 if phantom.sizes is None else phantom.sizes[0]
    images, targets, ids = phantom.make(phantom.images_of(patients + 1), size, 0)
    assert len(images) == len(targets) == len(ids) and (np.diff(ids) >= 0).all()
    assert np.unique(ids).tolist() == list(range(patients + 1)) and (ids < patients).sum() == phantom.images_of(
        patients
    )


@pytest.mark.parametrize("name", SCANS)
def test_all_classes_are_there(name):
    images = load(name, size=48, n=10 if name in VOLUMES else 160)
    assert min(images.counts().values()) >= 30 and len(np.unique(images.patients)) >= 3
    assert len(images.info.license) <= 40 and images.info.phantom


@pytest.mark.parametrize("name", SCANS)
def test_seeds_repeat_and_differ(name):
    first, again, other = made(name), made(name), made(name, seed=1)
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])
    assert len(first[0].flatten(1).unique(dim=0)) == 30  # no image twice


@pytest.mark.parametrize(
    "name",
    ["abdomen", "brain", "chest", "chest_b", "csf", "glioma", "glioma_sagittal", "pet", "skin", *VOLUMES, "ultrasound"],
)
def test_an_image_depends_on_its_number_not_on_how_many_there_are(name):
    few, many = made(name, 5), made(name, 70)
    for some, all_ in zip(few, many):
        assert (some == all_[:5]).all()
    assert len(many[0].flatten(1).unique(dim=0)) == 70  # across chunks too


def test_a_patient_has_one_anatomy_in_all_slices():
    patient = torch.tensor([0, 0, 1, 1])
    height = torch.tensor([10.0, 40.0, 10.0, 40.0])
    _, places = anatomy.slices(patient, height, 32, torch.Generator().manual_seed(0))
    same, other = places[:2, 0] - places[:2, 1], places[:2, 0] - places[:2, 2]
    assert 0 < same.abs().mean() < 0.75 * other.abs().mean()  # only the warp changes along the height
    flat, _ = anatomy.slices(patient, height, 32, torch.Generator().manual_seed(0), strength=0)
    assert torch.equal(flat[0], flat[2]) and not torch.equal(flat[0], flat[1])  # the template itself
    one, two = (anatomy.slices(patient, height, 32, torch.Generator().manual_seed(k))[0] for k in range(2))
    assert not torch.equal(one, two)


def test_slices_are_upright_and_the_right_is_on_the_left():
    _, places = anatomy.slices(torch.zeros(1).long(), torch.zeros(1), 32, torch.Generator(), strength=0)
    x, y, z = places[:, 0]
    assert (y[0] > y[-1]).all() and (x[:, 0] > x[:, -1]).all()  # mm to the front, mm to the right
    assert (z == 0).all()
    step = anatomy.FIELD_OF_VIEW / 32
    torch.testing.assert_close(y[:-1] - y[1:], torch.full((31, 32), step))


def test_three_planes_show_one_brain():
    size, one = 112, torch.zeros(1).long()  # pixels of 2 mm, whose centers lie on the template's voxels
    cuts = {}
    for plane, (across, row, column) in anatomy.PLANES.items():
        height = torch.tensor([{"axial": 21.0, "coronal": -41.0, "sagittal": -31.0}[plane]])
        maps, places = anatomy.slices(one, height, size, torch.Generator(), strength=0, plane=plane)
        x, y = places[column, 0], places[row, 0]
        assert (places[across] == height).all() and (y[0] > y[-1]).all() and (x[:, 0] > x[:, -1]).all()
        cuts[plane] = maps[0], [axis.flatten() for axis in places[:, 0]]
    for this, that in (("axial", "coronal"), ("axial", "sagittal"), ("coronal", "sagittal")):
        found = []  # {place: T1} along the line that both cuts show
        for plane in (this, that):
            maps, places = cuts[plane]
            found.append({tuple(place): t1 for *place, t1 in torch.stack([*places, maps[0].flatten()], 1).tolist()})
        both = found[0].keys() & found[1].keys()
        assert len(both) == size and max(found[0][place] for place in both) > 0.5
        assert all(found[0][place] == pytest.approx(found[1][place], abs=1e-4) for place in both)
    with pytest.raises(ValueError, match="Did you mean 'coronal'"):
        anatomy.slices(one, torch.zeros(1), 32, torch.Generator(), plane="corronal")


@pytest.mark.parametrize("plane", anatomy.PLANES)
def test_a_patient_has_one_anatomy_in_every_plane(plane):
    patient, height = torch.tensor([0, 0, 1, 1]), torch.tensor([-10.0, 20.0, -10.0, 20.0])
    _, places = anatomy.slices(patient, height, 32, torch.Generator().manual_seed(0), plane=plane)
    inside = list(anatomy.PLANES[plane][1:])
    same, other = (places[inside, 0] - places[inside, k] for k in (1, 2))
    assert 0 < same.abs().mean() < 0.75 * other.abs().mean()


def test_brain_tissues_are_in_t1_order_and_match_the_labels():
    images, labels, patients = made("brain", 60, 128, 0)
    background, csf, gray, white = means(images, labels, 4)
    assert background < 0.15 and background < csf < gray - 0.1 < white - 0.2
    assert patients.tolist() == [k // brain.SLICES_PER_PATIENT for k in range(60)]
    assert (labels[:, :4] == 0).all()  # a head does not fill the field of view
    noise = images[:, 0][labels == 0].std()
    assert 0.01 < noise < 0.05


def test_label_map_takes_the_largest():
    fractions = torch.rand(3, 4, 6, 7, generator=torch.Generator().manual_seed(0))
    fractions = fractions / fractions.sum(1, keepdim=True)
    expected = fractions.argmax(1).to(torch.uint8)
    assert torch.equal(anatomy.label_map(fractions[:, 1:]), expected)


def test_pet_loses_more_uptake_the_later_the_stage():
    images, stages, _ = made("pet", 180, 64, 0)
    normal, mild, dementia = means(images, stages, 3)
    assert normal > mild > dementia
    assert 0.005 < normal - dementia < 0.05  # a few regions, not the whole brain
    assert stages[::5].tolist() == [k % 3 for k in range(36)] and (stages.reshape(-1, 5).diff(dim=1) == 0).all()
    region = pet._region(torch.tensor([[0.0, 0.0], [-52.0, 40.0], [28.0, 28.0]]).reshape(3, 2, 1, 1))
    assert region[0] == 1 and region[1] < 0.01  # the posterior cingulate; the frontal lobe


@pytest.mark.parametrize("plane", pet.RANGE)
def test_one_brain_at_a_later_stage_lost_uptake_in_every_plane(plane):
    normal, mild = (
        pet._slices(torch.arange(5) + later, torch.Generator().manual_seed(0), 64, plane)[0] for later in (0, 5)
    )
    lost = normal - mild
    assert lost.min() > -0.02 and lost.amax((1, 2, 3)).min() > 0.03
    assert (lost > 0.02).float().mean() < 0.2  # in some regions only


def test_pet_in_three_planes_shows_other_patients():
    one, two, three = (made(name, 30, 64)[0] for name in ("pet", "pet_coronal", "pet_sagittal"))
    mirrored = [(images.mean(0) - images.mean(0).flip(-1)).abs().mean() for images in (one, two, three)]
    assert max(mirrored[:2]) < 0.2 * mirrored[2]  # left and right look alike, front and back do not
    rows = (three.mean((0, 1)) > 0.1).any(1).nonzero().flatten()
    assert 0 < rows[0] and rows[-1] < 63  # the whole brain is in view


def test_the_mean_brain_is_closer_to_a_brain_than_another_brain_is():
    images, stages, _ = made("pet", 300, 32, 0)
    ours, others = images[stages == 0].split(50)
    mean = ours.mean(0, keepdim=True).expand(50, -1, -1, -1)
    for pairing in ("random", "all"):  # the blur wins in PSNR, as lesson 06 shows
        assert psnr_ssim(mean, others, pairing).psnr > psnr_ssim(ours, others, pairing).psnr + 1


def test_pet_gray_matter_is_brighter_than_white():
    generator = torch.Generator().manual_seed(3)
    numbers = torch.arange(30)
    images, _ = pet._slices(numbers, generator, 128)
    generator.manual_seed(3)
    height = torch.rand(30, generator=generator) * 35 + 10
    maps, _ = anatomy.slices(numbers // 5, height, 128, generator)  # the same anatomy again
    gray, white = (images[:, 0][maps[:, k] > 0.95].mean() for k in (2, 3))
    assert 0.4 < gray < 1 and white < 0.6 * gray


def test_chest_lungs_are_darker_than_the_heart_and_each_on_its_side():
    images, labels, patients = made("chest", 40, 128, 0)
    _, right, left, heart = means(images, labels, 4)
    assert max(right, left) + 0.15 < heart
    columns = torch.arange(128.0).expand(40, 128, 128)
    place = [columns[labels == k].mean() for k in range(4)]
    assert place[1] < 50 and place[2] > 78 and place[1] < place[3] < place[2]  # the patient's right is on the left
    assert len(set(patients)) == 40


@pytest.mark.parametrize("name", ["chest", "chest_b"])
def test_a_chest_has_three_organs_of_one_piece_and_of_usual_proportions(name):
    ratios = []
    for label in made(name, 60, 64)[1].numpy():
        assert all(ndimage.label(label == k)[1] == 1 for k in (1, 2, 3))
        left, right = (np.flatnonzero(mask.any(0))[[0, -1]] for mask in (label == 3, (label == 1) | (label == 2)))
        ratios.append((left[1] - left[0] + 1) / (right[1] - right[0] + 1))
    assert 0.25 < min(ratios) < 0.42 and 0.52 < max(ratios) < 0.75  # healthy is below 0.5
    sharp = made(name, 3, 256)[1][:, 2::4, 2::4]  # the same patients on a finer film
    assert (sharp == made(name, 3, 64)[1]).float().mean() > 0.97


def test_an_opacity_hides_a_part_of_a_lung_that_the_label_map_still_shows():
    images, labels, _ = made("chest", 80, 64, 0)
    lungs = ndimage.binary_erosion(((labels == 1) | (labels == 2)).numpy(), iterations=2, axes=(1, 2))
    hidden = np.array([(image[lung] > 0.55).mean() for image, lung in zip(images[:, 0].numpy(), lungs)])
    sick = np.arange(80) % chest.OPACITY_EVERY == 0
    assert hidden[sick].min() > 0.03 > 0.02 > hidden[~sick].max()
    share = [(labels[where] > 0).float().mean().item() for where in (sick, ~sick)]
    assert share[0] == pytest.approx(share[1], abs=0.03)


def test_the_second_hospital_shows_other_patients_in_another_way():
    (ours, labels, _), (theirs, others, _) = made("chest", 60, 64, 0), made("chest_b", 60, 64, 0)
    assert not (labels == others).flatten(1).all(1).any()
    lung, other_lung = ours[:, 0][labels == 1], theirs[:, 0][others == 1]
    assert other_lung.mean() > lung.mean() + 0.03
    contrast = [x[:, 0][y == 3].mean() - x[:, 0][y == 1].mean() for x, y in ((ours, labels), (theirs, others))]
    assert contrast[1] < 0.9 * contrast[0]
    height = [(y > 0).any(2).sum(1).float().mean() for y in (labels, others)]
    assert height[1] < height[0] - 2  # a shallow breath


def test_cyst_is_darker_and_solid_mass_less_so():
    images, kinds, _ = made("ultrasound", 90, 64, 0)
    center = images[:, 0, 20:44, 18:46]  # where the lesions lie
    darkest = torch.nn.functional.avg_pool2d(center, 5, 1).flatten(1).amin(1)
    none, cyst, solid = (darkest[kinds == k].mean() for k in range(3))
    assert cyst < 0.1 and cyst < solid - 0.1 < none - 0.15
    below = images[:, 0, 44:56, 18:46].mean((1, 2))  # enhancement behind the cyst, shadow behind the mass
    assert below[kinds == 1].mean() > below[kinds == 0].mean() > below[kinds == 2].mean()


def test_speckle_is_rayleigh_distributed():
    images, kinds, _ = made("ultrasound", 30, 128, 0)
    patch = images[kinds == 0][:, 0, 48:80, 40:88]
    amplitude = 10 ** ((patch - 1) * 60 / 20)
    local = torch.nn.functional.avg_pool2d(amplitude[:, None], 9, 1)
    square = torch.nn.functional.avg_pool2d(amplitude[:, None] ** 2, 9, 1)
    ratio = (local / (square - local**2).sqrt()).median()
    assert 1.6 < ratio < 2.4  # 1.91 for Rayleigh; the echo level and the pulse bend it a little


def test_lung_patterns_are_in_order_of_density():
    images, patterns, _ = made("lung", 1500, 32, 0)
    normal, emphysema, glass, fibrosis, nodules = means(images, patterns, 5)
    assert emphysema < normal < glass and normal < fibrosis and normal < nodules
    low, high = lung.WINDOW
    hounsfield = images * (high - low) + low
    assert -1000 <= hounsfield[patterns == 1].mean() < -820 < hounsfield[patterns == 2].mean() < -500


def test_patches_of_one_lung_look_alike():
    images, patterns, patients = made("lung", 1500, 32, 0)
    assert all(len(patterns[patients == k].unique()) == 1 for k in np.unique(patients))
    down, across = images.diff(dim=2), images.diff(dim=3)  # level, contrast, and grain of the noise
    marks = torch.stack([part.flatten(1).mean(1) for part in (images, images**2, down.abs(), across**2)], 1)
    marks = (marks - marks.mean(0)) / marks.std(0)
    distance = torch.cdist(marks, marks).fill_diagonal_(torch.inf)
    distance[patterns[:, None] != patterns] = torch.inf
    found = (patients[distance.argmin(1)] == patients).mean()
    assert found > 0.3  # the most alike patch is of the same patient, by chance in one of ten: a patch-wise split leaks


def test_the_hippocampus_is_one_bent_piece_of_gray_matter_where_it_should_be():
    images, masks, patients = made("temporal_lobe", 12, 40, 0)
    assert len(set(patients)) == 12
    volume = masks.sum((1, 2, 3)) * (temporal_lobe.FIELD_OF_VIEW / 40) ** 3 / 1000  # ml
    assert (volume > 2.5).all() and (volume < 7.5).all()  # a tube a little wider than the organ, which has 2 to 5
    for image, mask in zip(images[:, 0], masks):
        grown = torch.nn.functional.max_pool3d(mask[None].float(), 5, 1, 2)[0] > 0
        around = grown & (mask == 0)
        assert image[mask == 1].mean() < image[around & (image > 0.5)].mean() - 0.05  # gray beside white matter
        depth, row, _ = mask.nonzero().float().T
        head, tail = depth[row < row.quantile(0.2)].mean(), depth[row > row.quantile(0.8)].mean()
        assert tail > head + 5  # it rises from front to back


def test_a_strand_passes_by_the_hippocampus_and_looks_like_it():
    line = torch.arange(40) * 1.4 - 28.0
    here = torch.stack(torch.meshgrid(line, -line, -line, indexing="ij"))[[2, 1, 0]]
    inside = (here.square().sum(0) < 36)[None].expand(6, -1, -1, -1)
    strands = temporal_lobe._strand(here, inside, torch.Generator().manual_seed(0))
    volume = strands.sum((1, 2, 3)) * 1.4**3
    assert (volume > 1000).all() and (volume < 6500).all()  # mm3: 4 to 5.5 mm thick, 24 to 36 mm long, perhaps cut off
    assert not strands[inside].any() and len(volume.unique()) == 6


def test_temporal_lobe_volumes_lie_as_real_ones_do():
    _, origin = temporal_lobe._region()
    grid = torch.stack(torch.meshgrid(*[torch.arange(3.0)] * 3, indexing="ij"))[None]
    assert torch.isfinite(temporal_lobe._sample(grid + origin[:, None, None, None])).all()
    tube = temporal_lobe._tube(temporal_lobe.AXIS.T[None, :, :, None, None], temporal_lobe.AXIS, temporal_lobe.RADIUS)
    torch.testing.assert_close(tube.flatten(), temporal_lobe.RADIUS)  # on the axis, the surface is a radius away


def test_blur_keeps_the_mean_and_takes_one_width_per_image():
    rough = torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    smooth = anatomy.blur(rough, torch.tensor([0.0, 1.0, 4.0]))
    torch.testing.assert_close(smooth.mean((2, 3)), rough.mean((2, 3)))
    torch.testing.assert_close(smooth[0], rough[0])
    assert smooth[2].std() < smooth[1].std() < rough.std()
    point = torch.zeros(1, 1, 33, 33)
    point[..., 16, 16] = 1
    line = anatomy.blur(point, 2.0)[0, 0].sum(0)
    assert ((torch.arange(33) - 16) ** 2 * line).sum().sqrt() == pytest.approx(2, abs=0.01)


def test_smooth_field_passes_through_its_knots():
    field = anatomy.smooth_field(400, 31, 4, torch.Generator().manual_seed(0))[:, 0]
    knots = field[:, ::10, ::10]
    torch.testing.assert_close(
        knots, torch.randn(400, 1, 4, 4, generator=torch.Generator().manual_seed(0))[:, 0], atol=1e-4, rtol=0
    )
    assert field.diff(dim=1).abs().mean() < 0.2  # smooth


def test_the_ring_is_eight_round_heaps_of_points():
    points = load("ring", n=4000, seed=1)
    assert points.images.shape == (4000, 2, 1, 1) and set(points.counts().values()) == {500}
    assert points.images.min() > 0 and points.images.max() < 1
    off = points.images[:, :, 0, 0] - ring.CENTERS[points.targets]
    torch.testing.assert_close(off.std(0), torch.full((2,), ring.SIGMA), rtol=0.05, atol=0)
    gap = (ring.CENTERS[0] - ring.CENTERS[1]).norm()
    assert gap > 20 * ring.SIGMA  # no point is between two modes
    assert torch.equal(load("ring", n=9).images, load("ring", n=9).images)
    assert not torch.equal(load("ring", n=9).images, load("ring", n=9, seed=1).images)
    assert load("ring", "test").images.shape == (800, 2, 1, 1)
    with pytest.raises(ValueError, match="ring has no size 32; sizes: 1"):
        load("ring", size=32)


@pytest.mark.parametrize("name", ["glioma", "glioma_sagittal"])
def test_a_glioma_looks_in_each_sequence_as_a_radiologist_expects(name):
    images, labels, patients = made(name, 60, 96)
    t1, t1c, t2, flair = ({k: image[labels == k].mean().item() for k in range(4)} for image in images.unbind(1))
    brain = [image[(labels == 0) & (image > 0)].mean().item() for image in images.unbind(1)]
    core, edema, rim = 1, 2, 3
    assert t1c[rim] > t1[rim] + 0.2 and t1c[rim] > 1.3 * brain[1]  # only the contrast agent lights it up
    assert t1[core] < t1[edema] < brain[0] and t1c[core] < t1c[edema] < brain[1]
    assert min(t2[core], t2[edema]) > 1.3 * brain[2] and flair[edema] > 1.5 * brain[3] > brain[3] > flair[core]
    outside = torch.nn.functional.max_pool2d((images.sum(1) > 0).float(), 3, 1, 1) == 0
    assert (images.permute(1, 0, 2, 3)[:, outside] == 0).all() and outside.float().mean() > 0.4  # the skull is stripped


@pytest.mark.parametrize("name", ["glioma", "glioma_sagittal"])
def test_some_slices_of_every_patient_show_the_tumor_and_some_do_not(name):
    _, labels, patients = made(name, 200, 64)
    seen = ((labels > 0).flatten(1).float().mean(1) > 0.01).view(-1, glioma.SLICES_PER_PATIENT)
    assert 0.25 < seen.float().mean() < 0.65 and seen.any(1).float().mean() > 0.85 and not seen.all(1).any()
    assert len(glioma.POSITIONS[name]) == glioma.SLICES_PER_PATIENT and len(glioma.SEQUENCES) == 4
    runs = (seen[:, 1:] != seen[:, :-1]).sum(1)
    assert runs.float().mean() < 2.2  # neighboring slices show the same tumor


def test_slices_of_a_glioma_patient_run_upwards_or_from_left_to_right():
    images, labels, _ = made("glioma", 60, 64, 0)
    wide = (images[:, 2] > 0).any(1).sum(1).view(6, 10).float().mean(0)
    assert wide[4:6].mean() > wide[-1] + 3  # a head is narrower at its top
    fluid = (made("glioma_sagittal", 60, 64, 0)[0][:, 2] > 0.75).flatten(1).float().mean(1).view(6, 10).mean(0)
    assert fluid[4:6].mean() > 1.3 * fluid[[0, 9]].mean()  # of the ventricles and cisterns in the middle


def test_a_tumor_pushes_tissue_away_and_leaves_the_far_side_alone():
    line = torch.linspace(-63, 63, 64)
    y, x = torch.meshgrid(-line, -line, indexing="ij")
    places = (torch.stack([x, y, 0 * x]) + anatomy.CENTER[:, None, None])[:, None]
    depth = 12 - (places - (anatomy.CENTER + torch.tensor([30.0, 0, 0]))[:, None, None, None]).square().sum(0).sqrt()
    moved = glioma._pushed_away(places.transpose(0, 1), places, depth, torch.full((1, 1, 1), 8.0), 2.0)
    gain = (moved[0] - places[:, 0])[0]  # mm by which the tissue shown came from further right
    row = 32
    near, far = 31, int((x[row] < -50).nonzero()[0])  # in the midline, and at the other side of the head
    assert 2 < gain[row, near] < 8 and gain[row, far].abs() < 1.0  # a midline shift, and hardly any at the far side
    still = glioma._pushed_away(places.transpose(0, 1), places, depth, torch.zeros(1, 1, 1), 2.0)
    torch.testing.assert_close(still[0], places[:, 0], atol=1e-3, rtol=0)
