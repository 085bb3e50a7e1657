"""Prompts: what people ask an agent to do with their notes again and again."""

from weave_nn.shared.mcp import VaultServer

_CAREFUL = (
    "Name the notes that you rely on by their paths. Say what you did not find. Change nothing without asking me first."
)


def register_prompts(server: VaultServer) -> None:
    """Offer the prompts; their arguments are completed from the vault."""

    @server.prompt(description="Look back on a day and forward to the next")
    def daily_review(day: str = "today") -> str:
        return (
            f"Review my day ({day}). Find what I worked on with search_notes (modified:{day}) and read those notes. "
            "Then tell me: what was done, what is open (search_notes: has:tasks), what was promised to whom, and "
            f"the three things that matter most next. {_CAREFUL}"
        )

    @server.prompt(description="Where a project stands")
    def summarise_project(project: str) -> str:
        return (
            f"Summarise the project of the note '{project}'. Read it, then its neighbours (explore_graph, get_links in "
            "both directions) as far as they belong to it. Give: its aim, its state, open tasks with dates, decisions "
            f"and their reasons, risks, and the next step. {_CAREFUL}"
        )

    @server.prompt(description="Find what a note should be linked with")
    def connect_note(note: str) -> str:
        return (
            f"Help me to connect the note '{note}'. Read it, see what it is linked with already (get_links), then look "
            "for notes that belong to it (find_similar, search_notes with its own words). Propose at most five links, "
            f"each with the sentence that it would stand in and the reason. {_CAREFUL}"
        )

    @server.prompt(description="What I should know before a meeting")
    def prepare_meeting(topic: str, people: str = "") -> str:
        attending = f" with {people}" if people else ""
        return (
            f"Prepare me for a meeting about {topic}{attending}. Search the notes for the topic and for each person, "
            "and read what is most recent. Give: what was agreed last time, what is open on either side, what changed "
            f"since, and questions that I should ask. {_CAREFUL}"
        )
