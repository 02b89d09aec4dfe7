"""The model card of a bundle on Hugging Face's hub: its metadata, in front of the bundle's text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..files import printable, read_regular
from .bundle import Bundle
from .hub import hub_client
from .manifest import CARD, Manifest

LIBRARY = "emotion2vec-edge"
TASK = "audio-classification"
TAGS = ("onnx", "emotion2vec", "speech-emotion-recognition")

MOST_CARD_BYTES = 4 << 20

_LICENCES = re.compile(
    r"(?i)(mit|bsd|apache[ -]2\.0|(?:cc[ -]by(?:-nc)?(?:-sa|-nd)?)[ -][234]\.0|cc0[ -]1\.0)"
)
"""Licences whose name in small letters with hyphens is the hub's identifier."""


def hub_card(bundle: Bundle, languages: Sequence[str] = (), licence: str | None = None) -> str:
    """The text of the card: metadata for the hub, then the bundle's own card.

    Metadata that the bundle's card has already is kept where the manifest does not know better.

    Args:
        bundle: the bundle.
        languages: codes of the languages that the model was trained on, which no manifest holds.
        licence: the hub's identifier of the licence; None takes the manifest's, or ``other``.

    Raises:
        MissingExtraError: huggingface_hub is not installed.
    """
    hub = hub_client()
    manifest = bundle.manifest
    path = bundle.folder / CARD
    text = read_regular(path, MOST_CARD_BYTES).decode("utf-8", "replace") if path.exists() else ""
    text = text or _text(manifest)
    if not text.startswith("---"):
        text = f"---\nlibrary_name: {LIBRARY}\n---\n{text}"
    card = hub.ModelCard(text, ignore_metadata_errors=True)
    before = card.data.to_dict()
    results = [hub.EvalResult(**result) for result in evaluations(manifest)]
    data = hub.ModelCardData(
        model_name=manifest.name,
        library_name=LIBRARY,
        pipeline_tag=TASK,
        tags=sorted({*before.get("tags", ()), *TAGS}),
        language=list(languages) or before.get("language"),
        eval_results=results or None,
        **_licence(licence or manifest.source.licence),
        **_origin(manifest),
    )
    known = data.to_dict()
    kept = {key: value for key, value in before.items() if key not in known}
    for key in ("license_name", "license_link"):
        if key not in known:
            kept.pop(key, None)
    card.data = hub.CardData(**kept, **known)
    return str(card)


def evaluations(manifest: Manifest) -> Iterator[Mapping[str, Any]]:
    """Measurements of the manifest, as arguments of huggingface_hub's ``EvalResult``.

    They are those of a head fitted on labelled speech, of the calibration, and of each variant
    against fp32. Evidence of other forms is left to the card's text.
    """
    head = manifest.source.head or {}
    for key, name in (("ua", "UA (mean recall)"), ("wa", "WA (accuracy)")):
        if isinstance(head.get(key), float):
            speech = f"{head.get('fitted_on', 'labelled speech')}, held out"
            yield _result(speech, "recall" if key == "ua" else "accuracy", name, head[key])
    calibration = manifest.calibration
    if calibration is not None and calibration.ece is not None:
        yield _result(
            calibration.fitted_on or "held-out speech",
            "expected_calibration_error", "Expected calibration error", calibration.ece,
        )  # fmt: skip
    for precision, variant in manifest.variants.items():
        agreement = variant.evidence.get("agreement")
        if isinstance(agreement, float):
            speech = f"{variant.evidence.get('speech', 'speech')}"
            name = f"Share of clips on which {precision} and fp32 agree"
            yield _result(speech, "agreement", name, agreement)


def _result(speech: str, metric: str, name: str, value: float) -> Mapping[str, Any]:
    return {
        "task_type": TASK,
        "task_name": "Speech emotion recognition",
        "dataset_type": re.sub(r"[^a-z0-9]+", "-", speech.lower()).strip("-") or "speech",
        "dataset_name": speech,
        "metric_type": metric,
        "metric_name": name,
        "metric_value": round(value, 4),
    }


def _licence(text: str) -> dict[str, str]:
    if _LICENCES.fullmatch(text):
        return {"license": text.lower().replace(" ", "-")}
    return {"license": "other", "license_name": text}


def _origin(manifest: Manifest) -> dict[str, str]:
    origin = manifest.source.origin or ""
    if not origin.startswith("hf:"):
        return {}
    relation = "quantized" if "int8" in manifest.variants else None
    if manifest.source.head is not None:
        relation = "finetune"
    named = {"base_model_relation": relation} if relation else {}
    return {"base_model": origin.removeprefix("hf:"), **named}


def _text(manifest: Manifest) -> str:
    """Text for a bundle that has no card."""
    labels = ", ".join(label.id for label in manifest.labels) or "none: embeddings only"
    return f"""# {printable(manifest.name)}

- labels: {labels}
- licence: {manifest.source.licence}
- source: {manifest.source.checkpoint}
"""
