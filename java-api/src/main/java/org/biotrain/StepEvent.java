package org.biotrain;

/**
 * One optimizer step, as it was done.
 *
 * @param step number of the step, from 0, over the whole training
 * @param totalSteps steps of the whole training
 * @param epoch number of its epoch, from 0
 * @param epochs epochs of the whole training
 * @param samples samples of the step
 * @param loss mean over the step's samples, before the update
 * @param learningRate of the update
 * @param cycles the device's cycle counter; 0 where there is none
 */
public record StepEvent(
        int step, int totalSteps, int epoch, int epochs, int samples, float loss, float learningRate, long cycles) {}
