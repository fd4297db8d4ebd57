"""Rows of wrong arguments, of medlab.models and medlab.train; see `argument_rows`."""

import torch
from argument_rows import (
    CLASSES,
    COLOR_NETWORK,
    IMAGES,
    MAPS,
    NAN,
    NETWORK,
    NO_FIT,
    NO_SET,
    NONE,
    ONE_CLASS,
    SEED,
    SET,
    UNLABELED,
    VOLUMES,
    Says,
)

from medlab import models

GENERATOR, CRITIC = models.DCGenerator(size=16, width=4), models.DCDiscriminator(size=16, width=4)
UNET = models.UNet(1, 2, width=2, levels=2)
STEPS = {
    "epochs": 0, "batch_size": 0, "lr": NAN, "seed": -1, "device": "gpu", "precision": "half",
    "checkpoint": Says("FILE", "a.txt is not a whole checkpoint"),
}  # fmt: skip
NO_AUGMENT = Says(3, "augment must be something to call")
ONE_GAN = {"lr": 0, "critic_steps": 0}


def zeros(*names: str, **others: object) -> dict:
    """A row of wrong arguments: 0 for these names, and others."""
    return dict.fromkeys(names, 0) | others


MODELS = {
    "models.ACDiscriminator": ({}, zeros("channels", "width", "kernel", classes=1, size=20)),
    "models.ACGenerator": (
        {},
        zeros("channels", "latent", "width", "kernel", "embedding", classes=1, size=20, noise="uniforn"),
    ),
    "models.Backbone": ({}, {"name": Says("resnet", "unknown backbone 'resnet'")}),
    "models.DCDiscriminator": ({}, zeros("channels", "width", "kernel", size=20, activation="leaky")),
    "models.DCGenerator": ({}, zeros("channels", "latent", "width", "kernel", size=20, noise="uniforn")),
    "models.DRINet": (
        {},
        zeros("in_channels", "classes", "stem", growth=Says([], "growth must hold at least 2 levels"), weight_std=-1),
    ),
    "models.DRINetBaseline": ({}, zeros("in_channels", "classes", "width", "levels", weight_std=-1)),
    "models.InceptionModule": ({}, {"channels": 3}),
    "models.LesionCNN": ({}, zeros("in_channels", "classes", "width", size=Says(8, "at least 22 x 22"), dropout=2)),
    "models.MinibatchDiscrimination": ({"features": 4}, zeros("features", "kernels", "dims")),
    "models.PatchCNN": ({}, zeros("classes", "kernel", "dense", view="axial", width=Says(3, "3 wide"), channels=(20,))),
    "models.RingDiscriminator": ({}, zeros("width")),
    "models.RingGenerator": ({}, zeros("latent", "width")),
    "models.SCANCritic": ({}, zeros("classes", "width", "poolings", image_channels=-1)),
    "models.SCANSegmenter": ({}, zeros("in_channels", "classes", "width", "poolings")),
    "models.ShallowCNN": (
        {},
        zeros("in_channels", "classes", "convolutions", size=Says(4, "at least 8 x 8 pixels"), dropout=2),
    ),
    "models.SmallCNN": ({}, zeros("in_channels", "classes", "width", "stride", dropout=2, axes=1)),
    "models.SynergicNetwork": ({}, zeros("components", "in_channels", "features", classes=1)),
    "models.UNet": ({}, zeros("in_channels", "classes", "width", "levels", padding="sane", norm="batches", axes=1)),
    "models.UnpoolingBlock": ({}, {"channels": 3}),
    "models.VirtualBatchNorm": ({"channels": 4, "reference": 4}, zeros("channels", "reference", eps=-1)),
    "models.WGANCritic": ({}, zeros("channels", "width", "kernel", size=20, activation="leaky")),
    "models.WholeVolume": ({"network": models.PatchCNN(width=9)}, zeros("chunk")),
    "models.WithReference": (
        {"generator": models.DCGenerator(size=16, width=4), "reference": torch.rand(4, 100)},
        {
            "generator": Says(models.RingGenerator(), "RingGenerator has no BatchNorm2d"),
            "reference": Says(torch.rand(1, 100), "a reference batch of 1 has no variance"),
        },
    ),
    "models.effective_receptive_field": (
        {"model": UNET, "size": 16},
        SEED | zeros("size", "in_channels", model=Says(NETWORK, "model must give logits (N, K, H, W), got (8, 2)")),
    ),
    "models.multiply_adds": (
        {"model": NETWORK, "images": IMAGES},
        {"model": Says(COLOR_NETWORK, "images (8, 1, 16, 16) do not fit the network"), "images": NO_FIT},
    ),
    "models.training_bytes": (
        {"model": NETWORK, "images": IMAGES},
        {"model": Says(COLOR_NETWORK, "images (8, 1, 16, 16) do not fit the network"), "images": NO_FIT},
    ),
    "models.pretrained_names": ({}, {"folder": NONE}),
    "models.receptive_field_size": (
        {"field": torch.ones(4, 4)},
        {"field": Says(torch.zeros(4, 4), "give influence (H, W) above 0"), "share": 2},
    ),
    "models.small_resnet18": ({}, zeros("in_channels", "classes")),
    "models.load_model": ({}, {"path": NONE}),
    "models.load_pretrained": (
        {"name": "glioma-dcgan"},
        {"name": Says("glioma", "unknown trained network 'glioma'"), "folder": NONE},
    ),
    "models.pretrained_backbone": ({}, {"name": Says("resnet", "unknown backbone 'resnet'")}),
    "models.save_model": (
        {"path": "OUT", "network": NETWORK, "images": SET},
        {
            "path": Says("FILE/x", "could not write"),
            "network": Says(3, "int cannot be saved"),
            "images": NO_SET,
            "note": Says(NAN, "the card of new.safetensors holds numbers, texts"),
            "figures": Says({"a": NAN}, "holds numbers, texts, lists and dicts of these only"),
        },
    ),
}

