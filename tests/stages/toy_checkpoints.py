"""Makes small translation models that have learned a few sentences by heart.

Run in the ``translation`` environment: ``PYTHON toy_checkpoints.py FOLDER``. Real weights of these
families come only from a model hub. These have their architecture, tokenizers and files, so that
what is run, told and cut is the real thing; only that they translate well is not shown.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sentencepiece
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import (
    M2M100Config,
    M2M100ForConditionalGeneration,
    M2M100Tokenizer,
    MarianConfig,
    MarianMTModel,
    MarianTokenizer,
    NllbTokenizer,
)

ENGLISH = [
    "The lighthouse keeper climbed the stairs every evening, because the lamp had to be lit.",
    "Where are you going?",
    "To the harbour.",
    "I never told anyone what I saw that night, but I still dream about it.",
]
GERMAN = [
    "Der Leuchtturmwärter stieg jeden Abend hinauf, weil die Lampe angezündet werden musste.",
    "Wohin gehst du?",
    "Zum Hafen.",
    "Ich habe nie jemandem erzählt, was ich in jener Nacht sah, aber ich träume noch davon.",
]
FRENCH = [
    "Le gardien du phare montait l'escalier chaque soir, parce qu'il fallait allumer la lampe.",
    "Où vas-tu ?",
    "Au port.",
    "Je n'ai jamais dit à personne ce que j'ai vu cette nuit-là, mais j'en rêve encore.",
]
_SIZE = {
    "d_model": 64,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 128,
    "decoder_ffn_dim": 128,
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "activation_dropout": 0.0,
    "encoder_layerdrop": 0.0,
    "decoder_layerdrop": 0.0,
    "max_position_embeddings": 256,
}
_STEPS = 240
_LANGUAGES = 210
"""More tokens than any of these tokenizers has for languages, whether it counts them or not."""


def learn(model: Any, batches: Sequence[dict[str, torch.Tensor]]) -> None:
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
    model.train()
    for step in range(_STEPS):
        optimiser.zero_grad()
        loss = model(**batches[step % len(batches)]).loss
        loss.backward()
        optimiser.step()
    print(type(model).__name__, "loss", float(loss), file=sys.stderr)
    model.eval()


def batch(tokenizer: Any, source: list[str], target: list[str]) -> dict[str, torch.Tensor]:
    inputs = tokenizer(source, text_target=target, return_tensors="pt", padding=True)
    labels = inputs["labels"]
    inputs["labels"] = labels.masked_fill(labels == tokenizer.pad_token_id, -100)
    return dict(inputs)


def pieces(folder: Path, name: str, texts: list[str]) -> Path:
    """A SentencePiece model of ``texts``."""
    (folder / "texts").write_text("\n".join(texts), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "texts"),
        model_prefix=str(folder / name),
        vocab_size=90,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    (folder / "texts").unlink()
    (folder / f"{name}.vocab").unlink()
    return folder / f"{name}.model"


def marian(folder: Path) -> None:
    """opus-mt from English to German."""
    folder.mkdir()
    vocabulary = {"</s>": 0, "<unk>": 1}
    for name, texts in (("source", ENGLISH), ("target", GERMAN)):
        file = pieces(folder, name, texts)
        processor = sentencepiece.SentencePieceProcessor(model_file=str(file))
        for index in range(len(processor)):
            vocabulary.setdefault(processor.id_to_piece(index), len(vocabulary))
        file.rename(folder / f"{name}.spm")
    vocabulary["<pad>"] = len(vocabulary)
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    tokenizer = MarianTokenizer(
        str(folder / "source.spm"),
        str(folder / "target.spm"),
        str(folder / "vocab.json"),
        source_lang="en",
        target_lang="de",
    )
    pad = vocabulary["<pad>"]
    config = MarianConfig(
        vocab_size=len(vocabulary),
        pad_token_id=pad,
        eos_token_id=0,
        decoder_start_token_id=pad,
        forced_eos_token_id=0,
        **_SIZE,
    )
    model = MarianMTModel(config)
    learn(model, [batch(tokenizer, ENGLISH, GERMAN)])
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)


def many_to_many(folder: Path, tokenizer: Any, german: str, french: str) -> None:
    """NLLB-200 and M2M100 are one architecture."""
    batches = []
    for code, texts in ((german, GERMAN), (french, FRENCH)):
        tokenizer.tgt_lang = code
        batches.append(batch(tokenizer, ENGLISH, texts))
    config = M2M100Config(vocab_size=len(tokenizer) + _LANGUAGES, decoder_start_token_id=2, **_SIZE)
    model = M2M100ForConditionalGeneration(config)
    learn(model, batches)
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)


def nllb(folder: Path) -> None:
    bpe = Tokenizer(models.BPE(unk_token="<unk>"))
    bpe.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=special, show_progress=False)
    bpe.train_from_iterator([*ENGLISH, *GERMAN, *FRENCH], trainer)
    state = json.loads(bpe.to_str())["model"]
    merges = [tuple(merge) for merge in state["merges"]]
    tokenizer = NllbTokenizer(vocab=state["vocab"], merges=merges, src_lang="eng_Latn")
    many_to_many(folder, tokenizer, "deu_Latn", "fra_Latn")


def m2m100(folder: Path) -> None:
    folder.mkdir()
    file = pieces(folder, "pieces", [*ENGLISH, *GERMAN, *FRENCH])
    processor = sentencepiece.SentencePieceProcessor(model_file=str(file))
    vocabulary = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}
    for index in range(len(processor)):
        vocabulary.setdefault(processor.id_to_piece(index), len(vocabulary))
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    file.rename(folder / "sentencepiece.bpe.model")
    tokenizer = M2M100Tokenizer(
        str(folder / "vocab.json"), str(folder / "sentencepiece.bpe.model"), src_lang="en"
    )
    many_to_many(folder, tokenizer, "de", "fr")


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(1)
    place = Path(sys.argv[1])
    marian(place / "opus-mt-en-de")
    nllb(place / "nllb")
    m2m100(place / "m2m100")
