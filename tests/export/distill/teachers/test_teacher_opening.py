"""The kind of a teacher."""

import pytest
import torch

from emotion2vec_edge.engine.errors import CheckpointError, OptionError
from emotion2vec_edge.export.distill.teachers.emotion2vec import BundleTeacher, CheckpointTeacher
from emotion2vec_edge.export.distill.teachers.opening import open_teacher
from emotion2vec_edge.export.distill.teachers.whisper import WhisperTeacher

CPU = torch.device("cpu")


def test_files_and_names_tell_the_kind(whisper_folder, checkpoint, exported):
    kinds = {
        whisper_folder: WhisperTeacher, checkpoint.folder: CheckpointTeacher,
        exported: BundleTeacher, "emotion2vec_small": BundleTeacher,
    }  # fmt: skip
    for source, kind in kinds.items():
        assert isinstance(open_teacher(str(source), None, CPU), kind)


def test_layers_are_for_whisper(whisper_folder, exported):
    assert open_teacher(str(whisper_folder), (0,), CPU).layers == 1
    with pytest.raises(OptionError, match="--teacher-layers is for Whisper"):
        open_teacher(str(exported), (0,), CPU)


def test_no_teacher(tmp_path):
    with pytest.raises(CheckpointError, match="no teacher; one is a bundle"):
        open_teacher(str(tmp_path), None, CPU)
    with pytest.raises(CheckpointError, match="no such folder, and not a hub id"):
        open_teacher("nowhere", None, CPU)