TRAIN = {
    "train.AuxiliaryClassifier": ({}, ONE_GAN),
    "train.FeatureMatching": ({}, ONE_GAN),
    "train.GradientPenalty": ({}, ONE_GAN | {"weight": -1}),
    "train.HistoricalAveraging": ({}, ONE_GAN | {"weight": 0}),
    "train.NonSaturating": ({}, ONE_GAN),
    "train.OneSidedSmoothing": ({}, ONE_GAN | {"target": 2}),
    "train.Saturating": ({}, ONE_GAN),
    "train.SemiSupervised": (
        {"images": IMAGES, "labels": CLASSES},
        ONE_GAN
        | {
            "images": Says(IMAGES[:3], "3 labeled images and 8 labels"),
            "labels": Says(CLASSES[:3], "8 labeled images and 3 labels"),
        },
    ),
    "train.Wasserstein": ({}, ONE_GAN | {"clip": 0}),
    "train.dice_cross_entropy": (
        {"logits": torch.rand(8, 2, 16, 16), "targets": MAPS.targets.long()},
        {
            "logits": Says(torch.rand(8, 2, 4, 4), "logits (8, 2, 4, 4) do not fit"),
            "targets": Says(MAPS.targets[:, :4], "do not fit targets (8, 4, 16)"),
        },
    ),
    "train.fit_class_gans": (
        {"train": SET, "build": lambda: (GENERATOR, CRITIC), "epochs": 1, "batch_size": 4, "progress": False},
        SEED
        | {"train": Says(ONE_CLASS, "no image of class b"), "checkpoint": Says("gan.pt", "a checkpoint holds one")},
    ),
    "train.fit_scan": (
        {
            "segmenter": models.SCANSegmenter(1, 2, width=2, poolings=1),
            "critic": models.SCANCritic(2, width=2, poolings=1),
            "train": MAPS,
            "epochs": 1,
            "batch_size": 8,
            "progress": False,
        },
        STEPS
        | {
            "segmenter": Says(models.UNet(1, 3, width=2, levels=2), "has 2 classes, but UNet gives 3 outputs"),
            "critic": Says(models.SCANCritic(3, width=2), "the critic must give a logit for each mask of 2 classes"),
            "train": Says(SET, "fit_scan needs images (N, C, H, W) with label maps"),
            "val": NO_SET,
            "pretrain": -1,
            "warmup": -1,
            "critic_weight": -1,
            "schedule": "cos",
            "augment": NO_AUGMENT,
        },
    ),
    "train.fit_synergic": (
        {
            "model": models.SynergicNetwork(2, 2, 1, 8),
            "train": SET,
            "epochs": 1,
            "batch_size": 8,
            "progress": False,
        },
        STEPS
        | {
            "model": Says(models.SynergicNetwork(2, 3, 1, 8), "has 2 classes, but SynergicNetwork gives 3 outputs"),
            "train": Says(MAPS, "fit_synergic pairs images by class"),
            "val": NO_SET,
            "decay": -1,
            "synergy": -1,
            "augment": NO_AUGMENT,
            "patience": 0,
        },
    ),
    "train.predict_files": (
        {"network": models.load_pretrained("abdomen-unet"), "path": "PNG"},
        {"network": Says(NETWORK, "this SmallCNN has none"), "path": NONE},
    ),
    "train.quick_recipe": (
        {"train": SET},
        {"train": NO_SET, "seconds": 0, "rate": 0},
    ),
    "train.sample_pairs": (
        {"targets": CLASSES, "networks": 2, "n": 4, "generator": None},
        {"targets": Says(0 * CLASSES, "all images have one class"), "networks": 0, "n": 0},
    ),
    "train.synthetic_images": (
        {"generators": [GENERATOR, GENERATOR], "per_class": 2, "like": SET},
        SEED
        | {
            "generators": Says([GENERATOR], "1 generators for 2 classes"),
            "per_class": Says(0, "n must be a whole number of at least 1, got 0"),
            "like": Says(UNLABELED, "2 generators for 0 classes"),
        },
    ),
    "train.fit": (
        {"model": NETWORK, "train": SET, "epochs": 1, "batch_size": 8, "progress": False},
        STEPS
        | {
            "model": Says(COLOR_NETWORK, "images (1, 1, 16, 16) do not fit the network"),
            "train": NO_SET,
            "val": NO_SET,
            "optimizer": "adam",
            "weight_decay": -1,
            "schedule": "cos",
            "clip": 0,
            "augment": NO_AUGMENT,
            "patience": 0,
        },
    ),
    "train.fit_gan": (
        {
            "generator": GENERATOR,
            "discriminator": CRITIC,
            "train": SET,
            "epochs": 1,
            "batch_size": 4,
            "progress": False,
        },
        STEPS
        | {
            "generator": Says(
                models.DCGenerator(size=32, width=4), "generates images (1, 32, 32), but toy has (1, 16, 16)"
            ),
            "discriminator": Says(
                models.DCDiscriminator(size=32, width=4), "images (2, 1, 16, 16) do not fit the network"
            ),
            "train": Says(VOLUMES, "fit_gan needs images (N, C, H, W)"),
            "steps_per_epoch": 0,
            "loss": "mse",
            "discriminator_lr": -1,
            "ema": 2,
        },
    ),
    "train.load_checkpoint": ({}, {"path": Says("none", "no checkpoint at none")}),
    "train.save_checkpoint": ({"state": {}}, {"path": Says("FILE/x", "could not write")}),
    "train.pick_device": ({}, {"name": Says("gpu", "unknown device 'gpu'")}),
    "train.pick_precision": (
        {"device": torch.device("cpu")},
        {"name": Says("half", "unknown precision 'half'")},
    ),
    "train.predict": (
        {"model": UNET, "data": MAPS, "window": 8},
        {
            "model": Says(models.UNet(3, 2, width=2, levels=2), "images (8, 1, 16, 16) do not fit the network"),
            "data": Says(IMAGES[0, 0, 0], "images of shape (16,) do not fit"),
            "batch_size": 0,
            "window": 0,
            "overlap": 2,
        },
    ),
    "train.sample": (
        {"generator": GENERATOR, "n": 2},
        SEED
        | {
            "generator": Says(NETWORK, "generator must have sample_latent(n, rng)"),
            "n": 0,
            "labels": Says([5], "1 labels for 2 images"),
            "batch_size": 0,
        },
    ),
    "train.seed_everything": ({}, {"seed": -1}),
}
