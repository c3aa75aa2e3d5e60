/**
 * Reads and writes networks as ONNX.
 *
 * <p>Import, in this order: {@link org.biotrain.onnx.OnnxReader} checks the file; {@link
 * org.biotrain.onnx.Importer} walks over the nodes, computes constants and shapes ({@link
 * org.biotrain.onnx.Folding}) and converts each node by itself ({@link org.biotrain.onnx.Conversion}); {@link
 * org.biotrain.onnx.Fusion} then recognises layers that an exporter spread over several nodes. What is neither
 * converted, recognised nor dead is reported, all of it at once.
 */
@NullMarked
package org.biotrain.onnx;

import org.jspecify.annotations.NullMarked;
