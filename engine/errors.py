"""The one tree of exceptions. Every error a user can cause is one of these.

The class says what kind of thing was wrong, the message says what was found, what is allowed and
what to do; ``exit_code`` is what the ``e2v`` command ends with::

    E2VError
    ├── OptionError (ValueError)                2   an argument outside what is allowed
    │   ├── RuleFileError                           a file of alert rules that cannot be used
    │   ├── TurnFileError                           a file of turns that cannot be used
    │   ├── StoreError                              a store of embeddings that cannot be used
    │   └── ModalityError                           scores of a modality that cannot be fused
    ├── MissingExtraError (ImportError)         2   an optional package is not installed
    ├── OutputError (OSError)                   1   a result could not be written
    ├── AudioError                              3
    │   ├── AudioNotFoundError (FileNotFoundError)
    │   ├── AudioReadError (OSError)            the disk or the connection failed while it was read
    │   ├── UndecodableAudioError               not audio, or damaged, or an impossible header
    │   │   └── TruncatedAudioError             ends before its own header says
    │   ├── NoAudioStreamError                  a readable file without sound in it
    │   ├── AudioTooShortError                  not even one frame
    │   ├── AudioTooLongError                   longer than is to be taken in
    │   └── InvalidSamplesError (ValueError)    NaN, infinite, wrong dtype or shape, no rate
    ├── ModelError                              4
    │   ├── BundleNotFoundError (FileNotFoundError)
    │   ├── BundleFormatError                   a file of the bundle is damaged, or not read here
    │   ├── BundleTamperedError                 a file differs from the checksum in bundle.json
    │   ├── VariantNotFoundError                the bundle has no such precision
    │   ├── NoHeadError                         the model gives embeddings and no emotions
    │   ├── NoSpaceError                        no space for its embeddings was fitted
    │   ├── NonFiniteError                      the model gave NaN or infinite values
    │   ├── CheckpointError                     a FunASR checkpoint that cannot be read
    │   │   └── UnsupportedConfigError          its config.yaml asks for what we do not have
    │   ├── HubError                            a hub does not give or take a model
    │   ├── ParityError                         an exported graph differs from its torch model
    │   └── GateError                           a variant lost too much against fp32
    ├── ProviderError                           5   a named execution provider cannot serve
    ├── ClusterError                            1   a cluster that is not there, full, or unfit
    └── ServiceError                            1   a request that the service does not answer
        ├── UnauthorizedError                       no token, or a wrong one
        ├── ForbiddenError                          from another site, or to another host
        ├── UnknownResourceError                    there is no such thing, or not any more
        ├── MalformedRequestError                   the body is not what its headers say
        ├── RequestTooLargeError                    more bytes or parts than are taken
        ├── OverloadedError                         the queue is full, or the service ends
        ├── TimeBudgetError                         it took longer than a request may
        └── WithdrawnError                          its client went away, or cancelled it
"""


class E2VError(Exception):
    """Base of all errors of emotion2vec-edge."""

    exit_code = 1


class OptionError(E2VError, ValueError):
    """An argument is outside of what is allowed."""

    exit_code = 2


class RuleFileError(OptionError):
    """A file of alert rules cannot be read, or holds what is no rule."""


class TurnFileError(OptionError):
    """A file of turns cannot be read, or a turn lies outside of its recording."""


class StoreError(OptionError):
    """A store of embeddings is damaged, or of another model."""


class ModalityError(OptionError):
    """The scores of a modality cannot be read, mapped, or put in time."""


class MissingExtraError(E2VError, ImportError):
    """A package that this verb needs is not installed."""

    exit_code = 2


class OutputError(E2VError, OSError):
    """A result could not be written (disk full, no permission)."""


class AudioError(E2VError):
    """The audio cannot be used."""

    exit_code = 3


class AudioNotFoundError(AudioError, FileNotFoundError):
    """There is no such file, or it may not be read."""


class AudioReadError(AudioError, OSError):
    """The operating system failed to read the audio (a damaged disk, a lost connection)."""


class UndecodableAudioError(AudioError):
    """The bytes are not audio that libsndfile or FFmpeg can decode."""


class TruncatedAudioError(UndecodableAudioError):
    """The audio ends before its own header says it should."""


class NoAudioStreamError(AudioError):
    """The container is readable and holds no audio stream."""


class AudioTooShortError(AudioError):
    """The audio is shorter than one receptive field of the model (400 samples at 16 kHz)."""


class AudioTooLongError(AudioError):
    """The audio is longer than the limit that was given."""


class InvalidSamplesError(AudioError, ValueError):
    """The samples are not finite numbers of a known type, shape and rate."""


class ModelError(E2VError):
    """The model or bundle cannot be used."""

    exit_code = 4


class BundleNotFoundError(ModelError, FileNotFoundError):
    """There is no bundle of that path or name."""


class BundleFormatError(ModelError):
    """A file of the bundle is damaged, or of a kind or version that is not read."""


class BundleTamperedError(ModelError):
    """A file of the bundle is not the file that bundle.json describes."""


class VariantNotFoundError(ModelError):
    """The bundle has no variant of the precision asked for."""


class NoHeadError(ModelError):
    """The model has no emotion head: it gives embeddings only."""


class NoSpaceError(ModelError):
    """No space for the model's embeddings was fitted."""


class NonFiniteError(ModelError):
    """The model gave NaN or infinite values for finite audio."""


class CheckpointError(ModelError):
    """A FunASR checkpoint cannot be read."""


class UnsupportedConfigError(CheckpointError):
    """The checkpoint's config.yaml asks for something that is not supported."""


class HubError(ModelError):
    """A model could not be fetched from a hub, or sent to it."""


class ParityError(ModelError):
    """An exported graph does not give the numbers of the torch model it was made from."""


class GateError(ModelError):
    """A variant of a model lost too much against fp32."""


class ProviderError(E2VError):
    """A named execution provider cannot serve."""

    exit_code = 5


class ClusterError(E2VError):
    """A cluster does not answer, has no room, or has machines that cannot do the work."""


class ServiceError(E2VError):
    """The service does not answer a request."""


class UnauthorizedError(ServiceError):
    """The request has no token, or a wrong one."""


class ForbiddenError(ServiceError):
    """The request comes from another site, or is to a host that the service is not."""


class UnknownResourceError(ServiceError):
    """There is no such job or page, or it is not kept any more."""


class MalformedRequestError(ServiceError):
    """The body of the request is not what its headers say."""


class RequestTooLargeError(ServiceError):
    """The request has more bytes or parts than are taken."""


class OverloadedError(ServiceError):
    """The queue is full or the service ends; the request may be sent again later."""


class TimeBudgetError(ServiceError):
    """The request took longer than its time budget."""


class WithdrawnError(ServiceError):
    """The client of the request went away, or cancelled it."""


def as_own(error: Exception) -> E2VError:
    """The error itself, or one of ours that it is the cause of."""
    if isinstance(error, E2VError):
        return error
    own = E2VError(f"internal error: {str(error) or type(error).__name__}")
    own.__cause__ = error
    return own
