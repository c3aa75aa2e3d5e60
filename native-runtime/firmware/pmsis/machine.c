/*
 * The GAP9 firmware as a process of the host: tells on standard output where the debugger finds
 * what it looks for, as the ELF's symbols do on the chip, then runs the firmware until it is
 * killed. biotrain-gap9-threads WORKERS RAM_BYTES
 */
#define _GNU_SOURCE
#include "hal/gap9/gap9.h"
#include "link/mailbox.h"
#include "threads.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

extern bt_mailbox bt_gap9_mailbox;
extern bt_gap9_report bt_gap9_status;
int bt_gap9_main(void);

/* The word of the chip's vector table. */
void *volatile __rt_debug_struct_ptr;

int main(int argc, char **argv) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (argc != 3 || (uintptr_t)&bt_gap9_mailbox > UINT32_MAX) {
        fprintf(stderr,
                "biotrain-gap9-threads WORKERS RAM_BYTES: linked below 4 GiB, two numbers\n");
        return 2;
    }
    printf("%u %u %u\n", (uint32_t)(uintptr_t)&bt_gap9_mailbox,
           (uint32_t)(uintptr_t)&bt_gap9_status, (uint32_t)(uintptr_t)&__rt_debug_struct_ptr);
    fflush(stdout);
    return pmsis_threads_run((uint32_t)strtoul(argv[1], NULL, 10),
                             (uint32_t)strtoul(argv[2], NULL, 10), bt_gap9_main);
}
