"""What the machine can do to a run, in words: errors that are nobody's bug and end without a traceback."""

import errno

_DISK = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "a file is too large",
}
_ACCESS = {errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ENOTDIR, errno.EISDIR, errno.ELOOP}
_ACCESS |= {errno.ENAMETOOLONG, errno.EMFILE, errno.ENFILE}


def machine_failure(error: BaseException) -> str | None:
    """A message for an error that the machine made, with what to do; None for all others."""
    # By name, so that the command line starts without torch: MemoryError and torch's OutOfMemoryError.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "out of memory\n  Try --quality draft, or --device cpu where a GPU is too small."
    if not isinstance(error, OSError):
        return None
    place = f"{error.filename}: " if error.filename else ""
    if error.errno in _DISK:
        return f"{place}{_DISK[error.errno]}\n  Make room and run the same command with --resume."
    if error.errno in _ACCESS or "temporary directory" in str(error):
        return f"{place}{error.strerror or error}\n  Check that folder, or name another one (--out, TMPDIR)."
    return None
