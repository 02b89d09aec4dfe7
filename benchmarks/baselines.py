"""What else runs the same checkpoint: the engine is measured in turns with these.

Each is an optional import. Each gives probabilities too, so that nothing is timed that does not
compute the same.
"""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import types
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion2vec_edge.engine import Recognizer, example_recordings, load_audio
from emotion2vec_edge.engine.audio.types import SAMPLE_RATE, Samples
from emotion2vec_edge.engine.errors import MissingExtraError, OptionError, ProviderError
from emotion2vec_edge.engine.results.pooling import clip_scores

Run = Callable[[Samples], NDArray[np.floating[Any]]]
"""Samples, 16 kHz mono → probabilities [labels]. The peers of :data:`BATCHED` also take samples
[clips, samples], and give probabilities [clips, labels]."""


@dataclass(frozen=True)
class RunnerSettings:
    """What is timed: variants of a model on a provider, and peers of it."""

    model: str | None = None
    variants: tuple[str, ...] = ()
    """Precisions; none takes all that the bundle has and the provider runs."""
    provider: str = "auto"
    threads: int | None = None
    rounds: int = 9
    peers: tuple[str, ...] = ()
    checkpoint: Path | None = None
    """FunASR's folder of the model, for the peers."""

    def check(self) -> None:
        """Raises OptionError for peers without their checkpoint."""
        if self.peers and self.checkpoint is None:
            raise OptionError(
                "peers run the checkpoint that the bundle was made from: --checkpoint"
            )

    def load(self, precision: str) -> Recognizer:
        """One variant; raises as :meth:`Recognizer.load`."""
        return Recognizer.load(
            self.model, provider=self.provider, precision=precision, threads=self.threads
        )

    def build_peers(
        self, recognizer: Recognizer, folder: Path, progress: Callable[[str], None]
    ) -> dict[str, Run]:
        """All peers, to be compared with this recognizer; raises as :func:`build_peer`."""
        runs = {}
        for name in self.peers:
            progress(f"building the peer {name}")
            runs[name] = build_peer(
                name, PeerSettings.like(recognizer, self.checkpoint or Path(), folder)
            )
        return runs


@dataclass(frozen=True)
class PeerSettings:
    """What a peer is built with."""

    checkpoint: Path
    """FunASR's folder of the same model."""
    threads: int
    folder: Path
    """For graphs that are made on the way; a second peer finds those of the first."""
    device: str = "cpu"
    """As torch names it; the peers of :data:`BATCHED` run there, others on the processor."""
    temperature: float = 1.0
    """What the bundle's logits are divided by, which its checkpoint's are not."""

    @classmethod
    def like(cls, recognizer: Recognizer, checkpoint: Path, folder: Path) -> PeerSettings:
        """For peers of this recognizer."""
        return cls(
            checkpoint,
            recognizer.threads,
            folder,
            recognizer.tier.device or "cpu",
            recognizer.encoder.head.temperature,
        )


def build_peer(name: str, settings: PeerSettings) -> Run:
    """Make one of :data:`PEERS` ready to run.

    Raises:
        MissingExtraError: what it needs is not installed; the message says how to get it.
        ProviderError: it should run on a GPU, and finds none.
        CheckpointError: the checkpoint cannot be read.
    """
    build, needs, command = PEERS[name]
    try:
        with _quiet():
            run = build(settings)
    except ImportError as error:
        if isinstance(error, MissingExtraError):
            raise
        raise MissingExtraError(f"the peer {name} needs {needs} ({error}): {command}") from None
    return run if settings.temperature == 1 else functools.partial(_tempered, run, settings)


def _tempered(run: Run, settings: PeerSettings, samples: Samples) -> NDArray[np.floating[Any]]:
    """Probabilities as the bundle's temperature makes them."""
    powers = run(samples) ** (1 / settings.temperature)
    tempered: NDArray[np.floating[Any]] = powers / powers.sum(axis=-1, keepdims=True)
    return tempered


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the talk of other frameworks out of our tables."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    nowhere = io.StringIO()
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _torch(settings: PeerSettings) -> Run:
    """Our own module, run eagerly in float32."""
    return _run_module(_module(settings), settings)


def _torch_int8(settings: PeerSettings) -> Run:
    """The same after torch's own dynamic quantization of its Linears."""
    import torch

    quantize: Any = torch.ao.quantization.quantize_dynamic
    model = quantize(_module(settings), {torch.nn.Linear}, dtype=torch.qint8)
    return _run_module(model, settings)


