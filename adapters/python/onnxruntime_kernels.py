"""ONNX Runtime's softmax family on the CPU as a worker of logitfuzz: `--kernel 'exec:python3 adapters/python/onnxruntime_kernels.py'`.

Each op is a model of one node, made here. ONNX has no derivatives, and its SoftmaxCrossEntropyLoss has no label smoothing. ONNX Runtime has these nodes for the CPU in f16, f32 and f64, and for bf16 it has none.
"""

import os

# The libraries below read it when they are imported.
os.environ["OMP_NUM_THREADS"] = "1"

from logitfuzz_worker import kernel, serve

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

DTYPES = {"f16": TensorProto.FLOAT16, "f32": TensorProto.FLOAT, "f64": TensorProto.DOUBLE}
NODES = {
    "softmax": ("Softmax", {"axis": -1}, "n"),
    "log_softmax": ("LogSoftmax", {"axis": -1}, "n"),
    "logsumexp": ("ReduceLogSumExp", {"keepdims": 1}, 1),
}
# The newest revision of these three nodes is of opset 18; 21 and the file format 10 are what current exporters write.
OPSET, FORMAT = 21, 10


def session(node, attributes, inputs, result):
    """A session that runs one node; inputs and result are pairs of an element type and a shape."""
    names = ["logits", "target"][: len(inputs)]
    node = helper.make_node(node, names, ["result"], **attributes)
    inputs = [helper.make_tensor_value_info(name, *about) for name, about in zip(names, inputs)]
    graph = helper.make_graph([node], "one_node", inputs, [helper.make_tensor_value_info("result", *result)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=FORMAT)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def declare(op, dtype):
    node, attributes, outputs = NODES[op]
    run = session(node, attributes, [(DTYPES[dtype], ["n"])], (DTYPES[dtype], [outputs])).run

    @kernel(op, dtypes=[dtype], name="onnxruntime", version=onnxruntime.__version__)
    def one_node(z):
        return run(None, {"logits": z})[0]


def declare_loss(dtype):
    inputs = [(DTYPES[dtype], [1, "n"]), (TensorProto.INT64, [1])]
    run = session("SoftmaxCrossEntropyLoss", {"reduction": "none"}, inputs, (DTYPES[dtype], [1])).run

    @kernel("cross_entropy", dtypes=[dtype], name="onnxruntime", version=onnxruntime.__version__, label_smoothing=False)
    def one_node(z, target, _):
        return run(None, {"logits": z[None], "target": np.array([target])})[0]


for dtype in DTYPES:
    for op in NODES:
        declare(op, dtype)
    declare_loss(dtype)
serve()
