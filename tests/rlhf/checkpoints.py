"""Random models of the transformers library with a tokenizer of twenty words, in a folder: no download."""

import torch

WORDS = ["<pad>", "<eos>", *(f"w{i}" for i in range(18))]
PAD, EOS = 0, 1


def checkpoint(folder, kind="gpt2", **special):
    """A GPT-2 or a Llama; returns the folder."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    torch.manual_seed(0)
    special = {"eos_token_id": EOS, "pad_token_id": PAD, "bos_token_id": None} | special
    if kind == "gpt2":
        shape = {"n_positions": 24, "n_embd": 16, "n_layer": 2, "n_head": 2}
        config = transformers.GPT2Config(vocab_size=len(WORDS), **shape, **special)
    else:
        shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
        config = transformers.LlamaConfig(
            vocab_size=len(WORDS), max_position_embeddings=24, **shape, **special, tie_word_embeddings=False
        )
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<eos>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    padding = {"pad_token": "<pad>"} if special["pad_token_id"] == PAD else {}
    transformers.PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<eos>", **padding).save_pretrained(folder)
    return folder
