"""Runs the small translation models of Bergamot and Firefox: a transformer with an SSRU decoder.

The model is the student of Kim et al., "From Research to Production and Back: Ludicrously Fast
Neural Machine Translation" (WNGT 2019): post-norm layers, a simpler simple recurrent unit in place
of the decoder's self-attention, one vocabulary and embedding for both languages. It was trained for
greedy decoding, so that is what it gets. Arrays are (sentences, heads, positions, values).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .marianfile import INT8_SCALED, ModelFile, Tensor

Array: TypeAlias = npt.NDArray[np.float32]

_EMBEDDING = "Wemb"
_EXPECTED = {
    "type": "transformer",
    "transformer-decoder-autoreg": "rnn",
    "dec-cell": "ssru",
    "tied-embeddings-all": "true",
    "transformer-postprocess": "dan",
    "transformer-preprocess": '""',
    "transformer-ffn-activation": "relu",
    "transformer-train-position-embeddings": "false",
}
_LONGEST_FACTOR = 2.5
"""Tokens of a translation for each of the original, as the published models are configured."""
_LONGEST_MORE = 10
_EPSILON = 1e-9
_NEVER = np.float32(-1e9)


class Network:
    """A loaded model. ``end`` is the token that ends a sentence."""

    def __init__(self, file: ModelFile, end: int = 0) -> None:
        """Raises: ValueError (a model of another kind); KeyError (a tensor is missing)."""
        for name, wanted in _EXPECTED.items():
            if file.options.get(name) != wanted:
                raise ValueError(f"its {name} is {file.options.get(name)}, not {wanted}")
        self._end = end
        self._tensors = {name: _array(name, one) for name, one in file.tensors.items()}
        self._heads = int(file.options["transformer-heads"])
        self._encoder = range(1, int(file.options["enc-depth"]) + 1)
        self._decoder = range(1, int(file.options["dec-depth"]) + 1)
        self._embedding = self._tensors[_EMBEDDING]
        self._width = self._embedding.shape[1]
        # Of (width, vocabulary), in memory in that order: the largest product of each step.
        self._output = np.ascontiguousarray(self._embedding.T)

    def translate(self, sentences: Sequence[Sequence[int]]) -> list[list[int]]:
        """The most likely next token, again and again, until each sentence has ended."""
        longest = max(map(len, sentences)) + 1
        tokens = np.full((len(sentences), longest), self._end)
        mask = np.full((len(sentences), 1, 1, longest), _NEVER)
        for row, sentence in enumerate(sentences):
            tokens[row, : len(sentence)] = sentence
            mask[row, ..., : len(sentence) + 1] = 0.0
        seen = self._encode(tokens, mask)
        contexts = [
            [self._split(self._linear(seen, f"decoder_l{layer}_context", kind)) for kind in "kv"]
            for layer in self._decoder
        ]
        cells = [np.zeros((len(sentences), 1, self._width), np.float32) for _ in self._decoder]
        made: list[list[int]] = [[] for _ in sentences]
        active = np.arange(len(sentences))
        last = np.zeros((len(sentences), 1, self._width), np.float32)
        for step in range(int(_LONGEST_FACTOR * longest) + _LONGEST_MORE):
            scores = self._step(last, step, cells, contexts, mask)
            best = scores.argmax(-1)
            goes_on = best != self._end
            if not goes_on.all():
                # A sentence that has ended costs no more.
                active, best, mask = active[goes_on], best[goes_on], mask[goes_on]
                cells = [cell[goes_on] for cell in cells]
                contexts = [[one[goes_on] for one in both] for both in contexts]
            if not len(active):
                break
            for row, token in zip(active, best, strict=True):
                made[row].append(int(token))
            last = self._embedded(best)[:, None]
        return made

    def _encode(self, tokens: npt.NDArray[Any], mask: Array) -> Array:
        x = self._embedded(tokens) + _positions(0, tokens.shape[1], self._width)
        for layer in self._encoder:
            name = f"encoder_l{layer}_self"
            query, key, value = (self._split(self._linear(x, name, kind)) for kind in "qkv")
            x = self._normed(x + self._attend(name, query, key, value, mask), f"{name}_Wo")
            x = self._feed_forward(x, f"encoder_l{layer}_ffn")
        return x

    def _step(
        self,
        last: Array,
        step: int,
        cells: list[Array],
        contexts: list[list[Array]],
        mask: Array,
    ) -> Array:
        """Scores of every token at the next place. Updates ``cells``."""
        x = last + _positions(step, step + 1, self._width)
        for index, layer in enumerate(self._decoder):
            name = f"decoder_l{layer}"
            forget = _sigmoid(self._linear(x, f"{name}_rnn", "f"))
            new = x @ self._tensors[f"{name}_rnn_W"]
            cells[index] = forget * cells[index] + (1.0 - forget) * new
            x = self._normed(x + np.maximum(cells[index], 0.0), f"{name}_rnn_ffn")
            query = self._split(self._linear(x, f"{name}_context", "q"))
            key, value = contexts[index]
            seen = self._attend(f"{name}_context", query, key, value, mask)
            x = self._normed(x + seen, f"{name}_context_Wo")
            x = self._feed_forward(x, f"{name}_ffn")
        scores: Array = x[:, 0] @ self._output + self._tensors["decoder_ff_logit_out_b"]
        return scores

    def _embedded(self, tokens: npt.NDArray[Any]) -> Array:
        return self._embedding[tokens] * np.float32(np.sqrt(self._width))

    def _linear(self, x: Array, name: str, kind: str) -> Array:
        return x @ self._tensors[f"{name}_W{kind}"] + self._tensors[f"{name}_b{kind}"]

    def _feed_forward(self, x: Array, name: str) -> Array:
        inner = np.maximum(self._linear(x, name, "1"), 0.0)
        return self._normed(x + self._linear(inner, name, "2"), f"{name}_ffn")

    def _split(self, x: Array) -> Array:
        """(sentences, positions, width) to one slice for each head."""
        sentences, positions, _ = x.shape
        return x.reshape(sentences, positions, self._heads, -1).transpose(0, 2, 1, 3)

    def _attend(self, name: str, query: Array, key: Array, value: Array, mask: Array) -> Array:
        scores = query @ key.transpose(0, 1, 3, 2) / np.float32(np.sqrt(query.shape[-1])) + mask
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        together = (weights @ value).transpose(0, 2, 1, 3)
        return self._linear(together.reshape(*together.shape[:2], -1), name, "o")

    def _normed(self, x: Array, name: str) -> Array:
        centred = x - x.mean(-1, keepdims=True)
        deviation = np.sqrt((centred**2).mean(-1, keepdims=True) + _EPSILON)
        return (
            centred / deviation * self._tensors[f"{name}_ln_scale"]
            + self._tensors[f"{name}_ln_bias"]
        )


def _array(name: str, tensor: Tensor) -> Array:
    if tensor.kind != INT8_SCALED:
        return np.frombuffer(tensor.data, "<f4", tensor.size).reshape(tensor.shape)
    values = np.frombuffer(tensor.data, "<i1", tensor.size)
    ordered = (
        values.reshape(tensor.shape) if name == _EMBEDDING else values.reshape(tensor.shape[::-1]).T
    )
    return np.ascontiguousarray(ordered, np.float32) / np.float32(tensor.scale)


def _positions(start: int, end: int, width: int) -> Array:
    """Marian's signal: sines in the first half of the values, cosines in the second."""
    half = width // 2
    steps = np.exp(np.arange(half) * -(np.log(10_000.0) / (half - 1)))
    angles = np.arange(start, end)[:, None] * steps
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)


def _sigmoid(x: Array) -> Array:
    return np.float32(1.0) / (np.float32(1.0) + np.exp(-x))
