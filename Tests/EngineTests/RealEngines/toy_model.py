# SPDX-License-Identifier: Apache-2.0
"""Writes the toy model that both engines serve: the same random weights, once as the folder that
vLLM loads, once as the file that llama-server loads.

It knows nothing: what it says is noise. It is just large enough that a server on one core hands
its tokens out faster than it makes them: else they would come in bursts, seconds late. Its
tokenizer is a real one, trained on the standard library of the Python that runs this, so that
prompts of words become tokens of words.

    python toy_model.py FOLDER      writes FOLDER/tiny-qwen2/ and FOLDER/tiny-qwen2.gguf
"""

import json
import pathlib
import sys
import sysconfig

import gguf
import numpy
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

NAME = "tiny-qwen2"
LAYERS = 6
HIDDEN = 512
INNER = 1536
HEADS = 8
KV_HEADS = 2
HEAD = HIDDEN // HEADS
CONTEXT = 16_384
VOCABULARY = 8192
ROPE_BASE = 10_000.0
EPSILON = 1e-6

# In this order: their identifiers are 0, 1 and 2.
PADDING, BEGIN, END = SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
END_ID = SPECIALS.index(END)

TEMPLATE = """\
{%- for message in messages -%}
<|im_start|>{{ message['role'] }}
{{ message['content'] }}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>assistant
{% endif -%}
"""


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer()
    weights = random_weights()
    write_folder(folder / NAME, tokenizer, weights)
    write_gguf(folder / f"{NAME}.gguf", tokenizer, weights)


def train_tokenizer() -> Tokenizer:
    """Byte-level BPE, so that every text has tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=SPECIALS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    library = pathlib.Path(sysconfig.get_path("stdlib"))
    tokenizer.train([str(file) for file in sorted(library.glob("*.py"))], trainer)
    assert tokenizer.get_vocab_size() == VOCABULARY, "too little text to learn from"
    return tokenizer


def random_weights() -> dict[str, numpy.ndarray]:
    """By the names that Qwen2 has in transformers; matrices are (out, in)."""
    random = numpy.random.default_rng(seed=7)

    def matrix(rows: int, columns: int) -> numpy.ndarray:
        return random.normal(0.0, 0.02, (rows, columns)).astype(numpy.float32)

    weights = {"model.embed_tokens.weight": matrix(VOCABULARY, HIDDEN)}
    for layer in range(LAYERS):
        for name, rows, columns in (
            ("self_attn.q_proj", HEADS * HEAD, HIDDEN),
            ("self_attn.k_proj", KV_HEADS * HEAD, HIDDEN),
            ("self_attn.v_proj", KV_HEADS * HEAD, HIDDEN),
            ("self_attn.o_proj", HIDDEN, HEADS * HEAD),
            ("mlp.gate_proj", INNER, HIDDEN),
            ("mlp.up_proj", INNER, HIDDEN),
            ("mlp.down_proj", HIDDEN, INNER),
        ):
            weights[f"model.layers.{layer}.{name}.weight"] = matrix(rows, columns)
            if name[-6:] in ("q_proj", "k_proj", "v_proj"):
                bias = numpy.zeros(rows, numpy.float32)
                weights[f"model.layers.{layer}.{name}.bias"] = bias
        for name in ("input_layernorm", "post_attention_layernorm"):
            weights[f"model.layers.{layer}.{name}.weight"] = numpy.ones(HIDDEN, numpy.float32)
    weights["model.norm.weight"] = numpy.ones(HIDDEN, numpy.float32)
    return weights


def write_folder(
    folder: pathlib.Path, tokenizer: Tokenizer, weights: dict[str, numpy.ndarray]
) -> None:
    folder.mkdir(exist_ok=True)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "config.json": {
            "architectures": ["Qwen2ForCausalLM"],
            "model_type": "qwen2",
            "hidden_size": HIDDEN,
            "intermediate_size": INNER,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "num_key_value_heads": KV_HEADS,
            "max_position_embeddings": CONTEXT,
            "vocab_size": VOCABULARY,
            "rope_theta": ROPE_BASE,
            "rms_norm_eps": EPSILON,
            "hidden_act": "silu",
            "tie_word_embeddings": True,
            "torch_dtype": "float32",
            "eos_token_id": END_ID,
        },
        "generation_config.json": {"eos_token_id": END_ID},
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": CONTEXT,
            "eos_token": END,
            "pad_token": PADDING,
            "chat_template": TEMPLATE,
        },
    }
    for name, content in settings.items():
        (folder / name).write_text(json.dumps(content, indent=2) + "\n")


# What GGUF calls the tensors of one layer.
LAYER_NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def gguf_name(name: str) -> str:
    if name == "model.embed_tokens.weight":
        return "token_embd.weight"
    if name == "model.norm.weight":
        return "output_norm.weight"
    _, _, layer, tensor = name.split(".", 3)
    tensor, _, kind = tensor.rpartition(".")
    return f"blk.{layer}.{LAYER_NAMES[tensor]}.{kind}"


def write_gguf(
    file: pathlib.Path, tokenizer: Tokenizer, weights: dict[str, numpy.ndarray]
) -> None:
    writer = gguf.GGUFWriter(file, "qwen2")
    writer.add_name(NAME)
    writer.add_block_count(LAYERS)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_freq_base(ROPE_BASE)
    writer.add_layer_norm_rms_eps(EPSILON)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    add_tokenizer(writer, tokenizer)
    for name, tensor in weights.items():
        kind = numpy.float16 if tensor.ndim == 2 else numpy.float32
        writer.add_tensor(gguf_name(name), tensor.astype(kind))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_tokenizer(writer: gguf.GGUFWriter, tokenizer: Tokenizer) -> None:
    """GGUF has the parts of the tokenizer, not its file; "gpt2" stands for byte-level BPE."""
    parts = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(parts["vocab"], key=parts["vocab"].get)
    kinds = [
        gguf.TokenType.CONTROL if token in SPECIALS else gguf.TokenType.NORMAL
        for token in tokens
    ]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) for pair in parts["merges"]])
    writer.add_eos_token_id(END_ID)
    writer.add_pad_token_id(SPECIALS.index(PADDING))
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)


if __name__ == "__main__":
    main()
