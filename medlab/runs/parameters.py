"""Finding a notebook, reading its parameters cell, checking given values against it, and within it.

The parameters cell is read with `ast`, not with `papermill.inspect_notebook`: that one drops a parameter whose comment
holds an equals sign, does not know `int | None`, and gives defaults as text only.
"""

import ast
import hashlib
import json
import math
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, replace
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from medlab.errors import unknown_name_error, whole_number
from medlab.limits import excess
from medlab.runs.recording import to_strict_json

DIGITS = "[0-9]+(_[0-9]+)*"
NUMBERS = {  # what int and float take, without the spellings that are numbers in YAML only
    int: rf"[-+]?{DIGITS}$",
    float: rf"[-+]?(\.{DIGITS}|{DIGITS}(\.({DIGITS})?)?)([eE][-+]?{DIGITS})?$",
}
QUOTED_NONE = re.compile(r'("+)(none|null)\1', re.IGNORECASE)  # a text, where no text is None
UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff]")  # in YAML
SPREAD = 10_007  # seeds of a run; prime, so that offsets such as 1000 do not lead to those of another
TYPES = {"int": int, "float": float, "str": str, "bool": bool, "list": list, "dict": dict}


@dataclass(frozen=True)
class Parameter:
    """One assignment of the parameters cell. `type` is None if neither annotation nor default determines it."""

    name: str
    type: type | None
    optional: bool
    default: Any

    def check(self, value: Any) -> Any:
        """Return `value` as the notebook will get it; an int is accepted for a float, a bool is not an int.

        Raises:
            ValueError: it is not of the parameter's type.
        """
        value = to_strict_json(f"parameter {self.name!r}", value)
        if self.type is None or (value is None and self.optional):
            return value
        if self.type is float and type(value) is int:
            return float(value)
        if type(value) is not self.type:
            raise self._wrong(value)
        return value

    def from_text(self, text: str) -> Any:
        """Parse `text`, typed on a command line, as a value of the parameter's type.

        Raises:
            ValueError: it is not of the parameter's type.
        """
        from yaml import YAMLError

        if self.optional and text.lower() in ("none", "null"):
            return None
        if self.type is str:
            return text[1:-1] if self.optional and QUOTED_NONE.fullmatch(text) else text
        try:
            if self.type in (int, float):
                return self.check(self.type(text))
            return self.check({"true": True, "false": False}.get(text.lower(), read_yaml(text)))
        except (ValueError, YAMLError):
            raise self._wrong(text) from None

    def to_text(self, value: Any) -> str:
        """The text of which `from_text` makes `value`."""
        if value is None:
            return "none"
        if self.type is str:
            none = self.optional and (QUOTED_NONE.fullmatch(value) or value.lower() in ("none", "null"))
            return f'"{value}"' if none else value
        text = json.dumps(value, ensure_ascii=False)
        return UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)

    def _wrong(self, value: object) -> ValueError:
        examples: dict[type | None, Any] = {int: 3, float: 0.5, bool: True, list: [1, 2], dict: {"name": 1}}
        example = examples.get(self.type, "text") if self.default is None else self.default
        wanted = (self.type.__name__ if self.type else "YAML") + (" or None" if self.optional else "")
        return ValueError(
            f"parameter {self.name!r} must be {wanted}, such as {example!r}; got {value!r} ({type(value).__name__})."
        )


