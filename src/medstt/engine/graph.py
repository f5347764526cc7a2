"""Whisper as two ONNX graphs, written straight from the weights: no framework, any checkpoint, fused operators.

Encoder: features (1, n_mels, frames) -> the decoder's cross-attention keys and values, computed once per clip.
Decoder: new tokens + cache -> log-probabilities at the positions asked for, the grown cache and, if asked, the
attention of the alignment heads. Knows nothing of sessions, searching, caching on disk or audio.
"""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from medstt.engine.backend import Precision
from medstt.engine.checkpoint import Checkpoint

_OPSETS = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
_INLINE_BYTES = 4096  # larger tensors go to the data file, page-aligned so that the runtime can map them
_EPSILON = 1e-5
_FLOAT, _INT32, _INT64, _BOOL = TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL

Array = npt.NDArray[np.float32]


class _Writer:
    """Collects nodes and initialisers of one graph; big initialisers go to ``data``."""

    def __init__(self, data: BinaryIO, location: str, precision: Precision) -> None:
        self.nodes: list[NodeProto] = []
        self.tensors: list[TensorProto] = []
        self._data = data
        self._location = location
        self._precision = precision
        self._count = 0

    def name(self, hint: str) -> str:
        """Return a fresh value name."""
        self._count += 1
        return f"{hint}_{self._count}"

    def constant(self, value: npt.NDArray[np.generic], hint: str = "c") -> str:
        """Store an initialiser and return its name."""
        name = self.name(hint)
        value = np.ascontiguousarray(value)
        if value.nbytes <= _INLINE_BYTES:
            self.tensors.append(numpy_helper.from_array(value, name))
            return name
        self._data.write(b"\0" * (-self._data.tell() % 4096))
        tensor = TensorProto(
            name=name,
            data_type=helper.np_dtype_to_tensor_dtype(value.dtype),
            dims=value.shape,
            data_location=TensorProto.EXTERNAL,
        )
        entries = {"location": self._location, "offset": self._data.tell(), "length": value.nbytes}
        for key, entry in entries.items():
            tensor.external_data.add(key=key, value=str(entry))
        self._data.write(value.tobytes())
        self.tensors.append(tensor)
        return name

    def add(self, kind: str, inputs: list[str], outputs: int | list[str] = 1, **attributes: object) -> list[str]:
        """Add a node of the standard domain and return its output names."""
        return self._node(kind, inputs, outputs, "", attributes)

    def fused(self, kind: str, inputs: list[str], outputs: int | list[str] = 1, **attributes: object) -> list[str]:
        """Add a node of ONNX Runtime's own domain and return its output names."""
        return self._node(kind, inputs, outputs, "com.microsoft", attributes)

    def _node(
        self, kind: str, inputs: list[str], outputs: int | list[str], domain: str, attributes: dict[str, object]
    ) -> list[str]:
        names = [self.name(kind.lower()) for _ in range(outputs)] if isinstance(outputs, int) else outputs
        self.nodes.append(helper.make_node(kind, inputs, names, domain=domain, **attributes))
        return names

    def linear(self, x: str, weight: Array, bias: Array | None, *, seven_bits: bool = False) -> str:
        """Return ``x @ weight.T + bias``; ``weight`` is (out, in) as PyTorch keeps it."""
        if self._precision == "float32":
            (y,) = self.add("MatMul", [x, self.constant(weight.T, "w")])
            return y if bias is None else self.add("Add", [y, self.constant(bias, "b")])[0]
        values, scale, zero = quantise(weight, seven_bits=seven_bits)
        inputs = [x, self.constant(values, "w"), self.constant(scale, "s"), self.constant(zero, "z")]
        if bias is not None:
            inputs.append(self.constant(bias, "b"))
        return self.fused("DynamicQuantizeMatMul", inputs)[0]

    def model(self, name: str, inputs: list[ValueInfoProto], outputs: list[str]) -> ModelProto:
        """Close the graph."""
        results = [helper.make_tensor_value_info(output, _FLOAT, None) for output in outputs]
        graph = helper.make_graph(self.nodes, name, inputs, results, self.tensors)
        return helper.make_model(graph, opset_imports=_OPSETS, ir_version=9, producer_name="medstt")


