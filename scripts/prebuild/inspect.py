"""Checks what a shipped binary promises: size, oldest system, and what it offers to others.

    python3 scripts/prebuild/inspect.py prebuilds/*/*.node
"""

import os
import re
import sys

import lief

MOST_BYTES = 150 * 1024
REGISTRATION = {"napi_register_module_v1", "node_api_module_get_api_version_v1"}
GLIBC_FLOOR = (2, 28)
# musl has no symbol versions: these are what its releases after 1.2.2 (2021) have added.
TOO_NEW_FOR_MUSL = {"statx", "qsort_r", "preadv2", "pwritev2"}
MACOS_FLOOR = [11, 0]
# Part of every macOS; the cross build has the C++ library inside.
MACOS_LIBRARIES = {"/usr/lib/libSystem.B.dylib", "/usr/lib/libc++.1.dylib"}
# Part of every Windows 10.
WINDOWS_LIBRARIES = re.compile(r"(node\.exe|kernel32\.dll|ntdll\.dll|api-ms-win-crt-.*\.dll)", re.I)
# macOS lets every image share one operator new and delete.
OPERATORS_NEW_AND_DELETE = re.compile(r"__Z(n|d)[alw].*")
IMAGE_MARKS = {"__mh_dylib_header", "___dso_handle"}
MACHINES = {
    ("linux", "x64"): lief.ELF.ARCH.X86_64,
    ("linux", "arm64"): lief.ELF.ARCH.AARCH64,
    ("darwin", "x64"): lief.MachO.Header.CPU_TYPE.X86_64,
    ("darwin", "arm64"): lief.MachO.Header.CPU_TYPE.ARM64,
    ("win32", "x64"): lief.PE.Header.MACHINE_TYPES.AMD64,
    ("win32", "arm64"): lief.PE.Header.MACHINE_TYPES.ARM64,
}


def inspect_elf(path, binary):
    exported = {symbol.name for symbol in binary.exported_symbols}
    imported = {symbol.name for symbol in binary.imported_symbols}
    yield binary.header.machine_type, exported == REGISTRATION, f"exports {sorted(exported)}"
    local = [name for name in imported if "holdfast" in name or name.startswith("_ZN4Napi")]
    yield None, not local, f"wants {local} of its own"
    if ".musl." in path:
        newer = imported & TOO_NEW_FOR_MUSL
        yield "musl 1.2.2", not newer, f"wants {sorted(newer)}"
        return
    versions = [
        tuple(int(part) for part in auxiliary.name.removeprefix("GLIBC_").split("."))
        for requirement in binary.symbols_version_requirement
        for auxiliary in requirement.get_auxiliary_symbols()
        if auxiliary.name.startswith("GLIBC_")
    ]
    newest = max(versions)
    yield f"glibc {newest[0]}.{newest[1]}", newest <= GLIBC_FLOOR, f"wants glibc {newest}"


def inspect_macho(_path, binary):
    exported = {symbol.name for symbol in binary.exported_symbols} - IMAGE_MARKS
    ours = {name for name in exported if not OPERATORS_NEW_AND_DELETE.fullmatch(name)}
    wanted = {f"_{name}" for name in REGISTRATION}
    yield binary.header.cpu_type, ours == wanted, f"exports {sorted(ours)}"
    floor = binary.build_version.minos[:2]
    yield f"macOS {floor[0]}.{floor[1]}", floor <= MACOS_FLOOR, f"needs macOS {floor}"
    libraries = {library.name for library in binary.libraries} - {"@rpath/holdfast.node"}
    yield None, libraries <= MACOS_LIBRARIES, f"needs {sorted(libraries)}"
    imported = {symbol.name for symbol in binary.imported_symbols}
    local = [name for name in imported if "holdfast" in name or name.startswith("__ZN4Napi")]
    yield None, not local, f"wants {local} of its own"
    signed = binary.has_code_signature or binary.header.cpu_type != MACHINES["darwin", "arm64"]
    yield None, signed, "has no code signature"


def inspect_pe(_path, binary):
    exported = {function.name for function in binary.exported_functions}
    yield binary.header.machine, exported == REGISTRATION, f"exports {sorted(exported)}"
    header = binary.optional_header
    floors = [
        (header.major_operating_system_version, header.minor_operating_system_version),
        (header.major_subsystem_version, header.minor_subsystem_version),
    ]
    yield f"Windows {max(floors)[0]}", max(floors) <= (10, 0), f"needs Windows {max(floors)}"
    foreign = [i.name for i in binary.imports if not WINDOWS_LIBRARIES.fullmatch(i.name)]
    yield None, not foreign, f"needs {foreign}"


def inspect(path):
    platform, arch = os.path.basename(os.path.dirname(path)).split("-")
    inspectors = {"linux": inspect_elf, "darwin": inspect_macho, "win32": inspect_pe}
    binary = lief.parse(path)
    (machine, *first), *rest = inspectors[platform](path, binary)
    checks = [(None, *first), *rest]
    size = os.path.getsize(path)
    checks.append((None, size < MOST_BYTES, f"has {size} bytes"))
    checks.append((None, machine == MACHINES[platform, arch], f"is for {machine}"))
    floor = " ".join(text for text, _, _ in checks if text)
    wrong = [what for _, right, what in checks if not right]
    print(f"{path}: {size} bytes, {floor}{''.join(f'; {what}' for what in wrong)}")
    return not wrong


lief.logging.disable()
sys.exit(not all([inspect(path) for path in sys.argv[1:]]))
