package org.biotrain.internal;

import java.lang.ref.Cleaner;
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
     * @param resources must not refer to the owner
     */
    public static Guard guard(Object owner, String what, Resources resources) {
        State state = new State(what, resources);
        return new Guard(state, CLEANER.register(owner, state));
    }

    /** What an owner has to free. */
    @FunctionalInterface
    public interface Resources {
        /**
         * Frees them, perhaps on another thread than the owner's.
         *
         * @param leaked whether nobody closed the owner
         * @return whether there were any left
         */
        boolean free(boolean leaked);
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
        private final Resources resources;
        private final Throwable allocation = new Throwable("made here");
        private volatile boolean closed;

        State(String what, Resources resources) {
            this.what = what;
            this.resources = resources;
        }

        @Override
        public void run() {
            boolean leaked = !closed;
            if (resources.free(leaked) && leaked) {
                LOGGER.warn("{} was never closed; use try-with-resources where it is made", what, allocation);
            }
        }
    }
}
