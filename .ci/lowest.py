"""Print constraints that hold each dependency of pyproject.toml at the lowest version it allows.

Those of the extra `dev` are left out: they check the code and do not run it.
"""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOWEST = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?>=([0-9][0-9.]*)")


def main() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {**project["optional-dependencies"], "dev": []}
    groups = [project["dependencies"], *extras.values()]
    for requirement in sorted({requirement for group in groups for requirement in group}):
        if requirement.startswith(project["name"] + "["):
            continue
        found = LOWEST.match(requirement)
        if found is None:
            raise SystemExit(f"pyproject.toml gives no lowest version: {requirement}")
        print(f"{found[1]}=={found[2]}")


if __name__ == "__main__":
    main()
