"""The few errors a user can cause. Each says what, where, and what to do; the command line prints it and exits."""


class AvatarGenError(Exception):
    """Base of all errors that a user can cause and mend."""

    exit_code = 2


class InputError(AvatarGenError):
    """A text, file or option that cannot be used."""


class ConfigError(AvatarGenError):
    """An unknown key, a wrong type or a missing include in the configuration."""


class MissingAssetError(AvatarGenError):
    """A model file that the user has to bring is not there."""


class MissingExtraError(AvatarGenError):
    """An optional package is needed; the message names the extra to install."""


class BrokenFileError(AvatarGenError):
    """A file exists but does not hold what it should; the message names file and key."""


class OutputError(AvatarGenError):
    """The output folder cannot be written."""


class UnsupportedFormatError(AvatarGenError):
    """No writer or reader for this file extension."""
