"""Solves environment.yml for each platform with what conda-forge has today, without installing: `make conda`.

Prints the version of each package that the file names; ends with 1 and the solver's words where there is no solution.
"""

import asyncio
import sys
from pathlib import Path

import yaml
from rattler import BuildString, GenericVirtualPackage, PackageName, Version, solve
from rattler.exceptions import SolverError

PLATFORMS = ("linux-64", "linux-aarch64", "osx-64", "osx-arm64", "win-64")
SYSTEM = {"linux": {"linux": "5.15", "glibc": "2.35"}, "osx": {"osx": "13.0"}, "win": {"win": "10.0"}}


async def versions(channels: list[str], specs: list[str], platform: str) -> dict[str, str]:
    """The versions that conda would install on `platform`, by name."""
    names = {"unix": "0"} if platform[:3] != "win" else {}
    system = names | SYSTEM[platform.partition("-")[0]]
    virtual = [
        GenericVirtualPackage(PackageName(f"__{name}"), Version(v), BuildString("0")) for name, v in system.items()
    ]
    records = await solve(channels, specs, platforms=[platform, "noarch"], virtual_packages=virtual)
    return {record.name.normalized: str(record.version) for record in records}


def main(file: Path, platforms: tuple[str, ...] = PLATFORMS) -> int:
    """Solve, print, and return the exit code."""
    content, failed = yaml.safe_load(file.read_text()), 0
    specs = [spec for spec in content["dependencies"] if isinstance(spec, str)]  # the rest is pip's
    for platform in platforms:
        try:
            found = asyncio.run(versions(content["channels"], specs, platform))
        except SolverError as error:
            print(f"{platform}: no solution: {error}")
            failed = 1
            continue
        named = [spec.partition(" ")[0] for spec in specs]
        print(f"{platform}: {len(found)} packages: {', '.join(f'{name} {found[name]}' for name in named)}")
    return failed


if __name__ == "__main__":
    sys.exit(main(Path(__file__).parents[2] / "environment.yml"))
