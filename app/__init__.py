"""The pages: they read, ask the engine, draw and write the address. No figure is computed here."""
