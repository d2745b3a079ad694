"""Times of features per 1,000 utterances: `python -m benchmarks.features`, on one thread of a CPU, or a GPU.

Sentences are those of a text of lines, or made up; sound and pictures are made here: 3 s of speech by espeak-ng at
22,050 Hz, 3 s of 720 x 480 with a drawn face at 25 pictures a second. Large models have random weights, which take the
same time. Each is timed after a first call, over at least two seconds.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from common.environment import choose_device, device_name
from common.features.audio.encoder import SpeechEncoder
from common.features.audio.is10 import IS10
from common.features.extractor import Extractor, Utterance
from common.features.models import quiet, resolve
from common.features.packages import package
from common.features.text.encoder import FirstToken
from common.features.text.semantic import SentenceVector
from common.features.visual.densenet import DenseNet
from common.features.visual.embedding import FaceEmbedding
from tests.features.media import speech, write_mp4
from tests.features.visual.drawing import scene

LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}
SIZES = {"text": 100, "event": 100, "large": 24, "audio": 4, "visual": 2}  # utterances in a call, on a CPU


def main() -> None:
    """Measure, and print a line for each kind of features."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.features", description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", required=True, metavar="DIR", help="a small encoder of sentence-transformers")
    parser.add_argument("--sentences", type=Path, metavar="FILE", help="a text of lines (default: made up)")
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    device = choose_device(arguments.device)
    print(f"{device_name(device)}; seconds per 1,000 utterances")
    with tempfile.TemporaryDirectory() as folder:
        for name, (extractor, utterances) in _measured(Path(folder), arguments, str(device)).items():
            print(
                f"{name:64}{1000 * _seconds(lambda e=extractor, u=utterances: e(u)) / len(utterances):10.2f}",
                flush=True,
            )


def _measured(folder, arguments, device) -> dict[str, tuple[Extractor, list[Utterance]]]:
    times = 20 if device.startswith("cuda") else 1
    said = (
        arguments.sentences.read_text().splitlines()
        if arguments.sentences
        else [f"Is it number {n}?" for n in range(3000)]
    )

    def sentences(kind):
        step = max(1, len(said) // (times * SIZES[kind]))
        return [Utterance("d", n, sentence) for n, sentence in enumerate(said[::step])]

    small = resolve(arguments.encoder)
    wav = speech(folder / "speech.wav", "I have not heard from you for a week, and I do not know why.")
    film = write_mp4(folder / "film.mp4", [scene(480, 720, (100, 60 + 2 * k, 160)) for k in range(75)])
    sound = [Utterance("d", n, "", audio=wav, start=0.0, end=3.0) for n in range(times * SIZES["audio"])]
    pictures = [Utterance("d", n, "", video=film, side="left") for n in range(times * SIZES["visual"])]
    torch.save(DenseNet().state_dict(), folder / "faces.pt")
    return {
        "text: MiniLM, first token": (FirstToken(small, device=device), sentences("text")),
        "event: MiniLM, sentence vector": (SentenceVector(small, device), sentences("event")),
        "text: RoBERTa-large's size, first token": (
            FirstToken(_large(folder / "large", small), device=device),
            sentences("large"),
        ),
        "audio: IS10 (on the CPU)": (IS10(), sound),
        "audio: wav2vec2-base's size": (SpeechEncoder(_wav2vec2(folder / "wav2vec2"), device), sound),
        "visual: Haar (on the CPU) and DenseNet, 2 pictures a second": (
            FaceEmbedding(str(folder / "faces.pt"), device=device),
            pictures,
        ),
    }


def _large(folder, small):
    """A BERT of RoBERTa-large's size with the tokenizer of another encoder."""
    transformers = package("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(small.source)
    with quiet():
        transformers.BertModel(transformers.BertConfig(vocab_size=len(tokenizer), **LARGE)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return resolve(folder)


def _wav2vec2(folder):
    transformers = package("transformers")
    with quiet():
        transformers.Wav2Vec2Model(transformers.Wav2Vec2Config()).save_pretrained(folder)
    return resolve(folder)


def _seconds(call: Callable[[], list]) -> float:
    """The mean time of a call. Raises RuntimeError where it gives no features."""
    if any(isinstance(result, str) for result in call()):
        raise RuntimeError("no features were made")
    calls, begun = 0, time.perf_counter()
    while not calls or time.perf_counter() - begun < 2:
        call()
        calls += 1
    return (time.perf_counter() - begun) / calls


if __name__ == "__main__":
    main()
