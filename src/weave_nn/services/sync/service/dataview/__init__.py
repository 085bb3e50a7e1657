"""The part of Dataview's query language that clients send over the API: TABLE over frontmatter and file fields.

See <https://blacksmithgu.github.io/obsidian-dataview/queries/structure/>. LIST, TASK, CALENDAR, GROUP BY, FLATTEN and
inline fields are refused by name.
"""
