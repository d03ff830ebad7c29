"""A disk that can be full: a tmpfs that is made as small as what it holds, and as large as before again."""
import os
import subprocess
import time


class Disk:
    SIZE_MIB = 512

    def __init__(self, directory):
        self.directory = directory
        directory.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self.SIZE_MIB}m", "tmpfs", directory],
                              capture_output=True, text=True)
        self.refused = done.stderr.strip() if done.returncode else None

    def resize(self, size):
        return subprocess.run(["mount", "-o", f"remount,size={size}", self.directory], capture_output=True).returncode == 0

    def fill(self):
        for _ in range(20):  # it grows meanwhile: less than it holds is refused
            held = os.statvfs(self.directory)
            if self.resize((held.f_blocks - held.f_bfree) * held.f_frsize):
                return
            time.sleep(0.01)

    def empty(self):
        if not self.resize(f"{self.SIZE_MIB}m"):
            raise AssertionError(f"cannot enlarge {self.directory}")

    def unmount(self):
        if not self.refused:
            subprocess.run(["umount", "--lazy", self.directory], check=True)
