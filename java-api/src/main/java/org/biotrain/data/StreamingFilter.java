package org.biotrain.data;

import java.util.List;
import uk.me.berndporr.iirj.Butterworth;
import uk.me.berndporr.iirj.Cascade;
import uk.me.berndporr.iirj.SOSCascade;

/**
 * Runs filters, one after the other, over a multi-channel signal that arrives in chunks. However the signal is cut,
 * the result is the same to the last bit. Not thread-safe.
 *
 * <p>Each filter starts in the state that it would have reached if the first sample had lasted for ever, so an offset
 * of the signal makes no transient.
 */
public final class StreamingFilter {
    private static final int MAX_ORDER = 12;

    /** One filter for one channel. */
    private static final class Stage {
        private final Cascade cascade;
        private final double gainAtZero;
        private double origin;

        Stage(Cascade cascade, double gainAtZero) {
            this.cascade = cascade;
            this.gainAtZero = gainAtZero;
        }

        /** By linearity, filtering the difference to the first sample starts the filter in its steady state. */
        double filter(double value, boolean first) {
            if (first) {
                cascade.reset();
                origin = value;
            }
            return cascade.filter(value - origin) + gainAtZero * origin;
        }
    }

    private final Stage[][] stages;
    private boolean started;

    /**
     * Prepares filters.
     *
     * @param filters in the order in which they run
     * @param sampleRate Hz
     * @param channels number of channels
     * @throws DataException if a filter's frequency or order does not fit the sampling rate
     */
    public StreamingFilter(List<Filter> filters, double sampleRate, int channels) {
        stages = new Stage[channels][filters.size()];
        for (Stage[] channel : stages) {
            for (int i = 0; i < channel.length; i++) {
                channel[i] = design(filters.get(i), sampleRate);
            }
        }
    }

    private static Stage design(Filter filter, double sampleRate) {
        Butterworth butterworth = new Butterworth();
        return switch (filter) {
            case Filter.HighPass(int order, double cutoff) -> {
                require(filter, order, cutoff, cutoff, sampleRate);
                butterworth.highPass(order, sampleRate, cutoff);
                yield new Stage(butterworth, 0);
            }
            case Filter.LowPass(int order, double cutoff) -> {
                require(filter, order, cutoff, cutoff, sampleRate);
                butterworth.lowPass(order, sampleRate, cutoff);
                yield new Stage(butterworth, 1);
            }
            case Filter.BandPass(int order, double low, double high) -> {
                require(filter, order, low, high, sampleRate);
                if (!(low < high)) {
                    throw new DataException(filter + " passes nothing; the low cut-off must be below the high one");
                }
                butterworth.bandPass(order, sampleRate, (low + high) / 2, high - low);
                yield new Stage(butterworth, 0);
            }
            case Filter.Notch(double frequency, double q) -> {
                require(filter, 1, frequency, frequency, sampleRate);
                if (!(q > 0) || !Double.isFinite(q)) {
                    throw new DataException(filter + " has a quality of " + q + "; it must be above 0 and finite");
                }
                // The bilinear transform of (s² + 1) / (s² + s/Q + 1), with its zero exactly at the frequency, where
                // a band-stop of the Butterworth design has it only nearby.
                double omega = 2 * Math.PI * frequency / sampleRate;
                double gain = 1 / (1 + Math.tan(omega / (2 * q)));
                double middle = -2 * gain * Math.cos(omega);
                SOSCascade cascade = new SOSCascade();
                cascade.setup(new double[][] {{gain, middle, gain, 1, middle, 2 * gain - 1}});
                yield new Stage(cascade, 1);
            }
        };
    }

    private static void require(Filter filter, int order, double low, double high, double sampleRate) {
        if (order < 1 || order > MAX_ORDER) {
            throw new DataException(filter + " has order " + order + "; allowed are 1 to " + MAX_ORDER);
        }
        if (!(low > 0) || !(high < sampleRate / 2)) {
            throw new DataException(filter + " does not fit a sampling rate of " + sampleRate
                    + " Hz; frequencies must be above 0 and below " + sampleRate / 2 + " Hz");
        }
    }

    /**
     * Filters the next samples in place.
     *
     * @param chunk {@code [channels][samples]}, finite; any number of samples, equal for all channels
     */
    public void process(float[][] chunk) {
        if (chunk.length != stages.length) {
            throw new DataException("The filter was prepared for " + stages.length + " channels, but is given "
                    + chunk.length + "; give as many");
        }
        for (int channel = 0; channel < chunk.length; channel++) {
            float[] samples = chunk[channel];
            for (int i = 0; i < samples.length; i++) {
                double value = samples[i];
                for (Stage stage : stages[channel]) {
                    value = stage.filter(value, !started && i == 0);
                }
                samples[i] = (float) value;
            }
        }
        started |= chunk.length > 0 && chunk[0].length > 0;
    }

    /** Forgets the signal so far; the next sample is a first one again. */
    public void reset() {
        started = false;
    }
}
