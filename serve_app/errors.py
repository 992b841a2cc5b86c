"""The project's own errors. Vendor errors are translated into these in the adapter that meets them.

All arguments are positional and kept in `args`, so that an error survives pickling between Ray processes.
"""


class SparkvoxError(Exception):
    """Base of all of them. `str(error)` is one sentence that says what to do where something can be done."""


class EngineFailed(SparkvoxError):
    """An engine could not do this piece of work; the next may succeed."""


class EngineBusy(SparkvoxError):
    """No replica takes more work now."""


class EngineGone(SparkvoxError):
    """The replica behind a connection was lost."""


class PromptTooLong(EngineFailed):
    """The conversation does not fit the model's context."""


class PromptRefused(EngineFailed):
    """The engine cannot do what this prompt asks; nothing is wrong with the engine."""


class UnknownVoice(EngineFailed):
    """The voice is not one of the engine's."""


class ArtifactMissing(SparkvoxError):
    """A model file is not here and no source could give it."""


class ArtifactDamaged(SparkvoxError):
    """A model file has another hash than declared."""


class SettingsError(SparkvoxError):
    """A setting is unknown or wrong."""
