package org.biotrain.internal;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;

/** JFR: samples went to the device. */
@Name("org.biotrain.Upload")
@Label("Upload")
@Category("BioTrain")
@Description("Samples went to the device")
final class UploadEvent extends Event {
    @Label("Samples")
    int samples;
}
