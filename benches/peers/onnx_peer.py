"""ONNX Runtime as a peer: a model of transformers exported at the shape of its prepared pixels."""

import functools
import sys
import time
from pathlib import Path

import onnxruntime
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic


class Plain(torch.nn.Module):
    """A model whose outputs are tensors, for the export."""

    def __init__(self, model: torch.nn.Module):
        super().__init__()
        self.model = model

    def forward(self, pixel_values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(value for value in self.model(pixel_values=pixel_values).values() if isinstance(value, torch.Tensor))


def turn(session: onnxruntime.InferenceSession, inputs: dict) -> float:
    start = time.perf_counter()
    session.run(None, inputs)
    return time.perf_counter() - start


def cases(model: torch.nn.Module, pixels: torch.Tensor, folder: Path, threads: int) -> dict:
    """Turns in f32 and with int8 weights, as onnxruntime's documentation quantises; what cannot be exported is said."""
    plain, quantised = folder / "model.onnx", folder / "model.int8.onnx"
    found = {}
    try:
        with torch.no_grad():
            names = {"input_names": ["pixel_values"], "verbose": False}
            torch.onnx.export(Plain(model).eval(), (pixels,), plain, dynamo=True, **names)
        quantize_dynamic(plain, quantised, weight_type=QuantType.QInt8)
    except Exception as error:  # noqa: BLE001: an exporter fails in many ways
        print(f"{folder.name}: no export: {str(error).splitlines()[0][:200]}", file=sys.stderr)
    for precision, path in (("f32", plain), ("int8", quantised)):
        if not path.exists():
            continue
        try:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            run = functools.partial(turn, session, {"pixel_values": pixels.numpy()})
            run()
            found[f"onnxruntime {precision}"] = run
        except Exception as error:  # noqa: BLE001
            print(f"{folder.name}: onnxruntime {precision} does not run: {str(error).splitlines()[0][:200]}", file=sys.stderr)
    return found
