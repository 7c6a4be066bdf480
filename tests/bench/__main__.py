"""`python -m tests.bench NAME` runs one benchmark and prints one JSON object last; without a name it runs all."""

import importlib
import json
import sys
from pathlib import Path

from engine.settings import go_quiet

NAMES = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if not path.stem.startswith("_"))


def main(arguments: list[str]) -> int:
    """Exit 2 when there is no benchmark of that name."""
    go_quiet()
    unknown = [name for name in arguments if name not in NAMES]
    if unknown:
        print(f'There is no benchmark "{unknown[0]}". Choose from: {", ".join(NAMES)}.', file=sys.stderr)
        return 2
    for name in arguments or NAMES:
        found = importlib.import_module(f"tests.bench.{name}").run()
        print(json.dumps({"bench": name, **found}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
