package org.biotrain;

/** How samples travel to the device and rest in its memory. */
public enum SampleFormat {
    /** 16 bits per value, with scale and offset per window and channel. */
    INT16,
    /** 32 bits per value, unchanged. */
    FLOAT32
}
