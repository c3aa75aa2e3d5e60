package org.biotrain;

/**
 * What a device says of itself.
 *
 * @param link the link's name, for example {@code sim}
 * @param target the target that programs are compiled for, for example {@code gap9}
 * @param cores cores that compute
 * @param l1Bytes memory of level 1 for programs, after the firmware's own needs; likewise below
 * @param l2Bytes memory of level 2
 * @param l3Bytes memory of level 3
 * @param kernels kernel set in use, for example {@code avx2}
 * @param protocol version of the mailbox's protocol
 * @param buildId identity of the firmware's build
 */
public record DeviceInfo(
        String link,
        String target,
        int cores,
        long l1Bytes,
        long l2Bytes,
        long l3Bytes,
        String kernels,
        int protocol,
        int buildId) {}
