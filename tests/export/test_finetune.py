"""Heads and trainings: what is refused, what is learned, and a stop that leaves no trace."""

import csv
import dataclasses
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch
from checkpoints import DOCUMENT, TOKENS, write_checkpoint
from test_model import funasr_answer, oracle

from emotion2vec_edge.engine import Recognizer, open_bundle
from emotion2vec_edge.engine.corpora.feedback import encoder_id
from emotion2vec_edge.engine.corpora.labelled import LabelledClip, read_corpus
from emotion2vec_edge.engine.errors import CheckpointError, OptionError
from emotion2vec_edge.export.checkpoint.folder import load_checkpoint
from emotion2vec_edge.export.checkpoint.folder import write_checkpoint as write_folder
from emotion2vec_edge.export.checkpoint.labels import PLUS_TOKENS
from emotion2vec_edge.export.exporter import ExportSettings, export_bundle
from emotion2vec_edge.export.finetune import bundle_head, fitting
from emotion2vec_edge.export.finetune.checks import check_clips
from emotion2vec_edge.export.finetune.embeddings import embeddings_of, logits_of
from emotion2vec_edge.export.finetune.speech import held_out_speakers, load_speech
from emotion2vec_edge.export.finetune.training import train as training
from emotion2vec_edge.export.finetune.training.augmentation import (
    Augmentation,
    LogMel,
    augment,
    coded,
    resampled,
)
from emotion2vec_edge.export.finetune.training.initialization import (
    SHAPES,
    gabor_filters,
    new_document,
    new_model,
)
from emotion2vec_edge.export.finetune.training.learner import Average, Learner, Regularization
from emotion2vec_edge.export.finetune.training.recipe import FROM_NOTHING
from emotion2vec_edge.export.finetune.training.run import LOG, STATE, Run
from emotion2vec_edge.export.hub import resolve
from emotion2vec_edge.export.model.padding import normalized_batch

E2V = [sys.executable, "-m", "emotion2vec_edge.engine.cli"]


