# ruff: noqa: N802  (the names are those of the library that is played)
from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.hardware import (
    Gpu,
    GpuMemory,
    GpuMeter,
    Hardware,
    Probe,
    detect,
)

GB = 10**9


class NVMLError(Exception):
    pass


class FakeNvml:
    """NVIDIA's library with these devices: (name, uuid, memory)."""

    NVMLError = NVMLError

    def __init__(self, *devices: tuple[Any, str, int]) -> None:
        self.devices = devices
        self.opened = 0

    def nvmlInit(self) -> None:
        self.opened += 1

    def nvmlShutdown(self) -> None:
        self.opened -= 1

    def nvmlSystemGetDriverVersion(self) -> bytes:
        return b"580.65.06"

    def nvmlDeviceGetCount(self) -> int:
        return len(self.devices)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetUUID(self, handle: int) -> str:
        return self.devices[handle][1]

    def nvmlDeviceGetName(self, handle: int) -> Any:
        return self.devices[handle][0]

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:
        total = self.devices[handle][2]
        return SimpleNamespace(total=total, used=GB, free=total - GB)

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> Any:
        return SimpleNamespace(gpu=40)

    def nvmlDeviceGetComputeRunningProcesses(self, handle: int) -> Any:
        """One process, and one of which the driver does not say what it has."""
        return [
            SimpleNamespace(pid=11, usedGpuMemory=GB // 2),
            SimpleNamespace(pid=12, usedGpuMemory=None),
        ]


class NvmlWithoutDriver(FakeNvml):
    def nvmlInit(self) -> None:
        raise NVMLError("library not found")


class NvmlThatTellsNoProcesses(FakeNvml):
    def nvmlDeviceGetComputeRunningProcesses(self, handle: int) -> Any:
        raise NVMLError("not supported")


class NvmlFallenOffTheBus(FakeNvml):
    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:
        raise NVMLError("GPU is lost")


class AmdSmiWithoutRocm:
    def amdsmi_init(self) -> None:
        raise KeyError("ROCm")


class FakeAmdSmi:
    def amdsmi_init(self) -> None:
        pass

    def amdsmi_shut_down(self) -> None:
        pass

    def amdsmi_get_processor_handles(self) -> list[int]:
        return [0]

    def amdsmi_get_gpu_asic_info(self, _handle: int) -> dict[str, str]:
        return {"market_name": "Radeon RX 7900"}


class FakeProbe(Probe):
    def logical(self) -> int:
        return 16

    def physical(self) -> int:
        return 8

    def affinity(self) -> int:
        return 12

    def memory(self) -> int:
        return 32 * GB


TWO = FakeNvml(("A100", "GPU-aaaa-1", 80 * GB), (b"T4", "GPU-bbbb-2", 16 * GB))


def probe(root: Path, **given: Any) -> Probe:
    facts: dict[str, Any] = {
        "platform": "linux",
        "machine": "x86_64",
        "environ": {},
        "root": root,
        "nvml": None,
        "amdsmi": None,
        "sysctl_cpu_name": "",
    }
    return FakeProbe(**{**facts, **given})


def put(root: Path, path: str, text: str) -> None:
    file = root / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_a_plain_machine(tmp_path: Path) -> None:
    put(tmp_path, "/proc/cpuinfo", "processor : 0\nmodel name\t: Fast CPU\n")
    found = detect(probe(tmp_path))
    assert found == Hardware("Fast CPU", 8, 12, 32 * GB, (), "linux", "x86_64")
    assert found.best_gpu is None


def test_what_it_writes_it_reads(tmp_path: Path) -> None:
    found = detect(probe(tmp_path, nvml=TWO))
    assert Hardware.from_json(found.to_json()) == found


def test_without_a_name_the_kind_of_machine_stands_in(tmp_path: Path) -> None:
    assert detect(probe(tmp_path)).cpu_name == "x86_64"
    assert detect(probe(tmp_path, sysctl_cpu_name="M4")).cpu_name == "M4"


@pytest.mark.parametrize(
    ("files", "threads", "memory"),
    [
        ({"/proc/self/cgroup": "0::/\n"}, 12, 32 * GB),
        (
            {
                "/proc/self/cgroup": "0::/user/box\n",
                "/sys/fs/cgroup/user/cpu.max": "250000 100000\n",
                "/sys/fs/cgroup/user/box/cpu.max": "max 100000\n",
                "/sys/fs/cgroup/user/box/memory.max": f"{4 * GB}\n",
                "/sys/fs/cgroup/user/memory.max": "max\n",
            },
            3,
            4 * GB,
        ),
        (
            {
                "/proc/self/cgroup": "5:memory:/docker\n3:cpu,cpuacct:/docker\n1:name=systemd:/x\n",
                "/sys/fs/cgroup/memory/docker/memory.limit_in_bytes": f"{2 * GB}\n",
                "/sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_quota_us": "50000\n",
                "/sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_period_us": "100000\n",
                "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
            },
            1,
            2 * GB,
        ),
    ],
)
def test_control_groups_limit(
    tmp_path: Path, files: dict[str, str], threads: int, memory: int
) -> None:
    for path, text in files.items():
        put(tmp_path, path, text)
    found = detect(probe(tmp_path))
    assert (found.threads, found.ram_bytes) == (threads, memory)
    assert found.cores <= found.threads


def test_cuda_devices_and_the_best_of_them(tmp_path: Path) -> None:
    found = detect(probe(tmp_path, nvml=TWO))
    assert found.gpus == (
        Gpu("cuda", "A100", 0, 80 * GB, "580.65.06"),
        Gpu("cuda", "T4", 1, 16 * GB, "580.65.06"),
    )
    assert found.best_gpu == found.gpus[0]
    assert TWO.opened == 0


@pytest.mark.parametrize(
    ("visible", "names"),
    [
        ("1", ["T4"]),
        ("1,0", ["T4", "A100"]),
        ("GPU-bbbb", ["T4"]),
        ("", []),
        ("-1", []),
        ("0,7,1", ["A100"]),
        ("GPU", []),
    ],
)
def test_cuda_visible_devices_as_cuda_reads_it(
    tmp_path: Path, visible: str, names: list[str]
) -> None:
    found = detect(probe(tmp_path, nvml=TWO, environ={"CUDA_VISIBLE_DEVICES": visible}))
    assert [gpu.name for gpu in found.gpus] == names
    assert [gpu.index for gpu in found.gpus] == list(range(len(names)))


@pytest.mark.parametrize("nvml", [None, NvmlWithoutDriver(), NvmlFallenOffTheBus(("X", "G", 1))])
def test_no_usable_nvidia_gpu_is_no_error(tmp_path: Path, nvml: Any) -> None:
    assert detect(probe(tmp_path, nvml=nvml)).gpus == ()


@pytest.mark.parametrize(
    ("amdsmi", "name"),
    [(None, "AMD GPU"), (AmdSmiWithoutRocm(), "AMD GPU"), (FakeAmdSmi(), "Radeon RX 7900")],
)
def test_rocm_from_sysfs(tmp_path: Path, amdsmi: Any, name: str) -> None:
    put(tmp_path, "/sys/class/drm/card0/device/vendor", "0x8086\n")
    put(tmp_path, "/sys/class/drm/card1/device/vendor", "0x1002\n")
    put(tmp_path, "/sys/class/drm/card1/device/mem_info_vram_total", f"{24 * GB}\n")
    put(tmp_path, "/sys/module/amdgpu/version", "6.12\n")
    assert detect(probe(tmp_path, amdsmi=amdsmi)).gpus == (Gpu("rocm", name, 0, 24 * GB, "6.12"),)


def test_apple_silicon_shares_its_memory(tmp_path: Path) -> None:
    apple = probe(tmp_path, platform="darwin", machine="arm64", sysctl_cpu_name="Apple M4")
    assert detect(apple).gpus == (Gpu("mps", "Apple M4", 0, 32 * GB, ""),)
    assert detect(replace(apple, machine="x86_64")).gpus == ()


def test_the_real_probe_finds_a_machine() -> None:
    found = detect()
    assert 1 <= found.cores <= found.threads
    assert found.ram_bytes > 0


def test_meter_reads_the_visible_device(tmp_path: Path) -> None:
    nvml = FakeNvml(*TWO.devices)
    meter = GpuMeter(probe(tmp_path, nvml=nvml, environ={"CUDA_VISIBLE_DEVICES": "1"}))
    use = meter.read(0)
    assert use is not None
    assert (use.used_bytes, use.total_bytes, use.utilisation) == (GB, 16 * GB, 40.0)
    assert use.memory_percent == 6.25
    assert meter.read(1) is None
    assert nvml.opened == 1
    meter.close()
    assert nvml.opened == 0


@pytest.mark.parametrize("nvml", [None, NvmlWithoutDriver(), NvmlFallenOffTheBus(("X", "G", 1))])
def test_meter_without_a_usable_gpu(tmp_path: Path, nvml: Any) -> None:
    meter = GpuMeter(probe(tmp_path, nvml=nvml))
    assert meter.read() is None
    meter.close()


def test_meter_tells_who_has_the_memory(tmp_path: Path) -> None:
    meter = GpuMeter(probe(tmp_path, nvml=FakeNvml(*TWO.devices)))
    assert meter.memory(1) == GpuMemory(15 * GB, 16 * GB, {11: GB // 2})
    assert meter.memory(2) is None
    silent = GpuMeter(probe(tmp_path, nvml=NvmlThatTellsNoProcesses(*TWO.devices)))
    assert silent.memory(1) == GpuMemory(15 * GB, 16 * GB, {})


@pytest.mark.parametrize("nvml", [None, NvmlFallenOffTheBus(("X", "G", 1))])
def test_memory_without_a_usable_gpu(tmp_path: Path, nvml: Any) -> None:
    assert GpuMeter(probe(tmp_path, nvml=nvml)).memory() is None
