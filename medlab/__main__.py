"""`python -m medlab` and `torchrun -m medlab`: the command `medlab`."""

from medlab.cli import app

app(prog_name="medlab")
