"""The command line: arguments into requests, results onto standard output. Behaviour is the engine's."""
