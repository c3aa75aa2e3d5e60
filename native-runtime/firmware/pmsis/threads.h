/*
 * A GAP9 made of threads, for tests on the host: it implements the calls of pmsis.h and bsp/bsp.h
 * with the chip's memory sizes and rules. A call that the chip would not forgive, or that would
 * work there by luck only, prints one sentence to standard error and ends the process with
 * PMSIS_THREADS_VIOLATION.
 *
 * - L1 and L2 lie below 4 GiB, as 32-bit addresses must. L1 cannot be touched before the cluster is
 *   open. Both begin with noise. A global of a program that is linked below 4 GiB counts as L2.
 * - External memory is reached by calls only, and its addresses are no pointers.
 * - Copies that a call starts happen when they are waited for: who looks before sees the old bytes.
 *
 * One machine per process, and it is never torn down.
 */
#ifndef PMSIS_THREADS_H
#define PMSIS_THREADS_H

#include <stdint.h>

#define PMSIS_THREADS_VIOLATION 70

#define PMSIS_THREADS_RAM_BYTES 0x2000000u /* of the EVK's external memory */

/*
 * Runs a firmware's main on the fabric controller of a machine whose cluster has workers (1 … 8)
 * besides its controller, with ram_bytes of external memory; returns what it returns. Ends the
 * process, saying why, if the host cannot give the machine's memory.
 */
int pmsis_threads_run(uint32_t workers, uint32_t ram_bytes, int (*firmware)(void));

/* Bytes of each worker's stack that the machine itself writes at every fork. */
#define PMSIS_THREADS_FRAME_BYTES 256u

#endif
