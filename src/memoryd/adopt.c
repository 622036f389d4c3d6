// Takes a sandbox's listeners over: serves them first, closes them inside afterwards.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memoryd.h"

#define ADOPT_MS 10000
#define MAX_PASSES 64

static struct holder holders[MAX_HOLDERS];

static bool fail(struct adoption *result, const char *what) {
    snprintf(result->error, sizeof result->error, "%s", what);
    return false;
}

static unsigned left_over(const struct scan *scan) {
    unsigned left = 0;
    for (unsigned i = 0; i < scan->holder_count; i++) {
        left += !scan->holders[i].closed;
    }
    return left;
}

static void report(const struct scan *scan) {
    for (unsigned i = 0; i < scan->holder_count; i++) {
        const struct holder *h = &scan->holders[i];
        if (!h->closed) {
            say("thread %d of process %d keeps its listener: it %s", h->tid, h->pid,
                h->reason == NULL ? "holds one that could not be taken" : h->reason);
        }
    }
}

// One pass over all processes. Whoever forks meanwhile gives its child a copy of what it holds; but then it
// is a holder itself in this pass, so there is another one, which finds the child. True when nothing is left
// to do.
static bool pass(struct sandbox *s, const char *path, struct scan *scan, struct adoption *result) {
    if (!scan_processes(path, scan)) {
        return fail(result, scan->error);
    }
    result->adopted += scan->fresh;
    if (scan->fresh > 0 && !sandbox_serve(s)) {
        return fail(result, "cannot start serving");
    }
    if (scan->holder_count == 0) {
        return true;
    }
    if (!close_in_holders(&s->listeners, scan->holders, scan->holder_count)) {
        return fail(result, "closing the listeners inside did not end");
    }
    result->pending = left_over(scan);
    return result->pending == scan->holder_count;
}

bool adopt(const char *path, struct adoption *result) {
    struct sandbox *s = sandbox_for(path);
    *result = (struct adoption){0};
    if (s == NULL) {
        return fail(result, "too many sandboxes");
    }
    struct scan scan = {
        .listeners = &s->listeners, .holders = holders, .deadline = now_ms() + ADOPT_MS};
    // A pass that closes nothing is repeated once: its holders may have ended since they were found.
    int idle = 0;
    for (int i = 0; i < MAX_PASSES && idle < 2 && result->error[0] == '\0'; i++) {
        result->pending = 0;
        idle = pass(s, path, &scan, result) ? idle + 1 + (result->pending == 0) : 0;
    }
    if (result->error[0] == '\0' && idle < 2) {
        fail(result, "its processes come faster than they can be looked through");
    }
    report(&scan);
    // What has been taken is served, whatever went wrong after it.
    if (s->listeners.count == 0) {
        sandbox_drop(s);
    } else if (result->error[0] != '\0') {
        sandbox_serve(s);
    }
    return result->error[0] == '\0';
}