def _module(settings: PeerSettings) -> Any:
    from emotion2vec_edge.export.checkpoint import load_checkpoint

    return load_checkpoint(settings.checkpoint).model.eval()


def _run_module(model: Any, settings: PeerSettings) -> Run:
    import torch

    torch.set_num_threads(settings.threads)

    def run(samples: Samples) -> NDArray[np.floating[Any]]:
        with torch.inference_mode():
            outputs = model(torch.from_numpy(samples)[None], torch.tensor([len(samples)]))
        probabilities: NDArray[np.floating[Any]] = outputs[3][0].numpy()
        return probabilities

    return run


def _torch_sdpa(settings: PeerSettings) -> Run:
    """Our own module with torch's fused attention; in float16 on a GPU."""
    return _on_device(_fused(settings), settings)


def _torch_compile(settings: PeerSettings) -> Run:
    """The same, compiled."""
    import torch

    return _on_device(torch.compile(_fused(settings), dynamic=True), settings)


def _fused(settings: PeerSettings) -> Any:
    """Normalised waveforms and lengths → logits of each clip."""
    import torch
    from torch import Tensor, nn
    from torch.nn.functional import scaled_dot_product_attention

    from emotion2vec_edge.export.model import Attention, frame_counts

    class Fused(Attention):
        def forward(self, x: Tensor, bias: Tensor) -> Tensor:
            batch, tokens, dim = x.shape
            shape = (batch, tokens, 3, self.num_heads, dim // self.num_heads)
            q, k, v = self.qkv(x).reshape(shape).permute(2, 0, 3, 1, 4)
            heads = scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
            merged: Tensor = self.proj(heads.transpose(1, 2).reshape(batch, tokens, dim))
            return merged

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = _module(settings)
            for module in self.model.modules():
                if isinstance(module, Attention):
                    module.__class__ = Fused

        def forward(self, waveform: Tensor, lengths: Tensor) -> Tensor:
            counts = frame_counts(lengths, self.model.config)
            frames = self.model.encoder(self.model.frontend(waveform), counts)[0]
            embedding = frames.sum(dim=1) / counts.unsqueeze(1).to(frames.dtype)
            logits: Tensor = self.model.encoder.head(embedding)
            return logits

    dtype = torch.float32 if settings.device == "cpu" else torch.float16
    return Whole().eval().to(settings.device, dtype)


def _on_device(model: Any, settings: PeerSettings) -> Run:
    import torch

    if settings.device != "cpu" and not torch.cuda.is_available():
        raise ProviderError("this torch finds no GPU, so it cannot be measured there")
    torch.set_num_threads(settings.threads)
    dtype = torch.float32 if settings.device == "cpu" else torch.float16

    def run(samples: Samples) -> NDArray[np.floating[Any]]:
        clips = np.atleast_2d(samples)
        waveform = torch.from_numpy(np.concatenate([_waveform(clip) for clip in clips]))
        lengths = torch.full((len(clips),), clips.shape[1])
        with torch.inference_mode():
            logits = model(waveform.to(settings.device, dtype), lengths.to(settings.device))
            probabilities: NDArray[np.floating[Any]] = logits.float().softmax(-1).cpu().numpy()
        return probabilities if samples.ndim == 2 else probabilities[0]

    return run


def _funasr(settings: PeerSettings) -> Run:
    """FunASR's own class, in eager torch."""
    import torch
    import yaml
    from funasr.models.emotion2vec.model import Emotion2vec

    from emotion2vec_edge.export.checkpoint import read_weights

    torch.set_num_threads(settings.threads)
    text = (settings.checkpoint / "config.yaml").read_text(encoding="utf-8")
    document = yaml.safe_load(text)
    document["model_conf"]["norm_eps"] = float(document["model_conf"]["norm_eps"])
    weights = read_weights(settings.checkpoint / "model.pt")
    model = Emotion2vec(**document, vocab_size=len(weights["proj.bias"])).eval()
    model.load_state_dict(weights)
    tokens = (settings.checkpoint / "tokens.txt").read_text(encoding="utf-8").splitlines()
    tokenizer = types.SimpleNamespace(token_list=[token for token in tokens if token.strip()])

    def run(samples: Samples) -> NDArray[np.floating[Any]]:
        with torch.inference_mode():
            results, _ = model.inference([samples], key=["clip"], tokenizer=tokenizer, device="cpu")
        return np.array(results[0]["scores"])

    return run


def _plain_graph(settings: PeerSettings) -> Path:
    """One graph from ``torch.onnx.export``, its front-end of convolutions, as one would make it."""
    import onnx
    import torch
    from torch import Tensor, nn
    from torch.nn import functional as F  # noqa: N812 - torch's own custom

    path = settings.folder / "plain.onnx"
    if path.is_file():
        return path

    class Plain(nn.Module):
        def __init__(self, model: Any) -> None:
            super().__init__()
            self.model = model

        def forward(self, waveform: Tensor) -> Tensor:
            x = waveform.unsqueeze(1)
            for block in self.model.frontend.convs:
                x = block.conv(x).transpose(1, 2)
                x = F.gelu(block.norm(x)).transpose(1, 2)
            x = self.model.frontend.project(self.model.frontend.norm(x.transpose(1, 2)))
            lengths = torch.full((x.shape[0],), 1, dtype=torch.int64) * x.shape[1]
            logits: Tensor = self.model.encoder(x, lengths)[1]
            return logits

    program = torch.onnx.export(
        Plain(_module(settings)).eval(),
        kwargs={"waveform": torch.zeros(1, 4 * SAMPLE_RATE)},
        input_names=["waveform"],
        output_names=["logits"],
        opset_version=18,
        dynamo=True,
        verbose=False,
        dynamic_shapes={"waveform": {1: torch.export.Dim.DYNAMIC}},
    )
    onnx.save_model(program.model_proto, path)  # type: ignore[union-attr]
    return path


def _waveform(samples: Samples) -> NDArray[np.float32]:
    scaled: NDArray[np.float32] = (
        (samples - samples.mean()) / np.sqrt(samples.var() + 1e-5)
    ).astype(np.float32)
    return scaled[None]


def _run_graph(path: Path, settings: PeerSettings) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = settings.threads
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    return lambda samples: clip_scores(session.run(None, {"waveform": _waveform(samples)})[0][0])


def _ort(settings: PeerSettings) -> Run:
    """The plain graph in ONNX Runtime, float32, default settings."""
    return _run_graph(_plain_graph(settings), settings)


def _ort_naive_int8(settings: PeerSettings) -> Run:
    """The plain graph after ``quantize_dynamic``."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    path = settings.folder / "naive_int8.onnx"
    quantize_dynamic(
        _plain_graph(settings), path, op_types_to_quantize=["MatMul"],
        weight_type=QuantType.QInt8, extra_options={"MatMulConstBOnly": True},
    )  # fmt: skip
    return _run_graph(path, settings)


def _openvino(settings: PeerSettings) -> Run:
    """The plain graph in OpenVINO, static W8A8 by nncf, calibrated on the example recordings."""
    import nncf
    import openvino

    graph = openvino.Core().read_model(str(_plain_graph(settings)))
    speech = np.concatenate([load_audio(path).samples for path in example_recordings()])
    pieces = [speech[i * 24_000 :][: (1 + i % 3) * SAMPLE_RATE] for i in range(8)]
    quantized = nncf.quantize(
        graph, nncf.Dataset(pieces, _waveform), model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(pieces), preset=nncf.QuantizationPreset.MIXED,
    )  # fmt: skip
    settings_ = {"INFERENCE_NUM_THREADS": settings.threads, "PERFORMANCE_HINT": "LATENCY"}
    compiled = openvino.Core().compile_model(quantized, "CPU", settings_)
    request = compiled.create_infer_request()
    return lambda samples: clip_scores(request.infer([_waveform(samples)])[0][0])


EXPORT = "pip install torch==2.13.0 'emotion2vec-edge[export]'"

PEERS: dict[str, tuple[Callable[[PeerSettings], Run], str, str]] = {
    "torch": (_torch, "torch", EXPORT),
    "torch-int8": (_torch_int8, "torch", EXPORT),
    "torch-sdpa": (_torch_sdpa, "torch", EXPORT),
    "torch-compile": (_torch_compile, "torch and a C++ compiler", EXPORT),
    "funasr": (_funasr, "FunASR", "pip install --no-deps funasr, and what it imports"),
    "ort": (_ort, "torch and onnx", EXPORT),
    "ort-naive-int8": (_ort_naive_int8, "torch and onnx", EXPORT),
    "openvino": (_openvino, "OpenVINO and nncf", "pip install openvino nncf"),
}
"""Name → how to build it, what it needs, and the command that brings that."""

BATCHED = ("torch-sdpa", "torch-compile")
"""Those that a GPU is compared with: they run on the same device, and take batches."""
