"""The query language of obsidian-tasks: reading a query, and running it over tasks.

Source: https://publish.obsidian.md/tasks/Queries/About+Queries
"""
