"""Writes a tiny Windows program, in the place of a ``python.exe``, for launchers to start.

The program appends its command line to a log and exits. It is made here, byte by byte, because
nothing else can be relied on: wine does not tell the exit status of a program that is not a
Windows one, and no Windows Python can be installed from a package index. One section at 0x1000
holds the patched values, the import table and the code, which only calls kernel32.
"""

from __future__ import annotations

import struct
from pathlib import Path

_BASE = 0x140000000
_SECTION = 0x1000
_FILE_ALIGNMENT = 0x200
_PATH_BYTES = 1024
_SUBSYSTEM_CONSOLE = 3
_READ_WRITE_EXECUTE_CODE = 0xE0000060

_FUNCTIONS = ("GetCommandLineW", "lstrlenW", "CreateFileW", "WriteFile", "ExitProcess")


def write_program(target: Path, log: str, *, check_status: int, run_status: int) -> None:
    r"""Write the program; it exits with ``check_status`` when its command line holds `` -c ``.

    Args:
        log: Windows path of the file that each command line is appended to, a line each, UTF-16.
        check_status: exit status for a question about the Python (``python -c ...``).
        run_status: exit status for anything else.
    """
    data, places, imports = _data(log, check_status, run_status)
    code = _code(places, _SECTION + len(data))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(_executable(data + code, entry=_SECTION + len(data), imports=imports))


def read_log(path: Path) -> list[str]:
    """The command lines of a log, in the order of the starts."""
    return path.read_bytes().decode("utf-16-le").splitlines() if path.exists() else []


def _data(log: str, check_status: int, run_status: int) -> tuple[bytes, dict[str, int], int]:
    """The data before the code, the address of each thing in it, and that of the import table."""
    data = bytearray()
    places: dict[str, int] = {}

    def put(name: str, value: bytes, align: int = 2) -> None:
        data.extend(b"\0" * (-len(data) % align))
        places[name] = _SECTION + len(data)
        data.extend(value)

    put("check_status", struct.pack("<I", check_status))
    put("run_status", struct.pack("<I", run_status))
    put("log", log.encode("utf-16-le").ljust(_PATH_BYTES, b"\0"))
    put("newline", "\n".encode("utf-16-le"))
    put("library", b"KERNEL32.dll\0")
    for function in _FUNCTIONS:
        put(f"name of {function}", b"\0\0" + function.encode() + b"\0")
    names = [places[f"name of {function}"] for function in _FUNCTIONS]
    table = struct.pack(f"<{len(names) + 1}Q", *names, 0)
    put("lookup", table, align=8)
    put("addresses", table, align=8)
    for number, function in enumerate(_FUNCTIONS):
        places[function] = places["addresses"] + 8 * number
    put(
        "imports",
        struct.pack("<5I20x", places["lookup"], 0, 0, places["library"], places["addresses"]),
    )
    put("code", b"", align=16)
    return bytes(data), places, places["imports"]


def _code(places: dict[str, int], start: int) -> bytes:
    """x86-64 machine code; each line stands beside its assembly."""
    code = bytearray()

    def emit(text: str) -> None:
        code.extend(bytes.fromhex(text))

    def emit_with(text: str, place: str) -> None:
        """An instruction that ends in the distance from its own end to a place."""
        emit(text)
        code.extend(struct.pack("<i", places[place] - (start + len(code) + 4)))

    def write_file() -> None:
        emit("48 89 d9")  # mov rcx, rbx
        emit("4c 8d 4c 24 40")  # lea r9, [rsp + 0x40]
        emit("48 c7 44 24 20 00 00 00 00")  # mov qword ptr [rsp + 0x20], 0
        emit_with("ff 15", "WriteFile")

    emit("48 83 ec 58")  # sub rsp, 0x58: room for seven arguments, aligned
    emit_with("ff 15", "GetCommandLineW")
    emit("48 89 c6")  # mov rsi, rax
    emit("48 89 c1")  # mov rcx, rax
    emit_with("ff 15", "lstrlenW")
    emit("89 c7")  # mov edi, eax
    emit_with("48 8d 0d", "log")  # lea rcx, [log]
    emit("ba 04 00 00 00")  # mov edx, FILE_APPEND_DATA
    emit("41 b8 07 00 00 00")  # mov r8d, shared for everything
    emit("45 31 c9")  # xor r9d, r9d
    emit("c7 44 24 20 04 00 00 00")  # mov dword ptr [rsp + 0x20], OPEN_ALWAYS
    emit("c7 44 24 28 80 00 00 00")  # mov dword ptr [rsp + 0x28], FILE_ATTRIBUTE_NORMAL
    emit("48 c7 44 24 30 00 00 00 00")  # mov qword ptr [rsp + 0x30], 0
    emit_with("ff 15", "CreateFileW")
    emit("48 89 c3")  # mov rbx, rax
    emit("48 89 f2")  # mov rdx, rsi
    emit("44 8d 04 3f")  # lea r8d, [rdi + rdi]
    write_file()
    emit_with("48 8d 15", "newline")  # lea rdx, [newline]
    emit("41 b8 02 00 00 00")  # mov r8d, 2
    write_file()
    emit("48 ba 20 00 2d 00 63 00 20 00")  # movabs rdx, " -c " in UTF-16
    emit_with("8b 0d", "check_status")  # mov ecx, [check_status]
    emit("66 83 3e 00")  # search: cmp word ptr [rsi], 0
    emit("74 0b")  # je run
    emit("48 3b 16")  # cmp rdx, [rsi]
    emit("74 0c")  # je leave
    emit("48 83 c6 02")  # add rsi, 2
    emit("eb ef")  # jmp search
    emit_with("8b 0d", "run_status")  # run: mov ecx, [run_status]
    emit_with("ff 15", "ExitProcess")  # leave:
    return bytes(code)


def _executable(section: bytes, *, entry: int, imports: int) -> bytes:
    """A PE32+ file of one section, as Microsoft's "PE Format" lays it out."""
    size = -(-len(section) // _FILE_ALIGNMENT) * _FILE_ALIGNMENT
    directories = bytearray(16 * 8)
    struct.pack_into("<II", directories, 8, imports, 40)
    optional = struct.pack(
        "<HBBIIIIIQIIHHHHHHIIIIHHQQQQII",
        *(0x20B, 14, 0, size, 0, 0, entry, _SECTION),
        *(_BASE, _SECTION, _FILE_ALIGNMENT, 6, 0, 0, 0, 6, 0, 0),
        *(2 * _SECTION, _FILE_ALIGNMENT, 0, _SUBSYSTEM_CONSOLE, 0),
        *(0x100000, 0x1000, 0x100000, 0x1000, 0, 16),
    )
    optional += bytes(directories)
    dos = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", 0x40)
    machine_amd64, executable_large_address = 0x8664, 0x22
    coff = b"PE\0\0" + struct.pack(
        "<HHIIIHH", machine_amd64, 1, 0, 0, 0, len(optional), executable_large_address
    )
    header = struct.pack(
        "<8sIIIIIIHHI",
        *(b".all", _SECTION, _SECTION, size, _FILE_ALIGNMENT, 0, 0, 0, 0),
        _READ_WRITE_EXECUTE_CODE,
    )
    head = (dos + coff + optional + header).ljust(_FILE_ALIGNMENT, b"\0")
    return head + section.ljust(size, b"\0")
