"""The one version, read from the package's metadata."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("avatargen")
except PackageNotFoundError:  # running from a source tree that was never installed
    VERSION = "0.0.0"
