"""`resumable --help`, and whether it imports what only a transfer needs."""

import json
import sys

from resumable.__main__ import main

# A text can be shown without either.
_TRANSPORT = ("ssl", "requests")

if __name__ == "__main__":
    sys.argv = ["resumable", "--help"]
    try:
        code: object = main()
    except SystemExit as ended:
        code = ended.code
    print(json.dumps({"imports_transport": sum(name in sys.modules for name in _TRANSPORT)}))
    sys.exit(1 if code else 0)
