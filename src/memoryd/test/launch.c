// Runs any program under the filter: to try real ones, and to measure. argv: the program and its arguments.
#include "restored.h"

int main(int argc, char **argv) {
    CHECK(argc > 1);
    install_filter(0);
    wait_for_go();
    execvp(argv[1], argv + 1);
    CHECK(false);
}
