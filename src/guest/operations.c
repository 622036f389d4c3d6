// The first frame of a connection: decodes the request and hands it to its operation.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "guest.h"

// What is not here is a file operation: the decoder lets no unknown number through.
static void (*const operations[])(struct conn *) = {
    [OP_INFO] = op_info,         [OP_SPAWN] = op_spawn,       [OP_ATTACH] = op_attach,
    [OP_STDIN] = op_stdin,       [OP_SIGNAL] = op_signal,     [OP_RESIZE] = op_resize,
    [OP_LIST] = op_list,         [OP_WAIT] = op_wait,         [OP_FORGET] = op_forget,
    [OP_DIAL] = op_dial,         [OP_QUIESCE] = op_quiesce,   [OP_RELEASE] = op_release,
    [OP_IDENTITY] = op_identity, [OP_USAGE] = op_usage,       [OP_SHUTDOWN] = op_shutdown,
    [OP_USER] = op_user,         [OP_ENVIRONMENT] = op_environment,
};

static void run_operation(struct conn *c) {
    size_t known = sizeof operations / sizeof operations[0];
    if (c->request.op < known) {
        operations[c->request.op](c);
    } else {
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
