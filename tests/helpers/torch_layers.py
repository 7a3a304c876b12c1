"""Weights of torch's Transformer layers under the names of the library, for tests of equality."""

from typing import Any

NAMES = {
    "self_attn.in_proj_": "attention.qkv_projection.",
    "self_attn.out_proj": "attention.output_projection",
    "norm1": "attention_norm",
    "norm2": "feedforward_norm",
    "linear1": "up_projection",
    "linear2": "down_projection",
}
"""Beginnings of the names of torch's parameters, and the library's."""


def rename(torch_state: dict[str, Any]) -> dict[str, Any]:
    """Give the parameters of torch's encoder or decoder layer the names of a TransformerLayer.

    torch has the three projections of cross-attention in one matrix, the library one and two.
    """
    names, renamed = dict(NAMES), {}
    if any("multihead_attn" in name for name in torch_state):
        names |= {"norm2": "cross_attention_norm", "norm3": "feedforward_norm"}
        for name in ("weight", "bias"):
            in_proj = torch_state[f"multihead_attn.in_proj_{name}"]
            query, kv = in_proj.tensor_split([len(in_proj) // 3])
            renamed[f"cross_attention.query_projection.{name}"] = query
            renamed[f"cross_attention.kv_projection.{name}"] = kv
            out_proj = torch_state[f"multihead_attn.out_proj.{name}"]
            renamed[f"cross_attention.output_projection.{name}"] = out_proj
    for name, value in torch_state.items():
        if not name.startswith("multihead_attn"):
            start = next((start for start in names if name.startswith(start)), "")
            renamed[name.replace(start, names.get(start, ""), 1)] = value
    return renamed


def copy_weights(stack: Any, torch_stack: Any) -> None:
    """Give the layers of a stack, and the norm after the last, the weights of torch's stack."""
    for layer, torch_layer in zip(stack.layers, torch_stack.layers, strict=True):
        layer.load_state_dict(rename(torch_layer.state_dict()))
    if torch_stack.norm is not None:
        stack.norm.load_state_dict(torch_stack.norm.state_dict())
