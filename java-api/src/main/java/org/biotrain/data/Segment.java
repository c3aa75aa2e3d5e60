package org.biotrain.data;

/**
 * A stretch of a recording without gaps. Samples of one segment follow each other at the sampling rate; between two
 * segments time is missing, so filters restart and no window reaches across.
 *
 * @param firstSample index of its first sample in the recording
 * @param sampleCount number of samples, at least 1
 * @param start time of its first sample in seconds on the recording's clock
 */
public record Segment(int firstSample, int sampleCount, double start) {
    int endSample() {
        return firstSample + sampleCount;
    }
}
