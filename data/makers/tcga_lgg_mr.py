"""tcga_lgg_mr: three gliomas in T1, T1c, T2 and FLAIR (TCGA-LGG, CC BY 3.0), or FLAIR alone (BraTS 2021, CC BY 4.0).

SOURCE: one folder with github.com/BrainLesion/tutorials, of which BraTS-Toolkit/data holds the two patients of TCGA,
and, of the history of github.com/uni-medical/SAM-Med3D, the case BraTS2021_01646. The files of our folder are those of
the publishers, found by their hash.
"""

from common import collect, run

if __name__ == "__main__":
    run(collect, __file__, __doc__)
