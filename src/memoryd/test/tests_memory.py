"""What a process finds in its memory: the cases of memory.c."""


def case(name, options=()):
    def test(daemon):
        program = daemon.program("memory", daemon.memory, daemon.other, name)
        program.expect("ready")
        assert daemon.adopt() == "adopted 1"
        program.go()
        program.expect("ok")
        program.ended()
    test.options = options
    return test


test_drops_a_whole_mapping = case("whole")
test_drops_a_part_and_leaves_the_rest = case("part")
test_rounds_the_end_up = case("unaligned_end")
test_drops_across_two_mappings = case("two_mappings")
test_gives_a_holes_memory_back = case("hole_frees")
test_gives_anonymous_memory_back = case("anonymous_frees")
test_drops_what_the_process_may_not_write = case("protected")
test_stops_at_locked_memory = case("locked")
test_leaves_invalid_calls_to_the_kernel = case("invalid")
test_drops_beyond_the_end_of_the_file = case("beyond_the_end")
test_refuses_growth_and_lets_moves_through = case("remap")
test_realloc_keeps_the_content = case("realloc")
test_answers_other_advice = case("other_advice")
test_agrees_with_a_model_at_random = case("random")
test_agrees_with_a_model_by_plain_maps = case("random", ["--plain-maps"])
# Replaced by anonymous memory from the first page on; never.
test_agrees_with_a_model_when_all_is_replaced = case("random", ["--replace-from", "4096"])
test_agrees_with_a_model_when_nothing_is_replaced = case("random", ["--replace-from", "99999999999"])
test_replaces_protected_memory = case("protected", ["--replace-from", "4096"])
test_replaces_with_locked_memory_behind = case("locked", ["--replace-from", "4096"])
test_replaces_for_threads = case("threads", ["--replace-from", "4096"])
test_replaces_under_signals = case("signals", ["--replace-from", "4096"])
test_gives_a_large_range_back = case("large_frees")
test_a_forked_child_has_its_own_memory = case("fork")
test_goes_on_after_an_exec = case("exec")
test_answers_threads = case("threads")
test_a_call_that_a_signal_ends_has_changed_nothing = case("signals")


INSIDE = 'mount --bind "$1" /media && shift && exec "$@"'


# What counts is the name inside, and what is written to are processes of another user, with other pids.
def test_a_sandbox_with_namespaces_of_its_own(daemon):
    inside = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child",
              "sh", "-c", INSIDE, "sh", daemon.prefix]
    program = daemon.program("memory", "/media/1", daemon.other, "random", inside=inside)
    program.expect("ready")
    assert daemon.adopt() == "adopted 1"
    program.go()
    program.expect("ok")
    program.ended()


test_a_sandbox_with_namespaces_of_its_own.options = ["--prefix", "/media/"]
