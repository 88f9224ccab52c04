"""CAM++: one vector for each voice (Wang et al. 2023, "CAM++: A Fast and Efficient Network for
Speaker Verification Using Context-Aware Masking").

A small 2-D convolution takes the spectrogram to 320 channels a frame; a densely connected time
delay network follows, in which every layer is masked by what it hears around; mean and deviation
over time become a vector of 192 numbers. The attributes have the names of the published weights.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
import torch.nn.functional as F  # noqa: N812 - the name that everybody knows
from torch import Tensor, nn

DIMENSION = 192
MEL_BINS = 80
_CHANNELS = 32
_GROWTH = 32
_BOTTLENECK = 128
_CONTEXT = 100
"""Frames of a mask's context, at half the frame rate: two seconds."""


def camplus() -> nn.Module:
    """The network without weights: ``(batch, frames, MEL_BINS)`` to ``(batch, DIMENSION)``."""
    return _Camplus()


class _Camplus(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = _Front()
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["tdnn"] = _TimeDelay(_CHANNELS * MEL_BINS // 8, 128)
        channels = 128
        for number, (depth, dilation) in enumerate(((12, 1), (24, 2), (16, 2)), 1):
            layers[f"block{number}"] = _DenseBlock(channels, depth, dilation)
            channels += depth * _GROWTH
            layers[f"transit{number}"] = _Transit(channels, channels // 2)
            channels //= 2
        layers["out_nonlinear"] = _norm_relu(channels)
        layers["stats"] = _Statistics()
        layers["dense"] = _Dense(2 * channels, DIMENSION)
        self.xvector = nn.Sequential(layers)

    def forward(self, features: Tensor) -> Tensor:
        frames: Tensor = self.head(features.transpose(1, 2))
        vectors: Tensor = self.xvector(frames)
        return vectors


class _Residual(nn.Module):
    """Two convolutions around which the input is added; ``stride`` shrinks the frequency axis."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(_CHANNELS, _CHANNELS, 3, (stride, 1), 1, bias=False)
        self.bn1 = nn.BatchNorm2d(_CHANNELS)
        self.conv2 = nn.Conv2d(_CHANNELS, _CHANNELS, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(_CHANNELS)
        self.shortcut = nn.Sequential()
        if stride > 1:
            self.shortcut = nn.Sequential(
                nn.Conv2d(_CHANNELS, _CHANNELS, 1, (stride, 1), bias=False),
                nn.BatchNorm2d(_CHANNELS),
            )

    def forward(self, image: Tensor) -> Tensor:
        inner = F.relu(self.bn1(self.conv1(image)))
        return F.relu(self.bn2(self.conv2(inner)) + self.shortcut(image))


class _Front(nn.Module):
    """``(batch, MEL_BINS, frames)`` to ``(batch, channels * MEL_BINS / 8, frames)``."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, _CHANNELS, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(_CHANNELS)
        self.layer1 = nn.Sequential(_Residual(2), _Residual(1))
        self.layer2 = nn.Sequential(_Residual(2), _Residual(1))
        self.conv2 = nn.Conv2d(_CHANNELS, _CHANNELS, 3, (2, 1), 1, bias=False)
        self.bn2 = nn.BatchNorm2d(_CHANNELS)

    def forward(self, features: Tensor) -> Tensor:
        image = F.relu(self.bn1(self.conv1(features.unsqueeze(1))))
        image = self.layer2(self.layer1(image))
        return F.relu(self.bn2(self.conv2(image))).flatten(1, 2)


def _norm_relu(channels: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(batchnorm=nn.BatchNorm1d(channels), relu=nn.ReLU(inplace=True))
    )


class _TimeDelay(nn.Module):
    """Halves the frame rate."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Conv1d(inputs, outputs, 5, 2, 2, bias=False)
        self.nonlinear = _norm_relu(outputs)

    def forward(self, frames: Tensor) -> Tensor:
        out: Tensor = self.nonlinear(self.linear(frames))
        return out


class _ContextMask(nn.Module):
    """A convolution over time, masked by the mean of everything and of the seconds around."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.linear_local = nn.Conv1d(
            _BOTTLENECK, _GROWTH, 3, padding=dilation, dilation=dilation, bias=False
        )
        self.linear1 = nn.Conv1d(_BOTTLENECK, _BOTTLENECK // 2, 1)
        self.linear2 = nn.Conv1d(_BOTTLENECK // 2, _GROWTH, 1)

    def forward(self, frames: Tensor) -> Tensor:
        around = F.avg_pool1d(frames, _CONTEXT, _CONTEXT, ceil_mode=True)
        around = around.repeat_interleave(_CONTEXT, dim=-1)[..., : frames.shape[-1]]
        context = frames.mean(-1, keepdim=True) + around
        mask = torch.sigmoid(self.linear2(F.relu(self.linear1(context))))
        out: Tensor = self.linear_local(frames) * mask
        return out


class _DenseLayer(nn.Module):
    def __init__(self, inputs: int, dilation: int) -> None:
        super().__init__()
        self.nonlinear1 = _norm_relu(inputs)
        self.linear1 = nn.Conv1d(inputs, _BOTTLENECK, 1, bias=False)
        self.nonlinear2 = _norm_relu(_BOTTLENECK)
        self.cam_layer = _ContextMask(dilation)

    def forward(self, frames: Tensor) -> Tensor:
        out: Tensor = self.cam_layer(self.nonlinear2(self.linear1(self.nonlinear1(frames))))
        return out


class _DenseBlock(nn.Module):
    """Each layer gets what all before it made."""

    def __init__(self, inputs: int, depth: int, dilation: int) -> None:
        super().__init__()
        for number in range(depth):
            self.add_module(f"tdnnd{number + 1}", _DenseLayer(inputs + number * _GROWTH, dilation))

    def forward(self, frames: Tensor) -> Tensor:
        for layer in self.children():
            frames = torch.cat([frames, layer(frames)], dim=1)
        return frames


class _Transit(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.nonlinear = _norm_relu(inputs)
        self.linear = nn.Conv1d(inputs, outputs, 1, bias=False)

    def forward(self, frames: Tensor) -> Tensor:
        out: Tensor = self.linear(self.nonlinear(frames))
        return out


class _Statistics(nn.Module):
    def forward(self, frames: Tensor) -> Tensor:
        return torch.cat([frames.mean(-1), frames.std(-1)], dim=-1)


class _Dense(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Conv1d(inputs, outputs, 1, bias=False)
        self.nonlinear = nn.Sequential(OrderedDict(batchnorm=nn.BatchNorm1d(outputs, affine=False)))

    def forward(self, vectors: Tensor) -> Tensor:
        out: Tensor = self.nonlinear(self.linear(vectors.unsqueeze(-1)).squeeze(-1))
        return out
