"""``e2v push``: a bundle, with its model card, to Hugging Face's hub."""

from __future__ import annotations

import click


@click.command()
@click.argument("bundle")
@click.argument("target")
@click.option("--private", is_flag=True, help="Make a new repository private.")
@click.option(
    "--language",
    "languages",
    multiple=True,
    metavar="CODE",
    help="Language of the training speech, for the card: en; may be given several times.",
)
@click.option(
    "--licence", metavar="ID", help="The hub's identifier of the licence; the bundle's otherwise."
)
@click.option("--message", help="Subject of the commit.")
@click.option("--card-only", is_flag=True, help="Print the card, and send nothing.")
def push(
    bundle: str, target: str, private: bool, languages: tuple[str, ...], licence: str | None,
    message: str | None, card_only: bool,
) -> None:  # fmt: skip
    """Send BUNDLE, a path or a name, to TARGET: hf://owner/name or hf://owner/name@branch.

    The bundle's files and its card are one commit; a repository that does not exist is made. The
    card gets the hub's metadata: licence, task, library, base model, and the measurements in
    bundle.json. The token is huggingface_hub's: HF_TOKEN, or that of 'hf auth login'.
    """
    from ...bundle.card import hub_card
    from ...bundle.hub import push_bundle
    from ...bundle.hub_name import parse_hub_name
    from ...bundle.locate import open_bundle

    name = parse_hub_name(target)
    opened = open_bundle(bundle)
    card = hub_card(opened, languages, licence)
    if card_only:
        click.echo(card)
        return
    commit = push_bundle(opened, name, card, private=private, message=message)
    click.echo(f"{name}: {opened.manifest.name} sent, {commit}")
