"""A filter of system calls (seccomp) that a submission's process puts on itself before any line of the submission runs.

It closes what limits of resources leave open: memory outside the process's address space (`memfd_create`, shared
segments), other processes (as root, RLIMIT_NPROC counts for nothing), signals and limits for others, new namespaces,
and parts of the kernel that no answer needs. Linux on x86-64 and arm64; elsewhere `restrict` says that it did nothing.

This file is also loaded by `worker.py`, where pgcourse is not: it imports nothing of it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Iterator

# Call: its number on x86-64 and on arm64; None where there is no such call. From the kernel's own tables.
DENIED: dict[str, tuple[int | None, int | None]] = {
    # memory and queues that no limit counts
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "io_uring_setup": (425, 425),
    "userfaultfd": (323, 282),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    # other processes
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "kcmp": (312, 272),
    "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424),
    "pidfd_getfd": (438, 438),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setattr": (314, 274),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    # the system
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "fanotify_init": (300, 262),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "quotactl": (179, 60),
    "kexec_load": (246, 104),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
}
# Allowed for the process itself (by its number, or 0) and for nobody else: the argument that names the process.
ONESELF: dict[str, tuple[int, int, bool]] = {
    "kill": (62, 129, False),  # 0 would be the group
    "tgkill": (234, 131, False),
    "prlimit64": (302, 261, True),
    "sched_setaffinity": (203, 122, True),
}
CLONE, CLONE3, SOCKET = (56, 220), (435, 435), (41, 198)
CLONE_THREAD = 0x00010000
FAMILIES = (1, 2, 10)  # of sockets: of this machine, IPv4, IPv6
ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}  # AUDIT_ARCH_*, and the column above

LOAD, EQUAL, ANY_BIT, AT_LEAST, RETURN = 0x20, 0x15, 0x45, 0x35, 0x06  # instructions of classic BPF
ALLOW, KILL, FAIL = 0x7FFF0000, 0x80000000, 0x00050000
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data; lower halves of arguments, little endian
PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 4, 22, 38, 2


def known() -> bool:
    """Whether there is a filter for this system and processor."""
    return sys.platform == "linux" and platform.machine() in ARCHITECTURES and sys.maxsize > 2**32


def restrict() -> bool:
    """Filter the calls of this process for good; False where that is not possible."""
    if not known():
        return False
    program = b"".join(_program(*ARCHITECTURES[platform.machine()], os.getpid()))
    code = ctypes.create_string_buffer(program, len(program))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code)))
    return _prctl(PR_SET_NO_NEW_PRIVS, 1) and _prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(header))


def hide_memory() -> None:
    """No other process of the same user may look into this one."""
    if sys.platform == "linux":
        _prctl(PR_SET_DUMPABLE, 0)


def _prctl(option: int, *values: int) -> bool:
    arguments = [ctypes.c_ulong(value) for value in (*values, 0, 0, 0, 0)[:4]]
    return bool(ctypes.CDLL(None).prctl(option, *arguments) == 0)


def _program(architecture: int, column: int, pid: int) -> Iterator[bytes]:
    """The filter: each block begins with the call's number loaded, and leaves it loaded."""
    not_permitted = FAIL | errno.EPERM
    yield _do(LOAD, ARCHITECTURE)
    yield from (_do(EQUAL, architecture, 1, 0), _do(RETURN, KILL))
    yield _do(LOAD, NUMBER)
    if column == 0:  # the calls of x32 have numbers of their own
        yield from (_do(AT_LEAST, 0x40000000, 0, 1), _do(RETURN, not_permitted))
    for numbers in DENIED.values():
        if (number := numbers[column]) is not None:
            yield from (_do(EQUAL, number, 0, 1), _do(RETURN, not_permitted))
    yield from (_do(EQUAL, CLONE3[column], 0, 1), _do(RETURN, FAIL | errno.ENOSYS))  # its flags are out of sight
    yield from (_do(EQUAL, CLONE[column], 0, 4), _do(LOAD, ARGUMENTS))
    yield from (_do(ANY_BIT, CLONE_THREAD, 1, 0), _do(RETURN, not_permitted), _do(RETURN, ALLOW))
    for *both, zero in ONESELF.values():
        yield from (_do(EQUAL, both[column], 0, 4 + zero), _do(LOAD, ARGUMENTS))
        yield _do(EQUAL, pid, 1 + zero, 0)
        if zero:
            yield _do(EQUAL, 0, 1, 0)
        yield from (_do(RETURN, not_permitted), _do(RETURN, ALLOW))
    yield from (_do(EQUAL, SOCKET[column], 0, 3 + len(FAMILIES)), _do(LOAD, ARGUMENTS))
    for position, family in enumerate(FAMILIES):
        yield _do(EQUAL, family, len(FAMILIES) - position, 0)
    yield from (_do(RETURN, not_permitted), _do(RETURN, ALLOW))
    yield _do(RETURN, ALLOW)


def _do(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)
