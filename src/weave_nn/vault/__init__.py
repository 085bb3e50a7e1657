"""Reading and writing the notes of a vault safely: paths, parsing, links, atomic changes; no service, no web.

Import what you need from the modules: `store.Vault` reads, `changes.apply` is the one way to change files.
"""
