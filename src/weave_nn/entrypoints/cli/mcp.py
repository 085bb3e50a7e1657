"""`weave mcp`: the vault's tools for an MCP client that starts us, over standard input and output."""

from weave_nn.entrypoints.cli.options import DataDirOption, ReadOnlyOption, VaultArgument, load_settings, open_instance


def mcp(vault: VaultArgument = None, *, read_only: ReadOnlyOption = None, data_dir: DataDirOption = None) -> None:
    """Serve the vault's tools to an MCP client, over stdio.

    Claude Desktop and the like start this command themselves; `weave up` prints the configuration for it.
    Standard output carries the protocol, so everything for people goes to stderr.

    \b
    weave mcp ~/Notes
    weave mcp ~/Notes --read-only      without the tools that change notes
    """
    settings = load_settings(vault=vault, read_only=read_only, data_dir=data_dir).settings
    instance = open_instance(settings, serving=True)
    from weave_nn.entrypoints import mcp_stdio

    mcp_stdio.run(settings, instance)