def quantise(weight: Array, *, seven_bits: bool) -> tuple[npt.NDArray[np.generic], Array, npt.NDArray[np.generic]]:
    """Quantise (out, in) per output channel; return values (in, out), scales (out,) and zero points (out,).

    Without VNNI the runtime's unsigned x signed kernel adds pairs of products in 16 bits and saturates: 8-bit signed
    weights lose up to 5 % there. Seven bits cannot overflow and run fastest (used for the encoder, which is bound by
    arithmetic); unsigned weights take the exact kernel (used for the decoder, which is bound by memory).
    """
    limit = 63 if seven_bits else 127
    scale = np.maximum(np.abs(weight).max(axis=1), 1e-8) / limit
    rounded = np.clip(np.rint(weight / scale[:, None]), -limit, limit).astype(np.int16).T
    if seven_bits:
        return rounded.astype(np.int8), scale.astype(np.float32), np.zeros(len(scale), np.int8)
    return (rounded + 128).astype(np.uint8), scale.astype(np.float32), np.full(len(scale), 128, np.uint8)


def build_encoder(checkpoint: Checkpoint, data: BinaryIO, location: str, precision: Precision) -> ModelProto:
    """Build the encoder graph; weights above a page go to ``data``, named ``location`` in the model.

    Input ``features`` (1, n_mels, frames), frames even; outputs ``cross_k_i``, ``cross_v_i`` of shape
    (1, heads, frames / 2, head size) for each decoder layer i, and ``letters`` (1, frames / 2, characters) where the
    model has a head for them.
    """
    shape, tensor = checkpoint.shape, checkpoint.tensor
    w = _Writer(data, location, precision)
    x = "features"
    for number, stride in ((1, 1), (2, 2)):
        weight, bias = (w.constant(tensor(f"model.encoder.conv{number}.{part}")) for part in ("weight", "bias"))
        (x,) = w.add("Conv", [x, weight, bias], kernel_shape=[3], pads=[1, 1], strides=[stride])
        (x,) = w.fused("Gelu", [x])
    (x,) = w.add("Transpose", [x], perm=[0, 2, 1])
    (length,) = w.add("Slice", [*w.add("Shape", [x]), *(w.constant(np.array([i])) for i in (1, 2))])
    positions = w.constant(tensor("model.encoder.embed_positions.weight"))
    zero = w.constant(np.array([0]))
    (hidden,) = w.add("Add", [x, *w.add("Slice", [positions, zero, length])])
    norms = [f"model.encoder.layers.{i}" for i in range(shape.encoder_layers)]
    x = _norm(w, checkpoint, hidden, f"{norms[0]}.self_attn_layer_norm")
    for i, layer in enumerate(norms):
        q, k, v = _qkv(w, checkpoint, x, f"{layer}.self_attn", seven_bits=True)
        (x,) = w.fused("MultiHeadAttention", [q, k, v], num_heads=shape.encoder_heads)
        x = _linear(w, checkpoint, x, f"{layer}.self_attn.out_proj", seven_bits=True)
        x, hidden = _sum_norm(w, checkpoint, x, hidden, f"{layer}.final_layer_norm")
        x = _linear(w, checkpoint, x, f"{layer}.fc1", seven_bits=True)
        (x,) = w.fused("Gelu", [x])
        x = _linear(w, checkpoint, x, f"{layer}.fc2", seven_bits=True)
        last = i + 1 == shape.encoder_layers
        following = "model.encoder.layer_norm" if last else f"{norms[i + 1]}.self_attn_layer_norm"
        x, hidden = _sum_norm(w, checkpoint, x, hidden, following)
    outputs = _cross_states(w, checkpoint, x)
    if checkpoint.letter_head is not None:
        head, offset = checkpoint.letter_head
        (y,) = w.add("MatMul", [x, w.constant(head.T)])
        (y,) = w.add("Add", [y, w.constant(offset)])
        outputs += w.add("LogSoftmax", [y], ["letters"], axis=-1)
    features = helper.make_tensor_value_info("features", _FLOAT, [1, shape.n_mels, "frames"])
    return w.model("encoder", [features], outputs)


