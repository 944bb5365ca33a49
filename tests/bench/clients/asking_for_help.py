"""`resumable --help`, and whether it imports requests."""

import json
import sys

from resumable.__main__ import main

if __name__ == "__main__":
    sys.argv = ["resumable", "--help"]
    try:
        code: object = main()
    except SystemExit as ended:
        code = ended.code
    print(json.dumps({"imports_requests": int("requests" in sys.modules)}))
    sys.exit(1 if code else 0)
