"""Another time of day for one running process, and for no other.

A static program cannot be given libfaketime (LD_PRELOAD), a time namespace does not shift CLOCK_REALTIME, and setting the
machine's clock would move it for everybody. But a static program, too, asks the vDSO for the time, and a process has a
copy of that page of its own as soon as a debugger writes to it: /proc/PID/mem may, as for a breakpoint. So the entry of
__vdso_clock_gettime becomes a jump to a few instructions in the page's empty tail, which ask the kernel and, for
CLOCK_REALTIME, add an offset that lies beside them. Jumping is then one write of eight bytes. CLOCK_MONOTONIC and what
the kernel itself notes (times of files) stay honest. What the process executes starts with an untouched page.

Needs x86-64 and the right to debug the process. Threads are not stopped for it: one would have to be between the first
two instructions of clock_gettime at that moment."""
import platform
import struct

# mov eax,228 (clock_gettime); syscall; test edi,edi (CLOCK_REALTIME is 0); jne end; test eax,eax; jne end;
# mov rcx,[rip+10]; add [rsi],rcx (tv_sec); end: ret. The offset, in seconds, follows at the next multiple of eight.
STUB = bytes.fromhex("b8e40000000f0585ff750e85c0750a488b0d0a00000048010ec3")
OFFSET_AT = 32


def vdso_range(pid):
    with open(f"/proc/{pid}/maps") as maps:
        for line in maps:
            if line.rstrip().endswith("[vdso]"):
                first, _, last = line.split()[0].partition("-")
                return int(first, 16), int(last, 16)
    raise OSError(f"process {pid} has no vDSO")


def symbol(image, wanted):
    """Where `wanted` is in the ELF image, by its section of dynamic symbols."""
    sections_at, = struct.unpack_from("<Q", image, 0x28)
    entry_size, count = struct.unpack_from("<HH", image, 0x3A)
    sections = [struct.unpack_from("<IIQQQQIIQQ", image, sections_at + i * entry_size) for i in range(count)]
    for kind, offset, size, link in ((s[1], s[4], s[5], s[6]) for s in sections):
        if kind != 11:  # SHT_DYNSYM
            continue
        names = sections[link][4]
        for at in range(offset, offset + size, 24):
            name, _, _, _, value, _ = struct.unpack_from("<IBBHQQ", image, at)
            text = image[names + name:image.index(b"\0", names + name)]
            if text == wanted:
                return value
    raise OSError(f"the vDSO has no {wanted.decode()}")


class Clock:
    """The clock of process `pid`."""

    def __init__(self, pid):
        self.path = f"/proc/{pid}/mem"
        begin, end = vdso_range(pid)
        with open(self.path, "r+b", buffering=0) as memory:
            memory.seek(begin)
            image = memory.read(end - begin)
            entry = symbol(image, b"__vdso_clock_gettime")
            stub = (len(image) - 64) & ~7
            if image[stub:stub + len(STUB)] != STUB:
                if any(image[stub:]):
                    raise OSError("the vDSO has no room at its end")
                memory.seek(begin + stub)
                memory.write(STUB)
                memory.seek(begin + entry)
                memory.write(b"\xe9" + struct.pack("<i", stub - entry - 5))
        self.offset_at = begin + stub + OFFSET_AT

    def ahead_by(self, seconds):
        with open(self.path, "r+b", buffering=0) as memory:
            memory.seek(self.offset_at)
            memory.write(struct.pack("<q", seconds))


def why_not():
    """None, or what keeps this machine from it."""
    if platform.machine() != "x86_64":
        return "clocks are only moved on x86-64"
    try:
        vdso_range("self")
    except OSError as error:
        return str(error)
    return None
