"""Write docs/likely-mistakes.md from the table that the checks read: `python docs/tools/mistakes.py`."""

import inspect
import re
from pathlib import Path

from medlab.classroom import check
from medlab.classroom.exercises import MISTAKES

PAGE = Path(__file__).parents[1] / "likely-mistakes.md"
HEAD = """\
# Likely mistakes

Every exercise has a check that runs the student's function on many cases. At the first wrong one it prints the case,
the answer, the expected answer and, where it recognizes one, the likely mistake. These are all of them, exercise by
exercise, so that you see what may come; which of them are common, your class will tell. An ellipsis stands for what
depends on the case.

Some mistakes are reported by every check: no `return`; a list or a number where a tensor is asked for; whole numbers
where floating point is asked for; a wrong shape; the input changed in place; an exception, with its line. A mistake
that would have shown in a case already passed is not offered.

This page is written by `python docs/tools/mistakes.py` from the table that the checks read,
`medlab/classroom/mistakes.toml`. Do not edit it.
"""


def page() -> str:
    """The page as it should be: each exercise with its task, and the mistakes that its check recognizes."""
    parts, lesson = [HEAD], ""
    for name, mistakes in MISTAKES.items():
        function = getattr(check, name)
        if function.__module__ != lesson:
            lesson = function.__module__
            parts.append(f"\n## Lesson {lesson[-2:]}\n")
        task = re.sub(r"\s+", " ", inspect.getdoc(function).replace("``", "`"))
        task = re.match(r".*?[.?](?= |$)", task)[0]
        texts = dict.fromkeys(re.sub(r"{\w+}", "…", text) for text in mistakes.values())
        parts.append(f"\n### {name}\n\n{task}\n\n" + "".join(f"- {text}\n" for text in texts))
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE.name}")
