"""hippocampus_msd: 100 MR volumes of one hippocampus each, with its anterior and posterior part.

SOURCE: Task04_Hippocampus of the Medical Segmentation Decathlon, unpacked; license CC BY-SA 4.0. The files of our
folder are those of the publisher, found by their hash.
"""

from common import collect, run

if __name__ == "__main__":
    run(collect, __file__, __doc__)
