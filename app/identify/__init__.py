"""The page Identify: a probe's report card, a run of one's own, probes, and the answers behind them."""
