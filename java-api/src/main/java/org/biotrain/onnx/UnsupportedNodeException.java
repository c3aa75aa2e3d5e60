package org.biotrain.onnx;

/** Why a node can't be imported: a clause without a subject's name, to stand after "LSTM '/rnn/LSTM': ". */
final class UnsupportedNodeException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    UnsupportedNodeException(String reason) {
        super(reason, null, false, false);
    }
}
