"""bundle.json: read field by field, and refused by the name of the field."""

import json
import os

import pytest

from emotion2vec_edge.engine import open_bundle
from emotion2vec_edge.engine.bundle.schema import read_manifest
from emotion2vec_edge.engine.errors import BundleFormatError, BundleNotFoundError


def test_the_manifest_survives_writing_and_reading(copy):
    manifest = open_bundle(copy).manifest
    (copy / "bundle.json").write_text(manifest.to_json(), encoding="utf-8")
    assert open_bundle(copy).manifest == manifest


def test_a_bundle_of_the_first_schema_is_read(copy, edit):
    def age(document):
        document["schema"] = 1
        for name in ("head", "calibration", "space"):
            document.pop(name, None)

    edit(copy, age)
    assert open_bundle(copy).manifest.calibration is None


def first_file(document):
    return document["variants"]["fp32"]["files"][0]


LONE_SURROGATE = "\ud800"

CHANGES = {
    "schema should be 1 to 3 .* found 4": lambda d: d.update(schema=4),
    "schema should be 1 to 3 .* found None": lambda d: d.pop("schema"),
    "schema should be 1 to 3 .* found True": lambda d: d.update(schema=True),
    r"schema should be an integer from 1 to 2147483648, found 2\.0": lambda d: d.update(schema=2.0),
    "labels is missing; it should be a list of 0 to 1000": lambda d: d.pop("labels"),
    "surprise is not known to this version": lambda d: d.update(surprise=1),
    "architecture.width is not known": lambda d: d["architecture"].update(width=1),
    "name should be text, found 5": lambda d: d.update(name=5),
    "name should be text of 1 to 200 characters": lambda d: d.update(name="n" * 201),
    "name should be text without control characters": lambda d: d.update(name="\x1b[2J"),
    "licence should be text without": lambda d: d["source"].update(licence=LONE_SURROGATE),
    "source should be a mapping, found": lambda d: d.update(source=[]),
    "source.sha256.a should be text, found 1": lambda d: d["source"].update(sha256={"a": 1}),
    "source.head should be at most 20 levels": lambda d: d["source"].update(head=nested(30)),
    "architecture.embed_dim should be an integer": lambda d: d["architecture"].update(embed_dim=0),
    "architecture.heads should be .* found 'many'": lambda d: d["architecture"].update(
        heads="many"
    ),
    "architecture.depth should be .* found True": lambda d: d["architecture"].update(depth=True),
    "architecture.parameters should be": lambda d: d["architecture"].update(parameters=10**300),
    "architecture.frontend_values should": lambda d: d["architecture"].update(frontend_values=0),
    "audio.sample_rate should be 16000, found 1$": lambda d: d["audio"].update(sample_rate=1),
    "audio.sample_rate should be 16000, found 5": lambda d: d["audio"].update(sample_rate=5),
    "audio.hop should be an integer from 1 to 16000, found 0": lambda d: d["audio"].update(hop=0),
    "audio.hop should be .* found 1000000000000000000": lambda d: d["audio"].update(hop=10**18),
    r"audio.hop should be .* found 1e\+18": lambda d: d["audio"].update(hop=1e18),
    "audio.receptive_field should": lambda d: d["audio"].update(receptive_field=10**9),
    "audio.normalize should be true or false": lambda d: d["audio"].update(normalize=1),
    r"labels\[0\] should be a mapping, found 'angry'": lambda d: d.update(labels=["angry"]),
    r"labels\[1\].id should be one line of text": lambda d: d["labels"][1].update(id="a\nb"),
    r"labels\[2\].id should be one line of text, found ' '": lambda d: d["labels"][2].update(
        id=" "
    ),
    "labels should be labels of different ids": lambda d: d["labels"][1].update(id="angry"),
    "labels should be a list of 0 to 1000": lambda d: d.update(labels={"id": "angry"}),
    "tools.torch should be text, found 2": lambda d: d["tools"].update(torch=2),
    "opset should be an integer": lambda d: d.update(opset="18"),
    "variants should be a mapping of 1 to 4": lambda d: d.update(variants={}),
    "variants should be of the precisions fp32, int8, fp16, int8-static, found": lambda d: d[
        "variants"
    ].update(int4=d["variants"].pop("int8")),
    "variants.fp32.files is missing": lambda d: d["variants"]["fp32"].pop("files"),
    r"files should be a list with one frontend\.onnx": lambda d: d["variants"]["fp32"].update(
        files=[first_file(d)]
    ),
    "files should be a list of different files": lambda d: d["variants"]["fp32"]["files"].extend(
        [dict(first_file(d), path="a")] * 2
    ),
    "fp32.providers should be a list": lambda d: d["variants"]["fp32"].update(providers="cpu"),
    r"fp32.providers\[0\] should be text": lambda d: d["variants"]["fp32"].update(providers=[1]),
    "fp32.recipe should be a mapping": lambda d: (
        d["variants"]["fp32"].update(recipe=None) or d["variants"]["fp32"].update(recipe=5)
    ),
    "fp32.evidence should be text without control": lambda d: d["variants"]["fp32"].update(
        evidence={"a": ["\x07"]}
    ),
    "path should be a path inside the bundle, .* found '../../etc": lambda d: first_file(d).update(
        path="../../etc/passwd"
    ),
    "path should be .* found '/etc": lambda d: first_file(d).update(path="/etc/passwd"),
    "path should be .* found 'fp32//a'": lambda d: first_file(d).update(path="fp32//a"),
    r"path should be .* found '\.'": lambda d: first_file(d).update(path="."),
    r"path should be .* found '\.\.\\\\": lambda d: first_file(d).update(path="..\\encoder.onnx"),
    "bytes should be an integer from 0": lambda d: first_file(d).update(bytes=-1),
    "sha256 should be 64 hexadecimal digits": lambda d: first_file(d).update(sha256="none"),
    "head.path is missing": lambda d: d.update(head={"bytes": 1}),
    "calibration should be a mapping": lambda d: d.update(calibration=1.2),
    "calibration.temperature should be .* found 0$": lambda d: d.update(
        calibration={"temperature": 0}
    ),
    "temperature should be .* found 1e-38": lambda d: d.update(calibration={"temperature": 1e-38}),
    "temperature should be .* found 'hot'": lambda d: d.update(calibration={"temperature": "hot"}),
    "temperature is missing": lambda d: d.update(calibration={"temperature": None}),
    "calibration.ece should be a number from 0 to 1": lambda d: d["calibration"].update(ece=1.5),
}


