"""The sandbox of a systemd unit, made without systemd: what the unit says holds for a program.

    python tests/live/sandbox.py UNIT PROGRAM [ARGUMENT]…

Capabilities, no_new_privs, system calls, socket families, namespaces, what is read-only and what
of it is not, a private /tmp and /proc are as systemd.exec(5) describes them. In that /tmp are the
folders in which unit and program lie, as those of tests do. Not made: what hides devices
(PrivateDevices), and IP addresses.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

CLONE_NEWNS = 0x00020000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 32, 4096, 16384, 1 << 18
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38
SCMP_ACT_ALLOW = 0x7FFF0000
SCMP_ACT_ERRNO = 0x00050000
SCMP_CMP_EQ, SCMP_CMP_MASKED_EQ = 4, 7
CLONE_NEW = 0x7E020080
"""Every kind of namespace (namespaces(7))."""
SCMP_FLTATR_CTL_NNP = 3
TMP = Path("/tmp")
API = ("/dev", "/proc", "/sys")
"""What ProtectSystem=strict leaves alone (systemd.exec(5))."""

libc = ctypes.CDLL(None, use_errno=True)


class Compared(ctypes.Structure):
    """libseccomp's ``struct scmp_arg_cmp``."""

    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    )


def settings(unit: str) -> dict[str, list[str]]:
    """Return the words of each setting of a unit; those of one that stands twice follow."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"(?m)^(\w+)=(.*)$", unit):
        found.setdefault(name, []).extend(shlex.split(value) if "$" not in value else [value])
    return found


def must(result: int, what: str) -> None:
    """Raise OSError for the result of a call into libc that failed."""
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source: str, target: str, kind: str | None, flags: int, data: str = "") -> None:
    """Mount (mount(2))."""
    given = [each.encode() if each else None for each in (source, target, kind, data)]
    must(libc.mount(given[0], given[1], given[2], flags, given[3]), f"mount {target}")


def mounts() -> list[tuple[str, int]]:
    """Return every mount point with the flags that a remount has to repeat."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    known = {"nosuid": MS_NOSUID, "nodev": MS_NODEV, "noexec": MS_NOEXEC}
    rows = [line.split() for line in lines]
    return [(row[4], sum(known.get(word, 0) for word in row[5].split(","))) for row in rows]


def read_only(writable: list[Path]) -> None:
    """Make everything read-only but *writable* (ProtectSystem=strict, ReadWritePaths)."""
    must(libc.unshare(CLONE_NEWNS), "unshare")
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    for path in writable:
        mount(str(path), str(path), None, MS_BIND | MS_REC)
    for point, flags in mounts():
        kept = any(Path(point).is_relative_to(each) for each in (*map(Path, API), *writable))
        if not kept:
            mount("none", point, None, MS_REMOUNT | MS_BIND | MS_RDONLY | flags)


def private_tmp(*kept: str) -> None:
    """Make a /tmp that is empty but for the folders that *kept* lie in (PrivateTmp=yes)."""
    paths = [Path(each).absolute() for each in kept]
    folders = {each.parents[-3] for each in paths if each.is_relative_to(TMP) and each != TMP}
    held = {folder: os.open(folder, os.O_PATH | os.O_DIRECTORY) for folder in folders}
    mount("tmpfs", str(TMP), "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    for folder, number in held.items():
        folder.mkdir()
        mount(f"/proc/self/fd/{number}", str(folder), None, MS_BIND | MS_REC)
        os.close(number)


def capability(name: str) -> int:
    """Return the number of a capability by its name."""
    libcap = ctypes.CDLL("libcap.so.2")
    number = ctypes.c_int()
    must(libcap.cap_from_name(name.lower().encode(), ctypes.byref(number)), name)
    return number.value


def bound(names: list[str]) -> None:
    """Drop every capability but those from the bounding set; exec drops them from the others."""
    kept = {capability(name) for name in names}
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    for number in range(last + 1):
        if number not in kept:
            must(libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0), "prctl")


def calls(words: list[str]) -> set[str]:
    """Return the system calls that words of SystemCallFilter= name, groups resolved."""
    found: set[str] = set()
    for word in words:
        if not word.startswith("@"):
            found.add(word)
            continue
        said = subprocess.run(
            ["systemd-analyze", "--no-pager", "syscall-filter", word],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        listed = [line.strip() for line in said.splitlines()[1:]]
        found |= calls([line for line in listed if line and not line.startswith("#")])
    return found


def allowed(lines: list[str]) -> set[str]:
    """Return the system calls that all lines of SystemCallFilter= leave, in their order."""
    found = calls(["@default"])
    for line in lines:
        words = line.removeprefix("~").split()
        found = found - calls(words) if line.startswith("~") else found | calls(words)
    return found


def filter_calls(lines: list[str], families: list[str]) -> None:
    """Refuse every system call but the allowed ones.

    And sockets of other *families*, and new namespaces (RestrictNamespaces=yes).
    """
    import socket

    seccomp = ctypes.CDLL("libseccomp.so.2")
    seccomp.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(SCMP_ACT_ERRNO | errno.EPERM)))
    seccomp.seccomp_attr_set(context, SCMP_FLTATR_CTL_NNP, 0)  # the unit says whether
    allow = ctypes.c_uint32(SCMP_ACT_ALLOW)
    for name in allowed(lines) - {"socket", "unshare"}:
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:
            seccomp.seccomp_rule_add(context, allow, number, 0)
    number = seccomp.seccomp_syscall_resolve_name(b"socket")
    for family in families:
        compared = Compared(0, SCMP_CMP_EQ, getattr(socket, family), 0)
        seccomp.seccomp_rule_add_array(context, allow, number, 1, ctypes.byref(compared))
    number = seccomp.seccomp_syscall_resolve_name(b"unshare")
    compared = Compared(0, SCMP_CMP_MASKED_EQ, CLONE_NEW, 0)
    seccomp.seccomp_rule_add_array(context, allow, number, 1, ctypes.byref(compared))
    must(-seccomp.seccomp_load(context), "seccomp_load")


def main() -> None:
    """Put on the sandbox of a unit, then become the program."""
    unit = Path(sys.argv[1]).read_text()
    found = settings(unit)
    assert "strict" in found["ProtectSystem"]
    paths = [Path(word.removeprefix("-")) for word in found["ReadWritePaths"]]
    read_only([path for path in paths if path.exists()])
    if "yes" in found["PrivateTmp"]:
        private_tmp(sys.argv[1], sys.argv[2], __file__)
    if "invisible" in found["ProtectProc"]:
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "hidepid=invisible")
    lines = re.findall(r"(?m)^SystemCallFilter=(.*)$", unit)
    groups = found.get("SupplementaryGroups", [])
    import grp

    os.setgroups([grp.getgrnam(name).gr_gid for name in groups])
    bound(found["CapabilityBoundingSet"])
    if found.get("NoNewPrivileges") == ["yes"]:
        must(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")
    os.umask(int(found["UMask"][0], 8))
    filter_calls(lines, found["RestrictAddressFamilies"])
    os.execv(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
