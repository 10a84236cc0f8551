"""From questions to H-neurons: one stage a module, each resumable, each with its artefact on disk."""
