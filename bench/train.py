"""Steps of training a cross-encoder, ours and PyTorch's, in turns on the same pairs.

    train.py --binaries target/release --model target/models/all-MiniLM-L6-v2 [--threads 2] [--rounds 5]

Both start from the model with a fresh head and take the same steps: cross entropy of a probability, AdamW. PyTorch runs
transformers' BertForSequenceClassification without dropout on batches that are padded to their longest pair. Printed are pairs per
second of each, the ratio of median times, and both losses, which show that they learn the same.
"""

import argparse
import json
import pathlib
import random
import statistics
import time

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from compare import SETTLE_SECONDS
from engines import Driver

QUERIES, DOCUMENTS, MAX_TOKENS = 4, 8, 128


class Elodex(Driver):
    program = "bench-train"

    def step(self, groups):
        answer = self.ask(groups)
        return answer["seconds"], answer["loss"]


class PyTorch:
    def __init__(self, model):
        self.tokenizer = AutoTokenizer.from_pretrained(model)
        self.model = AutoModelForSequenceClassification.from_pretrained(
            model, num_labels=1, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
        ).train()
        self.optimiser = torch.optim.AdamW(self.model.parameters(), lr=2e-5, weight_decay=0.01)

    def step(self, groups):
        pairs = [(group["query"], document) for group in groups for document in group["documents"]]
        queries, texts = [query for query, _ in pairs], [document["text"] for _, document in pairs]
        inputs = self.tokenizer(
            queries, texts, truncation="only_second", max_length=MAX_TOKENS, padding=True, return_tensors="pt"
        )
        targets = torch.tensor([document["target"] for _, document in pairs])
        start = time.perf_counter()
        self.optimiser.zero_grad()
        logits = self.model(**inputs).logits[:, 0]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets)
        loss.backward()
        self.optimiser.step()
        return time.perf_counter() - start, loss.item()


def steps(texts, equal, count, seed):
    """Groups of queries and documents: words of `texts`, all of the longest length or of their own."""
    source = random.Random(seed)
    groups = []
    for _ in range(count):
        step = []
        for _ in range(QUERIES):
            documents = []
            for text in source.sample(texts, DOCUMENTS):
                words = (text + " " + source.choice(texts)).split() if equal else text.split()[: source.randint(20, 110)]
                documents.append({"text": " ".join(words), "target": source.random()})
            step.append({"query": " ".join(source.choice(texts).split()[:8]), "documents": documents})
        groups.append(step)
    return groups


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--binaries", type=pathlib.Path, required=True)
    arguments.add_argument("--model", type=pathlib.Path, required=True)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments = arguments.parse_args()
    torch.set_num_threads(arguments.threads)
    sample = pathlib.Path(__file__).parent.parent / "crates/elodex/sample/corpus.jsonl"
    texts = [json.loads(line)["text"] for line in sample.read_text().splitlines()]
    texts = [text for text in texts if text.isascii()]
    engines = {"elodex": Elodex(arguments.binaries, arguments.model, arguments.threads, "f32"), "pytorch": PyTorch(arguments.model)}
    for name, equal in [("128 tokens each", True), ("lengths of 20 to 110 words", False)]:
        seconds = {engine: [] for engine in engines}
        losses = {engine: [] for engine in engines}
        for number, groups in enumerate(steps(texts, equal, arguments.rounds + 1, seed=int(equal))):
            for engine, runner in engines.items():
                time.sleep(SETTLE_SECONDS)
                taken, loss = runner.step(groups)
                # The first step warms up.
                if number > 0:
                    seconds[engine].append(taken)
                    losses[engine].append(loss)
        medians = {engine: statistics.median(taken) for engine, taken in seconds.items()}
        pairs = QUERIES * DOCUMENTS
        print(f"{name}, {pairs} pairs a step, median of {arguments.rounds}:")
        for engine, median in medians.items():
            print(f"  {engine:8} {pairs / median:6.1f} pairs/s, mean loss {statistics.mean(losses[engine]):.4f}")
        print(f"  pytorch takes {medians['pytorch'] / medians['elodex']:.2f}x the time of elodex")
    engines["elodex"].close()


if __name__ == "__main__":
    main()
