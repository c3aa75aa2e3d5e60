package org.biotrain.internal;

import java.lang.ref.Cleaner;
import java.util.function.BooleanSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The backstop for owners of native resources that nobody closed: says where the owner was made, and frees what it had.
 */
public final class Leaks {
    private static final Logger LOGGER = LoggerFactory.getLogger("org.biotrain.leaks");
    private static final Cleaner CLEANER = Cleaner.create();

    private Leaks() {}

    /**
     * Watches an owner.
     *
     * @param owner may become unreachable before {@link Guard#close}
     * @param what the owner is, for the message
     * @param free frees the resources and tells whether there were any left; must not refer to the owner, and may run on
     *     another thread
     */
    public static Guard guard(Object owner, String what, BooleanSupplier free) {
        State state = new State(what, free);
        return new Guard(state, CLEANER.register(owner, state));
    }

    /** Frees the resources once: by {@link #close}, or when the owner has become unreachable. */
    public static final class Guard {
        private final State state;
        private final Cleaner.Cleanable cleanable;

        private Guard(State state, Cleaner.Cleanable cleanable) {
            this.state = state;
            this.cleanable = cleanable;
        }

        /** Frees the resources, if that has not been done yet. */
        public void close() {
            state.closed = true;
            cleanable.clean();
        }
    }

    private static final class State implements Runnable {
        private final String what;
        private final BooleanSupplier free;
        private final Throwable allocation = new Throwable("made here");
        private volatile boolean closed;

        State(String what, BooleanSupplier free) {
            this.what = what;
            this.free = free;
        }

        @Override
        public void run() {
            boolean freed = free.getAsBoolean();
            if (freed && !closed) {
                LOGGER.warn("{} was never closed; use try-with-resources where it is made", what, allocation);
            }
        }
    }
}
