package org.biotrain.internal;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;

/** JFR: an evaluation. */
@Name("org.biotrain.Evaluation")
@Label("Evaluation")
@Category("BioTrain")
@Description("The network was evaluated on labelled samples")
public final class EvaluationEvent extends Event {
    @Label("Samples")
    public int samples;

    @Label("Accuracy")
    public double accuracy;

    @Label("Loss")
    public double loss;
}
