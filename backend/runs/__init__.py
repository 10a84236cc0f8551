"""The folder of a run of the verb identify: its records, its pace, its state, its packed form."""
