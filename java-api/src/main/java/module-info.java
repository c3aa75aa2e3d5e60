/** Calibrates small neural networks for biosignals on a device, a simulator or in process. */
module org.biotrain {
    exports org.biotrain;
    exports org.biotrain.data;
    exports org.biotrain.zoo;

    requires com.fasterxml.jackson.databind;
    requires com.google.protobuf;
    requires de.siegmar.fastcsv;
    requires iirj;
    requires jdk.jfr;
    requires org.biotrain.ffi;
    requires static transitive org.jspecify;
    requires org.slf4j;
    requires org.tribuo.util.onnx;
}
