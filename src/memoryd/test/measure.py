"""What the filter and its answers cost: the median nanoseconds of one madvise(MADV_DONTNEED), of three runs each.
Arguments: the memoryd, and --run COMMAND... to only run a program under the filter."""
import os
import statistics
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from daemon import BUILD, Daemon  # noqa: E402

COST = os.path.join(BUILD, "cost")
CASES = [("anonymous, 1 page", "1", "0", False), ("anonymous, 16 pages", "16", "0", False),
         ("anonymous, 16 pages, 2000 other mappings", "16", "2000", False),
         ("memory file, 1 page", "1", "0", True), ("memory file, 16 pages", "16", "0", True),
         ("memory file, 63 pages", "63", "0", True), ("memory file, 64 pages", "64", "0", True),
         ("memory file, 192 pages", "192", "0", True)]


def under_filter(daemon, *command):
    program = daemon.program("launch", *command)
    program.expect("ready")
    assert daemon.adopt() == "adopted 1"
    program.go()
    output = program.process.stdout.read().decode()
    program.ended()
    return output


def median(run):
    return int(statistics.median(int(run()) for _ in range(3)))


def measure(binary, options):
    daemon = Daemon(binary, options)
    for name, pages, mappings, of_file in CASES:
        command = [COST, pages, mappings, *([daemon.memory] if of_file else [])]
        without = median(lambda: subprocess.check_output(command))
        with_filter = median(lambda: under_filter(daemon, *command))
        print(f"{name}{' '.join(['', *options])}: {without} ns without, {with_filter} ns with")
    daemon.stop()


def main():
    if "--run" in sys.argv:
        daemon = Daemon(sys.argv[1])
        print(under_filter(daemon, *sys.argv[sys.argv.index("--run") + 1:]), end="")
        daemon.stop()
        return
    measure(sys.argv[1], [])
    measure(sys.argv[1], ["--plain-maps"])
    measure(sys.argv[1], ["--replace-from", "1000000000"])


if __name__ == "__main__":
    main()
