"""Runs every test against each given criu-front. Ends with "N passed, N failed"."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../../../test/support")]
from prefix import Prefix  # noqa: E402
from run_tests import Runner  # noqa: E402

if __name__ == "__main__":
    sys.exit(Runner(["front"], Prefix, 20).main(sys.argv[1:]))
