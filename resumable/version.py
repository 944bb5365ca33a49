"""The version of this release, read by the build and shown by `resumable --version`."""

__version__ = "0.1.0"
