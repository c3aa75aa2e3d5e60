# Reset entry of every hart of QEMU's virt machine (-bios none). Hart 0 is the fabric controller, the
# others are the cluster's workers. Nothing here runs with interrupts enabled: wfi wakes on a pending
# one that mie allows, whatever mstatus says.

    .section .text.start, "ax"
    .globl _start
_start:
    .option push
    .option norelax
    la      gp, __global_pointer$
    .option pop
    la      t0, bt_trap
    csrw    mtvec, t0
    csrr    a0, mhartid
    bnez    a0, worker

    # The fabric controller clears .bss; workers wait for that in bt_virt_worker (their release flag
    # lies in .data).
    la      t0, __bss_begin
    la      t1, __bss_end
1:  bgeu    t0, t1, 2f
    sw      zero, 0(t0)
    addi    t0, t0, 4
    j       1b
2:  la      sp, __fc_stack_end
    la      t0, __fc_stack_begin
    call    paint
    j       bt_virt_controller

worker:
    # Stack number hartid - 1, from the bottom of the stack area upwards.
    la      t0, __worker_stacks_begin
    li      t1, BT_WORKER_STACK_BYTES
    addi    t2, a0, -1
    mul     t2, t2, t1
    add     t0, t0, t2
    add     sp, t0, t1
    call    paint
    j       bt_virt_worker

# Fills [t0, sp) with the pattern that the stack's high-water mark is read from.
paint:
    li      t1, BT_STACK_PAINT
1:  bgeu    t0, sp, 2f
    sw      t1, 0(t0)
    addi    t0, t0, 4
    j       1b
2:  ret

# An exception is a defect of the firmware: report it in the mailbox and stop this hart for good.
    .balign 4
bt_trap:
    csrr    a0, mcause
    csrr    a1, mepc
    csrr    a2, mtval
    call    bt_virt_trap
1:  wfi
    j       1b