def _cross_states(w: _Writer, checkpoint: Checkpoint, x: str) -> list[str]:
    shape = checkpoint.shape
    split = w.constant(np.array([0, 0, shape.decoder_heads, shape.d_model // shape.decoder_heads]))
    outputs = []
    for i in range(shape.decoder_layers):
        for part in ("k", "v"):
            y = _linear(w, checkpoint, x, f"model.decoder.layers.{i}.encoder_attn.{part}_proj", seven_bits=True)
            (y,) = w.add("Reshape", [y, split])
            outputs += w.add("Transpose", [y], [f"cross_{part}_{i}"], perm=[0, 2, 1, 3])
    return outputs


def build_decoder(checkpoint: Checkpoint, data: BinaryIO, location: str, precision: Precision) -> ModelProto:
    """Build the decoder graph; weights above a page go to ``data``, named ``location`` in the model.

    Inputs: ``tokens`` (rows, n); ``positions`` (n,); ``take`` (k,), indices into n whose log-probabilities are wanted;
    ``suppress`` (vocabulary,), added to the logits before the softmax; ``mask`` (items, source), 1 for real encoder
    positions; ``attend`` (1,) bool; ``past_{k,v}_i`` (rows, heads, past, size); ``cross_{k,v}_i`` (items, heads,
    source, size). Rows of one item (its beams) lie together and share its cross-attention states.
    Outputs: ``logprobs`` (rows, k, vocabulary); ``attention`` (rows, chosen heads, n, source), empty unless
    ``attend``, which needs rows == items; ``next_{k,v}_i``.
    """
    shape, tensor = checkpoint.shape, checkpoint.tensor
    heads, size = shape.decoder_heads, shape.d_model // shape.decoder_heads
    w = _Writer(data, location, precision)
    table = tensor("model.decoder.embed_tokens.weight")
    hidden = _embedding(w, checkpoint, table, precision)
    (rows,) = w.add("Shape", [hidden])
    (items,) = w.add("Shape", ["mask"], start=0, end=1)
    (grouped,) = w.add("Concat", [items, w.constant(np.array([-1, shape.d_model]))], axis=0)
    layers = [f"model.decoder.layers.{i}" for i in range(shape.decoder_layers)]
    x = _norm(w, checkpoint, hidden, f"{layers[0]}.self_attn_layer_norm")
    queries: dict[int, str] = {}
    outputs = ["logprobs", "attention"]
    for i, layer in enumerate(layers):
        q, k, v = _qkv(w, checkpoint, x, f"{layer}.self_attn")
        grown = [f"next_k_{i}", f"next_v_{i}"]
        inputs = [q, k, v, "", "", "", f"past_k_{i}", f"past_v_{i}"]
        x, *_ = w.fused("MultiHeadAttention", inputs, [w.name("y"), *grown], num_heads=heads, unidirectional=1)
        outputs += grown
        x = _linear(w, checkpoint, x, f"{layer}.self_attn.out_proj")
        x, hidden = _skip_norm(w, checkpoint, x, hidden, f"{layer}.encoder_attn_layer_norm")
        q = _linear(w, checkpoint, x, f"{layer}.encoder_attn.q_proj")
        (queries[i],) = w.add("Reshape", [q, grouped])
        (x,) = w.fused("MultiHeadAttention", [queries[i], f"cross_k_{i}", f"cross_v_{i}", "", "mask"], num_heads=heads)
        (x,) = w.add("Reshape", [x, rows])
        x = _linear(w, checkpoint, x, f"{layer}.encoder_attn.out_proj")
        x, hidden = _skip_norm(w, checkpoint, x, hidden, f"{layer}.final_layer_norm")
        x = _linear(w, checkpoint, x, f"{layer}.fc1")
        (x,) = w.fused("Gelu", [x])
        x = _linear(w, checkpoint, x, f"{layer}.fc2")
        last = i + 1 == shape.decoder_layers
        following = "model.decoder.layer_norm" if last else f"{layers[i + 1]}.self_attn_layer_norm"
        x, hidden = _skip_norm(w, checkpoint, x, hidden, following)
    (x,) = w.add("Gather", [x, "take"], axis=1)
    untied = checkpoint.has("proj_out.weight")
    x = w.linear(x, tensor("proj_out.weight") if untied else table, None)
    (x,) = w.add("Add", [x, "suppress"])
    w.add("LogSoftmax", [x], ["logprobs"], axis=-1)
    _attention(w, checkpoint, queries, size)
    return w.model("decoder", _decoder_inputs(checkpoint), outputs)


def _decoder_inputs(checkpoint: Checkpoint) -> list[ValueInfoProto]:
    shape = checkpoint.shape
    heads, size = shape.decoder_heads, shape.d_model // shape.decoder_heads
    kinds: list[tuple[str, int, list[int | str]]] = [
        ("tokens", _INT64, ["rows", "n"]),
        ("positions", _INT64, ["n"]),
        ("take", _INT64, ["k"]),
        ("suppress", _FLOAT, [shape.vocabulary]),
        ("mask", _INT32, ["items", "source"]),
        ("attend", _BOOL, [1]),
    ]
    for i in range(shape.decoder_layers):
        kinds += [(f"past_{part}_{i}", _FLOAT, ["rows", heads, "past", size]) for part in ("k", "v")]
        kinds += [(f"cross_{part}_{i}", _FLOAT, ["items", heads, "source", size]) for part in ("k", "v")]
    return [helper.make_tensor_value_info(name, kind, dims) for name, kind, dims in kinds]


def _embedding(w: _Writer, checkpoint: Checkpoint, table: Array, precision: Precision) -> str:
    """Add the token and position look-up; the token table is kept in half precision next to int8 weights."""
    if checkpoint.shape.scale_embedding:
        table = table * np.float32(checkpoint.shape.d_model**0.5)
    if precision == "float32":
        (x,) = w.add("Gather", [w.constant(table), "tokens"])
    else:
        (x,) = w.add("Gather", [w.constant(table.astype(np.float16)), "tokens"])
        (x,) = w.add("Cast", [x], to=_FLOAT)
    positions = w.constant(checkpoint.tensor("model.decoder.embed_positions.weight"))
    return w.add("Add", [x, *w.add("Gather", [positions, "positions"])])[0]


def _attention(w: _Writer, checkpoint: Checkpoint, queries: dict[int, str], size: int) -> None:
    """Add the cross-attention of the alignment heads, computed only when ``attend`` is true."""
    chosen: dict[int, list[int]] = {}
    for layer, head in checkpoint.alignment_heads:
        chosen.setdefault(layer, []).append(head)
    inner = _Branch(w)
    hidden_keys = inner.add("Cast", ["mask"], to=_FLOAT)
    hidden_keys = inner.add("Sub", [hidden_keys, w.constant(np.float32(1.0).reshape(1))])
    hidden_keys = inner.add("Mul", [hidden_keys, w.constant(np.float32(1e9).reshape(1))])
    hidden_keys = inner.add("Unsqueeze", [hidden_keys, w.constant(np.array([1, 2]))])
    split = w.constant(np.array([0, 0, checkpoint.shape.decoder_heads, size]))
    parts = []
    for layer, heads in sorted(chosen.items()):
        index = w.constant(np.array(heads))
        q = inner.add("Reshape", [queries[layer], split])
        q = inner.add("Gather", [inner.add("Transpose", [q], perm=[0, 2, 1, 3]), index], axis=1)
        k = inner.add("Gather", [f"cross_k_{layer}", index], axis=1)
        weights = inner.add("MatMul", [q, inner.add("Transpose", [k], perm=[0, 1, 3, 2])])
        weights = inner.add("Mul", [weights, w.constant(np.float32(size**-0.5).reshape(1))])
        parts.append(inner.add("Softmax", [inner.add("Add", [weights, hidden_keys])], axis=-1))
    then = inner.close(inner.add("Concat", parts, axis=1))
    empty = _Branch(w)
    nothing = numpy_helper.from_array(np.zeros((0, 0, 0, 0), np.float32))
    otherwise = empty.close(empty.add("Constant", [], value=nothing))
    w.add("If", ["attend"], ["attention"], then_branch=then, else_branch=otherwise)


class _Branch:
    """The nodes of one branch of an If; initialisers live in the outer graph."""

    def __init__(self, outer: _Writer) -> None:
        self._outer = outer
        self._nodes: list[NodeProto] = []

    def add(self, kind: str, inputs: list[str], **attributes: object) -> str:
        """Add a node of the standard domain and return its output name."""
        name = self._outer.name(kind.lower())
        self._nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def close(self, output: str) -> GraphProto:
        """Return the branch with its one output."""
        return helper.make_graph(
            self._nodes, f"branch_{output}", [], [helper.make_tensor_value_info(output, _FLOAT, None)]
        )


def _linear(w: _Writer, checkpoint: Checkpoint, x: str, name: str, *, seven_bits: bool = False) -> str:
    bias = checkpoint.tensor(f"{name}.bias") if checkpoint.has(f"{name}.bias") else None
    return w.linear(x, checkpoint.tensor(f"{name}.weight"), bias, seven_bits=seven_bits)


def _qkv(w: _Writer, checkpoint: Checkpoint, x: str, name: str, *, seven_bits: bool = False) -> list[str]:
    """Project to queries, keys and values with one product (Whisper's keys have no bias)."""
    weight = np.concatenate([checkpoint.tensor(f"{name}.{part}_proj.weight") for part in "qkv"])
    nothing = np.zeros(checkpoint.shape.d_model, np.float32)
    parts = [f"{name}.{part}_proj" for part in "qkv"]
    biases = [checkpoint.tensor(f"{part}.bias") if checkpoint.has(f"{part}.bias") else nothing for part in parts]
    x = w.linear(x, weight, np.concatenate(biases), seven_bits=seven_bits)
    return w.add("Split", [x, w.constant(np.full(3, checkpoint.shape.d_model, np.int64))], 3, axis=-1)


def _norm(w: _Writer, checkpoint: Checkpoint, x: str, name: str) -> str:
    gamma, beta = (w.constant(checkpoint.tensor(f"{name}.{part}")) for part in ("weight", "bias"))
    return w.add("LayerNormalization", [x, gamma, beta], axis=-1, epsilon=_EPSILON)[0]


def _sum_norm(w: _Writer, checkpoint: Checkpoint, x: str, hidden: str, name: str) -> tuple[str, str]:
    """Return the norm of ``x + hidden`` and the sum itself: over many rows the plain operators are the faster ones."""
    (hidden,) = w.add("Add", [x, hidden])
    return _norm(w, checkpoint, hidden, name), hidden


def _skip_norm(w: _Writer, checkpoint: Checkpoint, x: str, hidden: str, name: str) -> tuple[str, str]:
    """Return the norm of ``x + hidden`` and the sum itself, in one node: the fastest for a row or two."""
    gamma, beta = (w.constant(checkpoint.tensor(f"{name}.{part}")) for part in ("weight", "bias"))
    names = [w.name("normed"), "", "", w.name("hidden")]
    w.fused("SkipLayerNormalization", [x, hidden, gamma, beta], names, epsilon=_EPSILON)
    return names[0], names[3]
