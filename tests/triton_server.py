"""A stand-in for Triton: it loads a model repository by its own message ModelConfig, checks every
tensor against it, runs ONNX models and ensembles, and answers the KServe v2 protocol on loopback."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

_REASON = "SKIPPED LOUDLY: pip install 'tritonclient[grpc,http]'"
model_config_pb2 = pytest.importorskip("tritonclient.grpc.model_config_pb2", reason=_REASON)

from google.protobuf import json_format, text_format  # noqa: E402

TYPES = {model_config_pb2.TYPE_FP32: np.float32, model_config_pb2.TYPE_INT64: np.int64}
NAMES = {np.dtype(np.float32): "FP32", np.dtype(np.int64): "INT64"}


class Repository:
    """The models of a folder."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.configs, self.sessions = {}, {}
        for path in sorted(self.folder.glob("*/config.pbtxt")):
            config = text_format.Parse(path.read_text(), model_config_pb2.ModelConfig())
            assert config.name == path.parent.name
            assert (path.parent / "1").is_dir()
            self.configs[config.name] = config
            if config.platform != "ensemble":
                graph = path.parent / "1" / config.default_model_filename
                self.sessions[config.name] = ort.InferenceSession(graph)

    def infer(self, name, inputs):
        """Run one batch: tensors by name, as clients send them."""
        config = self.configs[name]
        assert {tensor.name for tensor in config.input} == inputs.keys()
        for tensor in config.input:
            self.check(tensor, inputs[tensor.name], config)
        if config.platform == "ensemble":
            values = dict(inputs)
            for step in config.ensemble_scheduling.step:
                given = {key: values[tensor] for key, tensor in step.input_map.items()}
                results = self.infer(step.model_name, given)
                values.update({tensor: results[key] for key, tensor in step.output_map.items()})
        else:
            session = self.sessions[name]
            given = {
                tensor.name: self.reshaped(tensor, inputs[tensor.name]) for tensor in config.input
            }
            names = [tensor.name for tensor in config.output]
            values = dict(zip(names, session.run(names, given), strict=True))
            for tensor in config.output:
                if tensor.HasField("reshape"):
                    values[tensor.name] = values[tensor.name].reshape(-1, *tensor.dims)
        for tensor in config.output:
            self.check(tensor, values[tensor.name], config)
        return {tensor.name: values[tensor.name] for tensor in config.output}

    def warm_up(self, name):
        """Run the warm-up requests of a model: their number."""
        for request in self.configs[name].model_warmup:
            inputs = {}
            for key, given in request.inputs.items():
                dtype, shape = TYPES[given.data_type], (request.batch_size, *given.dims)
                if given.input_data_file:
                    content = (self.folder / name / "warmup" / given.input_data_file).read_bytes()
                    inputs[key] = np.frombuffer(content, dtype).reshape(shape)
                else:
                    assert given.random_data
                    inputs[key] = np.random.default_rng(0).random(shape).astype(dtype)
            self.infer(name, inputs)
        return len(self.configs[name].model_warmup)

    @staticmethod
    def reshaped(tensor, value):
        return (
            value.reshape(len(value), *tensor.reshape.shape)
            if tensor.HasField("reshape")
            else value
        )

    @staticmethod
    def check(tensor, value, config):
        assert value.dtype == TYPES[tensor.data_type], tensor.name
        assert len(value) <= config.max_batch_size
        shape = value.shape[1:]
        assert len(shape) == len(tensor.dims), (config.name, tensor.name, shape)
        for size, allowed in zip(shape, tensor.dims, strict=True):
            assert allowed in (-1, size), (config.name, tensor.name, shape)


class StandInTriton:
    """A repository behind HTTP."""

    def __init__(self, folder):
        class Handler(_Handler):
            repository = Repository(folder)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments):
        pass

    def do_GET(self):
        name = re.fullmatch(r"/v2/models/([\w.-]+)/config", self.path)[1]
        config = json_format.MessageToDict(
            self.repository.configs[name], preserving_proto_field_name=True
        )
        self.send(json.dumps(config).encode())

    def do_POST(self):
        name = re.fullmatch(r"/v2/models/([\w.-]+)/infer", self.path)[1]
        body = self.rfile.read(int(self.headers["content-length"]))
        size = int(self.headers["inference-header-content-length"])
        inputs, start = {}, size
        for given in json.loads(body[:size])["inputs"]:
            end = start + given["parameters"]["binary_data_size"]
            dtype = {"FP32": np.float32, "INT64": np.int64}[given["datatype"]]
            inputs[given["name"]] = np.frombuffer(body[start:end], dtype).reshape(given["shape"])
            start = end
        outputs = [
            {"name": key, "datatype": NAMES[value.dtype], "shape": value.shape,
             "data": value.ravel().tolist()}
            for key, value in self.repository.infer(name, inputs).items()
        ]  # fmt: skip
        self.send(
            json.dumps({"model_name": name, "model_version": "1", "outputs": outputs}).encode()
        )

    def send(self, content):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