def read_yaml(text: str) -> Any:
    """Read YAML as data alone, its numbers as Python's decimal ones: 1e-3, 010 and 1:30 are 0.001, 10 and text.

    PyYAML follows YAML 1.1, in which they are text, 8 and 90.

    Raises:
        yaml.YAMLError: not YAML, more than data, a name given twice, an alias (a few of them multiply to gigabytes), or
            longer than allowed.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise yaml.YAMLError("aliases (*name) are not read: write the value out")
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> dict:
            names = [self.construct_object(key, deep=True) for key, _ in node.value]
            if twice := [name for index, name in enumerate(names) if name in names[:index]]:
                raise yaml.YAMLError(f"{twice[0]!r} is given twice")
            return super().construct_mapping(node, deep)

        yaml_implicit_resolvers = {
            first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":int", ":float"))]
            for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

    for kind, pattern in NUMBERS.items():
        tag = f"tag:yaml.org,2002:{kind.__name__}"
        Loader.add_implicit_resolver(tag, re.compile(pattern), list("-+.0123456789"))
        Loader.add_constructor(tag, lambda loader, node, kind=kind: kind(loader.construct_scalar(node)))
    if more := excess("plan_characters", len(text)):
        raise yaml.YAMLError(f"{len(text):,} characters, {more}")
    try:
        return yaml.load(text, Loader)
    except (ValueError, RecursionError) as error:  # such as a date in month 13, or lists in lists without end
        raise yaml.YAMLError(str(error)) from None


def lessons_folder() -> Path:
    """Return the repository's `notebooks/` if medlab is installed from a checkout, else that of the current folder."""
    checkout = Path(__file__).resolve().parents[2] / "notebooks"
    return checkout if checkout.is_dir() else Path.cwd() / "notebooks"


def find_notebook(notebook: str | int | Path) -> Path:
    """Return the file of a lesson number ("01"), a lesson name ("01_shallow_cnn") or a path that ends in .ipynb.

    Raises:
        FileNotFoundError: the path is not there, or there are no lessons.
        ValueError: no lesson, or more than one, has this number or name.
    """
    text = f"{notebook:02d}" if isinstance(notebook, int) else str(notebook)
    if text.endswith(".ipynb"):
        if not Path(text).is_file():
            raise FileNotFoundError(f"notebook {text} is not there (looked from {Path.cwd()}).")
        return Path(text).resolve()
    folder = lessons_folder()
    lessons = {path.stem: path for path in sorted(folder.glob("*.ipynb"))}
    if not lessons:
        raise FileNotFoundError(f"no lessons in {folder}; go to the repository, or give the path of a notebook.")
    number = f"{int(text):02d}_" if text.isdecimal() else None
    names = [name for name in lessons if name == text or (number and name.startswith(number))]
    if len(names) > 1:
        raise ValueError(f"{len(names)} notebooks are numbered {text}; give one name: {', '.join(names)}.")
    if not names:
        raise unknown_name_error("lesson", text, lessons)
    return lessons[names[0]]


def runs_folder(path: Path) -> Path:
    """Return the folder of a notebook's runs: in `runs/` beside the lessons' folder, else in the current folder."""
    beside = path.parent.parent if path.parent == lessons_folder() else Path.cwd()
    return beside / "runs" / path.stem


