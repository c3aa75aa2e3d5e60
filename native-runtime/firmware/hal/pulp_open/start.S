# Entry of every core of pulp-open. The fabric controller starts at _start after the ELF has been loaded;
# it starts the cluster's workers at bt_pulp_worker_entry. Nothing here runs with interrupts enabled: wfi
# wakes on a pending line that the interrupt controller lets through.

    .section .text.start, "ax"
    .globl _start
_start:
    .option push
    .option norelax
    la      gp, __global_pointer$
    .option pop
    la      t0, bt_trap
    csrw    mtvec, t0
    la      t0, __bss_begin
    la      t1, __bss_end
1:  bgeu    t0, t1, 2f
    sw      zero, 0(t0)
    addi    t0, t0, 4
    j       1b
2:  la      sp, __fc_stack_end
    la      t0, __fc_stack_begin
    call    paint
    j       bt_pulp_controller

    .globl bt_pulp_worker_entry
bt_pulp_worker_entry:
    .option push
    .option norelax
    la      gp, __global_pointer$
    .option pop
    la      t0, bt_trap
    csrw    mtvec, t0
    # Stack number of the core, from the bottom of the stack area upwards.
    csrr    a0, mhartid
    andi    a0, a0, 31
    la      t0, __worker_stacks_begin
    li      t1, BT_WORKER_STACK_BYTES
    mul     t2, t1, a0
    add     t0, t0, t2
    add     sp, t0, t1
    call    paint
    j       bt_pulp_worker

# Fills [t0, sp) with the pattern that the stack's high-water mark is read from.
paint:
    li      t1, BT_STACK_PAINT
1:  bgeu    t0, sp, 2f
    sw      t1, 0(t0)
    addi    t0, t0, 4
    j       1b
2:  ret

# An exception is a defect of the firmware: report it and stop this core for good. Vector 0 of a table
# that needs no other entry.
    .balign 256
bt_trap:
    csrr    a0, mcause
    csrr    a1, mepc
    call    bt_pulp_trap
1:  wfi
    j       1b
