"""mni152: the ICBM 152 template of 2009, T1 with maps of gray and white matter.

SOURCE: the folder of the package nilearn, which carries it under the license that our folder names; found by hash.
"""

from common import collect, run

if __name__ == "__main__":
    run(collect, __file__, __doc__)
