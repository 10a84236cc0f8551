"""Makes the model with planted H-neurons: a small chat model whose H-neurons are known, because they were put there."""
