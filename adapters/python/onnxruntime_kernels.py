"""ONNX Runtime's softmax family on the CPU as a worker of logitfuzz: `--kernel 'exec:python3 adapters/python/onnxruntime_kernels.py'`.

Each op is a model of one node, made here. ONNX has no derivatives, and its SoftmaxCrossEntropyLoss has no label smoothing, so
it is not the op that logitfuzz asks for. ONNX Runtime has these nodes for the CPU in f16, f32 and f64, and for bf16 it has none.
"""

import os

# The libraries below read it when they are imported.
os.environ["OMP_NUM_THREADS"] = "1"

from logitfuzz_worker import kernel, serve

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


def session(node, attributes, outputs, element):
    """A session that runs one node on a vector of any length."""
    node = helper.make_node(node, ["logits"], ["result"], **attributes)
    logits = helper.make_tensor_value_info("logits", element, ["n"])
    result = helper.make_tensor_value_info("result", element, [outputs])
    graph = helper.make_graph([node], "one_node", [logits], [result])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=FORMAT)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def declare(op, dtype):
    run = session(*NODES[op], DTYPES[dtype]).run

    @kernel(op, dtypes=[dtype], name="onnxruntime", version=onnxruntime.__version__)
    def one_node(z):
        return run(None, {"logits": z})[0]


for op in NODES:
    for dtype in DTYPES:
        declare(op, dtype)
serve()
