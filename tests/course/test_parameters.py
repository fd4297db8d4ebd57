"""Every parameter of a lesson is refused at the door, in the first cells, if it cannot be taken."""

import pytest
from lesson_cells import basis, cells_of, execute
from project import NOTEBOOKS

from medlab.runs import read_parameters

IMPOSSIBLE = {int: -(10**6), float: -1e6, str: " ", list: []}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_a_lesson_cannot_take_is_refused_at_the_door(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    code = [cell for cell in cells_of(path) if cell["cell_type"] == "code"]
    (at,) = (i for i, cell in enumerate(code) if "parameters" in cell["metadata"].get("tags", []))
    namespace = basis(path)
    for parameter in read_parameters(path).values():
        wrong = {parameter.name: IMPOSSIBLE[parameter.type]}
        with pytest.raises((ValueError, AssertionError), match=parameter.name):
            execute(code[at + 1]["source"], namespace | wrong)
