"""Checkpoint folders in which one file is damaged: the config, the weights or the labels."""

import copy
import functools
import io
import random
import zipfile
from pathlib import Path

import torch
import yaml
from checkpoints import DOCUMENT, TOKENS, write_checkpoint
from mutation import mutated
from target import Target

from emotion2vec_edge.engine.errors import CheckpointError
from emotion2vec_edge.export.checkpoint.folder import load_checkpoint

ODD = (
    None, True, 0, -1, 1, 2, 10**9, 1 << 70, 0.0, -0.5, 1e-300, 1e308, float("inf"), float("nan"),
    "", "1e-05", "x" * 2_000, "\ud800", "\0", "[(1, 1, 1)] * 64", "[(9, 9, 9)] + " * 99, [], {},
    [[[[]]]], {"audio": {}}, ["a"], b"\xff",
)  # fmt: skip
"""Values that no field expects."""

ODD_TEXTS = (
    b"!!timestamp 2020-99-99", b"!!int ''", b"!!bool maybe", b"!!float x", b"!!binary '@'",
    b"!!python/object/apply:os.system ['true']", b"1:1:1:1", b"0x" + b"f" * 5_000, b"9" * 5_000,
    b".inf", b"~", b"*a", b"&a [*a]", b"[" * 900, b"? [a]\n: b", b"<<: {a: b}", b"!!set {a, b}",
    b"2020-01-01", b"=", b"\xef\xbb\xbf", b"\x85", b"'\\ud800'", b"|\n  text", b"- - - -",
)  # fmt: skip
"""Pieces of YAML at which parsers go wrong."""


@functools.cache
def seeds():
    """The files of a small checkpoint, each behind a line with its name."""
    with torch.no_grad():
        folder = Path(_folder())
    made = {}
    for name in ("config.yaml", "model.pt", "tokens.txt"):
        made[name] = _with_name(name, (folder / name).read_bytes())
    weights = torch.load(folder / "model.pt", weights_only=True)
    legacy = io.BytesIO()
    torch.save(weights, legacy, _use_new_zipfile_serialization=False)
    made["legacy model.pt"] = _with_name("model.pt", legacy.getvalue())
    return made


@functools.cache
def _folder():
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="fuzz-checkpoint."))
    write_checkpoint(folder, tokens=TOKENS)
    return str(folder)


def _with_name(name, content):
    return name.encode() + b"\n" + content


def mutate(content, rng, others=()):
    """Damage of bytes, of single fields, or of the pickle inside an archive."""
    name, _, body = content.partition(b"\n")
    if name == b"config.yaml" and rng.random() < 0.6:
        body = _damaged_config(random.Random(int(rng.integers(1 << 60))))  # noqa: S311
    elif name == b"model.pt" and zipfile.is_zipfile(io.BytesIO(body)) and rng.random() < 0.7:
        body = _damaged_archive(body, rng)
    else:
        body = mutated(body, rng, [other.partition(b"\n")[2] for other in others])
    return name + b"\n" + body


def _damaged_config(rng):
    document = copy.deepcopy(DOCUMENT)
    for _ in range(rng.randint(1, 3)):
        section = document
        for key in rng.choice(((), ("model_conf",), ("model_conf", "modalities", "audio"))):
            section = section.get(key) if isinstance(section, dict) else None
        if not isinstance(section, dict) or not section:
            continue
        key = rng.choice(sorted(section, key=str))
        if rng.random() < 0.15:
            del section[key]
        else:
            section[key] = rng.choice(ODD)
    text = yaml.dump(document, allow_unicode=True).encode("utf-8", "surrogatepass")
    if rng.random() < 0.3:
        lines = text.split(b"\n")
        place = rng.randrange(len(lines))
        lines[place] = lines[place].partition(b":")[0] + b": " + rng.choice(ODD_TEXTS)
        text = b"\n".join(lines)
    return text


def _damaged_archive(body, rng):
    """An archive with right checksums around a pickle, or another record, that is damaged."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(body)) as old, zipfile.ZipFile(out, "w") as new:
        names = old.namelist()
        pickles = [name for name in names if name.endswith("data.pkl")]
        chosen = pickles[0] if rng.random() < 0.8 else names[int(rng.integers(len(names)))]
        for name in names:
            content = old.read(name)
            if name == chosen:
                content = mutated(content, rng)
            kind = zipfile.ZIP_DEFLATED if rng.random() < 0.002 else zipfile.ZIP_STORED
            new.writestr(name, content, kind)
    return out.getvalue()


def run(content, folder):
    """Read the checkpoint: a model, or one of our errors."""
    name, _, body = content.partition(b"\n")
    whole = Path(_folder())
    for other in ("config.yaml", "model.pt", "tokens.txt"):
        (folder / other).write_bytes((whole / other).read_bytes())
    (folder / name.decode()).write_bytes(body)
    try:
        checkpoint = load_checkpoint(folder)
    except CheckpointError as error:
        str(error).encode()
        assert len(str(error)) < 5_000
        return type(error).__name__
    assert all(tensor.isfinite().all() for tensor in checkpoint.model.state_dict().values())
    assert all(label.id.isprintable() for label in checkpoint.labels)
    return "result"


TARGET = Target(seeds, run, mutate, memory=3 << 30)
