#!/usr/bin/env python3
"""The life of a sandbox over plain HTTP, from its creation to its end; needs no package.

`scripts/quickstart` has to run; examples/README.md has the commands. The requests are in sandbox.py beside this file.
"""

import os
import sys
from contextlib import closing

from sandbox import Api, text_of

COUNTER = """
import itertools, time
for number in itertools.count(1):
    print(number, flush=True)
    time.sleep(0.1)
"""


def say(what, text):
    print(f"{what:<10}{text}", flush=True)


def next_number(sandbox, pid):
    """Listens to a process that runs already, until it has said its next number. It runs on."""
    with closing(sandbox.listen(pid)) as events:
        for event in events:
            if "stdout" in event.get("data", {}):
                return text_of(event).split("\n")[0]
    raise RuntimeError(f"process {pid} has ended")


def start_in_background(sandbox, command):
    """The process's id. We stop listening as soon as we know it."""
    with closing(sandbox.start(command)) as events:
        return next(events)["start"]["pid"]


def show(sandbox, everything):
    say("command", sandbox.run("echo hello from $(whoami)").strip())

    # Files. A path that is not absolute begins at the user's home.
    sandbox.write("greeting.txt", "good morning")
    say("file", sandbox.read("greeting.txt"))

    # Output as it comes, instead of all at the end.
    for event in sandbox.start("for n in 1 2 3; do echo line $n; sleep 0.1; done"):
        if "stdout" in event.get("data", {}):
            say("output", text_of(event).strip())

    # A process that goes on. It counts in its own memory, and writes that nowhere.
    sandbox.write("counter.py", COUNTER)
    pid = start_in_background(sandbox, "python3 counter.py")
    say("process", f"{pid} counts: {next_number(sandbox, pid)}")

    # Pause: memory and processes go to disk, and nothing runs any more. Connect brings them back as they were.
    sandbox.pause()
    say("paused", f"its state is \"{sandbox.info()['state']}\"")
    sandbox.connect()
    say("connected", f"process {pid} counts on: {next_number(sandbox, pid)}")

    # Fork: two more sandboxes with the same memory, files and processes, which go their own ways from here.
    forks, errors = sandbox.fork(2)
    everything.extend(forks)
    if errors:
        raise RuntimeError(f"a fork has failed: {errors[0]}")
    for fork in forks:
        fork.write("greeting.txt", f"good evening from {fork.id}")
        say("fork", f"{fork.id}: its own process {pid} counts on: {next_number(fork, pid)}")
    say("source", f"still says \"{sandbox.read('greeting.txt')}\"")


def main():
    if not os.environ.get("E2B_API_URL"):
        print("quickstart: E2B_API_URL is not set. For what scripts/quickstart leaves running:", file=sys.stderr)
        print("  export E2B_API_URL=http://127.0.0.1:7070 E2B_API_KEY=e2b_0", file=sys.stderr)
        sys.exit(2)
    # From the template `python`. Should we forget it, it ends by itself after five minutes.
    sandbox = Api.from_environment().create("python")
    everything = [sandbox]
    try:
        say("created", sandbox.id)
        show(sandbox, everything)
    finally:
        # Kill: gone, with all that it had.
        for each in everything:
            each.kill()
    say("killed", f"all {len(everything)}")


if __name__ == "__main__":
    main()
