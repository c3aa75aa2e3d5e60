package org.biotrain.data;

/**
 * A causal filter of recursive second-order sections. A description only: {@link StreamingFilter} runs it, at a
 * sampling rate.
 *
 * <p>Frequencies are in Hz, above 0 and below half the sampling rate. The order is 1 to 12.
 */
public sealed interface Filter {

    /** Passes frequencies above the cut-off (−3 dB); Butterworth. */
    record HighPass(int order, double cutoff) implements Filter {}

    /** Passes frequencies below the cut-off (−3 dB); Butterworth. */
    record LowPass(int order, double cutoff) implements Filter {}

    /**
     * Passes frequencies between two cut-offs (−3 dB); Butterworth. As usual, {@code order} is that of the low-pass it
     * is made from: each slope has this order, the whole filter twice as many poles.
     */
    record BandPass(int order, double low, double high) implements Filter {}

    /**
     * Removes one frequency, such as the mains' 50 or 60 Hz.
     *
     * @param frequency removed completely
     * @param q quality: frequency divided by the width (−3 dB) of the notch; 30 is usual
     */
    record Notch(double frequency, double q) implements Filter {}
}
