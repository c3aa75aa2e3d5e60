package org.biotrain.cli.verify;

import org.biotrain.Model;
import org.biotrain.zoo.EpiDeNet;
import org.biotrain.zoo.MiBmiNet;

/** The networks that the training runs of the reference vectors are about. */
final class ReferenceNetworks {
    private ReferenceNetworks() {}

    static Model byCase(String name) {
        return switch (name) {
            case "train_epidenet_c2" -> EpiDeNet.published(2, 1000, 11).model(name, 0);
            case "train_mibminet_f8" -> MiBmiNet.f8(8, 1900, 2).model(name, 0);
            case "train_mibminet_f32_padded" -> MiBmiNet.f32(8, 1900, 2).model(name, 0);
            default ->
                throw new CaseException(
                        "The network of the training run " + name + " is unknown to this version; update it");
        };
    }
}
