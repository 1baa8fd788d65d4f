"""How networks count: in bfloat16 where the hardware multiplies them, float32 elsewhere, on which device, in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeVar

from spurgekit.memory import keep_freed_memory

if TYPE_CHECKING:  # options name a precision, and import without torch
    import torch
    from torch import nn

Precision = Literal["auto", "float32", "bfloat16"]
"""What matrices are multiplied in; auto is bfloat16 where the hardware does that, float32 elsewhere."""

PrecisionName = Literal["float32", "bfloat16"]
"""What was picked."""

Module = TypeVar("Module", bound="nn.Module")


def pick_precision(device: torch.device, precision: Precision = "auto") -> torch.dtype | None:
    """Return the type that autocast takes on a device.

    Parameters
    ----------
    device : torch.device
    precision : {"auto", "float32", "bfloat16"}
        ``auto`` is bfloat16 on GPUs that have it and on CPUs with AMX or AVX512-BF16, and float32 elsewhere: other CPUs have
        to emulate bfloat16, which is slower than float32.

    Returns
    -------
    torch.dtype or None
        ``torch.bfloat16``, or None for float32 all through.
    """
    import torch

    if precision == "auto":
        return torch.bfloat16 if _multiplies_bfloat16(device) else None
    return torch.bfloat16 if precision == "bfloat16" else None


def precision_name(dtype: torch.dtype | None) -> PrecisionName:
    """Return what :func:`pick_precision` picked, as options say it."""
    return "float32" if dtype is None else "bfloat16"


def autocast(device: torch.device, dtype: torch.dtype | None) -> torch.autocast:
    """Return the context in which networks count in what :func:`pick_precision` picked."""
    import torch

    return torch.autocast(device.type, dtype=dtype or torch.bfloat16, enabled=dtype is not None)


def put_on(network: Module, device: torch.device) -> Module:
    """Move a network, its convolutions in channels-last order, which is the faster one on CPUs and GPUs alike."""
    import torch

    if device.type == "cpu":
        keep_freed_memory()
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _multiplies_bfloat16(device: torch.device) -> bool:
    """Tell whether a device has instructions for products of bfloat16."""
    import torch

    if device.type == "cuda":
        return torch.version.hip is not None or torch.cuda.get_device_capability(device) >= (8, 0)  # since Ampere
    if device.type != "cpu" or torch.backends.cpu.get_cpu_capability() != "AVX512":
        return False  # nor does oneDNN use them where ATEN_CPU_CAPABILITY holds torch back
    capabilities = getattr(torch.cpu, "get_capabilities", None)  # older torch tells by private functions only
    if capabilities is not None:
        found = capabilities()
        return bool(found.get("amx_bf16") or found.get("avx512_bf16"))
    asked = (getattr(torch.cpu, name, None) for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"))
    return any(bool(ask()) for ask in asked if ask is not None)
