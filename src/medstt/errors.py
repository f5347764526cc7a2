"""The one exception tree: every surface (command line, HTTP, page) maps these classes and no others.

MedsttError
    InputError            the caller's input cannot be used
        AudioError        a recording: EmptyAudio, UnsupportedAudio, UnreadableAudio
        DataError         a manifest, table or text file
        VocabError        a lexicon, formulary, template or auto-text
        OptionError       an unknown language, format, key or value
    ModelError            UnknownModel, CorruptModel, ModelUnavailable (needs a network or a missing package)
    ConflictError         somebody else changed it first, or holds it
    NotFoundError         no such thing, or not yours
    AccessError           not allowed
    ResourceError         disk full, no memory, folder not writable
    NotPromotable         the gate has not passed
"""

from __future__ import annotations


class MedsttError(Exception):
    """What went wrong and what to do about it, each in one sentence.

    ``code`` is a stable slug for programs; ``str()`` gives "what. remedy" on one line.
    """

    code = "error"

    def __init__(self, what: str, remedy: str = "") -> None:
        self.what = what
        self.remedy = remedy
        super().__init__(f"{what.rstrip('.')}. {remedy}".strip() if remedy else what)


class InputError(MedsttError):
    """The caller's input cannot be used as it is."""

    code = "bad_input"


class AudioError(InputError):
    """A recording cannot be used."""

    code = "bad_audio"


class EmptyAudio(AudioError):
    """A recording without a single usable sample."""

    code = "empty_audio"


class UnsupportedAudio(AudioError):
    """Not a recording, or of a format that cannot be read here."""

    code = "unsupported_audio"


class UnreadableAudio(AudioError):
    """The file is gone, locked or damaged beyond decoding."""

    code = "unreadable_audio"


class DataError(InputError):
    """A manifest, table or text file is malformed; the message names file, line and column."""

    code = "bad_data"


class VocabError(InputError):
    """A lexicon, template or auto-text is malformed; the message names file, line and column."""

    code = "bad_vocabulary"


class OptionError(InputError):
    """An unknown language, format, setting or value."""

    code = "bad_option"


class ModelError(MedsttError):
    """A model cannot be used."""

    code = "model_error"


class UnknownModel(ModelError):
    """No model of that name is registered, on disk or on the hub."""

    code = "unknown_model"


class CorruptModel(ModelError):
    """A model's files do not match their recorded digest, or are incomplete."""

    code = "corrupt_model"


class ModelUnavailable(ModelError):
    """The model exists but needs a network or a package that is not there."""

    code = "model_unavailable"


class ConflictError(MedsttError):
    """Somebody else changed it first, or holds it."""

    code = "conflict"


class NotFoundError(MedsttError):
    """No such thing, or not the caller's."""

    code = "not_found"


class AccessError(MedsttError):
    """The caller may not do this."""

    code = "forbidden"


class ResourceError(MedsttError):
    """The machine has run out of something: disk, memory, a writable folder."""

    code = "out_of_resource"


class NotPromotable(MedsttError):
    """The promotion gate has not passed for this version."""

    code = "not_promotable"
