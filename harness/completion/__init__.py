"""What a shell offers at a TAB: commands and options by argcomplete, keys, files and names from here."""
