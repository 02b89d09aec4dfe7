"""Manifests of corpora, damaged: a CSV and EmoBox's JSON lines."""

import base64
import functools
import json
import math

import numpy as np
from mutation import mutated
from target import Target

from emotion2vec_edge.engine.corpora.labelled import read_corpus
from emotion2vec_edge.engine.errors import OptionError

EMBEDDING = base64.b64encode(np.float32([1, -2, 0.5]).tobytes()).decode()


@functools.cache
def seeds():
    """A manifest of every form."""
    rows = [
        {"key": "a", "dataset": "cafe", "wav": "a.wav", "emo": "c", "length": 3.5, "spk": 1},
        {"key": "b", "dataset": "cafe", "wav": "b.wav", "emo": "p", "start_time": 1.5,
         "end_time": 2.0, "spk": "x"},
    ]  # fmt: skip
    return {
        "csv": b"path,label,split,speaker\nemodb/a.wav,Happiness,test,1\nemodb/b.wav,sad,,2\n",
        "corrections": b"path,label,speaker,encoder,embedding\n"
        + f'"/a,b.wav",sad,x,e,{EMBEDDING}\n'.encode(),
        "emobox": "".join(json.dumps(row) + "\n" for row in rows).encode(),
        "label map": b'{"c": "Angry", "p": "Fear"}',
    }


def run(content, folder):
    """Read the content as every form that a corpus may have."""
    (folder / "m.csv").write_bytes(content)
    (folder / "m.jsonl").write_bytes(content)
    (folder / "with map").mkdir()
    (folder / "with map" / "label_map.json").write_bytes(content)
    (folder / "with map" / "m.jsonl").write_bytes(seeds()["emobox"])
    outcome = "OptionError"
    for path in (folder / "m.csv", folder / "m.jsonl", folder / "with map" / "m.jsonl"):
        try:
            clips = read_corpus(path, None)
        except OptionError as error:
            str(error).encode()
            continue
        outcome = "result"
        for clip in clips:
            assert clip.label is None or clip.label.strip().encode()
            assert all(math.isfinite(time or 0) for time in (clip.start, clip.end))
            assert len(clip.embedding or b"") % 4 == 0
            clip.place.encode()
    return outcome


TARGET = Target(seeds, run, mutated)
