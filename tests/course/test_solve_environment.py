"""`make conda` solves environment.yml with conda-forge; here a channel of two packages in a folder stands for it."""

import json

import pytest

solve_environment = pytest.importorskip("solve_environment", reason="rattler has no wheel on every platform")


@pytest.fixture
def channel(tmp_path):
    """A channel that has Python 3.11 and 3.12, and one package that needs Linux and the older."""

    def record(name, version, *depends):
        return {
            "name": name,
            "version": version,
            "build": "0",
            "build_number": 0,
            "depends": depends,
            "subdir": "linux-64",
        }

    packages = [
        record("python", "3.11.9"),
        record("python", "3.12.4"),
        record("torch", "2.1", "python <3.12", "__glibc >=2.17"),
    ]
    for folder, held in (("linux-64", packages), ("win-64", packages[:2]), ("noarch", [])):
        (tmp_path / folder).mkdir()
        named = {f"{one['name']}-{one['version']}-0.conda": one | {"subdir": folder} for one in held}
        content = {"info": {"subdir": folder}, "packages": {}, "packages.conda": named}
        (tmp_path / folder / "repodata.json").write_text(json.dumps(content))
    return tmp_path


def environment(channel, *specs):
    file = channel / "environment.yml"
    file.write_text(json.dumps({"channels": [channel.as_uri()], "dependencies": [*specs, {"pip": ["medmnist"]}]}))
    return file


def test_the_versions_are_those_that_fit_together(channel, capsys):
    assert solve_environment.main(environment(channel, "python >=3.11", "torch"), ("linux-64",)) == 0
    assert capsys.readouterr().out == "linux-64: 2 packages: python 3.11.9, torch 2.1\n"


def test_a_platform_without_a_solution_is_named(channel, capsys):
    file = environment(channel, "python >=3.11", "torch")
    assert solve_environment.main(file, ("win-64", "linux-64")) == 1
    lines = capsys.readouterr().out
    assert lines.startswith("win-64: no solution") and "torch" in lines and "linux-64: 2 packages" in lines
