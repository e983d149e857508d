"""Rewrites the packed relocations of a shared library as plain ones, in place.

    python3 scripts/lanes/relocate.py libgcc_s.so.1 ...

Debian's musl is 1.2.3; only 1.2.4 reads packed ones, which newer builds of libstdc++ have.
"""

import sys

from lief import ELF

PACKED = ELF.Relocation.ENCODING.RELR
TAGS = [ELF.DynamicEntry.TAG.RELR, ELF.DynamicEntry.TAG.RELRSZ, ELF.DynamicEntry.TAG.RELRENT]
RELATIVE = {
    ELF.ARCH.X86_64: ELF.Relocation.TYPE.X86_64_RELATIVE,
    ELF.ARCH.AARCH64: ELF.Relocation.TYPE.AARCH64_RELATIVE,
}

for path in sys.argv[1:]:
    library = ELF.parse(path)
    kind = RELATIVE[library.header.machine_type]
    for address in [r.address for r in library.relocations if r.encoding == PACKED]:
        # A packed one has its addend where it applies.
        content = bytes(library.get_content_from_virtual_address(address, 8))
        plain = ELF.Relocation(address, kind, ELF.Relocation.ENCODING.RELA)
        plain.addend = int.from_bytes(content, "little")
        library.add_dynamic_relocation(plain)
    for tag in TAGS:
        if library.has(tag):
            library.remove(tag)
    library.write(path)
