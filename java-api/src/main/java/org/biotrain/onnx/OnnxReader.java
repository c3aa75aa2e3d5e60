package org.biotrain.onnx;

import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.OperatorSetIdProto;
import com.google.protobuf.CodedInputStream;
import com.google.protobuf.InvalidProtocolBufferException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import org.biotrain.Model;
import org.biotrain.ModelException;
import org.biotrain.internal.IoReason;

/** Reads ONNX files, which need not be trusted. */
public final class OnnxReader {
    /** A network of this size would not fit any target. */
    private static final long MAX_BYTES = 128L << 20;

    /** Our graphs have no nested graphs; the deepest message, a dimension of the input's type, is at level 8. */
    private static final int MAX_DEPTH = 16;

    /** Broadcasting has been NumPy's since this one. */
    private static final long LEAST_OPSET = 7;

    /** Names that exporters give to every graph. */
    private static final Set<String> GENERIC_NAMES =
            Set.of("", "main_graph", "torch_jit", "torch-jit-export", "main", "graph", "tf2onnx");

    private OnnxReader() {}

    /**
     * Reads a network.
     *
     * @throws ModelException if the file can't be read, is damaged, or holds something unsupported
     */
    public static Model read(Path path) {
        ModelProto proto;
        try {
            long bytes = Files.size(path);
            if (bytes > MAX_BYTES) {
                throw new ModelException(
                        "The model file " + path + " has " + bytes + " bytes; at most " + MAX_BYTES + " are possible");
            }
            proto = parse(Files.readAllBytes(path));
        } catch (InvalidProtocolBufferException e) {
            throw new ModelException("The model file " + path + " is damaged or not ONNX: " + e.getMessage(), e);
        } catch (IOException e) {
            throw new ModelException("The model file " + path + " can't be read: " + IoReason.of(e), e);
        }
        try {
            return convert(proto, stem(path));
        } catch (ModelException e) {
            throw new ModelException("The model file " + path + " can't be imported: " + e.getMessage(), e);
        }
    }

    private static ModelProto parse(byte[] bytes) throws IOException {
        CodedInputStream input = CodedInputStream.newInstance(bytes);
        input.setRecursionLimit(MAX_DEPTH);
        return ModelProto.parseFrom(input);
    }

    private static Model convert(ModelProto proto, String fileName) {
        if (!proto.hasGraph()) {
            throw new ModelException("it holds no graph, so that it is not an ONNX network");
        }
        GraphProto graph = proto.getGraph();
        long opset = proto.getOpsetImportList().stream()
                .filter(set -> set.getDomain().isEmpty() || set.getDomain().equals("ai.onnx"))
                .mapToLong(OperatorSetIdProto::getVersion)
                .max()
                .orElse(0);
        if (opset < LEAST_OPSET || opset > Integer.MAX_VALUE) {
            throw new ModelException(
                    "it is written for opset " + opset + "; export it for opset " + LEAST_OPSET + " or later, best 17");
        }
        if (graph.getSparseInitializerCount() > 0) {
            throw new ModelException("it has sparse initializers; export it with dense ones");
        }
        String name = GENERIC_NAMES.contains(graph.getName()) ? fileName : graph.getName();
        return new Importer(graph, (int) opset).run(name);
    }

    private static String stem(Path path) {
        String file = String.valueOf(path.getFileName());
        return file.endsWith(".onnx") ? file.substring(0, file.length() - ".onnx".length()) : file;
    }
}
