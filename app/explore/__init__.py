"""The page Explore: one question, and how much each neuron writes at each layer and token of the answer."""
