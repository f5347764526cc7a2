"""The one exception tree: every surface (command line, HTTP, page) maps these classes and no others.

MedsttError
    InputError            the caller's input cannot be used
        AudioError        a recording: EmptyAudio, UnsupportedAudio, UnreadableAudio
        DataError         a manifest, table or text file
        VocabError        a lexicon, formulary, template or auto-text
        OptionError       an unknown language, format, key or value
        TooLarge          more bytes or minutes than the limit
    ModelError            UnknownModel, CorruptModel, ModelUnavailable (needs a network or a missing package)
    ConflictError         somebody else changed it first, or holds it
        StaleError        the version named is not the current one
    NotFoundError         no such thing, or not yours
    AccessError           not allowed
        NotAuthenticated  no key, or one that is wrong, expired or revoked
    ResourceError         disk full, no memory, folder not writable
        StoreUnavailable  the database does not answer
        TooManyRequests   over the rate limit, or no room in the queue
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


class TooLarge(InputError):
    """More bytes or minutes than the limit allows."""

    code = "too_large"


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


class StaleError(ConflictError):
    """The version the caller names is not the current one."""

    code = "stale"


class NotFoundError(MedsttError):
    """No such thing, or not the caller's."""

    code = "not_found"


class AccessError(MedsttError):
    """The caller may not do this."""

    code = "forbidden"


class NotAuthenticated(AccessError):
    """No key, or one that is wrong, expired or revoked."""

    code = "unauthenticated"


class ResourceError(MedsttError):
    """The machine has run out of something: disk, memory, a writable folder."""

    code = "out_of_resource"


class StoreUnavailable(ResourceError):
    """The database does not answer."""

    code = "store_unavailable"


class TooManyRequests(ResourceError):
    """Over the rate limit, or no room left in the queue."""

    code = "too_many_requests"


class NotPromotable(MedsttError):
    """The promotion gate has not passed for this version."""

    code = "not_promotable"
