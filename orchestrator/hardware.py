"""What this machine has: processor, memory, GPUs. Nothing here imports a model library.

A value, so that it can be recorded with a job and a table of defaults can be tested against
machines that are not at hand. Everything is read through a :class:`Probe`.
"""

from __future__ import annotations

import contextlib
import importlib
import math
import os
import platform as host
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import psutil

GpuKind = Literal["cuda", "rocm", "mps"]


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU.

    ``index`` is its number as a process of this user counts (after ``CUDA_VISIBLE_DEVICES``, and
    with ``CUDA_DEVICE_ORDER=PCI_BUS_ID``). For ``mps``, ``memory_bytes`` is all of the memory,
    which processor and GPU share.
    """

    kind: GpuKind
    name: str
    index: int
    memory_bytes: int
    driver: str


@dataclass(frozen=True, slots=True)
class Hardware:
    """The part of the machine that this process may use.

    ``cores`` are physical, ``threads`` logical; both, and ``ram_bytes``, are cut to the CPU
    affinity and to the limits of the control group.
    """

    cpu_name: str
    cores: int
    threads: int
    ram_bytes: int
    gpus: tuple[Gpu, ...]
    platform: str
    machine: str

    @property
    def best_gpu(self) -> Gpu | None:
        """The GPU with the most memory, the first of equals."""
        return max(self.gpus, key=lambda gpu: gpu.memory_bytes, default=None)

    def to_json(self) -> dict[str, Any]:
        data = asdict(self)
        data["gpus"] = [asdict(gpu) for gpu in self.gpus]
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Hardware:
        """Read what :meth:`to_json` wrote. Raises: KeyError, TypeError."""
        gpus = tuple(Gpu(**gpu) for gpu in data["gpus"])
        return cls(**{**data, "gpus": gpus})


def _optional(module: str) -> Any:
    """A module that may be missing, or fail in its own ways where there is no driver."""
    with contextlib.suppress(Exception):  # amdsmi raises KeyError without ROCm
        return importlib.import_module(module)
    return None


@dataclass(frozen=True, slots=True)
class Probe:
    """Where the facts are read from; a test gives its own.

    ``root`` stands before ``/proc`` and ``/sys``. ``nvml`` and ``amdsmi`` are the modules of those
    names, or None.
    """

    platform: str = sys.platform
    machine: str = field(default_factory=host.machine)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    root: Path = Path("/")
    nvml: Any = field(default_factory=lambda: _optional("pynvml"))
    amdsmi: Any = field(default_factory=lambda: _optional("amdsmi"))
    sysctl_cpu_name: str = field(default_factory=host.processor)

    def logical(self) -> int:
        return psutil.cpu_count(logical=True) or 1

    def physical(self) -> int:
        return psutil.cpu_count(logical=False) or self.logical()

    def affinity(self) -> int:
        """Logical processors this process may run on."""
        if hasattr(os, "sched_getaffinity"):
            return len(os.sched_getaffinity(0))
        return self.logical()

    def memory(self) -> int:
        return int(psutil.virtual_memory().total)

    def text(self, path: str) -> str:
        """A file below ``root``, empty when it cannot be read."""
        with contextlib.suppress(OSError):
            return (self.root / path.lstrip("/")).read_text(encoding="utf-8", errors="replace")
        return ""


def detect(probe: Probe | None = None) -> Hardware:
    """Look at the machine; never fails, at worst less is known. 80 ms with NVIDIA's driver."""
    probe = probe or Probe()
    quota, limit = _control_group(probe)
    threads = min(probe.affinity(), quota)
    memory = min(probe.memory(), limit)
    return Hardware(
        cpu_name=_cpu_name(probe),
        cores=max(1, min(probe.physical(), threads)),
        threads=max(1, threads),
        ram_bytes=memory,
        gpus=(*_cuda(probe), *_rocm(probe), *_mps(probe, memory)),
        platform=probe.platform,
        machine=probe.machine,
    )


def _cpu_name(probe: Probe) -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", probe.text("/proc/cpuinfo"), re.MULTILINE)
    return found[1].strip() if found else probe.sysctl_cpu_name or probe.machine


