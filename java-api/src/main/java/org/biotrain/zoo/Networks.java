package org.biotrain.zoo;

import java.util.List;
import org.biotrain.Model;
import org.biotrain.zoo.EegNet.Normalization;

/** The networks that ship as files in {@code models/}. */
public final class Networks {
    private static final long SEED = 1;

    private Networks() {}

    /** All of them, with fresh weights that are the same every time; each is named as its file. */
    public static List<Model> shipped() {
        return described().stream().map(Described::model).toList();
    }

    /** A network and one sentence about what it is for. */
    record Described(Model model, String purpose) {}

    static List<Described> described() {
        return List.of(
                new Described(
                        MiBmiNet.f8(8, 1900, 2).model("mibminet-f8", SEED),
                        "MI-BMINet for EEG: 8 channels, 3.8 s at 500 Hz, 2 classes; F1 = 8, no padding."),
                new Described(
                        MiBmiNet.f32(8, 1900, 2).model("mibminet-f32", SEED),
                        "MI-BMINet for EEG: 8 channels, 3.8 s at 500 Hz, 2 classes; F1 = 32, padded."),
                new Described(
                        EpiDeNet.published(2, 1000, 11).model("epidenet-eog", SEED),
                        "EpiDeNet for EOG: 2 derivations, 2 s at 500 Hz, 11 eye movements."),
                new Described(
                        EpiDeNet.compact(2, 100, 3).model("epidenet-eog-lnt", SEED),
                        "EpiDeNet for short EOG windows: 2 derivations, 0.4 s at 250 Hz, 3 classes; smaller pools, padded."),
                new Described(
                        EegNet.of(Normalization.BATCH, 8, 640, 2).model("eegnet-bn", SEED),
                        "EEGNet-8,2 as published: 8 channels, 4 s at 160 Hz, 2 classes; BatchNorm, to be frozen in training"
                                + " sample by sample."),
                new Described(
                        EegNet.of(Normalization.GROUP, 8, 640, 2).model("eegnet-gn", SEED),
                        "EEGNet-8,2 with GroupNorm in place of BatchNorm."),
                new Described(
                        EegNet.of(Normalization.GROUP, 8, 480, 2).model("eegnet-mi8", SEED),
                        "EEGNet-8,2 with GroupNorm for imagined movement: 8 channels, 3 s at 160 Hz, 2 classes."),
                new Described(
                        EmgNet.of(4, 30, 6).model("emgnet-semg", SEED),
                        "A small network for EMG envelopes: 4 channels, 0.3 s at 100 Hz, 6 grasps."));
    }
}
