package org.biotrain;

import java.time.Duration;

/**
 * Counters of a session.
 *
 * @param l1HighWater bytes of the level 1 arena that were ever written; likewise below
 * @param l2HighWater level 2
 * @param l3HighWater level 3
 * @param microSteps micro-batches trained
 * @param updates optimizer updates done
 * @param cycles the device's cycles spent in training; 0 where there is no counter
 * @param bytesToDevice payload sent
 * @param bytesFromDevice payload received
 * @param linkTime spent in transfers
 */
public record Statistics(
        long l1HighWater,
        long l2HighWater,
        long l3HighWater,
        long microSteps,
        long updates,
        long cycles,
        long bytesToDevice,
        long bytesFromDevice,
        Duration linkTime) {}