def nested(levels):
    return {"a": nested(levels - 1)} if levels else 1


@pytest.mark.parametrize("message", CHANGES)
def test_every_field_has_its_limits(copy, edit, message):
    edit(copy, CHANGES[message])
    with pytest.raises(BundleFormatError, match=rf"bundle\.json: .*{message}"):
        open_bundle(copy)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("field", ["temperature", "ece", "max_shift", "bytes"])
def test_numbers_are_finite(copy, number, field):
    path = copy / "bundle.json"
    text = path.read_text(encoding="utf-8")
    start = text.index(f'"{field}": ') + len(field) + 4
    path.write_text(text[:start] + number + text[text.index("\n", start) :].replace("\n", ",\n", 1))
    with pytest.raises(BundleFormatError, match=r"bundle\.json"):
        open_bundle(copy)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'{"schema": 1}', b"[" * 100_000, b"\xff\xfe", b"1" * 5_000,
     b'{"schema": 2, "a": ' + b"1" * 5_000 + b"}", b" " * (5 << 20)],
)  # fmt: skip
def test_files_that_are_no_manifest(copy, content):
    (copy / "bundle.json").write_bytes(content)
    with pytest.raises(BundleFormatError, match=r"bundle\.json"):
        open_bundle(copy)


def test_a_device_or_a_pipe_is_no_manifest(copy):
    path = copy / "bundle.json"
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(BundleFormatError, match="not a regular file"):
        read_manifest(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(BundleFormatError, match="not a regular file"):
        read_manifest(path)
    with pytest.raises(BundleNotFoundError, match="it has no bundle.json"):
        open_bundle(copy)


def test_all_fields_of_the_writer_are_known_to_the_reader(copy):
    """Optional fields too: a manifest with all of them is read back as it was."""
    document = json.loads((copy / "bundle.json").read_text(encoding="utf-8"))
    document["source"].update(head={"clips": 36, "recalls": {"sad": 0.5}, "speakers": None})
    document["head"] = {"path": "head.npz", "bytes": 5, "sha256": "0" * 64}
    (copy / "bundle.json").write_text(json.dumps(document), encoding="utf-8")
    manifest = open_bundle(copy).manifest
    assert json.loads(manifest.to_json()) == document


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_manifest_that_may_not_be_read(copy):
    (copy / "bundle.json").chmod(0)
    with pytest.raises(BundleFormatError, match="Permission denied"):
        open_bundle(copy)
