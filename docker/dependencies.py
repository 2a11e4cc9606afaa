"""The project's dependencies, one a line: a layer of an image that is rebuilt only when pyproject.toml changes.

python docker/dependencies.py pyproject.toml torch     # torch alone, which may come from another index
python docker/dependencies.py pyproject.toml others    # all but torch
"""

import re
import sys
import tomllib


def main(pyproject: str, which: str) -> None:
    """Print the requirements."""
    with open(pyproject, "rb") as file:
        requirements = tomllib.load(file)["project"]["dependencies"]
    for requirement in requirements:
        name = re.split(r"[^\w.-]", requirement)[0]
        if (name == "torch") == (which == "torch"):
            print(requirement)


if __name__ == "__main__":
    main(*sys.argv[1:])