def code_cells(path: str | Path) -> list[dict]:
    """Return the code cells of a notebook, each with its source as one text; ValueError if it is no notebook."""
    try:
        cells = json.loads(Path(path).read_text(encoding="utf-8"))["cells"]
        return [cell | {"source": "".join(cell["source"])} for cell in cells if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a Jupyter notebook of format 4 ({error!r}).") from None


def read_parameters(path: Path) -> dict[str, Parameter]:
    """Read the parameters of a notebook, by name: the assignments in its cell tagged `parameters`.

    Raises:
        ValueError: the cell holds anything but literals, or a type that a run cannot check.
    """
    found = {}
    tagged = [cell for cell in code_cells(path) if "parameters" in cell["metadata"].get("tags", [])]
    try:
        statements = ast.parse(tagged[0]["source"]).body if tagged else []
    except SyntaxError as error:
        raise ValueError(f"{path.name}: the parameters cell is not plain Python ({error}).") from None
    for statement in statements:
        typed = isinstance(statement, ast.AnnAssign)
        target = statement.target if typed else getattr(statement, "targets", [None])[0]
        try:
            default = to_strict_json("the default", ast.literal_eval(statement.value))
            kind, optional = _type(statement.annotation if typed else None, default)
            parameter = Parameter(target.id, kind, optional, default)
            found[target.id] = replace(parameter, default=parameter.check(default))
        except (ValueError, AttributeError, TypeError) as error:
            raise ValueError(
                f"{path.name}: `{ast.unparse(statement)}` in the parameters cell: write `name: type = literal` with "
                f"one of the types {', '.join(TYPES)}, followed by `| None` if it may be None ({error})."
            ) from None
    return found


def _type(annotation: ast.expr | None, default: Any) -> tuple[type | None, bool]:
    if annotation is None:
        return (None if default is None else type(default)), default is None
    names = ast.unparse(annotation).replace(" ", "").split("|")
    kinds = [TYPES[name.partition("[")[0]] for name in names if name != "None" and name.partition("[")[0] in TYPES]
    if len(kinds) != 1 or len(names) != 1 + ("None" in names):
        raise ValueError(f"type {ast.unparse(annotation)!r} is not known")
    return kinds[0], "None" in names


def check_parameters(path: Path, given: dict[str, Any], text: bool = False) -> dict[str, Any]:
    """Check parameters against a notebook and return them converted to their types.

    Args:
        path: the notebook.
        given: values by name.
        text: the values are strings from a command line, to be parsed.

    Raises:
        ValueError: the notebook has no such parameter, or a value is of another type.
    """
    known = read_parameters(path)
    for name in given:
        if not known:
            raise ValueError(f"{path.name} takes no parameters (it has no cell tagged `parameters`); got {name!r}.")
        if name not in known:
            raise unknown_name_error(f"parameter of {path.stem}", name, known)
    return {name: known[name].from_text(v) if text else known[name].check(v) for name, v in given.items()}


def check_parameter(
    name: str,
    value: Any,
    *,
    least: float = -math.inf,
    most: float = math.inf,
    one_of: Iterable[str] | None = None,
) -> None:
    """Refuse a parameter that a lesson cannot take; the cell after the parameters calls this, before any computation.

    Args:
        name: the parameter, for the message.
        value: what it was set to. Of a list every value is checked, and there must be one.
        least: the smallest number allowed; an int allows whole numbers only.
        most: the largest number allowed.
        one_of: in place of a range, the texts allowed.

    Raises:
        ValueError: the value is not allowed; the message says what is.
    """
    if isinstance(value, list):
        if not value:
            raise ValueError(f"parameter {name!r} is an empty list; give it at least one value.")
        for each in value:
            check_parameter(name, each, least=least, most=most, one_of=one_of)
    elif one_of is not None:
        if value not in (allowed := list(one_of)):
            raise unknown_name_error(f"value of parameter {name!r}:", value, allowed)
    else:
        whole = isinstance(least, int)
        right = isinstance(value, Integral if whole else Real) and not isinstance(value, bool)
        if not right or not least <= value <= most:
            allowed = f"at least {least}" + (f" and at most {most}" if most < math.inf else "")
            raise ValueError(
                f"parameter {name!r} must be a {'whole ' if whole else ''}number, {allowed}; got {value!r}."
            )


def spread_seed(seed: int) -> int:
    """The first seed of a run that uses several in a row, so that runs of different `seed` share no virtual patient.

    Run 0 keeps the seeds 0, 1, 2, ...; run 1 has 10007, 10008, ...
    """
    return SPREAD * whole_number("seed", seed, 0)


def run_facts(path: Path, chosen: dict[str, Any]) -> dict:
    """Return what identifies a run of the notebook at `path` with the `chosen` parameters.

    "notebook" is its name, "code" the SHA-256 of its code cells (a finished run stays valid when text is edited, but
    not when code is), "command" repeats the run (from the top folder of the repository, if the notebook is in it), and
    "parameters" has the defaults too.
    """
    code = json.dumps([cell["source"] for cell in code_cells(path)])
    lessons, known = lessons_folder(), read_parameters(path)
    name = path.stem
    if path.parent != lessons:
        name = path.relative_to(lessons.parent).as_posix() if path.is_relative_to(lessons.parent) else str(path)
    words = [word for key, value in chosen.items() for word in ("-p", key, known[key].to_text(value))]
    return {
        "notebook": path.stem,
        "code": hashlib.sha256(code.encode()).hexdigest(),
        "command": shlex.join(["medlab", "run", name, *words]),
        "parameters": {p.name: p.default for p in known.values()} | chosen,
    }
