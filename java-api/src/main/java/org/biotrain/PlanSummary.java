package org.biotrain;

/**
 * What the planner decided for a model, its options and a target. With {@link Pass#CACHE_FEATURES} the peaks are the
 * larger of both programs, and program size, instructions and training work are those of the part that trains.
 *
 * @param programBytes size of the training program
 * @param instructions of all its sequences
 * @param l1PeakBytes planned peak of the level 1 arena; likewise below
 * @param l2PeakBytes level 2
 * @param l3PeakBytes level 3
 * @param l2LowerBoundBytes largest sum of bytes that are alive at once: no plan can need less
 * @param persistentBytes weights, gradients, optimizer state and statistics
 * @param microBatch samples computed at once
 * @param inputElements per sample
 * @param outputElements per sample; the classes of a classifier
 * @param trainableParameters elements that the update scheme trains
 * @param parameters elements of all parameters, running statistics excluded
 * @param forwardMacs multiply-adds of the forward pass of one sample
 * @param trainingMacs multiply-adds of forward and backward pass of one sample
 */
public record PlanSummary(
        long programBytes,
        int instructions,
        long l1PeakBytes,
        long l2PeakBytes,
        long l3PeakBytes,
        long l2LowerBoundBytes,
        long persistentBytes,
        int microBatch,
        int inputElements,
        int outputElements,
        long trainableParameters,
        long parameters,
        long forwardMacs,
        long trainingMacs) {}
