"""Fetch the site's scripts from npm packages, so that its pages ask no other host: `python docs/tools/scripts.py`."""

import hashlib
import shutil
import subprocess
import sys
import tarfile
from base64 import b64encode
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

FOLDER = Path(__file__).resolve().parents[2] / "build" / "site" / "scripts"


class Script(NamedTuple):
    """One file of an npm package: the package with its version, its SHA-512 as npm writes it, the file within."""

    package: str
    integrity: str
    file: str


SCRIPTS = (
    Script(  # formulas, in one file and without fonts
        "mathjax@3.2.2",
        "Bt+SSVU8eBG27zChVewOicYs7Xsdt40qm4+UpHyX7k0/O9NliPc+x77k1/FEsPsjKPZGJvtRZM1vO+geW0OhGw==",
        "es5/tex-svg.js",
    ),
    Script(  # widgets: loads the next one
        "requirejs@2.3.8",
        "7/cTSLOdYkNBNJcDMWf+luFvMriVm7eYxp4BcFCsAX0wF421Vyce5SXP17c+Jd5otXKGNehIonFlyQXSowL6Mw==",
        "require.js",
    ),
    Script(
        "@jupyter-widgets/html-manager@1.0.15",
        "5thBIV6ymNgmPVOHvzx+gGy8ZSKmSazhtGw4/c4xJDVzRhG9PTeQsRjF3FUTopvFi//SABeNz1yp47bCrJ3CQA==",
        "dist/embed-amd.js",
    ),
)


def fetch(script: Script, folder: Path = FOLDER) -> Path:
    """Return the script's file in `folder`; npm fetches its package if it is not there yet.

    Raises:
        OSError: there is no npm, or it cannot reach its registry.
        ValueError: the package is not the one that was tested.
    """
    target = folder / Path(script.file).name
    if target.exists():
        return target
    if not (npm := shutil.which("npm")):
        raise OSError("npm is not installed; it comes with Node.js (Debian, Ubuntu: apt install npm).")
    with TemporaryDirectory() as place:
        done = subprocess.run([npm, "pack", "--silent", script.package], cwd=place, capture_output=True, text=True)
        if done.returncode:
            raise OSError(f"npm pack {script.package} failed: {done.stderr.strip()[-300:] or 'no reason given'}")
        archive = next(Path(place).glob("*.tgz"))
        got = b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        if got != script.integrity:
            raise ValueError(f"{script.package}: expected sha512-{script.integrity}, got sha512-{got}; not used.")
        folder.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archive) as inside:
            content = inside.extractfile(f"package/{script.file}").read()
        (part := target.with_suffix(".part")).write_bytes(content)
        part.replace(target)
    return target


if __name__ == "__main__":
    try:
        for each in SCRIPTS:
            fetch(each)
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
