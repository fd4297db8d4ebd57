"""medlab: the helper library of a notebook course on deep learning for medical imaging. Not for clinical use."""

__version__ = "0.1.0"


def doctor() -> str:
    """Describe this installation in one line: versions, device, cached data sets. Quote it when you ask for help."""
    from medlab.environment import describe

    return describe(__version__)
