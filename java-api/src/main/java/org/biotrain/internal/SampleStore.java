package org.biotrain.internal;

import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.IdentityHashMap;
import org.biotrain.CapacityException;
import org.biotrain.Samples;

/**
 * The samples that a session's device holds. Several sets lie there one behind the other as long as they fit, so that
 * training and evaluation in turn upload nothing twice.
 */
public final class SampleStore {
    /** Host memory that one upload may take besides the samples themselves. */
    private static final int UPLOAD_BYTES = 8 << 20;

    private final NativeSession session;
    private final int channels;
    /** Index of the first sample of each set that is on the device; the sets are immutable. */
    private final IdentityHashMap<Object, Integer> held = new IdentityHashMap<>();

    /** Makes the store of a session whose inputs have so many rows. */
    public SampleStore(NativeSession session, int channels) {
        this.session = session;
        this.channels = channels;
    }

    /**
     * Makes sure that the device holds a set, and drops others if there is no room otherwise.
     *
     * @param identity what the samples are a view of
     * @return the index of its first sample
     * @throws CapacityException if the set alone is too large
     */
    public int hold(Object identity, Samples samples) {
        Integer first = held.get(identity);
        if (first != null) {
            return first;
        }
        if (session.capacity() < samples.size()) {
            clear();
            long capacity = session.capacity();
            if (capacity < samples.size()) {
                throw new CapacityException(samples.size() + " samples do not fit the device, which has room for "
                        + capacity + "; use fewer or shorter windows, or 16-bit samples");
            }
        }
        int start = upload(samples, 0, samples.size());
        held.put(identity, start);
        return start;
    }

    /** How many samples the device takes at most at once, those of other sets dropped if need be. */
    public int room(Object identity, Samples samples) {
        if (held.containsKey(identity) || session.capacity() >= samples.size()) {
            return samples.size();
        }
        clear();
        return (int) Math.min(samples.size(), session.capacity());
    }

    /** Replaces all that the device holds by a part of a set. */
    public int replace(Samples samples, int from, int to) {
        clear();
        return upload(samples, from, to);
    }

    private void clear() {
        session.clearSamples();
        held.clear();
    }

    private int upload(Samples samples, int from, int to) {
        UploadEvent event = new UploadEvent();
        event.begin();
        FloatBuffer inputs = samples.inputs();
        int inputElements = inputs.remaining() / samples.size();
        int[] labels = samples.labels();
        float[] targets = samples.targets();
        int targetElements = targets == null ? 0 : targets.length / samples.size();
        int piece = Math.max(1, UPLOAD_BYTES / (Float.BYTES * inputElements));
        int first = -1;
        for (int start = from; start < to; start += piece) {
            int end = Math.min(to, start + piece);
            int index = session.upload(
                    end - start,
                    channels,
                    inputs.slice(start * inputElements, (end - start) * inputElements),
                    labels == null ? null : Arrays.copyOfRange(labels, start, end),
                    targets == null ? null : Arrays.copyOfRange(targets, start * targetElements, end * targetElements));
            first = first < 0 ? index : first;
        }
        event.samples = to - from;
        event.commit();
        return first;
    }
}
