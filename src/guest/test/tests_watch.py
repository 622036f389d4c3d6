"""Watching files and trees."""
import os

from client import END, GuestError, event, until

CREATED, WRITTEN, REMOVED, RENAMED, ATTRIBUTES, OVERFLOWED, GONE = range(1, 8)


def collect(c, last):
    """Events up to the given (kind, name)."""
    found = []
    while not found or found[-1][:2] != last:
        found.append(event(c))
    return found


def test_a_directory(g):
    w = g.watch(g.home, user="tester")
    path = os.path.join(g.home, "f")
    with open(path, "w") as f:
        f.write("x")
    os.chmod(path, 0o600)
    os.rename(path, path + "2")
    os.remove(path + "2")
    os.mkdir(os.path.join(g.home, "d"))
    found = collect(w, (CREATED, "d"))
    assert [e[:2] for e in found] == [(CREATED, "f"), (WRITTEN, "f"), (ATTRIBUTES, "f"), (RENAMED, "f"),
                                      (CREATED, "f2"), (REMOVED, "f2"), (CREATED, "d")]
    assert found[3][3] == found[4][3] != 0 and found[6][2] == 2 and found[0][2] == 1
    open(os.path.join(g.home, "d/inner"), "w").close()
    open(os.path.join(g.home, "last"), "w").close()
    assert "d/inner" not in [e[1] for e in collect(w, (CREATED, "last"))]


def test_a_tree(g):
    os.makedirs(g.home + "/a/b")
    w = g.watch(g.home, recursive=1)
    open(g.home + "/a/b/old", "w").close()
    collect(w, (CREATED, "a/b/old"))
    os.makedirs(g.home + "/n/e/w")
    open(g.home + "/n/e/w/f", "w").close()
    names = [e[1] for e in collect(w, (CREATED, "n/e/w/f"))]
    assert {"n", "n/e", "n/e/w"} <= set(names)
    os.rename(g.home + "/n", g.home + "/moved")
    found = collect(w, (CREATED, "moved/e/w/f"))
    assert (RENAMED, "n") in [e[:2] for e in found]
    open(g.home + "/moved/e/w/g", "w").close()
    collect(w, (CREATED, "moved/e/w/g"))


def test_a_tree_that_moves_out_falls_silent(g):
    os.makedirs(g.home + "/in/side")
    w = g.watch(g.home, recursive=1)
    os.rename(g.home + "/in", g.dir + "/out")
    collect(w, (RENAMED, "in"))
    open(g.dir + "/out/side/f", "w").close()
    open(g.home + "/end", "w").close()
    assert [e[1] for e in collect(w, (CREATED, "end"))] == ["end"]


def test_a_link_in_a_tree_is_not_followed(g):
    os.mkdir(g.dir + "/elsewhere")
    os.symlink(g.dir + "/elsewhere", g.home + "/link")
    w = g.watch(g.home, recursive=1)
    open(g.dir + "/elsewhere/f", "w").close()
    open(g.home + "/end", "w").close()
    assert [e[1] for e in collect(w, (CREATED, "end"))] == ["end"]


def test_a_file(g):
    path = g.home + "/f"
    open(path, "w").close()
    w = g.watch(path)
    with open(path, "a") as f:
        f.write("x")
    assert event(w)[:2] == (WRITTEN, "")
    os.remove(path)
    collect(w, (GONE, ""))
    assert w.expect(END) and w.frame()[0] is None


def test_the_watched_directory_goes(g):
    os.mkdir(g.home + "/d")
    w = g.watch(g.home + "/d", recursive=1)
    os.rmdir(g.home + "/d")
    collect(w, (GONE, ""))
    w.expect(END)


def test_what_cannot_be_watched(g):
    open(g.home + "/f", "w").close()
    for path, recursive, code in ((g.home + "/none", 0, "not_found"), (g.home + "/f", 1, "not_directory")):
        try:
            g.watch(path, recursive=recursive)
            raise AssertionError("watched")
        except GuestError as e:
            assert e.code == code


def test_a_host_that_does_not_read_hears_of_the_loss(g):
    limit = int(open("/proc/sys/fs/inotify/max_queued_events").read())
    w = g.watch(g.home)
    loop = f"import os\nfor i in range({limit}):\n open('f','w').close();os.remove('f')"
    assert g.run(["python3", "-c", loop], cwd=g.home).exit.status == 0
    for _ in range(10 * limit):
        if event(w)[0] == OVERFLOWED:
            return
    raise AssertionError("no overflow told")


def test_closing_ends_the_helper(g):
    ws = [g.watch(g.home) for _ in range(10)]
    assert g.usage()["helpers"] == 10
    for w in ws:
        w.close()
    until(lambda: g.usage()["helpers"] == 0, "helpers end")


def test_too_many_watches(g):
    ws = []
    try:
        for _ in range(65):
            ws.append(g.watch(g.home))
        raise AssertionError("65 watches")
    except GuestError as e:
        assert e.code == "too_many" and len(ws) <= 64
    assert g.stat("/")["type"] == 2
