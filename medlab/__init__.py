"""medlab: the helper library of a notebook course on deep learning for medical imaging. Not for clinical use."""

__version__ = "0.1.0"


def doctor() -> str:
    """One line on what this course finds here: versions, device, images; the first thing to quote in a question."""
    from medlab.environment import describe

    return describe()
