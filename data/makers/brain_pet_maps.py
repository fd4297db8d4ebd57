"""brain_pet_maps: averages of brain PET over many people in MNI space: FDG (MIT), six receptor maps (CC0).

SOURCE: one folder with github.com/DlutMedimgGroup/Chinese-Brain-PET-Template and the folder JuSpace_v1.5/PETatlas of
github.com/juryxy/JuSpace. The maps are those of the publishers, found by their hash, packed and named as in the list.
"""

from pathlib import Path

from common import collect, run

PACKED = {  # MD5 of the plain .nii
    "010fe3d0753170b832fc97887628e5fa": "5ht1a_way100635_hc36.nii.gz",
    "f9779ce18ab7281234a5a86ad11adcf6": "5ht1b_p943_hc22.nii.gz",
    "aabee5788ac7a05a76cedcb1163af0b2": "5ht2a_altanserin_hc19.nii.gz",
    "d0a1ab03b5b2347c29e7629560a90848": "5htt_dasb_hc30.nii.gz",
    "bb4fce5f5eac4f11b1614d6b3483a81e": "cn_fdg_template.nii.gz",
    "8bc621c7bb38ad64bd83cac79a28cd86": "cn_fdg_template_mask.nii.gz",
    "119fd43fffe2f9ed703ca1ab0ab64352": "d2_raclopride_hc7.nii.gz",
    "f5d502ee35afd2c01d7b8db6bdf5088c": "mu_carfentanil_hc204.nii.gz",
}


def make(source: Path, folder: Path) -> None:
    """Write the eight files of the list."""
    collect(source, folder, PACKED)


if __name__ == "__main__":
    run(make, __file__, __doc__)
