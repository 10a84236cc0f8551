"""The folder of a run of the verb identify: its records, its pace, how it stands, its packed form."""
