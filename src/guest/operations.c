// The first frame of a connection: decodes the request and hands it to its operation.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "guest.h"

static void run_operation(struct conn *c) {
    switch (c->request.op) {
    case OP_INFO:
        op_info(c);
        return;
    case OP_SPAWN:
        op_spawn(c);
        return;
    case OP_ATTACH:
        op_attach(c);
        return;
    case OP_STDIN:
        op_stdin(c);
        return;
    case OP_SIGNAL:
        op_signal(c);
        return;
    case OP_RESIZE:
        op_resize(c);
        return;
    case OP_LIST:
        op_list(c);
        return;
    case OP_WAIT:
        op_wait(c);
        return;
    case OP_FORGET:
        op_forget(c);
        return;
    case OP_DIAL:
        op_dial(c);
        return;
    case OP_QUIESCE:
        op_quiesce(c);
        return;
    case OP_RELEASE:
        op_release(c);
        return;
    case OP_IDENTITY:
        op_identity(c);
        return;
    case OP_USAGE:
        op_usage(c);
        return;
    case OP_SHUTDOWN:
        op_shutdown(c);
        return;
    case OP_USER:
        op_user(c);
        return;
    default:
        op_file(c);
    }
}


// The request keeps its own copy: some operations wait for their turn while frames come in behind.
static enum verdict on_request(struct conn *c, const struct frame *f) {
    struct request_error error;
    c->started = true;
    c->deadline = 0;
    c->role = &role_none;
    c->text = malloc(f->len + 1);
    if (c->text == NULL) {
        conn_fail(c, E_NO_MEMORY, ENOMEM, "out of memory");
        return TAKEN;
    }
    memcpy(c->text, f->payload, f->len);
    if (request_decode(c->text, f->len, &c->request, &error)) {
        run_operation(c);
    } else {
        conn_fail(c, error.code, 0, error.message);
    }
    return TAKEN;
}

const struct role role_new = {.frame = on_request};
