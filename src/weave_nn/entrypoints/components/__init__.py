"""The services as components: which parts of each a process runs, wired with the settings that concern them."""
