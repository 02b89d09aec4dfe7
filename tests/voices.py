"""A small corpus of synthetic voices, made on the spot."""

import csv

import numpy as np
import soundfile


def write_corpus(folder, speakers=4, clips=3, labels=("angry", "happy", "sad"), name="calls"):
    """Voices whose pitch is the label and whose timbre is the speaker; its manifest."""
    rng = np.random.default_rng(0)
    rows = []
    (folder / name).mkdir(parents=True, exist_ok=True)
    for speaker in range(speakers):
        for index, label in enumerate(labels):
            for take in range(clips):
                seconds = 0.5 + 0.2 * rng.random()
                time = np.arange(int(16_000 * seconds)) / 16_000
                pitch = (120, 240, 480, 700)[index] * (1 + 0.03 * rng.standard_normal())
                wave = sum(
                    np.sin(2 * np.pi * pitch * k * time) / (k + speaker / 3) for k in range(1, 6)
                )
                wave = 0.1 * wave + 0.01 * rng.standard_normal(len(time))
                path = f"{name}/{speaker}_{label}_{take}.wav"
                soundfile.write(folder / path, wave.astype(np.float32), 16_000)
                rows.append([path, label, f"s{speaker}", "train"])
    manifest = folder / "manifest.csv"
    with manifest.open("w", newline="") as file:
        csv.writer(file).writerows([["path", "label", "speaker", "split"], *rows])
    return manifest
