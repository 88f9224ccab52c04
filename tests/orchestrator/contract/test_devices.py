"""Names of devices, and what a process is let see."""

import pytest

from orchestrator.contract.devices import kind_of, visible_to


@pytest.mark.parametrize(
    ("device", "kind"), [("cpu", "cpu"), ("cuda", "cuda"), ("cuda:1", "cuda"), ("mps", "mps")]
)
def test_inside_a_process_a_device_has_no_number(device: str, kind: str) -> None:
    assert kind_of(device) == kind


@pytest.mark.parametrize(
    ("device", "visible", "entry"),
    [
        ("cuda", None, "0"),
        ("cuda:1", None, "1"),
        ("cuda:1", "3,5", "5"),
        ("cuda", "GPU-aa, GPU-bb", "GPU-aa"),
        ("cuda:2", "3,5", "2"),
    ],
)
def test_one_gpu_is_seen(device: str, visible: str | None, entry: str) -> None:
    environ = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert visible_to(device, environ) == {
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "CUDA_VISIBLE_DEVICES": entry,
    }


@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_nothing_is_said_of_other_devices(device: str) -> None:
    assert visible_to(device, {"CUDA_VISIBLE_DEVICES": "3"}) == {}
