package org.biotrain.internal;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;

/** JFR: one optimizer step. */
@Name("org.biotrain.Step")
@Label("Training step")
@Category("BioTrain")
@Description("One optimizer step")
public final class TrainingStepEvent extends Event {
    @Label("Step")
    public int step;

    @Label("Loss")
    public float loss;

    @Label("Learning rate")
    public float learningRate;

    @Label("Device cycles")
    public long cycles;
}
