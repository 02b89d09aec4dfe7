"""Spaces in which the distance between two embeddings says something about their emotions.

The cosine of two embeddings as they are is high whatever they hold, since all share one large mean
and a few directions that have little to do with emotion.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from ..bundle.bundle import Bundle
from ..bundle.integrity import verify_files
from ..bundle.manifest import MANIFEST, BundleFile, SameEmotion, SpaceRecord, encoder_id
from ..bundle.npy import read_arrays
from ..bundle.schema import read_manifest
from ..errors import NoSpaceError, OptionError
from ..files import locked_folder, reported, write_file
from ..metrics import softmax
from ..settings import SAME_PRIOR, SpaceChoice, SpaceName, check_probability

LEAST_NORM = 1e-12

SPEAKER_CLIPS = 5
"""Clips of a speaker that weigh as much as the knowledge that speakers are alike."""


@dataclass(frozen=True, eq=False)
class Space:
    """A map of embeddings to vectors whose cosine is compared.

    ``fitted`` by linear discriminants: a vector has two parts of length √share and √(1 − share).
    The first is the square root of the probability of each label, so that the product of two is
    their overlap; the second is the embedding without the mean of the speech that was fitted. So
    two clips are alike if they sound like the same emotion, or alike in another way.
    """

    name: SpaceName
    dim: int
    """Size of the embeddings."""
    arrays: Mapping[str, NDArray[np.float32]] = field(default_factory=dict, repr=False)
    """``mean`` [dim]: of the speech that was fitted. ``weight`` [labels, dim], ``bias`` [labels]:
    of the discriminants, or of the map to logits. ``whitening`` [dim, dim]: from centred embeddings
    to directions of equal variance. All float32; each space has those that it needs."""
    share: float = 0.0
    """Weight of the discriminants' part."""
    same: SameEmotion | None = None
    """Calibration of the cosine; None if there is none."""

    @classmethod
    def of(cls, bundle: Bundle, name: SpaceChoice = "auto") -> Space:
        """A space of a model.

        Args:
            bundle: the model.
            name: ``fitted``, ``raw``, ``emotion``, or ``auto``: ``fitted`` if the model has it.

        Raises:
            NoSpaceError: the model does not have it.
            OptionError: there is no space of that name.
            BundleTamperedError, BundleFormatError: the space's file.
        """
        if name not in get_args(SpaceChoice):
            raise OptionError(f"space is {name!r}; give {', '.join(get_args(SpaceChoice))}")
        manifest = bundle.manifest
        record, dim = manifest.space, manifest.architecture.embed_dim
        if name == "auto":
            name = "raw" if record is None else "fitted"
        same = None if record is None else record.same.get(name)
        if name == "raw":
            return cls("raw", dim, same=same)
        if name == "emotion" and manifest.head is not None:
            head = bundle.head()
            if head.weight is not None and head.bias is not None:
                return cls("emotion", dim, {"weight": head.weight, "bias": head.bias})
        if record is None or (name == "emotion" and not record.emotions):
            raise NoSpaceError(
                f"{bundle.folder}: has no {name} space; fit one with 'e2v embed --fit DATA', or "
                "compare the embeddings as they are (space raw)"
            )
        return cls._read(bundle, record, name, same)

    @classmethod
    def _read(
        cls, bundle: Bundle, record: SpaceRecord, name: SpaceName, same: SameEmotion | None
    ) -> Space:
        verify_files(bundle.folder, [record.file])
        dim = bundle.manifest.architecture.embed_dim
        path, shapes = bundle.folder / record.file.path, _shapes(record, dim)
        if name == "emotion":
            names = {"emotion_weight": "weight", "emotion_bias": "bias"}
        else:
            names = {key: key for key in shapes if not key.startswith("emotion")}
        read = read_arrays(path, {key: shapes[key] for key in names}, "a space")
        arrays = {names[key]: array for key, array in read.items()}
        return cls(name, dim, arrays, record.share, same)

    def transform(
        self, vectors: NDArray[np.float32], speakers: Sequence[str | None] | None = None
    ) -> NDArray[np.float32]:
        """Embeddings in this space.

        Args:
            vectors: float32 [count, dim].
            speakers: speaker of each, None if unknown. The mean of a speaker's embeddings then
                moves to the mean of all speech, the more the more there are: what is left is less
                of the voice. Only ``fitted`` knows that mean; the other spaces ignore speakers.

        Returns:
            float32 [count, size of the space]; ``raw`` returns the embeddings themselves.

        Raises:
            OptionError: another shape, or values that are NaN or infinite.
        """
        vectors = checked_vectors(vectors, self.dim)
        if self.name == "raw":
            return vectors
        own = self.arrays
        if self.name == "emotion":
            logits = vectors @ own["weight"].T + own["bias"]
            return np.asarray(logits - logits.mean(axis=1, keepdims=True), np.float32)
        centred: NDArray[np.float32] = vectors - own["mean"]
        if speakers is not None:
            _centre_speakers(centred, speakers)
        if "whitening" in own:
            return unit(np.asarray(centred @ own["whitening"], np.float32))
        likely = softmax(centred @ own["weight"].T + own["bias"])
        parts = [np.sqrt(self.share * likely), np.sqrt(1 - self.share) * unit(centred)]
        return np.concatenate(parts, axis=1, dtype=np.float32)

    @property
    def key(self) -> str:
        """Name of the space and of its content, for files that belong to it."""
        if not self.arrays:
            return self.name
        digest = hashlib.sha256(str(self.share).encode())
        for name, array in sorted(self.arrays.items()):
            digest.update(name.encode() + array.tobytes())
        return f"{self.name}-{digest.hexdigest()[:8]}"

    def cosine(self, a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
        """Cosine of two embeddings, each float32 [dim], in this space."""
        first, second = unit(self.transform(np.stack([a, b])))
        return float(first @ second)

    def same_emotion(self, cosine: float, prior: float = SAME_PRIOR) -> float | None:
        """Probability that two clips share an emotion; None without a calibration.

        Args:
            cosine: of the two in this space.
            prior: share of such pairs before they are heard.

        Raises:
            OptionError: a prior that is no probability between 0 and 1.
        """
        check_probability("prior", prior)
        if not 0 < prior < 1:
            raise OptionError(f"prior is {prior}; give a probability above 0 and below 1")
        if self.same is None:
            return None
        odds = self.same.slope * cosine + self.same.offset + np.log(prior / (1 - prior))
        return float(1 / (1 + np.exp(-odds)))


def _centre_speakers(centred: NDArray[np.float32], speakers: Sequence[str | None]) -> None:
    """Take from each vector the mean of its speaker, drawn towards zero for few of them."""
    rows: dict[str, list[int]] = {}
    for number, speaker in enumerate(speakers):
        if speaker is not None:
            rows.setdefault(speaker, []).append(number)
    for own in rows.values():
        centred[own] -= centred[own].sum(axis=0) / (len(own) + SPEAKER_CLIPS)


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors [count, size] scaled to length 1."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, LEAST_NORM), np.float32)


def checked_vectors(vectors: NDArray[np.float32], dim: int) -> NDArray[np.float32]:
    """Embeddings as float32 [count, dim].

    Raises:
        OptionError: another shape, or values that are NaN or infinite.
    """
    array = np.asarray(vectors, np.float32)
    if array.ndim != 2 or array.shape[1] != dim:
        raise OptionError(f"embeddings have the shape {array.shape}; give [count, {dim}]")
    if not np.isfinite(array).all():
        row = int(np.argwhere(~np.isfinite(array))[0, 0])
        raise OptionError(f"embedding {row} holds NaN or infinite values; leave it out")
    return array


def _shapes(record: SpaceRecord, dim: int) -> dict[str, tuple[int, ...]]:
    """Name and shape of each array of a space's file."""
    shapes: dict[str, tuple[int, ...]] = {"mean": (dim,)}
    if record.method == "whitening":
        shapes["whitening"] = (dim, dim)
    else:
        shapes |= {"weight": (len(record.labels), dim), "bias": (len(record.labels),)}
    if record.emotions:
        shapes |= {"emotion_weight": (record.emotions, dim), "emotion_bias": (record.emotions,)}
    return shapes


def add_space(
    bundle: Bundle, record: SpaceRecord, arrays: Mapping[str, NDArray[np.float32]]
) -> SpaceRecord:
    """Write a space into a bundle, in the place of the one that it has.

    The file has a name of its own, and the manifest switches to it: whenever the process is
    killed, the bundle has the old space or the new one.

    Args:
        bundle: the model.
        record: the space; its file is filled in here.
        arrays: its arrays by name.

    Returns:
        the record as it was written.

    Raises:
        OptionError: the bundle lies in the cache of a hub, or its model has changed meanwhile.
        OutputError: the bundle cannot be written; it is as it was.
    """
    import zipfile

    if (bundle.folder / MANIFEST).is_symlink():  # a hub's client keeps its snapshots so
        raise OptionError(
            f"{bundle.folder}: lies in the cache of a hub, which is not changed; copy the bundle "
            "with 'cp -rL' first"
        )

    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:  # dated alike, whenever it is made
        for name, array in sorted(arrays.items()):
            npy = io.BytesIO()
            np.save(npy, array.astype("<f4"))
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), npy.getvalue())
    digest = hashlib.sha256(content.getvalue()).hexdigest()
    file = BundleFile(f"space-{digest[:8]}.npz", content.tell(), digest)
    folder = bundle.folder
    with reported(folder / file.path), locked_folder(folder):
        manifest = read_manifest(folder / MANIFEST)
        if encoder_id(manifest) != encoder_id(bundle.manifest):
            raise OptionError(f"{folder}: the model has changed meanwhile; fit the space again")
        write_file(folder / file.path, content.getvalue())
        written = replace(record, file=file)
        changed = replace(manifest, space=written, schema=type(manifest).schema)
        write_file(folder / MANIFEST, changed.to_json().encode())
        for left in folder.glob("space-????????.npz"):
            if left.name != file.path:
                left.unlink(missing_ok=True)
    return written
