package org.biotrain.data;

import java.util.ArrayList;
import java.util.List;

/**
 * Scales each channel to mean 0 and standard deviation 1: {@code (x − mean) / deviation}. Fitted on training data and
 * then applied to training and test data alike, so that nothing is learned from the test.
 *
 * @param mean mean of each channel
 * @param deviation standard deviation of each channel, above 0; 1 for a channel that never changes
 */
public record Standardizer(List<Double> mean, List<Double> deviation) {
    /** Copies the lists. */
    public Standardizer {
        mean = List.copyOf(mean);
        deviation = List.copyOf(deviation);
        if (mean.size() != deviation.size()) {
            throw new DataException(mean.size() + " means for " + deviation.size()
                    + " standard deviations; give one of each per channel");
        }
        for (int channel = 0; channel < mean.size(); channel++) {
            double scale = deviation.get(channel);
            if (!Double.isFinite(mean.get(channel)) || !Double.isFinite(scale) || scale <= 0) {
                throw new DataException("Channel " + channel + " has mean " + mean.get(channel)
                        + " and standard deviation " + scale + "; both must be finite, the deviation above 0");
            }
        }
    }

    /**
     * Takes mean and standard deviation of each channel over all windows.
     *
     * @throws DataException if there is no window
     */
    public static Standardizer fit(Dataset training) {
        if (training.size() == 0) {
            throw new DataException("There are no windows to fit the scaling on; give the training part of the data");
        }
        var data = training.data();
        int channels = training.channels();
        int samples = training.samples();
        double count = (double) training.size() * samples;
        double[] sum = new double[channels];
        for (int i = 0; i < data.limit(); i++) {
            sum[i / samples % channels] += data.get(i);
        }
        double[] squares = new double[channels];
        boolean[] varies = new boolean[channels];
        for (int i = 0; i < data.limit(); i++) {
            int channel = i / samples % channels;
            double difference = data.get(i) - sum[channel] / count;
            squares[channel] += difference * difference;
            varies[channel] |= data.get(i) != data.get(channel * samples);
        }
        List<Double> mean = new ArrayList<>();
        List<Double> deviation = new ArrayList<>();
        for (int channel = 0; channel < channels; channel++) {
            mean.add(sum[channel] / count);
            // Of a dead electrode only rounding errors are left, which must not be blown up.
            deviation.add(varies[channel] ? Math.sqrt(squares[channel] / count) : 1);
        }
        return new Standardizer(mean, deviation);
    }

    /**
     * The scaled data.
     *
     * @throws DataException if the number of channels differs
     */
    public Dataset apply(Dataset dataset) {
        if (dataset.channels() != mean.size()) {
            throw new DataException("The scaling was fitted on " + mean.size() + " channels, but the data have "
                    + dataset.channels() + "; select the same channels");
        }
        var data = dataset.data();
        float[] scaled = new float[data.limit()];
        int samples = dataset.samples();
        for (int i = 0; i < scaled.length; i++) {
            int channel = i / samples % mean.size();
            scaled[i] = (float) ((data.get(i) - mean.get(channel)) / deviation.get(channel));
        }
        return dataset.withData(scaled);
    }
}