def e2v(*args):
    return subprocess.run(
        [*E2V, *map(str, args)], capture_output=True, env=os.environ.copy(), check=False
    )


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


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A config.yaml that trains in no time."""
    document = json.loads(json.dumps(DOCUMENT))
    audio = document["model_conf"]["modalities"]["audio"]
    audio["feature_encoder_spec"] = "[(32, 240, 160)] + [(32, 2, 2)]"
    path = tmp_path_factory.mktemp("shape") / "config.yaml"
    path.write_text(json.dumps(document))
    return path


# What cannot be learned from


def clip(path, label="sad", speaker="s", row=2):
    return LabelledClip(path, label, "c", speaker=speaker, row=row)


def test_all_that_is_wrong_is_said_at_once(tmp_path):
    here = tmp_path / "a.wav"
    here.touch()
    clips = [
        *[clip(here, "sad", f"s{i}", i) for i in range(2, 8)],
        clip(tmp_path / "gone.wav", "sad", "s1", 8),
        clip(here, "bewildered", "s1", 9),
        clip(here, None, "s1", 10),
        clip(here, "angry", "s1", 11),
    ]
    with pytest.raises(OptionError) as error:
        check_clips(clips, ("angry", "sad"))
    text = str(error.value)
    assert f"no such file:\n  line 8: {tmp_path / 'gone.wav'}" in text
    assert f"it has angry, sad:\n  line 9: {here} (bewildered)" in text
    assert f"without a label:\n  line 10: {here}" in text
    assert f"1 clips of angry, and at least 5 are needed:\n  line 11: {here}" in text


@pytest.mark.parametrize(
    ("labels", "speakers", "message"),
    [
        (["sad"] * 6, "abcdef", "only the label sad; at least two"),
        (["sad", "angry"] * 6, "aaaaaaaaaaaa", "all clips are of the one speaker a"),
        ([], "", "no labelled clip at all"),
    ],
)
def test_too_little_variety(tmp_path, labels, speakers, message):
    path = tmp_path / "a.wav"
    path.touch()
    clips = [clip(path, *values) for values in zip(labels, speakers, strict=True)]
    with pytest.raises(OptionError, match=message):
        check_clips(clips, None)


def test_a_label_of_one_speaker_cannot_be_held_out(rng):
    truth = np.array([0] * 10 + [1] * 10)
    speakers = ["a"] * 5 + ["b"] * 5 + ["a"] * 10
    with pytest.raises(OptionError, match=r"single speaker: sad \(only a\)"):
        fitting.fit_head(rng.standard_normal((20, 4)), truth, ["angry", "sad"], speakers)


def test_recordings_that_cannot_be_decoded_are_all_named(corpus, tmp_path):
    clips = read_corpus(corpus, "train")
    for name in ("a", "b"):
        (tmp_path / f"{name}.wav").write_text("text")
    bad = [dataclasses.replace(clips[i], path=tmp_path / f"{n}.wav") for i, n in enumerate("ab")]
    for fit in (
        lambda c: load_speech(c, ["angry", "happy", "sad"]),
        lambda c: bundle_head.finetune_bundle("emotion2vec_small", c, tmp_path / "out"),
    ):
        with pytest.raises(OptionError, match=r"(?s)line 2: .*a\.wav.*line 3: .*b\.wav"):
            fit([*bad, *clips[2:]])
    assert not (tmp_path / "out").exists()


# Heads


def cloud(rng, labels=3, speakers=6, clips=8, dim=6):
    """Embeddings with a place for each label and a shift for each speaker."""
    centres, shifts = 2.0 * rng.standard_normal((labels, dim)), rng.standard_normal((speakers, dim))
    points, truth, who = [], [], []
    for label in range(labels):
        for speaker in range(speakers):
            for _ in range(clips):
                points.append(centres[label] + shifts[speaker] + 0.3 * rng.standard_normal(dim))
                truth.append(label)
                who.append(f"s{speaker}")
    return np.float32(points), np.array(truth), who


def test_a_head_is_measured_on_speakers_that_it_did_not_learn_from(rng):
    points, truth, who = cloud(rng)
    # A dimension that tells the label, in another way for each speaker: worthless on a new one.
    cheat = np.array([(label + int(name[1:])) % 3 for name, label in zip(who, truth, strict=True)])
    cheating = np.column_stack([np.float32(rng.standard_normal(len(truth))), 5.0 * cheat])
    fitted = fitting.fit_head(np.float32(cheating), truth, list("abc"), who)
    assert fitted.evidence["ua"] < 0.5
    fitted = fitting.fit_head(points, truth, list("abc"), who, before=np.zeros(len(truth), int))
    assert fitted.evidence["ua"] > 0.9
    assert fitted.evidence["ua_before"] == pytest.approx(1 / 3, abs=1e-4)
    assert fitted.evidence["speakers"] == 6
    assert fitted.evidence["ece"] <= fitted.evidence["ece_before"] + 0.02
    answers = (points @ fitted.weight.T + fitted.bias).argmax(axis=1)
    assert (answers == truth).mean() > 0.95


def test_two_labels_and_unknown_speakers(rng):
    points, truth, _ = cloud(rng, labels=2)
    fitted = fitting.fit_head(points, truth, ["calm", "tense"], [None] * len(truth))
    assert fitted.weight.shape == (2, 6)
    assert ((points @ fitted.weight.T + fitted.bias).argmax(axis=1) == truth).mean() > 0.95
    assert fitted.evidence["speakers"] is None


def test_a_label_that_a_fold_lacks_is_never_its_answer(rng):
    points, truth, who = cloud(rng, speakers=2, clips=5)
    fitted = fitting.fit_head(points, truth, list("abc"), who)
    assert fitted.evidence["folds"] == 2
    weight, bias = fitting._fit(points[truth < 2], truth[truth < 2], 3, 1.0)
    assert (weight[2] == 0).all()
    assert (points @ weight.T + bias).argmax(axis=1).max() == 1


def test_a_bundle_gets_a_head_without_torch(corpus, tmp_path):
    out = tmp_path / "mine"
    code = (
        "import sys; from emotion2vec_edge.engine.cli import main\n"
        "try: main()\n"
        "finally: assert not {'torch', 'onnx'} & set(sys.modules)"
    )
    arguments = ["finetune", "emotion2vec_small", "--head", "--data", corpus, "-o", out]
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert b"UA before" in done.stdout
    assert done.stderr == b""
    bundle = open_bundle(out)
    assert [label.id for label in bundle.manifest.labels] == ["angry", "happy", "sad"]
    assert bundle.manifest.calibration.temperature > 0
    assert bundle.manifest.source.head["clips"] == 36
    assert bundle.manifest.source.licence in (out / "README.md").read_text()
    clips = read_corpus(corpus, "train")
    for precision in ("fp32", "int8"):
        recognizer = Recognizer.load(out, precision=precision)
        found = [recognizer.recognize(one.path) for one in clips]
        assert np.mean([u.emotion == c.label for u, c in zip(found, clips, strict=True)]) > 0.8
        assert all(u.calibrated for u in found)
    again = e2v(*arguments)
    assert (again.returncode, b"exists already" in again.stderr) == (2, True)
    assert e2v(*arguments, "--overwrite").returncode == 0


def test_kept_embeddings_stand_for_recordings_that_are_gone(corpus, tmp_path):
    recognizer = Recognizer.load(precision="fp32")
    encoder = encoder_id(recognizer.bundle.manifest)
    clips = [
        dataclasses.replace(
            one,
            path=tmp_path / "gone" / one.path.name,
            encoder=encoder,
            embedding=recognizer.encode(one.path).embedding().tobytes(),
        )
        for one in read_corpus(corpus, "train")
    ]
    _, fitted = bundle_head.finetune_bundle("emotion2vec_small", clips, tmp_path / "out")
    _, expected = bundle_head.finetune_bundle(
        "emotion2vec_small", read_corpus(corpus, "train"), tmp_path / "expected"
    )
    np.testing.assert_allclose(fitted.weight, expected.weight, atol=1e-4)
    other = [dataclasses.replace(one, encoder="another") for one in clips]
    with pytest.raises(OptionError, match=r"gone.*0_angry_0\.wav"):
        bundle_head.finetune_bundle("emotion2vec_small", other, tmp_path / "none")


def test_a_checkpoint_gets_a_head_and_becomes_a_bundle(corpus, tmp_path):
    write_checkpoint(tmp_path / "model")
    done = e2v("finetune", tmp_path / "model", "--head", "--data", corpus, "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    before, after = load_checkpoint(tmp_path / "model"), load_checkpoint(tmp_path / "out")
    assert [label.display for label in after.labels] == ["生气", "开心", "sad"]
    for name, value in before.model.state_dict().items():
        if "head" not in name:
            torch.testing.assert_close(after.model.state_dict()[name], value)
    source = resolve(str(tmp_path / "out"), offline=True)
    manifest = export_bundle(source, ExportSettings(tmp_path / "bundle"))
    calibration = json.loads((tmp_path / "out" / "calibration.json").read_text())
    assert manifest.calibration.temperature == calibration["temperature"]
    assert "new emotion head" in (tmp_path / "bundle" / "README.md").read_text()


# Augmentation


def test_augmentation_keeps_shape_length_and_normalisation(rng):
    lengths = torch.tensor([16_000, 9_000, 400])
    waves = torch.from_numpy(rng.standard_normal((3, 16_000)).astype(np.float32))
    waves = normalized_batch(waves, lengths)
    everything = Augmentation(
        band_share=1, notch_share=1, reverb_share=1, noise_share=1, other_share=1
    )
    out, partner, share = augment(waves, lengths, everything, torch.Generator().manual_seed(1))
    assert out.shape == waves.shape
    assert partner.tolist() == [1, 2, 0]
    assert ((share > 0.1) & (share <= 0.5)).all()
    for row, length in zip(out, lengths, strict=True):
        assert row[length:].abs().max() == 0 if length < 16_000 else True
        assert row[:length].mean().abs() < 1e-4
        assert row[:length].var(unbiased=False) == pytest.approx(1, abs=1e-3)
    again = augment(waves, lengths, everything, torch.Generator().manual_seed(1))[0]
    torch.testing.assert_close(out, again, rtol=0, atol=0)


def test_nothing_happens_where_nothing_is_asked_for(rng):
    lengths = torch.tensor([8_000, 8_000])
    waves = torch.from_numpy(rng.standard_normal((2, 8_000)).astype(np.float32))
    waves = normalized_batch(waves, lengths)
    nothing = Augmentation((1, 1), 0, 0, 0, 0, 0, 0, (10, 10), 0, 0)
    out, _, share = augment(waves, lengths, nothing, torch.Generator().manual_seed(1))
    torch.testing.assert_close(out, waves, atol=1e-4, rtol=0)
    assert share.tolist() == [0, 0]


def test_speed_and_codecs(rng):
    wave = np.sin(np.arange(16_000) * 0.2).astype(np.float32)
    assert len(resampled(wave, 1.25)) == pytest.approx(12_800, abs=2)
    for _ in range(6):
        out = coded(0.3 * wave, rng)
        assert out.shape == wave.shape
        assert out.dtype == np.float32
        assert 0.05 < np.abs(out[4000:12_000]).max() < 1.1


def test_log_mel_tells_pitch_and_level():
    mel = LogMel(400, 320)
    time = torch.arange(16_000) / 16_000
    low, high = (torch.sin(2 * torch.pi * f * time)[None] for f in (300, 3000))
    assert mel(low).mean(1).argmax() < mel(high).mean(1).argmax()
    assert mel(low).shape == (1, 49, LogMel.bands)
    assert (mel(low) > mel(0.1 * low)).all()


# Training


def fit(folder, corpus, tiny, steps, **changes):
    labels = ["angry", "happy", "sad"]
    speech = load_speech(read_corpus(corpus, "train"), labels)
    held = held_out_speakers(speech, 0.25)
    assert len(set(speech.speakers[held])) == 1
    recipe = dataclasses.replace(
        FROM_NOTHING, steps=steps, batch_seconds=6.0, crop_seconds=(0.3, 0.5), warmup_steps=3,
        frontend_steps=2, learning_rate=3e-3, **changes,
    )  # fmt: skip
    model = new_model(new_document(str(tiny)), len(labels), recipe.seed)
    folder.mkdir(exist_ok=True)
    learner = Learner(model, len(labels), recipe.regularization)
    return Run(folder, recipe, learner, speech.subset(~held), speech.subset(held))


def stop_after(run, steps):
    step = run._step

    def stopping():
        if run.step == steps:
            raise KeyboardInterrupt
        return step()

    run._step = stopping
    with pytest.raises(KeyboardInterrupt):
        run.train()


def test_a_training_that_was_stopped_goes_on_as_if_it_had_not_been(corpus, tiny, tmp_path):
    whole = fit(tmp_path / "whole", corpus, tiny, 8)
    whole.train()
    stop_after(fit(tmp_path / "parts", corpus, tiny, 8), 5)
    parts = fit(tmp_path / "parts", corpus, tiny, 8)
    parts.train()
    assert (whole.step, parts.step) == (8, 8)
    for name, value in whole.learner.state_dict().items():
        torch.testing.assert_close(parts.learner.state_dict()[name], value, rtol=0, atol=0)
    for name, value in whole.average.values.items():
        torch.testing.assert_close(parts.average.values[name], value, rtol=0, atol=0)
    logs = [(tmp_path / name / LOG).read_text() for name in ("whole", "parts")]
    last = [json.loads(log.splitlines()[-1]) for log in logs]
    assert last[0]["loss"] == last[1]["loss"] or last[0]["step"] == last[1]["step"]
    with pytest.raises(OptionError, match="another steps"):
        fit(tmp_path / "parts", corpus, tiny, 9).train()


def test_training_learns(corpus, tiny, tmp_path):
    run = fit(
        tmp_path / "run", corpus, tiny, 150, average_decay=0.9,
        augmentation=Augmentation((1, 1), 0, 0, 0, 0, 0, 0, (10, 10), 0, 0),
        regularization=Regularization(0, 0, 0, 0),
    )  # fmt: skip
    run.train()
    with run.averaged() as model:
        found = logits_of(model, run.validation).argmax(axis=1)
    assert (found == run.validation.labels).mean() > 0.8


def test_the_average_follows_and_leaves_the_model_as_it_was():
    model = torch.nn.Linear(2, 1)
    average = Average(model, 0.5)
    with torch.no_grad():
        model.weight += 1
    before = average.values["weight"].clone()
    average.update(model, 100)
    torch.testing.assert_close(average.values["weight"], before + 0.5)


def test_held_out_speakers_are_whole_and_do_not_change(corpus, tmp_path):
    labels = ["angry", "happy", "sad"]
    speech = load_speech(read_corpus(corpus, "train"), labels)
    held = held_out_speakers(speech, 0.25)
    assert set(speech.speakers[held]).isdisjoint(speech.speakers[~held])
    assert 0 < held.sum() <= 0.5 * len(speech)
    weights = speech.weights()
    assert weights.sum() == pytest.approx(1)
    per_label = [weights[speech.labels == k].sum() for k in range(3)]
    np.testing.assert_allclose(per_label, 1 / 3)


def test_without_speakers_recordings_are_held_out(corpus):
    clips = [dataclasses.replace(clip, speaker=None) for clip in read_corpus(corpus, "train")]
    speech = load_speech(clips, ["angry", "happy", "sad"])
    held = held_out_speakers(speech, 0.25)
    assert held.sum() == 9
    assert len(set(speech.speakers)) == 36


def test_whole_clips_are_answered_alone_as_in_a_batch(corpus, tiny):
    speech = load_speech(read_corpus(corpus, "train"), ["angry", "happy", "sad"])
    model = new_model(new_document(str(tiny)), 3, 0).eval()
    together = embeddings_of(model, speech)
    one = speech.subset(np.arange(len(speech)) == 7)
    np.testing.assert_allclose(embeddings_of(model, one)[0], together[7], atol=1e-5)


def test_a_new_model_hears_frequencies_before_it_has_learned():
    filters = gabor_filters(384, 240)[:, 0]
    torch.testing.assert_close(filters.norm(dim=1), torch.ones(384))
    spectrum = torch.fft.rfft(filters, 4096).abs()
    peaks = spectrum.argmax(dim=1) * 16_000 / 4096
    assert (peaks[4:].diff() > -40).all()  # the filters rise
    assert peaks[0] < 150
    assert peaks[-1] > 7_000


def test_shapes_that_are_none(tmp_path):
    with pytest.raises(OptionError, match="no such shape; give small"):
        new_document("enormous")
    (tmp_path / "c.yaml").write_text("model: Other")
    with pytest.raises(CheckpointError):
        new_document(str(tmp_path / "c.yaml"))
    for name in SHAPES:
        assert new_model(new_document(name), 9, 0).config.receptive_field == 400


def test_the_default_shape_runs_in_funasr(funasr_model, tmp_path):
    document = new_document("small")
    model = new_model(document, 9, 0).eval()
    write_folder(tmp_path, document, model, PLUS_TOKENS)
    weights = torch.load(tmp_path / "model.pt", weights_only=True)["model"]
    theirs = oracle(funasr_model, document, weights, PLUS_TOKENS)
    samples = np.random.default_rng(0).standard_normal(24_000).astype(np.float32)
    expected = funasr_answer(theirs, samples, PLUS_TOKENS)["scores"]
    with torch.no_grad():
        *_, found = model(torch.from_numpy(samples)[None], torch.tensor([24_000]))
    np.testing.assert_allclose(found[0], expected, atol=1e-5)


def test_new_and_all_on_the_command_line(corpus, tiny, tmp_path):
    out = tmp_path / "new"
    arguments = ["--data", corpus, "-o", out, "--batch-seconds", 4, "--validation", 0.25]
    done = e2v("finetune", "--new", tiny, "--steps", 6, *arguments, "--licence", "CC0")
    assert done.returncode == 0, done.stderr
    assert b"mean UA" in done.stdout
    assert not (out / STATE).exists()
    assert load_checkpoint(out).labels[0].id == "angry"
    card = (out / "README.md").read_text()
    assert "licence: CC0" in card
    assert "6 steps" in card
    more = tmp_path / "more"
    done = e2v("finetune", out, "--all", "--steps", 2, "--data", corpus, "-o", more,
               "--batch-seconds", 4, "--validation", 0.25)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads((more / "calibration.json").read_text())["temperature"] > 0
    done = e2v("finetune", "--new", tiny, *arguments)
    assert (done.returncode, b"exists already" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give MODEL, or --new"),
        (["m"], "give --head"),
        (["m", "--new", "small"], "without MODEL"),
        (["m", "--head", "--steps", "3"], "are for --all and --new"),
    ],
)
def test_usage(corpus, tmp_path, arguments, message):
    done = e2v("finetune", *arguments, "--data", corpus, "-o", tmp_path / "out")
    assert (done.returncode, message in done.stderr.decode()) == (2, True), done.stderr


def test_labels_that_a_checkpoint_does_not_have(corpus, tmp_path):
    write_checkpoint(tmp_path / "model", tokens=TOKENS)
    done = e2v("finetune", tmp_path / "model", "--all", "--data", corpus, "-o", tmp_path / "out")
    assert done.returncode == 2
    assert b"labels that the model does not have; it has angry, disgusted, happy" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_without_a_head_has_nothing_to_train(corpus, tmp_path):
    write_checkpoint(tmp_path / "model", tokens=[])
    with pytest.raises(OptionError, match="no emotion head"):
        training.train(
            training.TrainingSettings(tmp_path / "out", str(tmp_path / "model")),
            read_corpus(corpus, "train"),
        )
