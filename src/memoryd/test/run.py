"""Runs every test against each given memoryd, each test with a daemon and a cgroup of its own. What is adopted are
processes that behave as restored ones (restored.h). Ends with "N passed, N failed"."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../../../test/support")]
from daemon import Daemon  # noqa: E402
from run_tests import Runner  # noqa: E402

MODULES = ["memory", "waits", "allocator", "programs", "daemon"]
TEST_SECONDS = 60

if __name__ == "__main__":
    sys.exit(Runner(MODULES, Daemon, TEST_SECONDS).main(sys.argv[1:]))