_NO_LIMIT = 1 << 60


def _control_group(probe: Probe) -> tuple[int, int]:
    """Processors (rounded up) and bytes that the control groups above this process allow."""
    cpus, memory = _NO_LIMIT, _NO_LIMIT
    for line in probe.text("/proc/self/cgroup").splitlines():
        _number, controllers, path = [*line.split(":", 2), "", ""][:3]
        for folder in _upwards(path):
            if not controllers:  # version 2
                place = f"/sys/fs/cgroup{folder}"
                cpus = min(cpus, _processors(*(probe.text(f"{place}/cpu.max").split() or [""])))
                memory = min(memory, _limit(probe.text(f"{place}/memory.max")))
            elif "memory" in controllers.split(","):
                place = f"/sys/fs/cgroup/memory{folder}"
                memory = min(memory, _limit(probe.text(f"{place}/memory.limit_in_bytes")))
            elif "cpu" in controllers.split(","):
                place = f"/sys/fs/cgroup/{controllers}{folder}"
                period = probe.text(f"{place}/cpu.cfs_period_us").strip()
                cpus = min(cpus, _processors(probe.text(f"{place}/cpu.cfs_quota_us"), period))
    return cpus, memory


def _upwards(path: str) -> list[str]:
    """``/a/b`` as ``/a/b``, ``/a`` and the root, empty: any of them may set the limit."""
    parts = [part for part in path.split("/") if part]
    return ["".join(f"/{part}" for part in parts[:count]) for count in range(len(parts), -1, -1)]


def _processors(quota: str, period: str = "100000") -> int:
    if not quota.strip().isdigit() or not period.isdigit() or int(period) == 0:
        return _NO_LIMIT  # "max" or -1
    return max(1, math.ceil(int(quota) / int(period)))


def _limit(text: str) -> int:
    return int(text) if text.strip().isdigit() else _NO_LIMIT


def _cuda(probe: Probe) -> tuple[Gpu, ...]:
    with _nvml(probe.nvml) as nvml:
        if nvml is None:
            return ()
        driver = _text(nvml.nvmlSystemGetDriverVersion())
        gpus = []
        for index, handle in enumerate(visible_handles(nvml, probe.environ)):
            with contextlib.suppress(nvml.NVMLError):
                memory = int(nvml.nvmlDeviceGetMemoryInfo(handle).total)
                gpus.append(
                    Gpu("cuda", _text(nvml.nvmlDeviceGetName(handle)), index, memory, driver)
                )
        return tuple(gpus)


@contextlib.contextmanager
def _nvml(nvml: Any) -> Iterator[Any]:
    """NVML for a moment; None without the library or its driver."""
    try:
        if nvml is not None:
            nvml.nvmlInit()
    except nvml.NVMLError:
        nvml = None
    try:
        yield nvml
    finally:
        if nvml is not None:
            nvml.nvmlShutdown()


def visible_handles(nvml: Any, environ: Mapping[str, str]) -> list[Any]:
    """NVML's handles of the devices in ``CUDA_VISIBLE_DEVICES``, in its order.

    As CUDA does, the list ends at the first entry that names no device.
    """
    handles = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
    wanted = environ.get("CUDA_VISIBLE_DEVICES")
    if wanted is None:
        return handles
    visible = []
    for entry in (part.strip() for part in wanted.split(",")):
        if entry.isdigit() and int(entry) < len(handles):
            visible.append(handles[int(entry)])
            continue
        named = [
            handle
            for handle in handles
            if entry and _text(nvml.nvmlDeviceGetUUID(handle)).startswith(entry)
        ]
        if len(named) != 1:
            break
        visible.append(named[0])
    return visible


