import os
import subprocess

from prefix import QUESTION, REPLY, RESTORE


def test_the_version_is_answered_without_criu(prefix):
    assert prefix.record().returncode == 0
    assert prefix.ask(QUESTION) == (REPLY, 0)
    assert prefix.calls() == []


def test_every_other_request_is_left_to_criu_whole(prefix):
    prefix.record()
    assert prefix.ask(RESTORE) == (b"got " + RESTORE, 0)
    longer = QUESTION + b"\x12\x02\x08\x07"
    assert prefix.ask(longer) == (b"got " + longer, 0)
    assert [line.split()[0] for line in prefix.calls()] == ["swrk", "swrk"]


def test_a_caller_that_says_nothing_is_left_to_criu(prefix):
    prefix.record()
    assert prefix.ask(None) == (b"got ", 0)


def test_without_a_record_criu_answers(prefix):
    assert prefix.ask(QUESTION) == (REPLY, 0)
    assert len(prefix.calls()) == 1


def test_a_criu_that_was_exchanged_answers_for_itself(prefix):
    prefix.record()
    newer = REPLY[:-1] + b"\x09"
    prefix.install(newer)
    assert prefix.ask(QUESTION) == (newer, 0)
    prefix.record()
    assert prefix.ask(QUESTION) == (newer, 0)
    assert prefix.calls() == []


def test_a_damaged_record_is_not_used(prefix):
    prefix.record()
    with open(prefix.version) as f:
        about, answer = f.read().splitlines()
    for text in ["", about, f"{about}\n", f"{about}\nzz\n", f"{about}\n{answer}", f"{about}\n{answer[:-1]}\n",
                 f"{about}\n0803{answer[4:]}\n", f"{about}\n{answer}{'00' * 600}\n", f"{'1' * 500}\n{answer}\n"]:
        with open(prefix.version, "w") as f:
            f.write(text)
        prefix.forget_calls()
        assert prefix.ask(QUESTION) == (REPLY, 0), text
        assert len(prefix.calls()) == 1, text


def test_arguments_and_exit_codes_are_those_of_criu(prefix):
    prefix.record()
    assert subprocess.run([prefix.front, "check", "--all", ""], timeout=10).returncode == 5
    assert subprocess.run([prefix.front, "swrk"], timeout=10, capture_output=True).returncode != 0
    assert prefix.calls() == ["check --all ", "swrk"]


def test_no_record_is_made_of_a_criu_that_does_not_say_its_version(prefix):
    prefix.install(b"\x08\x0a\x10\x00")
    done = prefix.record()
    assert done.returncode == 1 and done.stdout == b"" and b"did not say its version" in done.stderr
    os.unlink(prefix.criu)
    done = prefix.record()
    assert done.returncode == 1 and b"cannot ask" in done.stderr


def test_a_criu_that_is_missing_is_named(prefix):
    os.unlink(prefix.criu)
    done = subprocess.run([prefix.front, "check"], timeout=10, capture_output=True)
    assert done.returncode == 127 and f"cannot start {prefix.criu}".encode() in done.stderr
