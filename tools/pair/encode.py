#!/usr/bin/env python3
"""Token vectors of passages and queries, for the teacher.

    encode.py export MODEL_DIR FILE.onnx [--float REGEX]   8-bit ONNX of a sentence-transformers encoder
    encode.py run MODEL_DIR FILE.onnx --work DIR --name NAME

`export` quantises the weights to 8 bits per channel. mpnet's second feed-forward layers have
outliers: `--float 'layer\\.([6-9]|10)/output/dense'` leaves those in f32 (cosine with f32 0.99; without it 0.86).
`run` reads DIR/docs.jsonl and DIR/queries.jsonl and writes NAME_tok.npy (8-bit unit vectors of
every token), NAME_nrm.npy, NAME_ids.npy, NAME_idx.npz and NAME_q.npz.
"""

import argparse, json, os, re, sys
import numpy as np

SCALE = 300


def export(model, out, keep):
    import onnx, torch
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from transformers import AutoModel

    class Hidden(torch.nn.Module):
        def __init__(self, m):
            super().__init__()
            self.m = m

        def forward(self, input_ids, attention_mask):
            return self.m(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state

    m = AutoModel.from_pretrained(model, attn_implementation="eager").eval()
    ids = torch.randint(1000, 2000, (2, 16))
    am = torch.ones_like(ids)
    am[1, 10:] = 0
    dyn = {0: "b", 1: "t"}
    torch.onnx.export(
        Hidden(m),
        (ids, am),
        out + ".f32",
        input_names=["input_ids", "attention_mask"],
        output_names=["h"],
        dynamic_axes={"input_ids": dyn, "attention_mask": dyn, "h": dyn},
        opset_version=17,
        dynamo=False,
    )
    names = [
        n.name
        for n in onnx.load(out + ".f32").graph.node
        if n.op_type == "MatMul" and keep and re.search(keep, n.name)
    ]
    quantize_dynamic(
        out + ".f32",
        out,
        weight_type=QuantType.QInt8,
        per_channel=True,
        nodes_to_exclude=names,
        extra_options={"MatMulConstBOnly": True, "DefaultTensorType": 1},
    )
    os.remove(out + ".f32")


class Encoder:
    def __init__(self, model, file, longest=160, threads=2):
        import onnxruntime as ort
        from tokenizers import Tokenizer

        o = ort.SessionOptions()
        o.intra_op_num_threads = threads
        self.s = ort.InferenceSession(file, o, providers=["CPUExecutionProvider"])
        self.t = Tokenizer.from_file(os.path.join(model, "tokenizer.json"))
        self.t.enable_truncation(longest)
        self.t.no_padding()
        self.pad = self.t.token_to_id("<pad>") or self.t.token_to_id("[PAD]") or 0

    def embed(self, texts, each, budget=4096):
        """Mean-pooled unit vectors; each(i, ids, hidden) sees every text's token vectors."""
        es = [e.ids for e in self.t.encode_batch(texts)]
        order = sorted(range(len(es)), key=lambda i: -len(es[i]))
        out = None
        while order:
            k = max(1, budget // len(es[order[0]]))
            b, order = order[:k], order[k:]
            n = len(es[b[0]])
            a = np.full((len(b), n), self.pad, np.int64)
            m = np.zeros((len(b), n), np.int64)
            for r, i in enumerate(b):
                a[r, : len(es[i])] = es[i]
                m[r, : len(es[i])] = 1
            h = self.s.run(None, {"input_ids": a, "attention_mask": m})[0]
            v = (h * m[:, :, None]).sum(1)
            v /= np.linalg.norm(v, axis=1, keepdims=True)
            if out is None:
                out = np.zeros((len(texts), v.shape[1]), np.float32)
            out[b] = v
            for r, i in enumerate(b):
                each(i, es[i], h[r, : len(es[i])])
        return out


def run(model, file, work, name):
    E = Encoder(model, file)
    p = os.path.join(work, name)
    D = [json.loads(l) for l in open(os.path.join(work, "docs.jsonl"))]
    txt = [(d["title"] + " " + d["text"]).strip() for d in D]
    tl = np.array([len(E.t.encode(d["title"]).ids) - 2 if d["title"] else 0 for d in D])
    off = np.concatenate([[0], np.cumsum([len(e.ids) for e in E.t.encode_batch(txt)])])
    n = int(off[-1])
    ids = np.zeros(n, np.int32)
    tok = nrm = None
    np.savez(p + "_idx.npz", off=off, tl=tl)

    def doc(i, x, h):
        nonlocal tok, nrm
        if tok is None:
            tok = np.lib.format.open_memmap(p + "_tok.npy", "w+", np.int8, (n, h.shape[1]))
            nrm = np.lib.format.open_memmap(p + "_nrm.npy", "w+", np.float32, (n,))
        s = slice(off[i], off[i + 1])
        l = np.linalg.norm(h, axis=1)
        nrm[s] = l
        ids[s] = x
        tok[s] = np.clip(np.round(h / l[:, None] * SCALE), -127, 127).astype(np.int8)

    E.embed(txt, doc)
    tok.flush()
    nrm.flush()
    np.save(p + "_ids.npy", ids)
    Q = [json.loads(l)["query"] for l in open(os.path.join(work, "queries.jsonl"))]
    st = [None] * len(Q)

    def query(i, x, h):
        st[i] = (np.array(x), h)

    v = E.embed(Q, query)
    np.savez(
        p + "_q.npz",
        v=v,
        ids=np.concatenate([a for a, _ in st]),
        h=np.concatenate([h for _, h in st]).astype(np.float16),
        off=np.cumsum([0] + [len(a) for a, _ in st]),
    )


if __name__ == "__main__":
    a = argparse.ArgumentParser()
    s = a.add_subparsers(dest="cmd", required=True)
    e = s.add_parser("export")
    e.add_argument("model")
    e.add_argument("file")
    e.add_argument("--float", default="")
    e = s.add_parser("run")
    e.add_argument("model")
    e.add_argument("file")
    e.add_argument("--work", required=True)
    e.add_argument("--name", required=True)
    a = a.parse_args()
    if a.cmd == "export":
        export(a.model, a.file, a.float)
    else:
        run(a.model, a.file, a.work, a.name)