def _rocm(probe: Probe) -> tuple[Gpu, ...]:
    names = _amd_names(probe.amdsmi)
    driver = probe.text("/sys/module/amdgpu/version").strip()
    gpus: list[Gpu] = []
    for card in sorted((probe.root / "sys/class/drm").glob("card[0-9]*")):
        place = f"/sys/class/drm/{card.name}/device"
        memory = probe.text(f"{place}/mem_info_vram_total").strip()
        if probe.text(f"{place}/vendor").strip() != "0x1002" or not memory.isdigit():
            continue
        index = len(gpus)
        name = names[index] if index < len(names) else probe.text(f"{place}/product_name").strip()
        gpus.append(Gpu("rocm", name or "AMD GPU", index, int(memory), driver))
    return tuple(gpus)


def _amd_names(amdsmi: Any) -> list[str]:
    if amdsmi is None:
        return []
    names: list[str] = []
    with contextlib.suppress(Exception):  # whatever it raises, the names are only for people
        amdsmi.amdsmi_init()
        try:
            names += [
                str(amdsmi.amdsmi_get_gpu_asic_info(handle)["market_name"])
                for handle in amdsmi.amdsmi_get_processor_handles()
            ]
        finally:
            amdsmi.amdsmi_shut_down()
    return names


def _mps(probe: Probe, memory: int) -> tuple[Gpu, ...]:
    if probe.platform != "darwin" or probe.machine != "arm64":
        return ()
    return (Gpu("mps", _cpu_name(probe), 0, memory, ""),)


def _text(value: str | bytes) -> str:
    """NVML's older bindings give bytes."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


@dataclass(frozen=True, slots=True)
class GpuUse:
    """Memory in bytes and utilisation in percent, of the whole device."""

    used_bytes: int
    total_bytes: int
    utilisation: float

    @property
    def memory_percent(self) -> float:
        return 100 * self.used_bytes / self.total_bytes if self.total_bytes else 0.0


@dataclass(frozen=True, slots=True)
class GpuMemory:
    """Memory of a device in bytes; ``by_process`` is what each process id has of it.

    Where the driver does not tell processes apart (Windows, another pid namespace), that is empty,
    or holds ids that mean nothing here.
    """

    free_bytes: int
    total_bytes: int
    by_process: Mapping[int, int]


class GpuMeter:
    """Reads a CUDA device's load, many times: 72 ms for the first reading, then 0.1 ms."""

    def __init__(self, probe: Probe | None = None) -> None:
        self._probe = probe
        self._nvml: Any = None
        self._handles: list[Any] | None = None

    def read(self, index: int = 0) -> GpuUse | None:
        """The load of the GPU that :func:`detect` gave this index; None where there is none."""
        if self._handles is None:
            self._handles = self._open()
        if not 0 <= index < len(self._handles):
            return None
        handle = self._handles[index]
        try:
            memory = self._nvml.nvmlDeviceGetMemoryInfo(handle)
            load = self._nvml.nvmlDeviceGetUtilizationRates(handle).gpu
        except self._nvml.NVMLError:  # the device fell off the bus, or cannot say
            return None
        return GpuUse(int(memory.used), int(memory.total), float(load))

    def memory(self, index: int = 0) -> GpuMemory | None:
        """Who has how much of the memory of that GPU; None where there is none."""
        if self._handles is None:
            self._handles = self._open()
        if not 0 <= index < len(self._handles):
            return None
        handle = self._handles[index]
        try:
            memory = self._nvml.nvmlDeviceGetMemoryInfo(handle)
        except self._nvml.NVMLError:
            return None
        return GpuMemory(int(memory.free), int(memory.total), self._by_process(handle))

    def _by_process(self, handle: Any) -> dict[int, int]:
        try:
            processes = self._nvml.nvmlDeviceGetComputeRunningProcesses(handle)
        except self._nvml.NVMLError:
            return {}
        return {int(one.pid): int(one.usedGpuMemory) for one in processes if one.usedGpuMemory}

    def close(self) -> None:
        if self._nvml is not None:
            self._nvml.nvmlShutdown()
        self._nvml, self._handles = None, None

    def _open(self) -> list[Any]:
        probe = self._probe or Probe()
        if probe.nvml is None:
            return []
        try:
            probe.nvml.nvmlInit()
        except probe.nvml.NVMLError:
            return []
        self._nvml = probe.nvml
        return visible_handles(self._nvml, probe.environ)
