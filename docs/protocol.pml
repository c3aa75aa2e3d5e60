/*
 * The mailbox protocol as a Promela model, checked with spin (docs/protocol.md describes it):
 *
 *   spin -a protocol.pml && cc -O2 -DSAFETY -o pan pan.c && ./pan -m100000
 *
 * The host may die before any of its steps and another one attaches; the device may restart before
 * any of its steps, clearing the mailbox word by word while the host goes on writing. Checked:
 * a host that believes a result got the one of its own command, executed exactly once, with the
 * argument it wrote (no lost, doubled or torn command); and nobody waits for ever unless a restart
 * is there to be seen (no deadlock: every end state below is marked).
 */
#define MODULO 8 /* of sequence numbers; the real ones have 32 bits */
#define POSTS 4
#define DEATHS 2
#define RESTARTS 2

byte command, argument, sequence; /* host's words */
byte result, completed;           /* device's words */
byte generation;
bool magic;

byte deaths, restarts, posts;
byte executions; /* of the command posted last */

inline may_die() {
    if
    :: deaths < DEATHS -> deaths++; goto attach
    :: skip
    fi
}

active proctype host() {
    byte mine, value, seen_generation, got;
attach:
    mine = 0;
    got = 0;
    (magic);
    seen_generation = generation;
    /* A command of the host before may still be running. */
    do
    :: completed == sequence -> break
    :: generation != seen_generation -> goto attach
    od;
    /* A restart may still be clearing words that were read above. */
    do
    :: posts == POSTS -> break
    :: else ->
        value = posts + 1;
        may_die();
        command = value;
        may_die();
        argument = value;
        may_die();
        mine = (completed + 1) % MODULO;
        atomic {
            executions = 0;
            sequence = mine;
            posts++
        }
        may_die();
        do
        :: completed == mine -> break
        :: generation != seen_generation -> goto attach
        od;
        got = result;
        may_die();
        if
        :: generation != seen_generation -> goto attach /* the session is lost, and the host knows */
        :: else ->
            assert(got == value);
            assert(executions == 1)
        fi
    od;
end_done:
    skip
}

inline may_restart() {
    if
    :: restarts < RESTARTS -> restarts++; goto boot
    :: skip
    fi
}

active proctype device() {
    byte number, what, with;
boot:
    /* The new generation first: whoever reads a cleared word later can see it. */
    magic = false;
    generation++;
    command = 0;
    argument = 0;
    sequence = 0;
    result = 0;
    completed = 0;
    magic = true;
end_serve:
    do
    :: sequence != completed ->
        number = sequence;
        may_restart();
        what = command;
        with = argument;
        may_restart();
        atomic {
            executions++;
            /* A torn command is one whose words belong to different posts. */
            got_torn: assert(restarts > 0 || what == with)
        }
        may_restart();
        result = what;
        may_restart();
        completed = number
    od
}
